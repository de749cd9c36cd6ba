/* resolve: which layer of a chain has a stretch of the guest, and where in its file. Inside src/image only.
 *
 *	guest offset ─▶ slot (see map.h) ─▶ run ─▶ layer + host offset ─▶ pread
 *	                  │ not cached
 *	                  ▼
 *	     layer 0 (newest)  ░░██░░░░▒▒░░     what each layer's L2 tables say:
 *	     layer 1           ░░░░██░░░░░░     █ data  ▒ zero  ░ nothing, look below
 *	     layer 2 (oldest)  ████████░░░░
 *	                       ────────────
 *	     cells             22001122▒▒__     resolved top-down; _ hole
 *	     runs              └┴─┴─┴──┴─┴─     folded; cached, least recently used slot dropped first
 *
 * A lookup in a cached slot costs one binary search, however long the chain. A slot costs one pread for each layer that has an L2
 * table there, once; a layer whose L1 entry is 0 costs none, and where all are 0 the slot is a hole without a look at any table.
 * It is resolved only as far down as what is asked for needs: what changes with every backup (superblocks, journals) is in the newest
 * layers. A few slots are kept in that state ("open"); one that has to make room is resolved to its end, so no table is read twice for it.
 *
 * Layers differ in size. What lies behind the end of a layer reads as zeroes, even where an older layer
 * has data there: visible[i] is the smallest size among layers 0 … i, and a run of layer i is cut at it.
 * The first byte behind it may lie within a granule, so the cut is made at lookup, not in the cells.
 * In the same place a run is cut at the end of its file: the last cluster of a file may be short.
 *
 * Threads: one at a time.
 */
#ifndef IMAGE_RESOLVE_H
#define IMAGE_RESOLVE_H

#include "map.h"

enum { RESOLVE_OPEN_SLOTS = 8 };

/* A stretch of the guest of one kind. */
struct segment {
	enum map_kind kind;
	unsigned layer;
	uint64_t host;
	uint64_t len;
};

struct open_slot {
	uint64_t index;
	uint64_t used;                  /* when it was last; 0: none is kept here */
	struct map_sweep sweep;         /* .layer: the next one to look at; .cells: owned */
};

struct resolver {
	struct image_layer **layers;    /* newest first; borrowed */
	unsigned count;
	uint64_t *visible;              /* owned */
	uint64_t size;                  /* bytes the guest sees */
	unsigned granule_bits;
	unsigned slot_bits;             /* log2 of a slot's bytes */
	bool plain;                     /* one raw layer: no map needed */
	uint8_t *scratch;
	struct map_cache cache;
	struct open_slot open[RESOLVE_OPEN_SLOTS];
	uint64_t clock;
};

/* `layers` stays the caller's, and longer than the resolver. On failure resolver_fini() frees what there is. */
int resolver_init(struct resolver *v, struct image_layer **layers, unsigned count, struct err *e);
void resolver_fini(struct resolver *v);

/* The segment at off, at most len bytes, which lie within the guest's: as far as one slot knows it, or joined across slots as far as
 * it goes on without a break. */
int resolve_within_slot(struct resolver *v, uint64_t off, uint64_t len, struct segment *ret, struct err *e);
int resolve(struct resolver *v, uint64_t off, uint64_t len, struct segment *ret, struct err *e);

#endif
