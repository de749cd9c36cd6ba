/* The boot sector and its BIOS parameter block (spec, "Boot sector and BPB"). FAT has no magic number:
 * what has one of another filesystem is refused, and all numbers must make sense together. */
#include "base/bytes.h"
#include "fs/fat/fat.h"

enum {
	BOOT_SIZE = 512,
	SECTOR_MIN = 512,
	SECTOR_MAX = 4096,
	TABLES_MAX = 16,             /* spec: two; others exist; the mirroring flags can name sixteen */
	FAT12_CLUSTERS_MAX = 4084,
	FAT16_CLUSTERS_MAX = 65524,
	FAT32_CLUSTERS_MAX = 0x0ffffff5,
	HPFS_SUPER_OFF = 16 * 512,
	HPFS_SUPER_MAGIC = 0xf995e849,
	BITLOCKER_TO_GO_OFF = 424,
	SCORE_SIGNED = 60,           /* sane numbers, and the boot signature or a FAT name */
	SCORE_SANE = 30,
};

struct bpb {
	uint16_t sector_size;
	uint8_t sectors_per_cluster;
	uint16_t reserved;
	uint8_t tables;
	uint16_t root_entries;
	uint32_t sectors;
	uint8_t media;
	uint32_t table_sectors;
	bool is32;
	uint16_t flags;              /* 32: mirroring */
	uint16_t version;            /* 32 */
	uint32_t root_cluster;       /* 32 */
	uint8_t state;               /* bit 0: mounted, as Linux and Windows NT note it */
	uint8_t ext_signature;       /* 0x28: a serial follows; 0x29: serial, label, type */
	uint32_t serial;
	uint8_t type[8];
	uint16_t signature;
};

static void bpb_decode(const uint8_t *sector, struct bpb *ret)
{
	struct rdr r = rdr_init(sector, BOOT_SIZE);
	rdr_skip(&r, 11);
	ret->sector_size = rdr_le16(&r);
	ret->sectors_per_cluster = rdr_u8(&r);
	ret->reserved = rdr_le16(&r);
	ret->tables = rdr_u8(&r);
	ret->root_entries = rdr_le16(&r);
	ret->sectors = rdr_le16(&r);
	ret->media = rdr_u8(&r);
	ret->table_sectors = rdr_le16(&r);
	ret->is32 = ret->table_sectors == 0;
	rdr_skip(&r, 8);
	uint32_t sectors32 = rdr_le32(&r);
	if (ret->sectors == 0)
		ret->sectors = sectors32;
	if (ret->is32) {
		ret->table_sectors = rdr_le32(&r);
		ret->flags = rdr_le16(&r);
		ret->version = rdr_le16(&r);
		ret->root_cluster = rdr_le32(&r);
		rdr_skip(&r, 16);
	}
	rdr_skip(&r, 1);
	ret->state = rdr_u8(&r);
	ret->ext_signature = rdr_u8(&r);
	ret->serial = rdr_le32(&r);
	rdr_skip(&r, FAT_SHORT_LEN);
	rdr_copy(&r, ret->type, sizeof(ret->type));
	rdr_seek(&r, 510);
	ret->signature = rdr_le16(&r);
}

/* Filesystems and containers whose boot sector looks much like ours. */
static bool is_another(const uint8_t *sector)
{
	static const char *const oem[] = {"NTFS    ", "EXFAT   ", "-FVE-FS-"};
	static const uint8_t bitlocker_to_go[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
	                                            0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
	for (size_t i = 0; i < sizeof(oem) / sizeof(*oem); i++)
		if (memcmp(sector + 3, oem[i], 8) == 0)
			return true;
	return memcmp(sector + BITLOCKER_TO_GO_OFF, bitlocker_to_go, sizeof(bitlocker_to_go)) == 0;
}

static bool is_sane(const struct bpb *p)
{
	return is_pow2(p->sector_size) && p->sector_size >= SECTOR_MIN && p->sector_size <= SECTOR_MAX &&
	       is_pow2(p->sectors_per_cluster) && p->reserved > 0 && p->tables > 0 && p->tables <= TABLES_MAX &&
	       (p->media >= 0xf8 || p->media == 0xf0) && p->table_sectors > 0 && p->sectors > 0 &&
	       (p->is32 ? p->version == 0 && p->root_cluster >= CLUSTER_FIRST : p->root_entries > 0);
}

/* 12 and 16 are told apart by the number of clusters alone (spec, "FAT type determination"). */
static bool geo_clusters(struct fat_geo *g, uint64_t clusters, bool is32)
{
	if (is32) {
		g->bits = 32;
		if (clusters > FAT32_CLUSTERS_MAX)
			return false;
	} else {
		g->bits = clusters > FAT12_CLUSTERS_MAX ? 16 : 12;
		if (clusters > FAT16_CLUSTERS_MAX)
			return false;
	}
	uint64_t entries = g->table_size * 8 / g->bits;
	if (clusters == 0 || entries <= CLUSTER_FIRST)
		return false;
	g->table_short = entries < clusters + CLUSTER_FIRST;
	g->cluster_end = (uint32_t)min_u64(entries, clusters + CLUSTER_FIRST);
	return true;
}

static bool geo_fill(struct fat_geo *g, const struct bpb *p)
{
	uint64_t sector = p->sector_size;
	uint64_t root_size = p->is32 ? 0 : (uint64_t)p->root_entries * FAT_ENTRY_SIZE;
	*g = (struct fat_geo){.sector_size = p->sector_size, .serial = p->serial, .root_cluster = p->root_cluster};
	g->cluster_size = p->sector_size * p->sectors_per_cluster;
	g->size = p->sectors * sector;
	g->table_off = p->reserved * sector;
	g->table_size = p->table_sectors * sector;
	g->root_off = g->table_off + p->tables * g->table_size;
	g->root_entries = p->is32 ? 0 : p->root_entries;
	g->data_off = g->root_off + (root_size + sector - 1) / sector * sector;
	if (g->data_off >= g->size)
		return false;
	/* With mirroring off, one table is the active one (BPB_ExtFlags). */
	if (p->is32 && (p->flags & 0x80)) {
		if ((p->flags & 0x0f) >= p->tables)
			return false;
		g->table_off += (p->flags & 0x0f) * g->table_size;
	}
	return geo_clusters(g, (g->size - g->data_off) / g->cluster_size, p->is32) &&
	       (!p->is32 || p->root_cluster < g->cluster_end);
}

static int looks_like_hpfs(struct blk *b, struct err *e)
{
	uint8_t magic[4];
	if (!range_inside(HPFS_SUPER_OFF, sizeof(magic), b->size))
		return 0;
	int r = blk_read(b, HPFS_SUPER_OFF, magic, sizeof(magic), e);
	return r < 0 ? r : get_le32(magic) == HPFS_SUPER_MAGIC;
}

int fat_geo_read(struct blk *b, struct fat_geo *ret, struct err *e)
{
	uint8_t sector[BOOT_SIZE];
	if (b->size < sizeof(sector))
		return 0;
	int r = blk_read(b, 0, sector, sizeof(sector), e);
	if (r < 0)
		return r;
	struct bpb p = {0};
	bpb_decode(sector, &p);
	if (is_another(sector) || !is_sane(&p) || !geo_fill(ret, &p))
		return 0;
	r = looks_like_hpfs(b, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (p.ext_signature != 0x28 && p.ext_signature != 0x29)
		ret->serial = 0;
	ret->mounted = p.state & 1;
	return p.signature == 0xaa55 || memcmp(p.type, "FAT", 3) == 0 ? SCORE_SIGNED : SCORE_SANE;
}
