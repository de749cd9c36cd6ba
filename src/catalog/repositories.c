#include "catalog/rows.h"

static const struct column columns[] = {
	TEXT(catalog_repository, id),       TEXT(catalog_repository, name),
	ENUM(catalog_repository, type, repository_type_names),
	TEXT(catalog_repository, location), TEXT(catalog_repository, options),
	INT(catalog_repository, created_at),
};
const struct table repository_table = TABLE(columns, 6, catalog_repository);

#define SELECT "SELECT id, name, type, location, options, created_at FROM repositories "

LIST_FREE_DEFINE(repository)

int repository_must_exist(struct catalog *c, const char *id, struct err *e)
{
	bool found;
	int r = db_exists(c, "SELECT 1 FROM repositories WHERE id = ?1", id ? id : "", &found, e);
	if (r >= 0 && !found)
		r = err_set(e, ERR_REPOSITORY_NOT_FOUND, "catalog", "there is no such repository");
	return r;
}

static int read_one(struct catalog *c, const char *sql, const char *key, struct catalog_repository **ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, sql, &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, key);
	void *row;
	r = row_get(c, st, &repository_table, &row, ERR_REPOSITORY_NOT_FOUND, "there is no such repository", e);
	if (r >= 0)
		*ret = row;
	return r;
}

static int insert(struct catalog *c, const struct catalog_repository *in, struct err *e)
{
	bool id_used, name_used;
	int r = db_exists(c, "SELECT 1 FROM repositories WHERE id = ?1", in->id, &id_used, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM repositories WHERE name = ?1", in->name, &name_used, e);
	if (r < 0)
		return r;
	if (id_used || name_used)
		return err_set(e, ERR_EXISTS, "catalog", "there is a repository of that %s already", id_used ? "id" : "name");
	sqlite3_stmt *st;
	r = db_prepare(c, "INSERT INTO repositories (id, name, type, location, options, created_at) "
	                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &st, e);
	if (r >= 0)
		r = row_bind(st, &repository_table, in, e);
	return r < 0 ? r : db_run(c, st, e);
}

int catalog_repository_create(struct catalog *c, const struct catalog_repository *in,
                              struct catalog_repository **ret, struct err *e)
{
	char id[CATALOG_ID_MAX];
	struct catalog_repository row = *in;
	if (!row.id || !*row.id) {
		db_new_id("repo-", id);
		row.id = id;
	}
	if (!row.options || !*row.options)
		row.options = "{}";
	if (!row.created_at)
		row.created_at = catalog_now();
	int r = check_text(row.id, CATALOG_ID_MAX, "the repository's id", e);
	if (r >= 0)
		r = check_text(row.name, CATALOG_NAME_MAX, "the repository's name", e);
	if (r >= 0)
		r = check_text(row.location, CATALOG_TEXT_MAX, "the repository's location", e);
	if (r >= 0 && !*catalog_repository_type_name(row.type))
		r = err_set(e, ERR_INVALID, "catalog", "the repository's type is none of local, nfs, cifs, s3");
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	struct catalog_repository *made = NULL;
	r = insert(c, &row, e);
	if (r >= 0 && ret)
		r = read_one(c, SELECT "WHERE id = ?1", row.id, &made, e);
	r = db_end(c, r, e);
	if (r < 0)
		free(made);
	else if (ret)
		*ret = made;
	return r;
}

int catalog_repository_get(struct catalog *c, const char *id, struct catalog_repository **ret, struct err *e)
{
	catalog_lock(c);
	int r = read_one(c, SELECT "WHERE id = ?1", id, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_repository_get_by_name(struct catalog *c, const char *name, struct catalog_repository **ret, struct err *e)
{
	catalog_lock(c);
	int r = read_one(c, SELECT "WHERE name = ?1", name, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_repository_list(struct catalog *c, struct catalog_repository_list *ret, struct err *e)
{
	catalog_lock(c);
	sqlite3_stmt *st;
	void **items;
	size_t count;
	int r = db_prepare(c, SELECT "ORDER BY name", &st, e);
	if (r >= 0)
		r = row_list(c, st, &repository_table, &items, &count, e);
	catalog_unlock(c);
	if (r >= 0)
		*ret = (struct catalog_repository_list){(struct catalog_repository **)items, count};
	return r;
}

static int delete_unused(struct catalog *c, const char *id, struct err *e)
{
	int r = repository_must_exist(c, id, e);
	bool has_vms, has_backups;
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM vm_backup_contexts WHERE repository_id = ?1", id, &has_vms, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM backup_jobs WHERE repository_id = ?1", id, &has_backups, e);
	if (r < 0)
		return r;
	if (has_vms || has_backups)
		return err_set(e, ERR_CONFLICT, "catalog", "the catalog holds backups of this repository; forget them with it (?backups=forget, --forget): no file is touched");
	sqlite3_stmt *st;
	r = db_prepare(c, "DELETE FROM repositories WHERE id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, id);
	return db_run(c, st, e);
}

/* Runs a statement whose only parameter is the repository. */
static int run_for(struct catalog *c, const char *sql, const char *id, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, sql, &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, id);
	return db_run(c, st, e);
}

static int forget(struct catalog *c, const char *id, struct err *e)
{
	bool mounted = false, needed = false;
	int r = repository_must_exist(c, id, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM restore_mounts m LEFT JOIN backup_disks d ON d.id = m.backup_disk_id "
		                 "JOIN backup_jobs j ON j.id = COALESCE(m.backup_job_id, d.backup_job_id) "
		                 "WHERE j.repository_id = ?1 AND m.status IN ('mounting', 'mounted')", id, &mounted, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM backup_jobs p JOIN backup_disks d ON d.parent_backup_id = p.id "
		                 "JOIN backup_jobs j ON j.id = d.backup_job_id "
		                 "WHERE p.repository_id = ?1 AND j.repository_id <> ?1", id, &needed, e);
	if (r < 0)
		return r;
	if (mounted)
		return err_set(e, ERR_CONFLICT, "catalog", "disks of this repository are mounted; unmount them first");
	if (needed)
		return err_set(e, ERR_HAS_DEPENDENTS, "catalog", "backups of another repository are based on backups of this one");
	r = run_for(c, "DELETE FROM backup_jobs WHERE repository_id = ?1", id, e);
	if (r >= 0)
		r = run_for(c, "DELETE FROM vm_backup_contexts WHERE repository_id = ?1", id, e);
	return r < 0 ? r : delete_unused(c, id, e);
}

int catalog_repository_forget(struct catalog *c, const char *id, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, forget(c, id, e), e);
}

int catalog_repository_delete(struct catalog *c, const char *id, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, delete_unused(c, id, e), e);
}
