#include "fs/xfs/xfs.h"

#include "fs/features.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	CRC_OFF = 224,
	VERSION_NUM = 0xF,
	VERSION_DIRV2 = 0x2000,
	VERSION_ASCII_CI = 0x4000,
	VERSION_MORE = 0x8000,
	FEATURES2_FTYPE = 0x200,
	AG_BLOCKS_MIN = 64,
};

static const uint64_t no_inode = UINT64_MAX;

/* --- features ------------------------------------------------------------------------------------- */

static const struct fs_feature incompat_names[] = {
	{XFS_NEEDSREPAIR, "needsrepair (xfs_repair has to be run in the VM)"},
	{0x200, "zoned"},
	{0x400, "zone_gaps"},
};

static int unsupported(uint32_t bits, struct err *e)
{
	return fs_features_unsupported(bits, incompat_names, sizeof(incompat_names) / sizeof(incompat_names[0]), module, e);
}

/* --- decoding ------------------------------------------------------------------------------------- */

static int corrupt(struct err *e, const char *what, uint64_t value)
{
	return err_set(e, ERR_FS_CORRUPT, module, "the superblock is damaged: %s is %llu", what, (unsigned long long)value);
}

static void decode_v5(const uint8_t *raw, struct xfs_super *s)
{
	s->ro_compat = get_be32(raw + 212);
	s->incompat = get_be32(raw + 216);
	s->log_incompat = get_be32(raw + 220);
	s->ftype = s->incompat & XFS_FTYPE;
	s->hidden[4] = get_be64(raw + 232);
	if (s->incompat & XFS_META_UUID)
		memcpy(s->meta_uuid, raw + 248, sizeof(s->meta_uuid));
	if (s->incompat & XFS_METADIR)
		s->hidden[5] = get_be64(raw + 264);
}

static void decode_fields(const uint8_t *raw, struct xfs_super *s)
{
	uint16_t version = get_be16(raw + 100);
	s->block_size = get_be32(raw + 4);
	s->dblocks = get_be64(raw + 8);
	memcpy(s->uuid, raw + 32, sizeof(s->uuid));
	memcpy(s->meta_uuid, s->uuid, sizeof(s->uuid));
	s->logstart = get_be64(raw + 48);
	s->rootino = get_be64(raw + 56);
	s->hidden[0] = get_be64(raw + 64);
	s->hidden[1] = get_be64(raw + 72);
	s->hidden[2] = get_be64(raw + 160);
	s->hidden[3] = get_be64(raw + 168);
	s->agblocks = get_be32(raw + 84);
	s->agcount = get_be32(raw + 88);
	s->logblocks = get_be32(raw + 96);
	s->sector_size = get_be16(raw + 102);
	s->inode_size = get_be16(raw + 104);
	memcpy(s->label, raw + 108, sizeof(s->label));
	s->block_bits = raw[120];
	s->inode_bits = raw[122];
	s->inopb_bits = raw[123];
	s->ag_bits = raw[124];
	s->dir_bits = raw[192];
	s->v5 = (version & VERSION_NUM) == 5;
	s->ascii_ci = version & VERSION_ASCII_CI;
	/* Some old kernels put the second word of features four bytes further on. */
	if (version & VERSION_MORE)
		s->ftype = (get_be32(raw + 200) | get_be32(raw + 204)) & FEATURES2_FTYPE;
	if (s->v5)
		decode_v5(raw, s);
}

static int check_sizes(const uint8_t *raw, struct xfs_super *s, struct err *e)
{
	if (s->block_bits < 9 || s->block_bits > 16 || s->block_size != (uint32_t)1 << s->block_bits)
		return corrupt(e, "the block size", s->block_size);
	if (raw[121] < 9 || raw[121] > 15 || s->sector_size != (uint32_t)1 << raw[121] || s->sector_size > s->block_size)
		return corrupt(e, "the sector size", s->sector_size);
	if (s->inode_bits < (s->v5 ? 9 : 8) || s->inode_bits > 11 || s->inode_size != (uint32_t)1 << s->inode_bits ||
	    s->inode_bits > s->block_bits)
		return corrupt(e, "the inode size", s->inode_size);
	if (s->inopb_bits != s->block_bits - s->inode_bits)
		return corrupt(e, "the number of inodes in a block", (uint64_t)1 << (s->inopb_bits & 63));
	if (s->dir_bits + s->block_bits > 16)
		return corrupt(e, "the logarithm of the directory block size", (uint64_t)s->dir_bits + s->block_bits);
	s->inode_per_block = (uint32_t)1 << s->inopb_bits;
	s->dir_size = s->block_size << s->dir_bits;
	return 0;
}

static int check_groups(struct xfs_super *s, struct err *e)
{
	if (s->agblocks < AG_BLOCKS_MIN || s->ag_bits > 31 || s->agblocks > (uint64_t)1 << s->ag_bits ||
	    s->agblocks <= (uint64_t)1 << s->ag_bits >> 1)
		return corrupt(e, "the size of an allocation group", s->agblocks);
	if (s->agcount == 0 || s->dblocks > (uint64_t)s->agcount * s->agblocks ||
	    s->dblocks <= (uint64_t)(s->agcount - 1) * s->agblocks)
		return corrupt(e, "the number of allocation groups", s->agcount);
	if (s->dblocks > (uint64_t)INT64_MAX >> s->block_bits)
		return corrupt(e, "the number of blocks", s->dblocks);
	if (s->logstart && !xfs_fsb_ok(s, s->logstart, s->logblocks))
		return corrupt(e, "the place of the log", s->logstart);
	return 0;
}

int xfs_super_decode(const uint8_t *raw, size_t len, struct xfs_super *ret, struct err *e)
{
	if (get_be32(raw) != XFS_MAGIC)
		return err_set(e, ERR_FS_CORRUPT, module, "there is no superblock");
	unsigned version = get_be16(raw + 100) & VERSION_NUM;
	struct xfs_super s = {0};
	decode_fields(raw, &s);
	if (version != 4 && version != 5)
		return version >= 1 && version <= 3
		               ? err_set(e, ERR_FS_UNSUPPORTED, module, "XFS of version %u cannot be read", version)
		               : corrupt(e, "the version", version);
	if (s.v5 && (s.sector_size > len || s.sector_size < XFS_SUPER_SIZE))
		return corrupt(e, "the sector size", s.sector_size);
	if (s.v5 && !xfs_crc_equal(xfs_crc(raw, s.sector_size, CRC_OFF), get_le32(raw + CRC_OFF)))
		return err_set(e, ERR_FS_CORRUPT, module, "the checksum of the superblock is wrong");
	if (s.incompat & ~(uint32_t)XFS_INCOMPAT_KNOWN)
		return unsupported(s.incompat & ~(uint32_t)XFS_INCOMPAT_KNOWN, e);
	if (!s.v5 && !(get_be16(raw + 100) & VERSION_DIRV2))
		return err_set(e, ERR_FS_UNSUPPORTED, module, "directories of version 1 cannot be read");
	int r = check_sizes(raw, &s, e);
	if (r == 0)
		r = check_groups(&s, e);
	if (r == 0)
		*ret = s;
	return r;
}

void xfs_super_names(const uint8_t *raw, struct xfs_super *ret)
{
	decode_fields(raw, ret);
}

/* --- finding it ----------------------------------------------------------------------------------- */

struct finder {
	struct blk *b;
	uint8_t raw[XFS_SECTOR_MAX];
};

/* What the device has of the largest sector at off, behind its end zeroes. */
static int read_raw(struct finder *f, uint64_t off, struct err *e)
{
	memset(f->raw, 0, sizeof(f->raw));
	if (off >= f->b->size)
		return 0;
	return blk_read(f->b, off, f->raw, (size_t)min_u64(sizeof(f->raw), f->b->size - off), e);
}

/* Is there a copy of a superblock that says its groups are this long? */
static int try_copy(struct finder *f, uint64_t ag_bytes, uint64_t group, struct xfs_super *ret, struct err *e)
{
	uint64_t off;
	uint8_t magic[4];
	if (!u64_mul(ag_bytes, group, &off) || !range_inside(off, XFS_SUPER_SIZE, f->b->size))
		return 0;
	int r = blk_read(f->b, off, magic, sizeof(magic), e);
	if (r < 0 || get_be32(magic) != XFS_MAGIC)
		return r;
	r = read_raw(f, off, e);
	if (r < 0)
		return r;
	struct err no = ERR_INIT;
	struct xfs_super s;
	if (xfs_super_decode(f->raw, sizeof(f->raw), &s, &no) < 0 || (uint64_t)s.agblocks << s.block_bits != ag_bytes ||
	    group >= s.agcount)
		return 0;
	*ret = s;
	return 1;
}

/* mkfs writes the root's number only into some of the copies. */
static int with_root(struct finder *f, struct xfs_super *s, struct err *e)
{
	enum { TRIES = 64 };
	uint64_t ag_bytes = (uint64_t)s->agblocks << s->block_bits;
	uint32_t order[TRIES] = {s->agcount / 2, s->agcount - 1};
	for (uint32_t i = 2; i < TRIES; i++)
		order[i] = i - 1;
	for (size_t i = 0; i < TRIES && s->rootino == no_inode; i++) {
		struct xfs_super other;
		int r = order[i] == 0 || order[i] >= s->agcount ? 0 : try_copy(f, ag_bytes, order[i], &other, e);
		if (r < 0)
			return r;
		if (r == 1)
			s->rootino = other.rootino;
	}
	return s->rootino != no_inode;
}

/* Groups as long as the damaged superblock says, or as mkfs makes them on a device of this size. */
static int find_copy(struct finder *f, struct xfs_super *ret, struct err *e)
{
	static const unsigned parts[] = {4, 2, 8, 16, 32};
	uint64_t said = (uint64_t)get_be32(f->raw + 84) * get_be32(f->raw + 4);
	int r = said >= XFS_SUPER_SIZE ? try_copy(f, said, 1, ret, e) : 0;
	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t last = 0;
		for (unsigned bits = 9; r == 0 && bits <= 16; bits++) {
			uint64_t len = ((f->b->size >> bits) + parts[i] - 1) / parts[i] << bits;
			if (len != last && len >= XFS_SUPER_SIZE)
				r = try_copy(f, len, 1, ret, e);
			last = len;
		}
	}
	if (r == 0)
		r = try_copy(f, (uint64_t)1 << 40, 1, ret, e);
	return r == 1 ? with_root(f, ret, e) : r;
}

static bool is_empty(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static int find(struct finder *f, struct xfs_super *ret, struct err *ret_why, struct err *e)
{
	int r = read_raw(f, 0, e);
	if (r < 0)
		return r;
	struct err why = ERR_INIT;
	if (xfs_super_decode(f->raw, sizeof(f->raw), ret, &why) == 0)
		return 1;
	/* Another filesystem's copies may survive beneath a new one: an absent superblock counts as damaged only where
	 * nothing else claims the start of the device. */
	bool magic = get_be32(f->raw) == XFS_MAGIC;
	if (!magic && !is_empty(f->raw, XFS_SUPER_SIZE))
		return 0;
	r = why.code == ERR_FS_CORRUPT ? find_copy(f, ret, e) : 0;
	if (r == 1 || (r == 0 && magic))
		*ret_why = why;
	return r;
}

int xfs_super_find(struct blk *b, struct xfs_super *ret, struct err *ret_why, struct err *e)
{
	if (b->size < XFS_SUPER_SIZE)
		return 0;
	struct finder *f = malloc(sizeof(*f));
	if (!f)
		return err_no_memory(e, module);
	f->b = b;
	int r = find(f, ret, ret_why, e);
	free(f);
	return r;
}
