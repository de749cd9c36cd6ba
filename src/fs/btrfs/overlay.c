/* A skip list of items, by key. */
#include "fs/btrfs/btrfs.h"

#include <stdlib.h>

static const char *const module = "btrfs";

enum { HEIGHT = 16 };

struct node {
	struct btrfs_layer_item item;
	uint8_t *owned;              /* item.data */
	unsigned height;
	struct node *next[];         /* `height` of them */
};

struct btrfs_overlay {
	uint64_t id;
	size_t *used;
	uint64_t random;
	struct node *head[HEIGHT];
};

int btrfs_overlay_open(uint64_t id, size_t *used, struct btrfs_overlay **ret, struct err *e)
{
	struct btrfs_overlay *o = calloc(1, sizeof(*o));
	if (!o)
		return err_no_memory(e, module);
	o->id = id;
	o->used = used;
	o->random = 0x2545F4914F6CDD1D;
	*ret = o;
	return 0;
}

void btrfs_overlay_free(struct btrfs_overlay *o)
{
	if (!o)
		return;
	for (struct node *n = o->head[0], *next; n; n = next) {
		next = n->next[0];
		free(n->owned);
		free(n);
	}
	free(o);
}

uint64_t btrfs_overlay_id(const struct btrfs_overlay *o)
{
	return o->id;
}

/* At each height the last node below key (NULL: the head). */
static void find(const struct btrfs_overlay *o, const struct btrfs_key *key, struct node *before[HEIGHT])
{
	struct node *at = NULL;
	for (unsigned h = HEIGHT; h-- > 0;) {
		struct node *n = at ? at->next[h] : o->head[h];
		for (; n && btrfs_key_cmp(&n->item.key, key) < 0; n = n->next[h])
			at = n;
		before[h] = at;
	}
}

static struct node *first_ge(const struct btrfs_overlay *o, struct node *const before[HEIGHT])
{
	return before[0] ? before[0]->next[0] : o->head[0];
}

static unsigned pick_height(struct btrfs_overlay *o)
{
	o->random ^= o->random << 13;
	o->random ^= o->random >> 7;
	o->random ^= o->random << 17;
	unsigned h = 1 + (unsigned)__builtin_ctzll(o->random | (uint64_t)1 << (2 * (HEIGHT - 1))) / 2;
	return h;
}

static struct node *insert(struct btrfs_overlay *o, const struct btrfs_key *key, struct node *before[HEIGHT])
{
	unsigned height = pick_height(o);
	struct node *n = calloc(1, sizeof(*n) + height * sizeof(n->next[0]));
	if (!n)
		return NULL;
	n->item.key = *key;
	n->height = height;
	for (unsigned h = 0; h < height; h++) {
		struct node **link = before[h] ? &before[h]->next[h] : &o->head[h];
		n->next[h] = *link;
		*link = n;
	}
	return n;
}

int btrfs_overlay_put(struct btrfs_overlay *o, const struct btrfs_key *key, const void *data, size_t len, struct err *e)
{
	struct node *before[HEIGHT];
	size_t cost = sizeof(struct node) + HEIGHT * sizeof(void *) + len;
	if (cost > BTRFS_OVERLAY_MAX - *o->used)
		return err_set(e, ERR_LIMIT, module, "the log tree is too large to be replayed in memory");
	uint8_t *copy = data ? malloc(len + 1) : NULL;
	find(o, key, before);
	struct node *n = first_ge(o, before);
	if (!n || btrfs_key_cmp(&n->item.key, key) != 0)
		n = data && !copy ? NULL : insert(o, key, before);
	if (!n || (data && !copy)) {
		free(copy);
		return err_no_memory(e, module);
	}
	if (data)
		memcpy(copy, data, len);
	free(n->owned);
	n->owned = copy;
	n->item.data = copy;
	n->item.len = data ? len : 0;
	n->item.deleted = !data;
	*o->used += cost;
	return 0;
}

const struct btrfs_layer_item *btrfs_overlay_ge(const struct btrfs_overlay *o, const struct btrfs_key *key)
{
	struct node *before[HEIGHT];
	find(o, key, before);
	struct node *n = first_ge(o, before);
	return n ? &n->item : NULL;
}

const struct btrfs_layer_item *btrfs_overlay_le(const struct btrfs_overlay *o, const struct btrfs_key *key)
{
	struct node *before[HEIGHT];
	find(o, key, before);
	struct node *n = first_ge(o, before);
	if (n && btrfs_key_cmp(&n->item.key, key) == 0)
		return &n->item;
	return before[0] ? &before[0]->item : NULL;
}
