#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	CHUNK = 256,           /* input bytes escaped at once */
	GROWTH = 6,            /* a control character becomes \u00XX */
};

static bool in_object(const struct json *j)
{
	return j->depth > 0 && (j->objects >> j->depth & 1);
}

/* What goes before a value. */
static void before_value(struct json *j)
{
	if (in_object(j)) {
		assert(j->keyed && "a member has a key");
		j->keyed = false;
	} else {
		assert((j->depth > 0 || !j->comma) && "one value outside");
		if (j->comma)
			buf_addc(j->out, ',');
	}
	j->comma = true;
}

static void open_level(struct json *j, bool object)
{
	before_value(j);
	assert(j->depth < JSON_DEPTH_MAX);
	j->depth++;
	uint64_t bit = UINT64_C(1) << j->depth;
	j->objects = object ? j->objects | bit : j->objects & ~bit;
	j->comma = false;
	buf_addc(j->out, object ? '{' : '[');
}

static void close_level(struct json *j, bool object)
{
	assert(j->depth > 0 && in_object(j) == object && !j->keyed);
	j->depth--;
	j->comma = true;
	buf_addc(j->out, object ? '}' : ']');
}

void json_object(struct json *j)
{
	open_level(j, true);
}

void json_object_end(struct json *j)
{
	close_level(j, true);
}

void json_array(struct json *j)
{
	open_level(j, false);
}

void json_array_end(struct json *j)
{
	close_level(j, false);
}

void json_key(struct json *j, const char *key)
{
	assert(in_object(j) && !j->keyed);
	size_t len = strlen(key);
	char *to = buf_reserve(j->out, len + 4);
	if (to) {
		char *p = to;
		if (j->comma)
			*p++ = ',';
		*p++ = '"';
		memcpy(p, key, len);
		p += len;
		*p++ = '"';
		*p++ = ':';
		buf_filled(j->out, (size_t)(p - to));
	}
	j->keyed = true;
}

static uint64_t every_byte(uint8_t b)
{
	return UINT64_C(0x0101010101010101) * b;
}

/* Whether the 8 bytes all are ASCII that a string holds as it is: no control, '"', '\\', nothing from 0x80. */
static bool plain8(uint64_t w)
{
	uint64_t quote = w ^ every_byte('"');
	uint64_t slash = w ^ every_byte('\\');
	uint64_t low = (w - every_byte(0x20)) & ~w;
	quote = (quote - every_byte(1)) & ~quote;
	slash = (slash - every_byte(1)) & ~slash;
	return ((low | quote | slash | w) & every_byte(0x80)) == 0;
}

static uint8_t *escape_ascii(uint8_t *to, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	*to++ = '\\';
	if (c >= 0x20) {
		*to++ = c;
	} else if (shorts[c]) {
		*to++ = (uint8_t)shorts[c];
	} else {
		memcpy(to, "u00", 3);
		to[3] = (uint8_t)hex[c >> 4];
		to[4] = (uint8_t)hex[c & 15];
		to += 5;
	}
	return to;
}

/* One character from 0x80 up, or a bad byte. Returns how many bytes it took. */
static unsigned escape_high(uint8_t **to, const uint8_t *p, size_t len, bool name)
{
	unsigned n = name ? name_sequence(p, len) : utf8_sequence(p, len);
	if (n > 0) {
		memcpy(*to, p, n);
		*to += n;
		return n;
	}
	if (name) {
		(*to)[0] = 0xee;
		(*to)[1] = (uint8_t)(0xbc | *p >> 6);
		(*to)[2] = (uint8_t)(0x80 | (*p & 0x3f));
	} else {
		memcpy(*to, "\xef\xbf\xbd", 3);
	}
	*to += 3;
	return 1;
}

/* Escapes about CHUNK bytes of [p, end), never splitting a character. Returns where it stopped. */
static const uint8_t *escape_chunk(uint8_t **to_at, const uint8_t *p, const uint8_t *end, bool name)
{
	uint8_t *to = *to_at;
	const uint8_t *stop = end - p > CHUNK ? p + CHUNK : end;
	while (p < stop) {
		while (stop - p >= 8) {
			uint64_t w;
			memcpy(&w, p, 8);
			if (!plain8(w))
				break;
			memcpy(to, &w, 8);
			to += 8;
			p += 8;
		}
		if (p == stop)
			break;
		uint8_t c = *p;
		if (c >= 0x80) {
			p += escape_high(&to, p, (size_t)(end - p), name);
		} else {
			if (c < 0x20 || c == '"' || c == '\\')
				to = escape_ascii(to, c);
			else
				*to++ = c;
			p++;
		}
	}
	*to_at = to;
	return p;
}

static void write_string(struct json *j, const uint8_t *s, size_t len, bool name)
{
	enum { ROOM = (CHUNK + 4) * GROWTH };
	before_value(j);
	buf_addc(j->out, '"');
	const uint8_t *end = s + len;
	while (s < end && !j->out->failed) {
		if (j->out->max - j->out->len >= ROOM) {
			uint8_t *at = buf_reserve(j->out, ROOM);
			if (!at)
				return;
			s = escape_chunk(&at, s, end, name);
			buf_filled(j->out, (size_t)(at - j->out->data) - j->out->len);
		} else {
			/* Near the ceiling: what is asked for must be exact. */
			uint8_t tmp[ROOM];
			uint8_t *at = tmp;
			s = escape_chunk(&at, s, end, name);
			buf_add(j->out, tmp, (size_t)(at - tmp));
		}
	}
	buf_addc(j->out, '"');
}

void json_string_n(struct json *j, const void *s, size_t len)
{
	write_string(j, s, len, false);
}

void json_string(struct json *j, const char *s)
{
	if (s)
		write_string(j, (const uint8_t *)s, strlen(s), false);
	else
		json_null(j);
}

void json_name(struct json *j, const void *name, size_t len)
{
	write_string(j, name, len, true);
}

void json_stringf(struct json *j, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_string(j, text);
}

static void write_number(struct json *j, uint64_t v, bool negative)
{
	char text[24];
	char *p = text + sizeof(text);
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (negative)
		*--p = '-';
	before_value(j);
	buf_add(j->out, p, (size_t)(text + sizeof(text) - p));
}

void json_u64(struct json *j, uint64_t v)
{
	write_number(j, v, false);
}

void json_i64(struct json *j, int64_t v)
{
	write_number(j, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void json_bool(struct json *j, bool v)
{
	json_raw(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j)
{
	json_raw(j, "null", 4);
}

void json_raw(struct json *j, const void *text, size_t len)
{
	before_value(j);
	buf_add(j->out, text, len);
}

bool json_done(const struct json *j)
{
	return j->depth == 0 && j->comma;
}
