#include "base/gf256.h"

static uint8_t multiply(uint8_t a, uint8_t b)
{
	unsigned sum = 0, x = a;
	for (; b; b >>= 1, x = x << 1 ^ (x & 0x80 ? 0x11d : 0))
		sum ^= b & 1 ? x : 0;
	return (uint8_t)sum;
}

uint8_t gf256_power(unsigned n)
{
	uint8_t p = 1;
	for (n %= 255; n > 0; n--)
		p = multiply(p, 2);
	return p;
}

/* The 254th power; the group has 255 elements. */
uint8_t gf256_inverse(uint8_t a)
{
	uint8_t p = 1;
	for (unsigned i = 0; i < 254; i++)
		p = multiply(p, a);
	return p;
}

void gf256_add(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] ^= from[i];
}

static void fill_table(uint8_t table[256], uint8_t factor)
{
	for (unsigned i = 0; i < 256; i++)
		table[i] = multiply((uint8_t)i, factor);
}

void gf256_add_times(uint8_t *to, const uint8_t *from, uint8_t factor, size_t len)
{
	uint8_t table[256];
	fill_table(table, factor);
	for (size_t i = 0; i < len; i++)
		to[i] ^= table[from[i]];
}

void gf256_times(uint8_t *to, uint8_t factor, size_t len)
{
	uint8_t table[256];
	fill_table(table, factor);
	for (size_t i = 0; i < len; i++)
		to[i] = table[to[i]];
}
