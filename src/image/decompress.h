/* decompress: compressed clusters of a chain, with a small cache of what came out and threads that work ahead.
 *
 *	                     decompress_ahead()            a thread                  decompress_read()
 *	entry:   EMPTY ─────────▶ QUEUED ─────────▶ RUNNING ─────────▶ READY ─────────▶ copied out, or dropped
 *	           ▲                 └─ nobody began it: the reader does ─┘               when least recently used
 *	           └──────────────── could not be unpacked (told when it is read) ◀──────┘
 *
 * The threads start with the first cluster asked ahead and end when there was nothing to do for a while.
 *
 * Memory, all of it taken when first needed: DECOMPRESS_CACHE_BYTES or two clusters, whichever is more, and a decoder
 * (decode.h) for the reader and for each thread.
 *
 * Threads: one thread at a time reads and asks ahead, as for every blk; what goes on inside is locked.
 */
#ifndef IMAGE_DECOMPRESS_H
#define IMAGE_DECOMPRESS_H

#include "layer.h"

enum {
	DECOMPRESS_CACHE_BYTES = 4 << 20,
	DECOMPRESS_ENTRIES_MAX = 64,
	DECOMPRESS_THREADS_MAX = 4,
	DECOMPRESS_IDLE_MS = 2000,
	DECOMPRESS_AHEAD_MAX = 16,         /* clusters, and at most a quarter of the cache */
};

struct decompress;

/* For clusters up to `cluster_max` bytes. */
int decompress_new(size_t cluster_max, struct decompress **ret, struct err *e);
void decompress_free(struct decompress *d);

/* Bytes [skip, skip + len) of the cluster with this descriptor. `number` names the layer for the cache. */
int decompress_read(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor,
                    size_t skip, void *to, size_t len, struct err *e);

/* How many clusters may be asked ahead at a time, by all readers together; what is beyond is not taken up. 0 where that does not pay
 * (one processor, huge clusters). */
unsigned decompress_ahead_max(const struct decompress *d);

/* This cluster will be read soon. A hint: it fails by doing nothing. l stays open as long as d. */
void decompress_ahead(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor);

#endif
