/* Bytes as text: hexadecimal (RFC 4648, 8, lower case) and base64url without padding (RFC 4648, 5). */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 × len digits and a NUL. */
void hex_encode(char *to, const void *p, size_t len);
/* Exactly 2 × len digits, either case. */
bool hex_decode(const char *text, void *to, size_t len);

/* Characters for len bytes, without the NUL. */
static inline size_t base64url_len(size_t len)
{
	return (len * 4 + 2) / 3;
}

/* Writes base64url_len(len) characters and a NUL. */
void base64url_encode(char *to, const void *p, size_t len);

#endif
