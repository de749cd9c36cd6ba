/* The document that describes the API: whole in itself, and the same routes as the router's, both ways. */
#include "api/openapi.h"

#include "test.h"

#include <json-c/json.h>
#include <stdbool.h>

/* base/json.h, which api.h brings, has names of json-c's: the routes come through routes.c. */
bool route_at(size_t i, const char **method, const char **pattern);

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_whole),
		cmocka_unit_test(what_it_describes_is_there),
		cmocka_unit_test(what_is_there_it_describes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
