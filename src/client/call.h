/* One request to the hub at a time, over one kept connection.
 *
 * Failures come as one struct err. Its module is "hub" for an error the API answered (code and sentence are the API's),
 * and "client" for one that arose here. An answer that broke off is an error, whatever had arrived: bodies have a
 * length or are chunked, anything else is refused.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include "base/buf.h"
#include "base/err.h"
#include "client/doc.h"
#include "client/locate.h"

#include <stdint.h>

enum {
	CALL_JSON_MAX = 64 << 20,        /* bytes of an answer taken into memory */
	CALL_ETAG_MAX = 256,
};

struct client;

int client_open(const struct location *at, const char *cacert, struct client **ret, struct err *e);
void client_close(struct client *c);
const char *client_url(const struct client *c);

/* What a 2xx answer's head said, before its first byte comes. */
struct call_head {
	long status;
	char etag[CALL_ETAG_MAX];        /* as sent, with its quotes; "": none, or too long */
	bool has_length, chunked;
	uint64_t length;
	bool has_range;                  /* Content-Range: bytes first-last/total */
	uint64_t range_first, range_total;
};

struct call {
	const char *method;              /* "GET", "POST", "DELETE" */
	const char *path;                /* from "/api/v1", encoded */
	const char *body;                /* JSON; every POST has one. NULL: none */
	const char *if_range;            /* with `from` > 0; NULL: none */
	uint64_t from;                   /* > 0: ask for the bytes from there on */
	/* Takes a successful answer's body, in pieces. A negative result, with its err filled, ends the call. NULL: the
	 * body is read into memory and parsed. */
	int (*sink)(void *arg, const struct call_head *head, const void *p, size_t len, struct err *e);
	void *arg;
};

/* ret_doc: the parsed answer, where there is no sink; may be NULL. ret_head: may be NULL. On an error that the API
 * answered, *ret_details, if not NULL, is its whole error object or NULL; the caller frees it. */
int client_call(struct client *c, const struct call *call, struct doc **ret_doc, struct call_head *ret_head,
                struct doc **ret_details, struct err *e);

/* GET, parsed. */
int client_get(struct client *c, const char *path, struct doc **ret, struct err *e);

/* Appends text to a URL, percent-encoded; "/" stays with keep_slash. */
void url_encode(struct buf *to, const char *s, size_t len, bool keep_slash);
/* Appends "?name=value", or "&…" where there is a query already. A NULL value appends nothing. */
void url_query(struct buf *to, const char *name, const char *value);

#endif
