/* Every way to a CRC-32C, held against the definition, a bit at a time, and against the examples of RFC 3720. */
#include "base/crc32c.h"

#include "test.h"

static const char *const ways[] = {[CRC32C_PORTABLE] = "portable", [CRC32C_LANES] = "lanes", [CRC32C_WIDE] = "wide"};

static uint32_t by_definition(uint32_t crc, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static void examples(void **state)
{
	(void)state;
	uint8_t b[48] = {0};
	assert_int_equal(~crc32c(UINT32_MAX, "123456789", 9), 0xe3069283);
	/* RFC 3720, B.4 */
	assert_int_equal(~crc32c(UINT32_MAX, b, 32), 0x8a9136aa);
	memset(b, 0xff, 32);
	assert_int_equal(~crc32c(UINT32_MAX, b, 32), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(~crc32c(UINT32_MAX, b, 32), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	assert_int_equal(~crc32c(UINT32_MAX, b, 32), 0x113fdb5c);
}

static void every_way_is_the_definition(void **state)
{
	(void)state;
	static uint8_t b[20000];
	uint64_t seed = 7;
	unsigned ran[3] = {0};
	for (size_t i = 0; i < sizeof(b); i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		b[i] = (uint8_t)(seed >> 56);
	}
	for (unsigned n = 0; n < 3000; n++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t off = (seed >> 20) % 100, len = n < 1000 ? n : (seed >> 33) % (sizeof(b) - 100);
		uint32_t start = (uint32_t)(seed >> 32), want = by_definition(start, b + off, len);
		assert_int_equal(crc32c(start, b + off, len), want);
		for (enum crc32c_way way = CRC32C_PORTABLE; way <= CRC32C_WIDE; way++) {
			uint32_t crc = start;
			if (!crc32c_by(way, &crc, b + off, len))
				continue;
			ran[way]++;
			if (crc != want)
				fail_msg("%s: %zu bytes at %zu: %08x, not %08x", ways[way], len, off, crc, want);
		}
	}
	for (enum crc32c_way way = CRC32C_PORTABLE; way <= CRC32C_WIDE; way++)
		if (ran[way] == 0)
			print_message("# %s: not on this processor\n", ways[way]);
}

static void in_pieces(void **state)
{
	(void)state;
	static uint8_t b[9000];
	memset(b, 'x', sizeof(b));
	for (size_t at = 0; at <= sizeof(b); at += 37)
		assert_int_equal(crc32c(crc32c(1, b, at), b + at, sizeof(b) - at), crc32c(1, b, sizeof(b)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(every_way_is_the_definition),
		cmocka_unit_test(in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
