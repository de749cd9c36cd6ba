/* A hub with a real catalog and real workers, and a repository of images made with qemu-img and mke2fs, in a folder that goes
 * away. */
#ifndef TESTS_HUB_FIXTURE_H
#define TESTS_HUB_FIXTURE_H

#include "hub/hub.h"

extern char fixture_dir[64];             /* repository in repo/, data in data/ */
extern struct hub_config fixture_config; /* what the next hub_open takes: tests change it */
extern struct hub *hub;

/* Makes the folder and the images; group set-up and tear-down. */
int fixture_make(void **state);
int fixture_remove(void **state);
/* A fresh hub with the repository known and its points registered; set-up and tear-down of each test. */
int fixture_open(void **state);
int fixture_close(void **state);

/* Ends the hub and starts it again on the same data. */
void fixture_restart(void);
/* Registers restore point `id` with one disk in file `path`, standing on `parent` (NULL: full). */
void fixture_point(const char *id, const char *parent, const char *path);
/* Runs a shell command in the repository's folder. */
void fixture_shell(const char *command);
/* Mounts disk 0; fails the test if that fails. *id: CATALOG_ID_MAX bytes. */
void fixture_mount(const char *backup, char *id);
/* Entries of a folder through the mount, or the error. */
int64_t fixture_count(const char *mount_id, const char *path, struct err *e);
unsigned fixture_workers(void);

#endif
