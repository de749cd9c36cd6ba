/* ls, stat, search. */
#include "client/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	PATH_TEXT_MAX = 64 << 10,
	PAGE = 1000,                     /* entries asked for at a time: the longest names fit in an answer */
	PAGES_MAX = 1 << 20,
	SEARCH_MAX = 1000,               /* hits the hub gives unless asked for more */
};

/* --- one entry ------------------------------------------------------------------------------------ */

static void mode_text(char to[11], const struct doc *d)
{
	static const struct {
		const char *type;
		char letter;
	} kinds[] = {{"file", '-'}, {"directory", 'd'}, {"symlink", 'l'}, {"block", 'b'},
	             {"char", 'c'}, {"fifo", 'p'},      {"socket", 's'}};
	static const char bits[] = "rwxrwxrwx";
	unsigned long mode = strtoul(doc_text(d, "mode"), NULL, 8);
	to[0] = '?';
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(doc_text(d, "type"), kinds[i].type) == 0)
			to[0] = kinds[i].letter;
	for (int i = 0; i < 9; i++)
		to[1 + i] = mode & (0400UL >> i) ? bits[i] : '-';
	if (mode & 04000)
		to[3] = mode & 0100 ? 's' : 'S';
	if (mode & 02000)
		to[6] = mode & 0010 ? 's' : 'S';
	if (mode & 01000)
		to[9] = mode & 0001 ? 't' : 'T';
	to[10] = '\0';
}

static bool is_type(const struct doc *d, const char *type)
{
	return strcmp(doc_text(d, "type"), type) == 0;
}

/* Prints an entry under its member `key`, "name" or "path". True: it could not be read. */
static bool print_entry(const struct doc *d, const char *key, bool lines)
{
	const struct doc *error = doc_object(d, "error");
	char mode[11], size[SIZE_TEXT_MAX], when[TIME_TEXT_MAX];
	if (lines && error)
		(void)printf("%-10s %5s %5s %10s %-16s ", "?", "-", "-", "-", "-");
	if (lines && !error) {
		mode_text(mode, d);
		(void)printf("%s %5" PRId64 " %5" PRId64 " %10s %-16s ", mode, doc_number(d, "uid", 0),
		             doc_number(d, "gid", 0), size_text(size, doc_number(d, "size", -1)),
		             time_text(when, doc_text(d, "modified_time")));
	}
	print_name(stdout, doc_text(d, key));
	if (lines && is_type(d, "symlink") && doc_has(d, "link_target")) {
		(void)fputs(" -> ", stdout);
		print_name(stdout, doc_text(d, "link_target"));
	} else if (is_type(d, "directory") && strcmp(doc_text(d, key), "/") != 0) {
		(void)putchar('/');
	}
	(void)putchar('\n');
	if (error)
		complain("%s: %s [%s]", doc_text(d, key), doc_text(error, "message"), doc_text(error, "code"));
	return error != NULL;
}

/* --- ls ------------------------------------------------------------------------------------------- */

static void files_path(struct buf *to, const char *call, const struct client_args *a, const char *path)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(PATH_TEXT_MAX);
	path_text(&text, path);
	api_path(to, "/restore/%s/", a->operands[0]);
	buf_adds(to, call);
	url_query(to, "path", buf_str(&text));
	url_query(to, "volume", a->volume);
}

/* One page. *ret_next: the cursor of the next, empty after the last. */
static int list_page(struct client *c, const struct client_args *a, struct buf *next, bool *some_failed, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	CLEANUP(doc_free_p) struct doc *d = NULL;
	files_path(&path, "files", a, a->operands[1]);
	buf_addf(&path, "&limit=%d", PAGE);
	url_query(&path, "cursor", next->len > 0 ? buf_str(next) : NULL);
	int r = client_get(c, buf_str(&path), &d, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < doc_count(d, "files"); i++)
		*some_failed |= print_entry(doc_at(d, "files", i), "name", a->lines);
	buf_reset(next);
	buf_adds(next, doc_text(d, "next_cursor"));
	return 0;
}

/* A path that is not a directory is listed as itself, as ls does. */
static int list_file(struct client *c, const struct client_args *a, bool *some_failed, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	CLEANUP(doc_free_p) struct doc *d = NULL;
	files_path(&path, "file-info", a, a->operands[1]);
	int r = client_get(c, buf_str(&path), &d, e);
	if (r == 0)
		*some_failed |= print_entry(d, "name", a->lines);
	return r;
}

int cmd_ls(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf next = BUF_INIT(4096);
	bool some_failed = false;
	if (a->json) {
		CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
		files_path(&path, "files", a, a->operands[1]);
		return show_get(c, a, &path, NULL);
	}
	int r = list_page(c, a, &next, &some_failed, &e);
	if (r == ERR_NOT_DIRECTORY) {
		err_clear(&e);
		r = list_file(c, a, &some_failed, &e);
	}
	for (unsigned i = 0; r == 0 && next.len > 0 && i < PAGES_MAX; i++)
		r = list_page(c, a, &next, &some_failed, &e);
	if (r < 0)
		return complain_err(&e);
	return some_failed ? CLIENT_SOME_FAILED : CLIENT_OK;
}

/* --- stat ----------------------------------------------------------------------------------------- */

static void field(const char *name, const char *value)
{
	if (!value[0])
		return;
	(void)printf("%-10s ", name);
	print_name(stdout, value);
	(void)putchar('\n');
}

static void print_extras(const struct doc *d)
{
	for (size_t i = 0; i < doc_count(d, "xattrs"); i++) {
		const struct doc *x = doc_at(d, "xattrs", i);
		(void)fputs("xattr      ", stdout);
		print_name(stdout, doc_text(x, "name"));
		(void)printf(doc_has(x, "text") ? " = \"" : " = 0x");
		print_name(stdout, doc_has(x, "text") ? doc_text(x, "text") : doc_text(x, "hex"));
		(void)puts(doc_has(x, "text") ? "\"" : "");
	}
	for (size_t i = 0; i < doc_count(d, "streams"); i++) {
		const struct doc *s = doc_at(d, "streams", i);
		char size[SIZE_TEXT_MAX];
		(void)fputs("stream     ", stdout);
		print_name(stdout, doc_text(s, "name"));
		(void)printf(", %s\n", size_text(size, doc_number(s, "size", -1)));
	}
}

static int print_stat(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const times[][2] = {{"modified", "modified_time"}, {"accessed", "accessed_time"},
	                                       {"changed", "changed_time"},   {"created", "created_time"}};
	char size[SIZE_TEXT_MAX], disk[SIZE_TEXT_MAX], mode[11];
	const struct doc *error = doc_object(d, "error");
	field("path", doc_text(d, "path"));
	field("type", doc_text(d, "type"));
	field("target", doc_text(d, "link_target"));
	if (error) {
		complain("%s: %s [%s]", doc_text(d, "path"), doc_text(error, "message"), doc_text(error, "code"));
		return CLIENT_SOME_FAILED;
	}
	mode_text(mode, d);
	(void)printf("size       %s (%" PRId64 " bytes), %s on disk\n", size_text(size, doc_number(d, "size", -1)),
	             doc_number(d, "size", -1), size_text(disk, doc_number(d, "allocated_size", -1)));
	(void)printf("mode       %s (%.8s), owner %" PRId64 ", group %" PRId64 "\n", mode, doc_text(d, "mode"),
	             doc_number(d, "uid", 0), doc_number(d, "gid", 0));
	(void)printf("inode      %" PRId64 " of volume %" PRId64 ", %" PRId64 " link(s)\n", doc_number(d, "inode", 0),
	             doc_number(d, "volume", 0), doc_number(d, "links", 0));
	for (unsigned i = 0; i < 4; i++)
		field(times[i][0], doc_text(d, times[i][1]));
	field("attributes", doc_text(d, "dos_attributes"));
	print_extras(d);
	if (doc_bool(d, "details_incomplete"))
		complain("not all attributes are shown: there are too many");
	return CLIENT_OK;
}

int cmd_stat(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	files_path(&path, "file-info", a, a->operands[1]);
	return show_get(c, a, &path, print_stat);
}

/* --- search --------------------------------------------------------------------------------------- */

static int print_hits(const struct doc *d, const struct client_args *a)
{
	bool some_failed = false;
	size_t count = doc_count(d, "files");
	for (size_t i = 0; i < count; i++)
		some_failed |= print_entry(doc_at(d, "files", i), "path", a->lines);
	if (count >= (size_t)doc_number(d, "limit", SEARCH_MAX))
		complain("only the first %zu are shown; a PATH behind the text narrows the search", count);
	return some_failed ? CLIENT_SOME_FAILED : CLIENT_OK;
}

int cmd_search(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	CLEANUP(buf_free) struct buf text = BUF_INIT(PATH_TEXT_MAX);
	path_text(&text, a->operands[1]);
	files_path(&path, "search", a, a->count > 2 ? a->operands[2] : "/");
	url_query(&path, "q", buf_str(&text));
	return show_get(c, a, &path, print_hits);
}
