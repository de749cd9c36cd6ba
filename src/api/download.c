/* file-info, download, download-directory. */
#include "api/api.h"

#include "base/bytes.h"
#include "base/path.h"
#include "base/utf8.h"
#include "session/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_NAME_MAX = 1024, ETAG_MAX = 40, THREADS = 2 };

void api_file_info(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PATH_MAX * 4);
	CLEANUP(hub_use_release_p) struct hub_use *use = NULL;
	CLEANUP(free_ptr) struct session_stat *st = malloc(sizeof(*st));
	struct session_path at;
	int r = st ? api_path(req, NULL, &bytes, &at, &e) : err_no_memory(&e, "api");
	if (r == 0)
		r = api_use(req, &use, &e);
	if (r == 0)
		r = session_stat(use->session, at, false, true, st, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	view_stat(http_json(resp, 200), at.path, at.len, st);
	session_stat_free(st);
}

/* --- download ------------------------------------------------------------------------------------- */

struct file {
	struct hub_use *use;
	struct session_path at;
	const char *stream;              /* NULL: the file itself */
	uint64_t size;
	uint32_t volume;
	struct wire_time mtime;
	bool has_mtime;
	char etag[ETAG_MAX];
	const char *name;                /* inside at.path */
	size_t name_len;
};

static void hash(uint64_t *h, const void *p, size_t len)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++)
		*h = (*h ^ b[i]) * UINT64_C(0x100000001b3);
}

/* A restore point never changes, so what identifies the file in it identifies its bytes: a strong tag. */
static void make_etag(struct file *f, const struct wire_entry *en)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	uint64_t numbers[] = {f->use->disks, f->volume, en->ino, en->tree, f->size, (uint64_t)en->mtime.sec,
	                      en->mtime.nsec};
	hash(&h, f->use->backup_id, strlen(f->use->backup_id));
	hash(&h, numbers, sizeof(numbers));
	if (f->stream)
		hash(&h, f->stream, strlen(f->stream) + 1);
	(void)snprintf(f->etag, sizeof(f->etag), "%016" PRIx64 "-%" PRIx64, h, f->size);
}

static int find_stream(const struct session_stat *st, const char *name, uint64_t *ret_size, struct err *e)
{
	for (unsigned i = 0; i < st->stream_count; i++) {
		if (st->streams[i].name_len == strlen(name) && memcmp(st->streams[i].name, name, strlen(name)) == 0) {
			*ret_size = st->streams[i].size;
			return 0;
		}
	}
	return err_set(e, ERR_NOT_FOUND, "api", "the file has no stream of that name");
}

static int describe(struct file *f, const struct session_stat *st, struct err *e)
{
	const struct wire_entry *en = &st->entry;
	if (en->kind == ENTRY_DIRECTORY && !f->stream)
		return err_set(e, ERR_IS_DIRECTORY, "api", "this is a directory; download-directory makes an archive of it");
	if (en->kind != ENTRY_FILE && !f->stream)
		return err_set(e, ERR_NOT_FILE, "api", "this is a %s and has no bytes to download", wire_entry_kind_name(en->kind));
	f->size = en->size;
	f->volume = st->volume;
	f->mtime = en->mtime;
	f->has_mtime = en->flags & ENTRY_HAS_MTIME;
	int r = f->stream ? find_stream(st, f->stream, &f->size, e) : 0;
	if (r == 0)
		make_etag(f, en);
	return r;
}

static int find_file(struct http_request *req, struct buf *bytes, struct buf *stream, struct file *f, struct err *e)
{
	const char *name;
	int r = api_path(req, NULL, bytes, &f->at, e);
	if (r == 0)
		r = http_query_string(req, "stream", NULL, &name, e);
	if (r == 0 && name && name[0]) {
		name_unescape(stream, name, strlen(name));
		f->stream = buf_str(stream);
		r = buf_ok(stream, "api", e);
	}
	if (r == 0)
		r = api_use(req, &f->use, e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) struct session_stat *st = malloc(sizeof(*st));
	if (!st)
		return err_no_memory(e, "api");
	r = session_stat(f->use->session, f->at, true, f->stream != NULL, st, e);
	if (r < 0)
		return r;
	r = describe(f, st, e);
	session_stat_free(st);
	f->at.volume = f->volume;
	f->name_len = f->at.len;
	f->name = path_last(f->at.path, &f->name_len);
	return r;
}

/* Inline is for previews: what a browser could run is never given a type it would run, and is boxed in besides. */
static const char *set_disposition(struct http_response *resp, const struct file *f, bool shown)
{
	const char *type = f->stream ? "application/octet-stream" : api_mime(f->name, f->name_len);
	bool as_inline = shown && api_mime_shown(type);
	http_disposition(resp, as_inline ? "inline" : "attachment", f->name, f->name_len);
	/* A browser's PDF viewer does not start in a sandbox; it runs nothing of ours, and the type cannot be taken for another. */
	bool pdf = as_inline && strcmp(type, "application/pdf") == 0;
	http_headerf(resp, "Content-Security-Policy", "%sdefault-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; "
	             "%sframe-ancestors 'self'", pdf ? "" : "sandbox; ", pdf ? "object-src 'self'; " : "");
	http_header(resp, "Cache-Control", "private, no-cache");
	return type;
}

/* track: under which name its progress is asked for, "" for none. */
static void send_file(struct http_request *req, struct http_response *resp, struct file *f, bool shown,
                      const char *track)
{
	struct http_entity entity = {
		.size = f->size,
		.etag = f->etag,
		.modified = f->has_mtime ? f->mtime.sec : INT64_MIN,
	};
	struct http_range range;
	const char *type = set_disposition(resp, f, shown);
	if (!http_conditional(req, resp, &entity, &range)) {
		hub_use_release(f->use);
		return;
	}
	struct err e = ERR_INIT;
	struct api_stream s = {.hub = api_hub(req), .use = f->use, .counts = range.len == f->size};
	if (session_read(f->use->session, f->at, f->stream, range.off, http_is_head(req) ? 0 : range.len, &s.stream, &e) < 0) {
		hub_use_release(f->use);
		api_error(resp, &e);
		return;
	}
	if (http_is_head(req))
		s.counts = false;
	else if (track[0] && api_track(req, track, range.off, f->size, &s, &e) < 0) {
		stream_close(s.stream);
		hub_use_release(f->use);
		api_error(resp, &e);
		return;
	}
	api_stream_answer(resp, http_status_get(resp), type, range.len, &s);
}

void api_download(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PATH_MAX * 4);
	CLEANUP(buf_free) struct buf stream = BUF_INIT(STREAM_NAME_MAX);
	struct file f = {0};
	const char *disposition, *track = "";
	int r = http_query_string(req, "disposition", "attachment", &disposition, &e);
	if (r == 0)
		r = http_query_string(req, "track", "", &track, &e);
	if (r == 0 && strcmp(disposition, "inline") != 0 && strcmp(disposition, "attachment") != 0)
		r = err_set(&e, ERR_INVALID, "api", "\"disposition\" is inline or attachment");
	if (r == 0)
		r = find_file(req, &bytes, &stream, &f, &e);
	if (r < 0) {
		api_track_failed(req, track, &e);
		hub_use_release(f.use);
		api_error(resp, &e);
		return;
	}
	send_file(req, resp, &f, strcmp(disposition, "inline") == 0, track);
}

/* --- download-directory --------------------------------------------------------------------------- */

static int check_directory(struct session *s, struct session_path at, struct err *e)
{
	CLEANUP(free_ptr) struct session_stat *st = malloc(sizeof(*st));
	if (!st)
		return err_no_memory(e, "api");
	int r = session_stat(s, at, true, false, st, e);
	if (r < 0)
		return r;
	if (st->entry.kind != ENTRY_DIRECTORY)
		r = err_set(e, ERR_NOT_DIRECTORY, "api", "this is a %s; download gives its bytes",
		            wire_entry_kind_name(st->entry.kind));
	session_stat_free(st);
	return r;
}

static void name_archive(struct http_response *resp, struct session_path at, const char *format)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(8192);
	size_t n = at.len;
	const char *last = path_last(at.path, &n);
	if (n > 0)
		buf_add(&name, last, n);
	else
		buf_adds(&name, "volume");
	buf_addf(&name, ".%s", format);
	http_disposition(resp, "attachment", name.data, name.len);
}

void api_download_directory(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PATH_MAX * 4);
	struct session_path at;
	const char *format = NULL, *type = NULL;
	struct api_stream s = {.hub = api_hub(req), .counts = true};
	int r = api_path(req, NULL, &bytes, &at, &e);
	if (r == 0)
		r = http_query_string(req, "format", "zip", &format, &e);
	if (r == 0)
		r = api_archive_type(format, &type, &e);
	if (r == 0)
		r = api_use(req, &s.use, &e);
	if (r == 0)
		r = check_directory(s.use->session, at, &e);
	if (r == 0 && http_is_head(req)) {
		hub_use_release(s.use);
		name_archive(resp, at, format);
		api_stream_head(resp, type);
		return;
	}
	if (r == 0)
		r = session_archive(s.use->session, at.volume, &at, 1, format, THREADS, &s.stream, &e);
	if (r < 0) {
		hub_use_release(s.use);
		api_error(resp, &e);
		return;
	}
	name_archive(resp, at, format);
	api_stream_answer(resp, 200, type, HTTP_LENGTH_UNKNOWN, &s);
}
