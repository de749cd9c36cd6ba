/* walk: everything below a directory, depth first.
 *
 * Memory is bounded by the depth, not by the number of entries: a directory is read in batches of WALK_BATCH entries
 * (visited in the order of their place on disk), unless `sorted` asks for names in order, which takes a whole directory at once.
 *
 * The gate is taken for each step and never held while a visitor runs outside the filesystem.
 */
#ifndef WORKER_WALK_H
#define WORKER_WALK_H

#include "worker/worker.h"

enum { WALK_BATCH = 2048 };

struct walk_entry {
	const char *path;                /* full path inside the volume, NUL-terminated, "/" for the root */
	size_t path_len;
	const char *name;                /* last component, inside path */
	struct fs_id id;
	enum fs_type type;
	const struct fs_stat *st;        /* NULL where it could not be read */
	const struct err *why;           /* then why; also for a directory that broke off while it was read */
};

enum { WALK_GO_ON = 0, WALK_SKIP = 1 };  /* SKIP: not into this directory */

/* Called outside the gate. Negative with *e filled ends the walk. */
typedef int walk_fn(void *arg, const struct walk_entry *en, struct err *e);

/* Visits `id` (at `path`) itself and then what is below it. */
int walk(struct job *j, struct fs *fs, struct fs_id id, const char *path, size_t path_len, bool sorted, walk_fn *fn,
         void *arg, struct err *e);

#endif
