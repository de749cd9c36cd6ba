/* What the fast-commit area adds to the filesystem: kept in memory beside it, for a reader that would otherwise have
 * to split extent trees and directory blocks.
 *
 *	names: what a name in a directory leads to now (0: it is gone), over what the blocks say
 *	maps:  the whole block map of each file whose map changed
 *
 * Changed inodes are written into the overlay.
 */
#ifndef FS_EXT_FC_H
#define FS_EXT_FC_H

#include "fs/ext/ext.h"

enum {
	FC_NAMES_MAX = 1 << 16,
	FC_MAPS_MAX = 1 << 14,
	FC_EXTENTS_MAX = 1 << 17,    /* of all maps together */
	FC_RUNS_MAX = 1 << 19,       /* looked at for them: maps may have tables in common, and holes in them without end */
};

struct fc_name {
	uint32_t dir, ino;
	uint8_t len;
	uint8_t name[255];
};

struct fc_extent {
	uint64_t lblk, len, pblk;
};

struct fc_map {
	uint32_t ino;
	struct fc_extent *extents;   /* ascending, none overlaps */
	size_t count, cap;
};

struct ext_fc {
	struct fc_name **names;      /* sorted by directory, then name */
	size_t name_count, name_cap;
	struct fc_map *maps;         /* sorted by inode */
	size_t map_count, map_cap;
	size_t extent_count, runs_seen;
};

/* fc.c */
void ext_fc_free(struct ext_fc *fc);
/* NULL where nothing changed. */
const struct fc_name *ext_fc_name(const struct ext_fs *x, uint32_t dir, const uint8_t *name, size_t len);
/* The i-th changed name of a directory, NULL behind the last. */
const struct fc_name *ext_fc_dir_name(const struct ext_fs *x, uint32_t dir, size_t i);
const struct fc_map *ext_fc_map(const struct ext_fs *x, uint32_t ino);
void ext_fc_run(const struct fc_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret);

/* For the replay. */
int fc_set_name(struct ext_fc *fc, uint32_t dir, const uint8_t *name, size_t len, uint32_t ino, struct err *e);
/* Blocks [lblk, lblk + len) of the file now lie at pblk; 0: they are zeroes. */
int fc_set_range(struct ext_fs *x, uint32_t ino, uint64_t lblk, uint64_t len, uint64_t pblk, struct err *e);
/* The file has no blocks. */
int fc_set_empty(struct ext_fs *x, uint32_t ino, struct err *e);
/* The file's map is again what its inode says. */
void fc_forget_map(struct ext_fc *fc, uint32_t ino);

#endif
