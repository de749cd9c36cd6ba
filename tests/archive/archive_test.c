/* The contract of archive.h: refused entries, calls out of order, sinks that fail, and bytes that do not depend on the
 * number of threads. What the archives hold is judged by other programs, archive_referees.sh. */
#include "archive/archive.h"

#include "test.h"

#include <libdeflate.h>

enum { BIG = 1500 * 1000 };

/* --- allocations that fail ------------------------------------------------------------------------ */

/* Of the thread that drives the archive, and none when fail_at is 0. */
static _Thread_local unsigned taken, fail_at;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);

static bool refused(void)
{
	return fail_at && ++taken == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return refused() ? NULL : __real_realloc(p, n);
}

/* --- where archives go ---------------------------------------------------------------------------- */

struct sink {
	uint8_t *data;
	size_t len, cap;
	int writes, fail_at;             /* the n-th write fails; 0: none */
};

static int sink_write(void *arg, const void *p, size_t len, struct err *e)
{
	struct sink *s = arg;
	if (++s->writes == s->fail_at)
		return err_set(e, ERR_CANCELLED, "test", "the reader went away");
	assert_true(s->fail_at == 0 || s->writes < s->fail_at);
	if (s->len + len > s->cap) {
		s->cap = 2 * (s->len + len);
		s->data = realloc(s->data, s->cap);
		assert_non_null(s->data);
	}
	memcpy(s->data + s->len, p, len);
	s->len += len;
	return 0;
}

static struct archive *open_with(enum archive_format f, unsigned threads, struct sink *s)
{
	struct err e = ERR_INIT;
	struct archive *a = NULL;
	assert_ok(archive_open(&(struct archive_options){.format = f, .threads = threads},
	                       &(struct archive_sink){.write = sink_write, .arg = s}, &a, &e), &e);
	return a;
}

static struct archive_entry file(const char *path, uint64_t size)
{
	return (struct archive_entry){.type = ARCHIVE_FILE, .path = path, .size = size, .mode = 0644, .mtime_sec = 1};
}

static const uint8_t *noise(void)
{
	static uint8_t buf[BIG];
	uint32_t x = 1;
	for (size_t i = 0; i < BIG && buf[0] == 0; i++) {
		x = x * 1664525 + 1013904223;
		buf[BIG - 1 - i] = (uint8_t)(x >> 24 | 1);
	}
	return buf;
}

/* Two files and a few small entries, the second file broken; the first failure ends it. */
static int write_all(struct archive *a, struct err *e)
{
	struct archive_entry en = file("dir/first", BIG);
	int r = archive_entry(a, &en, e);
	for (size_t off = 0; r == 0 && off < BIG; off += 100000)
		r = archive_data(a, noise() + off, BIG - off < 100000 ? BIG - off : 100000, e);
	for (int i = 0; r == 0 && i < 20; i++) {
		char path[32];
		(void)snprintf(path, sizeof(path), "small%d", i);
		r = archive_add_text(a, path, noise(), (size_t)(i * 1000), 5, e);
	}
	en = file("broken", BIG);
	if (r == 0)
		r = archive_entry(a, &en, e);
	if (r == 0)
		r = archive_data(a, noise(), 700000, e);
	if (r == 0)
		r = archive_entry_failed(a, e);
	return r < 0 ? r : archive_finish(a, e);
}

static void same_bytes_for_any_number_of_threads(void **state)
{
	(void)state;
	static const enum archive_format formats[] = {ARCHIVE_ZIP, ARCHIVE_TAR_GZ, ARCHIVE_TAR};
	for (int f = 0; f < 3; f++) {
		struct sink one = {0};
		struct archive *a = open_with(formats[f], 0, &one);
		struct err e = ERR_INIT;
		assert_ok(write_all(a, &e), &e);
		archive_close(a);
		for (unsigned threads = 1; threads <= 40; threads = threads * 3) {
			struct sink s = {0};
			a = open_with(formats[f], threads, &s);
			assert_ok(write_all(a, &e), &e);
			archive_close(a);
			assert_int_equal(s.len, one.len);
			assert_memory_equal(s.data, one.data, s.len);
			free(s.data);
		}
		free(one.data);
	}
}

static void sink_fails_at_every_write(void **state)
{
	(void)state;
	for (int f = ARCHIVE_TAR; f <= ARCHIVE_ZIP; f++) {
		for (unsigned threads = 1; threads <= 2; threads++) {
			int r = -1;
			for (int n = 1; r != 0; n++) {
				struct sink s = {.fail_at = n};
				struct err e = ERR_INIT;
				struct archive *a = open_with((enum archive_format)f, threads, &s);
				r = write_all(a, &e);
				if (r < 0) {
					assert_int_equal(r, ERR_CANCELLED);
					assert_int_equal(e.code, r);
					/* no trailer any more */
					struct err again = ERR_INIT;
					int writes = s.writes;
					assert_int_equal(archive_finish(a, &again), ERR_INTERNAL);
					assert_int_equal(s.writes, writes);
				} else {
					assert_true(n > 3);
				}
				archive_close(a);
				free(s.data);
			}
		}
	}
}

static int ignore(void *arg, const void *p, size_t len, struct err *e)
{
	(void)arg;
	(void)p;
	(void)len;
	(void)e;
	return 0;
}

/* Each says that memory ran out, or is not missed. */
static void every_allocation_may_fail(void **state)
{
	(void)state;
	(void)noise();
	for (int f = ARCHIVE_TAR; f <= ARCHIVE_ZIP; f++) {
		for (unsigned threads = 1; threads <= 2; threads++) {
			unsigned failures = 0;
			for (unsigned n = 1; n == 1 || taken >= n - 1; n++) {
				struct err e = ERR_INIT;
				struct archive *a = NULL;
				taken = 0;
				fail_at = n;
				int r = archive_open(&(struct archive_options){.format = (enum archive_format)f, .threads = threads},
				                     &(struct archive_sink){.write = ignore}, &a, &e);
				if (r == 0)
					r = write_all(a, &e);
				fail_at = 0;
				archive_close(a);
				if (r < 0) {
					assert_int_equal(e.code, ERR_NO_MEMORY);
					assert_int_equal(r, e.code);
					failures++;
				}
			}
			assert_true(failures > 2);
		}
	}
}

static void unfinished_archive_has_no_trailer(void **state)
{
	(void)state;
	struct sink s = {0};
	struct archive *a = open_with(ARCHIVE_ZIP, 2, &s);
	struct archive_entry en = file("file", BIG);
	struct err e = ERR_INIT;
	assert_ok(archive_entry(a, &en, &e), &e);
	assert_ok(archive_data(a, noise(), BIG - 1, &e), &e);
	assert_int_equal(archive_finish(a, &e), ERR_INTERNAL);
	archive_close(a);
	assert_true(s.len > 0);
	assert_null(memmem(s.data, s.len, "PK\5\6", 4));
	free(s.data);
}

static void refused_entry_leaves_the_archive_usable(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/etc/passwd", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a/.."};
	static const char *const bad_zip[] = {"\\windows", "..\\up", "a\\..\\b", "a/..\\b"};
	for (int f = ARCHIVE_TAR; f <= ARCHIVE_ZIP; f++) {
		struct sink s = {0}, want = {0};
		struct err e = ERR_INIT;
		struct archive *a = open_with((enum archive_format)f, 1, &want);
		assert_ok(archive_add_text(a, "good", "x", 1, 7, &e), &e);
		assert_ok(archive_finish(a, &e), &e);
		archive_close(a);
		a = open_with((enum archive_format)f, 1, &s);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct archive_entry en = file(bad[i], 0);
			assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
			err_clear(&e);
		}
		for (size_t i = 0; f == ARCHIVE_ZIP && i < sizeof(bad_zip) / sizeof(bad_zip[0]); i++) {
			struct archive_entry en = file(bad_zip[i], 0);
			assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
			err_clear(&e);
		}
		char *longest = calloc(1, ARCHIVE_PATH_MAX + 2);
		memset(longest, 'x', ARCHIVE_PATH_MAX + 1);
		struct archive_entry en = file(longest, 0);
		assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
		err_clear(&e);
		free(longest);
		en = (struct archive_entry){.type = ARCHIVE_SYMLINK, .path = "l", .link_target = ""};
		assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
		err_clear(&e);
		if (f == ARCHIVE_ZIP) {
			en = (struct archive_entry){.type = ARCHIVE_FIFO, .path = "p"};
			assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
			err_clear(&e);
		} else {
			/* Out of order; and GNU tar would take what lies behind the first from elsewhere than bsdtar. */
			struct archive_run runs[2][2] = {{{4096, 4096}, {0, 4096}}, {{0, 1000}, {4096, 4096}}};
			for (unsigned i = 0; i < 2; i++) {
				en = file("s", 8192);
				en.runs = runs[i];
				en.run_count = 2;
				assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
				err_clear(&e);
			}
			struct archive_xattr x = {"user.big", noise(), 1100000};
			en = file("x", 1);
			en.xattrs = &x;
			en.xattr_count = 1;
			assert_int_equal(archive_entry(a, &en, &e), ERR_INVALID);
			err_clear(&e);
		}
		assert_ok(archive_add_text(a, "good", "x", 1, 7, &e), &e);
		assert_ok(archive_finish(a, &e), &e);
		archive_close(a);
		assert_int_equal(s.len, want.len);
		assert_memory_equal(s.data, want.data, s.len);
		free(s.data);
		free(want.data);
	}
}

static void calls_out_of_order_are_refused(void **state)
{
	(void)state;
	for (int f = ARCHIVE_TAR; f <= ARCHIVE_ZIP; f++) {
		for (int call = 0; call < 5; call++) {
			struct sink s = {0};
			struct err e = ERR_INIT;
			struct archive *a = open_with((enum archive_format)f, 2, &s);
			struct archive_entry en = file("file", 10);
			if (call != 0 && call != 1)
				assert_ok(archive_entry(a, &en, &e), &e);
			int r = call == 0 ? archive_data(a, "x", 1, &e) : call == 1 ? archive_entry_failed(a, &e)
			      : call == 2 ? archive_data(a, "01234567890", 11, &e) : call == 3 ? archive_entry(a, &en, &e)
			      : archive_finish(a, &e);
			assert_int_equal(r, ERR_INTERNAL);
			err_clear(&e);
			assert_int_equal(archive_finish(a, &e), ERR_INTERNAL);
			archive_close(a);
			free(s.data);
		}
	}
}

static void format_names(void **state)
{
	(void)state;
	enum archive_format f;
	for (int i = ARCHIVE_TAR; i <= ARCHIVE_ZIP; i++) {
		assert_true(archive_format_from_name(archive_format_name((enum archive_format)i), &f));
		assert_int_equal(f, i);
		assert_non_null(archive_format_mime(f));
	}
	assert_false(archive_format_from_name("rar", &f));
	archive_close(NULL);
}

int main(void)
{
	libdeflate_set_memory_allocator(malloc, free);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_for_any_number_of_threads),
		cmocka_unit_test(sink_fails_at_every_write),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(unfinished_archive_has_no_trailer),
		cmocka_unit_test(refused_entry_leaves_the_archive_usable),
		cmocka_unit_test(calls_out_of_order_are_refused),
		cmocka_unit_test(format_names),
	};
	return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
