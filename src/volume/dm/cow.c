#include "volume/dm/cow.h"

#include "base/bytes.h"
#include "base/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_BYTES = 16,
	MAGIC = 0x70416e53,          /* "SnAp" */
	EXCEPTION = 16,
	CHUNK_SECTORS_MAX = 2048,    /* 1 MiB; lvm2 makes at most 512 KiB */
};

struct exception {
	uint64_t old;                /* chunk of the origin */
	uint64_t new;                /* chunk of the store */
};

struct cow {
	struct blk blk;
	struct blk *origin, *store;
	uint32_t chunk;              /* bytes */
	struct exception *list;      /* sorted by old */
	size_t count, cap;
};

/* --- The store -------------------------------------------------------------------------------------------------- */

static int add(struct cow *c, uint64_t old, uint64_t new, struct err *e)
{
	if (c->count == c->cap) {
		if (c->cap == COW_EXCEPTIONS_MAX)
			return err_set(e, ERR_VOLUME_UNSUPPORTED, "cow", "the snapshot has more than %d chunks of its own",
			               COW_EXCEPTIONS_MAX);
		size_t cap = c->cap ? 2 * c->cap : 1024;
		struct exception *grown = realloc(c->list, cap * sizeof(*grown));
		if (!grown)
			return err_no_memory(e, "cow");
		c->list = grown;
		c->cap = cap;
	}
	c->list[c->count++] = (struct exception){.old = old, .new = new};
	return 0;
}

/* One chunk of exceptions. 1: the list ends here. */
static int add_area(struct cow *c, const uint8_t *p, uint64_t chunks, struct err *e)
{
	for (uint32_t i = 0; i < c->chunk / EXCEPTION; i++) {
		uint64_t old = get_le64(p + (size_t)EXCEPTION * i), new = get_le64(p + (size_t)EXCEPTION * i + 8);
		if (new == 0)
			return 1;
		if (new >= chunks)
			return err_set(e, ERR_VOLUME_CORRUPT, "cow", "chunk %" PRIu64 " lies outside the snapshot's store", new);
		int r = add(c, old, new, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int order(const void *a, const void *b)
{
	const struct exception *x = a, *y = b;
	return (x->old > y->old) - (x->old < y->old);
}

static int read_store(struct cow *c, struct err *e)
{
	uint8_t h[HEADER_BYTES];
	if (c->store->size < 4096)
		return err_set(e, ERR_VOLUME_CORRUPT, "cow", "the snapshot's store is too small");
	int r = blk_read(c->store, 0, h, sizeof(h), e);
	if (r < 0)
		return r;
	/* Zeroed and never active: nothing differs yet. */
	if (get_le32(h) == 0) {
		c->chunk = 4096;
		return 0;
	}
	uint32_t sectors = get_le32(h + 12);
	if (get_le32(h) != MAGIC || get_le32(h + 8) != 1 || !is_pow2(sectors) || sectors > CHUNK_SECTORS_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "cow", "the header of the snapshot's store is damaged");
	if (get_le32(h + 4) == 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "cow", "the snapshot is invalid: its store was full");
	c->chunk = sectors * 512;
	CLEANUP(free_ptr) uint8_t *area = malloc(c->chunk);
	if (!area)
		return err_no_memory(e, "cow");
	uint64_t chunks = c->store->size / c->chunk;
	for (uint64_t at = 1; r == 0 && at < chunks; at += c->chunk / EXCEPTION + 1) {
		r = blk_read(c->store, at * c->chunk, area, c->chunk, e);
		if (r == 0)
			r = add_area(c, area, chunks, e);
	}
	if (r >= 0 && c->count > 0)
		qsort(c->list, c->count, sizeof(*c->list), order);
	return r < 0 ? r : 0;
}

/* --- The device ---------------------------------------------------------------------------------------------------- */

/* The first exception whose old chunk is >= chunk. */
static size_t find(const struct cow *c, uint64_t chunk)
{
	return PARTITION_POINT(i, c->count, c->list[i].old < chunk);
}

/* Where the bytes at off lie; NULL: zeroes behind the origin's end. Returns how many lie there. */
static uint64_t locate(const struct cow *c, uint64_t off, uint64_t len, struct blk **ret_blk, uint64_t *ret_off)
{
	uint64_t chunk = off / c->chunk, within = off % c->chunk;
	size_t i = find(c, chunk);
	if (i < c->count && c->list[i].old == chunk) {
		uint64_t n = 1;
		while (i + n < c->count && n * c->chunk - within < len && c->list[i + n].old == chunk + n &&
		       c->list[i + n].new == c->list[i].new + n)
			n++;
		*ret_blk = c->store;
		*ret_off = c->list[i].new * c->chunk + within;
		return min_u64(len, n * c->chunk - within);
	}
	if (i < c->count && c->list[i].old - chunk <= (len + within) / c->chunk)
		len = min_u64(len, (c->list[i].old - chunk) * c->chunk - within);
	*ret_blk = NULL;
	if (off < c->origin->size) {
		len = min_u64(len, c->origin->size - off);
		*ret_blk = c->origin;
		*ret_off = off;
	}
	return len;
}

static int cow_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		struct blk *from;
		uint64_t at;
		size_t n = (size_t)locate((struct cow *)b, off, len, &from, &at);
		int r = 0;
		if (from)
			r = blk_read(from, at, p, n, e);
		else
			memset(p, 0, n);
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int cow_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct blk *from;
	uint64_t at;
	uint64_t n = locate((struct cow *)b, off, len, &from, &at);
	if (from)
		return blk_extent(from, at, n, ret, e);
	*ret = (struct blk_extent){.kind = BLK_ZERO, .len = n, .fd = -1};
	return 0;
}

static void cow_close(struct blk *b)
{
	struct cow *c = (struct cow *)b;
	blk_unref(c->origin);
	blk_unref(c->store);
	free(c->list);
	free(c);
}

static const struct blk_ops cow_ops = {
	.name = "snapshot",
	.read = cow_read,
	.extent = cow_extent,
	.close = cow_close,
};

int cow_open(struct blk *origin, struct blk *store, uint64_t size, struct blk **ret, struct err *e)
{
	struct cow *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, "cow");
	blk_init(&c->blk, &cow_ops, size);
	c->blk.sector_size = origin->sector_size;
	c->origin = blk_ref(origin);
	c->store = blk_ref(store);
	CLEANUP(blk_unref_p) struct blk *owned = &c->blk;
	int r = read_store(c, e);
	if (r < 0)
		return r;
	*ret = STEAL(owned);
	return 0;
}
