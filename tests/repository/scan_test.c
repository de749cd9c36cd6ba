#include "repository_fixture.h"

#include <unistd.h>

static const struct scan_ops ops = {.inspect = fake_inspect};

static struct scan_report scan_with(const struct fixture *f, const struct scan_ops *with)
{
	struct err e = ERR_INIT;
	struct scan_report report = {0};
	assert_ok(repository_scan(f->r, with, &report, &e), &e);
	return report;
}

static const struct scan_point *point(const struct scan_report *r, const char *id)
{
	for (size_t i = 0; i < r->point_count; i++)
		if (strcmp(r->points[i].backup_id, id) == 0)
			return &r->points[i];
	fail_msg("no restore point %s", id);
	return NULL;
}

static const char *note_of(const struct repository_notes *n, const char *path)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->items[i].path, path) == 0)
			return n->items[i].reason;
	fail_msg("nothing said of %s", path);
	return "";
}

/* Every parent comes before its children. */
static void expect_order(const struct scan_report *r)
{
	for (size_t i = 0; i < r->point_count; i++) {
		bool seen = !*r->points[i].parent_backup_id;
		for (size_t k = 0; k < i; k++)
			if (strcmp(r->points[k].backup_id, r->points[i].parent_backup_id) == 0)
				seen = r->points[k].created_at < r->points[i].created_at;
		assert_true(seen);
	}
}

static void the_layout_makes_points_of_several_disks(void **state)
{
	struct fixture *f = *state;
	put_file(f, "win/disk-0/b1.qcow2", "image 1000");
	put_file(f, "win/disk-1/b1.qcow2", "image 2000");
	put_file(f, "win/disk-0/a2.qcow2", "image 1000 b1.qcow2");
	put_file(f, "win/disk-1/a2.qcow2", "image 2000 b1.qcow2");
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 2);
	assert_int_equal(r.image_count, 4);
	assert_int_equal(r.orphans.count, 0);
	expect_order(&r);
	const struct scan_point *p = point(&r, "a2");
	assert_string_equal(p->vm_name, "win");
	assert_string_equal(p->parent_backup_id, "b1");
	assert_true(p->incremental);
	assert_int_equal(p->disk_count, 2);
	assert_int_equal(p->disks[1].disk_index, 1);
	assert_int_equal(p->disks[1].size_bytes, 2000);
	assert_string_equal(p->disks[1].path, "win/disk-1/a2.qcow2");
	assert_int_equal(p->disks[1].parent_disk_index, 1);
	scan_report_free(&r);
}

static void images_made_elsewhere_are_named_by_folder_and_file(void **state)
{
	struct fixture *f = *state;
	put_file(f, "my vm/base.img", "image 10");
	put_file(f, "my vm/top.qcow2", "image 10 base.img");
	put_file(f, "clones/c1.qcow2", "image 10 ../my vm/base.img");
	put_file(f, "flat.raw", "image 5");
	put_file(f, "flat-inc.qcow2", "image 5 flat.raw");
	put_file(f, "odd/t.qcow2", "image 3 snapshot.1");
	put_file(f, "odd/snapshot.1", "image 3");
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 7);
	expect_order(&r);
	assert_string_equal(point(&r, "top")->vm_name, "my vm");
	assert_string_equal(point(&r, "c1")->vm_name, "clones");
	assert_string_equal(point(&r, "c1")->parent_backup_id, "base");
	assert_string_equal(point(&r, "flat-inc")->vm_name, "flat");
	assert_string_equal(point(&r, "t")->parent_backup_id, "snapshot");
	scan_report_free(&r);
}

static void broken_chains_are_orphans_with_a_reason(void **state)
{
	struct fixture *f = *state;
	char path[128];
	put_file(f, "a/x.qcow2", "image 1 none.qcow2");
	put_file(f, "a/y.qcow2", "image 1 x.qcow2");
	put_file(f, "b/l1.qcow2", "image 1 l2.qcow2");
	put_file(f, "b/l2.qcow2", "image 1 l1.qcow2");
	put_file(f, "b/l3.qcow2", "image 1 l1.qcow2");
	put_file(f, "b/self.qcow2", "image 1 self.qcow2");
	put_file(f, "c/out.qcow2", "image 1 ../../etc/passwd");
	put_file(f, "c/abs.qcow2", "image 1 /etc/passwd");
	put_file(f, "c/url.qcow2", "image 1 nbd://x/y");
	put_file(f, "c/bad.qcow2", "broken");
	put_file(f, "c/kill.qcow2", "kill");
	put_file(f, "c/link.qcow2", "image 1 sym.bin");
	(void)snprintf(path, sizeof(path), "%s/c/sym.bin", f->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	put_file(f, "d/good.qcow2", "image 1");
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 1);
	assert_int_equal(r.orphans.count, 12);
	assert_non_null(strstr(note_of(&r.orphans, "a/x.qcow2"), "missing"));
	assert_non_null(strstr(note_of(&r.orphans, "a/y.qcow2"), "a/x.qcow2"));
	assert_non_null(strstr(note_of(&r.orphans, "b/l1.qcow2"), "circle"));
	assert_non_null(strstr(note_of(&r.orphans, "b/l3.qcow2"), "b/l1.qcow2"));
	assert_non_null(strstr(note_of(&r.orphans, "b/self.qcow2"), "circle"));
	assert_non_null(strstr(note_of(&r.orphans, "c/out.qcow2"), "outside"));
	assert_non_null(strstr(note_of(&r.orphans, "c/abs.qcow2"), "outside"));
	assert_non_null(strstr(note_of(&r.orphans, "c/link.qcow2"), "symbolic link"));
	assert_string_equal(note_of(&r.orphans, "c/kill.qcow2"), "the worker died");
	for (size_t i = 0; i < r.orphans.count; i++)
		assert_null(strstr(r.orphans.items[i].reason, f->dir));
	scan_report_free(&r);
}

static void two_hundred_layers_stay_in_order(void **state)
{
	struct fixture *f = *state;
	char path[64], text[64];
	for (int i = 0; i < 200; i++) {
		/* Names against the order of the layers. */
		(void)snprintf(path, sizeof(path), "deep/disk-0/n%03d.qcow2", 999 - i);
		(void)snprintf(text, sizeof(text), i ? "image 9 n%03d.qcow2" : "image 9", 1000 - i);
		put_file(f, path, text);
	}
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 200);
	assert_string_equal(r.points[0].backup_id, "n999");
	assert_string_equal(r.points[199].backup_id, "n800");
	expect_order(&r);
	scan_report_free(&r);
}

static void ids_are_unique_and_the_same_each_time(void **state)
{
	struct fixture *f = *state;
	put_file(f, "vm1/disk.qcow2", "image 1");
	put_file(f, "vm2/disk.qcow2", "image 1");
	put_file(f, "site/vm1/disk.qcow2", "image 1");
	put_file(f, "vm3/new\nline \xff.qcow2", "image 1");
	struct scan_report a = scan_with(f, &ops), b = scan_with(f, &ops);
	assert_int_equal(a.point_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(a.points[i].backup_id, b.points[i].backup_id);
		assert_string_equal(a.points[i].disks[0].path, b.points[i].disks[0].path);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(a.points[i].backup_id, a.points[k].backup_id);
			assert_string_not_equal(a.points[i].vm_name, a.points[k].vm_name);
		}
	}
	scan_report_free(&a);
	scan_report_free(&b);
}

static bool known(void *arg, const char *path, char *ret)
{
	(void)arg;
	if (strcmp(path, "vm1/disk.qcow2") != 0)
		return false;
	(void)snprintf(ret, SCAN_ID_MAX, "disk");
	return true;
}

static bool taken(void *arg, const char *id)
{
	(void)arg;
	return strcmp(id, "theirs") == 0;
}

static void the_catalogs_ids_are_kept(void **state)
{
	struct fixture *f = *state;
	put_file(f, "vm1/disk.qcow2", "image 1");
	put_file(f, "vm2/disk.qcow2", "image 1");
	put_file(f, "vm3/theirs.qcow2", "image 1");
	const struct scan_ops with = {.inspect = fake_inspect, .known_id = known, .id_taken = taken};
	struct scan_report r = scan_with(f, &with);
	assert_string_equal(point(&r, "disk")->disks[0].path, "vm1/disk.qcow2");
	assert_int_equal(r.point_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_not_equal(r.points[i].backup_id, "theirs");
	scan_report_free(&r);
}

#define MANIFEST(id, type, parent, disk)                                                           \
	"{\"format\":\"sendense-backup\",\"version\":1,\"backup_id\":\"" id "\",\"vm_name\":\"Real Name\"," \
	"\"vm_context_id\":\"ctx-9\",\"backup_type\":\"" type "\",\"parent_backup_id\":" parent    \
	",\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[" disk "]}"
#define MDISK(index, file, parent)                                                                 \
	"{\"disk_index\":" index ",\"vmware_disk_key\":2000,\"size_bytes\":9,\"file\":\"" file "\",\"format\":\"qcow2\"," \
	"\"parent_file\":" parent "}"

static void a_manifest_has_the_last_word(void **state)
{
	struct fixture *f = *state;
	put_file(f, "v/one.qcow2", "image 9");
	put_file(f, "v/two.qcow2", "image 9");
	put_file(f, "v/b.json", MANIFEST("b", "full", "null", MDISK("3", "one.qcow2", "null") "," MDISK("1", "two.qcow2", "null")));
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 1);
	const struct scan_point *p = point(&r, "b");
	assert_string_equal(p->vm_name, "Real Name");
	assert_string_equal(p->vm_context_id, "ctx-9");
	assert_string_equal(p->manifest_path, "v/b.json");
	assert_int_equal(p->created_at, 1759947871000000);
	assert_int_equal(p->disks[0].disk_index, 1);
	assert_string_equal(p->disks[1].path, "v/one.qcow2");
	assert_int_equal(p->disks[1].vmware_disk_key, 2000);
	scan_report_free(&r);
}

static void a_damaged_manifest_hides_no_chain(void **state)
{
	struct fixture *f = *state;
	put_file(f, "v/disk-0/b.qcow2", "image 9");
	put_file(f, "v/b.json", "{\"format\": \"sendense-ba");
	put_file(f, "v/c.json", MANIFEST("c", "full", "null", MDISK("0", "disk-0/none.qcow2", "null")));
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 1);
	assert_string_equal(point(&r, "b")->vm_name, "v");
	assert_non_null(strstr(note_of(&r.skipped, "v/b.json"), "not JSON"));
	assert_non_null(strstr(note_of(&r.skipped, "v/c.json"), "not there"));
	scan_report_free(&r);
}

static void data_files_are_part_of_their_image(void **state)
{
	struct fixture *f = *state;
	put_file(f, "v/d.qcow2", "data 9 d.raw");
	put_file(f, "v/d.raw", "image 9");
	put_file(f, "v/e.qcow2", "data 9 gone.raw");
	struct scan_report r = scan_with(f, &ops);
	assert_int_equal(r.point_count, 1);
	assert_string_equal(r.points[0].disks[0].data_path, "v/d.raw");
	assert_non_null(strstr(note_of(&r.orphans, "v/e.qcow2"), "data file"));
	scan_report_free(&r);
}

static void a_cancelled_scan_ends(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct scan_report r = {0};
	put_file(f, "v/a.qcow2", "image 9");
	put_file(f, "v/b.qcow2", "die");
	assert_int_equal(repository_scan(f->r, &ops, &r, &e), ERR_CANCELLED);
	assert_null(r.points);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_layout_makes_points_of_several_disks),
		TEST(images_made_elsewhere_are_named_by_folder_and_file),
		TEST(broken_chains_are_orphans_with_a_reason),
		TEST(two_hundred_layers_stay_in_order),
		TEST(ids_are_unique_and_the_same_each_time),
		TEST(the_catalogs_ids_are_kept),
		TEST(a_manifest_has_the_last_word),
		TEST(a_damaged_manifest_hides_no_chain),
		TEST(data_files_are_part_of_their_image),
		TEST(a_cancelled_scan_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
