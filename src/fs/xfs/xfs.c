#include "fs/xfs/pending.h"

#include "fs/xfs/driver.h"

#include <stdlib.h>

static const char *const module = "xfs";

static void xfs_close(struct fs *fs)
{
	struct xfs_fs *x = xfs_of(fs);
	if (!x)
		return;
	for (size_t i = 0; i < XFS_CACHE_SLOTS; i++)
		free(x->cache[i].data);
	free(x->random.data);
	free(x->stream.data);
	xfs_pending_free(x);
	fs_fini(fs);
	free(x);
}

/* Without a root there is nothing to show. */
static int check_root(struct xfs_fs *x, struct err *e)
{
	struct xfs_inode root;
	struct err why = ERR_INIT;
	int r = xfs_inode_any(x, x->sb.rootino, &root, &why);
	if (r == 0 && fs_type_from_mode(root.mode) == FS_DIRECTORY)
		return 0;
	if (r < 0 && r != ERR_FILE_CORRUPT) {
		*e = why;
		return r;
	}
	return err_set(e, ERR_FS_CORRUPT, module, "the root directory cannot be read: %s",
	               r < 0 ? why.msg : "it is not a directory");
}

static int open_super(struct xfs_fs *x, struct err *e)
{
	struct err why = ERR_INIT;
	int r = xfs_super_find(x->fs.blk, &x->sb, &why, e);
	if (r < 0)
		return r;
	if (r == 0) {
		*e = why;
		return why.code ? why.code : err_set(e, ERR_FS_CORRUPT, module, "there is no superblock");
	}
	if (why.code)
		fs_warn(&x->fs, "%s; its copy in another allocation group was used", why.msg);
	if (x->fs.blk->size >> x->sb.block_bits < x->sb.dblocks)
		fs_warn(&x->fs, "the filesystem is longer than its device: what lies behind the end cannot be read");
	return 0;
}

static int xfs_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct xfs_fs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_no_memory(e, module);
	fs_init(&x->fs, &xfs_driver, b);
	int r = open_super(x, e);
	if (r == 0)
		r = xfs_log_recover(x, e);
	if (r == 0)
		r = check_root(x, e);
	if (r < 0) {
		xfs_close(&x->fs);
		return r;
	}
	*ret = &x->fs;
	return 0;
}

static struct fs_id xfs_root(struct fs *fs)
{
	return (struct fs_id){.ino = xfs_of(fs)->sb.rootino};
}

const struct fs_driver xfs_driver = {
	.name = "xfs",
	.probe = xfs_probe,
	.open = xfs_open,
	.close = xfs_close,
	.root = xfs_root,
	.lookup = xfs_lookup,
	.readdir = xfs_readdir,
	.stat = xfs_stat,
	.readlink = xfs_readlink,
	.xattrs = xfs_xattrs,
	.file_open = xfs_file_open,
	.file_close = xfs_file_close,
	.extent = xfs_file_extent,
};
