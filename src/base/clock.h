/* Clocks and the texts of times.
 *
 * Civil times are of the proleptic Gregorian calendar in UTC, seconds since 1970-01-01. Nothing depends on locale or
 * TZ. Threads: all functions are pure, or read a system clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLOCK_RFC3339_MAX = 32,     /* "2021-05-08T09:14:41.642629900Z" and its NUL */
	CLOCK_HTTP_MAX = 32,        /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */
};

/* A date and a time of day: month 1 … 12, day from 1, hour, minute and second from 0. */
struct clock_civil {
	int year;
	unsigned month, day, hour, minute, second;
};

/* sec of years -2,000,000 … 2,000,000. */
struct clock_civil clock_civil(int64_t sec);
/* Days, hours, minutes and seconds beyond their ends count on: February 31 is March 2 or 3. */
int64_t clock_from_civil(const struct clock_civil *c);

/* Microseconds since 1970, UTC. */
int64_t clock_now_us(void);
/* Milliseconds of a clock that never goes back. */
uint64_t clock_mono_ms(void);

/* RFC 3339 with "Z" and as many fractional digits (0 … 9) as are not trailing zeroes. nsec < 1,000,000,000. Returns the
 * length, or 0 and an empty text for a year outside 0000 … 9999, which RFC 3339 cannot say. */
size_t clock_rfc3339(char to[CLOCK_RFC3339_MAX], int64_t sec, uint32_t nsec);
size_t clock_rfc3339_us(char to[CLOCK_RFC3339_MAX], int64_t us);

/* A complete RFC 3339 date-time with any zone; a leap second becomes the second after it, digits past the ninth are
 * dropped. ret_nsec may be NULL. */
bool clock_rfc3339_parse(const char *text, size_t len, int64_t *ret_sec, uint32_t *ret_nsec);

/* IMF-fixdate of RFC 9110, 5.6.7. Returns the length, or 0 and an empty text for a year outside 0000 … 9999. */
size_t clock_http(char to[CLOCK_HTTP_MAX], int64_t sec);
/* Any of the three forms that RFC 9110 wants understood. A two-digit year is the last such one not more than 50 years
 * in the future. The day of the week is not compared with the date. */
bool clock_http_parse(const char *text, size_t len, int64_t *ret_sec);

#endif
