/* What FAT and exFAT have in common: a table with one entry a cluster, in which files are chains, and
 * directories made of 32-byte entries.
 *
 *	table.c   one entry of the table, by cached pages
 *	map.c     a file's clusters: a place in the file -> a place on the volume
 *	dir.c     a directory's clusters: its raw entries in order
 *
 * Offsets are bytes of the volume. Cluster numbers begin at 2. Everything in the table is a guest's word:
 * numbers are checked before use, and a chain that runs in a circle ends.
 */
#ifndef FS_CLUSTERS_CLUSTERS_H
#define FS_CLUSTERS_CLUSTERS_H

#include "base/err.h"
#include "blk/blk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLUSTER_FIRST = 2,
	CLUSTER_NONE = 0,            /* behind the last cluster of a chain */
	CLUSTERS_PAGE_SIZE = 8192,
	CLUSTERS_PAGES = 32,         /* of the table kept in memory */
	CLUSTERS_ENTRY_SIZE = 32,    /* of a directory */
};

struct clusters_page {
	uint64_t number;             /* table_off + number * CLUSTERS_PAGE_SIZE */
	uint8_t *data;               /* owned, NULL: empty slot */
};

struct clusters {
	struct blk *blk;             /* borrowed */
	const char *module;          /* for messages: "fat", "exfat" */
	unsigned bits;               /* of a table entry: 12, 16, 28 (in four bytes) or 32 */
	uint64_t table_off, table_size;
	uint64_t data_off;           /* of cluster 2 */
	uint32_t cluster_size;
	uint32_t cluster_end;        /* one past the last number; its entry lies inside the table */
	struct clusters_page pages[CLUSTERS_PAGES];  /* slot = number % CLUSTERS_PAGES */
};

/* --- table.c --- */

void clusters_free(struct clusters *c);

bool clusters_valid(const struct clusters *c, uint32_t cluster);
uint64_t clusters_off(const struct clusters *c, uint32_t cluster);

/* A table entry's bits; the number is below cluster_end, 0 and 1 included. */
int clusters_entry(struct clusters *c, uint32_t cluster, uint32_t *ret, struct err *e);

/* The cluster behind a valid one, or CLUSTER_NONE. ERR_FILE_CORRUPT where the entry is free, bad or
 * outside the volume. */
int clusters_next(struct clusters *c, uint32_t cluster, uint32_t *ret, struct err *e);

/* Tells within a few rounds that a chain runs in a circle (Brent): show it each cluster in order. */
struct clusters_circle {
	uint32_t mark;               /* a cluster seen before */
	uint32_t steps, limit;       /* clusters since the mark; at limit the mark moves on */
};

/* True when this one has been seen; `steps` then is the circle's length. */
bool clusters_circle_closed(struct clusters_circle *circle, uint32_t cluster);

/* --- map.c --- */

/* Where a file's bytes are. A chain is walked whole when the map is made: so damage is known before the
 * first byte is given out, and a circle cannot pass for data. Every stride-th cluster is noted on the way;
 * from the nearest note, or from where the last search ended, any place is a short walk away. */
struct clusters_map {
	uint32_t first;
	bool contiguous;             /* no chain: one cluster behind the other */
	uint32_t *notes;             /* owned: clusters 0, stride, 2 * stride, … of the chain */
	uint32_t stride;
	uint32_t last_index;         /* where the last search ended: index in the chain, and the cluster there */
	uint32_t last_cluster;
};

/* For `size` bytes from `first` on. ERR_FILE_CORRUPT where there are not so many. */
int clusters_map_init(struct clusters *c, uint32_t first, bool contiguous, uint64_t size, struct clusters_map *ret,
                      struct err *e);
void clusters_map_free(struct clusters_map *m);

/* The longest run of at most len bytes at off; inside the size. */
int clusters_map_find(struct clusters *c, struct clusters_map *m, uint64_t off, uint64_t len, uint64_t *ret_vol_off,
                      uint64_t *ret_len, struct err *e);

/* --- dir.c --- */

struct clusters_run {
	uint64_t off, len;
};

struct clusters_dir {
	struct clusters *c;
	uint32_t first;              /* cluster; CLUSTER_NONE for a place outside the clusters */
	struct clusters_run *runs;   /* owned */
	size_t run_count, run_cap;
	uint64_t size;               /* of all runs */
	struct err damage;           /* why the chain ends early; told when a reader gets there */
	uint32_t index;              /* of the next entry */
	uint8_t *window;             /* owned: the bytes [window_pos, + window_len) of the directory */
	uint64_t window_pos;
	uint64_t window_off;         /* on the volume */
	size_t window_len;
};

/* A directory by its chain, at most max bytes; positioned at entry `index`. */
int clusters_dir_open(struct clusters *c, uint32_t first, uint64_t max, uint32_t index, struct clusters_dir *ret,
                      struct err *e);
/* A directory that lies in one piece; len bytes at off. */
int clusters_dir_open_at(struct clusters *c, uint64_t off, uint64_t len, uint32_t index, struct clusters_dir *ret,
                         struct err *e);
void clusters_dir_close(struct clusters_dir *d);

/* The next 32 bytes and their place: 1; 0 at the end, which is a zero byte or the end of the clusters. *ret
 * stays valid until the next call. */
int clusters_dir_next(struct clusters_dir *d, const uint8_t **ret, uint64_t *ret_off, struct err *e);

#endif
