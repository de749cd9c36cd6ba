/* The cleanup service: a thread that closes mounts whose idle time-out has passed and ends idle workers. */
#include "hub/internal.h"

#include <stdio.h>
#include <time.h>

int hub_close_expired(struct hub *h, unsigned *ret_closed, struct err *e)
{
	struct catalog_mount_list list = {0};
	struct catalog_mount_filter due = {.status = CATALOG_MOUNT_MOUNTED, .expired_at = hub_now_us()};
	int r = catalog_mount_list(h->catalog, &due, &list, e);
	unsigned cleaned = 0;
	for (size_t i = 0; i < list.count && r == 0; i++) {
		bool closed;
		r = hub_expire(h, list.items[i], &closed, e);
		cleaned += closed;
	}
	catalog_mount_list_free(&list);
	if (cleaned > 0) {
		struct err ignored = ERR_INIT;
		(void)catalog_counter_add(h->catalog, CATALOG_COUNTER_CLEANED, cleaned, NULL, &ignored);
	}
	*ret_closed = cleaned;
	return r;
}

int hub_cleanup_run(struct hub *h, unsigned *ret_cleaned, struct err *e)
{
	pthread_mutex_lock(&h->clean_lock);
	h->cleaning++;
	pthread_mutex_unlock(&h->clean_lock);

	unsigned cleaned = 0;
	int r = hub_close_expired(h, &cleaned, e);
	(void)hub_stop_idle_workers(h);
	hub_selections_expire(h);

	pthread_mutex_lock(&h->clean_lock);
	h->cleaning--;
	h->clean.last_run_at = hub_now_us();
	h->clean.last_cleaned = cleaned;
	(void)snprintf(h->clean.last_error, sizeof(h->clean.last_error), "%s", r < 0 ? e->msg : "");
	pthread_mutex_unlock(&h->clean_lock);
	*ret_cleaned = cleaned;
	return r;
}

void hub_cleanup_status(struct hub *h, struct hub_cleanup_status *ret)
{
	int64_t total = 0;
	struct err ignored = ERR_INIT;
	(void)catalog_counter_get(h->catalog, CATALOG_COUNTER_CLEANED, &total, &ignored);
	pthread_mutex_lock(&h->clean_lock);
	*ret = h->clean;
	ret->running = h->cleaning > 0;
	pthread_mutex_unlock(&h->clean_lock);
	ret->total_cleaned = total;
	ret->interval_seconds = h->cleanup_interval_s;
	ret->idle_timeout_seconds = h->idle_timeout_s;
}

/* Waits for the next run; false when the service is to end. Under clean_lock. */
static bool wait_locked(struct hub *h)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += h->cleanup_interval_s;
	h->clean.next_run_at = hub_now_us() + (int64_t)h->cleanup_interval_s * 1000000;
	int r = 0;
	while (!h->stop && r == 0)
		r = pthread_cond_timedwait(&h->clean_wake, &h->clean_lock, &until);
	return !h->stop;
}

static void *cleaner_main(void *arg)
{
	struct hub *h = arg;
	pthread_mutex_lock(&h->clean_lock);
	while (wait_locked(h)) {
		pthread_mutex_unlock(&h->clean_lock);
		struct err e = ERR_INIT;
		unsigned cleaned;
		(void)hub_cleanup_run(h, &cleaned, &e); /* the status keeps its error */
		pthread_mutex_lock(&h->clean_lock);
	}
	pthread_mutex_unlock(&h->clean_lock);
	return NULL;
}

int hub_cleaner_start(struct hub *h, struct err *e)
{
	int r = pthread_create(&h->cleaner, NULL, cleaner_main, h);
	if (r != 0)
		return err_set_errno(e, ERR_NO_MEMORY, r, "hub", "cannot start the cleanup service");
	h->cleaner_runs = true;
	return 0;
}

void hub_cleaner_stop(struct hub *h)
{
	if (!h->cleaner_runs)
		return;
	pthread_mutex_lock(&h->clean_lock);
	h->stop = true;
	pthread_cond_signal(&h->clean_wake);
	pthread_mutex_unlock(&h->clean_lock);
	(void)pthread_join(h->cleaner, NULL);
	h->cleaner_runs = false;
}
