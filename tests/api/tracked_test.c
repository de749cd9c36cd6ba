/* Downloads a page follows: requests of one id that overlap. */
#include "test.h"

#include "api/tracked.h"

enum { SIZE = 3000 };

static const char id[] = "track-0001";

static int setup(void **state)
{
	struct tracked *t;
	struct err e = ERR_INIT;
	int r = tracked_new(&t, &e);
	*state = t;
	return r;
}

static int teardown(void **state)
{
	tracked_free(*state);
	return 0;
}

static struct tracked_download get(struct tracked *t)
{
	struct tracked_download d;
	assert_true(tracked_get(t, id, &d));
	return d;
}

/* A further range that cannot be had is no news of the one that runs. */
static void test_failure_beside_one_that_runs(void **state)
{
	struct tracked *t = *state;
	struct err e = ERR_INIT, why = ERR_INIT;
	(void)err_set(&why, ERR_IO, "test", "gone");
	assert_ok(tracked_begin(t, id, 0, SIZE, &e), &e);
	assert_true(tracked_progress(t, id, 1000));
	tracked_fail(t, id, &why);
	assert_int_equal(get(t).bytes, SIZE);
	assert_int_equal(get(t).done, 1000);
	assert_int_equal(get(t).state, TRACKED_RUNNING);
	assert_true(tracked_progress(t, id, SIZE));
	tracked_end(t, id, NULL);
	assert_int_equal(get(t).state, TRACKED_COMPLETE);
}

static void test_failure_before_anything(void **state)
{
	struct tracked *t = *state;
	struct err why = ERR_INIT;
	(void)err_set(&why, ERR_NOT_FOUND, "test", "no such file");
	tracked_fail(t, id, &why);
	assert_int_equal(get(t).state, TRACKED_FAILED);
	assert_int_equal(get(t).bytes, 0);
	assert_string_equal(get(t).error, "no such file");
}

static void test_failure_of_the_rest(void **state)
{
	struct tracked *t = *state;
	struct err e = ERR_INIT, why = ERR_INIT, left = ERR_INIT;
	(void)err_set(&why, ERR_MOUNT_NOT_FOUND, "test", "closed");
	(void)err_set(&left, ERR_CANCELLED, "test", "left");
	assert_ok(tracked_begin(t, id, 0, SIZE, &e), &e);
	assert_true(tracked_progress(t, id, 1000));
	tracked_end(t, id, &left);
	assert_int_equal(get(t).state, TRACKED_INTERRUPTED);
	tracked_fail(t, id, &why);
	assert_int_equal(get(t).state, TRACKED_FAILED);
	assert_int_equal(get(t).bytes, SIZE);
	assert_int_equal(get(t).done, 1000);
}

/* A failure is over when the download goes on. */
static void test_success_after_failure(void **state)
{
	struct tracked *t = *state;
	struct err e = ERR_INIT, why = ERR_INIT;
	(void)err_set(&why, ERR_NOT_FOUND, "test", "no such file");
	tracked_fail(t, id, &why);
	assert_ok(tracked_begin(t, id, 0, SIZE, &e), &e);
	assert_string_equal(get(t).error, "");
	assert_true(tracked_progress(t, id, SIZE));
	tracked_end(t, id, NULL);
	assert_int_equal(get(t).state, TRACKED_COMPLETE);
	assert_string_equal(get(t).error, "");
}

static void test_cancelled_stays_so(void **state)
{
	struct tracked *t = *state;
	struct err e = ERR_INIT, why = ERR_INIT;
	struct tracked_download d;
	(void)err_set(&why, ERR_NOT_FOUND, "test", "no such file");
	assert_ok(tracked_cancel(t, id, &d, &e), &e);
	tracked_fail(t, id, &why);
	assert_int_equal(get(t).state, TRACKED_CANCELLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failure_beside_one_that_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_before_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_of_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_success_after_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_stays_so, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
