/* The parsers by themselves. */
#include "http/http.h"

#include "test.h"

static void check_decode(const char *text, bool plus, const char *want, size_t want_len)
{
	struct buf b = BUF_INIT(1000);
	assert_true(http_percent_decode(&b, text, strlen(text), plus));
	assert_int_equal(b.len, want_len);
	assert_memory_equal(buf_str(&b), want, want_len);
	buf_free(&b);
}

static void percent_decodes_bytes_and_refuses_halves(void **state)
{
	(void)state;
	check_decode("a%20b+c", false, "a b+c", 5);
	check_decode("a%20b+c%2B", true, "a b c+", 6);
	check_decode("%00%fF%2f", false, "\0\xff/", 3);
	check_decode("%252e", false, "%2e", 3);
	check_decode("", false, "", 0);
	struct buf b = BUF_INIT(1000);
	static const char *const bad[] = {"%", "%4", "%g0", "%0g", "a%", "%%41", "% 1", "%+1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_percent_decode(&b, bad[i], strlen(bad[i]), true));
	/* what lies behind the length is not looked at */
	assert_false(http_percent_decode(&b, "%41", 2, false));
	buf_free(&b);
}

static void percent_encodes_what_is_not_unreserved(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1000);
	http_percent_encode(&b, "a/b c%\xc3\xa4\0~", 10, "/");
	assert_string_equal(buf_str(&b), "a/b%20c%25%C3%A4%00~");
	buf_free(&b);
}

static void check_range(const char *text, uint64_t size, enum http_range_kind kind, uint64_t off, uint64_t len)
{
	struct http_range r = {.off = 7, .len = 7};
	assert_int_equal(http_range_parse(text, size, &r), kind);
	if (kind == HTTP_RANGE_ONE) {
		assert_int_equal(r.off, off);
		assert_int_equal(r.len, len);
	} else {
		assert_int_equal(r.off, 7);
	}
}

static void ranges_of_rfc9110(void **state)
{
	(void)state;
	check_range("bytes=0-499", 10000, HTTP_RANGE_ONE, 0, 500);
	check_range("bytes=9500-", 10000, HTTP_RANGE_ONE, 9500, 500);
	check_range("bytes=-500", 10000, HTTP_RANGE_ONE, 9500, 500);
	check_range("Bytes=0-0", 1, HTTP_RANGE_ONE, 0, 1);
	check_range("bytes=0-99999", 100, HTTP_RANGE_ONE, 0, 100);
	check_range("bytes=-99999", 100, HTTP_RANGE_ONE, 0, 100);
	check_range("bytes= 5-6 ", 100, HTTP_RANGE_ONE, 5, 2);
	check_range("bytes=0-99999999999999999999999999", 100, HTTP_RANGE_ONE, 0, 100);
	check_range("bytes=-99999999999999999999999999", 100, HTTP_RANGE_ONE, 0, 100);
	check_range("bytes=100-", 100, HTTP_RANGE_UNSATISFIABLE, 0, 0);
	check_range("bytes=99999999999999999999999999-", 100, HTTP_RANGE_UNSATISFIABLE, 0, 0);
	check_range("bytes=-0", 100, HTTP_RANGE_UNSATISFIABLE, 0, 0);
	check_range("bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0);
	check_range("bytes=-5", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0);
	static const char *const ignored[] = {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4",
	                                      "lines=0-1", "bytes=0-1x", "bytes=+1-2", "bytes=1", "bytes=0--1", "bytes=0x1-2"};
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		check_range(ignored[i], 100, HTTP_RANGE_NONE, 0, 0);
	check_range("bytes=18446744073709551614-", UINT64_MAX, HTTP_RANGE_ONE, UINT64_MAX - 1, 1);
}

static void entity_tags_compare_weakly_and_strongly(void **state)
{
	(void)state;
	const struct http_entity strong = {.etag = "abc"}, weak = {.etag = "abc", .weak = true}, none = {0};
	assert_true(http_etag_matches("\"abc\"", &strong, true));
	assert_true(http_etag_matches("\"x\", \"abc\"", &strong, true));
	assert_true(http_etag_matches("\"x\" ,, W/\"abc\"", &strong, false));
	assert_false(http_etag_matches("W/\"abc\"", &strong, true));
	assert_false(http_etag_matches("\"abc\"", &weak, true));
	assert_true(http_etag_matches("\"abc\"", &weak, false));
	assert_true(http_etag_matches(" * ", &none, true));
	assert_false(http_etag_matches("\"abc\"", &none, false));
	static const char *const bad[] = {"", "abc", "\"ab\"", "\"abcd\"", "\"abc", "'abc'", "w/\"abc\"", "\"abc\" \"x\"", "**"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_etag_matches(bad[i], &strong, false));
}

static void check_disposition(const char *name, size_t len, const char *want)
{
	struct buf b = BUF_INIT(64 << 10);
	http_disposition_format(&b, "attachment", name, len);
	assert_false(b.failed);
	assert_string_equal(buf_str(&b), want);
	buf_free(&b);
}

static void disposition_has_a_safe_and_a_true_name(void **state)
{
	(void)state;
	check_disposition("boot.sdi", 8, "attachment; filename=\"boot.sdi\"; filename*=UTF-8''boot.sdi");
	check_disposition("my file.txt", 11, "attachment; filename=\"my file.txt\"; filename*=UTF-8''my%20file.txt");
	check_disposition("\xe2\x82\xac rates", 9, "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates");
	check_disposition("a\"b\\c/d%41", 10, "attachment; filename=\"a_b_c_d_41\"; filename*=UTF-8''a%22b%5Cc%2Fd%2541");
	check_disposition("x\r\nSet-Cookie: a=b", 18,
	                  "attachment; filename=\"x__Set-Cookie_ a=b\"; filename*=UTF-8''x%0D%0ASet-Cookie%3A%20a%3Db");
	check_disposition("n\0l", 3, "attachment; filename=\"n_l\"; filename*=UTF-8''n%00l");
	/* Not UTF-8: the reversible escape, U+EFE9. */
	check_disposition("caf\xe9", 4, "attachment; filename=\"caf_\"; filename*=UTF-8''caf%EE%BF%A9");
	char longest[4096];
	memset(longest, '\xff', sizeof(longest));
	struct buf b = BUF_INIT(64 << 10);
	http_disposition_format(&b, "inline", longest, sizeof(longest));
	assert_false(b.failed);
	assert_true(b.len < 14000);
	buf_free(&b);
}

static void loopback_addresses(void **state)
{
	(void)state;
	assert_true(http_address_is_loopback("127.0.0.1:8082"));
	assert_true(http_address_is_loopback("127.9.9.9:0"));
	assert_true(http_address_is_loopback("[::1]:80"));
	assert_false(http_address_is_loopback("0.0.0.0:80"));
	assert_false(http_address_is_loopback("[::]:80"));
	assert_false(http_address_is_loopback("192.0.2.1:80"));
	static const char *const bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", ":80",
	                                  "127.0.0.1:80x", "127.0.0.1:-1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_address_is_loopback(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percent_decodes_bytes_and_refuses_halves),
		cmocka_unit_test(percent_encodes_what_is_not_unreserved),
		cmocka_unit_test(ranges_of_rfc9110),
		cmocka_unit_test(entity_tags_compare_weakly_and_strongly),
		cmocka_unit_test(disposition_has_a_safe_and_a_true_name),
		cmocka_unit_test(loopback_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
