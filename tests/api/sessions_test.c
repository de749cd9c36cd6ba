/* Sessions of the web page: time, bounds, links that work once. */
#include "api/sessions.h"

#include "test.h"

static void a_session_lasts_its_time(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(sessions_free_p) struct sessions *s = NULL;
	char id[SESSION_SECRET_MAX], other[SESSION_SECRET_MAX];
	assert_ok(sessions_new(&s, &e), &e);
	assert_ok(sessions_begin(s, 1000, id, &e), &e);
	assert_ok(sessions_begin(s, 1000, other, &e), &e);
	assert_int_equal(strlen(id), SESSION_SECRET_LEN);
	assert_string_not_equal(id, other);
	assert_int_equal(sessions_left(s, id, 1000), SESSION_SECONDS);
	assert_int_equal(sessions_left(s, id, 1000 + SESSION_SECONDS - 1), 1);
	assert_int_equal(sessions_left(s, id, 1000 + SESSION_SECONDS), 0);
	sessions_end(s, id);
	assert_int_equal(sessions_left(s, id, 1001), 0);
	assert_int_equal(sessions_left(s, other, 1001), SESSION_SECONDS - 1);
}

static void what_is_no_session_lets_nobody_in(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(sessions_free_p) struct sessions *s = NULL;
	char id[SESSION_SECRET_MAX];
	assert_ok(sessions_new(&s, &e), &e);
	assert_int_equal(sessions_left(s, "", 0), 0);
	assert_int_equal(sessions_left(s, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0), 0);
	assert_ok(sessions_begin(s, 5, id, &e), &e);
	id[0] = id[0] == 'A' ? 'B' : 'A';
	assert_int_equal(sessions_left(s, id, 5), 0);
	assert_false(sessions_redeem(s, id, 5));
}

static void a_link_works_once_in_its_time(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(sessions_free_p) struct sessions *s = NULL;
	char code[SESSION_SECRET_MAX], late[SESSION_SECRET_MAX];
	assert_ok(sessions_new(&s, &e), &e);
	assert_ok(sessions_link(s, 100, code, &e), &e);
	assert_ok(sessions_link(s, 100, late, &e), &e);
	assert_int_equal(sessions_left(s, code, 100), 0);
	assert_true(sessions_redeem(s, code, 100 + SESSION_LINK_SECONDS - 1));
	assert_false(sessions_redeem(s, code, 101));
	assert_false(sessions_redeem(s, late, 100 + SESSION_LINK_SECONDS));
}

static void the_oldest_gives_way(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	CLEANUP(sessions_free_p) struct sessions *s = NULL;
	char first[SESSION_SECRET_MAX], second[SESSION_SECRET_MAX], id[SESSION_SECRET_MAX];
	assert_ok(sessions_new(&s, &e), &e);
	assert_ok(sessions_begin(s, 1, first, &e), &e);
	assert_ok(sessions_begin(s, 2, second, &e), &e);
	for (unsigned i = 0; i < SESSIONS_MAX - 1; i++)
		assert_ok(sessions_begin(s, 3 + i, id, &e), &e);
	assert_int_equal(sessions_left(s, first, 300), 0);
	assert_true(sessions_left(s, second, 300) > 0);
	assert_true(sessions_left(s, id, 300) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_lasts_its_time),
		cmocka_unit_test(what_is_no_session_lets_nobody_in),
		cmocka_unit_test(a_link_works_once_in_its_time),
		cmocka_unit_test(the_oldest_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
