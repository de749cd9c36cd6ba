#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

struct xfs_file {
	struct fs_file file;
	struct xfs_map map;
};

static int check_file(const struct xfs_inode *in, const char *stream, struct err *e)
{
	enum fs_type t = fs_type_from_mode(in->mode);
	if (stream)
		return err_set(e, ERR_NOT_FOUND, module, "there are no named streams on this filesystem");
	if (t == FS_DIRECTORY)
		return err_set(e, ERR_IS_DIRECTORY, module, "inode %" PRIu64 " is a directory", in->ino);
	if (t != FS_FILE)
		return err_set(e, ERR_NOT_FILE, module, "inode %" PRIu64 " is a %s and has no bytes", in->ino, fs_type_name(t));
	if (in->flags & XFS_DI_REALTIME && in->nextents > 0)
		return err_set(e, ERR_FILE_UNSUPPORTED, module,
		               "the bytes of inode %" PRIu64 " lie on the realtime device of the filesystem, which cannot be read",
		               in->ino);
	return 0;
}

int xfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	struct xfs_inode in;
	int r = xfs_inode_get(x, id.ino, &in, e);
	if (r == 0)
		r = check_file(&in, stream, e);
	if (r < 0)
		return r;
	struct xfs_file *f = malloc(sizeof(*f));
	if (!f)
		return err_no_memory(e, module);
	f->file = (struct fs_file){.fs = fs, .size = in.size};
	r = xfs_map_init(&f->map, x, &in, XFS_DATA, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = &f->file;
	return 0;
}

void xfs_file_close(struct fs_file *file)
{
	struct xfs_file *f = (struct xfs_file *)file;
	if (!f)
		return;
	xfs_map_fini(&f->map);
	free(f);
}

/* What lies behind the end of a truncated device is an error of its own, what lies before is readable. */
static int clip_to_device(const struct xfs_map *m, struct fs_extent *x, struct err *e)
{
	uint64_t size = m->x->fs.blk->size;
	if (x->vol_off >= size)
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " has bytes behind the end of the device", m->ino);
	x->len = min_u64(x->len, size - x->vol_off);
	return 0;
}

int xfs_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct xfs_file *f = (struct xfs_file *)file;
	const struct xfs_super *sb = &f->map.x->sb;
	uint64_t in = off & (sb->block_size - 1), want = ((in + len - 1) >> sb->block_bits) + 1;
	struct xfs_run run;
	int r = xfs_map_run(&f->map, off >> sb->block_bits, want, &run, e);
	if (r < 0)
		return r;
	struct fs_extent x = {
		.kind = run.hole ? FS_EXTENT_ZERO : FS_EXTENT_DATA,
		.len = min_u64(len, (run.len << sb->block_bits) - in),
		.vol_off = run.hole ? 0 : xfs_fsb_off(sb, run.fsb) + in,
	};
	r = run.hole ? 0 : clip_to_device(&f->map, &x, e);
	if (r == 0)
		*ret = x;
	return r;
}
