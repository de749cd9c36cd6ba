#include "fs/dos_time.h"

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
	static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t y = year - 1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t days = y * 365 + y / 4 - y / 100 + y / 400 - 719162;
	return days + before[month - 1] + (leap && month > 2) + day - 1;
}

bool dos_time(uint16_t date, uint16_t time, uint8_t hundredths, struct fs_time *ret)
{
	unsigned month = date >> 5 & 15, day = date & 31, hour = time >> 11, minute = time >> 5 & 63;
	unsigned second = (time & 31) * 2;
	if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
		return false;
	if (hundredths > 199)
		hundredths = 0;
	ret->sec = days_from_date(1980 + (date >> 9), month, day) * 86400 + hour * 3600 + minute * 60 + second;
	ret->sec += hundredths / 100;
	ret->nsec = hundredths % 100 * 10000000u;
	return true;
}
