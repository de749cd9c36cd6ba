/* The metadata of a volume group as tables of PVs and LVs. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int corrupt(struct err *e, const struct lvm_vg *vg, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata of volume group %s: %s", vg->name, what);
}

/* Names of LVM are a narrow set of characters; what is not is no name. */
static bool name_good(struct lvm_str s)
{
	if (s.len == 0 || s.len >= LVM_NAME_MAX)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '/')
			return false;
	}
	return true;
}

static bool copy_uuid(char to[LVM_UUID_LEN + 1], struct lvm_str s)
{
	if (s.len != LVM_UUID_LEN)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	}
	memcpy(to, s.p, LVM_UUID_LEN);
	to[LVM_UUID_LEN] = '\0';
	return true;
}

int lvm_vg_parse(char *text, size_t len, struct lvm_vg *ret, struct err *e)
{
	struct lvm_vg vg = {.text = text};
	int r = lvm_text_parse(text, len, &vg.tree, e);
	if (r < 0) {
		free(text);
		return r;
	}
	/* The only section beside "contents", "version", … is the VG. */
	for (uint32_t i = vg.tree.nodes[0].first; i && !vg.node; i = vg.tree.nodes[i].next) {
		if (vg.tree.nodes[i].kind == LVM_SECTION)
			vg.node = i;
	}
	struct lvm_str name = vg.tree.nodes[vg.node].name;
	if (!vg.node || !name_good(name) || !copy_uuid(vg.uuid, lvm_string(&vg.tree, vg.node, "id"))) {
		lvm_vg_free(&vg);
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata names no volume group");
	}
	memcpy(vg.name, name.p, name.len);
	vg.seqno = lvm_number(&vg.tree, vg.node, "seqno", 0);
	*ret = vg;
	return 0;
}

void lvm_vg_free(struct lvm_vg *vg)
{
	for (unsigned i = 0; i < vg->lv_count; i++)
		blk_unref(vg->lvs[i].blk);
	free(vg->pvs);
	free(vg->lvs);
	free(vg->by_name);
	lvm_tree_free(&vg->tree);
	free(vg->text);
	*vg = (struct lvm_vg){0};
}

/* --- Tables ------------------------------------------------------------------------------------------------------- */

static unsigned count_sections(const struct lvm_tree *t, uint32_t parent)
{
	unsigned n = 0;
	for (uint32_t i = parent ? t->nodes[parent].first : 0; i; i = t->nodes[i].next)
		n += t->nodes[i].kind == LVM_SECTION;
	return n;
}

static int pv_order(const void *a, const void *b)
{
	return lvm_str_compare(((const struct lvm_vg_pv *)a)->name, ((const struct lvm_vg_pv *)b)->name);
}

static int load_pv(struct lvm_vg *vg, uint32_t node, struct lvm_vg_pv *ret, struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	struct lvm_vg_pv pv = {.name = t->nodes[node].name};
	int64_t start = lvm_number(t, node, "pe_start", -1), extents = lvm_number(t, node, "pe_count", -1);
	if (!copy_uuid(pv.uuid, lvm_string(t, node, "id")) || start < 0 || start > INT64_MAX / LVM_SECTOR || extents < 0)
		return corrupt(e, vg, "a physical volume without identifier or place");
	pv.start = (uint64_t)start * LVM_SECTOR;
	pv.extents = (uint64_t)extents;
	struct lvm_str device = lvm_string(t, node, "device");
	for (uint32_t i = 0; i < device.len && i < sizeof(pv.device) / 4; i++)
		pv.device[i] = device.p[i] < ' ' || device.p[i] >= 0x7f ? '?' : device.p[i];
	*ret = pv;
	return 0;
}

static int load_pvs(struct lvm_vg *vg, struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	uint32_t section = lvm_find(t, vg->node, "physical_volumes", LVM_SECTION);
	unsigned count = count_sections(t, section);
	if (count == 0 || count > LVM_PVS_MAX)
		return corrupt(e, vg, "it has no physical volumes, or too many");
	vg->pvs = calloc(count, sizeof(*vg->pvs));
	if (!vg->pvs)
		return err_no_memory(e, "lvm");
	for (uint32_t i = t->nodes[section].first; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind != LVM_SECTION)
			continue;
		int r = load_pv(vg, i, &vg->pvs[vg->pv_count], e);
		if (r < 0)
			return r;
		vg->pv_count++;
	}
	qsort(vg->pvs, vg->pv_count, sizeof(*vg->pvs), pv_order);
	return 0;
}

static int lv_order(const void *a, const void *b)
{
	return lvm_str_compare((*(struct lvm_lv *const *)a)->name, (*(struct lvm_lv *const *)b)->name);
}

/* The number of extents is that of the segments. */
static int load_lv(struct lvm_vg *vg, uint32_t node, struct lvm_lv *ret, struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	struct lvm_lv lv = {.name = t->nodes[node].name, .node = node};
	if (!name_good(lv.name) || !copy_uuid(lv.uuid, lvm_string(t, node, "id")))
		return corrupt(e, vg, "a logical volume without name or identifier");
	lv.visible = lvm_array_has(t, node, "status", "VISIBLE");
	for (uint32_t i = t->nodes[node].first; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind != LVM_SECTION || t->nodes[i].name.len < 7 ||
		    memcmp(t->nodes[i].name.p, "segment", 7) != 0)
			continue;
		int64_t n = lvm_number(t, i, "extent_count", 0);
		if (n <= 0 || !u64_add(lv.extents, (uint64_t)n, &lv.extents) ||
		    lv.extents > INT64_MAX / vg->extent_size)
			return corrupt(e, vg, "a logical volume of impossible size");
	}
	*ret = lv;
	return 0;
}

static int load_lvs(struct lvm_vg *vg, struct err *e)
{
	const struct lvm_tree *t = &vg->tree;
	uint32_t section = lvm_find(t, vg->node, "logical_volumes", LVM_SECTION);
	unsigned count = count_sections(t, section);
	if (count > LVM_LVS_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "volume group %s has more than %d logical volumes", vg->name,
		               LVM_LVS_MAX);
	vg->lvs = calloc(count + 1, sizeof(*vg->lvs));
	vg->by_name = calloc(count + 1, sizeof(struct lvm_lv *));
	if (!vg->lvs || !vg->by_name)
		return err_no_memory(e, "lvm");
	for (uint32_t i = section ? t->nodes[section].first : 0; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind != LVM_SECTION)
			continue;
		int r = load_lv(vg, i, &vg->lvs[vg->lv_count], e);
		if (r < 0)
			return r;
		vg->by_name[vg->lv_count] = &vg->lvs[vg->lv_count];
		vg->lv_count++;
	}
	qsort(vg->by_name, vg->lv_count, sizeof(struct lvm_lv *), lv_order);
	return 0;
}

/* A snapshot is an LV of its own that names its origin and the LV that stores what differs. People know it by the store's name, but
 * in the metadata it is the snapshot that is visible. */
static void link_snapshots(struct lvm_vg *vg)
{
	for (unsigned i = 0; i < vg->lv_count; i++) {
		struct lvm_lv *lv = &vg->lvs[i];
		uint32_t segment = lvm_find(&vg->tree, lv->node, "segment1", LVM_SECTION);
		if (!segment || !lvm_str_is(lvm_string(&vg->tree, segment, "type"), "snapshot"))
			continue;
		struct lvm_lv *cow = lvm_vg_lv(vg, lvm_string(&vg->tree, segment, "cow_store"));
		struct lvm_lv *origin = lvm_vg_lv(vg, lvm_string(&vg->tree, segment, "origin"));
		if (cow) {
			cow->snapshot = lv;
			cow->visible |= lv->visible;
		} else if (origin) {
			origin->merging = lv;
		}
		lv->visible = false;
	}
}

int lvm_vg_load(struct lvm_vg *vg, struct err *e)
{
	int64_t extent = lvm_number(&vg->tree, vg->node, "extent_size", 0);
	if (extent <= 0 || extent > INT64_MAX / LVM_SECTOR)
		return corrupt(e, vg, "it has no extent size");
	vg->extent_size = (uint64_t)extent * LVM_SECTOR;
	int r = load_pvs(vg, e);
	if (r == 0)
		r = load_lvs(vg, e);
	if (r == 0)
		link_snapshots(vg);
	return r;
}

struct lvm_vg_pv *lvm_vg_pv(const struct lvm_vg *vg, struct lvm_str name)
{
	struct lvm_vg_pv key = {.name = name};
	return bsearch(&key, vg->pvs, vg->pv_count, sizeof(*vg->pvs), pv_order);
}

struct lvm_lv *lvm_vg_lv(const struct lvm_vg *vg, struct lvm_str name)
{
	struct lvm_lv key = {.name = name};
	const struct lvm_lv *p = &key;
	struct lvm_lv **found = bsearch(&p, vg->by_name, vg->lv_count, sizeof(struct lvm_lv *), lv_order);
	return found ? *found : NULL;
}
