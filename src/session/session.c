#include "session/internal.h"
#include "session/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CALL_TIMEOUT_MS = 30000,
	OPEN_TIMEOUT_MS = 60000,
	STALL_TIMEOUT_MS = 60000,
	REAP_WAIT_MS = 5000,
	DEATH_NOTE_MS = 500,          /* how long the exit status may come later than the end of the socket */
	DEATH_WAIT_MS = 3000,         /* until then the pump, which looks once a second, has said why a worker is gone */
	FRAMES_A_TURN = 64,           /* of one session before the pump looks at the others */
};

/* --- lifetime ------------------------------------------------------------------------------------- */

struct session *session_ref(struct session *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void session_unref(struct session *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	if (s->sock >= 0)
		(void)close(s->sock);
	if (s->pidfd >= 0)
		(void)close(s->pidfd);
	while (s->leftovers) {
		struct leftover *l = s->leftovers;
		s->leftovers = l->next;
		free(l);
	}
	for (unsigned i = 0; i < WIRE_DISKS_MAX; i++)
		free(s->missing[i]);
	while (s->helpers) {
		struct image_helper *h = s->helpers;
		s->helpers = h->next;
		image_helper_free(h);
	}
	session_free_files(s);
	buf_free(&s->hello.answer);
	free(s->keyhelper);
	free(s->imagehelper);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static void deadline_after(struct timespec *ret, unsigned ms)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ret);
	ret->tv_sec += ms / 1000;
	ret->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ret->tv_nsec >= 1000000000) {
		ret->tv_sec++;
		ret->tv_nsec -= 1000000000;
	}
}

static bool try_reap(struct session *s)
{
	if (s->reaped)
		return true;
	int status = 0;
	if (waitpid(s->pid, &status, WNOHANG) == 0)
		return false;
	s->reaped = true;
	s->exit_status = status;
	pthread_cond_broadcast(&s->changed);
	return true;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	session_fail(s, ERR_CANCELLED, "the session was closed");
	/* Killed: its end is a matter of moments, unless it hangs in the kernel (a dead network mount): the pump reaps it
	 * then. */
	struct pollfd p = {.fd = s->pidfd, .events = POLLIN};
	(void)poll(&p, 1, REAP_WAIT_MS);
	pthread_mutex_lock(&s->lock);
	(void)try_reap(s);
	pthread_mutex_unlock(&s->lock);
	session_unref(s);
}

pid_t session_pid(const struct session *s)
{
	return s->pid;
}

bool session_alive(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	bool alive = !s->dead;
	pthread_mutex_unlock(&s->lock);
	return alive;
}

uint64_t session_idle_ms(struct session *s)
{
	return now_ms() - atomic_load(&s->last_used_ms);
}

/* --- the pump's side ------------------------------------------------------------------------------ */

static void fail_locked(struct session *s, int code, const char *msg)
{
	if (s->dead)
		return;
	s->dead = true;
	(void)err_set(&s->why, code, "session", "%s", msg);
	/* Only try_reap() reaps, under this lock: until then the number is this worker's. */
	if (!s->reaped)
		(void)kill(s->pid, SIGKILL);
	session_kill_helpers_locked(s);
	for (struct pending *p = s->pending; p; p = p->next) {
		if (p->done)
			continue;
		p->done = true;
		p->err = s->why;
		if (p->stream)
			stream_nudge(p->stream);
	}
	pthread_cond_broadcast(&s->changed);
}

void session_fail(struct session *s, int code, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&s->lock);
	fail_locked(s, code, msg);
	pthread_mutex_unlock(&s->lock);
}

bool session_signal_from_outside(int number)
{
	return number == SIGKILL || number == SIGTERM;
}

/* Says how the worker ended, for people. */
static void describe_death(struct session *s, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		session_fail(s, ERR_WORKER_DIED,
		             "the worker reading this backup was stopped by its sandbox; the image may be hostile");
	else if (WIFSIGNALED(status))
		session_fail(s, ERR_WORKER_DIED, "the worker reading this backup was ended by signal %d (%s); try again",
		             WTERMSIG(status), sigdescr_np(WTERMSIG(status)) ? sigdescr_np(WTERMSIG(status)) : "unknown");
	else
		session_fail(s, ERR_WORKER_DIED, "the worker reading this backup ended with status %d; try again",
		             WEXITSTATUS(status));
}

/* A worker's socket closes before its exit status can be had, on a busy machine long before. The pump must not wait for
 * that: others need it. */
void session_reap(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	bool ended = try_reap(s) && s->closed_ms != 0;
	int status = s->exit_status;
	if (ended && !s->dead)           /* given up by us, it ends by SIGKILL, too */
		s->killed = WIFSIGNALED(status) && session_signal_from_outside(WTERMSIG(status));
	pthread_mutex_unlock(&s->lock);
	if (ended)
		describe_death(s, status);
}

static void socket_closed(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	s->closed_ms = now_ms();
	pthread_mutex_unlock(&s->lock);
	session_reap(s);
}

void session_check_closed(struct session *s, uint64_t now)
{
	pthread_mutex_lock(&s->lock);
	if (s->closed_ms != 0 && now > s->closed_ms + DEATH_NOTE_MS)
		fail_locked(s, ERR_WORKER_DIED, "the worker reading this backup closed its connection");
	pthread_mutex_unlock(&s->lock);
}

/* An answer to a request whose caller has left. False: there is no such request. */
static bool drop_leftover_locked(struct session *s, const struct wire_frame *f)
{
	struct leftover **at = &s->leftovers;
	while (*at && (*at)->request != f->request)
		at = &(*at)->next;
	struct leftover *l = *at;
	if (l && f->type != WIRE_PROGRESS && f->type != WIRE_LOST) {
		*at = l->next;
		free(l);
	}
	return l != NULL;
}

/* Hands a frame to the request it answers. */
static void deliver_locked(struct session *s, struct wire_frame *f)
{
	struct pending *p = s->pending;
	while (p && p->request != f->request)
		p = p->next;
	if (!p && drop_leftover_locked(s, f))
		return;
	bool on_the_way = f->type == WIRE_PROGRESS || f->type == WIRE_LOST;
	if (!p || p->done || (on_the_way && !p->stream)) {
		fail_locked(s, ERR_WORKER_PROTOCOL, "the worker was stopped: it answered what nobody asked");
		return;
	}
	if (f->type == WIRE_PROGRESS) {
		stream_note_progress(p->stream, &f->payload);
		return;
	}
	if (f->type == WIRE_LOST) {
		if (!stream_note_lost(p->stream, &f->payload))
			fail_locked(s, ERR_WORKER_PROTOCOL, "the worker was stopped: it named a lost entry in a wrong way");
		return;
	}
	p->done = true;
	p->type = f->type;
	if (f->type == WIRE_ERROR) {
		(void)wire_get_error(&f->payload, &p->err);
	} else {
		buf_reset(&p->answer);
		buf_add(&p->answer, f->payload.p, f->payload.len);
		if (p->answer.failed)
			(void)err_no_memory(&p->err, "session");
	}
	if (s->phase == WIRE_PHASE_HELLO && f->type == WIRE_READY)
		s->phase = WIRE_PHASE_CONFIG;
	if (f->type == WIRE_OPENED)
		s->phase = WIRE_PHASE_SERVING;
	if (p->stream)
		stream_nudge(p->stream);
	pthread_cond_broadcast(&s->changed);
}

bool session_receive(struct session *s)
{
	static uint8_t buf[WIRE_FRAME_MAX];      /* the pump is one thread */
	for (unsigned i = 0; i < FRAMES_A_TURN; i++) {
		struct wire_frame f;
		struct err e = ERR_INIT;
		int r = wire_recv(s->sock, WIRE_TO_CLIENT, s->phase, false, buf, &f, &e);
		if (r == WIRE_NOTHING)
			return true;
		if (r == WIRE_FRAME) {
			pthread_mutex_lock(&s->lock);
			bool dead = s->dead;
			if (!dead)
				deliver_locked(s, &f);
			pthread_mutex_unlock(&s->lock);
			wire_frame_close_fds(&f);
			if (!dead)
				continue;
		} else if (r == WIRE_CLOSED) {
			socket_closed(s);
		} else {
			session_fail(s, ERR_WORKER_PROTOCOL, "the worker was stopped: %s", e.msg);
		}
		return false;
	}
	return true;
}

/* --- calls ---------------------------------------------------------------------------------------- */

/* Until something may have changed; false when the time has run out. */
static bool wait_locked(struct session *s, const struct timespec *until)
{
	if (!pump_is_callers())
		return pthread_cond_timedwait(&s->changed, &s->lock, until) == 0;
	uint64_t end = (uint64_t)until->tv_sec * 1000 + (uint64_t)until->tv_nsec / 1000000, now = now_ms();
	if (now >= end)
		return false;
	pthread_mutex_unlock(&s->lock);
	pump_turn(end - now);
	pthread_mutex_lock(&s->lock);
	return true;
}

static void forget_locked(struct session *s, struct pending *p)
{
	struct pending **at = &s->pending;
	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
}

void session_forget(struct session *s, struct pending *p)
{
	pthread_mutex_lock(&s->lock);
	forget_locked(s, p);
	pthread_mutex_unlock(&s->lock);
}

/* A request that could not be sent. Where the worker is gone the pump says in a moment why: a better answer. */
static int submit_failed(struct session *s, struct pending *p, struct err *e)
{
	if (e->code == ERR_TIMEOUT)
		session_fail(s, ERR_TIMEOUT, "the worker reading this backup takes no requests any more and was stopped");
	struct timespec until;
	deadline_after(&until, DEATH_WAIT_MS);
	pthread_mutex_lock(&s->lock);
	forget_locked(s, p);
	while (e->code == ERR_WORKER_DIED && !s->dead && wait_locked(s, &until))
		;
	if (s->dead)
		*e = s->why;
	pthread_mutex_unlock(&s->lock);
	buf_free(&p->answer);            /* a hostile worker may have answered before it was asked */
	return e->code;
}

int session_submit(struct session *s, struct pending *p, struct buf *b, const int *fds, unsigned fd_count,
                   struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->dead) {
		*e = s->why;
		pthread_mutex_unlock(&s->lock);
		return e->code;
	}
	if (++s->last_request == 0)
		s->last_request = 1;
	p->request = s->last_request;
	if (b->len >= WIRE_HEADER)
		put_le32(b->data + 4, p->request);
	p->next = s->pending;
	s->pending = p;
	pthread_mutex_unlock(&s->lock);

	atomic_store(&s->last_used_ms, now_ms());
	int r = wire_send(s->sock, b, fds, fd_count, e);
	return r < 0 ? submit_failed(s, p, e) : 0;
}

void session_cancel(struct session *s, struct pending *p)
{
	struct leftover *l = malloc(sizeof(*l));
	pthread_mutex_lock(&s->lock);
	bool running = !p->done;
	if (running && l) {
		*l = (struct leftover){.next = s->leftovers, .request = p->request, .until_ms = now_ms() + s->stall_timeout_ms};
		s->leftovers = STEAL(l);
	}
	forget_locked(s, p);
	pthread_mutex_unlock(&s->lock);
	free(l);
	if (!running)
		return;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_CANCEL, p->request);
	struct err e = ERR_INIT;
	if (wire_send(s->sock, &b, NULL, 0, &e) == ERR_TIMEOUT)
		session_fail(s, ERR_TIMEOUT, "the worker reading this backup takes no requests any more and was stopped");
}

void session_check_leftovers(struct session *s, uint64_t now)
{
	pthread_mutex_lock(&s->lock);
	bool late = false;
	for (const struct leftover *l = s->leftovers; l; l = l->next)
		late = late || now > l->until_ms;
	if (late)
		fail_locked(s, ERR_TIMEOUT, "the worker reading this backup did not stop when told to and was ended");
	pthread_mutex_unlock(&s->lock);
}


/* False when the time ran out. */
bool session_wait_answer(struct session *s, struct pending *p, unsigned timeout_ms)
{
	struct timespec until;
	deadline_after(&until, timeout_ms);
	pthread_mutex_lock(&s->lock);
	while (!p->done && wait_locked(s, &until))
		;
	bool done = p->done;
	pthread_mutex_unlock(&s->lock);
	return done;
}

int session_broken(struct session *s, struct err *e, const char *what)
{
	(void)err_set(e, ERR_WORKER_PROTOCOL, "session", "the worker was stopped: %s cannot be read", what);
	session_fail(s, ERR_WORKER_PROTOCOL, "%s", e->msg);
	return e->code;
}

/* An answer in p, taken out of the list: success only if it is of the wanted type. */
int session_judge_answer(struct session *s, struct pending *p, enum wire_type want, struct err *e)
{
	if (p->err.code < 0) {
		*e = p->err;
		return e->code;
	}
	if (p->type == want)
		return 0;
	session_fail(s, ERR_WORKER_PROTOCOL, "the worker was stopped: it answered with %s", wire_type_name(p->type));
	return err_set(e, ERR_WORKER_PROTOCOL, "session", "the worker was stopped: it answered with %s",
	               wire_type_name(p->type));
}

int session_end_call(struct session *s, struct pending *p, enum wire_type want, unsigned timeout_ms, struct err *e)
{
	if (!session_wait_answer(s, p, timeout_ms))
		session_fail(s, ERR_TIMEOUT, "the worker reading this backup gave no answer within %u seconds and was stopped",
		             timeout_ms / 1000);
	session_forget(s, p);
	int r = session_judge_answer(s, p, want, e);
	if (r < 0)
		buf_free(&p->answer);
	return r;
}

int session_call(struct session *s, struct buf *b, const int *fds, unsigned fd_count, enum wire_type want,
                 unsigned timeout_ms, struct pending *p, struct err *e)
{
	*p = (struct pending){.answer = BUF_INIT(WIRE_FRAME_MAX)};
	int r = session_submit(s, p, b, fds, fd_count, e);
	return r < 0 ? r : session_end_call(s, p, want, timeout_ms, e);
}

/* --- start ---------------------------------------------------------------------------------------- */

static struct session *session_new(const struct session_options *opt)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	(void)pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->sock = s->pidfd = -1;
	s->phase = WIRE_PHASE_HELLO;
	s->call_timeout_ms = opt->call_timeout_ms ? opt->call_timeout_ms : CALL_TIMEOUT_MS;
	s->open_timeout_ms = opt->open_timeout_ms ? opt->open_timeout_ms : OPEN_TIMEOUT_MS;
	s->stall_timeout_ms = opt->stall_timeout_ms ? opt->stall_timeout_ms : STALL_TIMEOUT_MS;
	s->key_timeout_ms = opt->key_timeout_ms ? opt->key_timeout_ms : KEYHELPER_TIMEOUT_MS;
	atomic_init(&s->last_used_ms, now_ms());
	return s;
}

static int hello(struct session *s, const struct session_options *opt, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_HELLO, 0);
	wire_put_u32(&b, WIRE_VERSION);
	wire_put_u32(&b, (opt->no_sandbox ? WIRE_HELLO_NO_SANDBOX : 0) | (opt->one_thread ? WIRE_HELLO_ONE_THREAD : 0));
	s->hello = (struct pending){.answer = BUF_INIT(WIRE_FRAME_MAX)};
	return session_submit(s, &s->hello, &b, NULL, 0, e);
}

/* A worker that is gone before it was there: something is wrong with the installation, unless somebody killed it. */
static int start_failed(struct session *s, struct err *e)
{
	if (e->code != ERR_WORKER_DIED)
		return e->code;
	pthread_mutex_lock(&s->lock);
	if (!s->killed)
		e->code = ERR_WORKER_START;
	pthread_mutex_unlock(&s->lock);
	return err_prefix(e, "the worker did not start");
}

int session_ready(struct session *s, struct err *e)
{
	if (s->greeted)
		return 0;
	s->greeted = true;
	if (session_end_call(s, &s->hello, WIRE_READY, s->call_timeout_ms, e) < 0)
		return start_failed(s, e);
	struct rdr rd = rdr_init(s->hello.answer.data, s->hello.answer.len);
	uint32_t version = rdr_le32(&rd);
	buf_free(&s->hello.answer);
	if (rd.bad || version != WIRE_VERSION)
		return err_set(e, ERR_WORKER_START, "session",
		               "the worker speaks protocol version %u, this program %d: install both from one build",
		               version, WIRE_VERSION);
	return 0;
}

/* They lie beside the worker. That they are there is asked when they are needed. */
static int find_neighbour(const char *worker, const char *name, char **ret, struct err *e)
{
	const char *slash = strrchr(worker, '/');
	int folder = slash ? (int)(slash - worker) + 1 : 0;
	if (asprintf(ret, "%.*s%s", folder, worker, name) >= 0)
		return 0;
	*ret = NULL;
	return err_no_memory(e, "session");
}

int session_begin(const struct session_options *opt, struct session **ret, struct err *e)
{
	struct session *s = session_new(opt);
	if (!s)
		return err_no_memory(e, "session");
	s->foreign = opt->foreign;
	char worker[PATH_MAX];
	int r = session_find_worker(opt, worker, e);
	if (r == 0)
		r = find_neighbour(worker, "sendense-keyhelper", &s->keyhelper, e);
	if (r == 0)
		r = find_neighbour(worker, "sendense-imagehelper", &s->imagehelper, e);
	if (r == 0)
		r = session_spawn(opt, worker, &s->sock, &s->pid, &s->pidfd, e);
	if (r < 0) {
		session_unref(s);
		return r;
	}
	/* Not before the worker is on its way: a first thread takes its time, too. */
	r = pump_start(opt->one_thread, e);
	if (r == 0)
		s->pid_watch = pump_watch(WATCH_PROCESS, s->pidfd, s, NULL, e);
	if (s->pid_watch)
		s->sock_watch = pump_watch(WATCH_SOCKET, s->sock, s, NULL, e);
	r = s->sock_watch ? hello(s, opt, e) : e->code;
	if (r < 0) {
		r = start_failed(s, e);
		session_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int session_start(const struct session_options *opt, struct session **ret, struct err *e)
{
	struct session *s;
	int r = session_begin(opt, &s, e);
	if (r < 0)
		return r;
	r = session_ready(s, e);
	if (r < 0)
		session_close(s);
	else
		*ret = s;
	return r;
}
