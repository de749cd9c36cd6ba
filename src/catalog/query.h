/* Inside the catalog: a SELECT with the conditions a filter asks for. Only constant texts become SQL; values are bound. */
#ifndef CATALOG_QUERY_H
#define CATALOG_QUERY_H

#include "base/buf.h"
#include "catalog/rows.h"

enum { QUERY_SQL_MAX = 4096, QUERY_VALUES_MAX = 12 };

struct query {
	struct buf sql;
	struct {
		const char *text;      /* borrowed; NULL: the number */
		int64_t number;
	} values[QUERY_VALUES_MAX];
	unsigned count;
	bool narrowed;                 /* a WHERE has been written */
};

void query_start(struct query *q, const char *select);
void query_free(struct query *q);
CLEANUP_DEFINE(query_free, struct query *)
/* Adds "column = ?" unless text is NULL or "". */
void query_text(struct query *q, const char *condition, const char *text);
/* Adds the condition, with one "?" in it for the number. */
void query_number(struct query *q, const char *condition, int64_t number);
/* Adds the condition as it is. */
void query_plain(struct query *q, const char *condition);
/* The order, and limit (0: none) and offset. */
void query_order(struct query *q, const char *order, int64_t limit, int64_t offset);
/* Its rows, or the number it selects. ERR_INVALID: a negative limit or offset. */
int query_rows(struct query *q, struct catalog *c, const struct table *t, void ***ret_items, size_t *ret_count, struct err *e);
int query_count(struct query *q, struct catalog *c, int64_t *ret, struct err *e);

#endif
