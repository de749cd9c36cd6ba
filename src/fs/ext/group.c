#include "fs/ext/ext.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

/* --- blocks --------------------------------------------------------------------------------------- */

bool ext_blocks_ok(const struct ext_fs *x, uint64_t blk, uint64_t count)
{
	return blk > x->sb.first_data_block && range_inside(blk, count, x->sb.blocks);
}

int ext_read_blocks(struct ext_fs *x, uint64_t blk, uint64_t count, void *to, struct err *e)
{
	uint64_t off = blk << x->sb.block_bits, len = count << x->sb.block_bits;
	if (!range_inside(blk, count, x->sb.blocks) || !range_inside(off, len, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module,
		               "block %" PRIu64 " lies behind the end of the filesystem or of the device", blk);
	return blk_read(x->fs.blk, off, to, (size_t)len, e);
}

const uint8_t *ext_block(struct ext_fs *x, uint64_t blk, struct err *e)
{
	size_t slot = blk % EXT_CACHE_SLOTS;
	if (x->cache_blk[slot] == blk && blk != 0)
		return x->cache[slot];
	if (!x->cache[slot]) {
		x->cache[slot] = malloc(x->sb.block_size);
		if (!x->cache[slot]) {
			(void)err_no_memory(e, module);
			return NULL;
		}
	}
	x->cache_blk[slot] = 0;
	if (ext_read_blocks(x, blk, 1, x->cache[slot], e) < 0)
		return NULL;
	x->cache_blk[slot] = blk;
	return x->cache[slot];
}

void ext_caches_drop(struct ext_fs *x)
{
	for (size_t i = 0; i < EXT_CACHE_SLOTS; i++)
		x->cache_blk[i] = 0;
	x->random.len = x->stream.len = 0;
}

/* --- descriptors ---------------------------------------------------------------------------------- */

/* Copy number `copy` (0: the primary) of the block of descriptors that holds those of `group`. 0: no such copy. */
static uint64_t descriptor_block(const struct ext_super *sb, uint32_t group, unsigned copy)
{
	uint32_t index = group / sb->desc_per_block;
	/* The superblock lies in block 1 of 1 KiB blocks even where (bigalloc) groups start at block 0. */
	uint32_t early = sb->block_size == 1024 && sb->first_data_block == 0;

	if (sb->incompat & EXT_META_BG && index >= sb->first_meta_bg) {
		/* In the first, the second and the last group of those it describes. */
		const uint32_t where[] = {0, 1, sb->desc_per_block - 1};
		if (copy >= sizeof(where) / sizeof(where[0]))
			return 0;
		uint64_t g = (uint64_t)index * sb->desc_per_block + where[copy];
		if (g >= sb->groups)
			return 0;
		return ext_group_first(sb, (uint32_t)g) + ext_group_has_super(sb, (uint32_t)g) + (g == 0 ? early : 0);
	}
	uint32_t g = 0;
	for (unsigned found = 0; found < copy;) {
		if (++g >= sb->groups || g > 100)
			return 0;
		found += ext_group_has_super(sb, g);
	}
	return ext_group_first(sb, g) + 1 + index + (g == 0 ? early : 0);
}

static bool descriptor_csum_ok(const struct ext_super *sb, uint32_t group, const uint8_t *p)
{
	uint8_t n[4], zero[2] = {0};
	put_le32(n, group);
	if (sb->ro_compat & EXT_METADATA_CSUM) {
		uint32_t crc = crc32c(sb->csum_seed, n, sizeof(n));
		crc = crc32c(crc, p, 0x1E);
		crc = crc32c(crc, zero, sizeof(zero));
		crc = crc32c(crc, p + 0x20, sb->desc_size - 0x20);
		return ext_csum_equal(crc & 0xFFFF, get_le16(p + 0x1E));
	}
	if (sb->ro_compat & EXT_GDT_CSUM) {
		uint16_t crc = ext_crc16(0xFFFF, sb->uuid, sizeof(sb->uuid));
		crc = ext_crc16(crc, n, sizeof(n));
		crc = ext_crc16(crc, p, 0x1E);
		crc = ext_crc16(crc, p + 0x20, sb->desc_size - 0x20);
		return ext_csum_equal(crc, get_le16(p + 0x1E));
	}
	return true;
}

/* From one copy; 1 when it is sound. */
static int itable_from(struct ext_fs *x, uint32_t group, uint64_t blk, uint64_t *ret, struct err *e)
{
	const struct ext_super *sb = &x->sb;
	const uint8_t *p = ext_block(x, blk, e);
	if (!p)
		return e->code;
	p += (size_t)(group % sb->desc_per_block) * sb->desc_size;
	uint64_t itable = get_le32(p + 0x8);
	if (sb->desc_size >= 64)
		itable |= (uint64_t)get_le32(p + 0x28) << 32;
	uint64_t size = ((uint64_t)sb->inodes_per_group * sb->inode_size + sb->block_size - 1) >> sb->block_bits;
	if (!descriptor_csum_ok(sb, group, p) || !ext_blocks_ok(x, itable, size))
		return 0;
	*ret = itable;
	return 1;
}

int ext_group_itable(struct ext_fs *x, uint32_t group, uint64_t *ret, struct err *e)
{
	enum { COPIES_MAX = 6 };
	for (unsigned copy = 0; copy < COPIES_MAX; copy++) {
		uint64_t blk = descriptor_block(&x->sb, group, copy);
		struct err no = ERR_INIT;
		int r = blk ? itable_from(x, group, blk, ret, &no) : 0;
		if (r < 0 && no.code != ERR_FILE_CORRUPT) {
			*e = no;
			return r;
		}
		if (r != 1)
			continue;
		if (copy > 0 && x->group_warnings++ < EXT_GROUP_WARNINGS)
			fs_warn(&x->fs, "the descriptor of block group %" PRIu32 " is damaged, its copy was used", group);
		return 0;
	}
	return err_set(e, ERR_FILE_CORRUPT, module, "the descriptor of block group %" PRIu32 " is damaged, and so are its copies",
	               group);
}
