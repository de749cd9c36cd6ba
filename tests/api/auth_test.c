/* The administrator's token. */
#include "api/auth.h"

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[100], file[150];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/auth-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/" AUTH_TOKEN_FILE, dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void the_token_is_made_once_and_kept_secret(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(auth_close_p) struct auth *a = NULL, *again = NULL;
	char token[AUTH_TOKEN_MAX], same[AUTH_TOKEN_MAX], header[100];
	mode_t old = umask(0);
	assert_ok(auth_open(dir, &a, &e), &e);
	umask(old);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(auth_read_token(dir, token, &e), &e);
	assert_int_equal(strlen(token), AUTH_TOKEN_LEN);
	assert_ok(auth_open(dir, &again, &e), &e);
	assert_ok(auth_read_token(dir, same, &e), &e);
	assert_string_equal(token, same);
	snprintf(header, sizeof(header), "Bearer %s", token);
	assert_true(auth_allows(a, header));
	assert_true(auth_allows(again, header));
	memcpy(header, "bEARER", 6);
	assert_true(auth_allows(a, header));
}

static void anything_else_is_refused(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(auth_close_p) struct auth *a = NULL;
	char token[AUTH_TOKEN_MAX], header[200];
	assert_ok(auth_open(dir, &a, &e), &e);
	assert_ok(auth_read_token(dir, token, &e), &e);
	assert_false(auth_allows(a, NULL));
	assert_false(auth_allows(a, ""));
	assert_false(auth_allows(a, "Bearer"));
	assert_false(auth_allows(a, "Bearer "));
	assert_false(auth_allows(a, token));
	static const char *const forms[] = {"Basic %s", "Bearer%s", "Bearer %sx", "Bearer x%s", "Bearer %s ", "Bearer %s,"};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char text[200];
		const char *at = strstr(forms[i], "%s");
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - forms[i]), forms[i], token, at + 2);
		assert_false(auth_allows(a, text));
	}
	snprintf(header, sizeof(header), "Bearer %.*s", AUTH_TOKEN_LEN - 1, token);
	assert_false(auth_allows(a, header));
}

static void write_file(const char *text, mode_t mode)
{
	unlink(file);
	int fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static void refused_with(const char *reason)
{
	struct err e = ERR_INIT;
	struct auth *a = NULL;
	assert_int_equal(auth_open(dir, &a, &e), ERR_CONFIG);
	assert_null(a);
	if (!strstr(e.msg, reason) || strstr(e.msg, dir))
		fail_msg("%s", e.msg);
}

static void files_that_are_no_secret_token_are_refused(void **state)
{
	(void)state;
	char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq\n";
	write_file(token, 0644);
	refused_with("mode 0600");
	write_file(token, 0620);
	refused_with("mode 0600");
	write_file("", 0600);
	refused_with("holds no token");
	write_file("short\n", 0600);
	refused_with("holds no token");
	token[5] = '+';
	write_file(token, 0600);
	refused_with("holds no token");
	unlink(file);
	assert_int_equal(symlink("/etc/hostname", file), 0);
	refused_with("cannot read");
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	refused_with("not a regular file");
	unlink(file);
	struct err e = ERR_INIT;
	struct auth *a = NULL;
	assert_int_equal(auth_open("/nonexistent/dir", &a, &e), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_token_is_made_once_and_kept_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(anything_else_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_are_no_secret_token_are_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
