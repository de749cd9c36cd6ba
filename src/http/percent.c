#include "http/http.h"

#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool http_percent_decode(struct buf *to, const char *s, size_t len, bool plus)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%') {
			int high = len - i > 2 ? digit(s[i + 1]) : -1;
			int low = high >= 0 ? digit(s[i + 2]) : -1;
			if (low < 0)
				return false;
			buf_addc(to, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_addc(to, plus && s[i] == '+' ? ' ' : s[i]);
		}
	}
	return true;
}

static bool unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

void http_percent_encode(struct buf *to, const void *s, size_t len, const char *keep)
{
	const char *p = s;
	for (size_t i = 0; i < len; i++) {
		if (unreserved(p[i]) || (p[i] && strchr(keep, p[i])))
			buf_addc(to, p[i]);
		else
			buf_addf(to, "%%%02X", (unsigned char)p[i]);
	}
}
