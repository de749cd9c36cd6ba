/* Entries, volumes and layers: there and back, cut anywhere, and with every byte changed. */
#include "test.h"

#include "base/cleanup.h"
#include "wire/entry.h"

static struct wire_entry sample(void)
{
	return (struct wire_entry){
		.name = "a\xff" "b", .name_len = 3, .target = "../x", .target_len = 4, .kind = ENTRY_SYMLINK,
		.flags = ENTRY_HAS_MODE | ENTRY_HAS_MTIME | ENTRY_COMPRESSED, .mode = 07755, .uid = 1, .gid = UINT32_MAX,
		.nlink = 3, .size = UINT64_MAX, .allocated = 5, .ino = 6, .tree = 7, .mtime = {-5, 999999999}, .atime = {1, 2},
		.ctime = {3, 4}, .btime = {INT64_MIN, 6}, .rdev_major = 8, .rdev_minor = 9, .dos_attrs = 0x20,
	};
}

static struct wire_entry get(const void *bytes, size_t len, bool *ret_bad)
{
	struct rdr r = rdr_init(bytes, len);
	struct wire_entry en;
	wire_entry_get(&r, &en);
	*ret_bad = r.bad;
	return en;
}

static void test_entry(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(ENTRY_RECORD_MAX);
	struct wire_entry in = sample();
	bool bad;
	wire_entry_put(&b, &in);
	struct wire_entry out = get(b.data, b.len, &bad);
	assert_false(bad);
	assert_memory_equal(out.name, in.name, 3);
	assert_memory_equal(out.target, in.target, 4);
	assert_int_equal(out.kind, in.kind);
	assert_int_equal(out.flags, in.flags);
	assert_int_equal(out.mode, in.mode);
	assert_int_equal(out.gid, in.gid);
	assert_int_equal(out.size, in.size);
	assert_int_equal(out.tree, in.tree);
	assert_int_equal(out.mtime.sec, in.mtime.sec);
	assert_int_equal(out.mtime.nsec, in.mtime.nsec);
	assert_int_equal(out.btime.sec, in.btime.sec);
	assert_int_equal(out.dos_attrs, in.dos_attrs);
	for (size_t cut = 0; cut < b.len; cut++) {
		(void)get(b.data, cut, &bad);
		assert_true(bad);
	}
}

static void test_broken_entry(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(ENTRY_RECORD_MAX);
	struct wire_entry in = {.name = "x", .name_len = 1, .kind = ENTRY_FILE, .flags = ENTRY_BROKEN,
	                        .error_code = ERR_FILE_CORRUPT, .error_msg = "gone", .error_len = 4};
	bool bad;
	wire_entry_put(&b, &in);
	struct wire_entry out = get(b.data, b.len, &bad);
	assert_false(bad);
	assert_int_equal(out.error_code, ERR_FILE_CORRUPT);
	assert_memory_equal(out.error_msg, "gone", 4);
	buf_reset(&b);
	in.error_code = ERR_ALREADY_MOUNTED; /* not a worker's to say */
	wire_entry_put(&b, &in);
	(void)get(b.data, b.len, &bad);
	assert_true(bad);
}

static void refuse(struct wire_entry en)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1 << 20);
	bool bad;
	wire_entry_put(&b, &en);
	(void)get(b.data, b.len, &bad);
	assert_true(bad);
}

static void test_entry_bounds(void **state)
{
	(void)state;
	static char big[ENTRY_TARGET_MAX + 1];
	memset(big, 'x', sizeof(big));
	struct wire_entry en = sample();
	en.kind = ENTRY_KINDS;
	refuse(en);
	en = sample();
	en.mode = 010000;
	refuse(en);
	en = sample();
	en.atime.nsec = 1000000000;
	refuse(en);
	en = sample();
	en.name_len = 0;
	refuse(en);
	en = sample();
	en.name = "a\0b";
	refuse(en);
	en = sample();
	en.name = "a/b";
	refuse(en);
	en = sample();
	en.name = big;
	en.name_len = ENTRY_NAME_MAX + 1;
	refuse(en);
	en = sample();
	en.target = big;
	en.target_len = sizeof(big);
	refuse(en);
}

/* Whatever one byte becomes: either it is refused, or what came out is within its bounds. */
static void test_entry_mutations(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(ENTRY_RECORD_MAX);
	struct wire_entry in = sample();
	wire_entry_put(&b, &in);
	unsigned refused = 0;
	for (size_t i = 0; i < b.len; i++) {
		uint8_t was = b.data[i];
		for (unsigned v = 0; v < 256; v++) {
			b.data[i] = (uint8_t)v;
			bool bad;
			struct wire_entry out = get(b.data, b.len, &bad);
			refused += bad;
			if (bad)
				continue;
			assert_true(out.kind < ENTRY_KINDS);
			assert_true(out.mode <= 07777);
			assert_true(out.mtime.nsec < 1000000000);
			assert_true((const uint8_t *)out.name + out.name_len <= b.data + b.len);
			assert_true(out.target == NULL || (const uint8_t *)out.target + out.target_len <= b.data + b.len);
		}
		b.data[i] = was;
	}
	assert_true(refused > 1000);
}

static void test_volume(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(WIRE_PAYLOAD_MAX);
	struct wire_volume in = {.number = 3, .disk = 1, .parent = 2, .partition = 4, .kind = "partition", .table = "gpt",
	                         .label = "Gr\xc3\xbc\xc3\x9f" "e", .name = "x\033[0m", .uuid = "u", .type = "ext4", .reason = "r",
	                         .offset = 1, .size = UINT64_MAX, .supported = true, .is_default = true};
	wire_volume_put(&b, &in);
	struct rdr r = rdr_init(b.data, b.len);
	struct wire_volume out;
	wire_volume_get(&r, &out);
	assert_false(r.bad);
	assert_int_equal(rdr_left(&r), 0);
	assert_int_equal(out.number, 3);
	assert_int_equal(out.size, UINT64_MAX);
	assert_string_equal(out.label, in.label);
	assert_string_equal(out.name, "x?[0m"); /* a guest's text shows no terminal commands */
	assert_true(out.supported && out.is_default && !out.locked && !out.container);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = rdr_init(b.data, cut);
		wire_volume_get(&r, &out);
		assert_true(r.bad);
	}
}

static void test_layer(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(WIRE_PAYLOAD_MAX);
	struct wire_layer in = {.format = "qcow2", .version = 3, .cluster_size = 65536, .virtual_size = 7, .file_size = 8,
	                        .backing_name = "../base.qcow2", .backing_format = "raw", .has_data_file = true,
	                        .data_file_name = "d", .compression_zstd = true, .encrypted = true};
	wire_layer_put(&b, &in);
	struct rdr r = rdr_init(b.data, b.len);
	struct wire_layer out;
	wire_layer_get(&r, &out);
	assert_false(r.bad);
	assert_string_equal(out.backing_name, in.backing_name);
	assert_string_equal(out.backing_format, "raw");
	assert_true(out.has_data_file && out.compression_zstd && out.encrypted && !out.foreign && !out.dirty && !out.extended_l2);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = rdr_init(b.data, cut);
		wire_layer_get(&r, &out);
		assert_true(r.bad);
	}
	/* A backing name longer than any path has no place to go. */
	static char big[2000];
	memset(big, 'x', sizeof(big));
	buf_reset(&b);
	wire_put_cstr(&b, "qcow2");
	wire_put_u32(&b, 3);
	wire_put_u32(&b, 65536);
	wire_put_u64(&b, 1);
	wire_put_u64(&b, 1);
	wire_put_str(&b, big, 1024);
	r = rdr_init(b.data, b.len);
	wire_layer_get(&r, &out);
	assert_true(r.bad);
	assert_string_equal(out.backing_name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),           cmocka_unit_test(test_broken_entry), cmocka_unit_test(test_entry_bounds),
		cmocka_unit_test(test_entry_mutations), cmocka_unit_test(test_volume),       cmocka_unit_test(test_layer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
