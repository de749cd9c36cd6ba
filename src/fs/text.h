/* Names as Windows filesystems keep them: UTF-16 code units that need not be well-formed UTF-16.
 *
 * They leave here as WTF-8 (https://simonsapin.github.io/wtf-8/): UTF-8, and an unpaired surrogate as
 * the three bytes its number would take. So every name is some name, two names are never the same one,
 * and the way back is exact.
 */
#ifndef FS_TEXT_H
#define FS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_UNIT_BYTES = 3 };        /* WTF-8 bytes one UTF-16 unit takes at most */

/* Units to WTF-8. `to` has room for count * TEXT_UNIT_BYTES; no NUL is added. Returns the bytes. */
size_t text_from_utf16(const uint16_t *units, size_t count, char *to);

/* The same from little-endian bytes as they lie on disk. */
size_t text_from_utf16le(const void *bytes, size_t count, char *to);

/* WTF-8 to at most cap units. False where it is not WTF-8 or needs more. */
bool text_to_utf16(const char *s, size_t len, uint16_t *to, size_t cap, size_t *ret_count);

/* A unit in upper case, by Unicode's simple mappings; the default of FAT and exFAT, near to NTFS's. */
uint16_t text_upcase(uint16_t unit);

/* Equal but for case? By text_upcase(), or by a volume's own table of table_len units (units beyond it
 * stand for themselves). */
bool text_equal_nocase(const uint16_t *a, size_t a_len, const uint16_t *b, size_t b_len,
                       const uint16_t *table, size_t table_len);

/* Makes bytes of unknown origin fit for a message: valid UTF-8 without control characters stays, every
 * other byte becomes \ooo; cut to size - 1 bytes. */
void text_quote(char *to, size_t size, const char *s, size_t len);

#endif
