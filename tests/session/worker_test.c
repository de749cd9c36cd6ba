/* A session with the real worker on a real image: every question, and many at once. What is expected comes from the tree the image was
 * made of. */
#include "test.h"

#include "base/bytes.h"
#include "session/session.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { BIG = 20000000, SMALL = 300 };

static char dir[64], worker[4096];
static uint8_t *big;
static struct session *shared;

static struct session_path at(const char *path)
{
	return (struct session_path){.volume = 0, .path = path, .len = strlen(path)};
}

static void start(struct session **ret)
{
	struct err e = ERR_INIT;
	struct session_options opt = {.worker_path = worker, .log_fd = -1, .no_sandbox = SANITIZED};
	assert_ok(session_start(&opt, ret, &e), &e);
}

static int open_image(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int add(struct session *s, const char *name, struct wire_layer *ret, struct err *e)
{
	int fd = open_image(name);
	int r = session_layer(s, 0, fd, "", ret, e);
	(void)close(fd);
	return r;
}

static struct session *opened(const char *top, const char *base)
{
	struct session *s;
	struct err e = ERR_INIT;
	struct wire_layer layer;
	struct session_opened o;
	start(&s);
	assert_ok(add(s, top, &layer, &e), &e);
	if (base) {
		assert_string_equal(layer.backing_name, base);
		assert_ok(add(s, base, &layer, &e), &e);
	}
	assert_ok(session_open(s, &o, &e), &e);
	assert_int_equal(o.volume_count, 1);
	assert_int_equal(o.default_volume, 1);
	return s;
}

static ssize_t read_all(struct stream *st, uint8_t *to, size_t max, struct err *e)
{
	size_t got = 0;
	ssize_t n;
	while (got < max && (n = stream_read_wait(st, to + got, max - got, e)) > 0)
		got += (size_t)n;
	uint8_t extra;
	n = stream_read_wait(st, &extra, 1, e);
	return n < 0 ? n : (ssize_t)(got + (size_t)n);
}

static void check_range(struct session *s, uint64_t off, uint64_t len)
{
	struct err e = ERR_INIT;
	CLEANUP(stream_close_p) struct stream *st = NULL;
	uint64_t want = off >= BIG ? 0 : min_u64(len, BIG - off);
	uint8_t *to = malloc(want + 1);
	assert_ok(session_read(s, at("/data/big"), NULL, off, len, &st, &e), &e);
	ssize_t n = read_all(st, to, want, &e);
	assert_ok(n, &e);
	assert_int_equal(n, want);
	assert_true(want == 0 || memcmp(to, big + off, want) == 0);
	free(to);
}

static void test_read(void **state)
{
	(void)state;
	check_range(shared, 0, UINT64_MAX);
	check_range(shared, 0, 0);
	check_range(shared, 1, 1);
	check_range(shared, 65535, 2);
	check_range(shared, 12345678, 1000000);
	check_range(shared, BIG - 1, 100);
	check_range(shared, BIG, 100);
	struct err e = ERR_INIT;
	CLEANUP(stream_close_p) struct stream *st = NULL;
	uint8_t b;
	assert_ok(session_read(shared, at("/data/big"), NULL, BIG + 1, 1, &st, &e), &e);
	assert_int_equal(stream_read_wait(st, &b, 1, &e), ERR_INVALID);
	assert_true(session_alive(shared));
}

/* The first question may come before the worker's main thread has seen that the disks are open. */
static void test_question_at_once(void **state)
{
	(void)state;
	char usual[sizeof(worker)];
	memcpy(usual, worker, sizeof(usual));
	(void)snprintf(worker, sizeof(worker), "%s/tests/session/slow-worker", getenv("SENDENSE_BUILD"));
	struct session *s = opened("base.qcow2", NULL);
	memcpy(worker, usual, sizeof(usual));
	check_range(s, 1000, 5000);
	session_close(s);
}

static void test_layers(void **state)
{
	(void)state;
	struct session *s = opened("over.qcow2", "base.qcow2");
	check_range(s, 1000, 5000);
	/* Configuration is over. */
	struct err e = ERR_INIT;
	struct wire_layer layer;
	int r = add(s, "base.qcow2", &layer, &e);
	assert_true(r < 0);
	session_close(s);
}

/* Files that are not in memory: what fetches them together is in the sandbox's list of calls. */
static void test_cold_layers(void **state)
{
	(void)state;
	struct session *s;
	struct err e = ERR_INIT;
	int fds[] = {open_image("over.qcow2"), open_image("base.qcow2")};
	const char *const formats[] = {"", ""};
	start(&s);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fsync(fds[i]), 0);
		assert_int_equal(posix_fadvise(fds[i], 0, 0, POSIX_FADV_DONTNEED), 0);
	}
	struct layers_call *call;
	assert_ok(session_layers_begin(s, 0, fds, formats, 2, &call, &e), &e);
	assert_ok(session_ready(s, &e), &e);
	struct wire_layer layers[2];
	unsigned taken;
	assert_ok(session_layers_end(s, call, layers, &taken, &e), &e);
	assert_int_equal(taken, 2);
	struct session_opened o;
	assert_ok(session_open(s, &o, &e), &e);
	check_range(s, 0, UINT64_MAX);
	session_close(s);
	close(fds[0]);
	close(fds[1]);
}

static void test_data_file(void **state)
{
	(void)state;
	struct session *s;
	struct err e = ERR_INIT;
	struct wire_layer layer;
	struct session_opened o;
	start(&s);
	assert_int_equal(session_data_file(s, 0, 0, STDIN_FILENO, &e) < 0, 1); /* no layer yet */
	err_clear(&e);
	assert_ok(add(s, "ext.qcow2", &layer, &e), &e);
	assert_true(layer.has_data_file);
	assert_string_equal(layer.data_file_name, "ext.data");
	int fd = open_image("ext.data");
	assert_ok(session_data_file(s, 0, 0, fd, &e), &e);
	(void)close(fd);
	assert_ok(session_open(s, &o, &e), &e);
	check_range(s, 777, 100000);
	session_close(s);
}

static void test_refused_layers(void **state)
{
	(void)state;
	struct session *s;
	struct err e = ERR_INIT;
	struct wire_layer layer;
	struct session_opened o;
	start(&s);
	assert_int_equal(session_open(s, &o, &e), ERR_INVALID); /* nothing to open */
	err_clear(&e);
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/base.qcow2", dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(session_layer(s, 0, fd, "", &layer, &e), ERR_INVALID); /* open for writing */
	(void)close(fd);
	err_clear(&e);
	fd = open_image("base.qcow2");
	assert_int_equal(session_layer(s, 0, fd, "ova", &layer, &e), ERR_IMAGE_UNSUPPORTED);
	err_clear(&e);
	assert_int_equal(session_layer(s, 0, fd, "vmdk", &layer, &e), ERR_IMAGE_UNREADABLE);
	err_clear(&e);
	assert_int_equal(session_layer(s, 60000, fd, "", &layer, &e), ERR_LIMIT);
	(void)close(fd);
	assert_true(session_alive(s));
	session_close(s);
}

static void test_stat_and_errors(void **state)
{
	(void)state;
	static struct session_stat st;
	struct err e = ERR_INIT;
	assert_ok(session_stat(shared, at("/data/big"), true, true, &st, &e), &e);
	assert_int_equal(st.entry.size, BIG);
	assert_int_equal(st.volume, 1);
	session_stat_free(&st);
	assert_ok(session_stat(shared, at("/"), true, true, &st, &e), &e);
	assert_int_equal(st.entry.kind, ENTRY_DIRECTORY);
	session_stat_free(&st);
	static const struct {
		const char *path;
		int code;
	} bad[] = {{"/nope", ERR_NOT_FOUND}, {"", ERR_PATH_INVALID}, {"etc", ERR_PATH_INVALID}, {"/etc/../etc", ERR_PATH_INVALID},
	           {"/data/big/x", ERR_NOT_DIRECTORY}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(session_stat(shared, at(bad[i].path), true, false, &st, &e), bad[i].code);
		err_clear(&e);
	}
	struct session_path other = at("/");
	other.volume = 9;
	assert_int_equal(session_stat(shared, other, true, false, &st, &e), ERR_VOLUME_NOT_FOUND);
	assert_true(session_alive(shared));
}

static unsigned list(struct session *s, const char *path, uint64_t first, uint64_t limit, uint64_t *ret_total)
{
	struct err e = ERR_INIT;
	struct stream *st;
	CLEANUP(entry_reader_close_p) struct entry_reader *r = NULL;
	struct session_list_options opt = {.first = first, .limit = limit};
	struct wire_list_head head;
	struct wire_entry en;
	assert_ok(session_list(s, at(path), &opt, &st, &e), &e);
	assert_ok(entry_reader_open(st, &r, &e), &e);
	assert_ok(entry_reader_head(r, &head, &e), &e);
	unsigned n = 0;
	int got;
	while ((got = entry_reader_next_wait(r, &en, &e)) == 1) {
		char want[16];
		(void)snprintf(want, sizeof(want), "f%03u", (unsigned)first + n);
		assert_int_equal(en.name_len, strlen(want));
		assert_memory_equal(en.name, want, en.name_len);
		n++;
	}
	assert_int_equal(got, STREAM_END);
	assert_int_equal(head.count, n);
	*ret_total = head.total;
	return n;
}

static void test_list_pages(void **state)
{
	(void)state;
	uint64_t total;
	assert_int_equal(list(shared, "/many", 0, 0, &total), SMALL);
	assert_int_equal(total, SMALL);
	assert_int_equal(list(shared, "/many", 100, 50, &total), 50);
	assert_int_equal(list(shared, "/many", 290, 50, &total), 10);
	assert_int_equal(list(shared, "/many", 5000, 50, &total), 0);
	assert_int_equal(total, SMALL);
}

static uint64_t drain(struct stream *st, struct err *e)
{
	static __thread char room[65536];
	uint64_t all = 0;
	ssize_t n;
	while ((n = stream_read_wait(st, room, sizeof(room), e)) > 0)
		all += (uint64_t)n;
	assert_int_equal(n, STREAM_END);
	return all;
}

static void test_archive_manifest_search_measure(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct session_path paths[] = {at("/data"), at("/many")};
	struct session_measure m;
	struct stream *st;
	assert_ok(session_measure(shared, 0, paths, 2, 0, &m, &e), &e);
	assert_int_equal(m.files, SMALL + 1);
	assert_int_equal(m.directories, 2);
	assert_int_equal(m.errors, 0);
	static const char *const formats[] = {"tar", "zip", "tar.gz", "tar.zst"};
	for (unsigned i = 0; i < 4; i++) {
		assert_ok(session_archive(shared, 0, paths, 2, formats[i], 2, &st, &e), &e);
		assert_true(drain(st, &e) > BIG);
		assert_int_equal(stream_error_entries(st), 0);
		assert_int_equal(stream_progress(st).files, SMALL + 3);
		stream_close(st);
	}
	assert_ok(session_manifest(shared, at("/many"), &st, &e), &e);
	assert_true(drain(st, &e) > SMALL * 100);
	stream_close(st);
	assert_ok(session_search(shared, at("/"), "F29", 3, 100, &st, &e), &e);
	CLEANUP(entry_reader_close_p) struct entry_reader *r = NULL;
	struct wire_list_head head;
	struct wire_entry en;
	assert_ok(entry_reader_open(st, &r, &e), &e);
	assert_ok(entry_reader_head(r, &head, &e), &e);
	unsigned hits = 0;
	while (entry_reader_next_wait(r, &en, &e) == 1)
		hits++;
	assert_int_equal(hits, 10);
}

/* What GNU tar makes of an archive of these paths; `line` is a shell condition on it. */
static void check_unpacked(struct session *s, const struct session_path *paths, size_t count, const char *line)
{
	struct err e = ERR_INIT;
	CLEANUP(stream_close_p) struct stream *st = NULL;
	char cmd[2048], room[65536];
	(void)snprintf(cmd, sizeof(cmd), "cd %s && rm -rf out && mkdir out && tar -xf - -C out && cd out && { %s ; }", dir, line);
	FILE *tar = popen(cmd, "w");
	assert_non_null(tar);
	assert_ok(session_archive(s, 0, paths, count, "tar", 1, &st, &e), &e);
	ssize_t n;
	while ((n = stream_read_wait(st, room, sizeof(room), &e)) > 0)
		assert_int_equal(fwrite(room, 1, (size_t)n, tar), n);
	assert_int_equal(n, STREAM_END);
	if (pclose(tar) != 0)
		fail_msg("not so: %s", line);
}

/* Links of which each is shorter than one before it, in whatever order: none has a part of another's target. */
static void test_archive_of_links(void **state)
{
	(void)state;
	struct session_path links = at("/links");
	check_unpacked(shared, &links, 1, "for i in 500 120 400 100 300 90 200; do test \"$(readlink links/$i | tr -d x | wc -c)\" = 1 && "
	               "test \"$(readlink -n links/$i | wc -c)\" = $i || exit 1; done");
}

/* A selection may hold several things of one name: each is in the archive, and a hard link means the file it means. */
static void test_archive_of_same_names(void **state)
{
	(void)state;
	struct session_path paths[] = {at("/a/x.txt"), at("/b/x.txt"), at("/c/link"), at("/a/d"), at("/b/d/"), at("/b/d"), at("/a/.x"), at("/b/.x")};
	check_unpacked(shared, paths, 8,
	               "test \"$(cat x.txt)\" = a && test \"$(cat 'x (2).txt')\" = b && test link -ef x.txt && test \"$(cat d/f)\" = a && "
	               "test \"$(cat 'd (2)/f')\" = b && test \"$(cat '.x (2)')\" = b && test \"$(ls -A | wc -l)\" = 7");
	struct session_path all[] = {at("/b"), at("/"), at("/many/f001")};
	check_unpacked(shared, all, 3, "test \"$(cat a/x.txt b/x.txt c/link)\" = \"$(printf 'a\\nb\\na')\" && test ! -e f001");
}

/* The list of what is broken names each name of a file that is, and takes nobody else's place. */
static void test_archive_names_what_is_broken(void **state)
{
	(void)state;
	struct session *s = opened("broken.qcow2", NULL);
	struct session_path all = at("/");
	check_unpacked(s, &all, 1, "test \"$(cat RESTORE-ERRORS.txt 'RESTORE-ERRORS (2).txt')\" = \"$(printf 'mine\\nmine')\" && "
	               "grep -q '^/d/one: FILE_CORRUPT' 'RESTORE-ERRORS (3).txt' && grep -q '^/d/two: FILE_CORRUPT' 'RESTORE-ERRORS (3).txt' && "
	               "test \"$(cat d/RESTORE-ERRORS.txt)\" = below && test \"$(ls | wc -l)\" = 5");
	session_close(s);
}

/* A megabyte of attributes, with what stands around them more than an archive takes of one entry: the bytes do not go with them. */
static void test_archive_of_many_attributes(void **state)
{
	(void)state;
	struct session *s = opened("attributes.qcow2", NULL);
	struct session_path all = at("/");
	check_unpacked(s, &all, 1, "test \"$(cat f)\" = data && grep -q '^/f: LIMIT_EXCEEDED' RESTORE-ERRORS.txt");
	session_close(s);
}

static void test_cancel(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	for (unsigned i = 0; i < 50; i++) {
		struct stream *st;
		char room[100];
		struct session_path p = at("/");
		if (i % 2)
			assert_ok(session_archive(shared, 0, &p, 1, "tar.gz", 2, &st, &e), &e);
		else
			assert_ok(session_read(shared, at("/data/big"), NULL, 0, UINT64_MAX, &st, &e), &e);
		if (i % 3)
			assert_true(stream_read_wait(st, room, sizeof(room), &e) > 0);
		stream_close(st);
	}
	check_range(shared, 5, 500);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool woken;
};

static void wake(void *arg)
{
	struct waiter *w = arg;
	pthread_mutex_lock(&w->lock);
	w->woken = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

/* One stream, waited for by callback. */
static void *by_callback(void *arg)
{
	struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	struct err e = ERR_INIT;
	struct stream *st;
	static __thread uint8_t room[70000];
	uint64_t off = 0;
	bool *ok = arg;
	*ok = false;
	if (session_read(shared, at("/data/big"), NULL, 0, UINT64_MAX, &st, &e) < 0)
		return NULL;
	for (;;) {
		ssize_t n = stream_read(st, room, sizeof(room), &e);
		if (n == STREAM_WAIT) {
			w.woken = false;
			stream_on_ready(st, wake, &w);
			pthread_mutex_lock(&w.lock);
			while (!w.woken)
				pthread_cond_wait(&w.cond, &w.lock);
			pthread_mutex_unlock(&w.lock);
			continue;
		}
		if (n <= 0 || memcmp(room, big + off, (size_t)n) != 0) {
			*ok = n == STREAM_END && off == BIG;
			break;
		}
		off += (uint64_t)n;
	}
	stream_close(st);
	return NULL;
}

static void test_many_at_once(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	pthread_t t[THREADS];
	bool ok[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, by_callback, &ok[i]), 0);
	uint64_t total;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(list(shared, "/many", i, 10, &total), 10);
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(t[i], NULL);
		assert_true(ok[i]);
	}
}

static void test_close_during_streams(void **state)
{
	(void)state;
	struct session *s = opened("base.qcow2", NULL);
	struct err e = ERR_INIT;
	struct stream *st[8];
	char room[1000];
	for (unsigned i = 0; i < 8; i++)
		assert_ok(session_read(s, at("/data/big"), NULL, 0, UINT64_MAX, &st[i], &e), &e);
	assert_true(stream_read_wait(st[0], room, sizeof(room), &e) > 0);
	session_close(s);
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n;
		while ((n = stream_read_wait(st[i], room, sizeof(room), &e)) > 0)
			;
		assert_int_equal(n, ERR_CANCELLED);
		err_clear(&e);
		stream_close(st[i]);
	}
}

static int group_setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sendense-session.XXXXXX");
	(void)snprintf(worker, sizeof(worker), "%s/src/cmd/sendense-worker", getenv("SENDENSE_BUILD"));
	if (!mkdtemp(dir))
		return -1;
	char line[2048];
	(void)snprintf(line, sizeof(line),
	               "cd %s && export PATH=$PATH:/usr/sbin:/sbin && mkdir -p t/etc t/usr t/data t/many t/a/d t/b/d t/c && "
	               "for i in a b; do for f in x.txt .x d/f; do echo $i >t/$i/$f; done; done && ln t/a/x.txt t/c/link && "
	               "mkdir t/links && for i in 500 120 400 100 300 90 200; do ln -s $(printf %%0*d $i 0 | tr 0 x) t/links/$i; done && "
	               "head -c %d /dev/urandom >t/data/big && for i in $(seq -f %%03.0f 0 %d); do echo $i >t/many/f$i; done && "
	               "mkdir -p u/d && head -c 90000 t/data/big >u/d/one && ln u/d/one u/d/two && echo below >u/d/RESTORE-ERRORS.txt && "
	               "echo mine | tee u/RESTORE-ERRORS.txt >'u/RESTORE-ERRORS (2).txt' && "
	               "mkdir v && echo data >v/f && head -c 65520 t/data/big >value && "
	               "for i in $(seq 10 25); do echo \"ea_set -f value /f user.a$i\"; done >commands && "
	               "{ mke2fs -q -F -t ext4 -b 65536 -O ea_inode -d v v.raw 16M && debugfs -w -f commands v.raw && "
	               "qemu-img convert -O qcow2 v.raw attributes.qcow2 && mke2fs -q -t ext2 -d u u.raw 8M && debugfs -w -R 'sif /d/one block[3] 99999999' u.raw && "
	               "qemu-img convert -O qcow2 u.raw broken.qcow2 && mke2fs -q -t ext4 -d t e.raw 64M && qemu-img convert -O qcow2 e.raw base.qcow2 && "
	               "qemu-img convert -O qcow2 -o data_file=ext.data,data_file_raw=on e.raw ext.qcow2 && "
	               "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2 ; } >log 2>&1",
	               dir, BIG, SMALL - 1);
	if (system(line) != 0)
		return -1;
	big = malloc(BIG);
	(void)snprintf(line, sizeof(line), "%s/t/data/big", dir);
	FILE *f = fopen(line, "re");
	bool whole = big && f && fread(big, 1, BIG, f) == BIG;
	if (f)
		(void)fclose(f);
	shared = opened("base.qcow2", NULL);
	return whole ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	char line[128];
	session_close(shared);
	free(big);
	(void)snprintf(line, sizeof(line), "rm -rf '%s'", dir);
	return system(line);
}

/* A start may move the worker away from this thread's processor; afterwards it may run where this process may. */
struct starting {
	struct session *session;
	pid_t thread;
};

static void *start_one(void *arg)
{
	struct starting *s = arg;
	s->thread = gettid();
	start(&s->session);
	return NULL;
}

/* The kernel ends a worker with the thread that started it, which is none of those that come and go. */
static void test_the_thread_that_asked_ends(void **state)
{
	(void)state;
	struct starting s;
	struct err e = ERR_INIT;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, start_one, &s), 0);
	(void)pthread_join(thread, NULL);
	char task[64];
	(void)snprintf(task, sizeof(task), "/proc/self/task/%d", (int)s.thread);
	while (access(task, F_OK) == 0)
		(void)sched_yield();
	struct wire_layer layer;
	assert_ok(add(s.session, "base.qcow2", &layer, &e), &e);
	session_close(s.session);
}

static void test_processors(void **state)
{
	(void)state;
	cpu_set_t mine, its;
	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	for (int i = 0; i < 8; i++) {
		struct session *s;
		start(&s);
		assert_int_equal(sched_getaffinity(session_pid(s), sizeof(its), &its), 0);
		session_close(s);
		assert_true(CPU_EQUAL(&mine, &its));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),           cmocka_unit_test(test_layers),
		cmocka_unit_test(test_cold_layers), cmocka_unit_test(test_question_at_once),
		cmocka_unit_test(test_data_file),      cmocka_unit_test(test_refused_layers),
		cmocka_unit_test(test_stat_and_errors), cmocka_unit_test(test_list_pages),
		cmocka_unit_test(test_archive_of_links), cmocka_unit_test(test_archive_of_same_names), cmocka_unit_test(test_archive_names_what_is_broken),
		cmocka_unit_test(test_archive_of_many_attributes),
		cmocka_unit_test(test_archive_manifest_search_measure), cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_many_at_once),   cmocka_unit_test(test_close_during_streams),
		cmocka_unit_test(test_processors),     cmocka_unit_test(test_the_thread_that_asked_ends),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
