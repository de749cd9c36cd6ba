#include "catalog/query.h"
#include "catalog/rows.h"

#include <stdio.h>
#include <string.h>

static const struct column columns[] = {
	TEXT(catalog_mount, id),
	OPTIONAL_INT(catalog_mount, backup_disk_id),
	TEXT(catalog_mount, engine),
	OPTIONAL_TEXT(catalog_mount, mount_path),
	OPTIONAL_TEXT(catalog_mount, nbd_device),
	OPTIONAL_TEXT(catalog_mount, filesystem_type),
	TEXT(catalog_mount, mount_mode),
	ENUM(catalog_mount, status, mount_status_names),
	OPTIONAL_TEXT(catalog_mount, error_message),
	INT(catalog_mount, created_at),
	OPTIONAL_INT(catalog_mount, last_accessed_at),
	OPTIONAL_INT(catalog_mount, expires_at),
	OPTIONAL_INT(catalog_mount, unmounted_at),
	TEXT(catalog_mount, backup_id),
	INT(catalog_mount, disk_index),
	TEXT(catalog_mount, qcow2_path),
	TEXT(catalog_mount, vm_context_id),
	TEXT(catalog_mount, vm_name),
	TEXT(catalog_mount, repository_id),
};
const struct table mount_table = TABLE(columns, 13, catalog_mount);

#define JOINS                                                                                      \
	" FROM restore_mounts m LEFT JOIN restore_mount_disks f ON f.mount_id = m.id AND f.position = 0" \
	" JOIN backup_disks d ON d.id = COALESCE(m.backup_disk_id, f.backup_disk_id)"              \
	" JOIN backup_jobs j ON j.id = d.backup_job_id"                                            \
	" JOIN vm_backup_contexts v ON v.context_id = j.vm_backup_context_id"
#define SELECT                                                                                     \
	"SELECT m.id, d.id, m.engine, m.mount_path, m.nbd_device, m.filesystem_type, m.mount_mode," \
	" m.status, m.error_message, m.created_at, m.last_accessed_at, m.expires_at, m.unmounted_at," \
	" d.backup_job_id, d.disk_index, d.qcow2_path, j.vm_backup_context_id, v.vm_name, j.repository_id" JOINS

LIST_FREE_DEFINE(mount)

/* The active mount of the disk, "" when there is none; one that has ended makes room. */
static int occupant(struct catalog *c, int64_t disk_id, char ret[CATALOG_ID_MAX], struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "DELETE FROM restore_mounts WHERE backup_disk_id = ?1 AND status NOT IN " MOUNT_ACTIVE, &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, disk_id);
	r = db_run(c, st, e);
	if (r >= 0)
		r = db_prepare(c, "SELECT id FROM restore_mounts WHERE backup_disk_id = ?1", &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, disk_id);
	r = db_step(c, st, e);
	if (r < 0)
		return r;
	(void)snprintf(ret, CATALOG_ID_MAX, "%s", r == 1 ? (const char *)sqlite3_column_text(st, 0) : "");
	(void)sqlite3_reset(st);
	return 0;
}

static int check_free(struct catalog *c, const struct catalog_mount *in, struct err *e)
{
	bool id_used = false, device_used = false;
	int r = db_exists(c, "SELECT 1 FROM restore_mounts WHERE id = ?1", in->id, &id_used, e);
	if (r >= 0 && in->nbd_device && *in->nbd_device)
		r = db_exists(c, "SELECT 1 FROM restore_mounts WHERE nbd_device = ?1", in->nbd_device, &device_used, e);
	if (r >= 0 && (id_used || device_used))
		r = err_set(e, ERR_EXISTS, "catalog", "there is a mount of that %s already", id_used ? "id" : "device");
	return r;
}

/* The backup all those disks are of. */
static int common_backup(struct catalog *c, const int64_t *disk_ids, size_t count, char ret[CATALOG_ID_MAX], struct err *e)
{
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		CLEANUP(free_ptr) struct catalog_disk *disk = NULL;
		int r = disk_read(c, disk_ids[i], &disk, e);
		if (r < 0)
			return r;
		if (i > 0 && strcmp(ret, disk->backup_id) != 0)
			return err_set(e, ERR_INVALID, "catalog", "the disks are not all of one backup");
		(void)snprintf(ret, CATALOG_ID_MAX, "%s", disk->backup_id);
	}
	return 0;
}

/* One disk has its column, several their table and the backup's. */
static int insert(struct catalog *c, const struct catalog_mount *in, const int64_t *disk_ids, size_t count,
                  char occupied[CATALOG_ID_MAX], struct err *e)
{
	char backup_id[CATALOG_ID_MAX];
	int r = count == 1 ? occupant(c, disk_ids[0], occupied, e) : 0;
	if (r >= 0 && !*occupied)
		r = common_backup(c, disk_ids, count, backup_id, e);
	if (r >= 0 && count > 1)
		r = mount_same_disks(c, backup_id, disk_ids, count, occupied, e);
	if (r < 0)
		return r;
	if (*occupied)
		return err_set(e, ERR_ALREADY_MOUNTED, "catalog", count == 1 ? "that disk is mounted already" :
		                                                          "those disks are mounted together already");
	r = check_free(c, in, e);
	sqlite3_stmt *st;
	if (r >= 0)
		r = db_prepare(c, "INSERT INTO restore_mounts (id, backup_disk_id, engine, mount_path, nbd_device, filesystem_type, "
		                  "mount_mode, status, error_message, created_at, last_accessed_at, expires_at, unmounted_at, backup_job_id) "
		                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)", &st, e);
	if (r >= 0)
		r = row_bind(st, &mount_table, in, e);
	if (r < 0)
		return r;
	db_bind_text(st, 14, count > 1 ? backup_id : NULL);
	r = db_run(c, st, e);
	return r < 0 || count == 1 ? r : mount_disks_insert(c, in->id, disk_ids, count, e);
}

static int create(struct catalog *c, const struct catalog_mount *in, const int64_t *disk_ids, size_t count,
                  char *ret_existing, struct err *e)
{
	struct catalog_mount row = *in;
	row.backup_disk_id = count == 1 ? disk_ids[0] : 0;
	if (!row.mount_mode || !*row.mount_mode)
		row.mount_mode = "read-only";
	if (!row.created_at)
		row.created_at = catalog_now();
	int r = check_text(row.id, 37, "the mount's id", e);
	if (r >= 0)
		r = check_text(row.engine, 33, "the mount's engine", e);
	if (r >= 0 && (!*catalog_mount_status_name(row.status) || strcmp(row.mount_mode, "read-only") != 0))
		r = err_set(e, ERR_INVALID, "catalog", "the mount's status or mode is not one of those there are");
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	char occupied[CATALOG_ID_MAX] = "";
	r = db_end(c, insert(c, &row, disk_ids, count, occupied, e), e);
	if (r == ERR_ALREADY_MOUNTED && ret_existing)
		memcpy(ret_existing, occupied, sizeof(occupied));
	return r;
}

int catalog_mount_create(struct catalog *c, const struct catalog_mount *in, char *ret_existing, struct err *e)
{
	return create(c, in, &in->backup_disk_id, 1, ret_existing, e);
}

int catalog_mount_create_machine(struct catalog *c, const struct catalog_mount *in, const int64_t *disk_ids, size_t count,
                                 char *ret_existing, struct err *e)
{
	if (count < 2 || count > CATALOG_DISKS_MAX)
		return err_set(e, ERR_INVALID, "catalog", "a mount of %zu disks is not possible", count);
	return create(c, in, disk_ids, count, ret_existing, e);
}

int catalog_mount_get(struct catalog *c, const char *id, struct catalog_mount **ret, struct err *e)
{
	catalog_lock(c);
	sqlite3_stmt *st;
	void *row;
	int r = db_prepare(c, SELECT " WHERE m.id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		r = row_get(c, st, &mount_table, &row, ERR_MOUNT_NOT_FOUND, "there is no such mount", e);
	}
	catalog_unlock(c);
	if (r >= 0)
		*ret = row;
	return r;
}

static void narrow(struct query *q, const struct catalog_mount_filter *f)
{
	query_text(q, "d.backup_job_id = ?", f->backup_id);
	query_text(q, "j.vm_backup_context_id = ?", f->vm_context_id);
	query_text(q, "m.status = ?", catalog_mount_status_name(f->status));
	if (f->expired_at > 0)
		query_number(q, "m.expires_at <= ?", f->expired_at);
	if (f->active)
		query_plain(q, "m.status IN " MOUNT_ACTIVE);
}

int catalog_mount_list(struct catalog *c, const struct catalog_mount_filter *f, struct catalog_mount_list *ret,
                       struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, SELECT);
	narrow(&q, f);
	query_order(&q, " ORDER BY m.created_at, m.id", 0, 0);
	void **items;
	size_t count;
	int r = query_rows(&q, c, &mount_table, &items, &count, e);
	if (r >= 0)
		*ret = (struct catalog_mount_list){(struct catalog_mount **)items, count};
	return r;
}

int catalog_mount_count(struct catalog *c, const struct catalog_mount_filter *f, int64_t *ret, struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, f->backup_id || f->vm_context_id ? "SELECT COUNT(*)" JOINS : "SELECT COUNT(*) FROM restore_mounts m");
	narrow(&q, f);
	return query_count(&q, c, ret, e);
}

static int change_one(struct catalog *c, sqlite3_stmt *st, struct err *e)
{
	int r = db_run(c, st, e);
	if (r >= 0 && sqlite3_changes(c->db) == 0)
		r = err_set(e, ERR_MOUNT_NOT_FOUND, "catalog", "there is no such mount");
	return r;
}

int catalog_mount_set_status(struct catalog *c, const char *id, enum catalog_mount_status status,
                             const char *filesystem_type, const char *error_message, struct err *e)
{
	int r = check_text(catalog_mount_status_name(status), CATALOG_NAME_MAX, "the status", e);
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "UPDATE restore_mounts SET status = ?2, filesystem_type = COALESCE(?3, filesystem_type), "
	                  "error_message = COALESCE(?4, error_message), "
	                  "unmounted_at = CASE WHEN ?2 = 'unmounted' THEN ?5 ELSE unmounted_at END WHERE id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		db_bind_text(st, 2, catalog_mount_status_name(status));
		db_bind_text(st, 3, filesystem_type);
		db_bind_text(st, 4, error_message);
		(void)sqlite3_bind_int64(st, 5, catalog_now());
		r = change_one(c, st, e);
	}
	return db_end(c, r, e);
}

int catalog_mount_touch(struct catalog *c, const char *id, int64_t last_accessed_at, int64_t expires_at, struct err *e)
{
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "UPDATE restore_mounts SET last_accessed_at = ?2, expires_at = ?3 WHERE id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		db_bind_time(st, 2, last_accessed_at);
		db_bind_time(st, 3, expires_at);
		r = change_one(c, st, e);
	}
	return db_end(c, r, e);
}

int catalog_mount_delete(struct catalog *c, const char *id, struct err *e)
{
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "DELETE FROM restore_mounts WHERE id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		r = change_one(c, st, e);
	}
	return db_end(c, r, e);
}
