/* Pages are found by a hash table; extent() needs the next one behind an offset and therefore keeps a sorted list
 * of their numbers, made anew after writes. */
#include "blk/overlay.h"

#include "base/bytes.h"
#include "base/search.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "overlay";

enum { PAGE = BLK_OVERLAY_PAGE, SLOTS_FIRST = 64 };

struct page {
	uint64_t number;             /* offset / PAGE */
	uint64_t from;               /* without data: where in the parent it lies */
	uint8_t *data;               /* PAGE bytes, owned; NULL for a redirected page */
	bool used;
};

struct overlay {
	struct blk blk;
	struct blk *parent;
	uint64_t bytes, bytes_max;
	struct page *slots;          /* open addressing, a power of two, at most half full */
	size_t slot_count, page_count;
	uint64_t *sorted;            /* page_count numbers */
	bool sorted_valid;
};

static struct page *slot_of(const struct overlay *o, uint64_t number)
{
	size_t i = (size_t)(number * 0x9E3779B97F4A7C15u >> 20) & (o->slot_count - 1);
	while (o->slots[i].used && o->slots[i].number != number)
		i = (i + 1) & (o->slot_count - 1);
	return &o->slots[i];
}

static struct page *find(const struct overlay *o, uint64_t number)
{
	if (o->page_count == 0)
		return NULL;
	struct page *p = slot_of(o, number);
	return p->used ? p : NULL;
}

static int grow(struct overlay *o, struct err *e)
{
	struct overlay bigger = *o;
	bigger.slot_count = o->slot_count ? 2 * o->slot_count : SLOTS_FIRST;
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return err_no_memory(e, module);
	for (size_t i = 0; i < o->slot_count; i++)
		if (o->slots[i].used)
			*slot_of(&bigger, o->slots[i].number) = o->slots[i];
	free(o->slots);
	o->slots = bigger.slots;
	o->slot_count = bigger.slot_count;
	return 0;
}

static int charge(struct overlay *o, uint64_t bytes, struct err *e)
{
	if (bytes > o->bytes_max - o->bytes)
		return err_set(e, ERR_LIMIT, module, "more than %" PRIu64 " bytes would have to be held in memory", o->bytes_max);
	o->bytes += bytes;
	return 0;
}

/* The page's slot; a new one shows the parent's bytes in their own place. */
static int obtain(struct overlay *o, uint64_t number, struct page **ret, struct err *e)
{
	struct page *p = find(o, number);
	if (!p) {
		int r = charge(o, BLK_OVERLAY_PAGE_COST, e);
		if (r == 0 && o->page_count >= o->slot_count / 2)
			r = grow(o, e);
		if (r < 0)
			return r;
		p = slot_of(o, number);
		*p = (struct page){.number = number, .from = number * PAGE, .used = true};
		o->page_count++;
		o->sorted_valid = false;
	}
	*ret = p;
	return 0;
}

static size_t page_len(const struct overlay *o, uint64_t number)
{
	return (size_t)min_u64(PAGE, o->blk.size - number * PAGE);
}

/* Gives the page bytes of its own, filled with what it showed unless all of it will be overwritten. */
static int materialise(struct overlay *o, struct page *p, bool fill, struct err *e)
{
	if (p->data)
		return 0;
	int r = charge(o, PAGE, e);
	if (r < 0)
		return r;
	uint8_t *data = calloc(1, PAGE);
	if (!data)
		return err_no_memory(e, module);
	if (fill)
		r = blk_read(o->parent, p->from, data, page_len(o, p->number), e);
	if (r < 0) {
		free(data);
		return r;
	}
	p->data = data;
	return 0;
}

static int write_page(struct overlay *o, uint64_t off, const uint8_t *data, size_t len, struct err *e)
{
	struct page *p;
	uint64_t number = off / PAGE;
	int r = obtain(o, number, &p, e);
	if (r == 0)
		r = materialise(o, p, len < page_len(o, number), e);
	if (r == 0)
		memcpy(p->data + off % PAGE, data, len);
	return r;
}

static int check_range(const struct overlay *o, uint64_t off, uint64_t len, struct err *e)
{
	if (range_inside(off, len, o->blk.size))
		return 0;
	return err_set(e, ERR_IO, module, "a write of %" PRIu64 " bytes at %" PRIu64 " leaves the device of %" PRIu64 " bytes",
	               len, off, o->blk.size);
}

/* --- blk ------------------------------------------------------------------------------------------ */

static int overlay_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct overlay *o = (struct overlay *)b;
	uint8_t *at = to;
	int r = 0;
	while (len > 0 && r == 0) {
		size_t n = min_size(len, PAGE - off % PAGE);
		const struct page *p = find(o, off / PAGE);
		if (p && p->data) {
			memcpy(at, p->data + off % PAGE, n);
		} else if (p) {
			r = blk_read(o->parent, p->from + off % PAGE, at, n, e);
		} else {
			while (n < len && !find(o, (off + n) / PAGE))
				n += min_size(len - n, PAGE);
			r = blk_read(o->parent, off, at, n, e);
		}
		at += n;
		off += n;
		len -= n;
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int sort_pages(struct overlay *o, struct err *e)
{
	uint64_t *list = realloc(o->sorted, (o->page_count + 1) * sizeof(*list));
	if (!list)
		return err_no_memory(e, module);
	o->sorted = list;
	size_t n = 0;
	for (size_t i = 0; i < o->slot_count; i++)
		if (o->slots[i].used)
			list[n++] = o->slots[i].number;
	qsort(list, n, sizeof(*list), compare);
	o->sorted_valid = true;
	return 0;
}

/* Offset of the first page at or behind `off`, UINT64_MAX for none. */
static uint64_t next_page(const struct overlay *o, uint64_t off)
{
	size_t at = PARTITION_POINT(i, o->page_count, o->sorted[i] < off / PAGE);
	return at < o->page_count ? o->sorted[at] * PAGE : UINT64_MAX;
}

static int overlay_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct overlay *o = (struct overlay *)b;
	if (o->page_count == 0)
		return blk_extent(o->parent, off, len, ret, e);
	const struct page *p = find(o, off / PAGE);
	if (p) {
		len = min_u64(len, PAGE - off % PAGE);
		if (!p->data)
			return blk_extent(o->parent, p->from + off % PAGE, len, ret, e);
		*ret = (struct blk_extent){.kind = BLK_DATA, .len = len, .fd = -1};
		return 0;
	}
	int r = o->sorted_valid ? 0 : sort_pages(o, e);
	if (r < 0)
		return r;
	return blk_extent(o->parent, off, min_u64(len, next_page(o, off) - off), ret, e);
}

static void overlay_close(struct blk *b)
{
	struct overlay *o = (struct overlay *)b;
	for (size_t i = 0; i < o->slot_count; i++)
		free(o->slots[i].data);
	free(o->slots);
	free(o->sorted);
	blk_unref(o->parent);
	free(o);
}

static const struct blk_ops overlay_ops = {
	.name = "overlay",
	.read = overlay_read,
	.extent = overlay_extent,
	.close = overlay_close,
};

int blk_overlay_open(struct blk *parent, uint64_t bytes_max, struct blk **ret, struct err *e)
{
	struct overlay *o = calloc(1, sizeof(*o));
	if (!o)
		return err_no_memory(e, module);
	blk_init(&o->blk, &overlay_ops, parent->size);
	o->blk.sector_size = parent->sector_size;
	o->parent = blk_ref(parent);
	o->bytes_max = bytes_max;
	*ret = &o->blk;
	return 0;
}

int blk_overlay_write(struct blk *b, uint64_t off, const void *data, size_t len, struct err *e)
{
	assert(b->ops == &overlay_ops);
	struct overlay *o = (struct overlay *)b;
	const uint8_t *from = data;
	int r = check_range(o, off, len, e);
	while (len > 0 && r == 0) {
		size_t n = min_size(len, PAGE - off % PAGE);
		r = write_page(o, off, from, n, e);
		from += n;
		off += n;
		len -= n;
	}
	return r;
}

/* A part of a page cannot point elsewhere: its bytes are copied. */
static int redirect_part(struct overlay *o, uint64_t off, uint64_t from, size_t len, struct err *e)
{
	uint8_t bytes[PAGE];
	int r = blk_read(o->parent, from, bytes, len, e);
	return r < 0 ? r : write_page(o, off, bytes, len, e);
}

static int redirect_page(struct overlay *o, uint64_t off, uint64_t from, struct err *e)
{
	struct page *p;
	int r = obtain(o, off / PAGE, &p, e);
	if (r < 0)
		return r;
	if (p->data)
		o->bytes -= PAGE;
	free(p->data);
	p->data = NULL;
	p->from = from;
	return 0;
}

int blk_overlay_redirect(struct blk *b, uint64_t off, uint64_t from, uint64_t len, struct err *e)
{
	assert(b->ops == &overlay_ops);
	struct overlay *o = (struct overlay *)b;
	int r = check_range(o, off, len, e);
	if (r == 0)
		r = check_range(o, from, len, e);
	while (len > 0 && r == 0) {
		size_t n = (size_t)min_u64(len, PAGE - off % PAGE);
		if (n == PAGE)
			r = redirect_page(o, off, from, e);
		else
			r = redirect_part(o, off, from, n, e);
		off += n;
		from += n;
		len -= n;
	}
	return r;
}
