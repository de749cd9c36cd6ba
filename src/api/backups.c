#include "api/api.h"

#include <string.h>

static void put_disk(struct json *j, const struct catalog_disk *d)
{
	json_object(j);
	json_key_i64(j, "id", d->id);
	json_key_i64(j, "disk_index", d->disk_index);
	json_key_i64(j, "vmware_disk_key", d->vmware_disk_key);
	json_key_i64(j, "size_gb", d->size_gb);
	json_key_i64(j, "size_bytes", d->size_bytes);
	json_key_i64(j, "stored_bytes", d->stored_bytes);
	json_key(j, "qcow2_path");
	json_name(j, d->qcow2_path, strlen(d->qcow2_path));
	json_key_text(j, "disk_change_id", d->disk_change_id);
	json_key_string(j, "status", catalog_backup_status_name(d->status));
	json_key_text(j, "parent_backup_id", d->parent_backup_id);
	json_object_end(j);
}

static void put_backup(struct json *j, const struct catalog_backup *b, const struct catalog_disk_list *disks)
{
	int64_t percent = 0;
	if (b->status == CATALOG_BACKUP_COMPLETED)
		percent = 100;
	else if (b->total_bytes > 0)
		percent = b->bytes_transferred * 100 / b->total_bytes;
	json_object(j);
	json_key_string(j, "backup_id", b->id);
	json_key_string(j, "vm_context_id", b->vm_context_id);
	json_key_string(j, "vm_name", b->vm_name);
	json_key_string(j, "repository_id", b->repository_id);
	json_key_string(j, "backup_type", catalog_backup_type_name(b->backup_type));
	json_key_string(j, "status", catalog_backup_status_name(b->status));
	json_key_text(j, "parent_backup_id", b->parent_backup_id);
	json_key_text(j, "change_id", b->change_id);
	json_key_i64(j, "total_bytes", b->total_bytes);
	json_key_i64(j, "bytes_transferred", b->bytes_transferred);
	json_key_i64(j, "progress_percent", percent);
	json_key_i64(j, "transfer_speed_bps", b->transfer_speed_bps);
	json_key_text(j, "error_message", b->error_message);
	json_key_time(j, "created_at", b->created_at);
	json_key_time(j, "started_at", b->started_at);
	json_key_time(j, "completed_at", b->completed_at);
	json_key(j, "disks");
	json_array(j);
	for (size_t i = 0; i < disks->count; i++)
		put_disk(j, disks->items[i]);
	json_array_end(j);
	json_object_end(j);
}

static int parse_filter(const struct http_request *req, struct catalog_backup_filter *f, struct err *e)
{
	const char *status, *type;
	uint64_t limit, offset;
	*f = (struct catalog_backup_filter){0};
	int r = http_query_string(req, "vm_name", NULL, &f->vm_name, e);
	if (r == 0)
		r = http_query_string(req, "vm_context_id", NULL, &f->vm_context_id, e);
	if (r == 0)
		r = http_query_string(req, "repository_id", NULL, &f->repository_id, e);
	if (r == 0)
		r = http_query_string(req, "status", NULL, &status, e);
	if (r == 0)
		r = http_query_string(req, "backup_type", NULL, &type, e);
	if (r == 0)
		r = http_query_u64(req, "limit", 0, INT32_MAX, &limit, e);
	if (r == 0)
		r = http_query_u64(req, "offset", 0, INT32_MAX, &offset, e);
	if (r < 0)
		return r;
	f->limit = (int64_t)limit;
	f->offset = (int64_t)offset;
	/* An empty filter is none. */
	if (status && status[0] && (f->status = catalog_backup_status_from_name(status)) == CATALOG_BACKUP_STATUS_ANY)
		return err_set(e, ERR_INVALID, "api", "\"status\" is pending, running, completed, failed or cancelled");
	if (type && type[0] && (f->backup_type = catalog_backup_type_from_name(type)) == CATALOG_BACKUP_TYPE_ANY)
		return err_set(e, ERR_INVALID, "api", "\"backup_type\" is full or incremental");
	return 0;
}

/* Fills a response's JSON; a failure in the middle replaces all of it by an error. */
static int put_backups(struct catalog *c, struct json *j, const struct catalog_backup_list *list, struct err *e)
{
	for (size_t i = 0; i < list->count; i++) {
		struct catalog_disk_list disks = {0};
		int r = catalog_disk_list(c, list->items[i]->id, &disks, e);
		if (r == 0)
			put_backup(j, list->items[i], &disks);
		catalog_disk_list_free(&disks);
		if (r < 0)
			return r;
	}
	return 0;
}

void api_backup_list(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct catalog *c = hub_catalog(api_hub(req));
	struct catalog_backup_filter f;
	struct catalog_backup_list list = {0};
	int64_t total = 0;
	int r = parse_filter(req, &f, &e);
	if (r == 0)
		r = catalog_backup_count(c, &f, &total, &e);
	if (r == 0)
		r = catalog_backup_list(c, &f, &list, &e);
	if (r == 0) {
		struct json *j = http_json(resp, 200);
		json_object(j);
		json_key(j, "backups");
		json_array(j);
		r = put_backups(c, j, &list, &e);
		if (r == 0) {
			json_array_end(j);
			json_key_i64(j, "total", total);
			json_object_end(j);
		}
	}
	if (r < 0)
		api_error(resp, &e);
	catalog_backup_list_free(&list);
}

static int get_backup(struct http_request *req, struct catalog_backup **ret, struct catalog_disk_list *ret_disks,
                      struct err *e)
{
	const char *id;
	struct catalog *c = hub_catalog(api_hub(req));
	int r = http_param_string(req, "backup_id", &id, e);
	if (r == 0)
		r = catalog_backup_get(c, id, ret, e);
	return r < 0 ? r : catalog_disk_list(c, id, ret_disks, e);
}

void api_backup_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(free_ptr) struct catalog_backup *b = NULL;
	struct catalog_disk_list disks = {0};
	if (get_backup(req, &b, &disks, &e) < 0)
		api_error(resp, &e);
	else
		put_backup(http_json(resp, 200), b, &disks);
	catalog_disk_list_free(&disks);
}

void api_backup_disks(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(free_ptr) struct catalog_backup *b = NULL;
	struct catalog_disk_list disks = {0};
	if (get_backup(req, &b, &disks, &e) < 0) {
		api_error(resp, &e);
	} else {
		struct json *j = http_json(resp, 200);
		json_object(j);
		json_key_string(j, "backup_id", b->id);
		json_key_u64(j, "count", disks.count);
		json_key(j, "disks");
		json_array(j);
		for (size_t i = 0; i < disks.count; i++)
			put_disk(j, disks.items[i]);
		json_array_end(j);
		json_object_end(j);
	}
	catalog_disk_list_free(&disks);
}

void api_backup_chain(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct catalog *c = hub_catalog(api_hub(req));
	const char *vm;
	uint64_t disk;
	struct catalog_chain chain = {0};
	int r = http_query_string(req, "vm_context_id", NULL, &vm, &e);
	if (r == 0 && (!vm || !vm[0]))
		r = err_set(&e, ERR_INVALID, "api", "the parameter \"vm_context_id\" is missing");
	if (r == 0)
		r = http_query_u64(req, "disk_id", 0, INT32_MAX, &disk, &e);
	if (r == 0)
		r = catalog_chain_get(c, vm, (int64_t)disk, &chain, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "vm_context_id", vm);
	json_key_u64(j, "disk_id", disk);
	for (size_t i = 0; i < chain.backups.count; i++) {
		struct catalog_disk_list one = {.items = &chain.disks.items[i], .count = 1};
		if (i == 0)
			json_key(j, "full_backup");
		if (i == 1) {
			json_key(j, "incrementals");
			json_array(j);
		}
		put_backup(j, chain.backups.items[i], &one);
	}
	if (chain.backups.count < 2) {
		json_key(j, "incrementals");
		json_array(j);
	}
	json_array_end(j);
	json_key_i64(j, "total_size_bytes", chain.stored_bytes);
	json_key_u64(j, "count", chain.backups.count);
	json_object_end(j);
	catalog_chain_free(&chain);
}

/* --- VMs ------------------------------------------------------------------------------------------ */

static void put_vm(struct json *j, const struct catalog_vm *vm)
{
	json_object(j);
	json_key_string(j, "vm_context_id", vm->context_id);
	json_key_string(j, "vm_name", vm->vm_name);
	json_key_string(j, "repository_id", vm->repository_id);
	json_key_i64(j, "backup_count", vm->backup_count);
	json_key_time(j, "last_backup_at", vm->last_backup_at);
	json_key_time(j, "created_at", vm->created_at);
	json_object_end(j);
}

void api_vm_list(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct catalog *c = hub_catalog(api_hub(req));
	struct catalog_vm_filter f = {0};
	struct catalog_vm_list list = {0};
	int64_t total = 0;
	int r = http_query_string(req, "vm_name", NULL, &f.vm_name, &e);
	if (r == 0)
		r = http_query_string(req, "repository_id", NULL, &f.repository_id, &e);
	if (r == 0)
		r = catalog_vm_count(c, &f, &total, &e);
	if (r == 0)
		r = catalog_vm_list(c, &f, &list, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key(j, "vm_contexts");
	json_array(j);
	for (size_t i = 0; i < list.count; i++)
		put_vm(j, list.items[i]);
	json_array_end(j);
	json_key_i64(j, "total", total);
	json_object_end(j);
	catalog_vm_list_free(&list);
}

void api_vm_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	CLEANUP(free_ptr) struct catalog_vm *vm = NULL;
	if (http_param_string(req, "vm_context_id", &id, &e) < 0 ||
	    catalog_vm_get(hub_catalog(api_hub(req)), id, &vm, &e) < 0)
		api_error(resp, &e);
	else
		put_vm(http_json(resp, 200), vm);
}
