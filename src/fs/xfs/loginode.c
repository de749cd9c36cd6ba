#include "fs/xfs/log.h"

#include "blk/overlay.h"

enum {
	MAGIC = 0x494E,
	CRC_OFF = 100,
	FORMAT_32 = 52,              /* bytes of the item's first region as a 32-bit kernel writes it */
	FORMAT_64 = 56,
	CORE_V2 = 96,                /* bytes of the logged core */
	CORE_V3 = 176,
};

enum fields {
	F_DDATA = 0x2,
	F_DEXT = 0x4,
	F_DBROOT = 0x8,
	F_DEV = 0x10,
	F_ADATA = 0x40,
	F_AEXT = 0x80,
	F_ABROOT = 0x100,
	F_DFORK = F_DDATA | F_DEXT | F_DBROOT,
	F_AFORK = F_ADATA | F_AEXT | F_ABROOT,
};

struct item {
	uint32_t fields, len, boffset;       /* len in basic blocks */
	uint64_t ino, blkno;
	uint32_t rdev;
};

static bool decode(const struct log_item *it, struct item *ret)
{
	uint32_t len;
	const uint8_t *p = log_item_region(it, 0, FORMAT_32, &len);
	if (!p)
		return false;
	const uint8_t *q = p + (len >= FORMAT_64 ? 16 : 12);
	*ret = (struct item){
		.fields = get_le32(p + 4),
		.ino = get_le64(q),
		.rdev = get_le32(q + 8),
		.blkno = get_le64(q + 24),
		.len = get_le32(q + 32),
		.boffset = get_le32(q + 36),
	};
	return true;
}

/* --- the core ------------------------------------------------------------------------------------- */

/* Widths of the fields one after another: numbers are turned, the rest is bytes. */
struct field {
	uint8_t off, width;
};

static void turn(uint8_t *to, const uint8_t *from, struct field f)
{
	for (unsigned i = 0; i < f.width; i++)
		to[f.off + i] = from[f.off + f.width - 1 - i];
}

static void core_to_disk(uint8_t *to, const uint8_t *from)
{
	static const struct field common[] = {
		{0, 2}, {2, 2}, {8, 4}, {12, 4}, {16, 4}, {20, 2}, {22, 2}, {56, 8}, {64, 8}, {72, 4}, {76, 4}, {80, 2}, {84, 4},
		{88, 2}, {90, 2}, {92, 4},
	};
	static const struct field old_times[] = {{32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 4}, {52, 4}};
	static const struct field big_times[] = {{32, 8}, {40, 8}, {48, 8}};
	static const struct field v3[] = {{24, 8}, {104, 8}, {120, 8}, {128, 4}, {152, 8}};
	static const struct field old_birth[] = {{144, 4}, {148, 4}};
	bool is_v3 = from[4] == 3, big = is_v3 && get_le64(from + 120) & XFS_DI2_BIGTIME;
	to[4] = from[4];
	to[5] = from[5];
	memset(to + 6, 0, 2);
	to[82] = from[82];
	to[83] = from[83];
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		turn(to, from, common[i]);
	for (size_t i = 0; big && i < sizeof(big_times) / sizeof(big_times[0]); i++)
		turn(to, from, big_times[i]);
	for (size_t i = 0; !big && i < sizeof(old_times) / sizeof(old_times[0]); i++)
		turn(to, from, old_times[i]);
	if (!is_v3) {
		/* What was replayed once counts as never flushed. */
		memset(to + 24, 0, 8);
		return;
	}
	for (size_t i = 0; i < sizeof(v3) / sizeof(v3[0]); i++)
		turn(to, from, v3[i]);
	if (big)
		turn(to, from, (struct field){144, 8});
	for (size_t i = 0; !big && i < sizeof(old_birth) / sizeof(old_birth[0]); i++)
		turn(to, from, old_birth[i]);
	memcpy(to + 132, from + 132, 12);
	memcpy(to + 160, from + 160, 16);
}

/* Was the inode written after this change? */
static bool is_newer(const struct xfs_log *l, const uint8_t *disk, const uint8_t *core, uint64_t lsn)
{
	enum { FLUSH_MAX = 0xFFFF };
	if (l->x->sb.v5) {
		uint64_t own = get_be64(disk + 112);
		return own != 0 && own != UINT64_MAX && own > lsn;
	}
	/* A counter of 16 bits that runs over. */
	uint16_t own = get_be16(disk + 30), logged = get_le16(core + 30);
	return logged < own && !(own == FLUSH_MAX && logged < FLUSH_MAX / 2);
}

/* --- forks ---------------------------------------------------------------------------------------- */

/* The root of a tree as it is in memory: a whole block's header, keys, pointers; in the inode only a short one. */
static bool root_to_disk(const struct xfs_log *l, uint8_t *to, uint32_t size, const uint8_t *from, uint32_t len)
{
	enum { HEAD_V4 = 24, HEAD_V5 = 72, HEAD_DISK = 4, KEY = 8, PTR = 8 };
	uint32_t head = l->x->sb.v5 ? HEAD_V5 : HEAD_V4;
	if (len < head + KEY + PTR || size < HEAD_DISK + KEY + PTR)
		return false;
	uint32_t room = (len - head) / (KEY + PTR), room_disk = (size - HEAD_DISK) / (KEY + PTR), n = get_be16(from + 6);
	if (n > room || n > room_disk)
		return false;
	memcpy(to, from + 4, HEAD_DISK);
	memcpy(to + HEAD_DISK, from + head, (size_t)n * KEY);
	memcpy(to + HEAD_DISK + (size_t)room_disk * KEY, from + head + (size_t)room * KEY, (size_t)n * PTR);
	return true;
}

static bool fork_to_disk(const struct xfs_log *l, uint8_t *to, uint32_t size, const struct log_item *it, uint32_t i,
                         bool is_root)
{
	uint32_t len;
	const uint8_t *from = log_item_region(it, i, 1, &len);
	if (!from)
		return false;
	if (is_root)
		return root_to_disk(l, to, size, from, len);
	if (len > size)
		return false;
	memcpy(to, from, len);
	return true;
}

static bool forks_to_disk(const struct xfs_log *l, uint8_t *disk, const struct log_item *it, const struct item *in)
{
	uint32_t core = disk[4] == 3 ? XFS_CORE_V3 : XFS_CORE_V2, area = l->x->sb.inode_size - core;
	uint32_t forkoff = (uint32_t)disk[82] * 8, next = 2;
	if (forkoff >= area)
		return false;
	uint32_t dsize = forkoff ? forkoff : area;
	if (in->fields & F_DEV)
		put_be32(disk + core, in->rdev);
	if (in->fields & F_DFORK && !fork_to_disk(l, disk + core, dsize, it, next++, in->fields & F_DBROOT))
		return false;
	if (in->fields & F_AFORK)
		return forkoff && fork_to_disk(l, disk + core + forkoff, area - forkoff, it, next, in->fields & F_ABROOT);
	return true;
}

/* --- items ---------------------------------------------------------------------------------------- */

int log_inode_replay(struct xfs_log *l, const struct log_item *it, struct err *e)
{
	const struct xfs_super *sb = &l->x->sb;
	struct item in;
	uint32_t len;
	const uint8_t *core = log_item_region(it, 1, sb->v5 ? CORE_V3 : CORE_V2, &len);
	if (!decode(it, &in) || !core || get_le16(core) != MAGIC || (core[4] == 3) != sb->v5)
		return log_bad_item(l, "an inode's item is damaged");
	if (log_cancelled(l, in.blkno, in.len))
		return 0;
	uint64_t off;
	uint8_t *disk = l->buf;
	if (!u64_mul(in.blkno, XFS_BB, &off) || !u64_add(off, in.boffset, &off) ||
	    !range_inside(off, sb->inode_size, l->dev->size))
		return log_bad_item(l, "an inode lies behind the end of the device");
	int r = blk_read(l->overlay, off, disk, sb->inode_size, e);
	if (r < 0)
		return r;
	if (get_be16(disk) != MAGIC)
		return log_bad_item(l, "an inode is changed that is not there");
	if (is_newer(l, disk, core, it->t->lsn))
		return 0;
	core_to_disk(disk, core);
	if (!forks_to_disk(l, disk, it, &in))
		return log_bad_item(l, "an inode's item is damaged");
	if (sb->v5) {
		put_be64(disk + 112, it->t->lsn);
		put_le32(disk + CRC_OFF, xfs_crc(disk, sb->inode_size, CRC_OFF));
	}
	return blk_overlay_write(l->overlay, off, disk, sb->inode_size, e);
}

/* A fresh chunk: free inodes that know their number. */
static int make_inode(struct xfs_log *l, uint64_t ino, uint32_t gen, struct err *e)
{
	const struct xfs_super *sb = &l->x->sb;
	uint8_t *p = l->buf;
	memset(p, 0, sb->inode_size);
	p[0] = MAGIC >> 8;
	p[1] = MAGIC & 0xFF;
	p[4] = 3;
	put_be32(p + 92, gen);
	put_be32(p + 96, UINT32_MAX);
	put_be64(p + 152, ino);
	memcpy(p + 160, sb->meta_uuid, sizeof(sb->meta_uuid));
	put_le32(p + CRC_OFF, xfs_crc(p, sb->inode_size, CRC_OFF));
	return blk_overlay_write(l->overlay, xfs_ino_off(sb, ino), p, sb->inode_size, e);
}

/* The chunk was freed again if one of its buffers was; they are as long as inodes are read together. */
static bool chunk_cancelled(const struct xfs_log *l, uint64_t fsb, uint32_t blocks)
{
	const struct xfs_super *sb = &l->x->sb;
	uint32_t per_block = sb->block_size / XFS_BB;
	for (uint32_t n = 1; n <= blocks; n *= 2)
		for (uint32_t i = 0; i + n <= blocks; i += n)
			if (log_cancelled(l, xfs_fsb_off(sb, fsb + i) / XFS_BB, n * per_block))
				return true;
	return false;
}

int log_icreate_replay(struct xfs_log *l, const struct log_item *it, struct err *e)
{
	enum { SIZE = 28, COUNT_MAX = 4096 };
	const struct xfs_super *sb = &l->x->sb;
	uint32_t len;
	const uint8_t *p = log_item_region(it, 0, SIZE, &len);
	if (!p || !sb->v5)
		return log_bad_item(l, "the item of an inode chunk is damaged");
	uint32_t ag = get_be32(p + 4), agbno = get_be32(p + 8), count = get_be32(p + 12), blocks = get_be32(p + 20);
	uint64_t fsb = (uint64_t)ag << sb->ag_bits | agbno;
	if (agbno >> sb->ag_bits || count > COUNT_MAX || count == 0 || get_be32(p + 16) != sb->inode_size ||
	    blocks != count >> sb->inopb_bits || !xfs_fsb_ok(sb, fsb, blocks) ||
	    !range_inside(xfs_fsb_off(sb, fsb), (uint64_t)blocks << sb->block_bits, l->dev->size))
		return log_bad_item(l, "the item of an inode chunk is damaged");
	if (chunk_cancelled(l, fsb, blocks))
		return 0;
	int r = 0;
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = make_inode(l, (fsb << sb->inopb_bits) + i, get_be32(p + 24), e);
	return r;
}
