/* The front of fs.h, over a made-up filesystem of one table. */
#include "conformance.h"

#include "fs/fs.h"

#include "test.h"

struct node {
	const char *name;
	int parent;
	enum fs_type type;
	const char *text;            /* contents or target */
};

enum { ROOT, A, B, FILE_C, LOOP, BIG };

static const struct node nodes[] = {
	[ROOT] = {"", -1, FS_DIRECTORY, NULL},
	[A] = {"a", ROOT, FS_DIRECTORY, NULL},
	[B] = {"b", A, FS_DIRECTORY, NULL},
	[FILE_C] = {"c", B, FS_FILE, "hello"},
	[LOOP] = {"loop", ROOT, FS_SYMLINK, "loop"},
	[BIG] = {"big", ROOT, FS_FILE, "0123456789abcdefghijklmnopqrstuvwxyz"},
	{"abs", A, FS_SYMLINK, "/a/b"},
	{"up", B, FS_SYMLINK, "../../a/./b//c"},
	{"out", B, FS_SYMLINK, "../../../../../../a/b"},
	{"todir", ROOT, FS_SYMLINK, "a/b/"},
	{"dangling", ROOT, FS_SYMLINK, "a/nowhere/x"},
	{"through", ROOT, FS_SYMLINK, "a/b/c/.."},
	{"fifo", ROOT, FS_FIFO, NULL},
	{"empty", ROOT, FS_SYMLINK, ""},
	{"ping", ROOT, FS_SYMLINK, "/pong"},
	{"pong", ROOT, FS_SYMLINK, "ping/x"},
	{"tochain", A, FS_SYMLINK, "todir2"},
	{"todir2", A, FS_SYMLINK, "../todir"},
	{"slash/name", ROOT, FS_FILE, "x"},
};
enum { NODE_COUNT = sizeof(nodes) / sizeof(*nodes) };

static int fake_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	(void)fs;
	if (nodes[dir.ino].type != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, "fake", "no directory");
	for (int i = 1; i < NODE_COUNT; i++)
		if (nodes[i].parent == (int)dir.ino && strlen(nodes[i].name) == len &&
		    memcmp(nodes[i].name, name, len) == 0) {
			*ret = (struct fs_id){.ino = (uint64_t)i};
			return 0;
		}
	return err_set(e, ERR_NOT_FOUND, "fake", "not there");
}

static int fake_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	(void)fs;
	if (nodes[dir.ino].type != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, "fake", "no directory");
	struct fs_dirent dots[] = {{.name = ".", .name_len = 1, .next = 1}, {.name = "..", .name_len = 2, .next = 1}};
	for (int i = 0; i < 2; i++) {
		int r = fn(arg, &dots[i]);
		if (r != 0)
			return r;
	}
	for (uint64_t i = cookie + 1; i < NODE_COUNT; i++) {
		if (nodes[i].parent != (int)dir.ino)
			continue;
		struct fs_dirent de = {
		        .name = nodes[i].name, .name_len = strlen(nodes[i].name), .id = {.ino = i}, .next = i};
		int r = fn(arg, &de);
		if (r != 0)
			return r;
	}
	return 0;
}

static int fake_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	(void)fs;
	(void)e;
	const struct node *n = &nodes[id.ino];
	*ret = (struct fs_stat){
	        .id = id, .type = n->type, .mode = 0100644, .nlink = 1, .size = n->text ? strlen(n->text) : 0};
	ret->mtime.nsec = 4000000000u;
	return 0;
}

static int fake_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	(void)fs;
	buf_adds(ret, nodes[id.ino].text);
	return buf_ok(ret, "fake", e);
}

static struct fs_id fake_root(struct fs *fs)
{
	(void)fs;
	return (struct fs_id){.ino = ROOT};
}

struct fake_file {
	struct fs_file f;
	const char *text;
};

static int fake_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	(void)stream;
	(void)e;
	struct fake_file *f = malloc(sizeof(*f));
	*f = (struct fake_file){{fs, strlen(nodes[id.ino].text)}, nodes[id.ino].text};
	*ret = &f->f;
	return 0;
}

static void fake_file_close(struct fs_file *f)
{
	free(f);
}

/* Of each 9 bytes: 3 on the volume (at their own offset), 3 holes, 3 encoded; from byte 27 on beyond the volume. */
static int fake_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	(void)f;
	(void)e;
	uint64_t left = 3 - off % 3;
	*ret = (struct fs_extent){
	        .kind = (enum fs_extent_kind)(off / 3 % 3), .len = left < len ? left : len, .vol_off = off};
	return 0;
}

static int fake_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)e;
	memcpy(to, ((struct fake_file *)f)->text + off, len);
	return 0;
}

static const struct fs_driver fake = {
	.name = "fake",
	.root = fake_root,
	.lookup = fake_lookup,
	.readdir = fake_readdir,
	.stat = fake_stat,
	.readlink = fake_readlink,
	.file_open = fake_file_open,
	.file_close = fake_file_close,
	.extent = fake_extent,
	.read = fake_read,
};

static struct fs fs;

static int set_up(void **state)
{
	(void)state;
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	assert_ok(blk_mem_open("VOLUMEvolumeVOLUMEvolumeVOL", 27, &b, &e), &e);
	fs_init(&fs, &fake, b);
	blk_unref(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_fini(&fs);
	return 0;
}

/* Resolves and gives the node's name, or the error's. */
static const char *resolve(const char *path, unsigned flags)
{
	struct err e = ERR_INIT;
	struct fs_id id;
	int r = fs_resolve(&fs, path, strlen(path), flags, &id, &e);
	assert_int_equal(r, e.code);
	return r < 0 ? err_code_name(r) : nodes[id.ino].name;
}

static void paths_are_checked(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	static const char *const good[] = {"/", "//", "/a", "/a//b/", "/...", "/a/.b", "/..a"};
	static const char *const bad[] = {"", "a", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "./a", "/a/b/."};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_ok(fs_path_check(good[i], strlen(good[i]), &e), &e);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(fs_path_check(bad[i], strlen(bad[i]), &e), ERR_PATH_INVALID);
		err_clear(&e);
	}
	assert_int_equal(fs_path_check("/a\0b", 4, &e), ERR_PATH_INVALID);
	err_clear(&e);
	static char path[FS_PATH_MAX + 1];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	assert_ok(fs_path_check(path, FS_PATH_MAX, &e), &e);
	assert_int_equal(fs_path_check(path, FS_PATH_MAX + 1, &e), ERR_PATH_INVALID);
}

static void links_are_followed_inside_the_volume(void **state)
{
	(void)state;
	assert_string_equal(resolve("/", 0), "");
	assert_string_equal(resolve("//a///b/c", 0), "c");
	assert_string_equal(resolve("/a/abs/c", 0), "c");
	assert_string_equal(resolve("/a/abs", 0), "abs");
	assert_string_equal(resolve("/a/abs", FS_FOLLOW), "b");
	assert_string_equal(resolve("/a/b/up", FS_FOLLOW), "c");
	assert_string_equal(resolve("/a/b/out/c", 0), "c");
	assert_string_equal(resolve("/todir/up", FS_FOLLOW), "c");
	assert_string_equal(resolve("/todir/out/up", FS_FOLLOW), "c");
	assert_string_equal(resolve("/a/tochain/c", 0), "c");
	assert_string_equal(resolve("/a/tochain/", 0), "tochain");
}

static void paths_that_lead_nowhere_say_so(void **state)
{
	(void)state;
	assert_string_equal(resolve("/a/x", 0), "NOT_FOUND");
	assert_string_equal(resolve("/dangling", FS_FOLLOW), "NOT_FOUND");
	assert_string_equal(resolve("/dangling", 0), "dangling");
	assert_string_equal(resolve("/a/b/c/d", 0), "NOT_A_DIRECTORY");
	assert_string_equal(resolve("/through", FS_FOLLOW), "NOT_A_DIRECTORY");
	assert_string_equal(resolve("/fifo/x", 0), "NOT_A_DIRECTORY");
	assert_string_equal(resolve("/loop", FS_FOLLOW), "SYMLINK_LOOP");
	assert_string_equal(resolve("/loop", 0), "loop");
	assert_string_equal(resolve("/ping", FS_FOLLOW), "SYMLINK_LOOP");
	assert_string_equal(resolve("/empty/x", 0), "NOT_FOUND");
	struct err e = ERR_INIT;
	struct fs_id id = {.ino = 99};
	assert_int_equal(fs_resolve(&fs, "/a/first\n/second", 16, 0, &id, &e), ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "first\\012"));
	assert_null(strstr(e.msg, "second"));
	assert_int_equal(id.ino, 99);
}

static void names_that_cannot_be_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ".", "..", "a/b"};
	struct err e = ERR_INIT;
	struct fs_id id;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(fs_lookup(&fs, fs_root(&fs), bad[i], strlen(bad[i]), &id, &e), ERR_PATH_INVALID);
		err_clear(&e);
	}
	assert_int_equal(fs_lookup(&fs, fs_root(&fs), "a\0b", 3, &id, &e), ERR_PATH_INVALID);
}

static int take_name(void *arg, const struct fs_dirent *de)
{
	struct buf *names = arg;
	buf_add(names, de->name, de->name_len);
	buf_adds(names, de->broken ? "! " : " ");
	return 0;
}

static int stop(void *arg, const struct fs_dirent *de)
{
	(void)de;
	++*(int *)arg;
	return ERR_CANCELLED;
}

static void listings_are_cleaned(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf names = BUF_INIT(1000);
	assert_ok(fs_readdir(&fs, fs_root(&fs), 0, take_name, &names, &e), &e);
	assert_string_equal(buf_str(&names),
	                    "a loop big todir dangling through fifo empty ping pong slash?name! ");
	buf_free(&names);
	/* A callback's own negative answer comes back, without an error being made up for it. */
	int calls = 0;
	assert_int_equal(fs_readdir(&fs, fs_root(&fs), 0, stop, &calls, &e), ERR_CANCELLED);
	assert_int_equal(e.code, 0);
	assert_int_equal(calls, 1);
}

static void stat_is_brought_into_range(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct fs_stat st;
	assert_ok(fs_stat(&fs, (struct fs_id){.ino = FILE_C}, &st, &e), &e);
	assert_int_equal(st.mode, 0644);
	assert_int_equal(st.mtime.nsec, 999999999);
}

static void extents_are_joined(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	char got[36];
	assert_ok(fs_file_open(&fs, (struct fs_id){.ino = BIG}, NULL, &f, &e), &e);
	assert_ok(fs_file_read(f, 0, got, 27, &e), &e);
	assert_memory_equal(got, "VOL\0\0\0" "678ume\0\0\0" "fghvol\0\0\0" "opq", 27);
	assert_ok(fs_file_read(f, 7, got, 4, &e), &e);
	assert_memory_equal(got, "78um", 4);
	assert_int_equal(fs_file_read(f, 26, got, 4, &e), ERR_FILE_CORRUPT);
	err_clear(&e);
	assert_int_equal(fs_file_read(f, 36, got, 1, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(fs_file_read(f, UINT64_MAX, got, 2, &e), ERR_INVALID);
	fs_file_close(f);
}

static void only_files_are_opened(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	assert_int_equal(fs_file_open(&fs, (struct fs_id){.ino = A}, NULL, &f, &e), ERR_IS_DIRECTORY);
	err_clear(&e);
	assert_int_equal(fs_file_open(&fs, (struct fs_id){.ino = LOOP}, NULL, &f, &e), ERR_NOT_FILE);
	err_clear(&e);
	assert_int_equal(fs_file_open(&fs, (struct fs_id){.ino = BIG}, "s", &f, &e), ERR_NOT_FOUND);
	err_clear(&e);
	struct buf target = BUF_INIT(10);
	assert_int_equal(fs_readlink(&fs, (struct fs_id){.ino = BIG}, &target, &e), ERR_INVALID);
	assert_null(f);
}

static void warnings_have_a_ceiling(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * FS_WARNINGS_MAX; i++)
		fs_warn(&fs, "warning %d", i);
	assert_int_equal(fs.warning_count, FS_WARNINGS_MAX);
	assert_string_equal(fs.warnings[FS_WARNINGS_MAX - 1], "warning 15");
}

static void types_have_names(void **state)
{
	(void)state;
	assert_int_equal(fs_type_from_mode(0100644), FS_FILE);
	assert_int_equal(fs_type_from_mode(0040755), FS_DIRECTORY);
	assert_int_equal(fs_type_from_mode(0140777), FS_SOCKET);
	assert_int_equal(fs_type_from_mode(0170000), FS_UNKNOWN);
	assert_int_equal(fs_type_from_mode(0644), FS_UNKNOWN);
	assert_string_equal(fs_type_name(FS_SYMLINK), "symlink");
}

static void nothing_is_found_on_an_empty_device(void **state)
{
	(void)state;
	static const uint8_t zeroes[1 << 17];
	struct err e = ERR_INIT;
	for (size_t size = 0; size <= sizeof(zeroes); size = size ? size * 4 : 1) {
		struct blk *b = NULL;
		struct fs *none = NULL;
		assert_ok(blk_mem_open(zeroes, size, &b, &e), &e);
		assert_int_equal(fs_open(b, &none, &e), ERR_FS_UNSUPPORTED);
		assert_null(none);
		err_clear(&e);
		assert_int_equal(b->refs, 1);
		blk_unref(b);
	}
}

int main(void)
{
#define over_fake(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_checked),
		over_fake(links_are_followed_inside_the_volume),
		over_fake(paths_that_lead_nowhere_say_so),
		over_fake(names_that_cannot_be_are_refused),
		over_fake(listings_are_cleaned),
		over_fake(stat_is_brought_into_range),
		over_fake(extents_are_joined),
		over_fake(only_files_are_opened),
		over_fake(warnings_have_a_ceiling),
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(nothing_is_found_on_an_empty_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
