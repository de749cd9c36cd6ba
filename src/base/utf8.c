#include "base/utf8.h"

static bool continues(uint8_t b)
{
	return (b & 0xc0) == 0x80;
}

unsigned utf8_sequence(const uint8_t *p, size_t len)
{
	uint8_t b = p[0];
	if (b < 0x80)
		return 1;
	if (b < 0xc2)
		return 0;
	if (b < 0xe0)
		return len >= 2 && continues(p[1]) ? 2 : 0;
	if (b < 0xf0) {
		if (len < 3 || !continues(p[1]) || !continues(p[2]))
			return 0;
		/* E0: overlong below A0. ED: surrogates from A0. */
		if ((b == 0xe0 && p[1] < 0xa0) || (b == 0xed && p[1] >= 0xa0))
			return 0;
		return 3;
	}
	if (b > 0xf4 || len < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
		return 0;
	/* F0: overlong below 90. F4: past U+10FFFF from 90. */
	if ((b == 0xf0 && p[1] < 0x90) || (b == 0xf4 && p[1] >= 0x90))
		return 0;
	return 4;
}

/* U+EF80 … U+EFFF is EE BE 80 … EE BF BF. */
static bool is_escape(const uint8_t *p, unsigned n)
{
	return n == 3 && p[0] == 0xee && p[1] >= 0xbe;
}

unsigned name_sequence(const uint8_t *p, size_t len)
{
	unsigned n = utf8_sequence(p, len);
	return is_escape(p, n) ? 0 : n;
}

bool utf8_valid(const void *p, size_t len)
{
	const uint8_t *b = p;
	while (len > 0) {
		unsigned n = utf8_sequence(b, len);
		if (n == 0)
			return false;
		b += n;
		len -= n;
	}
	return true;
}

void name_escape(struct buf *to, const void *name, size_t len)
{
	const uint8_t *p = name;
	const uint8_t *end = p + len;
	const uint8_t *run = p;
	while (p < end) {
		unsigned n = name_sequence(p, (size_t)(end - p));
		if (n > 0) {
			p += n;
			continue;
		}
		buf_add(to, run, (size_t)(p - run));
		const uint8_t shown[3] = {0xee, (uint8_t)(0xbc | *p >> 6), (uint8_t)(0x80 | (*p & 0x3f))};
		buf_add(to, shown, sizeof(shown));
		run = ++p;
	}
	buf_add(to, run, (size_t)(p - run));
}

void name_unescape(struct buf *to, const void *text, size_t len)
{
	const uint8_t *p = text;
	const uint8_t *end = p + len;
	const uint8_t *run = p;
	while (p < end) {
		unsigned n = utf8_sequence(p, (size_t)(end - p));
		if (!is_escape(p, n)) {
			p += n ? n : 1;
			continue;
		}
		buf_add(to, run, (size_t)(p - run));
		buf_addc(to, (char)((p[1] & 3) << 6 | (p[2] & 0x3f)));
		p += n;
		run = p;
	}
	buf_add(to, run, (size_t)(p - run));
}

static uint32_t code_point(const uint8_t *p, unsigned n)
{
	static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = p[0] & first[n];
	for (unsigned i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Controls, and what reorders or breaks the line around it. */
static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void name_shown(struct buf *to, const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;
	while (p < end) {
		unsigned n = utf8_sequence(p, (size_t)(end - p));
		uint32_t c = n ? code_point(p, n) : *p;
		if (n == 0)
			buf_addf(to, "\\x%02x", (unsigned)c);
		else if (is_escape(p, n))
			buf_addf(to, "\\x%02x", (unsigned)(c & 0xff));
		else if (is_harmful(c))
			buf_addf(to, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
		else
			buf_add(to, p, n);
		p += n ? n : 1;
	}
}
