/* api: the bodies of requests, through the handlers that read one. The first byte chooses the handler, the rest is the body.
 * The linker puts the stand-ins below in place of the hub (fuzz/meson.build): each holds what reached it against its contract
 * and refuses. */
#include "api/api.h"
#include "base/utf8.h"
#include "http/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__typeof__(hub_mount) __wrap_hub_mount;
__typeof__(hub_unlock) __wrap_hub_unlock;
__typeof__(hub_selection_create) __wrap_hub_selection_create;
__typeof__(hub_selection_add) __wrap_hub_selection_add;
__typeof__(hub_repository_create) __wrap_hub_repository_create;
__typeof__(auth_is_token) __wrap_auth_is_token;
__typeof__(sessions_redeem) __wrap_sessions_redeem;

enum { INPUT_MAX = 64 << 10, KEY_MAX = 64 << 10 };

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static int refuse(struct err *e)
{
	return err_set(e, ERR_MOUNT_NOT_FOUND, "fuzz", "there is no hub");
}

int __wrap_hub_mount(struct hub *h, const struct hub_mount_request *req, struct hub_mount **ret, bool *ret_reused,
                     char *ret_existing, struct err *e)
{
	(void)h;
	(void)ret;
	(void)ret_reused;
	(void)ret_existing;
	expect(req->backup_id && req->backup_id[0]);
	expect(!req->disk_ids || (!req->all_disks && req->disk_id_count > 0 && req->disk_id_count <= HUB_MOUNT_DISKS_MAX));
	return refuse(e);
}

int __wrap_hub_unlock(struct hub *h, const char *mount_id, uint32_t volume, const struct session_key *key,
                      struct hub_mount **ret, struct err *e)
{
	(void)h;
	(void)mount_id;
	(void)ret;
	expect(volume >= 1 && key->len <= KEY_MAX);
	expect(key->kind == SESSION_KEY_FILE || (key->len > 0 && !memchr(key->bytes, '\0', key->len)));
	return refuse(e);
}

static void check_paths(const struct session_path *paths, size_t count)
{
	expect(count > 0 && count <= HUB_SELECTION_PATHS_MAX);
	for (size_t i = 0; i < count; i++)
		expect(paths[i].len > 0 && paths[i].path[0] == '/' && !memchr(paths[i].path, '\0', paths[i].len));
}

int __wrap_hub_selection_create(struct hub *h, const char *mount_id, uint32_t volume, const char *format,
                                const struct session_path *paths, size_t path_count, struct hub_selection *ret,
                                struct err *e)
{
	(void)h;
	(void)mount_id;
	(void)volume;
	(void)ret;
	const char *type;
	struct err unknown = ERR_INIT;
	expect(api_archive_type(format, &type, &unknown) == 0);
	check_paths(paths, path_count);
	return refuse(e);
}

int __wrap_hub_selection_add(struct hub *h, const char *id, const struct session_path *paths, size_t path_count,
                             struct hub_selection *ret, struct err *e)
{
	(void)h;
	(void)id;
	(void)ret;
	check_paths(paths, path_count);
	return refuse(e);
}

int __wrap_hub_repository_create(struct hub *h, const struct catalog_repository *in, struct catalog_repository **ret,
                                 struct err *e)
{
	(void)h;
	(void)ret;
	expect(in->name[0] && in->location[0] == '/' && in->type != CATALOG_REPOSITORY_TYPE_NONE);
	return refuse(e);
}

bool __wrap_auth_is_token(const struct auth *a, const char *token)
{
	(void)a;
	return strlen(token) > INPUT_MAX;
}

bool __wrap_sessions_redeem(struct sessions *s, const char *code, uint64_t now)
{
	(void)s;
	(void)now;
	return strlen(code) > INPUT_MAX;
}

/* In place of libmicrohttpd's: signing in wants the header of the hub's own page. */
const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *key)
{
	(void)connection;
	(void)kind;
	return strcmp(key, "X-Sendense-CSRF") == 0 ? "1" : NULL;
}

/* Nothing but a refusal, in JSON that can be read. */
static void check_answer(const struct http_response *resp)
{
	expect(resp->status >= 400 && resp->status < 500 && resp->kind == BODY_BUFFER && !resp->buf.failed);
	expect(utf8_valid((const char *)resp->buf.data, resp->buf.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		http_handler *handle;
		const char *param;
	} handlers[] = {
		{api_mount_create, NULL}, {api_mount_unlock, "mount_id"}, {api_archive_create, "mount_id"},
		{api_archive_add, "archive_id"}, {api_repository_create, NULL}, {api_session_create, NULL},
	};
	if (size < 1 || size > INPUT_MAX)
		return 0;
	unsigned i = data[0] % (sizeof(handlers) / sizeof(*handlers));
	struct api api = {0};
	struct http_server server = {.config = {.arg = &api, .body_max = INPUT_MAX}};
	struct http_conn conn = {.server = &server, .peer = "127.0.0.1"};
	struct http_request *r = request_new(&server, "/");
	if (!r)
		return 0;
	strcpy(r->method, "POST");
	r->conn = &conn;
	/* Never looked into: only that there is a connection to ask. */
	r->mhd = (struct MHD_Connection *)&conn;
	if (handlers[i].param) {
		r->params[0].name = (struct http_text){.s = handlers[i].param, .len = strlen(handlers[i].param)};
		r->params[0].value = (struct http_text){.s = "m", .len = 1};
		r->param_count = 1;
	}
	buf_add(&r->body, data + 1, size - 1);
	handlers[i].handle(r, &r->resp);
	check_answer(&r->resp);
	/* A secret leaves nothing behind. */
	for (size_t at = 0; handlers[i].handle == api_mount_unlock && at < r->body.len; at++)
		expect(r->body.data[at] == 0);
	response_release(&r->resp, false);
	request_free(r);
	return 0;
}
