/* The decompressors: memory to memory, no allocation, any input is safe.
 *
 * Each fills `out` completely or returns false. out_len is known beforehand from the file's size.
 */
#ifndef FS_NTFS_DECOMPRESS_H
#define FS_NTFS_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	HUFF_FAST_BITS = 10,
	HUFF_LEN_MAX = 16,
	HUFF_SYMS_MAX = 512,
	XPRESS_CHUNK_MAX = 65536,    /* a stream has one table for each 64 KiB: WOF and WIM never need a second */
	LZX_CHUNK_MAX = 32768,       /* the window of the WOF variant */
};

/* A canonical Huffman code. Codes up to HUFF_FAST_BITS are looked up at once, longer ones by length. */
struct huff {
	uint16_t fast[1 << HUFF_FAST_BITS];          /* symbol << 4 | length; 0: longer, or no code */
	uint32_t first[HUFF_LEN_MAX + 1];            /* first code of a length */
	uint16_t count[HUFF_LEN_MAX + 1];
	uint16_t start[HUFF_LEN_MAX + 1];            /* its place in sorted */
	uint16_t sorted[HUFF_SYMS_MAX];
};

/* lens: bits of each symbol's code, 0 for none, at most HUFF_LEN_MAX. False when there are more codes than bits
 * can tell apart. Unused codes are allowed here and refused when met. */
bool huff_build(struct huff *h, const uint8_t *lens, unsigned syms);

/* Bits as [MS-XCA] 2.2 and LZX lay them out: 16-bit little-endian words, the highest bit first. Behind the end
 * come zeroes: the output's length bounds every loop. */
struct huff_bits {
	const uint8_t *p, *end;
	uint32_t buf;                /* the held bits, from the top */
	unsigned held;
};

/* At least 16 bits afterwards, at most 31. */
static inline void huff_refill(struct huff_bits *b)
{
	if (b->held >= 16)
		return;
	if (b->end - b->p >= 2) {
		b->buf |= (uint32_t)(b->p[0] | b->p[1] << 8) << (16 - b->held);
		b->p += 2;
	}
	b->held += 16;
}

/* n 0 … 16, held bits only. */
static inline uint32_t huff_take(struct huff_bits *b, unsigned n)
{
	uint32_t v = (uint32_t)((uint64_t)b->buf >> (32 - n));
	b->buf <<= n;
	b->held -= n;
	return v;
}

int huff_long(const struct huff *h, struct huff_bits *b);

/* The next symbol, or -1. Refills before, not behind. */
static inline int huff_symbol(const struct huff *h, struct huff_bits *b)
{
	huff_refill(b);
	uint16_t f = h->fast[b->buf >> (32 - HUFF_FAST_BITS)];
	if (f == 0)
		return huff_long(h, b);
	b->buf <<= f & 15;
	b->held -= f & 15;
	return f >> 4;
}

/* Repeats len bytes from `distance` back; 0 < distance <= pos, pos + len <= size. */
static inline void copy_back(uint8_t *out, size_t pos, size_t distance, size_t len, size_t size)
{
	uint8_t *to = out + pos;
	const uint8_t *from = to - distance;
	if (distance >= 8 && size - pos >= len + 8) {
		/* In steps of 8, the last one beyond the end of the match: what comes next overwrites that. */
		for (size_t i = 0; i < len; i += 8)
			memcpy(to + i, from + i, 8);
		return;
	}
	if (distance == 1) {
		memset(to, *from, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		to[i] = from[i];
}

/* [MS-XCA] 2.5, a series of 4 KiB chunks; what the input does not reach is zeroes. */
bool lznt1_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);

/* [MS-XCA] 2.2, LZ77 + Huffman; out_len at most XPRESS_CHUNK_MAX. */
bool xpress_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);

/* LZX as WIM and WOF use it; out_len at most LZX_CHUNK_MAX. */
bool lzx_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);

#endif
