#include "conformance.h"

#include "base/bytes.h"

#include <inttypes.h>

#include "test.h"

enum {
	DEPTH_MAX = 512,
	ENTRIES_MAX = 200000,        /* of a whole walk */
	RESUMES_MAX = 24,            /* cookies tried in one directory; all of them in small ones */
	LOOKUPS_MAX = 512,           /* names looked up in one directory */
	WHOLE_MAX = 1 << 20,         /* files up to this are read whole */
	WINDOW = 96 << 10,           /* of larger ones, so much at three places */
	EXTENTS_MAX = 4096,
};

struct entry {
	char *name;                  /* NUL-terminated copy */
	size_t len;
	struct fs_id id;
	enum fs_type type;
	uint64_t next;
	bool has_st, broken;
	struct fs_stat st;
};

struct listing {
	struct entry *list;
	size_t count, cap;
};

struct check {
	struct fs *fs;
	bool damaged;
	unsigned depth;
	size_t entries;
	struct buf path;
};

static bool same_id(struct fs_id a, struct fs_id b)
{
	return a.ino == b.ino && a.tree == b.tree;
}

/* An entry's failure: allowed on damaged images only, and always explained. True when it failed. */
static bool failed(const struct check *c, int r, struct err *e)
{
	if (r == 0) {
		assert_int_equal(e->code, 0);
		return false;
	}
	assert_int_equal(r, e->code);
	assert_true(err_code_known(r) && e->msg[0]);
	if (!c->damaged)
		fail_msg("%s: %s %s", buf_str(&c->path), err_code_name(e->code), e->msg);
	err_clear(e);
	return true;
}

static int collect(void *arg, const struct fs_dirent *de)
{
	struct listing *l = arg;
	assert_in_range(de->name_len, 1, FS_NAME_MAX);
	assert_null(memchr(de->name, '/', de->name_len));
	assert_null(memchr(de->name, '\0', de->name_len));
	assert_int_not_equal(de->next, 0);
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->list = realloc(l->list, l->cap * sizeof(*l->list));
		assert_non_null(l->list);
	}
	struct entry *n = &l->list[l->count++];
	*n = (struct entry){.len = de->name_len, .id = de->id, .type = de->type, .next = de->next};
	n->name = malloc(de->name_len + 1);
	assert_non_null(n->name);
	memcpy(n->name, de->name, de->name_len);
	n->name[n->len] = '\0';
	n->broken = de->broken;
	if (de->broken)
		assert_true(err_code_known(de->broken->code) && de->broken->msg[0]);
	if (de->st) {
		n->has_st = true;
		n->st = *de->st;
	}
	return 0;
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->list[i].name);
	free(l->list);
}

static int stop_at_once(void *arg, const struct fs_dirent *de)
{
	(void)de;
	(*(int *)arg)++;
	return 77;
}

/* --- directories ---------------------------------------------------------------------------------- */

static void check_resume(struct check *c, struct fs_id dir, const struct listing *all, size_t at)
{
	struct listing rest = {0};
	struct err e = ERR_INIT;
	if (!failed(c, fs_readdir(c->fs, dir, all->list[at].next, collect, &rest, &e), &e)) {
		assert_int_equal(rest.count, all->count - at - 1);
		for (size_t i = 0; i < rest.count; i++) {
			const struct entry *a = &all->list[at + 1 + i], *b = &rest.list[i];
			assert_string_equal(a->name, b->name);
			assert_true(same_id(a->id, b->id) && a->next == b->next && a->type == b->type);
		}
	}
	listing_free(&rest);
}

static int by_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	int r = memcmp((*x)->name, (*y)->name, min_size((*x)->len, (*y)->len));
	return r ? r : ((*x)->len > (*y)->len) - ((*x)->len < (*y)->len);
}

static void check_unique(struct check *c, const struct listing *l)
{
	const struct entry **sorted = calloc(l->count + 1, sizeof(*sorted));
	assert_non_null(sorted);
	for (size_t i = 0; i < l->count; i++)
		sorted[i] = &l->list[i];
	qsort(sorted, l->count, sizeof(*sorted), by_name);
	for (size_t i = 1; i < l->count && !c->damaged; i++)
		if (by_name(&sorted[i - 1], &sorted[i]) == 0)
			fail_msg("%s: \"%s\" is there twice", buf_str(&c->path), sorted[i]->name);
	free(sorted);
}

static void check_missing(struct check *c, struct fs_id dir)
{
	static const char *const names[] = {"no such name", "\xff\xfe", "NOSUCH~9.NAM", "a\\b", "\xed\xa0\x80"};
	struct fs_id id;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct err e = ERR_INIT;
		int r = fs_lookup(c->fs, dir, names[i], strlen(names[i]), &id, &e);
		if (r < 0 && r != ERR_NOT_FOUND && failed(c, r, &e))
			continue;
		assert_int_equal(r, ERR_NOT_FOUND);
	}
	char longest[FS_NAME_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	for (size_t len = FS_NAME_MAX; len <= FS_NAME_MAX + 1; len++) {
		struct err e = ERR_INIT;
		int r = fs_lookup(c->fs, dir, longest, len, &id, &e);
		if (r < 0 && r != ERR_NOT_FOUND && failed(c, r, &e))
			continue;
		assert_int_equal(r, ERR_NOT_FOUND);
	}
}

static void check_refusals_of_directory(struct check *c, struct fs_id dir)
{
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	assert_int_equal(fs_file_open(c->fs, dir, NULL, &f, &e), ERR_IS_DIRECTORY);
	assert_null(f);
	err_clear(&e);
	struct buf target = BUF_INIT(FS_LINK_MAX);
	assert_int_equal(fs_readlink(c->fs, dir, &target, &e), ERR_INVALID);
	assert_int_equal(target.len, 0);
	buf_free(&target);
}

static bool same_stat(const struct fs_stat *a, const struct fs_stat *b)
{
	return same_id(a->id, b->id) && a->type == b->type && a->valid == b->valid && a->mode == b->mode &&
	       a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink && a->size == b->size &&
	       a->allocated == b->allocated && a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec &&
	       a->atime.sec == b->atime.sec && a->ctime.sec == b->ctime.sec && a->btime.sec == b->btime.sec &&
	       a->btime.nsec == b->btime.nsec && a->dos_attrs == b->dos_attrs;
}

/* --- files ---------------------------------------------------------------------------------------- */

/* Reads [off, off + len) in pieces of the given size and holds it against want. */
static void check_pieces(struct check *c, struct fs_file *f, uint64_t off, const uint8_t *want, size_t len,
                         size_t piece)
{
	uint8_t *got = malloc(piece);
	assert_non_null(got);
	struct err e = ERR_INIT;
	for (size_t at = 0; at < len; at += piece) {
		size_t n = min_size(piece, len - at);
		if (!failed(c, fs_file_read(f, off + at, got, n, &e), &e))
			assert_memory_equal(got, want + at, n);
	}
	free(got);
}

static void check_extents(struct check *c, struct fs_file *f, uint64_t off, const uint8_t *want, size_t len)
{
	uint8_t *got = malloc(len);
	assert_non_null(got);
	struct err e = ERR_INIT;
	for (size_t at = 0; at < len;) {
		struct fs_extent ext;
		if (failed(c, fs_file_extent(f, off + at, len - at, &ext, &e), &e))
			break;
		assert_in_range(ext.len, 1, len - at);
		size_t n = (size_t)ext.len;
		bool known = true;
		if (ext.kind == FS_EXTENT_DATA)
			known = !failed(c, blk_read(c->fs->blk, ext.vol_off, got, n, &e), &e);
		else if (ext.kind == FS_EXTENT_ZERO)
			memset(got, 0, n);
		else
			known = false;
		if (known)
			assert_memory_equal(got, want + at, n);
		at += n;
	}
	free(got);
}

static void check_window(struct check *c, struct fs_file *f, uint64_t off, size_t len)
{
	uint8_t *want = malloc(len + 1);
	assert_non_null(want);
	want[len] = 0xa5;
	struct err e = ERR_INIT;
	if (!failed(c, fs_file_read(f, off, want, len, &e), &e)) {
		assert_int_equal(want[len], 0xa5);
		size_t small = min_size(len, 2048);
		check_pieces(c, f, off, want, small, 1 + small / 701);
		check_pieces(c, f, off, want, len, 4093);
		check_pieces(c, f, off, want, len, 65537);
		if (len > 3)
			check_pieces(c, f, off + 1, want + 1, len - 2, 8191);
		check_extents(c, f, off, want, len);
	}
	free(want);
}

/* Extents from end to end, without reading: they must advance and end exactly at the size. */
static void check_extents_cover(struct check *c, struct fs_file *f)
{
	struct err e = ERR_INIT;
	uint64_t off = 0;
	for (int i = 0; i < EXTENTS_MAX && off < f->size; i++) {
		struct fs_extent ext;
		if (failed(c, fs_file_extent(f, off, f->size - off, &ext, &e), &e))
			return;
		assert_in_range(ext.len, 1, f->size - off);
		off += ext.len;
	}
}

static void check_beyond_end(struct fs_file *f)
{
	uint8_t byte = 0x5a;
	struct err e = ERR_INIT;
	assert_int_equal(fs_file_read(f, f->size, &byte, 1, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(fs_file_read(f, UINT64_MAX, &byte, 1, &e), ERR_INVALID);
	assert_int_equal(byte, 0x5a);
	err_clear(&e);
	struct fs_extent ext;
	assert_int_equal(fs_file_extent(f, f->size, 1, &ext, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(fs_file_extent(f, f->size, 0, &ext, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(fs_file_read(f, f->size, &byte, 0, &e), 0);
}

static void check_file(struct check *c, struct fs_id id, uint64_t size)
{
	struct err e = ERR_INIT;
	struct fs_file *f = NULL, *again = NULL;
	if (failed(c, fs_file_open(c->fs, id, NULL, &f, &e), &e))
		return;
	assert_ptr_equal(f->fs, c->fs);
	assert_int_equal(f->size, size);
	check_beyond_end(f);
	check_extents_cover(c, f);
	if (size > 0 && size <= WHOLE_MAX) {
		check_window(c, f, 0, (size_t)size);
	} else if (size > 0) {
		/* From the end to the start: a driver that remembers its place must go back too. */
		check_window(c, f, size - WINDOW, WINDOW);
		check_window(c, f, size / 2 - 11, WINDOW);
		check_window(c, f, 0, WINDOW);
	}
	/* Two handles of one file do not disturb each other. */
	if (!failed(c, fs_file_open(c->fs, id, NULL, &again, &e), &e))
		fs_file_close(again);
	fs_file_close(f);
	if (c->fs->driver->streams)
		return;
	assert_int_equal(fs_file_open(c->fs, id, "stream", &f, &e), ERR_NOT_FOUND);
}

static void check_link(struct check *c, struct fs_id id, uint64_t size)
{
	struct err e = ERR_INIT;
	struct buf target = BUF_INIT(FS_LINK_MAX);
	if (!failed(c, fs_readlink(c->fs, id, &target, &e), &e))
		assert_int_equal(target.len, size);
	buf_free(&target);
	struct fs_file *f = NULL;
	assert_int_equal(fs_file_open(c->fs, id, NULL, &f, &e), ERR_NOT_FILE);
}

/* --- the walk ------------------------------------------------------------------------------------- */

static void check_object(struct check *c, struct fs_id id);

static void check_path(struct check *c, struct fs_id id)
{
	if (c->path.len > FS_PATH_MAX)
		return;
	struct err e = ERR_INIT;
	struct fs_id found;
	if (!failed(c, fs_resolve(c->fs, buf_str(&c->path), c->path.len, 0, &found, &e), &e) && !c->damaged)
		assert_true(same_id(found, id));
}

static void check_entry(struct check *c, struct fs_id dir, const struct entry *n, bool lookup)
{
	struct err e = ERR_INIT;
	struct fs_id id;
	if (lookup && !failed(c, fs_lookup(c->fs, dir, n->name, n->len, &id, &e), &e) && !c->damaged)
		assert_true(same_id(id, n->id));
	struct fs_stat st;
	if (failed(c, fs_stat(c->fs, n->id, &st, &e), &e))
		return;
	assert_true(same_id(st.id, n->id));
	if (n->type != FS_UNKNOWN)
		assert_int_equal(n->type, st.type);
	if (n->has_st)
		assert_true(same_stat(&n->st, &st));
	if (lookup)
		check_path(c, n->id);
	check_object(c, n->id);
}

static void check_directory(struct check *c, struct fs_id dir)
{
	check_refusals_of_directory(c, dir);
	struct listing l = {0};
	struct err e = ERR_INIT;
	(void)failed(c, fs_readdir(c->fs, dir, 0, collect, &l, &e), &e);
	check_unique(c, &l);
	check_missing(c, dir);
	if (l.count > 0) {
		int calls = 0;
		assert_int_equal(fs_readdir(c->fs, dir, 0, stop_at_once, &calls, &e), 77);
		assert_int_equal(calls, 1);
	}
	size_t resume_step = 1 + l.count / RESUMES_MAX, lookup_step = 1 + l.count / LOOKUPS_MAX;
	for (size_t i = 0; i < l.count; i += resume_step)
		check_resume(c, dir, &l, i);
	for (size_t i = 0; i < l.count && c->entries < ENTRIES_MAX; i++) {
		c->entries++;
		size_t len = c->path.len;
		buf_addc(&c->path, '/');
		buf_add(&c->path, l.list[i].name, l.list[i].len);
		assert_false(c->path.failed);
		if (l.list[i].broken && !c->damaged)
			fail_msg("%s is broken", buf_str(&c->path));
		if (!l.list[i].broken)
			check_entry(c, dir, &l.list[i], i % lookup_step == 0);
		c->path.len = len;
		c->path.data[len] = '\0';
	}
	listing_free(&l);
}

static void check_object(struct check *c, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	if (failed(c, fs_stat(c->fs, id, &st, &e), &e))
		return;
	assert_int_equal(st.mode & ~07777u, 0);
	if (st.type == FS_DIRECTORY && c->depth < DEPTH_MAX) {
		c->depth++;
		check_directory(c, id);
		c->depth--;
		return;
	}
	if (st.type == FS_FILE)
		check_file(c, id, st.size);
	else if (st.type == FS_SYMLINK)
		check_link(c, id, st.size);
	if (st.type != FS_DIRECTORY) {
		struct listing none = {0};
		assert_int_equal(fs_readdir(c->fs, id, 0, collect, &none, &e), ERR_NOT_DIRECTORY);
		err_clear(&e);
		assert_int_equal(none.count, 0);
		struct fs_id found;
		assert_int_equal(fs_lookup(c->fs, id, "x", 1, &found, &e), ERR_NOT_DIRECTORY);
	}
}

static void conformance(struct fs *fs, bool damaged)
{
	struct check c = {.fs = fs, .damaged = damaged, .path = BUF_INIT(1 << 20)};
	struct err e = ERR_INIT;
	struct fs_id root;
	if (!failed(&c, fs_resolve(fs, "/", 1, 0, &root, &e), &e))
		assert_true(same_id(root, fs_root(fs)));
	struct fs_stat st;
	assert_ok(fs_stat(fs, fs_root(fs), &st, &e), &e);
	assert_int_equal(st.type, FS_DIRECTORY);
	check_object(&c, fs_root(fs));
	buf_free(&c.path);
}

void fs_conformance(struct fs *fs)
{
	conformance(fs, false);
}

void fs_conformance_damaged(struct fs *fs)
{
	conformance(fs, true);
}
