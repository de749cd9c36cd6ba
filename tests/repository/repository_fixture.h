/* A repository in a temporary folder. An "image" of these tests is a line of text that the test's own inspect reads:
 * "image SIZE BACKING" (BACKING may be missing), "data FILE", or "broken". */
#ifndef TESTS_REPOSITORY_FIXTURE_H
#define TESTS_REPOSITORY_FIXTURE_H

#include "repository/manifest.h"
#include "repository/repository.h"
#include "repository/scan.h"

#include "test.h"

struct fixture {
	char dir[64];
	struct repository *r;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Writes a file, making its folders. */
void put_file(const struct fixture *f, const char *path, const char *text);
int fake_inspect(void *arg, int fd, const char *name, struct scan_image_info *ret, struct err *e);

#endif
