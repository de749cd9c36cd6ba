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
	for (unsigned i = 0; i < l->disk_count; i++)
		free(l->disks[i].missing);
	free(l->disks);
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

static int take_disks(struct live *l, const struct catalog_mount_disk_list *rows, struct err *e)
{
	l->disks = calloc(rows->count + 1, sizeof(*l->disks));
	if (!l->disks)
		return err_no_memory(e, "hub");
	for (size_t i = 0; i < rows->count; i++) {
		const struct catalog_mount_disk *row = rows->items[i];
		char *missing = row->missing[0] ? strdup(row->missing) : NULL;
		if (row->missing[0] && !missing)
			return err_no_memory(e, "hub");
		l->disks[l->disk_count++] = (struct mount_disk){.id = row->id, .disk_index = row->disk_index, .missing = missing};
	}
	return 0;
}

int live_new(struct hub *h, const struct catalog_mount *row, struct live **ret, struct err *e)
{
	struct catalog_mount_disk_list disks = {0};
	int r = catalog_mount_disks(h->catalog, row->id, &disks, e);
	if (r < 0)
		return r;
	struct live *l = calloc(1, sizeof(*l));
	if (l) {
		(void)pthread_mutex_init(&l->start, NULL);
		l->backup_id = strdup(row->backup_id);
		r = l->backup_id ? take_disks(l, &disks, e) : err_no_memory(e, "hub");
	} else {
		r = err_no_memory(e, "hub");
	}
	catalog_mount_disk_list_free(&disks);
	if (r < 0) {
		if (l)
			live_free(l);
		return r;
	}
	(void)snprintf(l->id, sizeof(l->id), "%s", row->id);
	l->settled = live_is_open(row);
	l->accessed_at = l->stored_at = row->last_accessed_at;
	l->refs = 2; /* the table's and the caller's */
	*ret = l;
	return 0;
}

bool live_is_open(const struct catalog_mount *row)
{
	return row->status == CATALOG_MOUNT_MOUNTED;
}

int live_not_mounted(struct err *e, const char *id)
{
	return err_set(e, ERR_MOUNT_NOT_FOUND, "hub", "there is no mount %.64s; it may have been closed or have expired", id);
}

/* May the mount be used, as its row has it? */
static int check_open(struct hub *h, const char *id, struct catalog_mount **ret, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	int r = catalog_mount_get(h->catalog, id, &row, e);
	if (r < 0)
		return r;
	if (!live_is_open(row) || (row->expires_at > 0 && row->expires_at <= hub_now_us()))
		return live_not_mounted(e, id);
	if (ret)
		*ret = STEAL(row);
	return 0;
}

/* Who closes a mount changes its row first and then looks for its entry. An entry made meanwhile, of what the row said before,
 * goes again. */
static int confirm(struct hub *h, struct live *l, struct err *e)
{
	int r = check_open(h, l->id, NULL, e);
	if (r == 0)
		return 0;
	struct live *listed = live_take_out(h, l->id);
	if (listed)
		live_unref(h, listed);
	live_unref(h, l);
	return r;
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
	int r = check_open(h, id, &row, e);
	if (r < 0)
		return r;
	struct live *fresh;
	r = live_new(h, row, &fresh, e);
	if (r < 0)
		return r;
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
	else
		r = confirm(h, fresh, e);
	if (r == 0)
		*ret = l ? l : fresh;
	return r;
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
	int r = hub_open_disks(h, l->disks, l->disk_count, l->settled, &s, &l->opened, e);
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

/* FNV-1a over what decides which volume has which number; of a single disk its id. */
static uint64_t disks_number(const struct live *l)
{
	if (l->disk_count == 1)
		return (uint64_t)l->disks[0].id;
	uint64_t sum = 0xcbf29ce484222325;
	for (unsigned i = 0; i < l->disk_count; i++) {
		uint64_t n = (uint64_t)l->disks[i].id << 1 | (l->disks[i].missing != NULL);
		for (unsigned k = 0; k < 64; k += 8)
			sum = (sum ^ (n >> k & 0xff)) * 0x100000001b3;
	}
	return sum | 1ULL << 63;
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
			.disks = disks_number(l),
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
