#include "http/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct http_request *request_new(struct http_server *s, const char *target)
{
	struct http_request *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->server = s;
	r->target = strdup(target);
	r->body = BUF_INIT(s->config.body_max);
	response_init(&r->resp);
	if (!r->target) {
		free(r);
		return NULL;
	}
	return r;
}

void request_free(struct http_request *r)
{
	if (r->user && r->user_free)
		r->user_free(r->user);
	buf_free(&r->body);
	buf_free(&r->arena);
	free(r->target);
	free(r);
}

void request_wake(struct http_request *r)
{
	if (atomic_exchange(&r->suspended, false))
		MHD_resume_connection(r->mhd);
}

/* --- the target ----------------------------------------------------------------------------------- */

bool request_decode(struct http_request *r, const char *s, size_t len, bool plus, struct http_text *ret)
{
	size_t start = r->arena.len;
	if (!http_percent_decode(&r->arena, s, len, plus))
		return false;
	*ret = (struct http_text){.s = (const char *)r->arena.data + start, .len = r->arena.len - start};
	buf_addc(&r->arena, '\0');
	return true;
}

static unsigned parse_query(struct http_request *r, const char *q, const char **ret_why)
{
	while (*q) {
		size_t len = strcspn(q, "&");
		if (len > 0) {
			if (r->query_count == HTTP_QUERY_MAX) {
				*ret_why = "the query has too many parameters";
				return 400;
			}
			struct http_pair *p = &r->query[r->query_count++];
			const char *equals = memchr(q, '=', len);
			size_t name_len = equals ? (size_t)(equals - q) : len;
			const char *value = equals ? equals + 1 : q + len;
			if (!request_decode(r, q, name_len, true, &p->name) ||
			    !request_decode(r, value, (size_t)(q + len - value), true, &p->value)) {
				*ret_why = "the query has a '%' without two hexadecimal digits behind it";
				return 400;
			}
		}
		q += len;
		q += *q == '&';
	}
	return 0;
}

/* Origin-form, or absolute-form (RFC 9112, 3.2), of which scheme and host are passed over. */
const char *request_raw_path(const struct http_request *r, size_t *ret_len)
{
	const char *path = r->target;
	size_t scheme = strncasecmp(path, "http://", 7) == 0 ? 7 : strncasecmp(path, "https://", 8) == 0 ? 8 : 0;
	if (scheme > 0) {
		path += scheme;
		path += strcspn(path, "/?#");
	}
	*ret_len = strcspn(path, "?#");
	return path;
}

unsigned request_parse(struct http_request *r, const char **ret_why)
{
	size_t len = strlen(r->target);
	if (len > HTTP_URI_MAX) {
		*ret_why = "the address is too long";
		return 414;
	}
	/* The path is decoded whole, by segments, and its rest for {name*}; each text has a NUL. */
	r->arena = BUF_INIT(3 * len + 2 * HTTP_QUERY_MAX + HTTP_SEGMENTS_MAX + 3);
	if (!buf_reserve(&r->arena, r->arena.max)) {
		*ret_why = "not enough memory";
		return 503;
	}
	size_t path_len;
	const char *path = request_raw_path(r, &path_len);
	if (!request_decode(r, path, path_len, false, &r->path)) {
		*ret_why = "the path has a '%' without two hexadecimal digits behind it";
		return 400;
	}
	const char *query = path + path_len;
	return parse_query(r, *query == '?' ? query + 1 : "", ret_why);
}

/* --- what handlers ask ------------------------------------------------------------------------------ */

void *http_request_arg(const struct http_request *r)
{
	return r->server->config.arg;
}

const char *http_method(const struct http_request *r)
{
	return r->head ? "GET" : r->method;
}

bool http_is_head(const struct http_request *r)
{
	return r->head;
}

const char *http_raw_target(const struct http_request *r)
{
	return r->target;
}

struct http_text http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_peer(const struct http_request *r)
{
	return r->conn->peer;
}

bool http_is_tls(const struct http_request *r)
{
	return r->server->tls;
}

const struct http_route *http_request_route(const struct http_request *r)
{
	return r->route;
}

static const struct http_pair *find(const struct http_pair *pairs, unsigned count, const char *name)
{
	size_t len = strlen(name);
	for (unsigned i = 0; i < count; i++)
		if (pairs[i].name.len == len && memcmp(pairs[i].name.s, name, len) == 0)
			return &pairs[i];
	return NULL;
}

struct http_text http_param(const struct http_request *r, const char *name)
{
	const struct http_pair *p = find(r->params, r->param_count, name);
	return p ? p->value : (struct http_text){0};
}

struct http_text http_query(const struct http_request *r, const char *name)
{
	const struct http_pair *p = find(r->query, r->query_count, name);
	return p ? p->value : (struct http_text){0};
}

const char *http_header_in(const struct http_request *r, const char *name)
{
	return r->mhd ? MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name) : NULL;
}

struct http_text http_body_in(const struct http_request *r)
{
	return (struct http_text){.s = buf_str(&r->body), .len = r->body.len};
}

/* Finds a parameter that is there at most once and holds no NUL. 0 and *ret NULL: not there. */
static int query_once(const struct http_request *r, const char *name, const char **ret, struct err *e)
{
	const struct http_pair *p = find(r->query, r->query_count, name);
	if (!p) {
		*ret = NULL;
		return 0;
	}
	unsigned rest = r->query_count - (unsigned)(p - r->query) - 1;
	if (find(p + 1, rest, name))
		return err_set(e, ERR_INVALID, "http", "the parameter \"%s\" is given twice", name);
	if (strlen(p->value.s) != p->value.len)
		return err_set(e, ERR_INVALID, "http", "the parameter \"%s\" has a NUL byte inside", name);
	*ret = p->value.s;
	return 0;
}

int http_query_string(const struct http_request *r, const char *name, const char *fallback, const char **ret,
                      struct err *e)
{
	const char *s;
	int status = query_once(r, name, &s, e);
	if (status < 0)
		return status;
	*ret = s ? s : fallback;
	return 0;
}

static bool parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*ret = v;
	return v <= max;
}

int http_query_u64(const struct http_request *r, const char *name, uint64_t fallback, uint64_t max, uint64_t *ret,
                   struct err *e)
{
	const char *s;
	int status = query_once(r, name, &s, e);
	if (status < 0)
		return status;
	uint64_t v = fallback;
	if (s && !parse_u64(s, max, &v))
		return err_set(e, ERR_INVALID, "http",
		               "the parameter \"%s\" must be a whole number from 0 to %" PRIu64, name, max);
	*ret = v;
	return 0;
}

int http_query_bool(const struct http_request *r, const char *name, bool fallback, bool *ret, struct err *e)
{
	const char *s;
	int status = query_once(r, name, &s, e);
	if (status < 0)
		return status;
	bool yes = s && (strcmp(s, "true") == 0 || strcmp(s, "1") == 0);
	bool no = s && (strcmp(s, "false") == 0 || strcmp(s, "0") == 0);
	if (s && !yes && !no)
		return err_set(e, ERR_INVALID, "http", "the parameter \"%s\" must be true or false", name);
	*ret = s ? yes : fallback;
	return 0;
}

int http_param_string(const struct http_request *r, const char *name, const char **ret, struct err *e)
{
	struct http_text t = http_param(r, name);
	if (!t.s)
		return err_set(e, ERR_INTERNAL, "http", "this route has no parameter \"%s\"", name);
	if (strlen(t.s) != t.len)
		return err_set(e, ERR_INVALID, "http", "the address has a NUL byte in \"%s\"", name);
	*ret = t.s;
	return 0;
}

void http_request_set_user(struct http_request *r, void *user, void (*free_fn)(void *))
{
	if (r->user && r->user_free)
		r->user_free(r->user);
	r->user = user;
	r->user_free = free_fn;
}

void *http_request_user(const struct http_request *r)
{
	return r->user;
}
