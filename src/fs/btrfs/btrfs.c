#include "fs/btrfs/btrfs.h"

#include "fs/btrfs/driver.h"
#include "fs/btrfs/log.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

static void btrfs_close(struct fs *fs)
{
	struct btrfs_fs *x = btrfs_of(fs);
	if (!x)
		return;
	btrfs_cursor_done(&x->inodes);
	btrfs_cursor_done(&x->sums);
	btrfs_log_drop(x);
	btrfs_cache_close(x);
	btrfs_chunks_free(&x->chunks);
	btrfs_devices_close(x);
	btrfs_unpacker_close(x->unpacker);
	free(x->packed);
	free(x->bounce);
	free(x->parity);
	fs_fini(fs);
	free(x);
}

static int open_memory(struct btrfs_fs *x, struct err *e)
{
	int r = btrfs_cache_open(x, e);
	if (r < 0)
		return r;
	x->packed = malloc(BTRFS_PACKED_MAX);
	x->bounce = malloc(x->sb.sector);
	return x->packed && x->bounce ? 0 : err_no_memory(e, module);
}

static struct fs_id btrfs_root(struct fs *fs)
{
	struct btrfs_fs *x = btrfs_of(fs);
	return (struct fs_id){.ino = x->root_dirid, .tree = x->default_tree};
}

/* Without a root there is nothing to show. */
static int open_root(struct btrfs_fs *x, struct err *e)
{
	struct btrfs_tree t;
	struct btrfs_inode in;
	int r = btrfs_subvolume(x, x->default_tree, &t, e);
	if (r < 0)
		return r;
	x->root_dirid = t.dirid;
	r = btrfs_inode_get(x, btrfs_root(&x->fs), NULL, &in, e);
	return r < 0 ? r : btrfs_dir_check(&in, e);
}

static int open_trees(struct btrfs_fs *x, struct err *e)
{
	int r = btrfs_chunks_boot(x, e);
	if (r == 0)
		r = btrfs_chunks_load(x, e);
	if (r == 0)
		r = btrfs_roots_open(x, e);
	if (r == 0)
		r = btrfs_log_replay(x, e);
	if (r == 0)
		r = open_root(x, e);
	if (r == ERR_FILE_CORRUPT || r == ERR_NOT_FOUND || r == ERR_NOT_DIRECTORY) {
		e->code = ERR_FS_CORRUPT;
		return err_prefix(e, "the filesystem cannot be opened");
	}
	if (r == ERR_FILE_UNSUPPORTED)
		e->code = r = ERR_FS_UNSUPPORTED;
	return r;
}

static int btrfs_open_with(struct blk *b, struct blk *const *others, unsigned count, struct fs **ret, struct err *e)
{
	struct btrfs_fs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_no_memory(e, module);
	fs_init(&x->fs, &btrfs_driver, b);
	int r = btrfs_devices_open(x, others, count, e);
	if (r == 0)
		r = btrfs_super_supported(&x->sb, e);
	if (r == 0)
		r = open_memory(x, e);
	if (r == 0)
		r = open_trees(x, e);
	if (r < 0) {
		btrfs_close(&x->fs);
		return r;
	}
	*ret = &x->fs;
	return 0;
}

static int btrfs_open(struct blk *b, struct fs **ret, struct err *e)
{
	return btrfs_open_with(b, NULL, 0, ret, e);
}

const struct fs_driver btrfs_driver = {
	.name = "btrfs",
	.probe = btrfs_probe,
	.open = btrfs_open,
	.open_with = btrfs_open_with,
	.close = btrfs_close,
	.root = btrfs_root,
	.lookup = btrfs_lookup,
	.readdir = btrfs_readdir,
	.stat = btrfs_stat,
	.readlink = btrfs_readlink,
	.xattrs = btrfs_xattrs,
	.file_open = btrfs_file_open,
	.file_close = btrfs_file_close,
	.extent = btrfs_file_extent,
	.read = btrfs_file_read,
};
