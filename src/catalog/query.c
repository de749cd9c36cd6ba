#include "catalog/query.h"

#include <assert.h>

void query_start(struct query *q, const char *select)
{
	*q = (struct query){.sql = BUF_INIT(QUERY_SQL_MAX)};
	buf_adds(&q->sql, select);
}

void query_free(struct query *q)
{
	buf_free(&q->sql);
}

void query_plain(struct query *q, const char *condition)
{
	buf_adds(&q->sql, q->narrowed ? " AND " : " WHERE ");
	buf_adds(&q->sql, condition);
	q->narrowed = true;
}

static void add_value(struct query *q, const char *text, int64_t number)
{
	assert(q->count < QUERY_VALUES_MAX);
	q->values[q->count].text = text;
	q->values[q->count++].number = number;
}

void query_text(struct query *q, const char *condition, const char *text)
{
	if (!text || !*text)
		return;
	query_plain(q, condition);
	add_value(q, text, 0);
}

void query_number(struct query *q, const char *condition, int64_t number)
{
	query_plain(q, condition);
	add_value(q, NULL, number);
}

void query_order(struct query *q, const char *order, int64_t limit, int64_t offset)
{
	buf_adds(&q->sql, order);
	if (limit == 0 && offset == 0)
		return;
	buf_adds(&q->sql, " LIMIT ? OFFSET ?");
	add_value(q, NULL, limit ? limit : INT64_MAX);
	add_value(q, NULL, offset);
}

/* The statement, bound: the values outlive its last step. */
static int prepare(struct query *q, struct catalog *c, sqlite3_stmt **ret, struct err *e)
{
	for (unsigned i = 0; i < q->count; i++)
		if (!q->values[i].text && q->values[i].number < 0)
			return err_set(e, ERR_INVALID, "catalog", "a limit or offset is negative");
	int r = buf_ok(&q->sql, "catalog", e);
	if (r >= 0)
		r = db_prepare(c, buf_str(&q->sql), ret, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < q->count; i++) {
		if (q->values[i].text)
			db_bind_text(*ret, (int)i + 1, q->values[i].text);
		else
			(void)sqlite3_bind_int64(*ret, (int)i + 1, q->values[i].number);
	}
	return 0;
}

int query_rows(struct query *q, struct catalog *c, const struct table *t, void ***ret_items, size_t *ret_count, struct err *e)
{
	sqlite3_stmt *st;
	catalog_lock(c);
	int r = prepare(q, c, &st, e);
	if (r >= 0)
		r = row_list(c, st, t, ret_items, ret_count, e);
	catalog_unlock(c);
	return r;
}

int query_count(struct query *q, struct catalog *c, int64_t *ret, struct err *e)
{
	sqlite3_stmt *st;
	catalog_lock(c);
	int r = prepare(q, c, &st, e);
	if (r >= 0)
		r = db_int(c, st, 0, ret, e);
	catalog_unlock(c);
	return r;
}
