#include "client/print.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "client/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CELLS_MAX = 256 << 20, LINE_MAX_BYTES = 64 << 10 };

/* --- names ---------------------------------------------------------------------------------------- */

void print_name(FILE *f, const char *s)
{
	size_t len = strlen(s);
	CLEANUP(buf_free) struct buf b = BUF_INIT(16 * len + 16);
	if (isatty(fileno(f)))
		name_shown(&b, s, len);
	else
		name_unescape(&b, s, len);
	(void)fwrite(buf_str(&b), 1, b.len, f);
}

/* --- numbers -------------------------------------------------------------------------------------- */

const char *size_text(char to[SIZE_TEXT_MAX], int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	unsigned u = 0;
	if (bytes < 0)
		return "-";
	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	(void)snprintf(to, SIZE_TEXT_MAX, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
	return to;
}

const char *time_text(char to[TIME_TEXT_MAX], const char *rfc3339)
{
	int64_t sec;
	struct tm tm;
	if (!clock_rfc3339_parse(rfc3339, strlen(rfc3339), &sec, NULL) || !localtime_r(&(time_t){sec}, &tm))
		return "-";
	return strftime(to, TIME_TEXT_MAX, "%Y-%m-%d %H:%M", &tm) > 0 ? to : "-";
}

/* --- tables --------------------------------------------------------------------------------------- */

void table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){.heads = heads, .cells = BUF_INIT(CELLS_MAX)};
}

void table_cell(struct table *t, const char *s)
{
	if (s[0])
		name_shown(&t->cells, s, strlen(s));
	else
		buf_addc(&t->cells, '-');
	buf_addc(&t->cells, '\0');
	t->count++;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_cell(t, text);
}

/* Characters, taking each for one column. */
static size_t width(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *s, size_t room, bool right, bool last)
{
	size_t used = width(s);
	int pad = used < room ? (int)(room - used) : 0;
	if (right)
		(void)printf("%*s%s", pad, "", s);
	else
		(void)printf("%s%*s", s, last ? 0 : pad, "");
	(void)fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *t, const char *empty)
{
	size_t widths[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX];
	size_t columns = 0;
	for (; t->heads[columns]; columns++) {
		right[columns] = t->heads[columns][0] == '>';
		widths[columns] = width(t->heads[columns] + right[columns]);
	}
	const char *cell = buf_str(&t->cells);
	for (size_t i = 0; i < t->count && !t->cells.failed; i++, cell += strlen(cell) + 1)
		if (width(cell) > widths[i % columns])
			widths[i % columns] = width(cell);
	if (t->cells.failed)
		complain("the answer is too large for a table; --json shows it");
	else if (t->count == 0 && empty)
		(void)fprintf(stderr, "%s\n", empty);
	for (size_t i = 0; i < columns && t->count > 0; i++)
		print_cell(t->heads[i] + right[i], widths[i], right[i], i + 1 == columns);
	cell = buf_str(&t->cells);
	for (size_t i = 0; i < t->count && !t->cells.failed; i++, cell += strlen(cell) + 1)
		print_cell(cell, widths[i % columns], right[i % columns], i % columns + 1 == columns);
	buf_free(&t->cells);
}

/* --- messages ------------------------------------------------------------------------------------- */

void complain(const char *fmt, ...)
{
	CLEANUP(buf_free) struct buf raw = BUF_INIT(LINE_MAX_BYTES);
	CLEANUP(buf_free) struct buf shown = BUF_INIT(6 * LINE_MAX_BYTES);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&raw, fmt, ap);
	va_end(ap);
	name_shown(&shown, buf_str(&raw), raw.len);
	(void)fprintf(stderr, "sendense: %s\n", buf_str(&shown));
}

int exit_status_of(const struct err *e)
{
	switch (e->code) {
	case ERR_PATH_INVALID:
	case ERR_INVALID:
		return CLIENT_USAGE;
	case ERR_NOT_FOUND:
	case ERR_NOT_DIRECTORY:
	case ERR_LINK_LOOP:
	case ERR_VOLUME_NOT_FOUND:
	case ERR_BACKUP_NOT_FOUND:
	case ERR_DISK_NOT_FOUND:
	case ERR_MOUNT_NOT_FOUND:
	case ERR_REPOSITORY_NOT_FOUND:
	case ERR_VM_NOT_FOUND:
	case ERR_ARCHIVE_NOT_FOUND:
		return CLIENT_NOT_FOUND;
	case ERR_IS_DIRECTORY:
	case ERR_NOT_FILE:
	case ERR_FILE_CORRUPT:
	case ERR_FILE_ENCRYPTED:
	case ERR_FILE_OFFLINE:
	case ERR_FILE_UNSUPPORTED:
		return CLIENT_SOME_FAILED;
	default:
		return CLIENT_FAILED;
	}
}

/* What to do about it, where that is a command. */
static const char *advice_on(enum err_code code)
{
	switch (code) {
	case ERR_MOUNT_NOT_FOUND:
		return "\"sendense mounts\" lists what is open, \"sendense mount BACKUP_ID\" opens a backup";
	case ERR_BACKUP_NOT_FOUND:
		return "\"sendense backup list\" names the backups there are";
	case ERR_VOLUME_LOCKED:
		return "\"sendense unlock --volume N --passphrase-file FILE MOUNT_ID\" gives its key";
	case ERR_NO_SLOT:
		return "\"sendense mounts\" lists what is open, \"sendense unmount\" frees a slot";
	default:
		return NULL;
	}
}

int complain_err(const struct err *e)
{
	bool of_hub = e->module && strcmp(e->module, "hub") == 0;
	if (of_hub)
		complain("%s [%s]", e->msg, err_code_name(e->code));
	else
		complain("%s", e->msg);
	if (of_hub && advice_on(e->code))
		complain("%s", advice_on(e->code));
	return exit_status_of(e);
}

int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain("cannot write to standard output");
	return status ? status : CLIENT_FAILED;
}
