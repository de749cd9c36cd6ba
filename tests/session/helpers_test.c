/* Key helpers and image helpers that do not do what they should: scripts in the place of the program. */
#include "test.h"

#include "session/internal.h"
#include "session/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

static void write_program(const char *script)
{
	FILE *f = fopen(program, "w");
	assert_true(f && fprintf(f, "#!/bin/bash\n%s\n", script) > 0 && fclose(f) == 0 && chmod(program, 0755) == 0);
}

static int ask(const char *script, unsigned timeout_ms, size_t secret_len, uint8_t ret[WIRE_KEY_MAX], size_t *ret_len,
               struct err *e)
{
	static const uint8_t secret[(64 << 10) + 1] = "correct horse";
	write_program(script);
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
	expect_failure("kill -KILL $$", 60000, ERR_WORKER_DIED, "was killed; try again");
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

/* --- image helpers -------------------------------------------------------------------------------- */

/* What is said of a helper that ends like that: a code and words. */
static void expect_explained(const char *script, int code, const char *words)
{
	write_program(script);
	struct session s = {.imagehelper = program};
	struct image_helper *h;
	struct err e = ERR_INIT;
	int file = memfd_create("image", 0), sock;
	assert_true(file >= 0);
	assert_ok(image_helper_start(&s, "vhdx", NULL, &file, 1, &h, &sock, &e), &e);
	struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, -1), 1);
	(void)err_set(&e, ERR_IO, "test", "what was known before");
	image_helper_explain(h, &e);
	if (e.code != code || !strstr(e.msg, words))
		fail_msg("%s \"%s\" is not %s and \"%s\"", err_code_name(e.code), e.msg, err_code_name(code), words);
	image_helper_free(h);
	(void)close(sock);
	(void)close(file);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

#define SAYS(words) "echo \"qemu-nbd: Failed to open 'json:{}': Could not open 'x': " words "\" >&2; exit 1"

static void test_last_words(void **state)
{
	(void)state;
	expect_explained(SAYS("so it is"), ERR_IMAGE_UNREADABLE, "the vhdx image: so it is");
	/* Of much that was said the end counts, in whatever pieces it comes. */
	expect_explained("for i in {1..400}; do echo \"qemu-nbd: warning: block $i is odd\" >&2; done; " SAYS("the end"),
	                 ERR_IMAGE_UNREADABLE, "the vhdx image: the end");
	expect_explained("printf '%09000d\\n' 1 >&2; " SAYS("and out"), ERR_IMAGE_UNREADABLE, "the vhdx image: and out");
	expect_explained("printf '%09000d' 1 >&2; " SAYS("in one line"), ERR_IMAGE_UNREADABLE, "the vhdx image: in one line");
	expect_explained("exit 1", ERR_IMAGE_UNREADABLE, "no reason");
	expect_explained(SAYS("Invalid password, cannot unlock any keyslot"), ERR_KEY_WRONG, "passphrase");
}

static void test_image_helper_ends(void **state)
{
	(void)state;
	/* Nobody left to serve: the reason is another one. */
	expect_explained("exit 0", ERR_IO, "what was known before");
	expect_explained("exit 3", ERR_IMAGE_UNSUPPORTED, "qemu-utils");
	expect_explained("echo no walls >&2; exit 4", ERR_SANDBOX, "no walls");
	/* Whoever kills says nothing about the image, whether the helper or qemu-nbd behind it is hit. */
	expect_explained("kill -KILL $$", ERR_WORKER_DIED, "was killed");
	expect_explained("exit $((128 + 9))", ERR_WORKER_DIED, "was killed");
	expect_explained("exit $((128 + 15))", ERR_WORKER_DIED, "was killed");
	expect_explained("exit $((128 + 11))", ERR_IMAGE_CORRUPT, "signal 11");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test_setup_teardown(test_last_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_image_helper_ends, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
