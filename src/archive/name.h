/* Names inside an archive. */
#ifndef ARCHIVE_NAME_H
#define ARCHIVE_NAME_H

#include "archive/archive.h"

/* Refuses what an extractor could take for a place outside its folder, or could not take at all: empty, absolute, an
 * empty, "." or ".." component, longer than ARCHIVE_PATH_MAX. In a zip, which other systems unpack, a backslash counts
 * as a separator for this check too; a harmless one ("a\x2db") passes. ERR_INVALID. */
int name_check(const char *path, enum archive_format f, struct err *e);

bool name_is_ascii(const char *s);

#endif
