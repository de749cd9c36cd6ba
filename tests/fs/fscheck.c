/* fscheck [--damaged | --torture] [--offset N] [--with RAWFILE]… RAWFILE: the conformance suite on any image, as TAP. --with: other
 * devices the filesystem may lie on (not for --torture). */
#include "conformance.h"

#include <fcntl.h>
#include <unistd.h>

#include "test.h"

enum { OTHERS_MAX = 16 };

static struct blk *image, *others[OTHERS_MAX];
static unsigned other_count;

/* Closed with the process. */
static bool add_other(const char *name)
{
	struct err e = ERR_INIT;
	int fd = other_count < OTHERS_MAX ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (end < 0 || blk_fd_open(fd, (uint64_t)end, &others[other_count], &e) < 0)
		return false;
	other_count++;
	return true;
}

static void with_fs(void (*check)(struct fs *fs))
{
	struct err e = ERR_INIT;
	struct fs *fs = NULL;
	assert_ok(fs_open_with(image, NULL, others, other_count, &fs, &e), &e);
	check(fs);
	fs_close(fs);
}

static void conformance(void **state)
{
	(void)state;
	with_fs(fs_conformance);
}

static void conformance_damaged(void **state)
{
	(void)state;
	with_fs(fs_conformance_damaged);
}

static void torture(void **state)
{
	(void)state;
	fs_torture(image);
}

int main(int argc, char **argv)
{
	void (*what)(void **) = conformance;
	uint64_t offset = 0;
	int i = 1;
	for (; i < argc - 1; i++) {
		if (strcmp(argv[i], "--damaged") == 0)
			what = conformance_damaged;
		else if (strcmp(argv[i], "--torture") == 0)
			what = torture;
		else if (strcmp(argv[i], "--offset") == 0)
			offset = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--with") != 0 || !add_other(argv[++i]))
			break;
	}
	int fd = i == argc - 1 ? open(argv[i], O_RDONLY | O_CLOEXEC) : -1;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	struct err e = ERR_INIT;
	struct blk *whole = NULL;
	if (end < 0 || (uint64_t)end < offset || blk_fd_open(fd, (uint64_t)end, &whole, &e) < 0 ||
	    blk_slice_open(whole, offset, (uint64_t)end - offset, &image, &e) < 0) {
		fprintf(stderr, "usage: fscheck [--damaged | --torture] [--offset N] [--with RAWFILE]... RAWFILE\n");
		return 2;
	}
	const struct CMUnitTest tests[] = {{.name = argv[i], .test_func = what}};
	int bad = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned k = 0; k < other_count; k++)
		blk_unref(others[k]);
	blk_unref(image);
	blk_unref(whole);
	close(fd);
	return bad;
}
