#include "hub/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int64_t hub_now_us(void)
{
	return clock_now_us();
}

void hub_abort(struct hub *h)
{
	atomic_store(&h->aborting, true);
}

struct catalog *hub_catalog(struct hub *h)
{
	return h->catalog;
}

unsigned hub_idle_timeout_s(const struct hub *h)
{
	return h->idle_timeout_s;
}

void hub_session_options(const struct hub *h, struct session_options *ret)
{
	*ret = (struct session_options){
		.worker_path = h->worker_path,
		.log_fd = -1,
		.call_timeout_ms = h->call_timeout_ms,
		.open_timeout_ms = h->call_timeout_ms,
		.stall_timeout_ms = h->call_timeout_ms,
		.key_timeout_ms = h->call_timeout_ms,
		.no_sandbox = h->no_sandbox,
	};
}

/* Two hubs on one catalog would each think the other's mounts their own. */
static int lock_data_dir(struct hub *h, const char *dir, struct err *e)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/hub.lock", dir);
	h->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->lock_fd < 0)
		return err_set_errno(e, errno == ENOSPC ? ERR_CATALOG_FULL : ERR_CONFIG, errno, "hub",
		                     "cannot write in the data directory");
	if (flock(h->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_CONFLICT, "hub", "another sendense-hub uses this data directory; stop it, or give each its own");
	return 0;
}

/* Rows that a hub left in the middle of something. "mounted" ones stay: their next access starts a worker. */
static int settle_rows(struct hub *h, struct err *e)
{
	static const struct {
		enum catalog_mount_status from, to;
		const char *why;
	} settle[] = {
		{CATALOG_MOUNT_MOUNTING, CATALOG_MOUNT_FAILED, "the hub was stopped while this disk was being opened"},
		{CATALOG_MOUNT_UNMOUNTING, CATALOG_MOUNT_UNMOUNTED, NULL},
	};
	for (unsigned i = 0; i < 2; i++) {
		struct catalog_mount_list list = {0};
		int r = catalog_mount_list(h->catalog, &(struct catalog_mount_filter){.status = settle[i].from}, &list, e);
		for (size_t k = 0; k < list.count && r == 0; k++)
			r = catalog_mount_set_status(h->catalog, list.items[k]->id, settle[i].to, NULL, settle[i].why, e);
		catalog_mount_list_free(&list);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct hub *hub_new(const struct hub_config *c)
{
	struct hub *h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->lock_fd = -1;
	h->max_mounts = c->max_mounts ? c->max_mounts : HUB_MAX_MOUNTS;
	h->idle_timeout_s = c->idle_timeout_s ? c->idle_timeout_s : HUB_IDLE_TIMEOUT_S;
	h->cleanup_interval_s = c->cleanup_interval_s ? c->cleanup_interval_s : HUB_CLEANUP_INTERVAL_S;
	h->worker_idle_s = c->worker_idle_s ? c->worker_idle_s : HUB_WORKER_IDLE_S;
	h->call_timeout_ms = c->call_timeout_ms;
	h->no_sandbox = c->no_sandbox;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_mutex_init(&h->mounting, NULL);
	(void)pthread_mutex_init(&h->clean_lock, NULL);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->clean_wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	return h;
}

int hub_open(const struct hub_config *config, struct hub **ret, struct err *e)
{
	struct hub *h = hub_new(config);
	if (!h)
		return err_no_memory(e, "hub");
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/catalog.db", config->data_dir);
	int r = 0;
	if (config->worker_path && !(h->worker_path = strdup(config->worker_path)))
		r = err_no_memory(e, "hub");
	if (r == 0)
		r = lock_data_dir(h, config->data_dir, e);
	if (r == 0)
		r = catalog_open(path, &h->catalog, e);
	if (r == 0)
		r = settle_rows(h, e);
	if (r == 0)
		r = hub_cleaner_start(h, e);
	if (r < 0)
		hub_close(h);
	else
		*ret = h;
	return r;
}

void hub_close(struct hub *h)
{
	if (!h)
		return;
	hub_cleaner_stop(h);
	hub_selections_drop(h, NULL);
	hub_drop_all(h);
	catalog_close(h->catalog);
	if (h->lock_fd >= 0)
		(void)close(h->lock_fd);
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_mutex_destroy(&h->mounting);
	(void)pthread_mutex_destroy(&h->clean_lock);
	(void)pthread_cond_destroy(&h->clean_wake);
	free(h->worker_path);
	free(h);
}
