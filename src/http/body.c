#include "http/internal.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

static void wake_request(void *request)
{
	request_wake(request);
}

/* Suspends first, then asks to be woken: a wake that comes at once, from any thread, finds the connection suspended. */
static ssize_t wait_for_body(struct http_request *r)
{
	struct http_response *resp = &r->resp;
	assert(resp->ops->wait && "a body that waits can say when it goes on");
	MHD_suspend_connection(r->mhd);
	atomic_store(&r->suspended_at, clock_mono_ms());
	atomic_store(&r->suspended, true);
	/* Whoever sets one of these later finds `suspended` set. */
	if (atomic_load(&r->server->aborting) || atomic_load(&r->gone))
		request_wake(r);
	else
		resp->ops->wait(resp->arg, wake_request, r);
	return 0;
}

/* The last byte of a body with a length: handed out when read has said that this was all. */
static ssize_t read_end(struct http_request *r, char *to)
{
	struct http_response *resp = &r->resp;
	char extra;
	ssize_t n = resp->ops->read(resp->arg, &extra, 1);
	if (n == HTTP_BODY_WAIT)
		return wait_for_body(r);
	if (n != 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	resp->ended = true;
	resp->held = false;
	resp->sent++;
	*to = (char)resp->held_byte;
	return 1;
}

/* A network thread serves its connections in turn: what waits behind sixty downloads waits for a piece of each. */
static size_t piece_max(struct http_server *s)
{
	size_t of_a_thread = atomic_load_explicit(&s->streams, memory_order_relaxed) / s->config.threads + 1;
	size_t share = STREAM_ROUND / of_a_thread;
	return share < STREAM_PIECE_MIN ? STREAM_PIECE_MIN : share > STREAM_BLOCK ? STREAM_BLOCK : share;
}

static ssize_t read_body(void *cls, uint64_t pos, char *to, size_t max)
{
	struct http_request *r = cls;
	struct http_response *resp = &r->resp;
	bool known = resp->length != HTTP_LENGTH_UNKNOWN;
	(void)pos;
	if (atomic_load(&r->server->aborting) || atomic_load(&r->gone))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (resp->held)
		return read_end(r, to);

	max = min_size(max, piece_max(r->server));
	if (known && max > resp->length - resp->sent)
		max = (size_t)(resp->length - resp->sent);
	ssize_t n = resp->ops->read(resp->arg, to, max);
	if (n == HTTP_BODY_WAIT)
		return wait_for_body(r);
	if (n == 0 && !known) {
		resp->ended = true;
		return MHD_CONTENT_READER_END_OF_STREAM;
	}
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	assert((size_t)n <= max);
	if (known && resp->sent + (uint64_t)n == resp->length) {
		resp->held_byte = (uint8_t)to[n - 1];
		resp->held = true;
		n--;
	}
	resp->sent += (uint64_t)n;
	return n > 0 ? n : read_end(r, to);
}

static struct MHD_Response *make_stream(struct http_request *r)
{
	struct http_response *resp = &r->resp;
	uint64_t size = resp->length == HTTP_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : resp->length;
	size_t block = resp->length < STREAM_BLOCK ? (size_t)resp->length + 1 : STREAM_BLOCK;
	return MHD_create_response_from_callback(size, block, read_body, r, NULL);
}

static ssize_t read_nothing(void *arg, uint64_t pos, char *to, size_t max)
{
	(void)arg;
	(void)pos;
	(void)to;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct http_request *r)
{
	struct http_response *resp = &r->resp;
	size_t len;
	char *data;
	/* RFC 9110, 8.6: a Content-Length here is that of the entity the client has, not 0. The library sends no body. */
	if (resp->status == 304)
		return MHD_create_response_from_callback(resp->length, 1, read_nothing, NULL, NULL);
	switch (resp->kind) {
	case BODY_STREAM:
		return make_stream(r);
	case BODY_STATIC:
		resp->sent = resp->data_len;
		return MHD_create_response_from_buffer(resp->data_len, (void *)resp->data, MHD_RESPMEM_PERSISTENT);
	case BODY_BUFFER:
		resp->sent = len = resp->buf.len;
		data = buf_detach(&resp->buf);
		if (!data)
			return NULL;
		struct MHD_Response *m = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
		if (!m)
			free(data);
		return m;
	case BODY_NONE:
		break;
	}
	return NULL;
}

/* A response that cannot be sent as it is becomes an error. */
static void check_response(struct http_request *r)
{
	struct http_response *resp = &r->resp;
	struct err e = ERR_INIT;
	if (resp->kind == BODY_NONE)
		http_error(resp, 500, "INTERNAL", "the hub made no answer to this request");
	else if (resp->kind == BODY_BUFFER && buf_ok(&resp->buf, "http", &e) < 0)
		http_error(resp, 500, err_code_name(e.code), "the answer could not be made: %s", e.msg);
	else if (resp->kind == BODY_STREAM && resp->length == HTTP_LENGTH_UNKNOWN && r->http10 && !r->head)
		http_error(resp, 505, "HTTP_VERSION",
		           "the end of this stream cannot be told to an HTTP/1.0 client; use HTTP/1.1");
	else if (resp->failed)
		http_error(resp, 503, err_code_name(ERR_NO_MEMORY), "not enough memory");
}

enum MHD_Result response_queue(struct http_request *r)
{
	struct http_response *resp = &r->resp;
	check_response(r);
	struct MHD_Response *m = make_response(r);
	if (!m)
		return MHD_NO;
	bool ok = true;
	if (resp->type)
		ok = MHD_add_response_header(m, "Content-Type", resp->type) == MHD_YES;
	for (unsigned i = 0; ok && i < resp->header_count; i++)
		ok = MHD_add_response_header(m, resp->headers[i].name, resp->headers[i].value) == MHD_YES;
	atomic_store(&r->stage, STAGE_SENDING);
	/* Until the request completes, whatever becomes of it. */
	r->streams = resp->kind == BODY_STREAM;
	if (r->streams)
		atomic_fetch_add_explicit(&r->server->streams, 1, memory_order_relaxed);
	if (ok)
		ok = MHD_queue_response(r->mhd, resp->status, m) == MHD_YES;
	MHD_destroy_response(m);
	return ok ? MHD_YES : MHD_NO;
}
