#include "worker/worker.h"

/* A plain mutex lets the thread that just left in again first; tickets do not. */

void gate_init(struct gate *g)
{
	*g = (struct gate){0};
	(void)pthread_mutex_init(&g->lock, NULL);
	(void)pthread_cond_init(&g->asking, NULL);
	for (unsigned i = 0; i < GATE_BULK; i++)
		(void)pthread_cond_init(&g->bulk[i], NULL);
}

static bool bulk_waits(const struct gate *g)
{
	return g->next != g->serving;
}

static bool bulk_is_due(const struct gate *g)
{
	return bulk_waits(g) && g->in_a_row >= GATE_IN_A_ROW;
}

void gate_enter(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->asking_count++;
	while (g->busy || bulk_is_due(g))
		pthread_cond_wait(&g->asking, &g->lock);
	g->asking_count--;
	g->in_a_row++;
	g->busy = true;
	pthread_mutex_unlock(&g->lock);
}

void gate_enter_bulk(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	uint64_t ticket = g->next++;
	while (g->busy || g->serving != ticket || (g->asking_count > 0 && !bulk_is_due(g)))
		pthread_cond_wait(&g->bulk[ticket % GATE_BULK], &g->lock);
	g->serving++;
	g->in_a_row = 0;
	g->busy = true;
	pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->busy = false;
	if (g->asking_count > 0 && !bulk_is_due(g))
		pthread_cond_signal(&g->asking);
	else if (bulk_waits(g))
		pthread_cond_broadcast(&g->bulk[g->serving % GATE_BULK]);
	pthread_mutex_unlock(&g->lock);
}
