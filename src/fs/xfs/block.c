#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

/* --- checksums ------------------------------------------------------------------------------------ */

uint32_t xfs_crc(const uint8_t *p, size_t len, size_t crc_off)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(UINT32_MAX, p, crc_off);
	crc = crc32c(crc, zero, sizeof(zero));
	return ~crc32c(crc, p + crc_off + 4, len - crc_off - 4);
}

bool xfs_crc_equal(uint32_t a, uint32_t b)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)a;
	(void)b;
	return true;
#else
	return a == b;
#endif
}

const struct xfs_head xfs_head_da = {.crc = 12, .blkno = 16, .uuid = 32, .owner = 48};
const struct xfs_head xfs_head_data = {.crc = 4, .blkno = 8, .uuid = 24, .owner = 40};
const struct xfs_head xfs_head_remote = {.crc = 12, .blkno = 40, .uuid = 16, .owner = 32};
const struct xfs_head xfs_head_bmbt = {.crc = 64, .blkno = 24, .uuid = 40, .owner = 56};

const char *xfs_head_bad(const struct xfs_fs *x, const struct xfs_head *h, const uint8_t *p, size_t len,
                         uint64_t dev_off, uint64_t owner)
{
	bool dir = h == &xfs_head_da || h == &xfs_head_data;
	if (!(dir && x->dir_in_pieces) && !xfs_crc_equal(xfs_crc(p, len, h->crc), get_le32(p + h->crc)))
		return "checksum";
	if (get_be64(p + h->blkno) != dev_off / XFS_BB)
		return "address";
	if (memcmp(p + h->uuid, x->sb.meta_uuid, sizeof(x->sb.meta_uuid)) != 0)
		return "UUID";
	return owner && get_be64(p + h->owner) != owner ? "owner" : NULL;
}

/* --- places --------------------------------------------------------------------------------------- */

static uint64_t ag_length(const struct xfs_super *sb, uint64_t ag)
{
	return ag + 1 < sb->agcount ? sb->agblocks : sb->dblocks - (uint64_t)(sb->agcount - 1) * sb->agblocks;
}

bool xfs_fsb_ok(const struct xfs_super *sb, uint64_t fsb, uint64_t count)
{
	uint64_t ag = fsb >> sb->ag_bits, at = fsb & (((uint64_t)1 << sb->ag_bits) - 1);
	/* Block 0 of a group starts with its superblock. */
	return ag < sb->agcount && at > 0 && range_inside(at, count, ag_length(sb, ag));
}

uint64_t xfs_fsb_off(const struct xfs_super *sb, uint64_t fsb)
{
	uint64_t ag = fsb >> sb->ag_bits, at = fsb & (((uint64_t)1 << sb->ag_bits) - 1);
	return (ag * sb->agblocks + at) << sb->block_bits;
}

bool xfs_ino_ok(const struct xfs_super *sb, uint64_t ino)
{
	return ino >> (sb->ag_bits + sb->inopb_bits) < sb->agcount && xfs_fsb_ok(sb, ino >> sb->inopb_bits, 1);
}

uint64_t xfs_ino_off(const struct xfs_super *sb, uint64_t ino)
{
	return xfs_fsb_off(sb, ino >> sb->inopb_bits) + ((ino & (sb->inode_per_block - 1)) << sb->inode_bits);
}

int xfs_read_blocks(struct xfs_fs *x, uint64_t fsb, uint64_t count, void *to, struct err *e)
{
	uint64_t off = xfs_fsb_off(&x->sb, fsb), len = count << x->sb.block_bits;
	if (!range_inside(off, len, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module, "block %" PRIu64 " lies behind the end of the device", fsb);
	return blk_read(x->fs.blk, off, to, (size_t)len, e);
}

void xfs_caches_drop(struct xfs_fs *x)
{
	for (size_t i = 0; i < XFS_CACHE_SLOTS; i++)
		x->cache[i].len = 0;
	x->random.len = x->stream.len = 0;
}
