/* What zlib says of a raw deflate stream: the referee of archive/walk.h. */
#ifndef FUZZ_ZLIB_ENDS_H
#define FUZZ_ZLIB_ENDS_H

#include "archive/walk.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum zlib_verdict {
	ZLIB_WHOLE,
	ZLIB_BROKEN,                     /* or incomplete */
	ZLIB_TOO_FAR,                    /* a distance reaches before the beginning, which walk_deflate() does not see */
};

static enum zlib_verdict zlib_ends(const uint8_t *p, size_t len, struct walk_ends *ret)
{
	static uint8_t out[64 << 10];
	uint64_t begins = 0;
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)p, .avail_in = (unsigned)len};
	enum zlib_verdict verdict = ZLIB_BROKEN;
	if (inflateInit2(&z, -15) != Z_OK)
		abort();
	for (;;) {
		z.next_out = out;
		z.avail_out = sizeof(out);
		int r = inflate(&z, Z_BLOCK);
		if (r == Z_DATA_ERROR && z.msg && strcmp(z.msg, "invalid distance too far back") == 0)
			verdict = ZLIB_TOO_FAR;
		if (r != Z_OK)
			break;
		/* at the end of a block: the bits that are left of the last byte */
		uint64_t at = (uint64_t)z.total_in * 8 - (z.data_type & 63);
		if ((z.data_type & 128) && (z.data_type & 64)) {
			*ret = (struct walk_ends){.last = begins, .end = at};
			verdict = ZLIB_WHOLE;
			break;
		}
		if (z.data_type & 128)
			begins = at;
	}
	(void)inflateEnd(&z);
	return verdict;
}

/* True where walk_deflate() finds what zlib does. */
static bool zlib_agrees(struct walk *w, const uint8_t *p, size_t len)
{
	struct walk_ends found = {0}, want = {0};
	enum zlib_verdict verdict = zlib_ends(p, len, &want);
	bool whole = walk_deflate(w, p, len, &found);
	return verdict == ZLIB_TOO_FAR || (whole == (verdict == ZLIB_WHOLE) && found.last == want.last && found.end == want.end);
}

#endif
