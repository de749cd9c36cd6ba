/* XXH64 with seed 0: github.com/Cyan4973/xxHash, doc/xxhash_spec.md. */
#include "fs/btrfs/btrfs.h"

static const uint64_t P1 = 0x9E3779B185EBCA87, P2 = 0xC2B2AE3D27D4EB4F, P3 = 0x165667B19E3779F9,
                      P4 = 0x85EBCA77C2B2AE63, P5 = 0x27D4EB2F165667C5;

static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static uint64_t round64(uint64_t acc, uint64_t lane)
{
	return rotl(acc + lane * P2, 31) * P1;
}

static uint64_t stripes(const uint8_t *p, size_t len)
{
	uint64_t acc[4] = {P1 + P2, P2, 0, 0 - P1};
	for (size_t at = 0; at + 32 <= len; at += 32)
		for (unsigned i = 0; i < 4; i++)
			acc[i] = round64(acc[i], get_le64(p + at + 8 * i));
	uint64_t h = rotl(acc[0], 1) + rotl(acc[1], 7) + rotl(acc[2], 12) + rotl(acc[3], 18);
	for (unsigned i = 0; i < 4; i++)
		h = (h ^ round64(0, acc[i])) * P1 + P4;
	return h;
}

uint64_t btrfs_xxhash64(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = (len >= 32 ? stripes(p, len) : P5) + len;
	size_t at = len & ~(size_t)31;
	for (; at + 8 <= len; at += 8)
		h = rotl(h ^ round64(0, get_le64(p + at)), 27) * P1 + P4;
	for (; at + 4 <= len; at += 4)
		h = rotl(h ^ get_le32(p + at) * P1, 23) * P2 + P3;
	for (; at < len; at++)
		h = rotl(h ^ p[at] * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
