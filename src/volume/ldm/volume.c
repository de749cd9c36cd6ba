/* From records to bytes. A volume has components, each a whole copy of it; a component is one column of extents behind
 * each other, or several, striped, with or without parity. */
#include "volume/ldm/ldm.h"

#include "base/bytes.h"
#include "base/search.h"
#include "blk/map.h"
#include "volume/raid/raid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAMED_MAX = 3 };      /* missing disks that are named */

struct column {
	const struct ldm_extent *extents;
	unsigned count;
	uint64_t size;
	bool stale;
	struct blk *blk;         /* owned; NULL: cannot be had */
};

const char *ldm_volume_title(const struct ldm_volume *v)
{
	return v->hint[0] ? v->hint : v->name;
}

/* --- Looking up --------------------------------------------------------------------------------------------------- */

static uint64_t number_at(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The place of the first thing whose number at `field` is not below key, in a list sorted by that. */
static unsigned first_at(const void *list, unsigned count, size_t each, size_t field, uint64_t key)
{
	return PARTITION_POINT(i, count, number_at((const char *)list + i * each + field) < key);
}

const struct ldm_component *ldm_components_of(const struct ldm_db *db, uint64_t volume, unsigned *ret_count)
{
	const struct ldm_component *list = db->components;
	unsigned n = 0, at = first_at(list, db->component_count, sizeof(*list), offsetof(struct ldm_component, volume), volume);
	while (at + n < db->component_count && list[at + n].volume == volume)
		n++;
	*ret_count = n;
	return n > 0 ? &list[at] : NULL;
}

const struct ldm_extent *ldm_extents_of(const struct ldm_db *db, uint64_t component, unsigned *ret_count)
{
	const struct ldm_extent *list = db->extents;
	unsigned n = 0, at = first_at(list, db->extent_count, sizeof(*list), offsetof(struct ldm_extent, component), component);
	while (at + n < db->extent_count && list[at + n].component == component)
		n++;
	*ret_count = n;
	return n > 0 ? &list[at] : NULL;
}

const struct ldm_disk_record *ldm_disk_of(const struct ldm_db *db, uint64_t id)
{
	const struct ldm_disk_record *list = db->disks;
	unsigned at = first_at(list, db->disk_count, sizeof(*list), offsetof(struct ldm_disk_record, id), id);
	return at < db->disk_count && list[at].id == id ? &list[at] : NULL;
}

/* --- What cannot be trusted, what is missing ---------------------------------------------------------------------- */

/* A disk that was away while the others went on. */
static bool disk_stale(const struct ldm_group *g, const struct ldm_disk_record *d)
{
	return d->detached || (d->present && d->present->has_vmdb && d->present->vmdb.committed < g->committed);
}

static bool extents_stale(const struct ldm_group *g, const struct ldm_extent *x, unsigned count)
{
	bool stale = false;
	for (unsigned i = 0; !stale && i < count; i++) {
		const struct ldm_disk_record *d = ldm_disk_of(&g->db, x[i].disk);
		stale = x[i].stale || (d && disk_stale(g, d));
	}
	return stale;
}

static bool component_stale(const struct ldm_group *g, const struct ldm_component *c)
{
	unsigned count;
	const struct ldm_extent *x = ldm_extents_of(&g->db, c->id, &count);
	return c->stale || extents_stale(g, x, count);
}

struct missing {
	uint64_t ids[NAMED_MAX];
	unsigned count;          /* of ids */
	bool more;
	char text[NAMED_MAX * (LDM_NAME_MAX + LDM_GUID_MAX + 5)];
};

static void missing_add(struct missing *m, const struct ldm_disk_record *d)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->ids[i] == d->id)
			return;
	}
	if (m->count == NAMED_MAX) {
		m->more = true;
		return;
	}
	size_t used = strlen(m->text);
	(void)snprintf(m->text + used, sizeof(m->text) - used, "%s%s (%s)", m->count > 0 ? ", " : "", d->name,
	               d->uuid);
	m->ids[m->count++] = d->id;
}

/* The disks that a volume needs and that are not there. */
static void missing_of(const struct ldm_group *g, const struct ldm_volume *v, struct missing *m)
{
	*m = (struct missing){0};
	unsigned components, extents;
	const struct ldm_component *c = ldm_components_of(&g->db, v->id, &components);
	for (unsigned i = 0; i < components; i++) {
		const struct ldm_extent *x = ldm_extents_of(&g->db, c[i].id, &extents);
		for (unsigned k = 0; k < extents; k++) {
			const struct ldm_disk_record *d = ldm_disk_of(&g->db, x[k].disk);
			if (d && !d->present)
				missing_add(m, d);
		}
	}
}

/* --- Extents and columns ------------------------------------------------------------------------------------------ */

static int extent_open(const struct ldm_group *g, const struct ldm_extent *x, struct blk **ret, struct err *e)
{
	const struct ldm_disk_record *record = ldm_disk_of(&g->db, x->disk);
	if (!record)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "partition %s lies on a disk that the database does not have", x->name);
	const struct ldm_disk *d = record->present;
	if (!d)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "ldm", "disk %s is missing", record->name);
	if (!range_inside(x->start, x->size, d->data.len))
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "partition %s lies outside the public region of disk %s", x->name,
		               record->name);
	if (!range_inside(d->data.off + x->start, x->size, d->blk->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "partition %s lies beyond the end of disk %s", x->name, record->name);
	return blk_slice_open(d->blk, d->data.off + x->start, x->size, ret, e);
}

static int column_open(const struct ldm_group *g, struct column *c, struct err *e)
{
	if (c->count == 1)
		return extent_open(g, c->extents, &c->blk, e);
	CLEANUP(free_ptr) struct blk_map_part *parts = calloc(c->count, sizeof(*parts));
	if (!parts)
		return err_no_memory(e, "ldm");
	int r = 0;
	unsigned n = 0;
	for (; r == 0 && n < c->count; n++) {
		parts[n].len = c->extents[n].size;
		r = extent_open(g, &c->extents[n], &parts[n].blk, e);
	}
	if (r == 0)
		r = blk_map_open(parts, n, &c->blk, e);
	for (unsigned i = 0; i < n; i++)
		blk_unref(parts[i].blk);
	return r;
}

/* Sorts a component's extents into its columns: numbered from 0, without gaps. Returns how many. */
static int split_columns(const struct ldm_group *g, const struct ldm_component *c, struct column columns[LDM_COLUMNS_MAX],
                         struct err *e)
{
	unsigned total, n = 0;
	const struct ldm_extent *x = ldm_extents_of(&g->db, c->id, &total);
	unsigned wanted = c->layout == LDM_CONCAT ? 1 : c->columns;
	bool good = total > 0 && total == c->extents && wanted <= LDM_COLUMNS_MAX;
	for (unsigned i = 0; good && i < total; i++) {
		if (i == 0 || x[i].column != x[i - 1].column) {
			good = n < wanted && x[i].column == n;
			if (!good)
				break;
			columns[n++] = (struct column){.extents = &x[i]};
		}
		struct column *now = &columns[n - 1];
		good = x[i].offset == now->size && u64_add(now->size, x[i].size, &now->size) && now->size <= INT64_MAX;
		now->count++;
	}
	if (!good || n != wanted)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the database does not have all partitions of the volume, or they overlap");
	for (unsigned i = 0; i < n; i++)
		columns[i].stale = extents_stale(g, columns[i].extents, columns[i].count);
	return (int)n;
}

static bool fits(uint64_t size, uint64_t each, unsigned n)
{
	return size / n < each || (size / n == each && size % n == 0);
}

static uint64_t smallest(const struct column *columns, unsigned n)
{
	uint64_t size = UINT64_MAX;
	for (unsigned i = 0; i < n; i++)
		size = min_u64(size, columns[i].size);
	return size;
}

/* What is done without. Missing disks are named where the volume is complete. */
static void warn_of_loss(const struct ldm_group *g, const struct ldm_volume *v, struct err *e)
{
	if (e->code != ERR_VOLUME_INCOMPLETE)
		volume_set_warn(g->set, "dynamic volume %s is degraded: %.300s", ldm_volume_title(v), e->msg);
	err_clear(e);
}

/* --- Components --------------------------------------------------------------------------------------------------- */

/* A stale column is as good as none while the others are enough. */
static int raid5_open(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                      struct column *columns, unsigned n, struct blk **ret, struct err *e)
{
	struct blk *members[LDM_COLUMNS_MAX];
	struct raid_geometry geometry = {.level = 5, .layout = RAID_LEFT_SYMMETRIC, .chunk = (uint32_t)c->chunk};
	geometry.member_size = smallest(columns, n) / c->chunk * c->chunk;
	if (n < 3 || !fits(v->size, geometry.member_size, n - 1))
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "the volume is larger than its partitions");
	unsigned missing = 0, stale = 0, first_stale = 0;
	for (unsigned i = n; i-- > 0;) {
		members[i] = columns[i].blk;
		missing += !columns[i].blk;
		if (columns[i].blk && columns[i].stale) {
			stale++;
			first_stale = i;
		}
	}
	if (stale > 0)
		volume_set_warn(g->set, "dynamic volume %s: partition %s missed writes%s", ldm_volume_title(v),
		                columns[first_stale].extents->name,
		                missing + stale == 1 ? ": it is left out" : ", but is needed: what is read of it may be old");
	if (missing + stale == 1 && stale == 1)
		members[first_stale] = NULL;
	int r = raid_parity_open(members, n, &geometry, v->size, ret, e);
	if (r == 0 && missing + stale > 0 && v->crashed)
		volume_set_warn(g->set,
		                "dynamic volume %s was not shut down cleanly: what is computed from its parity may be wrong",
		                ldm_volume_title(v));
	return r;
}

static int striped_open(const struct ldm_volume *v, const struct ldm_component *c, const struct column *columns,
                        unsigned n, struct blk **ret, struct err *e)
{
	struct blk *members[LDM_COLUMNS_MAX];
	if (!fits(v->size, smallest(columns, n) / c->chunk * c->chunk, n))
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "the volume is larger than its partitions");
	for (unsigned i = 0; i < n; i++)
		members[i] = columns[i].blk;
	return raid_stripe_open(members, n, (uint32_t)c->chunk, v->size, ret, e);
}

/* The columns that can be had are open; fails where one is needed that cannot. */
static int open_columns(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                        struct column *columns, unsigned n, struct err *e)
{
	bool gap = false;
	for (unsigned i = 0; i < n; i++) {
		int r = column_open(g, &columns[i], e);
		if (r == 0)
			continue;
		if (!raid_may_retry(e) || c->layout != LDM_RAID5 || gap)
			return r;
		gap = true;
		warn_of_loss(g, v, e);
	}
	return 0;
}

static int arrange(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                   struct column *columns, unsigned n, struct blk **ret, struct err *e)
{
	if (c->layout == LDM_CONCAT) {
		if (v->size > columns[0].size)
			return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "the volume is larger than its partitions");
		return blk_slice_open(columns[0].blk, 0, v->size, ret, e);
	}
	if (c->chunk > RAID_CHUNK_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "stripes of %" PRIu64 " bytes are not possible", c->chunk);
	int r = raid_check_chunk((uint32_t)c->chunk, e);
	if (r < 0)
		return r;
	if (c->layout == LDM_STRIPE)
		return striped_open(v, c, columns, n, ret, e);
	return raid5_open(g, v, c, columns, n, ret, e);
}

static int component_open(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                          struct blk **ret, struct err *e)
{
	if (c->layout < LDM_STRIPE || c->layout > LDM_RAID5)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "ldm",
		               "a layout of kind %u: no reader for it in this version", c->layout);
	struct column columns[LDM_COLUMNS_MAX] = {0};
	int n = split_columns(g, c, columns, e);
	if (n < 0)
		return n;
	int r = open_columns(g, v, c, columns, (unsigned)n, e);
	if (r == 0)
		r = arrange(g, v, c, columns, (unsigned)n, ret, e);
	for (int i = 0; i < n; i++)
		blk_unref(columns[i].blk);
	return r;
}

/* --- Volumes ------------------------------------------------------------------------------------------------------ */

/* Opens the copies that are (or are not) stale, behind those that are there. */
static int open_copies(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                       unsigned count, bool stale, struct blk **members, unsigned *ret_n, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		if (component_stale(g, &c[i]) != stale)
			continue;
		int r = component_open(g, v, &c[i], &members[*ret_n], e);
		if (r < 0 && !raid_may_retry(e))
			return r;
		if (r == 0)
			++*ret_n;
		else
			warn_of_loss(g, v, e);
	}
	return 0;
}

static int mirror_open(const struct ldm_group *g, const struct ldm_volume *v, const struct ldm_component *c,
                       unsigned count, struct blk **ret, struct err *e)
{
	struct blk *members[LDM_COMPONENTS_MAX] = {0};
	unsigned n = 0, stale = 0;
	for (unsigned i = 0; i < count; i++)
		stale += component_stale(g, &c[i]);
	int r = open_copies(g, v, c, count, false, members, &n, e);
	bool good = n > 0;
	if (r == 0 && !good)
		r = open_copies(g, v, c, count, true, members, &n, e);
	else if (r == 0 && stale > 0)
		volume_set_warn(g->set,
		                "dynamic volume %s: a copy that missed writes is left out", ldm_volume_title(v));
	if (r == 0 && n == 0)
		r = err_set(e, ERR_VOLUME_INCOMPLETE, "ldm", "no copy of the mirrored volume can be read");
	else if (r == 0)
		r = raid_mirror_open(members, n, v->size, ret, e);
	if (r == 0 && !good)
		volume_set_warn(g->set,
		                "dynamic volume %s: only copies that missed writes are there: what is read may be old",
		                ldm_volume_title(v));
	for (unsigned i = 0; i < n; i++)
		blk_unref(members[i]);
	return r;
}

static int open_any(const struct ldm_group *g, const struct ldm_volume *v, struct blk **ret, struct err *e)
{
	unsigned count;
	const struct ldm_component *c = ldm_components_of(&g->db, v->id, &count);
	if (count == 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "the database does not say where the volume lies");
	if (count > LDM_COMPONENTS_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "ldm",
		               "a volume of %u copies: 1 to %d can be read", count, LDM_COMPONENTS_MAX);
	if (v->size == 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm", "a volume without size");
	if (count < v->components)
		volume_set_warn(g->set,
		                "dynamic volume %s: %u of %u copies are in the database", ldm_volume_title(v), count,
		                v->components);
	return count == 1 ? component_open(g, v, c, ret, e) : mirror_open(g, v, c, count, ret, e);
}

int ldm_volume_open(const struct ldm_group *g, const struct ldm_volume *v, struct blk **ret, struct err *e)
{
	struct missing m;
	missing_of(g, v, &m);
	const char *more = m.more ? " and others" : "";
	int r = open_any(g, v, ret, e);
	if (r == 0 && m.count > 0)
		volume_set_warn(g->set,
		                "dynamic volume %s is degraded: missing of disk group %s: %s%s", ldm_volume_title(v), g->name,
		                m.text, more);
	if (r < 0 && e->code == ERR_VOLUME_INCOMPLETE && m.count > 0) {
		err_clear(e);
		r = err_set(e, ERR_VOLUME_INCOMPLETE, "ldm", "missing of disk group %s: %s%s", g->name, m.text, more);
	}
	return r;
}
