/* The overlay against a plain array that gets the same writes. */
#include "blk/overlay.h"

#include "base/bytes.h"

#include "test.h"

enum { SIZE = 100000, MAX = 1 << 20 };

static uint8_t under[SIZE], want[SIZE];
static struct blk *parent, *over;

static int setup(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	srand(7);
	for (size_t i = 0; i < SIZE; i++)
		under[i] = (uint8_t)rand();
	memcpy(want, under, SIZE);
	assert_ok(blk_mem_open(under, SIZE, &parent, &e), &e);
	assert_ok(blk_overlay_open(parent, MAX, &over, &e), &e);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_unref(over);
	assert_int_equal(parent->refs, 1);
	blk_unref(parent);
	return 0;
}

static void check(void)
{
	struct err e = ERR_INIT;
	static uint8_t got[SIZE];
	assert_ok(blk_read(over, 0, got, SIZE, &e), &e);
	assert_memory_equal(got, want, SIZE);
	for (uint64_t off = 0; off < SIZE;) {
		struct blk_extent x;
		assert_ok(blk_extent(over, off, SIZE - off, &x, &e), &e);
		assert_in_range(x.len, 1, SIZE - off);
		off += x.len;
	}
}

static void write_some(uint64_t off, size_t len)
{
	struct err e = ERR_INIT;
	static uint8_t data[SIZE];
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rand();
	assert_ok(blk_overlay_write(over, off, data, len, &e), &e);
	memcpy(want + off, data, len);
}

static void redirect_some(uint64_t off, uint64_t from, size_t len)
{
	struct err e = ERR_INIT;
	assert_ok(blk_overlay_redirect(over, off, from, len, &e), &e);
	memcpy(want + off, under + from, len);
}

static void untouched(void **state)
{
	(void)state;
	check();
}

static void writes(void **state)
{
	(void)state;
	write_some(0, 1);
	write_some(4095, 2);
	write_some(SIZE - 1, 1);
	write_some(50000, 20000);
	check();
	for (int i = 0; i < 200; i++) {
		uint64_t off = (uint64_t)rand() % SIZE;
		write_some(off, (size_t)rand() % min_size(9000, SIZE - off));
	}
	check();
}

static void redirects(void **state)
{
	(void)state;
	redirect_some(8192, 77, 4096);
	redirect_some(8192 + 100, 5000, 10);
	redirect_some(SIZE - 1000, 3, 1000);
	check();
	for (int i = 0; i < 200; i++) {
		uint64_t off = (uint64_t)rand() % SIZE, from = (uint64_t)rand() % SIZE;
		redirect_some(off, from, (size_t)rand() % min_size(12000, SIZE - (off > from ? off : from)));
		off = (uint64_t)rand() % SIZE;
		write_some(off, (size_t)rand() % min_size(5000, SIZE - off));
	}
	check();
}

static void extents_name_the_host_file_only_outside(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct blk_extent x;
	write_some(8192, 1);
	assert_ok(blk_extent(over, 0, SIZE, &x, &e), &e);
	assert_int_equal(x.len, 8192);
	assert_ok(blk_extent(over, 8192, SIZE - 8192, &x, &e), &e);
	assert_int_equal(x.len, 4096);
	assert_int_equal(x.fd, -1);
	assert_int_equal(x.kind, BLK_DATA);
}

static void ceiling(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct blk *small;
	assert_ok(blk_overlay_open(parent, 2 * (BLK_OVERLAY_PAGE + BLK_OVERLAY_PAGE_COST), &small, &e), &e);
	assert_ok(blk_overlay_write(small, 0, under, 8192, &e), &e);
	assert_ok(blk_overlay_write(small, 100, under, 5000, &e), &e);
	assert_int_equal(blk_overlay_write(small, 8192, under, 1, &e), ERR_LIMIT);
	err_clear(&e);
	/* A page that points elsewhere gives its bytes back. */
	assert_ok(blk_overlay_redirect(small, 0, 4096, 4096, &e), &e);
	assert_ok(blk_overlay_redirect(small, 20480, 4096, 4096, &e), &e);
	blk_unref(small);
}

static void outside(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(blk_overlay_write(over, SIZE - 1, under, 2, &e), ERR_IO);
	err_clear(&e);
	assert_int_equal(blk_overlay_write(over, UINT64_MAX, under, 2, &e), ERR_IO);
	err_clear(&e);
	assert_int_equal(blk_overlay_redirect(over, 0, SIZE - 1, 2, &e), ERR_IO);
	check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(untouched, setup, teardown),
		cmocka_unit_test_setup_teardown(writes, setup, teardown),
		cmocka_unit_test_setup_teardown(redirects, setup, teardown),
		cmocka_unit_test_setup_teardown(extents_name_the_host_file_only_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(outside, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
