#include "fs/xfs/pending.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	MAGIC = 0x494E,              /* "IN" */
	CRC_OFF = 100,
	NSEC_PER_SEC = 1000000000,
};

/* --- reading -------------------------------------------------------------------------------------- */

static bool chunk_holds(const struct xfs_chunk *c, uint64_t off, uint32_t size)
{
	return c->len && off >= c->off && range_inside(off - c->off, size, c->len);
}

/* Reads a piece around off, aligned to its own size within the device. */
static int chunk_fill(struct xfs_fs *x, struct xfs_chunk *c, uint32_t size, uint64_t off, struct err *e)
{
	if (!range_inside(off, x->sb.inode_size, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module, "an inode would lie behind the end of the device");
	if (!c->data) {
		c->data = malloc(size);
		if (!c->data)
			return err_no_memory(e, module);
	}
	uint64_t start = off - off % size, len = min_u64(size, x->fs.blk->size - start);
	c->len = 0;
	struct err no = ERR_INIT;
	int r = blk_read(x->fs.blk, start, c->data, (size_t)len, &no);
	if (r < 0) {
		/* A bad sector among the neighbours is not this inode's damage. */
		start = off;
		len = x->sb.inode_size;
		r = blk_read(x->fs.blk, start, c->data, (size_t)len, e);
	}
	if (r < 0)
		return r;
	c->off = start;
	c->len = (uint32_t)len;
	return 0;
}

/* Behind what was read last, and near: then somebody is reading on, and a large piece pays. */
static bool reading_on(const struct xfs_chunk *c, uint64_t off)
{
	return c->len && off >= c->off && off - c->off <= c->len + XFS_INODE_CHUNK;
}

static int read_raw(struct xfs_fs *x, uint64_t ino, const uint8_t **ret, struct err *e)
{
	uint64_t off = xfs_ino_off(&x->sb, ino);
	struct xfs_chunk *c = NULL;
	if (chunk_holds(&x->random, off, x->sb.inode_size))
		c = &x->random;
	else if (chunk_holds(&x->stream, off, x->sb.inode_size))
		c = &x->stream;
	if (!c) {
		bool on = reading_on(&x->random, off) || reading_on(&x->stream, off);
		c = on ? &x->stream : &x->random;
		int r = chunk_fill(x, c, on ? XFS_INODE_CHUNK : XFS_INODE_SMALL, off, e);
		if (r < 0)
			return r;
	}
	*ret = c->data + (off - c->off);
	return 0;
}

/* --- decoding ------------------------------------------------------------------------------------- */

static struct fs_time decode_time(const struct xfs_inode *in, const uint8_t *p)
{
	if (in->flags2 & XFS_DI2_BIGTIME) {
		uint64_t ns = get_be64(p);
		return (struct fs_time){.sec = (int64_t)(ns / NSEC_PER_SEC) + INT32_MIN, .nsec = (uint32_t)(ns % NSEC_PER_SEC)};
	}
	uint32_t nsec = get_be32(p + 4);
	return (struct fs_time){.sec = (int32_t)get_be32(p), .nsec = nsec < NSEC_PER_SEC ? nsec : 0};
}

static void decode(uint64_t ino, const uint8_t *raw, struct xfs_inode *in)
{
	*in = (struct xfs_inode){
		.ino = ino,
		.raw = raw,
		.mode = get_be16(raw + 2),
		.version = raw[4],
		.format = raw[5],
		.uid = get_be32(raw + 8),
		.gid = get_be32(raw + 12),
		.links = raw[4] == 1 ? get_be16(raw + 6) : get_be32(raw + 16),
		.size = get_be64(raw + 56),
		.nblocks = get_be64(raw + 64),
		.nextents = get_be32(raw + 76),
		.anextents = get_be16(raw + 80),
		.forkoff = (uint32_t)raw[82] * 8,
		.aformat = raw[83],
		.flags = get_be16(raw + 90),
		.gen = get_be32(raw + 92),
		.core = raw[4] == 3 ? XFS_CORE_V3 : XFS_CORE_V2,
	};
	if (in->version == 3) {
		in->flags2 = get_be64(raw + 120);
		in->btime = decode_time(in, raw + 144);
	}
	if (in->flags2 & XFS_DI2_NREXT64) {
		in->nextents = get_be64(raw + 24);
		in->anextents = get_be32(raw + 76);
	}
	in->atime = decode_time(in, raw + 32);
	in->mtime = decode_time(in, raw + 40);
	in->ctime = decode_time(in, raw + 48);
}

static int damaged(uint64_t ino, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " is damaged: %s", ino, what);
}

static int check_self(const struct xfs_super *sb, uint64_t ino, const uint8_t *raw, struct err *e)
{
	if (get_be16(raw) != MAGIC)
		return damaged(ino, "it has no magic number", e);
	if (sb->v5 ? raw[4] != 3 : raw[4] != 1 && raw[4] != 2)
		return damaged(ino, "its version is unknown", e);
	if (!sb->v5)
		return 0;
	if (!xfs_crc_equal(xfs_crc(raw, sb->inode_size, CRC_OFF), get_le32(raw + CRC_OFF)))
		return damaged(ino, "its checksum is wrong", e);
	if (get_be64(raw + 152) != ino || memcmp(raw + 160, sb->meta_uuid, sizeof(sb->meta_uuid)) != 0)
		return damaged(ino, "it says it is another one", e);
	return 0;
}

/* May an inode of this type keep its data in this form? */
static bool format_fits(const struct xfs_inode *in)
{
	switch (fs_type_from_mode(in->mode)) {
	case FS_FILE: return in->format == XFS_FMT_EXTENTS || in->format == XFS_FMT_BTREE;
	case FS_DIRECTORY:
	case FS_SYMLINK: return in->format >= XFS_FMT_LOCAL && in->format <= XFS_FMT_BTREE;
	default: return in->format == XFS_FMT_DEV;
	}
}

static int check_shape(const struct xfs_super *sb, const struct xfs_inode *in, struct err *e)
{
	if (in->mode == 0)
		return damaged(in->ino, "it is free, yet something leads to it", e);
	if (fs_type_from_mode(in->mode) == FS_UNKNOWN)
		return damaged(in->ino, "its type is unknown", e);
	if (in->size > INT64_MAX)
		return damaged(in->ino, "its size is impossible", e);
	if (in->forkoff >= sb->inode_size - in->core)
		return damaged(in->ino, "its attributes would lie outside of it", e);
	if (!format_fits(in))
		return damaged(in->ino, "its data has a form that does not fit its type", e);
	if (in->flags2 & XFS_DI2_NREXT64 && !(sb->incompat & XFS_NREXT64))
		return damaged(in->ino, "it uses large extent counters, the filesystem does not", e);
	return 0;
}

int xfs_inode_any(struct xfs_fs *x, uint64_t ino, struct xfs_inode *ret, struct err *e)
{
	if (!xfs_ino_ok(&x->sb, ino))
		return err_set(e, ERR_FILE_CORRUPT, module, "there is no inode %" PRIu64, ino);
	const uint8_t *raw = NULL;
	int r = read_raw(x, ino, &raw, e);
	if (r == 0)
		r = check_self(&x->sb, ino, raw, e);
	if (r < 0)
		return r;
	struct xfs_inode in;
	decode(ino, raw, &in);
	xfs_pending_size(x, &in);
	r = check_shape(&x->sb, &in, e);
	if (r == 0)
		*ret = in;
	return r;
}

bool xfs_ino_nameable(const struct xfs_super *sb, uint64_t ino)
{
	for (size_t i = 0; i < XFS_HIDDEN; i++)
		if (ino == sb->hidden[i] && ino != sb->rootino)
			return false;
	return xfs_ino_ok(sb, ino);
}

int xfs_inode_get(struct xfs_fs *x, uint64_t ino, struct xfs_inode *ret, struct err *e)
{
	if (!xfs_ino_nameable(&x->sb, ino))
		return err_set(e, ERR_FILE_CORRUPT, module, "%" PRIu64 " is not the number of an inode a name may have", ino);
	int r = xfs_inode_any(x, ino, ret, e);
	if (r < 0)
		return r;
	if (ret->links == 0)
		return damaged(ino, "it is deleted, yet a name leads to it", e);
	if (x->sb.incompat & XFS_METADIR && ret->flags2 & XFS_DI2_METADATA)
		return damaged(ino, "it belongs to the filesystem itself, yet a name leads to it", e);
	return 0;
}

/* --- stat ----------------------------------------------------------------------------------------- */

/* As IRIX had it: 14 bits of major, 18 of minor number. */
static void decode_rdev(const struct xfs_inode *in, struct fs_stat *st)
{
	uint32_t v = get_be32(in->raw + in->core);
	st->rdev_major = v >> 18;
	st->rdev_minor = v & 0x3FFFF;
}

int xfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	struct xfs_inode in;
	int r = xfs_inode_get(x, id.ino, &in, e);
	if (r < 0)
		return r;
	struct fs_stat st = {
		.id = {.ino = in.ino},
		.type = fs_type_from_mode(in.mode),
		.valid = FS_HAS_MODE | FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_CTIME | (in.version == 3 ? FS_HAS_BTIME : 0u),
		.mode = in.mode & 07777,
		.uid = in.uid,
		.gid = in.gid,
		.nlink = in.links,
		.size = in.size,
		.mtime = in.mtime,
		.atime = in.atime,
		.ctime = in.ctime,
		.btime = in.btime,
	};
	if (!u64_mul(in.nblocks, x->sb.block_size, &st.allocated))
		st.allocated = 0;
	if (st.type == FS_BLOCK || st.type == FS_CHAR)
		decode_rdev(&in, &st);
	*ret = st;
	return 0;
}
