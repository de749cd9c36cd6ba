/* TOCBLOCK, VMDB and the slots of the database, VBLKs, from which records are put together. */
#include "volume/ldm/ldm.h"

#include "base/bytes.h"
#include "volume/raid/raid.h"

#include <inttypes.h>
#include <string.h>

enum {
	TOC_REGIONS = 0x24,
	TOC_REGION = 34,
	TOC_NOT_EXIST = 1 << 0,
	TOC_DISABLED = 1 << 3,
	TOC_PLACES = 7,
	VMDB_BYTES = 256,                /* what is read of it */
	VMDB_MAJOR = 4,
	SLOT_HEAD = 16,
};

struct toc {
	uint64_t sequence;
	uint64_t start, count;           /* of "config": sectors in the private region */
};

/* --- TOCBLOCK ----------------------------------------------------------------------------------------------------- */

static bool toc_decode(const uint8_t p[LDM_BLOCK], struct toc *t)
{
	if (memcmp(p, "TOCBLOCK", 8) != 0 || !ldm_sum_good(p))
		return false;
	t->sequence = get_be64(p + 0x0c);
	for (unsigned at = TOC_REGIONS; at + TOC_REGION <= LDM_BLOCK; at += TOC_REGION) {
		if (memcmp(p + at, "config\0", 8) != 0 || (get_be16(p + at + 8) & (TOC_NOT_EXIST | TOC_DISABLED)))
			continue;
		t->start = get_be64(p + at + 10);
		t->count = get_be64(p + at + 18);
		return true;
	}
	return false;
}

static int toc_at(const struct ldm_disk *d, uint64_t sector, struct toc *ret, struct err *e)
{
	uint8_t p[LDM_BLOCK];
	uint64_t sectors = d->private_region.len / d->sector;
	if (sector >= sectors || !range_inside(d->private_region.off + sector * d->sector, sizeof(p), d->blk->size))
		return 0;
	int r = blk_read(d->blk, d->private_region.off + sector * d->sector, p, sizeof(p), e);
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (r < 0) {
		err_clear(e);
		return 0;
	}
	return toc_decode(p, ret) ? 1 : 0;
}

/* An update is written beside the copy that it replaces, so older ones lie about: the newest counts. The first two
 * places are where the header says that it is. */
static int toc_read(struct ldm_disk *d, struct toc *best, struct err *e)
{
	uint64_t end = d->private_region.len / d->sector;
	const uint64_t places[TOC_PLACES] = {d->tocs[0], d->tocs[1], 1, 2, 0, end - 2, end - 3};
	bool found = false;
	for (unsigned i = 0; i < TOC_PLACES; i++) {
		struct toc t = {0};
		int r = toc_at(d, places[i], &t, e);
		if (r < 0)
			return r;
		if (i < 2) {
			d->copies++;
			d->copies_bad += r == 0;
		}
		if (r > 0 && (!found || t.sequence > best->sequence))
			*best = t;
		found |= r > 0;
	}
	if (!found)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the table of contents of the dynamic disk's database is damaged");
	return 0;
}

/* --- VMDB --------------------------------------------------------------------------------------------------------- */

static int vmdb_decode(const struct ldm_disk *d, const uint8_t p[VMDB_BYTES], uint64_t limit, struct ldm_vmdb *m,
                       struct err *e)
{
	char group[LDM_GUID_MAX];
	unsigned major = get_be16(p + 0x12);
	if (memcmp(p, "VMDB", 4) != 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the database of the dynamic disk is damaged: it has no head");
	if (major != VMDB_MAJOR)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "ldm",
		               "a dynamic disk with a database of version %u.%u: no reader for it in this version", major,
		               get_be16(p + 0x14));
	if (!ldm_guid_text(group, p + 0x35, 64) || strcmp(group, d->group) != 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the database of the dynamic disk is that of another disk group");
	uint64_t slots = get_be32(p + 4);
	m->slot_size = get_be32(p + 8);
	m->slot_off = get_be32(p + 12);
	m->status = get_be16(p + 0x10);
	m->committed = get_be64(p + 0x75);
	if (m->slot_size < LDM_VBLK_MIN || m->slot_size > LDM_VBLK_MAX || m->slot_off < VMDB_BYTES || m->slot_off > limit)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the database of the dynamic disk has records of impossible size or place");
	/* The head counts as the first slots. */
	uint64_t bytes = min_u64(slots * m->slot_size, limit);
	m->slots = bytes > m->slot_off ? (uint32_t)((bytes - m->slot_off) / m->slot_size) : 0;
	for (unsigned i = 0; i < 4; i++)
		m->counts[i] = get_be32(p + (m->status == LDM_COMMIT ? 0xa1 : 0x85) + (size_t)4 * i);
	return 0;
}

int ldm_vmdb_read(struct ldm_disk *d, struct err *e)
{
	struct toc toc = {0};
	int r = toc_read(d, &toc, e);
	if (r < 0)
		return r;
	uint64_t sectors = d->private_region.len / d->sector;
	if (!range_inside(toc.start, toc.count, sectors) || toc.count > LDM_CONFIG_MAX / d->sector)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the dynamic disk's database has an impossible place or size");
	struct ldm_vmdb m = {.off = d->private_region.off + toc.start * d->sector};
	uint64_t limit = toc.count * d->sector;
	uint8_t p[VMDB_BYTES];
	if (limit < sizeof(p) || !range_inside(m.off, limit, d->blk->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "the dynamic disk's database lies beyond the end of the disk");
	r = blk_read(d->blk, m.off, p, sizeof(p), e);
	if (r == 0)
		r = vmdb_decode(d, p, limit, &m, e);
	if (r < 0)
		return r;
	d->vmdb = m;
	d->has_vmdb = true;
	return 0;
}

/* --- VBLKs -------------------------------------------------------------------------------------------------------- */

struct fragment {
	uint32_t group;
	uint16_t part, parts;
	uint32_t slot;
};

struct reader {
	const struct ldm_vmdb *m;
	const uint8_t *slots;            /* their bytes */
	struct fragment *fragments;      /* of the records that have several */
	unsigned count;
	bool committing;
	struct ldm_db *db;
};

static int fragment_order(const void *a, const void *b)
{
	const struct fragment *x = a, *y = b;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int read_slots(struct reader *r, struct err *e)
{
	for (uint32_t i = 0; i < r->m->slots; i++) {
		const uint8_t *p = r->slots + (size_t)i * r->m->slot_size;
		unsigned part = get_be16(p + 12), parts = get_be16(p + 14);
		int err = 0;
		if (memcmp(p, "VBLK", 4) != 0 || (parts > 0 && part >= parts) || parts > LDM_FRAGMENTS_MAX)
			r->db->damaged++;
		else if (parts == 1)
			err = ldm_record_add(r->db, p + SLOT_HEAD, r->m->slot_size - SLOT_HEAD, r->committing, e);
		else if (parts > 1)
			r->fragments[r->count++] = (struct fragment){
				.group = get_be32(p + 8), .part = (uint16_t)part, .parts = (uint16_t)parts, .slot = i};
		if (err < 0)
			return err;
	}
	return 0;
}

/* The fragments of one record: n of one group, in order. */
static int join(struct reader *r, const struct fragment *f, unsigned n, struct err *e)
{
	uint8_t record[LDM_FRAGMENTS_MAX * LDM_VBLK_MAX];
	size_t each = r->m->slot_size - SLOT_HEAD;
	bool whole = n == f->parts;
	for (unsigned i = 0; whole && i < n; i++) {
		whole = f[i].part == i && f[i].parts == n;
		memcpy(record + i * each, r->slots + (size_t)f[i].slot * r->m->slot_size + SLOT_HEAD, each);
	}
	if (!whole) {
		r->db->damaged++;
		return 0;
	}
	return ldm_record_add(r->db, record, n * each, r->committing, e);
}

static int join_all(struct reader *r, struct err *e)
{
	if (r->count > 0)
		qsort(r->fragments, r->count, sizeof(*r->fragments), fragment_order);
	int err = 0;
	for (unsigned i = 0, n; err == 0 && i < r->count; i += n) {
		for (n = 1; i + n < r->count && r->fragments[i + n].group == r->fragments[i].group;)
			n++;
		err = join(r, &r->fragments[i], n, e);
	}
	return err;
}

/* --- The whole ---------------------------------------------------------------------------------------------------- */

#define COMPARE(x, y)                                                                              \
	do {                                                                                       \
		if ((x) != (y))                                                                    \
			return (x) < (y) ? -1 : 1;                                                 \
	} while (0)

/* All records begin with their id. */
static int id_order(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	COMPARE(x, y);
	return 0;
}

static int component_order(const void *a, const void *b)
{
	const struct ldm_component *x = a, *y = b;
	COMPARE(x->volume, y->volume);
	COMPARE(x->id, y->id);
	return 0;
}

static int extent_order(const void *a, const void *b)
{
	const struct ldm_extent *x = a, *y = b;
	COMPARE(x->component, y->component);
	COMPARE(x->column, y->column);
	COMPARE(x->offset, y->offset);
	COMPARE(x->id, y->id);
	return 0;
}

/* Sorts by id and leaves one of each: what is made of a thing is made once. */
static void make_unique(struct ldm_db *db, void *list, unsigned *count, size_t each)
{
	uint8_t *p = list;
	unsigned kept = 0;
	if (*count > 0)
		qsort(list, *count, each, id_order);
	for (unsigned i = 0; i < *count; i++) {
		if (kept > 0 && id_order(p + (kept - 1) * each, p + i * each) == 0)
			db->damaged++;
		else
			memmove(p + kept++ * each, p + i * each, each);
	}
	*count = kept;
}

static void sort(struct ldm_db *db)
{
	make_unique(db, db->volumes, &db->volume_count, sizeof(*db->volumes));
	make_unique(db, db->components, &db->component_count, sizeof(*db->components));
	make_unique(db, db->extents, &db->extent_count, sizeof(*db->extents));
	make_unique(db, db->disks, &db->disk_count, sizeof(*db->disks));
	if (db->component_count > 0)
		qsort(db->components, db->component_count, sizeof(*db->components), component_order);
	if (db->extent_count > 0)
		qsort(db->extents, db->extent_count, sizeof(*db->extents), extent_order);
}

int ldm_db_load(const struct ldm_disk *d, struct ldm_db *ret, struct err *e)
{
	CLEANUP(ldm_db_free) struct ldm_db db = {0};
	const struct ldm_vmdb *m = &d->vmdb;
	size_t bytes = (size_t)m->slots * m->slot_size;
	CLEANUP(free_ptr) uint8_t *slots = malloc(bytes + 1);
	CLEANUP(free_ptr) struct fragment *fragments = calloc((size_t)m->slots + 1, sizeof(*fragments));
	if (!slots || !fragments)
		return err_no_memory(e, "ldm");
	int r = bytes > 0 ? blk_read(d->blk, m->off + m->slot_off, slots, bytes, e) : 0;
	struct reader reader = {
		.m = m, .slots = slots, .fragments = fragments, .committing = m->status == LDM_COMMIT, .db = &db};
	if (r == 0)
		r = read_slots(&reader, e);
	if (r == 0)
		r = join_all(&reader, e);
	if (r < 0)
		return r;
	sort(&db);
	const unsigned counts[4] = {db.volume_count, db.component_count, db.extent_count, db.disk_count};
	for (unsigned i = 0; i < 4; i++)
		db.damaged += counts[i] != m->counts[i];
	*ret = db;
	db = (struct ldm_db){0};
	return 0;
}

void ldm_db_free(struct ldm_db *db)
{
	free(db->volumes);
	free(db->components);
	free(db->extents);
	free(db->disks);
}
