/* Conditional and range requests: RFC 9110, sections 13 and 14. */
#include "http/internal.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t");
}

bool http_etag_matches(const char *list, const struct http_entity *entity, bool strong)
{
	const char *p = skip_blank(list);
	if (p[0] == '*' && *skip_blank(p + 1) == '\0')
		return true;
	if (!entity->etag)
		return false;
	size_t want = strlen(entity->etag);
	bool found = false;
	while (*p) {
		bool weak = p[0] == 'W' && p[1] == '/';
		p += weak ? 2 : 0;
		if (*p != '"')
			return false;
		const char *end = strchr(p + 1, '"');
		if (!end)
			return false;
		bool same = (size_t)(end - p - 1) == want && memcmp(p + 1, entity->etag, want) == 0;
		found |= same && !(strong && (weak || entity->weak));
		p = skip_blank(end + 1);
		if (*p != ',' && *p)
			return false;
		while (*p == ',')
			p = skip_blank(p + 1);
	}
	return found;
}

/* Digits at *p as a number, UINT64_MAX when it is larger; false where there is none. */
static bool take_number(const char **p, uint64_t *ret)
{
	if (**p < '0' || **p > '9')
		return false;
	uint64_t v = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
			v = UINT64_MAX / 10;     /* stays past every file; the next digit overflows again */
	*ret = v;
	return true;
}

enum http_range_kind http_range_parse(const char *header, uint64_t size, struct http_range *ret)
{
	if (strncasecmp(header, "bytes=", 6) != 0)
		return HTTP_RANGE_NONE;
	const char *p = skip_blank(header + 6);
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first = take_number(&p, &first);
	if (*p++ != '-')
		return HTTP_RANGE_NONE;
	bool has_last = take_number(&p, &last);
	if ((!has_first && !has_last) || *skip_blank(p) || (has_first && has_last && last < first))
		return HTTP_RANGE_NONE;

	if (!has_first) {
		/* The last so many bytes; none can be had of an empty file, and none asked for is none. */
		if (last == 0 || size == 0)
			return HTTP_RANGE_UNSATISFIABLE;
		uint64_t len = last < size ? last : size;
		*ret = (struct http_range){.off = size - len, .len = len};
		return HTTP_RANGE_ONE;
	}
	if (first >= size)
		return HTTP_RANGE_UNSATISFIABLE;
	if (!has_last || last >= size)
		last = size - 1;
	*ret = (struct http_range){.off = first, .len = last - first + 1};
	return HTTP_RANGE_ONE;
}

static bool header_date(const struct http_request *r, const char *name, int64_t *ret)
{
	const char *text = http_header_in(r, name);
	return text && clock_http_parse(text, strlen(text), ret);
}

/* Failing If-Match or If-Unmodified-Since. */
static bool precondition_fails(const struct http_request *r, const struct http_entity *entity)
{
	const char *match = http_header_in(r, "If-Match");
	int64_t date;
	if (match)
		return !http_etag_matches(match, entity, true);
	return header_date(r, "If-Unmodified-Since", &date) && entity->modified != INT64_MIN && entity->modified > date;
}

static bool not_modified(const struct http_request *r, const struct http_entity *entity)
{
	const char *none = http_header_in(r, "If-None-Match");
	int64_t date;
	if (none)
		return http_etag_matches(none, entity, false);
	return header_date(r, "If-Modified-Since", &date) && entity->modified != INT64_MIN && entity->modified <= date;
}

/* Whether the client's part is of this version: If-Range is absent, or exactly our strong tag or our date. */
static bool range_applies(const struct http_request *r, const struct http_entity *entity)
{
	const char *text = http_header_in(r, "If-Range");
	if (!text)
		return true;
	int64_t date;
	if (*skip_blank(text) == '"' || *skip_blank(text) == 'W')
		return http_etag_matches(text, entity, true);
	return header_date(r, "If-Range", &date) && entity->modified != INT64_MIN && entity->modified == date;
}

static void set_validators(struct http_response *resp, const struct http_entity *entity)
{
	char date[CLOCK_HTTP_MAX];
	if (entity->etag)
		http_headerf(resp, "ETag", "%s\"%s\"", entity->weak ? "W/" : "", entity->etag);
	if (entity->modified != INT64_MIN && clock_http(date, entity->modified) > 0)
		http_header(resp, "Last-Modified", date);
	http_header(resp, "Accept-Ranges", "bytes");
}

bool http_conditional(const struct http_request *r, struct http_response *resp, const struct http_entity *entity,
                      struct http_range *ret)
{
	set_validators(resp, entity);
	if (precondition_fails(r, entity)) {
		http_error(resp, 412, "PRECONDITION_FAILED", "the file is not the version this request asks for");
		return false;
	}
	if (not_modified(r, entity)) {
		response_drop_body(resp);
		http_status(resp, 304);
		resp->kind = BODY_BUFFER;
		resp->length = entity->size;
		return false;
	}
	struct http_range range = {.off = 0, .len = entity->size};
	enum http_range_kind kind = HTTP_RANGE_NONE;
	const char *text = http_header_in(r, "Range");
	/* RFC 9110, 14.2: Range is defined for GET alone. */
	if (text && !r->head && range_applies(r, entity))
		kind = http_range_parse(text, entity->size, &range);
	if (kind == HTTP_RANGE_UNSATISFIABLE) {
		http_error(resp, 416, "RANGE_NOT_SATISFIABLE",
		           "the file has %" PRIu64 " bytes; the range asked for lies behind its end", entity->size);
		http_headerf(resp, "Content-Range", "bytes */%" PRIu64, entity->size);
		return false;
	}
	if (kind == HTTP_RANGE_ONE)
		http_headerf(resp, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.off,
		             range.off + range.len - 1, entity->size);
	http_status(resp, kind == HTTP_RANGE_ONE ? 206 : 200);
	*ret = range;
	return true;
}
