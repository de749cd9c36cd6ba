/* Blocks on their way through the compressor: a ring of jobs, emitted in the order they were submitted.
 *
 *	free → filled by pipe_next()'s caller → pipe_submit() → [queued → running →] done → emit() → free
 *
 * With one thread a job is compressed and emitted inside pipe_submit(), and the ring is one job. With more, worker
 * threads compress; they start when PIPE_START bytes have gone through, so that small archives never pay for them, and
 * the result is the same byte for byte. A machine that refuses a thread leaves the work to the ones there are.
 *
 * Memory: a job is 512 KiB, there are threads + 2 of them (one when single); a thread's state is about 230 KiB.
 *
 * Threads: every function is called by the thread that drives the archive; emit() and drop() run on it too.
 */
#ifndef ARCHIVE_PIPE_H
#define ARCHIVE_PIPE_H

#include "archive/deflate.h"

enum {
	PIPE_THREADS_MAX = 16,
	PIPE_START = 512 << 10,
};

struct job {
	uint8_t *in;                     /* DEFLATE_BLOCK bytes */
	size_t len;
	bool plain;                      /* not to be compressed */
	bool final;                      /* last block of its stream */
	bool first;                      /* first block of its stream */
	void *owner;                     /* the emitter's; the final job owns it */
	uint8_t *out;
	size_t out_len;
	bool stored;                     /* compressing did not pay */
	int state;                       /* private */
};

struct pipe_events {
	int (*emit)(void *arg, struct job *j, struct err *e);
	void (*drop)(void *owner);       /* a final job that will never be emitted; NULL: nothing to do */
	void *arg;
};

struct pipe;

int pipe_open(unsigned threads, const struct pipe_events *ev, struct pipe **ret, struct err *e);
/* An empty job to fill; the same one until it is submitted. May emit. */
int pipe_next(struct pipe *p, struct job **ret, struct err *e);
/* Submits the job pipe_next() gave last. */
int pipe_submit(struct pipe *p, struct err *e);
/* Emits everything submitted. */
int pipe_drain(struct pipe *p, struct err *e);
void pipe_close(struct pipe *p);

#endif
