#include "decompress.h"

#include "decode.h"

#include "base/bytes.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char module[] = "qcow2";

enum { THREAD_STACK = 256 << 10 };

enum entry_state {
	EMPTY,
	QUEUED,
	RUNNING,
	READY,
};

struct entry {
	uint8_t *data;          /* cluster_max bytes; NULL until used */
	const struct image_layer *from;
	uint64_t descriptor;
	uint64_t used;          /* clock at the last use */
	unsigned layer;
	enum entry_state state;
};

struct thread {
	struct decompress *d;
	struct decoder decoder;
	pthread_t id;
	bool started;           /* and not joined; the reader's own to look at */
	bool working;           /* false again when it ended by itself */
};

struct decompress {
	size_t cluster_max;
	struct decoder decoder;                  /* the reader's own */
	uint64_t clock;
	unsigned count;
	struct entry entries[DECOMPRESS_ENTRIES_MAX];

	pthread_mutex_t lock;                    /* of the states of entries and threads, and what is below */
	pthread_cond_t work, done;
	bool stop;
	struct entry *queue[DECOMPRESS_AHEAD_MAX];
	unsigned head, queued;                   /* a ring; entries that are no longer QUEUED are passed over */
	unsigned thread_count;                   /* wanted */
	struct thread threads[DECOMPRESS_THREADS_MAX];
};

/* One for each processor this process may use; none where there is only one. (sysconf() would open a file, which the
 * sandbox forbids.) */
static unsigned wanted_threads(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	unsigned cpus = (unsigned)CPU_COUNT(&set);
	return cpus < 2 ? 0 : (unsigned)min_size(cpus, DECOMPRESS_THREADS_MAX);
}

int decompress_new(size_t cluster_max, struct decompress **ret, struct err *e)
{
	struct decompress *d = calloc(1, sizeof(*d));
	if (!d)
		return err_no_memory(e, module);
	d->cluster_max = cluster_max;
	decoder_init(&d->decoder, cluster_max);
	size_t count = DECOMPRESS_CACHE_BYTES / cluster_max;
	d->count = (unsigned)min_size(count < 2 ? 2 : count, DECOMPRESS_ENTRIES_MAX);
	d->thread_count = wanted_threads();
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_cond_init(&d->work, NULL);
	(void)pthread_cond_init(&d->done, NULL);
	*ret = d;
	return 0;
}

void decompress_free(struct decompress *d)
{
	if (!d)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->stop = true;
	(void)pthread_cond_broadcast(&d->work);
	(void)pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < d->thread_count; i++) {
		struct thread *t = &d->threads[i];
		if (!t->started)
			continue;
		(void)pthread_join(t->id, NULL);
		decoder_fini(&t->decoder);
	}
	for (unsigned i = 0; i < d->count; i++)
		free(d->entries[i].data);
	decoder_fini(&d->decoder);
	(void)pthread_cond_destroy(&d->work);
	(void)pthread_cond_destroy(&d->done);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

/* --- the threads ---------------------------------------------------------------------------------- */

/* The next entry to unpack; NULL where there was none for so long that the thread ends, or all end. */
static struct entry *next_work(struct decompress *d)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DECOMPRESS_IDLE_MS / 1000;
	int r = 0;
	for (;;) {
		while (d->queued > 0 && !d->stop) {
			struct entry *x = d->queue[d->head];
			d->head = (d->head + 1) % DECOMPRESS_AHEAD_MAX;
			d->queued--;
			if (x->state == QUEUED)
				return x;
		}
		if (d->stop || r != 0)
			return NULL;
		r = pthread_cond_timedwait(&d->work, &d->lock, &until);
	}
}

/* Called with the lock held, which is let go of meanwhile. */
static int run_entry(struct decompress *d, struct decoder *decoder, struct entry *x, struct err *e)
{
	x->state = RUNNING;
	(void)pthread_mutex_unlock(&d->lock);
	int r = decoder_run(decoder, x->from, x->descriptor, x->data, e);
	(void)pthread_mutex_lock(&d->lock);
	x->state = r < 0 ? EMPTY : READY;
	(void)pthread_cond_signal(&d->done);
	return r;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct decompress *d = t->d;
	struct entry *x;
	(void)pthread_mutex_lock(&d->lock);
	while ((x = next_work(d)) != NULL) {
		/* Whoever reads it finds it missing, tries by itself, and is told why. */
		struct err ignored = ERR_INIT;
		(void)run_entry(d, &t->decoder, x, &ignored);
	}
	t->working = false;
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

static bool create(struct thread *t)
{
	pthread_attr_t attr;
	(void)pthread_attr_init(&attr);
	/* Address space is rationed where this runs; zstd needs the most of it. */
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	int r = pthread_create(&t->id, &attr, thread_main, t);
	(void)pthread_attr_destroy(&attr);
	return r == 0;
}

/* One thread for each queued entry, as far as wanted. One that cannot be had is no error: the reader unpacks what nobody
 * took. */
static void start_thread(struct decompress *d)
{
	unsigned working = 0;
	for (unsigned i = 0; i < d->thread_count; i++)
		working += d->threads[i].working;
	if (working >= d->queued)
		return;
	for (unsigned i = 0; i < d->thread_count; i++) {
		struct thread *t = &d->threads[i];
		if (t->working)
			continue;
		if (t->started)
			(void)pthread_join(t->id, NULL);
		else
			decoder_init(&t->decoder, d->cluster_max);
		t->d = d;
		t->started = t->working = create(t);
		if (!t->started)
			decoder_fini(&t->decoder);
		return;
	}
}

/* --- the cache ------------------------------------------------------------------------------------ */

static struct entry *find(struct decompress *d, unsigned number, uint64_t descriptor)
{
	for (unsigned i = 0; i < d->count; i++) {
		struct entry *x = &d->entries[i];
		if (x->state != EMPTY && x->descriptor == descriptor && x->layer == number)
			return x;
	}
	return NULL;
}

/* An entry for this cluster, EMPTY, with memory: an unused one, else the least recently used one nobody works on. */
static struct entry *take(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor)
{
	struct entry *best = NULL;
	for (unsigned i = 0; i < d->count; i++) {
		struct entry *x = &d->entries[i];
		if (x->state == EMPTY) {
			best = x;
			break;
		}
		if (x->state == READY && (!best || x->used < best->used))
			best = x;
	}
	if (!best)
		return NULL;
	if (!best->data)
		best->data = malloc(d->cluster_max);
	if (!best->data)
		return NULL;
	best->state = EMPTY;
	best->from = l;
	best->layer = number;
	best->descriptor = descriptor;
	best->used = ++d->clock;
	return best;
}

unsigned decompress_ahead_max(const struct decompress *d)
{
	return d->thread_count ? (unsigned)min_size(DECOMPRESS_AHEAD_MAX, d->count / 4) : 0;
}

/* Those asked ahead and not finished, by whichever of several readers in order: no others can take their place. */
static unsigned unfinished(const struct decompress *d)
{
	unsigned n = 0;
	for (unsigned i = 0; i < d->count; i++)
		n += d->entries[i].state == QUEUED || d->entries[i].state == RUNNING;
	return n;
}

void decompress_ahead(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor)
{
	(void)pthread_mutex_lock(&d->lock);
	struct entry *x = NULL;
	if (unfinished(d) < decompress_ahead_max(d) && d->queued < DECOMPRESS_AHEAD_MAX && !find(d, number, descriptor))
		x = take(d, l, number, descriptor);
	if (x) {
		x->state = QUEUED;
		d->queue[(d->head + d->queued++) % DECOMPRESS_AHEAD_MAX] = x;
		start_thread(d);
		(void)pthread_cond_signal(&d->work);
	}
	(void)pthread_mutex_unlock(&d->lock);
}

/* Makes x READY. Called with the lock held. */
static int await(struct decompress *d, struct entry *x, struct err *e)
{
	if (x->state == RUNNING) {
		while (x->state == RUNNING)
			(void)pthread_cond_wait(&d->done, &d->lock);
	}
	/* Nobody has begun it, or it failed: to find out why is up to the reader. */
	return x->state == READY ? 0 : run_entry(d, &d->decoder, x, e);
}

int decompress_read(struct decompress *d, const struct image_layer *l, unsigned number, uint64_t descriptor,
                    size_t skip, void *to, size_t len, struct err *e)
{
	bool whole = skip == 0 && len == l->info.cluster_size;
	int r = 0;
	(void)pthread_mutex_lock(&d->lock);
	struct entry *x = find(d, number, descriptor);
	/* A whole cluster is not asked for twice: it goes straight to the caller. */
	bool straight = !x && whole;
	if (!x && !straight)
		x = take(d, l, number, descriptor);
	if (x)
		r = await(d, x, e);
	else if (!straight)
		r = err_no_memory(e, module);
	(void)pthread_mutex_unlock(&d->lock);
	if (straight)
		return decoder_run(&d->decoder, l, descriptor, to, e);
	if (r < 0)
		return r;
	/* Only this thread makes a READY entry anything else. */
	memcpy(to, x->data + skip, len);
	x->used = whole ? 0 : ++d->clock;
	return 0;
}
