#include "repository/path.h"

#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_MAX INT64_C(253402300800)      /* the year 10000 */

enum { DATE_LEN = 10, TIME_TEXT_MAX = 64 };

static bool append(char *ret, size_t *len, const char *part, size_t n)
{
	if (n >= REPOSITORY_PATH_MAX - 1 || *len + n + 2 > REPOSITORY_PATH_MAX)
		return false;
	if (*len)
		ret[(*len)++] = '/';
	memcpy(ret + *len, part, n);
	*len += n;
	return true;
}

static bool add_parts(char *ret, size_t *len, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "/");
		if (n == 2 && memcmp(text, "..", 2) == 0) {
			if (*len == 0)
				return false;
			while (*len > 0 && ret[--*len] != '/')
				continue;
		} else if (n > 0 && !(n == 1 && *text == '.')) {
			if (!append(ret, len, text, n))
				return false;
		}
		text += n;
		text += *text == '/';
	}
	return true;
}

bool path_join(const char *dir, const char *name, char *ret)
{
	size_t len = 0;
	bool ok = add_parts(ret, &len, dir) && add_parts(ret, &len, name) && len > 0;
	ret[ok ? len : 0] = '\0';
	return ok;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

void path_folder(const char *path, char *ret)
{
	size_t n = (size_t)(path_base(path) - path);
	(void)snprintf(ret, REPOSITORY_PATH_MAX, "%.*s", (int)(n ? n - 1 : 0), path);
}

size_t path_stem(const char *base)
{
	const char *dot = strrchr(base, '.');
	return dot && dot != base ? (size_t)(dot - base) : strlen(base);
}

const char *path_show(const char *path, char *ret)
{
	size_t len = strlen(path), skip = len < PATH_SHOWN_MAX - 3 ? 0 : len - (PATH_SHOWN_MAX - 4);
	(void)snprintf(ret, PATH_SHOWN_MAX, "%s%s", skip ? "..." : "", path + skip);
	for (char *p = ret; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	return ret;
}

/* --- times ---------------------------------------------------------------------------------------- */

bool time_parse(const char *text, int64_t *ret)
{
	char strict[TIME_TEXT_MAX];
	size_t len = strlen(text);
	int64_t seconds;
	uint32_t nanos;
	if (len <= DATE_LEN || len > sizeof(strict))
		return false;
	memcpy(strict, text, len);
	if (strict[DATE_LEN] == ' ')
		strict[DATE_LEN] = 'T';
	/* A zone may lead out of the years that can be written. */
	if (!clock_rfc3339_parse(strict, len, &seconds, &nanos) || seconds < 0 || seconds >= SECONDS_MAX)
		return false;
	*ret = seconds * 1000000 + nanos / 1000;
	return true;
}

void time_format(int64_t t, char *ret)
{
	size_t len = t < 0 ? 0 : clock_rfc3339(ret, t / 1000000, 0);
	ret[len] = '\0';
	/* Always with all six digits, in the place of the "Z". */
	if (len > 0)
		(void)snprintf(ret + len - 1, CLOCK_RFC3339_MAX - len + 1, ".%06dZ", (int)(t % 1000000));
}
