#include "worker/worker.h"

#include "crypto/crypto.h"
#include "worker/jobs.h"
#include "worker/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_CLIENT_GONE = 0, EXIT_PROTOCOL = 3, EXIT_SANDBOX = 4, END_WAIT_MS = 1000 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* The one thing a worker writes by itself: why it ends, into its log pipe. */
static int quit(int status, const struct err *why)
{
	(void)dprintf(STDERR_FILENO, "sendense-worker: %s\n", why->msg);
	return status;
}

static int check_hello(struct worker *w, struct wire_frame *f, struct err *e)
{
	uint32_t version = rdr_le32(&f->payload);
	uint32_t flags = rdr_le32(&f->payload);
	if (f->payload.bad || version != WIRE_VERSION)
		return err_set(e, ERR_WORKER_PROTOCOL, "worker", "the client speaks protocol version %u, this worker %d", version,
		               WIRE_VERSION);
	w->one_thread = flags & WIRE_HELLO_ONE_THREAD;
	w->no_sandbox = flags & WIRE_HELLO_NO_SANDBOX;
	if (w->no_sandbox && !SANITIZED)
		return err_set(e, ERR_SANDBOX, "worker", "this build never runs without its sandbox");
	return 0;
}

/* The first frame carries nothing of an image, so it may be read outside the sandbox. */
static int greet(struct worker *w, uint8_t *buf, struct err *e)
{
	struct wire_frame f;
	int r = wire_recv(w->sock, WIRE_TO_WORKER, WIRE_PHASE_HELLO, true, buf, &f, e);
	if (r == WIRE_CLOSED)
		return err_set(e, ERR_WORKER_PROTOCOL, "worker", "the client went away");
	if (r < 0)
		return r;
	r = check_hello(w, &f, e);
	uint32_t layers = 0;
	if (r == 0 && w->no_sandbox)
		r = sandbox_end_with_parent(e);
	if (r == 0 && !w->no_sandbox)
		r = sandbox_enter(w->source != NULL, &layers, e);
	if (r == 0 && !w->no_sandbox)
		r = sandbox_self_test(e);

	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	struct err ignored = ERR_INIT;
	if (r < 0) {
		wire_begin(&b, WIRE_ERROR, f.request);
		wire_put_error(&b, e);
		(void)wire_send(w->sock, &b, NULL, 0, &ignored);
		return r;
	}
	wire_begin(&b, WIRE_READY, f.request);
	wire_put_u32(&b, WIRE_VERSION);
	wire_put_u32(&b, layers);
	return wire_send(w->sock, &b, NULL, 0, e);
}

static bool is_stream(enum wire_type t)
{
	return t == WIRE_LIST || t == WIRE_READ || t == WIRE_ARCHIVE || t == WIRE_MANIFEST || t == WIRE_SEARCH ||
	       t == WIRE_KEY_AREAS || t == WIRE_DUMP;
}

/* Takes the frame's payload and descriptors over. */
static int make_job(struct worker *w, struct wire_frame *f, struct job **ret, struct err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	uint8_t *payload = malloc(f->payload.len + 1);
	if (!j || !payload) {
		free(j);
		free(payload);
		return err_no_memory(e, "worker");
	}
	memcpy(payload, f->payload.p, f->payload.len);
	j->worker = w;
	j->request = f->request;
	j->type = f->type;
	j->payload = payload;
	j->payload_len = f->payload.len;
	j->rd = rdr_init(payload, f->payload.len);
	j->extra_fd = -1;
	atomic_init(&j->cancelled, false);

	unsigned next = 0;
	if (f->type == WIRE_LAYERS) {
		memcpy(j->layer_fds, f->fds, f->fd_count * sizeof(f->fds[0]));
		j->layer_count = f->fd_count;
	} else if (f->fd_count == 1 || f->fd_count == 4) {
		j->extra_fd = f->fds[next++];
	}
	int r = 0;
	if (is_stream(f->type)) {
		r = ring_attach(f->fds[next], f->fds[next + 1], f->fds[next + 2], &j->out.ring, e);
		j->has_out = r == 0;
		j->out.cancelled = &j->cancelled;
	}
	f->fd_count = 0;
	if (r < 0) {
		job_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

/* The parts of a disk arrive in an order that matters, many before the first is answered. */
static bool is_part(enum wire_type t)
{
	return t == WIRE_LAYERS || t == WIRE_DATA_FILE || t == WIRE_DISK;
}

static void start_job(struct worker *w, struct wire_frame *f)
{
	struct err e = ERR_INIT;
	struct job *j = NULL;
	int r = make_job(w, f, &j, &e);
	if (r == 0 && is_part(f->type)) {
		jobs_run_here(j, true);
		return;
	}
	jobs_flush(w);
	if (r == 0 && w->one_thread) {
		jobs_run_here(j, false);
		return;
	}
	if (r == 0)
		r = jobs_submit(w, j, &e);
	if (r < 0) {
		struct job answer = {.worker = w, .request = f->request};
		job_error(&answer, &e);
		job_free(j);
	}
}

/* Answers that are held go out before it waits. */
static int await_frame(struct worker *w, struct err *e)
{
	struct pollfd p = {.fd = w->sock, .events = POLLIN};
	int n = poll(&p, 1, 0);
	if (n == 0) {
		jobs_flush(w);
		n = poll(&p, 1, -1);
	}
	if (n < 0 && errno != EINTR)
		return err_set_errno(e, ERR_INTERNAL, errno, "worker", "cannot wait for requests");
	return 0;
}

static int serve(struct worker *w, uint8_t *buf, struct err *e)
{
	for (;;) {
		int r = await_frame(w, e);
		if (r < 0)
			return r;
		/* Not before the frame is there: it may come of OPEN's answer, which a job thread gives. */
		w->phase = atomic_load(&w->next_phase);
		struct wire_frame f;
		r = wire_recv(w->sock, WIRE_TO_WORKER, w->phase, false, buf, &f, e);
		if (r == WIRE_NOTHING)
			continue;
		if (r != WIRE_FRAME)
			return r;
		if (f.type == WIRE_CANCEL)
			jobs_cancel(w, f.request);
		else
			start_job(w, &f);
		if (f.type == WIRE_UNLOCK)
			explicit_bzero(buf, WIRE_FRAME_MAX);
		wire_frame_close_fds(&f);
	}
}

static int no_order(const void *a, const void *b)
{
	(void)a;
	(void)b;
	return 0;
}

/* Libraries ask the system things at their first use, which the sandbox would take for an attack: libgcrypt for its configuration,
 * glibc's qsort how much memory there is, for arrays over a kilobyte. They ask here. */
static void warm_up(void)
{
	crypto_init();
	uint64_t large[1 + 1024 / sizeof(uint64_t)] = {0};
	qsort(large, sizeof(large) / sizeof(large[0]), sizeof(large[0]), no_order);
}

int worker_run(struct worker *w, struct err *e)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	gate_init(&w->gate);
	(void)pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->work, &attr);
	atomic_init(&w->next_phase, WIRE_PHASE_CONFIG);
	int r = greet(w, buf, e);
	if (r == 0)
		r = serve(w, buf, e);
	jobs_flush(w);
	return r;
}

bool worker_end(struct worker *w)
{
	if (!jobs_end(w, END_WAIT_MS))
		return false;
	listing_free(w->cached);
	w->cached = NULL;
	disks_close(&w->disks);
	return true;
}

int worker_main(const struct worker_source *source)
{
	static struct worker w;
	w.source = source;
	w.sock = WIRE_CONTROL_FD;

	/* One heap for all threads, and large blocks go back to the system when freed: there may be a thousand of us. */
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 512 << 10);

	warm_up();
	if (source)
		source->warm_up();

	struct err e = ERR_INIT;
	if (worker_run(&w, &e) < 0)
		return quit(e.code == ERR_SANDBOX ? EXIT_SANDBOX : EXIT_PROTOCOL, &e);
	/* The client is gone. */
	if (!worker_end(&w))
		_exit(EXIT_CLIENT_GONE);
	return EXIT_CLIENT_GONE;
}
