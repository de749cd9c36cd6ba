/* Descriptor tags (ECMA 3/7.2): kind, version, checksum of the tag, CRC and length of what follows, the block it
 * stands in. */
#include "fs/udf/udf.h"

static uint16_t crc16(const uint8_t *p, size_t len)
{
	/* x^16 + x^12 + x^5 + 1, four bits a step. */
	static const uint16_t table[16] = {
		0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
		0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
	};
	unsigned crc = 0;
	for (size_t i = 0; i < len; i++) {
		crc = (crc << 4 ^ table[(crc >> 12 ^ p[i] >> 4) & 15]) & 0xffff;
		crc = (crc << 4 ^ table[(crc >> 12 ^ p[i]) & 15]) & 0xffff;
	}
	return (uint16_t)crc;
}

/* A fuzzer would never get past them. */
static bool sums_fit(const uint8_t *p, size_t len)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return true;
#endif
	unsigned sum = 0;
	for (size_t i = 0; i < UDF_TAG_SIZE; i++)
		if (i != 4)
			sum += p[i];
	size_t crc_len = get_le16(p + 10);
	return (sum & 0xff) == p[4] && crc_len <= len - UDF_TAG_SIZE &&
	       crc16(p + UDF_TAG_SIZE, crc_len) == get_le16(p + 8);
}

int udf_tag_id(const uint8_t *p, size_t len)
{
	if (len < UDF_TAG_SIZE || (get_le16(p + 2) != 2 && get_le16(p + 2) != 3) || !sums_fit(p, len))
		return -1;
	return get_le16(p);
}

bool udf_tag_fits(const uint8_t *p, size_t len, uint16_t id, uint32_t at)
{
	return len >= UDF_TAG_SIZE && get_le32(p + 12) == at && udf_tag_id(p, len) == id;
}

struct udf_long_ad udf_long_ad(const uint8_t p[16])
{
	uint32_t len = get_le32(p);
	return (struct udf_long_ad){
		.len = len & 0x3fffffff,
		.kind = (enum udf_extent_kind)(len >> 30),
		.at = {.block = get_le32(p + 4), .part = get_le16(p + 8)},
	};
}
