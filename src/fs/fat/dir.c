#include "base/bytes.h"
#include "fs/fat/fat.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	WINDOW = 16384,              /* bytes of a directory read at once */
	DIR_SIZE_MAX = FAT_DIR_ENTRIES_MAX * FAT_ENTRY_SIZE,
	DELETED = 0xe5,
};

/* --- where a directory lies ----------------------------------------------------------------------- */

static bool runs_hold(const struct fat_dir *d, uint64_t off)
{
	for (size_t i = 0; i < d->run_count; i++)
		if (off >= d->runs[i].off && off - d->runs[i].off < d->runs[i].len)
			return true;
	return false;
}

static int add_run(struct fat_dir *d, uint64_t off, uint64_t len, struct err *e)
{
	struct fat_run *last = d->run_count ? &d->runs[d->run_count - 1] : NULL;
	d->size += len;
	if (last && last->off + last->len == off) {
		last->len += len;
		return 0;
	}
	if (d->run_count == d->run_cap) {
		size_t cap = d->run_cap ? 2 * d->run_cap : 8;
		struct fat_run *runs = realloc(d->runs, cap * sizeof(*runs));
		if (!runs)
			return err_no_memory(e, "fat");
		d->runs = runs;
		d->run_cap = cap;
	}
	d->runs[d->run_count++] = (struct fat_run){.off = off, .len = len};
	return 0;
}

/* A directory's chain is short, so that it is taken whole; it ends where it starts to make no sense,
 * and the entries up to there are still good. */
static int follow_chain(struct fat_dir *d, uint32_t cluster, struct err *e)
{
	const struct fat_geo *g = &d->fat->geo;
	while (cluster != FAT_CHAIN_END) {
		uint64_t off = fat_cluster_off(g, cluster);
		if (runs_hold(d, off)) {
			err_set(&d->damage, ERR_FILE_CORRUPT, "fat", "the directory's cluster chain runs in a circle");
			return 0;
		}
		if (d->size >= DIR_SIZE_MAX) {
			err_set(&d->damage, ERR_FILE_CORRUPT, "fat", "the directory has more than %d entries",
			        FAT_DIR_ENTRIES_MAX);
			return 0;
		}
		int r = add_run(d, off, g->cluster_size, e);
		if (r < 0)
			return r;
		r = fat_next(d->fat, cluster, &cluster, &d->damage);
		if (r == ERR_FILE_CORRUPT)
			return 0;
		if (r < 0) {
			*e = d->damage;
			return r;
		}
	}
	return 0;
}

int fat_dir_open(struct fat_fs *fat, uint32_t cluster, uint32_t index, struct fat_dir *ret, struct err *e)
{
	const struct fat_geo *g = &fat->geo;
	struct fat_dir d = {.fat = fat, .cluster = cluster, .index = index};
	int r;
	if (cluster == 0 && g->bits != 32) {
		r = add_run(&d, g->root_off, (uint64_t)g->root_entries * FAT_ENTRY_SIZE, e);
	} else {
		if (cluster == 0)
			cluster = g->root_cluster;
		if (!fat_cluster_valid(g, cluster))
			return err_set(e, ERR_FILE_CORRUPT, "fat", "the directory starts at cluster %" PRIu32 ", which is not there",
			               cluster);
		r = follow_chain(&d, cluster, e);
	}
	if (r == 0) {
		d.window = malloc(WINDOW);
		if (!d.window)
			r = err_no_memory(e, "fat");
	}
	if (r < 0) {
		fat_dir_close(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void fat_dir_close(struct fat_dir *d)
{
	free(d->runs);
	free(d->window);
	d->runs = NULL;
	d->window = NULL;
}

/* Reads the window that starts at a byte of the directory: no further than its run goes. */
static int fill_window(struct fat_dir *d, uint64_t pos, struct err *e)
{
	uint64_t skip = pos;
	const struct fat_run *run = d->runs;
	while (skip >= run->len) {
		skip -= run->len;
		run++;
	}
	size_t len = (size_t)min_u64(WINDOW, run->len - skip);
	d->window_len = 0;
	if (!range_inside(run->off + skip, len, d->fat->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, "fat", "the directory lies beyond the end of the volume");
	int r = blk_read(d->fat->fs.blk, run->off + skip, d->window, len, e);
	if (r < 0)
		return r;
	d->window_len = len;
	d->window_pos = pos;
	d->window_off = run->off + skip;
	return 0;
}

/* The next 32 bytes whatever they are: 1, or 0 behind the last. Ends at the end mark, too. */
static int next_raw(struct fat_dir *d, const uint8_t **ret, uint64_t *ret_off, struct err *e)
{
	uint64_t pos = (uint64_t)d->index * FAT_ENTRY_SIZE;
	if (pos >= d->size || d->index >= FAT_DIR_ENTRIES_MAX) {
		if (d->damage.code)
			*e = d->damage;
		return d->damage.code;
	}
	if (pos < d->window_pos || pos - d->window_pos >= d->window_len) {
		int r = fill_window(d, pos, e);
		if (r < 0)
			return r;
	}
	const uint8_t *raw = d->window + (pos - d->window_pos);
	if (raw[0] == 0)
		return 0;
	*ret = raw;
	*ret_off = d->window_off + (pos - d->window_pos);
	d->index++;
	return 1;
}

/* --- entries -------------------------------------------------------------------------------------- */

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

int fat_dir_next(struct fat_dir *d, struct fat_entry *ret, struct err *e)
{
	struct fat_long_name l = {0};
	const uint8_t *raw;
	uint64_t off;
	int r;
	while ((r = next_raw(d, &raw, &off, e)) > 0) {
		uint8_t attr = raw[11] & FAT_ATTR_MASK;
		if (raw[0] == DELETED) {
			l.slots = 0;
		} else if (attr == FAT_LONG_NAME) {
			fat_long_name_add(&l, raw);
		} else if (attr & FAT_LABEL) {
			l.slots = 0;
		} else {
			fat_entry_decode(raw, &d->fat->geo, ret);
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
	struct fat_dir d;
	int r = fat_dir_open(fat, 0, 0, &d, e);
	if (r < 0)
		return r;
	const uint8_t *raw;
	uint64_t off;
	while ((r = next_raw(&d, &raw, &off, e)) > 0) {
		uint8_t attr = raw[11] & FAT_ATTR_MASK;
		if (raw[0] != DELETED && attr != FAT_LONG_NAME && (attr & FAT_LABEL) && !(attr & FAT_DIRECTORY)) {
			memcpy(ret, raw, FAT_SHORT_LEN);
			break;
		}
	}
	fat_dir_close(&d);
	return r;
}
