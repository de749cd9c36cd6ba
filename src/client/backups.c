/* backup list|show|disks|chain, vm list. */
#include "client/commands.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_TEXT_MAX = 64 << 10 };

static void cell_size(struct table *t, int64_t bytes)
{
	char text[SIZE_TEXT_MAX];
	table_cell(t, size_text(text, bytes));
}

static void cell_time(struct table *t, const struct doc *d, const char *key)
{
	char text[TIME_TEXT_MAX];
	table_cell(t, time_text(text, doc_text(d, key)));
}

/* What the backup's disks take in the repository; -1: not said. */
static int64_t stored_bytes(const struct doc *backup)
{
	int64_t sum = -1;
	for (size_t i = 0; i < doc_count(backup, "disks"); i++) {
		int64_t n = doc_number(doc_at(backup, "disks", i), "stored_bytes", -1);
		if (n >= 0 && n <= INT64_MAX - (sum < 0 ? 0 : sum))
			sum = (sum < 0 ? 0 : sum) + n;
	}
	return sum;
}

static const char *const backup_heads[] = {"BACKUP", "VM", "TYPE", "STATUS", ">DISKS", ">STORED", "CREATED", NULL};

static void backup_row(struct table *t, const struct doc *b)
{
	table_cell(t, doc_text(b, "backup_id"));
	table_cell(t, doc_text(b, "vm_name"));
	table_cell(t, doc_text(b, "backup_type"));
	table_cell(t, doc_text(b, "status"));
	table_cellf(t, "%zu", doc_count(b, "disks"));
	cell_size(t, stored_bytes(b));
	cell_time(t, b, "created_at");
}

static int print_backups(const struct doc *d, const struct client_args *a)
{
	(void)a;
	struct table t;
	table_init(&t, backup_heads);
	for (size_t i = 0; i < doc_count(d, "backups"); i++)
		backup_row(&t, doc_at(d, "backups", i));
	table_print(&t, "no backups");
	return CLIENT_OK;
}

int cmd_backup_list(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/backup/list");
	url_query(&path, "vm_name", a->vm);
	url_query(&path, "repository_id", a->repository);
	url_query(&path, "status", a->status);
	url_query(&path, "backup_type", a->type);
	return show_get(c, a, &path, print_backups);
}

static const char *const disk_heads[] = {">DISK", ">SIZE", ">STORED", "STATUS", "IMAGE", NULL};

static void print_disk_table(const struct doc *d)
{
	struct table t;
	table_init(&t, disk_heads);
	for (size_t i = 0; i < doc_count(d, "disks"); i++) {
		const struct doc *disk = doc_at(d, "disks", i);
		table_cellf(&t, "%" PRId64, doc_number(disk, "disk_index", -1));
		cell_size(&t, doc_number(disk, "size_bytes", -1));
		cell_size(&t, doc_number(disk, "stored_bytes", -1));
		table_cell(&t, doc_text(disk, "status"));
		table_cell(&t, doc_text(disk, "qcow2_path"));
	}
	table_print(&t, "no disks");
}

static int print_disks(const struct doc *d, const struct client_args *a)
{
	(void)a;
	print_disk_table(d);
	return CLIENT_OK;
}

static void field(const char *name, const char *value)
{
	if (!value[0])
		return;
	(void)printf("%-13s ", name);
	print_name(stdout, value);
	(void)putchar('\n');
}

static int print_backup(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const times[][2] = {
		{"created", "created_at"}, {"started", "started_at"}, {"completed", "completed_at"}};
	char text[TIME_TEXT_MAX];
	field("backup", doc_text(d, "backup_id"));
	field("vm", doc_text(d, "vm_name"));
	field("vm context", doc_text(d, "vm_context_id"));
	field("repository", doc_text(d, "repository_id"));
	field("type", doc_text(d, "backup_type"));
	field("status", doc_text(d, "status"));
	field("error", doc_text(d, "error_message"));
	field("parent", doc_text(d, "parent_backup_id"));
	field("change id", doc_text(d, "change_id"));
	for (unsigned i = 0; i < 3; i++)
		if (doc_has(d, times[i][1]))
			field(times[i][0], time_text(text, doc_text(d, times[i][1])));
	if (strcmp(doc_text(d, "status"), "running") == 0)
		(void)printf("%-13s %" PRId64 " %%\n", "progress", doc_number(d, "progress_percent", 0));
	(void)putchar('\n');
	print_disk_table(d);
	return CLIENT_OK;
}

int cmd_backup_show(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/backups/%s", a->operands[0]);
	return show_get(c, a, &path, print_backup);
}

int cmd_backup_disks(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/backups/%s/disks", a->operands[0]);
	return show_get(c, a, &path, print_disks);
}

/* --- chains --------------------------------------------------------------------------------------- */

static int print_chain(const struct doc *d, const struct client_args *a)
{
	(void)a;
	struct table t;
	char size[SIZE_TEXT_MAX];
	table_init(&t, backup_heads);
	if (doc_object(d, "full_backup"))
		backup_row(&t, doc_object(d, "full_backup"));
	for (size_t i = 0; i < doc_count(d, "incrementals"); i++)
		backup_row(&t, doc_at(d, "incrementals", i));
	table_print(&t, "no backups");
	(void)printf("disk %" PRId64 ": %" PRId64 " restore point(s), %s in all\n", doc_number(d, "disk_id", 0),
	             doc_number(d, "count", 0), size_text(size, doc_number(d, "total_size_bytes", -1)));
	return CLIENT_OK;
}

static int find_vm_by_name(struct client *c, const char *name, struct buf *id, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	CLEANUP(doc_free_p) struct doc *d = NULL;
	api_path(&path, "/vm-contexts");
	url_query(&path, "vm_name", name);
	int r = client_get(c, buf_str(&path), &d, e);
	if (r < 0)
		return r;
	size_t count = doc_count(d, "vm_contexts");
	if (count == 0)
		return err_set(e, ERR_VM_NOT_FOUND, "client",
		               "there is no VM with the id or name %s; \"sendense vm list\" shows them", name);
	if (count > 1)
		return err_set(e, ERR_INVALID, "client",
		               "%zu VMs have the name %s; \"sendense vm list\" shows their ids", count, name);
	buf_adds(id, doc_text(doc_at(d, "vm_contexts", 0), "vm_context_id"));
	return 0;
}

/* By id, else by a name that only one VM has. */
static int find_vm(struct client *c, const char *text, struct buf *id, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	CLEANUP(doc_free_p) struct doc *d = NULL;
	api_path(&path, "/vm-contexts/%s", text);
	int r = client_get(c, buf_str(&path), &d, e);
	if (r == ERR_VM_NOT_FOUND || r == ERR_NOT_FOUND) {
		err_clear(e);
		return find_vm_by_name(c, text, id, e);
	}
	if (r == 0)
		buf_adds(id, text);
	return r;
}

int cmd_backup_chain(struct client *c, const struct client_args *a)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf id = BUF_INIT(PATH_TEXT_MAX);
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	if (find_vm(c, a->operands[0], &id, &e) < 0)
		return complain_err(&e);
	api_path(&path, "/backup/chain");
	url_query(&path, "vm_context_id", buf_str(&id));
	url_query(&path, "disk_id", a->count > 1 ? a->operands[1] : "0");
	return show_get(c, a, &path, print_chain);
}

/* --- VMs ------------------------------------------------------------------------------------------ */

static int print_vms(const struct doc *d, const struct client_args *a)
{
	(void)a;
	static const char *const heads[] = {"VM", "CONTEXT", "REPOSITORY", ">BACKUPS", "LAST BACKUP", NULL};
	struct table t;
	table_init(&t, heads);
	for (size_t i = 0; i < doc_count(d, "vm_contexts"); i++) {
		const struct doc *vm = doc_at(d, "vm_contexts", i);
		table_cell(&t, doc_text(vm, "vm_name"));
		table_cell(&t, doc_text(vm, "vm_context_id"));
		table_cell(&t, doc_text(vm, "repository_id"));
		table_cellf(&t, "%" PRId64, doc_number(vm, "backup_count", 0));
		cell_time(&t, vm, "last_backup_at");
	}
	table_print(&t, "no VMs");
	return CLIENT_OK;
}

int cmd_vm_list(struct client *c, const struct client_args *a)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	api_path(&path, "/vm-contexts");
	return show_get(c, a, &path, print_vms);
}
