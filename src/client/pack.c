/* Several paths, or a directory: one archive.
 *
 * The selection is made by a POST, fetched by a GET, and its account (were there entries that could not be read?) asked
 * for afterwards. An archive that broke off cannot be resumed and is removed. */
#include "client/get.h"
#include "client/part.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_TEXT_MAX = 64 << 10,
	BODY_MAX = 1 << 20,              /* what the hub takes */
	PART_MAX = 512 << 10,            /* a request's paths, but the last of them */
	ASK_TIMES = 50,                  /* for an account that is not closed yet, */
	ASK_MS = 100,                    /* so long apart */
};

struct pack {
	struct part part;
	struct progress progress;
	uint64_t total;                  /* bytes of the files in it */
	bool begun;
	const char *format;
	struct doc *made;                /* the selection, as the hub answered */
	struct doc *account;
};

static int begin(struct pack *p, struct err *e)
{
	p->begun = true;
	progress_begin(&p->progress, 0, strcmp(p->format, "tar") == 0 ? p->total : 0);
	return part_begin(&p->part, "", e);
}

static int take(void *arg, const struct call_head *head, const void *data, size_t len, struct err *e)
{
	struct pack *p = arg;
	(void)head;
	int r = p->begun ? 0 : begin(p, e);
	if (r == 0)
		r = part_write(&p->part, data, len, e);
	progress_show(&p->progress, p->part.at);
	return r;
}

/* --- the format and the name ---------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n > m && strcmp(s + n - m, suffix) == 0;
}

static const char *choose_format(const struct client_args *a)
{
	static const char *const suffixes[][2] = {{".zip", "zip"},    {".tar", "tar"},         {".tar.gz", "tar.gz"},
	                                          {".tgz", "tar.gz"}, {".tar.zst", "tar.zst"}, {".tzst", "tar.zst"}};
	if (a->format)
		return a->format;
	for (unsigned i = 0; a->output && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (ends_with(a->output, suffixes[i][0]))
			return suffixes[i][1];
	return "zip";
}

static void choose_name(const struct get *g, const char *format, struct buf *to)
{
	const char *path = g->paths[0];
	size_t len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	size_t first = len;
	while (first > 0 && path[first - 1] != '/')
		first--;
	if (g->count > 1)
		buf_adds(to, "restore");
	else if (len == 0)
		buf_adds(to, "volume");
	else
		buf_add(to, path + first, len - first);
	buf_addf(to, ".%s", format);
}

/* --- the calls ------------------------------------------------------------------------------------ */

/* Puts the paths from *at on into a list, as many as one request takes; moves *at behind them. */
static void put_paths(const struct get *g, struct json *j, const struct buf *body, size_t *at)
{
	json_key(j, "paths");
	json_array(j);
	for (size_t first = *at; *at < g->count && (*at == first || body->len < PART_MAX); ++*at)
		json_string(j, g->paths[*at]);
	json_array_end(j);
}

/* The selection of the first paths when nothing was made yet, else further paths for it. */
static int send_paths(const struct get *g, struct pack *p, size_t *at, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	struct json j = json_init(&body);
	json_object(&j);
	put_paths(g, &j, &body, at);
	if (p->made) {
		api_path(&path, "/restore/archives/%s/paths", doc_text(p->made, "archive_id"));
	} else {
		api_path(&path, "/restore/%s/archives", g->mount_id);
		json_key_string(&j, "format", p->format);
		if (g->args->volume) {
			json_key(&j, "volume");
			json_raw(&j, g->args->volume, strlen(g->args->volume));
		}
	}
	json_object_end(&j);
	struct call call = {.method = "POST", .path = buf_str(&path), .body = buf_str(&body)};
	struct doc *answer = NULL;
	int r = buf_ok(&body, "client", e);
	if (r == 0)
		r = client_call(g->client, &call, &answer, NULL, NULL, e);
	if (r < 0)
		return r;
	doc_free(p->made);
	p->made = answer;
	return 0;
}

static int make_selection(const struct get *g, struct pack *p, struct err *e)
{
	int r = 0;
	for (size_t at = 0; at < g->count && r == 0;)
		r = send_paths(g, p, &at, e);
	p->total = (uint64_t)doc_number(p->made, "bytes", 0);
	return r;
}

/* The answer's url is a path of the hub asked, whatever else it may say. */
static int transfer(const struct get *g, struct pack *p, struct err *e)
{
	const char *url = doc_text(p->made, "url");
	if (strncmp(url, "/api/v1/restore/archives/", 25) != 0)
		return err_set(e, ERR_IO, "client", "the hub's answer does not say where the archive is");
	struct call call = {.method = "GET", .path = url, .sink = take, .arg = p};
	int r = client_call(g->client, &call, NULL, NULL, NULL, e);
	progress_end(&p->progress);
	if (r == 0 && !p->begun)
		r = err_set(e, ERR_IO, "client", "the archive that came is empty");
	return r;
}

static bool is_running(const struct doc *account)
{
	return strcmp(doc_text(account, "state"), "running") == 0 || strcmp(doc_text(account, "state"), "ready") == 0;
}

/* The hub closes the account just after the last byte is sent. */
static int ask_account(const struct get *g, struct pack *p, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/restore/archives/%s", doc_text(p->made, "archive_id"));
	for (unsigned i = 0; i < ASK_TIMES; i++) {
		doc_free(STEAL(p->account));
		int r = client_get(g->client, buf_str(&path), &p->account, e);
		if (r < 0 || !is_running(p->account))
			return r;
		(void)nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000L}, NULL);
	}
	return err_set(e, ERR_IO, "client", "the hub does not say how the archive ended");
}

static int check_account(const struct pack *p, struct err *e)
{
	if (strcmp(doc_text(p->account, "state"), "complete") == 0)
		return 0;
	return err_set(e, ERR_IO, "client", "the archive is incomplete: %s",
	               doc_has(p->account, "error") ? doc_text(p->account, "error") : doc_text(p->account, "state"));
}

/* Which, and why: those that the hub names. */
static void name_errors(const struct doc *account)
{
	int64_t errors = doc_number(account, "errors", 0);
	size_t count = doc_count(account, "error_entries");
	for (size_t i = 0; i < count; i++) {
		const struct doc *en = doc_at(account, "error_entries", i);
		complain("%s: %s", doc_text(en, "path"), doc_text(en, "message"));
	}
	if (count > 0 && errors > (int64_t)count)
		complain("… and %" PRId64 " more", errors - (int64_t)count);
}

/* --- all of it ------------------------------------------------------------------------------------ */

static int report(const struct get *g, const struct pack *p)
{
	char size[SIZE_TEXT_MAX];
	int64_t errors = doc_number(p->account, "errors", 0);
	if (!p->part.to_stdout && !g->args->json) {
		print_name(stdout, p->part.path);
		(void)printf("  %s\n", size_text(size, (int64_t)p->part.at));
	}
	name_errors(p->account);
	if (errors == 0)
		return CLIENT_OK;
	complain("%" PRId64 " of %" PRId64
	         " entries could not be read; RESTORE-ERRORS.txt, the archive's last entry, names them",
	         errors, doc_number(p->account, "entries", 0));
	return CLIENT_SOME_FAILED;
}

static int show_account(const struct get *g, const struct pack *p)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	if (!g->args->json || p->part.to_stdout)
		return CLIENT_OK;
	api_path(&path, "/restore/archives/%s", doc_text(p->made, "archive_id"));
	return show_get(g->client, g->args, &path, NULL);
}

static int run(const struct get *g, struct pack *p, struct err *e)
{
	int r = transfer(g, p, e);
	if (r == 0)
		r = ask_account(g, p, e);
	if (r == 0)
		r = check_account(p, e);
	if (r == 0)
		r = part_finish(&p->part, 0600, NULL, e);
	if (r == 0)
		return 0;
	if (p->part.to_stdout && p->begun)
		(void)err_prefix(e, "the output is incomplete");
	part_discard(&p->part);
	return r;
}

static int open_target(const struct get *g, struct pack *p, struct err *e)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(PATH_TEXT_MAX);
	CLEANUP(buf_free) struct buf target = BUF_INIT(PATH_TEXT_MAX);
	bool chosen = false;
	choose_name(g, p->format, &name);
	int r = get_target(g, buf_str(&name), &target, &chosen, e);
	if (r < 0)
		return r;
	if (strcmp(buf_str(&target), "-") == 0 && isatty(STDOUT_FILENO))
		return err_set(e, ERR_INVALID, "client",
		               "an archive is not for a terminal; redirect it, or name a file with -o");
	return part_open(&p->part, buf_str(&target), !chosen || g->args->force, e);
}

int get_archive(const struct get *g)
{
	struct err e = ERR_INIT;
	struct pack p = {.part = PART_INIT, .format = choose_format(g->args)};
	int status;
	if (g->args->resume) {
		complain("an archive is made anew each time and cannot be continued");
		return CLIENT_USAGE;
	}
	int r = make_selection(g, &p, &e);
	if (r == 0)
		r = open_target(g, &p, &e);
	if (r == 0)
		r = run(g, &p, &e);
	if (r < 0) {
		status = complain_err(&e);
	} else {
		status = show_account(g, &p);
		int worst = report(g, &p);
		status = status ? status : worst;
	}
	part_close(&p.part);
	doc_free(p.made);
	doc_free(p.account);
	return status;
}
