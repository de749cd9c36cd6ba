#include "catalog/query.h"
#include "catalog/rows.h"

#include <string.h>

static const struct column columns[] = {
	TEXT(catalog_vm, context_id), TEXT(catalog_vm, vm_name),    TEXT(catalog_vm, repository_id),
	TEXT(catalog_vm, source),     INT(catalog_vm, created_at),  INT(catalog_vm, updated_at),
	INT(catalog_vm, backup_count), INT(catalog_vm, last_backup_at),
};
const struct table vm_table = TABLE(columns, 6, catalog_vm);

#define SELECT                                                                                     \
	"SELECT v.context_id, v.vm_name, v.repository_id, v.source, v.created_at, v.updated_at,"   \
	" (SELECT COUNT(*) FROM backup_jobs j WHERE j.vm_backup_context_id = v.context_id),"       \
	" (SELECT MAX(j.created_at) FROM backup_jobs j WHERE j.vm_backup_context_id = v.context_id)" \
	" FROM vm_backup_contexts v"

LIST_FREE_DEFINE(vm)

int vm_read(struct catalog *c, const char *context_id, struct catalog_vm **ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, SELECT " WHERE v.context_id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, context_id);
	void *row;
	r = row_get(c, st, &vm_table, &row, ERR_VM_NOT_FOUND, "there is no such VM context", e);
	if (r >= 0)
		*ret = row;
	return r;
}

static int insert(struct catalog *c, const struct catalog_vm *in, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "INSERT INTO vm_backup_contexts (context_id, vm_name, repository_id, source, created_at, updated_at) "
	                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &st, e);
	if (r >= 0)
		r = row_bind(st, &vm_table, in, e);
	return r < 0 ? r : db_run(c, st, e);
}

static int update(struct catalog *c, const struct catalog_vm *old, const struct catalog_vm *in, struct err *e)
{
	bool moves = strcmp(old->repository_id, in->repository_id) != 0;
	if (moves && old->backup_count > 0)
		return err_set(e, ERR_CONFLICT, "catalog", "the VM context has backups in another repository");
	if (!moves && strcmp(old->vm_name, in->vm_name) == 0 && strcmp(old->source, in->source) == 0)
		return 0;
	sqlite3_stmt *st;
	int r = db_prepare(c, "UPDATE vm_backup_contexts SET vm_name = ?2, repository_id = ?3, source = ?4, updated_at = ?6 "
	                      "WHERE context_id = ?1 AND ?5 IS NOT NULL", &st, e);
	if (r >= 0)
		r = row_bind(st, &vm_table, in, e);
	return r < 0 ? r : db_run(c, st, e);
}

int vm_write(struct catalog *c, const struct catalog_vm *in, struct err *e)
{
	int r = check_text(in->context_id, CATALOG_ID_MAX, "the VM context's id", e);
	if (r >= 0)
		r = check_text(in->vm_name, CATALOG_NAME_MAX, "the VM's name", e);
	if (r >= 0)
		r = repository_must_exist(c, in->repository_id, e);
	bool exists;
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM vm_backup_contexts WHERE context_id = ?1", in->context_id, &exists, e);
	if (r < 0)
		return r;

	struct catalog_vm row = *in;
	row.updated_at = catalog_now();
	if (!row.created_at)
		row.created_at = row.updated_at;
	if (!exists) {
		if (!row.source || !*row.source)
			row.source = "{}";
		return insert(c, &row, e);
	}
	CLEANUP(free_ptr) struct catalog_vm *old = NULL;
	r = vm_read(c, in->context_id, &old, e);
	if (r < 0)
		return r;
	if (!row.source || !*row.source)
		row.source = old->source;
	return update(c, old, &row, e);
}

int catalog_vm_upsert(struct catalog *c, const struct catalog_vm *in, struct catalog_vm **ret, struct err *e)
{
	char id[CATALOG_ID_MAX];
	struct catalog_vm row = *in;
	if (!row.context_id || !*row.context_id) {
		db_new_id("ctx-", id);
		row.context_id = id;
	}
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	struct catalog_vm *made = NULL;
	r = vm_write(c, &row, e);
	if (r >= 0 && ret)
		r = vm_read(c, row.context_id, &made, e);
	r = db_end(c, r, e);
	if (r < 0)
		free(made);
	else if (ret)
		*ret = made;
	return r;
}

int catalog_vm_get(struct catalog *c, const char *context_id, struct catalog_vm **ret, struct err *e)
{
	catalog_lock(c);
	int r = vm_read(c, context_id, ret, e);
	catalog_unlock(c);
	return r;
}

static void narrow(struct query *q, const struct catalog_vm_filter *f)
{
	query_text(q, "v.vm_name = ?", f->vm_name);
	query_text(q, "v.repository_id = ?", f->repository_id);
}

int catalog_vm_list(struct catalog *c, const struct catalog_vm_filter *f, struct catalog_vm_list *ret, struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, SELECT);
	narrow(&q, f);
	query_order(&q, " ORDER BY v.vm_name, v.context_id", f->limit, f->offset);
	void **items;
	size_t count;
	int r = query_rows(&q, c, &vm_table, &items, &count, e);
	if (r >= 0)
		*ret = (struct catalog_vm_list){(struct catalog_vm **)items, count};
	return r;
}

int catalog_vm_count(struct catalog *c, const struct catalog_vm_filter *f, int64_t *ret, struct err *e)
{
	CLEANUP(query_free) struct query q;
	query_start(&q, "SELECT COUNT(*) FROM vm_backup_contexts v");
	narrow(&q, f);
	return query_count(&q, c, ret, e);
}

static int delete_one(struct catalog *c, const char *context_id, struct err *e)
{
	bool needed;
	int r = db_exists(c, "SELECT 1 FROM backup_jobs p JOIN backup_disks d ON d.parent_backup_id = p.id "
	                     "JOIN backup_jobs j ON j.id = d.backup_job_id "
	                     "WHERE p.vm_backup_context_id = ?1 AND j.vm_backup_context_id <> ?1", context_id, &needed, e);
	if (r < 0)
		return r;
	if (needed)
		return err_set(e, ERR_HAS_DEPENDENTS, "catalog", "backups of another VM are based on backups of this one");
	sqlite3_stmt *st;
	r = db_prepare(c, "DELETE FROM vm_backup_contexts WHERE context_id = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, context_id);
	r = db_run(c, st, e);
	if (r >= 0 && sqlite3_changes(c->db) == 0)
		r = err_set(e, ERR_VM_NOT_FOUND, "catalog", "there is no such VM context");
	return r;
}

int catalog_vm_delete(struct catalog *c, const char *context_id, struct err *e)
{
	int r = db_begin(c, e);
	return r < 0 ? r : db_end(c, delete_one(c, context_id, e), e);
}
