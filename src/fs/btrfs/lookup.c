#include "fs/btrfs/btrfs.h"

static const char *const module = "btrfs";

uint32_t btrfs_name_hash(const void *name, size_t len)
{
	return crc32c(0xfffffffe, name, len);
}

static int not_found(const char *name, size_t len, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, module, "there is no entry \"%.*s\"", (int)len, name);
}

/* Among the entries whose names have this hash. */
static int pick(struct btrfs_fs *x, struct fs_id dir, const struct btrfs_cursor *c, const char *name, size_t len,
                struct fs_id *ret, struct err *e)
{
	struct btrfs_entry n;
	size_t at = 0;
	int r;
	while ((r = btrfs_entry_next(c->data, c->len, &at, &n)) == 1)
		if (n.name_len == len && memcmp(n.name, name, len) == 0)
			return btrfs_entry_target(x, dir, &n, ret, e);
	if (r < 0)
		return err_set(e, ERR_FILE_CORRUPT, module, "the directory's entries beside \"%.*s\" are damaged",
		               (int)len, name);
	return not_found(name, len, e);
}

int btrfs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct btrfs_fs *x = btrfs_of(fs);
	struct btrfs_tree t;
	struct btrfs_inode in;
	int r = btrfs_inode_get(x, dir, &t, &in, e);
	if (r == 0)
		r = btrfs_dir_check(&in, e);
	if (r < 0)
		return r;
	if (len > BTRFS_NAME_MAX || dir.ino & BTRFS_STUB)
		return not_found(name, len, e);
	struct btrfs_cursor c = {0};
	r = btrfs_find(&c, x, &t, (struct btrfs_key){dir.ino, BTRFS_DIR_ITEM, btrfs_name_hash(name, len)}, e);
	if (r == 1)
		r = pick(x, dir, &c, name, len, ret, e);
	else if (r == 0)
		r = not_found(name, len, e);
	btrfs_cursor_done(&c);
	return r;
}
