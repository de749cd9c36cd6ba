/* Filesystems of Linux, and its swap space. */
#include "volume/ident_src.h"
#include "volume/text.h"

#include <stdio.h>

#define M(text) (text), sizeof(text) - 1

/* --- Swap ---------------------------------------------------------------------------------------------- */

/* The magic ends the first page, whose size is the machine's. */
static bool swap(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	static const char suspended[][10] = {"S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"};
	(void)off;
	for (uint64_t page = 4096; page <= 65536; page *= 2) {
		const uint8_t *p = ident_at(s, page - 10, 10);
		if (!p)
			return false;
		bool two = memcmp(p, "SWAPSPACE2", 10) == 0;
		bool found = two || memcmp(p, "SWAP-SPACE", 10) == 0;
		for (unsigned i = 0; !found && i < 4; i++) {
			if (memcmp(p, suspended[i], i < 3 ? 9 : 10) == 0) {
				(void)snprintf(c->type, sizeof(c->type), "swsuspend");
				found = two = true;
			}
		}
		if (!found)
			continue;
		s->at = page - 10;
		p = ident_at(s, 1024, 44);
		if (two && p && (get_le32(p) == 1 || get_be32(p) == 1)) {
			text_uuid(c->uuid, p + 12);
			text_label(c->label, sizeof(c->label), p + 28, 16);
		}
		return true;
	}
	return false;
}

/* TuxOnIce writes its own magic to the front. */
static bool tuxonice(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	ident_uuid(s, c, 1024 + 12);
	ident_label(s, c, 1024 + 28, 16);
	return true;
}

/* --- Filesystems ------------------------------------------------------------------------------------------ */

static bool xfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 264);
	if (!p)
		return false;
	uint32_t block = get_be32(p + 4), sector = get_be16(p + 102);
	if (!is_pow2(block) || block < 512 || block > 65536 || !is_pow2(sector) || sector < 512 || sector > 32768)
		return false;
	text_uuid(c->uuid, p + 32);
	text_label(c->label, sizeof(c->label), p + 108, 12);
	return true;
}

/* Documentation/filesystems/ext4: which of the three it is, is told by the features. */
static bool ext(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	enum {
		COMPAT_JOURNAL = 0x4,
		INCOMPAT_JOURNAL_DEV = 0x8,
		INCOMPAT_EXT3 = 0x2 | 0x4 | 0x10,        /* filetype, recover, meta_bg */
		RO_COMPAT_EXT3 = 0x1 | 0x2 | 0x4,        /* sparse_super, large_file, btree_dir */
	};
	const uint8_t *p = ident_at(s, off - 56, 264);
	if (!p || get_le32(p + 24) > 6)
		return false;
	uint32_t compat = get_le32(p + 92), incompat = get_le32(p + 96), ro_compat = get_le32(p + 100);
	const char *type = "ext2";
	if (incompat & INCOMPAT_JOURNAL_DEV)
		type = "jbd";
	else if ((incompat & ~(uint32_t)INCOMPAT_EXT3) != 0 || (ro_compat & ~(uint32_t)RO_COMPAT_EXT3) != 0)
		type = "ext4";
	else if (compat & COMPAT_JOURNAL)
		type = "ext3";
	(void)snprintf(c->type, sizeof(c->type), "%s", type);
	text_uuid(c->uuid, p + 104);
	text_label(c->label, sizeof(c->label), p + 120, 16);
	return true;
}

/* Offsets in a superblock, for those that need no more than that. */
static bool plain(struct ident_src *s, struct volume_content *c, uint64_t uuid, uint64_t label, size_t label_len)
{
	ident_uuid(s, c, uuid);
	ident_label(s, c, label, label_len);
	return true;
}

static bool btrfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	uint64_t sb = off - 64;
	const uint8_t *own = ident_at(s, sb + 48, 8);
	if (!own || get_le64(own) != sb)
		return false;
	return plain(s, c, sb + 32, sb + 0x12b, 256);
}

static bool f2fs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_uuid(s, c, off + 108);
	const uint8_t *label = ident_at(s, off + 124, 1024);
	if (label)
		text_utf16(c->label, sizeof(c->label), label, 1024, false);
	return true;
}

static bool jfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 32);
	/* Block size and its logarithm agree. */
	if (!p || get_le16(p + 20) > 15 || 1U << get_le16(p + 20) != get_le32(p + 16))
		return false;
	return plain(s, c, off + 136, off + 152, 16);
}

static bool reiserfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	return plain(s, c, off - 52 + 84, off - 52 + 100, 16);
}

static bool reiser4(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	return plain(s, c, off + 20, off + 36, 16);
}

static bool nilfs2(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	uint64_t sb = off - 6;
	const uint8_t *p = ident_at(s, sb, 16);
	if (!p || get_le32(p) != 2 || get_le16(p + 8) < 128 || get_le16(p + 8) > 1024)
		return false;
	return plain(s, c, sb + 152, sb + 168, 80);
}

static bool squashfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 32);
	if (!p)
		return false;
	unsigned major = memcmp(p, "sqsh", 4) == 0 ? get_be16(p + 28) : get_le16(p + 28);
	if (major == 0 || major > 4)
		return false;
	if (major < 4)
		(void)snprintf(c->type, sizeof(c->type), "squashfs3");
	return true;
}

static bool erofs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 16);
	if (!p || p[12] < 9 || p[12] > 16)
		return false;
	return plain(s, c, off + 48, off + 64, 16);
}

/* Two-byte magics: the sizes have to make sense as well. */
static bool minix(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)c;
	(void)off;
	const uint8_t *p = ident_at(s, 1024, 32);
	if (!p)
		return false;
	if (get_le16(p + 24) == 0x4d5a)
		return get_le32(p) > 0 && get_le16(p + 6) > 0 && get_le16(p + 8) > 0 && get_le32(p + 20) > 0 &&
		       is_pow2(get_le16(p + 28)) && get_le16(p + 28) >= 1024;
	uint16_t magic = get_le16(p + 16);
	bool little = magic == 0x137f || magic == 0x138f || magic == 0x2468 || magic == 0x2478;
	magic = get_be16(p + 16);
	if (!little && magic != 0x137f && magic != 0x138f && magic != 0x2468 && magic != 0x2478)
		return false;
	unsigned inodes = little ? get_le16(p) : get_be16(p), imap = little ? get_le16(p + 4) : get_be16(p + 4);
	unsigned zmap = little ? get_le16(p + 6) : get_be16(p + 6), first = little ? get_le16(p + 8) : get_be16(p + 8);
	return inodes > 0 && imap > 0 && zmap > 0 && (uint64_t)imap * 8192 > inodes && first >= 2 + imap + zmap;
}

static bool ocfs2(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	return plain(s, c, off + 336, off + 272, 64);
}

static bool cramfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_label(s, c, off + 48, 16);
	return true;
}

static bool romfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_label(s, c, off + 16, 64);
	return true;
}

/* A log record at the very front, where a volume has its superblock. */
static bool xfs_log(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)c;
	const uint8_t *p = ident_at(s, off, 512);
	return p && (get_be32(p + 8) == 1 || get_be32(p + 8) == 2) && get_be32(p + 300) >= 1 && get_be32(p + 300) <= 3;
}

static bool gfs2(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off + 24, 4);
	if (!p || (get_be32(p) != 1801 && get_be32(p) != 1802))
		return false;
	return plain(s, c, off + 256, off + 160, 64);
}

const struct ident_kind ident_linux[] = {
	{"swsuspend", 0, M("\xed\xc3\x02\xe9\x98\x56\xe5\x0c"), tuxonice},
	{"xfs", 0, M("XFSB"), xfs},
	{"xfs_external_log", 0, M("\xfe\xed\xba\xbe"), xfs_log},
	{"ext4", 1024 + 56, M("\x53\xef"), ext},
	{"reiserfs", 65536 + 52, M("ReIsErFs"), NULL},
	{"reiserfs", 65536 + 52, M("ReIsEr2Fs"), reiserfs},
	{"reiserfs", 65536 + 52, M("ReIsEr3Fs"), reiserfs},
	{"reiserfs", 8192 + 52, M("ReIsErFs"), NULL},
	{"reiser4", 65536, M("ReIsEr4"), reiser4},
	{"jfs", 32768, M("JFS1"), jfs},
	{"btrfs", 65536 + 64, M("_BHRfS_M"), btrfs},
	{"f2fs", 1024, M("\x10\x20\xf5\xf2"), f2fs},
	{"nilfs2", 1024 + 6, M("\x34\x34"), nilfs2},
	{"erofs", 1024, M("\xe2\xe1\xf5\xe0"), erofs},
	{"squashfs", 0, M("hsqs"), squashfs},
	{"squashfs", 0, M("sqsh"), squashfs},
	{"cramfs", 0, M("\x45\x3d\xcd\x28"), cramfs},
	{"cramfs", 0, M("\x28\xcd\x3d\x45"), cramfs},
	{"romfs", 0, M("-rom1fs-"), romfs},
	{"gfs2", 65536, M("\x01\x16\x19\x70"), gfs2},
	{"ocfs2", 1024, M("OCFSV2"), ocfs2},
	{"ocfs2", 2048, M("OCFSV2"), ocfs2},
	{"ocfs2", 4096, M("OCFSV2"), ocfs2},
	{"ocfs2", 8192, M("OCFSV2"), ocfs2},
	/* From here on: what is often a remnant under one of the above, and magics of two bytes. */
	{"crypto_LUKS", 0, NULL, 0, ident_luks2_second},
	{"swap", 0, NULL, 0, swap},
	{"minix", 0, NULL, 0, minix},
	{0},
};
