/* UTF-8, and names that are not.
 *
 * A file name is bytes; JSON and HTTP carry text. A name is shown by keeping every valid UTF-8 sequence (Unicode 15,
 * table 3-7: no overlong forms, no surrogates) and mapping each other byte b to the character U+EF00 + b, one of U+EF80
 * … U+EFFF (the private-use range that MirBSD's OPTU-8 takes for the same purpose). A valid sequence that encodes one
 * of these 128 characters is itself treated as invalid bytes. So escaping is reversible: name_unescape(name_escape(x))
 * == x for all x.
 *
 * Threads: all functions are pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NAME_ESCAPE_FIRST = 0xef80,
	NAME_ESCAPE_LAST = 0xefff,
	NAME_ESCAPE_GROWTH = 3,      /* an escaped name is at most this many times as long */
};

/* Bytes (1 … 4) of the valid sequence at p, 0 where there is none. len > 0. */
unsigned utf8_sequence(const uint8_t *p, size_t len);

/* The same, but 0 too for a sequence that name_escape() would escape. */
unsigned name_sequence(const uint8_t *p, size_t len);

bool utf8_valid(const void *p, size_t len);

/* Appends the name as valid UTF-8. NUL bytes pass. */
void name_escape(struct buf *to, const void *name, size_t len);

/* Appends the bytes that `text` shows. Bytes that are not valid UTF-8 stand for themselves: a client that sends the raw
 * name is understood too. */
void name_unescape(struct buf *to, const void *text, size_t len);

/* Appends a name, escaped or not, as a terminal may show it: controls, what reorders or breaks the text around it, and
 * bytes that are not valid UTF-8 are written out, as \x1b or \u{202e}. */
void name_shown(struct buf *to, const void *text, size_t len);

#endif
