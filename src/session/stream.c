/* Streams: the ring's consumer side.
 *
 *	        data in the ring          DONE / ERROR / worker gone (pending.done)
 *	            │                          │
 *	            ▼                          ▼
 *	   data eventfd ◀──────────────── stream_nudge
 *	            │
 *	   stream_read_wait waits for it, or the pump's watch on it calls wake()
 *
 * The end is looked at before the ring: a worker fills the ring first and says DONE afterwards, so DONE and an empty
 * ring together are the end.
 */
#include "session/internal.h"

#include "base/crc32c.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stream {
	struct session *session;         /* reference held */
	struct pending pending;
	struct ring ring;
	uint64_t watch;                  /* of the pump; 0 until stream_on_ready is first used */
	uint64_t bytes;                  /* taken so far */
	uint32_t crc;
	struct err failed;               /* sticky */
	bool ended;
	uint64_t error_entries;
	struct buf lost;                 /* under session.lock: for each entry path, code and message, as in the frame */
	unsigned lost_count;
	_Atomic uint64_t progress_files, progress_bytes, progress_errors;
	_Atomic uint64_t moved_ms;       /* last sign of life */
	pthread_mutex_t wake_lock;
	void (*wake)(void *arg);
	void *wake_arg;
};

void stream_nudge(struct stream *st)
{
	uint64_t one = 1;
	ssize_t n = write(st->ring.data_fd, &one, sizeof(one));
	(void)n;
}

void stream_note_progress(struct stream *st, struct rdr *r)
{
	atomic_store(&st->progress_files, rdr_le64(r));
	atomic_store(&st->progress_bytes, rdr_le64(r));
	atomic_store(&st->progress_errors, rdr_le64(r));
	atomic_store(&st->moved_ms, now_ms());
}

bool stream_note_lost(struct stream *st, struct rdr *r)
{
	char code[STREAM_LOST_CODE_MAX], msg[ERR_MSG_MAX];
	size_t path_len;
	const char *path = wire_get_str(r, WIRE_PATH_MAX, &path_len);
	wire_get_cstr(r, code, sizeof(code));
	wire_get_cstr(r, msg, sizeof(msg));
	if (r->bad || ++st->lost_count > WIRE_LOST_MAX)
		return false;
	wire_make_text(code);
	wire_make_text(msg);
	/* Of very long paths fewer fit; their number is known all the same. */
	if (path_len + sizeof(code) + sizeof(msg) + 12 > st->lost.max - st->lost.len)
		return true;
	wire_put_str(&st->lost, path, path_len);
	wire_put_cstr(&st->lost, code);
	wire_put_cstr(&st->lost, msg);
	return true;
}

void stream_lost(struct stream *st, struct buf *to)
{
	pthread_mutex_lock(&st->session->lock);
	buf_add(to, st->lost.data, st->lost.len);
	pthread_mutex_unlock(&st->session->lock);
}

bool stream_lost_next(struct rdr *r, struct stream_lost_entry *ret)
{
	if (r->bad || rdr_left(r) == 0)
		return false;
	ret->path = wire_get_str(r, WIRE_PATH_MAX, &ret->path_len);
	wire_get_cstr(r, ret->code, sizeof(ret->code));
	wire_get_cstr(r, ret->msg, sizeof(ret->msg));
	return !r->bad;
}

struct stream_progress stream_progress(struct stream *st)
{
	return (struct stream_progress){
		.files = atomic_load(&st->progress_files),
		.bytes = atomic_load(&st->progress_bytes),
		.errors = atomic_load(&st->progress_errors),
	};
}

uint64_t stream_error_entries(struct stream *st)
{
	return st->error_entries;
}

void stream_wake(struct stream *st)
{
	pthread_mutex_lock(&st->wake_lock);
	void (*wake)(void *) = st->wake;
	void *arg = st->wake_arg;
	st->wake = NULL;
	pthread_mutex_unlock(&st->wake_lock);
	/* The last touch: whoever is woken may close the stream at once. */
	if (wake)
		wake(arg);
}

static void stalled(struct stream *st)
{
	session_fail(st->session, ERR_TIMEOUT, "the worker reading this backup gave no data for %u seconds and was stopped",
	             st->session->stall_timeout_ms / 1000);
}

void stream_check_stall(struct stream *st, uint64_t now)
{
	pthread_mutex_lock(&st->wake_lock);
	bool waiting = st->wake != NULL;
	pthread_mutex_unlock(&st->wake_lock);
	pthread_mutex_lock(&st->session->lock);
	bool done = st->pending.done;
	pthread_mutex_unlock(&st->session->lock);
	uint64_t moved = atomic_load(&st->moved_ms);
	/* Its end has rung the bell; but the bell is the worker's, too, and a hostile one takes the ring away. */
	if (waiting && done)
		stream_wake(st);
	else if (waiting && now > moved && now - moved > st->session->stall_timeout_ms)
		stalled(st);
}

/* --- begin ---------------------------------------------------------------------------------------- */

static void stream_free(struct stream *st)
{
	if (!st)
		return;
	ring_release(&st->ring);
	buf_free(&st->pending.answer);
	buf_free(&st->lost);
	session_unref(st->session);
	(void)pthread_mutex_destroy(&st->wake_lock);
	free(st);
}

int stream_begin(struct session *s, struct buf *b, int extra, struct stream **ret, struct err *e)
{
	struct stream *st = calloc(1, sizeof(*st));
	if (!st)
		return err_no_memory(e, "session");
	st->ring = RING_NONE;
	st->session = session_ref(s);
	st->pending = (struct pending){.answer = BUF_INIT(WIRE_FRAME_MAX), .stream = st};
	st->lost = BUF_INIT(STREAM_LOST_BYTES_MAX);
	(void)pthread_mutex_init(&st->wake_lock, NULL);
	atomic_store(&st->moved_ms, now_ms());
	int r = ring_create(&st->ring, e);
	if (r == 0) {
		int fds[WIRE_FDS_MAX];
		unsigned n = 0;
		if (extra >= 0)
			fds[n++] = extra;
		fds[n++] = st->ring.memfd;
		fds[n++] = st->ring.data_fd;
		fds[n++] = st->ring.space_fd;
		r = session_submit(s, &st->pending, b, fds, n, e);
	}
	if (r < 0) {
		stream_free(st);
		return r;
	}
	*ret = st;
	return 0;
}

int session_list(struct session *s, struct session_path at, const struct session_list_options *opt,
                 struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LIST, 0);
	wire_put_u32(&b, at.volume);
	wire_put_u8(&b, (uint8_t)opt->sort);
	wire_put_u8(&b, (uint8_t)((opt->descending ? WIRE_LIST_DESCENDING : 0) | (opt->below ? WIRE_LIST_BELOW : 0)));
	wire_put_u64(&b, opt->first);
	wire_put_u64(&b, opt->limit);
	wire_put_str(&b, at.path, at.len);
	return stream_begin(s, &b, -1, ret, e);
}

int session_read(struct session *s, struct session_path at, const char *name, uint64_t off, uint64_t len,
                 struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_READ, 0);
	wire_put_u32(&b, at.volume);
	wire_put_u64(&b, off);
	wire_put_u64(&b, len);
	wire_put_cstr(&b, name ? name : "");
	wire_put_str(&b, at.path, at.len);
	return stream_begin(s, &b, -1, ret, e);
}

int session_dump(struct session *s, uint32_t volume, struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_DUMP, 0);
	wire_put_u32(&b, volume);
	return stream_begin(s, &b, -1, ret, e);
}

int session_archive(struct session *s, uint32_t volume, const struct session_path *paths, size_t path_count,
                    const char *format, unsigned threads, struct stream **ret, struct err *e)
{
	CLEANUP(fd_close) int fd = session_paths_fd(paths, path_count, e);
	if (fd < 0)
		return fd;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_ARCHIVE, 0);
	wire_put_u32(&b, volume);
	wire_put_cstr(&b, format);
	wire_put_u8(&b, (uint8_t)threads);
	return stream_begin(s, &b, fd, ret, e);
}

int session_manifest(struct session *s, struct session_path at, struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_MANIFEST, 0);
	wire_put_u32(&b, at.volume);
	wire_put_str(&b, at.path, at.len);
	return stream_begin(s, &b, -1, ret, e);
}

int session_search(struct session *s, struct session_path at, const char *query, size_t query_len, uint64_t limit,
                   struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_SEARCH, 0);
	wire_put_u32(&b, at.volume);
	wire_put_u64(&b, limit);
	wire_put_str(&b, query, query_len);
	wire_put_str(&b, at.path, at.len);
	return stream_begin(s, &b, -1, ret, e);
}

/* --- read ----------------------------------------------------------------------------------------- */

static ssize_t stream_break(struct stream *st, struct err *e)
{
	*e = st->failed;
	return e->code;
}

int stream_broken(struct stream *st, struct err *e, const char *what)
{
	if (st->failed.code == 0)
		(void)session_broken(st->session, &st->failed, what);
	return (int)stream_break(st, e);
}

/* The worker said DONE and the ring is empty: does what it counted agree with what came? */
static ssize_t verify_end(struct stream *st, struct err *e)
{
	struct rdr rd = rdr_init(st->pending.answer.data, st->pending.answer.len);
	uint64_t bytes = rdr_le64(&rd);
	uint32_t crc = rdr_le32(&rd);
	st->error_entries = rdr_le64(&rd);
	if (st->pending.type != WIRE_DONE || rd.bad || bytes != st->bytes || crc != st->crc) {
		(void)err_set(&st->failed, ERR_WORKER_PROTOCOL, "session",
		              "the worker was stopped: its stream does not agree with what it says it sent");
		session_fail(st->session, ERR_WORKER_PROTOCOL, "%s", st->failed.msg);
		return stream_break(st, e);
	}
	st->ended = true;
	return STREAM_END;
}

static ssize_t take(struct stream *st, const uint8_t *p, size_t len, void *to, size_t max)
{
	size_t n = min_size(len, max);
	memcpy(to, p, n);
	/* The copy is what counts: the slot may still change under a hostile worker. */
	st->crc = crc32c(st->crc, to, n);
	ring_consume(&st->ring, n);
	st->bytes += n;
	uint64_t now = now_ms();
	atomic_store_explicit(&st->moved_ms, now, memory_order_relaxed);
	atomic_store_explicit(&st->session->last_used_ms, now, memory_order_relaxed);
	return (ssize_t)n;
}

ssize_t stream_read(struct stream *st, void *to, size_t max, struct err *e)
{
	assert(max > 0);
	if (st->failed.code < 0)
		return stream_break(st, e);
	if (st->ended)
		return STREAM_END;

	pthread_mutex_lock(&st->session->lock);
	bool done = st->pending.done;
	pthread_mutex_unlock(&st->session->lock);

	const uint8_t *p;
	size_t len;
	if (ring_peek(&st->ring, &p, &len, &st->failed) < 0) {
		session_fail(st->session, ERR_WORKER_PROTOCOL, "%s", st->failed.msg);
		return stream_break(st, e);
	}
	if (len > 0)
		return take(st, p, len, to, min_size(max, RING_SLOT_SIZE));
	if (!done)
		return STREAM_WAIT;
	if (st->pending.err.code < 0) {
		st->failed = st->pending.err;
		return stream_break(st, e);
	}
	return verify_end(st, e);
}

static void drain_event(struct stream *st)
{
	uint64_t count;
	ssize_t n = read(st->ring.data_fd, &count, sizeof(count));
	(void)n;
}

ssize_t stream_read_wait(struct stream *st, void *to, size_t max, struct err *e)
{
	uint64_t began = now_ms();
	for (;;) {
		ssize_t n = stream_read(st, to, max, e);
		if (n != STREAM_WAIT)
			return n;
		/* Time alone counts: a worker that rings without sending anything is late as well. */
		uint64_t moved = atomic_load(&st->moved_ms);
		uint64_t waited = now_ms() - (moved > began ? moved : began);
		if (waited >= st->session->stall_timeout_ms) {
			stalled(st);
			continue;
		}
		pump_wait_readable(st->ring.data_fd, st->session->stall_timeout_ms - waited);
		drain_event(st);
	}
}

void stream_on_ready(struct stream *st, void (*wake)(void *arg), void *arg)
{
	/* Stale wakes of the event are harmless: the reader finds nothing and waits again. They are cleared here, before
	 * the last look at the ring, so that none that matters is lost. */
	drain_event(st);
	if (!st->watch) {
		struct err e = ERR_INIT;
		st->watch = pump_watch(WATCH_STREAM, st->ring.data_fd, st->session, st, &e);
		if (!st->watch) {
			st->failed = e;
			wake(arg);
			return;
		}
	}
	pthread_mutex_lock(&st->wake_lock);
	st->wake = wake;
	st->wake_arg = arg;
	pthread_mutex_unlock(&st->wake_lock);

	/* What came between the reader's look and drain_event has lost its event: look again. What comes from here on
	 * fires the watch as soon as it is armed, which is the last touch: the woken reader may be another thread. */
	const uint8_t *p;
	size_t len;
	pthread_mutex_lock(&st->session->lock);
	bool done = st->pending.done;
	pthread_mutex_unlock(&st->session->lock);
	struct err e = ERR_INIT;
	if (done || ring_peek(&st->ring, &p, &len, &e) < 0 || len > 0)
		stream_wake(st);
	else
		pump_arm(st->watch, st->ring.data_fd);
}

void stream_close(struct stream *st)
{
	if (!st)
		return;
	if (st->watch)
		pump_unwatch(st->watch, st->ring.data_fd);
	session_cancel(st->session, &st->pending);
	stream_free(st);
}
