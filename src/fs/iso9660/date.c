#include "fs/iso9660/iso9660.h"

#include "base/clock.h"

enum {
	ZONE_SECONDS = 15 * 60,
	ZONE_MAX = 52,               /* 13 hours; beyond it Linux takes a time for UTC, too */
	DIGITS = 16,
};

static bool in_range(const struct clock_civil *t)
{
	return t->month >= 1 && t->month <= 12 && t->day >= 1 && t->day <= 31 && t->hour < 24 && t->minute < 60 && t->second < 60;
}

static bool from_fields(const struct clock_civil *t, uint8_t zone_byte, struct fs_time *ret)
{
	int zone = zone_byte < 128 ? zone_byte : zone_byte - 256;
	if (!in_range(t))
		return false;
	ret->sec = clock_from_civil(t);
	ret->nsec = 0;
	if (zone >= -ZONE_MAX && zone <= ZONE_MAX)
		ret->sec -= zone * ZONE_SECONDS;
	return true;
}

bool iso_time_short(const uint8_t *p, struct fs_time *ret)
{
	struct clock_civil t = {1900 + p[0], p[1], p[2], p[3], p[4], p[5]};
	return from_fields(&t, p[6], ret);
}

static unsigned number(const uint8_t *p, size_t digits)
{
	unsigned n = 0;
	for (size_t i = 0; i < digits; i++)
		n = 10 * n + p[i] - '0';
	return n;
}

bool iso_time_long(const uint8_t *p, struct fs_time *ret)
{
	for (size_t i = 0; i < DIGITS; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
	}
	struct clock_civil t = {(int)number(p, 4), number(p + 4, 2), number(p + 6, 2), number(p + 8, 2), number(p + 10, 2), number(p + 12, 2)};
	if (!from_fields(&t, p[DIGITS], ret))
		return false;
	ret->nsec = number(p + 14, 2) * 10000000u;
	return true;
}
