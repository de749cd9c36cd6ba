/* The names that the paths of a selection have in their archive: the last component, with a number where that is taken ("a (2).txt").
 *
 * Memory: the paths' bytes once more, and their names'.
 */
#ifndef WORKER_NAMES_H
#define WORKER_NAMES_H

#include "base/err.h"

#include <stddef.h>

struct names;

/* For about so many paths. NULL: no memory. */
struct names *names_new(size_t count);
void names_free(struct names *n);

/* 1 and *ret: the name of that path, owned by n. 0: the path has one already. It is not the root. */
int names_of_path(struct names *n, const char *path, size_t len, const char **ret, struct err *e);
/* A name of its own for what is no path. */
int names_of_text(struct names *n, const char *name, const char **ret, struct err *e);
/* Nothing else gets this name from now on. */
int names_take(struct names *n, const char *name, struct err *e);

#endif
