#include "fs/btrfs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

struct btrfs_file {
	struct fs_file file;
	struct btrfs_tree tree;
	struct btrfs_cursor c;
	uint64_t ino;
	bool sums;
	struct btrfs_extent ext;     /* the last one; len 0: none */
	uint8_t *unpacked;           /* BTRFS_PACKED_MAX, of a compressed extent; NULL until one is read */
	uint64_t unpacked_of;        /* its address, 0: none … */
	uint64_t unpacked_len;       /* … and how much of it: items of one extent may differ in a damaged tree */
};

static int check_file(const struct btrfs_inode *in, const char *stream, struct err *e)
{
	enum fs_type t = fs_type_from_mode(in->mode);
	if (stream)
		return err_set(e, ERR_NOT_FOUND, module, "there are no named streams on this filesystem");
	if (t == FS_DIRECTORY)
		return err_set(e, ERR_IS_DIRECTORY, module, "inode %" PRIu64 " is a directory", in->id.ino);
	if (t != FS_FILE)
		return err_set(e, ERR_NOT_FILE, module, "inode %" PRIu64 " is a %s and has no bytes", in->id.ino,
		               fs_type_name(t));
	return 0;
}

int btrfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(fs);
	struct btrfs_tree t;
	struct btrfs_inode in;
	int r = btrfs_inode_get(x, id, &t, &in, e);
	if (r == 0)
		r = check_file(&in, stream, e);
	if (r < 0)
		return r;
	struct btrfs_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, module);
	f->file = (struct fs_file){.fs = fs, .size = in.size};
	f->tree = t;
	f->ino = id.ino;
	f->sums = !(in.flags & BTRFS_INODE_NODATASUM);
	*ret = &f->file;
	return 0;
}

void btrfs_file_close(struct fs_file *file)
{
	struct btrfs_file *f = (struct btrfs_file *)file;
	if (!f)
		return;
	btrfs_cursor_done(&f->c);
	free(f->unpacked);
	free(f);
}

/* Makes f->ext the extent at off. */
static int find_extent(struct btrfs_file *f, uint64_t off, struct err *e)
{
	if (off >= f->ext.start && off - f->ext.start < f->ext.len)
		return 0;
	struct btrfs_extent x;
	f->ext.len = 0;
	int r = btrfs_extent_at(&f->c, btrfs_of(f->file.fs), &f->tree, f->ino, off, f->file.size, &x, e);
	if (r < 0)
		return r;
	if (x.encoded)
		return err_set(e, ERR_FILE_UNSUPPORTED, module,
		               "the bytes of inode %" PRIu64 " are encrypted or encoded", f->ino);
	f->ext = x;
	return 0;
}

/* Bytes that nothing vouches for and nothing changed can be read by anybody. */
static bool plain_place(struct btrfs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret)
{
	const struct btrfs_fs *x = btrfs_of(f->file.fs);
	if (f->sums || f->ext.packing || f->ext.type != BTRFS_REGULAR)
		return false;
	uint64_t logical = f->ext.logical + f->ext.offset + (off - f->ext.start);
	unsigned mirrors = btrfs_mirrors(x, logical);
	for (unsigned m = 0; m < mirrors; m++) {
		struct err why = ERR_INIT;
		struct btrfs_place at;
		if (btrfs_map(x, logical, len, m, BTRFS_FOR_BYTES, &at, &why) < 0 || !range_inside(at.phys, at.len, at.dev->blk->size))
			continue;
		/* Where read() would take them from, or nowhere: of the other devices nobody else can read. */
		*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = at.len, .vol_off = at.phys};
		return at.dev->blk == x->fs.blk;
	}
	return false;
}

int btrfs_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct btrfs_file *f = (struct btrfs_file *)file;
	int r = find_extent(f, off, e);
	if (r < 0)
		return r;
	bool zero = f->ext.type == BTRFS_PREALLOC || (f->ext.type == BTRFS_REGULAR && f->ext.logical == 0);
	len = min_u64(len, f->ext.len - (off - f->ext.start));
	if (zero || !plain_place(f, off, len, ret))
		*ret = (struct fs_extent){.kind = zero ? FS_EXTENT_ZERO : FS_EXTENT_ENCODED, .len = len};
	return 0;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* Part of one sector. */
static int read_bounced(struct btrfs_file *f, uint64_t logical, uint8_t *to, size_t len, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(f->file.fs);
	size_t in = logical & (x->sb.sector - 1);
	int r = btrfs_data_read(x, logical - in, x->bounce, x->sb.sector, f->sums, e);
	if (r == 0)
		memcpy(to, x->bounce + in, len);
	return r;
}

static int read_plain(struct btrfs_file *f, uint64_t in, uint8_t *to, size_t len, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(f->file.fs);
	uint64_t logical = f->ext.logical + f->ext.offset + in;
	uint32_t sector = x->sb.sector;
	while (len > 0) {
		size_t past = logical & (sector - 1), n = len & ~(size_t)(sector - 1);
		int r;
		if (past || n == 0) {
			n = min_size(sector - past, len);
			r = read_bounced(f, logical, to, n, e);
		} else {
			r = btrfs_data_read(x, logical, to, n, f->sums, e);
		}
		if (r < 0)
			return r;
		to += n;
		logical += n;
		len -= n;
	}
	return 0;
}

static int unpack_extent(struct btrfs_file *f, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(f->file.fs);
	const struct btrfs_extent *t = &f->ext;
	if (t->type == BTRFS_REGULAR && f->unpacked_of == t->logical && f->unpacked_len == t->ram)
		return 0;
	f->unpacked_of = 0;
	if (!f->unpacked)
		f->unpacked = malloc(BTRFS_PACKED_MAX);
	if (!f->unpacked)
		return err_no_memory(e, module);
	if (t->type == BTRFS_INLINE)
		return btrfs_unpack(x, t->packing, t->data, t->data_len, f->unpacked, (size_t)t->ram, e);
	int r = btrfs_data_read(x, t->logical, x->packed, (size_t)t->disk_len, f->sums, e);
	if (r == 0)
		r = btrfs_unpack(x, t->packing, x->packed, (size_t)t->disk_len, f->unpacked, (size_t)t->ram, e);
	if (r == 0) {
		f->unpacked_of = t->logical;
		f->unpacked_len = t->ram;
	}
	return r;
}

/* As much of `from` as there is, then zeroes. */
static void copy_padded(uint8_t *to, size_t len, const uint8_t *from, size_t from_len, uint64_t in)
{
	size_t n = in < from_len ? min_size(len, from_len - (size_t)in) : 0;
	if (n)
		memcpy(to, from + in, n);
	memset(to + n, 0, len - n);
}

int btrfs_file_read(struct fs_file *file, uint64_t off, void *to, size_t len, struct err *e)
{
	struct btrfs_file *f = (struct btrfs_file *)file;
	int r = find_extent(f, off, e);
	if (r < 0)
		return r;
	const struct btrfs_extent *t = &f->ext;
	uint64_t in = off - t->start;
	if (t->type == BTRFS_REGULAR && t->packing == BTRFS_PLAIN)
		return read_plain(f, in, to, len, e);
	if (t->packing == BTRFS_PLAIN) {
		copy_padded(to, len, t->data, t->data_len, in);
		return 0;
	}
	r = unpack_extent(f, e);
	if (r == 0)
		copy_padded(to, len, f->unpacked, (size_t)t->ram, t->offset + in);
	return r;
}

int btrfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(fs);
	struct btrfs_tree t;
	struct btrfs_inode in;
	struct btrfs_extent ext;
	struct btrfs_cursor c = {0};
	int r = btrfs_inode_get(x, id, &t, &in, e);
	if (r < 0)
		return r;
	r = btrfs_extent_at(&c, x, &t, id.ino, 0, 1, &ext, e);
	if (r == 0 && (ext.type != BTRFS_INLINE || ext.packing || ext.data_len < in.size))
		r = err_set(e, ERR_FILE_CORRUPT, module, "the target of the symbolic link %" PRIu64 " is damaged",
		            id.ino);
	if (r == 0) {
		buf_add(ret, ext.data, (size_t)in.size);
		r = buf_ok(ret, module, e);
	}
	btrfs_cursor_done(&c);
	return r;
}
