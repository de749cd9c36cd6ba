/* Tells what a compressor would not shrink (photos, films, packed and encrypted files) without compressing it, some ten times faster. */
#ifndef ARCHIVE_NOISE_H
#define ARCHIVE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NOISE_PIECE = 4 << 10,
	NOISE_MIN = 4 * NOISE_PIECE,     /* shorter is never called noise */
	NOISE_VALUES = 256,
	NOISE_LANES = 4,
	NOISE_SLOTS = 1024,
};

struct noise {                           /* memory to work in, 7 KiB */
	uint16_t lanes[NOISE_LANES][NOISE_VALUES];      /* of one piece: how often each value is there */
	uint32_t count[NOISE_VALUES];    /* of all so far */
	uint32_t seen[NOISE_SLOTS];      /* where the last bytes with this hash lie, one more */
};

/* True: deflate would gain less than about one byte in a hundred. It is said where
 *
 *	the values of bytes are about as frequent as each other, in pieces of NOISE_PIECE, and
 *	four bytes that begin with one of the four most frequent values are seldom there again within deflate's window.
 *
 * Each byte is looked at; but the pieces are taken here and there, and where they say no it ends: what shrinks costs the look at one. */
bool noise_like(struct noise *n, const uint8_t *p, size_t len);

#endif
