/* Making mounts, and ending them. */
#include "hub/internal.h"

#include "base/uuid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The entry of a row just made, with l->start held: whoever asks for the mount from now on waits for it instead of making
 * an entry, and a worker, of his own. */
static int make_live(struct hub *h, const char *id, struct live **ret, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	struct live *l = NULL;
	int r = catalog_mount_get(h->catalog, id, &row, e);
	if (r == 0)
		r = live_new(h, row, &l, e);
	if (r < 0) {
		struct err ignored = ERR_INIT;
		(void)catalog_mount_delete(h->catalog, id, &ignored);
		return r;
	}
	pthread_mutex_lock(&l->start);
	pthread_mutex_lock(&h->lock);
	l->next = h->live;
	h->live = l;
	pthread_mutex_unlock(&h->lock);
	*ret = l;
	return 0;
}

/* The disks a request means, by their index. */
struct chosen {
	int64_t ids[HUB_MOUNT_DISKS_MAX];
	size_t count;
};

static int create_row(struct hub *h, struct catalog_mount *row, const struct chosen *disks, char *ret_existing,
                      struct err *e)
{
	if (disks->count > 1)
		return catalog_mount_create_machine(h->catalog, row, disks->ids, disks->count, ret_existing, e);
	row->backup_disk_id = disks->ids[0];
	return catalog_mount_create(h->catalog, row, ret_existing, e);
}

/* The row in state "mounting": from here on the disks are taken and a slot used. */
static int reserve(struct hub *h, const struct chosen *disks, char *id, char *ret_existing, struct live **ret,
                   struct err *e)
{
	int64_t now = hub_now_us(), active = 0;
	int r = uuid_make(id, e);
	if (r < 0)
		return r;
	struct catalog_mount row = {
		.id = id,
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
		if (create_row(h, &row, disks, ret_existing, &same) == 0)
			r = catalog_mount_delete(h->catalog, id, e);
		else if (same.code == ERR_ALREADY_MOUNTED)
			r = err_set(e, same.code, "hub", "%s", same.msg);
		if (r == 0)
			r = err_set(e, ERR_NO_SLOT, "hub", "all %u mounts are in use; close one that is not needed any more",
			            h->max_mounts);
	} else if (r == 0) {
		r = create_row(h, &row, disks, ret_existing, e);
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

/* From now on it is known which disks are missing, in the row, too. Under l->start. */
static int settle(struct hub *h, struct live *l, struct err *e)
{
	int r = 0;
	for (unsigned i = 0; i < l->disk_count && r == 0; i++)
		if (l->disks[i].missing)
			r = catalog_mount_set_missing(h->catalog, l->id, l->disks[i].id, l->disks[i].missing, e);
	l->settled = true;
	return r;
}

/* Opens the reserved mount; l->start is held, and let go of here. */
static int bring_up(struct hub *h, struct live *l, struct err *e)
{
	int r = live_ensure_session(h, l, e);
	if (r == 0)
		r = settle(h, l, e);
	if (r == 0)
		r = catalog_mount_set_status(h->catalog, l->id, CATALOG_MOUNT_MOUNTED, default_filesystem(l), NULL, e);
	if (r < 0)
		live_unref(h, live_take_out(h, l->id)); /* the caller's reference is still held */
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
static int reserve_or_reuse(struct hub *h, const struct chosen *disks, bool reuse, char *id, char *existing,
                            struct live **ret_live, struct hub_mount **ret, struct err *e)
{
	for (unsigned attempt = 1;; attempt++) {
		int r = reserve(h, disks, id, existing, ret_live, e);
		if (r == 0)
			return RESERVED;
		if (r == ERR_ALREADY_MOUNTED && reuse) {
			struct err why = ERR_INIT;
			int got = hub_mount_get(h, existing, ret, &why);
			if (got != ERR_MOUNT_NOT_FOUND) {
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

static bool is_asked_for(const struct hub_mount_request *req, int64_t id)
{
	bool found = req->all_disks;
	for (size_t i = 0; i < req->disk_id_count && !found; i++)
		found = req->disk_ids[i] == id;
	return found;
}

/* Each id must be one of the backup's. */
static int check_ids(const struct hub_mount_request *req, const struct catalog_disk_list *all, struct err *e)
{
	for (size_t i = 0; i < req->disk_id_count; i++) {
		bool found = false;
		for (size_t k = 0; k < all->count && !found; k++)
			found = all->items[k]->id == req->disk_ids[i];
		if (!found)
			return err_set(e, ERR_DISK_NOT_FOUND, "hub", "this backup has no disk with the id %" PRId64, req->disk_ids[i]);
	}
	return all->count > 0 ? 0 : err_set(e, ERR_DISK_NOT_FOUND, "hub", "this backup has no disks");
}

static int choose_some(const struct hub_mount_request *req, const struct catalog_disk_list *all, struct chosen *ret,
                       struct err *e)
{
	struct chosen c = {.count = 0};
	int r = check_ids(req, all, e);
	for (size_t i = 0; i < all->count && r == 0; i++) {
		if (!is_asked_for(req, all->items[i]->id))
			continue;
		if (c.count == HUB_MOUNT_DISKS_MAX)
			return err_set(e, ERR_LIMIT, "hub", "one mount holds at most %d disks; name some of this backup's %zu",
			               HUB_MOUNT_DISKS_MAX, all->count);
		c.ids[c.count++] = all->items[i]->id;
	}
	if (r == 0)
		*ret = c;
	return r;
}

static int choose_disks(struct hub *h, const struct hub_mount_request *req, struct chosen *ret, struct err *e)
{
	if (!req->all_disks && req->disk_id_count == 0) {
		CLEANUP(free_ptr) struct catalog_disk *disk = NULL;
		int r = catalog_disk_get_by_index(h->catalog, req->backup_id, req->disk_index, &disk, e);
		if (r == 0)
			*ret = (struct chosen){.ids = {disk->id}, .count = 1};
		return r;
	}
	struct catalog_disk_list all = {0};
	int r = catalog_disk_list(h->catalog, req->backup_id, &all, e);
	if (r == 0)
		r = choose_some(req, &all, ret, e);
	catalog_disk_list_free(&all);
	return r;
}

int hub_mount(struct hub *h, const struct hub_mount_request *req, struct hub_mount **ret, bool *ret_reused,
              char *ret_existing, struct err *e)
{
	struct chosen disks;
	int r = check_complete(h, req->backup_id, e);
	if (r == 0)
		r = choose_disks(h, req, &disks, e);
	if (r < 0)
		return r;
	char id[CATALOG_ID_MAX], existing[CATALOG_ID_MAX] = "";
	struct live *l = NULL;
	r = reserve_or_reuse(h, &disks, req->reuse, id, existing, &l, ret, e);
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
	struct live *l = live_take_out(h, id);
	if (!l)
		return;
	pthread_mutex_lock(&l->start);
	live_set_session(h, l, NULL);
	pthread_mutex_unlock(&l->start);
	live_unref(h, l);
}

void hub_drop_forgotten(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	size_t count = 0, n = 0;
	for (const struct live *l = h->live; l; l = l->next)
		count++;
	CLEANUP(free_ptr) char(*ids)[CATALOG_ID_MAX] = calloc(count + 1, sizeof(*ids));
	for (const struct live *l = h->live; ids && l; l = l->next)
		memcpy(ids[n++], l->id, sizeof(*ids));
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(free_ptr) struct catalog_mount *row = NULL;
		struct err ignored = ERR_INIT;
		if (catalog_mount_get(h->catalog, ids[i], &row, &ignored) == ERR_MOUNT_NOT_FOUND)
			kill_live(h, ids[i]);
	}
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
	if (!live_is_open(row))
		return live_not_mounted(e, mount_id);
	return close_mount(h, mount_id, e);
}

int hub_expire(struct hub *h, const struct catalog_mount *row, bool *ret_closed, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct live *l = live_find_locked(h, row->id);
	int64_t now = hub_now_us(), timeout = (int64_t)h->idle_timeout_s * 1000000;
	int64_t accessed = l && l->users > 0 ? now : l ? l->accessed_at : 0;
	bool busy = l && now - accessed < timeout;
	if (busy)
		l->stored_at = accessed;
	/* From here on nobody can begin to use it, so that what was judged idle stays so. */
	if (l && !busy)
		l->removed = true;
	pthread_mutex_unlock(&h->lock);
	*ret_closed = false;
	if (busy) {
		/* Its row tells it as well: a hub that is killed meanwhile finds the mount again. */
		struct err ignored = ERR_INIT;
		(void)catalog_mount_touch(h->catalog, row->id, accessed, accessed + timeout, &ignored);
		return 0;
	}
	int r = close_mount(h, row->id, e);
	*ret_closed = r == 0;
	return r;
}
