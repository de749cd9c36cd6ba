/* A pool of threads for blocking work: started when there is work and none is idle, up to a maximum; ended after some
 * seconds without any. Threads: any function from any thread, but jobs_stop from none of its own. */
#ifndef HTTP_JOBS_H
#define HTTP_JOBS_H

#include <stdbool.h>

struct jobs;

/* Embedded in what the job works on; belongs to the pool from submit until run is called. */
struct job {
	struct job *next;
	void (*run)(struct job *job);
};

/* NULL: no memory. */
struct jobs *jobs_new(unsigned threads_max);
/* False, and the job is not taken: stopped, or no thread could be started and none runs. */
bool jobs_submit(struct jobs *j, struct job *job);
/* Runs what is queued to its end, takes nothing new, waits for all threads. */
void jobs_stop(struct jobs *j);
void jobs_free(struct jobs *j);            /* after jobs_stop; NULL is fine */
unsigned jobs_threads(struct jobs *j);

#endif
