#include "fs/btrfs/btrfs.h"

#include "crypto/crypto.h"

uint16_t btrfs_csum_size(uint16_t type)
{
	static const uint16_t sizes[] = {4, 8, 32, 32};
	return type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}

int btrfs_csum_fits(uint16_t type, const void *p, size_t len, const uint8_t *want, struct err *e)
{
	uint8_t got[BTRFS_CSUM_MAX] = {0};
	int r = 0;
	switch (type) {
	case BTRFS_CRC32C: put_le32(got, ~crc32c(UINT32_MAX, p, len)); break;
	case BTRFS_XXHASH: put_le64(got, btrfs_xxhash64(p, len)); break;
	case BTRFS_SHA256: hash_sha256(p, len, got); break;
	default: r = hash_once(HASH_BLAKE2B_256, p, len, got, e); break;
	}
	if (r < 0)
		return r;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)want;
	return 1;
#else
	return memcmp(got, want, btrfs_csum_size(type)) == 0;
#endif
}
