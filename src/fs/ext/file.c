#include "fs/ext/ext.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

struct ext_file {
	struct fs_file file;
	bool is_inline;
	struct ext_map map;
	struct buf data;             /* inline: the bytes; those up to the size beyond them are zeroes */
};

static bool is_inline(const struct ext_fs *x, const struct ext_inode *in)
{
	return in->flags & EXT_FL_INLINE_DATA && x->sb.incompat & EXT_INLINE_DATA;
}

static bool is_encrypted(const struct ext_fs *x, const struct ext_inode *in)
{
	return in->flags & EXT_FL_ENCRYPT && x->sb.incompat & EXT_ENCRYPT;
}

static int check_file(const struct ext_fs *x, const struct ext_inode *in, const char *stream, struct err *e)
{
	enum fs_type t = fs_type_from_mode(in->mode);
	if (stream)
		return err_set(e, ERR_NOT_FOUND, module, "there are no named streams on this filesystem");
	if (t == FS_DIRECTORY)
		return err_set(e, ERR_IS_DIRECTORY, module, "inode %" PRIu32 " is a directory", in->ino);
	if (t != FS_FILE)
		return err_set(e, ERR_NOT_FILE, module, "inode %" PRIu32 " is a %s and has no bytes", in->ino, fs_type_name(t));
	if (is_encrypted(x, in))
		return err_set(e, ERR_FILE_ENCRYPTED, module, "the file is encrypted with fscrypt inside the VM");
	return 0;
}

int ext_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	struct ext_inode in;
	int r = ext_inode_get(x, id.ino, &in, e);
	if (r == 0)
		r = check_file(x, &in, stream, e);
	if (r < 0)
		return r;
	struct ext_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, module);
	f->file = (struct fs_file){.fs = fs, .size = in.size};
	f->data = BUF_INIT(EXT_INODE_MAX);
	f->is_inline = is_inline(x, &in);
	ext_map_init(&f->map, x, &in);
	if (f->is_inline)
		r = ext_inline_read(x, &in, &f->data, e);
	if (r < 0) {
		ext_file_close(&f->file);
		return r;
	}
	*ret = &f->file;
	return 0;
}

void ext_file_close(struct fs_file *file)
{
	struct ext_file *f = (struct ext_file *)file;
	if (!f)
		return;
	ext_map_fini(&f->map);
	buf_free(&f->data);
	free(f);
}

/* What lies behind the end of a truncated device is an error of its own, what lies before is readable. */
static int clip_to_device(const struct ext_map *m, struct fs_extent *x, struct err *e)
{
	uint64_t size = m->x->fs.blk->size;
	if (x->vol_off >= size)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " has bytes behind the end of the device", m->ino);
	x->len = min_u64(x->len, size - x->vol_off);
	return 0;
}

int ext_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct ext_file *f = (struct ext_file *)file;
	if (f->is_inline) {
		bool data = off < f->data.len;
		*ret = (struct fs_extent){
			.kind = data ? FS_EXTENT_ENCODED : FS_EXTENT_ZERO,
			.len = data ? min_u64(len, f->data.len - off) : len,
		};
		return 0;
	}
	unsigned bits = f->map.x->sb.block_bits;
	uint64_t in = off & (f->map.x->sb.block_size - 1);
	uint64_t want = ((in + len - 1) >> bits) + 1;
	struct ext_run run;
	int r = ext_map_run(&f->map, off >> bits, want, &run, e);
	if (r < 0)
		return r;
	struct fs_extent x = {
		.kind = run.pblk ? FS_EXTENT_DATA : FS_EXTENT_ZERO,
		.len = min_u64(len, (run.len << bits) - in),
		.vol_off = run.pblk ? (run.pblk << bits) + in : 0,
	};
	r = run.pblk ? clip_to_device(&f->map, &x, e) : 0;
	if (r == 0)
		*ret = x;
	return r;
}

int ext_file_read(struct fs_file *file, uint64_t off, void *to, size_t len, struct err *e)
{
	struct ext_file *f = (struct ext_file *)file;
	if (!f->is_inline || !range_inside(off, len, f->data.len))
		return err_set(e, ERR_INTERNAL, module, "read of bytes that are not inline");
	memcpy(to, f->data.data + off, len);
	return 0;
}

/* --- symbolic links ------------------------------------------------------------------------------- */

/* A target below 60 bytes lies in i_block, unless the inode owns blocks besides that of its attributes. */
static bool is_fast_link(const struct ext_fs *x, const struct ext_inode *in)
{
	if (in->size >= EXT_IBLOCK_SIZE || in->flags & EXT_FL_EXTENTS)
		return false;
	if (x->sb.incompat & EXT_EA_INODE)
		return true;
	return in->allocated <= (in->file_acl ? x->sb.cluster_size : 0);
}

int ext_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	struct ext_inode in;
	int r = ext_inode_get(x, id.ino, &in, e);
	if (r < 0)
		return r;
	if (fs_type_from_mode(in.mode) != FS_SYMLINK)
		return err_set(e, ERR_INVALID, module, "inode %" PRIu32 " is not a symbolic link", in.ino);
	if (is_encrypted(x, &in))
		return err_set(e, ERR_FILE_ENCRYPTED, module, "the link is encrypted with fscrypt inside the VM");
	if (in.size == 0 || in.size > FS_LINK_MAX || in.size > x->sb.block_size)
		return err_set(e, ERR_FILE_CORRUPT, module, "the link says its target has %" PRIu64 " bytes", in.size);
	if (is_inline(x, &in))
		return ext_inline_read(x, &in, ret, e);
	if (is_fast_link(x, &in)) {
		buf_add(ret, in.i_block, (size_t)in.size);
		return buf_ok(ret, module, e);
	}
	void *to = buf_reserve(ret, (size_t)in.size);
	if (!to)
		return buf_ok(ret, module, e);
	struct ext_map m;
	ext_map_init(&m, x, &in);
	r = ext_map_read(&m, 0, to, (size_t)in.size, e);
	ext_map_fini(&m);
	if (r == 0)
		buf_filled(ret, (size_t)in.size);
	return r;
}
