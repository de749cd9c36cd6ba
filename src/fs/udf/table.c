/* The tables some partitions need: sparing tables, the virtual allocation table, the metadata file and its mirror. */
#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	SPARING_HEADER = 56,
	SPARE_SIZE = 8,
	SPARE_UNUSED = 0xfffffff0,   /* from here on: not in use, or defective itself */
	VAT_SEARCH_BLOCKS = 4096,    /* from the device's end towards its beginning */
	VAT_TRIES_MAX = 16,          /* of what could be tables there */
	ICB_FILE_TYPE = 27,
	VAT_TAIL = 36,               /* UDF 1.50: identifier and previous table, behind the entries */
	VAT_HEADER_MIN = 152,        /* 2.00 and later: in front of them */
};

/* --- sparing tables (UDF 2.2.12) ------------------------------------------------------------------ */

static int by_origin(const void *a, const void *b)
{
	const struct udf_spare *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static int take_spares(struct udf_part *p, const uint8_t *table, size_t count, struct err *e)
{
	struct udf_spare *list = malloc((count ? count : 1) * sizeof(*list));
	if (!list)
		return err_no_memory(e, "udf");
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *raw = table + SPARING_HEADER + i * SPARE_SIZE;
		if (get_le32(raw) < SPARE_UNUSED && get_le32(raw) % p->packet == 0)
			list[used++] = (struct udf_spare){.from = get_le32(raw), .to = get_le32(raw + 4)};
	}
	if (used)
		qsort(list, used, sizeof(*list), by_origin);
	free(p->spares);
	p->spares = list;
	p->spare_count = used;
	return 0;
}

/* 1: it is sound and newer than *seq, and was taken. What cannot be read is as damaged as any other. */
static int try_sparing(struct udf *u, struct udf_part *p, uint32_t at, size_t size, uint8_t *buf, bool any,
                       uint32_t *seq, struct err *e)
{
	uint64_t off = (uint64_t)at * u->vol.block;
	struct err why = ERR_INIT;
	if (!range_inside(off, size, u->fs.blk->size) || blk_read(u->fs.blk, off, buf, size, &why) < 0)
		return 0;
	size_t count = get_le16(buf + 48);
	if (!udf_tag_fits(buf, size, UDF_TAG_SPARING, at) || strncmp((char *)buf + 17, "*UDF Sparing Table", 18) != 0 ||
	    count > (size - SPARING_HEADER) / SPARE_SIZE || (any && get_le32(buf + 52) <= *seq))
		return 0;
	*seq = get_le32(buf + 52);
	int r = take_spares(p, buf, count, e);
	return r < 0 ? r : 1;
}

static int load_sparing(struct udf *u, struct udf_part *p, struct err *e)
{
	if (p->packet == 0)
		return err_set(e, ERR_FS_CORRUPT, "udf", "the sparable partition has packets of no length");
	size_t size = min_size(p->table_size, SPARING_HEADER + UDF_SPARING_MAX * SPARE_SIZE);
	if (size < SPARING_HEADER)
		return err_set(e, ERR_FS_CORRUPT, "udf", "a sparing table has %" PRIu32 " bytes", p->table_size);
	uint8_t *buf = malloc(size);
	if (!buf)
		return err_no_memory(e, "udf");
	uint32_t seq = 0;
	bool any = false;
	int r = 0;
	for (unsigned i = 0; i < 4 && i < p->table_count && r >= 0; i++) {
		r = try_sparing(u, p, p->table_at[i], size, buf, any, &seq, e);
		any |= r > 0;
	}
	free(buf);
	if (r >= 0 && !any)
		fs_warn(&u->fs, "no sparing table of the UDF volume can be read: blocks moved from defects show what is in "
		                "their old places");
	return r < 0 ? r : 0;
}

/* --- the virtual allocation table (UDF 2.2.11) ---------------------------------------------------- */

/* 1: entries, and where they begin; 0: this file is no such table. */
static int judge_vat(struct udf *u, const struct udf_inode *n, struct udf_part *p, struct err *e)
{
	uint8_t raw[VAT_TAIL];
	if (n->type == UDF_TYPE_VAT) {
		int r = p->vat.size < VAT_HEADER_MIN ? 0 : udf_extents_read(u, &p->vat, 0, raw, 4, 0, e);
		size_t header = p->vat.size < VAT_HEADER_MIN || r < 0 ? 0 : get_le16(raw);
		if (r < 0 || header < VAT_HEADER_MIN || header > n->size)
			return r;
		p->vat_off = header;
		p->vat_count = (n->size - header) / 4;
		return 1;
	}
	if (n->type != UDF_TYPE_UNSPECIFIED || n->size < VAT_TAIL)
		return 0;
	int r = udf_extents_read(u, &p->vat, n->size - VAT_TAIL, raw, VAT_TAIL, 0, e);
	if (r < 0 || strncmp((char *)raw + 1, "*UDF Virtual Alloc Tbl", 22) != 0)
		return r;
	p->vat_count = (n->size - VAT_TAIL) / 4;
	return 1;
}

/* 1: the table's entry is in this block of the base partition. */
static int try_vat(struct udf *u, struct udf_part *p, uint32_t block, struct err *e)
{
	struct udf_inode n;
	struct err why = ERR_INIT;
	int r = udf_inode_get(u, (struct udf_addr){.block = block, .part = p->base}, &n, &why);
	if (r == 0) {
		r = udf_extents_load(u, &n, &p->vat, &why);
		if (r == 0 && p->vat.size >= n.size)
			r = judge_vat(u, &n, p, &why);
		udf_inode_put(&n);
	}
	if (r <= 0)
		udf_extents_free(&p->vat);
	/* Damage is looked over, for an older table; a read that failed is not: the table may be sound. */
	if (r == ERR_NO_MEMORY || r == ERR_IO) {
		*e = why;
		return r;
	}
	return r > 0;
}

/* Could an entry begin here? Saves looking at every block of an unwritten end. */
static bool looks_like_entry(const uint8_t *p)
{
	return get_le16(p) == UDF_TAG_FILE_ENTRY || get_le16(p) == UDF_TAG_EXTENDED_ENTRY;
}

/* That of a table, and not of one of the many files around it? */
static bool looks_like_vat(const uint8_t *p)
{
	return p[ICB_FILE_TYPE] == UDF_TYPE_VAT || p[ICB_FILE_TYPE] == UDF_TYPE_UNSPECIFIED;
}

/* The table is written last: its entry is the last block that was recorded. An image may have more behind it. */
static int find_vat(struct udf *u, struct udf_part *p, struct err *e)
{
	const struct udf_part *base = &u->vol.part[p->base];
	uint32_t block = u->vol.block;
	uint64_t end = min_u64(base->start + base->blocks, u->fs.blk->size / block);
	unsigned tries = 0;
	bool passed = false;
	for (unsigned i = 0; i < VAT_SEARCH_BLOCKS && tries < VAT_TRIES_MAX && end > base->start; i++) {
		end--;
		uint8_t head[ICB_FILE_TYPE + 1];
		int r = blk_read(u->fs.blk, end * block, head, sizeof(head), e);
		if (r < 0)
			return r;
		if (!looks_like_entry(head))
			continue;
		if (looks_like_vat(head)) {
			tries++;
			r = try_vat(u, p, (uint32_t)(end - base->start), e);
		}
		if (r > 0 && passed)
			fs_warn(&u->fs, "the UDF disc's last virtual allocation table is damaged or was not written: its "
			                "state is that of an earlier one");
		if (r != 0)
			return r < 0 ? r : 0;
		passed = true;
	}
	return err_set(e, ERR_FS_CORRUPT, "udf",
	               "there is no virtual allocation table at the end: the disc was not closed, or its copy is incomplete");
}

/* --- metadata files (UDF 2.2.13) ------------------------------------------------------------------ */

/* ERR_FILE_CORRUPT where it cannot be used. */
static int load_file(struct udf *u, struct udf_part *p, unsigned copy, struct err *e)
{
	struct udf_inode n;
	struct udf_addr at = {.block = p->file_at[copy], .part = p->base};
	int r = udf_inode_get(u, at, &n, e);
	if (r < 0)
		return r;
	if (n.type != UDF_TYPE_METADATA && n.type != UDF_TYPE_METADATA_MIRROR)
		r = err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " is not a metadata file's entry", at.block);
	else
		r = udf_extents_load(u, &n, &p->file[copy], e);
	udf_inode_put(&n);
	/* Metadata within metadata would have no end. */
	for (size_t i = 0; r == 0 && i < p->file[copy].count; i++) {
		const struct udf_extent *x = &p->file[copy].list[i];
		if (x->kind == UDF_RECORDED && !x->embedded && x->part != p->base)
			r = err_set(e, ERR_FILE_CORRUPT, "udf", "the metadata lie in a partition they cannot lie in");
	}
	if (r < 0)
		udf_extents_free(&p->file[copy]);
	return r;
}

static int load_metadata(struct udf *u, struct udf_part *p, struct err *e)
{
	struct err main_why = ERR_INIT, mirror_why = ERR_INIT;
	int main_r = load_file(u, p, 0, &main_why), mirror_r = load_file(u, p, 1, &mirror_why);
	if (main_r == ERR_NO_MEMORY || (main_r < 0 && mirror_r < 0)) {
		*e = main_why;
		if (e->code == ERR_FILE_CORRUPT)
			e->code = ERR_FS_CORRUPT;
		return e->code;
	}
	if (main_r < 0)
		fs_warn(&u->fs, "the UDF volume's metadata file is damaged (%s); its mirror is used", main_why.msg);
	/* A mirror that is a second description of the same blocks is of no use once the first is read. */
	if (main_r == 0 && !p->duplicated)
		udf_extents_free(&p->file[1]);
	return 0;
}

/* --- all of them ---------------------------------------------------------------------------------- */

static int load(struct udf *u, enum udf_part_kind kind, int (*fn)(struct udf *, struct udf_part *, struct err *),
                struct err *e)
{
	for (unsigned i = 0; i < u->vol.part_count; i++) {
		int r = u->vol.part[i].kind == kind ? fn(u, &u->vol.part[i], e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int udf_tables_load(struct udf *u, struct err *e)
{
	/* The others may lie in a sparable one. */
	int r = load(u, UDF_PART_SPARABLE, load_sparing, e);
	if (r == 0)
		r = load(u, UDF_PART_METADATA, load_metadata, e);
	if (r == 0)
		r = load(u, UDF_PART_VIRTUAL, find_vat, e);
	return r;
}

void udf_tables_free(struct udf *u)
{
	for (unsigned i = 0; i < u->vol.part_count; i++) {
		struct udf_part *p = &u->vol.part[i];
		free(p->spares);
		udf_extents_free(&p->vat);
		udf_extents_free(&p->file[0]);
		udf_extents_free(&p->file[1]);
	}
}
