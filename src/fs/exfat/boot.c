/* Boot regions (spec 3). Each has twelve sectors: the boot sector, eight extended ones, parameters, one
 * reserved, and one filled with the checksum of the eleven before. The backup follows the main region. */
#include "base/bytes.h"
#include "fs/exfat/exfat.h"

#include <stdlib.h>

enum {
	BOOT_SIZE = 512,             /* of what is decoded, whatever the sector size */
	REGION_SECTORS = 12,
	SECTOR_SHIFT_MIN = 9,
	SECTOR_SHIFT_MAX = 12,
	CLUSTER_SHIFT_MAX = 25,
	FLAGS_OFF = 106,             /* two bytes the checksum leaves out, */
	PERCENT_OFF = 112,           /* and one */
	FLAG_SECOND_TABLE = 1,
	FLAG_DIRTY = 2,
	FLAG_MEDIA_FAILURE = 4,
};

struct boot {
	uint64_t sectors;
	uint32_t table_sector, table_sectors, data_sector, clusters, root_cluster, serial;
	uint16_t revision, flags;
	uint8_t sector_shift, cluster_shift, tables;
};

static bool boot_decode(const uint8_t *sector, struct boot *ret)
{
	struct rdr r = rdr_init(sector, BOOT_SIZE);
	rdr_skip(&r, 3);
	const uint8_t *name = rdr_take(&r, 8);
	const uint8_t *zero = rdr_take(&r, 53);      /* where FAT has its parameters */
	if (memcmp(name, "EXFAT   ", 8) != 0 || get_le16(sector + 510) != 0xaa55)
		return false;
	for (size_t i = 0; i < 53; i++)
		if (zero[i] != 0)
			return false;
	rdr_skip(&r, 8);
	ret->sectors = rdr_le64(&r);
	ret->table_sector = rdr_le32(&r);
	ret->table_sectors = rdr_le32(&r);
	ret->data_sector = rdr_le32(&r);
	ret->clusters = rdr_le32(&r);
	ret->root_cluster = rdr_le32(&r);
	ret->serial = rdr_le32(&r);
	ret->revision = rdr_le16(&r);
	ret->flags = rdr_le16(&r);
	ret->sector_shift = rdr_u8(&r);
	ret->cluster_shift = rdr_u8(&r);
	ret->tables = rdr_u8(&r);
	return true;
}

static bool boot_is_sane(const struct boot *b)
{
	if (b->sector_shift < SECTOR_SHIFT_MIN || b->sector_shift > SECTOR_SHIFT_MAX ||
	    b->cluster_shift > CLUSTER_SHIFT_MAX - b->sector_shift || b->tables < 1 || b->tables > 2 ||
	    b->revision >> 8 != 1 || b->sectors > UINT64_MAX >> b->sector_shift)
		return false;
	uint64_t tables_end = b->table_sector + (uint64_t)b->tables * b->table_sectors;
	uint64_t data_sectors = (uint64_t)b->clusters << b->cluster_shift;
	uint64_t entries = ((uint64_t)b->table_sectors << b->sector_shift) / 4;
	return b->table_sector >= 2 * REGION_SECTORS && b->data_sector >= tables_end && b->data_sector < b->sectors &&
	       b->clusters > 0 && b->clusters <= 0xfffffff5 && data_sectors <= b->sectors - b->data_sector &&
	       entries >= (uint64_t)b->clusters + CLUSTER_FIRST && b->root_cluster >= CLUSTER_FIRST &&
	       b->root_cluster - CLUSTER_FIRST < b->clusters;
}

static void geo_fill(const struct boot *b, struct exfat_geo *g)
{
	*g = (struct exfat_geo){
		.sector_size = 1u << b->sector_shift,
		.cluster_size = 1u << (b->sector_shift + b->cluster_shift),
		.size = b->sectors << b->sector_shift,
		.table_off = (uint64_t)b->table_sector << b->sector_shift,
		.table_size = (uint64_t)b->table_sectors << b->sector_shift,
		.data_off = (uint64_t)b->data_sector << b->sector_shift,
		.cluster_end = b->clusters + CLUSTER_FIRST,
		.root_cluster = b->root_cluster,
		.serial = b->serial,
		.dirty = b->flags & FLAG_DIRTY,
		.media_failure = b->flags & FLAG_MEDIA_FAILURE,
	};
	if (b->tables == 2 && (b->flags & FLAG_SECOND_TABLE))
		g->table_off += g->table_size;
}

/* Spec 3.4. 1: the region's checksum fits; 0: not. */
static int checksum_fits(struct blk *b, uint64_t region, uint32_t sector_size, struct err *e)
{
	size_t len = (size_t)sector_size * (REGION_SECTORS - 1);
	if (!range_inside(region, len + sector_size, b->size))
		return 0;
	uint8_t *data = malloc(len + sector_size);
	if (!data)
		return err_no_memory(e, "exfat");
	int r = blk_read(b, region, data, len + sector_size, e);
	if (r == 0) {
		uint32_t sum = 0;
		for (size_t i = 0; i < len; i++)
			if (i != FLAGS_OFF && i != FLAGS_OFF + 1 && i != PERCENT_OFF)
				sum = (sum << 31 | sum >> 1) + data[i];
		r = 1;
		for (size_t i = 0; i < sector_size; i += 4)
			if (get_le32(data + len + i) != sum)
				r = 0;
	}
	free(data);
	return r;
}

/* Looks for a boot sector at a place. 2: good; 1: sane, but its checksum does not fit; 0: none. */
static int try_region(struct blk *b, uint64_t region, struct boot *ret, struct err *e)
{
	uint8_t sector[BOOT_SIZE];
	struct boot boot;
	if (!range_inside(region, sizeof(sector), b->size))
		return 0;
	int r = blk_read(b, region, sector, sizeof(sector), e);
	if (r < 0)
		return r;
	if (!boot_decode(sector, &boot) || !boot_is_sane(&boot))
		return 0;
	r = checksum_fits(b, region, 1u << boot.sector_shift, e);
	if (r < 0)
		return r;
	*ret = boot;
	return r ? 2 : 1;
}

/* The backup's place hangs on the sector size, which a damaged main region no longer tells. */
static int try_backups(struct blk *b, struct boot *ret, struct err *e)
{
	for (unsigned shift = SECTOR_SHIFT_MIN; shift <= SECTOR_SHIFT_MAX; shift++) {
		struct boot boot;
		int r = try_region(b, (uint64_t)REGION_SECTORS << shift, &boot, e);
		if (r < 0)
			return r;
		if (r == 2 && boot.sector_shift == shift) {
			*ret = boot;
			return r;
		}
	}
	return 0;
}

int exfat_geo_read(struct blk *b, struct exfat_geo *ret, struct err *e)
{
	struct boot main_boot, backup;
	int r = try_region(b, 0, &main_boot, e);
	if (r < 0)
		return r;
	if (r == 2) {
		geo_fill(&main_boot, ret);
		return 1;
	}
	bool unsure = r == 1;
	r = try_backups(b, &backup, e);
	if (r < 0)
		return r;
	if (r == 0 && !unsure)
		return 0;
	geo_fill(r ? &backup : &main_boot, ret);
	ret->state = r ? EXFAT_BOOT_BACKUP : EXFAT_BOOT_UNSURE;
	return 1;
}
