/* A hostile worker (rogue-worker.c): whatever it does, the right error comes in time, its process ends, nothing leaks, and
 * another session goes on undisturbed. */
#include "test.h"

#include "base/bytes.h"
#include "session/session.h"

#include <stdatomic.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* CALL_MS and STALL_MS are for what has to take too long. All else may take as long as a busy machine likes. */
enum { CALL_MS = 400, STALL_MS = 600, PATIENT_MS = 120000, LATE_MS = 20000 };

static char rogue[4096];
static struct session *bystander;
static unsigned settled_fds;             /* while the bystander is the only session */

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* The pump lets go of a dead session's descriptors a moment after its end: of the session of the test before, too, so that
 * no test counts them for itself when it begins. */
static void expect_no_fds_left(void)
{
	for (unsigned i = 0; i < LATE_MS / 5 && open_fds() != settled_fds; i++)
		(void)usleep(5000);
	assert_int_equal(open_fds(), settled_fds);
}

static uint64_t now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int start_within(const char *mode, unsigned call_ms, unsigned stall_ms, struct session **ret, struct err *e)
{
	int log = memfd_create("mode", MFD_CLOEXEC);
	assert_true(write(log, mode, strlen(mode)) > 0);
	struct session_options opt = {.worker_path = rogue, .log_fd = log, .call_timeout_ms = call_ms,
	                              .open_timeout_ms = PATIENT_MS, .stall_timeout_ms = stall_ms};
	int r = session_start(&opt, ret, e);
	(void)close(log);
	return r;
}

static int start(const char *mode, struct session **ret, struct err *e)
{
	return start_within(mode, PATIENT_MS, PATIENT_MS, ret, e);
}

/* Calls are given up soon; that the worker itself starts in this time a busy machine does not promise. */
static int start_hasty(const char *mode, struct session **ret, struct err *e)
{
	int r = ERR_TIMEOUT;
	for (unsigned ms = CALL_MS; r == ERR_TIMEOUT && ms < PATIENT_MS; ms *= 2) {
		*e = (struct err)ERR_INIT;
		r = start_within(mode, ms, STALL_MS, ret, e);
	}
	return r;
}

static int serve(struct session *s, struct err *e)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wire_layer layer;
	struct session_opened opened;
	int r = session_layer(s, 0, fd, "", &layer, e);
	(void)close(fd);
	return r < 0 ? r : session_open(s, &opened, e);
}

static const struct session_path path = {.volume = 1, .path = "/file", .len = 5};

static int ask_stat(struct session *s, struct err *e)
{
	static struct session_stat st;
	int r = session_stat(s, path, true, true, &st, e);
	if (r == 0)
		session_stat_free(&st);
	return r;
}

static int ask_volumes(struct session *s, struct err *e)
{
	struct wire_volume *list;
	unsigned count;
	int r = session_volumes(s, &list, &count, e);
	if (r == 0)
		free(list);
	return r;
}

static int ask_measure(struct session *s, struct err *e)
{
	struct session_measure m;
	return session_measure(s, 1, &path, 1, 0, &m, e);
}

static size_t got_bytes;

static int read_all(struct stream *st, struct err *e)
{
	static char room[50000];
	ssize_t n;
	got_bytes = 0;
	while ((n = stream_read_wait(st, room, sizeof(room), e)) > 0)
		got_bytes += (size_t)n;
	/* What is broken stays broken. */
	struct err again = ERR_INIT;
	if (n < 0)
		assert_int_equal(stream_read(st, room, sizeof(room), &again), n);
	return (int)n;
}

static int ask_read(struct session *s, struct err *e)
{
	CLEANUP(stream_close_p) struct stream *st = NULL;
	int r = session_read(s, path, NULL, 0, UINT64_MAX, &st, e);
	return r < 0 ? r : read_all(st, e);
}

static int ask_archive(struct session *s, struct err *e)
{
	CLEANUP(stream_close_p) struct stream *st = NULL;
	int r = session_archive(s, 1, &path, 1, "tar", 1, &st, e);
	return r < 0 ? r : read_all(st, e);
}

static int ask_list(struct session *s, struct err *e)
{
	struct stream *st;
	CLEANUP(entry_reader_close_p) struct entry_reader *r = NULL;
	struct session_list_options opt = {0};
	struct wire_list_head head;
	struct wire_entry en;
	int n = session_list(s, path, &opt, &st, e);
	if (n == 0)
		n = entry_reader_open(st, &r, e);
	if (n == 0)
		n = entry_reader_head(r, &head, e);
	while (n >= 0 && (n = entry_reader_next_wait(r, &en, e)) == 1)
		;
	return n;
}

static int ask_tree(struct session *s, struct err *e)
{
	CLEANUP(tree_reader_close_p) struct tree_reader *r = NULL;
	struct session_list_options opt = {.below = true};
	struct tree_directory d;
	struct wire_entry en;
	int n = tree_reader_open(s, path, &opt, &r, e);
	while (n >= 0 && (n = tree_reader_directory(r, &d, e)) == 1)
		while ((n = tree_reader_next(r, &en, e)) == 1)
			;
	return n;
}

static void check_bystander(void)
{
	struct err e = ERR_INIT;
	assert_ok(ask_stat(bystander, &e), &e);
}

/* The worker of `s` has ended; closes the session. */
static void expect_dead(struct session *s)
{
	pid_t pid = session_pid(s);
	for (unsigned i = 0; i < LATE_MS / 10 && session_alive(s); i++)
		(void)usleep(10000);
	assert_false(session_alive(s));
	struct err e = ERR_INIT;
	assert_true(ask_stat(s, &e) < 0); /* and no more questions are taken */
	assert_true(strlen(e.msg) > 10);
	session_close(s);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

struct misdeed {
	const char *mode;
	int (*ask)(struct session *s, struct err *e);
	int code;
	const char *says;
	bool survives;                   /* an honest error: the session goes on */
};

static const struct misdeed misdeeds[] = {
	{"layer-silent", NULL, ERR_TIMEOUT, "no answer", false},
	{"layer-stop", NULL, ERR_TIMEOUT, "no answer", false},
	{"layer-oversize", NULL, ERR_WORKER_PROTOCOL, "LAYER_INFO", false},
	{"layer-more", NULL, ERR_WORKER_PROTOCOL, "cannot be read", false},
	{"layer-huge", NULL, ERR_WORKER_PROTOCOL, "too long", false},
	{"layer-fds", NULL, ERR_WORKER_PROTOCOL, "descriptors", false},
	{"layer-many-fds", NULL, ERR_WORKER_PROTOCOL, "", false},
	{"layer-unknown-type", NULL, ERR_WORKER_PROTOCOL, "unknown type 77", false},
	{"layer-unknown-number", NULL, ERR_WORKER_PROTOCOL, "nobody asked", false},
	{"layer-number-zero", NULL, ERR_WORKER_PROTOCOL, "nobody asked", false},
	{"layer-garbage", NULL, ERR_WORKER_PROTOCOL, "cannot be read", false},
	{"layer-foreign-error", NULL, ERR_WORKER_PROTOCOL, "cannot be read", true},
	{"layer-abort", NULL, ERR_WORKER_DIED, "signal 6", false},
	{"open-default", NULL, ERR_WORKER_PROTOCOL, "cannot be read", false},
	{"open-warnings", NULL, ERR_WORKER_PROTOCOL, "cannot be read", false},
	{"open-disks", NULL, ERR_WORKER_PROTOCOL, "cannot be read", false},
	{"volumes-shrink", ask_volumes, ERR_WORKER_PROTOCOL, "list of volumes", false},
	{"volumes-huge", ask_volumes, ERR_WORKER_PROTOCOL, "list of volumes", false},
	{"volumes-never", ask_volumes, ERR_WORKER_PROTOCOL, "list of volumes", false},
	{"volumes-short", ask_volumes, ERR_WORKER_PROTOCOL, "list of volumes", false},
	{"stat-volume-zero", ask_stat, ERR_WORKER_PROTOCOL, "description of a file", false},
	{"stat-many-xattrs", ask_stat, ERR_WORKER_PROTOCOL, "description of a file", false},
	{"stat-many-streams", ask_stat, ERR_WORKER_PROTOCOL, "description of a file", false},
	{"stat-xattr-nul", ask_stat, ERR_WORKER_PROTOCOL, "description of a file", false},
	{"stat-empty", ask_stat, ERR_WORKER_PROTOCOL, "description of a file", false},
	{"measure-short", ask_measure, ERR_WORKER_PROTOCOL, "count", false},
	{"read-stall", ask_read, ERR_TIMEOUT, "no data", false},
	{"read-stop", ask_read, ERR_TIMEOUT, "no data", false},
	{"read-bell", ask_read, ERR_TIMEOUT, "no data", false},
	{"read-wrong-type", ask_read, ERR_WORKER_PROTOCOL, "does not agree", false},
	{"read-index", ask_read, ERR_WORKER_PROTOCOL, "indices", false},
	{"read-length", ask_read, ERR_WORKER_PROTOCOL, "indices", false},
	{"read-die", ask_read, ERR_WORKER_DIED, "ended with status 0", false},
	{"read-count", ask_read, ERR_WORKER_PROTOCOL, "does not agree", false},
	{"read-crc", ask_read, ERR_WORKER_PROTOCOL, "does not agree", false},
	{"read-late-error", ask_read, ERR_FILE_CORRUPT, "an extent is gone", true},
	{"lost-long-path", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-past-end", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-no-code", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-long-code", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-nul", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-too-many", ask_archive, ERR_WORKER_PROTOCOL, "lost entry", false},
	{"lost-huge", ask_archive, ERR_WORKER_PROTOCOL, "LOST", false},
	{"lost-fds", ask_archive, ERR_WORKER_PROTOCOL, "descriptors", false},
	{"lost-stranger", ask_archive, ERR_WORKER_PROTOCOL, "nobody asked", false},
	{"lost-no-stream", ask_stat, ERR_WORKER_PROTOCOL, "nobody asked", false},
	{"list-no-head", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"list-short-head", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"list-zero", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"list-huge", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"list-truncated", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"list-slash", ask_list, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-top-broken", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-broken-with-entries", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-broken-strangely", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-too-few", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-too-many", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
	{"tree-cut", ask_tree, ERR_WORKER_PROTOCOL, "listing", false},
};

static void test_misdeed(void **state)
{
	const struct misdeed *m = *state;
	bool call_late = m->code == ERR_TIMEOUT && !m->ask;
	struct session *s = NULL;
	struct err e = ERR_INIT;
	int r = call_late ? start_hasty(m->mode, &s, &e)
	                  : start_within(m->mode, PATIENT_MS, m->code == ERR_TIMEOUT ? STALL_MS : PATIENT_MS, &s, &e);
	assert_ok(r, &e);
	uint64_t from = now();
	r = serve(s, &e);
	if (m->ask) {
		assert_ok(r, &e);
		from = now();
		r = m->ask(s, &e);
	}
	if (r != m->code || !strstr(e.msg, m->says))
		fail_msg("%s: %s: %s", m->mode, err_code_name(e.code), e.msg);
	if (m->code == ERR_TIMEOUT)
		assert_true(now() - from < LATE_MS);
	check_bystander();
	if (m->survives) {
		assert_true(session_alive(s));
		session_close(s);
	} else {
		expect_dead(s);
	}
	check_bystander();
	expect_no_fds_left();
}

static const struct misdeed hellos[] = {
	{"hello-silent", NULL, ERR_TIMEOUT, "no answer", false},
	{"hello-exit", NULL, ERR_WORKER_START, "status 7", false},
	{"hello-sigkill", NULL, ERR_WORKER_DIED, "did not start: the worker reading this backup was ended by signal 9", false},
	{"hello-sigsegv", NULL, ERR_WORKER_START, "signal 11", false},
	{"hello-sigsys", NULL, ERR_WORKER_START, "sandbox", false},
	{"hello-close", NULL, ERR_WORKER_START, "closed its connection", false},
	{"hello-type", NULL, ERR_WORKER_PROTOCOL, "answered with OK", false},
	{"hello-phase", NULL, ERR_WORKER_PROTOCOL, "DONE came", false},
	{"hello-empty-packet", NULL, ERR_WORKER_START, "closed its connection", false},
	{"hello-error", NULL, ERR_SANDBOX, "did not hold", false},
	{"hello-version", NULL, ERR_WORKER_START, "install both from one build", false},
};

static void test_hello(void **state)
{
	const struct misdeed *m = *state;
	struct session *s = NULL;
	struct err e = ERR_INIT;
	unsigned patience = m->code == ERR_TIMEOUT ? CALL_MS : PATIENT_MS;
	if (start_within(m->mode, patience, PATIENT_MS, &s, &e) != m->code || !strstr(e.msg, m->says))
		fail_msg("%s: %s: %s", m->mode, err_code_name(e.code), e.msg);
	assert_null(s);
	check_bystander();
	expect_no_fds_left();
}

static struct session *started_within(const char *mode, unsigned stall_ms)
{
	struct session *s = NULL;
	struct err e = ERR_INIT;
	assert_ok(start_within(mode, PATIENT_MS, stall_ms, &s, &e), &e);
	assert_ok(serve(s, &e), &e);
	return s;
}

static struct session *started(const char *mode)
{
	return started_within(mode, PATIENT_MS);
}

static void test_missing_program(void **state)
{
	(void)state;
	struct session_options opt = {.worker_path = "/nonexistent/worker", .log_fd = -1};
	struct session *s;
	struct err e = ERR_INIT;
	assert_int_equal(session_start(&opt, &s, &e), ERR_WORKER_START);
	expect_no_fds_left();
}

static void test_good(void **state)
{
	(void)state;
	struct session *s = started("good");
	struct err e = ERR_INIT;
	assert_ok(ask_read(s, &e), &e);
	assert_int_equal(got_bytes, 700000);
	assert_ok(ask_list(s, &e), &e);
	assert_ok(ask_measure(s, &e), &e);
	assert_ok(ask_volumes(s, &e), &e);
	assert_true(session_alive(s));
	session_close(s);
	expect_no_fds_left();
}

/* The memory's size is sealed: the attempt fails, and all bytes arrive. */
static void test_shrinking_fails(void **state)
{
	(void)state;
	struct session *s = started("read-shrink");
	struct err e = ERR_INIT;
	assert_ok(ask_read(s, &e), &e);
	assert_int_equal(got_bytes, 700000);
	session_close(s);
}

/* So many lost entries as there may be all come through, with what was said of them. */
static void test_lost_most(void **state)
{
	(void)state;
	struct session *s = started("lost-most");
	struct err e = ERR_INIT;
	struct stream *st;
	assert_ok(session_archive(s, 1, &path, 1, "tar", 1, &st, &e), &e);
	assert_ok(read_all(st, &e), &e);
	assert_int_equal(got_bytes, 700000);
	CLEANUP(buf_free) struct buf lost = BUF_INIT(1 << 24);
	stream_lost(st, &lost);
	struct rdr rd = rdr_init(lost.data, lost.len);
	struct stream_lost_entry entry;
	unsigned n = 0;
	for (; stream_lost_next(&rd, &entry); n++) {
		assert_int_equal(entry.path_len, 5);
		assert_string_equal(entry.code, "IO_ERROR");
		assert_string_equal(entry.msg, "it cannot be read");
	}
	assert_int_equal(n, WIRE_LOST_MAX);
	stream_close(st);
	assert_true(session_alive(s));
	session_close(s);
	expect_no_fds_left();
}

/* An answer too many, after the first was good. */
static void test_answers_twice(void **state)
{
	(void)state;
	static const char *const modes[] = {"layer-twice", "read-done-twice", "lost-late"};
	for (unsigned i = 0; i < 3; i++) {
		struct session *s = NULL;
		struct err e = ERR_INIT;
		assert_ok(start(modes[i], &s, &e), &e);
		if (serve(s, &e) == 0)
			(void)ask_read(s, &e);
		expect_dead(s);
	}
}

/* Frames without end must not keep the pump from the others. */
static void test_flood(void **state)
{
	(void)state;
	struct session *s = started_within("read-flood", STALL_MS);
	struct err e = ERR_INIT;
	struct stream *st;
	assert_ok(session_read(s, path, NULL, 0, UINT64_MAX, &st, &e), &e);
	/* On a busy machine the flood begins a while after the request; the bystander is asked in the middle of it. */
	for (unsigned i = 0; i < PATIENT_MS && stream_progress(st).bytes == 0; i++)
		(void)usleep(1000);
	assert_int_equal(stream_progress(st).bytes, 2);
	for (unsigned i = 0; i < 50; i++)
		check_bystander();
	stream_close(st);
	/* It goes on after the cancel: its life ends soon. */
	expect_dead(s);
}

static void test_ignored_cancel(void **state)
{
	(void)state;
	struct session *s = started_within("read-endless", STALL_MS);
	struct err e = ERR_INIT;
	struct stream *st;
	char room[1000];
	assert_ok(session_read(s, path, NULL, 0, UINT64_MAX, &st, &e), &e);
	/* Not stream_read_wait: the first bytes may be late. */
	ssize_t n;
	while ((n = stream_read(st, room, sizeof(room), &e)) == STREAM_WAIT)
		(void)usleep(1000);
	assert_true(n > 0);
	stream_close(st);
	expect_dead(s);
}

static void test_measure_takes_too_long(void **state)
{
	(void)state;
	struct session *s = started("measure-silent");
	struct err e = ERR_INIT;
	struct session_measure m;
	assert_int_equal(session_measure(s, 1, &path, 1, 50, &m, &e), ERR_TIMEOUT);
	assert_true(session_alive(s)); /* it may be a large volume … */
	session_close(s);
	s = started_within("measure-silent", STALL_MS);
	struct err late = ERR_INIT;
	assert_int_equal(session_measure(s, 1, &path, 1, 50, &m, &late), ERR_TIMEOUT);
	expect_dead(s);                /* … but it has to stop when told to */
}

/* It reads nothing any more: whoever sends is not held up for ever. */
static void test_deaf(void **state)
{
	(void)state;
	struct session *s = started_within("deaf", STALL_MS);
	uint64_t from = now();
	struct err e = ERR_INIT;
	for (unsigned i = 0; i < 20000; i++) {
		struct stream *st = NULL;
		if (session_read(s, path, NULL, 0, UINT64_MAX, &st, &e) < 0)
			break;
		stream_close(st);
	}
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_true(now() - from < LATE_MS);
	expect_dead(s);
	expect_no_fds_left();
}

struct woken {
	atomic_bool yes;
};

static void wake(void *arg)
{
	atomic_store(&((struct woken *)arg)->yes, true);
}

static bool wait_woken(struct woken *w)
{
	for (unsigned i = 0; i < LATE_MS / 10 && !atomic_load(&w->yes); i++)
		(void)usleep(10000);
	return atomic_load(&w->yes);
}

/* The same limits hold for a reader that waits by callback. */
static void test_stall_by_callback(void **state)
{
	(void)state;
	static const char *const modes[] = {"read-stall", "read-stop", "read-die"};
	for (unsigned i = 0; i < 3; i++) {
		struct session *s = started_within(modes[i], i == 2 ? PATIENT_MS : STALL_MS);
		struct err e = ERR_INIT;
		struct stream *st;
		static char room[100000];
		assert_ok(session_read(s, path, NULL, 0, UINT64_MAX, &st, &e), &e);
		ssize_t n;
		while ((n = stream_read(st, room, sizeof(room), &e)) > 0 || n == STREAM_WAIT) {
			if (n > 0)
				continue;
			struct woken w = {.yes = false};
			stream_on_ready(st, wake, &w);
			assert_true(wait_woken(&w));
		}
		assert_int_equal(n, i == 2 ? ERR_WORKER_DIED : ERR_TIMEOUT);
		stream_close(st);
		expect_dead(s);
	}
}

/* The bell of a stream is the worker's, too: one that takes each ring away keeps nobody waiting for an end that has come. It has to be
 * quicker than the pump, which it is now and then. */
static void test_stolen_bell(void **state)
{
	(void)state;
	struct session *s = started("read-steal");
	uint64_t took = 0;
	for (unsigned i = 0; i < 300 && took < 300; i++) {
		struct err e = ERR_INIT;
		struct stream *st;
		char room[100];
		assert_ok(session_read(s, path, NULL, 0, UINT64_MAX, &st, &e), &e);
		assert_int_equal(stream_read(st, room, sizeof(room), &e), STREAM_WAIT);
		struct woken w = {.yes = false};
		stream_on_ready(st, wake, &w);
		assert_ok(ask_stat(s, &e), &e); /* now it has ended */
		uint64_t from = now();
		assert_true(wait_woken(&w));
		took = now() - from;    /* once is enough */
		assert_int_equal(stream_read(st, room, sizeof(room), &e), ERR_FILE_CORRUPT);
		stream_close(st);
	}
	session_close(s);
	expect_no_fds_left();
}

/* A stream outlives its session's close, and says so. */
static void test_close_during_stream(void **state)
{
	(void)state;
	struct session *s = started("read-endless");
	struct err e = ERR_INIT;
	struct stream *st;
	static char room[100000];
	assert_ok(session_read(s, path, NULL, 0, UINT64_MAX, &st, &e), &e);
	assert_true(stream_read_wait(st, room, sizeof(room), &e) > 0);
	session_close(s);
	ssize_t n;
	while ((n = stream_read_wait(st, room, sizeof(room), &e)) > 0)
		;
	assert_int_equal(n, ERR_CANCELLED);
	stream_close(st);
	expect_no_fds_left();
}

static int group_setup(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	(void)snprintf(rogue, sizeof(rogue), "%s/tests/session/rogue-worker", getenv("SENDENSE_BUILD"));
	if (start("good", &bystander, &e) < 0 || serve(bystander, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	settled_fds = open_fds();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	session_close(bystander);
	return 0;
}

enum { MISDEEDS = sizeof(misdeeds) / sizeof(misdeeds[0]), HELLOS = sizeof(hellos) / sizeof(hellos[0]) };

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_good),           cmocka_unit_test(test_missing_program),
		cmocka_unit_test(test_shrinking_fails), cmocka_unit_test(test_answers_twice),
		cmocka_unit_test(test_lost_most),
		cmocka_unit_test(test_flood),          cmocka_unit_test(test_ignored_cancel),
		cmocka_unit_test(test_measure_takes_too_long), cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_stall_by_callback), cmocka_unit_test(test_close_during_stream),
		cmocka_unit_test(test_stolen_bell),
	};
	enum { OTHERS = sizeof(others) / sizeof(others[0]) };
	static struct CMUnitTest tests[MISDEEDS + HELLOS + OTHERS];
	unsigned n = 0;
	for (unsigned i = 0; i < HELLOS; i++)
		tests[n++] = (struct CMUnitTest){.name = hellos[i].mode, .test_func = test_hello, .initial_state = (void *)&hellos[i]};
	for (unsigned i = 0; i < MISDEEDS; i++)
		tests[n++] = (struct CMUnitTest){.name = misdeeds[i].mode, .test_func = test_misdeed,
		                                 .initial_state = (void *)&misdeeds[i]};
	for (unsigned i = 0; i < OTHERS; i++)
		tests[n++] = others[i];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
