/* A worker as its client's requests meet it: its own code, served in this thread, with a script in place of the client. The linker puts the
 * functions below in place of where the worker waits, sends and runs jobs (fuzz/meson.build): where it waits for a request the script goes
 * on, where it waits for room in a stream its reader does, or another job.
 *
 * Input: how it starts (1 byte, START_…), then requests: which (1 byte), how (1 byte: enum reader in two bits, HOW_…), its
 * payload and what travels with it, each with the number of its bytes (2 bytes, little endian). The latter are the kinds of the files
 * (enum worker_image), a byte each, or of requests with paths what is in the file. make-worker-seeds writes such. */
#include "worker_fuzz.h"

#include "worker/jobs.h"
#include "worker/sandbox.h"

#include "../tests/wire/raw.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WRAPPED(X) \
	X(wire_send) X(jobs_run_here) X(jobs_submit) X(sandbox_enter) X(sandbox_self_test) X(sandbox_end_with_parent)
#define X(f) __typeof__(f) __wrap_##f, __real_##f;
WRAPPED(X)
#undef X
/* Without the C library's remark that it only writes to what it is given. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout), __real_poll(struct pollfd *fds, nfds_t n, int timeout);

enum {
	REQUESTS_MAX = 200,
	TURNS_MAX = 4000,            /* of one input: a worker that waits for ever is a find */
	DEPTH_MAX = 4,
	FILES_LOOKED_AT = 200,
	TAKEN_MAX = 32 << 20,        /* bytes of streams; then their reader goes away */
	ENTRIES_MAX = 1 << 20,       /* of a listing that is looked at */
	START_GREETED = 1, START_OPEN = 2, START_QCOW2 = 4, START_TWO_DISKS = 8, START_SOURCE = 16, START_THREADS = 32,
	HOW_READ = 3, HOW_MORE = 4, HOW_AS_IT_IS = 8, HOW_LOST = 16, HOW_NO_RING = 32,
};

enum reader { READER_TAKES, READER_STALLS, READER_POKES, READER_CLOSES };

static const struct kind {
	enum wire_type type, answer;
	unsigned fds;                /* at least */
} kinds[] = {
	{WIRE_HELLO, WIRE_READY}, {WIRE_LAYERS, WIRE_LAYERS_INFO, 1}, {WIRE_DATA_FILE, WIRE_OK, 1}, {WIRE_OPEN, WIRE_OPENED}, {WIRE_DISK, WIRE_OK},
	{WIRE_EXTENT, WIRE_EXTENT_INFO}, {WIRE_SOURCE, WIRE_LAYER_INFO, 1}, {WIRE_VOLUMES, WIRE_VOLUME_LIST}, {WIRE_STAT, WIRE_STAT_INFO},
	{WIRE_LIST, WIRE_DONE, 3}, {WIRE_READ, WIRE_DONE, 3}, {WIRE_ARCHIVE, WIRE_DONE, 4}, {WIRE_MANIFEST, WIRE_DONE, 3},
	{WIRE_SEARCH, WIRE_DONE, 3}, {WIRE_MEASURE, WIRE_MEASURED, 1}, {WIRE_KEY_AREAS, WIRE_DONE, 3}, {WIRE_UNLOCK, WIRE_UNLOCKED},
	{WIRE_UNLOCK_SOURCE, WIRE_UNLOCKED, 1}, {WIRE_DUMP, WIRE_DONE, 3}, {WIRE_CANCEL},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct asked {
	const struct kind *kind;
	enum reader reader;
	bool answered;
	struct ring ring;            /* its reader's side */
	uint64_t bytes;
	uint32_t crc;
	struct buf entries;          /* of a listing */
	bool waited;                 /* for room, in vain */
};

static struct {
	bool active;
	struct worker worker;
	struct rdr script;
	unsigned turns;
	int sock;                    /* the client's end; -1 */
	unsigned phase;
	struct asked asked[REQUESTS_MAX + 1];    /* by number */
	uint32_t count;
	uint64_t taken;
	unsigned depth;              /* jobs that wait for room while others run */
	bool lost, left;             /* the source; the client, in the middle */
} c;

/* --- the source of foreign images ----------------------------------------------------------------- */

struct source_blk {
	struct blk blk;
	int fd;
};

static int source_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	if (c.lost || pread(((struct source_blk *)b)->fd, to, len, (off_t)off) != (ssize_t)len)
		return err_set(e, ERR_IO, "source", "the source has gone away");
	return 0;
}

static void source_close(struct blk *b)
{
	(void)close(((struct source_blk *)b)->fd);
	free(b);
}

static int source_open(int fd, struct blk **ret, struct err *e)
{
	static const struct blk_ops ops = {.name = "source", .read = source_read, .close = source_close};
	off_t size = lseek(fd, 0, SEEK_END);
	struct source_blk *s = size > 0 ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		(void)close(fd);
		return err_set(e, ERR_IO, "source", "nothing answers there");
	}
	blk_init(&s->blk, &ops, (uint64_t)size);
	s->fd = fd;
	*ret = &s->blk;
	return 0;
}

static bool source_lost(void)
{
	return c.lost;
}

static const struct worker_source source = {.open = source_open, .lost = source_lost};

/* --- what comes back ------------------------------------------------------------------------------ */

static bool is_listing(const struct asked *a)
{
	return a->kind->type == WIRE_LIST || a->kind->type == WIRE_SEARCH;
}

/* All that is in the ring. True: there was something. */
static bool take_bytes(struct asked *a)
{
	const uint8_t *p;
	size_t len;
	bool any = false;
	struct err e = ERR_INIT;
	for (;;) {
		must(ring_peek(&a->ring, &p, &len, &e) == 0);
		if (len == 0)
			return any;
		any = true;
		a->crc = crc32c(a->crc, p, len);
		if (is_listing(a))
			buf_add(&a->entries, p, len);
		a->bytes += len;
		c.taken += len;
		ring_consume(&a->ring, len);
	}
}

static void check_done(struct asked *a, struct rdr done)
{
	uint64_t bytes = rdr_le64(&done);
	uint32_t crc = rdr_le32(&done);
	if (a->reader == READER_POKES)
		return;
	(void)take_bytes(a);
	must(bytes == a->bytes && crc == a->crc);
	if (is_listing(a) && !a->entries.failed)
		check_listing(&a->entries, a->kind->type == WIRE_LIST);
}

static void take_answer(struct wire_frame *f)
{
	must(f->request > 0 && f->request <= c.count);
	struct asked *a = &c.asked[f->request];
	must(!a->answered);
	if (f->type == WIRE_PROGRESS || f->type == WIRE_LOST) {
		must(a->kind->answer == WIRE_DONE && (f->type != WIRE_LOST || a->kind->type == WIRE_ARCHIVE));
		return;
	}
	must(f->type == WIRE_ERROR || f->type == a->kind->answer);
	a->answered = true;
	if (f->type == WIRE_DONE)
		check_done(a, f->payload);
	check_answer(f->type, &f->payload);
	if (f->type == WIRE_READY)
		c.phase = WIRE_PHASE_CONFIG;
	else if (f->type == WIRE_OPENED)
		c.phase = WIRE_PHASE_SERVING;
	buf_free(&a->entries);
	ring_release(&a->ring);
}

static void take_answers(void)
{
	static uint8_t room[WIRE_FRAME_MAX];
	struct wire_frame f;
	struct err e = ERR_INIT;
	int r;
	while (c.sock >= 0 && (r = wire_recv(c.sock, WIRE_TO_CLIENT, WIRE_PHASE_ANY, false, room, &f, &e)) != WIRE_NOTHING) {
		must(r == WIRE_FRAME);
		take_answer(&f);
	}
}

/* --- the client ----------------------------------------------------------------------------------- */

static void go_away(void)
{
	if (c.sock >= 0)
		(void)close(c.sock);
	c.sock = -1;
}

static bool put(enum wire_type type, uint32_t request, const uint8_t *payload, size_t len, const int *fds, unsigned count)
{
	static uint8_t room[WIRE_HEADER + UINT16_MAX];
	put_le16(room, (uint16_t)type);
	put_le16(room + 2, 0);
	put_le32(room + 4, request);
	if (len > 0)
		memcpy(room + WIRE_HEADER, payload, len);
	return raw_send_fds(c.sock, room, WIRE_HEADER + len, fds, count, MSG_DONTWAIT);
}

static bool has_paths(enum wire_type type)
{
	return type == WIRE_ARCHIVE || type == WIRE_MEASURE;
}

/* Asks, as far as the socket has room. tail: what the descriptors stand for. */
static void ask(const struct kind *kind, unsigned how, const uint8_t *payload, size_t len, const uint8_t *tail, size_t tail_len)
{
	struct asked *a = &c.asked[c.count + 1];
	*a = (struct asked){.kind = kind, .reader = (enum reader)(how & HOW_READ), .ring = RING_NONE, .entries = BUF_INIT(ENTRIES_MAX)};
	int fds[WIRE_FDS_MAX + 1], paths = -1;
	unsigned n = 0;
	struct err e = ERR_INIT;
	if (has_paths(kind->type))
		fds[n++] = paths = worker_file(tail, tail_len);
	else if (kind->fds < 3)
		for (size_t i = 0; i < tail_len && n < sizeof(fds) / sizeof(fds[0]); i++)
			fds[n++] = worker_images[tail[i] % WORKER_IMAGES];
	if (kind->fds >= 3) {
		must(ring_create(&a->ring, &e) == 0);
		fds[n++] = how & HOW_NO_RING ? worker_images[WORKER_NULL] : a->ring.memfd;
		fds[n++] = a->ring.data_fd;
		fds[n++] = a->ring.space_fd;
	}
	if (put(kind->type, c.count + 1, payload, len, fds, n))
		c.count++;
	else
		ring_release(&a->ring);
	if (paths >= 0)
		(void)close(paths);
}

static unsigned phases(enum wire_type type)
{
#define X(name, number, direction, phases, ...) [number] = phases,
	static const unsigned of[] = {WIRE_MESSAGES(X)};
#undef X
	return of[type];
}

static const uint8_t *take_part(size_t *ret_len)
{
	size_t said = rdr_le16(&c.script);
	*ret_len = min_size(said, rdr_left(&c.script));
	return rdr_take(&c.script, *ret_len);
}

/* The script's next requests; at its end the client goes away. */
static void go_on(void)
{
	unsigned how = HOW_MORE;
	uint32_t before = c.count;
	while (c.sock >= 0 && (how & HOW_MORE || c.count == before)) {
		if (rdr_left(&c.script) < 4 || c.count == REQUESTS_MAX) {
			if (c.count == before)
				go_away();
			return;
		}
		const struct kind *kind = &kinds[rdr_u8(&c.script) % KINDS];
		how = rdr_u8(&c.script);
		size_t len, tail_len;
		const uint8_t *payload = take_part(&len), *tail = take_part(&tail_len);
		c.lost |= (how & HOW_LOST) != 0;
		if (how & HOW_AS_IT_IS || phases(kind->type) & c.phase)
			ask(kind, how, payload ? payload : (const uint8_t *)"", len, tail ? tail : (const uint8_t *)"", tail_len);
	}
}

static void ask_kind(enum wire_type type, const uint8_t *payload, size_t len, const uint8_t *tail, size_t tail_len)
{
	for (unsigned i = 0; i < KINDS; i++)
		if (kinds[i].type == type)
			ask(&kinds[i], 0, payload, len, tail, tail_len);
}

static void begin(unsigned start)
{
	uint8_t hello[8];
	put_le32(hello, WIRE_VERSION);
	put_le32(hello + 4, start & START_THREADS ? 0 : WIRE_HELLO_ONE_THREAD);
	if (!(start & START_GREETED)) {
		go_on();
		return;
	}
	ask_kind(WIRE_HELLO, hello, sizeof(hello), NULL, 0);
	if (!(start & START_OPEN))
		return;
	static const uint8_t first[2 + 4], second[2 + 4] = {1};
	uint8_t kind = start & START_QCOW2 ? WORKER_QCOW2 : WORKER_RAW;
	ask_kind(WIRE_LAYERS, first, sizeof(first), &kind, 1);
	if (start & START_TWO_DISKS)
		ask_kind(WIRE_LAYERS, second, sizeof(second), &kind, 1);
	ask_kind(WIRE_OPEN, NULL, 0, NULL, 0);
}

/* The next job that was put off: what another thread would run. */
static bool run_next(void)
{
	struct job *j = c.worker.queue;
	if (!j)
		return false;
	c.worker.queue = j->next;
	__wrap_jobs_run_here(j, false);
	return true;
}

/* The worker waits for room in a stream, and keeps nobody from the filesystems meanwhile. */
static void read_on(void)
{
	const struct job *j = c.worker.running;
	must(j && !c.worker.gate.busy);
	if (c.depth < DEPTH_MAX && run_next())
		return;
	struct asked *a = &c.asked[j->request];
	if (a->waited || c.taken > TAKEN_MAX || (a->reader != READER_POKES && a->reader != READER_TAKES)) {
		c.left |= a->reader == READER_CLOSES;
		if (c.left)
			go_away();
		jobs_cancel(&c.worker, j->request);
		return;
	}
	if (a->reader == READER_POKES) {
		/* Beyond what it was given. */
		a->waited = true;
		atomic_fetch_add((_Atomic uint32_t *)(void *)(a->ring.map + 64), RING_SLOTS + 1);
		return;
	}
	a->waited = !take_bytes(a);
}

/* --- stand-ins ------------------------------------------------------------------------------------ */

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!c.active || timeout == 0)
		return __real_poll(fds, n, timeout);
	must(++c.turns < TURNS_MAX && n == 1);
	if (fds[0].fd != c.worker.sock)
		read_on();
	else if (!run_next())
		go_on();
	fds[0].revents = fds[0].events;
	return 1;
}

/* A socket that nobody reads would fill. */
int __wrap_wire_send(int sock, const struct buf *b, const int *fds, unsigned fd_count, struct err *e)
{
	int r = __real_wire_send(sock, b, fds, fd_count, e);
	must(r == 0 || c.sock < 0);
	take_answers();
	return r;
}

/* Where a client's one thread waits for its answer it cannot cancel; a client with several can, while the job runs. */
void __wrap_jobs_run_here(struct job *j, bool hold)
{
	struct job *outer = c.worker.running;
	j->next = outer;
	c.worker.running = j;
	c.depth++;
	__real_jobs_run_here(j, hold);
	c.depth--;
	c.worker.running = outer;
}

/* Jobs of threads of their own begin when there is nothing more to receive, and go on in each other's waits. */
int __wrap_jobs_submit(struct worker *w, struct job *j, struct err *e)
{
	struct job **at = &w->queue;
	(void)e;
	while (*at)
		at = &(*at)->next;
	*at = j;
	return 0;
}

int __wrap_sandbox_enter(bool sockets, uint32_t *ret_layers, struct err *e)
{
	(void)sockets;
	(void)e;
	*ret_layers = 0;
	return 0;
}

int __wrap_sandbox_self_test(struct err *e)
{
	(void)e;
	return 0;
}

int __wrap_sandbox_end_with_parent(struct err *e)
{
	(void)e;
	return 0;
}

/* -------------------------------------------------------------------------------------------------- */

static unsigned open_files(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < FILES_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A client that was heard out has an answer to everything, and to everything one. */
static void check_all(void)
{
	for (uint32_t i = 1; i <= c.count; i++)
		must(c.asked[i].answered || c.asked[i].kind->type == WIRE_CANCEL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	int pair[2];
	if (!made)
		worker_images_make();
	made = true;
	if (size < 1)
		return 0;
	unsigned before = open_files();
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	memset(&c, 0, sizeof(c));
	c.active = true;
	c.script = rdr_init(data + 1, size - 1);
	c.sock = pair[0];
	c.phase = WIRE_PHASE_HELLO;
	c.worker.sock = pair[1];
	c.worker.source = data[0] & START_SOURCE ? &source : NULL;
	struct err e = ERR_INIT;
	begin(data[0]);
	int r = worker_run(&c.worker, &e);
	must(r == 0 || e.code < 0);
	if (r == 0 && !c.lost && !c.left)
		check_all();
	for (; c.worker.queue; (void)run_next())
		jobs_cancel(&c.worker, c.worker.queue->request);
	must(worker_end(&c.worker));
	for (uint32_t i = 1; i <= c.count; i++) {
		ring_release(&c.asked[i].ring);
		buf_free(&c.asked[i].entries);
	}
	go_away();
	(void)close(pair[1]);
	must(open_files() == before);
	c.active = false;
	return 0;
}
