#include "http/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void response_init(struct http_response *resp)
{
	*resp = (struct http_response){.status = 500, .buf = BUF_INIT(HTTP_BUFFER_MAX)};
}

static void close_body(struct http_response *resp, bool completed)
{
	if (resp->kind == BODY_STREAM && resp->ops->close)
		resp->ops->close(resp->arg, completed);
	buf_free(&resp->buf);
	resp->buf.max = HTTP_BUFFER_MAX;
	resp->kind = BODY_NONE;
}

void response_drop_body(struct http_response *resp)
{
	close_body(resp, false);
	resp->type = NULL;
	resp->data = NULL;
	resp->data_len = 0;
	resp->ops = NULL;
	resp->arg = NULL;
	resp->length = 0;
}

void response_release(struct http_response *resp, bool completed)
{
	close_body(resp, completed);
	for (unsigned i = 0; i < resp->header_count; i++) {
		free(resp->headers[i].name);
		free(resp->headers[i].value);
	}
	resp->header_count = 0;
}

void http_status(struct http_response *resp, unsigned status)
{
	assert(status >= 200 && status <= 599);
	if (resp->kind == BODY_NONE && resp->status == 500)
		resp->kind = BODY_BUFFER;      /* an answer without a body is an answer */
	resp->status = status;
}

unsigned http_status_get(const struct http_response *resp)
{
	return resp->status;
}

static struct http_header_out *find_header(struct http_response *resp, const char *name)
{
	for (unsigned i = 0; i < resp->header_count; i++)
		if (strcasecmp(resp->headers[i].name, name) == 0)
			return &resp->headers[i];
	return NULL;
}

bool http_header_has(const struct http_response *resp, const char *name)
{
	return find_header((struct http_response *)resp, name);
}

void http_header(struct http_response *resp, const char *name, const char *value)
{
	for (const char *p = value; *p; p++)
		assert(((unsigned char)*p >= ' ' || *p == '\t') && *p != 0x7f);
	char *copy = strdup(value);
	struct http_header_out *h = find_header(resp, name);
	if (h && copy) {
		free(h->value);
		h->value = copy;
		return;
	}
	char *name_copy = h ? NULL : strdup(name);
	if (!copy || !name_copy) {
		free(copy);
		free(name_copy);
		resp->failed = true;
		return;
	}
	assert(resp->header_count < HTTP_HEADERS_MAX);
	resp->headers[resp->header_count++] = (struct http_header_out){.name = name_copy, .value = copy};
}

void http_headerf(struct http_response *resp, const char *name, const char *fmt, ...)
{
	char *value = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0) {
		resp->failed = true;
		return;
	}
	http_header(resp, name, value);
	free(value);
}

struct buf *http_body(struct http_response *resp, unsigned status, const char *type)
{
	response_drop_body(resp);
	resp->kind = BODY_BUFFER;
	resp->status = status;
	resp->type = type;
	return &resp->buf;
}

struct json *http_json(struct http_response *resp, unsigned status)
{
	resp->json = json_init(http_body(resp, status, "application/json"));
	return &resp->json;
}

void http_body_static(struct http_response *resp, unsigned status, const char *type, const void *data, size_t len)
{
	response_drop_body(resp);
	resp->kind = BODY_STATIC;
	resp->status = status;
	resp->type = type;
	resp->data = data;
	resp->data_len = len;
}

void http_body_stream(struct http_response *resp, unsigned status, const char *type, const struct http_body_ops *ops,
                      void *arg, uint64_t length)
{
	response_drop_body(resp);
	resp->kind = BODY_STREAM;
	resp->status = status;
	resp->type = type;
	resp->ops = ops;
	resp->arg = arg;
	resp->length = length;
}

static void remove_header(struct http_response *resp, const char *name)
{
	struct http_header_out *h = find_header(resp, name);
	if (!h)
		return;
	free(h->name);
	free(h->value);
	*h = resp->headers[--resp->header_count];
}

struct json *http_error_begin(struct http_response *resp, unsigned status, const char *code, const char *message)
{
	/* The file's name is not the error's: a client would save the one as the other. */
	remove_header(resp, "Content-Disposition");
	struct json *j = http_json(resp, status);
	json_object(j);
	json_key_string(j, "error", message);
	json_key_string(j, "code", code);
	json_key(j, "details");
	json_object(j);
	return j;
}

void http_error_end(struct http_response *resp)
{
	json_object_end(&resp->json);
	json_object_end(&resp->json);
}

void http_error(struct http_response *resp, unsigned status, const char *code, const char *fmt, ...)
{
	char message[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	(void)http_error_begin(resp, status, code, message);
	http_error_end(resp);
}
