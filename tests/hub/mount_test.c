/* Mounts: slots, reuse, expiry, workers that die, and what cannot be opened. */
#include "test.h"

#include "hub_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

static int try_mount(const char *backup, int64_t disk, bool reuse, char *id, bool *reused, char *existing, struct err *e)
{
	struct hub_mount *m = NULL;
	struct hub_mount_request req = {.backup_id = backup, .disk_index = disk, .reuse = reuse};
	int r = hub_mount(hub, &req, &m, reused, existing, e);
	if (r == 0)
		(void)snprintf(id, CATALOG_ID_MAX, "%s", m->row->id);
	hub_mount_free(m);
	return r;
}

static char id[CATALOG_ID_MAX], id2[CATALOG_ID_MAX], existing[CATALOG_ID_MAX];
static bool reused;

static void expect_mount(const char *backup, int code, const char *says)
{
	struct err e = ERR_INIT;
	int r = try_mount(backup, 0, false, id, &reused, existing, &e);
	if (r != code || !strstr(e.msg, says))
		fail_msg("%s: %s: %s", backup, err_code_name(e.code), e.msg);
	/* No path of this machine. */
	assert_null(strstr(e.msg, fixture_dir));
}

static void test_mount(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct hub_mount *m;
	fixture_mount("inc2", id);
	assert_int_equal(fixture_count(id, "/", &e), 4); /* data etc usr lost+found */
	assert_ok(hub_mount_get(hub, id, &m, &e), &e);
	assert_int_equal(m->volume_count, 1);
	assert_int_equal(m->default_volume, 1);
	assert_string_equal(m->row->filesystem_type, "ext4");
	hub_mount_free(m);
	assert_int_equal(try_mount("inc2", 0, false, id2, &reused, existing, &e), ERR_ALREADY_MOUNTED);
	assert_string_equal(existing, id);
	err_clear(&e);
	assert_ok(try_mount("inc2", 0, true, id2, &reused, existing, &e), &e);
	assert_true(reused);
	assert_string_equal(id2, id);
	assert_int_equal(fixture_workers(), 1);
	assert_ok(hub_unmount(hub, id, &e), &e);
	assert_int_equal(fixture_workers(), 0);
	assert_int_equal(hub_unmount(hub, id, &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(fixture_count(id, "/", &e), ERR_MOUNT_NOT_FOUND);
}

static void test_unknown(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	expect_mount("nope", ERR_BACKUP_NOT_FOUND, "");
	assert_int_equal(try_mount("full", 7, false, id, &reused, existing, &e), ERR_DISK_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(fixture_count("../x", "/", &e), ERR_MOUNT_NOT_FOUND);
}

static void test_no_slot(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("full", id);
	fixture_mount("inc1", id2);
	char third[CATALOG_ID_MAX];
	assert_int_equal(try_mount("inc2", 0, false, third, &reused, existing, &e), ERR_NO_SLOT);
	err_clear(&e);
	/* What is mounted is still said to be, and can be had. */
	assert_int_equal(try_mount("full", 0, false, third, &reused, existing, &e), ERR_ALREADY_MOUNTED);
	assert_string_equal(existing, id);
	err_clear(&e);
	assert_ok(try_mount("full", 0, true, third, &reused, existing, &e), &e);
	assert_ok(hub_unmount(hub, id, &e), &e);
	fixture_mount("inc2", third);
}

static void test_bad_images(void **state)
{
	(void)state;
	fixture_shell("qemu-img create -q -f qcow2 -u -b gone.qcow2 -F qcow2 orphan.qcow2 24M; "
	              "head -c 100000 full.qcow2 >short.qcow2; echo 'no image at all, but some text' >text.qcow2; "
	              "qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw outside.qcow2 24M; "
	              "qemu-img create -q -f qcow2 -u -b ../../../etc/passwd -F raw climbs.qcow2 24M; "
	              "qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 wrong.qcow2; ln -sf /etc/passwd link.qcow2; "
	              "qemu-img create -q -f qcow2 alone.qcow2 24M; ln -sf /etc etc; : >empty.qcow2; mkdir -p folder.qcow2");
	static const struct {
		const char *path, *parent, *says;
		int code;
	} bad[] = {
		{"orphan.qcow2", NULL, "gone.qcow2", ERR_IMAGE_LAYER_MISSING},
		{"never-there.qcow2", NULL, "never-there.qcow2", ERR_IMAGE_LAYER_MISSING},
		{"short.qcow2", NULL, "short.qcow2", ERR_IMAGE_UNREADABLE},
		{"outside.qcow2", "full", "outside.qcow2", ERR_IMAGE_BACKING_REFUSED},
		{"climbs.qcow2", "full", "climbs.qcow2", ERR_IMAGE_BACKING_REFUSED},
		{"wrong.qcow2", "inc1", "wrong.qcow2", ERR_IMAGE_CORRUPT},
		{"alone.qcow2", "full", "alone.qcow2", ERR_IMAGE_CORRUPT},
		{"link.qcow2", NULL, "", 0},
		{"etc/passwd", NULL, "", 0},
		{"folder.qcow2", NULL, "", 0},
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "bad%u", i);
		fixture_point(name, bad[i].parent, bad[i].path);
		if (bad[i].code) {
			expect_mount(name, bad[i].code, bad[i].says);
			continue;
		}
		struct err e = ERR_INIT;
		assert_true(try_mount(name, 0, false, id, &reused, existing, &e) < 0);
		assert_null(strstr(e.msg, fixture_dir));
	}
	assert_int_equal(fixture_workers(), 0);
	/* And none of them holds a slot. */
	struct err e = ERR_INIT;
	struct hub_resources res;
	assert_ok(hub_resources(hub, &res, &e), &e);
	assert_int_equal(res.active_mounts, 0);
}

/* Text is a raw image with nothing on it; it opens, and has no volume that can be read. */
static void test_not_an_image(void **state)
{
	(void)state;
	fixture_shell("echo 'no image at all, but some text' >text.qcow2");
	fixture_point("text", NULL, "text.qcow2");
	struct err e = ERR_INIT;
	int r = try_mount("text", 0, false, id, &reused, existing, &e);
	if (r == 0)
		assert_int_equal(fixture_count(id, "/", &e), ERR_VOLUME_UNSUPPORTED);
	else
		assert_int_equal(r, ERR_IMAGE_UNREADABLE);
}

/* Until the service has closed so many. */
static void wait_cleaned(int64_t want)
{
	struct hub_cleanup_status st;
	for (unsigned i = 0; i < 200; i++) {
		hub_cleanup_status(hub, &st);
		if (st.total_cleaned >= want)
			break;
		(void)usleep(50000);
	}
	assert_int_equal(st.total_cleaned, want);
	assert_string_equal(st.last_error, "");
}

static int64_t row_expires(const char *mount_id)
{
	struct err e = ERR_INIT;
	struct catalog_mount *row = NULL;
	assert_ok(catalog_mount_get(hub_catalog(hub), mount_id, &row, &e), &e);
	int64_t at = row->expires_at;
	free(row);
	return at;
}

static void test_expiry(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("full", id);
	fixture_mount("inc1", id2);
	/* A use, as a download holds one, keeps its mount. */
	struct hub_use *u;
	assert_ok(hub_use(hub, id2, &u, &e), &e);
	int64_t first = row_expires(id2);
	wait_cleaned(1);
	assert_int_equal(fixture_count(id, "/", &e), ERR_MOUNT_NOT_FOUND);
	err_clear(&e);
	(void)sleep(1);
	assert_true(session_alive(u->session));
	/* Its row is renewed as well: a hub that is killed now finds the mount again. */
	for (unsigned i = 0; i < 600 && row_expires(id2) <= first; i++)
		(void)usleep(100000);
	assert_true(row_expires(id2) > first);
	hub_use_release(u);
	assert_int_equal(fixture_count(id2, "/", &e), 4);
	wait_cleaned(2);
	assert_int_equal(fixture_count(id2, "/", &e), ERR_MOUNT_NOT_FOUND);
	assert_int_equal(fixture_workers(), 0);
}

/* Expired, and the service has not been there yet: no obstacle. */
static void test_expired_is_no_obstacle(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("full", id);
	(void)usleep(1200000);
	assert_ok(try_mount("full", 0, false, id2, &reused, existing, &e), &e);
	assert_string_not_equal(id, id2);
	(void)usleep(1200000);
	fixture_mount("inc1", id); /* the only slot */
	(void)usleep(1200000);
	assert_ok(try_mount("inc1", 0, true, id2, &reused, existing, &e), &e);
	assert_int_equal(fixture_count(id2, "/", &e), 4);
}

static void test_idle_worker(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("full", id);
	(void)sleep(3);
	assert_int_equal(fixture_workers(), 0);
	struct hub_mount **list;
	size_t count;
	assert_ok(hub_mount_list(hub, &list, &count, &e), &e);
	assert_int_equal(count, 1);
	hub_mount_list_free(list, count);
	assert_int_equal(fixture_count(id, "/etc", &e), 1);
	assert_int_equal(fixture_workers(), 1);
}

enum { WAKERS = 8 };

static pthread_barrier_t together;

static void *wake_thread(void *arg)
{
	(void)arg;
	struct err e = ERR_INIT;
	struct hub_use *u = NULL;
	(void)pthread_barrier_wait(&together);
	if (hub_use(hub, id, &u, &e) == 0)
		hub_use_release(u);
	return NULL;
}

/* A mount whose worker sleeps is woken up just while it is being unmounted: it is unmounted all the same. */
static void test_unmount_while_waking_up(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		pthread_t t[WAKERS];
		struct err e = ERR_INIT;
		struct hub_use *u;
		fixture_mount("full", id);
		fixture_restart();
		assert_int_equal(pthread_barrier_init(&together, NULL, WAKERS + 1), 0);
		for (unsigned i = 0; i < WAKERS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, wake_thread, NULL), 0);
		(void)pthread_barrier_wait(&together);
		(void)usleep(round * 20);
		assert_ok(hub_unmount(hub, id, &e), &e);
		for (unsigned i = 0; i < WAKERS; i++)
			(void)pthread_join(t[i], NULL);
		(void)pthread_barrier_destroy(&together);
		assert_int_equal(hub_use(hub, id, &u, &e), ERR_MOUNT_NOT_FOUND);
		assert_int_equal(fixture_workers(), 0);
	}
}

static int kill_worker(struct err *e)
{
	CLEANUP(hub_use_release_p) struct hub_use *u = NULL;
	int r = hub_use(hub, id, &u, e);
	if (r < 0)
		return r;
	(void)kill(session_pid(u->session), SIGKILL);
	for (unsigned i = 0; i < 1000 && session_alive(u->session); i++)
		(void)usleep(1000);
	assert_false(session_alive(u->session));
	return 0;
}

static void test_crash_loop(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("full", id);
	fixture_mount("inc1", id2);
	assert_ok(kill_worker(&e), &e);
	assert_int_equal(fixture_count(id, "/", &e), 4); /* a first death costs nothing */
	assert_ok(kill_worker(&e), &e);
	int r = 0;
	for (unsigned i = 0; i < 3 && r == 0; i++)
		r = kill_worker(&e);
	assert_int_equal(r, ERR_WORKER_DIED);
	assert_non_null(strstr(e.msg, "in a row"));
	err_clear(&e);
	assert_int_equal(fixture_count(id2, "/", &e), 4);
	(void)sleep(3);
	assert_int_equal(fixture_count(id, "/", &e), 4);
}

static void test_restart(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fixture_mount("inc2", id);
	struct catalog_disk *disk;
	assert_ok(catalog_disk_get_by_index(hub_catalog(hub), "full", 0, &disk, &e), &e);
	struct catalog_mount row = {.id = "00000000-0000-4000-8000-000000000001", .backup_disk_id = disk->id, .engine = "native",
	                            .status = CATALOG_MOUNT_MOUNTING, .created_at = 1, .last_accessed_at = 1, .expires_at = INT64_MAX / 2};
	assert_ok(catalog_mount_create(hub_catalog(hub), &row, NULL, &e), &e);
	free(disk);
	fixture_restart();
	assert_int_equal(fixture_workers(), 0);
	assert_int_equal(fixture_count(id, "/", &e), 4);
	struct catalog_mount *settled;
	assert_ok(catalog_mount_get(hub_catalog(hub), row.id, &settled, &e), &e);
	assert_int_equal(settled->status, CATALOG_MOUNT_FAILED);
	free(settled);
	struct hub *other;
	assert_int_equal(hub_open(&fixture_config, &other, &e), ERR_CONFLICT);
}

/* --- many at once --------------------------------------------------------------------------------- */

static void *mount_thread(void *arg)
{
	struct err e = ERR_INIT;
	bool r;
	char there[CATALOG_ID_MAX];
	if (try_mount("inc2", 0, true, arg, &r, there, &e) < 0)
		(void)snprintf(arg, CATALOG_ID_MAX, "%s", err_code_name(e.code));
	return NULL;
}

static void test_mounts_at_once(void **state)
{
	(void)state;
	static char ids[8][CATALOG_ID_MAX];
	for (unsigned round = 0; round < 5; round++) {
		pthread_t t[8];
		struct err e = ERR_INIT;
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(pthread_create(&t[i], NULL, mount_thread, ids[i]), 0);
		for (unsigned i = 0; i < 8; i++)
			(void)pthread_join(t[i], NULL);
		for (unsigned i = 1; i < 8; i++)
			assert_string_equal(ids[i], ids[0]);
		assert_int_equal(fixture_workers(), 1);
		assert_ok(hub_unmount(hub, ids[0], &e), &e);
		assert_int_equal(fixture_workers(), 0);
	}
}

static atomic_bool storm_over;

static void *storm_thread(void *arg)
{
	(void)arg;
	while (!atomic_load(&storm_over)) {
		struct err e = ERR_INIT;
		int64_t n = fixture_count(id, "/data", &e);
		if (n != 1 && n != ERR_MOUNT_NOT_FOUND && n != ERR_CANCELLED && n != ERR_WORKER_DIED)
			(void)fprintf(stderr, "# %s: %s\n", err_code_name(e.code), e.msg);
	}
	return NULL;
}

/* Uses, kills, idle stops and unmounts all at once: nothing crashes, nothing hangs, nothing stays. */
static void test_storm(void **state)
{
	(void)state;
	pthread_t t[4];
	fixture_mount("full", id);
	atomic_store(&storm_over, false);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm_thread, NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct err e = ERR_INIT;
		unsigned cleaned;
		(void)usleep(20000);
		assert_ok(hub_cleanup_run(hub, &cleaned, &e), &e);
		if (i == 10)
			(void)kill_worker(&e);
	}
	struct err e = ERR_INIT;
	assert_ok(hub_unmount(hub, id, &e), &e);
	(void)usleep(20000);
	atomic_store(&storm_over, true);
	for (unsigned i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	assert_int_equal(fixture_workers(), 0);
}

static void test_long_chain(void **state)
{
	(void)state;
	fixture_shell("[ -e c199.qcow2 ] || { cp full.qcow2 c0.qcow2; for i in $(seq 199); do "
	              "qemu-img create -q -f qcow2 -u -b c$((i-1)).qcow2 -F qcow2 c$i.qcow2 24M || exit 1; done; }");
	for (unsigned i = 0; i < 200; i++) {
		char name[16], parent[16], path[32];
		(void)snprintf(name, sizeof(name), "c%u", i);
		(void)snprintf(parent, sizeof(parent), "c%d", (int)i - 1);
		(void)snprintf(path, sizeof(path), "c%u.qcow2", i);
		fixture_point(name, i ? parent : NULL, path);
	}
	struct err e = ERR_INIT;
	fixture_mount("c199", id);
	assert_int_equal(fixture_count(id, "/", &e), 4);
}

static void test_many_mounts(void **state)
{
	(void)state;
	enum { MANY = 200 };
	static char ids[MANY][CATALOG_ID_MAX];
	struct err e = ERR_INIT;
	fixture_shell("for i in $(seq 0 199); do ln -f full.qcow2 m$i.qcow2 || exit 1; done");
	for (unsigned i = 0; i < MANY; i++) {
		char name[16], path[32];
		(void)snprintf(name, sizeof(name), "m%u", i);
		(void)snprintf(path, sizeof(path), "m%u.qcow2", i);
		fixture_point(name, NULL, path);
		fixture_mount(name, ids[i]);
	}
	assert_int_equal(fixture_workers(), MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(fixture_count(ids[i], "/", &e), 4);
}

static void test_full_disk(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	char dir[96], filler[128], line[512];
	(void)snprintf(dir, sizeof(dir), "%s/small", fixture_dir);
	(void)snprintf(line, sizeof(line), "mkdir -p '%s'", dir);
	assert_int_equal(system(line), 0);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=2m") < 0)
		skip();
	/* The catalog moves there, and then nothing else fits. */
	hub_close(hub);
	(void)snprintf(line, sizeof(line), "cp -a '%s/data/.' '%s/' && dd if=/dev/zero of='%s/filler' bs=4096 2>/dev/null; true", fixture_dir,
	               dir, dir);
	assert_int_equal(system(line), 0);
	fixture_config.data_dir = dir;
	struct err e = ERR_INIT;
	int r = hub_open(&fixture_config, &hub, &e);
	(void)snprintf(filler, sizeof(filler), "%s/filler", dir);
	bool full = false;
	if (r == 0)
		full = try_mount("full", 0, false, id, &reused, existing, &e) == ERR_CATALOG_FULL;
	else
		full = r == ERR_CATALOG_FULL;
	(void)unlink(filler);
	err_clear(&e);
	if (r < 0)
		r = hub_open(&fixture_config, &hub, &e);
	int again = r < 0 ? r : try_mount("full", 0, false, id, &reused, existing, &e);
	hub_close(hub);
	hub = NULL;
	(void)umount2(dir, MNT_DETACH);
	assert_true(full);
	assert_ok(again, &e);
}

/* --- selections and scans ------------------------------------------------------------------------- */

static void test_selection(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct session_path paths[] = {{.path = "/data", .len = 5}, {.path = "/etc/hostname", .len = 13}};
	struct hub_selection s;
	fixture_mount("full", id);
	assert_ok(hub_selection_create(hub, id, 0, "tar", paths, 2, &s, &e), &e);
	assert_int_equal(s.total.files, 2);
	assert_int_equal(s.total.directories, 1);
	assert_int_equal(s.total.bytes, 3000004);
	struct hub_use *u;
	struct stream *st;
	assert_ok(hub_selection_begin(hub, s.id, &u, &st, &e), &e);
	struct hub_use *u2;
	struct stream *st2;
	assert_int_equal(hub_selection_begin(hub, s.id, &u2, &st2, &e), ERR_CONFLICT);
	err_clear(&e);
	static char room[65536];
	ssize_t n;
	size_t all = 0;
	while ((n = stream_read_wait(st, room, sizeof(room), &e)) > 0)
		all += (size_t)n;
	assert_int_equal(n, STREAM_END);
	assert_true(all > 3000004);
	struct stream_progress done = stream_progress(st);
	assert_true(hub_selection_progress(hub, s.id, &done));
	stream_close(st);
	hub_use_release(u);
	hub_selection_end(hub, s.id, NULL);
	assert_ok(hub_selection_get(hub, s.id, &s, &e), &e);
	assert_int_equal(s.state, HUB_SELECTION_COMPLETE);
	/* Cancelled while it runs: the download is told, and then it is gone. */
	assert_ok(hub_selection_begin(hub, s.id, &u, &st, &e), &e);
	assert_ok(hub_selection_cancel(hub, s.id, &e), &e);
	assert_false(hub_selection_progress(hub, s.id, &done));
	stream_close(st);
	hub_use_release(u);
	hub_selection_end(hub, s.id, NULL);
	assert_int_equal(hub_selection_get(hub, s.id, &s, &e), ERR_ARCHIVE_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(hub_selection_create(hub, id, 0, "tar", paths, 0, &s, &e), ERR_INVALID);
	err_clear(&e);
	paths[0].path = "/nope!";
	assert_int_equal(hub_selection_create(hub, id, 0, "tar", paths, 1, &s, &e), ERR_NOT_FOUND);
	err_clear(&e);
	/* It ends with its mount. */
	assert_ok(hub_selection_create(hub, id, 0, "zip", paths + 1, 1, &s, &e), &e);
	assert_ok(hub_unmount(hub, id, &e), &e);
	assert_int_equal(hub_selection_get(hub, s.id, &s, &e), ERR_ARCHIVE_NOT_FOUND);
}

/* Of a hub that is about to close; nothing is registered, and nothing forgotten. */
static void test_scan_is_ended(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct catalog_repository_list list = {0};
	struct hub_scan scan;
	int64_t before = 0, after = 0;
	assert_ok(catalog_repository_list(hub_catalog(hub), &list, &e), &e);
	assert_int_equal(list.count, 1);
	assert_ok(catalog_backup_count(hub_catalog(hub), &(struct catalog_backup_filter){0}, &before, &e), &e);
	hub_abort(hub);
	assert_int_equal(hub_repository_scan(hub, list.items[0]->id, &scan, &e), ERR_CANCELLED);
	err_clear(&e);
	assert_ok(catalog_backup_count(hub_catalog(hub), &(struct catalog_backup_filter){0}, &after, &e), &e);
	assert_int_equal(after, before);
	catalog_repository_list_free(&list);
}

static void fetch(const char *selection)
{
	static char room[65536];
	struct err e = ERR_INIT;
	struct hub_use *u;
	struct stream *st;
	ssize_t n;
	assert_ok(hub_selection_begin(hub, selection, &u, &st, &e), &e);
	while ((n = stream_read_wait(st, room, sizeof(room), &e)) > 0)
		;
	assert_int_equal(n, STREAM_END);
	stream_close(st);
	hub_use_release(u);
	hub_selection_end(hub, selection, NULL);
}

/* There are HUB_SELECTIONS_MAX places. Those that were fetched make room, the oldest first; those that wait do not. */
static void test_many_selections(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const struct session_path path = {.path = "/etc/hostname", .len = 13};
	struct hub_selection first, second, s;
	fixture_mount("full", id);
	assert_ok(hub_selection_create(hub, id, 0, "tar", &path, 1, &first, &e), &e);
	assert_ok(hub_selection_create(hub, id, 0, "tar", &path, 1, &second, &e), &e);
	for (unsigned i = 2; i < HUB_SELECTIONS_MAX; i++)
		assert_ok(hub_selection_create(hub, id, 0, "tar", &path, 1, &s, &e), &e);
	assert_int_equal(hub_selection_create(hub, id, 0, "tar", &path, 1, &s, &e), ERR_LIMIT);
	err_clear(&e);
	fetch(second.id);
	fetch(first.id);
	assert_ok(hub_selection_create(hub, id, 0, "tar", &path, 1, &s, &e), &e);
	assert_int_equal(hub_selection_get(hub, first.id, &first, &e), ERR_ARCHIVE_NOT_FOUND);
	err_clear(&e);
	assert_ok(hub_selection_get(hub, second.id, &second, &e), &e);
	assert_ok(hub_selection_create(hub, id, 0, "tar", &path, 1, &s, &e), &e);
	assert_int_equal(hub_selection_get(hub, second.id, &second, &e), ERR_ARCHIVE_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(hub_selection_create(hub, id, 0, "tar", &path, 1, &s, &e), ERR_LIMIT);
}

/* What no longer fits is refused whole, and the selection stays what it was. */
static void test_full_selection(void **state)
{
	(void)state;
	enum { LEN = 16000, PATHS = 300 };
	static char name[LEN];
	struct session_path paths[PATHS], one = {.path = "/etc/hostname", .len = 13};
	struct err e = ERR_INIT;
	struct hub_selection s;
	unsigned taken = 0;
	memset(name, '/', sizeof(name));
	memcpy(name + sizeof(name) - 12, "etc/hostname", 12);
	for (unsigned i = 0; i < PATHS; i++)
		paths[i] = (struct session_path){.path = name, .len = sizeof(name)};
	fixture_mount("full", id);
	assert_ok(hub_selection_create(hub, id, 0, "tar", &one, 1, &s, &e), &e);
	while (taken < 10 && hub_selection_add(hub, s.id, paths, PATHS, &s, &e) == 0)
		taken++;
	assert_int_equal(taken, 3);
	assert_int_equal(e.code, ERR_LIMIT);
	err_clear(&e);
	assert_int_equal(s.total.files, 1 + taken * PATHS);
	assert_ok(hub_selection_add(hub, s.id, &one, 1, &s, &e), &e);
	assert_int_equal(s.total.files, 2 + taken * PATHS);
	fetch(s.id);
}

enum { EXPIRES = 1, SHORT_SLOT = 2, IDLE = 3, TWO = 4 };

static int configured(void **state)
{
	switch ((intptr_t)*state) {
	case EXPIRES:
		fixture_config = (struct hub_config){.idle_timeout_s = 2, .cleanup_interval_s = 1};
		break;
	case SHORT_SLOT:
		fixture_config = (struct hub_config){.idle_timeout_s = 1, .max_mounts = 1};
		break;
	case IDLE:
		fixture_config = (struct hub_config){.worker_idle_s = 1, .cleanup_interval_s = 1};
		break;
	case TWO:
		fixture_config = (struct hub_config){.max_mounts = 2};
		break;
	}
	return fixture_open(state);
}

#define TEST(f, config) {#f, f, configured, fixture_close, (void *)(intptr_t)(config)}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mount, 0),       TEST(test_unknown, 0),      TEST(test_no_slot, TWO),
		TEST(test_bad_images, 0),  TEST(test_not_an_image, 0), TEST(test_expiry, EXPIRES),
		TEST(test_expired_is_no_obstacle, SHORT_SLOT),         TEST(test_idle_worker, IDLE),
		TEST(test_unmount_while_waking_up, 0),
		TEST(test_crash_loop, 0),  TEST(test_restart, 0),      TEST(test_mounts_at_once, 0),
		TEST(test_storm, IDLE),    TEST(test_long_chain, 0),   TEST(test_many_mounts, 0),
		TEST(test_full_disk, 0),   TEST(test_selection, 0),    TEST(test_many_selections, 0),
		TEST(test_full_selection, 0), TEST(test_scan_is_ended, 0),
	};
	return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
