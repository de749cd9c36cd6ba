/* http: request targets and routes, percent-decoding, names, ranges, entity tags, dates, Content-Disposition. The first byte chooses; for some the second is
 * an option. What is encoded must decode to the same, and a range must lie inside the file. */
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "http/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUF_MAX = 1 << 20 };

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void same(const struct buf *b, const void *data, size_t len)
{
	expect(!b->failed && b->len == len && (len == 0 || memcmp(b->data, data, len) == 0));
}

static void fuzz_percent(const char *text, size_t len, bool plus)
{
	struct buf decoded = BUF_INIT(BUF_MAX), encoded = BUF_INIT(BUF_MAX), again = BUF_INIT(BUF_MAX);
	if (http_percent_decode(&decoded, text, len, plus)) {
		expect(decoded.len <= len);
		http_percent_encode(&encoded, buf_str(&decoded), decoded.len, "/");
		expect(http_percent_decode(&again, buf_str(&encoded), encoded.len, plus));
		same(&again, buf_str(&decoded), decoded.len);
	}
	buf_free(&decoded);
	buf_free(&encoded);
	buf_free(&again);
}

static void fuzz_name(const char *text, size_t len)
{
	struct buf shown = BUF_INIT(BUF_MAX), back = BUF_INIT(BUF_MAX), out = BUF_INIT(BUF_MAX);
	name_escape(&shown, text, len);
	expect(utf8_valid(buf_str(&shown), shown.len));
	name_unescape(&back, buf_str(&shown), shown.len);
	same(&back, text, len);
	struct json j = json_init(&out);
	json_name(&j, text, len);
	expect(json_done(&j) && utf8_valid(buf_str(&out), out.len));
	for (size_t i = 0; i < out.len; i++)
		expect(out.data[i] >= 0x20);
	buf_free(&shown);
	buf_free(&back);
	buf_free(&out);
}

static void fuzz_range(const char *text, uint64_t file_size)
{
	struct http_range r;
	if (http_range_parse(text, file_size, &r) == HTTP_RANGE_ONE)
		expect(r.len > 0 && r.off < file_size && r.len <= file_size - r.off);
}

static void fuzz_etag(const char *text)
{
	const struct http_entity strong = {.etag = "abc"}, weak = {.etag = "abc", .weak = true}, none = {0};
	/* What matches strongly matches weakly. */
	expect(!http_etag_matches(text, &strong, true) || http_etag_matches(text, &strong, false));
	(void)http_etag_matches(text, &weak, true);
	(void)http_etag_matches(text, &none, false);
}

static void fuzz_disposition(const char *text, size_t len)
{
	struct buf b = BUF_INIT(BUF_MAX);
	http_disposition_format(&b, "attachment", text, len);
	unsigned quotes = 0;
	for (size_t i = 0; i < b.len; i++) {
		expect(b.data[i] >= ' ' && b.data[i] < 0x7f);
		quotes += b.data[i] == '"';
	}
	expect(!b.failed && quotes == 2);
	buf_free(&b);
}

static void fuzz_dates(const char *text, size_t len)
{
	int64_t sec, again;
	uint32_t nsec;
	char shown[CLOCK_RFC3339_MAX], http[CLOCK_HTTP_MAX];
	if (clock_rfc3339_parse(text, len, &sec, &nsec) && clock_rfc3339(shown, sec, nsec) > 0)
		expect(clock_rfc3339_parse(shown, strlen(shown), &again, NULL) && again == sec);
	if (clock_http_parse(text, len, &sec) && clock_http(http, sec) > 0)
		expect(clock_http_parse(http, strlen(http), &again) && again == sec);
}

static void no_handler(struct http_request *req, struct http_response *resp)
{
	(void)req;
	(void)resp;
}

static void check_text(const struct http_request *r, struct http_text t)
{
	if (t.s)
		expect(t.s[t.len] == '\0' && t.len <= strlen(r->target));
}

/* What handlers ask of a query: one answer a name, of its kind and within its bound. */
static void check_query(const struct http_request *r)
{
	struct err e = ERR_INIT;
	const char *s;
	uint64_t n;
	bool yes;
	if (http_query_string(r, "s", "none", &s, &e) == 0)
		expect(strcmp(s, "none") == 0 || strlen(s) == http_query(r, "s").len);
	err_clear(&e);
	if (http_query_u64(r, "n", 7, 1000, &n, &e) == 0)
		expect(n <= 1000);
	err_clear(&e);
	if (http_query_bool(r, "b", true, &yes, &e) == 0)
		expect(yes || http_query(r, "b").len > 0);
}

static void check_params(const struct http_request *r)
{
	struct err e = ERR_INIT;
	const char *s;
	check_text(r, http_param(r, "id"));
	check_text(r, http_param(r, "rest"));
	if (http_param_string(r, "id", &s, &e) == 0)
		expect(strlen(s) == http_param(r, "id").len);
}

static void fuzz_target(const char *text)
{
	static const struct http_route routes[] = {
		{"GET", "/a/{id}/b", no_handler, 0}, {"GET", "/a/c/b", no_handler, 0}, {"POST", "/a/c", no_handler, 0},
		{"GET", "/a/{rest*}", no_handler, 0}, {"GET", "/{x}/{y}/{rest*}", no_handler, 0},
	};
	struct http_server server = {.config = {.routes = routes, .route_count = 5, .body_max = 1}};
	struct http_request *r = request_new(&server, text);
	const char *why;
	if (!r)
		return;
	strcpy(r->method, "GET");
	if (request_parse(r, &why) == 0) {
		check_text(r, http_path(r));
		for (unsigned i = 0; i < r->query_count; i++) {
			check_text(r, r->query[i].name);
			check_text(r, r->query[i].value);
		}
		if (route_request(r)) {
			expect(r->route && r->param_count <= 3);
			check_params(r);
		}
		check_query(r);
		/* All text fitted what was reserved for it. */
		expect(!r->arena.failed);
	}
	response_release(&r->resp, false);
	request_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	uint8_t kind = data[0], option = data[1];
	size_t len = size - 2;
	/* NUL-terminated, in a block of its own size: headers are C strings. */
	char *text = malloc(len + 1);
	if (!text)
		return 0;
	memcpy(text, data + 2, len);
	text[len] = '\0';
	switch (kind % 7) {
	case 0:
		fuzz_percent(text, len, option & 1);
		break;
	case 1:
		fuzz_name(text, len);
		break;
	case 2:
		fuzz_range(text, option == 255 ? UINT64_MAX : option);
		break;
	case 3:
		fuzz_etag(text);
		break;
	case 4:
		fuzz_disposition(text, len);
		break;
	case 5:
		fuzz_target(text);
		break;
	default:
		fuzz_dates(text, len);
		break;
	}
	free(text);
	return 0;
}
