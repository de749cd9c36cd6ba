#include "catalog/rows.h"

static const struct column columns[] = {
	OPTIONAL_INT(catalog_disk, id),
	TEXT(catalog_disk, backup_id),
	INT(catalog_disk, disk_index),
	INT(catalog_disk, vmware_disk_key),
	INT(catalog_disk, size_gb),
	INT(catalog_disk, size_bytes),
	INT(catalog_disk, stored_bytes),
	TEXT(catalog_disk, qcow2_path),
	OPTIONAL_TEXT(catalog_disk, disk_change_id),
	ENUM(catalog_disk, status, backup_status_names),
	OPTIONAL_TEXT(catalog_disk, parent_backup_id),
	INT(catalog_disk, parent_disk_index),
	TEXT(catalog_disk, repository_id),
	TEXT(catalog_disk, vm_context_id),
	TEXT(catalog_disk, vm_name),
	INT(catalog_disk, created_at),
};
const struct table disk_table = TABLE(columns, 12, catalog_disk);

LIST_FREE_DEFINE(disk)

static int get(struct catalog *c, sqlite3_stmt *st, struct catalog_disk **ret, struct err *e)
{
	void *row;
	int r = row_get(c, st, &disk_table, &row, ERR_DISK_NOT_FOUND, "there is no such disk in the catalog", e);
	if (r >= 0)
		*ret = row;
	return r;
}

int disk_read(struct catalog *c, int64_t id, struct catalog_disk **ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, DISK_SELECT "WHERE d.id = ?1", &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, id);
	return get(c, st, ret, e);
}

int disk_read_by_index(struct catalog *c, const char *backup_id, int64_t index, struct catalog_disk **ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, DISK_SELECT "WHERE d.backup_job_id = ?1 AND d.disk_index = ?2", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, backup_id);
	(void)sqlite3_bind_int64(st, 2, index);
	return get(c, st, ret, e);
}

static int backup_must_exist(struct catalog *c, const char *id, struct err *e)
{
	bool found;
	int r = db_exists(c, "SELECT 1 FROM backup_jobs WHERE id = ?1", id, &found, e);
	if (r >= 0 && !found)
		r = err_set(e, ERR_BACKUP_NOT_FOUND, "catalog", "there is no such backup");
	return r;
}

/* What is stored: the row as given, with its size in GiB. */
static int check(const struct catalog_disk *in, struct catalog_disk *ret, struct err *e)
{
	int r = check_text(in->backup_id, CATALOG_ID_MAX, "the disk's backup id", e);
	if (r >= 0)
		r = check_text(in->qcow2_path, CATALOG_TEXT_MAX, "the path of the disk's image", e);
	if (r < 0)
		return r;
	if (in->disk_index < 0 || in->disk_index >= CATALOG_DISKS_MAX || in->parent_disk_index < 0 || in->size_bytes < 0 ||
	    in->stored_bytes < 0 || !*catalog_backup_status_name(in->status))
		return err_set(e, ERR_INVALID, "catalog", "the disk's index, size or status is out of range");
	*ret = *in;
	ret->size_gb = (in->size_bytes >> 30) + ((in->size_bytes & ((1 << 30) - 1)) != 0);
	return 0;
}

int disk_insert(struct catalog *c, const struct catalog_disk *in, int64_t *ret_id, struct err *e)
{
	struct catalog_disk row;
	int r = check(in, &row, e);
	if (r >= 0)
		r = backup_must_exist(c, in->backup_id, e);
	sqlite3_stmt *st;
	int64_t old = 0;
	if (r >= 0)
		r = db_prepare(c, "SELECT id FROM backup_disks WHERE backup_job_id = ?1 AND disk_index = ?2", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, in->backup_id);
	(void)sqlite3_bind_int64(st, 2, in->disk_index);
	r = db_int(c, st, 0, &old, e);
	if (r < 0)
		return r;
	if (old)
		return err_set(e, ERR_EXISTS, "catalog", "the backup has a disk of that index already");
	row.id = 0;
	r = db_prepare(c, "INSERT INTO backup_disks (id, backup_job_id, disk_index, vmware_disk_key, size_gb, size_bytes, "
	                  "stored_bytes, qcow2_path, disk_change_id, status, parent_backup_id, parent_disk_index) "
	                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)", &st, e);
	if (r >= 0)
		r = row_bind(st, &disk_table, &row, e);
	if (r >= 0)
		r = db_run(c, st, e);
	if (r >= 0 && ret_id)
		*ret_id = sqlite3_last_insert_rowid(c->db);
	return r;
}

int disk_write(struct catalog *c, const struct catalog_disk *in, struct err *e)
{
	struct catalog_disk row;
	int r = check(in, &row, e);
	sqlite3_stmt *st;
	if (r >= 0)
		r = db_prepare(c, "UPDATE backup_disks SET vmware_disk_key = ?4, size_gb = ?5, size_bytes = ?6, stored_bytes = ?7, "
		                  "qcow2_path = ?8, disk_change_id = COALESCE(?9, disk_change_id), status = ?10, "
		                  "parent_backup_id = ?11, parent_disk_index = ?12 "
		                  "WHERE backup_job_id = ?2 AND disk_index = ?3 AND ?1 IS NULL", &st, e);
	if (r < 0)
		return r;
	row.id = 0;
	r = row_bind(st, &disk_table, &row, e);
	if (r >= 0)
		r = db_run(c, st, e);
	if (r >= 0 && sqlite3_changes(c->db) == 0)
		r = err_set(e, ERR_DISK_NOT_FOUND, "catalog", "the backup has no disk %lld", (long long)in->disk_index);
	return r;
}

int catalog_disk_create(struct catalog *c, const struct catalog_disk *in, int64_t *ret_id, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, disk_insert(c, in, ret_id, e), e);
}

int catalog_disk_update(struct catalog *c, const struct catalog_disk *in, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, disk_write(c, in, e), e);
}

static int list(struct catalog *c, const char *backup_id, struct catalog_disk_list *ret, struct err *e)
{
	sqlite3_stmt *st;
	void **items;
	size_t count;
	int r = backup_must_exist(c, backup_id, e);
	if (r >= 0)
		r = db_prepare(c, DISK_SELECT "WHERE d.backup_job_id = ?1 ORDER BY d.disk_index", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, backup_id);
	r = row_list(c, st, &disk_table, &items, &count, e);
	if (r >= 0)
		*ret = (struct catalog_disk_list){(struct catalog_disk **)items, count};
	return r;
}

int catalog_disk_list(struct catalog *c, const char *backup_id, struct catalog_disk_list *ret, struct err *e)
{
	catalog_lock(c);
	int r = list(c, backup_id, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_disk_get(struct catalog *c, int64_t id, struct catalog_disk **ret, struct err *e)
{
	catalog_lock(c);
	int r = disk_read(c, id, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_disk_get_by_index(struct catalog *c, const char *backup_id, int64_t disk_index, struct catalog_disk **ret,
                              struct err *e)
{
	catalog_lock(c);
	int r = backup_must_exist(c, backup_id, e);
	if (r >= 0)
		r = disk_read_by_index(c, backup_id, disk_index, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_disk_get_by_path(struct catalog *c, const char *repository_id, const char *qcow2_path,
                             struct catalog_disk **ret, struct err *e)
{
	catalog_lock(c);
	sqlite3_stmt *st;
	int r = db_prepare(c, DISK_SELECT "WHERE d.qcow2_path = ?1 AND j.repository_id = ?2 ORDER BY d.id LIMIT 1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, qcow2_path);
		db_bind_text(st, 2, repository_id);
		r = get(c, st, ret, e);
	}
	catalog_unlock(c);
	return r;
}
