/* repo add|list|scan|remove. */
#include "client/commands.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_TEXT_MAX = 64 << 10, BODY_MAX = 64 << 10, ID_MAX = 256 };

static int print_repositories(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const heads[] = {"NAME", "TYPE", "ID", "LOCATION", NULL};
	struct table t;
	table_init(&t, heads);
	for (size_t i = 0; i < doc_count(d, "repositories"); i++) {
		const struct doc *r = doc_at(d, "repositories", i);
		table_cell(&t, doc_text(r, "name"));
		table_cell(&t, doc_text(r, "type"));
		table_cell(&t, doc_text(r, "id"));
		table_cell(&t, doc_text(r, "location"));
	}
	table_print(&t, "no repositories; \"sendense repo add NAME LOCATION --scan\" makes one known");
	return CLIENT_OK;
}

int cmd_repo_list(struct client *c, const struct client_args *a)
{
	struct call call = {.method = "GET", .path = "/api/v1/repositories"};
	return show(c, a, &call, print_repositories);
}

/* By id, else by name. */
static int find_repository(struct client *c, const char *text, char ret[ID_MAX], struct err *e)
{
	CLEANUP(doc_free_p) struct doc *d = NULL;
	const char *found = NULL;
	int r = client_get(c, "/api/v1/repositories", &d, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < doc_count(d, "repositories"); i++) {
		const struct doc *one = doc_at(d, "repositories", i);
		if (strcmp(doc_text(one, "id"), text) == 0 || (!found && strcmp(doc_text(one, "name"), text) == 0))
			found = doc_text(one, "id");
	}
	if (!found || !found[0] || strlen(found) >= ID_MAX)
		return err_set(e, ERR_REPOSITORY_NOT_FOUND, "client",
		               "there is no repository with the name or id %s; \"sendense repo list\" shows them",
		               text);
	(void)snprintf(ret, ID_MAX, "%s", found);
	return 0;
}

/* --- scan ----------------------------------------------------------------------------------------- */

static void print_notes(const struct doc *d, const char *key, const char *what)
{
	for (size_t i = 0; i < doc_count(d, key); i++) {
		const struct doc *n = doc_at(d, key, i);
		complain("%s: %s: %s", what, doc_text(n, "path"), doc_text(n, "reason"));
	}
}

static int print_scan(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const heads[] = {"BACKUP", "VM", "TYPE", ">DISKS", "CREATED", NULL};
	struct table t;
	char text[TIME_TEXT_MAX];
	table_init(&t, heads);
	for (size_t i = 0; i < doc_count(d, "found"); i++) {
		const struct doc *p = doc_at(d, "found", i);
		table_cell(&t, doc_text(p, "backup_id"));
		table_cell(&t, doc_text(p, "vm_name"));
		table_cell(&t, doc_text(p, "backup_type"));
		table_cellf(&t, "%" PRId64, doc_number(p, "disks", 0));
		table_cell(&t, time_text(text, doc_text(p, "created_at")));
	}
	table_print(&t, "no restore points");
	(void)printf("%" PRId64 " images, %" PRId64 " restore points: %" PRId64 " new, %" PRId64 " known before\n",
	             doc_number(d, "images", 0), doc_number(d, "restore_points", 0), doc_number(d, "created", 0),
	             doc_number(d, "updated", 0));
	print_notes(d, "orphans", "orphan");
	print_notes(d, "skipped", "skipped");
	return CLIENT_OK;
}

static int scan(struct client *c, const struct client_args *a, const char *id)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/repositories/%s/scan", id);
	struct call call = {.method = "POST", .path = buf_str(&path), .body = "{}"};
	return show(c, a, &call, print_scan);
}

int cmd_repo_scan(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	char id[ID_MAX];
	if (find_repository(c, a->operands[0], id, &e) < 0)
		return complain_err(&e);
	return scan(c, a, id);
}

/* --- add, remove ---------------------------------------------------------------------------------- */

static int print_added(const struct doc *d, const struct client_args *a)
{
	(void)a;
	(void)fputs("added ", stdout);
	print_name(stdout, doc_text(d, "name"));
	(void)fputs(", id ", stdout);
	print_name(stdout, doc_text(d, "id"));
	(void)putchar('\n');
	return CLIENT_OK;
}

static void add_body(struct buf *to, const struct client_args *a)
{
	struct json j = json_init(to);
	json_object(&j);
	json_key_string(&j, "name", a->operands[0]);
	json_key_string(&j, "location", a->operands[1]);
	if (a->type)
		json_key_string(&j, "type", a->type);
	json_object_end(&j);
}

int cmd_repo_add(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	CLEANUP(doc_free_p) struct doc *made = NULL;
	CLEANUP(doc_free_p) struct doc *details = NULL;
	add_body(&body, a);
	struct call call = {.method = "POST", .path = "/api/v1/repositories", .body = buf_str(&body)};
	if (!a->scan)
		return show(c, a, &call, print_added);
	if (client_call(c, &call, &made, NULL, &details, &e) < 0)
		return complain_call(&e, details);
	if (!a->json)
		(void)print_added(made, a);
	return scan(c, a, doc_text(made, "id"));
}

static int print_removed(const struct doc *d, const struct client_args *a)
{
	(void)d;
	(void)printf("removed %s from the catalog; its files were not touched\n", a->operands[0]);
	return CLIENT_OK;
}

int cmd_repo_remove(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	char id[ID_MAX];
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	if (find_repository(c, a->operands[0], id, &e) < 0)
		return complain_err(&e);
	api_path(&path, "/repositories/%s", id);
	url_query(&path, "backups", a->forget ? "forget" : NULL);
	struct call call = {.method = "DELETE", .path = buf_str(&path)};
	return show(c, a, &call, print_removed);
}
