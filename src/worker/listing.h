/* listing: the names of one directory, compactly, and sorted.
 *
 * A directory of 100,000 names costs about 4 MiB: 24 bytes a name and its bytes. What stat knows is not kept; it is asked
 * for, a few thousand entries at a time, in the order of their place on disk.
 *
 * All functions want the gate.
 */
#ifndef WORKER_LISTING_H
#define WORKER_LISTING_H

#include "fs/fs.h"
#include "wire/entry.h"

#include <stdatomic.h>

enum { LISTING_ENTRIES_MAX = 20 << 20, LISTING_NAMES_MAX = 1 << 30, LISTING_BROKEN_MAX = 1024 };

/* The order of place on disk, for qsort comparisons. */
static inline int listing_place_order(const struct fs_id *x, const struct fs_id *y)
{
	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

struct listing_item {
	uint32_t name_off;
	uint16_t name_len;
	uint8_t type;                    /* enum fs_type */
	bool broken;
	struct fs_id id;
};

struct listing_fault {
	uint32_t name_off;               /* whose: no two entries' names begin in the same place */
	struct err why;
};

struct listing {
	/* what it shows */
	struct fs *fs;
	struct fs_id dir;
	enum wire_sort sort;
	bool descending;
	/* its entries, in order */
	struct listing_item *items;
	size_t count, cap;
	struct buf names;
	struct listing_fault *faults;    /* of broken entries, by name_off; beyond LISTING_BROKEN_MAX the last says it for all others */
	unsigned fault_count;
	uint64_t *keys;                  /* of the entries, while they are sorted by them; owned */
};

/* Reads a directory's names; *cancelled ends it with ERR_CANCELLED. */
int listing_read(struct fs *fs, struct fs_id dir, const atomic_bool *cancelled, struct listing **ret, struct err *e);
/* Directories first, then by sort. Sorting by anything but the name stats every entry. */
int listing_sort(struct listing *l, enum wire_sort sort, bool descending, const atomic_bool *cancelled, struct err *e);
/* By name alone, bytewise, without directories first. */
int listing_sort_names(struct listing *l, struct err *e);
/* An empty one, to be filled from a readdir callback with listing_add (a whole directory: listing_read). NULL: no memory. */
struct listing *listing_new(struct fs *fs, struct fs_id dir);
int listing_add(struct listing *l, const struct fs_dirent *de, struct err *e);
void listing_free(struct listing *l);
const char *listing_name(const struct listing *l, const struct listing_item *it);
/* Why a broken entry is broken. */
const struct err *listing_error(const struct listing *l, const struct listing_item *it);

#endif
