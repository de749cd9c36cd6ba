/* Asking key helpers that do not do what they should: scripts in the place of the program. */
#include "test.h"

#include "session/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], program[128];

/* Reads the question, 8 bytes of head and 13 of passphrase: who answers and ends before it was asked
 * may be found ended while the question is still being written. */
#define READ_QUESTION "head -c 21 <&0 >/dev/null; "

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sendense-keyhelper.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(program, sizeof(program), "%s/helper", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(program);
	return rmdir(dir);
}

static int ask(const char *script, unsigned timeout_ms, size_t secret_len, uint8_t ret[WIRE_KEY_MAX], size_t *ret_len,
               struct err *e)
{
	static const uint8_t secret[(64 << 10) + 1] = "correct horse";
	FILE *f = fopen(program, "w");
	assert_true(f && fprintf(f, "#!/bin/bash\n%s\n", script) > 0 && fclose(f) == 0 && chmod(program, 0755) == 0);
	int header = memfd_create("header", 0);
	assert_true(header >= 0);
	struct session_key key = {.kind = SESSION_KEY_PASSPHRASE, .bytes = secret, .len = secret_len};
	int r = keyhelper_ask(program, timeout_ms, header, &key, ret, ret_len, e);
	(void)close(header);
	/* Whatever happened: no process is left, not even a dead one. */
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return r;
}

static void expect_failure(const char *script, unsigned timeout_ms, int code, const char *words)
{
	struct err e = ERR_INIT;
	uint8_t key[WIRE_KEY_MAX];
	size_t len = 77;
	assert_int_equal(ask(script, timeout_ms, 13, key, &len, &e), code);
	assert_int_equal(len, 77);
	if (!strstr(e.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
}

static void test_hangs(void **state)
{
	(void)state;
	expect_failure("exec sleep 1000", 200, ERR_TIMEOUT, "took too long and was ended");
	/* It read the question, and gives half an answer. */
	expect_failure(READ_QUESTION "printf '\\0\\0' >&0; exec sleep 1000", 300, ERR_TIMEOUT, "took too long");
	/* Ending itself is asked for by nobody: it is killed. */
	expect_failure("trap '' TERM INT HUP; while :; do sleep 1; done", 200, ERR_TIMEOUT, "took too long");
}

static void test_ends(void **state)
{
	(void)state;
	expect_failure("exit 0", 60000, ERR_WORKER_PROTOCOL, "ended without an answer");
	expect_failure("kill -SEGV $$", 60000, ERR_WORKER_PROTOCOL, "ended without an answer");
	expect_failure(READ_QUESTION "printf '\\0\\0\\0\\0\\20\\0\\0\\0short' >&0", 60000, ERR_WORKER_PROTOCOL, "");
}

static void test_lies(void **state)
{
	(void)state;
	/* Longer than any key; no key at all; a code that is none; a sentence without end. */
	expect_failure(READ_QUESTION "printf '\\0\\0\\0\\0\\1\\2\\0\\0' >&0; head -c 600 /dev/zero >&0", 60000, ERR_WORKER_PROTOCOL, "");
	expect_failure(READ_QUESTION "printf '\\0\\0\\0\\0\\0\\0\\0\\0' >&0", 60000, ERR_WORKER_PROTOCOL, "");
	expect_failure(READ_QUESTION "printf '\\377\\377\\377\\377\\4\\0\\0\\0evil' >&0", 60000, ERR_WORKER_PROTOCOL, "");
	expect_failure(READ_QUESTION "printf '\\1\\0\\0\\0\\0\\20\\0\\0' >&0", 60000, ERR_WORKER_PROTOCOL, "");
	/* A sentence is text, whatever is in it. */
	char script[128];
	(void)snprintf(script, sizeof(script), READ_QUESTION "printf '\\%o\\0\\0\\0\\6\\0\\0\\0no\\033[2J' >&0", -ERR_KEY_WRONG);
	expect_failure(script, 60000, ERR_KEY_WRONG, "no?[2J");
}

static void test_answers(void **state)
{
	struct err e = ERR_INIT;
	uint8_t key[WIRE_KEY_MAX];
	size_t len = 0;
	(void)state;
	assert_ok(ask(READ_QUESTION "printf '\\0\\0\\0\\0\\4\\0\\0\\0good' >&0; exec sleep 1000", 60000, 13, key, &len, &e), &e);
	assert_int_equal(len, 4);
	assert_memory_equal(key, "good", 4);
	/* No shell in between: what it is given arrives whole, also where it is long. */
	assert_int_equal(ask("exit 0", 60000, (64 << 10) + 1, key, &len, &e), ERR_INVALID);
}

static void test_not_there(void **state)
{
	struct err e = ERR_INIT;
	uint8_t key[WIRE_KEY_MAX];
	size_t len;
	struct session_key secret = {.kind = SESSION_KEY_FILE, .bytes = "x", .len = 1};
	(void)state;
	assert_int_equal(keyhelper_ask("/nonexistent/helper", 1000, 0, &secret, key, &len, &e), ERR_WORKER_START);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test(test_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
