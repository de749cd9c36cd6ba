/* Mounts as they are shown. */
#include "hub/internal.h"

#include <stdlib.h>
#include <string.h>

void hub_mount_free(struct hub_mount *m)
{
	if (!m)
		return;
	free(m->row);
	catalog_mount_disk_list_free(&m->disks);
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
	if (r == 0)
		r = catalog_mount_disks(h->catalog, mount_id, &m->disks, e);
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
	struct live *l = live_find_locked(h, m->row->id);
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
	if (!list)
		r = err_no_memory(e, "hub");
	for (size_t i = 0; i < rows.count && r == 0; i++) {
		struct hub_mount *m = calloc(1, sizeof(*m));
		if (!m) {
			r = err_no_memory(e, "hub");
			break;
		}
		m->row = rows.items[i];
		rows.items[i] = NULL;
		list[count++] = m;
		r = catalog_mount_disks(h->catalog, m->row->id, &m->disks, e);
		fill_from_live(h, m);
	}
	catalog_mount_list_free(&rows);
	if (r < 0) {
		hub_mount_list_free(list, count);
		return r;
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
