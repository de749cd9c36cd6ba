#include "volume/luks/json.h"

#include <string.h>

static size_t skip_space(const char *p, size_t len, size_t at)
{
	while (at < len && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r'))
		at++;
	return at;
}

/* Behind the string that begins at `at`; 0 where it does not end. */
static size_t skip_string(const char *p, size_t len, size_t at)
{
	for (at++; at < len; at++) {
		if (p[at] == '\\')
			at++;
		else if (p[at] == '"')
			return at + 1;
	}
	return 0;
}

/* Behind the object or array that begins at `at`. Only its brackets are looked at: what is inside is judged when asked for. */
static size_t skip_nested(const char *p, size_t len, size_t at)
{
	char open[LUKS_JSON_DEPTH];
	unsigned depth = 0;
	while (at < len) {
		char c = p[at];
		if (c == '"') {
			at = skip_string(p, len, at);
			if (at == 0)
				return 0;
			continue;
		}
		if (c == '{' || c == '[') {
			if (depth == LUKS_JSON_DEPTH)
				return 0;
			open[depth++] = c;
		} else if (c == '}' || c == ']') {
			if (open[--depth] != (c == '}' ? '{' : '['))
				return 0;
			if (depth == 0)
				return at + 1;
		} else if (c == '\0') {
			return 0;
		}
		at++;
	}
	return 0;
}

static size_t skip_word(const char *p, size_t len, size_t at)
{
	size_t from = at;
	while (at < len && ((p[at] >= 'a' && p[at] <= 'z') || (p[at] >= '0' && p[at] <= '9') || p[at] == '-' || p[at] == '+' ||
	                    p[at] == '.' || p[at] == 'E'))
		at++;
	return at == from ? 0 : at;
}

static struct luks_json value_at(const char *p, size_t len, size_t at)
{
	at = skip_space(p, len, at);
	if (at >= len)
		return (struct luks_json){0};
	size_t end = p[at] == '"' ? skip_string(p, len, at)
	             : p[at] == '{' || p[at] == '[' ? skip_nested(p, len, at) : skip_word(p, len, at);
	if (end == 0)
		return (struct luks_json){0};
	return (struct luks_json){.p = p + at, .len = end - at};
}

struct luks_json luks_json_parse(const char *text, size_t len)
{
	return value_at(text, len, 0);
}

bool luks_json_next(struct luks_json in, size_t *at, struct luks_json *ret_name, struct luks_json *ret_value)
{
	if (!in.p || (in.p[0] != '{' && in.p[0] != '['))
		return false;
	size_t len = in.len - 1; /* without the closing bracket */
	size_t i = skip_space(in.p, len, *at == 0 ? 1 : *at);
	if (*at != 0) {
		if (i >= len || in.p[i] != ',')
			return false;
		i++;
	}
	*ret_name = (struct luks_json){0};
	if (in.p[0] == '{') {
		*ret_name = value_at(in.p, len, i);
		if (!ret_name->p || ret_name->p[0] != '"')
			return false;
		i = skip_space(in.p, len, (size_t)(ret_name->p - in.p) + ret_name->len);
		if (i >= len || in.p[i] != ':')
			return false;
		i++;
	}
	*ret_value = value_at(in.p, len, i);
	if (!ret_value->p)
		return false;
	*at = (size_t)(ret_value->p - in.p) + ret_value->len;
	return true;
}

bool luks_json_is(struct luks_json v, const char *string)
{
	size_t n = strlen(string);
	return v.p && v.p[0] == '"' && v.len == n + 2 && memcmp(v.p + 1, string, n) == 0;
}

struct luks_json luks_json_member(struct luks_json object, const char *name)
{
	struct luks_json n, v;
	size_t at = 0;
	if (!object.p || object.p[0] != '{')
		return (struct luks_json){0};
	while (luks_json_next(object, &at, &n, &v))
		if (luks_json_is(n, name))
			return v;
	return (struct luks_json){0};
}

bool luks_json_string(struct luks_json v, char *to, size_t size)
{
	if (!v.p || v.p[0] != '"' || v.len - 2 >= size || memchr(v.p, '\\', v.len) || memchr(v.p, '\0', v.len))
		return false;
	memcpy(to, v.p + 1, v.len - 2);
	to[v.len - 2] = '\0';
	return true;
}

bool luks_json_u64(struct luks_json v, uint64_t *ret)
{
	if (!v.p)
		return false;
	if (v.p[0] == '"')
		v = (struct luks_json){.p = v.p + 1, .len = v.len - 2};
	uint64_t n = 0;
	if (v.len == 0)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}
