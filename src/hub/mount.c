#include "hub/internal.h"

#include "base/clock.h"
#include "base/uuid.h"

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

static void live_unref(struct hub *h, struct live *l)
{
	pthread_mutex_lock(&h->lock);
	bool last = --l->refs == 0;
	pthread_mutex_unlock(&h->lock);
	if (last)
		live_free(l);
}

static struct live *find_locked(struct hub *h, const char *id)
{
	struct live *l = h->live;
	while (l && strcmp(l->id, id) != 0)
		l = l->next;
	return l;
}

/* Takes it out of the table; the table's reference becomes the caller's. */
static struct live *take_out(struct hub *h, const char *id)
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

static struct live *live_new(const struct catalog_mount *row)
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

static bool is_open(const struct catalog_mount *row)
{
	return row->status == CATALOG_MOUNT_MOUNTED;
}

static int not_mounted(struct err *e, const char *id)
{
	return err_set(e, ERR_MOUNT_NOT_FOUND, "hub", "there is no mount %.64s; it may have been closed or have expired", id);
}

/* The entry for a mounted row, made where there is none; with a reference for the caller. */
static int get_live(struct hub *h, const char *id, struct live **ret, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct live *l = find_locked(h, id);
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
	if (!is_open(row) || (row->expires_at > 0 && row->expires_at <= hub_now_us()))
		return not_mounted(e, id);
	struct live *fresh = live_new(row);
	if (!fresh)
		return err_no_memory(e, "hub");
	pthread_mutex_lock(&h->lock);
	l = find_locked(h, id);
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
static void set_session(struct hub *h, struct live *l, struct session *s)
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
static int ensure_session(struct hub *h, struct live *l, struct err *e)
{
	if (l->session && session_alive(l->session))
		return 0;
	if (l->session) {
		note_death(l);
		set_session(h, l, NULL);
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
	set_session(h, l, s);
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
	int r = get_live(h, mount_id, &l, e);
	if (r < 0)
		return r;
	struct hub_use *u = calloc(1, sizeof(*u));
	if (!u) {
		live_unref(h, l);
		return err_no_memory(e, "hub");
	}
	pthread_mutex_lock(&l->start);
	r = is_removed(h, l) ? not_mounted(e, mount_id) : ensure_session(h, l, e);
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
			r = not_mounted(e, mount_id);
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

/* --- mounts as they are shown --------------------------------------------------------------------- */

void hub_mount_free(struct hub_mount *m)
{
	if (!m)
		return;
	free(m->row);
	free(m->volumes);
	free(m->warnings);
	free(m);
}

/* Under l->start, with its volumes known. */
static int copy_details(struct hub_mount *m, const struct live *l, struct err *e)
{
	if (l->volume_count > 0) {
		m->volumes = malloc(sizeof(*m->volumes) * l->volume_count);
		if (!m->volumes)
			return err_no_memory(e, "hub");
		memcpy(m->volumes, l->volumes, sizeof(*m->volumes) * l->volume_count);
		m->volume_count = l->volume_count;
	}
	m->default_volume = l->opened.default_volume;
	if (l->opened.warning_count > 0) {
		size_t size = sizeof(*m->warnings) * l->opened.warning_count;
		m->warnings = malloc(size);
		if (!m->warnings)
			return err_no_memory(e, "hub");
		memcpy(m->warnings, l->opened.warnings, size);
		m->warning_count = l->opened.warning_count;
	}
	return 0;
}

static void show_times(struct hub *h, struct hub_mount *m, const struct live *l)
{
	if (l->accessed_at > m->row->last_accessed_at)
		m->row->last_accessed_at = l->accessed_at;
	m->row->expires_at = m->row->last_accessed_at + (int64_t)h->idle_timeout_s * 1000000;
	if (l->users > 0)
		m->row->expires_at = hub_now_us() + (int64_t)h->idle_timeout_s * 1000000;
}

int hub_mount_get(struct hub *h, const char *mount_id, struct hub_mount **ret, struct err *e)
{
	CLEANUP(hub_use_release_p) struct hub_use *u = NULL;
	int r = hub_use(h, mount_id, &u, e);
	if (r < 0)
		return r;
	CLEANUP(hub_mount_free_p) struct hub_mount *m = calloc(1, sizeof(*m));
	if (!m)
		return err_no_memory(e, "hub");
	r = catalog_mount_get(h->catalog, mount_id, &m->row, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&u->live->start);
	r = copy_details(m, u->live, e);
	pthread_mutex_unlock(&u->live->start);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	show_times(h, m, u->live);
	pthread_mutex_unlock(&h->lock);
	*ret = STEAL(m);
	return 0;
}

/* What the worker knows after an unlock, where it is still the mount's worker. */
static int renew_volumes(struct live *l, struct session *s, const struct session_opened *opened, struct err *e)
{
	struct wire_volume *volumes = NULL;
	unsigned count = 0;
	int r = session_volumes(s, &volumes, &count, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->start);
	if (l->session == s) {
		free(l->volumes);
		l->volumes = STEAL(volumes);
		l->volume_count = count;
		l->opened = *opened;
	}
	pthread_mutex_unlock(&l->start);
	free(volumes);
	return 0;
}

int hub_unlock(struct hub *h, const char *mount_id, uint32_t volume, const struct session_key *key,
               struct hub_mount **ret, struct err *e)
{
	CLEANUP(hub_use_release_p) struct hub_use *u = NULL;
	int r = hub_use(h, mount_id, &u, e);
	struct session_opened opened;
	if (r == 0)
		r = session_unlock(u->session, volume, key, &opened, e);
	if (r == 0)
		r = renew_volumes(u->live, u->session, &opened, e);
	return r < 0 ? r : hub_mount_get(h, mount_id, ret, e);
}

/* Details of a mount in a list, where they are at hand without waiting. */
static void fill_from_live(struct hub *h, struct hub_mount *m)
{
	pthread_mutex_lock(&h->lock);
	struct live *l = find_locked(h, m->row->id);
	if (l) {
		l->refs++;
		show_times(h, m, l);
	}
	pthread_mutex_unlock(&h->lock);
	if (!l)
		return;
	if (pthread_mutex_trylock(&l->start) == 0) {
		struct err ignored = ERR_INIT;
		(void)copy_details(m, l, &ignored);
		pthread_mutex_unlock(&l->start);
	}
	live_unref(h, l);
}

void hub_mount_list_free(struct hub_mount **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		hub_mount_free(list[i]);
	free(list);
}

int hub_mount_list(struct hub *h, struct hub_mount ***ret, size_t *ret_count, struct err *e)
{
	struct catalog_mount_list rows = {0};
	int r = catalog_mount_list(h->catalog, &(struct catalog_mount_filter){.active = true}, &rows, e);
	if (r < 0)
		return r;
	struct hub_mount **list = calloc(rows.count + 1, sizeof(*list));
	size_t count = 0;
	for (size_t i = 0; i < rows.count && list; i++) {
		struct hub_mount *m = calloc(1, sizeof(*m));
		if (!m)
			break;
		m->row = rows.items[i];
		rows.items[i] = NULL;
		list[count++] = m;
		fill_from_live(h, m);
	}
	bool whole = list && count == rows.count;
	catalog_mount_list_free(&rows);
	if (!whole) {
		hub_mount_list_free(list, count);
		return err_no_memory(e, "hub");
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int hub_resources(struct hub *h, struct hub_resources *ret, struct err *e)
{
	int64_t active;
	int r = catalog_mount_count(h->catalog, &(struct catalog_mount_filter){.active = true}, &active, e);
	if (r < 0)
		return r;
	ret->active_mounts = (unsigned)active;
	ret->max_mounts = h->max_mounts;
	ret->workers = 0;
	pthread_mutex_lock(&h->lock);
	for (struct live *l = h->live; l; l = l->next)
		ret->workers += l->session != NULL;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

/* --- mount and unmount ---------------------------------------------------------------------------- */

/* The entry of a row just made, with l->start held: whoever asks for the mount from now on waits for it instead of making
 * an entry, and a worker, of his own. */
static int make_live(struct hub *h, const char *id, struct live **ret, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	int r = catalog_mount_get(h->catalog, id, &row, e);
	struct live *l = r == 0 ? live_new(row) : NULL;
	if (!l) {
		struct err ignored = ERR_INIT;
		(void)catalog_mount_delete(h->catalog, id, &ignored);
		return r < 0 ? r : err_no_memory(e, "hub");
	}
	pthread_mutex_lock(&l->start);
	pthread_mutex_lock(&h->lock);
	l->next = h->live;
	h->live = l;
	pthread_mutex_unlock(&h->lock);
	*ret = l;
	return 0;
}

/* The row in state "mounting": from here on the disk is taken and a slot used. */
static int reserve(struct hub *h, const struct catalog_disk *disk, char *id, char *ret_existing, struct live **ret,
                   struct err *e)
{
	int64_t now = hub_now_us(), active = 0;
	int r = uuid_make(id, e);
	if (r < 0)
		return r;
	struct catalog_mount row = {
		.id = id,
		.backup_disk_id = disk->id,
		.engine = "native",
		.status = CATALOG_MOUNT_MOUNTING,
		.created_at = now,
		.last_accessed_at = now,
		.expires_at = now + (int64_t)h->idle_timeout_s * 1000000,
	};
	pthread_mutex_lock(&h->mounting);
	r = catalog_mount_count(h->catalog, &(struct catalog_mount_filter){.active = true}, &active, e);
	if (r == 0 && active >= h->max_mounts) {
		/* A disk that is mounted already says so even when all slots are taken. */
		struct err same = ERR_INIT;
		if (catalog_mount_create(h->catalog, &row, ret_existing, &same) == 0)
			r = catalog_mount_delete(h->catalog, id, e);
		else if (same.code == ERR_ALREADY_MOUNTED)
			r = err_set(e, same.code, "hub", "%s", same.msg);
		if (r == 0)
			r = err_set(e, ERR_NO_SLOT, "hub", "all %u mounts are in use; close one that is not needed any more",
			            h->max_mounts);
	} else if (r == 0) {
		r = catalog_mount_create(h->catalog, &row, ret_existing, e);
		if (r == 0)
			r = make_live(h, id, ret, e);
	}
	pthread_mutex_unlock(&h->mounting);
	return r;
}

static const char *default_filesystem(const struct live *l)
{
	for (unsigned i = 0; i < l->volume_count; i++)
		if (l->volumes[i].number == l->opened.default_volume)
			return l->volumes[i].type;
	return "";
}

/* Opens the reserved mount; l->start is held, and let go of here. */
static int bring_up(struct hub *h, struct live *l, struct err *e)
{
	int r = ensure_session(h, l, e);
	if (r == 0)
		r = catalog_mount_set_status(h->catalog, l->id, CATALOG_MOUNT_MOUNTED, default_filesystem(l), NULL, e);
	if (r < 0)
		live_unref(h, take_out(h, l->id)); /* the caller's reference is still held */
	pthread_mutex_unlock(&l->start);
	live_unref(h, l);
	return r;
}

static int check_complete(struct hub *h, const char *backup_id, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_backup *b = NULL;
	int r = catalog_backup_get(h->catalog, backup_id, &b, e);
	if (r == 0 && b->status != CATALOG_BACKUP_COMPLETED)
		r = err_set(e, ERR_BACKUP_NOT_COMPLETE, "hub", "this backup is %s; only a completed one can be opened",
		            catalog_backup_status_name(b->status));
	return r;
}

enum { RESERVED = 0, REUSED = 1, ATTEMPTS = 4 };

/* A slot of its own, or the mount that is there. What stands in the way may be over: expired and not yet cleaned up, or just
 * being closed, or failing to open; then it is tried again. */
static int reserve_or_reuse(struct hub *h, const struct catalog_disk *disk, bool reuse, char *id, char *existing,
                            struct live **ret_live, struct hub_mount **ret, struct err *e)
{
	for (unsigned attempt = 1;; attempt++) {
		int r = reserve(h, disk, id, existing, ret_live, e);
		if (r == 0)
			return RESERVED;
		if (r == ERR_ALREADY_MOUNTED && reuse) {
			struct err why = ERR_INIT;
			int got = hub_mount_get(h, existing, ret, &why);
			if (got == 0 || got != ERR_MOUNT_NOT_FOUND) {
				*e = why;
				return got == 0 ? REUSED : got;
			}
		}
		unsigned closed = 0;
		struct err ignored = ERR_INIT;
		if ((r != ERR_ALREADY_MOUNTED && r != ERR_NO_SLOT) || attempt == ATTEMPTS)
			return r;
		(void)hub_close_expired(h, &closed, &ignored);
		if (closed == 0 && !(reuse && r == ERR_ALREADY_MOUNTED))
			return r;
		err_clear(e);
	}
}

int hub_mount(struct hub *h, const char *backup_id, int64_t disk_index, bool reuse, struct hub_mount **ret,
              bool *ret_reused, char *ret_existing, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_disk *disk = NULL;
	int r = check_complete(h, backup_id, e);
	if (r == 0)
		r = catalog_disk_get_by_index(h->catalog, backup_id, disk_index, &disk, e);
	if (r < 0)
		return r;
	char id[CATALOG_ID_MAX], existing[CATALOG_ID_MAX] = "";
	struct live *l = NULL;
	r = reserve_or_reuse(h, disk, reuse, id, existing, &l, ret, e);
	if (r == ERR_ALREADY_MOUNTED)
		memcpy(ret_existing, existing, sizeof(existing));
	if (r != RESERVED) {
		*ret_reused = r == REUSED;
		return r < 0 ? r : 0;
	}
	r = bring_up(h, l, e);
	struct err ignored = ERR_INIT;
	if (r < 0) {
		(void)catalog_mount_set_status(h->catalog, id, CATALOG_MOUNT_FAILED, NULL, e->msg, &ignored);
		return r;
	}
	(void)catalog_counter_add(h->catalog, CATALOG_COUNTER_MOUNTS, 1, NULL, &ignored);
	*ret_reused = false;
	return hub_mount_get(h, id, ret, e);
}

/* Ends what lives of a mount. Streams under way break off. */
static void kill_live(struct hub *h, const char *id)
{
	hub_selections_drop(h, id);
	struct live *l = take_out(h, id);
	if (!l)
		return;
	pthread_mutex_lock(&l->start);
	set_session(h, l, NULL);
	pthread_mutex_unlock(&l->start);
	live_unref(h, l);
}

static int close_mount(struct hub *h, const char *id, struct err *e)
{
	int r = catalog_mount_set_status(h->catalog, id, CATALOG_MOUNT_UNMOUNTING, NULL, NULL, e);
	if (r < 0)
		return r;
	kill_live(h, id);
	return catalog_mount_set_status(h->catalog, id, CATALOG_MOUNT_UNMOUNTED, NULL, NULL, e);
}

int hub_unmount(struct hub *h, const char *mount_id, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	int r = catalog_mount_get(h->catalog, mount_id, &row, e);
	if (r < 0)
		return r;
	if (!is_open(row))
		return not_mounted(e, mount_id);
	return close_mount(h, mount_id, e);
}

int hub_expire(struct hub *h, const struct catalog_mount *row, bool *ret_closed, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct live *l = find_locked(h, row->id);
	bool busy = l && (l->users > 0 || hub_now_us() - l->accessed_at < (int64_t)h->idle_timeout_s * 1000000);
	/* From here on nobody can begin to use it, so that what was judged idle stays so. */
	if (l && !busy)
		l->removed = true;
	pthread_mutex_unlock(&h->lock);
	*ret_closed = false;
	if (busy)
		return 0;
	int r = close_mount(h, row->id, e);
	*ret_closed = r == 0;
	return r;
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
