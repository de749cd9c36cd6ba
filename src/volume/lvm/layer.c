/* From members to volume groups to children. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct gather {
	struct volume_set *set;
	struct lvm_pv *pvs;
	unsigned pv_count;
	struct lvm_vg *vgs;
	unsigned vg_count;
	size_t text_total;
};

static bool fatal(const struct err *e)
{
	return e->code == ERR_NO_MEMORY || e->code == ERR_CANCELLED || e->code == ERR_TIMEOUT;
}

static void gather_free(struct gather *g)
{
	for (unsigned i = 0; i < g->vg_count; i++)
		lvm_vg_free(&g->vgs[i]);
	free(g->vgs);
	free(g->pvs);
}

/* --- Gathering ---------------------------------------------------------------------------------------------------- */

static int add_pv(struct gather *g, const struct volume_member *m, struct err *e)
{
	struct lvm_pv *pv = &g->pvs[g->pv_count];
	int r = lvm_pv_read(m, pv, e);
	if (r < 0 && fatal(e))
		return r;
	if (r < 0) {
		volume_set_explain(g->set, m->number, "%.*s", VOLUME_TEXT_MAX - 1, e->msg);
		err_clear(e);
		return 0;
	}
	for (unsigned i = 0; i < g->pv_count; i++) {
		if (strcmp(g->pvs[i].uuid, pv->uuid) != 0)
			continue;
		volume_set_warn(g->set, "volumes %u and %u are the same physical volume %s: the first one is used",
		                g->pvs[i].member->number, m->number, pv->uuid);
		volume_set_explain(g->set, m->number, "a copy of the physical volume %s that volume %u holds already", pv->uuid,
		                   g->pvs[i].member->number);
		return 0;
	}
	g->pv_count++;
	return 0;
}

/* Keeps the newest metadata of each VG. Takes over vg. */
static void keep_vg(struct gather *g, struct lvm_vg *vg)
{
	for (unsigned i = 0; i < g->vg_count; i++) {
		struct lvm_vg *known = &g->vgs[i];
		if (strcmp(known->uuid, vg->uuid) != 0)
			continue;
		if (known->seqno != vg->seqno)
			volume_set_warn(g->set, "volume group %s: physical volumes have metadata of different age (seqno %" PRId64
			                " and %" PRId64 "): the newer is used", vg->name, known->seqno, vg->seqno);
		if (vg->seqno > known->seqno) {
			struct lvm_vg older = *known;
			*known = *vg;
			*vg = older;
		}
		lvm_vg_free(vg);
		return;
	}
	if (g->vg_count < LVM_VGS_MAX)
		g->vgs[g->vg_count++] = *vg;
	else
		lvm_vg_free(vg);
}

static bool text_known(const struct gather *g, uint32_t crc, size_t len)
{
	for (unsigned i = 0; i < g->vg_count; i++) {
		if (g->vgs[i].crc == crc && g->vgs[i].text_len == len)
			return true;
	}
	return false;
}

static int add_area(struct gather *g, const struct lvm_pv *pv, const struct volume_range *area, struct err *e)
{
	char *text;
	size_t len;
	struct lvm_vg vg;
	int r = lvm_area_read(pv->member->blk, area, &text, &len, e);
	if (r <= 0)
		return r;
	uint32_t crc = lvm_crc(0, text, len);
	if (text_known(g, crc, len)) {
		free(text);
		return 0;
	}
	if (len > LVM_TEXT_TOTAL_MAX - g->text_total) {
		free(text);
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "the metadata of all volume groups is larger than %d bytes",
		               LVM_TEXT_TOTAL_MAX);
	}
	g->text_total += len;
	r = lvm_vg_parse(text, len, &vg, e);
	if (r < 0)
		return r;
	vg.set = g->set;
	vg.crc = crc;
	vg.text_len = len;
	keep_vg(g, &vg);
	return 0;
}

static int add_areas(struct gather *g, const struct lvm_pv *pv, struct err *e)
{
	for (unsigned i = 0; i < pv->area_count; i++) {
		int r = add_area(g, pv, &pv->areas[i], e);
		if (r < 0 && fatal(e))
			return r;
		if (r < 0) {
			volume_set_warn(g->set, "volume %u, metadata area %u: %.300s", pv->member->number, i, e->msg);
			volume_set_explain(g->set, pv->member->number, "%.*s", VOLUME_TEXT_MAX - 1, e->msg);
			err_clear(e);
		}
	}
	return 0;
}

/* --- Children ------------------------------------------------------------------------------------------------------ */

/* Finds the members of a VG among the PVs; the number of the first, or 0. */
static unsigned match_pvs(const struct gather *g, struct lvm_vg *vg)
{
	unsigned parent = 0;
	for (unsigned i = 0; i < vg->pv_count; i++) {
		for (unsigned k = 0; k < g->pv_count && !vg->pvs[i].member; k++) {
			if (strcmp(vg->pvs[i].uuid, g->pvs[k].uuid) == 0)
				vg->pvs[i].member = g->pvs[k].member;
		}
		if (!vg->pvs[i].member)
			continue;
		unsigned number = vg->pvs[i].member->number;
		if (parent == 0 || number < parent)
			parent = number;
		volume_set_explain(g->set, number, "a physical volume of volume group %s", vg->name);
	}
	return parent;
}

/* Pools have no bytes of their own: their volumes do. */
static bool is_pool(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	uint32_t node = lvm_find(&vg->tree, lv->node, "segment1", LVM_SECTION);
	struct lvm_segment s;
	struct err ignored = ERR_INIT;
	if (!node || lvm_segment_read(vg, lv, node, &s, &ignored) < 0)
		return false;
	return lvm_str_is(s.type, "thin-pool") || lvm_str_is(s.type, "cache-pool") || lvm_str_is(s.type, "vdo-pool");
}

static int add_lv(struct volume_set *set, struct lvm_vg *vg, struct lvm_lv *lv, unsigned parent, struct err *e)
{
	struct lvm_lv *shown = lv->snapshot ? lv->snapshot : lv;
	struct volume_child child = {.kind = VOLUME_LV, .parent = parent, .size = shown->extents * vg->extent_size};
	(void)snprintf(child.identity, sizeof(child.identity), "%s/%s", vg->uuid, lv->uuid);
	(void)snprintf(child.name, sizeof(child.name), "%s/%.*s", vg->name, (int)lv->name.len, lv->name.p);
	memcpy(child.uuid, lv->uuid, sizeof(lv->uuid));
	int r = lvm_lv_blk(vg, shown, 0, &child.blk, e);
	if (r < 0 && fatal(e))
		return r;
	if (r < 0) {
		(void)snprintf(child.reason, sizeof(child.reason), "%.*s", VOLUME_REASON_MAX - 1, e->msg);
		child.incomplete = e->code == ERR_VOLUME_INCOMPLETE;
		err_clear(e);
		child.blk = NULL;
	}
	r = volume_set_add_child(set, &volume_lvm_layer, &child, e);
	return r < 0 ? r : 0;
}

static int add_vg(struct gather *g, struct lvm_vg *vg, struct err *e)
{
	int r = lvm_vg_load(vg, e);
	if (r < 0 && fatal(e))
		return r;
	unsigned parent = match_pvs(g, vg);
	if (r < 0) {
		volume_set_warn(g->set, "%.300s", e->msg);
		if (parent > 0)
			volume_set_explain(g->set, parent, "%.*s", VOLUME_TEXT_MAX - 1, e->msg);
		err_clear(e);
		return 0;
	}
	for (unsigned i = 0; r == 0 && parent > 0 && i < vg->lv_count; i++) {
		if (vg->lvs[i].visible && !is_pool(vg, &vg->lvs[i]))
			r = add_lv(g->set, vg, &vg->lvs[i], parent, e);
	}
	return r;
}

static int assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	CLEANUP(gather_free) struct gather g = {.set = s};
	g.pvs = calloc(count, sizeof(*g.pvs));
	g.vgs = calloc(LVM_VGS_MAX, sizeof(*g.vgs));
	if (!g.pvs || !g.vgs)
		return err_no_memory(e, "lvm");
	int r = 0;
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = add_pv(&g, &members[i], e);
	for (unsigned i = 0; r == 0 && i < g.pv_count; i++) {
		volume_set_explain(s, g.pvs[i].member->number, "a physical volume in no volume group");
		r = add_areas(&g, &g.pvs[i], e);
	}
	for (unsigned i = 0; r == 0 && i < g.vg_count; i++)
		r = add_vg(&g, &g.vgs[i], e);
	return r;
}

const struct volume_layer volume_lvm_layer = {
	.name = "lvm",
	.types = {"LVM2_member"},
	.assemble = assemble,
};
