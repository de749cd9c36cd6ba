/* A full disk, a damaged file, a killed writer, many threads. */
#include "catalog_fixture.h"

#include "catalog/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Adds backups until it fails; how many went in. */
static int fill_up(struct catalog *c, struct err *e)
{
	for (int i = 0; i < 100000; i++) {
		char id[64];
		(void)snprintf(id, sizeof(id), "backup-%d", i);
		struct catalog_vm vm = {.context_id = "ctx", .vm_name = "vm", .repository_id = "repo"};
		struct catalog_backup b = {.id = id, .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED};
		struct catalog_disk d = {.qcow2_path = id, .status = CATALOG_BACKUP_COMPLETED};
		if (catalog_register_restore_point(c, &vm, &b, &d, 1, NULL, e) < 0)
			return i;
	}
	return -1;
}

static void check_whole(struct catalog *c, int64_t want)
{
	struct err e = ERR_INIT;
	int64_t backups = 0;
	assert_ok(catalog_check(c, &e), &e);
	assert_ok(catalog_backup_count(c, &(struct catalog_backup_filter){0}, &backups, &e), &e);
	if (want >= 0)
		assert_int_equal(backups, want);
	struct catalog_backup_list l = {0};
	assert_ok(catalog_backup_list(c, &(struct catalog_backup_filter){0}, &l, &e), &e);
	for (size_t i = 0; i < l.count; i++)
		(void)disk_id(c, l.items[i]->id, 0);
	catalog_backup_list_free(&l);
}

static void a_database_at_its_limit_says_so(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	assert_int_equal(sqlite3_exec(f->c->db, "PRAGMA max_page_count = 80", NULL, NULL, NULL), SQLITE_OK);
	int n = fill_up(f->c, &e);
	assert_int_equal(e.code, ERR_CATALOG_FULL);
	assert_non_null(strstr(e.msg, "no space left for the catalog"));
	check_whole(f->c, n);
	fixture_reopen(f);
	check_whole(f->c, n);
}

static void a_full_disk_says_so(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char dir[80], path[96];
	(void)snprintf(dir, sizeof(dir), "%s-full", f->dir);
	(void)snprintf(path, sizeof(path), "%s/catalog.db", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0) {
		(void)rmdir(dir);
		print_message("# SKIP: a small tmpfs cannot be mounted here\n");
		skip();
	}
	struct catalog *c = NULL;
	int opened = catalog_open(path, &c, &e);
	int n = -1, code = 0;
	if (opened >= 0) {
		add_base(c);
		n = fill_up(c, &e);
		code = e.code;
		catalog_close(c);
	}
	/* Room again: nothing is half there. */
	(void)mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=8m");
	struct err again = ERR_INIT;
	int reopened = catalog_open(path, &c, &again);
	if (reopened >= 0)
		check_whole(c, n);
	catalog_close(reopened >= 0 ? c : NULL);
	(void)umount2(dir, MNT_DETACH);
	(void)rmdir(dir);
	assert_ok(opened, &e);
	assert_int_equal(code, ERR_CATALOG_FULL);
	assert_ok(reopened, &again);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/other", f->dir);
	FILE *file = fopen(path, "w");
	for (int i = 0; i < 2000; i++)
		(void)fprintf(file, "not a database ");
	(void)fclose(file);
	struct catalog *c = NULL;
	assert_int_equal(catalog_open(path, &c, &e), ERR_CATALOG);
	assert_non_null(strstr(e.msg, "damaged"));
	err_clear(&e);
	assert_int_equal(catalog_open("/nonexistent/folder/x", &c, &e), ERR_CATALOG);
}

static void damage_is_found_by_the_check(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	add_backup(f->c, "b", NULL, 1, 1);
	assert_int_equal(sqlite3_exec(f->c->db, "PRAGMA foreign_keys = OFF; DELETE FROM backup_jobs", NULL, NULL, NULL),
	                 SQLITE_OK);
	assert_int_equal(catalog_check(f->c, &e), ERR_CATALOG);
	assert_non_null(strstr(e.msg, "backup_disks"));
}

static void a_killed_writer_leaves_a_whole_catalog(void **state)
{
	struct fixture *f = *state;
	add_base(f->c);
	for (int round = 0; round < 5; round++) {
		catalog_close(f->c);
		f->c = NULL;
		int ready[2];
		assert_int_equal(pipe(ready), 0);
		pid_t pid = fork();
		if (pid == 0) {
			struct err e = ERR_INIT;
			struct catalog *c = NULL;
			if (catalog_open(f->path, &c, &e) < 0)
				_exit(1);
			for (int i = 0;; i++) {
				char id[64];
				(void)snprintf(id, sizeof(id), "r%d-%d", round, i);
				struct catalog_vm vm = {.context_id = "ctx", .vm_name = "vm", .repository_id = "repo"};
				struct catalog_backup b = {.id = id, .backup_type = CATALOG_BACKUP_FULL,
				                           .status = CATALOG_BACKUP_COMPLETED};
				struct catalog_disk d = {.qcow2_path = id, .status = CATALOG_BACKUP_COMPLETED};
				if (catalog_register_restore_point(c, &vm, &b, &d, 1, NULL, &e) < 0)
					_exit(1);
				if (i == 200 + 37 * round && write(ready[1], "x", 1) != 1)
					_exit(1);
			}
		}
		(void)close(ready[1]);
		char byte;
		assert_int_equal(read(ready[0], &byte, 1), 1);
		(void)close(ready[0]);
		(void)kill(pid, SIGKILL);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		fixture_reopen(f);
		check_whole(f->c, -1);
	}
}

struct hammer {
	struct catalog *c;
	int number;
	int failures;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	for (int i = 0; i < 150; i++) {
		struct err e = ERR_INIT;
		char id[64];
		(void)snprintf(id, sizeof(id), "t%d-%d", h->number, i);
		struct catalog_vm vm = {.context_id = "ctx", .vm_name = "vm", .repository_id = "repo"};
		struct catalog_backup b = {.id = id, .backup_type = CATALOG_BACKUP_FULL, .status = CATALOG_BACKUP_COMPLETED};
		struct catalog_disk d = {.qcow2_path = id, .status = CATALOG_BACKUP_COMPLETED};
		h->failures += catalog_register_restore_point(h->c, &vm, &b, &d, 1, NULL, &e) < 0;
		err_clear(&e);
		struct catalog_backup_list l = {0};
		struct catalog_backup_filter f = {.status = CATALOG_BACKUP_COMPLETED, .limit = 5};
		h->failures += catalog_backup_list(h->c, &f, &l, &e) < 0 || l.count == 0;
		catalog_backup_list_free(&l);
		err_clear(&e);
		h->failures += catalog_counter_add(h->c, "hits", 1, NULL, &e) < 0;
		err_clear(&e);
		if (i % 3 == 0)
			h->failures += catalog_backup_delete(h->c, id, &e) < 0;
	}
	return NULL;
}

static void threads_share_one_catalog(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	add_base(f->c);
	enum { THREADS = 6 };
	pthread_t threads[THREADS];
	struct hammer h[THREADS];
	for (int i = 0; i < THREADS; i++) {
		h[i] = (struct hammer){f->c, i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &h[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(h[i].failures, 0);
	}
	int64_t hits = 0;
	assert_ok(catalog_counter_get(f->c, "hits", &hits, &e), &e);
	assert_int_equal(hits, THREADS * 150);
	check_whole(f->c, THREADS * 100);
}

/* Another program's write lock: the wait is cut short here, the message is what counts. */
static void a_locked_catalog_says_so(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	sqlite3 *other = NULL;
	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_busy_timeout(f->c->db, 1);
	assert_int_equal(catalog_counter_add(f->c, "x", 1, NULL, &e), ERR_CATALOG);
	assert_non_null(strstr(e.msg, "locked by another program"));
	(void)sqlite3_close(other);
	err_clear(&e);
	assert_ok(catalog_counter_add(f->c, "x", 1, NULL, &e), &e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_database_at_its_limit_says_so),
		TEST(a_full_disk_says_so),
		TEST(a_file_that_is_no_database_is_refused),
		TEST(damage_is_found_by_the_check),
		TEST(a_killed_writer_leaves_a_whole_catalog),
		TEST(threads_share_one_catalog),
		TEST(a_locked_catalog_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
