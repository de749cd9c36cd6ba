#include "fs/btrfs/btrfs.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const module = "btrfs";

int btrfs_entry_next(const uint8_t *p, size_t len, size_t *at, struct btrfs_entry *ret)
{
	if (*at == len)
		return 0;
	if (!range_inside(*at, BTRFS_DIR_ENTRY, len))
		return -1;
	const uint8_t *d = p + *at;
	size_t value_len = get_le16(d + 25), name_len = get_le16(d + 27);
	size_t size = BTRFS_DIR_ENTRY + name_len + value_len;
	if (name_len == 0 || name_len > BTRFS_NAME_MAX || !range_inside(*at, size, len))
		return -1;
	*ret = (struct btrfs_entry){
		.to = btrfs_key_decode(d),
		.type = d[29],
		.name = d + BTRFS_DIR_ENTRY,
		.name_len = name_len,
		.value = d + BTRFS_DIR_ENTRY + name_len,
		.value_len = value_len,
		.start = d,
		.size = size,
	};
	*at += size;
	return 1;
}

enum fs_type btrfs_entry_type(uint8_t type)
{
	static const enum fs_type types[] = {
		FS_UNKNOWN, FS_FILE, FS_DIRECTORY, FS_CHAR, FS_BLOCK, FS_FIFO, FS_SOCKET, FS_SYMLINK,
	};
	return type < sizeof(types) / sizeof(types[0]) ? types[type] : FS_UNKNOWN;
}

static int subvolume_target(struct btrfs_fs *x, struct fs_id dir, const struct btrfs_entry *n, struct fs_id *ret,
                            struct err *e)
{
	struct btrfs_tree t;
	struct err why = ERR_INIT;
	if (n->to.objectid == dir.tree || n->to.objectid == x->default_tree)
		return err_set(e, ERR_FILE_CORRUPT, module, "the name leads back to subvolume %" PRIu64,
		               n->to.objectid);
	int here = btrfs_subvolume_is_here(x, dir.tree, dir.ino, n->name, n->name_len, n->to.objectid, e);
	if (here < 0)
		return here;
	int r = here ? btrfs_subvolume(x, n->to.objectid, &t, &why) : ERR_NOT_FOUND;
	if (r == ERR_NOT_FOUND) {
		*ret = (struct fs_id){.ino = dir.ino | BTRFS_STUB, .tree = dir.tree};
		return 0;
	}
	if (r < 0) {
		*e = why;
		return r;
	}
	*ret = (struct fs_id){.ino = t.dirid, .tree = t.id};
	return 0;
}

int btrfs_entry_target(struct btrfs_fs *x, struct fs_id dir, const struct btrfs_entry *n, struct fs_id *ret,
                       struct err *e)
{
	if (n->to.type == BTRFS_ROOT_ITEM)
		return subvolume_target(x, dir, n, ret, e);
	/* Neither the root nor the directory itself is an entry of a directory: a walk would not end. */
	if (n->to.type != BTRFS_INODE_ITEM || n->to.objectid <= BTRFS_FIRST_FREE || n->to.objectid >= BTRFS_STUB ||
	    n->to.objectid == dir.ino)
		return err_set(e, ERR_FILE_CORRUPT, module, "the name leads to inode %" PRIu64 ", which it cannot",
		               n->to.objectid);
	*ret = (struct fs_id){.ino = n->to.objectid, .tree = dir.tree};
	return 0;
}

int btrfs_dir_check(const struct btrfs_inode *in, struct err *e)
{
	if (fs_type_from_mode(in->mode) == FS_DIRECTORY)
		return 0;
	return err_set(e, ERR_NOT_DIRECTORY, module, "inode %" PRIu64 " is not a directory", in->id.ino);
}

/* --- listing -------------------------------------------------------------------------------------- */

struct lister {
	struct btrfs_fs *x;
	struct btrfs_tree tree;
	struct btrfs_cursor c;
	struct fs_id dir;
	fs_dirent_fn *fn;
	void *arg;
};

static int list_damage(struct lister *l, uint64_t next, const struct err *why)
{
	char name[64];
	int len = snprintf(name, sizeof(name), "(damaged directory before %" PRIu64 ")", next);
	struct fs_dirent de = {.name = name, .name_len = (size_t)len, .next = next, .broken = why};
	return l->fn(l->arg, &de);
}

static int list_item(struct lister *l)
{
	struct btrfs_entry n;
	struct err why = ERR_INIT;
	size_t at = 0;
	if (btrfs_entry_next(l->c.data, l->c.len, &at, &n) != 1) {
		err_set(&why, ERR_FILE_CORRUPT, module, "an entry of directory %" PRIu64 " is damaged", l->dir.ino);
		return list_damage(l, l->c.key.offset, &why);
	}
	struct fs_dirent de = {
		.name = (const char *)n.name,
		.name_len = n.name_len,
		.type = btrfs_entry_type(n.type),
		.next = l->c.key.offset,
	};
	if (btrfs_entry_target(l->x, l->dir, &n, &de.id, &why) < 0)
		de.broken = &why;
	return l->fn(l->arg, &de);
}

static bool in_dir(const struct lister *l, const struct btrfs_key *k)
{
	return k->objectid == l->dir.ino && k->type == BTRFS_DIR_INDEX;
}

/* The items from `at` on, up to the end (0) or to what cannot be read (< 0). */
static int list_from(struct lister *l, uint64_t at, bool *ret_stopped, struct err *e)
{
	int r = btrfs_seek(&l->c, l->x, &l->tree, (struct btrfs_key){l->dir.ino, BTRFS_DIR_INDEX, at}, e);
	while (r == 1 && in_dir(l, &l->c.key)) {
		/* Nothing lies at index 0, and 0 is not a cookie. */
		int stop = l->c.key.offset ? list_item(l) : 0;
		if (stop) {
			*ret_stopped = true;
			return stop;
		}
		r = btrfs_next(&l->c, e);
	}
	return r < 0 ? r : 0;
}

static int list(struct lister *l, uint64_t cookie, struct err *e)
{
	bool stopped = false;
	for (uint64_t at = cookie; at < UINT64_MAX;) {
		int r = list_from(l, at + 1, &stopped, e);
		if (r == 0 || stopped || e->code != ERR_FILE_CORRUPT || !l->c.path.resumable)
			return r;
		/* A leaf cannot be read: say so and go on behind it. */
		struct err why = *e;
		struct btrfs_key k = l->c.path.resume;
		err_clear(e);
		at = in_dir(l, &k) && k.offset > at + 1 ? k.offset - 1 : UINT64_MAX;
		r = list_damage(l, at, &why);
		if (r)
			return r;
	}
	return 0;
}

int btrfs_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct lister l = {.x = btrfs_of(fs), .dir = id, .fn = fn, .arg = arg};
	struct btrfs_inode in;
	int r = btrfs_inode_get(l.x, id, &l.tree, &in, e);
	if (r == 0)
		r = btrfs_dir_check(&in, e);
	if (r < 0 || id.ino & BTRFS_STUB)
		return r;
	r = list(&l, cookie, e);
	btrfs_cursor_done(&l.c);
	return r;
}
