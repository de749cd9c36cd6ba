/* Partitions: where a block of one lies on the device (ECMA 3/10.7, UDF 2.2.8 to 2.2.10). */
#include "fs/udf/udf.h"

#include "base/search.h"

#include <inttypes.h>

static int outside(const struct udf_part *p, struct udf_addr at, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, "udf",
	               "block %" PRIu32 " would lie behind the end of partition %u, which has %" PRIu64, at.block, at.part,
	               p->blocks);
}

/* NULL, and *e, where it is not there or of no use. */
static struct udf_part *get_part(struct udf *u, struct udf_addr at, struct err *e)
{
	struct udf_part *p = at.part < u->vol.part_count ? &u->vol.part[at.part] : NULL;
	if (!p)
		err_set(e, ERR_FILE_CORRUPT, "udf", "there is no partition %u", at.part);
	else if (p->kind == UDF_PART_UNKNOWN)
		err_set(e, ERR_FILE_UNSUPPORTED, "udf", "partition %u is of an unknown kind", at.part);
	return p && p->kind != UDF_PART_UNKNOWN ? p : NULL;
}

static int place_plain(struct udf *u, const struct udf_part *p, struct udf_addr at, uint64_t want, uint64_t *ret_off,
                       uint64_t *ret_len, struct err *e)
{
	uint64_t block = u->vol.block;
	if (at.block >= p->blocks)
		return outside(p, at, e);
	*ret_off = (p->start + at.block) * block;
	*ret_len = min_u64(want, (p->blocks - at.block) * block);
	return 0;
}

/* The first spare at or behind this block; count: none. */
static size_t find_spare(const struct udf_part *p, uint32_t from)
{
	return PARTITION_POINT(i, p->spare_count, p->spares[i].from < from);
}

/* Defective packets lie elsewhere; between two of them it is a plain partition. */
static int place_sparable(struct udf *u, const struct udf_part *p, struct udf_addr at, uint64_t want, uint64_t *ret_off,
                          uint64_t *ret_len, struct err *e)
{
	int r = place_plain(u, p, at, want, ret_off, ret_len, e);
	if (r < 0)
		return r;
	uint64_t block = u->vol.block;
	uint32_t inside = at.block % p->packet, packet = at.block - inside;
	size_t i = find_spare(p, packet);
	if (i < p->spare_count && p->spares[i].from == packet) {
		*ret_off = ((uint64_t)p->spares[i].to + inside) * block;
		*ret_len = min_u64(*ret_len, (uint64_t)(p->packet - inside) * block);
	} else if (i < p->spare_count) {
		*ret_len = min_u64(*ret_len, (uint64_t)(p->spares[i].from - at.block) * block);
	}
	return 0;
}

static int place_metadata(struct udf *u, const struct udf_part *p, struct udf_addr at, unsigned copy, uint64_t want,
                          uint64_t *ret_off, uint64_t *ret_len, struct err *e)
{
	uint64_t off = (uint64_t)at.block * u->vol.block;
	const struct udf_extents *x = &p->file[copy];
	if (copy == 0 && x->count == 0)
		x = &p->file[1];
	if (off >= x->size)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " would lie behind the end of the metadata",
		               at.block);
	struct fs_extent found;
	int r = udf_extents_find(u, x, off, min_u64(want, x->size - off), 0, &found, e);
	if (r < 0)
		return r;
	if (found.kind != FS_EXTENT_DATA)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " of the metadata was never written",
		               at.block);
	*ret_off = found.vol_off;
	*ret_len = found.len;
	return 0;
}

int udf_devirtualise(struct udf *u, struct udf_addr *at, struct err *e)
{
	struct udf_part *p = get_part(u, *at, e);
	if (!p || p->kind != UDF_PART_VIRTUAL)
		return p ? 0 : e->code;
	uint8_t raw[4];
	if (at->block >= p->vat_count)
		return err_set(e, ERR_FILE_CORRUPT, "udf",
		               "block %" PRIu32 " is not in the virtual allocation table of %" PRIu64, at->block,
		               p->vat_count);
	int r = udf_extents_read(u, &p->vat, p->vat_off + 4 * (uint64_t)at->block, raw, sizeof(raw), 0, e);
	if (r == 0)
		*at = (struct udf_addr){.block = get_le32(raw), .part = p->base};
	return r;
}

int udf_place(struct udf *u, struct udf_addr at, unsigned copy, uint64_t want, uint64_t *ret_off, uint64_t *ret_len,
              struct err *e)
{
	uint64_t off = 0, len = 0;
	int r = udf_devirtualise(u, &at, e);
	if (r < 0)
		return r;
	const struct udf_part *p = get_part(u, at, e);
	if (!p)
		return e->code;
	if (p->kind == UDF_PART_METADATA)
		r = place_metadata(u, p, at, copy, want, &off, &len, e);
	else if (p->kind == UDF_PART_SPARABLE)
		r = place_sparable(u, p, at, want, &off, &len, e);
	else
		r = place_plain(u, p, at, want, &off, &len, e);
	if (r < 0)
		return r;
	if (off >= u->fs.blk->size)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " lies behind the end of the volume's device",
		               at.block);
	*ret_off = off;
	*ret_len = min_u64(len, u->fs.blk->size - off);
	return 0;
}

bool udf_has_copy(const struct udf *u, uint16_t part)
{
	if (part >= u->vol.part_count)
		return false;
	const struct udf_part *p = &u->vol.part[part];
	return p->kind == UDF_PART_METADATA && p->file[0].count > 0 && p->file[1].count > 0;
}

static int read_one(struct udf *u, struct udf_addr at, unsigned copy, int id, uint8_t *buf, uint64_t *ret_off,
                    struct err *e)
{
	uint64_t off, len;
	int r = udf_place(u, at, copy, u->vol.block, &off, &len, e);
	if (r < 0)
		return r;
	if (len < u->vol.block)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " lies at the very end of the volume's device",
		               at.block);
	r = blk_read(u->fs.blk, off, buf, u->vol.block, e);
	if (r < 0)
		return r;
	int got = udf_tag_id(buf, u->vol.block);
	if (got < 0 || (id >= 0 && got != id) || get_le32(buf + 12) != at.block)
		return err_set(e, ERR_FILE_CORRUPT, "udf",
		               "block %" PRIu32 " of partition %u does not hold the descriptor it should, or a damaged one",
		               at.block, at.part);
	if (ret_off)
		*ret_off = off;
	return 0;
}

int udf_read_descriptor(struct udf *u, struct udf_addr at, int id, uint8_t *buf, uint64_t *ret_off, struct err *e)
{
	struct err first = ERR_INIT;
	int r = read_one(u, at, 0, id, buf, ret_off, &first);
	if (r < 0 && udf_has_copy(u, at.part)) {
		struct err second = ERR_INIT;
		if (read_one(u, at, 1, id, buf, ret_off, &second) == 0)
			return 0;
	}
	if (r < 0)
		*e = first;
	return r;
}
