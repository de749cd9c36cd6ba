#include "volume/text.h"

#include "base/bytes.h"
#include "base/utf8.h"

#include <stdio.h>

static size_t encode(uint8_t out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* False where it does not fit. */
static bool append(char *to, size_t cap, size_t *n, uint32_t c)
{
	uint8_t out[4];
	if (c < 0x20 || c == 0x7f)
		c = '?';
	size_t len = encode(out, c);
	if (len >= cap - *n)
		return false;
	memcpy(to + *n, out, len);
	*n += len;
	return true;
}

static void finish(char *to, size_t n)
{
	while (n > 0 && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
}

void text_utf16(char *to, size_t cap, const uint8_t *p, size_t bytes, bool big_endian)
{
	size_t n = 0;
	for (size_t i = 0; i + 2 <= bytes; i += 2) {
		uint32_t c = big_endian ? get_be16(p + i) : get_le16(p + i);
		if (c == 0)
			break;
		if (c >= 0xd800 && c < 0xe000) {
			uint32_t low = c < 0xdc00 && i + 4 <= bytes ?
			                       (big_endian ? get_be16(p + i + 2) : get_le16(p + i + 2)) : 0;
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i += 2;
			} else {
				c = 0xfffd;
			}
		}
		if (!append(to, cap, &n, c))
			break;
	}
	finish(to, n);
}

void text_label(char *to, size_t cap, const uint8_t *p, size_t len)
{
	const uint8_t *nul = memchr(p, 0, len);
	if (nul)
		len = (size_t)(nul - p);
	bool utf8 = utf8_valid(p, len);
	size_t n = 0;
	for (size_t i = 0; i < len;) {
		unsigned seq = utf8 ? utf8_sequence(p + i, len - i) : 1;
		if (seq <= 1) {
			if (!append(to, cap, &n, p[i]))
				break;
			i++;
			continue;
		}
		if (seq >= cap - n)
			break;
		memcpy(to + n, p + i, seq);
		n += seq;
		i += seq;
	}
	finish(to, n);
}

void text_uuid(char *to, const uint8_t *p)
{
	static const uint8_t zero[16];
	to[0] = '\0';
	if (memcmp(p, zero, 16) == 0)
		return;
	(void)snprintf(to, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", p[0], p[1], p[2],
	               p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
}

void text_guid(char *to, const uint8_t *p)
{
	uint8_t swapped[16] = {p[3], p[2], p[1], p[0], p[5], p[4], p[7], p[6]};
	memcpy(swapped + 8, p + 8, 8);
	text_uuid(to, swapped);
}
