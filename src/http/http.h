/* http: a small HTTP/1.1 server library around libmicrohttpd. docs/http.md tells how it works inside.
 *
 *	request ─▶ route ─▶ before() ─▶ handler() in a job thread ─▶ finish() ─▶ response, body ─▶ done()
 *
 * A handler is straight-line blocking code: it reads the request, fills the response, returns. A body that is large or
 * not there yet is a stream (struct http_body_ops): it is read after the handler returned, without blocking.
 *
 * Threads: a request and its response belong to the handler's thread until the handler returns. Body callbacks come
 * from network threads, one at a time for a body. Server functions: any thread.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_server;
struct http_request;
struct http_response;

enum {
	HTTP_URI_MAX = 16 << 10,           /* bytes of a request target; longer: 414 */
	HTTP_QUERY_MAX = 64,               /* parameters in a query; more: 400 */
	HTTP_PARAMS_MAX = 8,               /* {parameters} in a route */
	HTTP_SEGMENTS_MAX = 64,            /* segments that routes can tell apart; further ones only {name*} takes */
	HTTP_BUFFER_MAX = 256 << 20,       /* bytes of a body made in memory */
	HTTP_HEADERS_MAX = 32,             /* of a response */
	HTTP_JOBS_MAX = 64,                /* handlers that run at once; further ones queue */
	HTTP_HALF_CLOSED_MS = 2000,        /* see http_body_ops */
};

/* Bytes from the client, percent-decoded. NUL-terminated, but NULs may be inside: then strlen(s) != len. */
struct http_text {
	const char *s;
	size_t len;
};

/* --- routes --------------------------------------------------------------------------------------- */

typedef void http_handler(struct http_request *req, struct http_response *resp);

enum {
	HTTP_ROUTE_INLINE = 1 << 0,        /* never blocks: runs in the network thread, without a job */
	HTTP_ROUTE_PUBLIC = 1 << 1,        /* for before(): needs no credentials. From 1 << 8: the caller's own */
};

/* pattern: "/api/v1/restore/{mount_id}/files". A {name} takes one whole, not empty segment; a last {name*} takes the
 * rest of the path, slashes included, maybe nothing. Where several patterns match, the first segment that differs
 * decides: literal before {name} before {name*}. GET answers HEAD too. Other methods on a known path: 405 with Allow;
 * OPTIONS: 204. */
struct http_route {
	const char *method;                /* "GET", "POST", … */
	const char *pattern;
	http_handler *handler;
	unsigned flags;
};

/* --- server --------------------------------------------------------------------------------------- */

struct http_config {
	const char *listen;                /* "127.0.0.1:8082", "[::1]:0", "localhost:80"; port 0: any free one */
	int listen_fd;                     /* a listening socket instead (socket activation), taken over; <= 0: none */
	const char *tls_cert_file;         /* PEM, with the chain; NULL: no TLS */
	const char *tls_key_file;

	const struct http_route *routes;   /* borrowed, as long as the server lives */
	size_t route_count;
	void *arg;                         /* http_request_arg() */

	/* All optional. before: false: the response is made, the handler is not called. Runs where the handler would.
	 * finish: every response, those of this library too, before it is sent (security headers).
	 * done: after the last byte; complete: the client was sent all of it. */
	bool (*before)(struct http_request *req, struct http_response *resp, unsigned route_flags);
	void (*finish)(const struct http_request *req, struct http_response *resp);
	void (*done)(const struct http_request *req, unsigned status, uint64_t body_bytes, bool complete);
	/* The grace time of a stop is over: handlers that would take long are to end now. */
	void (*abort)(void *arg);

	/* 0: the default in brackets. */
	unsigned threads;                  /* network threads [one a CPU, 2 … 8] */
	unsigned jobs_max;                 /* [HTTP_JOBS_MAX] */
	unsigned connections_max;          /* [10000] */
	unsigned connections_per_ip_max;   /* [0: no limit of its own] */
	size_t connection_memory;          /* bytes of a request's head, and the buffer of a chunked body [64 KiB] */
	size_t body_max;                   /* bytes of a request's body; more: 413 [1 MiB] */
	unsigned idle_seconds;             /* without a byte in or out [60] */
	unsigned request_seconds;          /* on top of idle_seconds, for a request to arrive whole [30] */
};

/* Listens and serves when it returns. ERR_CONFIG: the address, certificate or key is unusable, or the port taken. */
int http_server_start(const struct http_config *config, struct http_server **ret, struct err *e);
/* Stops accepting, lets requests and bodies that run end for up to `grace_ms`, then aborts the bodies (a handler is
 * always waited for: config.abort may end it), closes all, frees. NULL is fine. */
void http_server_stop(struct http_server *s, unsigned grace_ms);

/* What it listens on. */
unsigned http_server_port(const struct http_server *s);
bool http_server_tls(const struct http_server *s);
struct http_stats {
	unsigned connections;
	unsigned requests;                 /* from the complete request to the last byte of its answer */
	unsigned jobs;                     /* job threads */
};
struct http_stats http_server_stats(struct http_server *s);

/* Whether "ADDR:PORT" names only this machine. False for what cannot be parsed. */
bool http_address_is_loopback(const char *listen);
enum { HTTP_ADDRESS_MAX = 80 };
/* Where a socket of TCP listens, as such an "ADDR:PORT"; "" for one of another kind. ERR_CONFIG: it is no socket. */
int http_socket_address(int fd, char ret[HTTP_ADDRESS_MAX], struct err *e);

/* --- request -------------------------------------------------------------------------------------- */

void *http_request_arg(const struct http_request *req);            /* config.arg */
const char *http_method(const struct http_request *req);           /* "GET" also for HEAD: see http_is_head */
bool http_is_head(const struct http_request *req);                 /* no body will be sent */
const char *http_raw_target(const struct http_request *req);       /* as sent, query included */
struct http_text http_path(const struct http_request *req);        /* decoded, without the query */
const char *http_peer(const struct http_request *req);             /* "127.0.0.1", "::1" */
bool http_is_tls(const struct http_request *req);
const struct http_route *http_request_route(const struct http_request *req);     /* NULL: none matched */

/* The value of {name}; s == NULL: the route has no such parameter. Never empty but for {name*}. */
struct http_text http_param(const struct http_request *req, const char *name);
/* The first value of a query parameter ('+' is a blank); s == NULL: not given. */
struct http_text http_query(const struct http_request *req, const char *name);
/* The first header of that name, case ignored; NULL: none. */
const char *http_header_in(const struct http_request *req, const char *name);
/* The whole body. */
struct http_text http_body_in(const struct http_request *req);

/* Typed look-ups. ERR_INVALID, with a message that names the parameter: given twice, NUL inside, not such a value. */
int http_query_string(const struct http_request *req, const char *name, const char *fallback, const char **ret,
                      struct err *e);
int http_query_u64(const struct http_request *req, const char *name, uint64_t fallback, uint64_t max, uint64_t *ret,
                   struct err *e);
int http_query_bool(const struct http_request *req, const char *name, bool fallback, bool *ret,
                    struct err *e);        /* true, false, 1, 0 */
/* The parameter as text without NUL inside. */
int http_param_string(const struct http_request *req, const char *name, const char **ret, struct err *e);

/* A pointer of the caller's kept with the request (who is logged in, …), freed with free_fn (may be NULL) at its end. */
void http_request_set_user(struct http_request *req, void *user, void (*free_fn)(void *));
void *http_request_user(const struct http_request *req);

/* --- response -------------------------------------------------------------------------------------
 * Untouched it is 500 with an error body. Functions that set a body replace the former one. */

void http_status(struct http_response *resp, unsigned status);
unsigned http_status_get(const struct http_response *resp);
/* Sets a header (replaces one of that name). Values with control characters are a bug: asserted. */
void http_header(struct http_response *resp, const char *name, const char *value);
void http_headerf(struct http_response *resp, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool http_header_has(const struct http_response *resp, const char *name);

/* An empty buffer to be filled before the handler returns. type: Content-Type, a literal. If it overflows (buf_ok), a
 * 500 is sent in its place. */
struct buf *http_body(struct http_response *resp, unsigned status, const char *type);
/* The same, with a JSON writer onto it, application/json. */
struct json *http_json(struct http_response *resp, unsigned status);
/* Bytes that live as long as the server. */
void http_body_static(struct http_response *resp, unsigned status, const char *type, const void *data, size_t len);
/* {"error": message, "code": code, "details": {}}. code: "UPPER_SNAKE". */
void http_error(struct http_response *resp, unsigned status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, with the details written by the caller: the writer stands inside the object "details"; http_error_end
 * closes it. */
struct json *http_error_begin(struct http_response *resp, unsigned status, const char *code, const char *message);
void http_error_end(struct http_response *resp);

/* A body read as the client takes it.
 *
 * read: > 0 bytes (≤ max); 0 complete; HTTP_BODY_WAIT nothing now; HTTP_BODY_FAILED. Must not block. Not called for a
 *       body of length 0.
 * wait: after HTTP_BODY_WAIT: arranges that wake(wake_arg) is called once when read has something else to say, from any
 *       thread, at once from inside too. May be called again before an earlier wake came: then only the last call
 *       counts. An early or surplus wake does no harm.
 * close: exactly once, also where nothing was ever read (HEAD, a client gone). completed: all of it was handed to the
 *       kernel (HEAD: the head). When close returns, no wake is running and none comes later.
 *
 * A failed body never looks complete: a chunked one lacks its last chunk, of one with a length the last byte is held
 * back until read returned 0. A body that ends before its length, or goes on past it, has failed. HTTP/1.0 clients
 * cannot be told: they get 505 in place of a body of unknown length.
 *
 * A client that vanished is noticed by the next write, and while a body waits by looking at the socket twice a second:
 * closed at once after a reset, HTTP_HALF_CLOSED_MS of waiting after its FIN (which may be a half-close: that client is
 * served on as long as the body has something to say). */
enum {
	HTTP_BODY_WAIT = -1,
	HTTP_BODY_FAILED = -2,
};
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_body_ops {
	ssize_t (*read)(void *arg, void *to, size_t max);
	void (*wait)(void *arg, void (*wake)(void *wake_arg), void *wake_arg);    /* NULL: read never waits */
	void (*close)(void *arg, bool completed);                                 /* NULL: nothing to close */
	unsigned tick_ms;      /* > 0: read is asked again after about so long without a wake (heartbeats), ≥ 500 */
};

void http_body_stream(struct http_response *resp, unsigned status, const char *type, const struct http_body_ops *ops,
                      void *arg, uint64_t length);

/* --- files: conditions and ranges (RFC 9110, 13 and 14) ----------------------------------------------- */

struct http_entity {
	uint64_t size;
	const char *etag;              /* opaque tag without quotes, strong; NULL: none */
	bool weak;
	int64_t modified;              /* seconds since 1970; INT64_MIN: not known */
};

struct http_range {
	uint64_t off, len;
};

/* Sets ETag, Last-Modified, Accept-Ranges and evaluates If-Match, If-Unmodified-Since, If-None-Match,
 * If-Modified-Since, If-Range and Range, in the order of RFC 9110, 13.2.2. True: send *ret of the bytes with the status
 * it has set (200, or 206 with Content-Range). False: the response is made (304, 412, 416). Several ranges in one
 * request, other units and what is no range: the whole is sent, as RFC 9110, 14.2 allows. On a stream's
 * http_body_stream use http_status_get(). */
bool http_conditional(const struct http_request *req, struct http_response *resp, const struct http_entity *entity,
                      struct http_range *ret);

/* Sets Content-Disposition (RFC 6266, RFC 8187). kind: "attachment" or "inline". name: raw bytes; what is not UTF-8 is
 * shown as base/utf8.h says. The plain filename has '_' for what not every client takes. */
void http_disposition(struct http_response *resp, const char *kind, const void *name, size_t len);

/* --- the parsers by themselves (for tests and fuzzing) ------------------------------------------------- */

/* Decodes %XX, and '+' as blank if `plus`. False: a '%' without two hexadecimal digits. Appends to `to`. */
bool http_percent_decode(struct buf *to, const char *s, size_t len, bool plus);
/* Appends, encoding all but RFC 3986 unreserved characters and those in `keep`. */
void http_percent_encode(struct buf *to, const void *s, size_t len, const char *keep);
enum http_range_kind { HTTP_RANGE_NONE, HTTP_RANGE_ONE, HTTP_RANGE_UNSATISFIABLE };
enum http_range_kind http_range_parse(const char *header, uint64_t size, struct http_range *ret);
/* Whether a list of entity tags ("*", "\"a\", W/\"b\"") names the tag. strong: weak ones do not count. */
bool http_etag_matches(const char *list, const struct http_entity *entity, bool strong);
void http_disposition_format(struct buf *to, const char *kind, const void *name, size_t len);

#endif
