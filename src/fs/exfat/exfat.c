#include "fs/exfat/exfat.h"

#include "base/bytes.h"
#include "fs/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SCORE_GOOD = 95,             /* name and checksum */
	SCORE_UNSURE = 70,
	SCORE_BACKUP = 20,           /* below any other: a backup survives when the volume is made anew */
};

/* --- open ----------------------------------------------------------------------------------------- */

static void exfat_close(struct fs *fs)
{
	struct exfat_fs *x = (struct exfat_fs *)fs;
	clusters_free(&x->clusters);
	free(x->upcase);
	fs_fini(fs);
	free(x);
}

static int make(struct blk *b, const struct exfat_geo *g, struct exfat_fs **ret, struct err *e)
{
	struct exfat_fs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_no_memory(e, "exfat");
	fs_init(&x->fs, &exfat_driver, b);
	x->geo = *g;
	x->clusters = (struct clusters){
		.blk = b,
		.module = "exfat",
		.bits = 32,
		.table_off = g->table_off,
		.table_size = g->table_size,
		.data_off = g->data_off,
		.cluster_size = g->cluster_size,
		.cluster_end = g->cluster_end,
	};
	*ret = x;
	return 0;
}

static bool table_is_there(struct blk *b, const struct exfat_geo *g)
{
	return range_inside(g->table_off, g->table_size, b->size) && g->data_off <= b->size;
}

/* Damage is no reason to fail here: open will say it. */
static int probe_label(struct blk *b, const struct exfat_geo *g, char *to, struct err *e)
{
	if (!table_is_there(b, g))
		return 0;
	struct exfat_fs *x = NULL;
	uint8_t raw[EXFAT_ENTRY_SIZE];
	int r = make(b, g, &x, e);
	if (r < 0)
		return r;
	r = exfat_root_find(x, EXFAT_LABEL, raw, e);
	exfat_close(&x->fs);
	if (r == ERR_FILE_CORRUPT) {
		err_clear(e);
		r = 0;
	}
	if (r > 0)
		to[text_from_utf16le(raw + 2, min_size(raw[1], EXFAT_LABEL_UNITS), to)] = '\0';
	return r < 0 ? r : 0;
}

static int exfat_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	struct exfat_geo g;
	int r = exfat_geo_read(b, &g, e);
	if (r <= 0)
		return r;
	*ret = (struct fs_ident){.type = "exfat", .size = g.size};
	if (g.serial != 0)
		(void)snprintf(ret->uuid, sizeof(ret->uuid), "%04" PRIX32 "-%04" PRIX32, g.serial >> 16,
		               g.serial & 0xffff);
	r = probe_label(b, &g, ret->label, e);
	if (r < 0)
		return r;
	return g.state == EXFAT_BOOT_GOOD ? SCORE_GOOD : g.state == EXFAT_BOOT_UNSURE ? SCORE_UNSURE : SCORE_BACKUP;
}

static void warn_of_state(struct exfat_fs *x)
{
	const struct exfat_geo *g = &x->geo;
	if (g->state == EXFAT_BOOT_BACKUP)
		fs_warn(&x->fs, "the exFAT volume's main boot region is damaged; its backup is used");
	if (g->state == EXFAT_BOOT_UNSURE)
		fs_warn(&x->fs, "the checksums of both boot regions of the exFAT volume are wrong");
	if (g->dirty)
		fs_warn(&x->fs,
		        "the exFAT volume was in use when it was copied: files then being written may be incomplete");
	if (g->media_failure)
		fs_warn(&x->fs, "the exFAT volume is marked as having had failures of its medium");
	if (g->size > x->fs.blk->size)
		fs_warn(&x->fs, "the exFAT filesystem has %" PRIu64 " bytes, its volume only %" PRIu64, g->size,
		        x->fs.blk->size);
}

static int exfat_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct exfat_geo g;
	int r = exfat_geo_read(b, &g, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_FS_CORRUPT, "exfat", "there is no boot sector of an exFAT filesystem");
	if (!table_is_there(b, &g))
		return err_set(e, ERR_FS_CORRUPT, "exfat",
		               "the volume of %" PRIu64 " bytes ends before its files begin at %" PRIu64, b->size,
		               g.data_off);
	struct exfat_fs *x = NULL;
	r = make(b, &g, &x, e);
	if (r < 0)
		return r;
	warn_of_state(x);
	r = exfat_upcase_load(x, e);
	if (r < 0) {
		exfat_close(&x->fs);
		return r;
	}
	*ret = &x->fs;
	return 0;
}

/* --- objects -------------------------------------------------------------------------------------- */

static bool is_root(struct fs_id id)
{
	return id.ino == EXFAT_ROOT_INO;
}

static struct fs_id exfat_root(struct fs *fs)
{
	(void)fs;
	return (struct fs_id){.ino = EXFAT_ROOT_INO};
}

/* An entry that can be used; a broken one is its error. */
static int get_entry(struct exfat_fs *x, struct fs_id id, struct exfat_entry *ret, struct err *e)
{
	int r = exfat_entry_read(x, id, ret, e);
	if (r == 0 && ret->broken.code) {
		*e = ret->broken;
		return e->code;
	}
	return r;
}

static int exfat_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct exfat_fs *x = (struct exfat_fs *)fs;
	if (is_root(id)) {
		*ret = (struct fs_stat){.id = id, .type = FS_DIRECTORY, .mode = 0755, .nlink = 1};
		return 0;
	}
	struct exfat_entry n;
	int r = get_entry(x, id, &n, e);
	if (r == 0)
		exfat_entry_stat(x, &n, ret);
	return r;
}

/* --- directories ---------------------------------------------------------------------------------- */

static int open_dir(struct exfat_fs *x, struct fs_id id, uint32_t index, struct exfat_dir *ret, struct err *e)
{
	if (is_root(id))
		return exfat_root_open(x, index, ret, e);
	struct exfat_entry n;
	int r = get_entry(x, id, &n, e);
	if (r < 0)
		return r;
	if (!(n.attrs & EXFAT_DIRECTORY))
		return err_set(e, ERR_NOT_DIRECTORY, "exfat", "this is not a directory");
	return exfat_dir_open(x, &n, index, ret, e);
}

/* A directory that cannot be entered is broken, too. A file's damage is said when it is opened. */
static void judge_directory(const struct exfat_fs *x, const struct exfat_dir *in, struct exfat_entry *n)
{
	if (n->broken.code || !(n->attrs & EXFAT_DIRECTORY))
		return;
	if (!clusters_valid(&x->clusters, n->cluster))
		err_set(&n->broken, ERR_FILE_CORRUPT, "exfat",
		        "the directory starts at cluster %" PRIu32 ", which is not there", n->cluster);
	else if (n->cluster == x->geo.root_cluster || clusters_off(&x->clusters, n->cluster) == in->raw.runs[0].off)
		err_set(&n->broken, ERR_FILE_CORRUPT, "exfat", "the directory holds itself");
}

static int give(const struct exfat_fs *x, const struct exfat_entry *n, fs_dirent_fn *fn, void *arg)
{
	char name[EXFAT_NAME_UNITS * TEXT_UNIT_BYTES];
	struct fs_stat st;
	exfat_entry_stat(x, n, &st);
	bool broken = n->broken.code != 0;
	struct fs_dirent de = {
		.name = name,
		.name_len = text_from_utf16(n->units, n->unit_count, name),
		.id = st.id,
		.type = broken ? FS_UNKNOWN : st.type,
		.next = n->next_index,
		.st = broken ? NULL : &st,
		.broken = broken ? &n->broken : NULL,
	};
	return fn(arg, &de);
}

static int exfat_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct exfat_fs *x = (struct exfat_fs *)fs;
	struct exfat_dir d;
	struct exfat_entry n;
	int r = open_dir(x, id, (uint32_t)min_u64(cookie, EXFAT_DIR_SIZE_MAX / EXFAT_ENTRY_SIZE), &d, e);
	if (r < 0)
		return r;
	while ((r = exfat_dir_next(&d, &n, e)) > 0) {
		judge_directory(x, &d, &n);
		r = give(x, &n, fn, arg);
		if (r != 0)
			break;
	}
	exfat_dir_close(&d);
	return r;
}

/* Two: exactly; one: but for case. */
static int match(const struct exfat_fs *x, const struct exfat_entry *n, const uint16_t *units, size_t count)
{
	if (n->unit_count == count && memcmp(n->units, units, count * sizeof(*units)) == 0)
		return 2;
	return text_equal_nocase(n->units, n->unit_count, units, count, x->upcase, EXFAT_UPCASE_UNITS);
}

static int exfat_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct exfat_fs *x = (struct exfat_fs *)fs;
	struct exfat_dir d;
	int r = open_dir(x, dir, 0, &d, e);
	if (r < 0)
		return r;
	uint16_t units[EXFAT_NAME_UNITS];
	size_t count = 0;
	int best = 0;
	uint64_t best_ino = 0;
	struct exfat_entry n;
	/* What cannot be written in UTF-16, or is too long, is no name here. */
	bool possible = text_to_utf16(name, len, units, EXFAT_NAME_UNITS, &count);
	while (possible && best < 2 && (r = exfat_dir_next(&d, &n, e)) > 0) {
		int fit = match(x, &n, units, count);
		if (fit > best) {
			best = fit;
			best_ino = n.ino;
		}
	}
	exfat_dir_close(&d);
	if (r < 0 && (best == 0 || r != ERR_FILE_CORRUPT))
		return r;
	err_clear(e);
	if (best == 0)
		return err_set(e, ERR_NOT_FOUND, "exfat", "there is no such name in this directory");
	*ret = (struct fs_id){.ino = best_ino};
	return 0;
}

/* --- files ---------------------------------------------------------------------------------------- */

struct exfat_file {
	struct fs_file file;
	uint64_t valid;
	struct clusters_map map;
};

static int exfat_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	(void)stream;
	struct exfat_fs *x = (struct exfat_fs *)fs;
	struct exfat_entry n;
	int r = get_entry(x, id, &n, e);
	if (r < 0)
		return r;
	struct exfat_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "exfat");
	f->file = (struct fs_file){.fs = fs, .size = n.size};
	f->valid = n.valid;
	r = clusters_map_init(&x->clusters, n.cluster, n.in_piece, n.size, &f->map, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = &f->file;
	return 0;
}

static void exfat_file_close(struct fs_file *file)
{
	struct exfat_file *f = (struct exfat_file *)file;
	clusters_map_free(&f->map);
	free(f);
}

static int exfat_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct exfat_file *f = (struct exfat_file *)file;
	struct exfat_fs *x = (struct exfat_fs *)file->fs;
	if (off >= f->valid) {
		/* Allocated, never written: what lies there is not the file's. */
		*ret = (struct fs_extent){.kind = FS_EXTENT_ZERO, .len = len};
		return 0;
	}
	ret->kind = FS_EXTENT_DATA;
	return clusters_map_find(&x->clusters, &f->map, off, min_u64(len, f->valid - off), &ret->vol_off, &ret->len, e);
}

const struct fs_driver exfat_driver = {
	.name = "exfat",
	.probe = exfat_probe,
	.open = exfat_open,
	.close = exfat_close,
	.root = exfat_root,
	.lookup = exfat_lookup,
	.readdir = exfat_readdir,
	.stat = exfat_stat,
	.file_open = exfat_file_open,
	.file_close = exfat_file_close,
	.extent = exfat_file_extent,
};
