/* From members to disks to groups to children. */
#include "volume/ldm/ldm.h"

#include "base/bytes.h"
#include "volume/raid/raid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char metadata_type[] = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3";

struct gather {
	struct volume_set *set;
	const struct volume_member *members;
	unsigned member_count;
	struct ldm_disk *disks;
	unsigned disk_count;
};

__attribute__((format(printf, 3, 4)))
static void explain(const struct gather *g, const struct ldm_disk *d, const char *fmt, ...)
{
	char text[VOLUME_REASON_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (unsigned i = 0; i < g->member_count; i++) {
		if (g->members[i].disk == d->blk)
			volume_set_explain(g->set, g->members[i].number, "%s", text);
	}
}

/* --- Disks -------------------------------------------------------------------------------------------------------- */

/* The disk of a member, or the next free one. */
static struct ldm_disk *disk_of_member(struct gather *g, const struct volume_member *m)
{
	for (unsigned i = 0; i < g->disk_count; i++) {
		if (g->disks[i].blk == m->disk)
			return &g->disks[i];
	}
	struct ldm_disk *d = &g->disks[g->disk_count++];
	d->blk = m->disk;
	d->member = m;
	return d;
}

/* Reads a disk. 0: it cannot be used, and its members say why. */
static int read_disk(struct gather *g, struct ldm_disk *d, struct err *e)
{
	int r = ldm_header_read(d, e);
	bool known = r == 0;
	if (r == 0)
		r = ldm_vmdb_read(d, e);
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (d->copies_bad > 0)
		volume_set_warn(g->set,
		                "dynamic disk of volume %u: %u of %u copies of its header and its table of contents are damaged "
		                "or missing", d->member->number, d->copies_bad, d->copies);
	if (r == 0)
		return 1;
	explain(g, d, "%.*s", VOLUME_REASON_MAX - 1, e->msg);
	if (known)
		volume_set_warn(g->set, "dynamic disk of volume %u: %.300s", d->member->number, e->msg);
	err_clear(e);
	/* Its data is there: another disk of the group may say what it is. */
	return known;
}

/* Whether it is the same disk as one before it. */
static bool is_copy(const struct gather *g, const struct ldm_disk *d, unsigned before)
{
	for (unsigned i = 0; i < before; i++) {
		const struct ldm_disk *other = &g->disks[i];
		if (strcmp(other->uuid, d->uuid) != 0 || strcmp(other->group, d->group) != 0)
			continue;
		volume_set_warn(g->set, "volumes %u and %u are on the same dynamic disk %s: the first one is used",
		                other->member->number, d->member->number, d->uuid);
		explain(g, d, "on a copy of the dynamic disk %s that volume %u is on", d->uuid, other->member->number);
		return true;
	}
	return false;
}

static int read_disks(struct gather *g, struct err *e)
{
	for (unsigned i = 0; i < g->member_count; i++) {
		struct ldm_disk *d = disk_of_member(g, &g->members[i]);
		if (strcmp(g->members[i].volume->part_type, metadata_type) == 0 && !d->metadata)
			d->metadata = &g->members[i];
	}
	unsigned kept = 0;
	for (unsigned i = 0; i < g->disk_count; i++) {
		int r = read_disk(g, &g->disks[i], e);
		if (r < 0)
			return r;
		if (r > 0 && !is_copy(g, &g->disks[i], kept))
			g->disks[kept++] = g->disks[i];
	}
	g->disk_count = kept;
	return 0;
}

/* --- The database of a group -------------------------------------------------------------------------------------- */

static bool newer(const struct ldm_vmdb *a, const struct ldm_vmdb *b)
{
	if ((a->status == LDM_STALE) != (b->status == LDM_STALE))
		return b->status == LDM_STALE;
	return a->committed > b->committed;
}

/* The newest copy of the database that is not in `tried`; disk_count: none. */
static unsigned newest(const struct gather *g, const char *group, const bool *tried)
{
	unsigned best = g->disk_count;
	for (unsigned i = 0; i < g->disk_count; i++) {
		const struct ldm_disk *d = &g->disks[i];
		if (tried[i] || !d->has_vmdb || strcmp(d->group, group) != 0)
			continue;
		if (best == g->disk_count || newer(&d->vmdb, &g->disks[best].vmdb))
			best = i;
	}
	return best;
}

static void warn_about_ages(const struct gather *g, const struct ldm_group *group, const struct ldm_disk *best)
{
	for (unsigned i = 0; i < g->disk_count; i++) {
		const struct ldm_disk *d = &g->disks[i];
		if (!d->has_vmdb || strcmp(d->group, best->group) != 0 || d->vmdb.committed == best->vmdb.committed)
			continue;
		volume_set_warn(group->set,
		                "disk group %s: its disks have databases of different age (transactions %" PRIu64
		                " and %" PRIu64 "): that of volume %u is used", group->name, best->vmdb.committed,
		                d->vmdb.committed, best->member->number);
		return;
	}
}

static void warn_about_database(const struct ldm_group *group, const struct ldm_disk *best)
{
	const struct ldm_db *db = &group->db;
	if (db->damaged > 0)
		volume_set_warn(group->set,
		                "disk group %s: records of the database are damaged or missing; volumes may be missing too",
		                group->name);
	if (db->unknown > 0)
		volume_set_warn(group->set,
		                "disk group %s: the database has records of a kind that is not known", group->name);
	if (best->vmdb.status == LDM_STALE)
		volume_set_warn(group->set,
		                "disk group %s: the only copy of the database calls itself out of date", group->name);
	if (best->vmdb.status == LDM_CHANGE || best->vmdb.status == LDM_COMMIT || best->vmdb.status == LDM_ABORT)
		volume_set_warn(group->set,
		                "disk group %s: its database was being changed: volumes are shown as %s the change",
		                group->name, best->vmdb.status == LDM_COMMIT ? "after" : "before");
}

/* Loads the newest database; where that is damaged, another copy of the same age that is not. 0: there is none. */
static int load_database(const struct gather *g, const char *uuid, struct ldm_group *group, const struct ldm_disk **ret,
                         struct err *e)
{
	CLEANUP(free_ptr) bool *tried = calloc(g->disk_count, sizeof(*tried));
	if (!tried)
		return err_no_memory(e, "ldm");
	const struct ldm_disk *best = NULL;
	unsigned i;
	while ((i = newest(g, uuid, tried)) < g->disk_count) {
		const struct ldm_disk *d = &g->disks[i];
		tried[i] = true;
		if (best && (group->db.damaged == 0 || newer(&best->vmdb, &d->vmdb)))
			break;
		struct ldm_db db = {0};
		int r = ldm_db_load(d, &db, e);
		if (r < 0 && !raid_may_retry(e))
			return r;
		if (r < 0) {
			volume_set_warn(g->set, "dynamic disk of volume %u: %.300s", d->member->number, e->msg);
			explain(g, d, "%.*s", VOLUME_REASON_MAX - 1, e->msg);
			err_clear(e);
			continue;
		}
		if (best && db.damaged >= group->db.damaged) {
			ldm_db_free(&db);
			continue;
		}
		ldm_db_free(&group->db);
		group->db = db;
		best = d;
	}
	*ret = best;
	return best ? 1 : 0;
}

/* Finds the group's disks among those present. */
static void match_disks(const struct gather *g, const char *uuid, struct ldm_group *group)
{
	for (unsigned i = 0; i < g->disk_count; i++) {
		const struct ldm_disk *d = &g->disks[i];
		if (strcmp(d->group, uuid) != 0)
			continue;
		const char *name = NULL;
		for (unsigned k = 0; k < group->db.disk_count; k++) {
			struct ldm_disk_record *record = &group->db.disks[k];
			if (strcmp(record->uuid, d->uuid) != 0)
				continue;
			record->present = d;
			name = record->name;
		}
		if (name)
			explain(g, d, "on dynamic disk %s of disk group %s: its volumes are listed", name, group->name);
		else
			explain(g, d, "on a dynamic disk that is no longer in disk group %s", group->name);
	}
}

/* --- Children ----------------------------------------------------------------------------------------------------- */

/* The member that an extent begins in; the first one of its disk where none holds it. */
static unsigned member_of(const struct gather *g, const struct ldm_disk *d, const struct ldm_extent *x)
{
	uint64_t at = d->data.off + x->start;
	for (unsigned i = 0; i < g->member_count; i++) {
		const struct volume_member *m = &g->members[i];
		if (m->disk == d->blk && m != d->metadata && at >= m->volume->offset &&
		    at - m->volume->offset < m->volume->size)
			return m->number;
	}
	return d->member->number;
}

/* Where a volume begins, as far as its disks are there. */
static unsigned parent_of(const struct gather *g, const struct ldm_db *db, const struct ldm_volume *v, unsigned otherwise)
{
	unsigned components, extents;
	const struct ldm_component *c = ldm_components_of(db, v->id, &components);
	for (unsigned i = 0; i < components; i++) {
		const struct ldm_extent *x = ldm_extents_of(db, c[i].id, &extents);
		for (unsigned k = 0; k < extents; k++) {
			const struct ldm_disk_record *d = ldm_disk_of(db, x[k].disk);
			if (d && d->present)
				return member_of(g, d->present, &x[k]);
		}
	}
	return otherwise;
}

static int add_volume(const struct gather *g, const struct ldm_group *group, const char *uuid, const struct ldm_volume *v,
                      unsigned otherwise, struct err *e)
{
	struct volume_child child = {.kind = VOLUME_LDM, .size = v->size};
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	child.parent = parent_of(g, &group->db, v, otherwise);
	(void)snprintf(child.identity, sizeof(child.identity), "%s/%s/%" PRIu64, uuid, v->uuid, v->uuid[0] ? 0 : v->id);
	(void)snprintf(child.name, sizeof(child.name), "%s", ldm_volume_title(v));
	memcpy(child.uuid, v->uuid, sizeof(child.uuid));
	int r = ldm_volume_open(group, v, &b, e);
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (r < 0) {
		(void)snprintf(child.reason, sizeof(child.reason), "%.*s", VOLUME_REASON_MAX - 1, e->msg);
		child.incomplete = e->code == ERR_VOLUME_INCOMPLETE;
		err_clear(e);
	}
	child.blk = b;
	r = volume_set_add_child(g->set, &volume_ldm_layer, &child, e);
	return r < 0 ? r : 0;
}

static void group_free(struct ldm_group *group)
{
	ldm_db_free(&group->db);
}

/* The group of disks[first], which is its first disk. */
static int assemble_group(const struct gather *g, unsigned first, struct err *e)
{
	CLEANUP(group_free) struct ldm_group group = {.set = g->set};
	const struct ldm_disk *d = &g->disks[first], *best = NULL;
	int r = load_database(g, d->group, &group, &best, e);
	if (r <= 0)
		return r;
	group.committed = best->vmdb.committed;
	memcpy(group.name, best->group_name, sizeof(group.name));
	warn_about_ages(g, &group, best);
	warn_about_database(&group, best);
	match_disks(g, d->group, &group);
	for (unsigned i = 0; r >= 0 && i < group.db.volume_count; i++)
		r = add_volume(g, &group, d->group, &group.db.volumes[i], d->member->number, e);
	return r < 0 ? r : 0;
}

static int assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	CLEANUP(free_ptr) struct ldm_disk *disks = calloc(count, sizeof(*disks));
	if (!disks)
		return err_no_memory(e, "ldm");
	struct gather g = {.set = s, .members = members, .member_count = count, .disks = disks};
	int r = read_disks(&g, e);
	for (unsigned i = 0; r == 0 && i < g.disk_count; i++) {
		bool done = false;
		for (unsigned k = 0; !done && k < i; k++)
			done = strcmp(g.disks[k].group, g.disks[i].group) == 0;
		if (!done)
			r = assemble_group(&g, i, e);
	}
	return r;
}

const struct volume_layer volume_ldm_layer = {
	.name = "ldm",
	.types = {"LDM"},
	.assemble = assemble,
};
