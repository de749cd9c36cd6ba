#include "http/internal.h"

#include <stdio.h>
#include <string.h>

enum part_kind { PART_REST, PART_PARAM, PART_LITERAL };      /* a later one wins */

struct part {
	enum part_kind kind;
	const char *s;               /* the literal, or the name */
	size_t len;
};

struct segments {
	struct http_text text[HTTP_SEGMENTS_MAX];
	const char *raw[HTTP_SEGMENTS_MAX];        /* where each begins in the target */
	unsigned count;
	bool more;                                 /* there are further ones, which only {name*} can take */
};

/* The next part of a pattern; false at its end. */
static bool next_part(const char **pattern, struct part *ret)
{
	if (**pattern != '/')
		return false;
	const char *s = *pattern + 1;
	size_t len = strcspn(s, "/");
	*pattern = s + len;
	if (len > 2 && s[0] == '{' && s[len - 1] == '}') {
		bool rest = s[len - 2] == '*';
		*ret = (struct part){.kind = rest ? PART_REST : PART_PARAM, .s = s + 1, .len = len - (rest ? 3 : 2)};
	} else {
		*ret = (struct part){.kind = PART_LITERAL, .s = s, .len = len};
	}
	return true;
}

static bool matches(const char *pattern, const struct segments *segs)
{
	struct part part;
	unsigned i = 0;
	for (; next_part(&pattern, &part); i++) {
		if (part.kind == PART_REST)
			return true;
		if (i == segs->count)
			return false;
		const struct http_text *t = &segs->text[i];
		if (part.kind == PART_PARAM ? t->len == 0 : t->len != part.len || memcmp(t->s, part.s, part.len) != 0)
			return false;
	}
	return i == segs->count && !segs->more;
}

/* Whether pattern a is to be preferred to b, both matching. */
static bool better(const char *a, const char *b)
{
	struct part pa, pb;
	for (;;) {
		bool more_a = next_part(&a, &pa), more_b = next_part(&b, &pb);
		if (!more_a || !more_b)
			return more_b;       /* only {name*} can be the one more */
		if (pa.kind != pb.kind)
			return pa.kind > pb.kind;
	}
}

static bool split_path(struct http_request *r, struct segments *segs)
{
	size_t len;
	const char *p = request_raw_path(r, &len);
	const char *end = p + len;
	segs->count = 0;
	segs->more = false;
	while (p < end && *p == '/') {
		p++;
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);
		if (segs->count == HTTP_SEGMENTS_MAX) {
			/* The whole path was decoded when the request was parsed. */
			segs->more = true;
			return true;
		}
		segs->raw[segs->count] = p;
		if (!request_decode(r, p, n, false, &segs->text[segs->count]))
			return false;
		segs->count++;
		p += n;
	}
	return p == end && segs->count > 0;
}

static void set_params(struct http_request *r, const struct segments *segs)
{
	const char *pattern = r->route->pattern;
	struct part part;
	for (unsigned i = 0; next_part(&pattern, &part); i++) {
		if (part.kind == PART_LITERAL || r->param_count == HTTP_PARAMS_MAX)
			continue;
		struct http_pair *p = &r->params[r->param_count++];
		p->name = (struct http_text){.s = part.s, .len = part.len};
		if (part.kind == PART_PARAM) {
			p->value = segs->text[i];
			continue;
		}
		p->value = (struct http_text){.s = "", .len = 0};
		if (i < segs->count) {
			size_t len;
			const char *path = request_raw_path(r, &len);
			/* It was decoded before, in parts. */
			(void)request_decode(r, segs->raw[i], (size_t)(path + len - segs->raw[i]), false, &p->value);
		}
	}
}

/* The Allow header of a path: each method once. GET brings HEAD. */
static void allow_header(const struct http_request *r, const struct segments *segs, const char *pattern, char *to,
                         size_t max)
{
	size_t at = (size_t)snprintf(to, max, "OPTIONS");
	const struct http_config *c = &r->server->config;
	for (size_t i = 0; i < c->route_count; i++) {
		const struct http_route *route = &c->routes[i];
		/* Only patterns as good as the best: of "/a/b" the methods of "/a/{x}" are none. */
		if (!matches(route->pattern, segs) || better(pattern, route->pattern))
			continue;
		bool get = strcmp(route->method, "GET") == 0;
		int n = snprintf(to + at, max - at, ", %s%s", route->method, get ? ", HEAD" : "");
		if (n < 0 || (size_t)n >= max - at)
			break;
		at += (size_t)n;
	}
}

bool route_request(struct http_request *r)
{
	const struct http_config *c = &r->server->config;
	struct segments segs;
	const struct http_route *best = NULL, *right = NULL;
	if (split_path(r, &segs)) {
		for (size_t i = 0; i < c->route_count; i++)
			if (matches(c->routes[i].pattern, &segs) &&
			    (!best || better(c->routes[i].pattern, best->pattern)))
				best = &c->routes[i];
	}
	if (!best) {
		http_error(&r->resp, 404, "ROUTE_NOT_FOUND", "there is nothing at this address");
		return false;
	}
	for (size_t i = 0; i < c->route_count && !right; i++)
		if (strcmp(c->routes[i].method, http_method(r)) == 0 && matches(c->routes[i].pattern, &segs) &&
		    !better(best->pattern, c->routes[i].pattern))
			right = &c->routes[i];
	if (!right) {
		char allow[256];
		allow_header(r, &segs, best->pattern, allow, sizeof(allow));
		if (strcmp(r->method, "OPTIONS") == 0)
			http_status(&r->resp, 204);
		else
			http_error(&r->resp, 405, "METHOD_NOT_ALLOWED", "this address does not take that method");
		http_header(&r->resp, "Allow", allow);
		return false;
	}
	r->route = right;
	set_params(r, &segs);
	return true;
}
