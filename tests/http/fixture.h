/* A server with routes that show what the library does, and a client of raw sockets. */
#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include "http/http.h"

#include <stdatomic.h>

extern struct http_server *server;

/* What the server told of requests that ended. */
extern atomic_int done_count, done_incomplete, streams_open, closed_incomplete;
/* While set, GET /slow blocks. */
extern atomic_bool hold_slow;

/* Starts the server on a free port of 127.0.0.1 with these settings (routes and hooks are filled in). */
void fixture_start(struct http_config config);
void fixture_stop(void);

int client_connect(void);
int client_connect_to(const char *host, unsigned port);
void client_send(int fd, const void *data, size_t len);
void client_sends(int fd, const char *text);
/* All that comes until the other side closes. malloc'ed, NUL-terminated. *ret_reset: the connection broke. */
char *client_read_all(int fd, size_t *ret_len, bool *ret_reset);
/* One request on a new connection, which it closes; text must say Connection: close. */
char *client_ask(const char *text, size_t *ret_len);
unsigned status_of(const char *response);
const char *body_of(const char *response);
/* The value of a header as malloc'ed text, NULL: not there. */
char *header_of(const char *response, const char *name);

/* Waits until cond holds, at most 20 seconds (a bound on failure, not a measurement). */
#define wait_until(cond)                                                                           \
	do {                                                                                       \
		for (int waits_ = 0; !(cond) && waits_ < 2000; waits_++)                           \
			usleep(10000);                                                             \
		assert_true(cond);                                                                 \
	} while (0)

#endif
