#include "base/bytes.h"
#include "fs/fat/fat.h"

enum {
	DIR_SIZE_MAX = FAT_DIR_ENTRIES_MAX * FAT_ENTRY_SIZE,
	DELETED = 0xe5,
};

int fat_dir_open(struct fat_fs *fat, uint32_t cluster, uint32_t index, struct clusters_dir *ret, struct err *e)
{
	const struct fat_geo *g = &fat->geo;
	if (cluster == 0 && g->bits != 32) {
		uint64_t len = (uint64_t)g->root_entries * FAT_ENTRY_SIZE;
		return clusters_dir_open_at(&fat->clusters, g->root_off, len, index, ret, e);
	}
	return clusters_dir_open(&fat->clusters, cluster ? cluster : g->root_cluster, DIR_SIZE_MAX, index, ret, e);
}

void fat_entry_decode(const uint8_t raw[FAT_ENTRY_SIZE], const struct fat_geo *g, struct fat_entry *ret)
{
	memcpy(ret->raw, raw, FAT_ENTRY_SIZE);
	ret->attr = raw[11] & FAT_ATTR_MASK;
	ret->cluster = get_le16(raw + 26);
	/* On FAT12 and FAT16 the upper half belongs to others (OS/2 attributes). */
	if (g->bits == 32)
		ret->cluster |= (uint32_t)get_le16(raw + 20) << 16;
	ret->size = get_le32(raw + 28);
}

static void take_name(struct fat_entry *n, const struct fat_long_name *l)
{
	n->unit_count = fat_long_name_for(l, n->raw);
	n->has_long_name = n->unit_count > 0;
	if (n->has_long_name)
		memcpy(n->units, l->units, n->unit_count * sizeof(*n->units));
	else
		n->unit_count = fat_short_name(n->raw, true, n->units);
}

int fat_dir_next(const struct fat_fs *fat, struct clusters_dir *d, struct fat_entry *ret, struct err *e)
{
	struct fat_long_name l = {0};
	const uint8_t *raw;
	uint64_t off;
	int r;
	while ((r = clusters_dir_next(d, &raw, &off, e)) > 0) {
		uint8_t attr = raw[11] & FAT_ATTR_MASK;
		bool label = attr != FAT_LONG_NAME && (attr & FAT_LABEL);
		if (raw[0] == DELETED || label) {
			l.slots = 0;
		} else if (attr == FAT_LONG_NAME) {
			fat_long_name_add(&l, raw);
		} else {
			fat_entry_decode(raw, &fat->geo, ret);
			ret->off = off;
			ret->index = d->index - 1;
			take_name(ret, &l);
			return 1;
		}
	}
	return r;
}

int fat_dir_find_label(struct fat_fs *fat, char ret[FAT_SHORT_LEN], struct err *e)
{
	struct clusters_dir d;
	int r = fat_dir_open(fat, 0, 0, &d, e);
	if (r < 0)
		return r;
	const uint8_t *raw;
	uint64_t off;
	while ((r = clusters_dir_next(&d, &raw, &off, e)) > 0) {
		uint8_t attr = raw[11] & FAT_ATTR_MASK;
		if (raw[0] != DELETED && attr != FAT_LONG_NAME && (attr & FAT_LABEL) && !(attr & FAT_DIRECTORY)) {
			memcpy(ret, raw, FAT_SHORT_LEN);
			break;
		}
	}
	clusters_dir_close(&d);
	return r;
}
