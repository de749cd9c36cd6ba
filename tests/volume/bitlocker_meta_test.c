/* The metadata of a BitLocker volume where parts of it cannot be read or cannot be: the volume is a seed of the fuzzer, with copies
 * at 1024, 2560 and 4096. */
#include "test.h"

#include "base/bytes.h"
#include "blk/fault.h"
#include "volume/bitlocker/bitlocker.h"

enum { IMAGE_MAX = 64 << 10, FIRST_COPY = 1024, BETWEEN = 24 };

static const uint64_t copies[BITLOCKER_COPIES] = {FIRST_COPY, 2560, 4096};

struct fixture {
	uint8_t image[IMAGE_MAX];
	struct blk *mem;
	struct bitlocker_meta *m;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/fuzz/corpus/bitlocker/between", getenv("SENDENSE_SRC"));
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(f->image, 1, sizeof(f->image), file) : 0;
	if (file)
		(void)fclose(file);
	*state = f;
	return len == 0 ? -1 : blk_mem_open(f->image, len, &f->mem, &f->e);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	blk_unref(f->mem);
	free(f->m);
	free(f);
	return 0;
}

/* Of the other copies one is as good. */
static void test_copy_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct blk *b;
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	assert_ok(blk_fault_open(f->mem, &(struct blk_fault_plan){.bad_off = FIRST_COPY, .bad_len = 512}, &b, &f->e), &f->e);
	assert_ok(bitlocker_meta_read(b, &f->m, &f->e), &f->e);
	assert_int_equal(f->m->damaged, 1);
	assert_false(f->m->unchecked);
	/* Nor is it handed to the key helper: that would fail for want of a copy nobody needs. */
	int n = volume_bitlocker_layer.key_areas(b, areas, &f->e);
	assert_ok(n, &f->e);
	assert_int_equal(n, 3);
	assert_int_equal(areas[1].off, copies[1]);
	assert_int_equal(areas[2].off, copies[2]);
	blk_unref(b);
}

static void test_no_copy_can_be_read(void **state)
{
	struct fixture *f = *state;
	struct blk *b;
	assert_ok(blk_fault_open(f->mem, &(struct blk_fault_plan){.bad_off = FIRST_COPY, .bad_len = IMAGE_MAX}, &b, &f->e), &f->e);
	assert_int_equal(bitlocker_meta_read(b, &f->m, &f->e), ERR_IO);
	blk_unref(b);
}

static void test_length_between_that_is_nearly_4_gib(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++)
		put_le32(f->image + copies[i] + BETWEEN, 0xfffffff0);
	assert_ok(bitlocker_meta_read(f->mem, &f->m, &f->e), &f->e);
	assert_int_equal(f->m->between_len, UINT64_C(1) << 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy_that_cannot_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_copy_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_length_between_that_is_nearly_4_gib, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
