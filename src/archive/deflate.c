#include "archive/deflate.h"

#include "archive/noise.h"
#include "archive/walk.h"
#include "base/bytes.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
	LEVEL = 1,
	STORED_MAX = 65535,
	STORED_HEADER = 5,
	JOIN_MAX = 1 + 4,                /* what opening the end may add: three bits, padding, two lengths */
};

struct deflate {
	struct libdeflate_compressor *compressor;
	struct walk walk;
	struct noise noise;
};

struct deflate *deflate_new(void)
{
	struct deflate *d = calloc(1, sizeof(*d));
	if (d)
		d->compressor = libdeflate_alloc_compressor(LEVEL);
	if (d && !d->compressor) {
		deflate_free(d);
		return NULL;
	}
	return d;
}

void deflate_free(struct deflate *d)
{
	if (d)
		libdeflate_free_compressor(d->compressor);
	free(d);
}

static size_t store(const uint8_t *p, size_t len, bool final, uint8_t *to)
{
	size_t n = 0;
	do {
		size_t part = min_size(len, STORED_MAX);
		to[n] = final && part == len;
		put_le16(to + n + 1, (uint16_t)part);
		put_le16(to + n + 3, (uint16_t)~part);
		if (part)
			memcpy(to + n + STORED_HEADER, p, part);
		n += STORED_HEADER + part;
		p += part;
		len -= part;
	} while (len);
	return n;
}

/* Makes of a whole stream of n bytes one that goes on, and returns its length; 0: it is none. */
static size_t open_end(struct deflate *d, uint8_t *p, size_t n)
{
	struct walk_ends ends;
	if (!walk_deflate(&d->walk, p, n, &ends) || (ends.end + 7) / 8 != n)
		return 0;
	p[ends.last / 8] &= (uint8_t)~(1u << ends.last % 8);
	if (ends.end % 8)
		p[n - 1] &= (uint8_t)((1u << ends.end % 8) - 1);
	size_t lengths = (size_t)((ends.end + 3 + 7) / 8);
	if (lengths > n)
		p[n] = 0;
	put_le32(p + lengths, 0xffff0000);
	return lengths + 4;
}

size_t deflate_block(struct deflate *d, const uint8_t *p, size_t len, bool final, uint8_t *to, bool *ret_stored)
{
	bool noise = noise_like(&d->noise, p, len);
	size_t n = noise ? 0 : libdeflate_deflate_compress(d->compressor, p, len, to, DEFLATE_OUT - JOIN_MAX);
	*ret_stored = n == 0 || n + (final ? 0 : JOIN_MAX) >= len;
	if (*ret_stored)
		return store(p, len, final, to);
	return final ? n : open_end(d, to, n);
}
