/* Random bytes and identifiers from the kernel's generator. Threads: any. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { UUID_TEXT_MAX = 37 };     /* 36 characters and the NUL */

/* Never fewer bytes than asked for. ERR_INTERNAL: the kernel has no generator. */
int random_bytes(void *to, size_t len, struct err *e);

/* A version 4 UUID (RFC 9562, 5.4) in lower case. */
int uuid_make(char to[UUID_TEXT_MAX], struct err *e);

/* Whether text is a UUID of any version, in lower or upper case. */
bool uuid_valid(const char *text);

#endif
