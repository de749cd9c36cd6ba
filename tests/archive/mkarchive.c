/* Writes one of the archives that archive_referees.sh has other programs read: mkarchive FORMAT THREADS CASE > FILE */
#include "archive/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct archive *a;
static struct err err;

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s: %s: %s\n", what, err_code_name(err.code), err.msg);
	exit(1);
}

static int to_stdout(void *arg, const void *p, size_t len, struct err *e)
{
	(void)arg;
	return fwrite(p, 1, len, stdout) == len ? 0 : err_set(e, ERR_CANCELLED, "test", "the reader went away");
}

/* kind 0: zeroes, 1: text, 2: noise; the n-th byte does not depend on how the file is cut */
static void fill(uint8_t *p, size_t len, uint64_t off, int kind)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog 0123456789\n";
	for (size_t i = 0; i < len; i++) {
		uint64_t n = off + i, x = (n / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);
		x ^= x >> 29;
		x *= UINT64_C(0xbf58476d1ce4e5b9);
		x ^= x >> 32;
		if (kind == 1)
			p[i] = (uint8_t)(n % 97 == 0 ? (int)((n / 97 * 7) % 26) + 65 : text[(n + n / 4099) % (sizeof(text) - 1)]);
		else
			p[i] = kind == 0 ? 0 : (uint8_t)(x >> (n % 8 * 8));
	}
}

static void bytes(uint64_t size, int kind, size_t step)
{
	static uint8_t buf[1 << 20];
	for (uint64_t off = 0; off < size;) {
		size_t n = size - off < step ? (size_t)(size - off) : step;
		if (kind != 0)
			fill(buf, n, off, kind);
		else if (off == 0)
			memset(buf, 0, sizeof(buf));
		check(archive_data(a, buf, n, &err), "data");
		off += n;
	}
}

static struct archive_entry entry(enum archive_entry_type t, const char *path, uint64_t size)
{
	return (struct archive_entry){.type = t, .path = path, .size = size, .mode = t == ARCHIVE_DIRECTORY ? 0755 : 0640,
	                              .mtime_sec = 1500000001};
}

static void file(const char *path, uint64_t size, int kind, size_t step)
{
	struct archive_entry en = entry(ARCHIVE_FILE, path, size);
	check(archive_entry(a, &en, &err), path);
	bytes(size, kind, step);
}

static void other(enum archive_entry_type t, const char *path, const char *target)
{
	struct archive_entry en = entry(t, path, 0);
	en.link_target = target;
	check(archive_entry(a, &en, &err), path);
}

static void tree(void)
{
	other(ARCHIVE_DIRECTORY, "dir", NULL);
	file("dir/empty", 0, 0, 1);
	file("dir/one", 1, 1, 1);
	file("dir/text", 100000, 1, 7777);
	file("dir/block", 256 << 10, 1, 65536);
	file("dir/block1", (256 << 10) + 1, 1, 65536);
	file("dir/big", 3000000, 1, 1 << 20);
	file("dir/noise", 1000000, 2, 100001);
	file("dir/noise-small", 5000, 2, 5000);
	other(ARCHIVE_SYMLINK, "dir/link", "text");
	struct archive_entry en = entry(ARCHIVE_FILE, "dir/mode", 3);
	en.mode = 0751;
	en.uid = 1234;
	en.gid = 4321;
	en.mtime_sec = 1000000000;
	en.mtime_nsec = 123456700;
	en.atime_sec = 1100000000;
	en.has_atime = true;
	check(archive_entry(a, &en, &err), "mode");
	check(archive_data(a, "abc", 3, &err), "mode");
	if (archive_wants_hardlinks(a))
		other(ARCHIVE_HARDLINK, "dir/hard", "dir/text");
}

static void names(void)
{
	static char longest[256], path[4001];
	memset(longest, 'n', 255);
	file(longest, 4, 1, 4);
	for (int i = 0; i < 4000; i++)
		path[i] = i % 100 == 99 ? '/' : 'p';
	path[3999] = 'p';
	file(path, 4, 1, 4);
	file("utf8-\xc3\xa4\xe2\x82\xac.txt", 4, 1, 4);
	file("latin1-\xe4.txt", 4, 1, 4);
	file("new\nline\ttab\x01.txt", 4, 1, 4);
	file("back\\slash", 4, 1, 4);
	other(ARCHIVE_SYMLINK, "link-latin1-\xf6", "latin1-\xe4.txt");
	static char target[301];
	memset(target, 't', 300);
	other(ARCHIVE_SYMLINK, "link-long", target);
}

static void attributes(void)
{
	/* user::rw-, user:1000:r--, group::r--, mask::rw-, other::--- */
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0,
	                              4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
	const struct archive_xattr x[] = {
		{"user.plain", "value", 5}, {"user.binary", "a\0b\n=", 5}, {"user.eq=al%", "x", 1},
		{"system.posix_acl_access", acl, sizeof(acl)},
	};
	struct archive_entry en = entry(ARCHIVE_FILE, "attr", 5);
	en.mode = 0660;
	en.uid = 3000000;
	en.mtime_sec = -5;
	en.mtime_nsec = 250000000;
	en.xattrs = x;
	en.xattr_count = 4;
	check(archive_entry(a, &en, &err), "attr");
	bytes(5, 1, 5);
	en = entry(ARCHIVE_FIFO, "fifo", 0);
	check(archive_entry(a, &en, &err), "fifo");
	en = entry(ARCHIVE_BLOCK, "block", 0);
	en.rdev_major = 8;
	en.rdev_minor = 17;
	check(archive_entry(a, &en, &err), "block");
	en.type = ARCHIVE_CHAR;
	en.path = "char";
	check(archive_entry(a, &en, &err), "char");
}

static void sparse(void)
{
	const struct archive_run runs[] = {{0, 4096}, {1 << 20, 8192}, {(64 << 20) - 5000, 1000}};
	struct archive_entry en = entry(ARCHIVE_FILE, "sparse/file", 64 << 20);
	en.runs = runs;
	en.run_count = 3;
	check(archive_entry(a, &en, &err), "sparse");
	bytes(4096 + 8192 + 1000, 1, 5000);
	en = entry(ARCHIVE_FILE, "sparse/hole-\xe4", UINT64_C(20) << 30);
	en.runs = runs;
	en.run_count = 0;
	check(archive_entry(a, &en, &err), "hole");
}

static void broken(void)
{
	static uint8_t buf[1 << 20];
	file("before", 1000, 1, 1000);
	static const size_t arrived[] = {0, 1000, 256 << 10, 700000};
	static const char *const path[] = {"broken0", "broken1", "broken2", "broken3"};
	for (int i = 0; i < 4; i++) {
		struct archive_entry en = entry(ARCHIVE_FILE, path[i], 1 << 20);
		check(archive_entry(a, &en, &err), "broken");
		fill(buf, arrived[i], 0, 1);
		check(archive_data(a, buf, arrived[i], &err), "broken");
		check(archive_entry_failed(a, &err), "broken");
	}
	file("after", 1000, 1, 1000);
	check(archive_add_text(a, "RESTORE-ERRORS.txt", "broken\n", 7, 1500000001, &err), "errors");
}

static void many(void)
{
	for (int i = 0; i < 70000; i++) {
		char path[64];
		(void)snprintf(path, sizeof(path), "folder-%03d/file-%06d.txt", i / 1000, i);
		file(path, (uint64_t)(i % 50), 1, 64);
	}
}

static void huge(void)
{
	file("zeroes", (UINT64_C(4) << 30) + 12345, 0, 1 << 20);
	file("behind", 1000, 1, 1000);
}

static void huge_noise(void)
{
	/* the second entry begins past 4 GiB */
	static uint8_t buf[1 << 20];
	fill(buf, sizeof(buf), 0, 2);
	struct archive_entry en = entry(ARCHIVE_FILE, "noise", UINT64_C(4200) << 20);
	check(archive_entry(a, &en, &err), "noise");
	for (int i = 0; i < 4200; i++)
		check(archive_data(a, buf, sizeof(buf), &err), "noise");
	file("behind", 1000, 1, 1000);
}

static void empty(void)
{
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"empty", empty}, {"tree", tree}, {"names", names}, {"attributes", attributes}, {"sparse", sparse},
	{"broken", broken}, {"many", many}, {"huge", huge}, {"huge-noise", huge_noise},
};

int main(int argc, char **argv)
{
	struct archive_options opt = {0};
	if (argc != 4 || !archive_format_from_name(argv[1], &opt.format))
		return 2;
	opt.threads = (unsigned)atoi(argv[2]);
	struct archive_sink sink = {.write = to_stdout};
	check(archive_open(&opt, &sink, &a, &err), "open");
	size_t i = 0;
	while (i < sizeof(cases) / sizeof(cases[0]) && strcmp(cases[i].name, argv[3]) != 0)
		i++;
	if (i == sizeof(cases) / sizeof(cases[0]))
		return 2;
	cases[i].run();
	check(archive_finish(a, &err), "finish");
	archive_close(a);
	return fflush(stdout) == 0 ? 0 : 1;
}
