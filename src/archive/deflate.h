/* One block of a deflate stream (RFC 1951), by libdeflate.
 *
 * A stream is cut into blocks of DEFLATE_BLOCK bytes. Each is compressed by itself and, but for the final one, ends on a byte boundary: so
 * blocks may be compressed by several threads and joined by mere concatenation. A block that does not shrink becomes stored blocks; one
 * that looks like noise (noise.h) at once.
 *
 * libdeflate makes whole streams only. Of those that are not final, the mark of the last block is taken away and an empty stored block
 * set behind it, as a flush does:
 *
 *	… | 1 codes symbols end |           →    … | 0 codes symbols end | 000 0… 0000 ffff |
 *
 * Where that block begins only a walk through the stream can tell (walk.h).
 *
 * Level 1, without dictionary: see docs/performance.md for what else there is.
 */
#ifndef ARCHIVE_DEFLATE_H
#define ARCHIVE_DEFLATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DEFLATE_BLOCK = 256 << 10,
	/* The longest result: stored blocks of at most 65535 bytes, five bytes of header each, an empty one. */
	DEFLATE_OUT = DEFLATE_BLOCK + 64,
};

struct deflate;                          /* the state of one thread */

struct deflate *deflate_new(void);       /* NULL: no memory */
void deflate_free(struct deflate *d);
/* Compresses len <= DEFLATE_BLOCK bytes at p to `to`, DEFLATE_OUT bytes. Returns the length. *ret_stored: the result holds the bytes as
 * they are. 0: ERR_INTERNAL, what libdeflate made is no deflate stream. */
size_t deflate_block(struct deflate *d, const uint8_t *p, size_t len, bool final, uint8_t *to, bool *ret_stored);

#endif
