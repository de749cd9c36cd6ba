/* A tree with an overlay in front of it: at each key the overlay's item counts, if it has one. */
#include "fs/btrfs/btrfs.h"

void btrfs_cursor_done(struct btrfs_cursor *c)
{
	btrfs_path_done(&c->path);
	*c = (struct btrfs_cursor){0};
}

static bool key_succ(struct btrfs_key *k)
{
	if (++k->offset == 0 && ++k->type == 0 && ++k->objectid == 0)
		return false;
	return true;
}

static bool key_pred(struct btrfs_key *k)
{
	if (k->offset-- == 0 && k->type-- == 0 && k->objectid-- == 0)
		return false;
	return true;
}

static int take_layer(struct btrfs_cursor *c, const struct btrfs_layer_item *it)
{
	c->key = it->key;
	c->data = it->data;
	c->len = it->len;
	return 1;
}

static int take_path(struct btrfs_cursor *c, int there)
{
	if (there != 1)
		return there;
	c->key = btrfs_path_key(&c->path);
	c->data = btrfs_path_data(&c->path, &c->len);
	return 1;
}

/* From `key` on upwards, step by step past what the overlay deletes. */
static int merge_up(struct btrfs_cursor *c, struct btrfs_key key, struct err *e)
{
	for (;;) {
		int r = btrfs_path_seek(c->x, c->tree, &key, &c->path, e);
		if (r < 0)
			return r;
		const struct btrfs_layer_item *it = btrfs_overlay_ge(c->tree->overlay, &key);
		struct btrfs_key k = r ? btrfs_path_key(&c->path) : key;
		if (!it || (r && btrfs_key_cmp(&k, &it->key) < 0))
			return take_path(c, r);
		if (!it->deleted)
			return take_layer(c, it);
		key = it->key;
		if (!key_succ(&key))
			return 0;
	}
}

/* The tree's own last item not above key. */
static int path_le(struct btrfs_cursor *c, const struct btrfs_key *key, struct err *e)
{
	int r = btrfs_path_seek(c->x, c->tree, key, &c->path, e);
	if (r < 0)
		return r;
	if (r == 1) {
		struct btrfs_key k = btrfs_path_key(&c->path);
		return btrfs_key_cmp(&k, key) == 0 ? 1 : btrfs_path_prev(c->x, c->tree, &c->path, e);
	}
	/* All items lie below: the path stands on the last one, unless the tree is empty. */
	c->path.valid = c->path.node[0]->count > 0;
	return c->path.valid;
}

static int merge_down(struct btrfs_cursor *c, struct btrfs_key key, struct err *e)
{
	for (;;) {
		int r = path_le(c, &key, e);
		if (r < 0)
			return r;
		const struct btrfs_layer_item *it = btrfs_overlay_le(c->tree->overlay, &key);
		struct btrfs_key k = r ? btrfs_path_key(&c->path) : key;
		if (!it || (r && btrfs_key_cmp(&k, &it->key) > 0))
			return take_path(c, r);
		if (!it->deleted)
			return take_layer(c, it);
		key = it->key;
		if (!key_pred(&key))
			return 0;
	}
}

static void aim(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t)
{
	c->x = x;
	c->tree = t;
}

int btrfs_seek(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
               struct err *e)
{
	aim(c, x, t);
	if (t->overlay)
		return merge_up(c, key, e);
	return take_path(c, btrfs_path_seek(x, t, &key, &c->path, e));
}

int btrfs_next(struct btrfs_cursor *c, struct err *e)
{
	if (!c->tree->overlay)
		return take_path(c, btrfs_path_next(c->x, c->tree, &c->path, e));
	struct btrfs_key key = c->key;
	return key_succ(&key) ? merge_up(c, key, e) : 0;
}

int btrfs_seek_le(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
                  struct err *e)
{
	aim(c, x, t);
	return t->overlay ? merge_down(c, key, e) : take_path(c, path_le(c, &key, e));
}

int btrfs_find(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
               struct err *e)
{
	int r = btrfs_seek(c, x, t, key, e);
	return r == 1 ? btrfs_key_cmp(&c->key, &key) == 0 : r;
}
