#include "fs/ext/driver.h"
#include "fs/ext/ext.h"
#include "fs/ext/fc.h"

#include <stdlib.h>

static const char *const module = "ext";

static void ext_close(struct fs *fs)
{
	struct ext_fs *x = ext_of(fs);
	if (!x)
		return;
	for (size_t i = 0; i < EXT_CACHE_SLOTS; i++)
		free(x->cache[i]);
	free(x->random.data);
	free(x->stream.data);
	ext_fc_free(x->fc);
	fs_fini(fs);
	free(x);
}

/* Without a root there is nothing to show. */
static int check_root(struct ext_fs *x, struct err *e)
{
	struct ext_inode root;
	struct err why = ERR_INIT;
	int r = ext_inode_get(x, EXT_ROOT_INO, &root, &why);
	if (r == 0 && fs_type_from_mode(root.mode) == FS_DIRECTORY)
		return 0;
	if (r < 0 && r != ERR_FILE_CORRUPT) {
		*e = why;
		return r;
	}
	return err_set(e, ERR_FS_CORRUPT, module, "the root directory cannot be read: %s",
	               r < 0 ? why.msg : "it is not a directory");
}

static int open_super(struct ext_fs *x, struct err *e)
{
	struct err backup = ERR_INIT;
	int r = ext_super_find(x->fs.blk, &x->sb, &backup, e);
	if (r == 0 && backup.code)
		fs_warn(&x->fs, "%s; its copy in block group 1 was used", backup.msg);
	return r;
}

static int ext_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct ext_fs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_no_memory(e, module);
	fs_init(&x->fs, &ext_driver, b);
	int r = open_super(x, e);
	if (r == 0)
		r = ext_journal_recover(x, e);
	if (r == 0)
		r = check_root(x, e);
	if (r < 0) {
		ext_close(&x->fs);
		return r;
	}
	*ret = &x->fs;
	return 0;
}

static struct fs_id ext_root(struct fs *fs)
{
	(void)fs;
	return (struct fs_id){.ino = EXT_ROOT_INO};
}

const struct fs_driver ext_driver = {
	.name = "ext",
	.probe = ext_probe,
	.open = ext_open,
	.close = ext_close,
	.root = ext_root,
	.lookup = ext_lookup,
	.readdir = ext_readdir,
	.stat = ext_stat,
	.readlink = ext_readlink,
	.xattrs = ext_xattrs,
	.file_open = ext_file_open,
	.file_close = ext_file_close,
	.extent = ext_file_extent,
	.read = ext_file_read,
};
