#include "catalog/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { BUSY_TIMEOUT_MS = 10000 };

int64_t catalog_now(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void db_new_id(const char *prefix, char *ret)
{
	uint64_t n = 0;
	/* 8 bytes never come short once the kernel's pool is initialised, and this call waits for that. */
	while (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		continue;
	(void)snprintf(ret, CATALOG_ID_MAX, "%s%016" PRIx64, prefix, n);
}

/* --- errors --------------------------------------------------------------------------------------- */

static bool no_space(struct catalog *c, int rc)
{
	if ((rc & 0xff) == SQLITE_FULL)
		return true;
	int errnum = c->db ? sqlite3_system_errno(c->db) : 0;
	return (rc & 0xff) == SQLITE_IOERR && (errnum == ENOSPC || errnum == EDQUOT);
}

int db_fail(struct catalog *c, int rc, struct err *e)
{
	if (no_space(c, rc))
		return err_set(e, ERR_CATALOG_FULL, "catalog",
		               "no space left for the catalog; free some on the disk that holds the data directory and try "
		               "again: nothing was changed");
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return err_no_memory(e, "catalog");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(e, ERR_CATALOG, "catalog",
		               "the catalog's database is damaged; put back a copy of it, or move it away and scan the "
		               "repositories again");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_CATALOG, "catalog",
		               "the catalog is locked by another program; end that program and try again");
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_set(e, ERR_CATALOG, "catalog",
		               "the catalog cannot be opened for writing; check the owner and mode of the data directory "
		               "and of the database in it");
	case SQLITE_CONSTRAINT:
		return err_set(e, ERR_CONFLICT, "catalog", "the catalog holds something that contradicts this change");
	case SQLITE_TOOBIG:
		return err_set(e, ERR_LIMIT, "catalog", "a text is too long for the catalog");
	default:
		return err_set(e, ERR_CATALOG, "catalog", "the catalog's database failed: %s (%d)", sqlite3_errstr(rc), rc);
	}
}

/* --- statements ----------------------------------------------------------------------------------- */

void db_forget(struct catalog *c)
{
	for (unsigned i = 0; i < c->cached; i++) {
		(void)sqlite3_finalize(c->cache[i].st);
		free(c->cache[i].sql);
	}
	c->cached = c->evict = 0;
}

static struct statement *cache_slot(struct catalog *c)
{
	if (c->cached < STATEMENTS_MAX)
		return &c->cache[c->cached++];
	struct statement *s = &c->cache[c->evict];
	c->evict = (c->evict + 1) % STATEMENTS_MAX;
	(void)sqlite3_finalize(s->st);
	free(s->sql);
	return s;
}

int db_prepare(struct catalog *c, const char *sql, sqlite3_stmt **ret, struct err *e)
{
	for (unsigned i = 0; i < c->cached; i++) {
		if (strcmp(c->cache[i].sql, sql) == 0) {
			*ret = c->cache[i].st;
			(void)sqlite3_reset(*ret);
			(void)sqlite3_clear_bindings(*ret);
			return 0;
		}
	}
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (rc != SQLITE_OK)
		return db_fail(c, rc, e);
	char *copy = strdup(sql);
	if (!copy) {
		(void)sqlite3_finalize(st);
		return err_no_memory(e, "catalog");
	}
	*cache_slot(c) = (struct statement){.sql = copy, .st = st};
	*ret = st;
	return 0;
}

int db_step(struct catalog *c, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE ? 0 : db_fail(c, sqlite3_extended_errcode(c->db), e);
	(void)sqlite3_reset(st);
	return r;
}

int db_run(struct catalog *c, sqlite3_stmt *st, struct err *e)
{
	int r = db_step(c, st, e);
	assert(r <= 0 && "a statement that yields rows is stepped");
	return r;
}

int db_exec(struct catalog *c, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_fail(c, sqlite3_extended_errcode(c->db), e);
}

int db_int(struct catalog *c, sqlite3_stmt *st, int64_t none, int64_t *ret, struct err *e)
{
	int r = db_step(c, st, e);
	if (r < 0)
		return r;
	*ret = r == 1 ? sqlite3_column_int64(st, 0) : none;
	(void)sqlite3_reset(st);
	return 0;
}

int db_exists(struct catalog *c, const char *sql, const char *key, bool *ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, sql, &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, key);
	r = db_step(c, st, e);
	if (r < 0)
		return r;
	*ret = r == 1;
	(void)sqlite3_reset(st);
	return 0;
}

/* A failed bind (no memory, too long) shows in the step that follows as a NULL where the schema forbids one, so texts are
 * bound without a copy: that leaves nothing to fail. What is bound outlives the step. */
void db_bind_text(sqlite3_stmt *st, int i, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, i);
}

void db_bind_text_or_null(sqlite3_stmt *st, int i, const char *text)
{
	db_bind_text(st, i, text && *text ? text : NULL);
}

void db_bind_time(sqlite3_stmt *st, int i, int64_t t)
{
	if (t)
		(void)sqlite3_bind_int64(st, i, t);
	else
		(void)sqlite3_bind_null(st, i);
}

/* --- transactions --------------------------------------------------------------------------------- */

void catalog_lock(struct catalog *c)
{
	(void)pthread_mutex_lock(&c->lock);
}

void catalog_unlock(struct catalog *c)
{
	(void)pthread_mutex_unlock(&c->lock);
}

int db_begin(struct catalog *c, struct err *e)
{
	catalog_lock(c);
	int r = db_exec(c, "BEGIN IMMEDIATE", e);
	if (r < 0)
		catalog_unlock(c);
	return r;
}

int db_end(struct catalog *c, int r, struct err *e)
{
	if (r >= 0) {
		int committed = db_exec(c, "COMMIT", e);
		if (committed < 0)
			r = committed;
	}
	/* A full disk or an I/O error has undone the transaction already. */
	if (r < 0 && !sqlite3_get_autocommit(c->db))
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	catalog_unlock(c);
	return r;
}

/* --- opening -------------------------------------------------------------------------------------- */

/* SQLite would make the file by the umask; who may read it may read every path in it. */
static int make_private(const char *path, struct err *e)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : err_set_errno(e, ERR_CATALOG, errno, "catalog", "cannot make the catalog's file");
	(void)close(fd);
	return 0;
}

static int configure(struct catalog *c, struct err *e)
{
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
	/* The file may come from elsewhere: its schema must not run functions. */
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	int r = db_exec(c, "PRAGMA foreign_keys = ON", e);
	if (r >= 0)
		r = db_check_ours(c, e);
	if (r >= 0)
		r = db_exec(c, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", e);
	return r;
}

int catalog_open(const char *path, struct catalog **ret, struct err *e)
{
	int r = make_private(path, e);
	if (r < 0)
		return r;
	struct catalog *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, "catalog");
	(void)pthread_mutex_init(&c->lock, NULL);
	/* NOMUTEX: our own lock serialises whole calls, not only single statements. */
	int rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	r = rc == SQLITE_OK ? configure(c, e) : db_fail(c, rc, e);
	if (r >= 0)
		r = catalog_migrate(c, catalog_version_newest(), e);
	if (r < 0) {
		catalog_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	db_forget(c);
	int rc = sqlite3_close(c->db);
	assert(rc == SQLITE_OK && "a statement is still open");
	(void)rc;
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- checking ------------------------------------------------------------------------------------- */

static int check_integrity(struct catalog *c, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "PRAGMA integrity_check(1)", &st, e);
	if (r < 0)
		return r;
	r = db_step(c, st, e);
	if (r < 0)
		return r;
	const char *found = r == 1 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (!found || strcmp(found, "ok") != 0)
		r = err_set(e, ERR_CATALOG, "catalog", "the catalog's database is damaged: %s", found ? found : "no answer");
	(void)sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int check_references(struct catalog *c, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "PRAGMA foreign_key_check", &st, e);
	if (r < 0)
		return r;
	r = db_step(c, st, e);
	if (r == 1)
		r = err_set(e, ERR_CATALOG, "catalog", "the catalog is damaged: a row of %s refers to one of %s that is not there",
		            (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 2));
	(void)sqlite3_reset(st);
	return r;
}

int catalog_check(struct catalog *c, struct err *e)
{
	catalog_lock(c);
	int r = check_integrity(c, e);
	if (r >= 0)
		r = check_references(c, e);
	catalog_unlock(c);
	return r;
}
