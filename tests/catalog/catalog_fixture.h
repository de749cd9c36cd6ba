/* A catalog in a temporary folder, with shorthands to fill it. */
#ifndef TESTS_CATALOG_FIXTURE_H
#define TESTS_CATALOG_FIXTURE_H

#include "catalog/catalog.h"

#include "test.h"

struct fixture {
	char dir[64];
	char path[96];
	struct catalog *c;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_reopen(struct fixture *f);

/* Repository "repo" with VM "vm" of context "ctx". */
void add_base(struct catalog *c);
/* A completed backup of "ctx" with disks 0 … disks - 1; parent NULL: full. created_at: `at`. */
void add_backup(struct catalog *c, const char *id, const char *parent, int64_t at, int disks);
int64_t disk_id(struct catalog *c, const char *backup_id, int64_t index);

#endif
