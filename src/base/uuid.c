#include "base/uuid.h"

#include "base/hex.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

int random_bytes(void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_INTERNAL, errno, "random", "the system gives no random bytes");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int uuid_make(char to[UUID_TEXT_MAX], struct err *e)
{
	uint8_t b[16];
	int r = random_bytes(b, sizeof(b), e);
	if (r < 0)
		return r;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);      /* version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);      /* variant 10 */
	char hex[33];
	hex_encode(hex, b, sizeof(b));
	static const uint8_t groups[] = {8, 4, 4, 4, 12};
	const char *from = hex;
	for (size_t i = 0; i < sizeof(groups); i++) {
		memcpy(to, from, groups[i]);
		to += groups[i];
		from += groups[i];
		*to++ = '-';
	}
	to[-1] = '\0';
	return 0;
}

bool uuid_valid(const char *text)
{
	for (size_t i = 0; i < UUID_TEXT_MAX - 1; i++) {
		char c = text[i];
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
		if (dash ? c != '-' : !hex)
			return false;
	}
	return text[UUID_TEXT_MAX - 1] == '\0';
}
