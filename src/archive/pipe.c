#include "archive/pipe.h"

#include <pthread.h>
#include <stdlib.h>

enum { FREE, QUEUED, RUNNING, DONE };

struct pipe {
	struct pipe_events ev;
	unsigned threads;                /* wanted */
	unsigned started;
	unsigned ring;                   /* jobs */
	uint64_t head, tail, take;       /* next to emit, next to fill, next to compress: counts, modulo ring */
	uint64_t bytes;                  /* submitted */
	bool stop;
	pthread_mutex_t lock;            /* of the counts and the states */
	pthread_cond_t work, done;
	struct deflate *own;             /* the driving thread's compressor */
	pthread_t id[PIPE_THREADS_MAX];
	struct job jobs[PIPE_THREADS_MAX + 2];
	uint8_t *memory[PIPE_THREADS_MAX + 2];
};

static void job_run(struct job *j, struct deflate *d)
{
	j->out_len = deflate_block(d, j->in, j->len, j->final, j->out, &j->stored);
}

static void *worker(void *arg)
{
	struct pipe *p = arg;
	struct deflate *d = deflate_new();
	(void)pthread_mutex_lock(&p->lock);
	while (d) {
		while (!p->stop && p->take == p->tail)
			(void)pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		struct job *j = &p->jobs[p->take++ % p->ring];
		if (j->state != QUEUED)
			continue;
		j->state = RUNNING;
		(void)pthread_mutex_unlock(&p->lock);
		job_run(j, d);
		(void)pthread_mutex_lock(&p->lock);
		j->state = DONE;
		(void)pthread_cond_signal(&p->done);
	}
	(void)pthread_mutex_unlock(&p->lock);
	deflate_free(d);
	return NULL;
}

int pipe_open(unsigned threads, const struct pipe_events *ev, struct pipe **ret, struct err *e)
{
	struct pipe *p = calloc(1, sizeof(*p));
	if (!p)
		return err_no_memory(e, "archive");
	p->ev = *ev;
	p->threads = threads > PIPE_THREADS_MAX ? PIPE_THREADS_MAX : threads;
	p->ring = p->threads > 1 ? p->threads + 2 : 1;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	(void)pthread_cond_init(&p->done, NULL);
	p->own = deflate_new();
	if (!p->own) {
		pipe_close(p);
		return err_no_memory(e, "archive");
	}
	*ret = p;
	return 0;
}

/* Starts the threads once there is enough to do. A thread that cannot be had is not an error: pipe_emit_head()
 * compresses what nobody took. */
static void pipe_start(struct pipe *p)
{
	while (p->started < p->threads) {
		if (pthread_create(&p->id[p->started], NULL, worker, p) != 0) {
			p->threads = p->started;
			break;
		}
		p->started++;
	}
}

static int pipe_emit_head(struct pipe *p, struct err *e)
{
	struct job *j = &p->jobs[p->head % p->ring];
	(void)pthread_mutex_lock(&p->lock);
	if (j->state == QUEUED) {
		/* Nobody has begun it: waiting would take longer than doing it. */
		j->state = RUNNING;
		(void)pthread_mutex_unlock(&p->lock);
		job_run(j, p->own);
		(void)pthread_mutex_lock(&p->lock);
		j->state = DONE;
	}
	while (j->state != DONE)
		(void)pthread_cond_wait(&p->done, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	/* On failure the job stays at the head: pipe_close() drops it. */
	if (!j->plain && j->out_len == 0)
		return err_set(e, ERR_INTERNAL, "archive", "the compressor made what is no deflate stream");
	int r = p->ev.emit(p->ev.arg, j, e);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&p->lock);
	j->state = FREE;
	p->head++;
	if (p->take < p->head)
		p->take = p->head;
	(void)pthread_mutex_unlock(&p->lock);
	return 0;
}

int pipe_next(struct pipe *p, struct job **ret, struct err *e)
{
	if (p->tail - p->head == p->ring) {
		int r = pipe_emit_head(p, e);
		if (r < 0)
			return r;
	}
	unsigned i = (unsigned)(p->tail % p->ring);
	struct job *j = &p->jobs[i];
	if (!p->memory[i]) {
		p->memory[i] = malloc(DEFLATE_BLOCK + DEFLATE_OUT);
		if (!p->memory[i])
			return err_no_memory(e, "archive");
	}
	*j = (struct job){.in = p->memory[i], .out = p->memory[i] + DEFLATE_BLOCK};
	*ret = j;
	return 0;
}

static bool head_done(struct pipe *p)
{
	(void)pthread_mutex_lock(&p->lock);
	bool done = p->head < p->tail && p->jobs[p->head % p->ring].state == DONE;
	(void)pthread_mutex_unlock(&p->lock);
	return done;
}

int pipe_submit(struct pipe *p, struct err *e)
{
	struct job *j = &p->jobs[p->tail % p->ring];
	p->bytes += j->len;
	if (p->threads > 1 && p->started == 0 && p->bytes >= PIPE_START)
		pipe_start(p);
	(void)pthread_mutex_lock(&p->lock);
	j->state = j->plain ? DONE : QUEUED;
	p->tail++;
	if (!j->plain && p->started)
		(void)pthread_cond_signal(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	if (p->started == 0)
		return pipe_emit_head(p, e);
	while (head_done(p)) {
		int r = pipe_emit_head(p, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int pipe_drain(struct pipe *p, struct err *e)
{
	while (p->head < p->tail) {
		int r = pipe_emit_head(p, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void pipe_close(struct pipe *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		(void)pthread_join(p->id[i], NULL);
	for (; p->head < p->tail; p->head++) {
		struct job *j = &p->jobs[p->head % p->ring];
		if (j->final && p->ev.drop)
			p->ev.drop(j->owner);
	}
	for (unsigned i = 0; i < p->ring; i++)
		free(p->memory[i]);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_cond_destroy(&p->done);
	(void)pthread_mutex_destroy(&p->lock);
	deflate_free(p->own);
	free(p);
}
