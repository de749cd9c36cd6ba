#include "fs/btrfs/btrfs.h"

#include "base/search.h"

#include <inttypes.h>

static const char *const module = "btrfs";

void btrfs_path_done(struct btrfs_path *p)
{
	for (unsigned i = 0; i < BTRFS_LEVELS; i++)
		btrfs_node_put(p->node[i]);
	*p = (struct btrfs_path){0};
}

struct btrfs_key btrfs_path_key(const struct btrfs_path *p)
{
	return btrfs_node_key(p->node[0], p->slot[0]);
}

const uint8_t *btrfs_path_data(const struct btrfs_path *p, size_t *ret_len)
{
	const uint8_t *items = p->node[0]->data + BTRFS_NODE_HEAD, *item = items + (size_t)p->slot[0] * BTRFS_ITEM;
	*ret_len = get_le32(item + 21);
	return items + get_le32(item + 17);
}

/* The key at which the tree goes on behind the place at `level`; false: nowhere. */
static bool next_bound(const struct btrfs_tree *t, const struct btrfs_path *p, unsigned level, struct btrfs_key *ret)
{
	for (; level <= t->level; level++)
		if (p->node[level] && p->slot[level] + 1 < p->node[level]->count) {
			*ret = btrfs_node_key(p->node[level], p->slot[level] + 1);
			return true;
		}
	return false;
}

static void path_set(struct btrfs_path *p, unsigned level, struct btrfs_node *n)
{
	btrfs_node_put(p->node[level]);
	p->node[level] = n;
	p->slot[level] = 0;
}

/* A child's keys start at its parent's key and end before the next one: so no walk meets a block twice. */
static bool child_fits(const struct btrfs_tree *t, const struct btrfs_path *p, unsigned level,
                       const struct btrfs_node *n)
{
	struct btrfs_key want = btrfs_node_key(p->node[level], p->slot[level]), bound;
	if (n->count == 0)
		return false;
	struct btrfs_key first = btrfs_node_key(n, 0), last = btrfs_node_key(n, n->count - 1);
	if (btrfs_key_cmp(&want, &first) != 0)
		return false;
	return !next_bound(t, p, level, &bound) || btrfs_key_cmp(&last, &bound) < 0;
}

/* Loads what the slot at `level` (> 0) points to. */
static int descend(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, unsigned level, struct err *e)
{
	const uint8_t *ptr = p->node[level]->data + BTRFS_NODE_HEAD + (size_t)p->slot[level] * BTRFS_PTR + BTRFS_KEY;
	struct btrfs_node *n = NULL;
	int r = btrfs_node_get(x, t->id, get_le64(ptr), (uint8_t)(level - 1), get_le64(ptr + 8), &n, e);
	if (r == 0 && !child_fits(t, p, level, n)) {
		r = err_set(e, ERR_FILE_CORRUPT, module,
		            "the tree block at %" PRIu64 " is damaged: its keys are not its parent's", get_le64(ptr));
		btrfs_node_put(n);
	}
	if (r < 0) {
		p->valid = false;
		p->resumable = next_bound(t, p, level, &p->resume);
		return r;
	}
	path_set(p, level - 1, n);
	return 0;
}

/* The root; kept when the path has it already. */
static int start(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, struct err *e)
{
	p->valid = p->resumable = false;
	if (p->node[t->level] && p->node[t->level]->bytenr == t->bytenr)
		return 0;
	btrfs_path_done(p);
	struct btrfs_node *n = NULL;
	int r = btrfs_node_get(x, t->id, t->bytenr, t->level, t->generation, &n, e);
	if (r == 0 && n->level > 0 && n->count == 0) {
		btrfs_node_put(n);
		r = err_set(e, ERR_FILE_CORRUPT, module, "the tree block at %" PRIu64 " is damaged: it is empty",
		            t->bytenr);
	}
	if (r == 0)
		path_set(p, t->level, n);
	return r;
}

static bool is_below(struct btrfs_key k, const struct btrfs_key *key)
{
	return btrfs_key_cmp(&k, key) < 0;
}

/* The first slot not below key. */
static uint32_t search(const struct btrfs_node *n, const struct btrfs_key *key)
{
	return PARTITION_POINT(i, n->count, is_below(btrfs_node_key(n, i), key));
}

/* The slot of an inner node beneath which key belongs. */
static uint32_t search_child(const struct btrfs_node *n, const struct btrfs_key *key)
{
	uint32_t s = search(n, key);
	if (s < n->count) {
		struct btrfs_key k = btrfs_node_key(n, s);
		if (btrfs_key_cmp(&k, key) == 0)
			return s;
	}
	return s ? s - 1 : 0;
}

/* The leaf held is the right one when the key lies between its first and its last. */
static bool leaf_serves(const struct btrfs_tree *t, const struct btrfs_path *p, const struct btrfs_key *key)
{
	const struct btrfs_node *n = p->node[0];
	if (!n || !p->valid || n->count == 0 || !p->node[t->level] || p->node[t->level]->bytenr != t->bytenr)
		return false;
	struct btrfs_key first = btrfs_node_key(n, 0), last = btrfs_node_key(n, n->count - 1);
	return btrfs_key_cmp(&first, key) <= 0 && btrfs_key_cmp(key, &last) <= 0;
}

int btrfs_path_seek(struct btrfs_fs *x, const struct btrfs_tree *t, const struct btrfs_key *key, struct btrfs_path *p,
                    struct err *e)
{
	if (leaf_serves(t, p, key)) {
		p->slot[0] = search(p->node[0], key);
		return 1;
	}
	int r = start(x, t, p, e);
	if (r < 0)
		return r;
	for (unsigned level = t->level; level > 0; level--) {
		p->slot[level] = search_child(p->node[level], key);
		r = descend(x, t, p, level, e);
		if (r < 0)
			return r;
	}
	p->slot[0] = search(p->node[0], key);
	p->valid = p->slot[0] < p->node[0]->count;
	if (p->valid)
		return 1;
	if (p->node[0]->count == 0)
		return 0;
	p->slot[0]--;
	p->valid = true;
	return btrfs_path_next(x, t, p, e);
}

int btrfs_path_next(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, struct err *e)
{
	p->resumable = false;
	if (p->slot[0] + 1 < p->node[0]->count) {
		p->slot[0]++;
		return 1;
	}
	unsigned level = 1;
	while (level <= t->level && p->slot[level] + 1 >= p->node[level]->count)
		level++;
	p->valid = false;
	if (level > t->level)
		return 0;
	p->slot[level]++;
	for (; level > 0; level--) {
		int r = descend(x, t, p, level, e);
		if (r < 0)
			return r;
	}
	p->valid = true;
	return 1;
}

int btrfs_path_prev(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, struct err *e)
{
	p->resumable = false;
	if (p->slot[0] > 0) {
		p->slot[0]--;
		return 1;
	}
	unsigned level = 1;
	while (level <= t->level && p->slot[level] == 0)
		level++;
	p->valid = false;
	if (level > t->level)
		return 0;
	p->slot[level]--;
	for (; level > 0; level--) {
		int r = descend(x, t, p, level, e);
		if (r < 0)
			return r;
		p->slot[level - 1] = p->node[level - 1]->count - 1;
	}
	p->valid = true;
	return 1;
}
