#include "api/request_json.h"

#include <json-c/json.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

/* The struct is json-c's own under another name. */
static struct json_object *inner(struct request_json *o)
{
	return (struct json_object *)o;
}

void request_json_free(struct request_json *o)
{
	json_object_put(inner(o));
}

int request_json_parse(const char *text, size_t len, struct request_json **ret, struct err *e)
{
	if (len == 0) {
		text = "{}";
		len = 2;
	}
	struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
	if (!t)
		return err_no_memory(e, "api");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, text, (int)len);
	size_t end = json_tokener_get_parse_end(t);
	bool whole = json_tokener_get_error(t) == json_tokener_success && strspn(text + end, " \t\r\n") == len - end;
	json_tokener_free(t);
	if (!whole || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return err_set(e, ERR_INVALID, "api", "the request's body must be one JSON object");
	}
	*ret = (struct request_json *)o;
	return 0;
}

/* NULL: not there, or null. */
static int member(struct request_json *o, const char *key, enum json_type type, const char *what,
                  struct json_object **ret, struct err *e)
{
	struct json_object *v;
	*ret = NULL;
	if (!json_object_object_get_ex(inner(o), key, &v) || !v)
		return 0;
	if (!json_object_is_type(v, type))
		return err_set(e, ERR_INVALID, "api", "\"%s\" must be %s", key, what);
	*ret = v;
	return 0;
}

int request_json_string(struct request_json *o, const char *key, const char *fallback, const char **ret, struct err *e)
{
	struct json_object *v;
	int r = member(o, key, json_type_string, "a string", &v, e);
	if (r < 0)
		return r;
	if (v && strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
		return err_set(e, ERR_INVALID, "api", "\"%s\" must not contain a NUL", key);
	*ret = v ? json_object_get_string(v) : fallback;
	return 0;
}

void request_json_wipe(struct request_json *o, const char *key)
{
	struct json_object *v;
	if (json_object_object_get_ex(inner(o), key, &v) && json_object_is_type(v, json_type_string))
		explicit_bzero((void *)(uintptr_t)json_object_get_string(v), (size_t)json_object_get_string_len(v));
}

int request_json_i64(struct request_json *o, const char *key, int64_t fallback, int64_t *ret, struct err *e)
{
	struct json_object *v;
	int r = member(o, key, json_type_int, "a whole number", &v, e);
	if (r == 0)
		*ret = v ? json_object_get_int64(v) : fallback;
	return r;
}

bool request_json_has(struct request_json *o, const char *key)
{
	struct json_object *v;
	return json_object_object_get_ex(inner(o), key, &v) && v;
}

bool request_json_is_string(struct request_json *o, const char *key)
{
	struct json_object *v;
	return json_object_object_get_ex(inner(o), key, &v) && json_object_is_type(v, json_type_string);
}

int request_json_i64_list(struct request_json *o, const char *key, int64_t *ret, size_t max, size_t *ret_count,
                          struct err *e)
{
	struct json_object *list;
	int r = member(o, key, json_type_array, "a list", &list, e);
	if (r < 0)
		return r;
	size_t count = list ? json_object_array_length(list) : 0;
	if (count == 0 || count > max)
		return err_set(e, ERR_INVALID, "api", "\"%s\" must be a list of 1 to %zu whole numbers", key, max);
	for (size_t i = 0; i < count; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		if (!json_object_is_type(v, json_type_int))
			return err_set(e, ERR_INVALID, "api", "\"%s\" must hold whole numbers only", key);
		ret[i] = json_object_get_int64(v);
	}
	*ret_count = count;
	return 0;
}

int request_json_bool(struct request_json *o, const char *key, bool fallback, bool *ret, struct err *e)
{
	struct json_object *v;
	int r = member(o, key, json_type_boolean, "true or false", &v, e);
	if (r == 0)
		*ret = v ? json_object_get_boolean(v) : fallback;
	return r;
}

int request_json_list(struct request_json *o, const char *key, size_t max, size_t *ret_count, struct err *e)
{
	struct json_object *v;
	int r = member(o, key, json_type_array, "a list", &v, e);
	if (r < 0)
		return r;
	size_t count = v ? json_object_array_length(v) : 0;
	if (count == 0 || count > max)
		return err_set(e, ERR_INVALID, "api", "\"%s\" must be a list of 1 to %zu strings", key, max);
	*ret_count = count;
	return 0;
}

int request_json_list_at(struct request_json *o, const char *key, size_t i, const char **ret, size_t *ret_len,
                         struct err *e)
{
	struct json_object *list, *v = NULL;
	if (json_object_object_get_ex(inner(o), key, &list))
		v = json_object_array_get_idx(list, i);
	if (!json_object_is_type(v, json_type_string))
		return err_set(e, ERR_INVALID, "api", "\"%s\" must hold strings only", key);
	*ret = json_object_get_string(v);
	*ret_len = (size_t)json_object_get_string_len(v);
	return 0;
}
