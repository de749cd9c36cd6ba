/* The boot sector: OEM id "NTFS    " at 3, the BIOS parameter block at 11, NTFS's own fields from 40. */
#include "fs/ntfs/ntfs.h"

enum { BOOT_SIZE = 512 };

/* Sizes of records and index blocks: clusters where positive, a power of two of bytes where negative. */
static uint32_t decode_size(uint8_t raw, uint32_t cluster_size)
{
	int8_t v = (int8_t)raw;
	if (v < 0)
		return v > -31 ? (uint32_t)1 << -v : 0;
	uint64_t size = (uint64_t)v * cluster_size;
	return size <= UINT32_MAX ? (uint32_t)size : 0;
}

static bool size_ok(uint32_t v, uint32_t min, uint32_t max)
{
	return is_pow2(v) && v >= min && v <= max;
}

int ntfs_boot_read(struct blk *b, uint64_t off, struct ntfs_boot *ret, struct err *e)
{
	uint8_t p[BOOT_SIZE];
	if (!range_inside(off, sizeof(p), b->size))
		return 0;
	int r = blk_read(b, off, p, sizeof(p), e);
	if (r < 0)
		return r;
	if (memcmp(p + 3, "NTFS    ", 8) != 0)
		return 0;
	struct ntfs_boot boot = {
		.sector_size = get_le16(p + 11),
		.sectors = get_le64(p + 40),
		.mft_lcn = get_le64(p + 48),
		.mirror_lcn = get_le64(p + 56),
		.serial = get_le64(p + 72),
	};
	/* Above 128 sectors the field is a negative power of two. */
	uint32_t per_cluster = p[13] <= 128 ? p[13] : p[13] >= 225 ? (uint32_t)1 << (256 - p[13]) : 0;
	if (!size_ok(boot.sector_size, NTFS_SECTOR_MIN, NTFS_SECTOR_MAX) || !is_pow2(per_cluster) ||
	    per_cluster > NTFS_CLUSTER_MAX / boot.sector_size)
		return 0;
	boot.cluster_size = boot.sector_size * per_cluster;
	boot.record_size = decode_size(p[64], boot.cluster_size);
	boot.block_size = decode_size(p[68], boot.cluster_size);
	boot.clusters = boot.sectors / per_cluster;
	/* A FAT would have these. */
	if (get_le16(p + 14) != 0 || p[16] != 0 || get_le16(p + 17) != 0 || get_le16(p + 22) != 0)
		return 0;
	if (!size_ok(boot.record_size, NTFS_RECORD_MIN, NTFS_RECORD_MAX) ||
	    !size_ok(boot.block_size, NTFS_BLOCK_MIN, NTFS_CLUSTER_MAX))
		return 0;
	if (boot.clusters == 0 || boot.clusters > INT64_MAX / boot.cluster_size || boot.mft_lcn >= boot.clusters ||
	    boot.mirror_lcn >= boot.clusters)
		return 0;
	*ret = boot;
	return 1;
}
