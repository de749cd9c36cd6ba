/* raid0 … raid10: lvmraid(7). The images are LVs; each has a metadata LV that begins with dm-raid's superblock
 * (kernel: drivers/md/dm-raid.c), which tells images that missed writes. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"
#include "volume/raid/raid.h"

#include <inttypes.h>
#include <string.h>

enum {
	DM_RAID_MAGIC = 0x64526d44,
	DM_RAID_BYTES = 256,
	DM_RAID_FAILED_MAX = 64,     /* images that failed_devices has bits for */
};

struct raid_type {
	const char *name;
	unsigned level, layout;
};

static const struct raid_type raid_types[] = {
	{"raid0", 0, 0},
	{"raid0_meta", 0, 0},
	{"raid1", 1, 0},
	{"raid10", 10, 0},
	{"raid10_near", 10, 0},
	{"raid4", 5, RAID_PARITY_0},
	{"raid5", 5, RAID_LEFT_SYMMETRIC},
	{"raid5_n", 5, RAID_PARITY_N},
	{"raid5_la", 5, RAID_LEFT_ASYMMETRIC},
	{"raid5_ra", 5, RAID_RIGHT_ASYMMETRIC},
	{"raid5_ls", 5, RAID_LEFT_SYMMETRIC},
	{"raid5_rs", 5, RAID_RIGHT_SYMMETRIC},
	{"raid6", 6, RAID_ROTATING_ZERO_RESTART},
	{"raid6_zr", 6, RAID_ROTATING_ZERO_RESTART},
	{"raid6_nr", 6, RAID_ROTATING_N_RESTART},
	{"raid6_nc", 6, RAID_ROTATING_N_CONTINUE},
	{"raid6_n_6", 6, RAID_PARITY_N},
	{"raid6_la_6", 6, RAID_LEFT_ASYMMETRIC_6},
	{"raid6_ra_6", 6, RAID_RIGHT_ASYMMETRIC_6},
	{"raid6_ls_6", 6, RAID_LEFT_SYMMETRIC_6},
	{"raid6_rs_6", 6, RAID_RIGHT_SYMMETRIC_6},
	{0},
};

struct images {
	struct blk *blks[LVM_AREAS_OF_SEGMENT_MAX];      /* borrowed from their LVs; NULL: cannot be used */
	struct lvm_str metas[LVM_AREAS_OF_SEGMENT_MAX];
	unsigned count, lost;
	struct err why;                                  /* of the first one lost */
};

static int corrupt(struct err *e, const struct lvm_lv *lv, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "logical volume %.*s: %s", (int)lv->name.len, lv->name.p, what);
}

static int lose(struct images *im, unsigned i, struct err *e)
{
	if (!raid_may_retry(e))
		return e->code;
	if (im->lost == 0)
		im->why = *e;
	im->blks[i] = NULL;
	im->lost++;
	err_clear(e);
	return 0;
}

/* "raids" lists pairs of metadata and image; raid0 has images alone, as "raid0_lvs". */
static int open_images(struct lvm_vg *vg, const struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth,
                       struct images *ret, struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	uint32_t pairs = lvm_find(t, s->node, "raids", LVM_ARRAY);
	uint32_t array = pairs ? pairs : lvm_find(t, s->node, "raid0_lvs", LVM_ARRAY);
	for (uint32_t i = array ? t->nodes[array].first : 0; i; i = t->nodes[i].next) {
		unsigned n = ret->count;
		if (pairs) {
			ret->metas[n] = t->nodes[i].string;
			i = t->nodes[i].next;
		}
		if (n == LVM_AREAS_OF_SEGMENT_MAX - 1 || !i || t->nodes[i].kind != LVM_STRING)
			return corrupt(e, lv, "the list of its images is damaged");
		ret->count++;
		int r = lvm_lv_blk_named(vg, t->nodes[i].string, depth, &ret->blks[n], e);
		if (r < 0)
			r = lose(ret, n, e);
		if (r < 0)
			return r;
	}
	return ret->count > 0 ? 0 : corrupt(e, lv, "it has no images");
}

struct super {
	bool there;
	uint64_t events, failed, recovered;
};

static int read_super(struct lvm_vg *vg, struct lvm_str meta, unsigned depth, struct super *ret, struct err *e)
{
	uint8_t p[DM_RAID_BYTES];
	struct blk *b;
	int r = meta.len ? lvm_lv_blk_named(vg, meta, depth, &b, e) : 1;
	if (r == 0 && b->size >= sizeof(p))
		r = blk_read(b, 0, p, sizeof(p), e);
	else if (r == 0)
		r = 1;
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (r < 0)
		err_clear(e);
	/* All zeroes: the volume was never active. */
	*ret = (struct super){.there = r == 0 && get_le32(p) == DM_RAID_MAGIC};
	if (ret->there) {
		ret->events = get_le64(p + 16);
		ret->failed = get_le64(p + 24);
		ret->recovered = get_le64(p + 32);
	}
	return 0;
}

/* Leaves out images that failed, that are not rebuilt to their end, or that saw fewer events than others. */
static int drop_stale(struct lvm_vg *vg, struct images *im, unsigned depth, struct err *e)
{
	struct super supers[LVM_AREAS_OF_SEGMENT_MAX] = {0};
	const struct super *newest = NULL;
	for (unsigned i = 0; i < im->count; i++) {
		int r = im->blks[i] ? read_super(vg, im->metas[i], depth, &supers[i], e) : 0;
		if (r < 0)
			return r;
		if (supers[i].there && (!newest || supers[i].events > newest->events))
			newest = &supers[i];
	}
	uint64_t failures = 0;
	for (unsigned i = 0; newest && i < im->count; i++)
		failures |= supers[i].there && supers[i].events == newest->events ? supers[i].failed : 0;
	for (unsigned i = 0; newest && i < im->count; i++) {
		bool failed = i < DM_RAID_FAILED_MAX && (failures >> i & 1);
		bool old = supers[i].there && supers[i].events < newest->events && newest->events - supers[i].events > 1;
		bool rebuilding = supers[i].there && supers[i].recovered != UINT64_MAX;
		if (!im->blks[i] || !(failed || old || rebuilding))
			continue;
		(void)err_set(e, ERR_VOLUME_INCOMPLETE, "lvm", "image %u %s", i,
		              rebuilding ? "was being rebuilt" : "missed writes");
		int r = lose(im, i, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_array(struct lvm_vg *vg, const struct lvm_lv *lv, const struct lvm_segment *s, const struct raid_type *type,
                      const struct images *im, struct blk **ret, struct err *e)
{
	struct raid_geometry g = {.level = type->level, .layout = type->layout};
	if (type->level == 1)
		return raid_mirror_open(im->blks, im->count, s->size, ret, e);
	int64_t chunk = lvm_number(&vg->tree, s->node, "stripe_size", 0);
	int64_t copies = lvm_number(&vg->tree, s->node, "data_copies", 2);
	if (chunk <= 0 || chunk > RAID_CHUNK_MAX / LVM_SECTOR || copies < 2 || copies > (int64_t)im->count + 2 ||
	    im->count <= (type->level == 6 ? 2u : 1u))
		return corrupt(e, lv, "stripes of impossible size");
	g.chunk = (uint32_t)(chunk * LVM_SECTOR);
	if (type->level == 0)
		return raid_stripe_open(im->blks, im->count, g.chunk, s->size, ret, e);
	if (type->level == 10) {
		uint64_t chunks = s->size / g.chunk;
		g.layout = (unsigned)copies | 1 << 8;
		g.member_size = (chunks * (unsigned)copies + im->count - 1) / im->count * g.chunk;
		return raid10_open(im->blks, im->count, &g, s->size, ret, e);
	}
	unsigned data = im->count - (type->level == 6 ? 2 : 1);
	if (s->size % ((uint64_t)data * g.chunk) != 0)
		return corrupt(e, lv, "it is no whole number of stripes");
	g.member_size = s->size / data;
	return raid_parity_open(im->blks, im->count, &g, s->size, ret, e);
}

int lvm_raid_open(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                  struct err *e)
{
	const struct raid_type *type = raid_types;
	while (type->name && !lvm_str_is(s->type, type->name))
		type++;
	if (!type->name)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "segments of type %.*s: no reader for them in this version",
		               s->type.len < 32 ? (int)s->type.len : 32, s->type.p);
	if (lvm_number(&vg->tree, s->node, "reshape_count", 0) != 0 || lvm_number(&vg->tree, s->node, "data_offset", 0) != 0)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "it is being reshaped, or keeps room for that: no reader in this version");
	struct images im = {0};
	int r = open_images(vg, lv, s, depth, &im, e);
	if (r == 0)
		r = drop_stale(vg, &im, depth, e);
	if (r == 0)
		r = open_array(vg, lv, s, type, &im, ret, e);
	if (r < 0 && e->code == ERR_VOLUME_INCOMPLETE && im.why.code != 0) {
		err_clear(e);
		return err_set(e, im.why.code, "lvm", "%u of %u images cannot be used: %.300s", im.lost, im.count, im.why.msg);
	}
	if (r == 0 && im.lost > 0)
		volume_set_warn(vg->set, "%s/%.*s is degraded, %u of %u images cannot be used: %.200s", vg->name, (int)lv->name.len,
		                lv->name.p, im.lost, im.count, im.why.msg);
	return r;
}
