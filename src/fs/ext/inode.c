#include "fs/ext/ext.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

enum {
	GOOD_OLD_SIZE = 128,
	MODE_TYPE = 0170000,
	MODE_FILE = 0100000,
};

/* --- the table ------------------------------------------------------------------------------------ */

static bool chunk_holds(const struct ext_chunk *c, uint32_t group, uint32_t off, uint32_t size)
{
	return c->len && c->group == group && off >= c->off && range_inside(off - c->off, size, c->len);
}

/* Reads a piece of the table at `off`, aligned to its own size, as much as the table and the device have. */
static int chunk_fill(struct ext_fs *x, struct ext_chunk *c, uint32_t size, uint32_t group, uint32_t off,
                      struct err *e)
{
	uint64_t itable;
	int r = ext_group_itable(x, group, &itable, e);
	if (r < 0)
		return r;
	if (size < x->sb.inode_size)
		size = x->sb.inode_size;
	if (!c->data) {
		c->data = malloc(size);
		if (!c->data)
			return err_no_memory(e, module);
	}
	uint32_t start = off - off % size;
	uint64_t table = (uint64_t)x->sb.inodes_per_group * x->sb.inode_size;
	uint64_t at = (itable << x->sb.block_bits) + start;
	if (at >= x->fs.blk->size || x->fs.blk->size - at < off - start + x->sb.inode_size)
		return err_set(e, ERR_FILE_CORRUPT, module,
		               "the inode table of block group %" PRIu32 " lies behind the end of the device", group);
	uint64_t len = min_u64(min_u64(size, table - start), x->fs.blk->size - at);
	c->len = 0;
	r = blk_read(x->fs.blk, at, c->data, (size_t)len, e);
	if (r < 0)
		return r;
	c->group = group;
	c->off = start;
	c->len = (uint32_t)len;
	return 0;
}

/* Behind what was read last, and near: then somebody is reading on, and a large piece pays. */
static bool reading_on(const struct ext_chunk *c, uint32_t group, uint32_t off)
{
	return c->len && c->group == group && off >= c->off && off - c->off <= c->len + EXT_INODE_CHUNK;
}

static bool ino_place(const struct ext_fs *x, uint32_t ino, uint32_t *ret_group, uint32_t *ret_off, struct err *e)
{
	if (ino == 0 || ino > x->sb.inodes) {
		(void)err_set(e, ERR_FILE_CORRUPT, module, "there is no inode %" PRIu32, ino);
		return false;
	}
	*ret_group = (ino - 1) / x->sb.inodes_per_group;
	*ret_off = (ino - 1) % x->sb.inodes_per_group * x->sb.inode_size;
	return true;
}

int ext_inode_raw(struct ext_fs *x, uint32_t ino, const uint8_t **ret, struct err *e)
{
	uint32_t group, off;
	if (!ino_place(x, ino, &group, &off, e))
		return e->code;
	struct ext_chunk *c = NULL;
	if (chunk_holds(&x->random, group, off, x->sb.inode_size))
		c = &x->random;
	else if (chunk_holds(&x->stream, group, off, x->sb.inode_size))
		c = &x->stream;
	if (!c) {
		bool on = reading_on(&x->random, group, off) || reading_on(&x->stream, group, off);
		c = on ? &x->stream : &x->random;
		int r = chunk_fill(x, c, on ? EXT_INODE_CHUNK : EXT_INODE_SMALL, group, off, e);
		if (r < 0)
			return r;
	}
	*ret = c->data + (off - c->off);
	return 0;
}

int ext_inode_where(struct ext_fs *x, uint32_t ino, uint64_t *ret, struct err *e)
{
	uint32_t group, off;
	uint64_t itable;
	if (!ino_place(x, ino, &group, &off, e))
		return e->code;
	int r = ext_group_itable(x, group, &itable, e);
	if (r == 0)
		*ret = (itable << x->sb.block_bits) + off;
	return r;
}

/* --- decoding ------------------------------------------------------------------------------------- */

/* Is the field of `size` bytes at `off` (from the start of the inode) within the part in use? */
static bool has_field(const struct ext_super *sb, const uint8_t *raw, uint32_t off, uint32_t size)
{
	return sb->inode_size > GOOD_OLD_SIZE && off + size <= GOOD_OLD_SIZE + (uint32_t)get_le16(raw + 0x80) &&
	       off + size <= sb->inode_size;
}

uint32_t ext_inode_csum(const struct ext_fs *x, uint32_t ino, const uint8_t *raw, bool *ret_wide)
{
	static const uint8_t zero[2];
	uint32_t crc = ext_inode_seed(&x->sb, ino, get_le32(raw + 0x64));
	crc = crc32c(crc, raw, 0x7C);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, raw + 0x7E, GOOD_OLD_SIZE - 0x7E);
	*ret_wide = has_field(&x->sb, raw, 0x82, 2);
	if (x->sb.inode_size == GOOD_OLD_SIZE)
		return crc;
	crc = crc32c(crc, raw + 0x80, 2);
	if (*ret_wide)
		crc = crc32c(crc, zero, sizeof(zero));
	else
		crc = crc32c(crc, raw + 0x82, 2);
	return crc32c(crc, raw + 0x84, x->sb.inode_size - 0x84);
}

static bool csum_ok(const struct ext_fs *x, uint32_t ino, const uint8_t *raw)
{
	bool wide;
	uint32_t crc = ext_inode_csum(x, ino, raw, &wide);
	if (!wide)
		return ext_csum_equal(crc & 0xFFFF, get_le16(raw + 0x7C));
	return ext_csum_equal(crc, get_le16(raw + 0x7C) | (uint32_t)get_le16(raw + 0x82) << 16);
}

/* 32 bits of seconds, and where there is room 2 more bits and the nanoseconds. */
static struct fs_time decode_time(const struct ext_super *sb, const uint8_t *raw, uint32_t off, uint32_t extra_off)
{
	struct fs_time t = {.sec = (int32_t)get_le32(raw + off)};
	if (has_field(sb, raw, extra_off, 4)) {
		uint32_t extra = get_le32(raw + extra_off);
		t.sec += (int64_t)(extra & 3) << 32;
		t.nsec = extra >> 2 < 1000000000 ? extra >> 2 : 0;
	}
	return t;
}

static uint64_t decode_allocated(const struct ext_super *sb, const uint8_t *raw, uint32_t flags)
{
	uint64_t n = get_le32(raw + 0x1C);
	if (!(sb->ro_compat & EXT_HUGE_FILE))
		return n * 512;
	n |= (uint64_t)get_le16(raw + 0x74) << 32;
	return flags & EXT_FL_HUGE_FILE ? n << sb->block_bits : n * 512;
}

static void decode(const struct ext_super *sb, uint32_t ino, const uint8_t *raw, struct ext_inode *in)
{
	in->ino = ino;
	in->mode = get_le16(raw);
	in->uid = get_le16(raw + 0x2) | (uint32_t)get_le16(raw + 0x78) << 16;
	in->gid = get_le16(raw + 0x18) | (uint32_t)get_le16(raw + 0x7A) << 16;
	in->size = get_le32(raw + 0x4);
	if ((in->mode & MODE_TYPE) == MODE_FILE || sb->incompat & EXT_LARGEDIR)
		in->size |= (uint64_t)get_le32(raw + 0x6C) << 32;
	in->dtime = get_le32(raw + 0x14);
	in->links = get_le16(raw + 0x1A);
	in->flags = get_le32(raw + 0x20);
	in->generation = get_le32(raw + 0x64);
	in->file_acl = get_le32(raw + 0x68);
	if (sb->incompat & EXT_64BIT)
		in->file_acl |= (uint64_t)get_le16(raw + 0x76) << 32;
	in->allocated = decode_allocated(sb, raw, in->flags);
	in->extra_isize = sb->inode_size > GOOD_OLD_SIZE ? get_le16(raw + 0x80) : 0;
	in->ctime = decode_time(sb, raw, 0x0C, 0x84);
	in->mtime = decode_time(sb, raw, 0x10, 0x88);
	in->atime = decode_time(sb, raw, 0x08, 0x8C);
	in->has_btime = has_field(sb, raw, 0x90, 4);
	in->btime = in->has_btime ? decode_time(sb, raw, 0x90, 0x94) : (struct fs_time){0};
	memcpy(in->i_block, raw + 0x28, sizeof(in->i_block));
	/* The kernel counts the bytes of a file kept inside the inode as sectors. */
	if ((in->mode & MODE_TYPE) == MODE_FILE && in->flags & EXT_FL_INLINE_DATA && sb->incompat & EXT_INLINE_DATA)
		in->allocated += (in->size + 511) / 512 * 512;
}

int ext_inode_any(struct ext_fs *x, uint32_t ino, struct ext_inode *ret, struct err *e)
{
	const uint8_t *raw = NULL;
	int r = ext_inode_raw(x, ino, &raw, e);
	if (r < 0)
		return r;
	if (ext_has_csum(x) && !csum_ok(x, ino, raw))
		return err_set(e, ERR_FILE_CORRUPT, module, "the checksum of inode %" PRIu32 " is wrong", ino);
	decode(&x->sb, ino, raw, ret);
	if (x->sb.inode_size > GOOD_OLD_SIZE &&
	    (ret->extra_isize > x->sb.inode_size - GOOD_OLD_SIZE || ret->extra_isize % 4 != 0))
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " says it has %" PRIu32 " extra bytes", ino,
		               ret->extra_isize);
	if (ret->size > INT64_MAX)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " says it has %" PRIu64 " bytes", ino, ret->size);
	return 0;
}

bool ext_ino_nameable(const struct ext_fs *x, uint64_t ino)
{
	return ino == EXT_ROOT_INO || (ino >= x->sb.first_ino && ino <= x->sb.inodes);
}

int ext_inode_get(struct ext_fs *x, uint64_t ino, struct ext_inode *ret, struct err *e)
{
	if (!ext_ino_nameable(x, ino))
		return err_set(e, ERR_FILE_CORRUPT, module, "%" PRIu64 " is not the number of an inode a name may have", ino);
	int r = ext_inode_any(x, (uint32_t)ino, ret, e);
	if (r < 0)
		return r;
	if (ret->links == 0 || ret->mode == 0)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " is deleted, yet a name leads to it", ino);
	if (fs_type_from_mode(ret->mode) == FS_UNKNOWN)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " has no known type (mode %o)", ino, ret->mode);
	if (ret->flags & EXT_FL_EA_INODE && x->sb.incompat & EXT_EA_INODE)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " holds an attribute, yet a name leads to it", ino);
	return 0;
}

/* --- stat ----------------------------------------------------------------------------------------- */

/* Old 16-bit numbers in the first word, else the new ones in the second. */
static void decode_rdev(const uint8_t *i_block, struct fs_stat *st)
{
	uint32_t v = get_le32(i_block);
	if (v) {
		st->rdev_major = v >> 8 & 0xFF;
		st->rdev_minor = v & 0xFF;
		return;
	}
	v = get_le32(i_block + 4);
	st->rdev_major = v >> 8 & 0xFFF;
	st->rdev_minor = (v & 0xFF) | (v >> 12 & 0xFFF00);
}

int ext_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	struct ext_inode in;
	int r = ext_inode_get(x, id.ino, &in, e);
	if (r < 0)
		return r;
	struct fs_stat st = {
		.id = id,
		.type = fs_type_from_mode(in.mode),
		.valid = FS_HAS_MODE | FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_CTIME | (in.has_btime ? FS_HAS_BTIME : 0u),
		.mode = in.mode & 07777,
		.uid = in.uid,
		.gid = in.gid,
		.nlink = in.links,
		.size = in.size,
		.allocated = in.allocated,
		.mtime = in.mtime,
		.atime = in.atime,
		.ctime = in.ctime,
		.btime = in.btime,
		.encrypted = in.flags & EXT_FL_ENCRYPT && x->sb.incompat & EXT_ENCRYPT,
	};
	if (st.type == FS_BLOCK || st.type == FS_CHAR)
		decode_rdev(in.i_block, &st);
	*ret = st;
	return 0;
}
