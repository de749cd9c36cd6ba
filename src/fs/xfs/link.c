#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	MAGIC = 0x58534C4D,          /* "XSLM" */
	HEAD = 56,                   /* before each piece of a target, version 5 */
};

static int damaged(uint64_t ino, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the target of link %" PRIu64 " is damaged: %s", ino, what);
}

static int check_head(const struct xfs_map *m, const uint8_t *p, size_t len, uint64_t dev_off, size_t done, struct err *e)
{
	if (get_be32(p) != MAGIC)
		return damaged(m->ino, "a block has no magic number", e);
	const char *bad = xfs_head_bad(m->x, &xfs_head_remote, p, len, dev_off, m->ino);
	if (bad)
		return err_set(e, ERR_FILE_CORRUPT, module, "the target of link %" PRIu64 " is damaged: its %s is wrong", m->ino, bad);
	if (get_be32(p + 4) != done || get_be32(p + 8) > len - HEAD || get_be32(p + 8) == 0)
		return damaged(m->ino, "a block holds another piece", e);
	return 0;
}

/* A piece is an extent, with one header before its bytes. */
static int read_pieces(struct xfs_map *m, size_t size, uint8_t *block, struct buf *ret, struct err *e)
{
	const struct xfs_super *sb = &m->x->sb;
	size_t head = sb->v5 ? HEAD : 0, done = 0;
	for (uint64_t lblk = 0; done < size;) {
		struct xfs_run run;
		uint64_t off;
		/* As many blocks as if each had a header. */
		uint64_t want = (size - done + sb->block_size - head - 1) / (sb->block_size - head);
		int r = xfs_map_run(m, lblk, want, &run, e);
		if (r == 0)
			r = xfs_map_read(m, lblk, run.len, block, &off, e);
		size_t len = (size_t)run.len << sb->block_bits;
		if (r == 0 && sb->v5)
			r = check_head(m, block, len, off, done, e);
		if (r < 0)
			return r;
		size_t n = min_size(size - done, sb->v5 ? get_be32(block + 8) : len);
		buf_add(ret, block + head, n);
		done += n;
		lblk += run.len;
	}
	return buf_ok(ret, module, e);
}

int xfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	struct xfs_inode in;
	int r = xfs_inode_get(x, id.ino, &in, e);
	if (r < 0)
		return r;
	if (fs_type_from_mode(in.mode) != FS_SYMLINK)
		return err_set(e, ERR_INVALID, module, "inode %" PRIu64 " is not a symbolic link", in.ino);
	if (in.size == 0 || in.size > XFS_LINK_BYTES)
		return damaged(in.ino, "its length is impossible", e);
	struct xfs_map m;
	r = xfs_map_init(&m, x, &in, XFS_DATA, e);
	if (r < 0)
		return r;
	if (m.format == XFS_FMT_LOCAL) {
		buf_add(ret, xfs_map_local(&m), (size_t)in.size);
		return buf_ok(ret, module, e);
	}
	/* The target and a header, in whole blocks. */
	uint8_t *block = malloc(x->sb.block_size + 2 * XFS_LINK_BYTES);
	r = block ? read_pieces(&m, (size_t)in.size, block, ret, e) : err_no_memory(e, module);
	free(block);
	xfs_map_fini(&m);
	return r;
}
