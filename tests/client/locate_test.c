/* Who is told which token. The rest of locate.h is tested with a hub, in hub_place_test.py. */
#include "client/locate.h"

#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/sendense-locate.XXXXXX";

static void put(const char *name, const char *text)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static int setup(void **state)
{
	(void)state;
	static const char *const names[] = {"SENDENSE_URL", "SENDENSE_TOKEN", "SENDENSE_DATA_DIR", "XDG_DATA_HOME"};
	if (!mkdtemp(dir))
		return -1;
	for (unsigned i = 0; i < 4; i++)
		(void)unsetenv(names[i]);
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/sendense", dir);
	if (mkdir(path, 0700) < 0 || setenv("XDG_DATA_HOME", dir, 1) < 0)
		return -1;
	put("sendense/admin.token", "local-token\n");
	put("other.token", "other-token\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = {"sendense/admin.token", "sendense/hub.url", "other.token", "sendense", "."};
	char path[128];
	for (unsigned i = 0; i < 5; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)(i < 3 ? unlink(path) : rmdir(i == 4 ? dir : path));
	}
	return 0;
}

static void local_hub_gets_the_local_token(void **state)
{
	(void)state;
	static const char *const urls[] = {NULL, "http://127.0.0.1:1", "http://[::1]:1/", "http://LOCALHOST:1",
	                                   "https://127.9.9.9"};
	for (unsigned i = 0; i < 5; i++) {
		struct err e = ERR_INIT;
		struct location l;
		struct locate_options o = {.url = urls[i]};
		assert_ok(locate_hub(&o, &l, &e), &e);
		assert_string_equal(l.token, "local-token");
		assert_true(l.loopback);
	}
}

static void another_machine_does_not_get_it(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct location l;
	struct locate_options o = {.url = "https://hub.example:8443/"};
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.url, "https://hub.example:8443");
	assert_string_equal(l.token, "");
	assert_false(l.loopback);
	setenv("SENDENSE_URL", "https://hub.example", 1);
	o.url = NULL;
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.token, "");
	unsetenv("SENDENSE_URL");
}

static void what_is_named_is_sent(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct location l;
	char file[128], data[128];
	(void)snprintf(file, sizeof(file), "%s/other.token", dir);
	(void)snprintf(data, sizeof(data), "%s/sendense", dir);
	struct locate_options o = {.url = "https://hub.example", .token_file = file};
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.token, "other-token");
	o = (struct locate_options){.url = "https://hub.example", .data_dir = data};
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.token, "local-token");
	setenv("SENDENSE_TOKEN", "environment-token", 1);
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.token, "environment-token");
	o.token_file = file;
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.token, "other-token");
	unsetenv("SENDENSE_TOKEN");
}

/* hub.url is the hub's own file: where it points is where that directory's token belongs. But never unencrypted. */
static void the_hubs_own_address(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct location l;
	struct locate_options o = {0};
	put("sendense/hub.url", "https://hub.example:1\n");
	assert_ok(locate_hub(&o, &l, &e), &e);
	assert_string_equal(l.url, "https://hub.example:1");
	assert_string_equal(l.token, "local-token");
	put("sendense/hub.url", "http://hub.example:1\n");
	assert_int_equal(locate_hub(&o, &l, &e), ERR_INVALID);
	err_clear(&e);
	put("sendense/hub.url", "");
	assert_int_equal(locate_hub(&o, &l, &e), ERR_INVALID);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_hub_gets_the_local_token),
		cmocka_unit_test(another_machine_does_not_get_it),
		cmocka_unit_test(what_is_named_is_sent),
		cmocka_unit_test(the_hubs_own_address),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
