#include "api/api.h"

#include "repository/scan.h"

#include <string.h>

static void put_repository(struct json *j, const struct catalog_repository *r)
{
	json_object(j);
	json_key_string(j, "id", r->id);
	json_key_string(j, "name", r->name);
	json_key_string(j, "type", catalog_repository_type_name(r->type));
	json_key_string(j, "location", r->location);
	json_key_time(j, "created_at", r->created_at);
	json_object_end(j);
}

void api_repository_list(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct catalog_repository_list list = {0};
	if (catalog_repository_list(hub_catalog(api_hub(req)), &list, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key(j, "repositories");
	json_array(j);
	for (size_t i = 0; i < list.count; i++)
		put_repository(j, list.items[i]);
	json_array_end(j);
	json_key_u64(j, "count", list.count);
	json_object_end(j);
	catalog_repository_list_free(&list);
}

static int parse_repository(struct request_json *body, struct catalog_repository *ret, struct err *e)
{
	const char *type = NULL;
	int r = request_json_string(body, "name", NULL, &ret->name, e);
	if (r == 0 && (!ret->name || !ret->name[0]))
		r = err_set(e, ERR_INVALID, "api", "\"name\" is missing");
	if (r == 0)
		r = request_json_string(body, "location", NULL, &ret->location, e);
	if (r == 0 && (!ret->location || ret->location[0] != '/'))
		r = err_set(e, ERR_INVALID, "api", "\"location\" must be the absolute path of a folder on the hub's machine");
	if (r == 0)
		r = request_json_string(body, "type", "local", &type, e);
	if (r == 0 && (ret->type = catalog_repository_type_from_name(type)) == CATALOG_REPOSITORY_TYPE_NONE)
		r = err_set(e, ERR_INVALID, "api", "\"type\" is local, nfs or cifs");
	return r;
}

void api_repository_create(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	struct catalog_repository in = {0};
	CLEANUP(free_ptr) struct catalog_repository *made = NULL;
	int r = api_body(req, &body, &e);
	if (r == 0)
		r = parse_repository(body, &in, &e);
	if (r == 0)
		r = hub_repository_create(api_hub(req), &in, &made, &e);
	if (r == 0)
		put_repository(http_json(resp, 201), made);
	else
		api_error(resp, &e);
}

void api_repository_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	CLEANUP(free_ptr) struct catalog_repository *row = NULL;
	if (http_param_string(req, "repository_id", &id, &e) < 0 ||
	    catalog_repository_get(hub_catalog(api_hub(req)), id, &row, &e) < 0)
		api_error(resp, &e);
	else
		put_repository(http_json(resp, 200), row);
}

void api_repository_delete(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id, *backups = NULL;
	int r = http_param_string(req, "repository_id", &id, &e);
	if (r == 0)
		r = http_query_string(req, "backups", NULL, &backups, &e);
	if (r == 0 && backups && strcmp(backups, "forget") != 0)
		r = err_set(&e, ERR_INVALID, "api", "\"backups\" can only be \"forget\"");
	if (r == 0)
		r = backups ? catalog_repository_forget(hub_catalog(api_hub(req)), id, &e)
		            : catalog_repository_delete(hub_catalog(api_hub(req)), id, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "message", "removed from the catalog; its files were not touched");
	json_key_string(j, "repository_id", id);
	json_object_end(j);
}

static void put_notes(struct json *j, const char *key, const struct repository_notes *n)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n->count; i++) {
		json_object(j);
		json_key(j, "path");
		json_name(j, n->items[i].path, strlen(n->items[i].path));
		json_key_string(j, "reason", n->items[i].reason);
		json_object_end(j);
	}
	json_array_end(j);
}

void api_repository_scan(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	const char *id;
	struct hub_scan scan = {0};
	if (http_param_string(req, "repository_id", &id, &e) < 0 || hub_repository_scan(api_hub(req), id, &scan, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	const struct scan_report *rep = scan.report;
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "repository_id", id);
	json_key_u64(j, "images", rep->image_count);
	json_key_u64(j, "manifests", rep->manifest_count);
	json_key_u64(j, "restore_points", rep->point_count);
	json_key_u64(j, "created", scan.created);
	json_key_u64(j, "updated", scan.updated);
	json_key(j, "found");
	json_array(j);
	for (size_t i = 0; i < rep->point_count; i++) {
		const struct scan_point *p = &rep->points[i];
		json_object(j);
		json_key_string(j, "backup_id", p->backup_id);
		json_key_string(j, "vm_name", p->vm_name);
		json_key_string(j, "backup_type", p->incremental ? "incremental" : "full");
		json_key_text(j, "parent_backup_id", p->parent_backup_id);
		json_key_u64(j, "disks", p->disk_count);
		json_key_time(j, "created_at", p->created_at);
		json_object_end(j);
	}
	json_array_end(j);
	put_notes(j, "orphans", &rep->orphans);
	put_notes(j, "skipped", &rep->skipped);
	json_object_end(j);
	hub_scan_free(&scan);
}
