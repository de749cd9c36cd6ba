/* What the files of this library share. docs/http.md has the picture; the states of a request:
 *
 *	RECEIVING ─▶ JOB (connection suspended) ─▶ READY ─▶ SENDING ⇄ WAITING (connection suspended) ─▶ freed
 *	        └──────── inline routes, errors ───────▲
 *
 * A connection is suspended only inside a callback of libmicrohttpd, and resumed exactly once for it: by whoever turns
 * `suspended` from true to false (request_wake). Suspending comes first, arranging the wake second, so no wake is lost. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "http/http.h"
#include "http/jobs.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	METHOD_MAX = 16,
	WATCH_MS = 500,                    /* how often the watcher looks */
	STREAM_BLOCK = 128 << 10,          /* bytes read at once from a body, at most … */
	STREAM_PIECE_MIN = 16 << 10,
	STREAM_ROUND = 1 << 20,            /* … and of all bodies of a network thread, before it looks who else wants something */
	DISCARD_MAX = 8,                   /* a body this many times over its ceiling is not read to its end */
};

struct http_pair {
	struct http_text name, value;
};

struct http_header_out {
	char *name, *value;
};

enum body_kind { BODY_NONE, BODY_BUFFER, BODY_STATIC, BODY_STREAM };

struct http_response {
	unsigned status;
	const char *type;
	struct http_header_out headers[HTTP_HEADERS_MAX];
	unsigned header_count;
	bool failed;                       /* no memory for a header */

	enum body_kind kind;
	struct buf buf;
	struct json json;
	const void *data;
	size_t data_len;
	const struct http_body_ops *ops;
	void *arg;
	uint64_t length;

	/* While it is sent; network thread only. */
	uint64_t sent;
	uint8_t held_byte;
	bool held;                         /* the last byte waits for read to return 0 */
	bool ended;                        /* read returned 0 */
};

enum request_stage { STAGE_RECEIVING, STAGE_JOB, STAGE_READY, STAGE_SENDING };

struct http_request {
	struct job job;
	struct http_server *server;
	struct http_conn *conn;
	struct MHD_Connection *mhd;
	char *target;                      /* as sent */
	char method[METHOD_MAX];
	bool head, http10, begun, counted, too_large;
	bool streams;                      /* counted in server->streams */
	struct buf body;
	size_t discarded;

	struct buf arena;                  /* all decoded text; reserved whole, so that it never moves */
	struct http_text path;
	struct http_pair query[HTTP_QUERY_MAX];
	unsigned query_count;
	const struct http_route *route;
	struct http_pair params[HTTP_PARAMS_MAX];
	unsigned param_count;

	void *user;
	void (*user_free)(void *);
	struct http_response resp;

	atomic_int stage;
	atomic_bool suspended;
	atomic_bool gone;                  /* the watcher found the client gone */
	_Atomic uint64_t suspended_at;
	uint64_t half_closed_at;           /* watcher only; 0: not */
};

/* One TCP connection. Listed in the server; guarded by its lock but for what never changes. */
struct http_conn {
	struct http_conn *prev, *next;
	struct http_server *server;
	int fd;
	char peer[INET6_ADDRSTRLEN];
	uint64_t since;                    /* it began, or its last response ended */
	struct http_request *req;
	uint64_t looked_at;                /* while it sends a request: whether it has closed its half … */
	bool half_closed;                  /* … and what was seen */
	bool cut;                          /* shut down for being too slow, or gone */
};

struct http_server {
	struct http_config config;
	struct MHD_Daemon *daemon;
	struct jobs *jobs;
	int listen_fd;
	bool own_listen;
	bool tls;
	unsigned port;
	char *cert, *key;

	pthread_mutex_t lock;
	pthread_cond_t drained;            /* active fell to 0 */
	pthread_cond_t tick;               /* quit was set; the watcher waits here */
	struct http_conn *conns;
	unsigned conn_count;
	unsigned active;                   /* requests from dispatch to their end */
	bool stopping;
	bool quit;                         /* the watcher ends */
	atomic_bool aborting;              /* bodies fail */
	atomic_uint streams;               /* bodies being sent that are read piece by piece */
	pthread_t watcher;
};

/* request.c */
struct http_request *request_new(struct http_server *s, const char *target);
void request_free(struct http_request *r);
/* Decodes path and query. 0, or the HTTP status of the refusal and why. */
unsigned request_parse(struct http_request *r, const char **ret_why);
/* Decodes [s, s + len) into the arena, with a NUL behind. False: a bad percent sign. */
bool request_decode(struct http_request *r, const char *s, size_t len, bool plus, struct http_text *ret);
/* The path of the target, still encoded. */
const char *request_raw_path(const struct http_request *r, size_t *ret_len);
/* Resumes the connection if it is suspended and nobody did yet. */
void request_wake(struct http_request *r);

/* router.c: fills route and params, or makes the error. */
bool route_request(struct http_request *r);

/* response.c */
void response_init(struct http_response *resp);
void response_release(struct http_response *resp, bool completed);
void response_drop_body(struct http_response *resp);

/* body.c: hands the response to libmicrohttpd. */
enum MHD_Result response_queue(struct http_request *r);

/* listen.c */
int listen_open(const char *address, int *ret_fd, unsigned *ret_port, struct err *e);
int listen_adopt(int fd, unsigned *ret_port, struct err *e);
char *read_pem(const char *path, const char *what, struct err *e);

/* watch.c */
void *watch_main(void *server);

#endif
