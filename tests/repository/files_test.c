#include "repository_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int opens(const struct fixture *f, const char *path)
{
	struct err e = ERR_INIT;
	int fd = -1;
	int r = repository_open_file(f->r, path, &fd, &e);
	if (r < 0 && strstr(e.msg, f->dir))
		fail_msg("the message tells the host's path: %s", e.msg);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void only_regular_files_beneath_the_root_open(void **state)
{
	struct fixture *f = *state;
	char path[256];
	put_file(f, "vm/a.qcow2", "x");
	(void)snprintf(path, sizeof(path), "%s/vm/a.qcow2", f->dir);
	assert_int_equal(opens(f, "vm/a.qcow2"), 0);
	assert_int_equal(opens(f, "vm/../vm/a.qcow2"), 0);
	assert_int_equal(opens(f, path), ERR_IMAGE_BACKING_REFUSED);
	assert_int_equal(opens(f, "../../../../../../etc/passwd"), ERR_IMAGE_BACKING_REFUSED);
	assert_int_equal(opens(f, "/etc/passwd"), ERR_IMAGE_BACKING_REFUSED);
	assert_int_equal(opens(f, "vm/none.qcow2"), ERR_IMAGE_LAYER_MISSING);
	assert_int_equal(opens(f, "vm/a.qcow2/x"), ERR_IMAGE_LAYER_MISSING);
	assert_int_equal(opens(f, ""), ERR_IMAGE_LAYER_MISSING);
	assert_int_equal(opens(f, "vm"), ERR_IMAGE_UNREADABLE);
	char fifo[256];
	(void)snprintf(fifo, sizeof(fifo), "%s/vm/fifo.img", f->dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(opens(f, "vm/fifo.img"), ERR_IMAGE_UNREADABLE);
}

/* Its owner reads a backup without a trace, which a filesystem would keep where the last access was before the last change. */
static void reading_leaves_the_access_time(void **state)
{
	struct fixture *f = *state;
	char path[256], byte;
	struct err e = ERR_INIT;
	put_file(f, "vm/a.qcow2", "x");
	(void)snprintf(path, sizeof(path), "%s/vm/a.qcow2", f->dir);
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	int fd = -1;
	assert_int_equal(repository_open_file(f->r, "vm/a.qcow2", &fd, &e), 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	(void)close(fd);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
}

/* A hub that may read what belongs to others; O_NOATIME is refused to it, by the kernel. */
static void what_belongs_to_others_opens(void **state)
{
	struct fixture *f = *state;
	char path[256];
	if (geteuid() != 0)
		skip();
	put_file(f, "vm/a.qcow2", "x");
	(void)snprintf(path, sizeof(path), "%s/vm/a.qcow2", f->dir);
	assert_int_equal(chmod(path, 0644), 0);
	(void)snprintf(path, sizeof(path), "%s/vm", f->dir);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	for (int ours = 0; ours < 2; ours++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct err e = ERR_INIT;
			struct repository *r = f->r;
			int fd;
			bool left = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
			if (left && !ours && repository_open("local", f->dir, &r, &e) < 0)
				_exit(2);
			_exit(left ? repository_open_file(r, "vm/a.qcow2", &fd, &e) != 0 : 3);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char path[256];
	put_file(f, "vm/a.qcow2", "x");
	(void)snprintf(path, sizeof(path), "%s/vm/out.qcow2", f->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	(void)snprintf(path, sizeof(path), "%s/vm/in.qcow2", f->dir);
	assert_int_equal(symlink("a.qcow2", path), 0);
	(void)snprintf(path, sizeof(path), "%s/dir", f->dir);
	assert_int_equal(symlink("/etc", path), 0);
	assert_int_equal(opens(f, "vm/out.qcow2"), ERR_IMAGE_BACKING_REFUSED);
	assert_int_equal(opens(f, "vm/in.qcow2"), ERR_IMAGE_BACKING_REFUSED);
	assert_int_equal(opens(f, "dir/passwd"), ERR_IMAGE_BACKING_REFUSED);
}

static void repositories_are_refused_with_a_reason(void **state)
{
	(void)state;
	struct repository *r = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(repository_open("s3", "/tmp", &r, &e), ERR_NOT_IMPLEMENTED);
	assert_non_null(strstr(e.msg, "s3"));
	err_clear(&e);
	assert_int_equal(repository_open("ftp", "/tmp", &r, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(repository_open("local", "tmp", &r, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(repository_open("local", "/nonexistent/x", &r, &e), ERR_REPOSITORY_UNREACHABLE);
	assert_null(strstr(e.msg, "nonexistent"));
}

static void backing_names_resolve_as_text(void **state)
{
	struct fixture *f = *state;
	char absolute[256], outside[256], ret[REPOSITORY_PATH_MAX];
	(void)snprintf(absolute, sizeof(absolute), "%s//vm/./disk-0/../disk-0/a.qcow2", f->dir);
	(void)snprintf(outside, sizeof(outside), "%s/../a.qcow2", f->dir);
	const struct {
		const char *name, *want;      /* NULL: refused */
	} cases[] = {
		{"a.qcow2", "vm/disk-0/a.qcow2"}, {"./a.qcow2", "vm/disk-0/a.qcow2"}, {"../../x", "x"}, {"../../../x", NULL},
		{"../..", NULL}, {"", NULL}, {"nbd://host/x", NULL}, {"json:{}", NULL}, {"file:a", NULL}, {"./a:b", "vm/disk-0/a:b"},
		{"/etc/passwd", NULL}, {absolute, "vm/disk-0/a.qcow2"}, {outside, NULL}, {f->dir, NULL}, {"//", NULL},
		{"a b\n\xff.qcow2", "vm/disk-0/a b\n\xff.qcow2"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		int r = repository_resolve(f->r, "vm/disk-0/b.qcow2", cases[i].name, ret, &e);
		if (cases[i].want) {
			assert_ok(r, &e);
			assert_string_equal(ret, cases[i].want);
		} else if (r != ERR_IMAGE_BACKING_REFUSED) {
			fail_msg("accepted: %s", cases[i].name);
		}
	}
}

static void a_name_of_any_length_is_safe(void **state)
{
	struct fixture *f = *state;
	char ret[REPOSITORY_PATH_MAX];
	for (size_t n = 4070; n < 4110; n++) {
		struct err e = ERR_INIT;
		char *name = malloc(n + 1);
		memset(name, 'a', n);
		name[n] = '\0';
		int r = repository_resolve(f->r, "vm/x", name, ret, &e);
		assert_int_equal(r == 0, n + 3 < REPOSITORY_PATH_MAX);
		free(name);
	}
}

struct walked {
	char text[4096];
};

static int collect(void *arg, const struct repository_file *file, struct err *e)
{
	(void)e;
	struct walked *w = arg;
	size_t len = strlen(w->text);
	(void)snprintf(w->text + len, sizeof(w->text) - len, "%s|", file->path);
	return 0;
}

static void a_walk_finds_images_and_manifests(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct walked w = {""};
	struct repository_notes skipped = {0};
	char path[256], deep[256] = "";
	put_file(f, "b/disk-0/x.qcow2", "");
	put_file(f, "b/x.json", "");
	put_file(f, "a.IMG", "");
	put_file(f, "c/new\nline \xc3\xa9.raw", "");
	put_file(f, "c/.hidden.raw", "");
	put_file(f, ".trash/x.qcow2", "");
	put_file(f, "c/readme.txt", "");
	(void)snprintf(path, sizeof(path), "%s/link.qcow2", f->dir);
	assert_int_equal(symlink("a.IMG", path), 0);
	for (int i = 0; i < 20; i++)
		strcat(deep, "d/");
	strcat(deep, "x.qcow2");
	put_file(f, deep, "");
	assert_ok(repository_walk(f->r, collect, &w, &skipped, &e), &e);
	assert_string_equal(w.text, "a.IMG|b/disk-0/x.qcow2|b/x.json|c/new\nline \xc3\xa9.raw|");
	assert_int_equal(skipped.count, 2);
	assert_string_equal(skipped.items[1].path, "link.qcow2");
	repository_notes_free(&skipped);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_regular_files_beneath_the_root_open), TEST(links_are_not_followed),
		TEST(reading_leaves_the_access_time),            TEST(what_belongs_to_others_opens),
		TEST(repositories_are_refused_with_a_reason),   TEST(backing_names_resolve_as_text),
		TEST(a_name_of_any_length_is_safe),             TEST(a_walk_finds_images_and_manifests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
