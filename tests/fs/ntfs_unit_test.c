/* The driver's pieces without a volume: run lists, boot sectors, decompressors with the vectors of [MS-XCA] 3. */
#include "fs/ntfs/decompress.h"
#include "fs/ntfs/logop.h"

#include "test.h"

/* --- decompressors -------------------------------------------------------------------------------- */

static void lznt1_vector(void **state)
{
	(void)state;
	/* [MS-XCA] 3.1 */
	static const uint8_t in[] = {
		0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45, 0x20, 0x44,
		0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef,
		0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00};
	static const char want[] = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# "
	                           "G F# E D E A F# F# G A A G F# E D D E F# E D D";
	char out[sizeof(want)];
	assert_true(lznt1_decompress(in, sizeof(in), (uint8_t *)out, sizeof(out)));
	assert_memory_equal(out, want, sizeof(want));
	/* Short input is zeroes behind it, for a unit is as long as its clusters. */
	uint8_t longer[8192];
	memset(longer, 0xAA, sizeof(longer));
	assert_true(lznt1_decompress(in, sizeof(in), longer, sizeof(longer)));
	assert_memory_equal(longer, want, sizeof(want));
	for (size_t i = sizeof(want); i < sizeof(longer); i++)
		assert_int_equal(longer[i], 0);
}

static void lznt1_refuses(void **state)
{
	(void)state;
	uint8_t out[4096];
	static const uint8_t cut_off[] = {0x38, 0xb0, 0x88};
	static const uint8_t no_signature[] = {0x01, 0x80, 0x00, 'x'};
	static const uint8_t before_start[] = {0x03, 0xb0, 0x02, 'x', 0x00, 0x10};      /* distance 2 at 1 */
	static const uint8_t half_token[] = {0x02, 0xb0, 0x02, 'x', 0x00};
	assert_false(lznt1_decompress(cut_off, sizeof(cut_off), out, sizeof(out)));
	assert_false(lznt1_decompress(no_signature, sizeof(no_signature), out, sizeof(out)));
	assert_false(lznt1_decompress(before_start, sizeof(before_start), out, sizeof(out)));
	assert_false(lznt1_decompress(half_token, sizeof(half_token), out, sizeof(out)));
}

static void xpress_vector(void **state)
{
	(void)state;
	/* [MS-XCA] 3.2: the letters a … z, all but literally. */
	uint8_t in[256 + 22] = {0};
	in[0x61 / 2] = 0x50;
	memset(in + 0x62 / 2, 0x55, 10);
	in[0x76 / 2] = 0x45;
	in[0x78 / 2] = 0x44;
	in[0x7a / 2] = 0x04;
	in[256 / 2] = 0x04;
	static const uint8_t bits[] = {0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b, 0xe9, 0x19, 0x5f, 0xf9,
	                               0xd6, 0x7c, 0xdf, 0x8d, 0x04, 0x00, 0x00, 0x00, 0x00};
	memcpy(in + 256, bits, sizeof(bits));
	uint8_t out[26];
	assert_true(xpress_decompress(in, 256 + sizeof(bits), out, sizeof(out)));
	assert_memory_equal(out, "abcdefghijklmnopqrstuvwxyz", sizeof(out));
}

static void xpress_refuses(void **state)
{
	(void)state;
	uint8_t in[300], out[4096];
	memset(in, 0x11, sizeof(in));                    /* 512 codes of one bit */
	assert_false(xpress_decompress(in, sizeof(in), out, sizeof(out)));
	memset(in, 0, sizeof(in));                       /* no codes at all */
	assert_false(xpress_decompress(in, sizeof(in), out, sizeof(out)));
	assert_false(xpress_decompress(in, 255, out, sizeof(out)));
}

static void lzx_stored(void **state)
{
	(void)state;
	/* type 3, length 8 in 16 bits, padding, three distances, the bytes. */
	static const uint8_t in[] = {0x00, 0x60, 0x00, 0x80, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'v', 'e', 'r', 'b',
	                             'a', 't', 'i', 'm'};
	uint8_t out[8];
	assert_true(lzx_decompress(in, sizeof(in), out, sizeof(out)));
	assert_memory_equal(out, "verbatim", 8);
	assert_false(lzx_decompress(in, sizeof(in) - 1, out, sizeof(out)));
	assert_false(lzx_decompress(in, sizeof(in), out, 7));
}

static void lzx_stored_at_a_word(void **state)
{
	(void)state;
	/* Two stored blocks. The first has an odd length, so a byte of padding; what precedes the second one is
	 * again 20 bits and padding. */
	static const uint8_t in[] = {0x00, 0x60, 0x00, 0x30, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'o', 'n', 'e', 0,
	                             0x00, 0x60, 0x00, 0x30, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 't', 'w', 'o'};
	uint8_t out[6];
	assert_true(lzx_decompress(in, sizeof(in), out, sizeof(out)));
	assert_memory_equal(out, "onetwo", 6);
}

static void huffman_codes(void **state)
{
	(void)state;
	struct huff h;
	static const uint8_t too_many[] = {1, 1, 1};
	assert_false(huff_build(&h, too_many, 3));
	/* One code of each length: 0, 10, 110, … and the last two of 15 bits. */
	uint8_t lens[16];
	for (unsigned i = 0; i < 15; i++)
		lens[i] = (uint8_t)(i + 1);
	lens[15] = 15;
	assert_true(huff_build(&h, lens, 16));
	for (unsigned i = 0; i < 16; i++) {
		unsigned len = lens[i];
		uint32_t code = i == 15 ? 0x7FFF : ((1u << len) - 2);
		struct huff_bits b = {.buf = code << (32 - len), .held = 31};
		assert_int_equal(huff_symbol(&h, &b), i);
		assert_int_equal(b.held, 31 - len);
	}
}

/* --- runs ----------------------------------------------------------------------------------------- */

static int add(struct ntfs_runs *r, const uint8_t *pairs, size_t len, uint64_t lowest, uint64_t highest)
{
	struct err e = ERR_INIT;
	int res = ntfs_runs_add(r, 1000, pairs, len, lowest, highest, &e);
	assert_int_equal(res, e.code);
	return res;
}

static void runs_of_all_kinds(void **state)
{
	(void)state;
	struct ntfs_runs r = {0};
	/* 3 clusters at 100, a hole of 5, 2 at 100 - 60, 4 right behind them */
	static const uint8_t pairs[] = {0x11, 3, 100, 0x01, 5, 0x11, 2, (uint8_t)-60, 0x11, 4, 2, 0};
	assert_int_equal(add(&r, pairs, sizeof(pairs), 0, 13), 0);
	assert_int_equal(r.count, 3);
	static const uint8_t more[] = {0x21, 1, 0xE7, 0x03};             /* cluster 999; the deltas start anew */
	assert_int_equal(add(&r, more, sizeof(more), 14, 14), 0);
	static const struct {
		uint64_t vcn, lcn, left;
	} want[] = {{0, 100, 3}, {2, 102, 1}, {3, NTFS_HOLE, 5}, {7, NTFS_HOLE, 1}, {8, 40, 6}, {13, 45, 1}, {14, 999,
	                                                                                                      1}};
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		uint64_t lcn, left;
		assert_true(ntfs_runs_find(&r, want[i].vcn, &lcn, &left));
		assert_int_equal(lcn, want[i].lcn);
		assert_int_equal(left, want[i].left);
	}
	uint64_t lcn, left;
	assert_false(ntfs_runs_find(&r, 15, &lcn, &left));
	ntfs_runs_free(&r);
}

static void runs_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t pairs[16];
		uint64_t lowest, highest;
	} bad[] = {
		{"behind the volume", {0x21, 1, 0xE8, 0x03, 0}, 0, 0},
		{"across its end", {0x21, 2, 0xE7, 0x03, 0}, 0, 1},
		{"before its start", {0x11, 1, 0xFF, 0}, 0, 0},
		{"of no length", {0x11, 0, 5, 0}, 0, 0},
		{"of negative length", {0x11, 0xFE, 5, 0}, 0, 0},
		{"longer than said", {0x11, 3, 5, 0}, 0, 1},
		{"shorter than said", {0x11, 3, 5, 0}, 0, 3},
		{"a gap between pieces", {0x11, 3, 5, 0}, 2, 4},
		{"nine bytes of length", {0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0}, 0, 0},
		{"an enormous hole", {0x08, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0}, 0, 0},
		{"two holes of 2^42", {0x06, 0, 0, 0, 0, 0, 4, 0x06, 0, 0, 0, 0, 0, 4, 0}, 0, (1ull << 43) - 1},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ntfs_runs r = {0};
		if (add(&r, bad[i].pairs, sizeof(bad[i].pairs), bad[i].lowest, bad[i].highest) != ERR_FILE_CORRUPT)
			fail_msg("a run %s was taken", bad[i].name);
		ntfs_runs_free(&r);
	}
	struct ntfs_runs r = {0};
	static const uint8_t cut[] = {0x41, 1, 2};
	assert_int_equal(add(&r, cut, sizeof(cut), 0, 0), ERR_FILE_CORRUPT);
	ntfs_runs_free(&r);
}

/* --- boot sector ---------------------------------------------------------------------------------- */

static void make_boot(uint8_t p[512])
{
	memset(p, 0, 512);
	memcpy(p + 3, "NTFS    ", 8);
	put_le16(p + 11, 512);
	p[13] = 8;
	put_le64(p + 40, 80000);
	put_le64(p + 48, 4);
	put_le64(p + 56, 5000);
	p[64] = 0xF6;
	p[68] = 1;
	put_le64(p + 72, 0x1066467111C40DAF);
}

static int read_boot(const uint8_t p[512], struct ntfs_boot *ret)
{
	struct err e = ERR_INIT;
	struct blk *b = NULL;
	assert_ok(blk_mem_open(p, 512, &b, &e), &e);
	int r = ntfs_boot_read(b, 0, ret, &e);
	blk_unref(b);
	assert_int_equal(e.code, 0);
	return r;
}

static void boot_good(void **state)
{
	(void)state;
	uint8_t p[512];
	struct ntfs_boot boot;
	make_boot(p);
	assert_int_equal(read_boot(p, &boot), 1);
	assert_int_equal(boot.cluster_size, 4096);
	assert_int_equal(boot.record_size, 1024);
	assert_int_equal(boot.block_size, 4096);
	assert_int_equal(boot.clusters, 10000);
	p[13] = 0xF4;                                    /* 2^12 sectors: 2 MiB clusters */
	p[68] = 0xF4;
	put_le64(p + 40, 80000ull * 4096);
	assert_int_equal(read_boot(p, &boot), 1);
	assert_int_equal(boot.cluster_size, 2 << 20);
	assert_int_equal(boot.block_size, 4096);
}

static void boot_bad(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned off, len;
		uint64_t value;
	} bad[] = {
		{"another OEM name", 3, 8, 0x2020205346414645}, {"sectors of 0", 11, 2, 0},     {"sectors of 1000", 11,
		                                                                                 2, 1000},
		{"clusters of 0", 13, 1, 0},                    {"clusters of 3", 13, 1, 3},    {"clusters of 4 MiB",
		                                                                                 13, 1, 0xF3},
		{"reserved sectors", 14, 2, 1},                 {"FATs", 16, 1, 2},             {"no sectors", 40, 8,
		                                                                                 0},
		{"sectors without end", 40, 8, UINT64_MAX},     {"MFT outside", 48, 8, 10000},  {"mirror outside", 56,
		                                                                                 8, UINT64_MAX},
		{"records of 0", 64, 1, 0},                     {"records of 16", 64, 1, 0xFC}, {"records of 2^127", 64,
		                                                                                 1, 0x81},
		{"index blocks of 0", 68, 1, 0},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t p[512];
		struct ntfs_boot boot;
		make_boot(p);
		for (unsigned k = 0; k < bad[i].len; k++)
			p[bad[i].off + k] = (uint8_t)(bad[i].value >> 8 * k);
		if (read_boot(p, &boot) != 0)
			fail_msg("a boot sector with %s was taken", bad[i].name);
	}
}

/* --- extended attributes -------------------------------------------------------------------------- */

static void ea_lists(void **state)
{
	(void)state;
	/* name "A", value "xy", at 12 again: name "BC", no value */
	static const uint8_t list[] = {12, 0, 0, 0, 0, 1, 2, 0, 'A', 0, 'x', 'y', 12, 0, 0, 0, 0, 2, 0, 0, 'B', 'C', 0,
	                               0};
	const char *name;
	const uint8_t *value;
	size_t name_len, value_len, off = 0;
	struct err e = ERR_INIT;
	assert_int_equal(ntfs_ea_next(list, sizeof(list), &off, &name, &name_len, &value, &value_len, &e), 1);
	assert_int_equal(value_len, 2);
	assert_memory_equal(value, "xy", 2);
	assert_int_equal(ntfs_ea_next(list, sizeof(list), &off, &name, &name_len, &value, &value_len, &e), 1);
	assert_int_equal(name_len, 2);
	assert_memory_equal(name, "BC", 2);
	assert_int_equal(ntfs_ea_next(list, sizeof(list), &off, &name, &name_len, &value, &value_len, &e), 0);
	off = 0;
	assert_int_equal(ntfs_ea_next(list, 11, &off, &name, &name_len, &value, &value_len, &e), ERR_FILE_CORRUPT);
	err_clear(&e);
	uint8_t backwards[12];
	memcpy(backwards, list, 12);
	backwards[0] = 4;                                /* the next one starts inside this one */
	off = 0;
	assert_int_equal(ntfs_ea_next(backwards, 12, &off, &name, &name_len, &value, &value_len, &e), ERR_FILE_CORRUPT);
}

/* --- operations of the log that the volumes of ntfs_log_test.sh do not need ------------------------- */

/* An index block of one entry (key 4 bytes, data 8 bytes at 24, a child) and the end. */
static void small_index(uint8_t p[512])
{
	memset(p, 0, 512);
	memcpy(p, "INDX", 4);
	put_le32(p + 24, 16);                            /* the header: first entry, used, room */
	put_le32(p + 28, 16 + 40 + 24);
	put_le32(p + 32, 512 - 24);
	put_le16(p + 40, 24);                            /* the entry: where its data is, length, key, flags */
	put_le16(p + 40 + 8, 40);
	put_le16(p + 40 + 10, 4);
	put_le16(p + 40 + 12, 1);
	put_le16(p + 80 + 8, 24);
	put_le16(p + 80 + 12, 3);
}

static int do_block(uint8_t p[512], unsigned code, uint16_t off, const void *data, uint32_t len)
{
	struct log_block b = {p, 512};
	struct log_op op = {.attr_off = off};
	struct log_part part = {code, data, len};
	struct err e = ERR_INIT;
	return log_block_apply(&b, &op, &part, &e);
}

static void log_index_operations(void **state)
{
	(void)state;
	uint8_t p[512], was[512];
	static const uint8_t eight[] = {1, 2, 3, 4, 5, 6, 7, 8};
	small_index(p);
	assert_int_equal(do_block(p, LOG_SET_VCN_BLOCK, 40, eight, 8), 0);
	assert_memory_equal(p + 40 + 32, eight, 8);
	assert_int_equal(do_block(p, LOG_SET_VCN_BLOCK, 80, eight, 8), 0);
	assert_memory_equal(p + 80 + 16, eight, 8);
	assert_int_equal(do_block(p, LOG_UPDATE_DATA_BLOCK, 40, eight, 8), 0);
	assert_memory_equal(p + 40 + 24, eight, 8);
	/* Places that are no entry, data that is too long, the end entry. */
	memcpy(was, p, sizeof(p));
	assert_int_equal(do_block(p, LOG_SET_VCN_BLOCK, 48, eight, 8), ERR_FILE_CORRUPT);
	assert_int_equal(do_block(p, LOG_SET_VCN_BLOCK, 504, eight, 8), ERR_FILE_CORRUPT);
	assert_int_equal(do_block(p, LOG_SET_VCN_BLOCK, 8, eight, 8), ERR_FILE_CORRUPT);
	assert_int_equal(do_block(p, LOG_UPDATE_DATA_BLOCK, 40, was, 17), ERR_FILE_CORRUPT);
	assert_int_equal(do_block(p, LOG_DELETE_ENTRY_BLOCK, 80, NULL, 0), ERR_FILE_CORRUPT);
	assert_int_equal(do_block(p, LOG_WRITE_END_OF_BLOCK, 80, was, 433), ERR_FILE_CORRUPT);
	assert_memory_equal(p, was, sizeof(p));
}

static void log_zero_end(void **state)
{
	(void)state;
	uint8_t p[1024];
	memset(p, 0xAA, sizeof(p));
	put_le16(p + 0x14, 56);
	put_le32(p + 0x18, 64);
	put_le32(p + 0x1C, 1024);
	put_le32(p + 56, 0xFFFFFFFF);
	struct log_block b = {p, sizeof(p)};
	assert_true(log_mft_sound(&b));
	struct log_op op = {.record_off = 64};
	struct log_part part = {LOG_ZERO_END_OF_RECORD, p, 960};
	struct err e = ERR_INIT;
	assert_int_equal(log_mft_apply(&b, &op, &part, &e), 0);
	assert_int_equal(p[63], 0xAA);
	assert_int_equal(p[64] | p[1023], 0);
	/* Attributes are not to be wiped, nor what is behind the record. */
	op.record_off = 56;
	assert_int_equal(log_mft_apply(&b, &op, &part, &e), ERR_FILE_CORRUPT);
	err_clear(&e);
	op.record_off = 72;
	assert_int_equal(log_mft_apply(&b, &op, &part, &e), ERR_FILE_CORRUPT);
	assert_int_equal(get_le32(p + 56), 0xFFFFFFFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lznt1_vector),  cmocka_unit_test(lznt1_refuses),        cmocka_unit_test(xpress_vector),
		cmocka_unit_test(xpress_refuses), cmocka_unit_test(lzx_stored),          cmocka_unit_test(lzx_stored_at_a_word),
		cmocka_unit_test(huffman_codes), cmocka_unit_test(runs_of_all_kinds),    cmocka_unit_test(runs_refused),
		cmocka_unit_test(boot_good),     cmocka_unit_test(boot_bad),             cmocka_unit_test(ea_lists),
		cmocka_unit_test(log_index_operations),
		cmocka_unit_test(log_zero_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
