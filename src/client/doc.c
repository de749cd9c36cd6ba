#include "client/doc.h"

#include <json-c/json.h>
#include <limits.h>
#include <string.h>

/* The struct is json-c's own under another name. */
static struct json_object *inner(const struct doc *d)
{
	return (struct json_object *)(uintptr_t)d;
}

int doc_parse(const char *text, size_t len, struct doc **ret, struct err *e)
{
	struct json_tokener *t = len <= INT_MAX ? json_tokener_new_ex(DOC_DEPTH_MAX) : NULL;
	if (!t)
		return err_no_memory(e, "client");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = len > 0 ? json_tokener_parse_ex(t, text, (int)len) : NULL;
	size_t end = json_tokener_get_parse_end(t);
	bool whole = len > 0 && json_tokener_get_error(t) == json_tokener_success &&
	             strspn(text + end, " \t\r\n") == len - end;
	json_tokener_free(t);
	if (!whole || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return err_set(e, ERR_IO, "client", "the answer is not a JSON object");
	}
	*ret = (struct doc *)o;
	return 0;
}

void doc_free(struct doc *d)
{
	json_object_put(inner(d));
}

static struct json_object *member(const struct doc *d, const char *key, enum json_type type)
{
	struct json_object *v = NULL;
	if (!d || !json_object_is_type(inner(d), json_type_object) || !json_object_object_get_ex(inner(d), key, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

bool doc_has(const struct doc *d, const char *key)
{
	struct json_object *v = NULL;
	return d && json_object_is_type(inner(d), json_type_object) && json_object_object_get_ex(inner(d), key, &v) &&
	       v;
}

const char *doc_text(const struct doc *d, const char *key)
{
	struct json_object *v = member(d, key, json_type_string);
	return v ? json_object_get_string(v) : "";
}

int64_t doc_number(const struct doc *d, const char *key, int64_t fallback)
{
	struct json_object *v = member(d, key, json_type_int);
	return v ? json_object_get_int64(v) : fallback;
}

bool doc_bool(const struct doc *d, const char *key)
{
	struct json_object *v = member(d, key, json_type_boolean);
	return v && json_object_get_boolean(v);
}

const struct doc *doc_object(const struct doc *d, const char *key)
{
	return (const struct doc *)member(d, key, json_type_object);
}

size_t doc_count(const struct doc *d, const char *key)
{
	struct json_object *v = member(d, key, json_type_array);
	return v ? json_object_array_length(v) : 0;
}

const struct doc *doc_at(const struct doc *d, const char *key, size_t i)
{
	struct json_object *v = member(d, key, json_type_array);
	return v ? (const struct doc *)json_object_array_get_idx(v, i) : NULL;
}

const char *doc_text_at(const struct doc *d, const char *key, size_t i)
{
	struct json_object *v = inner(doc_at(d, key, i));
	return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}
