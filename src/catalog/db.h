/* Inside the catalog: the connection, its statements and transactions. All of it is called with the lock held,
 * except catalog_lock, db_begin and catalog_open. */
#ifndef CATALOG_DB_H
#define CATALOG_DB_H

#include "catalog/catalog.h"

#include <pthread.h>
#include <sqlite3.h>

enum { STATEMENTS_MAX = 96 };

struct statement {
	char *sql;
	sqlite3_stmt *st;
};

struct catalog {
	sqlite3 *db;
	pthread_mutex_t lock;
	struct statement cache[STATEMENTS_MAX];
	unsigned cached;      /* entries in use */
	unsigned evict;       /* next to go when all are */
};

void catalog_lock(struct catalog *c);
void catalog_unlock(struct catalog *c);

/* Takes the lock and starts a writing transaction; db_end commits it (r >= 0) or undoes it, releases the lock, and returns r or
 * the commit's own error. A failed db_begin holds nothing. */
int db_begin(struct catalog *c, struct err *e);
int db_end(struct catalog *c, int r, struct err *e);

/* The statement for that text, from the cache, reset and with nothing bound. It belongs to the cache. */
int db_prepare(struct catalog *c, const char *sql, sqlite3_stmt **ret, struct err *e);
/* One step: 1 a row, 0 the end (the statement is then reset). Who stops before the end resets it himself. */
int db_step(struct catalog *c, sqlite3_stmt *st, struct err *e);
/* Runs to its end a statement that yields nothing. */
int db_run(struct catalog *c, sqlite3_stmt *st, struct err *e);
/* The same from text, without cache or parameters; may hold several statements. */
int db_exec(struct catalog *c, const char *sql, struct err *e);
/* The first column of the first row; `none` where there is no row. */
int db_int(struct catalog *c, sqlite3_stmt *st, int64_t none, int64_t *ret, struct err *e);
/* Whether there is a row of `sql` with ?1 = key. */
int db_exists(struct catalog *c, const char *sql, const char *key, bool *ret, struct err *e);
/* Turns the connection's last failure into an error; `rc` is what the call returned. */
int db_fail(struct catalog *c, int rc, struct err *e);

void db_bind_text(sqlite3_stmt *st, int i, const char *text);        /* NULL: NULL */
void db_bind_text_or_null(sqlite3_stmt *st, int i, const char *text);/* "" too: NULL */
void db_bind_time(sqlite3_stmt *st, int i, int64_t t);               /* 0: NULL */

/* Drops the cached statements (a schema change is at hand). */
void db_forget(struct catalog *c);
/* Brings the schema to `version`. */
int db_migrate(struct catalog *c, unsigned version, struct err *e);
/* ERR_CATALOG_NEWER, or ERR_CATALOG for a database that is none of ours. Reads only. */
int db_check_ours(struct catalog *c, struct err *e);

/* `prefix` and 16 random hexadecimal digits. ret: CATALOG_ID_MAX bytes. */
void db_new_id(const char *prefix, char *ret);

#endif
