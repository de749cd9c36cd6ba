/* api: the REST contract over a hub: routes, handlers, error bodies. docs/api.md describes it for clients,
 * openapi.json for programs.
 *
 * Handlers are straight-line blocking code in http's job threads; what streams (downloads, archives, large listings)
 * goes on without them. Whatever a handler cannot do ends in api_error(), the only place that knows statuses.
 */
#ifndef API_API_H
#define API_API_H

#include "api/auth.h"
#include "api/request_json.h"
#include "api/sessions.h"
#include "api/tracked.h"
#include "api/web.h"
#include "base/err.h"
#include "http/http.h"
#include "hub/hub.h"

/* What http_request_arg() gives. */
struct api {
	struct hub *hub;
	struct auth *auth;
	struct sessions *sessions;
	struct tracked *tracked;
	struct web *web;                 /* NULL: the page is not built */
	int64_t started_at;              /* microseconds since 1970 */
};

/* For http_config. */
extern const struct http_route api_routes[];
extern const size_t api_route_count;
/* Lets in who has the token, or the cookie of a session; with the cookie changes need X-Sendense-CSRF too. */
bool api_before(struct http_request *req, struct http_response *resp, unsigned route_flags);
void api_finish(const struct http_request *req, struct http_response *resp);

/* --- shared by the handlers --- */

struct hub *api_hub(const struct http_request *req);

/* The HTTP status of an error code. */
unsigned api_status(int code);
void api_error(struct http_response *resp, const struct err *e);

/* The request's body. ERR_INVALID. */
int api_body(const struct http_request *req, struct request_json **ret, struct err *e);

/* The `path` and `volume` parameters: raw bytes in `bytes`, which the caller owns. fallback NULL: path is needed.
 * ERR_PATH_INVALID: missing, NUL inside, no leading "/", too long. */
int api_path(const struct http_request *req, const char *fallback, struct buf *bytes, struct session_path *ret,
             struct err *e);
/* The same for a path that came in a body. */
int api_unescape_path(const char *text, size_t len, struct buf *bytes, struct err *e);

/* {mount_id} → a use of the mount. */
int api_use(const struct http_request *req, struct hub_use **ret, struct err *e);

/* A mount as the API shows it (mounts.c). */
void api_put_mount(struct json *j, const struct hub_mount *m);
void json_key_time(struct json *j, const char *key, int64_t us);          /* RFC 3339, null for 0 */
void json_key_text(struct json *j, const char *key, const char *s);       /* null for "" */

/* --- body.c: a worker's stream as a response --- */

/* What a streamed response holds until its end; freed by the body. */
struct api_stream {
	struct hub *hub;
	struct hub_use *use;             /* owned */
	struct stream *stream;           /* owned */
	char selection[40];              /* an archive's selection, "" for none */
	struct tracked *tracked;         /* where `track` is, NULL for none */
	char track[TRACKED_ID_MAX];
	uint64_t at;                     /* place in the file of the next byte to send; kept by the body */
	bool counts;                     /* its completion is a restore */
};

/* Waits for the first bytes, so that what fails at once has a status of its own, then answers with the stream.
 * Takes `s` (use and stream in it) over, whatever happens. length: HTTP_LENGTH_UNKNOWN for archives. */
void api_stream_answer(struct http_response *resp, unsigned status, const char *type, uint64_t length,
                       const struct api_stream *s);
/* The answer to HEAD where that to GET is such a stream of unknown length: no Content-Length, which would be that of GET. */
void api_stream_head(struct http_response *resp, const char *type);
/* Begins tracking a download (tracked.c) of a file of `size` bytes that starts at `off`. ERR_INVALID, ERR_CANCELLED,
 * ERR_LIMIT. */
int api_track(const struct http_request *req, const char *id, uint64_t off, uint64_t size, struct api_stream *s,
              struct err *e);
/* One that failed before it began. */
void api_track_failed(const struct http_request *req, const char *id, const struct err *why);
/* The content type of an archive format. ERR_INVALID where there is no such format. */
int api_archive_type(const char *format, const char **ret, struct err *e);
/* Content type by a file's name; "application/octet-stream" where it says nothing. */
const char *api_mime(const char *name, size_t len);
/* Is that type shown inline by browsers without running anything? */
bool api_mime_shown(const char *type);

/* --- handlers --- */

http_handler api_healthz, api_openapi, api_metrics;                                                  /* api.c */
http_handler api_mount_create, api_mount_delete, api_mount_get, api_mount_list, api_mount_volumes;   /* mounts.c */
http_handler api_mount_unlock;                                                                   /* unlock.c */
http_handler api_resources, api_cleanup_status, api_cleanup_run;
http_handler api_files, api_search;                                                                  /* files.c */
http_handler api_file_info, api_download, api_download_directory;                                    /* download.c */
http_handler api_archive_create, api_archive_add, api_archive_get, api_archive_cancel, api_archive_download;          /* archives.c */
http_handler api_tracked_get, api_tracked_cancel;                                                  /* tracked.c */
http_handler api_backup_list, api_backup_get, api_backup_disks, api_backup_chain;                    /* backups.c */
http_handler api_vm_list, api_vm_get;
http_handler api_repository_list, api_repository_create, api_repository_get, api_repository_delete;  /* repositories.c */
http_handler api_repository_scan;
http_handler api_session_get, api_session_create, api_session_delete, api_session_link;              /* sign_in.c */
http_handler api_page, api_page_file;                                                                /* page.c */

#endif
