/* Live entries: what lives of a mount, its worker above all, and the uses of it. */
#include "hub/internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STORE_ACCESS_US = 5000000,       /* how much older than the truth a row's last access may be */
	SHORT_LIFE_MS = 60000,           /* a worker that dies younger than that counts against starting another */
	BACKOFF_MIN_MS = 1000,
	BACKOFF_MAX_MS = 60000,
};

/* --- live entries --------------------------------------------------------------------------------- */

static void live_free(struct live *l)
{
	session_close(l->session);
	free(l->volumes);
	free(l->backup_id);
	(void)pthread_mutex_destroy(&l->start);
	free(l);
}

void live_unref(struct hub *h, struct live *l)
{
	pthread_mutex_lock(&h->lock);
	bool last = --l->refs == 0;
	pthread_mutex_unlock(&h->lock);
	if (last)
		live_free(l);
}

struct live *live_find_locked(struct hub *h, const char *id)
{
	struct live *l = h->live;
	while (l && strcmp(l->id, id) != 0)
		l = l->next;
	return l;
}

/* Takes it out of the table; the table's reference becomes the caller's. */
struct live *live_take_out(struct hub *h, const char *id)
{
	pthread_mutex_lock(&h->lock);
	struct live **at = &h->live;
	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	struct live *l = *at;
	if (l) {
		*at = l->next;
		l->removed = true;
	}
	pthread_mutex_unlock(&h->lock);
	return l;
}

struct live *live_new(const struct catalog_mount *row)
{
	struct live *l = calloc(1, sizeof(*l));
	char *backup_id = strdup(row->backup_id);
	if (!l || !backup_id) {
		free(l);
		free(backup_id);
		return NULL;
	}
	(void)snprintf(l->id, sizeof(l->id), "%s", row->id);
	l->backup_id = backup_id;
	l->disk_id = row->backup_disk_id;
	l->accessed_at = l->stored_at = row->last_accessed_at;
	l->refs = 2; /* the table's and the caller's */
	(void)pthread_mutex_init(&l->start, NULL);
	return l;
}

bool live_is_open(const struct catalog_mount *row)
{
	return row->status == CATALOG_MOUNT_MOUNTED;
}

int live_not_mounted(struct err *e, const char *id)
{
	return err_set(e, ERR_MOUNT_NOT_FOUND, "hub", "there is no mount %.64s; it may have been closed or have expired", id);
}

/* The entry for a mounted row, made where there is none; with a reference for the caller. */
static int live_get(struct hub *h, const char *id, struct live **ret, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct live *l = live_find_locked(h, id);
	if (l)
		l->refs++;
	pthread_mutex_unlock(&h->lock);
	if (l) {
		*ret = l;
		return 0;
	}
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	int r = catalog_mount_get(h->catalog, id, &row, e);
	if (r < 0)
		return r;
	if (!live_is_open(row) || (row->expires_at > 0 && row->expires_at <= hub_now_us()))
		return live_not_mounted(e, id);
	struct live *fresh = live_new(row);
	if (!fresh)
		return err_no_memory(e, "hub");
	pthread_mutex_lock(&h->lock);
	l = live_find_locked(h, id);
	if (l) {
		l->refs++;
	} else {
		fresh->next = h->live;
		h->live = fresh;
	}
	pthread_mutex_unlock(&h->lock);
	if (l)
		live_free(fresh);
	*ret = l ? l : fresh;
	return 0;
}

/* --- workers of live entries ---------------------------------------------------------------------- */

/* Replaces the session; the former one is closed. Under l->start. */
void live_set_session(struct hub *h, struct live *l, struct session *s)
{
	pthread_mutex_lock(&h->lock);
	struct session *old = l->session;
	l->session = s;
	pthread_mutex_unlock(&h->lock);
	session_close(old);
}

static void note_death(struct live *l)
{
	uint64_t now = clock_mono_ms();
	if (now - l->started_ms > SHORT_LIFE_MS)
		l->deaths = 0;
	unsigned shift = l->deaths < 6 ? l->deaths : 6;
	uint64_t wait = (uint64_t)BACKOFF_MIN_MS << shift;
	/* The first death costs nothing: the next request simply gets a new worker. */
	l->not_before_ms = l->deaths == 0 ? now : now + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
	l->deaths++;
}

/* Under l->start: a session that lives, or a new one. */
int live_ensure_session(struct hub *h, struct live *l, struct err *e)
{
	if (l->session && session_alive(l->session))
		return 0;
	if (l->session) {
		note_death(l);
		live_set_session(h, l, NULL);
	}
	if (clock_mono_ms() < l->not_before_ms)
		return err_set(e, ERR_WORKER_DIED, "hub",
		               "the worker of this mount ended %u times in a row and is not started again for some seconds; if it goes "
		               "on, the image is damaged or hostile",
		               l->deaths);
	l->started_ms = clock_mono_ms();
	struct session *s = NULL;
	int r = hub_open_disk(h, l->disk_id, &s, &l->opened, e);
	struct wire_volume *volumes = NULL;
	unsigned count = 0;
	if (r == 0)
		r = session_volumes(s, &volumes, &count, e);
	if (r < 0) {
		if (r == ERR_WORKER_DIED || r == ERR_TIMEOUT || r == ERR_WORKER_PROTOCOL)
			note_death(l);
		session_close(s);
		return r;
	}
	free(l->volumes);
	l->volumes = volumes;
	l->volume_count = count;
	live_set_session(h, l, s);
	return 0;
}

static void touch_locked(struct hub *h, struct live *l, int64_t *ret_store)
{
	(void)h;
	l->accessed_at = hub_now_us();
	*ret_store = l->accessed_at - l->stored_at >= STORE_ACCESS_US ? l->accessed_at : 0;
	if (*ret_store)
		l->stored_at = l->accessed_at;
}

/* Renews the last access; the row follows at most every few seconds. */
static void touch(struct hub *h, struct live *l)
{
	int64_t store;
	pthread_mutex_lock(&h->lock);
	touch_locked(h, l, &store);
	bool removed = l->removed;
	pthread_mutex_unlock(&h->lock);
	struct err ignored = ERR_INIT;
	if (store && !removed)
		(void)catalog_mount_touch(h->catalog, l->id, store, store + (int64_t)h->idle_timeout_s * 1000000, &ignored);
}

/* Closed, or never opened, while the caller waited for l->start. */
static bool is_removed(struct hub *h, const struct live *l)
{
	pthread_mutex_lock(&h->lock);
	bool removed = l->removed;
	pthread_mutex_unlock(&h->lock);
	return removed;
}

int hub_use(struct hub *h, const char *mount_id, struct hub_use **ret, struct err *e)
{
	struct live *l = NULL;
	int r = live_get(h, mount_id, &l, e);
	if (r < 0)
		return r;
	struct hub_use *u = calloc(1, sizeof(*u));
	if (!u) {
		live_unref(h, l);
		return err_no_memory(e, "hub");
	}
	pthread_mutex_lock(&l->start);
	r = is_removed(h, l) ? live_not_mounted(e, mount_id) : live_ensure_session(h, l, e);
	if (r == 0) {
		*u = (struct hub_use){
			.session = session_ref(l->session),
			.default_volume = l->opened.default_volume,
			.backup_id = l->backup_id,
			.disk_id = l->disk_id,
			.hub = h,
			.live = l,
		};
		pthread_mutex_lock(&h->lock);
		/* Unmounted while its worker was being started: the answer is the same as a moment later. */
		if (l->removed)
			r = live_not_mounted(e, mount_id);
		else
			l->users++;
		pthread_mutex_unlock(&h->lock);
		if (r < 0)
			session_unref(u->session);
	}
	pthread_mutex_unlock(&l->start);
	if (r < 0) {
		free(u);
		live_unref(h, l);
		return r;
	}
	touch(h, l);
	*ret = u;
	return 0;
}

void hub_use_release(struct hub_use *u)
{
	if (!u)
		return;
	struct hub *h = u->hub;
	touch(h, u->live);
	pthread_mutex_lock(&h->lock);
	u->live->users--;
	pthread_mutex_unlock(&h->lock);
	session_unref(u->session);
	live_unref(h, u->live);
	free(u);
}

unsigned hub_stop_idle_workers(struct hub *h)
{
	unsigned stopped = 0;
	for (;;) {
		pthread_mutex_lock(&h->lock);
		struct live *l = h->live;
		while (l && !(l->session && l->refs == 1 && session_idle_ms(l->session) >= (uint64_t)h->worker_idle_s * 1000))
			l = l->next;
		/* Unlisted first: whoever comes meanwhile makes a new entry with a new worker. */
		struct live **at = &h->live;
		while (l && *at != l)
			at = &(*at)->next;
		if (l)
			*at = l->next;
		pthread_mutex_unlock(&h->lock);
		if (!l)
			return stopped;
		live_unref(h, l);
		stopped++;
	}
}

void hub_drop_all(struct hub *h)
{
	while (h->live) {
		struct live *l = h->live;
		h->live = l->next;
		struct err ignored = ERR_INIT;
		if (l->accessed_at > l->stored_at)
			(void)catalog_mount_touch(h->catalog, l->id, l->accessed_at,
			                          l->accessed_at + (int64_t)h->idle_timeout_s * 1000000, &ignored);
		live_unref(h, l);
	}
}
