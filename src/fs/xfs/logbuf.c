#include "fs/xfs/log.h"

#include "blk/overlay.h"

enum {
	INODE_BUF = 0x1,             /* only the links of unlinked inodes are logged in it */
	CANCEL = 0x2,
	QUOTA_BUFS = 0x4 | 0x8 | 0x10,
	TYPE_SHIFT = 11,
	CHUNK = 128,                 /* bytes a bit of the map stands for */
	FORMAT_MIN = 20,
};

enum type {
	TYPE_BTREE = 4,
	TYPE_AGF = 5,
	TYPE_AGFL = 6,
	TYPE_AGI = 7,
	TYPE_DIR_FREE = 12,
	TYPE_RT_BITMAP = 19,
	TYPE_RT_SUMMARY = 20,
};

enum magic {
	MAGIC_BMAP_V4 = 0x424D4150,
	MAGIC_BMAP = 0x424D4133,
	MAGIC_LINK = 0x58534C4D,
	MAGIC_DIR_BLOCK = 0x58444233,
	MAGIC_DIR_DATA = 0x58444433,
	MAGIC_DA_NODE = 0x3EBE,
	MAGIC_DIR_LEAF1 = 0x3DF1,
	MAGIC_DIR_LEAFN = 0x3DFF,
	MAGIC_ATTR = 0x3BEE,
};

struct item {
	uint16_t flags;
	uint32_t len;                /* basic blocks */
	uint64_t blkno;
	uint32_t words;              /* of the map */
	const uint8_t *map;
};

static bool decode(const struct log_item *it, struct item *ret)
{
	uint32_t len;
	const uint8_t *p = log_item_region(it, 0, FORMAT_MIN, &len);
	if (!p)
		return false;
	*ret = (struct item){
		.flags = get_le16(p + 4),
		.len = get_le16(p + 6),
		.blkno = get_le64(p + 8),
		.words = get_le32(p + 16),
		.map = p + FORMAT_MIN,
	};
	return ret->len > 0 && ret->words <= (len - FORMAT_MIN) / 4;
}

bool log_buf_is_cancel(const struct log_item *it)
{
	struct item b;
	return decode(it, &b) && b.flags & CANCEL;
}

int log_buf_cancel(struct xfs_log *l, const struct log_item *it, struct err *e)
{
	struct item b;
	if (!decode(it, &b))
		return log_bad_item(l, "a block's item is damaged");
	if (l->pass == 1)
		return log_cancel_add(l, b.blkno, b.len, e);
	log_cancel_put(l, b.blkno, b.len);
	return 0;
}

/* --- what a block says of itself ------------------------------------------------------------------ */

/* Where it keeps its checksum, UUID and LSN; NULL where it has none. */
struct self {
	uint32_t magic;
	bool da;                     /* the magic number is 16 bits at byte 8 */
	uint16_t crc, uuid, lsn;
	bool dir;                    /* part of a directory */
};

static const struct self *self_of(const uint8_t *p)
{
	static const struct self kinds[] = {
		{MAGIC_BMAP, false, 64, 40, 32, false},    {MAGIC_LINK, false, 12, 16, 48, false},
		{MAGIC_DIR_BLOCK, false, 4, 24, 16, true}, {MAGIC_DIR_DATA, false, 4, 24, 16, true},
		{XFS_MAGIC, false, 224, 32, 240, false},   {MAGIC_DA_NODE, true, 12, 32, 24, false},
		{MAGIC_DIR_LEAF1, true, 12, 32, 24, true}, {MAGIC_DIR_LEAFN, true, 12, 32, 24, true},
		{MAGIC_ATTR, true, 12, 32, 24, false},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].magic == (kinds[i].da ? get_be16(p + 8) : get_be32(p)))
			return &kinds[i];
	return NULL;
}

/* Was the block written after this change? Then the change is in it. */
static bool is_newer(const struct xfs_log *l, const uint8_t *p, uint64_t lsn)
{
	const struct self *s = l->x->sb.v5 ? self_of(p) : NULL;
	if (!s)
		return false;
	const uint8_t *uuid = s->magic == XFS_MAGIC ? l->x->sb.uuid : l->x->sb.meta_uuid;
	uint64_t own = get_be64(p + s->lsn);
	return memcmp(p + s->uuid, uuid, 16) == 0 && own != 0 && own != UINT64_MAX && own >= lsn;
}

/* The logged bytes carry the checksum of another time. */
static void sign(struct xfs_log *l, uint8_t *p, uint32_t len)
{
	const struct self *s = l->x->sb.v5 ? self_of(p) : NULL;
	if (!s)
		return;
	/* A directory block in several pieces is logged piece by piece: its checksum cannot be made here. */
	if ((s->dir && len != l->x->sb.dir_size) || (s->magic == MAGIC_DA_NODE && len != l->x->sb.block_size && len != l->x->sb.dir_size))
		l->x->dir_in_pieces = true;
	put_le32(p + s->crc, xfs_crc(p, len, s->crc));
}

/* --- replay --------------------------------------------------------------------------------------- */

static bool bit(const struct item *b, uint32_t i)
{
	return get_le32(b->map + i / 32 * 4) >> (i % 32) & 1;
}

/* Runs of set bits; each has a region with its bytes. */
static bool apply(const struct log_item *it, const struct item *b, uint8_t *p, uint32_t size)
{
	uint32_t region = 1, bits = b->words * 32;
	for (uint32_t i = 0; i < bits; i++) {
		if (!bit(b, i))
			continue;
		uint32_t run = 1, len;
		while (i + run < bits && bit(b, i + run))
			run++;
		const uint8_t *from = log_item_region(it, region++, 1, &len);
		/* A region may be shorter than its bits, where a bit stands for the end of the block. */
		uint64_t at = (uint64_t)i * CHUNK;
		if (!from || at >= size)
			return false;
		len = len < run * CHUNK ? len : run * CHUNK;
		memcpy(p + at, from, len < size - at ? len : (size_t)(size - at));
		i += run;
	}
	return region > 1;
}

/* Free space, reverse maps and the like: nothing that is read here. */
static bool is_needed(const struct item *b, const uint8_t *p)
{
	switch (b->flags >> TYPE_SHIFT) {
	case TYPE_BTREE: return get_be32(p) == MAGIC_BMAP || get_be32(p) == MAGIC_BMAP_V4;
	case TYPE_AGF:
	case TYPE_AGFL:
	case TYPE_AGI:
	case TYPE_DIR_FREE:
	case TYPE_RT_BITMAP:
	case TYPE_RT_SUMMARY: return false;
	default: return true;
	}
}

int log_buf_replay(struct xfs_log *l, const struct log_item *it, struct err *e)
{
	struct item b;
	if (!decode(it, &b))
		return log_bad_item(l, "a block's item is damaged");
	if (log_cancelled(l, b.blkno, b.len) || b.flags & (INODE_BUF | QUOTA_BUFS))
		return 0;
	uint32_t size = b.len * XFS_BB;
	uint64_t off;
	if (size > LOG_BUF_MAX || !u64_mul(b.blkno, XFS_BB, &off) || !range_inside(off, size, l->dev->size))
		return log_bad_item(l, "a block lies behind the end of the device");
	int r = blk_read(l->overlay, off, l->buf, size, e);
	if (r < 0 || is_newer(l, l->buf, it->t->lsn))
		return r;
	if (!apply(it, &b, l->buf, size))
		return log_bad_item(l, "a block's item is damaged");
	if (!is_needed(&b, l->buf))
		return 0;
	sign(l, l->buf, size);
	return blk_overlay_write(l->overlay, off, l->buf, size, e);
}
