/* The document that describes the API: whole in itself. */
#include "api/openapi.h"

#include "test.h"

#include <json-c/json.h>
#include <stdbool.h>

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
		cmocka_unit_test(the_description_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
