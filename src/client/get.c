#include "client/get.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_TEXT_MAX = 64 << 10, PROGRESS_MS = 500, PATHS_MAX = 100000 };

/* --- targets -------------------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;
	size_t len = strlen(path);
	return (len > 0 && path[len - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

int get_target(const struct get *g, const char *name, struct buf *ret, bool *ret_chosen, struct err *e)
{
	const char *out = g->args->output;
	*ret_chosen = !out || (strcmp(out, "-") != 0 && is_directory(out));
	if (!*ret_chosen) {
		buf_adds(ret, out);
		return buf_ok(ret, "client", e);
	}
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(PATH_TEXT_MAX);
	name_unescape(&bytes, name, strlen(name));
	const char *s = buf_str(&bytes);
	if (!s[0] || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 || strchr(s, '/') || strlen(s) != bytes.len)
		return err_set(e, ERR_INVALID, "client", "the file's name cannot be taken over; give one with -o");
	if (out)
		buf_addf(ret, "%s%s", out, out[strlen(out) - 1] == '/' ? "" : "/");
	else if (strcmp(s, "-") == 0)
		buf_adds(ret, "./");
	buf_adds(ret, s);
	return buf_ok(ret, "client", e);
}

/* --- progress ------------------------------------------------------------------------------------- */

void progress_begin(struct progress *p, uint64_t start_at, uint64_t total)
{
	uint64_t now = clock_mono_ms();
	*p = (struct progress){
	        .on = isatty(STDERR_FILENO), .start_at = start_at, .total = total, .start_ms = now, .last_ms = now};
}

void progress_show(struct progress *p, uint64_t at)
{
	uint64_t now = p->on ? clock_mono_ms() : 0;
	if (!p->on || now - p->last_ms < PROGRESS_MS)
		return;
	char done[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX], speed[SIZE_TEXT_MAX];
	double per_second = (double)(at - p->start_at) * 1000 / (double)(now - p->start_ms);
	p->last_ms = now;
	(void)fprintf(stderr, "\r%s%s%s  %s/s        ", size_text(done, (int64_t)at), p->total ? " of " : "",
	              p->total ? size_text(all, (int64_t)p->total) : "", size_text(speed, (int64_t)per_second));
	(void)fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->on && p->last_ms != p->start_ms)
		(void)fprintf(stderr, "\r%60s\r", "");
	p->on = false;
}

/* --- the command ---------------------------------------------------------------------------------- */

/* The paths among the operands, as the API takes them, one after the other in `text`. */
struct path_list {
	struct buf text;
	const char **items;
	size_t count;
};

static void path_list_free(struct path_list *l)
{
	buf_free(&l->text);
	free(l->items);
}

/* "BACKUP:/path": the length of BACKUP; 0: not of that form. */
static size_t backup_prefix(const char *operand)
{
	const char *colon = strstr(operand, ":/");
	const char *slash = strchr(operand, '/');
	return colon && colon + 1 == slash ? (size_t)(colon - operand) : 0;
}

/* backup: the part of the first operand, `prefix` bytes, that every other one with such a part must repeat. */
static int take_paths(char **operands, int count, const char *backup, size_t prefix, struct path_list *ret,
                      struct err *e)
{
	if (count > PATHS_MAX)
		return err_set(e, ERR_INVALID, "client", "more than %d paths at once", PATHS_MAX);
	ret->text = BUF_INIT(64 << 20);
	ret->items = calloc((size_t)count, sizeof(*ret->items));
	if (!ret->items)
		return err_no_memory(e, "client");
	for (int i = 0; i < count; i++) {
		const char *path = operands[i];
		if (prefix > 0 && strncmp(path, backup, prefix + 1) == 0)
			path += prefix + 1;
		if (path[0] != '/')
			return err_set(e, ERR_INVALID, "client", "a path inside a volume starts with \"/\", not %s",
			               path);
		path_text(&ret->text, path);
		buf_addc(&ret->text, '\0');
	}
	int r = buf_ok(&ret->text, "client", e);
	const char *at = buf_str(&ret->text);
	for (int i = 0; r == 0 && i < count; i++, at += strlen(at) + 1)
		ret->items[ret->count++] = at;
	return r;
}

static int file_info(const struct get *g, struct doc **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	api_path(&path, "/restore/%s/file-info", g->mount_id);
	url_query(&path, "path", g->paths[0]);
	url_query(&path, "volume", g->args->volume);
	return client_get(g->client, buf_str(&path), ret, e);
}

static int fetch(const struct get *g)
{
	struct err e = ERR_INIT;
	CLEANUP(doc_free_p) struct doc *info = NULL;
	if (g->count > 1 || g->args->format)
		return get_archive(g);
	if (file_info(g, &info, &e) < 0)
		return complain_err(&e);
	return strcmp(doc_text(info, "type"), "directory") == 0 ? get_archive(g) : get_file(g, info);
}

int cmd_get(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	CLEANUP(path_list_free) struct path_list paths = {0};
	CLEANUP(doc_free_p) struct doc *mount = NULL;
	CLEANUP(doc_free_p) struct doc *details = NULL;
	CLEANUP(buf_free) struct buf backup = BUF_INIT(4096);
	size_t prefix = backup_prefix(a->operands[0]);
	int first = prefix > 0 ? 0 : 1;
	if (a->count <= first) {
		complain("which path? \"/\" is the root of a volume");
		return CLIENT_USAGE;
	}
	if (a->disk_count > 0 && prefix == 0) {
		complain("--disk goes with BACKUP_ID:PATH; a mount has its disks already");
		return CLIENT_USAGE;
	}
	buf_add(&backup, a->operands[0], prefix);
	int r = take_paths(a->operands + first, a->count - first, a->operands[0], prefix, &paths, &e);
	if (r == 0 && prefix > 0)
		r = open_mount(c, buf_str(&backup), a, true, &mount, &details, &e);
	if (r < 0)
		return complain_call(&e, details);
	struct get g = {
		.client = c,
		.args = a,
		.mount_id = prefix > 0 ? doc_text(mount, "mount_id") : a->operands[0],
		.paths = paths.items,
		.count = paths.count,
	};
	return fetch(&g);
}
