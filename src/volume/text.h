/* text: names, labels and identifiers of on-disk structures as UTF-8. Internal to volume. `to` always ends up
 * NUL-terminated and is cut at a whole character. Threads: pure. */
#ifndef VOLUME_TEXT_H
#define VOLUME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-16 up to a NUL unit; lone surrogates become U+FFFD. */
void text_utf16(char *to, size_t cap, const uint8_t *p, size_t bytes, bool big_endian);

/* Bytes up to a NUL, trailing blanks cut. What is not UTF-8 is taken for Latin-1; control characters become "?". */
void text_label(char *to, size_t cap, const uint8_t *p, size_t len);

/* 16 bytes in order, "xxxxxxxx-xxxx-…"; all zero: "". 37 bytes at `to`. */
void text_uuid(char *to, const uint8_t *p);

/* The same for a GUID: its first three fields are little-endian. */
void text_guid(char *to, const uint8_t *p);

#endif
