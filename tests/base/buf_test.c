#include "base/buf.h"
#include "base/bytes.h"

#include "test.h"

static void buf_stops_at_its_ceiling(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(8);
	buf_adds(&b, "12345678");
	assert_false(b.failed);
	buf_addc(&b, '9');
	assert_true(b.failed);
	assert_int_equal(b.len, 8);
	assert_string_equal(buf_str(&b), "12345678");
	struct err e = ERR_INIT;
	assert_int_equal(buf_ok(&b, "test", &e), ERR_LIMIT);
	buf_free(&b);
}

static void buf_formats_across_growth(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 20);
	size_t want = 0;
	for (int i = 0; i < 1000; i++) {
		buf_addf(&b, "%06d,", i);
		want += 7;
	}
	assert_int_equal(b.len, want);
	assert_memory_equal(b.data + 7 * 999, "000999,", 8);
	char *s = buf_detach(&b);
	assert_non_null(s);
	assert_null(b.data);
	free(s);
}

static void rdr_fails_sticky_and_reads_zero(void **state)
{
	(void)state;
	const uint8_t bytes[] = {1, 0, 0, 2, 0xff};
	struct rdr r = rdr_init(bytes, sizeof(bytes));
	assert_int_equal(rdr_le16(&r), 1);
	assert_int_equal(rdr_be16(&r), 2);
	assert_int_equal(rdr_le32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rdr_u8(&r), 0);
}

static void range_inside_does_not_overflow(void **state)
{
	(void)state;
	assert_true(range_inside(10, 0, 10));
	assert_false(range_inside(11, 0, 10));
	assert_false(range_inside(UINT64_MAX, 2, 10));
	assert_false(range_inside(1, UINT64_MAX, 10));
}

static void err_is_set_once_with_its_errno(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(err_set_errno(&e, ERR_IO, 5, "test", "reading %s", "it"), ERR_IO);
	assert_string_equal(e.msg, "reading it: Input/output error");
	err_prefix(&e, "disk %d", 3);
	assert_string_equal(e.msg, "disk 3: reading it: Input/output error");
	assert_string_equal(err_code_name(ERR_PATH_INVALID), "PATH_INVALID");
	assert_int_equal(err_code_from_name("WORKER_TIMEOUT"), ERR_TIMEOUT);
	assert_int_equal(err_code_from_name("NOPE"), 0);
	assert_string_equal(err_code_name(-100000), "INTERNAL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_stops_at_its_ceiling),
		cmocka_unit_test(buf_formats_across_growth),
		cmocka_unit_test(rdr_fails_sticky_and_reads_zero),
		cmocka_unit_test(range_inside_does_not_overflow),
		cmocka_unit_test(err_is_set_once_with_its_errno),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
