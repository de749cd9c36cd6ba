#include "fs/ntfs/ntfs.h"

#include "fs/text.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	NAME_HEADER = 66,        /* $FILE_NAME up to the name itself */
	NAMESPACE_DOS = 2,       /* an 8.3 name that has a long one beside it */
};

struct name_key {                /* $FILE_NAME as an index key holds it */
	uint64_t parent;
	uint32_t dos_attrs;
	unsigned units;
	uint8_t space;
	const uint8_t *name;
};

static bool decode_name(const struct ntfs_entry *en, struct name_key *ret)
{
	if (en->key_len < NAME_HEADER)
		return false;
	struct name_key k = {
		.parent = get_le64(en->key),
		.dos_attrs = get_le32(en->key + 56),
		.units = en->key[64],
		.space = en->key[65],
		.name = en->key + NAME_HEADER,
	};
	if (!range_inside(NAME_HEADER, 2 * k.units, en->key_len))
		return false;
	*ret = k;
	return true;
}

static struct fs_id id_of(uint64_t ref)
{
	return (struct fs_id){.ino = ntfs_ref_no(ref), .tree = ntfs_ref_seq(ref)};
}

/* Metafiles lie in the root; "." of the root is one of them. */
static bool hidden(uint64_t dir_no, const struct ntfs_entry *en, const struct name_key *k)
{
	return k->space == NAMESPACE_DOS || (dir_no == NTFS_ROOT_NO && ntfs_ref_no(en->ref) < NTFS_FIRST_USER_NO);
}

/* --- open directories ----------------------------------------------------------------------------- */

/* A few directories are kept open, and where their listings stopped: a listing by pages goes on there, though paths
 * are looked up between the pages, and a row of lookups in one directory reads its root once. */
struct ntfs_dir {
	struct fs_id id;
	struct ntfs_index ix;
	uint8_t *block;              /* for lookups, block_size bytes */
	struct ntfs_walk walk;
	bool walking;
	uint64_t before;             /* cookie of the entry before `current`; 0: none */
	uint64_t at;                 /* cookie of `current` */
	int kind;                    /* of `current`: NTFS_WALK_* */
	struct ntfs_entry current;
};

void ntfs_dir_free(struct ntfs_dir *d)
{
	if (!d)
		return;
	ntfs_walk_end(&d->walk);
	ntfs_index_close(&d->ix);
	free(d->block);
	free(d);
}

/* A junction has the shape of a directory, but is a link. */
static bool is_link(struct ntfs_inode *ino)
{
	struct err ignored = ERR_INIT;
	struct ntfs_kind kind;
	return ntfs_kind_find(ino, &kind, &ignored) == 0 && kind.type != FS_DIRECTORY;
}

static int dir_open(struct ntfs *ntfs, struct fs_id id, struct ntfs_dir **ret, struct err *e)
{
	struct ntfs_inode ino;
	int r = ntfs_inode_get_id(ntfs, id, &ino, e);
	if (r < 0)
		return r;
	struct ntfs_dir *d = NULL;
	if (!ntfs_inode_is_dir(&ino) || is_link(&ino))
		r = err_set(e, ERR_NOT_DIRECTORY, "ntfs", "MFT record %" PRIu64 " is not a directory", ino.no);
	else if (!(d = calloc(1, sizeof(*d))))
		r = err_no_memory(e, "ntfs");
	else
		r = ntfs_index_open(&ino, "$I30", &d->ix, e);
	ntfs_inode_put(&ino);
	if (r == 0 && d->ix.view)
		r = err_set(e, ERR_FILE_CORRUPT, "ntfs", "the index of MFT record %" PRIu64 " is not one of names",
		            id.ino);
	if (r == 0 && !(d->block = malloc(d->ix.block_size)))
		r = err_no_memory(e, "ntfs");
	if (r < 0) {
		ntfs_dir_free(d);
		return r;
	}
	d->id = id;
	*ret = d;
	return 0;
}

/* Takes a directory out of those kept, or opens it: the caller's until dir_keep(). Callbacks may so use any
 * directory meanwhile, this one too. */
static int dir_take(struct ntfs *ntfs, struct fs_id id, struct ntfs_dir **ret, struct err *e)
{
	for (unsigned i = 0; i < NTFS_DIRS; i++) {
		struct ntfs_dir *d = ntfs->dir[i];
		if (!d || d->id.ino != id.ino || d->id.tree != id.tree)
			continue;
		memmove(&ntfs->dir[i], &ntfs->dir[i + 1], (NTFS_DIRS - 1 - i) * sizeof(d));
		ntfs->dir[NTFS_DIRS - 1] = NULL;
		*ret = d;
		return 0;
	}
	return dir_open(ntfs, id, ret, e);
}

static void dir_keep(struct ntfs *ntfs, struct ntfs_dir *d)
{
	ntfs_dir_free(ntfs->dir[NTFS_DIRS - 1]);
	memmove(&ntfs->dir[1], &ntfs->dir[0], (NTFS_DIRS - 1) * sizeof(d));
	ntfs->dir[0] = d;
}

/* --- readdir -------------------------------------------------------------------------------------- */

/* To the next visible entry. */
static int step(struct ntfs_dir *d, struct err *e)
{
	uint64_t before = d->at;
	for (;;) {
		int r = ntfs_walk_next(&d->walk, &d->current, e);
		if (r < 0)
			return r;
		struct name_key k;
		if (r == NTFS_WALK_ENTRY && decode_name(&d->current, &k) && hidden(d->id.ino, &d->current, &k))
			continue;
		d->kind = r;
		d->before = before;
		d->at = d->walk.pos;
		return r;
	}
}

/* Stands on the first entry behind the cookie. */
static int seek(struct ntfs_dir *d, uint64_t cookie, struct err *e)
{
	if (d->walking && cookie != 0) {
		if (cookie == d->at)
			return step(d, e);
		if (cookie == d->before)
			return d->kind;      /* the caller had no room for it */
	}
	ntfs_walk_end(&d->walk);
	d->walking = false;
	int r = ntfs_walk_start(&d->walk, &d->ix, e);
	if (r < 0)
		return r;
	d->walking = true;
	d->at = d->before = 0;
	while ((r = step(d, e)) > 0 && cookie != 0)
		if (d->at == cookie)
			return step(d, e);
	return r;
}

static int give(struct ntfs_dir *d, fs_dirent_fn *fn, void *arg)
{
	char name[NTFS_NAME_UNITS * TEXT_UNIT_BYTES];
	struct fs_dirent de = {.name = name, .next = d->at};
	struct err why = ERR_INIT;
	struct name_key k;
	if (d->kind == NTFS_WALK_BROKEN) {
		de.broken = &d->walk.broken;
	} else if (!decode_name(&d->current, &k)) {
		err_set(&why, ERR_FILE_CORRUPT, "ntfs",
		        "an entry of the directory of MFT record %" PRIu64 " is malformed", d->id.ino);
		de.broken = &why;
	} else {
		de.name_len = text_from_utf16le(k.name, k.units, name);
		de.id = id_of(d->current.ref);
		/* The index's copy of the attributes; what a reparse point is, only the file itself says. */
		if (!(k.dos_attrs & (NTFS_FA_REPARSE | NTFS_FA_SYSTEM)))
			de.type = k.dos_attrs & NTFS_FA_HAS_INDEX ? FS_DIRECTORY : FS_FILE;
	}
	if (de.broken) {
		static const char lost[] = "(damaged part of the directory)";
		de.name = lost;
		de.name_len = sizeof(lost) - 1;
	}
	return fn(arg, &de);
}

int ntfs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct ntfs *ntfs = (struct ntfs *)fs;
	struct ntfs_dir *d;
	int r = dir_take(ntfs, dir, &d, e);
	if (r < 0)
		return r;
	for (r = seek(d, cookie, e); r > 0; r = step(d, e)) {
		int answer = give(d, fn, arg);
		if (answer != 0) {
			r = answer;
			break;
		}
	}
	if (e->code != 0) {
		ntfs_walk_end(&d->walk);
		d->walking = false;
	}
	dir_keep(ntfs, d);
	return r;
}

/* --- lookup --------------------------------------------------------------------------------------- */

struct wanted {
	const uint8_t *name;
	unsigned units;
	bool exact;
	bool *ret_needs_upcase;          /* a name turned up that cannot be compared without: nothing found counts */
};

/* Malformed entries sort first: the search goes on behind them. */
static int order(const struct ntfs *ntfs, const void *want, const struct ntfs_entry *entry)
{
	const struct wanted *w = want;
	struct name_key k;
	if (!decode_name(entry, &k))
		return 1;
	if (!ntfs->upcase && !ntfs_name_is_ascii(k.name, k.units)) {
		*w->ret_needs_upcase = true;
		return 1;
	}
	if (w->exact)
		return ntfs_name_collate(ntfs, w->name, w->units, k.name, k.units);
	return ntfs_name_compare(ntfs, w->name, w->units, k.name, k.units);
}

/* For an index that is damaged or out of order: through all entries that can be reached. An exact match wins. */
static int scan(struct ntfs_dir *d, const struct wanted *want, uint64_t *ret_ref, struct err *e)
{
	struct ntfs_walk w;
	int r = ntfs_walk_start(&w, &d->ix, e);
	if (r < 0)
		return r;
	struct ntfs_entry en;
	struct wanted exact = *want;
	exact.exact = true;
	bool found = false, lost = false;
	while ((r = ntfs_walk_next(&w, &en, e)) > 0) {
		lost = lost || r == NTFS_WALK_BROKEN;
		if (r != NTFS_WALK_ENTRY || order(d->ix.ntfs, want, &en) != 0)
			continue;
		bool is_exact = order(d->ix.ntfs, &exact, &en) == 0;
		if (!found || is_exact)
			*ret_ref = en.ref;
		found = true;
		if (is_exact)
			break;
	}
	if (r >= 0 && !found && lost)
		r = err_set(e, ERR_FILE_CORRUPT, "ntfs", "%s", w.broken.msg);
	ntfs_walk_end(&w);
	return r < 0 ? r : found;
}

static int find_once(struct ntfs_dir *d, const uint8_t *name, unsigned units, bool *ret_needs_upcase, uint64_t *ret_ref,
                     struct err *e)
{
	struct wanted w = {.name = name, .units = units, .exact = true, .ret_needs_upcase = ret_needs_upcase};
	struct ntfs_entry en;
	int r = ntfs_index_find(&d->ix, order, &w, d->block, &en, e);
	w.exact = false;
	if (r == 0)
		r = ntfs_index_find(&d->ix, order, &w, d->block, &en, e);
	if (r == ERR_FILE_CORRUPT || r == ERR_IO) {
		err_clear(e);
		return scan(d, &w, ret_ref, e);
	}
	if (r > 0)
		*ret_ref = en.ref;
	return r;
}

static int find(struct ntfs_dir *d, const uint8_t *name, unsigned units, uint64_t *ret_ref, struct err *e)
{
	struct ntfs *ntfs = d->ix.ntfs;
	bool needs_upcase = !ntfs->upcase && !ntfs_name_is_ascii(name, units);
	if (!needs_upcase) {
		int r = find_once(d, name, units, &needs_upcase, ret_ref, e);
		if (!needs_upcase)
			return r;
		err_clear(e);
	}
	int r = ntfs_upcase_load(ntfs, e);
	return r < 0 ? r : find_once(d, name, units, &needs_upcase, ret_ref, e);
}

int ntfs_lookup_units(struct ntfs *ntfs, struct fs_id dir, const uint8_t *name, unsigned units, struct fs_id *ret,
                      struct err *e)
{
	struct ntfs_dir *d;
	int r = dir_take(ntfs, dir, &d, e);
	if (r < 0)
		return r;
	uint64_t ref;
	r = find(d, name, units, &ref, e);
	dir_keep(ntfs, d);
	if (r < 0)
		return r;
	if (r == 0 || (dir.ino == NTFS_ROOT_NO && ntfs_ref_no(ref) < NTFS_FIRST_USER_NO))
		return err_set(e, ERR_NOT_FOUND, "ntfs", "there is no such file or directory");
	*ret = id_of(ref);
	return 0;
}

int ntfs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	uint16_t units[NTFS_NAME_UNITS];
	uint8_t raw[2 * NTFS_NAME_UNITS];
	size_t count;
	if (!text_to_utf16(name, len, units, NTFS_NAME_UNITS, &count))
		count = 0;
	for (size_t i = 0; i < count; i++)
		put_le16(raw + 2 * i, units[i]);
	/* What is no name at all is still looked for in something that must be a directory. */
	return ntfs_lookup_units((struct ntfs *)fs, dir, raw, (unsigned)count, ret, e);
}
