/* The watcher: a thread that looks twice a second at what libmicrohttpd does not: clients that vanish while their
 * connection is suspended or in the middle of a request, and clients that take too long to send one. It holds the server's lock while it looks:
 * a listed connection's descriptor is open, since it is unlisted, under the lock, before it is closed. */
#include "http/internal.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

/* A body waits: has its client gone, or is a tick due? */
static void watch_body(struct http_request *r, int fd, uint64_t now)
{
	uint64_t since = atomic_load(&r->suspended_at);
	if (!atomic_load(&r->suspended) || now < since + WATCH_MS)
		return;
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	if (poll(&p, 1, 0) > 0) {
		bool reset = p.revents & (POLLHUP | POLLERR | POLLNVAL);
		if (r->half_closed_at == 0)
			r->half_closed_at = now;
		uint64_t from = since > r->half_closed_at ? since : r->half_closed_at;
		if (reset || now >= from + HTTP_HALF_CLOSED_MS) {
			atomic_store(&r->gone, true);
			request_wake(r);
			return;
		}
	}
	unsigned tick = r->resp.ops->tick_ms;
	if (tick > 0 && now >= since + tick)
		request_wake(r);
}

/* libmicrohttpd overlooks a FIN that comes together with data; the connection would wait for its idle time-out. Its request is
 * given the time to come to its end if all of it is there. */
static bool sender_is_gone(struct http_conn *c, uint64_t now)
{
	if (now < c->looked_at + HTTP_HALF_CLOSED_MS)
		return false;
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
	bool was = c->half_closed && c->since < c->looked_at;
	c->looked_at = now;
	c->half_closed = poll(&p, 1, 0) > 0;
	return was && c->half_closed;
}

static void watch_conn(struct http_server *s, struct http_conn *c, uint64_t now)
{
	struct http_request *r = c->req;
	int stage = r ? atomic_load(&r->stage) : STAGE_RECEIVING;
	if (stage == STAGE_SENDING)
		watch_body(r, c->fd, now);
	if (stage != STAGE_RECEIVING || c->cut)
		return;
	uint64_t limit = (uint64_t)(s->config.idle_seconds + s->config.request_seconds) * 1000;
	if (now >= c->since + limit || sender_is_gone(c, now)) {
		c->cut = true;
		(void)shutdown(c->fd, SHUT_RDWR);
	}
}

void *watch_main(void *server)
{
	struct http_server *s = server;
	(void)pthread_mutex_lock(&s->lock);
	while (!s->quit) {
		struct timespec until;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WATCH_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&s->tick, &s->lock, &until);
		uint64_t now = clock_mono_ms();
		for (struct http_conn *c = s->conns; c && !s->quit; c = c->next)
			watch_conn(s, c, now);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}
