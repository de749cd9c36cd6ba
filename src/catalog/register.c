#include "catalog/rows.h"

#include <stdio.h>
#include <string.h>

/* The context the restore point belongs to; ret: CATALOG_ID_MAX bytes. */
static int choose_context(struct catalog *c, const struct catalog_vm *vm, char *ret, struct err *e)
{
	if (vm->context_id && *vm->context_id) {
		int r = check_text(vm->context_id, CATALOG_ID_MAX, "the VM context's id", e);
		if (r >= 0)
			(void)snprintf(ret, CATALOG_ID_MAX, "%s", vm->context_id);
		return r;
	}
	sqlite3_stmt *st;
	int r = db_prepare(c, "SELECT context_id FROM vm_backup_contexts WHERE repository_id = ?1 AND vm_name = ?2 "
	                      "ORDER BY created_at, context_id LIMIT 1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, vm->repository_id);
	db_bind_text(st, 2, vm->vm_name);
	r = db_step(c, st, e);
	if (r < 0)
		return r;
	if (r == 1) {
		(void)snprintf(ret, CATALOG_ID_MAX, "%s", (const char *)sqlite3_column_text(st, 0));
		(void)sqlite3_reset(st);
	} else {
		db_new_id("ctx-", ret);
	}
	return 0;
}

/* ERR_EXISTS where the context is one of another repository. */
static int check_context(struct catalog *c, const char *context_id, const char *repository_id, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_vm *old = NULL;
	int r = vm_read(c, context_id, &old, e);
	if (r == ERR_VM_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	if (r >= 0 && strcmp(old->repository_id, repository_id) != 0)
		r = err_set(e, ERR_EXISTS, "catalog", "the VM context %s belongs to another repository", context_id);
	return r;
}

/* What a scan can know is refreshed; what only the job that made the backup knew stays. */
static int refresh(struct catalog *c, const struct catalog_backup *in, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "UPDATE backup_jobs SET vm_backup_context_id = ?2, backup_type = ?3, status = ?4, "
	                      "parent_backup_id = ?5, change_id = COALESCE(?6, change_id), total_bytes = ?7, "
	                      "error_message = ?8, created_at = ?9, completed_at = COALESCE(?10, completed_at) WHERE id = ?1",
	                   &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, in->id);
	db_bind_text(st, 2, in->vm_context_id);
	db_bind_text(st, 3, catalog_backup_type_name(in->backup_type));
	db_bind_text(st, 4, catalog_backup_status_name(in->status));
	db_bind_text_or_null(st, 5, in->parent_backup_id);
	db_bind_text_or_null(st, 6, in->change_id);
	(void)sqlite3_bind_int64(st, 7, in->total_bytes);
	db_bind_text_or_null(st, 8, in->error_message);
	(void)sqlite3_bind_int64(st, 9, in->created_at);
	db_bind_time(st, 10, in->completed_at);
	return db_run(c, st, e);
}

static int write_backup(struct catalog *c, const struct catalog_backup *in, bool *ret_created, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_backup *old = NULL;
	int r = backup_read(c, in->id ? in->id : "", &old, e);
	if (r == ERR_BACKUP_NOT_FOUND) {
		err_clear(e);
		*ret_created = true;
		return backup_insert(c, in, e);
	}
	if (r < 0)
		return r;
	if (strcmp(old->repository_id, in->repository_id) != 0)
		return err_set(e, ERR_EXISTS, "catalog", "the backup %s is in another repository already", in->id);
	r = backup_check(c, in, e);
	if (r < 0)
		return r;
	struct catalog_backup row = *in;
	if (!row.created_at)
		row.created_at = old->created_at;
	*ret_created = false;
	return refresh(c, &row, e);
}

static int write_disk(struct catalog *c, const struct catalog_disk *in, struct err *e)
{
	int r = disk_write(c, in, e);
	if (r != ERR_DISK_NOT_FOUND)
		return r;
	err_clear(e);
	return disk_insert(c, in, NULL, e);
}

static int remove_disk(struct catalog *c, int64_t id, struct err *e)
{
	sqlite3_stmt *st;
	/* A mount of several disks ends with each of them, as that of a single one does by itself. */
	int r = db_prepare(c,
	                   "DELETE FROM restore_mounts WHERE id IN "
	                   "(SELECT mount_id FROM restore_mount_disks WHERE backup_disk_id = ?1)",
	                   &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, id);
	r = db_run(c, st, e);
	if (r >= 0)
		r = db_prepare(c, "DELETE FROM backup_disks WHERE id = ?1", &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, id);
	return db_run(c, st, e);
}

static bool listed(int64_t index, const struct catalog_disk *disks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (disks[i].disk_index == index)
			return true;
	return false;
}

/* Disks a former scan saw and this one does not. */
static int remove_others(struct catalog *c, const char *backup_id, const struct catalog_disk *disks, size_t count,
                         struct err *e)
{
	sqlite3_stmt *st;
	int64_t gone[CATALOG_DISKS_MAX];
	size_t n = 0;
	int r = db_prepare(c, "SELECT id, disk_index FROM backup_disks WHERE backup_job_id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, backup_id);
	while ((r = db_step(c, st, e)) == 1)
		if (!listed(sqlite3_column_int64(st, 1), disks, count) && n < CATALOG_DISKS_MAX)
			gone[n++] = sqlite3_column_int64(st, 0);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = remove_disk(c, gone[i], e);
	return r;
}

static int write_all(struct catalog *c, const struct catalog_vm *vm, const struct catalog_backup *backup,
                     const struct catalog_disk *disks, size_t disk_count, bool *ret_created, struct err *e)
{
	char context_id[CATALOG_ID_MAX];
	struct catalog_vm context = *vm;
	struct catalog_backup row = *backup;
	int r = repository_must_exist(c, vm->repository_id, e);
	if (r >= 0)
		r = check_text(vm->vm_name, CATALOG_NAME_MAX, "the VM's name", e);
	if (r >= 0)
		r = choose_context(c, vm, context_id, e);
	context.context_id = row.vm_context_id = context_id;
	row.repository_id = vm->repository_id;
	if (r >= 0)
		r = check_context(c, context_id, vm->repository_id, e);
	if (r >= 0)
		r = vm_write(c, &context, e);
	if (r >= 0)
		r = write_backup(c, &row, ret_created, e);
	for (size_t i = 0; i < disk_count && r >= 0; i++) {
		struct catalog_disk disk = disks[i];
		disk.backup_id = row.id;
		r = write_disk(c, &disk, e);
	}
	if (r >= 0)
		r = remove_others(c, row.id, disks, disk_count, e);
	return r;
}

int catalog_register_restore_point(struct catalog *c, const struct catalog_vm *vm, const struct catalog_backup *backup,
                                   const struct catalog_disk *disks, size_t disk_count, bool *ret_created,
                                   struct err *e)
{
	if (disk_count > CATALOG_DISKS_MAX)
		return err_set(e, ERR_LIMIT, "catalog", "a backup has more than %d disks", CATALOG_DISKS_MAX);
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	bool created = false;
	r = db_end(c, write_all(c, vm, backup, disks, disk_count, &created, e), e);
	if (r >= 0 && ret_created)
		*ret_created = created;
	return r;
}
