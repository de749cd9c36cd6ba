/* Selections: several paths, prepared by a POST, fetched by a plain GET. */
#include "api/api.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS_BYTES_MAX = 16 << 20, NAME_BYTES_MAX = 1024 };

int api_archive_type(const char *format, const char **ret, struct err *e)
{
	static const struct {
		const char *format, *type;
	} types[] = {
		{"zip", "application/zip"},
		{"tar", "application/x-tar"},
		{"tar.gz", "application/gzip"},
		{"tar.zst", "application/zstd"},
	};
	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(format, types[i].format) == 0) {
			*ret = types[i].type;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, "api", "\"format\" is zip, tar.gz, tar.zst or tar");
}

static void put_lost(struct json *j, struct hub *h, const char *id)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(STREAM_LOST_BYTES_MAX);
	struct stream_lost_entry en;
	hub_selection_lost(h, id, &bytes);
	struct rdr r = rdr_init(bytes.data, bytes.len);
	json_key(j, "error_entries");
	json_array(j);
	while (stream_lost_next(&r, &en)) {
		json_object(j);
		json_key(j, "path");
		json_name(j, en.path, en.path_len);
		json_key_string(j, "code", en.code);
		json_key_string(j, "message", en.msg);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_selection(struct json *j, struct hub *h, const struct hub_selection *s)
{
	uint64_t entries = s->total.files + s->total.directories + s->total.others;
	json_object(j);
	json_key_string(j, "archive_id", s->id);
	json_key(j, "url");
	json_stringf(j, "/api/v1/restore/archives/%s/download", s->id);
	json_key_string(j, "mount_id", s->mount_id);
	json_key_string(j, "format", s->format);
	json_key_string(j, "state", hub_selection_state_name(s->state));
	json_key_u64(j, "entries", entries);
	json_key_u64(j, "bytes", s->total.bytes);
	json_key_u64(j, "files", s->total.files);
	json_key_u64(j, "directories", s->total.directories);
	json_key_u64(j, "entries_done", s->done.files);
	json_key_u64(j, "bytes_done", s->done.bytes);
	json_key_u64(j, "errors", s->done.errors);
	put_lost(j, h, s->id);
	json_key_text(j, "error", s->error);
	json_key_time(j, "created_at", s->created_at);
	json_object_end(j);
}

struct path_array {
	struct buf bytes;
	struct session_path *paths;
	size_t count;
};

static int parse_paths(struct request_json *body, struct path_array *ret, struct err *e)
{
	size_t count = 0;
	int r = request_json_list(body, "paths", HUB_SELECTION_PATHS_MAX, &count, e);
	if (r < 0)
		return r;
	ret->paths = calloc(count, sizeof(*ret->paths));
	if (!ret->paths)
		return err_no_memory(e, "api");
	for (size_t i = 0; i < count; i++) {
		const char *text;
		size_t len, before = ret->bytes.len;
		r = request_json_list_at(body, "paths", i, &text, &len, e);
		if (r == 0)
			r = api_unescape_path(text, len, &ret->bytes, e);
		if (r < 0)
			return r;
		ret->paths[i].len = ret->bytes.len - before;
	}
	/* The buffer has stopped moving. */
	size_t off = 0;
	for (size_t i = 0; i < count; i++) {
		ret->paths[i].path = buf_str(&ret->bytes) + off;
		off += ret->paths[i].len;
	}
	ret->count = count;
	return 0;
}

void api_archive_create(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	struct path_array list = {.bytes = BUF_INIT(PATHS_BYTES_MAX)};
	const char *id, *format = NULL, *type;
	int64_t volume = 0;
	struct hub_selection s;
	int r = http_param_string(req, "mount_id", &id, &e);
	if (r == 0)
		r = api_body(req, &body, &e);
	if (r == 0)
		r = request_json_string(body, "format", "zip", &format, &e);
	if (r == 0)
		r = api_archive_type(format, &type, &e);
	if (r == 0)
		r = request_json_i64(body, "volume", 0, &volume, &e);
	if (r == 0 && (volume < 0 || volume > UINT32_MAX))
		r = err_set(&e, ERR_INVALID, "api", "\"volume\" must be a volume's number");
	if (r == 0)
		r = parse_paths(body, &list, &e);
	if (r == 0)
		r = hub_selection_create(api_hub(req), id, (uint32_t)volume, format, list.paths, list.count, &s, &e);
	if (r == 0)
		put_selection(http_json(resp, 201), api_hub(req), &s);
	else
		api_error(resp, &e);
	free(list.paths);
	buf_free(&list.bytes);
}

void api_archive_add(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	struct path_array list = {.bytes = BUF_INIT(PATHS_BYTES_MAX)};
	const char *id;
	struct hub_selection s;
	int r = http_param_string(req, "archive_id", &id, &e);
	if (r == 0)
		r = api_body(req, &body, &e);
	if (r == 0)
		r = parse_paths(body, &list, &e);
	if (r == 0)
		r = hub_selection_add(api_hub(req), id, list.paths, list.count, &s, &e);
	if (r == 0)
		put_selection(http_json(resp, 200), api_hub(req), &s);
	else
		api_error(resp, &e);
	free(list.paths);
	buf_free(&list.bytes);
}

void api_archive_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	struct hub_selection s;
	if (http_param_string(req, "archive_id", &id, &e) < 0 || hub_selection_get(api_hub(req), id, &s, &e) < 0)
		api_error(resp, &e);
	else
		put_selection(http_json(resp, 200), api_hub(req), &s);
}

void api_archive_cancel(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	if (http_param_string(req, "archive_id", &id, &e) < 0 || hub_selection_cancel(api_hub(req), id, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "message", "cancelled");
	json_key_string(j, "archive_id", id);
	json_object_end(j);
}

static void name_archive(struct http_response *resp, const char *name, const char *format)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(NAME_BYTES_MAX);
	if (name && name[0])
		name_unescape(&bytes, name, strlen(name));
	if (bytes.len == 0 || bytes.failed) {
		buf_reset(&bytes);
		buf_addf(&bytes, "restore.%s", format);
	}
	http_disposition(resp, "attachment", bytes.data, bytes.len);
}

void api_archive_download(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id, *type, *name = NULL;
	struct hub_selection s;
	struct api_stream out = {.hub = api_hub(req), .counts = true};
	int r = http_param_string(req, "archive_id", &id, &e);
	if (r == 0)
		r = http_query_string(req, "name", NULL, &name, &e);
	if (r == 0)
		r = hub_selection_get(api_hub(req), id, &s, &e);
	if (r == 0)
		r = api_archive_type(s.format, &type, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	name_archive(resp, name, s.format);
	if (http_is_head(req)) {
		api_stream_head(resp, type);
		return;
	}
	if (hub_selection_begin(api_hub(req), id, &out.use, &out.stream, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	(void)snprintf(out.selection, sizeof(out.selection), "%s", id);
	api_stream_answer(resp, 200, type, HTTP_LENGTH_UNKNOWN, &out);
}
