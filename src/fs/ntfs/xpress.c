/* LZ77 + Huffman, [MS-XCA] 2.2 ("XPRESS" in WIM and WOF): 256 bytes of code lengths, two symbols a byte, then
 * bits. Symbols below 256 are literals; above, the low four bits are the length and the others the number of
 * bits of the distance. Lengths of 15 and more go on in bytes that lie between the words of bits. */
#include "fs/ntfs/decompress.h"

#include "base/bytes.h"

enum { TABLE = 256, SYMS = 512, MIN_MATCH = 3 };

static bool long_length(struct huff_bits *b, size_t *ret)
{
	if (b->end - b->p < 1)
		return false;
	size_t len = *b->p++;
	if (len < 255) {
		*ret = len + 15;
		return true;
	}
	if (b->end - b->p < 2)
		return false;
	len = get_le16(b->p);
	b->p += 2;
	*ret = len;
	return len >= 15;        /* 0 would announce a length beyond any chunk */
}

bool xpress_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	if (in_len < TABLE || out_len > XPRESS_CHUNK_MAX)
		return false;
	uint8_t lens[SYMS];
	for (unsigned i = 0; i < TABLE; i++) {
		lens[2 * i] = in[i] & 15;
		lens[2 * i + 1] = in[i] >> 4;
	}
	struct huff code;
	if (!huff_build(&code, lens, SYMS))
		return false;
	struct huff_bits bits = {.p = in + TABLE, .end = in + in_len};
	for (size_t pos = 0; pos < out_len;) {
		int sym = huff_symbol(&code, &bits);
		if (sym < 0)
			return false;
		if (sym < 256) {
			out[pos++] = (uint8_t)sym;
			continue;
		}
		/* The bytes of a length lie behind the words loaded at this point. */
		huff_refill(&bits);
		size_t len = sym & 15;
		if (len == 15 && !long_length(&bits, &len))
			return false;
		len += MIN_MATCH;
		unsigned log = (unsigned)(sym - 256) >> 4;
		size_t distance = (size_t)1 << log | huff_take(&bits, log);
		if (distance > pos || len > out_len - pos)
			return false;
		copy_back(out, pos, distance, len, out_len);
		pos += len;
	}
	return true;
}
