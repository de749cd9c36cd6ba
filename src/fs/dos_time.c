#include "fs/dos_time.h"

#include "base/clock.h"

bool dos_time(uint16_t date, uint16_t time, uint8_t hundredths, struct fs_time *ret)
{
	unsigned month = date >> 5 & 15, day = date & 31, hour = time >> 11, minute = time >> 5 & 63;
	unsigned second = (time & 31) * 2;
	if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
		return false;
	if (hundredths > 199)
		hundredths = 0;
	struct clock_civil c = {1980 + (date >> 9), month, day, hour, minute, second};
	ret->sec = clock_from_civil(&c) + hundredths / 100;
	ret->nsec = hundredths % 100 * 10000000u;
	return true;
}
