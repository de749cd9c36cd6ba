/* Scans: what a repository holds becomes rows. Each image's header is read by a worker of its own. */
#include "hub/internal.h"

#include "repository/repository.h"
#include "repository/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanning {
	struct hub *hub;
	const char *repository_id;
	const struct repository *repo;
};

/* The names of the files a VMDK descriptor lists. */
static int list_extents(struct session *s, struct scan_image_info *ret, unsigned count, struct err *e)
{
	ret->extents = calloc(count, sizeof(*ret->extents));
	if (!ret->extents)
		return err_no_memory(e, "hub");
	ret->extent_count = count;
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++) {
		struct wire_extent x;
		r = session_extent(s, 0, i, &x, e);
		if (r == 0)
			ret->extents[i] = strdup(x.name);
		if (r == 0 && !ret->extents[i])
			r = err_no_memory(e, "hub");
	}
	return r;
}

/* Another worker, and qemu-nbd: only they know how large the disk is. */
static int inspect_foreign(struct scanning *sc, int fd, const char *name, struct wire_layer *info, struct scan_image_info *ret,
                           struct err *e)
{
	struct session_options opt;
	hub_session_options(sc->hub, &opt);
	opt.foreign = true;
	CLEANUP(session_close_p) struct session *s = NULL;
	int r = session_start(&opt, &s, e);
	if (r == 0)
		r = session_layer(s, 0, fd, hub_format_by_name(name), info, e);
	if (r == 0 && info->extent_count > 0)
		r = list_extents(s, ret, info->extent_count, e);
	if (r == 0)
		r = hub_attach(s, 0, sc->repo, name, fd, info, e);
	return r;
}

static int inspect_once(struct scanning *sc, int fd, const char *name, struct wire_layer *info, struct scan_image_info *ret,
                        struct err *e)
{
	struct session_options opt;
	hub_session_options(sc->hub, &opt);
	CLEANUP(session_close_p) struct session *s = NULL;
	int r = session_start(&opt, &s, e);
	if (r == 0)
		r = session_layer(s, 0, fd, hub_format_by_name(name), info, e);
	if (r == 0 && info->foreign)
		r = inspect_foreign(sc, fd, name, info, ret, e);
	return r;
}

static int inspect(void *arg, int fd, const char *name, struct scan_image_info *ret, struct err *e)
{
	struct wire_layer info;
	if (atomic_load(&((struct scanning *)arg)->hub->aborting))
		return err_set(e, ERR_CANCELLED, "hub", "the hub is stopped; scan again when it runs");
	int r = inspect_once(arg, fd, name, &info, ret, e);
	/* An image that kills its worker kills the next one, too; somebody else's kill comes once. */
	if (r == ERR_WORKER_DIED && !ret->extents) {
		err_clear(e);
		r = inspect_once(arg, fd, name, &info, ret, e);
	}
	/* An image that kills its worker is a bad image, not a bad hub. */
	if (r == ERR_WORKER_DIED || r == ERR_WORKER_PROTOCOL || r == ERR_TIMEOUT)
		e->code = r = ERR_IMAGE_CORRUPT;
	if (r < 0)
		return r;
	ret->virtual_size = info.virtual_size;
	ret->has_data_file = info.has_data_file;
	(void)snprintf(ret->format, sizeof(ret->format), "%s", info.format);
	(void)snprintf(ret->backing_name, sizeof(ret->backing_name), "%s", info.backing_name);
	(void)snprintf(ret->backing_format, sizeof(ret->backing_format), "%s", info.backing_format);
	(void)snprintf(ret->data_file_name, sizeof(ret->data_file_name), "%s", info.data_file_name);
	return 0;
}

static bool known_id(void *arg, const char *path, char *ret)
{
	struct scanning *sc = arg;
	CLEANUP(free_ptr) struct catalog_disk *disk = NULL;
	struct err ignored = ERR_INIT;
	if (catalog_disk_get_by_path(sc->hub->catalog, sc->repository_id, path, &disk, &ignored) < 0)
		return false;
	(void)snprintf(ret, SCAN_ID_MAX, "%s", disk->backup_id);
	return true;
}

static bool id_taken(void *arg, const char *id)
{
	struct scanning *sc = arg;
	CLEANUP(free_ptr) struct catalog_backup *b = NULL;
	struct err ignored = ERR_INIT;
	return catalog_backup_get(sc->hub->catalog, id, &b, &ignored) == 0 &&
	       strcmp(b->repository_id, sc->repository_id) != 0;
}

static bool taken(const struct catalog_disk *known, const struct catalog_disk *disks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (disks[i].disk_index == known->disk_index || strcmp(disks[i].qcow2_path, known->qcow2_path) == 0)
			return true;
	return false;
}

/* A disk that a scan before this one registered, and whose file is still there, stays, though its image could not be read this time:
 * its worker may have been killed, its server been away. Forgetting it would end its mounts. */
static void keep_known(struct scanning *sc, const struct catalog_disk_list *known, struct catalog_disk *disks, size_t *count)
{
	for (size_t i = 0; i < known->count && *count < CATALOG_DISKS_MAX; i++) {
		struct err ignored = ERR_INIT;
		CLEANUP(fd_close) int fd = -1;
		if (!taken(known->items[i], disks, *count) &&
		    repository_open_file(sc->repo, known->items[i]->qcow2_path, &fd, &ignored) == 0)
			disks[(*count)++] = *known->items[i];
	}
}

static int register_point(struct scanning *sc, const struct scan_point *p, bool *ret_created, struct err *e)
{
	/* Without a context id the catalog takes the VM of that name in this repository. */
	struct catalog_vm vm = {.context_id = p->vm_context_id, .vm_name = p->vm_name, .repository_id = sc->repository_id};
	int64_t total = 0;
	CLEANUP(free_ptr) struct catalog_disk *disks = calloc(CATALOG_DISKS_MAX + p->disk_count, sizeof(*disks));
	CLEANUP(catalog_disk_list_free) struct catalog_disk_list known = {0};
	if (!disks)
		return err_no_memory(e, "hub");
	int r = catalog_disk_list(sc->hub->catalog, p->backup_id, &known, e);
	if (r == ERR_BACKUP_NOT_FOUND)
		err_clear(e);
	else if (r < 0)
		/* cppcheck-suppress memleak ; CLEANUP frees them */
		return r;
	size_t count = p->disk_count;
	for (size_t i = 0; i < p->disk_count; i++) {
		const struct scan_disk *d = &p->disks[i];
		disks[i] = (struct catalog_disk){
			.backup_id = p->backup_id,
			.disk_index = d->disk_index,
			.vmware_disk_key = d->vmware_disk_key,
			.size_bytes = d->size_bytes,
			.stored_bytes = d->stored_bytes,
			.qcow2_path = d->path,
			.disk_change_id = d->disk_change_id,
			.status = CATALOG_BACKUP_COMPLETED,
			.parent_backup_id = d->parent_backup_id,
			.parent_disk_index = d->parent_disk_index,
		};
		total += d->stored_bytes;
	}
	keep_known(sc, &known, disks, &count);
	struct catalog_backup backup = {
		.id = p->backup_id,
		.backup_type = p->incremental ? CATALOG_BACKUP_INCREMENTAL : CATALOG_BACKUP_FULL,
		.status = CATALOG_BACKUP_COMPLETED,
		.parent_backup_id = p->parent_backup_id,
		.total_bytes = total,
		.bytes_transferred = total,
		.created_at = p->created_at,
		.started_at = p->created_at,
		.completed_at = p->completed_at,
	};
	r = catalog_register_restore_point(sc->hub->catalog, &vm, &backup, disks, count, ret_created, e);
	if (r == ERR_EXISTS && p->vm_context_id[0]) {
		/* Backups that were moved here from a repository that has others of the VM: here it is a context of its own. */
		err_clear(e);
		vm.context_id = NULL;
		r = catalog_register_restore_point(sc->hub->catalog, &vm, &backup, disks, count, ret_created, e);
	}
	return r;
}

/* Is it that restore point the catalog does not take, and not the catalog that takes none? */
static bool is_of_the_point(int code)
{
	return code == ERR_EXISTS || code == ERR_INVALID || code == ERR_LIMIT || code == ERR_BACKUP_NOT_FOUND;
}

static int register_all(struct scanning *sc, struct hub_scan *scan, struct err *e)
{
	struct scan_report *rep = scan->report;
	for (size_t i = 0; i < rep->point_count;) {
		bool created;
		int r = register_point(sc, &rep->points[i], &created, e);
		if (r < 0 && is_of_the_point(r)) {
			struct err why = *e;
			err_clear(e);
			r = scan_report_refuse(rep, i, why.msg, e);
			if (r == 0)
				continue;
		}
		if (r < 0)
			return r;
		scan->created += created;
		scan->updated += !created;
		i++;
	}
	return 0;
}

void hub_scan_free(struct hub_scan *s)
{
	if (s->report)
		scan_report_free(s->report);
	free(s->report);
	*s = (struct hub_scan){0};
}

int hub_repository_scan(struct hub *h, const char *repository_id, struct hub_scan *ret, struct err *e)
{
	CLEANUP(repository_close_p) struct repository *repo = NULL;
	int r = hub_open_repository(h, repository_id, &repo, e);
	if (r < 0)
		return r;
	struct scanning sc = {.hub = h, .repository_id = repository_id, .repo = repo};
	struct scan_ops ops = {.arg = &sc, .inspect = inspect, .known_id = known_id, .id_taken = id_taken};
	struct hub_scan scan = {.report = calloc(1, sizeof(*scan.report))};
	if (!scan.report)
		return err_no_memory(e, "hub");
	r = repository_scan(repo, &ops, scan.report, e);
	if (r == 0)
		r = register_all(&sc, &scan, e);
	hub_drop_forgotten(h);
	if (r < 0)
		hub_scan_free(&scan);
	else
		*ret = scan;
	return r;
}

int hub_repository_create(struct hub *h, const struct catalog_repository *in, struct catalog_repository **ret,
                          struct err *e)
{
	struct repository *repo = NULL;
	int r = repository_open(catalog_repository_type_name(in->type), in->location, &repo, e);
	if (r < 0)
		return r;
	repository_close(repo);
	return catalog_repository_create(h->catalog, in, ret, e);
}
