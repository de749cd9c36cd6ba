/* decompress: compressed clusters of a chain (docs/interop/qcow2.txt, "Compressed Clusters Descriptor"),
 * with a small cache of what came out. Memory, all of it taken when first needed: DECOMPRESS_CACHE_BYTES or
 * two clusters, whichever is more, and an input buffer of INPUT_WINDOW_BYTES or two clusters. */
#ifndef IMAGE_DECOMPRESS_H
#define IMAGE_DECOMPRESS_H

#include "layer.h"

enum {
	DECOMPRESS_CACHE_BYTES = 4 << 20,
	DECOMPRESS_ENTRIES_MAX = 64,
	INPUT_WINDOW_BYTES = 256 << 10,    /* fetched ahead when compressed clusters are read in order */
};

struct decompress;

/* For clusters up to `cluster_max` bytes. */
int decompress_new(size_t cluster_max, struct decompress **ret, struct err *e);
void decompress_free(struct decompress *d);

/* Bytes [skip, skip + len) of the cluster with this descriptor. `number` names the layer for the cache. */
int decompress_read(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor,
                    size_t skip, void *to, size_t len, struct err *e);

#endif
