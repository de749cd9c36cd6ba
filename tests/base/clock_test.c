/* Times are held against the C library's gmtime and timegm. */
#include "base/clock.h"

#include "test.h"

#include <time.h>

static void rfc3339_agrees_with_gmtime(void **state)
{
	(void)state;
	uint64_t seed = 42;
	for (int i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		int64_t sec = (int64_t)(seed >> 11) % INT64_C(315569519999) - INT64_C(62167219200);
		time_t t = sec;
		struct tm tm;
		char want[64], got[CLOCK_RFC3339_MAX], http[CLOCK_HTTP_MAX];
		gmtime_r(&t, &tm);
		snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		         tm.tm_hour, tm.tm_min, tm.tm_sec);
		assert_int_equal(clock_rfc3339(got, sec, 0), 20);
		assert_string_equal(got, want);
		int64_t back = 1;
		assert_true(clock_rfc3339_parse(got, 20, &back, NULL));
		assert_int_equal(back, sec);
		strftime(want, sizeof(want), "%a, %d %b ", &tm);
		snprintf(want + 12, sizeof(want) - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		         tm.tm_sec);
		assert_int_equal(clock_http(http, sec), 29);
		assert_string_equal(http, want);
		back = 1;
		assert_true(clock_http_parse(http, 29, &back));
		assert_int_equal(back, sec);
	}
}

static void rfc3339_fractions(void **state)
{
	(void)state;
	char got[CLOCK_RFC3339_MAX];
	clock_rfc3339(got, 1620461681, 642629900);
	assert_string_equal(got, "2021-05-08T08:14:41.6426299Z");
	clock_rfc3339(got, 0, 1);
	assert_string_equal(got, "1970-01-01T00:00:00.000000001Z");
	clock_rfc3339_us(got, -1);
	assert_string_equal(got, "1969-12-31T23:59:59.999999Z");
	assert_int_equal(clock_rfc3339(got, INT64_C(253402300800), 0), 0);
	assert_string_equal(got, "");
	assert_int_equal(clock_rfc3339(got, INT64_MIN, 0), 0);
	assert_int_equal(clock_rfc3339(got, INT64_MAX, 0), 0);
}

static int64_t parsed(const char *text, uint32_t *nsec)
{
	int64_t sec = -1;
	return clock_rfc3339_parse(text, strlen(text), &sec, nsec) ? sec : INT64_MIN;
}

static void rfc3339_parses_zones_and_refuses_the_rest(void **state)
{
	(void)state;
	uint32_t nsec = 7;
	assert_int_equal(parsed("2021-05-08T09:14:41.6426299+01:00", &nsec), 1620461681);
	assert_int_equal(nsec, 642629900);
	assert_int_equal(parsed("1990-12-31T15:59:60-08:00", &nsec), 662688000);
	assert_int_equal(nsec, 0);
	assert_int_equal(parsed("1970-01-01t00:00:00.1234567899z", &nsec), 0);
	assert_int_equal(nsec, 123456789);
	assert_int_equal(parsed("2000-02-29T00:00:00Z", &nsec), 951782400);
	static const char *const bad[] = {"", "2021-05-08", "2021-05-08T09:14:41", "2021-13-08T09:14:41Z", "2021-02-29T00:00:00Z",
	                                  "1900-02-29T00:00:00Z", "2021-05-08T24:00:00Z", "2021-05-08T09:60:00Z",
	                                  "2021-05-08T09:14:61Z", "2021-05-08 09:14:41Z", "2021-05-08T09:14:41.Z",
	                                  "2021-05-08T09:14:41+1:00", "2021-05-08T09:14:41+24:00", "2021-05-08T09:14:41Zx",
	                                  "2021-00-08T09:14:41Z", "2021-05-00T09:14:41Z"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parsed(bad[i], NULL), INT64_MIN);
}

static int64_t http_parsed(const char *text)
{
	int64_t sec = -1;
	return clock_http_parse(text, strlen(text), &sec) ? sec : INT64_MIN;
}

static void http_dates_in_all_three_forms(void **state)
{
	(void)state;
	assert_int_equal(http_parsed("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(http_parsed("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(http_parsed("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(http_parsed("Wed Nov 16 08:49:37 1994"), 784975777);
	static const char *const bad[] = {"", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
	                                  "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "784111777",
	                                  "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMTx"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_parsed(bad[i]), INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_agrees_with_gmtime),
		cmocka_unit_test(rfc3339_fractions),
		cmocka_unit_test(rfc3339_parses_zones_and_refuses_the_rest),
		cmocka_unit_test(http_dates_in_all_three_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
