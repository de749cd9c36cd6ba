#include "api/api.h"

#include "session/view.h"

#include <string.h>

static void put_disks(struct json *j, const struct catalog_mount_disk_list *disks)
{
	json_key(j, "disks");
	json_array(j);
	for (size_t i = 0; i < disks->count; i++) {
		const struct catalog_mount_disk *d = disks->items[i];
		json_object(j);
		json_key_i64(j, "id", d->id);
		json_key_i64(j, "disk_index", d->disk_index);
		json_key_i64(j, "size_bytes", d->size_bytes);
		json_key(j, "qcow2_path");
		json_name(j, d->qcow2_path, strlen(d->qcow2_path));
		json_key_string(j, "status", d->missing[0] ? "missing" : "open");
		json_key_text(j, "reason", d->missing);
		json_object_end(j);
	}
	json_array_end(j);
}

/* In a list the volumes of a mount whose worker sleeps are not at hand: the array is empty. */
static void put_volumes(struct json *j, const struct hub_mount *m)
{
	json_key(j, "volumes");
	json_array(j);
	for (unsigned i = 0; i < m->volume_count; i++) {
		const struct wire_volume *v = &m->volumes[i];
		const struct catalog_mount_disk *d = v->disk < m->disks.count ? m->disks.items[v->disk] : NULL;
		view_volume(j, v, d ? d->disk_index : 0, d ? d->id : 0);
	}
	json_array_end(j);
}

void api_put_mount(struct json *j, const struct hub_mount *m)
{
	const struct catalog_mount *row = m->row;
	json_object(j);
	json_key_string(j, "mount_id", row->id);
	json_key_string(j, "backup_id", row->backup_id);
	json_key_i64(j, "backup_disk_id", row->backup_disk_id);
	json_key_i64(j, "disk_index", row->disk_index);
	json_key_string(j, "vm_name", row->vm_name);
	json_key_string(j, "vm_context_id", row->vm_context_id);
	json_key_string(j, "engine", row->engine);
	json_key_text(j, "mount_path", row->mount_path);
	json_key_text(j, "nbd_device", row->nbd_device);
	json_key_text(j, "filesystem_type", row->filesystem_type);
	json_key_string(j, "status", catalog_mount_status_name(row->status));
	json_key_time(j, "created_at", row->created_at);
	json_key_time(j, "last_accessed_at", row->last_accessed_at);
	json_key_time(j, "expires_at", row->expires_at);
	put_disks(j, &m->disks);
	put_volumes(j, m);
	json_key(j, "warnings");
	json_array(j);
	for (unsigned i = 0; i < m->warning_count; i++)
		json_string(j, m->warnings[i]);
	json_array_end(j);
	json_object_end(j);
}

/* "disks": "all", or ids, in place of "disk_index". */
static int parse_disks(struct request_json *body, struct hub_mount_request *ret, int64_t ids[HUB_MOUNT_DISKS_MAX],
                       struct err *e)
{
	const char *word;
	if (!request_json_has(body, "disks"))
		return request_json_i64(body, "disk_index", 0, &ret->disk_index, e);
	if (request_json_has(body, "disk_index"))
		return err_set(e, ERR_INVALID, "api", "\"disk_index\" and \"disks\" do not go together");
	if (!request_json_is_string(body, "disks")) {
		ret->disk_ids = ids;
		return request_json_i64_list(body, "disks", ids, HUB_MOUNT_DISKS_MAX, &ret->disk_id_count, e);
	}
	int r = request_json_string(body, "disks", NULL, &word, e);
	if (r == 0 && strcmp(word, "all") != 0)
		return err_set(e, ERR_INVALID, "api", "\"disks\" must be \"all\" or a list of the ids of disks");
	ret->all_disks = true;
	return r;
}

static int parse_mount(const struct http_request *req, struct request_json **body, struct hub_mount_request *ret,
                       int64_t ids[HUB_MOUNT_DISKS_MAX], struct err *e)
{
	int r = api_body(req, body, e);
	if (r == 0)
		r = request_json_string(*body, "backup_id", NULL, &ret->backup_id, e);
	if (r == 0 && (!ret->backup_id || !*ret->backup_id))
		r = err_set(e, ERR_INVALID, "api", "\"backup_id\" is missing");
	if (r == 0)
		r = parse_disks(*body, ret, ids, e);
	if (r == 0)
		r = request_json_bool(*body, "reuse", false, &ret->reuse, e);
	return r;
}

static void mount_error(struct http_request *req, struct http_response *resp, const struct err *e, const char *existing)
{
	if (e->code != ERR_ALREADY_MOUNTED && e->code != ERR_NO_SLOT) {
		api_error(resp, e);
		return;
	}
	struct json *j = http_error_begin(resp, api_status(e->code), err_code_name(e->code), e->msg);
	struct hub_resources res;
	struct err ignored = ERR_INIT;
	if (e->code == ERR_ALREADY_MOUNTED)
		json_key_string(j, "mount_id", existing);
	else if (hub_resources(api_hub(req), &res, &ignored) == 0)
		json_key_u64(j, "max_mounts", res.max_mounts);
	http_error_end(resp);
}

void api_mount_create(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	struct hub_mount_request want = {0};
	int64_t ids[HUB_MOUNT_DISKS_MAX];
	bool reused = false;
	char existing[CATALOG_ID_MAX] = "";
	CLEANUP(hub_mount_free_p) struct hub_mount *m = NULL;
	int r = parse_mount(req, &body, &want, ids, &e);
	if (r == 0)
		r = hub_mount(api_hub(req), &want, &m, &reused, existing, &e);
	if (r == 0)
		api_put_mount(http_json(resp, reused ? 200 : 201), m);
	else
		mount_error(req, resp, &e, existing);
}

void api_mount_delete(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	if (http_param_string(req, "mount_id", &id, &e) < 0 || hub_unmount(api_hub(req), id, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "message", "unmounted");
	json_key_string(j, "mount_id", id);
	json_object_end(j);
}

/* A mount that ended can be made again from what it showed. */
static void ended_error(struct http_request *req, struct http_response *resp, const struct err *e, const char *id)
{
	CLEANUP(free_ptr) struct catalog_mount *row = NULL;
	struct catalog_mount_disk_list disks = {0};
	struct err ignored = ERR_INIT;
	if (e->code != ERR_MOUNT_NOT_FOUND || catalog_mount_get(hub_catalog(api_hub(req)), id, &row, &ignored) < 0) {
		api_error(resp, e);
		return;
	}
	struct json *j = http_error_begin(resp, api_status(e->code), err_code_name(e->code), e->msg);
	json_key_string(j, "backup_id", row->backup_id);
	json_key_i64(j, "disk_index", row->disk_index);
	if (catalog_mount_disks(hub_catalog(api_hub(req)), id, &disks, &ignored) == 0 && disks.count > 1) {
		json_key(j, "disks");
		json_array(j);
		for (size_t i = 0; i < disks.count; i++)
			json_i64(j, disks.items[i]->id);
		json_array_end(j);
	}
	catalog_mount_disk_list_free(&disks);
	json_key_string(j, "vm_name", row->vm_name);
	http_error_end(resp);
}

void api_mount_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	CLEANUP(hub_mount_free_p) struct hub_mount *m = NULL;
	if (http_param_string(req, "mount_id", &id, &e) < 0)
		api_error(resp, &e);
	else if (hub_mount_get(api_hub(req), id, &m, &e) < 0)
		ended_error(req, resp, &e, id);
	else
		api_put_mount(http_json(resp, 200), m);
}

void api_mount_volumes(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	CLEANUP(hub_mount_free_p) struct hub_mount *m = NULL;
	if (http_param_string(req, "mount_id", &id, &e) < 0 || hub_mount_get(api_hub(req), id, &m, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "mount_id", id);
	put_volumes(j, m);
	json_key_u64(j, "count", m->volume_count);
	json_object_end(j);
}

void api_mount_list(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct hub_mount **list = NULL;
	size_t count = 0;
	if (hub_mount_list(api_hub(req), &list, &count, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key(j, "mounts");
	json_array(j);
	for (size_t i = 0; i < count; i++)
		api_put_mount(j, list[i]);
	json_array_end(j);
	json_key_u64(j, "count", count);
	json_object_end(j);
	hub_mount_list_free(list, count);
}

void api_resources(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct hub_resources res;
	int64_t restores = 0;
	if (hub_resources(api_hub(req), &res, &e) < 0 ||
	    catalog_counter_get(hub_catalog(api_hub(req)), CATALOG_COUNTER_RESTORES, &restores, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_u64(j, "active_mounts", res.active_mounts);
	json_key_u64(j, "max_mounts", res.max_mounts);
	json_key_u64(j, "available_slots", res.max_mounts > res.active_mounts ? res.max_mounts - res.active_mounts : 0);
	/* Devices are of the old kernel-nbd engine: the native one has none. */
	json_key(j, "allocated_devices");
	json_array(j);
	json_array_end(j);
	json_key_u64(j, "device_utilization_percent", 0);
	json_key_u64(j, "workers", res.workers);
	json_key_i64(j, "restores_total", restores);
	json_object_end(j);
}

void api_cleanup_status(struct http_request *req, struct http_response *resp)
{
	struct hub_cleanup_status st;
	hub_cleanup_status(api_hub(req), &st);
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_bool(j, "running", st.running);
	json_key_u64(j, "interval_seconds", st.interval_seconds);
	json_key_u64(j, "idle_timeout_seconds", st.idle_timeout_seconds);
	json_key_time(j, "last_run_at", st.last_run_at);
	json_key_time(j, "next_run_at", st.next_run_at);
	json_key_i64(j, "total_cleaned", st.total_cleaned);
	json_key_u64(j, "last_cleaned", st.last_cleaned);
	json_key_text(j, "last_error", st.last_error);
	json_object_end(j);
}

void api_cleanup_run(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	unsigned cleaned;
	if (hub_cleanup_run(api_hub(req), &cleaned, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "message", "cleanup ran");
	json_key_u64(j, "cleaned", cleaned);
	json_object_end(j);
}
