/* The pump: one epoll, and one thread, or none where the program is one thread itself (pump_turn()).
 *
 * An event carries a watch's number, never a pointer: the thread looks the number up under the lock, so an
 * event that was already on its way when its watch was removed finds nothing. A stream's watch is handled under a lock
 * of its own (`dispatch`), which pump_unwatch takes too: after it returns no wake is running.
 */
#include "session/internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS = 1000,
	EVENTS = 64,
	BUCKETS = 1024,
};

struct watch {
	struct watch *next;
	uint64_t number;
	enum watch_kind kind;
	int fd;
	struct session *session;
	struct stream *stream;
};

static struct {
	pthread_mutex_t lock;            /* the table */
	pthread_mutex_t dispatch;        /* held while a stream's watch is handled */
	struct watch *buckets[BUCKETS];
	uint64_t last;
	int epoll;
	bool running;
	bool callers;                    /* no thread */
	uint64_t next_tick;
} pump = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.dispatch = PTHREAD_MUTEX_INITIALIZER,
	.epoll = -1,
};

uint64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct watch **find(uint64_t number)
{
	struct watch **w = &pump.buckets[number % BUCKETS];
	while (*w && (*w)->number != number)
		w = &(*w)->next;
	return w;
}

static void drop_watch(uint64_t number, int fd)
{
	pthread_mutex_lock(&pump.lock);
	struct watch **at = find(number);
	struct watch *w = *at;
	if (w) {
		*at = w->next;
		(void)epoll_ctl(pump.epoll, EPOLL_CTL_DEL, fd, NULL);
	}
	pthread_mutex_unlock(&pump.lock);
	if (w && w->kind != WATCH_STREAM)
		session_unref(w->session);
	free(w);
}

/* A copy of the watch with a reference on its session, so that it can be handled without the lock. */
static bool look_up(uint64_t number, struct watch *ret)
{
	pthread_mutex_lock(&pump.lock);
	struct watch *w = *find(number);
	if (w) {
		*ret = *w;
		(void)session_ref(w->session);
	}
	pthread_mutex_unlock(&pump.lock);
	return w != NULL;
}

static void handle_stream(uint64_t number)
{
	struct watch w;
	pthread_mutex_lock(&pump.dispatch);
	bool found = look_up(number, &w);
	if (found)
		stream_wake(w.stream);
	pthread_mutex_unlock(&pump.dispatch);
	if (found)
		session_unref(w.session);
}

static void handle(uint64_t number)
{
	struct watch w;
	if (!look_up(number, &w))
		return;
	if (w.kind == WATCH_SOCKET && !session_receive(w.session)) {
		drop_watch(number, w.session->sock);
	} else if (w.kind == WATCH_PROCESS) {
		session_reap(w.session);
		drop_watch(number, w.session->pidfd);
	} else if (w.kind == WATCH_HELPER) {
		session_helper_ended(w.session, w.fd);
		drop_watch(number, w.fd);
	}
	session_unref(w.session);
	if (w.kind == WATCH_STREAM)
		handle_stream(number);
}

/* The watch of a bucket that comes next behind number `after`, with a reference on its session. */
static bool next_watch(unsigned bucket, uint64_t after, struct watch *ret)
{
	pthread_mutex_lock(&pump.lock);
	const struct watch *best = NULL;
	for (const struct watch *w = pump.buckets[bucket]; w; w = w->next)
		if (w->number > after && (!best || w->number < best->number))
			best = w;
	if (best) {
		*ret = *best;
		(void)session_ref(best->session);
	}
	pthread_mutex_unlock(&pump.lock);
	return best != NULL;
}

/* Once a second: streams that wait too long, workers that do not end what was cancelled. */
static void check_late(void)
{
	uint64_t now = now_ms();
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct watch w = {.number = 0};
		pthread_mutex_lock(&pump.dispatch);
		while (next_watch(i, w.number, &w)) {
			if (w.kind == WATCH_STREAM)
				stream_check_stall(w.stream, now);
			else if (w.kind == WATCH_SOCKET)
				session_check_leftovers(w.session, now);
			else if (w.kind == WATCH_PROCESS)
				session_check_closed(w.session, now);
			session_unref(w.session);
		}
		pthread_mutex_unlock(&pump.dispatch);
	}
}

void pump_turn(uint64_t ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(pump.epoll, events, EVENTS, ms < TICK_MS ? (int)ms : TICK_MS);
	for (int i = 0; i < n; i++)
		handle(events[i].data.u64);
	if (now_ms() >= pump.next_tick) {
		check_late();
		pump.next_tick = now_ms() + TICK_MS;
	}
}

void pump_wait_readable(int fd, uint64_t ms)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = pump.epoll, .events = POLLIN}};
	(void)poll(p, pump.callers ? 2 : 1, ms < TICK_MS ? (int)ms : TICK_MS);
	if (pump.callers)
		pump_turn(0);
}

bool pump_is_callers(void)
{
	return pump.callers;
}

static void *pump_main(void *arg)
{
	(void)arg;
	for (;;)
		pump_turn(TICK_MS);
	return NULL;
}

static int start_thread(struct err *e)
{
	int r = session_thread(pump_main, NULL);
	return r == 0 ? 0 : err_set_errno(e, ERR_NO_MEMORY, r, "session", "cannot start the session thread");
}

static int start_locked(bool callers, struct err *e)
{
	pump.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pump.epoll < 0)
		return err_set_errno(e, ERR_INTERNAL, errno, "session", "cannot make an epoll");
	pump.callers = callers;
	pump.next_tick = now_ms() + TICK_MS;
	int r = callers ? 0 : start_thread(e);
	if (r < 0)
		(void)close(pump.epoll);
	else
		pump.running = true;
	return r;
}

int pump_start(bool callers, struct err *e)
{
	pthread_mutex_lock(&pump.lock);
	int r = pump.running ? 0 : start_locked(callers, e);
	assert(r < 0 || pump.callers == callers);
	pthread_mutex_unlock(&pump.lock);
	return r;
}

uint64_t pump_watch(enum watch_kind kind, int fd, struct session *s, struct stream *st, struct err *e)
{
	struct watch *w = malloc(sizeof(*w));
	if (!w) {
		(void)err_no_memory(e, "session");
		return 0;
	}
	*w = (struct watch){.kind = kind, .fd = fd, .session = s, .stream = st};
	if (kind != WATCH_STREAM)
		(void)session_ref(s);
	pthread_mutex_lock(&pump.lock);
	w->number = ++pump.last;
	w->next = pump.buckets[w->number % BUCKETS];
	pump.buckets[w->number % BUCKETS] = w;
	uint64_t number = w->number;
	/* A stream's descriptor starts disarmed. */
	struct epoll_event ev = {.events = kind == WATCH_STREAM ? 0 : EPOLLIN, .data.u64 = number};
	int r = epoll_ctl(pump.epoll, EPOLL_CTL_ADD, fd, &ev);
	int errnum = errno;
	pthread_mutex_unlock(&pump.lock);
	if (r < 0) {
		drop_watch(number, fd);
		(void)err_set_errno(e, ERR_INTERNAL, errnum, "session", "cannot watch a worker");
		return 0;
	}
	return number;
}

void pump_arm(uint64_t watch, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = watch};
	(void)epoll_ctl(pump.epoll, EPOLL_CTL_MOD, fd, &ev);
}

void pump_unwatch(uint64_t watch, int fd)
{
	drop_watch(watch, fd);
	pthread_mutex_lock(&pump.dispatch);
	pthread_mutex_unlock(&pump.dispatch);
}
