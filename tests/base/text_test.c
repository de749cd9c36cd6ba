/* json, utf8, hex, uuid, log. */
#include "base/hex.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "base/uuid.h"

#include "test.h"

#include <pthread.h>
#include <unistd.h>

static void json_writes_every_kind(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 20);
	struct json j = json_init(&b);
	json_object(&j);
	json_key_u64(&j, "max", UINT64_MAX);
	json_key_i64(&j, "min", INT64_MIN);
	json_key_u64(&j, "zero", 0);
	json_key_bool(&j, "yes", true);
	json_key_null(&j, "none");
	json_key_string(&j, "null", NULL);
	json_key(&j, "list");
	json_array(&j);
	json_array(&j);
	json_array_end(&j);
	json_object(&j);
	json_object_end(&j);
	json_string(&j, "a");
	json_raw(&j, "{\"x\":1}", 7);
	json_stringf(&j, "%d%%", 5);
	json_array_end(&j);
	json_key_bool(&j, "last", false);
	assert_false(json_done(&j));
	json_object_end(&j);
	assert_true(json_done(&j));
	assert_string_equal(buf_str(&b), "{\"max\":18446744073709551615,\"min\":-9223372036854775808,\"zero\":0,"
	                                 "\"yes\":true,\"none\":null,\"null\":null,"
	                                 "\"list\":[[],{},\"a\",{\"x\":1},\"5%\"],\"last\":false}");
	buf_free(&b);
}

static const char *as_json(struct buf *b, const void *s, size_t len, bool name)
{
	buf_reset(b);
	struct json j = json_init(b);
	if (name)
		json_name(&j, s, len);
	else
		json_string_n(&j, s, len);
	return buf_str(b);
}

static void json_escapes_strings(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 20);
	assert_string_equal(as_json(&b, "", 0, false), "\"\"");
	assert_string_equal(as_json(&b, "q\"b\\s/", 6, false), "\"q\\\"b\\\\s/\"");
	assert_string_equal(as_json(&b, "\b\t\n\f\r\x01\x1f\x7f", 8, false), "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\"");
	assert_string_equal(as_json(&b, "a\0b", 3, false), "\"a\\u0000b\"");
	assert_string_equal(as_json(&b, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, false),
	                    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
	assert_string_equal(as_json(&b, "x\xff\xc3", 3, false), "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
	/* 0xff -> U+EFFF, 0xc3 -> U+EFC3 */
	assert_string_equal(as_json(&b, "x\xff\xc3", 3, true), "\"x\xee\xbf\xbf\xee\xbf\x83\"");
	buf_free(&b);
}

/* A plain writer, byte by byte, to hold the fast path against, at every alignment and length. */
static void json_fast_path_equals_the_slow_one(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
	uint32_t seed = 1;
	for (int round = 0; round < 20000; round++) {
		uint8_t text[700];
		seed = seed * 1664525u + 1013904223u;
		size_t len = (seed >> 8) % (round % 10 == 0 ? sizeof(text) : 40);
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525u + 1013904223u;
			text[i] = seed >> 28 ? (uint8_t)(' ' + (seed >> 16) % 95) : (uint8_t)(seed >> 16) % 128;
		}
		buf_reset(&want);
		buf_addc(&want, '"');
		for (size_t i = 0; i < len; i++) {
			const char *at = strchr("\bb\tt\nn\ff\rr", text[i]);
			if (text[i] == '"' || text[i] == '\\')
				buf_addf(&want, "\\%c", text[i]);
			else if (text[i] < 0x20 && text[i] && at)
				buf_addf(&want, "\\%c", at[1]);
			else if (text[i] < 0x20)
				buf_addf(&want, "\\u%04x", text[i]);
			else
				buf_addc(&want, (char)text[i]);
		}
		buf_addc(&want, '"');
		assert_string_equal(as_json(&b, text, len, false), buf_str(&want));
	}
	buf_free(&b);
	buf_free(&want);
}

static void json_fills_a_buffer_to_its_exact_ceiling(void **state)
{
	(void)state;
	char text[5000];
	memset(text, 'x', sizeof(text));
	struct buf exact = BUF_INIT(sizeof(text) + 2), less = BUF_INIT(sizeof(text) + 1);
	struct json j = json_init(&exact);
	json_string_n(&j, text, sizeof(text));
	assert_false(exact.failed);
	assert_int_equal(exact.len, sizeof(text) + 2);
	j = json_init(&less);
	json_string_n(&j, text, sizeof(text));
	assert_true(less.failed);
	buf_free(&exact);
	buf_free(&less);
}

static void json_goes_on_after_its_buffer_was_drained(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1000), all = BUF_INIT(100000);
	struct json j = json_init(&b);
	json_array(&j);
	for (uint64_t i = 0; i < 1000; i++) {
		json_u64(&j, i);
		buf_add(&all, b.data, b.len);
		buf_reset(&b);
	}
	json_array_end(&j);
	buf_add(&all, b.data, b.len);
	assert_memory_equal(all.data, "[0,1,2,", 7);
	assert_memory_equal(all.data + all.len - 8, "998,999]", 8);
	buf_free(&b);
	buf_free(&all);
}

static void utf8_knows_the_edges_of_table_3_7(void **state)
{
	(void)state;
	static const char *const good[] = {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
	                                   "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf",
	                                  "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
	                                  "\xff", "\xf0\x9f\x98"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

static void check_round_trip(const void *name, size_t len)
{
	struct buf shown = BUF_INIT(4096), back = BUF_INIT(4096);
	name_escape(&shown, name, len);
	assert_false(shown.failed);
	assert_true(utf8_valid(shown.data ? (void *)shown.data : "", shown.len));
	assert_true(shown.len <= NAME_ESCAPE_GROWTH * len);
	name_unescape(&back, shown.data ? (void *)shown.data : "", shown.len);
	assert_int_equal(back.len, len);
	if (len)
		assert_memory_equal(back.data, name, len);
	buf_free(&shown);
	buf_free(&back);
}

static void names_survive_the_escape(void **state)
{
	(void)state;
	uint8_t b[4];
	for (unsigned i = 0; i < 65536; i++) {
		b[0] = (uint8_t)(i >> 8);
		b[1] = (uint8_t)i;
		check_round_trip(b, 2);
	}
	/* every sequence around the range used for the escape */
	for (unsigned i = 0; i < 65536; i++) {
		b[0] = 0xee;
		b[1] = (uint8_t)(i >> 8);
		b[2] = (uint8_t)i;
		b[3] = 'x';
		check_round_trip(b, 4);
	}
	check_round_trip("", 0);
	struct buf shown = BUF_INIT(100);
	name_escape(&shown, "caf\xe9", 4);
	assert_string_equal(buf_str(&shown), "caf\xee\xbf\xa9");
	buf_reset(&shown);
	name_unescape(&shown, "caf\xe9", 4);
	assert_string_equal(buf_str(&shown), "caf\xe9");
	buf_free(&shown);
}

static void terminals_are_shown_no_controls(void **state)
{
	(void)state;
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{"gr\xc3\xbcn \xf0\x9f\x98\x80", "gr\xc3\xbcn \xf0\x9f\x98\x80"},
		{"a\x1b[2J\n\x7f", "a\\x1b[2J\\x0a\\x7f"},
		{"\xc2\x9b\xe2\x80\xaegnp.exe", "\\u{009b}\\u{202e}gnp.exe"},
		{"caf\xe9 caf\xee\xbf\xa9", "caf\\xe9 caf\\xe9"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf shown = BUF_INIT(100);
		name_shown(&shown, cases[i].name, strlen(cases[i].name));
		assert_string_equal(buf_str(&shown), cases[i].shown);
		buf_free(&shown);
	}
}

static void hex_and_base64url_follow_rfc4648(void **state)
{
	(void)state;
	char text[64];
	uint8_t back[4];
	hex_encode(text, "\x00\xab\xff\x10", 4);
	assert_string_equal(text, "00abff10");
	assert_true(hex_decode("00ABff10", back, 4));
	assert_memory_equal(back, "\x00\xab\xff\x10", 4);
	assert_false(hex_decode("00abff1", back, 4));
	assert_false(hex_decode("00abff100", back, 4));
	assert_false(hex_decode("00abfg10", back, 4));
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
	                                         {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		base64url_encode(text, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(strlen(text), base64url_len(strlen(vectors[i][0])));
	}
}

static void uuids_are_version_4_and_differ(void **state)
{
	(void)state;
	char a[UUID_TEXT_MAX], b[UUID_TEXT_MAX];
	struct err e = ERR_INIT;
	assert_ok(uuid_make(a, &e), &e);
	assert_ok(uuid_make(b, &e), &e);
	assert_string_not_equal(a, b);
	assert_true(uuid_valid(a));
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_false(uuid_valid("8f14e45f-ceea-467f-a0e6-1b0e0f0b6d2"));
	assert_false(uuid_valid("8f14e45f-ceea-467f-a0e6-1b0e0f0b6d2g"));
	assert_false(uuid_valid("8f14e45f-ceea-467f-a0e6-1b0e0f0b6d2ff"));
	assert_false(uuid_valid("../../../../../../etc/passwd00000000"));
}

static void log_values_cannot_fake_a_field(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	log_set_fd(fds[1]);
	struct err e = ERR_INIT;
	err_set(&e, ERR_IO, "disk", "cannot \"read\"");
	log_info("a message", log_str("plain", "x/y"), log_str("nasty", "a b=\"c\"\nlevel=error\x1b[2J\xff\xc2\x9b"),
	         log_str("empty", NULL), log_int("i", -5), log_uint("u", 7), log_bool("b", true), log_err(&e));
	log_info("bare");
	log_debug("not shown");
	log_set_fd(2);
	char text[2048];
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_memory_equal(text, "time=2", 6);
	char *rest = strchr(text, ' ');
	assert_non_null(rest);
	char *second = strchr(rest, '\n');
	assert_non_null(second);
	*second++ = '\0';
	assert_string_equal(rest, " level=info msg=\"a message\" plain=x/y "
	                          "nasty=\"a b=\\\"c\\\"\\nlevel=error\\x1b[2J\\xff\\xc2\\x9b\" empty=\"\" i=-5 u=7 b=true "
	                          "code=IO_ERROR module=disk error=\"cannot \\\"read\\\"\"");
	assert_non_null(strstr(second, " level=info msg=bare\n"));
	assert_null(strstr(second, "not shown"));
	close(fds[0]);
	close(fds[1]);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_warn("a line that is written whole", log_str("who", arg));
	return NULL;
}

static void log_lines_of_threads_do_not_mix(void **state)
{
	(void)state;
	FILE *f = tmpfile();
	assert_non_null(f);
	log_set_fd(fileno(f));
	pthread_t a, b;
	char first[] = "first", second[] = "second";
	pthread_create(&a, NULL, log_many, first);
	pthread_create(&b, NULL, log_many, second);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	char huge[3 * LOG_LINE_MAX];
	memset(huge, 'y', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	log_error("cut", log_str("huge", huge));
	log_set_fd(2);
	rewind(f);
	char line[2 * LOG_LINE_MAX];
	int lines = 0;
	while (fgets(line, sizeof(line), f)) {
		lines++;
		assert_memory_equal(line, "time=", 5);
		assert_true(strlen(line) <= LOG_LINE_MAX);
		if (lines <= 400)
			assert_non_null(strstr(line, " msg=\"a line that is written whole\" who="));
	}
	assert_int_equal(lines, 401);
	(void)fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_writes_every_kind),
		cmocka_unit_test(json_escapes_strings),
		cmocka_unit_test(json_fast_path_equals_the_slow_one),
		cmocka_unit_test(json_fills_a_buffer_to_its_exact_ceiling),
		cmocka_unit_test(json_goes_on_after_its_buffer_was_drained),
		cmocka_unit_test(utf8_knows_the_edges_of_table_3_7),
		cmocka_unit_test(names_survive_the_escape),
		cmocka_unit_test(terminals_are_shown_no_controls),
		cmocka_unit_test(hex_and_base64url_follow_rfc4648),
		cmocka_unit_test(uuids_are_version_4_and_differ),
		cmocka_unit_test(log_values_cannot_fake_a_field),
		cmocka_unit_test(log_lines_of_threads_do_not_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
