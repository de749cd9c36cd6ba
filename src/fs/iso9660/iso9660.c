#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"
#include "fs/text.h"

#include <inttypes.h>

/* Below what has checksums: the first 32 KiB and what follows may have become another filesystem's since. Below UDF, too: a disc
 * that is both says more there. */
enum { SCORE = 60 };

/* --- open ----------------------------------------------------------------------------------------- */

static int iso_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	struct iso_volume v;
	int r = iso_volume_read(b, &v, e);
	if (r <= 0)
		return r;
	*ret = (struct fs_ident){.type = "iso9660", .size = v.size};
	memcpy(ret->label, v.label, sizeof(v.label));
	memcpy(ret->uuid, v.uuid, sizeof(v.uuid));
	return SCORE;
}

static void iso_close(struct fs *fs)
{
	struct iso_fs *x = (struct iso_fs *)fs;
	iso_windows_free(x);
	free(x->continuation);
	fs_fini(fs);
	free(x);
}

static void warn_of_volume(struct iso_fs *x)
{
	const struct iso_volume *v = &x->vol;
	if (v->halves_differ)
		fs_warn(&x->fs, "numbers of the ISO 9660 volume descriptor differ between their byte orders: the little-endian are used");
	if (v->set_size > 1)
		fs_warn(&x->fs, "this is volume %u of a set of %u: files on the others cannot be read", v->sequence, v->set_size);
	if (v->size > x->fs.blk->size)
		fs_warn(&x->fs, "the ISO 9660 filesystem has %" PRIu64 " bytes, its volume only %" PRIu64, v->size, x->fs.blk->size);
}

static int prepare(struct iso_fs *x, struct err *e)
{
	struct iso_entry root;
	warn_of_volume(x);
	int r = iso_choose_tree(x, e);
	if (r == 0)
		r = iso_entry_get(x, (struct fs_id){.ino = x->root, .tree = ISO_TREE_DIR}, NULL, &root, e);
	if (r == ERR_FILE_CORRUPT) {
		struct err why = *e;
		err_clear(e);
		return err_set(e, ERR_FS_CORRUPT, "iso9660", "the root directory is damaged: %.300s", why.msg);
	}
	return r;
}

static int iso_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct iso_volume v;
	int r = iso_volume_read(b, &v, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_FS_CORRUPT, "iso9660", "there is no volume descriptor of an ISO 9660 filesystem");
	struct iso_fs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_no_memory(e, "iso9660");
	fs_init(&x->fs, &iso9660_driver, b);
	x->vol = v;
	r = prepare(x, e);
	if (r < 0) {
		iso_close(&x->fs);
		return r;
	}
	*ret = &x->fs;
	return 0;
}

/* --- objects -------------------------------------------------------------------------------------- */

static struct fs_id iso_root(struct fs *fs)
{
	return (struct fs_id){.ino = ((struct iso_fs *)fs)->root, .tree = ISO_TREE_DIR};
}

static int iso_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct iso_entry n;
	int r = iso_entry_get((struct iso_fs *)fs, id, NULL, &n, e);
	if (r == 0)
		*ret = n.st;
	return r;
}

static int iso_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct iso_entry n;
	CLEANUP(buf_free) struct buf target = BUF_INIT(FS_LINK_MAX);
	struct iso_details more = {.link = &target};
	int r = iso_entry_get((struct iso_fs *)fs, id, &more, &n, e);
	if (r == 0 && n.st.size == 0)
		r = err_set(e, ERR_FILE_CORRUPT, "iso9660", "the symbolic link has no target");
	if (r == 0)
		r = buf_ok(&target, "iso9660", e);
	if (r < 0)
		return r;
	buf_add(ret, target.data, target.len);
	return buf_ok(ret, "iso9660", e);
}

/* --- directories ---------------------------------------------------------------------------------- */

static int iso_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct iso_fs *x = (struct iso_fs *)fs;
	struct iso_dir d;
	struct iso_entry n;
	int r = iso_dir_open(x, id, cookie, &d, e);
	if (r < 0)
		return r;
	while ((r = iso_dir_next(x, &d, &n, e)) > 0) {
		bool broken = n.broken.code != 0;
		struct fs_dirent de = {
			.name = n.name,
			.name_len = n.name_len,
			.id = n.id,
			.type = broken ? FS_UNKNOWN : n.st.type,
			.next = d.at,
			.st = broken || n.st.type == FS_DIRECTORY ? NULL : &n.st,
			.broken = broken ? &n.broken : NULL,
		};
		r = fn(arg, &de);
		if (r != 0)
			return r;
	}
	return r;
}

struct wanted {
	const char *name;
	size_t len;
	bool nocase;                 /* Joliet's names do not differ in case alone */
	uint16_t units[FS_NAME_MAX];
	size_t unit_count;
};

/* 2: exactly; 1: but for case. */
static int match(const struct iso_entry *n, const struct wanted *w)
{
	uint16_t units[ISO_JOLIET_UNITS_MAX];
	size_t count = 0;
	if (n->name_len == w->len && memcmp(n->name, w->name, w->len) == 0)
		return 2;
	return w->nocase && text_to_utf16(n->name, n->name_len, units, ISO_JOLIET_UNITS_MAX, &count) &&
	       text_equal_nocase(units, count, w->units, w->unit_count, NULL, 0);
}

static int iso_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct iso_fs *x = (struct iso_fs *)fs;
	struct iso_dir d;
	struct iso_entry n;
	struct wanted w = {.name = name, .len = len};
	int r = iso_dir_open(x, dir, 0, &d, e);
	if (r < 0)
		return r;
	w.nocase = x->joliet && text_to_utf16(name, len, w.units, FS_NAME_MAX, &w.unit_count);
	int best = 0;
	struct fs_id best_id = {0};
	while (best < 2 && (r = iso_dir_next(x, &d, &n, e)) > 0) {
		int fit = match(&n, &w);
		if (fit > best) {
			best = fit;
			best_id = n.id;
		}
	}
	if (r < 0 && (best == 0 || r != ERR_FILE_CORRUPT))
		return r;
	err_clear(e);
	if (best == 0)
		return err_set(e, ERR_NOT_FOUND, "iso9660", "there is no such name in this directory");
	*ret = best_id;
	return 0;
}

const struct fs_driver iso9660_driver = {
	.name = "iso9660",
	.probe = iso_probe,
	.open = iso_open,
	.close = iso_close,
	.root = iso_root,
	.lookup = iso_lookup,
	.readdir = iso_readdir,
	.stat = iso_stat,
	.readlink = iso_readlink,
	.file_open = iso_file_open,
	.file_close = iso_file_close,
	.extent = iso_file_extent,
	.read = iso_file_read,
};
