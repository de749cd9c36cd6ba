/* BLAKE2b with a digest of 32 bytes and no key: RFC 7693. */
#include "fs/btrfs/btrfs.h"

enum { BLOCK = 128, ROUNDS = 12, DIGEST = 32 };

static const uint64_t iv[8] = {
	0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
	0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
};

static const uint8_t sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t rotr(uint64_t v, unsigned n)
{
	return v >> n | v << (64 - n);
}

static void mix(uint64_t *v, unsigned a, unsigned b, unsigned c, unsigned d, uint64_t m1, uint64_t m2)
{
	v[a] += v[b] + m1;
	v[d] = rotr(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 24);
	v[a] += v[b] + m2;
	v[d] = rotr(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 63);
}

static void compress(uint64_t h[8], const uint8_t *block, uint64_t total, bool last)
{
	uint64_t v[16], m[16];
	for (unsigned i = 0; i < 16; i++)
		m[i] = get_le64(block + 8 * i);
	memcpy(v, h, 64);
	memcpy(v + 8, iv, 64);
	v[12] ^= total;
	if (last)
		v[14] = ~v[14];
	for (unsigned r = 0; r < ROUNDS; r++) {
		const uint8_t *s = sigma[r % 10];
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}

void btrfs_blake2b(const void *data, size_t len, uint8_t ret[DIGEST])
{
	const uint8_t *p = data;
	uint64_t h[8];
	memcpy(h, iv, sizeof(h));
	h[0] ^= 0x01010000 ^ DIGEST;
	size_t at = 0;
	for (; len - at > BLOCK; at += BLOCK)
		compress(h, p + at, at + BLOCK, false);
	uint8_t last[BLOCK] = {0};
	memcpy(last, p + at, len - at);
	compress(h, last, len, true);
	for (unsigned i = 0; i < DIGEST / 8; i++) {
		put_le32(ret + 8 * i, (uint32_t)h[i]);
		put_le32(ret + 8 * i + 4, (uint32_t)(h[i] >> 32));
	}
}
