/* tracked: how far the downloads are that a browser saves by itself, for a page that shows it, and their cancelling.
 *
 *	            ┌──────── a further range ◀──┐
 *	(begin) ──▶ running ──▶ interrupted ─────┘
 *	               ├──────▶ complete         the last byte of the file was sent
 *	               ├──────▶ failed           the file could not be read on; also before it begins
 *	(cancel) ──▶ cancelled                   also before it begins: what asks for it later is refused
 *
 * In memory, bounded: where the table is full the oldest one that does not run gives way. The client chooses the ids.
 *
 * Threads: any.
 */
#ifndef API_TRACKED_H
#define API_TRACKED_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TRACKED_MAX = 256,
	TRACKED_ID_MIN = 8,
	TRACKED_ID_MAX = 65,               /* with its NUL */
};

enum tracked_state { TRACKED_RUNNING, TRACKED_INTERRUPTED, TRACKED_COMPLETE, TRACKED_FAILED, TRACKED_CANCELLED };

const char *tracked_state_name(enum tracked_state s);      /* "running", … */

struct tracked_download {
	char id[TRACKED_ID_MAX];
	enum tracked_state state;
	uint64_t bytes, done;              /* of the file; sent, counted from its start */
	char error[ERR_MSG_MAX];
};

struct tracked;

int tracked_new(struct tracked **ret, struct err *e);
void tracked_free(struct tracked *t);
CLEANUP_DEFINE(tracked_free, struct tracked *)

/* ERR_INVALID: an id of 8 to 64 letters, digits and "-" it must be. */
int tracked_check_id(const char *id, struct err *e);
/* Bytes from `off` on of a file of `size` are about to be sent. ERR_CANCELLED; ERR_LIMIT: so many run already. */
int tracked_begin(struct tracked *t, const char *id, uint64_t off, uint64_t size, struct err *e);
/* False: it was cancelled. */
bool tracked_progress(struct tracked *t, const char *id, uint64_t done);
/* why: NULL where all that was asked for was sent; ERR_CANCELLED where the client left. */
void tracked_end(struct tracked *t, const char *id, const struct err *why);
/* A request could not begin. It is the download's end unless another one of the same id runs. */
void tracked_fail(struct tracked *t, const char *id, const struct err *why);
/* False: there is no such one. */
bool tracked_get(struct tracked *t, const char *id, struct tracked_download *ret);
/* ERR_LIMIT. */
int tracked_cancel(struct tracked *t, const char *id, struct tracked_download *ret, struct err *e);

#endif
