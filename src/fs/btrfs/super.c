#include "fs/btrfs/btrfs.h"

#include <inttypes.h>

static const char *const module = "btrfs";

static const uint64_t mirrors[BTRFS_SUPER_MIRRORS] = {BTRFS_SUPER_OFF, (uint64_t)64 << 20, (uint64_t)256 << 30};

enum { MAGIC_AT = 64, CHUNK_LEAST = 80 };

static bool has_magic(const uint8_t *raw)
{
	return memcmp(raw + MAGIC_AT, "_BHRfS_M", 8) == 0;
}

static void decode(const uint8_t *raw, struct btrfs_super *s)
{
	memcpy(s->fsid, raw + 32, 16);
	s->flags = get_le64(raw + 0x38);
	s->generation = get_le64(raw + 0x48);
	s->root = get_le64(raw + 0x50);
	s->chunk_root = get_le64(raw + 0x58);
	s->log_root = get_le64(raw + 0x60);
	s->total_bytes = get_le64(raw + 0x70);
	s->num_devices = get_le64(raw + 0x88);
	s->sector = get_le32(raw + 0x90);
	s->node = get_le32(raw + 0x94);
	s->sys_size = get_le32(raw + 0xa0);
	s->chunk_root_generation = get_le64(raw + 0xa4);
	s->incompat = get_le64(raw + 0xbc);
	s->csum_type = get_le16(raw + 0xc4);
	s->root_level = raw[0xc6];
	s->chunk_level = raw[0xc7];
	s->log_level = raw[0xc8];
	s->devid = get_le64(raw + 0xc9);
	s->dev_bytes = get_le64(raw + 0xd1);
	memcpy(s->dev_uuid, raw + 0x10b, 16);
	memcpy(s->label, raw + 0x12b, BTRFS_LABEL);
	memcpy(s->meta_fsid, s->incompat & BTRFS_METADATA_UUID ? raw + 0x23b : s->fsid, 16);
	memcpy(s->sys, raw + 0x32b, BTRFS_SYS_ARRAY);
	s->csum_size = btrfs_csum_size(s->csum_type);
}

static bool pow2_between(uint32_t v, uint32_t least, uint32_t most)
{
	return is_pow2(v) && v >= least && v <= most;
}

/* NULL, or what makes no sense. */
static const char *senseless(const struct btrfs_super *s)
{
	if (!pow2_between(s->sector, BTRFS_SECTOR_MIN, BTRFS_SECTOR_MAX))
		return "the sector size";
	if (!pow2_between(s->node, s->sector, BTRFS_NODE_MAX))
		return "the size of tree blocks";
	if (s->root_level >= BTRFS_LEVELS || s->chunk_level >= BTRFS_LEVELS || s->log_level >= BTRFS_LEVELS)
		return "the height of a tree";
	if (s->root % s->sector || s->chunk_root % s->sector || s->log_root % s->sector)
		return "the address of a tree";
	if (s->sys_size > BTRFS_SYS_ARRAY || s->sys_size < BTRFS_KEY + CHUNK_LEAST)
		return "the size of the array of system chunks";
	return NULL;
}

bool btrfs_super_decode(const uint8_t *raw, uint64_t off, struct btrfs_super *ret, struct err *why)
{
	decode(raw, ret);
	if (!has_magic(raw)) {
		err_set(why, ERR_FS_CORRUPT, module, "there is no superblock");
		return false;
	}
	if (ret->csum_size == 0) {
		err_set(why, ERR_FS_UNSUPPORTED, module, "the checksum type %u of this btrfs is not known",
		        ret->csum_type);
		return false;
	}
	int fits = btrfs_csum_fits(ret->csum_type, raw + BTRFS_CSUM_MAX, BTRFS_SUPER_SIZE - BTRFS_CSUM_MAX, raw, why);
	if (fits < 0)
		return false;
	const char *bad = fits ? senseless(ret) : "the checksum";
	if (!bad && get_le64(raw + 0x30) != off)
		bad = "the address";
	if (bad)
		err_set(why, ERR_FS_CORRUPT, module, "%s in the superblock at %" PRIu64 " is wrong", bad, off);
	return bad == NULL;
}

/* Takes the copy when it is newer than what is held. */
static int consider(struct blk *b, uint64_t off, bool *have, struct btrfs_super *best, struct err *e)
{
	uint8_t raw[BTRFS_SUPER_SIZE];
	struct btrfs_super s;
	struct err why = ERR_INIT;
	if (!range_inside(off, sizeof(raw), b->size))
		return 0;
	int r = blk_read(b, off, raw, sizeof(raw), e);
	if (r < 0)
		return r;
	bool good = btrfs_super_decode(raw, off, &s, &why);
	if (good && (!*have || (s.generation > best->generation && memcmp(s.fsid, best->fsid, 16) == 0))) {
		*best = s;
		*have = true;
	}
	return 0;
}

static int newest_copy(struct blk *b, bool *have, struct btrfs_super *best, struct err *e)
{
	int r = 0;
	for (unsigned i = 1; i < BTRFS_SUPER_MIRRORS && r == 0; i++)
		r = consider(b, mirrors[i], have, best, e);
	return r;
}

int btrfs_super_find(struct blk *b, struct btrfs_super *ret, struct err *why, struct err *e)
{
	uint8_t raw[BTRFS_SUPER_SIZE];
	if (!range_inside(BTRFS_SUPER_OFF, sizeof(raw), b->size))
		return 0;
	int r = blk_read(b, BTRFS_SUPER_OFF, raw, sizeof(raw), e);
	/* The copies outlive a new filesystem: only where the first one stands are they worth a look. */
	if (r < 0 || !has_magic(raw))
		return r;
	struct btrfs_super best;
	bool have = btrfs_super_decode(raw, BTRFS_SUPER_OFF, &best, why);
	if (why->code == ERR_NO_MEMORY || why->code == ERR_INTERNAL) {
		*e = *why;
		return e->code;
	}
	/* A copy is newer where the machine stopped between the two: the kernel then goes by the first, too. */
	if (!have)
		r = newest_copy(b, &have, &best, e);
	if (r < 0 || !have)
		return r;
	*ret = best;
	return 1;
}

int btrfs_super_supported(const struct btrfs_super *sb, struct err *e)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{12, "zoned"}, {13, "extent-tree-v2"}, {14, "raid-stripe-tree"}, {17, "remap-tree"}};
	uint64_t unknown = sb->incompat & ~(uint64_t)BTRFS_INCOMPAT_KNOWN;
	if (!unknown)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unknown >> names[i].bit & 1)
			return err_set(e, ERR_FS_UNSUPPORTED, module,
			               "this btrfs uses a feature that cannot be read: %s", names[i].name);
	return err_set(e, ERR_FS_UNSUPPORTED, module, "this btrfs uses a feature that cannot be read: incompat bit %d",
	               __builtin_ctzll(unknown));
}
