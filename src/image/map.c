#include "map.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

const char *map_bad_text(enum map_kind kind)
{
	switch (kind) {
	case MAP_BAD_L1_RESERVED:
		return "its L1 entry has reserved bits set";
	case MAP_BAD_L2_ALIGN:
		return "its L2 table is not aligned to a cluster";
	case MAP_BAD_L2_OUTSIDE:
		return "its L2 table lies beyond the end of the file";
	case MAP_BAD_L2_OVERLAP:
		return "its L2 table overlaps the L1 table";
	case MAP_BAD_RESERVED:
		return "its L2 entry has reserved bits set";
	case MAP_BAD_ALIGN:
		return "its host offset is not aligned to a cluster";
	case MAP_BAD_OUTSIDE:
		return "it lies beyond the end of the file";
	case MAP_BAD_ZERO_V2:
		return "it is marked as zeroes, which a version 2 image cannot have";
	case MAP_BAD_SUBCLUSTER:
		return "its subcluster bitmap contradicts itself";
	case MAP_BAD_DATA_FILE:
		return "it does not lie at its own offset in the external data file";
	default:
		return "its tables are damaged";
	}
}

/* --- sweep ---------------------------------------------------------------------------------------- */

void map_sweep_put(struct map_sweep *s, uint64_t from, uint64_t to, enum map_kind kind, uint64_t host)
{
	if (to > s->end)
		to = s->end;
	if (from < s->base) {
		if (kind == MAP_DATA)
			host += s->base - from;
		from = s->base;
	}
	if (from >= to)
		return;
	uint64_t granule = UINT64_C(1) << s->bits;
	uint64_t last = (to - 1 - s->base) >> s->bits;
	for (uint64_t i = (from - s->base) >> s->bits; i <= last; i++) {
		struct map_cell *c = &s->cells[i];
		if (c->kind == MAP_OPEN)
			*c = (struct map_cell){.host = host, .layer = (uint16_t)s->layer, .kind = (uint8_t)kind};
		if (kind == MAP_DATA)
			host += granule;
	}
}

bool map_sweep_narrow(struct map_sweep *s)
{
	while (s->lo < s->hi && s->cells[s->lo].kind != MAP_OPEN)
		s->lo++;
	while (s->lo < s->hi && s->cells[s->hi - 1].kind != MAP_OPEN)
		s->hi--;
	return s->lo < s->hi;
}

/* --- cache ---------------------------------------------------------------------------------------- */

static struct map_slot **bucket(const struct map_cache *c, uint64_t index)
{
	return &c->buckets[index * UINT64_C(0x9e3779b97f4a7c15) >> (64 - c->bucket_bits)];
}

static void put(struct map_cache *c, struct map_slot *s)
{
	struct map_slot **at = bucket(c, s->index);
	s->chain = *at;
	*at = s;
}

/* One bucket a slot, about. Most chains are looked at in a few places only. */
static void grow(struct map_cache *c)
{
	unsigned bits = c->buckets ? c->bucket_bits + 2 : MAP_BUCKET_BITS_FIRST;
	if (bits > MAP_BUCKET_BITS_MAX || (c->buckets && c->count < (size_t)1 << c->bucket_bits))
		return;
	struct map_slot **more = calloc((size_t)1 << bits, sizeof(*more));
	if (!more)
		return; /* longer ways in those there are */
	free(c->buckets);
	c->buckets = more;
	c->bucket_bits = bits;
	for (struct map_slot *s = c->newest; s; s = s->older)
		put(c, s);
}

static size_t slot_bytes(const struct map_slot *s)
{
	return sizeof(*s) + s->count * sizeof(s->runs[0]);
}

static void lru_unlink(struct map_cache *c, struct map_slot *s)
{
	*(s->newer ? &s->newer->older : &c->newest) = s->older;
	*(s->older ? &s->older->newer : &c->oldest) = s->newer;
}

static void lru_push(struct map_cache *c, struct map_slot *s)
{
	s->newer = NULL;
	s->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = s;
	c->newest = s;
}

static void drop_oldest(struct map_cache *c)
{
	struct map_slot *s = c->oldest;
	struct map_slot **at = bucket(c, s->index);
	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	lru_unlink(c, s);
	c->bytes -= slot_bytes(s);
	c->count--;
	free(s);
}

struct map_slot *map_cache_find(struct map_cache *c, uint64_t index)
{
	if (c->newest && c->newest->index == index)
		return c->newest;
	struct map_slot *s = c->buckets ? *bucket(c, index) : NULL;
	while (s && s->index != index)
		s = s->chain;
	if (s) {
		lru_unlink(c, s);
		lru_push(c, s);
	}
	return s;
}

bool map_cells_continue(const struct map_sweep *s, unsigned i)
{
	const struct map_cell *a = &s->cells[i - 1], *b = &s->cells[i];
	if (a->kind != b->kind)
		return false;
	if (a->kind == MAP_HOLE || a->kind == MAP_ZERO)
		return true;
	if (a->layer != b->layer)
		return false;
	return b->host == a->host + (a->kind == MAP_DATA ? UINT64_C(1) << s->bits : 0);
}

struct map_slot *map_cache_add(struct map_cache *c, uint64_t index, const struct map_sweep *s, unsigned count)
{
	unsigned runs = 1;
	for (unsigned i = 1; i < count; i++)
		runs += !map_cells_continue(s, i);
	grow(c);
	struct map_slot *slot = c->buckets ? malloc(sizeof(*slot) + runs * sizeof(slot->runs[0])) : NULL;
	if (!slot)
		return NULL;
	slot->index = index;
	slot->count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i > 0 && map_cells_continue(s, i))
			continue;
		const struct map_cell *cell = &s->cells[i];
		slot->runs[slot->count++] = (struct map_run){
			.host = cell->host, .first = (uint16_t)i, .layer = cell->layer, .kind = cell->kind};
	}
	while (c->oldest && c->bytes + slot_bytes(slot) > MAP_CACHE_BYTES)
		drop_oldest(c);
	put(c, slot);
	lru_push(c, slot);
	c->bytes += slot_bytes(slot);
	c->count++;
	return slot;
}

void map_cache_clear(struct map_cache *c)
{
	while (c->oldest)
		drop_oldest(c);
	free(c->buckets);
	c->buckets = NULL;
}

unsigned map_slot_run(const struct map_slot *slot, unsigned granule)
{
	unsigned lo = 0, hi = slot->count;
	while (hi - lo > 1) {
		unsigned mid = lo + (hi - lo) / 2;
		if (slot->runs[mid].first <= granule)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}
