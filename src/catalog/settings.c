#include "catalog/db.h"
#include "catalog/rows.h"

#include <string.h>

/* An update, and an insert where there was nothing to update: every SQL database has these two. */
static int write_pair(struct catalog *c, const char *update, const char *insert, const char *name, const char *text,
                      int64_t number, struct err *e)
{
	const char *const steps[] = {update, insert};
	for (unsigned i = 0; i < 2; i++) {
		sqlite3_stmt *st;
		int r = db_prepare(c, steps[i], &st, e);
		if (r < 0)
			return r;
		db_bind_text(st, 1, name);
		if (text)
			db_bind_text(st, 2, text);
		else
			(void)sqlite3_bind_int64(st, 2, number);
		r = db_run(c, st, e);
		if (r < 0)
			return r;
		if (sqlite3_changes(c->db) > 0)
			break;
	}
	return 0;
}

static int counter_read(struct catalog *c, const char *name, int64_t *ret, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "SELECT value FROM counters WHERE name = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, name);
	return db_int(c, st, 0, ret, e);
}

int catalog_counter_add(struct catalog *c, const char *name, int64_t delta, int64_t *ret, struct err *e)
{
	int r = check_text(name, 64, "the counter's name", e);
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	int64_t sum = 0;
	r = write_pair(c, "UPDATE counters SET value = value + ?2 WHERE name = ?1",
	               "INSERT INTO counters (name, value) VALUES (?1, ?2)", name, NULL, delta, e);
	if (r >= 0)
		r = counter_read(c, name, &sum, e);
	r = db_end(c, r, e);
	if (r >= 0 && ret)
		*ret = sum;
	return r;
}

int catalog_counter_get(struct catalog *c, const char *name, int64_t *ret, struct err *e)
{
	catalog_lock(c);
	int r = counter_read(c, name, ret, e);
	catalog_unlock(c);
	return r;
}

int catalog_setting_get(struct catalog *c, const char *key, char **ret, struct err *e)
{
	catalog_lock(c);
	sqlite3_stmt *st;
	char *value = NULL;
	int r = db_prepare(c, "SELECT value FROM settings WHERE name = ?1", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, key);
		r = db_step(c, st, e);
	}
	if (r == 1) {
		value = strdup((const char *)sqlite3_column_text(st, 0));
		r = value ? 0 : err_no_memory(e, "catalog");
		(void)sqlite3_reset(st);
	}
	catalog_unlock(c);
	if (r >= 0)
		*ret = value;
	return r;
}

static int setting_remove(struct catalog *c, const char *key, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, "DELETE FROM settings WHERE name = ?1", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, key);
	return db_run(c, st, e);
}

int catalog_setting_set(struct catalog *c, const char *key, const char *value, struct err *e)
{
	int r = check_text(key, CATALOG_NAME_MAX, "the setting's name", e);
	if (r >= 0 && value && strnlen(value, CATALOG_TEXT_MAX) == CATALOG_TEXT_MAX)
		r = err_set(e, ERR_LIMIT, "catalog", "a setting's value is longer than %d bytes", CATALOG_TEXT_MAX - 1);
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	if (value)
		r = write_pair(c, "UPDATE settings SET value = ?2 WHERE name = ?1",
		               "INSERT INTO settings (name, value) VALUES (?1, ?2)", key, value, 0, e);
	else
		r = setting_remove(c, key, e);
	return db_end(c, r, e);
}
