/* Hash trees of directories: block 0 holds "." and "..", then the root of the tree; nodes hide behind an entry
 * without inode that fills the block. Leaves are ordinary directory blocks. */
#include "fs/ext/ext.h"

#include <inttypes.h>

static const char *const module = "ext";

enum {
	ROOT_INFO = 24,              /* behind "." and ".." */
	NODE_ENTRIES = 8,
	LEVELS_MAX = 3,              /* of nodes, the root included */
	LEAVES_MAX = 1024,           /* with names of one hash */
};

struct frame {
	uint32_t lblk;
	unsigned base;               /* offset of entry 0 */
	unsigned at, count;
};

struct walk {
	struct ext_fs *x;
	const struct ext_inode *dir;
	struct ext_map map;
	struct frame frames[LEVELS_MAX];
	unsigned levels;
};

static int damaged(const struct ext_inode *dir, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the hash tree of directory %" PRIu32 " is damaged: %s", dir->ino, what);
}

static const uint8_t *load(struct walk *w, uint32_t lblk, struct err *e)
{
	struct ext_run run;
	if (ext_map_run(&w->map, lblk, 1, &run, e) < 0)
		return NULL;
	if (run.pblk == 0 || lblk >= ext_dir_size_blocks(w->x, w->dir)) {
		(void)damaged(w->dir, "it names a block the directory does not have", e);
		return NULL;
	}
	const uint8_t *p = ext_block(w->x, run.pblk, e);
	if (p && ext_dir_csum(w->x, w->dir, p, lblk, e) < 0)
		return NULL;
	return p;
}

static int open_frame(struct walk *w, struct frame *f, uint32_t lblk, unsigned base, struct err *e)
{
	const uint8_t *p = load(w, lblk, e);
	if (!p)
		return e->code;
	unsigned limit = get_le16(p + base), count = get_le16(p + base + 2);
	if (count == 0 || count > limit || base + (size_t)limit * 8 > w->x->sb.block_size)
		return damaged(w->dir, "a node has an impossible number of entries", e);
	*f = (struct frame){.lblk = lblk, .base = base, .count = count};
	return 0;
}

static uint32_t entry_hash(const struct frame *f, const uint8_t *p, unsigned i)
{
	return i == 0 ? 0 : get_le32(p + f->base + (size_t)i * 8);
}

/* The last entry whose hash is not above h. */
static int frame_search(struct walk *w, struct frame *f, uint32_t h, uint32_t *ret_child, struct err *e)
{
	const uint8_t *p = load(w, f->lblk, e);
	if (!p)
		return e->code;
	unsigned lo = 1, hi = f->count;
	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		if (entry_hash(f, p, mid) <= h)
			lo = mid + 1;
		else
			hi = mid;
	}
	f->at = lo - 1;
	*ret_child = get_le32(p + f->base + (size_t)f->at * 8 + 4) & 0x0FFFFFFF;
	return 0;
}

static int open_root(struct walk *w, struct err *e)
{
	const uint8_t *p = load(w, 0, e);
	if (!p)
		return e->code;
	unsigned info_len = p[ROOT_INFO + 5], indirect = p[ROOT_INFO + 6];
	if (get_le32(p + ROOT_INFO) != 0 || info_len != 8 || p[ROOT_INFO + 7] & 1)
		return damaged(w->dir, "its root is unknown", e);
	if (indirect >= (w->x->sb.incompat & EXT_LARGEDIR ? LEVELS_MAX : LEVELS_MAX - 1))
		return damaged(w->dir, "it is too deep", e);
	w->levels = indirect + 1;
	return open_frame(w, &w->frames[0], 0, ROOT_INFO + info_len, e);
}

/* From frame `level` down to the leaf for h. */
static int go_down(struct walk *w, unsigned level, uint32_t h, uint32_t *ret_leaf, struct err *e)
{
	uint32_t child = 0;
	int r = frame_search(w, &w->frames[level], h, &child, e);
	while (r == 0 && ++level < w->levels) {
		r = open_frame(w, &w->frames[level], child, NODE_ENTRIES, e);
		if (r == 0)
			r = frame_search(w, &w->frames[level], h, &child, e);
	}
	if (r == 0)
		*ret_leaf = child;
	return r;
}

/* The leaf behind this one, if names of the same hash go on there (its entry then has bit 0 set). 1: yes. */
static int next_leaf(struct walk *w, uint32_t h, uint32_t *ret_leaf, struct err *e)
{
	unsigned level = w->levels;
	const uint8_t *p = NULL;
	while (level-- > 0) {
		struct frame *f = &w->frames[level];
		if (f->at + 1 < f->count) {
			p = load(w, f->lblk, e);
			if (!p)
				return e->code;
			break;
		}
	}
	if (!p)
		return 0;
	struct frame *f = &w->frames[level];
	if (entry_hash(f, p, f->at + 1) != (h | 1))
		return 0;
	f->at++;
	uint32_t child = get_le32(p + f->base + (size_t)f->at * 8 + 4) & 0x0FFFFFFF;
	int r = 0;
	while (r == 0 && ++level < w->levels) {
		r = open_frame(w, &w->frames[level], child, NODE_ENTRIES, e);
		/* Nothing lies before the first entry of such a node. */
		if (r == 0)
			r = frame_search(w, &w->frames[level], 0, &child, e);
	}
	*ret_leaf = child;
	return r < 0 ? r : 1;
}

static int find(struct walk *w, uint32_t h, ext_dent_fn *fn, void *arg, int *ret, struct err *e)
{
	uint32_t leaf = 0;
	int r = open_root(w, e);
	if (r == 0)
		r = go_down(w, 0, h, &leaf, e);
	if (r < 0)
		return r;
	for (unsigned n = 0; n < LEAVES_MAX; n++) {
		const uint8_t *p = load(w, leaf, e);
		if (!p)
			return e->code;
		*ret = ext_dir_block(w->x, p, w->x->sb.block_size, 0, (uint64_t)leaf << w->x->sb.block_bits, NULL, fn, arg);
		if (*ret)
			return 0;
		r = next_leaf(w, h, &leaf, e);
		if (r <= 0)
			return r;
	}
	return damaged(w->dir, "too many blocks have the same hash", e);
}

int ext_htree_find(struct ext_fs *x, const struct ext_inode *dir, const void *name, size_t len, ext_dent_fn *fn,
                   void *arg, int *ret, struct err *e)
{
	unsigned version;
	struct ext_hash h;
	int r = ext_htree_version(x, dir, &version, e);
	if (r < 0)
		return r;
	if (!ext_name_hash(&x->sb, version, name, len, &h))
		return damaged(dir, "it uses an unknown hash", e);
	struct walk w = {.x = x, .dir = dir};
	ext_map_init(&w.map, x, dir);
	r = find(&w, h.major, fn, arg, ret, e);
	ext_map_fini(&w.map);
	return r;
}

int ext_htree_version(struct ext_fs *x, const struct ext_inode *dir, unsigned *ret, struct err *e)
{
	unsigned v = x->sb.hash_version;
	if (dir->flags & EXT_FL_INDEX) {
		struct walk w = {.x = x, .dir = dir};
		ext_map_init(&w.map, x, dir);
		const uint8_t *p = load(&w, 0, e);
		ext_map_fini(&w.map);
		if (!p)
			return e->code;
		v = p[ROOT_INFO + 4];
	}
	*ret = v <= 2 && x->sb.hash_unsigned ? v + 3 : v;
	return 0;
}
