#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	BLOCK_V4 = 0x58443242,       /* "XD2B": one block with its index */
	BLOCK_V5 = 0x58444233,       /* "XDB3" */
	DATA_V4 = 0x58443244,        /* "XD2D" */
	DATA_V5 = 0x58444433,        /* "XDD3" */
	START_V4 = 16,
	START_V5 = 64,
	FREE_TAG = 0xFFFF,
	TAIL = 8,                    /* of the block form: number of index entries, of stale ones */
	INDEX = 8,                   /* bytes of an index entry */
	DATA_SPACE_BITS = 35,        /* entries lie below, the hash index above */
};

int xfs_dir_open(struct xfs_dir *d, struct xfs_fs *x, struct fs_id id, struct err *e)
{
	struct xfs_inode in;
	int r = xfs_inode_get(x, id.ino, &in, e);
	if (r < 0)
		return r;
	if (fs_type_from_mode(in.mode) != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, module, "inode %" PRIu64 " is not a directory", in.ino);
	d->x = x;
	d->ino = in.ino;
	d->size = in.size;
	return xfs_map_init(&d->map, x, &in, XFS_DATA, e);
}

void xfs_dir_close(struct xfs_dir *d)
{
	xfs_map_fini(&d->map);
}

/* --- blocks --------------------------------------------------------------------------------------- */

size_t xfs_data_start(const struct xfs_super *sb)
{
	return sb->v5 ? START_V5 : START_V4;
}

static int damaged(const struct xfs_dir *d, uint64_t lblk, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "block %" PRIu64 " of directory %" PRIu64 " is damaged: %s", lblk, d->ino,
	               what);
}

int xfs_data_open(const struct xfs_dir *d, const uint8_t *p, uint64_t lblk, uint64_t dev_off, bool *ret_block_form,
                  size_t *ret_end, struct err *e)
{
	const struct xfs_super *sb = &d->x->sb;
	uint32_t magic = get_be32(p);
	bool block = magic == (sb->v5 ? BLOCK_V5 : BLOCK_V4);
	if (!block && magic != (sb->v5 ? DATA_V5 : DATA_V4))
		return damaged(d, lblk, "it has no magic number", e);
	const char *bad = sb->v5 ? xfs_head_bad(d->x, &xfs_head_data, p, sb->dir_size, dev_off, d->ino) : NULL;
	if (bad)
		return err_set(e, ERR_FILE_CORRUPT, module, "the %s in block %" PRIu64 " of directory %" PRIu64 " is wrong", bad, lblk,
		               d->ino);
	size_t end = sb->dir_size;
	if (block) {
		uint32_t count = get_be32(p + end - TAIL);
		if (count > (end - TAIL - xfs_data_start(sb)) / INDEX)
			return damaged(d, lblk, "its index is too large", e);
		end -= TAIL + (size_t)count * INDEX;
	}
	*ret_block_form = block;
	*ret_end = end;
	return 0;
}

bool xfs_data_entry(const struct xfs_super *sb, const uint8_t *p, size_t end, size_t at, struct xfs_dent *ret,
                    size_t *ret_len)
{
	enum { HEAD = 9, TAG = 2, FREE_MIN = 8 };
	*ret = (struct xfs_dent){0};
	if (at % 8 != 0 || !range_inside(at, FREE_MIN, end))
		return false;
	if (get_be16(p + at) == FREE_TAG) {
		*ret_len = get_be16(p + at + 2);
		return *ret_len >= FREE_MIN && *ret_len % 8 == 0 && range_inside(at, *ret_len, end);
	}
	size_t name = p[at + 8], len = (HEAD + name + (sb->ftype ? 1u : 0u) + TAG + 7) & ~(size_t)7;
	if (!range_inside(at, len, end) || name == 0)
		return false;
	*ret_len = len;
	ret->ino = get_be64(p + at);
	ret->name = p + at + HEAD;
	ret->len = (uint8_t)name;
	ret->ftype = sb->ftype ? p[at + HEAD + name] : 0;
	return true;
}

static int report_damage(xfs_dent_fn *fn, void *arg, uint64_t next, const struct err *why)
{
	struct xfs_dent de = {.next = next, .damage = why};
	return fn(arg, &de);
}

/* Entries of a block from byte `from` on. Walks from the block's start: a cookie nobody handed out must not show what
 * lies inside a name. */
static int scan_block(const struct xfs_dir *d, const uint8_t *p, uint64_t lblk, uint64_t dev_off, size_t from,
                      xfs_dent_fn *fn, void *arg)
{
	const struct xfs_super *sb = &d->x->sb;
	uint64_t base = lblk << sb->block_bits;
	struct err why = ERR_INIT;
	bool block;
	size_t end;
	if (xfs_data_open(d, p, lblk, dev_off, &block, &end, &why) < 0)
		return report_damage(fn, arg, base + sb->dir_size, &why);
	for (size_t at = xfs_data_start(sb); at < end;) {
		struct xfs_dent de;
		size_t len = 0;
		if (!xfs_data_entry(sb, p, end, at, &de, &len)) {
			(void)damaged(d, lblk, "an entry is cut off", &why);
			return report_damage(fn, arg, base + sb->dir_size, &why);
		}
		at += len;
		de.next = base + at;
		int r = de.name && at > from ? fn(arg, &de) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* --- inline directories --------------------------------------------------------------------------- */

/* Number of entries, number of those with 8-byte inodes, parent; then name length, offset, name, type, inode. */
int xfs_short_scan(struct xfs_dir *d, uint64_t cookie, xfs_dent_fn *fn, void *arg)
{
	const uint8_t *p = xfs_map_local(&d->map);
	size_t size = (size_t)d->size, wide = size > 1 && p[1] ? 8 : 4, at = 2 + wide;
	unsigned type = d->x->sb.ftype ? 1 : 0, count = size > 1 ? p[0] : 0;
	struct err why = ERR_INIT;
	for (unsigned i = 0; i < count; i++) {
		size_t name = at < size ? p[at] : 0, len = 3 + name + type + wide;
		if (name == 0 || !range_inside(at, len, size)) {
			(void)err_set(&why, ERR_FILE_CORRUPT, module, "directory %" PRIu64 " is cut off", d->ino);
			return cookie > size ? 0 : report_damage(fn, arg, size + 1, &why);
		}
		const uint8_t *ino = p + at + 3 + name + type;
		struct xfs_dent de = {
			.ino = wide == 8 ? get_be64(ino) : get_be32(ino),
			.name = p + at + 3,
			.len = (uint8_t)name,
			.ftype = type ? p[at + 3 + name] : 0,
			.next = at + len,
		};
		at += len;
		int r = at > cookie ? fn(arg, &de) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* --- whole directories ---------------------------------------------------------------------------- */

struct scan {
	struct xfs_dir *d;
	uint8_t *buf;
	uint32_t buf_blocks;
	xfs_dent_fn *fn;
	void *arg;
};

/* Reads the directory blocks at lblk: as many as lie together, or one in pieces. *ret: blocks read. */
static int read_some(struct scan *s, uint64_t lblk, const struct xfs_run *run, uint64_t *ret, uint64_t *ret_off,
                     struct err *e)
{
	uint64_t per = (uint64_t)1 << s->d->x->sb.dir_bits, n = min_u64(run->len, s->buf_blocks);
	n = n < per ? per : n - n % per;
	*ret = per;
	int r = xfs_map_read(&s->d->map, lblk, n, s->buf, ret_off, e);
	if (r == 0)
		*ret = n;
	return r;
}

static int scan_some(struct scan *s, uint64_t lblk, uint64_t blocks, size_t from, uint64_t *ret, struct err *e)
{
	const struct xfs_super *sb = &s->d->x->sb;
	uint64_t per = (uint64_t)1 << sb->dir_bits, off = 0;
	struct xfs_run run;
	int r = xfs_map_run(&s->d->map, lblk, blocks - lblk, &run, e);
	if (r < 0) {
		/* Whole directory blocks, the one in which it ends included. */
		uint64_t left = min_u64(s->d->map.bad_end, blocks) - lblk;
		*ret = left + (per - left % per) % per;
		return r;
	}
	if (run.hole && !run.unwritten) {
		*ret = run.len < per ? per : run.len - run.len % per;
		return 0;
	}
	r = read_some(s, lblk, &run, ret, &off, e);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < *ret && r == 0; i += per)
		r = scan_block(s->d, s->buf + (i << sb->block_bits), lblk + i, off + (i << sb->block_bits), i == 0 ? from : 0, s->fn,
		               s->arg);
	return r;
}

static int scan_blocks(struct scan *s, uint64_t cookie, struct err *e)
{
	const struct xfs_super *sb = &s->d->x->sb;
	uint64_t size = min_u64(s->d->size, (uint64_t)1 << DATA_SPACE_BITS);
	uint64_t blocks = size / sb->dir_size << sb->dir_bits;
	size_t from = cookie % sb->dir_size;
	for (uint64_t lblk = cookie / sb->dir_size << sb->dir_bits; lblk < blocks;) {
		uint64_t n = 0;
		int r = scan_some(s, lblk, blocks, from, &n, e);
		lblk += n;
		from = 0;
		if (r < 0 && e->code == ERR_FILE_CORRUPT) {
			/* Not readable, but a listing goes on behind it. */
			struct err why = *e;
			err_clear(e);
			r = report_damage(s->fn, s->arg, lblk << sb->block_bits, &why);
		}
		if (r)
			return r;
	}
	return 0;
}

int xfs_dir_scan(struct xfs_dir *d, uint64_t cookie, xfs_dent_fn *fn, void *arg, struct err *e)
{
	const struct xfs_super *sb = &d->x->sb;
	if (d->map.format == XFS_FMT_LOCAL)
		return xfs_short_scan(d, cookie, fn, arg);
	struct scan s = {.d = d, .fn = fn, .arg = arg};
	uint64_t room = d->size < XFS_DIR_CHUNK ? d->size : XFS_DIR_CHUNK;
	s.buf_blocks = (uint32_t)(room < sb->dir_size ? sb->dir_size : room) >> sb->block_bits;
	s.buf = malloc((size_t)s.buf_blocks << sb->block_bits);
	if (!s.buf)
		return err_no_memory(e, module);
	int r = scan_blocks(&s, cookie, e);
	free(s.buf);
	return r;
}
