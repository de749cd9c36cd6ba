#include "fs/ntfs/decompress.h"

bool huff_build(struct huff *h, const uint8_t *lens, unsigned syms)
{
	memset(h, 0, sizeof(*h));
	for (unsigned i = 0; i < syms; i++)
		h->count[lens[i]]++;
	h->count[0] = 0;
	uint32_t code = 0;
	uint16_t start = 0;
	for (unsigned len = 1; len <= HUFF_LEN_MAX; len++) {
		code <<= 1;
		h->first[len] = code;
		h->start[len] = start;
		code += h->count[len];
		start = (uint16_t)(start + h->count[len]);
		if (code > 1u << len)
			return false;
	}
	uint16_t next[HUFF_LEN_MAX + 1];
	memcpy(next, h->start, sizeof(next));
	for (unsigned i = 0; i < syms; i++) {
		unsigned len = lens[i];
		if (len == 0)
			continue;
		uint16_t place = next[len]++;
		h->sorted[place] = (uint16_t)i;
		if (len > HUFF_FAST_BITS)
			continue;
		uint32_t c = h->first[len] + (place - h->start[len]);
		uint32_t from = c << (HUFF_FAST_BITS - len), n = 1u << (HUFF_FAST_BITS - len);
		for (uint32_t k = 0; k < n; k++)
			h->fast[from + k] = (uint16_t)(i << 4 | len);
	}
	return true;
}

int huff_long(const struct huff *h, struct huff_bits *b)
{
	for (unsigned len = HUFF_FAST_BITS + 1; len <= HUFF_LEN_MAX; len++) {
		uint32_t i = (b->buf >> (32 - len)) - h->first[len];
		if (i < h->count[len]) {
			b->buf <<= len;
			b->held -= len;
			return h->sorted[h->start[len] + i];
		}
	}
	return -1;
}
