#include "resolve.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char module[] = "image";

enum {
	GRANULE_BITS_RAW = 16,          /* of a chain of raw layers alone */
	SEGMENT_JOINS_MAX = 256,        /* slots looked at to find the end of one segment */
};

/* Where the hole at off ends, as far as L1 tables tell; 0 when it ends before `need`. */
static int hole_end(struct resolver *v, uint64_t off, uint64_t need, uint64_t *ret, struct err *e)
{
	uint64_t end = UINT64_MAX;
	for (unsigned i = 0; i < v->count && off < v->visible[i] && end >= need; i++) {
		struct image_layer *l = v->layers[i];
		uint64_t here = off;
		if (l->info.format == IMAGE_QCOW2) {
			int r = qcow2_hole_end(l, off, end, &here, e);
			if (r < 0)
				return err_prefix(e, "layer %u", i);
		}
		end = min_u64(end, here);
	}
	*ret = end < need ? 0 : end;
	return 0;
}

static unsigned slot_granules(const struct resolver *v)
{
	return 1u << (v->slot_bits - v->granule_bits);
}

/* --- open slots ----------------------------------------------------------------------------------- */

static int sweep_layer(struct resolver *v, struct map_sweep *s, struct err *e)
{
	struct image_layer *l = v->layers[s->layer];
	uint64_t granule = UINT64_C(1) << v->granule_bits;
	/* The granule in which the view ends still belongs to the layers; lookups cut it. */
	uint64_t limit = (v->visible[s->layer] + granule - 1) & -granule;
	map_sweep_put(s, limit > s->base ? limit : s->base, s->end, MAP_HOLE, 0);
	if (l->info.format == IMAGE_RAW)
		map_sweep_put(s, s->base, s->end, MAP_DATA, s->base);
	else if (limit > s->base) {
		int r = qcow2_sweep(l, s, limit, v->scratch, e);
		if (r < 0)
			return err_prefix(e, "layer %u", s->layer);
	}
	s->layer++;
	return 0;
}

static bool all_resolved(const struct map_sweep *s, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		if (s->cells[i].kind == MAP_OPEN)
			return false;
	return true;
}

/* Down until cells first … last are resolved. *ret_whole: all are. */
static int sweep_down(struct resolver *v, struct map_sweep *s, unsigned first, unsigned last, bool *ret_whole, struct err *e)
{
	bool any_open;
	while ((any_open = map_sweep_narrow(s)) && s->layer < v->count && !all_resolved(s, first, last)) {
		int r = sweep_layer(v, s, e);
		if (r < 0)
			return r;
	}
	*ret_whole = !any_open || s->layer == v->count;
	if (*ret_whole)
		map_sweep_put(s, s->base, s->end, MAP_HOLE, 0);
	return 0;
}

static unsigned cell_count(const struct map_sweep *s)
{
	return (unsigned)((s->end - s->base) >> s->bits);
}

/* A whole one becomes a cached one. */
static int keep(struct resolver *v, struct open_slot *o, struct map_slot **ret, struct err *e)
{
	*ret = map_cache_add(&v->cache, o->index, &o->sweep, cell_count(&o->sweep));
	if (!*ret)
		return err_no_memory(e, module);
	o->used = 0;
	return 0;
}

/* Makes room: what is not looked at any more is resolved to its end, or where that fails, forgotten. */
static void finish(struct resolver *v, struct open_slot *o)
{
	struct err ignored = ERR_INIT;
	struct map_slot *slot;
	bool whole;
	if (sweep_down(v, &o->sweep, 0, cell_count(&o->sweep) - 1, &whole, &ignored) == 0)
		(void)keep(v, o, &slot, &ignored);
	o->used = 0;
}

static int begin(struct resolver *v, struct open_slot *o, uint64_t index, struct err *e)
{
	uint64_t base = index << v->slot_bits;
	uint64_t left = (v->size - base - 1) >> v->granule_bits;
	unsigned count = left < slot_granules(v) ? (unsigned)left + 1 : slot_granules(v);
	struct map_cell *cells = o->sweep.cells ? o->sweep.cells : malloc(slot_granules(v) * sizeof(*cells));
	if (!cells)
		return err_no_memory(e, module);
	memset(cells, 0, count * sizeof(cells[0]));
	o->index = index;
	o->sweep = (struct map_sweep){
		.cells = cells, .base = base, .end = base + ((uint64_t)count << v->granule_bits), .bits = v->granule_bits, .hi = count};
	return 0;
}

static struct open_slot *find_open(struct resolver *v, uint64_t index)
{
	for (unsigned i = 0; i < RESOLVE_OPEN_SLOTS; i++)
		if (v->open[i].used && v->open[i].index == index)
			return &v->open[i];
	return NULL;
}

/* Another one, in the place of the one that was not used for longest. */
static int open_slot(struct resolver *v, uint64_t index, struct open_slot **ret, struct err *e)
{
	struct open_slot *oldest = &v->open[0];
	for (unsigned i = 1; i < RESOLVE_OPEN_SLOTS; i++)
		if (v->open[i].used < oldest->used)
			oldest = &v->open[i];
	if (oldest->used)
		finish(v, oldest);
	*ret = oldest;
	return begin(v, oldest, index, e);
}

/* --- lookup --------------------------------------------------------------------------------------- */

/* Cuts a run at the end of what is visible of its layer, and of its file. */
static void cut(const struct resolver *v, uint64_t off, struct segment *s)
{
	if (s->kind == MAP_HOLE || s->kind == MAP_ZERO)
		return;
	uint64_t visible = v->visible[s->layer];
	if (off >= visible) {
		s->kind = MAP_HOLE;
		return;
	}
	s->len = min_u64(s->len, visible - off);
	if (s->kind != MAP_DATA)
		return;
	const struct image_layer *l = v->layers[s->layer];
	uint64_t size = l->data_size;
	/* Encrypted clusters are written whole: what is missing of one is not zeroes. */
	if (s->host >= size)
		s->kind = l->info.encrypted ? MAP_BAD_OUTSIDE : MAP_ZERO;
	else
		s->len = min_u64(s->len, size - s->host);
}

/* Where no layer has an L2 table in the slot, it is one hole, which goes on to *ret_end; 0 where one has. */
static int slot_is_hole(struct resolver *v, uint64_t index, uint64_t *ret_end, struct err *e)
{
	uint64_t base = index << v->slot_bits;
	int r = hole_end(v, base, min_u64(v->size, base + (UINT64_C(1) << v->slot_bits)), ret_end, e);
	if (r < 0 || *ret_end == 0)
		return r;
	struct map_cell hole = {.kind = MAP_HOLE};
	return map_cache_add(&v->cache, index, &(struct map_sweep){.cells = &hole}, 1) ? 0 : err_no_memory(e, module);
}

/* What the cell of granule `first` of an open slot begins. */
static void segment_of_cells(const struct map_sweep *s, unsigned first, struct segment *ret, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct map_cell *cell = &s->cells[first];
	unsigned end = first + 1, count = cell_count(s);
	while (end < count && s->cells[end].kind != MAP_OPEN && map_cells_continue(s, end))
		end++;
	*ret = (struct segment){.kind = cell->kind, .layer = cell->layer, .host = cell->host};
	*ret_start = s->base + ((uint64_t)first << s->bits);
	*ret_end = s->base + ((uint64_t)end << s->bits);
}

static void segment_of_run(const struct resolver *v, const struct map_slot *slot, unsigned granule, struct segment *ret,
                           uint64_t *ret_start, uint64_t *ret_end)
{
	unsigned n = map_slot_run(slot, granule);
	const struct map_run *run = &slot->runs[n];
	uint64_t base = slot->index << v->slot_bits;
	unsigned next = n + 1 < slot->count ? slot->runs[n + 1].first : slot_granules(v);
	*ret = (struct segment){.kind = run->kind, .layer = run->layer, .host = run->host};
	*ret_start = base + ((uint64_t)run->first << v->granule_bits);
	*ret_end = base + ((uint64_t)next << v->granule_bits);
}

/* In a slot that is not cached: o, or NULL for one to be opened. */
static int look_down(struct resolver *v, struct open_slot *o, uint64_t index, unsigned first, unsigned last, struct segment *ret,
                     uint64_t *ret_start, uint64_t *ret_end, struct err *e)
{
	bool whole;
	int r = o ? 0 : open_slot(v, index, &o, e);
	if (r < 0)
		return r;
	o->used = ++v->clock;
	r = sweep_down(v, &o->sweep, first, last, &whole, e);
	if (r < 0)
		return r;
	struct map_slot *slot;
	if (whole && (r = keep(v, o, &slot, e)) < 0)
		return r;
	if (whole)
		segment_of_run(v, slot, first, ret, ret_start, ret_end);
	else
		segment_of_cells(&o->sweep, first, ret, ret_start, ret_end);
	return 0;
}

int resolve_within_slot(struct resolver *v, uint64_t off, uint64_t len, struct segment *ret, struct err *e)
{
	assert(off < v->size && len > 0 && len <= v->size - off);
	if (v->plain) {
		*ret = (struct segment){.kind = MAP_DATA, .host = off, .len = len};
		return 0;
	}
	uint64_t index = off >> v->slot_bits, base = index << v->slot_bits;
	uint64_t slot_end = min_u64(base + (UINT64_C(1) << v->slot_bits), v->size);
	unsigned first = (unsigned)((off - base) >> v->granule_bits);
	unsigned last = (unsigned)((min_u64(len, slot_end - off) - 1 + off - base) >> v->granule_bits);
	struct map_slot *slot = map_cache_find(&v->cache, index);
	struct open_slot *o = slot ? NULL : find_open(v, index);
	uint64_t start, end, hole = 0;
	int r = slot || o ? 0 : slot_is_hole(v, index, &hole, e);
	if (r < 0)
		return r;
	if (hole > off) {
		*ret = (struct segment){.kind = MAP_HOLE, .len = min_u64(len, hole - off)};
		return 0;
	}
	if (slot)
		segment_of_run(v, slot, first, ret, &start, &end);
	else if ((r = look_down(v, o, index, first, last, ret, &start, &end, e)) < 0)
		return r;
	ret->len = min_u64(len, end - off);
	if (ret->kind == MAP_DATA)
		ret->host += off - start;
	cut(v, off, ret);
	return 0;
}

static bool joins(const struct segment *a, const struct segment *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == MAP_DATA)
		return a->layer == b->layer && b->host == a->host + a->len;
	return a->kind == MAP_HOLE || a->kind == MAP_ZERO;
}

/* The segment at off, joined across slots as far as it goes on without a break. */
int resolve(struct resolver *v, uint64_t off, uint64_t len, struct segment *ret, struct err *e)
{
	struct segment s;
	int r = resolve_within_slot(v, off, len, &s, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < SEGMENT_JOINS_MAX && s.len < len; i++) {
		/* A table that cannot be read is told to whoever asks for what it covers. */
		struct err later = ERR_INIT;
		struct segment next;
		if (resolve_within_slot(v, off + s.len, len - s.len, &next, &later) < 0 || !joins(&s, &next))
			break;
		s.len += next.len;
	}
	*ret = s;
	return 0;
}

/* --- begin and end -------------------------------------------------------------------------------- */

/* log2 of the smallest unit any layer maps. */
static unsigned granule_bits(struct image_layer **layers, unsigned count)
{
	unsigned bits = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct image_layer *l = layers[i];
		if (l->info.format == IMAGE_RAW)
			continue;
		unsigned own = l->cluster_bits - (l->info.extended_l2 ? 5 : 0);
		if (bits == 0 || own < bits)
			bits = own;
	}
	return bits ? bits : GRANULE_BITS_RAW;
}

static unsigned slot_bits(unsigned granule_bits)
{
	if (granule_bits + MAP_SLOT_GRANULE_BITS_MIN > MAP_SLOT_BITS)
		return granule_bits + MAP_SLOT_GRANULE_BITS_MIN;
	if (granule_bits + MAP_SLOT_GRANULE_BITS_MAX < MAP_SLOT_BITS)
		return granule_bits + MAP_SLOT_GRANULE_BITS_MAX;
	return MAP_SLOT_BITS;
}

int resolver_init(struct resolver *v, struct image_layer **layers, unsigned count, struct err *e)
{
	v->layers = layers;
	v->count = count;
	v->size = layers[0]->info.virtual_size;
	v->granule_bits = granule_bits(layers, count);
	v->slot_bits = slot_bits(v->granule_bits);
	v->plain = count == 1 && layers[0]->info.format == IMAGE_RAW;
	v->visible = calloc(count, sizeof(v->visible[0]));
	v->scratch = malloc(QCOW2_SCRATCH_BYTES);
	if (!v->visible || !v->scratch)
		return err_no_memory(e, module);
	for (unsigned i = 0; i < count; i++) {
		uint64_t size = layers[i]->info.virtual_size;
		v->visible[i] = i == 0 ? size : min_u64(size, v->visible[i - 1]);
		layers[i]->below = i + 1 < count ? layers[i + 1] : NULL;
	}
	return 0;
}

void resolver_fini(struct resolver *v)
{
	map_cache_clear(&v->cache);
	for (unsigned i = 0; i < RESOLVE_OPEN_SLOTS; i++)
		free(v->open[i].sweep.cells);
	free(v->visible);
	free(v->scratch);
}
