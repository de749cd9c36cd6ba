#include "catalog/rows.h"

#include <string.h>

static const char *text_at(const void *row, size_t offset)
{
	const char *text;
	memcpy(&text, (const char *)row + offset, sizeof(text));
	return text ? text : "";
}

static int64_t int_at(const void *row, size_t offset)
{
	int64_t n;
	memcpy(&n, (const char *)row + offset, sizeof(n));
	return n;
}

static unsigned enum_at(const void *row, size_t offset)
{
	unsigned n;
	memcpy(&n, (const char *)row + offset, sizeof(n));
	return n;
}

int row_bind(sqlite3_stmt *st, const struct table *t, const void *row, struct err *e)
{
	for (unsigned i = 0; i < t->stored; i++) {
		const struct column *col = &t->columns[i];
		int at = (int)i + 1;
		switch (col->kind) {
		case COLUMN_TEXT:
		case COLUMN_OPTIONAL_TEXT: {
			const char *text = text_at(row, col->offset);
			if (strnlen(text, CATALOG_TEXT_MAX) == CATALOG_TEXT_MAX)
				return err_set(e, ERR_LIMIT, "catalog", "a text of more than %d bytes does not go into the catalog",
				               CATALOG_TEXT_MAX - 1);
			if (col->kind == COLUMN_TEXT)
				db_bind_text(st, at, text);
			else
				db_bind_text_or_null(st, at, text);
			break;
		}
		case COLUMN_INT:
			(void)sqlite3_bind_int64(st, at, int_at(row, col->offset));
			break;
		case COLUMN_OPTIONAL_INT:
			db_bind_time(st, at, int_at(row, col->offset));
			break;
		case COLUMN_ENUM:
			db_bind_text(st, at, names_text(col->names, enum_at(row, col->offset)));
			break;
		}
	}
	return 0;
}

static bool is_text(const struct column *col)
{
	return col->kind == COLUMN_TEXT || col->kind == COLUMN_OPTIONAL_TEXT;
}

static bool is_number(const struct column *col)
{
	return col->kind == COLUMN_INT || col->kind == COLUMN_OPTIONAL_INT;
}

/* The strings lie behind the struct in the same block. */
int row_read(sqlite3_stmt *st, const struct table *t, void **ret, struct err *e)
{
	size_t size = t->size;
	for (unsigned i = 0; i < t->count; i++)
		if (is_text(&t->columns[i])) {
			/* column_text first: it settles the encoding that column_bytes counts in. */
			(void)sqlite3_column_text(st, (int)i);
			size += (size_t)sqlite3_column_bytes(st, (int)i) + 1;
		}
	char *row = calloc(1, size);
	if (!row)
		return err_no_memory(e, "catalog");
	char *tail = row + t->size;
	for (unsigned i = 0; i < t->count; i++) {
		const struct column *col = &t->columns[i];
		/* Not of numbers, of which SQLite would make texts first. */
		const char *text = is_number(col) ? NULL : (const char *)sqlite3_column_text(st, (int)i);
		if (is_text(col)) {
			size_t len = text ? (size_t)sqlite3_column_bytes(st, (int)i) : 0;
			memcpy(row + col->offset, &tail, sizeof(tail));
			if (len)
				memcpy(tail, text, len);
			tail += len + 1;
		} else if (col->kind == COLUMN_ENUM) {
			unsigned value = names_value(col->names, text);
			memcpy(row + col->offset, &value, sizeof(value));
		} else {
			int64_t n = sqlite3_column_int64(st, (int)i);
			memcpy(row + col->offset, &n, sizeof(n));
		}
	}
	*ret = row;
	return 0;
}

int row_get(struct catalog *c, sqlite3_stmt *st, const struct table *t, void **ret, int none, const char *message,
            struct err *e)
{
	int r = db_step(c, st, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, none, "catalog", "%s", message);
	r = row_read(st, t, ret, e);
	(void)sqlite3_reset(st);
	return r;
}

void row_list_free(void **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i]);
	free(items);
}

int row_list(struct catalog *c, sqlite3_stmt *st, const struct table *t, void ***ret_items, size_t *ret_count,
             struct err *e)
{
	void **items = NULL;
	size_t count = 0, room = 0;
	int r;
	while ((r = db_step(c, st, e)) == 1) {
		if (count == room) {
			room = room ? room * 2 : 16;
			void **more = reallocarray(items, room, sizeof(*items));
			if (!more) {
				r = err_no_memory(e, "catalog");
				break;
			}
			items = more;
		}
		r = row_read(st, t, &items[count], e);
		if (r < 0)
			break;
		count++;
	}
	(void)sqlite3_reset(st);
	if (r < 0) {
		row_list_free(items, count);
		return r;
	}
	*ret_items = items;
	*ret_count = count;
	return 0;
}

int check_text(const char *text, size_t max, const char *what, struct err *e)
{
	if (!text || !*text)
		return err_set(e, ERR_INVALID, "catalog", "%s is missing", what);
	if (strnlen(text, max) == max)
		return err_set(e, ERR_INVALID, "catalog", "%s is longer than %zu bytes", what, max - 1);
	return 0;
}
