#include "fs/text.h"

#include "base/bytes.h"

#include <stdio.h>

enum {
	HIGH_FIRST = 0xd800,         /* surrogates: high ones lead a pair, low ones end it */
	LOW_FIRST = 0xdc00,
	LOW_LAST = 0xdfff,
	PAIRS_FIRST = 0x10000,
	CODE_LAST = 0x10ffff,
};

static bool is_high(uint32_t u)
{
	return u >= HIGH_FIRST && u < LOW_FIRST;
}

static bool is_low(uint32_t u)
{
	return u >= LOW_FIRST && u <= LOW_LAST;
}

static size_t put_code(uint32_t c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < PAIRS_FIRST) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* One code point at units[*i], a pair joined; *i moves behind it. */
static uint32_t take_code(uint32_t unit, uint32_t following, size_t *i)
{
	(*i)++;
	if (!is_high(unit) || !is_low(following))
		return unit;
	(*i)++;
	return PAIRS_FIRST + ((unit - HIGH_FIRST) << 10) + (following - LOW_FIRST);
}

size_t text_from_utf16(const uint16_t *units, size_t count, char *to)
{
	size_t n = 0;
	for (size_t i = 0; i < count;)
		n += put_code(take_code(units[i], i + 1 < count ? units[i + 1] : 0, &i), to + n);
	return n;
}

size_t text_from_utf16le(const void *bytes, size_t count, char *to)
{
	const uint8_t *p = bytes;
	size_t n = 0;
	for (size_t i = 0; i < count;) {
		uint32_t following = i + 1 < count ? get_le16(p + 2 * (i + 1)) : 0;
		n += put_code(take_code(get_le16(p + 2 * i), following, &i), to + n);
	}
	return n;
}

/* The code point s starts with and its length; 0 where there is none. Shortest forms only. */
static size_t get_code(const char *s, size_t len, uint32_t *ret)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t c = p[0], least;
	size_t n;
	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	if (c >= 0xf0 && c < 0xf8) {
		n = 4, c &= 0x07, least = PAIRS_FIRST;
	} else if (c >= 0xe0 && c < 0xf0) {
		n = 3, c &= 0x0f, least = 0x800;
	} else if (c >= 0xc0 && c < 0xe0) {
		n = 2, c &= 0x1f, least = 0x80;
	} else {
		return 0;
	}
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > CODE_LAST)
		return 0;
	*ret = c;
	return n;
}

bool text_to_utf16(const char *s, size_t len, uint16_t *to, size_t cap, size_t *ret_count)
{
	size_t n = 0;
	while (len > 0) {
		uint32_t c;
		size_t used = get_code(s, len, &c);
		if (used == 0 || cap - n < (c >= PAIRS_FIRST ? 2 : 1))
			return false;
		/* Two surrogates written apart would come back as one pair: not WTF-8. */
		if (is_low(c) && n > 0 && is_high(to[n - 1]))
			return false;
		if (c >= PAIRS_FIRST) {
			to[n++] = (uint16_t)(HIGH_FIRST + ((c - PAIRS_FIRST) >> 10));
			to[n++] = (uint16_t)(LOW_FIRST + ((c - PAIRS_FIRST) & 0x3ff));
		} else {
			to[n++] = (uint16_t)c;
		}
		s += used;
		len -= used;
	}
	*ret_count = n;
	return true;
}

static uint16_t upcase_by(uint16_t unit, const uint16_t *table, size_t table_len)
{
	if (!table)
		return text_upcase(unit);
	return unit < table_len ? table[unit] : unit;
}

bool text_equal_nocase(const uint16_t *a, size_t a_len, const uint16_t *b, size_t b_len,
                       const uint16_t *table, size_t table_len)
{
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		if (a[i] != b[i] && upcase_by(a[i], table, table_len) != upcase_by(b[i], table, table_len))
			return false;
	return true;
}

void text_quote(char *to, size_t size, const char *s, size_t len)
{
	size_t n = 0;
	while (len > 0) {
		uint32_t c = 0;
		size_t used = get_code(s, len, &c);
		bool plain =
		        used > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !is_high(c) && !is_low(c);
		size_t wanted = plain ? used : 4;
		if (wanted >= size - n)
			break;
		if (plain) {
			memcpy(to + n, s, used);
		} else {
			used = 1;
			(void)snprintf(to + n, size - n, "\\%03o", (unsigned)(uint8_t)*s);
		}
		n += wanted;
		s += used;
		len -= used;
	}
	to[n] = '\0';
}
