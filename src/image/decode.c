#include "decode.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>

static const char module[] = "qcow2";

void decoder_init(struct decoder *d, size_t cluster_max)
{
	/* A descriptor counts up to 2^(cluster_bits - 8) sectors, two clusters. */
	*d = (struct decoder){.in_fd = -1, .in_cap = DECODE_WINDOW_BYTES};
	if (d->in_cap < cluster_max * 2)
		d->in_cap = cluster_max * 2;
}

void decoder_fini(struct decoder *d)
{
	libdeflate_free_decompressor(d->deflate);
	(void)ZSTD_freeDCtx(d->zstd);
	free(d->in);
}

/* The compressed bytes [off, off + len) of the layer's file, in the window. A read that goes on where the
 * window ends takes a whole window; a lone one only what it needs. */
static int fetch(struct decoder *d, const struct image_layer *l, uint64_t off, size_t len, const uint8_t **ret,
                 struct err *e)
{
	bool same = d->in_len > 0 && d->in_fd == l->fd;
	if (!same || off < d->in_off || !range_inside(off - d->in_off, len, d->in_len)) {
		bool onward = same && off >= d->in_off && off <= d->in_off + d->in_len;
		size_t want = onward && len < DECODE_WINDOW_BYTES ? DECODE_WINDOW_BYTES : len;
		want = min_size(want, l->info.file_size - off);
		if (!d->in)
			d->in = malloc(d->in_cap);
		if (!d->in)
			return err_no_memory(e, module);
		d->in_len = 0;
		int r = layer_pread(l->fd, off, d->in, want, e);
		if (r < 0 && want > len) {
			/* What lies beyond is no concern of this cluster. */
			err_clear(e);
			want = len;
			r = layer_pread(l->fd, off, d->in, want, e);
		}
		if (r < 0)
			return r;
		d->in_fd = l->fd;
		d->in_off = off;
		d->in_len = want;
	}
	*ret = d->in + (off - d->in_off);
	return 0;
}

static int inflate_raw(struct decoder *d, const uint8_t *in, size_t in_len, uint8_t *to, size_t len, struct err *e)
{
	if (!d->deflate)
		d->deflate = libdeflate_alloc_decompressor();
	if (!d->deflate)
		return err_no_memory(e, module);
	/* No place for the length that came out: then it has to be exactly len. */
	return libdeflate_deflate_decompress(d->deflate, in, in_len, to, len, NULL) == LIBDEFLATE_SUCCESS ? 1 : 0;
}

/* Whole frames only, decoded in one call: streaming would let the image choose a window of up to 128 MiB. */
static int unzstd(struct decoder *d, const uint8_t *in, size_t in_len, uint8_t *to, size_t len, struct err *e)
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

int decoder_run(struct decoder *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to, struct err *e)
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
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the compressed cluster at host offset %#" PRIx64 " is damaged",
		               off);
	return r < 0 ? r : 0;
}
