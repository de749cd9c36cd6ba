#include "catalog_fixture.h"

#include "catalog/db.h"

#include <sys/stat.h>
#include <unistd.h>

static int64_t count(struct fixture *f, const char *sql)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(f->c->db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

static void a_new_catalog_is_private_and_sound(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(catalog_check(f->c, &e), &e);
	assert_int_equal(count(f, "PRAGMA foreign_keys"), 1);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
	unsigned version = 0;
	assert_ok(catalog_version(f->c, &version, &e), &e);
	assert_int_equal(version, catalog_version_newest());
}

static void migrations_go_down_to_nothing_and_up_again(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	assert_ok(catalog_migrate(f->c, 0, &e), &e);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM sqlite_master WHERE type IN ('table', 'index') AND name NOT LIKE "
	                          "'sqlite_%' AND tbl_name <> 'schema_migrations'"), 0);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM schema_migrations"), 0);
	assert_ok(catalog_migrate(f->c, catalog_version_newest(), &e), &e);
	add_base(f->c);
	assert_int_equal(catalog_migrate(f->c, catalog_version_newest() + 1, &e), ERR_INVALID);
}

/* A catalog of the first version, with a mount, and back. */
static void mounts_outlive_the_second_migration(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b1", NULL, 1, 2);
	assert_ok(catalog_migrate(f->c, 1, &e), &e);
	assert_int_equal(sqlite3_exec(f->c->db, "INSERT INTO restore_mounts (id, backup_disk_id, engine, mount_mode, status, created_at, "
	                                        "expires_at) SELECT 'm1', id, 'native', 'read-only', 'mounted', 5, 6 FROM backup_disks "
	                                        "WHERE disk_index = 1", NULL, NULL, NULL), SQLITE_OK);
	assert_ok(catalog_migrate(f->c, 2, &e), &e);
	struct catalog_mount *m = NULL;
	assert_ok(catalog_mount_get(f->c, "m1", &m, &e), &e);
	assert_int_equal(m->disk_index, 1);
	assert_int_equal(m->backup_disk_id, disk_id(f->c, "b1", 1));
	assert_int_equal(m->expires_at, 6);
	free(m);
	int64_t both[] = {disk_id(f->c, "b1", 0), disk_id(f->c, "b1", 1)};
	struct catalog_mount whole = {.id = "m2", .engine = "native", .status = CATALOG_MOUNT_MOUNTED};
	assert_ok(catalog_mount_create_machine(f->c, &whole, both, 2, NULL, &e), &e);
	assert_ok(catalog_check(f->c, &e), &e);
	/* The first version has no place for it. */
	assert_ok(catalog_migrate(f->c, 1, &e), &e);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mounts"), 1);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mounts WHERE id = 'm1' AND created_at = 5"), 1);
	assert_ok(catalog_migrate(f->c, catalog_version_newest(), &e), &e);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mounts WHERE id = 'm1' AND expires_at = 6"), 1);
}

static void opening_again_keeps_everything(void **state)
{
	struct fixture *f = *state;
	add_base(f->c);
	fixture_reopen(f);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM vm_backup_contexts"), 1);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM schema_migrations"), catalog_version_newest());
}

static int open_after(struct fixture *f, const char *sql, struct err *e)
{
	assert_int_equal(sqlite3_exec(f->c->db, sql, NULL, NULL, NULL), SQLITE_OK);
	catalog_close(f->c);
	f->c = NULL;
	return catalog_open(f->path, &f->c, e);
}

static void a_newer_catalog_is_refused(void **state)
{
	struct err e = ERR_INIT;
	assert_int_equal(open_after(*state, "INSERT INTO schema_migrations VALUES (9999, 'future', 0, 'x')", &e),
	                 ERR_CATALOG_NEWER);
	assert_non_null(strstr(e.msg, "9999"));
}

static void a_changed_migration_is_refused(void **state)
{
	struct err e = ERR_INIT;
	assert_int_equal(open_after(*state, "UPDATE schema_migrations SET checksum = 'x'", &e), ERR_CATALOG);
}

static void another_programs_database_is_refused(void **state)
{
	struct err e = ERR_INIT;
	assert_int_equal(open_after(*state, "DROP TABLE schema_migrations", &e), ERR_CATALOG);
	assert_non_null(strstr(e.msg, "another program"));
}

static void exec_ok(struct fixture *f, const char *sql)
{
	if (sqlite3_exec(f->c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->c->db));
}

/* repo ─ ctx ─ b1 ─ disk ─ mount, deleted from each level in turn, by SQL alone: the schema must do it. */
static void fill(struct fixture *f)
{
	add_base(f->c);
	add_backup(f->c, "b1", NULL, 1, 2);
	struct err e = ERR_INIT;
	struct catalog_mount m = {.id = "m1", .backup_disk_id = disk_id(f->c, "b1", 0), .engine = "native",
	                          .status = CATALOG_MOUNT_MOUNTED};
	assert_ok(catalog_mount_create(f->c, &m, NULL, &e), &e);
	int64_t both[] = {disk_id(f->c, "b1", 0), disk_id(f->c, "b1", 1)};
	m.id = "m2";
	assert_ok(catalog_mount_create_machine(f->c, &m, both, 2, NULL, &e), &e);
}

static void deletes_cascade(void **state)
{
	struct fixture *f = *state;
	fill(f);
	exec_ok(f, "DELETE FROM backup_disks WHERE disk_index = 0");
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mounts WHERE id = 'm1'"), 0);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mount_disks"), 1);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM backup_disks"), 1);
	exec_ok(f, "DELETE FROM backup_jobs");
	assert_int_equal(count(f, "SELECT COUNT(*) FROM backup_disks"), 0);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mounts"), 0);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM restore_mount_disks"), 0);
	add_backup(f->c, "b2", NULL, 2, 1);
	exec_ok(f, "DELETE FROM vm_backup_contexts");
	assert_int_equal(count(f, "SELECT COUNT(*) FROM backup_jobs"), 0);
	assert_int_equal(count(f, "SELECT COUNT(*) FROM backup_disks"), 0);
}

static void a_repository_in_use_stays(void **state)
{
	struct fixture *f = *state;
	fill(f);
	assert_int_equal(sqlite3_exec(f->c->db, "DELETE FROM repositories", NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
	struct err e = ERR_INIT;
	assert_int_equal(catalog_repository_delete(f->c, "repo", &e), ERR_CONFLICT);
	err_clear(&e);
	assert_ok(catalog_vm_delete(f->c, "ctx", &e), &e);
	assert_ok(catalog_repository_delete(f->c, "repo", &e), &e);
}

static void unique_rules_hold_in_the_schema(void **state)
{
	struct fixture *f = *state;
	fill(f);
	static const char *const broken[] = {
		"INSERT INTO repositories VALUES ('r2', 'main', 'local', '/', '{}', 1)",
		"INSERT INTO repositories VALUES ('r2', 'two', 'ftp', '/', '{}', 1)",
		"INSERT INTO backup_disks SELECT NULL, backup_job_id, disk_index, 0, 0, 0, 0, 'p', NULL, status, NULL, NULL FROM "
		"backup_disks",
		"INSERT INTO restore_mounts SELECT 'm2', backup_disk_id, engine, NULL, NULL, NULL, mount_mode, status, NULL, 1, "
		"NULL, NULL, NULL, NULL FROM restore_mounts",
		"UPDATE restore_mounts SET backup_job_id = 'b1'",
		"UPDATE restore_mounts SET backup_disk_id = NULL",
		"INSERT INTO restore_mount_disks SELECT 'm1', 0, id, NULL FROM backup_disks",
		"INSERT INTO restore_mount_disks SELECT 'none', id, id, NULL FROM backup_disks",
		"UPDATE restore_mounts SET mount_mode = 'read-write'",
		"UPDATE backup_jobs SET status = 'odd'",
		"UPDATE backup_jobs SET vm_backup_context_id = 'none'",
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if ((sqlite3_exec(f->c->db, broken[i], NULL, NULL, NULL) & 0xff) != SQLITE_CONSTRAINT)
			fail_msg("accepted: %s", broken[i]);
}

/* Runs every look-up there is, then asks the database how it would do each statement it was given. */
static void every_look_up_has_its_index(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	fill(f);
	add_backup(f->c, "b2", "b1", 2, 1);
	const char *const names[] = {NULL, "vm"}, *const contexts[] = {NULL, "ctx"}, *const repos[] = {NULL, "repo"};
	for (int i = 0; i < 32; i++) {
		struct catalog_backup_filter bf = {names[i & 1], contexts[i >> 1 & 1], repos[i >> 2 & 1],
		                                   i & 8 ? CATALOG_BACKUP_COMPLETED : 0, i & 16 ? CATALOG_BACKUP_FULL : 0, 0, 0};
		struct catalog_backup_list l = {0};
		int64_t n;
		assert_ok(catalog_backup_list(f->c, &bf, &l, &e), &e);
		assert_ok(catalog_backup_count(f->c, &bf, &n, &e), &e);
		assert_int_equal(l.count, n);
		catalog_backup_list_free(&l);
	}
	struct catalog_mount_filter mfs[] = {{0}, {.backup_id = "b1"}, {.vm_context_id = "ctx"}, {.active = true},
	                                     {.expired_at = 5}, {.status = CATALOG_MOUNT_FAILED}};
	for (size_t i = 0; i < sizeof(mfs) / sizeof(mfs[0]); i++) {
		struct catalog_mount_list l = {0};
		assert_ok(catalog_mount_list(f->c, &mfs[i], &l, &e), &e);
		catalog_mount_list_free(&l);
	}
	struct catalog_mount_disk_list mds = {0};
	assert_ok(catalog_mount_disks(f->c, "m2", &mds, &e), &e);
	assert_int_equal(mds.count, 2);
	assert_ok(catalog_mount_set_missing(f->c, "m2", mds.items[0]->id, "gone", &e), &e);
	catalog_mount_disk_list_free(&mds);
	struct catalog_vm_filter vfs[] = {{0}, {.vm_name = "vm"}, {.repository_id = "repo"}};
	for (size_t i = 0; i < sizeof(vfs) / sizeof(vfs[0]); i++) {
		struct catalog_vm_list l = {0};
		assert_ok(catalog_vm_list(f->c, &vfs[i], &l, &e), &e);
		catalog_vm_list_free(&l);
	}
	struct catalog_chain chain = {0};
	assert_ok(catalog_chain_get(f->c, "ctx", 0, &chain, &e), &e);
	catalog_chain_free(&chain);
	struct catalog_disk *d = NULL;
	assert_ok(catalog_disk_get_by_path(f->c, "repo", "vm/disk-0/b1.qcow2", &d, &e), &e);
	free(d);
	struct catalog_backup_list deps = {0};
	assert_ok(catalog_backup_dependents(f->c, "b1", &deps, &e), &e);
	catalog_backup_list_free(&deps);
	assert_int_equal(catalog_vm_delete(f->c, "none", &e), ERR_VM_NOT_FOUND);
	err_clear(&e);

	unsigned looked = 0;
	for (unsigned i = 0; i < f->c->cached; i++) {
		const char *sql = f->c->cache[i].sql;
		if (strncmp(sql, "PRAGMA", 6) == 0 || strstr(sql, "sqlite_master") || strstr(sql, "schema_migrations"))
			continue;
		char text[5000];
		(void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
		sqlite3_stmt *st = NULL;
		assert_int_equal(sqlite3_prepare_v2(f->c->db, text, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *step = (const char *)sqlite3_column_text(st, 3);
			if (strncmp(step, "SCAN", 4) == 0 && !strstr(step, "INDEX") && !strstr(step, "CONSTANT"))
				fail_msg("%s: %s", step, sql);
		}
		(void)sqlite3_finalize(st);
		looked++;
	}
	assert_true(looked > 60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_catalog_is_private_and_sound),
		TEST(migrations_go_down_to_nothing_and_up_again),
		TEST(mounts_outlive_the_second_migration),
		TEST(opening_again_keeps_everything),
		TEST(a_newer_catalog_is_refused),
		TEST(a_changed_migration_is_refused),
		TEST(another_programs_database_is_refused),
		TEST(deletes_cascade),
		TEST(a_repository_in_use_stays),
		TEST(unique_rules_hold_in_the_schema),
		TEST(every_look_up_has_its_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
