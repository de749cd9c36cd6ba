#include "fs/btrfs/btrfs.h"

#include "base/search.h"

#include <inttypes.h>

static const char *const module = "btrfs";

enum { ROOT_ITEM_LEAST = 239 };

bool btrfs_is_subvolume(uint64_t id)
{
	/* The upper 16 bits are a quota group's level. */
	return id == BTRFS_FS_TREE || (id >= BTRFS_FIRST_FREE && id <= BTRFS_LAST_FREE && id >> 48 == 0);
}

bool btrfs_root_decode(const uint8_t *p, size_t len, struct btrfs_tree *ret)
{
	if (len < ROOT_ITEM_LEAST || p[238] >= BTRFS_LEVELS)
		return false;
	ret->generation = get_le64(p + 160);
	ret->dirid = get_le64(p + 168);
	ret->bytenr = get_le64(p + 176);
	ret->level = p[238];
	return true;
}

static int tree_find(struct btrfs_fs *x, uint64_t id, struct btrfs_tree *ret, bool *ret_dead, struct err *e)
{
	struct btrfs_cursor c = {0};
	struct btrfs_tree t = {.id = id};
	/* The offset of a snapshot's root is the transaction that made it: the latest counts. */
	int r = btrfs_seek_le(&c, x, &x->root_tree, (struct btrfs_key){id, BTRFS_ROOT_ITEM, UINT64_MAX}, e);
	if (r == 0 || (r == 1 && (c.key.objectid != id || c.key.type != BTRFS_ROOT_ITEM)))
		r = err_set(e, ERR_NOT_FOUND, module, "there is no tree %" PRIu64, id);
	else if (r == 1 && !btrfs_root_decode(c.data, c.len, &t))
		r = err_set(e, ERR_FILE_CORRUPT, module, "the root of tree %" PRIu64 " is damaged", id);
	if (r == 1)
		*ret_dead = get_le32(c.data + 216) == 0;
	btrfs_cursor_done(&c);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

int btrfs_tree_find(struct btrfs_fs *x, uint64_t id, struct btrfs_tree *ret, struct err *e)
{
	bool dead;
	return tree_find(x, id, ret, &dead, e);
}

static struct btrfs_overlay *overlay_of(const struct btrfs_fs *x, uint64_t id)
{
	size_t at = PARTITION_POINT(i, x->log_count, btrfs_overlay_id(x->logs[i]) < id);
	return at < x->log_count && btrfs_overlay_id(x->logs[at]) == id ? x->logs[at] : NULL;
}

int btrfs_subvolume(struct btrfs_fs *x, uint64_t id, struct btrfs_tree *ret, struct err *e)
{
	struct btrfs_tree *kept = &x->trees[id % BTRFS_TREES], t;
	bool dead = false;
	if (kept->id == id && id) {
		*ret = *kept;
		return 0;
	}
	if (!btrfs_is_subvolume(id))
		return err_set(e, ERR_NOT_FOUND, module, "%" PRIu64 " is not the number of a subvolume", id);
	int r = tree_find(x, id, &t, &dead, e);
	if (r < 0)
		return r;
	if (dead)
		return err_set(e, ERR_NOT_FOUND, module, "subvolume %" PRIu64 " is deleted", id);
	t.overlay = overlay_of(x, id);
	*ret = *kept = t;
	return 0;
}

/* What "subvolume set-default" wrote: the entry "default" of the root tree's only directory. */
static int default_subvolume(struct btrfs_fs *x, uint64_t *ret, struct err *e)
{
	static const char name[] = "default";
	struct btrfs_key key = {BTRFS_ROOT_DIR, BTRFS_DIR_ITEM, btrfs_name_hash(name, sizeof(name) - 1)};
	struct btrfs_cursor c = {0};
	struct btrfs_entry n;
	size_t at = 0;
	uint64_t id = BTRFS_FS_TREE;
	int r = btrfs_find(&c, x, &x->root_tree, key, e);
	if (r == 1 && btrfs_entry_next(c.data, c.len, &at, &n) == 1 && n.to.type == BTRFS_ROOT_ITEM)
		id = n.to.objectid;
	btrfs_cursor_done(&c);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}

int btrfs_roots_open(struct btrfs_fs *x, struct err *e)
{
	x->root_tree = (struct btrfs_tree){
		.id = BTRFS_ROOT_TREE,
		.bytenr = x->sb.root,
		.generation = x->sb.generation,
		.level = x->sb.root_level,
	};
	int r = default_subvolume(x, &x->default_tree, e);
	if (r < 0)
		return r;
	struct err why = ERR_INIT;
	r = btrfs_tree_find(x, BTRFS_CSUM_TREE, &x->csum_tree, &why);
	x->has_csums = r == 0;
	if (r < 0 && r != ERR_NOT_FOUND && r != ERR_FILE_CORRUPT) {
		*e = why;
		return r;
	}
	if (r < 0)
		fs_warn(&x->fs, "the tree of checksums cannot be read, files without it neither: %s", why.msg);
	return 0;
}

int btrfs_subvolume_is_here(struct btrfs_fs *x, uint64_t parent, uint64_t dir, const uint8_t *name, size_t len,
                            uint64_t id, struct err *e)
{
	enum { HEAD = 18 };              /* directory, place in it, length of the name */
	struct btrfs_cursor c = {0};
	int r = btrfs_find(&c, x, &x->root_tree, (struct btrfs_key){parent, BTRFS_ROOT_REF, id}, e);
	if (r == 1)
		r = c.len == HEAD + len && get_le64(c.data) == dir && get_le16(c.data + 16) == len &&
		    memcmp(c.data + HEAD, name, len) == 0;
	btrfs_cursor_done(&c);
	return r;
}
