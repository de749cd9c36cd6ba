/* One file's bytes.
 *
 *	NAME.part ──▶ all bytes there ──▶ mode, time, fsync ──▶ NAME
 *	    └── broke off ──▶ stays, with its entity tag: --continue goes on there, if the hub still has that entity
 */
#include "base/clock.h"
#include "client/get.h"
#include "client/part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_TEXT_MAX = 64 << 10, OVERLAP = 1 };

struct fetch {
	struct part part;
	struct progress progress;
	uint64_t from;                   /* the first byte asked for */
	bool begun;
};

static int begin(struct fetch *f, const struct call_head *head, struct err *e)
{
	f->begun = true;
	if (head->status == 206) {
		if (f->from == 0 || !head->has_range || head->range_first != f->from)
			return err_set(e, ERR_IO, "client",
			               "the hub sent another part of the file than the one asked for");
		progress_begin(&f->progress, f->from, head->range_total);
		return part_resume(&f->part, f->from, e);
	}
	progress_begin(&f->progress, 0, head->has_length ? head->length : 0);
	return part_begin(&f->part, head->etag, e);
}

static int take(void *arg, const struct call_head *head, const void *p, size_t len, struct err *e)
{
	struct fetch *f = arg;
	int r = f->begun ? 0 : begin(f, head, e);
	if (r == 0)
		r = part_write(&f->part, p, len, e);
	progress_show(&f->progress, f->part.at);
	return r;
}

static int check_size(const struct fetch *f, const struct call_head *head, const struct doc *info, struct err *e)
{
	int64_t size = strcmp(doc_text(info, "type"), "file") == 0 ? doc_number(info, "size", -1) : -1;
	uint64_t want = size >= 0 ? (uint64_t)size : f->part.at;
	if (head->status == 206 && head->range_total != f->part.at)
		want = head->range_total;
	if (f->part.at == want)
		return 0;
	return err_set(e, ERR_IO, "client", "the file has %" PRIu64 " bytes, of which %" PRIu64 " came", want,
	               f->part.at);
}

static int transfer(const struct get *g, struct fetch *f, const struct doc *info, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
	char etag[CALL_ETAG_MAX];
	struct call_head head = {0};
	api_path(&path, "/restore/%s/download", g->mount_id);
	url_query(&path, "path", g->paths[0]);
	url_query(&path, "volume", g->args->volume);
	uint64_t kept = g->args->resume ? part_kept(&f->part, etag) : 0;
	/* From the last byte that is there: a range that begins behind the end is none, though all may have arrived. */
	f->from = kept > OVERLAP ? kept - OVERLAP : 0;
	struct call call = {
	        .method = "GET", .path = buf_str(&path), .from = f->from, .if_range = etag, .sink = take, .arg = f};
	int r = client_call(g->client, &call, NULL, &head, NULL, e);
	if (r == 0 && !f->begun)
		r = begin(f, &head, e);
	progress_end(&f->progress);
	return r < 0 ? r : check_size(f, &head, info, e);
}

/* The file's own permissions as far as the umask lets them, no set-id bits; private where they are not known. */
static mode_t mode_of(const struct doc *info)
{
	const char *text = doc_text(info, "mode");
	if (strcmp(doc_text(info, "type"), "file") != 0 || !text[0])
		return 0600;
	mode_t mask = umask(077);
	(void)umask(mask);
	return ((mode_t)strtoul(text, NULL, 8) & 0777 & ~mask) | 0400;
}

static int finish(struct fetch *f, const struct doc *info, struct err *e)
{
	int64_t sec;
	uint32_t nsec;
	const char *text = doc_text(info, "modified_time");
	bool timed =
	        strcmp(doc_text(info, "type"), "file") == 0 && clock_rfc3339_parse(text, strlen(text), &sec, &nsec);
	struct timespec mtime = {.tv_sec = timed ? sec : 0, .tv_nsec = timed ? nsec : 0};
	return part_finish(&f->part, mode_of(info), timed ? &mtime : NULL, e);
}

/* What broke off is kept if it can be resumed, and it is said how; nothing that never began leaves a file behind. */
static void leave(struct fetch *f)
{
	char etag[CALL_ETAG_MAX];
	uint64_t kept = part_kept(&f->part, etag);
	char size[SIZE_TEXT_MAX];
	if (f->part.to_stdout)
		complain("the output is incomplete");
	else if (kept == 0)
		part_discard(&f->part);
	else
		complain("%s of it are kept in %s; the same command with --continue goes on there",
		         size_text(size, (int64_t)kept), f->part.part);
}

static int report(const struct get *g, const struct fetch *f)
{
	char size[SIZE_TEXT_MAX];
	if (f->part.to_stdout)
		return CLIENT_OK;
	if (g->args->json) {
		CLEANUP(buf_free) struct buf path = BUF_INIT(4 * PATH_TEXT_MAX);
		api_path(&path, "/restore/%s/file-info", g->mount_id);
		url_query(&path, "path", g->paths[0]);
		url_query(&path, "volume", g->args->volume);
		return show_get(g->client, g->args, &path, NULL);
	}
	print_name(stdout, f->part.path);
	(void)printf("  %s\n", size_text(size, (int64_t)f->part.at));
	return CLIENT_OK;
}

static int complain_fetch(const struct err *e, const struct doc *info)
{
	int status = complain_err(e);
	if (e->code == ERR_IS_DIRECTORY && strcmp(doc_text(info, "type"), "symlink") == 0)
		complain("it is a symbolic link to the directory %s; name the directory itself",
		         doc_text(info, "link_target"));
	return status;
}

int get_file(const struct get *g, const struct doc *info)
{
	struct err e = ERR_INIT;
	struct fetch f = {.part = PART_INIT};
	CLEANUP(buf_free) struct buf target = BUF_INIT(PATH_TEXT_MAX);
	const char *slash = strrchr(g->paths[0], '/');
	bool chosen = false;
	int r = get_target(g, slash[1] ? slash + 1 : doc_text(info, "name"), &target, &chosen, &e);
	if (r == 0)
		r = part_open(&f.part, buf_str(&target), !chosen || g->args->force, &e);
	if (r < 0)
		return complain_err(&e);
	r = transfer(g, &f, info, &e);
	if (r < 0) {
		int status = complain_fetch(&e, info);
		leave(&f);
		part_close(&f.part);
		return status;
	}
	int status = finish(&f, info, &e) < 0 ? complain_err(&e) : report(g, &f);
	part_close(&f.part);
	return status;
}
