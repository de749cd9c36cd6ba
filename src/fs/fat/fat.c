#include "fs/fat/fat.h"

#include "base/bytes.h"
#include "fs/dos_time.h"
#include "fs/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- open ----------------------------------------------------------------------------------------- */

static void fat_close(struct fs *fs)
{
	struct fat_fs *fat = (struct fat_fs *)fs;
	clusters_free(&fat->clusters);
	fs_fini(fs);
	free(fat);
}

static int make(struct blk *b, const struct fat_geo *g, struct fat_fs **ret, struct err *e)
{
	struct fat_fs *fat = calloc(1, sizeof(*fat));
	if (!fat)
		return err_no_memory(e, "fat");
	fs_init(&fat->fs, &fat_driver, b);
	fat->geo = *g;
	fat->clusters = (struct clusters){
		.blk = b,
		.module = "fat",
		.bits = g->bits == 32 ? 28 : g->bits,
		.table_off = g->table_off,
		.table_size = g->table_size,
		.data_off = g->data_off,
		.cluster_size = g->cluster_size,
		.cluster_end = g->cluster_end,
	};
	*ret = fat;
	return 0;
}

/* The label is the root directory's entry. The copy in the boot sector is not kept up to date by all
 * systems: an erased label would come back. Damage is no reason to fail here: open will say it. */
static int probe_label(struct blk *b, const struct fat_geo *g, char *to, struct err *e)
{
	struct fat_fs *fat = NULL;
	int r = make(b, g, &fat, e);
	if (r < 0)
		return r;
	char raw[FAT_SHORT_LEN];
	r = range_inside(g->table_off, g->table_size, b->size) ? fat_dir_find_label(fat, raw, e) : 0;
	fat_close(&fat->fs);
	if (r == ERR_FILE_CORRUPT) {
		err_clear(e);
		r = 0;
	}
	if (r > 0)
		fat_label(raw, to);
	return r < 0 ? r : 0;
}

static int fat_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	struct fat_geo g;
	int score = fat_geo_read(b, &g, e);
	if (score <= 0)
		return score;
	*ret = (struct fs_ident){.type = "vfat", .size = g.size};
	if (g.serial != 0)
		(void)snprintf(ret->uuid, sizeof(ret->uuid), "%04" PRIX32 "-%04" PRIX32, g.serial >> 16,
		               g.serial & 0xffff);
	int r = probe_label(b, &g, ret->label, e);
	return r < 0 ? r : score;
}

/* Is the bit of the second table entry that says "cleanly unmounted" unset? 0 or 1, or an error. */
static int is_dirty(struct fat_fs *fat, struct err *e)
{
	uint32_t second = 0;
	if (fat->geo.bits == 12)
		return 0;
	int r = clusters_entry(&fat->clusters, 1, &second, e);
	if (r < 0)
		return r;
	return !(second & (fat->geo.bits == 16 ? 0x8000u : 0x08000000u));
}

static int fat_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct fat_geo g;
	int r = fat_geo_read(b, &g, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_FS_CORRUPT, "fat", "the boot sector is not one of a FAT filesystem");
	if (!range_inside(g.table_off, g.table_size, b->size) || g.data_off > b->size)
		return err_set(e, ERR_FS_CORRUPT, "fat",
		               "the volume of %" PRIu64 " bytes ends before its files begin at %" PRIu64, b->size,
		               g.data_off);
	struct fat_fs *fat = NULL;
	r = make(b, &g, &fat, e);
	if (r < 0)
		return r;
	r = is_dirty(fat, e);
	if (r < 0) {
		fat_close(&fat->fs);
		return r;
	}
	if (r > 0 || g.mounted)
		fs_warn(&fat->fs,
		        "the FAT volume was in use when it was copied: files then being written may be incomplete");
	if (g.size > b->size)
		fs_warn(&fat->fs, "the FAT filesystem has %" PRIu64 " bytes, its volume only %" PRIu64, g.size,
		        b->size);
	if (g.table_short)
		fs_warn(&fat->fs,
		        "the allocation table has entries for %" PRIu32 " clusters only, fewer than the volume has",
		        g.cluster_end - 2);
	*ret = &fat->fs;
	return 0;
}

/* --- objects -------------------------------------------------------------------------------------- */

static bool is_root(struct fs_id id)
{
	return id.ino == FAT_ROOT_INO;
}

static struct fs_id fat_root(struct fs *fs)
{
	(void)fs;
	return (struct fs_id){.ino = FAT_ROOT_INO};
}

/* The entry an id names. ERR_INVALID for the root and for what cannot be an id. */
static int read_entry(struct fat_fs *fat, struct fs_id id, struct fat_entry *ret, struct err *e)
{
	uint8_t raw[FAT_ENTRY_SIZE];
	if (id.tree != 0 || id.ino % FAT_ENTRY_SIZE != 0 || id.ino < fat->geo.root_off ||
	    !range_inside(id.ino, sizeof(raw), fat->fs.blk->size))
		return err_set(e, ERR_INVALID, "fat", "%" PRIu64 " is not the place of a directory entry", id.ino);
	int r = blk_read(fat->fs.blk, id.ino, raw, sizeof(raw), e);
	if (r < 0)
		return r;
	fat_entry_decode(raw, &fat->geo, ret);
	ret->off = id.ino;
	return 0;
}

/* Spec, "Date and time formats". The local time of an unknown zone is taken for UTC. */
static void fill_times(const uint8_t *raw, struct fs_stat *st)
{
	if (dos_time(get_le16(raw + 24), get_le16(raw + 22), 0, &st->mtime))
		st->valid |= FS_HAS_MTIME;
	if (dos_time(get_le16(raw + 18), 0, 0, &st->atime))
		st->valid |= FS_HAS_ATIME;
	if (dos_time(get_le16(raw + 16), get_le16(raw + 14), raw[13], &st->btime))
		st->valid |= FS_HAS_BTIME;
}

static void fill_stat(const struct fat_fs *fat, const struct fat_entry *n, struct fs_stat *st)
{
	bool dir = n->attr & FAT_DIRECTORY;
	*st = (struct fs_stat){
		.id = {.ino = n->off},
		.type = dir ? FS_DIRECTORY : FS_FILE,
		.valid = FS_HAS_ATTRS,
		.mode = dir ? 0755 : 0644,
		.nlink = 1,
		.size = dir ? 0 : n->size,
		.dos_attrs = n->attr,
	};
	if (n->attr & FAT_READ_ONLY)
		st->mode &= ~0222u;
	uint64_t cluster = fat->geo.cluster_size;
	st->allocated = (st->size + cluster - 1) / cluster * cluster;
	fill_times(n->raw, st);
}

static int fat_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct fat_fs *fat = (struct fat_fs *)fs;
	if (is_root(id)) {
		*ret = (struct fs_stat){.id = id, .type = FS_DIRECTORY, .mode = 0755, .nlink = 1};
		return 0;
	}
	struct fat_entry n;
	int r = read_entry(fat, id, &n, e);
	if (r == 0)
		fill_stat(fat, &n, ret);
	return r;
}

/* --- directories ---------------------------------------------------------------------------------- */

static int open_dir(struct fat_fs *fat, struct fs_id id, uint32_t index, struct clusters_dir *ret, struct err *e)
{
	if (is_root(id))
		return fat_dir_open(fat, 0, index, ret, e);
	struct fat_entry n;
	int r = read_entry(fat, id, &n, e);
	if (r < 0)
		return r;
	if (!(n.attr & FAT_DIRECTORY))
		return err_set(e, ERR_NOT_DIRECTORY, "fat", "this is not a directory");
	/* 0 stands for the root in ".." only. */
	if (n.cluster == 0)
		return err_set(e, ERR_FILE_CORRUPT, "fat", "the directory has no cluster");
	return fat_dir_open(fat, n.cluster, index, ret, e);
}

static bool is_dot(const struct fat_entry *n)
{
	if (n->has_long_name || n->unit_count == 0 || n->unit_count > 2)
		return false;
	return n->units[0] == '.' && n->units[n->unit_count - 1] == '.';
}

/* Why a directory entry cannot be entered; 0: it can. A file's damage is said when it is opened. */
static int check_entry(const struct fat_fs *fat, const struct clusters_dir *d, const struct fat_entry *n,
                       struct err *e)
{
	if (!(n->attr & FAT_DIRECTORY))
		return 0;
	if (!clusters_valid(&fat->clusters, n->cluster))
		return err_set(e, ERR_FILE_CORRUPT, "fat",
		               "the directory starts at cluster %" PRIu32 ", which is not there", n->cluster);
	if (n->cluster == d->first || (fat->geo.bits == 32 && n->cluster == fat->geo.root_cluster))
		return err_set(e, ERR_FILE_CORRUPT, "fat", "the directory holds itself");
	return 0;
}

static int give(const struct fat_fs *fat, const struct clusters_dir *d, const struct fat_entry *n, fs_dirent_fn *fn,
                void *arg)
{
	char name[FAT_NAME_UNITS * TEXT_UNIT_BYTES];
	struct fs_stat st;
	struct err broken = ERR_INIT;
	fill_stat(fat, n, &st);
	struct fs_dirent de = {
		.name = name,
		.name_len = text_from_utf16(n->units, n->unit_count, name),
		.id = st.id,
		.type = st.type,
		.next = (uint64_t)n->index + 1,
		.st = &st,
		.broken = check_entry(fat, d, n, &broken) < 0 ? &broken : NULL,
	};
	return fn(arg, &de);
}

static int fat_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct fat_fs *fat = (struct fat_fs *)fs;
	struct clusters_dir d;
	struct fat_entry n;
	int r = open_dir(fat, id, (uint32_t)min_u64(cookie, FAT_DIR_ENTRIES_MAX), &d, e);
	if (r < 0)
		return r;
	while ((r = fat_dir_next(fat, &d, &n, e)) > 0) {
		if (is_dot(&n))
			continue;
		r = give(fat, &d, &n, fn, arg);
		if (r != 0)
			break;
	}
	clusters_dir_close(&d);
	return r;
}

/* How well an entry fits a name that is looked up: 3 exactly, 2 but for case, 1 by its 8.3 alias. */
static int match(const struct fat_entry *n, const uint16_t *units, size_t count)
{
	if (n->unit_count == count && memcmp(n->units, units, count * sizeof(*units)) == 0)
		return 3;
	if (text_equal_nocase(n->units, n->unit_count, units, count, NULL, 0))
		return 2;
	uint16_t alias[FAT_SHORT_UNITS];
	size_t len = fat_short_name(n->raw, false, alias);
	return text_equal_nocase(alias, len, units, count, NULL, 0) ? 1 : 0;
}

static int fat_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct fat_fs *fat = (struct fat_fs *)fs;
	struct clusters_dir d;
	int r = open_dir(fat, dir, 0, &d, e);
	if (r < 0)
		return r;
	uint16_t units[FAT_NAME_UNITS];
	size_t count = 0;
	int best = 0;
	uint64_t best_off = 0;
	struct fat_entry n;
	/* What cannot be written in UTF-16, or is too long, is no name here. */
	bool possible = text_to_utf16(name, len, units, FAT_NAME_UNITS, &count);
	while (possible && best < 3 && (r = fat_dir_next(fat, &d, &n, e)) > 0) {
		int fit = is_dot(&n) ? 0 : match(&n, units, count);
		if (fit > best) {
			best = fit;
			best_off = n.off;
		}
	}
	clusters_dir_close(&d);
	if (r < 0 && (best == 0 || r != ERR_FILE_CORRUPT))
		return r;
	err_clear(e);
	if (best == 0)
		return err_set(e, ERR_NOT_FOUND, "fat", "there is no such name in this directory");
	*ret = (struct fs_id){.ino = best_off};
	return 0;
}

/* --- files ---------------------------------------------------------------------------------------- */

struct fat_file {
	struct fs_file file;
	struct clusters_map map;
};

static int fat_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	(void)stream;
	struct fat_fs *fat = (struct fat_fs *)fs;
	struct fat_entry n;
	int r = read_entry(fat, id, &n, e);
	if (r < 0)
		return r;
	struct fat_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "fat");
	f->file = (struct fs_file){.fs = fs, .size = n.size};
	r = clusters_map_init(&fat->clusters, n.cluster, false, n.size, &f->map, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = &f->file;
	return 0;
}

static void fat_file_close(struct fs_file *file)
{
	struct fat_file *f = (struct fat_file *)file;
	clusters_map_free(&f->map);
	free(f);
}

static int fat_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct fat_file *f = (struct fat_file *)file;
	struct fat_fs *fat = (struct fat_fs *)file->fs;
	ret->kind = FS_EXTENT_DATA;
	return clusters_map_find(&fat->clusters, &f->map, off, len, &ret->vol_off, &ret->len, e);
}

const struct fs_driver fat_driver = {
	.name = "fat",
	.probe = fat_probe,
	.open = fat_open,
	.close = fat_close,
	.root = fat_root,
	.lookup = fat_lookup,
	.readdir = fat_readdir,
	.stat = fat_stat,
	.file_open = fat_file_open,
	.file_close = fat_file_close,
	.extent = fat_file_extent,
};
