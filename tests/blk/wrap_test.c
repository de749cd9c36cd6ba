/* cache, fault, trace. */
#include "test.h"

#include "blk/cache.h"
#include "blk/fault.h"
#include "blk/trace.h"

enum { SIZE = 20 * BLK_CACHE_LINE + 777 };

static uint8_t data[SIZE];

static void fill(void)
{
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 31 + i / 251 + i / 65521);
}

struct stack {
	struct blk *mem, *fault, *trace, *cache;
};

static struct stack stack_open(const struct blk_fault_plan *plan, size_t bytes)
{
	struct stack s = {0};
	struct err e = ERR_INIT;
	fill();
	assert_ok(blk_mem_open(data, SIZE, &s.mem, &e), &e);
	assert_ok(blk_fault_open(s.mem, plan, &s.fault, &e), &e);
	assert_ok(blk_trace_open(s.fault, &s.trace, &e), &e);
	assert_ok(blk_cache_open(s.trace, bytes, &s.cache, &e), &e);
	return s;
}

static void stack_close(struct stack *s)
{
	blk_unref(s->cache);
	blk_unref(s->trace);
	blk_unref(s->fault);
	blk_unref(s->mem);
}

static void cache_gives_the_same_bytes(void **state)
{
	(void)state;
	struct stack s = stack_open(&(struct blk_fault_plan){0}, 0);
	static uint8_t to[SIZE];
	struct err e = ERR_INIT;
	uint32_t x = 12345;
	for (unsigned i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		size_t off = (x >> 4) % SIZE;
		x = x * 1664525 + 1013904223;
		size_t len = 1 + (x >> 8) % (i % 50 ? 3000 : 100000);
		if (len > SIZE - off)
			len = SIZE - off;
		assert_ok(blk_read(s.cache, off, to, len, &e), &e);
		assert_memory_equal(to, data + off, len);
	}
	stack_close(&s);
}

static void cache_reads_a_line_once(void **state)
{
	(void)state;
	struct stack s = stack_open(&(struct blk_fault_plan){0}, 8 * BLK_CACHE_LINE);
	uint8_t to[BLK_CACHE_BYPASS];
	struct err e = ERR_INIT;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 8; i++)
			assert_ok(blk_read(s.cache, i * BLK_CACHE_LINE + 100 * i, to, 100, &e), &e);
	assert_int_equal(blk_trace_get(s.trace).reads, 8);
	/* The ninth line drops the one used longest ago, line 0, and no other. */
	assert_ok(blk_read(s.cache, 8 * BLK_CACHE_LINE, to, 1, &e), &e);
	for (unsigned i = 1; i < 9; i++)
		assert_ok(blk_read(s.cache, i * BLK_CACHE_LINE, to, 1, &e), &e);
	assert_int_equal(blk_trace_get(s.trace).reads, 9);
	assert_ok(blk_read(s.cache, 0, to, 1, &e), &e);
	assert_int_equal(blk_trace_get(s.trace).reads, 10);
	/* A large read passes in one piece and leaves the lines alone. */
	blk_trace_reset(s.trace);
	assert_ok(blk_read(s.cache, 5, to, sizeof(to), &e), &e);
	assert_int_equal(blk_trace_get(s.trace).reads, 1);
	assert_int_equal(blk_trace_get(s.trace).bytes, sizeof(to));
	assert_ok(blk_read(s.cache, 3 * BLK_CACHE_LINE, to, 1, &e), &e);
	assert_int_equal(blk_trace_get(s.trace).reads, 1);
	stack_close(&s);
}

static void damage_is_only_where_it_is(void **state)
{
	(void)state;
	struct stack s = stack_open(&(struct blk_fault_plan){.bad_off = 1000, .bad_len = 10}, 0);
	uint8_t to[4096];
	struct err e = ERR_INIT;
	assert_ok(blk_read(s.cache, 0, to, 1000, &e), &e);
	assert_memory_equal(to, data, 1000);
	assert_ok(blk_read(s.cache, 1010, to, 1000, &e), &e);
	assert_int_equal(blk_read(s.cache, 1009, to, 1, &e), ERR_IO);
	assert_int_equal(blk_trace_get(s.trace).failed, 4);
	stack_close(&s);
}

static void every_failing_read_is_told(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 4; n++) {
		/* two in a row: the line, and the try for the bytes alone */
		struct stack s = stack_open(&(struct blk_fault_plan){.first = n, .count = 2}, 0);
		uint8_t to[16];
		struct err e = ERR_INIT;
		for (uint64_t i = 1; i <= 4; i++) {
			int r = blk_read(s.cache, i * BLK_CACHE_LINE, to, sizeof(to), &e);
			assert_int_equal(r, i == n ? ERR_IO : 0);
			if (r < 0)
				err_clear(&e);
			else
				assert_memory_equal(to, data + i * BLK_CACHE_LINE, sizeof(to));
		}
		/* a line whose filling failed was not kept */
		assert_ok(blk_read(s.cache, n * BLK_CACHE_LINE, to, sizeof(to), &e), &e);
		assert_memory_equal(to, data + n * BLK_CACHE_LINE, sizeof(to));
		blk_fault_reset(s.fault, &(struct blk_fault_plan){.first = 1, .count = 1});
		assert_int_equal(blk_read(s.fault, 0, to, 1, &e), ERR_IO);
		err_clear(&e);
		assert_ok(blk_read(s.fault, 0, to, 1, &e), &e);
		stack_close(&s);
	}
}

static void extents_pass(void **state)
{
	(void)state;
	struct stack s = stack_open(&(struct blk_fault_plan){0}, 0);
	struct err e = ERR_INIT;
	struct blk_extent x;
	assert_ok(blk_extent(s.cache, 10, 100, &x, &e), &e);
	assert_int_equal(x.kind, BLK_DATA);
	assert_int_equal(x.len, 100);
	assert_int_equal(x.fd, -1);
	assert_int_equal(blk_trace_get(s.trace).extents, 1);
	stack_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache_gives_the_same_bytes), cmocka_unit_test(cache_reads_a_line_once),
		cmocka_unit_test(damage_is_only_where_it_is), cmocka_unit_test(every_failing_read_is_told),
		cmocka_unit_test(extents_pass),
	};
	return cmocka_run_group_tests_name("blk wrappers", tests, NULL, NULL);
}
