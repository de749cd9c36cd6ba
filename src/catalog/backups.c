#include "catalog/query.h"
#include "catalog/rows.h"

static const struct column columns[] = {
	TEXT(catalog_backup, id),
	TEXT(catalog_backup, vm_context_id),
	TEXT(catalog_backup, repository_id),
	ENUM(catalog_backup, backup_type, backup_type_names),
	ENUM(catalog_backup, status, backup_status_names),
	OPTIONAL_TEXT(catalog_backup, parent_backup_id),
	OPTIONAL_TEXT(catalog_backup, change_id),
	INT(catalog_backup, total_bytes),
	INT(catalog_backup, bytes_transferred),
	INT(catalog_backup, transfer_speed_bps),
	OPTIONAL_TEXT(catalog_backup, error_message),
	INT(catalog_backup, created_at),
	OPTIONAL_INT(catalog_backup, started_at),
	OPTIONAL_INT(catalog_backup, completed_at),
	TEXT(catalog_backup, vm_name),
};
const struct table backup_table = TABLE(columns, 14, catalog_backup);

LIST_FREE_DEFINE(backup)

int backup_read(struct catalog *c, const char *id, struct catalog_backup **ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, BACKUP_SELECT "WHERE j.id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, id);
	void *row;
	r = row_get(c, st, &backup_table, &row, ERR_BACKUP_NOT_FOUND, "there is no such backup", e);
	if (r >= 0)
		*ret = row;
	return r;
}

int backup_check(struct catalog *c, const struct catalog_backup *in, struct err *e)
{
	int r = check_text(in->id, CATALOG_ID_MAX, "the backup's id", e);
	if (r < 0)
		return r;
	bool has_parent = in->parent_backup_id && *in->parent_backup_id;
	if (in->backup_type != (has_parent ? CATALOG_BACKUP_INCREMENTAL : CATALOG_BACKUP_FULL))
		return err_set(e, ERR_INVALID, "catalog", "an incremental backup has a parent, a full one has none");
	if (!*catalog_backup_status_name(in->status))
		return err_set(e, ERR_INVALID, "catalog", "the backup's status is not one of those there are");
	bool context = false, parent = true;
	r = repository_must_exist(c, in->repository_id, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM vm_backup_contexts WHERE context_id = ?1", in->vm_context_id, &context, e);
	if (r >= 0 && has_parent)
		r = db_exists(c, "SELECT 1 FROM backup_jobs WHERE id = ?1", in->parent_backup_id, &parent, e);
	if (r < 0)
		return r;
	if (!context)
		return err_set(e, ERR_VM_NOT_FOUND, "catalog", "there is no such VM context");
	if (!parent)
		return err_set(e, ERR_BACKUP_NOT_FOUND, "catalog", "the parent backup is not in the catalog");
	return 0;
}

int backup_insert(struct catalog *c, const struct catalog_backup *in, struct err *e)
{
	struct catalog_backup row = *in;
	if (!row.created_at)
		row.created_at = catalog_now();
	bool exists;
	int r = backup_check(c, in, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM backup_jobs WHERE id = ?1", in->id, &exists, e);
	if (r < 0)
		return r;
	if (exists)
		return err_set(e, ERR_EXISTS, "catalog", "there is a backup of that id already");
	sqlite3_stmt *st;
	r = db_prepare(c, "INSERT INTO backup_jobs (id, vm_backup_context_id, repository_id, backup_type, status, "
	                  "parent_backup_id, change_id, total_bytes, bytes_transferred, transfer_speed_bps, error_message, "
	                  "created_at, started_at, completed_at) "
	                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)", &st, e);
	if (r >= 0)
		r = row_bind(st, &backup_table, &row, e);
	return r < 0 ? r : db_run(c, st, e);
}

int catalog_backup_create(struct catalog *c, const struct catalog_backup *in, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, backup_insert(c, in, e), e);
}

int catalog_backup_get(struct catalog *c, const char *id, struct catalog_backup **ret, struct err *e)
{
	catalog_lock(c);
	int r = backup_read(c, id, ret, e);
	catalog_unlock(c);
	return r;
}

static void narrow(struct query *q, const struct catalog_backup_filter *f)
{
	query_text(q, "v.vm_name = ?", f->vm_name);
	query_text(q, "j.vm_backup_context_id = ?", f->vm_context_id);
	query_text(q, "j.repository_id = ?", f->repository_id);
	query_text(q, "j.status = ?", catalog_backup_status_name(f->status));
	query_text(q, "j.backup_type = ?", catalog_backup_type_name(f->backup_type));
}

static int list(struct catalog *c, struct query *q, struct catalog_backup_list *ret, struct err *e)
{
	void **items;
	size_t count;
	int r = query_rows(q, c, &backup_table, &items, &count, e);
	if (r >= 0)
		*ret = (struct catalog_backup_list){(struct catalog_backup **)items, count};
	return r;
}

int catalog_backup_list(struct catalog *c, const struct catalog_backup_filter *f, struct catalog_backup_list *ret,
                        struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, BACKUP_SELECT);
	narrow(&q, f);
	query_order(&q, " ORDER BY j.created_at DESC, j.id DESC", f->limit, f->offset);
	return list(c, &q, ret, e);
}

int catalog_backup_dependents(struct catalog *c, const char *id, struct catalog_backup_list *ret, struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, BACKUP_SELECT);
	query_text(&q, "j.id IN (SELECT id FROM backup_jobs WHERE parent_backup_id = ?1"
	               " UNION SELECT backup_job_id FROM backup_disks WHERE parent_backup_id = ?1)", id);
	query_order(&q, " ORDER BY j.created_at, j.id", 0, 0);
	return list(c, &q, ret, e);
}

int catalog_backup_count(struct catalog *c, const struct catalog_backup_filter *f, int64_t *ret, struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, f->vm_name ? "SELECT COUNT(*) FROM backup_jobs j"
	                             " JOIN vm_backup_contexts v ON v.context_id = j.vm_backup_context_id"
	                           : "SELECT COUNT(*) FROM backup_jobs j");
	narrow(&q, f);
	return query_count(&q, c, ret, e);
}

/* Runs an update of one backup, in the transaction at hand. */
static int update_one(struct catalog *c, sqlite3_stmt *st, struct err *e)
{
	int r = db_run(c, st, e);
	if (r >= 0 && sqlite3_changes(c->db) == 0)
		r = err_set(e, ERR_BACKUP_NOT_FOUND, "catalog", "there is no such backup");
	return r;
}

int catalog_backup_set_status(struct catalog *c, const char *id, enum catalog_backup_status status,
                              const char *error_message, struct err *e)
{
	int r = check_text(catalog_backup_status_name(status), CATALOG_NAME_MAX, "the status", e);
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "UPDATE backup_jobs SET status = ?2, error_message = COALESCE(?3, error_message), "
	                  "started_at = CASE WHEN ?2 = 'running' THEN COALESCE(started_at, ?4) ELSE started_at END, "
	                  "completed_at = CASE WHEN ?2 IN ('completed', 'failed', 'cancelled') "
	                  "THEN COALESCE(completed_at, ?4) ELSE completed_at END WHERE id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		db_bind_text(st, 2, catalog_backup_status_name(status));
		db_bind_text(st, 3, error_message);
		(void)sqlite3_bind_int64(st, 4, catalog_now());
		r = update_one(c, st, e);
	}
	return db_end(c, r, e);
}

int catalog_backup_set_progress(struct catalog *c, const char *id, int64_t total_bytes, int64_t bytes_transferred,
                                int64_t speed_bps, struct err *e)
{
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "UPDATE backup_jobs SET total_bytes = ?2, bytes_transferred = ?3, transfer_speed_bps = ?4 "
	                  "WHERE id = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, id);
		(void)sqlite3_bind_int64(st, 2, total_bytes);
		(void)sqlite3_bind_int64(st, 3, bytes_transferred);
		(void)sqlite3_bind_int64(st, 4, speed_bps);
		r = update_one(c, st, e);
	}
	return db_end(c, r, e);
}

static int delete_one(struct catalog *c, const char *id, struct err *e)
{
	bool by_job, by_disk;
	int r = db_exists(c, "SELECT 1 FROM backup_jobs WHERE parent_backup_id = ?1", id, &by_job, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM backup_disks WHERE parent_backup_id = ?1", id, &by_disk, e);
	if (r < 0)
		return r;
	if (by_job || by_disk)
		return err_set(e, ERR_HAS_DEPENDENTS, "catalog",
		               "a later incremental backup is based on this one; delete or merge that first");
	sqlite3_stmt *st;
	r = db_prepare(c, "DELETE FROM backup_jobs WHERE id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, id);
	return update_one(c, st, e);
}

int catalog_backup_delete(struct catalog *c, const char *id, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, delete_one(c, id, e), e);
}
