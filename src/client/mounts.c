/* mount, mounts, unmount, volumes, status. */
#include "client/commands.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_TEXT_MAX = 64 << 10, BODY_MAX = 64 << 10 };

/* --- mount ---------------------------------------------------------------------------------------- */

static void mount_body(struct buf *to, const char *backup_id, const char *disk, bool reuse)
{
	struct json j = json_init(to);
	json_object(&j);
	json_key_string(&j, "backup_id", backup_id);
	if (disk) {
		json_key(&j, "disk_index");
		json_raw(&j, disk, strlen(disk));
	}
	if (reuse)
		json_key_bool(&j, "reuse", true);
	json_object_end(&j);
}

int open_mount(struct client *c, const char *backup_id, const char *disk, bool reuse, struct doc **ret,
               struct doc **ret_details, struct err *e)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	mount_body(&body, backup_id, disk, reuse);
	struct call call = {.method = "POST", .path = "/api/v1/restore/mount", .body = buf_str(&body)};
	int r = buf_ok(&body, "client", e);
	return r < 0 ? r : client_call(c, &call, ret, NULL, ret_details, e);
}

/* What the volume is good for, in a word or two. */
static const char *volume_note(const struct doc *v)
{
	if (doc_bool(v, "default"))
		return "default";
	if (doc_bool(v, "locked"))
		return "locked";
	if (doc_bool(v, "supported"))
		return "readable";
	const char *reason = doc_text(v, "reason");
	return reason[0] ? reason : doc_bool(v, "container") ? "container" : "not readable";
}

static void print_volume_table(const struct doc *d)
{
	static const char *const heads[] = {">VOLUME", "KIND", "FILESYSTEM", ">SIZE", "LABEL", "STATE", NULL};
	struct table t;
	char size[SIZE_TEXT_MAX];
	table_init(&t, heads);
	for (size_t i = 0; i < doc_count(d, "volumes"); i++) {
		const struct doc *v = doc_at(d, "volumes", i);
		const char *label = doc_text(v, "label");
		table_cellf(&t, "%" PRId64, doc_number(v, "volume", 0));
		table_cell(&t, doc_text(v, "kind"));
		table_cell(&t, doc_text(v, "filesystem_type"));
		table_cell(&t, size_text(size, doc_number(v, "size", -1)));
		table_cell(&t, label[0] ? label : doc_text(v, "name"));
		table_cell(&t, volume_note(v));
	}
	table_print(&t, "no volumes");
}

static void warn(const struct doc *d)
{
	for (size_t i = 0; i < doc_count(d, "warnings"); i++)
		complain("warning: %s", doc_text_at(d, "warnings", i));
}

static int print_mount(const struct doc *d, const struct client_args *a)
{
	(void)a;
	char text[TIME_TEXT_MAX];
	(void)fputs("mount    ", stdout);
	print_name(stdout, doc_text(d, "mount_id"));
	(void)printf("\nbackup   ");
	print_name(stdout, doc_text(d, "backup_id"));
	(void)printf(", disk %" PRId64 " of ", doc_number(d, "disk_index", 0));
	print_name(stdout, doc_text(d, "vm_name"));
	(void)printf("\nexpires  %s, unless used before\n\n", time_text(text, doc_text(d, "expires_at")));
	print_volume_table(d);
	warn(d);
	return CLIENT_OK;
}

int cmd_mount(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	mount_body(&body, a->operands[0], a->disk, a->reuse);
	struct call call = {.method = "POST", .path = "/api/v1/restore/mount", .body = buf_str(&body)};
	return show(c, a, &call, print_mount);
}

static int print_mounts(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const heads[] = {"MOUNT", "VM", "BACKUP", ">DISK", "FILESYSTEM", "STATUS", "EXPIRES", NULL};
	struct table t;
	char text[TIME_TEXT_MAX];
	table_init(&t, heads);
	for (size_t i = 0; i < doc_count(d, "mounts"); i++) {
		const struct doc *m = doc_at(d, "mounts", i);
		table_cell(&t, doc_text(m, "mount_id"));
		table_cell(&t, doc_text(m, "vm_name"));
		table_cell(&t, doc_text(m, "backup_id"));
		table_cellf(&t, "%" PRId64, doc_number(m, "disk_index", 0));
		table_cell(&t, doc_text(m, "filesystem_type"));
		table_cell(&t, doc_text(m, "status"));
		table_cell(&t, time_text(text, doc_text(m, "expires_at")));
	}
	table_print(&t, "nothing is mounted");
	return CLIENT_OK;
}

int cmd_mounts(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/restore/mounts");
	return show_get(c, a, &path, print_mounts);
}

static int print_unmounted(const struct doc *d, const struct client_args *a)
{
	(void)d;
	(void)printf("unmounted %s\n", a->operands[0]);
	return CLIENT_OK;
}

int cmd_unmount(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/restore/%s", a->operands[0]);
	struct call call = {.method = "DELETE", .path = buf_str(&path)};
	return show(c, a, &call, print_unmounted);
}

static int print_volumes(const struct doc *d, const struct client_args *a)
{
	(void)a;
	print_volume_table(d);
	return CLIENT_OK;
}

int cmd_volumes(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/restore/%s/volumes", a->operands[0]);
	return show_get(c, a, &path, print_volumes);
}

/* --- status --------------------------------------------------------------------------------------- */

static int print_health(const struct doc *d, const struct client_args *a)
{
	(void)a;
	char text[TIME_TEXT_MAX];
	(void)printf("status   ");
	print_name(stdout, doc_text(d, "status"));
	(void)printf(", version ");
	print_name(stdout, doc_text(d, "version"));
	(void)printf(", since %s\n", time_text(text, doc_text(d, "started_at")));
	return CLIENT_OK;
}

static int print_resources(const struct doc *d, const struct client_args *a)
{
	(void)a;
	(void)printf("mounts   %" PRId64 " of %" PRId64 ", %" PRId64 " free\n", doc_number(d, "active_mounts", 0),
	             doc_number(d, "max_mounts", 0), doc_number(d, "available_slots", 0));
	return CLIENT_OK;
}

static int print_cleanup(const struct doc *d, const struct client_args *a)
{
	(void)a;
	char last[TIME_TEXT_MAX], next[TIME_TEXT_MAX];
	(void)printf("cleanup  every %" PRId64 " s, of mounts idle for %" PRId64 " s; last %s, next %s, %" PRId64
	             " cleaned in all\n",
	             doc_number(d, "interval_seconds", 0), doc_number(d, "idle_timeout_seconds", 0),
	             time_text(last, doc_text(d, "last_run_at")), time_text(next, doc_text(d, "next_run_at")),
	             doc_number(d, "total_cleaned", 0));
	if (doc_has(d, "last_error"))
		complain("the last cleanup failed: %s", doc_text(d, "last_error"));
	return CLIENT_OK;
}

int cmd_status(struct client *c, const struct client_args *a)
{
	static const struct {
		const char *key, *path;
		answer_print *print;
	} parts[] = {
		{"healthz", "/api/v1/healthz", print_health},
		{"resources", "/api/v1/restore/resources", print_resources},
		{"cleanup", "/api/v1/restore/cleanup-status", print_cleanup},
	};
	int status = CLIENT_OK;
	if (!a->json)
		(void)printf("hub      %s\n", client_url(c));
	for (unsigned i = 0; i < 3 && status == CLIENT_OK; i++) {
		struct call call = {.method = "GET", .path = parts[i].path};
		if (a->json)
			(void)printf("%s\"%s\":", i == 0 ? "{" : ",", parts[i].key);
		status = show(c, a, &call, parts[i].print);
	}
	if (a->json && status == CLIENT_OK)
		(void)puts("}");
	return status;
}
