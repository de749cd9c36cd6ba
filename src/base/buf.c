#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void *buf_reserve(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->max - b->len)
		goto fail;
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < b->len + n + 1)
			cap += cap / 2;
		uint8_t *data = realloc(b->data, cap);
		if (!data)
			goto fail;
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
fail:
	b->failed = true;
	return NULL;
}

void buf_filled(struct buf *b, size_t n)
{
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t len)
{
	uint8_t *to = buf_reserve(b, len);
	if (!to)
		return;
	if (len)
		memcpy(to, p, len);
	buf_filled(b, len);
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0) {
		b->failed = true;
	} else {
		char *to = buf_reserve(b, (size_t)n);
		if (to) {
			(void)vsnprintf(to, (size_t)n + 1, fmt, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

const char *buf_str(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

int buf_ok(const struct buf *b, const char *module, struct err *e)
{
	if (!b->failed)
		return 0;
	if (b->len >= b->max / 2)
		return err_set(e, ERR_LIMIT, module, "a message grew past its limit of %zu bytes", b->max);
	return err_no_memory(e, module);
}

char *buf_detach(struct buf *b)
{
	if (b->failed)
		return NULL;
	if (!b->data && !buf_reserve(b, 0))
		return NULL;
	b->data[b->len] = '\0';
	char *data = (char *)b->data;
	*b = BUF_INIT(b->max);
	return data;
}
