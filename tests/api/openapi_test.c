/* The document that describes the API: whole in itself, and the same routes as the router's, both ways. And the page that names
 * its errors. */
#include "api/openapi.h"
#include "base/err.h"

#include "test.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* base/json.h, which api.h brings, has names of json-c's: the routes come through routes.c. */
bool route_at(size_t i, const char **method, const char **pattern);
unsigned status_of(int code);

static struct json_object *doc;

static int setup(void **state)
{
	(void)state;
	doc = json_tokener_parse((const char *)openapi_json);
	return doc ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_object_put(doc);
	return 0;
}

static struct json_object *member(struct json_object *at, const char *key)
{
	struct json_object *v = NULL;
	if (!json_object_object_get_ex(at, key, &v))
		fail_msg("no member \"%s\"", key);
	return v;
}

static void check_refs(struct json_object *at)
{
	struct json_object *found;
	if (json_object_is_type(at, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(at); i++)
			check_refs(json_object_array_get_idx(at, i));
	} else if (json_object_is_type(at, json_type_object)) {
		json_object_object_foreach(at, key, value) {
			if (strcmp(key, "$ref") == 0) {
				const char *pointer = json_object_get_string(value);
				if (pointer[0] != '#' || json_pointer_get(doc, pointer + 1, &found) != 0)
					fail_msg("%s leads nowhere", pointer);
			}
			check_refs(value);
		}
	}
}

static void it_is_whole(void **state)
{
	(void)state;
	assert_int_equal(openapi_json[openapi_json_len], 0);
	assert_int_equal(strlen((const char *)openapi_json), openapi_json_len);
	assert_string_equal(json_object_get_string(member(doc, "openapi")), "3.1.0");
	check_refs(doc);
}

/* Path parameters of an operation that stand in its path. */
static unsigned named_parameters(struct json_object *operation, const char *path)
{
	unsigned n = 0;
	struct json_object *list;
	if (!json_object_object_get_ex(operation, "parameters", &list))
		return 0;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *p = json_object_array_get_idx(list, i);
		char braces[100];
		snprintf(braces, sizeof(braces), "{%s}", json_object_get_string(member(p, "name")));
		n += strcmp(json_object_get_string(member(p, "in")), "path") == 0 && strstr(path, braces);
	}
	return n;
}

static bool routed(const char *method, const char *path)
{
	const char *m, *pattern;
	for (size_t i = 0; route_at(i, &m, &pattern); i++)
		if (strcasecmp(m, method) == 0 && strncmp(pattern, "/api/v1", 7) == 0 && strcmp(pattern + 7, path) == 0)
			return true;
	return false;
}

static void what_it_describes_is_there(void **state)
{
	(void)state;
	json_object_object_foreach(member(doc, "paths"), path, methods) {
		json_object_object_foreach(methods, method, operation) {
			unsigned want = 0;
			for (const char *p = path; *p; p++)
				want += *p == '{';
			assert_int_equal(named_parameters(operation, path), want);
			(void)member(operation, "operationId");
			(void)member(operation, "responses");
			/* GET brings HEAD. */
			if (!routed(strcmp(method, "head") == 0 ? "get" : method, path))
				fail_msg("%s %s is not routed", method, path);
		}
	}
}

static void what_is_there_it_describes(void **state)
{
	(void)state;
	const char *method, *pattern;
	for (size_t i = 0; route_at(i, &method, &pattern); i++) {
		char lower[16];
		size_t n = 0;
		for (; method[n] && n < sizeof(lower) - 1; n++)
			lower[n] = (char)(method[n] | 0x20);
		lower[n] = '\0';
		if (strncmp(pattern, "/api/v1/", 8) == 0)
			(void)member(member(member(doc, "paths"), pattern + 7), lower);
	}
}

/* Whether a line of the table in docs/api.md has the status in its first cell and the code behind it. */
static bool in_table(FILE *f, unsigned status, const char *code)
{
	char line[4096], number[16], quoted[64];
	(void)snprintf(number, sizeof(number), "%u", status);
	(void)snprintf(quoted, sizeof(quoted), "`%s`", code);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		char *codes = strncmp(line, "| ", 2) == 0 ? strchr(line + 2, '|') : NULL;
		if (!codes)
			continue;
		*codes = '\0';
		if (strstr(line, number) && strstr(codes + 1, quoted))
			return true;
	}
	return false;
}

static void the_page_names_each_error(void **state)
{
	(void)state;
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/docs/api.md", getenv("SENDENSE_SRC"));
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	for (int i = 1; i < ERR_INDEX_COUNT; i++)
		/* These two keep the hub from starting. */
		if (-i != ERR_CONFIG && -i != ERR_CATALOG_NEWER && !in_table(f, status_of(-i), err_code_name(-i)))
			fail_msg("%u %s is not in docs/api.md", status_of(-i), err_code_name(-i));
	(void)fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_whole),
		cmocka_unit_test(what_it_describes_is_there),
		cmocka_unit_test(what_is_there_it_describes),
		cmocka_unit_test(the_page_names_each_error),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
