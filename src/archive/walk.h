/* Walks through a raw deflate stream (RFC 1951) without unpacking it, to find where its last block begins and where it ends.
 *
 * The stream is checked as a reader would (block types, counts of codes, complete codes, symbols that are none, an end inside the
 * bytes), but for one thing: distances are not held against what came before, for nothing is kept of that.
 *
 * How: what a symbol stands for does not matter, only how many bits it and its extra bits take, and which code comes next. Two tables say
 * that by the next WALK_BITS bits, and which table goes on; so the loop has no branch that depends on the data. Whatever they are not
 * sure of (long codes, the end of a block, what is no symbol) is looked up bit by bit.
 */
#ifndef ARCHIVE_WALK_H
#define ARCHIVE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WALK_BITS = 10,
	WALK_STEPS = 1 << WALK_BITS,
	WALK_LEN_MAX = 15,               /* bits of a code */
	WALK_LITLENS = 288,              /* symbols for literals and lengths, two of which mean nothing */
	WALK_DISTANCES = 32,             /* likewise */
};

struct walk_code {                       /* a canonical Huffman code */
	uint16_t count[WALK_LEN_MAX + 1];    /* symbols by their length */
	uint16_t sorted[WALK_LITLENS];       /* symbols in the order of their codes */
};

struct walk {                            /* memory to work in, 10 KiB; zeroed before its first use */
	struct walk_code litlen, distance;
	bool fixed;                          /* these are the codes that a block of type 1 has */
	uint32_t steps[2 * WALK_STEPS];      /* literals and lengths, distances */
};

struct walk_ends {
	uint64_t last;                       /* the bit at which the last block's header begins */
	uint64_t end;                        /* the bit behind the last one */
};

/* False: no deflate stream that is complete. What lies behind its end is not looked at. */
bool walk_deflate(struct walk *w, const uint8_t *p, size_t len, struct walk_ends *ret);

#endif
