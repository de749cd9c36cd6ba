#include "catalog_fixture.h"

static void repositories_come_back_as_stored(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct catalog_repository in = {.name = "a \"quoted'; DROP TABLE\n", .type = CATALOG_REPOSITORY_NFS, .location = "/x"};
	struct catalog_repository *made = NULL, *got = NULL;
	assert_ok(catalog_repository_create(f->c, &in, &made, &e), &e);
	assert_int_equal(strncmp(made->id, "repo-", 5), 0);
	assert_string_equal(made->options, "{}");
	assert_ok(catalog_repository_get_by_name(f->c, in.name, &got, &e), &e);
	assert_string_equal(got->id, made->id);
	assert_int_equal(got->type, CATALOG_REPOSITORY_NFS);
	assert_true(got->created_at > 1600000000000000);
	free(made);
	free(got);
	assert_int_equal(catalog_repository_create(f->c, &in, NULL, &e), ERR_EXISTS);
	err_clear(&e);
	in.type = 77;
	assert_int_equal(catalog_repository_create(f->c, &in, NULL, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(catalog_repository_get(f->c, "none", &got, &e), ERR_REPOSITORY_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(catalog_repository_delete(f->c, "none", &e), ERR_REPOSITORY_NOT_FOUND);
}

static void contexts_are_upserted(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	struct catalog_vm vm = {.context_id = "ctx", .vm_name = "renamed", .repository_id = "repo", .source = "{\"a\":1}"};
	struct catalog_vm *got = NULL;
	assert_ok(catalog_vm_upsert(f->c, &vm, &got, &e), &e);
	assert_string_equal(got->vm_name, "renamed");
	assert_string_equal(got->source, "{\"a\":1}");
	assert_int_equal(got->backup_count, 0);
	free(got);
	add_backup(f->c, "b", NULL, 1234, 1);
	assert_ok(catalog_vm_get(f->c, "ctx", &got, &e), &e);
	assert_int_equal(got->backup_count, 1);
	assert_int_equal(got->last_backup_at, 1234);
	free(got);
	struct catalog_repository other = {.id = "other", .name = "o", .type = CATALOG_REPOSITORY_LOCAL, .location = "/o"};
	assert_ok(catalog_repository_create(f->c, &other, NULL, &e), &e);
	vm.repository_id = "other";
	assert_int_equal(catalog_vm_upsert(f->c, &vm, NULL, &e), ERR_CONFLICT);
	err_clear(&e);
	vm.repository_id = "none";
	assert_int_equal(catalog_vm_upsert(f->c, &vm, NULL, &e), ERR_REPOSITORY_NOT_FOUND);
}

static size_t listed(struct catalog *c, struct catalog_backup_filter f, const char *first)
{
	struct err e = ERR_INIT;
	struct catalog_backup_list l = {0};
	assert_ok(catalog_backup_list(c, &f, &l, &e), &e);
	size_t n = l.count;
	if (first)
		assert_string_equal(l.items[0]->id, first);
	catalog_backup_list_free(&l);
	return n;
}

static void backups_are_filtered_newest_first(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	struct catalog_vm second = {.context_id = "ctx2", .vm_name = "vm2", .repository_id = "repo"};
	assert_ok(catalog_vm_upsert(f->c, &second, NULL, &e), &e);
	add_backup(f->c, "b1", NULL, 100, 1);
	add_backup(f->c, "b2", "b1", 200, 1);
	struct catalog_backup other = {.id = "o", .vm_context_id = "ctx2", .repository_id = "repo", .created_at = 150,
	                               .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_PENDING};
	assert_ok(catalog_backup_create(f->c, &other, &e), &e);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){0}, "b2"), 3);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.vm_name = "vm"}, "b2"), 2);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.vm_context_id = "ctx2"}, "o"), 1);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.status = CATALOG_BACKUP_PENDING}, "o"), 1);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.backup_type = CATALOG_BACKUP_FULL}, "o"), 2);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.repository_id = "none"}, NULL), 0);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.limit = 1, .offset = 1}, "o"), 1);
	assert_int_equal(listed(f->c, (struct catalog_backup_filter){.offset = 2}, "b1"), 1);
	struct catalog_backup_list l;
	assert_int_equal(catalog_backup_list(f->c, &(struct catalog_backup_filter){.limit = -1}, &l, &e), ERR_INVALID);
}

static void a_backup_needs_what_it_refers_to(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	struct catalog_backup b = {.id = "b", .vm_context_id = "none", .repository_id = "repo",
	                           .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_PENDING};
	assert_int_equal(catalog_backup_create(f->c, &b, &e), ERR_VM_NOT_FOUND);
	err_clear(&e);
	b.vm_context_id = "ctx";
	b.parent_backup_id = "none";
	assert_int_equal(catalog_backup_create(f->c, &b, &e), ERR_INVALID);
	err_clear(&e);
	b.backup_type = CATALOG_BACKUP_INCREMENTAL;
	assert_int_equal(catalog_backup_create(f->c, &b, &e), ERR_BACKUP_NOT_FOUND);
	err_clear(&e);
	add_backup(f->c, "b", NULL, 1, 1);
	b.parent_backup_id = "b";
	assert_int_equal(catalog_backup_create(f->c, &b, &e), ERR_EXISTS);
}

static void status_stamps_its_times_once(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct catalog_backup *b = NULL;
	add_base(f->c);
	add_backup(f->c, "b", NULL, 1, 1);
	assert_ok(catalog_backup_set_status(f->c, "b", CATALOG_BACKUP_RUNNING, NULL, &e), &e);
	assert_ok(catalog_backup_set_progress(f->c, "b", 10, 5, 3, &e), &e);
	assert_ok(catalog_backup_get(f->c, "b", &b, &e), &e);
	int64_t started = b->started_at;
	assert_true(started > 0 && b->completed_at == 0 && b->bytes_transferred == 5);
	assert_string_equal(b->error_message, "");
	free(b);
	assert_ok(catalog_backup_set_status(f->c, "b", CATALOG_BACKUP_FAILED, "no more tape", &e), &e);
	assert_ok(catalog_backup_get(f->c, "b", &b, &e), &e);
	assert_true(b->started_at == started && b->completed_at >= started);
	assert_string_equal(b->error_message, "no more tape");
	assert_string_equal(b->vm_name, "vm");
	free(b);
	assert_int_equal(catalog_backup_set_status(f->c, "none", CATALOG_BACKUP_FAILED, NULL, &e), ERR_BACKUP_NOT_FOUND);
}

static void disks_belong_to_a_backup(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b", NULL, 1, 2);
	struct catalog_disk_list l = {0};
	assert_ok(catalog_disk_list(f->c, "b", &l, &e), &e);
	assert_int_equal(l.count, 2);
	assert_int_equal(l.items[1]->disk_index, 1);
	assert_int_equal(l.items[0]->size_gb, 6);
	assert_string_equal(l.items[0]->repository_id, "repo");
	catalog_disk_list_free(&l);
	struct catalog_disk *d = NULL;
	assert_int_equal(catalog_disk_get_by_index(f->c, "b", 2, &d, &e), ERR_DISK_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(catalog_disk_get_by_index(f->c, "x", 0, &d, &e), ERR_BACKUP_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(catalog_disk_list(f->c, "x", &l, &e), ERR_BACKUP_NOT_FOUND);
	err_clear(&e);
	struct catalog_disk again = {.backup_id = "b", .qcow2_path = "p", .status = CATALOG_BACKUP_COMPLETED};
	assert_int_equal(catalog_disk_create(f->c, &again, NULL, &e), ERR_EXISTS);
	err_clear(&e);
	again.disk_index = -1;
	assert_int_equal(catalog_disk_create(f->c, &again, NULL, &e), ERR_INVALID);
}

static void a_disk_is_mounted_once(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b", NULL, 1, 2);
	struct catalog_mount m = {.id = "m1", .backup_disk_id = disk_id(f->c, "b", 0), .engine = "native",
	                          .status = CATALOG_MOUNT_MOUNTING, .expires_at = 1000};
	char existing[CATALOG_ID_MAX] = "";
	assert_ok(catalog_mount_create(f->c, &m, existing, &e), &e);
	m.id = "m2";
	assert_int_equal(catalog_mount_create(f->c, &m, existing, &e), ERR_ALREADY_MOUNTED);
	assert_string_equal(existing, "m1");
	err_clear(&e);
	assert_ok(catalog_mount_set_status(f->c, "m1", CATALOG_MOUNT_FAILED, NULL, "worker died", &e), &e);
	assert_ok(catalog_mount_create(f->c, &m, existing, &e), &e);
	struct catalog_mount *got = NULL;
	assert_int_equal(catalog_mount_get(f->c, "m1", &got, &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	assert_ok(catalog_mount_set_status(f->c, "m2", CATALOG_MOUNT_MOUNTED, "ntfs", NULL, &e), &e);
	assert_ok(catalog_mount_touch(f->c, "m2", 70, 80, &e), &e);
	assert_ok(catalog_mount_get(f->c, "m2", &got, &e), &e);
	assert_string_equal(got->filesystem_type, "ntfs");
	assert_string_equal(got->mount_mode, "read-only");
	assert_string_equal(got->backup_id, "b");
	assert_string_equal(got->vm_name, "vm");
	assert_int_equal(got->expires_at, 80);
	free(got);
	struct catalog_mount_list l = {0};
	assert_ok(catalog_mount_list(f->c, &(struct catalog_mount_filter){.expired_at = 79}, &l, &e), &e);
	assert_int_equal(l.count, 0);
	catalog_mount_list_free(&l);
	assert_ok(catalog_mount_list(f->c, &(struct catalog_mount_filter){.expired_at = 80, .active = true}, &l, &e), &e);
	assert_int_equal(l.count, 1);
	catalog_mount_list_free(&l);
	int64_t n = 0;
	assert_ok(catalog_mount_count(f->c, &(struct catalog_mount_filter){.active = true}, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(catalog_mount_delete(f->c, "m2", &e), &e);
	assert_int_equal(catalog_mount_delete(f->c, "m2", &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	m.backup_disk_id = 999;
	assert_int_equal(catalog_mount_create(f->c, &m, existing, &e), ERR_DISK_NOT_FOUND);
}

static void disks_are_mounted_together_once(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b", NULL, 1, 3);
	add_backup(f->c, "other", NULL, 2, 1);
	int64_t ids[] = {disk_id(f->c, "b", 0), disk_id(f->c, "b", 1), disk_id(f->c, "b", 2), disk_id(f->c, "other", 0)};
	struct catalog_mount m = {.id = "m1", .engine = "native", .status = CATALOG_MOUNT_MOUNTING, .expires_at = 9};
	char existing[CATALOG_ID_MAX] = "";
	assert_ok(catalog_mount_create_machine(f->c, &m, ids, 3, existing, &e), &e);
	m.id = "m2";
	assert_int_equal(catalog_mount_create_machine(f->c, &m, ids, 3, existing, &e), ERR_ALREADY_MOUNTED);
	assert_string_equal(existing, "m1");
	err_clear(&e);
	/* Other sets, and its disks alone, are no obstacle, nor is it one to them. */
	assert_ok(catalog_mount_create_machine(f->c, &m, ids, 2, existing, &e), &e);
	struct catalog_mount single = {.id = "s1", .backup_disk_id = ids[0], .engine = "native", .status = CATALOG_MOUNT_MOUNTED};
	assert_ok(catalog_mount_create(f->c, &single, existing, &e), &e);
	m.id = "m3";
	assert_int_equal(catalog_mount_create_machine(f->c, &m, ids, 3, existing, &e), ERR_ALREADY_MOUNTED);
	assert_string_equal(existing, "m1");
	err_clear(&e);
	assert_int_equal(catalog_mount_create_machine(f->c, &m, ids + 1, 3, existing, &e), ERR_INVALID); /* two backups */
	err_clear(&e);
	assert_int_equal(catalog_mount_create_machine(f->c, &m, ids, 1, existing, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(catalog_mount_create_machine(f->c, &m, (int64_t[]){ids[0], 999}, 2, existing, &e), ERR_DISK_NOT_FOUND);
	err_clear(&e);

	struct catalog_mount *got = NULL;
	assert_ok(catalog_mount_get(f->c, "m1", &got, &e), &e);
	assert_int_equal(got->backup_disk_id, ids[0]);
	assert_string_equal(got->backup_id, "b");
	free(got);
	struct catalog_mount_list l = {0};
	assert_ok(catalog_mount_list(f->c, &(struct catalog_mount_filter){.backup_id = "b"}, &l, &e), &e);
	assert_int_equal(l.count, 3);
	catalog_mount_list_free(&l);
	int64_t n = 0;
	assert_ok(catalog_mount_count(f->c, &(struct catalog_mount_filter){.active = true}, &n, &e), &e);
	assert_int_equal(n, 3);

	assert_ok(catalog_mount_set_missing(f->c, "m1", ids[1], "no such file", &e), &e);
	assert_int_equal(catalog_mount_set_missing(f->c, "s1", ids[0], "x", &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	struct catalog_mount_disk_list disks = {0};
	assert_ok(catalog_mount_disks(f->c, "m1", &disks, &e), &e);
	assert_int_equal(disks.count, 3);
	assert_int_equal(disks.items[1]->id, ids[1]);
	assert_int_equal(disks.items[1]->disk_index, 1);
	assert_string_equal(disks.items[1]->missing, "no such file");
	assert_string_equal(disks.items[2]->missing, "");
	catalog_mount_disk_list_free(&disks);
	assert_ok(catalog_mount_disks(f->c, "s1", &disks, &e), &e);
	assert_int_equal(disks.count, 1);
	assert_int_equal(disks.items[0]->id, ids[0]);
	catalog_mount_disk_list_free(&disks);

	/* Over, it makes room for the next. */
	assert_ok(catalog_mount_set_status(f->c, "m1", CATALOG_MOUNT_UNMOUNTED, NULL, NULL, &e), &e);
	assert_ok(catalog_mount_create_machine(f->c, &m, ids, 3, existing, &e), &e);
	assert_int_equal(catalog_mount_get(f->c, "m1", &got, &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	/* A disk that a scan no longer finds takes the mounts it is part of with it. */
	struct catalog_vm vm = {.context_id = "ctx", .vm_name = "vm", .repository_id = "repo"};
	struct catalog_backup backup = {.id = "b", .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED};
	struct catalog_disk *kept[2] = {0};
	struct catalog_disk rows[2];
	for (int i = 0; i < 2; i++) {
		assert_ok(catalog_disk_get(f->c, ids[i], &kept[i], &e), &e);
		rows[i] = *kept[i];
	}
	assert_ok(catalog_register_restore_point(f->c, &vm, &backup, rows, 2, NULL, &e), &e);
	assert_int_equal(catalog_mount_get(f->c, "m3", &got, &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	assert_ok(catalog_mount_get(f->c, "m2", &got, &e), &e);
	free(got);
	free(kept[0]);
	free(kept[1]);
}

static void counters_and_settings_keep_their_values(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int64_t n = -1;
	assert_ok(catalog_counter_get(f->c, CATALOG_COUNTER_MOUNTS, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(catalog_counter_add(f->c, CATALOG_COUNTER_MOUNTS, 2, NULL, &e), &e);
	assert_ok(catalog_counter_add(f->c, CATALOG_COUNTER_MOUNTS, 3, &n, &e), &e);
	assert_int_equal(n, 5);
	char *value = NULL;
	assert_ok(catalog_setting_get(f->c, "k", &value, &e), &e);
	assert_null(value);
	assert_ok(catalog_setting_set(f->c, "k", "one", &e), &e);
	assert_ok(catalog_setting_set(f->c, "k", "two", &e), &e);
	fixture_reopen(f);
	assert_ok(catalog_setting_get(f->c, "k", &value, &e), &e);
	assert_string_equal(value, "two");
	free(value);
	assert_ok(catalog_setting_set(f->c, "k", NULL, &e), &e);
	assert_ok(catalog_setting_get(f->c, "k", &value, &e), &e);
	assert_null(value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(repositories_come_back_as_stored),   TEST(contexts_are_upserted),
		TEST(backups_are_filtered_newest_first),  TEST(a_backup_needs_what_it_refers_to),
		TEST(status_stamps_its_times_once),       TEST(disks_belong_to_a_backup),
		TEST(a_disk_is_mounted_once), TEST(disks_are_mounted_together_once),             TEST(counters_and_settings_keep_their_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
