/* The web page: its files, and for each of its addresses the same index.html. */
#include "api/api.h"

#include <string.h>

/* Nothing from elsewhere, and no script or style that is not a file of the page. */
#define PAGE_CSP                                                                                                       \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "             \
	"font-src 'self'; connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; "                 \
	"form-action 'none'; frame-ancestors 'none'"

static void no_page(struct http_response *resp)
{
	static const char text[] =
		"This is a Sendense hub. Its web page is not built.\n"
		"\n"
		"In the source folder run \"make web\" (it needs Node.js 18 or newer and npm), then start the hub again.\n"
		"The API is below /api/v1 and works without the page.\n";
	http_body_static(resp, 503, "text/plain; charset=utf-8", text, sizeof(text) - 1);
}

static void send_file(const struct http_request *req, struct http_response *resp, const struct web_file *f)
{
	const struct http_entity entity = {.size = f->len, .etag = f->etag, .modified = INT64_MIN};
	struct http_range range;
	http_header(resp, "Content-Security-Policy", PAGE_CSP);
	http_header(resp, "X-Frame-Options", "DENY");
	http_header(resp, "Cross-Origin-Opener-Policy", "same-origin");
	http_header(resp, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
	http_header(resp, "Cache-Control", f->hashed ? "public, max-age=31536000, immutable" : "no-cache");
	if (http_conditional(req, resp, &entity, &range))
		http_body_static(resp, http_status_get(resp), f->type, (const char *)f->data + range.off, range.len);
}

static const struct web *web_of(const struct http_request *req)
{
	return ((const struct api *)http_request_arg(req))->web;
}

void api_page(struct http_request *req, struct http_response *resp)
{
	const struct web *w = web_of(req);
	if (w)
		send_file(req, resp, web_find(w, "index.html", 10));
	else
		no_page(resp);
}

void api_page_file(struct http_request *req, struct http_response *resp)
{
	const struct web *w = web_of(req);
	struct http_text path = http_path(req);
	const struct web_file *f = w && path.len > 1 ? web_find(w, path.s + 1, path.len - 1) : NULL;
	if (f)
		send_file(req, resp, f);
	else
		http_error(resp, 404, "NOT_FOUND", "the web page has no such file");
}
