#include "fs/text.h"

#include "test.h"

static void check_both_ways(const uint16_t *units, size_t count, const char *want)
{
	char text[64];
	size_t len = text_from_utf16(units, count, text);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(text, want, len);
	uint16_t back[32];
	size_t back_count = 0;
	assert_true(text_to_utf16(want, len, back, 32, &back_count));
	assert_int_equal(back_count, count);
	assert_memory_equal(back, units, 2 * count);
}

static void pairs_join_and_lone_surrogates_stay(void **state)
{
	(void)state;
	check_both_ways((const uint16_t[]){'a', 0xe9, 0x20ac}, 3, "a\xc3\xa9\xe2\x82\xac");
	check_both_ways((const uint16_t[]){0xd83d, 0xde00}, 2, "\xf0\x9f\x98\x80");
	check_both_ways((const uint16_t[]){0xd83d}, 1, "\xed\xa0\xbd");
	check_both_ways((const uint16_t[]){0xde00, 0xd83d}, 2, "\xed\xb8\x80\xed\xa0\xbd");
	check_both_ways((const uint16_t[]){0xd83d, 0xd83d, 0xde00, 0xde00}, 4,
	                "\xed\xa0\xbd\xf0\x9f\x98\x80\xed\xb8\x80");
	check_both_ways((const uint16_t[]){0x7f, 0x80, 0x7ff, 0x800, 0xffff}, 5,
	                "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
	check_both_ways((const uint16_t[]){0xdbff, 0xdfff}, 2, "\xf4\x8f\xbf\xbf");
	char text[8];
	assert_int_equal(text_from_utf16le("\x3d\xd8\x00\xde", 2, text), 4);
	assert_memory_equal(text, "\xf0\x9f\x98\x80", 4);
}

static void ill_formed_text_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\x80",             /* continuation first */
		"\xc0\xaf",         /* longer than needed: "/" */
		"\xe0\x80\xaf",     "\xf0\x82\x82\xac",
		"\xc3",             /* cut */
		"\xe2\x82",         "\xf0\x9f\x98", "\xe2\x28\xa1",
		"\xf4\x90\x80\x80", /* beyond U+10FFFF */
		"\xf8\x88\x80\x80\x80",
		"\xed\xa0\xbd\xed\xb8\x80", /* a pair written apart */
	};
	uint16_t units[16];
	size_t count;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(text_to_utf16(bad[i], strlen(bad[i]), units, 16, &count));
	assert_true(text_to_utf16("abcd", 4, units, 4, &count));
	assert_false(text_to_utf16("abcde", 5, units, 4, &count));
	assert_false(text_to_utf16("abc\xf0\x9f\x98\x80", 7, units, 4, &count));
}

static bool equal(const char *a, const char *b)
{
	uint16_t x[64], y[64];
	size_t x_len, y_len;
	assert_true(text_to_utf16(a, strlen(a), x, 64, &x_len));
	assert_true(text_to_utf16(b, strlen(b), y, 64, &y_len));
	return text_equal_nocase(x, x_len, y, y_len, NULL, 0);
}

static void case_folds_by_unicode(void **state)
{
	(void)state;
	assert_true(equal("ReadMe.TXT", "rEADmE.txt"));
	assert_true(equal("Ünïcödé", "üNÏCÖDÉ"));
	assert_true(equal("ΑΒΓΣ", "αβγσ"));
	assert_true(equal("ΑΒΓΣ", "αβγς"));
	assert_true(equal("ПРИВЕТ Ђ", "привет ђ"));
	assert_true(equal("ĀĒŽ", "āēž"));
	assert_true(equal("ＡＢ", "ａｂ"));
	assert_true(equal("ÿ", "Ÿ"));
	assert_false(equal("a", "b"));
	assert_false(equal("a", "aa"));
	assert_false(equal("ß", "SS"));
	assert_false(equal("ı", "I"));
	assert_false(equal("@", "`"));
	assert_false(equal("[", "{"));
	assert_false(equal("×", "÷"));
	/* Every mapping is idempotent. */
	for (unsigned u = 0; u < 0x10000; u++)
		assert_int_equal(text_upcase(text_upcase((uint16_t)u)), text_upcase((uint16_t)u));
	/* A volume's own table; what lies beyond it stands for itself. */
	const uint16_t table[] = {0, 'x', 'x'}, a[] = {1, 'q'}, b[] = {2, 'q'}, c[] = {1, 'Q'};
	assert_true(text_equal_nocase(a, 2, b, 2, table, 3));
	assert_false(text_equal_nocase(a, 2, c, 2, table, 3));
}

static void quoted_text_fits_a_message(void **state)
{
	(void)state;
	char to[16];
	text_quote(to, sizeof(to), "a\nb\xff", 4);
	assert_string_equal(to, "a\\012b\\377");
	text_quote(to, sizeof(to), "caf\xc3\xa9", 5);
	assert_string_equal(to, "caf\xc3\xa9");
	text_quote(to, sizeof(to), "\xed\xa0\x80", 3);
	assert_string_equal(to, "\\355\\240\\200");
	text_quote(to, 5, "abc\xc3\xa9", 5);
	assert_string_equal(to, "abc");
	text_quote(to, sizeof(to), "", 0);
	assert_string_equal(to, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_join_and_lone_surrogates_stay),
		cmocka_unit_test(ill_formed_text_is_refused),
		cmocka_unit_test(case_folds_by_unicode),
		cmocka_unit_test(quoted_text_fits_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
