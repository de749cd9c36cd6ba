#include "http/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum {
	IDLE_SECONDS = 10,
	STACK_SIZE = 1 << 20,
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work;               /* a job was queued, or stopping */
	pthread_cond_t ended;              /* a thread ended */
	struct job *head, **tail;
	unsigned queued;
	unsigned threads, idle, max;
	bool stopping;
};

struct jobs *jobs_new(unsigned threads_max)
{
	struct jobs *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->work, &attr);
	(void)pthread_cond_init(&j->ended, NULL);
	(void)pthread_condattr_destroy(&attr);
	j->tail = &j->head;
	j->max = threads_max;
	return j;
}

static struct job *pop(struct jobs *j)
{
	struct job *job = j->head;
	j->head = job->next;
	if (!j->head)
		j->tail = &j->head;
	j->queued--;
	return job;
}

/* Waits for work; false when the thread is to end. Under the lock. */
static bool wait_for_work(struct jobs *j)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	j->idle++;
	int r = 0;
	while (!j->head && !j->stopping && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&j->work, &j->lock, &until);
	j->idle--;
	return j->head;
}

static void *job_main(void *arg)
{
	struct jobs *j = arg;
	(void)pthread_mutex_lock(&j->lock);
	while (j->head || wait_for_work(j)) {
		struct job *job = pop(j);
		(void)pthread_mutex_unlock(&j->lock);
		job->run(job);
		(void)pthread_mutex_lock(&j->lock);
	}
	j->threads--;
	(void)pthread_cond_broadcast(&j->ended);
	(void)pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* Under the lock. */
static bool start_thread(struct jobs *j)
{
	sigset_t all, old;
	(void)sigfillset(&all);
	pthread_attr_t attr;
	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_t thread;
	bool ok = pthread_create(&thread, &attr, job_main, j) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	j->threads += ok;
	return ok;
}

bool jobs_submit(struct jobs *j, struct job *job)
{
	bool taken = false;
	(void)pthread_mutex_lock(&j->lock);
	if (!j->stopping) {
		/* Each idle thread takes one queued job; is there one more job than that? */
		if (j->queued >= j->idle && j->threads < j->max)
			(void)start_thread(j);
		if (j->threads > 0) {
			job->next = NULL;
			*j->tail = job;
			j->tail = &job->next;
			j->queued++;
			taken = true;
			(void)pthread_cond_signal(&j->work);
		}
	}
	(void)pthread_mutex_unlock(&j->lock);
	return taken;
}

void jobs_stop(struct jobs *j)
{
	(void)pthread_mutex_lock(&j->lock);
	j->stopping = true;
	(void)pthread_cond_broadcast(&j->work);
	while (j->threads > 0)
		(void)pthread_cond_wait(&j->ended, &j->lock);
	(void)pthread_mutex_unlock(&j->lock);
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	(void)pthread_cond_destroy(&j->work);
	(void)pthread_cond_destroy(&j->ended);
	(void)pthread_mutex_destroy(&j->lock);
	free(j);
}

unsigned jobs_threads(struct jobs *j)
{
	(void)pthread_mutex_lock(&j->lock);
	unsigned n = j->threads;
	(void)pthread_mutex_unlock(&j->lock);
	return n;
}
