/* What every filesystem driver must do, whatever it reads. For cmocka tests; see fscheck.c for a program
 * that runs it on any image. */
#ifndef TESTS_FS_CONFORMANCE_H
#define TESTS_FS_CONFORMANCE_H

#include "fs/fs.h"

/* Walks everything and checks the promises of fs.h, entry by entry: a listing resumed at a cookie, lookup,
 * stat, paths, reads in pieces, extents, refusals. Fails the running test at the first broken one.
 * Every entry must be readable. */
void fs_conformance(struct fs *fs);

/* The same for a damaged image: an entry may fail, with an error of its own. */
void fs_conformance_damaged(struct fs *fs);

/* Opens and reads everything on b again and again, failing the first, second, third … read of the block
 * source, until none is left to fail: each time there is a clean error, or nothing is missing. */
void fs_torture(struct blk *b);

#endif
