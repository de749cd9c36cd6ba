#include "fs/btrfs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

struct btrfs_key btrfs_key_decode(const uint8_t *p)
{
	return (struct btrfs_key){.objectid = get_le64(p), .type = p[8], .offset = get_le64(p + 9)};
}

int btrfs_key_cmp(const struct btrfs_key *a, const struct btrfs_key *b)
{
	if (a->objectid != b->objectid)
		return a->objectid < b->objectid ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return a->offset == b->offset ? 0 : a->offset < b->offset ? -1 : 1;
}

struct btrfs_key btrfs_node_key(const struct btrfs_node *n, uint32_t slot)
{
	return btrfs_key_decode(n->data + BTRFS_NODE_HEAD + (size_t)slot * (n->level ? BTRFS_PTR : BTRFS_ITEM));
}

/* --- verification --------------------------------------------------------------------------------- */

static bool items_inside(const struct btrfs_node *n, size_t size)
{
	size_t room = size - BTRFS_NODE_HEAD;
	if (n->level)
		return true;
	for (uint32_t i = 0; i < n->count; i++) {
		const uint8_t *item = n->data + BTRFS_NODE_HEAD + (size_t)i * BTRFS_ITEM;
		uint32_t off = get_le32(item + 17), len = get_le32(item + 21);
		if (off < n->count * BTRFS_ITEM || !range_inside(off, len, room))
			return false;
	}
	return true;
}

static bool keys_ascend(const struct btrfs_node *n)
{
	struct btrfs_key last = {0}, k;
	for (uint32_t i = 0; i < n->count; i++, last = k) {
		k = btrfs_node_key(n, i);
		if (i > 0 && btrfs_key_cmp(&last, &k) >= 0)
			return false;
	}
	return true;
}

/* NULL, or what is wrong with the block, of which data is read. */
static const char *node_bad(const struct btrfs_fs *x, struct btrfs_node *n, uint64_t bytenr)
{
	const uint8_t *p = n->data;
	n->bytenr = bytenr;
	n->generation = get_le64(p + 80);
	n->owner = get_le64(p + 88);
	n->count = get_le32(p + 96);
	n->level = p[100];
	if (get_le64(p + 48) != bytenr)
		return "address";
	if (!btrfs_fsid_known(x, p + 32))
		return "UUID";
	if (n->level >= BTRFS_LEVELS)
		return "level";
	if (n->count > (x->sb.node - BTRFS_NODE_HEAD) / (n->level ? BTRFS_PTR : BTRFS_ITEM))
		return "number of items";
	if (!items_inside(n, x->sb.node))
		return "items";
	return keys_ascend(n) ? NULL : "order of keys";
}

/* A block as its parent has it. */
struct wanted {
	uint64_t tree, bytenr, generation;
	uint8_t level;
};

/* Snapshots share blocks of each other; all other trees own theirs. */
static bool owner_fits(uint64_t tree, uint64_t owner)
{
	return btrfs_is_subvolume(tree) ? btrfs_is_subvolume(owner) : tree == owner;
}

/* NULL, or what is not as it was to be. */
static const char *node_other(const struct btrfs_node *n, const struct wanted *want)
{
	if (n->level != want->level)
		return "level";
	if (n->generation != want->generation)
		return "generation";
	return owner_fits(want->tree, n->owner) ? NULL : "owner";
}

static int node_damaged(uint64_t bytenr, const char *bad, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the tree block at %" PRIu64 " is damaged: wrong %s", bytenr, bad);
}

/* 1: good. 0: *why says why not. < 0: give up. A copy that was not written when it should have been holds an older
 * block, whose checksum fits. */
static int read_copy(struct btrfs_fs *x, const struct wanted *want, unsigned mirror, struct btrfs_node *n,
                     struct err *why, struct err *e)
{
	int r = btrfs_read_mirror(x, want->bytenr, mirror, BTRFS_FOR_NODE, n->data, x->sb.node, why);
	if (r < 0)
		return 0;
	r = btrfs_csum_fits(x->sb.csum_type, n->data + BTRFS_CSUM_MAX, x->sb.node - BTRFS_CSUM_MAX, n->data, e);
	if (r < 0)
		return r;
	const char *bad = r ? node_bad(x, n, want->bytenr) : "checksum";
	if (!bad)
		bad = node_other(n, want);
	if (bad)
		node_damaged(want->bytenr, bad, why);
	return bad == NULL;
}

/* What failed first counts, but a device that is missing is less of a reason than anything else. */
static void keep_reason(struct err *reason, const struct err *why)
{
	bool better = reason->code == ERR_VOLUME_INCOMPLETE && why->code != ERR_VOLUME_INCOMPLETE;
	if (!reason->code || better || why->code == ERR_IO)
		*reason = *why;
}

static int node_read(struct btrfs_fs *x, const struct wanted *want, struct btrfs_node *n, struct err *e)
{
	unsigned mirrors = btrfs_mirrors(x, want->bytenr);
	struct err reason = ERR_INIT;
	if (mirrors == 0 || want->bytenr % x->sb.sector)
		return err_set(e, ERR_FILE_CORRUPT, module, "no chunk holds the address %" PRIu64, want->bytenr);
	for (unsigned m = 0; m < mirrors; m++) {
		struct err why = ERR_INIT;
		int r = read_copy(x, want, m, n, &why, e);
		if (r)
			return r < 0 ? r : 0;
		keep_reason(&reason, &why);
	}
	*e = reason;
	return e->code;
}

/* --- cache ---------------------------------------------------------------------------------------- */

int btrfs_cache_open(struct btrfs_fs *x, struct err *e)
{
	size_t n = BTRFS_NODE_CACHE / x->sb.node;
	n = n < BTRFS_NODE_CACHE_MIN ? BTRFS_NODE_CACHE_MIN : min_size(n, BTRFS_NODE_CACHE_MAX);
	x->cache = calloc(n, sizeof(*x->cache));
	if (!x->cache)
		return err_no_memory(e, module);
	x->cache_slots = n;
	return 0;
}

void btrfs_cache_close(struct btrfs_fs *x)
{
	for (size_t i = 0; i < x->cache_slots; i++)
		btrfs_node_put(x->cache[i]);
	free(x->cache);
	x->cache = NULL;
	x->cache_slots = 0;
}

void btrfs_node_put(struct btrfs_node *n)
{
	if (n && --n->refs == 0)
		free(n);
}

static struct btrfs_node **cache_set(struct btrfs_fs *x, uint64_t bytenr)
{
	uint64_t hash = bytenr / x->sb.sector * 0x9E3779B97F4A7C15;
	return x->cache + (hash >> 32) % (x->cache_slots / BTRFS_NODE_WAYS) * BTRFS_NODE_WAYS;
}

/* The slot that has the block, else the one to be used next. */
static struct btrfs_node **cache_slot(struct btrfs_fs *x, uint64_t bytenr)
{
	struct btrfs_node **set = cache_set(x, bytenr), **oldest = set;
	for (unsigned i = 0; i < BTRFS_NODE_WAYS; i++) {
		if (set[i] && set[i]->bytenr == bytenr)
			return &set[i];
		if (*oldest && (!set[i] || set[i]->used < (*oldest)->used))
			oldest = &set[i];
	}
	return oldest;
}

/* A block to read into: the slot's own, when nobody else holds it. */
static struct btrfs_node *slot_take(struct btrfs_fs *x, struct btrfs_node **slot)
{
	struct btrfs_node *n = STEAL(*slot);
	if (n && n->refs == 1)
		return n;
	btrfs_node_put(n);
	n = malloc(sizeof(*n) + x->sb.node);
	if (n)
		n->refs = 1;
	return n;
}

static int node_cached(struct btrfs_fs *x, const struct wanted *want, struct btrfs_node **ret, struct err *e)
{
	struct btrfs_node **slot = cache_slot(x, want->bytenr);
	if (!*slot || (*slot)->bytenr != want->bytenr) {
		struct btrfs_node *n = slot_take(x, slot);
		if (!n)
			return err_no_memory(e, module);
		int r = node_read(x, want, n, e);
		if (r < 0) {
			btrfs_node_put(n);
			return r;
		}
		*slot = n;
	}
	(*slot)->used = ++x->tick;
	(*slot)->refs++;
	*ret = *slot;
	return 0;
}

int btrfs_node_get(struct btrfs_fs *x, uint64_t tree, uint64_t bytenr, uint8_t level, uint64_t generation,
                   struct btrfs_node **ret, struct err *e)
{
	const struct wanted want = {.tree = tree, .bytenr = bytenr, .generation = generation, .level = level};
	struct btrfs_node *n = NULL;
	int r = node_cached(x, &want, &n, e);
	if (r < 0)
		return r;
	/* One that was kept was wanted by another parent. */
	const char *bad = node_other(n, &want);
	if (!bad) {
		*ret = n;
		return 0;
	}
	btrfs_node_put(n);
	return node_damaged(bytenr, bad, e);
}
