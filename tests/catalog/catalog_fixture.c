#include "catalog_fixture.h"

#include <dirent.h>
#include <unistd.h>

void fixture_reopen(struct fixture *f)
{
	struct err e = ERR_INIT;
	catalog_close(f->c);
	f->c = NULL;
	assert_ok(catalog_open(f->path, &f->c, &e), &e);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/sendense-catalog-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/catalog.db", f->dir);
	fixture_reopen(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	catalog_close(f->c);
	DIR *d = opendir(f->dir);
	for (struct dirent *entry; d && (entry = readdir(d));)
		(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

void add_base(struct catalog *c)
{
	struct err e = ERR_INIT;
	struct catalog_repository repo = {.id = "repo", .name = "main", .type = CATALOG_REPOSITORY_LOCAL, .location = "/srv/b"};
	struct catalog_vm vm = {.context_id = "ctx", .vm_name = "vm", .repository_id = "repo"};
	assert_ok(catalog_repository_create(c, &repo, NULL, &e), &e);
	assert_ok(catalog_vm_upsert(c, &vm, NULL, &e), &e);
}

void add_backup(struct catalog *c, const char *id, const char *parent, int64_t at, int disks)
{
	struct err e = ERR_INIT;
	struct catalog_backup b = {
		.id = id, .vm_context_id = "ctx", .repository_id = "repo", .parent_backup_id = parent, .created_at = at,
		.backup_type = parent ? CATALOG_BACKUP_INCREMENTAL : CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED,
	};
	assert_ok(catalog_backup_create(c, &b, &e), &e);
	for (int i = 0; i < disks; i++) {
		char path[300];
		(void)snprintf(path, sizeof(path), "vm/disk-%d/%s.qcow2", i, id);
		struct catalog_disk d = {
			.backup_id = id, .disk_index = i, .qcow2_path = path, .size_bytes = (5LL << 30) + 1, .stored_bytes = 1000,
			.status = CATALOG_BACKUP_COMPLETED, .parent_backup_id = parent, .parent_disk_index = parent ? i : 0,
		};
		assert_ok(catalog_disk_create(c, &d, NULL, &e), &e);
	}
}

int64_t disk_id(struct catalog *c, const char *backup_id, int64_t index)
{
	struct err e = ERR_INIT;
	struct catalog_disk *d = NULL;
	assert_ok(catalog_disk_get_by_index(c, backup_id, index, &d, &e), &e);
	int64_t id = d->id;
	free(d);
	return id;
}
