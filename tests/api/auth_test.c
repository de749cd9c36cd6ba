/* The administrator's token, and the document that describes the API. */
#include "api/auth.h"
#include "api/openapi.h"

#include "test.h"

#include <fcntl.h>
#include <json-c/json.h>
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

/* Follows "#/components/…". */
static bool resolves(struct json_object *doc, const char *pointer)
{
	struct json_object *found = NULL;
	return pointer[0] == '#' && json_pointer_get(doc, pointer + 1, &found) == 0;
}

static void check_refs(struct json_object *doc, struct json_object *at)
{
	if (json_object_is_type(at, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(at); i++)
			check_refs(doc, json_object_array_get_idx(at, i));
	} else if (json_object_is_type(at, json_type_object)) {
		json_object_object_foreach(at, key, value) {
			if (strcmp(key, "$ref") == 0 && !resolves(doc, json_object_get_string(value)))
				fail_msg("%s leads nowhere", json_object_get_string(value));
			check_refs(doc, value);
		}
	}
}

static void the_description_is_whole(void **state)
{
	(void)state;
	assert_int_equal(openapi_json[openapi_json_len], 0);
	struct json_object *doc = json_tokener_parse((const char *)openapi_json), *v, *paths, *op;
	assert_non_null(doc);
	assert_true(json_object_object_get_ex(doc, "openapi", &v));
	assert_string_equal(json_object_get_string(v), "3.1.0");
	check_refs(doc, doc);
	/* Each {name} of a path is one of its parameters, and each operation has an id and answers. */
	assert_true(json_object_object_get_ex(doc, "paths", &paths));
	json_object_object_foreach(paths, path, methods) {
		json_object_object_foreach(methods, method, operation) {
			(void)method;
			assert_true(json_object_object_get_ex(operation, "operationId", &op));
			assert_true(json_object_object_get_ex(operation, "responses", &op));
			unsigned named = 0, want = 0;
			for (const char *p = path; *p; p++)
				want += *p == '{';
			if (json_object_object_get_ex(operation, "parameters", &op))
				for (size_t i = 0; i < json_object_array_length(op); i++) {
					struct json_object *name, *in;
					json_object_object_get_ex(json_object_array_get_idx(op, i), "name", &name);
					json_object_object_get_ex(json_object_array_get_idx(op, i), "in", &in);
					char braces[100];
					snprintf(braces, sizeof(braces), "{%s}", json_object_get_string(name));
					named += strcmp(json_object_get_string(in), "path") == 0 && strstr(path, braces);
				}
			assert_int_equal(named, want);
		}
	}
	json_object_put(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_token_is_made_once_and_kept_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(anything_else_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_are_no_secret_token_are_refused, setup, teardown),
		cmocka_unit_test(the_description_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
