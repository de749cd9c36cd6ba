/* decode: one compressed cluster unpacked (docs/interop/qcow2.txt, "Compressed Clusters Descriptor").
 *
 * Memory, taken when first needed: an input buffer of DECODE_WINDOW_BYTES or two clusters, whichever is more, and the state
 * of the two decompressors. Threads: a decoder belongs to one thread at a time; the layer is only read. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "layer.h"

enum { DECODE_WINDOW_BYTES = 256 << 10 };    /* fetched at once when compressed clusters are read in order */

struct decoder {
	struct libdeflate_decompressor *deflate;
	struct ZSTD_DCtx_s *zstd;
	uint8_t *in;                             /* the window: in_len bytes of in_fd from in_off */
	size_t in_cap, in_len;
	uint64_t in_off;
	int in_fd;
};

/* For clusters up to `cluster_max` bytes. Allocates nothing yet. */
void decoder_init(struct decoder *d, size_t cluster_max);
void decoder_fini(struct decoder *d);

/* The whole cluster with this descriptor to `to`: l->info.cluster_size bytes. */
int decoder_run(struct decoder *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to, struct err *e);

#endif
