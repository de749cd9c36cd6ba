#include "worker/worker.h"

/* A ticket lock on a condition variable: a plain mutex lets the thread that just left in again first. */

void gate_init(struct gate *g)
{
	*g = (struct gate){0};
	(void)pthread_mutex_init(&g->lock, NULL);
	(void)pthread_cond_init(&g->turn, NULL);
}

void gate_enter(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	uint64_t ticket = g->next++;
	while (g->serving != ticket)
		pthread_cond_wait(&g->turn, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->serving++;
	if (g->next != g->serving)
		pthread_cond_broadcast(&g->turn);
	pthread_mutex_unlock(&g->lock);
}
