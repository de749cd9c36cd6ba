/* Hashes of directory names: what the kernel's fs/ext4/hash.c computes. */
#include "fs/ext/ext.h"

static uint32_t rol(uint32_t v, unsigned s)
{
	return v << s | v >> (32 - s);
}

static void half_md4(uint32_t buf[4], const uint32_t in[8])
{
	enum { ROUNDS = 3, STEPS = 8 };
	static const uint8_t order[ROUNDS][STEPS] = {
		{0, 1, 2, 3, 4, 5, 6, 7}, {1, 3, 5, 7, 0, 2, 4, 6}, {3, 7, 2, 6, 1, 5, 0, 4}};
	static const uint8_t shift[ROUNDS][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
	static const uint32_t konst[ROUNDS] = {0, 0x5A827999, 0x6ED9EBA1};
	uint32_t v[4] = {buf[0], buf[1], buf[2], buf[3]};

	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned i = 0; i < STEPS; i++) {
			unsigned a = (4 - i % 4) % 4;
			uint32_t x = v[(a + 1) % 4], y = v[(a + 2) % 4], z = v[(a + 3) % 4], f;
			if (r == 0)
				f = z ^ (x & (y ^ z));
			else if (r == 1)
				f = (x & y) + ((x ^ y) & z);
			else
				f = x ^ y ^ z;
			v[a] = rol(v[a] + f + in[order[r][i]] + konst[r], shift[r][i % 4]);
		}
	for (unsigned i = 0; i < 4; i++)
		buf[i] += v[i];
}

static void tea(uint32_t buf[4], const uint32_t in[4])
{
	uint32_t sum = 0, b0 = buf[0], b1 = buf[1];
	for (int n = 0; n < 16; n++) {
		sum += 0x9E3779B9;
		b0 += ((b1 << 4) + in[0]) ^ (b1 + sum) ^ ((b1 >> 5) + in[1]);
		b1 += ((b0 << 4) + in[2]) ^ (b0 + sum) ^ ((b0 >> 5) + in[3]);
	}
	buf[0] += b0;
	buf[1] += b1;
}

static uint32_t widen(uint8_t c, bool is_unsigned)
{
	return is_unsigned ? c : (uint32_t)(int32_t)(int8_t)c;
}

static uint32_t legacy(const uint8_t *p, size_t len, bool is_unsigned)
{
	uint32_t h0 = 0x12A3FE2D, h1 = 0x37ABE8F9;
	for (size_t i = 0; i < len; i++) {
		uint32_t h = h1 + (h0 ^ (widen(p[i], is_unsigned) * 7152373));
		if (h & 0x80000000)
			h -= 0x7FFFFFFF;
		h1 = h0;
		h0 = h;
	}
	return h0 << 1;
}

/* The next words of the name, padded with its length. */
static void words(const uint8_t *p, size_t len, uint32_t *to, unsigned num, bool is_unsigned)
{
	uint32_t pad = (uint32_t)len | (uint32_t)len << 8;
	pad |= pad << 16;
	uint32_t v = pad;
	unsigned out = 0;
	len = min_size(len, (size_t)num * 4);
	for (size_t i = 0; i < len; i++) {
		v = widen(p[i], is_unsigned) + (v << 8);
		if (i % 4 == 3) {
			to[out++] = v;
			v = pad;
		}
	}
	if (out < num)
		to[out++] = v;
	while (out < num)
		to[out++] = pad;
}

bool ext_name_hash(const struct ext_super *sb, unsigned version, const void *name, size_t len, struct ext_hash *ret)
{
	enum { LEGACY, HALF_MD4, TEA, KINDS };
	if (version >= 2 * KINDS)
		return false;
	bool is_unsigned = version >= KINDS;
	unsigned kind = version % KINDS;
	uint32_t buf[4] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
	if (sb->hash_seed[0] | sb->hash_seed[1] | sb->hash_seed[2] | sb->hash_seed[3])
		memcpy(buf, sb->hash_seed, sizeof(buf));

	struct ext_hash h = {0};
	if (kind == LEGACY) {
		h.major = legacy(name, len, is_unsigned);
	} else {
		const uint8_t *p = name;
		const size_t step = kind == HALF_MD4 ? 32 : 16;
		for (size_t at = 0; at < len; at += step) {
			uint32_t in[8];
			words(p + at, len - at, in, (unsigned)(step / 4), is_unsigned);
			if (kind == HALF_MD4)
				half_md4(buf, in);
			else
				tea(buf, in);
		}
		h.major = kind == HALF_MD4 ? buf[1] : buf[0];
		h.minor = kind == HALF_MD4 ? buf[2] : buf[1];
	}
	h.major &= ~(uint32_t)1;
	/* The largest value stands for the end of a directory. */
	if (h.major == 0xFFFFFFFE)
		h.major = 0xFFFFFFFC;
	*ret = h;
	return true;
}
