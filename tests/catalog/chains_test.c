#include "catalog_fixture.h"

static void expect_chain(const struct catalog_chain *chain, size_t count, const char *const ids[])
{
	assert_int_equal(chain->backups.count, count);
	assert_int_equal(chain->disks.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(chain->backups.items[i]->id, ids[i]);
		assert_string_equal(chain->disks.items[i]->backup_id, ids[i]);
	}
}

static void the_newest_full_has_the_chain(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "f1", NULL, 10, 1);
	add_backup(f->c, "i1", "f1", 20, 1);
	add_backup(f->c, "f2", NULL, 30, 2);
	add_backup(f->c, "i3", "f2", 40, 2);
	add_backup(f->c, "i2", "i1", 50, 1);
	add_backup(f->c, "i4", "i3", 60, 2);
	struct catalog_chain chain = {0};
	assert_ok(catalog_chain_get(f->c, "ctx", 0, &chain, &e), &e);
	expect_chain(&chain, 3, (const char *const[]){"f2", "i3", "i4"});
	assert_int_equal(chain.stored_bytes, 3000);
	catalog_chain_free(&chain);
	struct catalog_chain_list l = {0};
	assert_ok(catalog_chain_get_all(f->c, "ctx", 0, &l, &e), &e);
	assert_int_equal(l.count, 2);
	expect_chain(&l.items[1], 3, (const char *const[]){"f1", "i1", "i2"});
	catalog_chain_list_free(&l);
	assert_ok(catalog_chain_get_all(f->c, "ctx", 1, &l, &e), &e);
	assert_int_equal(l.count, 1);
	catalog_chain_list_free(&l);
	assert_int_equal(catalog_chain_get(f->c, "ctx", 7, &chain, &e), ERR_DISK_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(catalog_chain_get(f->c, "none", 0, &chain, &e), ERR_VM_NOT_FOUND);
}

static void ancestors_run_from_new_to_old(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b0", NULL, 1, 1);
	char id[16], parent[16] = "b0";
	for (int i = 1; i < 300; i++) {
		(void)snprintf(id, sizeof(id), "b%d", i);
		add_backup(f->c, id, parent, 1 + i, 1);
		memcpy(parent, id, sizeof(parent));
	}
	struct catalog_layer_list l = {0};
	assert_ok(catalog_disk_layers(f->c, disk_id(f->c, "b299", 0), &l, &e), &e);
	assert_int_equal(l.count, 300);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(id, sizeof(id), "b%d", 299 - i);
		assert_string_equal(l.items[i]->backup_id, id);
		assert_string_equal(l.items[i]->repository_id, "repo");
		if (i > 0)
			assert_string_equal(l.items[i - 1]->parent_backup_id, id);
	}
	assert_string_equal(l.items[299]->parent_backup_id, "");
	catalog_layer_list_free(&l);
	struct catalog_chain chain = {0};
	assert_ok(catalog_chain_get(f->c, "ctx", 0, &chain, &e), &e);
	assert_int_equal(chain.backups.count, 300);
	assert_string_equal(chain.backups.items[299]->id, "b299");
	catalog_chain_free(&chain);
}

static void what_others_need_is_not_deleted(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "f", NULL, 1, 1);
	add_backup(f->c, "i", "f", 2, 1);
	struct catalog_backup_list l = {0};
	assert_ok(catalog_backup_dependents(f->c, "f", &l, &e), &e);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.items[0]->id, "i");
	catalog_backup_list_free(&l);
	assert_int_equal(catalog_backup_delete(f->c, "f", &e), ERR_HAS_DEPENDENTS);
	err_clear(&e);
	assert_ok(catalog_backup_delete(f->c, "i", &e), &e);
	assert_ok(catalog_backup_delete(f->c, "f", &e), &e);
	assert_int_equal(catalog_backup_delete(f->c, "f", &e), ERR_BACKUP_NOT_FOUND);
}

/* Two VMs whose disks stand on one base image, which is a backup of a third. */
static void a_shared_base_heads_both_chains(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "base", NULL, 1, 1);
	for (int i = 1; i <= 2; i++) {
		char name[16], path[32];
		(void)snprintf(name, sizeof(name), "clone%d", i);
		(void)snprintf(path, sizeof(path), "%s.qcow2", name);
		struct catalog_vm vm = {.vm_name = name, .repository_id = "repo"};
		struct catalog_backup b = {.id = name, .backup_type = CATALOG_BACKUP_INCREMENTAL, .created_at = 5,
		                           .status = CATALOG_BACKUP_COMPLETED, .parent_backup_id = "base"};
		struct catalog_disk d = {.disk_index = 3, .qcow2_path = path, .status = CATALOG_BACKUP_COMPLETED,
		                         .parent_backup_id = "base", .parent_disk_index = 0};
		assert_ok(catalog_register_restore_point(f->c, &vm, &b, &d, 1, NULL, &e), &e);
	}
	struct catalog_backup *b = NULL;
	assert_ok(catalog_backup_get(f->c, "clone2", &b, &e), &e);
	struct catalog_chain chain = {0};
	assert_ok(catalog_chain_get(f->c, b->vm_context_id, 3, &chain, &e), &e);
	expect_chain(&chain, 2, (const char *const[]){"base", "clone2"});
	catalog_chain_free(&chain);
	free(b);
	assert_int_equal(catalog_vm_delete(f->c, "ctx", &e), ERR_HAS_DEPENDENTS);
}

static void registering_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	struct catalog_vm vm = {.vm_name = "found", .repository_id = "repo"};
	struct catalog_backup b = {.id = "p", .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED,
	                           .created_at = 7};
	struct catalog_disk d[2] = {
		{.disk_index = 0, .qcow2_path = "a", .status = CATALOG_BACKUP_COMPLETED},
		{.disk_index = 1, .qcow2_path = "b", .status = CATALOG_BACKUP_COMPLETED},
	};
	bool created = false;
	assert_ok(catalog_register_restore_point(f->c, &vm, &b, d, 2, &created, &e), &e);
	assert_true(created);
	int64_t id = disk_id(f->c, "p", 1);
	assert_ok(catalog_register_restore_point(f->c, &vm, &b, d, 2, &created, &e), &e);
	assert_false(created);
	assert_int_equal(disk_id(f->c, "p", 1), id);
	int64_t n = 0;
	assert_ok(catalog_vm_count(f->c, &(struct catalog_vm_filter){0}, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_ok(catalog_register_restore_point(f->c, &vm, &b, &d[1], 1, &created, &e), &e);
	struct catalog_disk_list l = {0};
	assert_ok(catalog_disk_list(f->c, "p", &l, &e), &e);
	assert_int_equal(l.count, 1);
	catalog_disk_list_free(&l);
}

static void another_repositorys_backup_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "p", NULL, 1, 1);
	struct catalog_repository other = {.id = "other", .name = "o", .type = CATALOG_REPOSITORY_LOCAL, .location = "/o"};
	assert_ok(catalog_repository_create(f->c, &other, NULL, &e), &e);
	struct catalog_vm vm = {.vm_name = "found", .repository_id = "other"};
	struct catalog_backup b = {.id = "p", .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED};
	assert_int_equal(catalog_register_restore_point(f->c, &vm, &b, NULL, 0, NULL, &e), ERR_EXISTS);
	err_clear(&e);
	int64_t n = -1;
	assert_ok(catalog_vm_count(f->c, &(struct catalog_vm_filter){.repository_id = "other"}, &n, &e), &e);
	assert_int_equal(n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_full_has_the_chain),     TEST(ancestors_run_from_new_to_old),
		TEST(what_others_need_is_not_deleted),   TEST(a_shared_base_heads_both_chains),
		TEST(registering_again_changes_nothing), TEST(another_repositorys_backup_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
