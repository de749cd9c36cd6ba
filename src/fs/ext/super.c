#include "fs/ext/ext.h"

#include "fs/features.h"

#include <stdio.h>

static const char *const module = "ext";

/* --- features ------------------------------------------------------------------------------------- */

static const struct fs_feature incompat_names[] = {
	{0x1, "compression"},
	{0x1000, "dirdata"},
};

static int unsupported(uint32_t bits, struct err *e)
{
	return fs_features_unsupported(bits, incompat_names, sizeof(incompat_names) / sizeof(incompat_names[0]), module, e);
}

/* As libblkid tells them apart: what ext3 does not understand makes it ext4. */
static const char *type_name(const struct ext_super *sb)
{
	enum {
		EXT3_RO = EXT_SPARSE_SUPER | EXT_LARGE_FILE | EXT_BTREE_DIR,
		EXT3_INCOMPAT = EXT_FILETYPE | EXT_RECOVER | EXT_META_BG,
	};
	if (sb->incompat & EXT_JOURNAL_DEV)
		return "jbd";
	if (sb->ro_compat & ~(uint32_t)EXT3_RO || sb->incompat & ~(uint32_t)EXT3_INCOMPAT)
		return "ext4";
	return sb->compat & EXT_HAS_JOURNAL ? "ext3" : "ext2";
}

/* --- groups --------------------------------------------------------------------------------------- */

static bool power_of(uint32_t v, uint32_t base)
{
	while (v > 1 && v % base == 0)
		v /= base;
	return v == 1;
}

bool ext_group_has_super(const struct ext_super *sb, uint32_t group)
{
	if (group == 0)
		return true;
	if (sb->compat & EXT_SPARSE_SUPER2)
		return group == sb->backup_bgs[0] || group == sb->backup_bgs[1];
	if (group == 1 || !(sb->ro_compat & EXT_SPARSE_SUPER))
		return true;
	return power_of(group, 3) || power_of(group, 5) || power_of(group, 7);
}

uint64_t ext_group_first(const struct ext_super *sb, uint32_t group)
{
	return sb->first_data_block + (uint64_t)group * sb->blocks_per_group;
}

/* --- decoding ------------------------------------------------------------------------------------- */

static int check_csum(const uint8_t *raw, struct err *e)
{
	if (!(get_le32(raw + 0x64) & EXT_METADATA_CSUM))
		return 0;
	if (raw[0x175] != 1)
		return err_set(e, ERR_FS_UNSUPPORTED, module, "the filesystem uses checksum type %u", raw[0x175]);
	if (!ext_csum_equal(crc32c(~(uint32_t)0, raw, 0x3FC), get_le32(raw + 0x3FC)))
		return err_set(e, ERR_FS_CORRUPT, module, "the checksum of the superblock is wrong");
	return 0;
}

static void decode_fields(const uint8_t *raw, struct ext_super *s)
{
	s->inodes = get_le32(raw);
	s->blocks = get_le32(raw + 0x4);
	s->first_data_block = get_le32(raw + 0x14);
	s->blocks_per_group = get_le32(raw + 0x20);
	s->inodes_per_group = get_le32(raw + 0x28);
	s->hurd = get_le32(raw + 0x48) == 1;
	s->group_nr = get_le16(raw + 0x5A);
	s->inode_size = 128;
	s->first_ino = 11;
	s->desc_size = 32;
	memcpy(s->uuid, raw + 0x68, sizeof(s->uuid));
	memcpy(s->label, raw + 0x78, sizeof(s->label));
	if (get_le32(raw + 0x4C) == 0)
		return;         /* revision 0 has no features, no dynamic sizes */

	s->first_ino = get_le32(raw + 0x54);
	s->inode_size = get_le16(raw + 0x58);
	s->compat = get_le32(raw + 0x5C);
	s->incompat = get_le32(raw + 0x60);
	s->ro_compat = get_le32(raw + 0x64);
	memcpy(s->journal_uuid, raw + 0xD0, sizeof(s->journal_uuid));
	s->journal_ino = get_le32(raw + 0xE0);
	s->journal_dev = get_le32(raw + 0xE4);
	for (int i = 0; i < 4; i++)
		s->hash_seed[i] = get_le32(raw + 0xEC + 4 * i);
	s->hash_version = raw[0xFC];
	s->journal_backup_type = raw[0xFD];
	for (int i = 0; i < 17; i++)
		s->journal_backup[i] = get_le32(raw + 0x10C + 4 * i);
	s->first_meta_bg = get_le32(raw + 0x104);
	s->hash_unsigned = get_le32(raw + 0x160) & 0x2;
	s->backup_bgs[0] = get_le32(raw + 0x24C);
	s->backup_bgs[1] = get_le32(raw + 0x250);
	if (s->incompat & EXT_64BIT) {
		s->blocks |= (uint64_t)get_le32(raw + 0x150) << 32;
		s->desc_size = get_le16(raw + 0xFE);
	}
	s->csum_seed = s->incompat & EXT_CSUM_SEED ? get_le32(raw + 0x270)
	                                           : crc32c(~(uint32_t)0, s->uuid, sizeof(s->uuid));
}

static int corrupt(struct err *e, const char *what, uint64_t value)
{
	return err_set(e, ERR_FS_CORRUPT, module, "the superblock is damaged: %s is %llu", what,
	               (unsigned long long)value);
}

static int decode_sizes(const uint8_t *raw, struct ext_super *s, struct err *e)
{
	uint32_t log = get_le32(raw + 0x18), cluster_log = get_le32(raw + 0x1C);
	if (log > 6)
		return corrupt(e, "the logarithm of the block size", log);
	s->block_bits = 10 + log;
	s->block_size = (uint32_t)1 << s->block_bits;
	s->cluster_size = s->block_size;
	if (s->ro_compat & EXT_BIGALLOC) {
		if (cluster_log < log || cluster_log > 20)
			return corrupt(e, "the logarithm of the cluster size", cluster_log);
		s->cluster_size = (uint32_t)1024 << cluster_log;
	}
	if (s->inode_size < 128 || s->inode_size > s->block_size || !is_pow2(s->inode_size))
		return corrupt(e, "the inode size", s->inode_size);
	if (s->incompat & EXT_64BIT ? s->desc_size < 64 || s->desc_size > s->block_size || !is_pow2(s->desc_size)
	                            : s->desc_size != 32)
		return corrupt(e, "the size of a group descriptor", s->desc_size);
	s->desc_per_block = s->block_size / s->desc_size;
	return 0;
}

/* A bitmap of one block has to describe a group's inodes and clusters. */
static int check_groups(struct ext_super *s, struct err *e)
{
	uint64_t bits = (uint64_t)s->block_size * 8;
	if (s->blocks_per_group == 0 || s->blocks_per_group > bits * (s->cluster_size / s->block_size))
		return corrupt(e, "the number of blocks in a group", s->blocks_per_group);
	if (s->inodes_per_group == 0 || s->inodes_per_group > bits)
		return corrupt(e, "the number of inodes in a group", s->inodes_per_group);
	if (s->first_data_block > 1 || s->blocks <= s->first_data_block)
		return corrupt(e, "the first data block", s->first_data_block);
	if (s->blocks > UINT64_MAX >> 17)
		return corrupt(e, "the number of blocks", s->blocks);
	uint64_t groups = (s->blocks - s->first_data_block + s->blocks_per_group - 1) / s->blocks_per_group;
	if (groups > UINT32_MAX)
		return corrupt(e, "the number of groups", groups);
	s->groups = (uint32_t)groups;
	if (s->inodes < EXT_ROOT_INO || s->inodes > groups * s->inodes_per_group)
		return corrupt(e, "the number of inodes", s->inodes);
	return 0;
}

int ext_super_decode(const uint8_t *raw, struct ext_super *ret, struct err *e)
{
	if (get_le16(raw + 0x38) != EXT_MAGIC)
		return err_set(e, ERR_FS_CORRUPT, module, "there is no superblock");
	int r = check_csum(raw, e);
	if (r < 0)
		return r;

	struct ext_super s = {0};
	decode_fields(raw, &s);
	if (s.incompat & ~(uint32_t)EXT_INCOMPAT_KNOWN)
		return unsupported(s.incompat & ~(uint32_t)EXT_INCOMPAT_KNOWN, e);
	if (s.incompat & EXT_JOURNAL_DEV)
		return err_set(e, ERR_FS_UNSUPPORTED, module, "this is the journal of another filesystem, it holds no files");
	r = decode_sizes(raw, &s, e);
	if (r == 0)
		r = check_groups(&s, e);
	if (r == 0)
		*ret = s;
	return r;
}

/* --- finding it ----------------------------------------------------------------------------------- */

static int read_raw(struct blk *b, uint64_t off, uint8_t *raw, struct err *e)
{
	if (!range_inside(off, EXT_SUPER_SIZE, b->size)) {
		memset(raw, 0, EXT_SUPER_SIZE);
		return 0;
	}
	return blk_read(b, off, raw, EXT_SUPER_SIZE, e);
}

/* The first copy of each block size, where mke2fs puts it: at the start of group 1. */
static int find_backup(struct blk *b, struct ext_super *ret, struct err *e)
{
	uint8_t raw[EXT_SUPER_SIZE];
	for (uint32_t log = 0; log <= 6; log++) {
		uint64_t bs = (uint64_t)1024 << log;
		uint64_t off = (bs * 8 + (log == 0)) * bs;
		struct err no = ERR_INIT;
		struct ext_super s;
		if (read_raw(b, off, raw, e) < 0)
			return e->code;
		if (ext_super_decode(raw, &s, &no) == 0 && s.group_nr == 1 && s.block_size == bs &&
		    ext_group_first(&s, 1) * bs == off) {
			*ret = s;
			return 1;
		}
	}
	return 0;
}

/* Another filesystem's copy may survive beneath a new one, so an absent superblock counts as damaged only where
 * nothing else claims the start of the device. */
static int start_is_empty(struct blk *b, struct err *e)
{
	uint8_t start[EXT_SUPER_OFF];
	int r = blk_read(b, 0, start, sizeof(start), e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(start); i++)
		if (start[i])
			return 0;
	return 1;
}

/* 1: *ret filled, *ret_why tells what is wrong with the primary one where a copy was taken. 0: none. */
static int find(struct blk *b, struct ext_super *ret, struct err *ret_why, struct err *e)
{
	uint8_t raw[EXT_SUPER_SIZE];
	if (b->size < EXT_SUPER_OFF + EXT_SUPER_SIZE)
		return 0;
	int r = read_raw(b, EXT_SUPER_OFF, raw, e);
	if (r < 0)
		return r;
	struct err why = ERR_INIT;
	if (ext_super_decode(raw, ret, &why) == 0)
		return 1;
	if (why.code == ERR_FS_CORRUPT && get_le16(raw + 0x38) != EXT_MAGIC) {
		r = start_is_empty(b, e);
		if (r <= 0)
			return r;
	}
	*ret_why = why;
	return why.code == ERR_FS_CORRUPT ? find_backup(b, ret, e) : 0;
}

int ext_super_find(struct blk *b, struct ext_super *ret, struct err *ret_backup, struct err *e)
{
	struct err why = ERR_INIT;
	int r = find(b, ret, &why, e);
	if (r < 0)
		return r;
	if (r == 0) {
		*e = why.code ? why : *e;
		return why.code ? why.code : err_set(e, ERR_FS_CORRUPT, module, "there is no superblock");
	}
	if (why.code)
		*ret_backup = why;
	return 0;
}

/* --- probe ---------------------------------------------------------------------------------------- */

static void print_uuid(char *to, size_t size, const uint8_t *u)
{
	static const uint8_t zero[16];
	to[0] = '\0';
	if (memcmp(u, zero, sizeof(zero)) == 0)
		return;
	(void)snprintf(to, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
	               u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* Length of the UTF-8 sequence at p, 0 for none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)))
		return 0;
	if (n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)))
		return 0;
	return n;
}

static void print_label(char *to, const uint8_t *label, size_t size)
{
	size_t len = strnlen((const char *)label, size), out = 0;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(label + i, len - i);
		if (n == 0) {
			to[out++] = '?';
			i++;
			continue;
		}
		memcpy(to + out, label + i, n);
		out += n;
		i += n;
	}
	to[out] = '\0';
}

static void fill_ident(struct fs_ident *ret, const struct ext_super *s, uint32_t block_size)
{
	struct fs_ident id = {0};
	(void)snprintf(id.type, sizeof(id.type), "%s", type_name(s));
	print_label(id.label, s->label, sizeof(s->label));
	print_uuid(id.uuid, sizeof(id.uuid), s->uuid);
	if (!u64_mul(s->blocks, block_size, &id.size))
		id.size = 0;
	*ret = id;
}

int ext_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	enum { SCORE_SURE = FS_PROBE_SURE, SCORE_MAGIC = 60, SCORE_COPY = 10 };
	struct ext_super s;
	struct err why = ERR_INIT;
	int r = find(b, &s, &why, e);
	if (r < 0)
		return r;
	if (r == 1) {
		fill_ident(ret, &s, s.block_size);
		return why.code ? SCORE_COPY : s.ro_compat & EXT_METADATA_CSUM ? SCORE_SURE : SCORE_SURE - 5;
	}
	if (why.code != ERR_FS_UNSUPPORTED)
		return 0;
	/* Ours, but not to be opened: the journal of another filesystem, features of the future. */
	uint8_t raw[EXT_SUPER_SIZE];
	r = read_raw(b, EXT_SUPER_OFF, raw, e);
	if (r < 0)
		return r;
	struct ext_super f = {0};
	decode_fields(raw, &f);
	uint32_t log = get_le32(raw + 0x18);
	fill_ident(ret, &f, log <= 6 ? (uint32_t)1024 << log : 0);
	return SCORE_MAGIC;
}
