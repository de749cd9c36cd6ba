#include "base/bytes.h"
#include "fs/fat/fat.h"

#include <inttypes.h>
#include <stdlib.h>

/* The page that holds a byte of the table. A hostile FAT32 table has gigabytes; we keep FAT_PAGES pages. */
static int get_page(struct fat_fs *fat, uint64_t at, const struct fat_page **ret, struct err *e)
{
	uint64_t number = at / FAT_PAGE_SIZE;
	struct fat_page *p = &fat->pages[number % FAT_PAGES];
	if (!p->data || p->number != number) {
		uint8_t *data = p->data ? p->data : malloc(FAT_PAGE_SIZE);
		if (!data)
			return err_no_memory(e, "fat");
		/* Empty while the read may fail: a slot never claims what it does not hold. */
		p->data = NULL;
		uint64_t start = number * FAT_PAGE_SIZE;
		size_t len = (size_t)min_u64(FAT_PAGE_SIZE, fat->geo.table_size - start);
		int r = blk_read(fat->fs.blk, fat->geo.table_off + start, data, len, e);
		if (r < 0) {
			free(data);
			return r;
		}
		*p = (struct fat_page){.number = number, .len = len, .data = data};
	}
	*ret = p;
	return 0;
}

static int get_byte(struct fat_fs *fat, uint64_t at, uint32_t *ret, struct err *e)
{
	const struct fat_page *p;
	int r = get_page(fat, at, &p, e);
	if (r == 0)
		*ret = p->data[at % FAT_PAGE_SIZE];
	return r;
}

/* The entry's bits. The number is below cluster_end, so the entry lies inside the table. */
static int get_entry(struct fat_fs *fat, uint32_t cluster, uint32_t *ret, struct err *e)
{
	const struct fat_page *p;
	int r;
	if (fat->geo.bits == 12) {
		/* Three bytes hold two entries; one may lie across two pages. */
		uint64_t at = (uint64_t)cluster * 3 / 2;
		uint32_t low, high;
		r = get_byte(fat, at, &low, e);
		if (r == 0)
			r = get_byte(fat, at + 1, &high, e);
		if (r == 0)
			*ret = cluster & 1 ? (low | high << 8) >> 4 : (low | high << 8) & 0xfff;
		return r;
	}
	uint64_t at = (uint64_t)cluster * (fat->geo.bits / 8);
	r = get_page(fat, at, &p, e);
	if (r < 0)
		return r;
	const uint8_t *from = p->data + at % FAT_PAGE_SIZE;
	*ret = fat->geo.bits == 16 ? get_le16(from) : get_le32(from) & 0x0fffffff;
	return 0;
}

int fat_next(struct fat_fs *fat, uint32_t cluster, uint32_t *ret, struct err *e)
{
	uint32_t next;
	int r = get_entry(fat, cluster, &next, e);
	if (r < 0)
		return r;
	uint32_t end = fat->geo.bits == 32 ? 0x0ffffff8 : fat->geo.bits == 16 ? 0xfff8 : 0xff8;
	if (next >= end) {
		*ret = FAT_CHAIN_END;
		return 0;
	}
	if (!fat_cluster_valid(&fat->geo, next))
		return err_set(e, ERR_FILE_CORRUPT, "fat",
		               "cluster %" PRIu32 " of the chain leads to %s (0x%" PRIx32 " in the allocation table)", cluster,
		               next == 0 ? "a free cluster" : next == end - 1 ? "a bad one" : "one that is not there", next);
	*ret = next;
	return 0;
}

int fat_is_dirty(struct fat_fs *fat, struct err *e)
{
	uint32_t second = 0;
	if (fat->geo.bits == 12)
		return 0;
	int r = get_entry(fat, 1, &second, e);
	if (r < 0)
		return r;
	return !(second & (fat->geo.bits == 16 ? 0x8000u : 0x08000000u));
}

void fat_pages_free(struct fat_fs *fat)
{
	for (size_t i = 0; i < FAT_PAGES; i++)
		free(fat->pages[i].data);
}

bool fat_circle_closed(struct fat_circle *c, uint32_t cluster)
{
	if (c->limit > 0 && cluster == c->mark)
		return true;
	if (c->steps == c->limit) {
		c->mark = cluster;
		c->limit = c->limit ? 2 * c->limit : 1;
		c->steps = 0;
	}
	c->steps++;
	return false;
}
