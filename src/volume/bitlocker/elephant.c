/* Ferguson, "AES-CBC + Elephant diffuser", section 4: diffusers A and B, in the direction of decryption. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"

enum { WORDS_MAX = BITLOCKER_SECTOR_MAX / 4, CYCLES_A = 5, CYCLES_B = 3 };

static uint32_t rotate(uint32_t v, unsigned by)
{
	return by == 0 ? v : v << by | v >> (32 - by);
}

/* In both the words are those of a ring; their number is a power of two. */
static void diffuser_b(uint32_t *d, size_t n)
{
	static const unsigned by[4] = {0, 10, 0, 25};
	for (unsigned cycle = 0; cycle < CYCLES_B; cycle++)
		for (size_t i = 0; i < n; i++)
			d[i] += d[(i + 2) & (n - 1)] ^ rotate(d[(i + 5) & (n - 1)], by[i % 4]);
}

static void diffuser_a(uint32_t *d, size_t n)
{
	static const unsigned by[4] = {9, 0, 13, 0};
	for (unsigned cycle = 0; cycle < CYCLES_A; cycle++)
		for (size_t i = 0; i < n; i++)
			d[i] += d[(i - 2) & (n - 1)] ^ rotate(d[(i - 5) & (n - 1)], by[i % 4]);
}

void bitlocker_elephant(uint8_t *sector, size_t len, const uint8_t sector_key[32])
{
	uint32_t d[WORDS_MAX];
	size_t n = len / 4;
	for (size_t i = 0; i < n; i++)
		d[i] = get_le32(sector + 4 * i);
	diffuser_b(d, n);
	diffuser_a(d, n);
	for (size_t i = 0; i < n; i++)
		put_le32(sector + 4 * i, d[i] ^ get_le32(sector_key + 4 * (i % 8)));
}
