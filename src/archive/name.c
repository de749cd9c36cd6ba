#include "archive/name.h"

#include <string.h>

static bool component_bad(const char *p, size_t len)
{
	return len == 0 || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.');
}

int name_check(const char *path, enum archive_format f, struct err *e)
{
	if (!path || strnlen(path, ARCHIVE_PATH_MAX + 1) > ARCHIVE_PATH_MAX)
		return err_set(e, ERR_INVALID, "archive", "the path is longer than an archive can hold");
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		if (component_bad(p, n))
			return err_set(e, ERR_INVALID, "archive", "the path is absolute or has an empty, \".\" or \"..\" component");
		if (!p[n])
			break;
		p += n + 1;
	}
	if (f != ARCHIVE_ZIP)
		return 0;
	if (path[0] == '\\')
		return err_set(e, ERR_INVALID, "archive", "the path is absolute on systems that separate by backslash");
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/\\");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, ERR_INVALID, "archive", "the path leads outside on systems that separate by backslash");
		if (!p[n])
			return 0;
		p += n + 1;
	}
}

bool name_is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}
