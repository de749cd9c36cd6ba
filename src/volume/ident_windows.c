/* What begins with a boot sector: FAT, NTFS, exFAT, ReFS. Their sectors look like each other's and like an MBR: more
 * than the magic is asked for. */
#include "volume/ident_src.h"
#include "volume/text.h"

#include <inttypes.h>
#include <stdio.h>

#define M(text) (text), sizeof(text) - 1

enum {
	FAT_ATTR_LABEL = 0x08,
	FAT_ROOT_ENTRIES_MAX = 2048,         /* looked through for the label */
	FAT_ROOT_CLUSTERS_MAX = 64,
	NTFS_RECORD_MAX = 4096,
};

/* Microsoft FAT specification 1.03, the BIOS parameter block. */
struct fat_boot {
	uint32_t sector_size;
	uint32_t cluster_size;               /* bytes */
	uint64_t fat_off;                    /* bytes */
	uint64_t root_off;                   /* FAT12/16: of the root directory */
	uint64_t data_off;
	uint32_t root_entries;
	uint32_t root_cluster;               /* FAT32 */
	bool fat32;
};

static bool fat_decode(const uint8_t *p, struct fat_boot *ret)
{
	uint32_t sector = get_le16(p + 11), per_cluster = p[13], reserved = get_le16(p + 14), fats = p[16];
	uint32_t fat_sectors = get_le16(p + 22), root_entries = get_le16(p + 17);
	uint32_t sectors = get_le16(p + 19) ? get_le16(p + 19) : get_le32(p + 32);
	bool fat32 = fat_sectors == 0;
	if (fat32)
		fat_sectors = get_le32(p + 36);
	if (!is_pow2(sector) || sector < 512 || sector > 4096 || !is_pow2(per_cluster) || reserved == 0 || fats == 0 ||
	    fats > 4 || (p[21] != 0xf0 && p[21] < 0xf8) || fat_sectors == 0 || (fat32 && root_entries != 0) ||
	    (!fat32 && root_entries == 0))
		return false;
	uint64_t root = reserved + (uint64_t)fats * fat_sectors;
	uint64_t data = root + ((uint64_t)root_entries * 32 + sector - 1) / sector;
	if (data >= sectors)
		return false;
	*ret = (struct fat_boot){
		.sector_size = sector, .cluster_size = sector * per_cluster, .fat_off = (uint64_t)reserved * sector,
		.root_off = root * sector, .data_off = data * sector, .root_entries = root_entries,
		.root_cluster = fat32 ? get_le32(p + 44) : 0, .fat32 = fat32,
	};
	return true;
}

/* The entry of the volume label among `count` directory entries at off: 1 found, 0 go on, -1 the directory ends. */
static int fat_label_in(struct ident_src *s, struct volume_content *c, uint64_t off, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = ident_at(s, off + (uint64_t)i * 32, 32);
		if (!p || p[0] == 0)
			return -1;
		if (p[0] == 0xe5 || (p[11] & 0x3f) == 0x0f || (p[11] & 0x18) != FAT_ATTR_LABEL)
			continue;
		uint8_t name[11];
		memcpy(name, p, sizeof(name));
		if (name[0] == 0x05)
			name[0] = 0xe5;
		text_label(c->label, sizeof(c->label), name, sizeof(name));
		return 1;
	}
	return 0;
}

/* The label people see is the one in the root directory; the boot sector may keep an old one. */
static void fat_root_label(struct ident_src *s, struct volume_content *c, const struct fat_boot *f)
{
	if (!f->fat32) {
		(void)fat_label_in(s, c, f->root_off,
		                   f->root_entries < FAT_ROOT_ENTRIES_MAX ? f->root_entries : FAT_ROOT_ENTRIES_MAX);
		return;
	}
	uint32_t cluster = f->root_cluster, left = FAT_ROOT_ENTRIES_MAX;
	for (unsigned i = 0; i < FAT_ROOT_CLUSTERS_MAX && cluster >= 2 && cluster < 0x0ffffff7 && left > 0; i++) {
		uint32_t count = f->cluster_size / 32 < left ? f->cluster_size / 32 : left;
		if (fat_label_in(s, c, f->data_off + (uint64_t)(cluster - 2) * f->cluster_size, count) != 0)
			return;
		left -= count;
		const uint8_t *next = ident_at(s, f->fat_off + (uint64_t)cluster * 4, 4);
		cluster = next ? get_le32(next) & 0x0fffffff : 0;
	}
}

static bool fat(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	struct fat_boot f;
	const uint8_t *boot = ident_at(s, off, 512);
	if (!boot || (boot[0] != 0xeb && boot[0] != 0xe9 && memcmp(boot + 54, "FAT", 3) != 0 &&
	              memcmp(boot + 82, "FAT32", 5) != 0))
		return false;
	if (memcmp(boot + 3, "NTFS    ", 8) == 0 || memcmp(boot + 3, "EXFAT   ", 8) == 0 ||
	    memcmp(boot + 54, "JFS     ", 8) == 0 || memcmp(boot + 54, "HPFS    ", 8) == 0)
		return false;
	if (!fat_decode(boot, &f))
		return false;
	const uint8_t *ext = boot + (f.fat32 ? 64 : 36);
	if (ext[2] == 0x29 || ext[2] == 0x28) {
		uint32_t serial = get_le32(ext + 3);
		if (serial != 0)
			(void)snprintf(c->uuid, sizeof(c->uuid), "%04X-%04X", serial >> 16, serial & 0xffff);
	}
	fat_root_label(s, c, &f);
	return true;
}

/* Record 3 of the MFT, $Volume: its attribute 0x60 is the label. Fix-ups change only the last two bytes of a sector. */
static void ntfs_label(struct ident_src *s, struct volume_content *c, uint64_t mft, uint32_t record)
{
	const uint8_t *p = ident_at(s, mft + 3 * (uint64_t)record, record);
	if (!p || memcmp(p, "FILE", 4) != 0)
		return;
	uint32_t at = get_le16(p + 20);
	while (at <= record - 24) {
		uint32_t type = get_le32(p + at), len = get_le32(p + at + 4);
		if (type == 0xffffffff || len < 24 || len > record - at)
			return;
		if (type == 0x60 && p[at + 8] == 0) {
			uint32_t bytes = get_le32(p + at + 16), value = get_le16(p + at + 20);
			if (value <= len && bytes <= len - value)
				text_utf16(c->label, sizeof(c->label), p + at + value, bytes, false);
			return;
		}
		at += len;
	}
}

static bool ntfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off - 3, 512);
	if (!p)
		return false;
	uint32_t sector = get_le16(p + 11);
	int8_t shift = (int8_t)p[13];
	uint32_t per_cluster = p[13] <= 128 ? p[13] : shift >= -31 ? 1U << -shift : 0;
	/* What FAT uses of the parameter block is zero here. */
	if (!is_pow2(sector) || sector < 256 || sector > 4096 || !is_pow2(per_cluster) || get_le16(p + 14) != 0 ||
	    p[16] != 0 || get_le16(p + 17) != 0 || get_le16(p + 22) != 0 || get_le32(p + 32) != 0)
		return false;
	uint64_t cluster = (uint64_t)sector * per_cluster, mft = 0;
	int8_t size = (int8_t)p[64];
	uint64_t record = size > 0 ? (uint64_t)size * cluster : size > -31 ? 1ULL << -size : 0;
	(void)snprintf(c->uuid, sizeof(c->uuid), "%016" PRIX64, get_le64(p + 72));
	if (record >= 1024 && record <= NTFS_RECORD_MAX && u64_mul(get_le64(p + 48), cluster, &mft) && mft < s->size)
		ntfs_label(s, c, mft, (uint32_t)record);
	return true;
}

/* True where the search is over: the label was there, or the directory ends. */
static bool exfat_label_in(struct ident_src *s, struct volume_content *c, uint64_t dir, uint32_t count)
{
	for (uint32_t i = 0; i < count && i < FAT_ROOT_ENTRIES_MAX; i++) {
		const uint8_t *p = ident_at(s, dir + (uint64_t)i * 32, 32);
		if (!p || p[0] == 0)
			return true;
		if (p[0] == 0x83 && p[1] <= 11) {
			text_utf16(c->label, sizeof(c->label), p + 2, 2 * (size_t)p[1], false);
			return true;
		}
	}
	return false;
}

/* Microsoft exFAT specification: the label is an entry of type 0x83 near the start of the root directory. */
static bool exfat(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	static const uint8_t zero[53];
	const uint8_t *p = ident_at(s, off - 3, 512);
	if (!p || p[108] < 9 || p[108] > 12 || p[109] > 25 - p[108] || memcmp(p + 11, zero, sizeof(zero)) != 0 ||
	    (p[110] != 1 && p[110] != 2))
		return false;
	unsigned cluster_bits = p[108] + p[109];
	uint64_t heap = (uint64_t)get_le32(p + 88) << p[108];
	uint64_t table = (uint64_t)get_le32(p + 80) << p[108];
	uint32_t root = get_le32(p + 96);
	uint32_t serial = get_le32(p + 100);
	(void)snprintf(c->uuid, sizeof(c->uuid), "%04X-%04X", serial >> 16, serial & 0xffff);
	for (unsigned i = 0; i < FAT_ROOT_CLUSTERS_MAX && root >= 2 && root < 0xfffffff7; i++) {
		if (exfat_label_in(s, c, heap + ((uint64_t)(root - 2) << cluster_bits), 1U << (cluster_bits - 5)))
			break;
		const uint8_t *next = ident_at(s, table + (uint64_t)root * 4, 4);
		root = next ? get_le32(next) : 0;
	}
	return true;
}

static bool refs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	const uint8_t *p = ident_at(s, 0, 64);
	if (!p || memcmp(p + 16, "FSRS", 4) != 0)
		return false;
	(void)snprintf(c->uuid, sizeof(c->uuid), "%016" PRIX64, get_le64(p + 56));
	return true;
}

const struct ident_kind ident_windows[] = {
	{"ntfs", 3, M("NTFS    "), ntfs},
	{"exfat", 3, M("EXFAT   "), exfat},
	{"ReFS", 3, M("ReFS\0"), refs},
	{"vfat", 0, NULL, 0, fat},
	{0},
};
