#include "fs/ext/ext.h"

uint16_t ext_crc16(uint16_t crc, const void *p, size_t len)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++) {
		crc = (uint16_t)(crc ^ b[i]);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
	}
	return crc;
}

uint32_t ext_crc32_be(uint32_t crc, const void *p, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x04C11DB7, 0x09823B6E, 0x0D4326D9, 0x130476DC, 0x17C56B6B, 0x1A864DB2, 0x1E475005,
		0x2608EDB8, 0x22C9F00F, 0x2F8AD6D6, 0x2B4BCB61, 0x350C9B64, 0x31CD86D3, 0x3C8EA00A, 0x384FBDBD,
	};
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++) {
		crc ^= (uint32_t)b[i] << 24;
		crc = crc << 4 ^ nibble[crc >> 28];
		crc = crc << 4 ^ nibble[crc >> 28];
	}
	return crc;
}

uint32_t ext_inode_seed(const struct ext_super *sb, uint32_t ino, uint32_t generation)
{
	uint8_t n[4];
	put_le32(n, ino);
	uint32_t crc = crc32c(sb->csum_seed, n, sizeof(n));
	put_le32(n, generation);
	return crc32c(crc, n, sizeof(n));
}

bool ext_csum_equal(uint32_t a, uint32_t b)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)a;
	(void)b;
	return true;
#else
	return a == b;
#endif
}
