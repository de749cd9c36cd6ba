#include "test.h"

#include "hub_fixture.h"

#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

char fixture_dir[64];
struct hub_config fixture_config;
struct hub *hub;

static char data_dir[96], worker[4096], repository[CATALOG_ID_MAX];

void fixture_shell(const char *command)
{
	char line[8192];
	(void)snprintf(line, sizeof(line), "cd '%s/repo' && export PATH=$PATH:/usr/sbin:/sbin && { %s ; } >'%s/shell.log' 2>&1", fixture_dir,
	               command, fixture_dir);
	if (system(line) != 0)
		fail_msg("%s", command);
}

int fixture_make(void **state)
{
	(void)state;
	(void)snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/sendense-hub.XXXXXX");
	if (!mkdtemp(fixture_dir))
		return -1;
	(void)snprintf(data_dir, sizeof(data_dir), "%s/data", fixture_dir);
	(void)snprintf(worker, sizeof(worker), "%s/src/cmd/sendense-worker", getenv("SENDENSE_BUILD"));
	char line[256];
	(void)snprintf(line, sizeof(line), "mkdir '%s/repo'", fixture_dir);
	if (system(line) != 0)
		return -1;
	fixture_shell("mkdir -p t/etc t/usr t/data && head -c 3000000 /dev/urandom >t/data/random && echo one >t/etc/hostname && "
	              "mke2fs -q -t ext4 -d t full.raw 24M && qemu-img convert -O qcow2 full.raw full.qcow2 && rm full.raw && "
	              "qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 inc1.qcow2 && "
	              "qemu-img create -q -f qcow2 -b inc1.qcow2 -F qcow2 inc2.qcow2");
	return 0;
}

int fixture_remove(void **state)
{
	(void)state;
	char line[128];
	(void)snprintf(line, sizeof(line), "rm -rf '%s'", fixture_dir);
	return system(line);
}

void fixture_point(const char *id, const char *parent, const char *path)
{
	struct err e = ERR_INIT;
	struct catalog_vm vm = {.vm_name = "vm", .repository_id = repository};
	struct catalog_disk disk = {.backup_id = id, .size_bytes = 24 << 20, .qcow2_path = path,
	                            .status = CATALOG_BACKUP_COMPLETED, .parent_backup_id = parent};
	struct catalog_backup b = {.id = id, .backup_type = parent ? CATALOG_BACKUP_INCREMENTAL : CATALOG_BACKUP_FULL,
	                           .status = CATALOG_BACKUP_COMPLETED, .parent_backup_id = parent};
	assert_ok(catalog_register_restore_point(hub_catalog(hub), &vm, &b, &disk, 1, NULL, &e), &e);
}

static void open_hub(void)
{
	struct err e = ERR_INIT;
	fixture_config.data_dir = data_dir;
	fixture_config.worker_path = worker;
	fixture_config.no_sandbox = SANITIZED;
	assert_ok(hub_open(&fixture_config, &hub, &e), &e);
}

int fixture_open(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char line[256];
	(void)snprintf(line, sizeof(line), "rm -rf '%s' && mkdir '%s'", data_dir, data_dir);
	if (system(line) != 0)
		return -1;
	open_hub();
	char location[96];
	(void)snprintf(location, sizeof(location), "%s/repo", fixture_dir);
	struct catalog_repository in = {.name = "repo", .type = CATALOG_REPOSITORY_LOCAL, .location = location, .options = "{}"};
	struct catalog_repository *row;
	assert_ok(hub_repository_create(hub, &in, &row, &e), &e);
	(void)snprintf(repository, sizeof(repository), "%s", row->id);
	free(row);
	fixture_point("full", NULL, "full.qcow2");
	fixture_point("inc1", "full", "inc1.qcow2");
	fixture_point("inc2", "inc1", "inc2.qcow2");
	return 0;
}

int fixture_close(void **state)
{
	(void)state;
	hub_close(hub);
	hub = NULL;
	fixture_config = (struct hub_config){0};
	return 0;
}

void fixture_restart(void)
{
	hub_close(hub);
	open_hub();
}

void fixture_mount(const char *backup, char *id)
{
	struct err e = ERR_INIT;
	struct hub_mount *m = NULL;
	bool reused;
	char existing[CATALOG_ID_MAX];
	assert_ok(hub_mount(hub, &(struct hub_mount_request){.backup_id = backup}, &m, &reused, existing, &e), &e);
	assert_false(reused);
	(void)snprintf(id, CATALOG_ID_MAX, "%s", m->row->id);
	hub_mount_free(m);
}

int64_t fixture_count(const char *mount_id, const char *path, struct err *e)
{
	CLEANUP(hub_use_release_p) struct hub_use *u = NULL;
	int r = hub_use(hub, mount_id, &u, e);
	if (r < 0)
		return r;
	struct stream *st;
	CLEANUP(entry_reader_close_p) struct entry_reader *reader = NULL;
	struct wire_list_head head;
	r = session_list(u->session, (struct session_path){.path = path, .len = strlen(path)}, &(struct session_list_options){0}, &st, e);
	if (r == 0)
		r = entry_reader_open(st, &reader, e);
	if (r == 0)
		r = entry_reader_head(reader, &head, e);
	return r < 0 ? r : (int64_t)head.total;
}

unsigned fixture_workers(void)
{
	struct err e = ERR_INIT;
	struct hub_resources res;
	assert_ok(hub_resources(hub, &res, &e), &e);
	return res.workers;
}
