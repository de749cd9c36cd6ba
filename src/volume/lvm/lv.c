/* Putting a logical volume together from its segments. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"
#include "blk/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_segment(const struct lvm_tree *t, uint32_t node)
{
	const struct lvm_node *n = &t->nodes[node];
	return n->kind == LVM_SECTION && n->name.len >= 7 && memcmp(n->name.p, "segment", 7) == 0;
}

static int lv_corrupt(struct err *e, const struct lvm_lv *lv, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "logical volume %.*s: %s", (int)lv->name.len, lv->name.p, what);
}

int lvm_segment_read(const struct lvm_vg *vg, const struct lvm_lv *lv, uint32_t node, struct lvm_segment *ret, struct err *e)
{
	struct lvm_segment s = {.node = node, .type = lvm_string(&vg->tree, node, "type")};
	/* "raid1+FLAG": flags that an older lvm must not overlook. */
	const char *plus = s.type.len ? memchr(s.type.p, '+', s.type.len) : NULL;
	if (plus)
		s.type.len = (uint32_t)(plus - s.type.p);
	int64_t start = lvm_number(&vg->tree, node, "start_extent", -1);
	int64_t extents = lvm_number(&vg->tree, node, "extent_count", 0);
	if (start < 0 || extents <= 0 || (uint64_t)extents > lv->extents)
		return lv_corrupt(e, lv, "a segment without place or size");
	s.start = (uint64_t)start;
	s.extents = (uint64_t)extents;
	s.size = s.extents * vg->extent_size;
	*ret = s;
	return 0;
}

static void drop_parts(struct blk_map_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		blk_unref(parts[i].blk);
	free(parts);
}

/* Fills parts with a reference each; *ret_count counts them also where it fails. */
static int open_segments(struct lvm_vg *vg, struct lvm_lv *lv, unsigned depth, struct blk_map_part *parts, size_t *ret_count,
                         struct err *e)
{
	uint64_t next = 0;
	for (uint32_t i = vg->tree.nodes[lv->node].first; i; i = vg->tree.nodes[i].next) {
		struct lvm_segment s;
		if (!is_segment(&vg->tree, i))
			continue;
		int r = lvm_segment_read(vg, lv, i, &s, e);
		if (r < 0)
			return r;
		if (s.start != next)
			return lv_corrupt(e, lv, "its segments do not follow each other");
		next += s.extents;
		struct blk_map_part *part = &parts[*ret_count];
		r = lvm_segment_open(vg, lv, &s, depth, &part->blk, &part->off, e);
		if (r < 0)
			return r;
		part->len = s.size;
		++*ret_count;
	}
	return 0;
}

static int open_lv(struct lvm_vg *vg, struct lvm_lv *lv, unsigned depth, struct blk **ret, struct err *e)
{
	size_t segments = 0, count = 0;
	for (uint32_t i = vg->tree.nodes[lv->node].first; i; i = vg->tree.nodes[i].next)
		segments += is_segment(&vg->tree, i);
	if (segments == 0 || segments > LVM_SEGMENTS_MAX)
		return lv_corrupt(e, lv, "it has no segments, or too many");
	struct blk_map_part *parts = calloc(segments, sizeof(*parts));
	if (!parts)
		return err_no_memory(e, "lvm");
	int r = open_segments(vg, lv, depth, parts, &count, e);
	if (r == 0)
		r = blk_map_open(parts, count, ret, e);
	drop_parts(parts, count);
	return r;
}

int lvm_lv_blk(struct lvm_vg *vg, struct lvm_lv *lv, unsigned depth, struct blk **ret, struct err *e)
{
	if (lv->state == LVM_LV_BUSY)
		return lv_corrupt(e, lv, "it lies in itself");
	if (depth > LVM_LV_DEPTH_MAX)
		return lv_corrupt(e, lv, "logical volumes lie too deep in each other");
	if (lv->state == LVM_LV_NEW) {
		CLEANUP(blk_unref_p) struct blk *b = NULL;
		lv->state = LVM_LV_BUSY;
		int r = open_lv(vg, lv, depth, &b, e);
		if (r == 0 && lv->merging) {
			CLEANUP(blk_unref_p) struct blk *base = STEAL(b);
			r = lvm_merging_open(vg, lv, base, depth + 1, &b, e);
		}
		lv->state = LVM_LV_NEW;
		if (r < 0 && (e->code == ERR_NO_MEMORY || e->code == ERR_CANCELLED || e->code == ERR_TIMEOUT))
			return r;
		lv->state = LVM_LV_DONE;
		if (r < 0)
			lv->why = *e;
		else
			lv->blk = STEAL(b);
		if (r < 0)
			return r;
	}
	if (!lv->blk) {
		*e = lv->why;
		return e->code;
	}
	*ret = lv->blk;
	return 0;
}

int lvm_lv_blk_named(struct lvm_vg *vg, struct lvm_str name, unsigned depth, struct blk **ret, struct err *e)
{
	struct lvm_lv *lv = lvm_vg_lv(vg, name);
	if (!lv)
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata names a logical volume %.*s that is not there",
		               name.len < LVM_NAME_MAX ? (int)name.len : LVM_NAME_MAX, name.p ? name.p : "");
	return lvm_lv_blk(vg, lv, depth, ret, e);
}
