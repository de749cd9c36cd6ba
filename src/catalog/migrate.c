#include "catalog/db.h"
#include "catalog/migrations.h"

#include <string.h>

unsigned catalog_version_newest(void)
{
	return migration_count;
}

static int has_history(struct catalog *c, bool *ret, struct err *e)
{
	return db_exists(c, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", "schema_migrations", ret, e);
}

static int read_version(struct catalog *c, int64_t *ret, struct err *e)
{
	bool any;
	int r = has_history(c, &any, e);
	if (r < 0)
		return r;
	if (!any) {
		*ret = 0;
		return 0;
	}
	sqlite3_stmt *st;
	r = db_prepare(c, "SELECT COALESCE(MAX(version), 0) FROM schema_migrations", &st, e);
	return r < 0 ? r : db_int(c, st, 0, ret, e);
}

int db_check_ours(struct catalog *c, struct err *e)
{
	bool ours, any;
	int r = has_history(c, &ours, e);
	if (r >= 0)
		r = db_exists(c, "SELECT 1 FROM sqlite_master WHERE type = ?1", "table", &any, e);
	if (r < 0)
		return r;
	if (any && !ours)
		return err_set(e, ERR_CATALOG, "catalog",
		               "this is a database of another program, not a catalog of Sendense; give another data directory");
	int64_t version;
	r = read_version(c, &version, e);
	if (r < 0)
		return r;
	if (version > (int64_t)migration_count)
		return err_set(e, ERR_CATALOG_NEWER, "catalog",
		               "the catalog has version %lld, made by a later Sendense; this one knows up to %u: install the later "
		               "one, or put back the copy made before the upgrade", (long long)version, migration_count);
	return 0;
}

static int record(struct catalog *c, const struct migration *m, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "INSERT INTO schema_migrations (version, name, applied_at, checksum) VALUES (?1, ?2, ?3, ?4)",
	                   &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, m->version);
	db_bind_text(st, 2, m->name);
	(void)sqlite3_bind_int64(st, 3, catalog_now());
	db_bind_text(st, 4, m->checksum);
	return db_run(c, st, e);
}

static int forget(struct catalog *c, const struct migration *m, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "DELETE FROM schema_migrations WHERE version = ?1", &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, m->version);
	return db_run(c, st, e);
}

/* Two builds may hold different texts under one number: then nothing built on it is to be trusted. */
static int check_applied(struct catalog *c, unsigned version, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "SELECT version, checksum FROM schema_migrations ORDER BY version", &st, e);
	unsigned next = 1;
	while (r >= 0 && (r = db_step(c, st, e)) == 1) {
		const char *sum = (const char *)sqlite3_column_text(st, 1);
		if (sqlite3_column_int64(st, 0) != next || strcmp(sum, migrations[next - 1].checksum) != 0) {
			(void)sqlite3_reset(st);
			return err_set(e, ERR_CATALOG, "catalog",
			               "migration %u of this catalog is not the one this Sendense has; use the version that made it",
			               next);
		}
		next++;
	}
	return r < 0 ? r : next == version + 1 ? 0 : err_set(e, ERR_INTERNAL, "catalog", "the migrations changed meanwhile");
}

static int apply(struct catalog *c, unsigned target, struct err *e)
{
	int r = db_exec(c, "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, "
	                   "name VARCHAR(255) NOT NULL, applied_at BIGINT NOT NULL, checksum VARCHAR(64) NOT NULL)", e);
	int64_t version = 0;
	if (r >= 0)
		r = read_version(c, &version, e);
	if (r >= 0)
		r = check_applied(c, (unsigned)version, e);
	while (r >= 0 && version < target) {
		const struct migration *m = &migrations[version++];
		r = db_exec(c, m->up, e);
		if (r >= 0)
			r = record(c, m, e);
	}
	while (r >= 0 && version > target) {
		const struct migration *m = &migrations[--version];
		r = forget(c, m, e);
		if (r >= 0)
			r = db_exec(c, m->down, e);
	}
	return r;
}

static int current(struct catalog *c, int64_t *ret, struct err *e)
{
	catalog_lock(c);
	int r = db_check_ours(c, e);
	if (r >= 0)
		r = read_version(c, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_migrate(struct catalog *c, unsigned version, struct err *e)
{
	if (version > migration_count)
		return err_set(e, ERR_INVALID, "catalog", "there is no migration %u, the newest is %u", version, migration_count);
	int r = db_begin(c, e);
	if (r < 0)
		return r;
	r = db_check_ours(c, e);
	if (r >= 0)
		r = apply(c, version, e);
	r = db_end(c, r, e);
	catalog_lock(c);
	db_forget(c);
	catalog_unlock(c);
	return r;
}

int catalog_version(struct catalog *c, unsigned *ret, struct err *e)
{
	int64_t version = 0;
	int r = current(c, &version, e);
	if (r >= 0)
		*ret = (unsigned)version;
	return r;
}
