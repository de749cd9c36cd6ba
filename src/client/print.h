/* What people read: names, tables, sizes, times, messages.
 *
 * Names in a backup are a guest's. On a terminal every control character of theirs is shown as \xNN or \u{NNNN}; into a
 * file or a pipe a name goes with its own bytes. Cells of a table are made harmless always: a line break would break
 * the table.
 */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>

enum { SIZE_TEXT_MAX = 24, TIME_TEXT_MAX = 32, TABLE_COLUMNS_MAX = 12 };

/* Prints text of the API (names escaped as base/utf8.h says): shown on a terminal, its own bytes elsewhere. */
void print_name(FILE *f, const char *s);

/* "1.5 GiB"; "-" for a negative number. */
const char *size_text(char to[SIZE_TEXT_MAX], int64_t bytes);
/* "2026-11-21 05:32" in the local zone, of an RFC 3339 text; "-" for none. */
const char *time_text(char to[TIME_TEXT_MAX], const char *rfc3339);

struct table {
	const char *const *heads;        /* ended by NULL; a leading '>' aligns the column to the right */
	struct buf cells;                /* each cell and its NUL */
	size_t count;                    /* cells */
};

void table_init(struct table *t, const char *const *heads);
void table_cell(struct table *t, const char *s);                /* text of the API; "" shows as "-" */
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints the table, its heads too, and frees it. A table without rows prints `empty` to standard error instead. */
void table_print(struct table *t, const char *empty);

/* "sendense: …", on standard error. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints the error, with its code where the API gave one. Gives the exit status that belongs to it. */
int complain_err(const struct err *e);
int exit_status_of(const struct err *e);

/* Flushes standard output. What could not be written turns a good status into CLIENT_FAILED. */
int finish_output(int status);

#endif
