#include "fs/btrfs/log.h"

#include <stdlib.h>

static const char *const module = "btrfs";

/* --- items ---------------------------------------------------------------------------------------- */

static int get(struct btrfs_replay *r, const struct btrfs_tree *t, struct btrfs_key key, struct buf *to, struct err *e)
{
	int there = btrfs_find(&r->c, r->x, t, key, e);
	if (there != 1)
		return there;
	buf_reset(to);
	buf_add(to, r->c.data, r->c.len);
	int bad = buf_ok(to, module, e);
	return bad ? bad : 1;
}

int btrfs_replay_get(struct btrfs_replay *r, struct btrfs_key key, struct err *e)
{
	return get(r, &r->fs, key, &r->item, e);
}

int btrfs_replay_log_get(struct btrfs_replay *r, struct btrfs_key key, struct err *e)
{
	return get(r, &r->log, key, &r->other, e);
}

int btrfs_replay_put(struct btrfs_replay *r, struct btrfs_key key, const void *data, size_t len, struct err *e)
{
	return btrfs_overlay_put(r->fs.overlay, &key, len ? data : NULL, len, e);
}

int btrfs_replay_cut(struct btrfs_replay *r, struct btrfs_key key, size_t at, size_t len, struct err *e)
{
	memmove(r->item.data + at, r->item.data + at + len, r->item.len - at - len);
	r->item.len -= len;
	return btrfs_replay_put(r, key, r->item.data, r->item.len, e);
}

int btrfs_replay_touch(struct btrfs_replay *r, uint64_t ino, struct err *e)
{
	struct btrfs_key key = {ino, 0, 0};
	const struct btrfs_layer_item *it = btrfs_overlay_ge(r->touched, &key);
	return it && btrfs_key_cmp(&it->key, &key) == 0 ? 0 : btrfs_overlay_put(r->touched, &key, "", 0, e);
}

/* --- the passes ----------------------------------------------------------------------------------- */

enum pass {
	PASS_INODES,
	PASS_ENTRIES,
	PASS_REST,
};

static int replay_item(struct btrfs_replay *r, enum pass pass, const struct btrfs_cursor *c, struct err *e)
{
	switch (c->key.type) {
	case BTRFS_INODE_ITEM:
		return pass == PASS_INODES ? btrfs_replay_inode(r, c->key.objectid, c->data, c->len, e) : 0;
	case BTRFS_DIR_INDEX: return pass == PASS_ENTRIES ? btrfs_replay_entry(r, c->key, c->data, c->len, e) : 0;
	case BTRFS_XATTR_ITEM: return pass == PASS_REST ? btrfs_replay_put(r, c->key, c->data, c->len, e) : 0;
	case BTRFS_INODE_REF:
	case BTRFS_INODE_EXTREF: return pass == PASS_REST ? btrfs_replay_refs(r, c->key, c->data, c->len, e) : 0;
	case BTRFS_EXTENT_DATA: return pass == PASS_REST ? btrfs_replay_extent(r, c->key, c->data, c->len, e) : 0;
	default: return 0;
	}
}

/* A file without a name that was fsynced is gone after a crash. */
static bool is_nameless(const struct btrfs_cursor *c)
{
	struct btrfs_inode in;
	return !btrfs_inode_decode(c->data, c->len, &in) || in.nlink == 0;
}

static int run_pass(struct btrfs_replay *r, enum pass pass, struct err *e)
{
	struct btrfs_cursor c = {0};
	bool skip = false;
	int there = btrfs_seek(&c, r->x, &r->log, (struct btrfs_key){0}, e), bad = 0;
	while (there == 1 && c.key.objectid <= BTRFS_LAST_FREE && bad == 0) {
		if (c.key.type == BTRFS_INODE_ITEM)
			skip = is_nameless(&c);
		if (!skip)
			bad = replay_item(r, pass, &c, e);
		if (bad == 0)
			there = btrfs_next(&c, e);
	}
	btrfs_cursor_done(&c);
	return bad ? bad : there < 0 ? there : 0;
}

static int take_sums(struct btrfs_replay *r, struct err *e)
{
	struct btrfs_cursor c = {0};
	struct btrfs_key from = {BTRFS_CSUM_OBJECT, BTRFS_EXTENT_CSUM, 0};
	int bad = 0, there = btrfs_seek(&c, r->x, &r->log, from, e);
	while (there == 1 && bad == 0 && c.key.objectid == BTRFS_CSUM_OBJECT && c.key.type == BTRFS_EXTENT_CSUM) {
		bad = btrfs_overlay_put(r->x->log_csums, &c.key, c.data, c.len, e);
		if (bad == 0)
			there = btrfs_next(&c, e);
	}
	btrfs_cursor_done(&c);
	return bad ? bad : there < 0 ? there : 0;
}

static int replay_passes(struct btrfs_replay *r, struct err *e)
{
	int bad = run_pass(r, PASS_INODES, e);
	if (bad == 0)
		bad = run_pass(r, PASS_ENTRIES, e);
	if (bad == 0)
		bad = run_pass(r, PASS_REST, e);
	if (bad == 0)
		bad = btrfs_replay_count(r, e);
	return bad ? bad : take_sums(r, e);
}

/* --- subvolumes ----------------------------------------------------------------------------------- */

static int add_overlay(struct btrfs_fs *x, uint64_t id, struct err *e)
{
	if (x->log_count == BTRFS_LOGS_MAX)
		return err_set(e, ERR_LIMIT, module, "there are too many logs");
	struct btrfs_overlay **p = realloc(x->logs, (x->log_count + 1) * sizeof(*p));
	if (!p)
		return err_no_memory(e, module);
	x->logs = p;
	int r = btrfs_overlay_open(id, &x->overlay_used, &p[x->log_count], e);
	if (r == 0)
		x->log_count++;
	return r;
}

static int replay_one(struct btrfs_fs *x, const struct btrfs_tree *log, uint64_t id, struct err *e)
{
	struct btrfs_replay r = {
		.x = x,
		.log = *log,
		.item = BUF_INIT(2 * BTRFS_NODE_MAX),
		.other = BUF_INIT(2 * BTRFS_NODE_MAX),
	};
	struct err why = ERR_INIT;
	int bad = btrfs_subvolume(x, id, &r.fs, &why);
	if (bad == ERR_NOT_FOUND)
		return 0;
	if (bad < 0) {
		*e = why;
		return bad;
	}
	bad = add_overlay(x, id, e);
	if (bad < 0)
		return bad;
	r.fs.overlay = x->logs[x->log_count - 1];
	bad = btrfs_overlay_open(0, &x->overlay_used, &r.touched, e);
	if (bad == 0)
		bad = replay_passes(&r, e);
	btrfs_cursor_done(&r.c);
	btrfs_overlay_free(r.touched);
	buf_free(&r.item);
	buf_free(&r.other);
	return bad;
}

static int replay_all(struct btrfs_fs *x, struct err *e)
{
	struct btrfs_tree roots = {
		.id = BTRFS_LOG_TREE,
		.bytenr = x->sb.log_root,
		.generation = x->sb.generation + 1,
		.level = x->sb.log_level,
	};
	struct btrfs_cursor c = {0};
	struct btrfs_key from = {BTRFS_LOG_TREE, BTRFS_ROOT_ITEM, 0};
	int bad = btrfs_overlay_open(0, &x->overlay_used, &x->log_csums, e);
	if (bad < 0)
		return bad;
	int there = btrfs_seek(&c, x, &roots, from, e);
	while (there == 1 && bad == 0 && c.key.objectid == from.objectid && c.key.type == from.type) {
		struct btrfs_tree log = {.id = BTRFS_LOG_TREE};
		bad = btrfs_root_decode(c.data, c.len, &log) ? replay_one(x, &log, c.key.offset, e) :
		                                               err_set(e, ERR_FILE_CORRUPT, module,
		                                                       "the root of a log is damaged");
		if (bad == 0)
			there = btrfs_next(&c, e);
	}
	btrfs_cursor_done(&c);
	return bad ? bad : there < 0 ? there : 0;
}

static void forget_trees(struct btrfs_fs *x)
{
	memset(x->trees, 0, sizeof(x->trees));
}

void btrfs_log_drop(struct btrfs_fs *x)
{
	for (size_t i = 0; i < x->log_count; i++)
		btrfs_overlay_free(x->logs[i]);
	free(x->logs);
	btrfs_overlay_free(x->log_csums);
	x->logs = NULL;
	x->log_csums = NULL;
	x->log_count = 0;
}

int btrfs_log_replay(struct btrfs_fs *x, struct err *e)
{
	struct err why = ERR_INIT;
	if (x->sb.log_root == 0)
		return 0;
	int r = replay_all(x, &why);
	forget_trees(x);
	if (r == 0)
		return 0;
	btrfs_log_drop(x);
	if (r != ERR_FILE_CORRUPT && r != ERR_LIMIT && r != ERR_VOLUME_INCOMPLETE && r != ERR_FILE_UNSUPPORTED) {
		*e = why;
		return r;
	}
	fs_warn(&x->fs, "the log tree was not replayed, what fsync wrote since the last commit is not shown: %s",
	        why.msg);
	return 0;
}
