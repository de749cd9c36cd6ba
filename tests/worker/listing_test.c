/* Broken entries say why, each its own reason, however the listing is sorted; beyond the ceiling one says it for all. */
#include "test.h"

#include "worker/listing.h"

static struct listing *listing_of(unsigned count)
{
	struct err e = ERR_INIT;
	struct listing *l = listing_new(NULL, (struct fs_id){0});
	assert_non_null(l);
	for (unsigned i = 0; i < count; i++) {
		char name[16], reason[32];
		/* Backwards, so that sorting turns them round; every third is whole. */
		int n = snprintf(name, sizeof(name), "%05u", count - i);
		(void)snprintf(reason, sizeof(reason), "of %s", name);
		struct err why = ERR_INIT;
		err_set(&why, ERR_FILE_CORRUPT, "test", "%s", reason);
		struct fs_dirent de = {.name = name, .name_len = (size_t)n, .type = FS_FILE, .broken = i % 3 ? &why : NULL};
		assert_ok(listing_add(l, &de, &e), &e);
	}
	assert_ok(listing_sort_names(l, &e), &e);
	return l;
}

static void each_has_its_reason(void **state)
{
	(void)state;
	struct listing *l = listing_of(1000);
	unsigned broken = 0;
	for (size_t i = 0; i < l->count; i++) {
		const struct listing_item *it = &l->items[i];
		if (!it->broken)
			continue;
		char reason[32];
		(void)snprintf(reason, sizeof(reason), "of %.*s", (int)it->name_len, listing_name(l, it));
		assert_non_null(strstr(listing_error(l, it)->msg, reason));
		broken++;
	}
	assert_int_equal(broken, 666);
	listing_free(l);
}

static void the_last_says_it_for_the_rest(void **state)
{
	(void)state;
	enum { COUNT = 3 * LISTING_BROKEN_MAX };
	struct listing *l = listing_of(COUNT);
	unsigned kept = 0, broken = 0;
	const struct err *last = &l->faults[l->fault_count - 1].why;
	for (size_t i = 0; i < l->count; i++) {
		if (!l->items[i].broken)
			continue;
		broken++;
		kept += listing_error(l, &l->items[i]) != last;
	}
	assert_int_equal(l->fault_count, LISTING_BROKEN_MAX);
	assert_int_equal(kept, LISTING_BROKEN_MAX - 1);
	assert_int_equal(broken, 2 * LISTING_BROKEN_MAX);
	listing_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_has_its_reason), cmocka_unit_test(the_last_says_it_for_the_rest)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
