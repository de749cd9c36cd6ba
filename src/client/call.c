#include "client/call.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	CONNECT_S = 15,
	STALL_S = 300,                   /* a body without one byte for so long has broken off */
	ERROR_BODY_MAX = 64 << 10,
	HEADER_MAX = LOCATE_TOKEN_MAX + 32,
};

struct client {
	CURL *curl;
	struct location at;
	char *cacert;
	char reason[CURL_ERROR_SIZE];
};

/* A call under way. */
struct state {
	const struct call *call;
	struct call_head head;
	struct buf body;                 /* of an error, or of an answer to be parsed */
	struct err *e;
	bool sunk;                       /* the sink said no */
};

/* --- the head ------------------------------------------------------------------------------------- */

/* The value where the line is that header, without blanks around it; *ret_len its length. */
static const char *header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);
	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	const char *s = line + n + 1, *end = line + len;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	while (end > s && strchr(" \t\r\n", end[-1]))
		end--;
	*ret_len = (size_t)(end - s);
	return s;
}

static void take_range(struct call_head *h, const char *s, size_t len)
{
	char text[96];
	uint64_t last;
	if (len >= sizeof(text))
		return;
	memcpy(text, s, len);
	text[len] = '\0';
	h->has_range =
	        sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &h->range_first, &last, &h->range_total) == 3 &&
	        last >= h->range_first && h->range_total > last;
}

static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
	struct state *st = arg;
	struct call_head *h = &st->head;
	size_t n;
	const char *v;
	(void)one;
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
		const char *blank = memchr(line, ' ', len);
		*h = (struct call_head){.status = blank ? strtol(blank, NULL, 10) : 0};
	} else if ((v = header_value(line, len, "etag", &n)) && n < sizeof(h->etag)) {
		memcpy(h->etag, v, n);
		h->etag[n] = '\0';
	} else if ((v = header_value(line, len, "content-length", &n)) && n > 0 && n < 20) {
		h->has_length = true;
		h->length = strtoull(v, NULL, 10);
	} else if ((v = header_value(line, len, "transfer-encoding", &n))) {
		h->chunked = n == 7 && strncasecmp(v, "chunked", n) == 0;
	} else if ((v = header_value(line, len, "content-range", &n))) {
		take_range(h, v, n);
	}
	return len;
}

static bool is_success(const struct call_head *h)
{
	return h->status >= 200 && h->status <= 299;
}

static size_t on_body(char *p, size_t one, size_t len, void *arg)
{
	struct state *st = arg;
	(void)one;
	if (is_success(&st->head) && st->call->sink) {
		st->sunk = st->call->sink(st->call->arg, &st->head, p, len, st->e) < 0;
		return st->sunk ? 0 : len;
	}
	/* What is too long for an error's explanation is no explanation of ours; the status still tells. */
	if (!is_success(&st->head) && st->body.len + len > ERROR_BODY_MAX)
		return len;
	buf_add(&st->body, p, len);
	return st->body.failed ? 0 : len;
}

/* --- errors --------------------------------------------------------------------------------------- */

static int transport_error(const struct client *c, CURLcode code, struct err *e)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return err_set(e, ERR_IO, "client", "no hub answers at %s; start sendense-hub or name it with --url",
		               c->at.url);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(e, ERR_IO, "client",
		               "the certificate of %s is not trusted (%s); --cacert FILE names its authority",
		               c->at.url, c->reason);
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, ERR_INVALID, "client", "the file %s holds no certificates", c->cacert);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, ERR_IO, "client", "%s does not answer any more", c->at.url);
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
		return err_set(e, ERR_IO, "client", "the hub broke the transfer off before its end");
	case CURLE_OUT_OF_MEMORY:
		return err_no_memory(e, "client");
	default:
		return err_set(e, ERR_IO, "client", "the hub at %s cannot be asked: %s", c->at.url,
		               c->reason[0] ? c->reason : curl_easy_strerror(code));
	}
}

static int code_of_status(long status)
{
	switch (status) {
	case 400:
		return ERR_INVALID;
	case 401:
		return ERR_UNAUTHORIZED;
	case 403:
		return ERR_FORBIDDEN;
	case 404:
		return ERR_NOT_FOUND;
	default:
		return ERR_INTERNAL;
	}
}

static int unauthorized(const struct client *c, struct err *e)
{
	if (c->at.token[0])
		return err_set(e, ERR_UNAUTHORIZED, "hub",
		               "the hub at %s does not know the token of %.200s; give --token-file", c->at.url,
		               c->at.token_from);
	return err_set(e, ERR_UNAUTHORIZED, "hub", "the hub at %s wants a token, and %.200s; give --token-file",
	               c->at.url, c->at.token_from);
}

static int answered_error(const struct client *c, const struct state *st, struct doc **ret_details, struct err *e)
{
	long status = st->head.status;
	struct err none = ERR_INIT;
	CLEANUP(doc_free_p) struct doc *d = NULL;
	if (status >= 300 && status <= 399)
		return err_set(e, ERR_IO, "client",
		               "%s answers with a redirection, which is not followed; name the hub itself with --url",
		               c->at.url);
	if (status == 401)
		return unauthorized(c, e);
	if (doc_parse(buf_str(&st->body), st->body.len, &d, &none) < 0 || !doc_text(d, "error")[0])
		return err_set(e, code_of_status(status), "hub",
		               "the answer was HTTP status %ld without an explanation: is %s a hub?", status,
		               c->at.url);
	int code = err_code_from_name(doc_text(d, "code"));
	if (code != 0)
		(void)err_set(e, code, "hub", "%s", doc_text(d, "error"));
	else
		(void)err_set(e, code_of_status(status), "hub", "%.400s (%.40s)", doc_text(d, "error"),
		              doc_text(d, "code"));
	if (ret_details)
		*ret_details = STEAL(d);
	return e->code;
}

/* --- the call ------------------------------------------------------------------------------------- */

/* True: all taken over. */
static bool set_options(struct client *c, struct state *st, const char *url, struct curl_slist *headers)
{
	CURL *h = c->curl;
	const struct call *call = st->call;
	curl_easy_reset(h);
	c->reason[0] = '\0';
	bool ok = curl_easy_setopt(h, CURLOPT_URL, url) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, c->at.tls ? "https" : "http") == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	          /* 1.1 says in its head how a body will end. */
	          curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->reason) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_HEADERDATA, st) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_WRITEDATA, st) == CURLE_OK &&
	          curl_easy_setopt(h, CURLOPT_BUFFERSIZE, 256L << 10) == CURLE_OK;
	if (ok && !c->at.tls) /* a proxy would read the token */
		ok = curl_easy_setopt(h, CURLOPT_PROXY, "") == CURLE_OK;
	if (ok && c->cacert)
		ok = curl_easy_setopt(h, CURLOPT_CAINFO, c->cacert) == CURLE_OK;
	if (ok && call->body)
		ok = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body)) == CURLE_OK &&
		     curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body) == CURLE_OK;
	/* Only what streams: a scan or a count may think for as long as it needs before it answers. */
	if (ok && call->sink)
		ok = curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
		     curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)STALL_S) == CURLE_OK;
	return ok;
}

static bool add_header(struct curl_slist **list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool add_header(struct curl_slist **list, const char *fmt, ...)
{
	char text[HEADER_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct curl_slist *more = n > 0 && n < HEADER_MAX ? curl_slist_append(*list, text) : NULL;
	explicit_bzero(text, sizeof(text));
	if (!more)
		return false;
	*list = more;
	return true;
}

static bool make_headers(const struct client *c, const struct call *call, struct curl_slist **ret)
{
	bool ok = add_header(ret, "User-Agent: sendense/" SENDENSE_VERSION) && add_header(ret, "Accept: */*") &&
	          add_header(ret, "Expect:");
	if (ok && c->at.token[0])
		ok = add_header(ret, "Authorization: Bearer %s", c->at.token);
	if (ok && call->body)
		ok = add_header(ret, "Content-Type: application/json");
	if (ok && call->from > 0)
		ok = add_header(ret, "Range: bytes=%" PRIu64 "-", call->from);
	if (ok && call->from > 0 && call->if_range)
		ok = add_header(ret, "If-Range: %s", call->if_range);
	return ok;
}

static int perform(struct client *c, struct state *st, struct err *e)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(1 << 20);
	struct curl_slist *headers = NULL;
	buf_addf(&url, "%s%s", c->at.url, st->call->path);
	int r = buf_ok(&url, "client", e);
	if (r == 0 && (!make_headers(c, st->call, &headers) || !set_options(c, st, buf_str(&url), headers)))
		r = err_no_memory(e, "client");
	CURLcode code = r == 0 ? curl_easy_perform(c->curl) : CURLE_OK;
	curl_slist_free_all(headers);
	if (r < 0 || st->sunk)
		return e->code;
	if (code != CURLE_OK && st->body.failed)
		return buf_ok(&st->body, "client", e);
	return code == CURLE_OK ? 0 : transport_error(c, code, e);
}

int client_call(struct client *c, const struct call *call, struct doc **ret_doc, struct call_head *ret_head,
                struct doc **ret_details, struct err *e)
{
	struct state st = {.call = call, .body = BUF_INIT(CALL_JSON_MAX), .e = e};
	if (ret_details)
		*ret_details = NULL;
	int r = perform(c, &st, e);
	if (r == 0 && !is_success(&st.head))
		r = answered_error(c, &st, ret_details, e);
	else if (r == 0 && !st.head.has_length && !st.head.chunked && st.head.status != 204)
		r = err_set(e, ERR_IO, "client", "the answer does not say where it ends: is %s a hub?", c->at.url);
	else if (r == 0 && ret_doc && doc_parse(buf_str(&st.body), st.body.len, ret_doc, e) < 0)
		r = err_prefix(e, "%s", c->at.url);
	if (r == 0 && ret_head)
		*ret_head = st.head;
	buf_free(&st.body);
	return r;
}

int client_get(struct client *c, const char *path, struct doc **ret, struct err *e)
{
	struct call call = {.method = "GET", .path = path};
	return client_call(c, &call, ret, NULL, NULL, e);
}

/* --- the client ----------------------------------------------------------------------------------- */

int client_open(const struct location *at, const char *cacert, struct client **ret, struct err *e)
{
	if (cacert && access(cacert, R_OK) < 0)
		return err_set_errno(e, ERR_INVALID, errno, "client", "cannot read the certificates in %s", cacert);
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, "client");
	c->at = *at;
	c->cacert = cacert ? strdup(cacert) : NULL;
	c->curl = curl_easy_init();
	if (!c->curl || (cacert && !c->cacert)) {
		client_close(c);
		return err_no_memory(e, "client");
	}
	*ret = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->cacert);
	explicit_bzero(c->at.token, sizeof(c->at.token));
	free(c);
}

const char *client_url(const struct client *c)
{
	return c->at.url;
}

/* --- URLs ----------------------------------------------------------------------------------------- */

void url_encode(struct buf *to, const char *s, size_t len, bool keep_slash)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)s[i];
		bool plain = (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || b == '-' ||
		             b == '.' || b == '_' || b == '~' || (b == '/' && keep_slash);
		if (plain)
			buf_addc(to, (char)b);
		else
			buf_addf(to, "%%%02X", b);
	}
}

void url_query(struct buf *to, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(to, "%c%s=", strchr(buf_str(to), '?') ? '&' : '?', name);
	url_encode(to, value, strlen(value), true);
}
