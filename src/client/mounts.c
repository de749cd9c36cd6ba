/* mount, mounts, unmount, volumes, status. */
#include "client/commands.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_TEXT_MAX = 64 << 10, BODY_MAX = 64 << 10 };

/* --- mount ---------------------------------------------------------------------------------------- */

/* The id of the backup's disk of that index. */
static int find_disk_id(const struct doc *disks, const char *index, int64_t *ret, struct err *e)
{
	for (size_t i = 0; i < doc_count(disks, "disks"); i++) {
		const struct doc *d = doc_at(disks, "disks", i);
		char text[24];
		(void)snprintf(text, sizeof(text), "%" PRId64, doc_number(d, "disk_index", -1));
		if (strcmp(text, index) == 0) {
			*ret = doc_number(d, "id", 0);
			return 0;
		}
	}
	return err_set(e, ERR_DISK_NOT_FOUND, "client", "this backup has no disk %s", index);
}

/* The API takes several disks by their ids; people know them by their numbers. */
static int put_disk_ids(struct client *c, const char *backup_id, const struct client_args *a, struct json *j, struct err *e)
{
	CLEANUP(doc_free_p) struct doc *disks = NULL;
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/backups/%s/disks", backup_id);
	int r = client_get(c, buf_str(&path), &disks, e);
	json_key(j, "disks");
	json_array(j);
	for (unsigned i = 0; i < a->disk_count && r == 0; i++) {
		int64_t id = 0;
		r = find_disk_id(disks, a->disks[i], &id, e);
		json_i64(j, id);
	}
	json_array_end(j);
	return r;
}

static int mount_body(struct client *c, struct buf *to, const char *backup_id, const struct client_args *a, bool reuse,
                      struct err *e)
{
	int r = 0;
	struct json j = json_init(to);
	json_object(&j);
	json_key_string(&j, "backup_id", backup_id);
	if (a->disk_count > 1) {
		r = put_disk_ids(c, backup_id, a, &j, e);
	} else if (a->disk_count == 1 && strcmp(a->disks[0], "all") == 0) {
		json_key_string(&j, "disks", "all");
	} else if (a->disk_count == 1) {
		json_key(&j, "disk_index");
		json_raw(&j, a->disks[0], strlen(a->disks[0]));
	}
	if (reuse)
		json_key_bool(&j, "reuse", true);
	json_object_end(&j);
	return r < 0 ? r : buf_ok(to, "client", e);
}

int open_mount(struct client *c, const char *backup_id, const struct client_args *a, bool reuse, struct doc **ret,
               struct doc **ret_details, struct err *e)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	int r = mount_body(c, &body, backup_id, a, reuse, e);
	struct call call = {.method = "POST", .path = "/api/v1/restore/mount", .body = buf_str(&body)};
	return r < 0 ? r : client_call(c, &call, ret, NULL, ret_details, e);
}

/* What the volume is good for, in a word or two. */
static const char *volume_note(const struct doc *v)
{
	if (doc_bool(v, "default"))
		return "default";
	if (doc_bool(v, "supported"))
		return "readable";
	const char *reason = doc_text(v, "reason");
	return reason[0] ? reason : doc_bool(v, "container") ? "container" : "not readable";
}

static bool on_several_disks(const struct doc *d)
{
	for (size_t i = 1; i < doc_count(d, "volumes"); i++)
		if (doc_number(doc_at(d, "volumes", i), "disk_index", 0) != doc_number(doc_at(d, "volumes", 0), "disk_index", 0))
			return true;
	return false;
}

static void print_volume_table(const struct doc *d)
{
	static const char *const heads[] = {">VOLUME", "KIND", "FILESYSTEM", ">SIZE", "LABEL", "STATE", NULL};
	static const char *const heads_disk[] = {">VOLUME", ">DISK", "KIND", "FILESYSTEM", ">SIZE", "LABEL", "STATE", NULL};
	bool disks = on_several_disks(d);
	struct table t;
	char size[SIZE_TEXT_MAX];
	table_init(&t, disks ? heads_disk : heads);
	for (size_t i = 0; i < doc_count(d, "volumes"); i++) {
		const struct doc *v = doc_at(d, "volumes", i);
		const char *label = doc_text(v, "label");
		table_cellf(&t, "%" PRId64, doc_number(v, "volume", 0));
		if (disks)
			table_cellf(&t, "%" PRId64, doc_number(v, "disk_index", 0));
		table_cell(&t, doc_text(v, "kind"));
		table_cell(&t, doc_text(v, "filesystem_type"));
		table_cell(&t, size_text(size, doc_number(v, "size", -1)));
		table_cell(&t, label[0] ? label : doc_text(v, "name"));
		table_cell(&t, volume_note(v));
	}
	table_print(&t, "no volumes");
}

/* "0", or "0,1,2". */
static void disk_numbers(struct buf *to, const struct doc *m)
{
	size_t count = doc_count(m, "disks");
	if (count == 0)
		buf_addf(to, "%" PRId64, doc_number(m, "disk_index", 0));
	for (size_t i = 0; i < count; i++)
		buf_addf(to, "%s%" PRId64, i ? "," : "", doc_number(doc_at(m, "disks", i), "disk_index", 0));
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
	CLEANUP(buf_free) struct buf disks = BUF_INIT(BODY_MAX);
	disk_numbers(&disks, d);
	(void)printf(", disk%s %s of ", doc_count(d, "disks") > 1 ? "s" : "", buf_str(&disks));
	print_name(stdout, doc_text(d, "vm_name"));
	(void)printf("\nexpires  %s, unless used before\n\n", time_text(text, doc_text(d, "expires_at")));
	print_volume_table(d);
	warn(d);
	return CLIENT_OK;
}

int cmd_mount(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	struct err e = ERR_INIT;
	if (mount_body(c, &body, a->operands[0], a, a->reuse, &e) < 0)
		return complain_err(&e);
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
		CLEANUP(buf_free) struct buf disks = BUF_INIT(BODY_MAX);
		disk_numbers(&disks, m);
		table_cell(&t, buf_str(&disks));
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
