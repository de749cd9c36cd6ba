/* jobs: the queue and the threads behind it (worker.c puts in, jobs.c runs). */
#ifndef WORKER_JOBS_H
#define WORKER_JOBS_H

#include "worker/worker.h"

/* Queues j, which is taken over on success only. */
int jobs_submit(struct worker *w, struct job *j, struct err *e);
/* Runs j at once, on the calling thread, and frees it: for what cannot take long, before anything else runs, and for everything where
 * the client has but one thread, too. hold: the answer waits for jobs_flush(); a client that sends a hundred layers is woken a few
 * times, not a hundred. */
void jobs_run_here(struct job *j, bool hold);
void jobs_flush(struct worker *w);
/* Tells the job to stop; it answers with an error. Unknown numbers are fine: it may just have ended. */
void jobs_cancel(struct worker *w, uint32_t request);
/* Cancels everything and waits a while for it to end; false where something still runs. */
bool jobs_end(struct worker *w, unsigned wait_ms);
void job_free(struct job *j);

#endif
