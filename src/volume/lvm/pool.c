/* Volumes that keep their blocks elsewhere: thin volumes, snapshots, caches. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"
#include "volume/dm/cow.h"
#include "volume/dm/thin.h"

#include <string.h>

static struct lvm_str text_of(const struct lvm_vg *vg, const struct lvm_segment *s, const char *key)
{
	return lvm_string(&vg->tree, s->node, key);
}

static uint32_t first_segment(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	return lvm_find(&vg->tree, lv->node, "segment1", LVM_SECTION);
}

int lvm_thin_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e)
{
	const struct lvm_lv *pool = lvm_vg_lv(vg, text_of(vg, s, "thin_pool"));
	int64_t device = lvm_number(&vg->tree, s->node, "device_id", -1);
	uint32_t node = pool ? first_segment(vg, pool) : 0;
	if (!node || device < 0 || device > THIN_DEVICE_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata names no pool for a thin volume");
	struct blk *metadata = NULL, *data = NULL, *external = NULL;
	int r = lvm_lv_blk_named(vg, lvm_string(&vg->tree, node, "metadata"), depth, &metadata, e);
	if (r == 0)
		r = lvm_lv_blk_named(vg, lvm_string(&vg->tree, node, "pool"), depth, &data, e);
	struct lvm_str origin = text_of(vg, s, "external_origin");
	if (r == 0 && origin.len > 0)
		r = lvm_lv_blk_named(vg, origin, depth, &external, e);
	return r < 0 ? r : thin_open(metadata, data, external, (uint32_t)device, s->size, ret, e);
}

int lvm_snapshot_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e)
{
	struct blk *origin = NULL, *store = NULL;
	int r = lvm_lv_blk_named(vg, text_of(vg, s, "origin"), depth, &origin, e);
	if (r == 0)
		r = lvm_lv_blk_named(vg, text_of(vg, s, "cow_store"), depth, &store, e);
	return r < 0 ? r : cow_open(origin, store, s->size, ret, e);
}

int lvm_merging_open(struct lvm_vg *vg, const struct lvm_lv *lv, struct blk *base, unsigned depth, struct blk **ret,
                     struct err *e)
{
	struct blk *store;
	int r = lvm_lv_blk_named(vg, lvm_string(&vg->tree, first_segment(vg, lv->merging), "merging_store"), depth, &store, e);
	return r < 0 ? r : cow_open(base, store, base->size, ret, e);
}

/* What a write-through cache holds, its origin holds too. The mode stands in the cache or in its pool. */
int lvm_cache_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e)
{
	struct lvm_str mode = text_of(vg, s, "cache_mode");
	const struct lvm_lv *pool = lvm_vg_lv(vg, text_of(vg, s, "cache_pool"));
	uint32_t node = pool ? first_segment(vg, pool) : 0;
	if (mode.len == 0 && node)
		mode = lvm_string(&vg->tree, node, "cache_mode");
	if (!lvm_str_is(mode, "writethrough") && !lvm_str_is(mode, "passthrough"))
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm",
		               "it is cached in mode %.*s: what the cache has not written back cannot be read in this version",
		               mode.len == 0 || mode.len > 32 ? 7 : (int)mode.len,
		               mode.len == 0 || mode.len > 32 ? "unknown" : mode.p);
	struct blk *b;
	int r = lvm_lv_blk_named(vg, text_of(vg, s, "origin"), depth, &b, e);
	if (r < 0)
		return r;
	return blk_slice_open(b, 0, s->size, ret, e);
}
