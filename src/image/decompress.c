#include "decompress.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static const char module[] = "qcow2";

struct entry {
	uint8_t *data;          /* cluster_max bytes; NULL until used */
	uint64_t descriptor;
	uint64_t used;          /* clock at the last use, 0: holds nothing */
	unsigned layer;
};

struct decompress {
	size_t cluster_max;
	struct libdeflate_decompressor *deflate;
	ZSTD_DCtx *zstd;

	uint8_t *in;            /* the window: in_len bytes of in_fd from in_off */
	size_t in_cap, in_len;
	uint64_t in_off;
	int in_fd;

	uint64_t clock;
	unsigned count;
	struct entry entries[DECOMPRESS_ENTRIES_MAX];
};

int decompress_new(size_t cluster_max, struct decompress **ret, struct err *e)
{
	struct decompress *d = calloc(1, sizeof(*d));
	if (!d)
		return err_no_memory(e, module);
	d->cluster_max = cluster_max;
	/* A descriptor counts up to 2^(cluster_bits - 8) sectors, two clusters. */
	d->in_cap = cluster_max * 2 > INPUT_WINDOW_BYTES ? cluster_max * 2 : INPUT_WINDOW_BYTES;
	size_t count = DECOMPRESS_CACHE_BYTES / cluster_max;
	d->count = (unsigned)min_size(count < 2 ? 2 : count, DECOMPRESS_ENTRIES_MAX);
	d->in_fd = -1;
	*ret = d;
	return 0;
}

void decompress_free(struct decompress *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->count; i++)
		free(d->entries[i].data);
	libdeflate_free_decompressor(d->deflate);
	(void)ZSTD_freeDCtx(d->zstd);
	free(d->in);
	free(d);
}

/* The compressed bytes [off, off + len) of the layer's file, in the window. A read that goes on where the
 * window ends takes a whole window; a lone one only what it needs. */
static int fetch(struct decompress *d, const struct image_layer *l, uint64_t off, size_t len, const uint8_t **ret,
                 struct err *e)
{
	bool same = d->in_len > 0 && d->in_fd == l->fd;
	if (!same || off < d->in_off || !range_inside(off - d->in_off, len, d->in_len)) {
		bool onward = same && off >= d->in_off && off <= d->in_off + d->in_len;
		size_t want = onward && len < INPUT_WINDOW_BYTES ? INPUT_WINDOW_BYTES : len;
		want = min_size(want, l->info.file_size - off);
		if (!d->in)
			d->in = malloc(d->in_cap);
		if (!d->in)
			return err_no_memory(e, module);
		d->in_len = 0;
		int r = layer_pread(l->fd, off, d->in, want, e);
		if (r < 0)
			return r;
		d->in_fd = l->fd;
		d->in_off = off;
		d->in_len = want;
	}
	*ret = d->in + (off - d->in_off);
	return 0;
}

static int inflate_raw(struct decompress *d, const uint8_t *in, size_t in_len, uint8_t *to, size_t len, struct err *e)
{
	if (!d->deflate)
		d->deflate = libdeflate_alloc_decompressor();
	if (!d->deflate)
		return err_no_memory(e, module);
	/* No place for the length that came out: then it has to be exactly len. */
	return libdeflate_deflate_decompress(d->deflate, in, in_len, to, len, NULL) == LIBDEFLATE_SUCCESS ? 1 : 0;
}

/* Whole frames only, decoded in one call: streaming would let the image choose a window of up to 128 MiB. */
static int unzstd(struct decompress *d, const uint8_t *in, size_t in_len, uint8_t *to, size_t len, struct err *e)
{
	if (!d->zstd)
		d->zstd = ZSTD_createDCtx();
	if (!d->zstd)
		return err_no_memory(e, module);
	while (len > 0) {
		size_t frame = ZSTD_findFrameCompressedSize(in, in_len);
		if (ZSTD_isError(frame) || frame == 0)
			return 0;
		size_t got = ZSTD_decompressDCtx(d->zstd, to, len, in, frame);
		if (ZSTD_isError(got))
			return 0;
		in += frame;
		in_len -= frame;
		to += got;
		len -= got;
	}
	return 1;
}

static int decompress_into(struct decompress *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to,
                           struct err *e)
{
	unsigned bits = 62 - (l->cluster_bits - 8);
	uint64_t off = descriptor & ((UINT64_C(1) << bits) - 1);
	uint64_t sectors = (descriptor >> bits) + 1;
	size_t len = (size_t)(sectors * 512 - off % 512);
	/* The count is in sectors; the last cluster of a file ends where the file ends. */
	len = min_size(len, l->info.file_size - off);

	const uint8_t *in = NULL;
	int r = fetch(d, l, off, len, &in, e);
	if (r < 0)
		return r;
	r = l->info.compression_zstd ? unzstd(d, in, len, to, l->info.cluster_size, e)
	                             : inflate_raw(d, in, len, to, l->info.cluster_size, e);
	if (r == 0)
		return err_set(e, ERR_IMAGE_CORRUPT, module, 
		               "the compressed cluster at host offset %#" PRIx64 " is damaged", off);
	return r < 0 ? r : 0;
}

static struct entry *find(struct decompress *d, unsigned number, uint64_t descriptor)
{
	for (unsigned i = 0; i < d->count; i++) {
		struct entry *x = &d->entries[i];
		if (x->used && x->descriptor == descriptor && x->layer == number)
			return x;
	}
	return NULL;
}

/* The least recently used entry, emptied, with memory. */
static struct entry *take(struct decompress *d)
{
	struct entry *x = &d->entries[0];
	for (unsigned i = 1; i < d->count && x->used; i++)
		if (d->entries[i].used < x->used)
			x = &d->entries[i];
	if (!x->data)
		x->data = malloc(d->cluster_max);
	x->used = 0;
	return x->data ? x : NULL;
}

int decompress_read(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor,
                    size_t skip, void *to, size_t len, struct err *e)
{
	struct entry *x = find(d, number, descriptor);
	if (!x) {
		/* A whole cluster is not asked for twice: it goes straight to the caller. */
		if (skip == 0 && len == l->info.cluster_size)
			return decompress_into(d, l, descriptor, to, e);
		x = take(d);
		if (!x)
			return err_no_memory(e, module);
		int r = decompress_into(d, l, descriptor, x->data, e);
		if (r < 0)
			return r;
		x->descriptor = descriptor;
		x->layer = number;
	}
	x->used = ++d->clock;
	memcpy(to, x->data + skip, len);
	return 0;
}
