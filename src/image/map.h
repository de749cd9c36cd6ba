/* map: where the bytes of one stretch of the guest ("slot") lie, resolved through all layers.
 *
 * A granule is the smallest (sub)cluster of any layer of the chain. A slot is 128 to 512 of them: 16 MiB, where that is not more.
 * Of a long chain's layers it takes a read each, so it is not small; what opening looks at lies in a few places far apart, so it
 * is not large.
 * It is resolved in one go into an array of cells, newest layer first: each layer puts what it has into
 * the cells still open. Then equal and contiguous cells are folded into runs, which are what is cached.
 */
#ifndef IMAGE_MAP_H
#define IMAGE_MAP_H

#include "layer.h"

enum {
	MAP_SLOT_BITS = 24,                        /* log2 of a slot's bytes, within these of its granules: */
	MAP_SLOT_GRANULE_BITS_MIN = 7,
	MAP_SLOT_GRANULE_BITS_MAX = 9,
	MAP_SLOT_GRANULES_MAX = 1 << MAP_SLOT_GRANULE_BITS_MAX,
	MAP_CACHE_BYTES = 8 << 20,                 /* of runs, of a chain */
	MAP_BUCKET_BITS_FIRST = 8,                 /* log2 of the hash buckets; more as there are more slots */
	MAP_BUCKET_BITS_MAX = 16,
};

/* What a cell or run is. From MAP_BAD on: damage, told when somebody reads it; `host` is the value found. */
enum map_kind {
	MAP_OPEN,                /* not resolved yet */
	MAP_HOLE,                /* no layer has it */
	MAP_ZERO,
	MAP_DATA,                /* host: offset in the layer's data file */
	MAP_COMPRESSED,          /* host: the compressed cluster descriptor */
	MAP_BAD,
	MAP_BAD_L1_RESERVED = MAP_BAD,
	MAP_BAD_L2_ALIGN,
	MAP_BAD_L2_OUTSIDE,
	MAP_BAD_L2_OVERLAP,
	MAP_BAD_RESERVED,
	MAP_BAD_ALIGN,
	MAP_BAD_OUTSIDE,
	MAP_BAD_ZERO_V2,
	MAP_BAD_SUBCLUSTER,
	MAP_BAD_DATA_FILE,
};

/* A sentence about a MAP_BAD… kind with one %#PRIx64 number in it, the run's host value. */
const char *map_bad_text(enum map_kind kind);

struct map_cell {
	uint64_t host;
	uint16_t layer;
	uint8_t kind;            /* enum map_kind */
};

/* A slot while it is being resolved. */
struct map_sweep {
	struct map_cell *cells;  /* MAP_SLOT_GRANULES_MAX */
	uint64_t base;           /* guest offset of cells[0] */
	uint64_t end;            /* guest offset behind the last cell to resolve */
	unsigned bits;           /* log2 of the granule */
	unsigned layer;          /* who is putting */
	unsigned lo, hi;         /* cells outside [lo, hi) are resolved */
	unsigned ahead;          /* layers whose tables are fetched before it is their turn; 0: none had to be waited for yet */
};

/* Puts [from, to) into the open cells. MAP_DATA: host is the place of `from` and moves along. */
void map_sweep_put(struct map_sweep *s, uint64_t from, uint64_t to, enum map_kind kind, uint64_t host);

/* Does cell i go on where cell i - 1 ended? */
bool map_cells_continue(const struct map_sweep *s, unsigned i);

/* Narrows [lo, hi) to the open cells; false when there are none left. */
bool map_sweep_narrow(struct map_sweep *s);

struct map_run {
	uint64_t host;
	uint16_t first;          /* granule within the slot */
	uint16_t layer;
	uint8_t kind;
};

struct map_slot {
	uint64_t index;
	struct map_slot *chain;            /* of the bucket */
	struct map_slot *newer, *older;    /* of the LRU list */
	unsigned count;                    /* of runs, > 0; runs[0].first == 0 */
	struct map_run runs[];
};

struct map_cache {
	struct map_slot **buckets;         /* owned; NULL until there is a slot */
	unsigned bucket_bits;
	size_t count;
	struct map_slot *newest, *oldest;
	size_t bytes;
};

/* The slot, as the most recently used one; NULL where it is not cached. */
struct map_slot *map_cache_find(struct map_cache *c, uint64_t index);
/* Folds the first `count` resolved cells into a slot and keeps it; drops old ones past the bound. NULL: no memory. */
struct map_slot *map_cache_add(struct map_cache *c, uint64_t index, const struct map_sweep *s, unsigned count);
void map_cache_clear(struct map_cache *c);

/* The number of the run that holds this granule. */
unsigned map_slot_run(const struct map_slot *slot, unsigned granule);

/* --- QCOW2 tables (qcow2_table.c) ------------------------------------------------------------------ */

/* Puts what this layer has within [s->base, min(s->end, limit)) into the open cells. `scratch` holds
 * QCOW2_SCRATCH_BYTES. Damage becomes MAP_BAD cells; only a failed read of the file is an error. */
enum { QCOW2_SCRATCH_BYTES = MAP_SLOT_GRANULES_MAX * 8 };
int qcow2_sweep(struct image_layer *l, struct map_sweep *s, uint64_t limit, uint8_t *scratch, struct err *e);

/* A guest offset > off up to which this layer surely has nothing, or `off`: by looking at L1 entries alone, and
 * not much further than `enough`. UINT64_MAX behind the layer's end. */
int qcow2_hole_end(struct image_layer *l, uint64_t off, uint64_t enough, uint64_t *ret, struct err *e);

#endif
