/* Members of arrays and volume groups, encrypted containers. */
#include "volume/ident_src.h"
#include "volume/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#define M(text) (text), sizeof(text) - 1

/* --- Linux md (kernel: include/uapi/linux/raid/md_p.h) -------------------------------------------------- */

enum {
	MD_SB_1 = 256,
	MD_MAGIC = 0xa92b4efc,
	MD_090_RESERVED = 64 << 10,
};

/* Version 1.x: the superblock says where it is, which tells it from a copy. */
static bool md_1_at(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, MD_SB_1);
	if (!p || get_le32(p) != MD_MAGIC || get_le32(p + 4) != 1 || get_le64(p + 144) != off / 512)
		return false;
	s->at = off;
	text_uuid(c->uuid, p + 16);
	text_label(c->label, sizeof(c->label), p + 32, 32);
	return true;
}

static bool md_090_at(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 128);
	if (!p || (get_le32(p) != MD_MAGIC && get_be32(p) != MD_MAGIC))
		return false;
	bool little = get_le32(p) == MD_MAGIC;
	if ((little ? get_le32(p + 4) : get_be32(p + 4)) != 0)
		return false;
	/* Four words, the first apart from the others. */
	uint8_t uuid[16];
	static const unsigned words[4] = {20, 52, 56, 60};
	for (unsigned i = 0; i < 4; i++)
		put_be32(uuid + 4 * i, little ? get_le32(p + words[i]) : get_be32(p + words[i]));
	s->at = off;
	text_uuid(c->uuid, uuid);
	return true;
}

static bool md(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	if (s->size >= 2 * MD_090_RESERVED &&
	    md_090_at(s, c, (s->size & ~(uint64_t)(MD_090_RESERVED - 1)) - MD_090_RESERVED))
		return true;
	if (s->size >= 24 * 512 && md_1_at(s, c, ((s->size / 512 - 16) & ~(uint64_t)7) * 512))
		return true;
	return md_1_at(s, c, 0) || md_1_at(s, c, 4096);
}

/* --- LVM ------------------------------------------------------------------------------------------------- */

/* 32 characters, written 6-4-4-4-4-4-6. */
static bool lvm_uuid(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 32);
	if (!p)
		return false;
	size_t n = 0;
	for (unsigned i = 0; i < 32; i++) {
		if (!isalnum(p[i]))
			return false;
		if (i == 6 || (i > 6 && i <= 26 && (i - 6) % 4 == 0))
			c->uuid[n++] = '-';
		c->uuid[n++] = (char)p[i];
	}
	c->uuid[n] = '\0';
	return true;
}

/* LVM2, lib/format_text/layout.h: a label in one of the first four sectors. */
static bool lvm2(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	for (uint64_t at = 0; at < 4 * 512; at += 512) {
		const uint8_t *p = ident_at(s, at, 32);
		if (!p || memcmp(p, "LABELONE", 8) != 0 || get_le64(p + 8) != at / 512 ||
		    memcmp(p + 24, "LVM2 001", 8) != 0)
			continue;
		s->at = at;
		uint32_t header = get_le32(p + 20);
		return header >= 32 && header <= 512 - 32 && lvm_uuid(s, c, at + header);
	}
	return false;
}

static bool lvm1(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 48);
	if (!p || get_le16(p + 2) < 1 || get_le16(p + 2) > 2)
		return false;
	return lvm_uuid(s, c, get_le32(p + 44));
}

/* --- Encryption -------------------------------------------------------------------------------------------- */

/* LUKS1 and LUKS2 on-disk formats. */
static bool luks(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 512);
	if (!p)
		return false;
	unsigned version = get_be16(p + 6);
	if (version != 1 && version != 2)
		return false;
	text_label(c->uuid, sizeof(c->uuid), p + 168, 40);
	if (version == 2)
		text_label(c->label, sizeof(c->label), p + 24, 48);
	return true;
}

/* The second header of LUKS2, where the first one is gone: it lies at one of a few places. */
bool ident_luks2_second(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	for (uint64_t at = 16 << 10; at <= 4 << 20; at *= 2) {
		const uint8_t *p = ident_at(s, at, 512);
		if (p && memcmp(p, "SKUL\xba\xbe", 6) == 0 && get_be16(p + 6) == 2 && is_pow2(get_be64(p + 256))) {
			s->at = at;
			return luks(s, c, at);
		}
	}
	return false;
}

/* BitLocker: Vista and later write their name where NTFS does; To Go keeps a FAT boot sector and is known by a GUID. */
static bool bitlocker(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	static const uint8_t guid[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
	                                 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
	static const uint8_t guid_encrypt_on_write[16] = {0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d,
	                                                  0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8};
	(void)c;
	(void)off;
	const uint8_t *p = ident_at(s, 0, 512);
	if (!p)
		return false;
	if (memcmp(p + 3, "-FVE-FS-", 8) == 0)
		return p[0] == 0xeb;
	return memcmp(p + 3, "MSWIN4.1", 8) == 0 &&
	       (memcmp(p + 424, guid, 16) == 0 || memcmp(p + 424, guid_encrypt_on_write, 16) == 0);
}

/* --- Others -------------------------------------------------------------------------------------------------- */

static bool bcache(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	/* The superblock begins 24 bytes before its magic and says in which sector. */
	const uint8_t *p = ident_at(s, off - 24, 64);
	if (!p || get_le64(p + 8) != (off - 24) / 512)
		return false;
	text_uuid(c->uuid, p + 40);
	return true;
}

static bool bcachefs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off - 24, 128);
	if (!p || get_le64(p + 104) != (off - 24) / 512)
		return false;
	text_uuid(c->uuid, p + 56);
	text_label(c->label, sizeof(c->label), p + 72, 32);
	return true;
}

static bool ddf(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)c;
	(void)off;
	if (s->size < 1 << 20)
		return false;
	s->at = s->size - 512;
	const uint8_t *p = ident_at(s, s->at, 4);
	return p && (get_be32(p) == 0xde11de11 || get_le32(p) == 0xde11de11);
}

static bool isw(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)c;
	(void)off;
	if (s->size < 1 << 20)
		return false;
	s->at = s->size - 1024;
	return ident_is(s, s->at, M("Intel Raid ISM Cfg Sig. "));
}

/* DRBD 8 and 9 keep their data in the last 4 KiB, of whole blocks or of the device as it is. */
static bool drbd_at(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 64);
	if (!p || (get_be32(p + 60) != 0x8374026b && get_be32(p + 60) != 0x8374026c && get_be32(p + 60) != 0x8374026d))
		return false;
	uint64_t uuid = get_be64(p + (get_be32(p + 60) == 0x8374026d ? 48 : 40));
	(void)snprintf(c->uuid, sizeof(c->uuid), "%" PRIx64, uuid);
	s->at = off;
	return true;
}

static bool drbd(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	if (s->size < 64 << 10)
		return false;
	return drbd_at(s, c, (s->size & ~(uint64_t)4095) - 4096) || drbd_at(s, c, s->size - 4096);
}

/* VMware writes its identifiers as two little-endian words, a half-word and six bytes. */
static bool vmfs_uuid(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 16);
	if (p)
		(void)snprintf(c->uuid, sizeof(c->uuid), "%08x-%08x-%04x-%02x%02x%02x%02x%02x%02x", get_le32(p), get_le32(p + 4),
		               get_le16(p + 8), p[10], p[11], p[12], p[13], p[14], p[15]);
	return p != NULL;
}

static bool vmfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_label(s, c, off + 29, 128);
	return vmfs_uuid(s, c, off + 9);
}

static bool vmfs_member(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	return vmfs_uuid(s, c, off + 596);
}

static bool verity(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_uuid(s, c, off + 16);
	return true;
}

static bool vdo(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	ident_uuid(s, c, off + 40);
	return true;
}

/* OpenZFS, vdev labels: a name-value list in the first, then the uberblocks. */
static bool zfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)c;
	(void)off;
	const uint8_t *list = ident_at(s, 16 << 10, 4);
	if (!list || list[0] > 1 || list[1] > 1)
		return false;
	for (uint64_t at = 128 << 10; at < 256 << 10; at += IDENT_READ_MAX) {
		const uint8_t *p = ident_at(s, at, IDENT_READ_MAX);
		for (unsigned i = 0; p && i < IDENT_READ_MAX; i += 1024) {
			if (get_le64(p + i) == 0x00bab10c || get_be64(p + i) == 0x00bab10c) {
				s->at = at + i;
				return true;
			}
		}
	}
	return false;
}

const struct ident_kind ident_containers[] = {
	{"linux_raid_member", 0, NULL, 0, md},
	{"ddf_raid_member", 0, NULL, 0, ddf},
	{"isw_raid_member", 0, NULL, 0, isw},
	{"bcache", 4096 + 24, M("\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"), bcache},
	{"bcachefs", 4096 + 24, M("\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"), bcachefs},
	{"bcachefs", 4096 + 24, M("\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"), bcachefs},
	{"LVM2_member", 0, NULL, 0, lvm2},
	{"LVM1_member", 0, M("HM"), lvm1},
	{"crypto_LUKS", 0, M("LUKS\xba\xbe"), luks},
	{"BitLocker", 0, NULL, 0, bitlocker},
	{"VMFS_volume_member", 1 << 20, M("\x0d\xd0\x01\xc0"), vmfs_member},
	{"VMFS", 2 << 20, M("\x5e\xf1\xab\x2f"), vmfs},
	{"drbd", 0, NULL, 0, drbd},
	{"ceph_bluestore", 0, M("bluestore block device"), NULL},
	{"vdo", 0, M("dmvdo001"), vdo},
	{"stratis", 512 + 4, M("!Stra0tis\x86\xff\x02^\x41rh"), NULL},
	{"DM_verity_hash", 0, M("verity\0\0"), verity},
	{"zfs_member", 0, NULL, 0, zfs},
	{"storage_spaces", 0, M("SPACEDB "), NULL},
	{"storage_spaces", 4096, M("SPACEDB "), NULL},
	{0},
};
