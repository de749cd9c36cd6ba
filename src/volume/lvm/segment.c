/* Segments that lie on areas: linear, striped, mirrored. The others are handed on. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"
#include "volume/raid/raid.h"

#include <inttypes.h>
#include <string.h>

static int corrupt(struct err *e, const struct lvm_lv *lv, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "logical volume %.*s: %s", (int)lv->name.len, lv->name.p, what);
}

/* A range of a PV or of another LV. The blk is a reference for the caller. */
static int open_area(struct lvm_vg *vg, const struct lvm_area *a, uint64_t size, unsigned depth, struct blk **ret,
                     uint64_t *ret_off, struct err *e)
{
	uint64_t off;
	struct blk *b;
	if (!u64_mul(a->extent, vg->extent_size, &off))
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata names extent %" PRIu64, a->extent);
	const struct lvm_vg_pv *pv = lvm_vg_pv(vg, a->name);
	if (pv && !pv->member)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "lvm", "physical volume %s%s%s%s of volume group %s is missing", pv->uuid,
		               pv->device[0] ? " (last seen as " : "", pv->device, pv->device[0] ? ")" : "", vg->name);
	if (pv) {
		b = pv->member->blk;
		if (!u64_add(off, pv->start, &off))
			return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata names extent %" PRIu64, a->extent);
	} else {
		int r = lvm_lv_blk_named(vg, a->name, depth + 1, &b, e);
		if (r < 0)
			return r;
	}
	if (!range_inside(off, size, b->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm",
		               "%s %s ends at byte %" PRIu64 ", before the %" PRIu64 " bytes at %" PRIu64 " that are used",
		               pv ? "physical volume" : "a logical volume inside", pv ? pv->uuid : "", b->size, size, off);
	*ret = blk_ref(b);
	*ret_off = off;
	return 0;
}

/* An array of name, extent, name, extent, … Returns how many. */
static int read_areas(const struct lvm_vg *vg, const struct lvm_lv *lv, const struct lvm_segment *s, const char *key,
                      struct lvm_area areas[LVM_AREAS_OF_SEGMENT_MAX], struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	uint32_t array = lvm_find(t, s->node, key, LVM_ARRAY);
	int n = 0;
	for (uint32_t i = array ? t->nodes[array].first : 0; i; i = t->nodes[i].next) {
		uint32_t at = t->nodes[i].next;
		if (n == LVM_AREAS_OF_SEGMENT_MAX || t->nodes[i].kind != LVM_STRING || !at ||
		    t->nodes[at].kind != LVM_NUMBER || t->nodes[at].number < 0)
			return corrupt(e, lv, "the list of its areas is damaged");
		areas[n++] = (struct lvm_area){.name = t->nodes[i].string, .extent = (uint64_t)t->nodes[at].number};
		i = at;
	}
	return n > 0 ? n : corrupt(e, lv, "a segment without areas");
}

static void drop_members(struct blk **members, int count)
{
	for (int i = 0; i < count; i++)
		blk_unref(members[i]);
}

static int open_slice(struct lvm_vg *vg, const struct lvm_area *a, uint64_t size, unsigned depth, struct blk **ret,
                      struct err *e)
{
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	uint64_t off;
	int r = open_area(vg, a, size, depth, &b, &off, e);
	return r < 0 ? r : blk_slice_open(b, off, size, ret, e);
}

static int open_striped(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                        uint64_t *ret_off, struct err *e)
{
	struct lvm_area areas[LVM_AREAS_OF_SEGMENT_MAX];
	int n = read_areas(vg, lv, s, "stripes", areas, e);
	if (n <= 1)
		return n < 0 ? n : open_area(vg, &areas[0], s->size, depth, ret, ret_off, e);
	int64_t chunk = lvm_number(&vg->tree, s->node, "stripe_size", 0);
	if (s->extents % (unsigned)n != 0 || chunk <= 0 || chunk > RAID_CHUNK_MAX / LVM_SECTOR)
		return corrupt(e, lv, "stripes of impossible size");
	struct blk *members[LVM_AREAS_OF_SEGMENT_MAX] = {0};
	int r = 0;
	for (int i = 0; r == 0 && i < n; i++)
		r = open_slice(vg, &areas[i], s->size / (unsigned)n, depth, &members[i], e);
	if (r == 0)
		r = raid_stripe_open(members, (unsigned)n, (uint32_t)(chunk * LVM_SECTOR), s->size, ret, e);
	drop_members(members, n);
	*ret_off = 0;
	return r;
}

/* The first area is the source of a pvmove, and the one a mirror is brought in step with. */
static int open_mirror(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                       struct err *e)
{
	struct lvm_area areas[LVM_AREAS_OF_SEGMENT_MAX];
	int n = read_areas(vg, lv, s, "mirrors", areas, e);
	if (n < 0)
		return n;
	struct blk *members[LVM_AREAS_OF_SEGMENT_MAX] = {0};
	struct err first = ERR_INIT;
	int there = 0, r = 0;
	for (int i = 0; r == 0 && i < n; i++) {
		r = open_slice(vg, &areas[i], s->size, depth, &members[i], e);
		if (r == 0) {
			there++;
		} else if (raid_may_retry(e)) {
			if (first.code == 0)
				first = *e;
			err_clear(e);
			r = 0;
		}
	}
	if (r == 0 && there == 0) {
		*e = first;
		r = e->code;
	}
	if (r == 0 && there < n)
		volume_set_warn(vg->set, "%s/%.*s: %d of %d mirrors cannot be used: %.200s", vg->name, (int)lv->name.len, lv->name.p,
		                n - there, n, first.msg);
	if (r == 0)
		r = raid_mirror_open(members, (unsigned)n, s->size, ret, e);
	drop_members(members, n);
	return r;
}

static bool is_raid(struct lvm_str type)
{
	return type.len >= 5 && memcmp(type.p, "raid", 4) == 0;
}

int lvm_segment_open(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                     uint64_t *ret_off, struct err *e)
{
	uint64_t off = 0;
	int r;
	if (lvm_str_is(s->type, "striped") || lvm_str_is(s->type, "linear")) {
		r = open_striped(vg, lv, s, depth, ret, &off, e);
	} else if (lvm_str_is(s->type, "mirror")) {
		r = open_mirror(vg, lv, s, depth, ret, e);
	} else if (is_raid(s->type)) {
		r = lvm_raid_open(vg, lv, s, depth + 1, ret, e);
	} else if (lvm_str_is(s->type, "thin")) {
		r = lvm_thin_open(vg, s, depth + 1, ret, e);
	} else if (lvm_str_is(s->type, "snapshot")) {
		r = lvm_snapshot_open(vg, s, depth + 1, ret, e);
	} else if (lvm_str_is(s->type, "cache")) {
		r = lvm_cache_open(vg, s, depth + 1, ret, e);
	} else if (lvm_str_is(s->type, "zero")) {
		*ret = NULL;
		r = 0;
	} else if (lvm_str_is(s->type, "error")) {
		r = err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "it is a volume all of whose reads fail (type error)");
	} else {
		r = err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "segments of type %.*s: no reader for them in this version",
		            s->type.len < 32 ? (int)s->type.len : 32, s->type.p ? s->type.p : "");
	}
	if (r == 0)
		*ret_off = off;
	return r;
}
