#include "fs/btrfs/btrfs.h"

#include <inttypes.h>

static const char *const module = "btrfs";

static int damaged(uint64_t ino, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the extended attributes of inode %" PRIu64 " are damaged", ino);
}

/* Names carry their namespace, and access control lists lie in the kernel's own form. */
static int give(uint64_t ino, const struct btrfs_entry *n, fs_xattr_fn *fn, void *arg, struct err *e)
{
	char name[BTRFS_NAME_MAX + 1];
	if (memchr(n->name, '\0', n->name_len))
		return damaged(ino, e);
	memcpy(name, n->name, n->name_len);
	name[n->name_len] = '\0';
	return fn(arg, name, n->value, n->value_len);
}

static int walk(struct btrfs_cursor *c, uint64_t ino, fs_xattr_fn *fn, void *arg, struct err *e)
{
	unsigned count = 0;
	int r = 1;
	while (r == 1 && c->key.objectid == ino && c->key.type == BTRFS_XATTR_ITEM) {
		struct btrfs_entry n;
		size_t at = 0;
		int there;
		while ((there = btrfs_entry_next(c->data, c->len, &at, &n)) == 1) {
			if (++count > FS_XATTRS_MAX)
				return err_set(e, ERR_LIMIT, module,
				               "inode %" PRIu64 " has too many extended attributes", ino);
			int stop = give(ino, &n, fn, arg, e);
			if (stop)
				return stop;
		}
		if (there < 0)
			return damaged(ino, e);
		r = btrfs_next(c, e);
	}
	return r < 0 ? r : 0;
}

int btrfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(fs);
	struct btrfs_tree t;
	struct btrfs_inode in;
	int r = btrfs_inode_get(x, id, &t, &in, e);
	if (r < 0 || id.ino & BTRFS_STUB)
		return r;
	struct btrfs_cursor c = {0};
	r = btrfs_seek(&c, x, &t, (struct btrfs_key){id.ino, BTRFS_XATTR_ITEM, 0}, e);
	if (r == 1)
		r = walk(&c, id.ino, fn, arg, e);
	btrfs_cursor_done(&c);
	return r;
}
