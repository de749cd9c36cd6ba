#include "repository_fixture.h"

#include "repository/path.h"

#include <dirent.h>
#include <sys/stat.h>

#define DISK "{\"disk_index\":1,\"size_bytes\":7,\"file\":\"disk-1/b.qcow2\",\"format\":\"qcow2\"}"
#define HEAD "{\"format\":\"sendense-backup\",\"version\":1,\"backup_id\":\"b\",\"vm_name\":\"vm\",\"backup_type\":\"full\","
#define GOOD HEAD "\"created_at\":\"2025-10-08T19:24:31.5+01:00\",\"disks\":[" DISK "]}"

#define TEXT(s) ((char *)(s))

static int parse(const char *text, struct err *e)
{
	struct manifest *m = NULL;
	int r = manifest_parse(text, strlen(text), &m, e);
	manifest_free(m);
	return r;
}

static void a_manifest_is_read(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct manifest *m = NULL;
	assert_ok(manifest_parse(GOOD, strlen(GOOD), &m, &e), &e);
	assert_string_equal(m->backup_id, "b");
	assert_string_equal(m->parent_backup_id, "");
	assert_int_equal(m->created_at, 1759947871500000);
	assert_int_equal(m->disks[0].disk_index, 1);
	assert_string_equal(m->disks[0].parent_file, "");
	manifest_free(m);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
		const char *written;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z"},
		{"2025-10-08T18:24:31Z", 1759947871000000, "2025-10-08T18:24:31.000000Z"},
		{"2025-10-08 19:24:31.5+01:00", 1759947871500000, "2025-10-08T18:24:31.500000Z"},
		{"2025-10-08t18:24:31.0000019z", 1759947871000001, "2025-10-08T18:24:31.000001Z"},
		{"2024-02-29T23:59:60-00:30", 1709253000000000, "2024-03-01T00:30:00.000000Z"},
		{"9999-12-31T23:59:59.999999Z", 253402300799999999, "9999-12-31T23:59:59.999999Z"},
	};
	char text[32];
	int64_t us;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!time_parse(good[i].text, &us) || us != good[i].us)
			fail_msg("%s", good[i].text);
		time_format(us, text);
		assert_string_equal(text, good[i].written);
	}
	static const char *const bad[] = {
		"", "2025-10-08", "2025-10-08T", "2025-10-08T18:24:31", "2025-10-08T18:24Z", "2025-10-08T18:24:31.Z", "2025-10-08_18:24:31Z",
		"2025-10-08T18:24:31Z ", "2025-10-08T18:24:31+1:00", "2025-10-08T18:24:31+24:00", "2025-13-08T18:24:31Z", "2025-02-29T18:24:31Z",
		"2025-10-08T24:00:00Z", "2025-10-08T18:60:31Z", "2025-10-08T18:24:61Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "2025-10-08T18:24:31.000000000000000000000000000000000000000000000Z",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse(bad[i], &us))
			fail_msg("%s is a time", bad[i]);
	time_format(-1, text);
	assert_string_equal(text, "");
	time_format(INT64_MAX, text);
	assert_string_equal(text, "");
}

static void damage_is_named(void **state)
{
	(void)state;
	const struct {
		const char *text, *says;
	} cases[] = {
		{"", "JSON"}, {"{", "JSON"}, {"[]", "object"}, {"null", "JSON"}, {GOOD "x", "JSON"}, {"{}", "format"},
		{"{\"format\":\"other\",\"version\":1}", "format"},
		{"{\"format\":\"sendense-backup\",\"version\":2}", "version 2"},
		{"{\"format\":\"sendense-backup\",\"version\":1,\"backup_id\":7}", "backup_id"},
		{"{\"format\":\"sendense-backup\",\"version\":1,\"backup_id\":\"a\\u0000b\"}", "backup_id"},
		{HEAD "\"disks\":[" DISK "]}", "created_at"},
		{HEAD "\"created_at\":\"yesterday\",\"disks\":[" DISK "]}", "created_at"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[]}", "disks"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[" DISK "," DISK "]}", "twice"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"parent_backup_id\":\"p\",\"disks\":[" DISK "]}", "parent_backup_id"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[{\"disk_index\":0,\"size_bytes\":-1}]}", "size_bytes"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[{\"disk_index\":0,\"size_bytes\":1,\"file\":"
		 "\"../../etc/passwd\",\"format\":\"raw\"}]}", "file"},
		{HEAD "\"created_at\":\"2025-10-08T18:24:31Z\",\"disks\":[{\"disk_index\":0,\"size_bytes\":1,\"file\":"
		 "\"/etc/passwd\",\"format\":\"raw\"}]}", "file"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		if (parse(cases[i].text, &e) != ERR_INVALID || !strstr(e.msg, cases[i].says))
			fail_msg("case %zu: %s", i, e.msg);
	}
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char text[4001];
	memset(text, '[', 4000);
	text[4000] = '\0';
	assert_int_equal(parse(text, &e), ERR_INVALID);
}

static void what_is_written_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char dir[128];
	struct manifest_disk d = {.disk_index = 0, .vmware_disk_key = 2000, .size_bytes = 1LL << 40,
	                          .file = TEXT("disk-0/b2.qcow2"), .format = TEXT("qcow2"), .parent_file = TEXT("disk-0/b1.qcow2")};
	struct manifest m = {.backup_id = TEXT("b2"), .vm_name = TEXT("vm \"x\""), .backup_type = TEXT("incremental"), .parent_backup_id = TEXT("b1"),
	                     .created_at = 1759947871123456, .disks = &d, .disk_count = 1};
	assert_int_equal(manifest_write(f->r, &m, &e), ERR_IO);
	err_clear(&e);
	(void)snprintf(dir, sizeof(dir), "%s/vm \"x\"", f->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_ok(manifest_write(f->r, &m, &e), &e);
	assert_ok(manifest_write(f->r, &m, &e), &e);
	struct manifest *got = NULL;
	assert_ok(manifest_read(f->r, "vm \"x\"/b2.json", &got, &e), &e);
	assert_int_equal(got->created_at, m.created_at);
	assert_int_equal(got->completed_at, 0);
	assert_string_equal(got->disks[0].parent_file, "disk-0/b1.qcow2");
	assert_int_equal(got->disks[0].size_bytes, 1LL << 40);
	manifest_free(got);
	int files = 0;
	DIR *folder = opendir(dir);
	while (readdir(folder))
		files++;
	(void)closedir(folder);
	assert_int_equal(files, 3);
	m.vm_name = TEXT("../up");
	assert_int_equal(manifest_write(f->r, &m, &e), ERR_INVALID);
	err_clear(&e);
	m.vm_name = TEXT("vm \"x\"");
	m.backup_type = TEXT("odd");
	assert_int_equal(manifest_write(f->r, &m, &e), ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_manifest_is_read),
		cmocka_unit_test(times),
		TEST(damage_is_named),
		TEST(nesting_is_bounded),
		TEST(what_is_written_is_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
