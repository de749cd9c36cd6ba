/* A growing buffer with a ceiling. Every buffer is made with the largest size it may reach: what a
 * guest or a client sends cannot grow one past it.
 *
 * A failed append (no memory, or the ceiling) sets `failed` and changes nothing else; later appends
 * do nothing. A caller composes a whole message and asks buf_ok() once.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;     /* owned; always NUL-terminated one past len when not NULL */
	size_t len;
	size_t cap;
	size_t max;        /* ceiling of len */
	bool failed;
};

#define BUF_INIT(ceiling) ((struct buf){.max = (ceiling)})

void buf_free(struct buf *b);             /* back to empty; keeps max; also a cleanup function */
void buf_reset(struct buf *b);            /* len = 0, keeps the memory */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Room for n more bytes at data + len, for a caller that writes in place and then says with buf_filled() how many;
 * NULL (and failed) where there is none. */
void *buf_reserve(struct buf *b, size_t n);
void buf_filled(struct buf *b, size_t n);
/* The text, never NULL. */
const char *buf_str(const struct buf *b);
/* 0, or the reason an append failed: ERR_LIMIT or ERR_NO_MEMORY. */
int buf_ok(const struct buf *b, const char *module, struct err *e);
/* The data as a malloc'ed block, NUL-terminated; the buffer is empty afterwards. NULL if failed. */
char *buf_detach(struct buf *b);

#endif
