/* A rogue worker as its client meets it: the session's own code, with a script in place of the worker, the pump and the clock. The
 * linker puts the functions below in place of what would start processes or wait (fuzz/meson.build): where the client waits, the script
 * goes a step on; where it has ended, an hour has passed.
 *
 * Input: which calls are made (2 bytes: bit 15, that the worker has to greet and open by the script; else CALL_…), then steps (enum step),
 * each with the number of its bytes (2 bytes, little endian). */
#include "session/internal.h"
#include "session/keyhelper.h"
#include "session/view.h"

#include "base/crc32c.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WRAPPED(X) \
	X(pump_start) X(pump_watch) X(pump_unwatch) X(pump_arm) X(now_ms) X(session_find_worker) X(session_spawn) X(image_helper_start) \
	X(image_helper_free) X(image_helper_explain) X(keyhelper_ask) X(pthread_cond_timedwait) X(poll) X(kill) X(waitpid)
#define X(f) __typeof__(f) __wrap_##f, __real_##f;
WRAPPED(X)
#undef X

enum {
	WORKER_PID = 0x7ffffff0,
	HOUR_MS = 3600000,
	TURNS_MAX = 2000,            /* of one input: a client that asks for ever is a find */
	TAKEN_MAX = 4 << 20,
};

enum call {
	CALL_LAYERS, CALL_LAYER, CALL_EXTENT, CALL_ATTACH, CALL_DISK, CALL_VOLUMES, CALL_STAT, CALL_LIST, CALL_READ, CALL_ARCHIVE, CALL_SEARCH,
	CALL_MEASURE, CALL_UNLOCK, CALL_DUMP, CALL_READY_WAKE, CALL_GREET,
};

enum step {
	STEP_ANSWER,                 /* a type (1 byte) and its payload, for the last request */
	STEP_PACKET,                 /* as it is */
	STEP_BYTES,                  /* into the ring, and handed over */
	STEP_DONE,                   /* what went through the ring is all */
	STEP_HEAD, STEP_LEN,         /* a number into the ring's indices */
	STEP_CLOSE,                  /* the worker's end of the socket */
	STEPS,
};

static struct {
	bool active;
	struct rdr script;
	uint64_t clock;
	unsigned turns;
	int sock;                    /* the worker's end; -1 */
	uint32_t request;            /* the last one */
	struct ring ring;            /* of it */
	uint64_t bytes;
	uint32_t crc;
	struct session *session;
} w;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* --- the worker ----------------------------------------------------------------------------------- */

static void take_requests(void)
{
	static uint8_t room[WIRE_FRAME_MAX];
	struct wire_frame f;
	struct err e = ERR_INIT;
	while (w.sock >= 0 && wire_recv(w.sock, WIRE_TO_WORKER, WIRE_PHASE_ANY, false, room, &f, &e) == WIRE_FRAME) {
		if (f.type != WIRE_CANCEL)
			w.request = f.request;
		if (f.fd_count >= 3) {
			int *ring = f.fds + f.fd_count - 3;
			ring_release(&w.ring);
			w.bytes = w.crc = 0;
			/* LAYERS has files instead. */
			if (f.type == WIRE_LAYERS || ring_attach(ring[0], ring[1], ring[2], &w.ring, &e) < 0)
				w.ring = RING_NONE;
			if (f.type != WIRE_LAYERS)
				f.fd_count -= 3;
		}
		wire_frame_close_fds(&f);
	}
}

static void say(unsigned type, const uint8_t *p, size_t len)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, (enum wire_type)type, w.request);
	buf_add(&b, p, len);
	(void)send(w.sock, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void produce(const uint8_t *p, size_t len)
{
	atomic_bool stop = false;
	struct err e = ERR_INIT;
	while (w.ring.map && len > 0) {
		uint8_t *to;
		size_t room;
		/* Full, by what the client has taken: it would wait for ever. */
		if (w.ring.mine - *(_Atomic uint32_t *)(void *)(w.ring.map + 64) >= RING_SLOTS || ring_reserve(&w.ring, &stop, &to, &room, &e) < 0)
			return;
		size_t n = min_size(room, len);
		memcpy(to, p, n);
		w.crc = crc32c(w.crc, p, n);
		w.bytes += n;
		ring_commit(&w.ring, n);
		p += n;
		len -= n;
	}
	if (w.ring.map)
		ring_flush(&w.ring);
}

static void say_done(void)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(64);
	wire_put_u64(&b, w.bytes);
	wire_put_u32(&b, w.crc);
	wire_put_u64(&b, 1);
	say(WIRE_DONE, b.data, b.len);
}

static void poke(size_t at, const uint8_t *p, size_t len)
{
	if (w.ring.map && len >= 4)
		atomic_store((_Atomic uint32_t *)(void *)(w.ring.map + at), get_le32(p));
}

/* The script's next step. False: it has ended. */
static bool act(void)
{
	take_requests();
	if (rdr_left(&w.script) < 3 || w.sock < 0)
		return false;
	enum step step = (enum step)(rdr_u8(&w.script) % STEPS);
	size_t said = rdr_le16(&w.script), len = min_size(said, rdr_left(&w.script));
	const uint8_t *p = rdr_take(&w.script, len);
	switch (step) {
	case STEP_ANSWER:
		if (len > 0)
			say(p[0], p + 1, len - 1);
		break;
	case STEP_PACKET: (void)send(w.sock, p, len, MSG_NOSIGNAL | MSG_DONTWAIT); break;
	case STEP_BYTES: produce(p, len); break;
	case STEP_DONE: say_done(); break;
	case STEP_HEAD: poke(0, p, len); break;
	case STEP_LEN: poke(128, p, len); break;
	default:
		(void)close(w.sock);
		w.sock = -1;
	}
	return true;
}

/* One turn of worker and pump. */
static bool turn(void)
{
	must(++w.turns < TURNS_MAX);
	bool more = act();
	if (!more)
		w.clock += HOUR_MS;
	(void)session_receive(w.session);
	session_check_leftovers(w.session, w.clock);
	session_check_closed(w.session, w.clock);
	return more;
}

/* --- stand-ins ------------------------------------------------------------------------------------ */

int __wrap_pump_start(bool callers, struct err *e)
{
	(void)callers;
	(void)e;
	return 0;
}

uint64_t __wrap_pump_watch(enum watch_kind kind, int fd, struct session *s, struct stream *st, struct err *e)
{
	(void)kind;
	(void)fd;
	(void)st;
	(void)e;
	w.session = s;
	return 1;
}

void __wrap_pump_unwatch(uint64_t watch, int fd)
{
	(void)watch;
	(void)fd;
}

void __wrap_pump_arm(uint64_t watch, int fd)
{
	(void)watch;
	(void)fd;
}

uint64_t __wrap_now_ms(void)
{
	return w.clock;
}

int __wrap_session_find_worker(const struct session_options *opt, char *ret, struct err *e)
{
	(void)opt;
	(void)e;
	memcpy(ret, "/nowhere", sizeof("/nowhere"));
	return 0;
}

int __wrap_session_spawn(const struct session_options *opt, const char *path, int *ret_sock, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
	int pair[2];
	(void)opt;
	(void)path;
	(void)e;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	w.sock = pair[1];
	*ret_sock = pair[0];
	*ret_pid = WORKER_PID;
	*ret_pidfd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

/* qemu-nbd, which says hello and nothing more. */
int __wrap_image_helper_start(struct session *s, const char *format, const char *layers, const int *fds, unsigned count,
                              struct image_helper **ret, int *ret_sock, struct err *e)
{
	int pair[2];
	(void)s;
	(void)e;
	must(count > 0 && fds[0] >= 0 && (!layers || strlen(layers) + 1 == count));
	struct image_helper *h = calloc(1, sizeof(*h));
	must(h && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 && send(pair[1], "N", 1, MSG_NOSIGNAL) == 1);
	*h = (struct image_helper){.pid = WORKER_PID, .pidfd = eventfd(0, EFD_CLOEXEC), .control = pair[1], .log = -1};
	memcpy(h->format, format, strlen(format) + 1);
	*ret = h;
	*ret_sock = pair[0];
	return 0;
}

void __wrap_image_helper_free(struct image_helper *h)
{
	if (!h)
		return;
	(void)close(h->pidfd);
	(void)close(h->control);
	free(h);
}

void __wrap_image_helper_explain(struct image_helper *h, struct err *e)
{
	must(h && e->code < 0);
}

int __wrap_keyhelper_ask(const char *program, unsigned timeout_ms, int header_fd, const struct session_key *secret,
                         uint8_t ret[WIRE_KEY_MAX], size_t *ret_len, struct err *e)
{
	(void)program;
	(void)timeout_ms;
	(void)secret;
	(void)e;
	must(fcntl(header_fd, F_GETFD) >= 0);
	memset(ret, 7, 64);
	*ret_len = 64;
	return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	if (!w.active)
		return __real_pthread_cond_timedwait(c, m, until);
	pthread_mutex_unlock(m);
	bool more = turn();
	pthread_mutex_lock(m);
	return more ? 0 : ETIMEDOUT;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!w.active)
		return __real_poll(fds, n, timeout);
	if (!turn())
		return 0;
	fds[0].revents = fds[0].events;
	return 1;
}

int __wrap_kill(pid_t pid, int sig)
{
	return pid == WORKER_PID ? 0 : __real_kill(pid, sig);
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	return pid == WORKER_PID ? pid : __real_waitpid(pid, status, options);
}

/* --- the client ----------------------------------------------------------------------------------- */

/* What is shown of a thing is JSON. */
static void expect_json(struct buf *out, const struct json *j)
{
	must(json_done(j) && !out->failed && utf8_valid(buf_str(out), out->len));
	buf_reset(out);
}

static void show_entry(const struct wire_entry *en)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
	struct json j = json_init(&out);
	char mode[11];
	view_entry(&j, "/dir", 4, en);
	expect_json(&out, &j);
	j = json_init(&out);
	view_entry(&j, NULL, 0, en);
	expect_json(&out, &j);
	view_mode(mode, en);
}

static void take_entries(struct stream *st, bool head)
{
	struct err e = ERR_INIT;
	CLEANUP(entry_reader_close_p) struct entry_reader *r = NULL;
	struct wire_list_head h;
	struct wire_entry en;
	if (entry_reader_open(st, &r, &e) < 0 || (head && entry_reader_head(r, &h, &e) < 0))
		return;
	while (entry_reader_next_wait(r, &en, &e) == 1)
		show_entry(&en);
	(void)stream_progress(entry_reader_stream(r));
}

static void take_tree(struct session *s, struct session_path at)
{
	struct err e = ERR_INIT;
	CLEANUP(tree_reader_close_p) struct tree_reader *r = NULL;
	struct tree_directory d;
	struct wire_entry en;
	if (tree_reader_open(s, at, &(struct session_list_options){.below = true}, &r, &e) < 0)
		return;
	while (tree_reader_directory(r, &d, &e) == 1) {
		must(d.path[d.len] == '\0' && d.base_len <= d.len && d.why.code <= 0);
		int n;
		while ((n = tree_reader_next(r, &en, &e)) == 1)
			show_entry(&en);
		if (n < 0)
			return;
	}
}

static void take_all(struct stream *st)
{
	static uint8_t to[RING_SLOT_SIZE];
	struct err e = ERR_INIT;
	uint64_t all = 0;
	ssize_t n;
	while ((n = stream_read_wait(st, to, 1000 + w.turns * 500, &e)) > 0 && all < TAKEN_MAX)
		all += (uint64_t)n;
	must(n >= 0 || e.code < 0);
	must(n != STREAM_END || all == w.bytes);
	CLEANUP(buf_free) struct buf lost = BUF_INIT(STREAM_LOST_BYTES_MAX);
	struct stream_lost_entry l;
	stream_lost(st, &lost);
	struct rdr r = rdr_init(lost.data, lost.len);
	while (stream_lost_next(&r, &l))
		must(utf8_valid(l.code, strlen(l.code)) && utf8_valid(l.msg, strlen(l.msg)));
	must(!r.bad && rdr_left(&r) == 0);
	(void)stream_error_entries(st);
	stream_close(st);
}

static void wake(void *arg)
{
	*(bool *)arg = true;
}

static void configure(struct session *s, unsigned calls, int file)
{
	static const char *const formats[] = {"auto", "qcow2", "raw"};
	int fds[] = {file, file, file};
	struct wire_layer layers[3];
	struct wire_extent x;
	struct layers_call *c;
	unsigned taken = 0;
	struct err e = ERR_INIT;
	if (calls & 1U << CALL_LAYERS && session_layers_begin(s, 0, fds, formats, 3, &c, &e) == 0 &&
	    session_layers_end(s, c, layers, &taken, &e) == 0)
		must(taken == 3);
	e = ERR_INIT;
	if (calls & 1U << CALL_LAYER && session_layer(s, 1, file, "qcow2", layers, &e) == 0 && layers[0].has_data_file)
		(void)session_data_file(s, 1, 0, file, &e);
	e = ERR_INIT;
	if (calls & 1U << CALL_EXTENT && session_extent(s, 1, 3, &x, &e) == 0)
		must(!strpbrk(x.name, "/\"\n"));
	e = ERR_INIT;
	if (calls & 1U << CALL_ATTACH)
		(void)session_attach(s, 1, "vmdk", file, &(struct session_extent_file){.extent = {.sectors = 1, .name = "x"}, .fd = file}, 1, layers, &e);
	e = ERR_INIT;
	if (calls & 1U << CALL_DISK)
		(void)session_disk(s, 2, "disk 2", "it is gone", &e);
}

static void show_volumes(struct session *s)
{
	CLEANUP(free_ptr) struct wire_volume *list = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
	unsigned count = 0;
	struct err e = ERR_INIT;
	if (session_volumes(s, &list, &count, &e) < 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct json j = json_init(&out);
		view_volume(&j, &list[i], 1, 2);
		expect_json(&out, &j);
	}
}

static void show_stat(struct session *s, struct session_path at)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(8 << 20);
	struct json j = json_init(&out);
	struct session_stat st;
	struct err e = ERR_INIT;
	if (session_stat(s, at, true, true, &st, &e) < 0)
		return;
	must(st.volume > 0 && st.xattr_count <= SESSION_XATTRS_MAX && st.stream_count <= SESSION_STREAMS_MAX);
	view_stat(&j, at.path, at.len, &st);
	expect_json(&out, &j);
	session_stat_free(&st);
}

static void ask(struct session *s, unsigned calls)
{
	struct session_path at = {.volume = 1, .path = "/dir", .len = 4};
	struct session_measure m;
	struct session_opened opened;
	struct stream *st;
	bool woken = false;
	struct err e = ERR_INIT;
	if (calls & 1U << CALL_VOLUMES)
		show_volumes(s);
	if (calls & 1U << CALL_STAT)
		show_stat(s, at);
	if (calls & 1U << CALL_LIST && session_list(s, at, &(struct session_list_options){.limit = 10}, &st, &e) == 0)
		take_entries(st, true);
	if (calls & 1U << CALL_LIST)
		take_tree(s, at);
	e = ERR_INIT;
	if (calls & 1U << CALL_SEARCH && session_search(s, at, "x", 1, 10, &st, &e) == 0)
		take_entries(st, false);
	e = ERR_INIT;
	if (calls & 1U << CALL_READ && session_read(s, at, NULL, 0, UINT64_MAX, &st, &e) == 0) {
		if (calls & 1U << CALL_READY_WAKE)
			stream_on_ready(st, wake, &woken);
		take_all(st);
	}
	e = ERR_INIT;
	if (calls & 1U << CALL_ARCHIVE && session_archive(s, 1, &at, 1, "zip", 1, &st, &e) == 0)
		take_all(st);
	e = ERR_INIT;
	if (calls & 1U << CALL_DUMP && session_dump(s, 0, &st, &e) == 0)
		take_all(st);
	e = ERR_INIT;
	if (calls & 1U << CALL_MEASURE)
		(void)session_measure(s, 1, &at, 1, 1000, &m, &e);
	for (unsigned again = 0; calls & 1U << CALL_UNLOCK && again < 2; again++) {
		e = ERR_INIT;
		(void)session_unlock(s, 1, &(struct session_key){.kind = SESSION_KEY_PASSPHRASE, .bytes = "x", .len = 1}, &opened, &e);
	}
}

static void run(struct session *s, unsigned calls, int file)
{
	struct session_opened opened = {0};
	struct err e = ERR_INIT;
	if (!(calls & 1U << CALL_GREET)) {
		uint8_t version[4];
		put_le32(version, WIRE_VERSION);
		take_requests();
		say(WIRE_READY, version, sizeof(version));
		(void)session_receive(s);
	}
	if (session_ready(s, &e) < 0)
		return;
	configure(s, calls, file);
	if (calls & 1U << CALL_GREET) {
		if (session_open(s, &opened, &e) < 0)
			return;
		must(opened.warning_count <= SESSION_WARNINGS_MAX && opened.default_volume <= opened.volume_count);
		for (unsigned i = 0; i < SESSION_DISKS_MAX; i++)
			must(!session_missing(s, i) || utf8_valid(session_missing(s, i), strlen(session_missing(s, i))));
	}
	s->phase = WIRE_PHASE_SERVING;
	ask(s, calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session *s;
	struct err e = ERR_INIT;
	if (size < 2)
		return 0;
	w = (__typeof__(w)){.active = true, .script = rdr_init(data + 2, size - 2), .clock = HOUR_MS, .sock = -1, .ring = RING_NONE};
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (session_begin(&(struct session_options){.foreign = true, .log_fd = -1}, &s, &e) == 0) {
		run(s, get_le16(data), file);
		take_requests();
		session_close(s);
	}
	ring_release(&w.ring);
	if (w.sock >= 0)
		(void)close(w.sock);
	(void)close(file);
	w.active = false;
	return 0;
}
