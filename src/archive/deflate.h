/* One block of a deflate stream (RFC 1951), by ISA-L.
 *
 * A stream is cut into blocks of DEFLATE_BLOCK bytes. Each is compressed by itself, with the DEFLATE_DICT bytes before it
 * as its dictionary, and ends on a byte boundary (a sync flush, or the final block): so blocks may be compressed by
 * several threads and joined by mere concatenation. A block that does not shrink becomes stored blocks.
 *
 * Level 3: 2 to 4 % smaller than level 2 on most data, for 40 % more time, which is still a tenth of zlib's; see docs/performance.md.
 */
#ifndef ARCHIVE_DEFLATE_H
#define ARCHIVE_DEFLATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DEFLATE_BLOCK = 256 << 10,
	DEFLATE_DICT = 32 << 10,
	/* The longest result: stored blocks of at most 65535 bytes, five bytes of header each, an empty one. */
	DEFLATE_OUT = DEFLATE_BLOCK + 64,
};

struct deflate;                          /* the state of one thread, about 400 KiB */

struct deflate *deflate_new(void);       /* NULL: no memory */
void deflate_free(struct deflate *d);
/* Compresses len <= DEFLATE_BLOCK bytes at p, which dict_len <= DEFLATE_DICT bytes of dictionary precede in memory, to
 * `to`, DEFLATE_OUT bytes. Returns the length. *ret_stored: the result holds the bytes as they are. */
size_t deflate_block(struct deflate *d, const uint8_t *p, size_t len, size_t dict_len, bool final, uint8_t *to,
                     bool *ret_stored);

#endif
