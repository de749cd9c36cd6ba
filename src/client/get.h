/* get: what its two ways of fetching share. */
#ifndef CLIENT_GET_H
#define CLIENT_GET_H

#include "client/commands.h"

#include <stdint.h>

struct get {
	struct client *client;
	const struct client_args *args;
	const char *mount_id;
	const char *const *paths;        /* as the API takes them */
	size_t count;
};

/* One file's bytes, under its own name. info: its file-info. Gives the exit status. */
int get_file(const struct get *g, const struct doc *info);
/* All paths as one archive. */
int get_archive(const struct get *g);

/* Where to: -o, or `name` (text of the API) in -o's folder or here. ret_chosen: the name is our choice, and must not
 * replace a file of the user's. */
int get_target(const struct get *g, const char *name, struct buf *ret, bool *ret_chosen, struct err *e);

/* A line about how far it is, on a terminal. */
struct progress {
	bool on;
	uint64_t start_at, total;        /* total 0: not known */
	uint64_t start_ms, last_ms;
};
void progress_begin(struct progress *p, uint64_t start_at, uint64_t total);
void progress_show(struct progress *p, uint64_t at);
void progress_end(struct progress *p);

#endif
