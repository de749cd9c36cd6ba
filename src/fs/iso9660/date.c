#include "fs/iso9660/iso9660.h"

#include <time.h>

enum {
	ZONE_SECONDS = 15 * 60,
	ZONE_MAX = 52,               /* 13 hours; beyond it Linux takes a time for UTC, too */
	DIGITS = 16,
};

static bool in_range(const struct tm *t)
{
	return t->tm_mon >= 0 && t->tm_mon < 12 && t->tm_mday >= 1 && t->tm_mday <= 31 && t->tm_hour < 24 && t->tm_min < 60 &&
	       t->tm_sec < 60;
}

static bool from_fields(struct tm *t, uint8_t zone_byte, struct fs_time *ret)
{
	int zone = zone_byte < 128 ? zone_byte : zone_byte - 256;
	if (!in_range(t))
		return false;
	ret->sec = timegm(t);
	ret->nsec = 0;
	if (zone >= -ZONE_MAX && zone <= ZONE_MAX)
		ret->sec -= zone * ZONE_SECONDS;
	return true;
}

bool iso_time_short(const uint8_t *p, struct fs_time *ret)
{
	struct tm t = {.tm_year = p[0], .tm_mon = p[1] - 1, .tm_mday = p[2], .tm_hour = p[3], .tm_min = p[4], .tm_sec = p[5]};
	return from_fields(&t, p[6], ret);
}

static int number(const uint8_t *p, size_t digits)
{
	int n = 0;
	for (size_t i = 0; i < digits; i++)
		n = 10 * n + (p[i] - '0');
	return n;
}

bool iso_time_long(const uint8_t *p, struct fs_time *ret)
{
	for (size_t i = 0; i < DIGITS; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
	}
	struct tm t = {
		.tm_year = number(p, 4) - 1900,
		.tm_mon = number(p + 4, 2) - 1,
		.tm_mday = number(p + 6, 2),
		.tm_hour = number(p + 8, 2),
		.tm_min = number(p + 10, 2),
		.tm_sec = number(p + 12, 2),
	};
	if (!from_fields(&t, p[DIGITS], ret))
		return false;
	ret->nsec = (uint32_t)number(p + 14, 2) * 10000000u;
	return true;
}
