/* http: what a client asks of a file by headers: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, Range.
 *
 * Input: a byte for the file's size (255: the largest), a byte of flags (enum), then the headers, one a line: "Range: bytes=0-1". */
#include "headers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	NO_ETAG = 1, WEAK = 2, NO_DATE = 4, HEAD = 8,
	MODIFIED = 784111777,              /* Sun, 06 Nov 1994 08:49:37 GMT */
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void check(struct http_request *r, const struct http_entity *entity)
{
	struct http_range range;
	struct http_response *resp = &r->resp;
	bool send = http_conditional(r, resp, entity, &range);
	unsigned status = http_status_get(resp);
	expect(!resp->failed && http_header_has(resp, "ETag") == (entity->etag != NULL));
	if (!send) {
		expect(status == 304 || status == 412 || status == 416);
		return;
	}
	expect(range.off <= entity->size && range.len <= entity->size - range.off);
	expect(http_header_has(resp, "Content-Range") == (status == 206));
	if (status == 206)
		expect(!r->head && range.len > 0);
	else
		expect(status == 200 && range.off == 0 && range.len == entity->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	const struct http_entity entity = {
		.size = data[0] == 255 ? UINT64_MAX : data[0], .etag = data[1] & NO_ETAG ? NULL : "abc",
		.weak = data[1] & WEAK, .modified = data[1] & NO_DATE ? INT64_MIN : MODIFIED,
	};
	struct http_server server = {.config = {.body_max = 1}};
	struct http_request *r = request_new(&server, "/");
	char *text = malloc(size - 1);
	if (r && text) {
		memcpy(text, data + 2, size - 2);
		text[size - 2] = '\0';
		split_lines(text);
		/* Never looked into: only that there is a connection to ask. */
		r->mhd = (struct MHD_Connection *)&server;
		r->head = data[1] & HEAD;
		check(r, &entity);
	}
	free(text);
	if (r) {
		response_release(&r->resp, false);
		request_free(r);
	}
	return 0;
}
