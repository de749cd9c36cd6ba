/* LZX in the variant of WIM and WOF, after Microsoft's public description of the cabinet format ([MS-PATCH] has
 * the same coding), with these differences: a window of 32 KiB, every chunk for itself, one bit instead of the
 * 24 of a block's length where that is 32 KiB, and E8 translation always on, for a "file size" of 12,000,000.
 *
 *	block: type 3 bits, 1 verbatim, 2 aligned, 3 stored · length · [8 × 3 bits aligned code]
 *	       main code (literals; then matches) · length code · symbols
 *
 * The lengths of the main and the length code are given as differences to the block before, themselves coded. */
#include "fs/ntfs/decompress.h"

#include "base/bytes.h"

enum {
	LITERALS = 256,
	SLOTS = 30,                      /* of distances in a window of 32 KiB */
	MAIN_SYMS = LITERALS + SLOTS * 8,
	LEN_SYMS = 249,
	PRE_SYMS = 20,
	ALIGNED_SYMS = 8,
	BLOCK_DEFAULT = 32768,
	MIN_MATCH = 2,
	E8_SIZE = 12000000,
	BLOCK_VERBATIM = 1,
	BLOCK_ALIGNED = 2,
	BLOCK_STORED = 3,
};

struct lzx {
	struct huff_bits bits;
	uint8_t *out;
	size_t pos, size;
	uint32_t recent[3];              /* distances of the last matches */
	uint8_t main_lens[MAIN_SYMS], len_lens[LEN_SYMS];
	struct huff main, len, aligned, pre;
};

static uint32_t take(struct lzx *z, unsigned n)
{
	huff_refill(&z->bits);
	return huff_take(&z->bits, n);
}

/* Code lengths of a range of symbols, as differences modulo 17 to what they were, with runs. */
static bool read_lens(struct lzx *z, uint8_t *lens, unsigned n)
{
	uint8_t pre[PRE_SYMS];
	for (unsigned i = 0; i < PRE_SYMS; i++)
		pre[i] = (uint8_t)take(z, 4);
	if (!huff_build(&z->pre, pre, PRE_SYMS))
		return false;
	for (unsigned i = 0; i < n;) {
		int sym = huff_symbol(&z->pre, &z->bits);
		unsigned run = 1;
		uint8_t v = 0;
		if (sym < 0)
			return false;
		if (sym == 17) {
			run = 4 + take(z, 4);
		} else if (sym == 18) {
			run = 20 + take(z, 5);
		} else {
			if (sym == 19) {
				run = 4 + take(z, 1);
				sym = huff_symbol(&z->pre, &z->bits);
				if (sym < 0 || sym > 16)
					return false;
			}
			v = (uint8_t)((lens[i] + 17 - sym) % 17);
		}
		/* A run may name more symbols than are left; they do not exist. */
		for (; run > 0 && i < n; run--)
			lens[i++] = v;
	}
	return true;
}

static bool read_codes(struct lzx *z, bool aligned)
{
	if (aligned) {
		uint8_t lens[ALIGNED_SYMS];
		for (unsigned i = 0; i < ALIGNED_SYMS; i++)
			lens[i] = (uint8_t)take(z, 3);
		if (!huff_build(&z->aligned, lens, ALIGNED_SYMS))
			return false;
	}
	return read_lens(z, z->main_lens, LITERALS) && read_lens(z, z->main_lens + LITERALS, MAIN_SYMS - LITERALS) &&
	       huff_build(&z->main, z->main_lens, MAIN_SYMS) && read_lens(z, z->len_lens, LEN_SYMS) &&
	       huff_build(&z->len, z->len_lens, LEN_SYMS);
}

/* Distances 0 … 2 name the recent ones; slot n from 4 on has (n / 2 - 1) further bits. The number coded is the
 * distance + 2. */
static bool read_distance(struct lzx *z, unsigned slot, bool aligned, uint32_t *ret)
{
	if (slot < 3) {
		*ret = z->recent[slot];
		z->recent[slot] = z->recent[0];
		z->recent[0] = *ret;
		return true;
	}
	unsigned extra = slot < 4 ? 0 : slot / 2 - 1;
	uint32_t v = slot < 4 ? slot : (2u | (slot & 1)) << extra;
	if (aligned && extra >= 3) {
		v += take(z, extra - 3) << 3;
		int low = huff_symbol(&z->aligned, &z->bits);
		if (low < 0)
			return false;
		v += (uint32_t)low;
	} else {
		v += take(z, extra);
	}
	z->recent[2] = z->recent[1];
	z->recent[1] = z->recent[0];
	*ret = z->recent[0] = v - 2;
	return true;
}

static bool coded_block(struct lzx *z, size_t end, bool aligned)
{
	if (!read_codes(z, aligned))
		return false;
	while (z->pos < end) {
		int sym = huff_symbol(&z->main, &z->bits);
		if (sym < 0)
			return false;
		if (sym < LITERALS) {
			z->out[z->pos++] = (uint8_t)sym;
			continue;
		}
		size_t len = sym & 7;
		if (len == 7) {
			int more = huff_symbol(&z->len, &z->bits);
			if (more < 0)
				return false;
			len += (size_t)more;
		}
		len += MIN_MATCH;
		uint32_t distance;
		if (!read_distance(z, (unsigned)(sym - LITERALS) >> 3, aligned, &distance))
			return false;
		if (distance == 0 || distance > z->pos || len > end - z->pos)
			return false;
		copy_back(z->out, z->pos, distance, len, z->size);
		z->pos += len;
	}
	return true;
}

/* Stored bytes start at a word; the bits left of the last word, or a whole word where none are, are padding. */
static bool stored_block(struct lzx *z, size_t len)
{
	struct huff_bits *b = &z->bits;
	if (b->held == 0)
		huff_refill(b);
	if (b->held > 16)
		b->p -= 2;
	b->buf = 0;
	b->held = 0;
	if ((size_t)(b->end - b->p) < 12 || (size_t)(b->end - b->p) - 12 < len)
		return false;
	for (unsigned i = 0; i < 3; i++)
		z->recent[i] = get_le32(b->p + 4 * i);
	memcpy(z->out + z->pos, b->p + 12, len);
	z->pos += len;
	b->p += 12 + len;
	if (len % 2 != 0 && b->p < b->end)
		b->p++;
	return true;
}

static bool block(struct lzx *z)
{
	unsigned type = take(z, 3);
	size_t len = BLOCK_DEFAULT;
	if (!take(z, 1))
		len = take(z, 16);
	if (len == 0 || len > z->size - z->pos)
		return false;
	switch (type) {
	case BLOCK_VERBATIM:
	case BLOCK_ALIGNED: return coded_block(z, z->pos + len, type == BLOCK_ALIGNED);
	case BLOCK_STORED: return stored_block(z, len);
	default: return false;
	}
}

/* The compressor made the targets of x86 calls absolute; back to relative. */
static void undo_e8(uint8_t *p, size_t len)
{
	if (len <= 10)
		return;
	for (size_t i = 0; i < len - 10; i++) {
		if (p[i] != 0xE8)
			continue;
		int32_t at = (int32_t)i, v = (int32_t)get_le32(p + i + 1);
		if (v >= 0 && v < E8_SIZE)
			put_le32(p + i + 1, (uint32_t)(v - at));
		else if (v < 0 && v >= -at)
			put_le32(p + i + 1, (uint32_t)(v + E8_SIZE));
		i += 4;
	}
}

bool lzx_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	if (out_len > LZX_CHUNK_MAX)
		return false;
	struct lzx z = {
		.bits = {.p = in, .end = in + in_len},
		.out = out,
		.size = out_len,
		.recent = {1, 1, 1},
	};
	while (z.pos < z.size)
		if (!block(&z))
			return false;
	undo_e8(out, out_len);
	return true;
}
