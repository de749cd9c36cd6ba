#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int least = LOG_INFO;
static atomic_int log_fd = 2;

struct line {
	char text[LOG_LINE_MAX];
	size_t len;
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least, memory_order_relaxed);
}

void log_set_fd(int fd)
{
	atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

bool log_level_from_name(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	return false;
}

/* One byte is kept for the newline. */
static void add(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof(l->text) - 1 - l->len;
	if (n > room)
		n = room;
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

static void add_text(struct line *l, const char *s)
{
	add(l, s, strlen(s));
}

static bool is_bare(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static void add_value(struct line *l, const char *s)
{
	if (is_bare(s)) {
		add_text(l, s);
		return;
	}
	add(l, "\"", 1);
	const uint8_t *p = (const uint8_t *)s;
	size_t left = strlen(s);
	while (left > 0) {
		unsigned n = utf8_sequence(p, left);
		char hex[8];
		/* C1 controls (U+0080 … U+009F) can drive a terminal, as C0 can. */
		if (n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)) {
			(void)snprintf(hex, sizeof(hex), "\\x%02x", *p);
			add(l, *p == '\n' ? "\\n" : hex, *p == '\n' ? 2 : 4);
			n = 1;
		} else {
			if (*p == '"' || *p == '\\')
				add(l, "\\", 1);
			add(l, (const char *)p, n);
		}
		p += n;
		left -= n;
	}
	add(l, "\"", 1);
}

static void add_pair(struct line *l, const char *key, const char *value)
{
	if (l->len > 0)
		add(l, " ", 1);
	add_text(l, key);
	add(l, "=", 1);
	add_value(l, value);
}

static void add_field(struct line *l, const struct log_field *f)
{
	char number[32];
	switch (f->kind) {
	case LOG_FIELD_STRING:
		add_pair(l, f->key, f->s ? f->s : "");
		break;
	case LOG_FIELD_INT:
		(void)snprintf(number, sizeof(number), "%" PRId64, f->i);
		add_pair(l, f->key, number);
		break;
	case LOG_FIELD_UINT:
		(void)snprintf(number, sizeof(number), "%" PRIu64, f->u);
		add_pair(l, f->key, number);
		break;
	case LOG_FIELD_BOOL:
		add_pair(l, f->key, f->b ? "true" : "false");
		break;
	case LOG_FIELD_ERR:
		add_pair(l, "code", err_code_name(f->err->code));
		add_pair(l, "module", f->err->module ? f->err->module : "");
		add_pair(l, "error", f->err->msg);
		break;
	}
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t count)
{
	int saved = errno;
	struct line l;
	l.len = 0;
	char time[CLOCK_RFC3339_MAX];
	(void)clock_rfc3339_us(time, clock_now_us());
	add_pair(&l, "time", time);
	add_pair(&l, "level", level_names[level]);
	add_pair(&l, "msg", msg);
	for (size_t i = 0; i < count; i++)
		add_field(&l, &fields[i]);
	l.text[l.len++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	ssize_t n;
	do
		n = write(atomic_load_explicit(&log_fd, memory_order_relaxed), l.text, l.len);
	while (n < 0 && errno == EINTR);
	errno = saved;
}
