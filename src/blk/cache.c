#include "blk/cache.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

static const char module[] = "cache";

enum { NONE = UINT32_MAX };

struct line {
	uint8_t *data;             /* BLK_CACHE_LINE bytes; NULL until used */
	uint64_t number;           /* offset / BLK_CACHE_LINE */
	uint32_t chain;            /* next line of the bucket */
	uint32_t newer, older;     /* LRU list */
	bool used;                 /* is in a bucket */
};

struct blk_cache {
	struct blk blk;
	struct blk *parent;
	struct line *lines;
	uint32_t *buckets;
	uint32_t count;            /* of lines */
	uint32_t mask;             /* buckets - 1 */
	uint32_t newest, oldest;
};

static uint32_t *bucket(const struct blk_cache *c, uint64_t number)
{
	return &c->buckets[(uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & c->mask];
}

static void lru_unlink(struct blk_cache *c, uint32_t i)
{
	struct line *l = &c->lines[i];
	*(l->newer == NONE ? &c->newest : &c->lines[l->newer].older) = l->older;
	*(l->older == NONE ? &c->oldest : &c->lines[l->older].newer) = l->newer;
}

static void lru_push_newest(struct blk_cache *c, uint32_t i)
{
	struct line *l = &c->lines[i];
	l->newer = NONE;
	l->older = c->newest;
	*(c->newest == NONE ? &c->oldest : &c->lines[c->newest].newer) = i;
	c->newest = i;
}

static struct line *find(struct blk_cache *c, uint64_t number)
{
	uint32_t i = *bucket(c, number);
	while (i != NONE && c->lines[i].number != number)
		i = c->lines[i].chain;
	if (i == NONE)
		return NULL;
	if (i != c->newest) {
		lru_unlink(c, i);
		lru_push_newest(c, i);
	}
	return &c->lines[i];
}

static void forget(struct blk_cache *c, uint32_t i)
{
	struct line *l = &c->lines[i];
	if (!l->used)
		return;
	uint32_t *at = bucket(c, l->number);
	while (*at != i)
		at = &c->lines[*at].chain;
	*at = l->chain;
	l->used = false;
}

/* Fills the least recently used line with this one. It enters its bucket only once it is whole. */
static int fill(struct blk_cache *c, uint64_t number, struct line **ret, struct err *e)
{
	uint32_t i = c->oldest;
	struct line *l = &c->lines[i];
	if (!l->data)
		l->data = malloc(BLK_CACHE_LINE);
	if (!l->data)
		return err_no_memory(e, module);
	forget(c, i);
	uint64_t off = number * BLK_CACHE_LINE;
	int r = blk_read(c->parent, off, l->data, (size_t)min_u64(BLK_CACHE_LINE, c->blk.size - off), e);
	if (r < 0)
		return r;
	l->number = number;
	l->used = true;
	l->chain = *bucket(c, number);
	*bucket(c, number) = i;
	lru_unlink(c, i);
	lru_push_newest(c, i);
	*ret = l;
	return 0;
}

static int cache_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_cache *c = (struct blk_cache *)b;
	if (len >= BLK_CACHE_BYPASS)
		return blk_read(c->parent, off, to, len, e);
	uint8_t *p = to;
	while (len > 0) {
		size_t skip = off % BLK_CACHE_LINE;
		size_t n = min_size(len, BLK_CACHE_LINE - skip);
		struct line *l = find(c, off / BLK_CACHE_LINE);
		int r = l ? 0 : fill(c, off / BLK_CACHE_LINE, &l, e);
		if (r == 0) {
			memcpy(p, l->data + skip, n);
		} else {
			err_clear(e);
			r = blk_read(c->parent, off, p, n, e);
			if (r < 0)
				return r;
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int cache_read_once(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	return blk_read(((struct blk_cache *)b)->parent, off, to, len, e);
}

static int cache_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	return blk_extent(((struct blk_cache *)b)->parent, off, len, ret, e);
}

static void cache_close(struct blk *b)
{
	struct blk_cache *c = (struct blk_cache *)b;
	for (uint32_t i = 0; c->lines && i < c->count; i++)
		free(c->lines[i].data);
	free(c->lines);
	free(c->buckets);
	blk_unref(c->parent);
	free(c);
}

static const struct blk_ops cache_ops = {
	.name = "cache",
	.read = cache_read,
	.read_once = cache_read_once,
	.extent = cache_extent,
	.close = cache_close,
};

int blk_cache_open(struct blk *parent, size_t bytes_max, struct blk **ret, struct err *e)
{
	size_t lines = bytes_max / BLK_CACHE_LINE;
	lines = lines < BLK_CACHE_LINES_MIN ? BLK_CACHE_LINES_MIN : min_size(lines, BLK_CACHE_LINES_MAX);
	struct blk_cache *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, module);
	blk_init(&c->blk, &cache_ops, parent->size);
	c->blk.sector_size = parent->sector_size;
	c->parent = blk_ref(parent);
	c->count = (uint32_t)lines;
	c->mask = 1;
	while (c->mask < c->count)
		c->mask *= 2;
	c->lines = calloc(c->count, sizeof(c->lines[0]));
	c->buckets = malloc(c->mask * sizeof(c->buckets[0]));
	if (!c->lines || !c->buckets) {
		cache_close(&c->blk);
		return err_no_memory(e, module);
	}
	memset(c->buckets, 0xff, c->mask * sizeof(c->buckets[0]));
	c->mask--;
	c->newest = c->oldest = NONE;
	for (uint32_t i = 0; i < c->count; i++)
		lru_push_newest(c, i);
	*ret = &c->blk;
	return 0;
}
