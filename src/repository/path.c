#include "repository/path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX INT64_C(253402300800)      /* the year 10000 */

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

static bool digits(const char **p, int n, int *ret)
{
	*ret = 0;
	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*ret = *ret * 10 + (**p - '0');
	}
	return true;
}

static bool literal(const char **p, const char *any)
{
	if (!**p || !strchr(any, **p))
		return false;
	(*p)++;
	return true;
}

static bool zone(const char **p, int *ret_seconds)
{
	*ret_seconds = 0;
	if (literal(p, "Zz"))
		return true;
	int sign = **p == '-' ? -1 : 1, h, m;
	if (!literal(p, "+-") || !digits(p, 2, &h) || !literal(p, ":") || !digits(p, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_seconds = sign * (h * 3600 + m * 60);
	return true;
}

bool time_parse(const char *text, int64_t *ret)
{
	struct tm tm = {0};
	const char *p = text;
	if (!digits(&p, 4, &tm.tm_year) || !literal(&p, "-") || !digits(&p, 2, &tm.tm_mon) || !literal(&p, "-") ||
	    !digits(&p, 2, &tm.tm_mday) || !literal(&p, "Tt ") || !digits(&p, 2, &tm.tm_hour) || !literal(&p, ":") ||
	    !digits(&p, 2, &tm.tm_min) || !literal(&p, ":") || !digits(&p, 2, &tm.tm_sec))
		return false;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	int64_t micros = 0, unit = 100000;
	if (literal(&p, ".")) {
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
			micros += (*p - '0') * unit;
	}
	int offset;
	if (!zone(&p, &offset) || *p)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	int64_t seconds = (int64_t)timegm(&tm) - offset;
	/* A zone may lead out of the years that can be written. */
	if (seconds < 0 || seconds >= SECONDS_MAX)
		return false;
	*ret = seconds * 1000000 + micros;
	return true;
}

void time_format(int64_t t, char *ret)
{
	struct tm tm;
	time_t seconds = (time_t)(t / 1000000);
	char head[24] = "";
	if (gmtime_r(&seconds, &tm))
		(void)strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret, 32, "%s.%06dZ", head, (int)(t % 1000000));
}
