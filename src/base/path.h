/* Paths with slashes, as bytes. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stddef.h>
#include <string.h>

/* The last component, a part of `path`, without the slashes behind it; of the root it is empty. *len: of the path, then of that. */
static inline const char *path_last(const char *path, size_t *len)
{
	size_t n = *len;
	while (n > 1 && path[n - 1] == '/')
		n--;
	const char *slash = memrchr(path, '/', n);
	const char *last = slash ? slash + 1 : path;
	*len = n - (size_t)(last - path);
	return last;
}

#endif
