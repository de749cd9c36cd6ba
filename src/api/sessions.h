/* Who is signed in to the web page: sessions that a browser's cookie names, and links that sign in once.
 *
 * All of it is in memory and ends with the hub. Only SHA-256 of ids and codes is kept, so no dump of the memory lets
 * anybody in. Both tables are bounded: where one is full its oldest entry gives way.
 *
 * Threads: any.
 */
#ifndef API_SESSIONS_H
#define API_SESSIONS_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SESSIONS_MAX = 256,
	SESSION_LINKS_MAX = 16,
	SESSION_SECONDS = 12 * 3600,
	SESSION_LINK_SECONDS = 600,
	SESSION_SECRET_LEN = 43,           /* characters of an id or a code: base64url of 256 random bits */
	SESSION_SECRET_MAX = 44,
};

struct sessions;

int sessions_new(struct sessions **ret, struct err *e);
void sessions_free(struct sessions *s);
CLEANUP_DEFINE(sessions_free, struct sessions *)

/* `now` in all of these: seconds of a clock that does not go back. */

/* Begins a session; ret: its id, for the cookie. ERR_INTERNAL: no random bytes. */
int sessions_begin(struct sessions *s, uint64_t now, char ret[SESSION_SECRET_MAX], struct err *e);
/* Seconds that are left to a session; 0: there is no such one. */
uint64_t sessions_left(struct sessions *s, const char *id, uint64_t now);
void sessions_end(struct sessions *s, const char *id);

/* A code that begins one session. */
int sessions_link(struct sessions *s, uint64_t now, char ret[SESSION_SECRET_MAX], struct err *e);
/* True once for a code, within its time. */
bool sessions_redeem(struct sessions *s, const char *code, uint64_t now);

#endif
