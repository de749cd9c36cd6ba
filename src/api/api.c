#include "api/api.h"

#include "api/openapi.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <string.h>

#define V1 "/api/v1"

const struct http_route api_routes[] = {
	{"GET", V1 "/healthz", api_healthz, HTTP_ROUTE_PUBLIC},
	{"GET", V1 "/openapi.json", api_openapi, 0},
	{"GET", V1 "/metrics", api_metrics, 0},

	{"GET", V1 "/session", api_session_get, HTTP_ROUTE_PUBLIC},
	{"POST", V1 "/session", api_session_create, HTTP_ROUTE_PUBLIC},
	{"DELETE", V1 "/session", api_session_delete, HTTP_ROUTE_PUBLIC},
	{"POST", V1 "/session/links", api_session_link, 0},

	{"POST", V1 "/restore/mount", api_mount_create, 0},
	{"GET", V1 "/restore/mounts", api_mount_list, 0},
	{"GET", V1 "/restore/resources", api_resources, 0},
	{"GET", V1 "/restore/cleanup-status", api_cleanup_status, 0},
	{"POST", V1 "/restore/cleanup", api_cleanup_run, 0},
	{"GET", V1 "/restore/archives/{archive_id}", api_archive_get, 0},
	{"DELETE", V1 "/restore/archives/{archive_id}", api_archive_cancel, 0},
	{"POST", V1 "/restore/archives/{archive_id}/paths", api_archive_add, 0},
	{"GET", V1 "/restore/archives/{archive_id}/download", api_archive_download, 0},
	{"GET", V1 "/restore/downloads/{download_id}", api_tracked_get, 0},
	{"DELETE", V1 "/restore/downloads/{download_id}", api_tracked_cancel, 0},
	{"GET", V1 "/restore/{mount_id}", api_mount_get, 0},
	{"DELETE", V1 "/restore/{mount_id}", api_mount_delete, 0},
	{"GET", V1 "/restore/{mount_id}/volumes", api_mount_volumes, 0},
	{"POST", V1 "/restore/{mount_id}/unlock", api_mount_unlock, 0},
	{"GET", V1 "/restore/{mount_id}/files", api_files, 0},
	{"GET", V1 "/restore/{mount_id}/file-info", api_file_info, 0},
	{"GET", V1 "/restore/{mount_id}/download", api_download, 0},
	{"GET", V1 "/restore/{mount_id}/download-directory", api_download_directory, 0},
	{"GET", V1 "/restore/{mount_id}/search", api_search, 0},
	{"POST", V1 "/restore/{mount_id}/archives", api_archive_create, 0},

	{"GET", V1 "/backup/list", api_backup_list, 0},
	{"GET", V1 "/backup/chain", api_backup_chain, 0},
	{"GET", V1 "/backup/{backup_id}", api_backup_get, 0},
	{"GET", V1 "/backups", api_backup_list, 0},
	{"GET", V1 "/backups/{backup_id}", api_backup_get, 0},
	{"GET", V1 "/backups/{backup_id}/disks", api_backup_disks, 0},

	{"GET", V1 "/vm-contexts", api_vm_list, 0},
	{"GET", V1 "/vm-contexts/{vm_context_id}", api_vm_get, 0},

	{"GET", V1 "/repositories", api_repository_list, 0},
	{"POST", V1 "/repositories", api_repository_create, 0},
	{"GET", V1 "/repositories/{repository_id}", api_repository_get, 0},
	{"DELETE", V1 "/repositories/{repository_id}", api_repository_delete, 0},
	{"POST", V1 "/repositories/{repository_id}/scan", api_repository_scan, 0},

	/* The page asks for all else itself, as whoever signed in. */
	{"GET", "/", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/sign-in", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/restore", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/restore/{path*}", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/vms", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/vms/{path*}", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/backups", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/backups/{path*}", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/repositories", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/repositories/{path*}", api_page, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/assets/{path*}", api_page_file, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/favicon.svg", api_page_file, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
	{"GET", "/theme.js", api_page_file, HTTP_ROUTE_PUBLIC | HTTP_ROUTE_INLINE},
};

const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);

struct hub *api_hub(const struct http_request *req)
{
	return ((struct api *)http_request_arg(req))->hub;
}

void api_finish(const struct http_request *req, struct http_response *resp)
{
	(void)req;
	http_header(resp, "X-Content-Type-Options", "nosniff");
	http_header(resp, "Referrer-Policy", "no-referrer");
	if (!http_header_has(resp, "Cache-Control"))
		http_header(resp, "Cache-Control", "no-store");
	if (!http_header_has(resp, "Content-Security-Policy"))
		http_header(resp, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
}

/* --- errors --------------------------------------------------------------------------------------- */

unsigned api_status(int code)
{
	switch (code) {
	case ERR_INVALID:
	case ERR_PATH_INVALID:
	case ERR_NOT_DIRECTORY:
	case ERR_IS_DIRECTORY:
	case ERR_NOT_FILE:
	case ERR_CONFIG:
		return 400;
	case ERR_UNAUTHORIZED:
		return 401;
	case ERR_FORBIDDEN:
		return 403;
	case ERR_NOT_FOUND:
	case ERR_BACKUP_NOT_FOUND:
	case ERR_DISK_NOT_FOUND:
	case ERR_MOUNT_NOT_FOUND:
	case ERR_REPOSITORY_NOT_FOUND:
	case ERR_VM_NOT_FOUND:
	case ERR_ARCHIVE_NOT_FOUND:
	case ERR_VOLUME_NOT_FOUND:
		return 404;
	case ERR_ALREADY_MOUNTED:
	case ERR_BACKUP_NOT_COMPLETE:
	case ERR_HAS_DEPENDENTS:
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_CANCELLED:
		return 409;
	case ERR_LINK_LOOP:
	case ERR_IO:
	case ERR_IMAGE_UNREADABLE:
	case ERR_IMAGE_CORRUPT:
	case ERR_IMAGE_UNSUPPORTED:
	case ERR_IMAGE_ENCRYPTED:
	case ERR_IMAGE_LAYER_MISSING:
	case ERR_IMAGE_BACKING_REFUSED:
	case ERR_VOLUME_UNSUPPORTED:
	case ERR_VOLUME_LOCKED:
	case ERR_VOLUME_CORRUPT:
	case ERR_VOLUME_INCOMPLETE:
	case ERR_KEY_WRONG:
	case ERR_FS_CORRUPT:
	case ERR_FS_UNSUPPORTED:
	case ERR_FILE_CORRUPT:
	case ERR_FILE_ENCRYPTED:
	case ERR_FILE_OFFLINE:
	case ERR_FILE_UNSUPPORTED:
		return 422;
	case ERR_NOT_IMPLEMENTED:
		return 501;
	case ERR_WORKER_DIED:
	case ERR_WORKER_PROTOCOL:
		return 502;
	case ERR_NO_SLOT:
	case ERR_LIMIT:
	case ERR_NO_MEMORY:
	case ERR_REPOSITORY_UNREACHABLE:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_CATALOG_FULL:
		return 507;
	default:
		return 500;
	}
}

void api_error(struct http_response *resp, const struct err *e)
{
	http_error(resp, api_status(e->code), err_code_name(e->code), "%s", e->msg);
}

/* --- parameters ----------------------------------------------------------------------------------- */

int api_body(const struct http_request *req, struct request_json **ret, struct err *e)
{
	struct http_text body = http_body_in(req);
	return request_json_parse(body.s, body.len, ret, e);
}

int api_unescape_path(const char *text, size_t len, struct buf *bytes, struct err *e)
{
	if (len == 0 || text[0] != '/')
		return err_set(e, ERR_PATH_INVALID, "api", "a path inside a volume starts with \"/\"");
	if (memchr(text, '\0', len))
		return err_set(e, ERR_PATH_INVALID, "api", "a path must not contain a NUL");
	size_t before = bytes->len;
	name_unescape(bytes, text, len);
	if (bytes->failed || bytes->len - before > WIRE_PATH_MAX)
		return err_set(e, ERR_PATH_INVALID, "api", "a path has at most %d bytes", WIRE_PATH_MAX);
	return 0;
}

int api_path(const struct http_request *req, const char *fallback, struct buf *bytes, struct session_path *ret,
             struct err *e)
{
	struct http_text text = http_query(req, "path");
	if (!text.s && !fallback)
		return err_set(e, ERR_PATH_INVALID, "api", "the parameter \"path\" is missing");
	if (!text.s)
		text = (struct http_text){.s = fallback, .len = strlen(fallback)};
	int r = api_unescape_path(text.s, text.len, bytes, e);
	const char *once;
	uint64_t volume;
	if (r == 0)
		r = http_query_string(req, "path", NULL, &once, e);
	if (r == 0)
		r = http_query_u64(req, "volume", 0, UINT32_MAX, &volume, e);
	if (r == 0)
		*ret = (struct session_path){.volume = (uint32_t)volume, .path = buf_str(bytes), .len = bytes->len};
	return r;
}

int api_use(const struct http_request *req, struct hub_use **ret, struct err *e)
{
	const char *id;
	int r = http_param_string(req, "mount_id", &id, e);
	return r < 0 ? r : hub_use(api_hub(req), id, ret, e);
}

void json_key_time(struct json *j, const char *key, int64_t us)
{
	char text[CLOCK_RFC3339_MAX];
	json_key(j, key);
	if (us != 0 && clock_rfc3339_us(text, us) > 0)
		json_string(j, text);
	else
		json_null(j);
}

void json_key_text(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_string(j, s && s[0] ? s : NULL);
}

/* --- small ones ----------------------------------------------------------------------------------- */

void api_healthz(struct http_request *req, struct http_response *resp)
{
	const struct api *a = http_request_arg(req);
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "status", "ok");
	json_key_string(j, "version", SENDENSE_VERSION);
	json_key_time(j, "started_at", a->started_at);
	json_object_end(j);
}

void api_openapi(struct http_request *req, struct http_response *resp)
{
	(void)req;
	http_body_static(resp, 200, "application/json", openapi_json, openapi_json_len);
}

static void metric(struct buf *b, const char *name, const char *type, const char *help, int64_t value)
{
	buf_addf(b, "# HELP sendense_%s %s\n# TYPE sendense_%s %s\nsendense_%s %" PRId64 "\n", name, help, name, type, name,
	         value);
}

void api_metrics(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct hub_resources res;
	int64_t mounts = 0, restores = 0;
	if (hub_resources(api_hub(req), &res, &e) < 0 ||
	    catalog_counter_get(hub_catalog(api_hub(req)), CATALOG_COUNTER_MOUNTS, &mounts, &e) < 0 ||
	    catalog_counter_get(hub_catalog(api_hub(req)), CATALOG_COUNTER_RESTORES, &restores, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct buf *b = http_body(resp, 200, "text/plain; version=0.0.4; charset=utf-8");
	metric(b, "mounts_active", "gauge", "Mounts open now.", res.active_mounts);
	metric(b, "mounts_max", "gauge", "Mounts there may be.", res.max_mounts);
	metric(b, "workers", "gauge", "Worker processes.", res.workers);
	metric(b, "mounts_total", "counter", "Mounts made.", mounts);
	metric(b, "restores_total", "counter", "Files and archives delivered whole.", restores);
}
