#include "base/clock.h"

#include <string.h>
#include <time.h>

enum {
	DAY = 86400,
	DAYS_400_YEARS = 146097,
	DAYS_TO_1970 = 719468,          /* from 0000-03-01 */
};
/* The first and last second RFC 3339 can say: 0000-01-01T00:00:00Z, 9999-12-31T23:59:59Z. */
static const int64_t sec_first = -INT64_C(62167219200), sec_last = INT64_C(253402300799);

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* from 1970-01-01 */

int64_t clock_now_us(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t clock_mono_ms(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* A year begins in March here, so that the leap day is its last: the month lengths then follow 153 days per five
 * months. */
struct clock_civil clock_civil(int64_t sec)
{
	int64_t days = floor_div(sec, DAY);
	unsigned rest = (unsigned)(sec - days * DAY);
	days += DAYS_TO_1970;
	int64_t era = floor_div(days, DAYS_400_YEARS);
	unsigned doe = (unsigned)(days - era * DAYS_400_YEARS);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	unsigned month = mp < 10 ? mp + 3 : mp - 9;
	return (struct clock_civil){
		.year = (int)(era * 400 + yoe) + (month <= 2),
		.month = month,
		.day = doy - (153 * mp + 2) / 5 + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};
}

int64_t clock_from_civil(const struct clock_civil *c)
{
	int64_t year = c->year - (c->month <= 2);
	int64_t era = floor_div(year, 400);
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (int64_t)(c->month > 2 ? c->month - 3 : c->month + 9) + 2) / 5 + c->day - 1;
	int64_t days = era * DAYS_400_YEARS + yoe * 365 + yoe / 4 - yoe / 100 + doy - DAYS_TO_1970;
	return days * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

static unsigned month_days(int year, unsigned month)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

static bool civil_valid(const struct clock_civil *c)
{
	return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= month_days(c->year, c->month) &&
	       c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

static char *put_digits(char *to, unsigned v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v /= 10)
		to[i] = (char)('0' + v % 10);
	return to + n;
}

size_t clock_rfc3339(char to[CLOCK_RFC3339_MAX], int64_t sec, uint32_t nsec)
{
	to[0] = '\0';
	if (sec < sec_first || sec > sec_last)
		return 0;
	struct clock_civil c = clock_civil(sec);
	char *p = put_digits(to, (unsigned)c.year, 4);
	*p++ = '-';
	p = put_digits(p, c.month, 2);
	*p++ = '-';
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_digits(p, c.hour, 2);
	*p++ = ':';
	p = put_digits(p, c.minute, 2);
	*p++ = ':';
	p = put_digits(p, c.second, 2);
	if (nsec > 0) {
		*p++ = '.';
		p = put_digits(p, nsec, 9);
		while (p[-1] == '0')
			p--;
	}
	*p++ = 'Z';
	*p = '\0';
	return (size_t)(p - to);
}

size_t clock_rfc3339_us(char to[CLOCK_RFC3339_MAX], int64_t us)
{
	int64_t sec = floor_div(us, 1000000);
	return clock_rfc3339(to, sec, (uint32_t)(us - sec * 1000000) * 1000);
}

/* --- parsing -------------------------------------------------------------------------------------- */

struct scan {
	const char *p, *end;
	bool bad;
};

static char peek(const struct scan *s)
{
	return s->p < s->end ? *s->p : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static unsigned take_digits(struct scan *s, unsigned n)
{
	unsigned v = 0;
	for (unsigned i = 0; i < n; i++) {
		if (!is_digit(peek(s))) {
			s->bad = true;
			return 0;
		}
		v = v * 10 + (unsigned)(*s->p++ - '0');
	}
	return v;
}

static void take(struct scan *s, const char *literal)
{
	size_t n = strlen(literal);
	if ((size_t)(s->end - s->p) < n || memcmp(s->p, literal, n) != 0)
		s->bad = true;
	else
		s->p += n;
}

static void take_either(struct scan *s, char a, char b)
{
	char c = peek(s);
	if (c != a && c != b)
		s->bad = true;
	else
		s->p++;
}

static uint32_t take_fraction(struct scan *s)
{
	if (peek(s) != '.')
		return 0;
	s->p++;
	uint32_t nsec = 0, unit = 100000000;
	if (!is_digit(peek(s)))
		s->bad = true;
	for (; is_digit(peek(s)); s->p++) {
		nsec += unit * (uint32_t)(*s->p - '0');
		unit /= 10;
	}
	return nsec;
}

/* Seconds that local time is ahead of UTC. */
static int64_t take_zone(struct scan *s)
{
	char c = peek(s);
	if (c != '+' && c != '-') {
		take_either(s, 'Z', 'z');
		return 0;
	}
	s->p++;
	unsigned hour = take_digits(s, 2);
	take(s, ":");
	unsigned minute = take_digits(s, 2);
	if (hour > 23 || minute > 59)
		s->bad = true;
	int64_t ahead = hour * 3600 + minute * 60;
	return c == '-' ? -ahead : ahead;
}

static void take_hms(struct scan *s, struct clock_civil *c)
{
	c->hour = take_digits(s, 2);
	take(s, ":");
	c->minute = take_digits(s, 2);
	take(s, ":");
	c->second = take_digits(s, 2);
}

bool clock_rfc3339_parse(const char *text, size_t len, int64_t *ret_sec, uint32_t *ret_nsec)
{
	struct scan s = {.p = text, .end = text + len};
	struct clock_civil c = {0};
	c.year = (int)take_digits(&s, 4);
	take(&s, "-");
	c.month = take_digits(&s, 2);
	take(&s, "-");
	c.day = take_digits(&s, 2);
	take_either(&s, 'T', 't');
	take_hms(&s, &c);
	uint32_t nsec = take_fraction(&s);
	int64_t ahead = take_zone(&s);
	if (s.bad || s.p != s.end || !civil_valid(&c))
		return false;
	*ret_sec = clock_from_civil(&c) - ahead;
	if (ret_nsec)
		*ret_nsec = nsec;
	return true;
}

size_t clock_http(char to[CLOCK_HTTP_MAX], int64_t sec)
{
	to[0] = '\0';
	if (sec < sec_first || sec > sec_last)
		return 0;
	struct clock_civil c = clock_civil(sec);
	int64_t days = floor_div(sec, DAY);
	char *p = to;
	memcpy(p, weekdays[days - floor_div(days, 7) * 7], 3);
	memcpy(p + 3, ", ", 2);
	p = put_digits(p + 5, c.day, 2);
	*p++ = ' ';
	memcpy(p, months[c.month - 1], 3);
	p[3] = ' ';
	p = put_digits(p + 4, (unsigned)c.year, 4);
	*p++ = ' ';
	p = put_digits(p, c.hour, 2);
	*p++ = ':';
	p = put_digits(p, c.minute, 2);
	*p++ = ':';
	p = put_digits(p, c.second, 2);
	memcpy(p, " GMT", 5);
	return (size_t)(p + 4 - to);
}

static unsigned take_month(struct scan *s)
{
	for (unsigned m = 0; m < 12; m++)
		if (s->end - s->p >= 3 && memcmp(s->p, months[m], 3) == 0) {
			s->p += 3;
			return m + 1;
		}
	s->bad = true;
	return 0;
}

/* "06 Nov 1994 08:49:37 GMT", or with dashes and two digits "06-Nov-94 08:49:37 GMT" */
static void take_imf_or_850(struct scan *s, struct clock_civil *c)
{
	c->day = take_digits(s, 2);
	bool dashes = peek(s) == '-';
	take(s, dashes ? "-" : " ");
	c->month = take_month(s);
	take(s, dashes ? "-" : " ");
	c->year = (int)take_digits(s, dashes ? 2 : 4);
	if (dashes) {
		int now = clock_civil(clock_now_us() / 1000000).year;
		c->year += now - now % 100;
		if (c->year > now + 50)
			c->year -= 100;
	}
	take(s, " ");
	take_hms(s, c);
	take(s, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void take_asctime(struct scan *s, struct clock_civil *c)
{
	c->month = take_month(s);
	take(s, " ");
	if (peek(s) == ' ') {
		s->p++;
		c->day = take_digits(s, 1);
	} else {
		c->day = take_digits(s, 2);
	}
	take(s, " ");
	take_hms(s, c);
	take(s, " ");
	c->year = (int)take_digits(s, 4);
}

bool clock_http_parse(const char *text, size_t len, int64_t *ret_sec)
{
	struct scan s = {.p = text, .end = text + len};
	struct clock_civil c = {0};
	while ((peek(&s) >= 'A' && peek(&s) <= 'Z') || (peek(&s) >= 'a' && peek(&s) <= 'z'))
		s.p++;
	if (s.p - text < 3)
		return false;
	if (peek(&s) == ',') {
		take(&s, ", ");
		take_imf_or_850(&s, &c);
	} else {
		take(&s, " ");
		take_asctime(&s, &c);
	}
	if (s.bad || s.p != s.end || !civil_valid(&c))
		return false;
	*ret_sec = clock_from_civil(&c);
	return true;
}
