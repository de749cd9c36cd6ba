/* From nothing to the volume descriptors (ECMA 2/9, 3/8).
 *
 * The block's size is written only in what has to be found first: each size is tried, at each place an anchor may
 * have. An anchor names the block it stands in, so a wrong size does not fit by chance. */
#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	RECOGNITION_OFF = 32768,
	RECOGNITION_STEP = 2048,     /* or a block, where that is larger */
	RECOGNITION_MAX = 64,
	SEQUENCE_BLOCKS_MAX = 1024,  /* of one sequence of volume descriptors, all its extents */
	SEQUENCE_POINTERS_MAX = 16,
	INTEGRITY_MAX = 64,
	ANCHOR_AT = 256,
	LOGICAL_MAPS_OFF = 440,
	MAP_PLAIN_SIZE = 6,
	MAP_TYPED_SIZE = 64,
};

/* --- recognition ---------------------------------------------------------------------------------- */

static int recognise_at(struct blk *b, uint64_t step, struct err *e)
{
	static const char *const others[] = {"BEA01", "CD001", "CDW02", "BOOT2", "TEA01"};
	for (unsigned i = 0; i < RECOGNITION_MAX; i++) {
		uint8_t p[8];
		uint64_t off = RECOGNITION_OFF + i * step;
		if (!range_inside(off, sizeof(p), b->size))
			return 0;
		int r = blk_read(b, off, p, sizeof(p), e);
		if (r < 0)
			return r;
		if (memcmp(p + 1, "NSR02", 5) == 0 || memcmp(p + 1, "NSR03", 5) == 0)
			return 1;
		bool known = false;
		for (size_t k = 0; k < sizeof(others) / sizeof(*others); k++)
			known |= memcmp(p + 1, others[k], 5) == 0;
		if (!known)
			return 0;
	}
	return 0;
}

int udf_recognise(struct blk *b, struct err *e)
{
	int r = 0;
	for (uint64_t step = RECOGNITION_STEP; step <= UDF_BLOCK_MAX && r == 0; step *= 2)
		r = recognise_at(b, step, e);
	return r;
}

/* --- one sequence of volume descriptors ----------------------------------------------------------- */

/* What is gathered on the way; of descriptors for the same thing the one with the highest number prevails. */
struct gather {
	struct blk *b;
	uint32_t block;
	struct err failure;          /* the first read that failed */
	uint8_t *buf;                /* a block */
	uint8_t *logical;            /* the prevailing one; a block */
	bool has_logical, has_primary;
	uint32_t logical_seq, primary_seq;
	char set_id[128];
	struct partition {
		uint16_t number;
		uint32_t seq, start, blocks;
	} part[UDF_PARTS_MAX];
	unsigned part_count;
};

static void take_partition(struct gather *g)
{
	struct partition p = {
		.number = get_le16(g->buf + 22),
		.seq = get_le32(g->buf + 16),
		.start = get_le32(g->buf + 188),
		.blocks = get_le32(g->buf + 192),
	};
	for (unsigned i = 0; i < g->part_count; i++) {
		if (g->part[i].number == p.number) {
			if (p.seq >= g->part[i].seq)
				g->part[i] = p;
			return;
		}
	}
	if (g->part_count < UDF_PARTS_MAX)
		g->part[g->part_count++] = p;
}

static void take(struct gather *g, int id)
{
	uint32_t seq = get_le32(g->buf + 16);
	if (id == UDF_TAG_PARTITION) {
		take_partition(g);
	} else if (id == UDF_TAG_PRIMARY && (!g->has_primary || seq >= g->primary_seq)) {
		g->has_primary = true;
		g->primary_seq = seq;
		memcpy(g->set_id, g->buf + 72, sizeof(g->set_id));
	} else if (id == UDF_TAG_LOGICAL && (!g->has_logical || seq >= g->logical_seq) &&
	           get_le32(g->buf + 212) == g->block) {
		g->has_logical = true;
		g->logical_seq = seq;
		memcpy(g->logical, g->buf, g->block);
	}
}

/* A block that cannot be read is as one that is damaged: the reserve sequence may have it. Only where all is in vain,
 * the failure is told. */
static bool read_block(struct gather *g, uint64_t block)
{
	struct err why = ERR_INIT;
	if (!range_inside(block * g->block, g->block, g->b->size))
		return false;
	if (blk_read(g->b, block * g->block, g->buf, g->block, &why) == 0)
		return true;
	if (g->failure.code == 0)
		g->failure = why;
	return false;
}

static void gather_sequence(struct gather *g, uint32_t len, uint32_t at)
{
	unsigned pointers = 0, left = SEQUENCE_BLOCKS_MAX;
	for (uint32_t i = 0, count = len / g->block; i < count && left > 0; i++, left--) {
		uint64_t block = (uint64_t)at + i;
		if (!read_block(g, block))
			continue;
		int id = udf_tag_id(g->buf, g->block);
		if (id == UDF_TAG_TERMINATING || get_le16(g->buf) == 0)
			return;
		if (id < 0 || get_le32(g->buf + 12) != block)
			continue;
		if (id == UDF_TAG_POINTER && pointers++ < SEQUENCE_POINTERS_MAX) {
			count = get_le32(g->buf + 20) / g->block;
			at = get_le32(g->buf + 24);
			i = UINT32_MAX;
			continue;
		}
		take(g, id);
	}
}

/* --- the logical volume --------------------------------------------------------------------------- */

static void typed_map(const uint8_t *p, struct udf_part *part)
{
	const char *name = (const char *)p + 5;
	part->number = get_le16(p + 38);
	part->kind = UDF_PART_UNKNOWN;
	if (strncmp(name, "*UDF Virtual Partition", 23) == 0) {
		part->kind = UDF_PART_VIRTUAL;
	} else if (strncmp(name, "*UDF Sparable Partition", 23) == 0) {
		part->kind = UDF_PART_SPARABLE;
		part->packet = get_le16(p + 40);
		part->table_count = p[42];
		part->table_size = get_le32(p + 44);
		for (size_t i = 0; i < 4; i++)
			part->table_at[i] = get_le32(p + 48 + 4 * i);
	} else if (strncmp(name, "*UDF Metadata Partition", 23) == 0) {
		part->kind = UDF_PART_METADATA;
		part->file_at[0] = get_le32(p + 40);
		part->file_at[1] = get_le32(p + 44);
		part->duplicated = p[58] & 1;
	}
}

static bool decode_maps(const uint8_t *lvd, uint32_t block, struct udf_volume *v)
{
	uint32_t table = get_le32(lvd + 264), count = get_le32(lvd + 268);
	if (!range_inside(LOGICAL_MAPS_OFF, table, block) || count == 0 || count > UDF_PARTS_MAX)
		return false;
	const uint8_t *p = lvd + LOGICAL_MAPS_OFF;
	for (size_t off = 0; v->part_count < count;) {
		if (table - off < 2 || p[off + 1] < 2 || p[off + 1] > table - off)
			return false;
		struct udf_part *part = &v->part[v->part_count++];
		unsigned type = p[off], len = p[off + 1];
		*part = (struct udf_part){.kind = UDF_PART_UNKNOWN};
		if (type == 1 && len == MAP_PLAIN_SIZE) {
			part->kind = UDF_PART_PLAIN;
			part->number = get_le16(p + off + 4);
		} else if (type == 2 && len == MAP_TYPED_SIZE) {
			typed_map(p + off, part);
		}
		off += len;
	}
	return true;
}

static void place_partitions(const struct gather *g, struct udf_volume *v)
{
	for (unsigned i = 0; i < v->part_count; i++) {
		for (unsigned k = 0; k < g->part_count; k++) {
			if (g->part[k].number != v->part[i].number)
				continue;
			v->part[i].found = true;
			v->part[i].start = g->part[k].start;
			v->part[i].blocks = g->part[k].blocks;
		}
	}
}

/* A virtual or metadata partition stands on the physical one of the same number. */
static bool find_bases(struct udf_volume *v)
{
	for (unsigned i = 0; i < v->part_count; i++) {
		struct udf_part *p = &v->part[i];
		bool needed = p->kind == UDF_PART_VIRTUAL || p->kind == UDF_PART_METADATA;
		if (!needed)
			continue;
		p->base = UDF_PARTS_MAX;
		for (unsigned k = 0; k < v->part_count; k++) {
			const struct udf_part *q = &v->part[k];
			if ((q->kind == UDF_PART_PLAIN || q->kind == UDF_PART_SPARABLE) && q->number == p->number)
				p->base = (uint16_t)k;
		}
		if (p->base == UDF_PARTS_MAX)
			return false;
	}
	return true;
}

/* The last integrity descriptor tells whether the volume was closed. There need be none. */
static void read_integrity(struct gather *g, struct udf_volume *v)
{
	uint32_t len = get_le32(g->logical + 432), at = get_le32(g->logical + 436);
	for (unsigned i = 0; i < INTEGRITY_MAX && len >= g->block; i++) {
		if (!read_block(g, at) || !udf_tag_fits(g->buf, g->block, UDF_TAG_INTEGRITY, at))
			return;
		v->open = get_le32(g->buf + 28) == 0;
		uint32_t next_len = get_le32(g->buf + 32);
		if (next_len >= g->block) {
			len = next_len;
			at = get_le32(g->buf + 36);
		} else {
			len -= g->block;
			at++;
		}
	}
}

/* False where the sequence does not hold what is needed. */
static bool finish(struct gather *g, struct udf_volume *v)
{
	if (!g->has_logical)
		return false;
	v->revision = get_le16(g->logical + 216 + 24);
	v->file_set = udf_long_ad(g->logical + 248);
	memcpy(v->set_id, g->set_id, sizeof(v->set_id));
	memcpy(v->logical_id, g->logical + 84, sizeof(v->logical_id));
	if (!decode_maps(g->logical, g->block, v) || !find_bases(v))
		return false;
	place_partitions(g, v);
	for (unsigned i = 0; i < v->part_count; i++)
		if (!v->part[i].found && v->part[i].kind != UDF_PART_UNKNOWN)
			return false;
	read_integrity(g, v);
	return true;
}

/* --- anchors -------------------------------------------------------------------------------------- */

static bool follow_anchor(struct gather *g, const uint8_t *anchor, struct udf_volume *ret)
{
	for (unsigned i = 0; i < 2; i++) {
		struct udf_volume v = {.block = g->block, .reserve = i == 1};
		g->has_logical = g->has_primary = false;
		g->part_count = 0;
		memset(g->set_id, 0, sizeof(g->set_id));
		gather_sequence(g, get_le32(anchor + 16 + 8 * i), get_le32(anchor + 20 + 8 * i));
		if (finish(g, &v)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static int try_block_size(struct gather *g, struct udf_volume *ret, bool *seen)
{
	uint64_t blocks = g->b->size / g->block;
	const uint64_t places[] = {ANCHOR_AT, blocks - 1, blocks - 1 - ANCHOR_AT, 2 * (uint64_t)ANCHOR_AT};
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (places[i] >= blocks || !read_block(g, places[i]) ||
		    !udf_tag_fits(g->buf, g->block, UDF_TAG_ANCHOR, (uint32_t)places[i]))
			continue;
		*seen = true;
		uint8_t anchor[32];
		memcpy(anchor, g->buf, sizeof(anchor));
		if (follow_anchor(g, anchor, ret))
			return 1;
	}
	return 0;
}

int udf_volume_read(struct blk *b, struct udf_volume *ret, struct err *why, struct err *e)
{
	struct gather g = {.b = b, .buf = malloc(UDF_BLOCK_MAX), .logical = malloc(UDF_BLOCK_MAX)};
	bool seen = false;
	int r = 0;
	if (!g.buf || !g.logical)
		r = err_no_memory(e, "udf");
	for (g.block = UDF_BLOCK_MIN; r == 0 && g.block <= UDF_BLOCK_MAX; g.block *= 2)
		r = try_block_size(&g, ret, &seen);
	free(g.buf);
	free(g.logical);
	if (r == 0 && g.failure.code) {
		*e = g.failure;
		return e->code;
	}
	if (r == 0)
		err_set(why, ERR_FS_CORRUPT, "udf",
		        seen ? "neither the main nor the reserve sequence of volume descriptors can be used"
		             : "no anchor of the volume descriptors is where one must be");
	return r;
}
