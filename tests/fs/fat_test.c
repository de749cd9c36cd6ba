/* FAT volumes laid out by hand: what tools do not write. See fat_test.sh for what they do. */
#include "fat_volume.h"

/* --- names ---------------------------------------------------------------------------------------- */

static void short_names(void **state)
{
	(void)state;
	struct volume v = make(12);
	add(&v, "README  TXT", 0, 0, 0);
	add(&v, "NOEXT      ", 0, 0, 0);
	add(&v, "LOWER   TXT", 0, 0, 0), v.root[-32 + 12] = 0x18;
	add(&v, "BASE    EXT", 0, 0, 0), v.root[-32 + 12] = 0x08;
	add(&v, "BASE2   EXT", 0, 0, 0), v.root[-32 + 12] = 0x10;
	add(&v, "\x05IGMA      ", 0, 0, 0);
	add(&v, "\xe5" "DELETE    ", 0, 0, 0);
	add(&v, "\x80\x9a      \x8e  ", 0, 0, 0), v.root[-32 + 12] = 0x18;
	add(&v, "A B     C D", 0, 0, 0);
	add(&v, "SLASH/X    ", 0, 0, 0);
	add(&v, "..X        ", 0, 0, 0);
	add(&v, "           ", 0, 0, 0); /* not taken for the dots before it */
	add(&v, "VOLUME     ", LABEL, 0, 0);
	add(&v, "LAST       ", 0, 0, 0);
	v.root += 32;
	add(&v, "BEYOND     ", 0, 0, 0);
	open_volume(&v);
	check_listing(&v, "/", "README.TXT|NOEXT|lower.txt|base.EXT|BASE2.ext|\xcf\x83IGMA|\xc3\xa7\xc3\xbc.\xc3\xa4|"
	              "A B.C D|SLASH?X!|..X|?!|LAST|", 0);
	assert_string_equal(v.fs->ident.type, "vfat");
	assert_string_equal(v.fs->ident.label, "VOLUME");
	assert_string_equal(v.fs->ident.uuid, "ABCD-1234");
	assert_int_equal(v.fs->ident.size, v.size);
	assert_true(find(&v, "/readme.txt") != 0 && find(&v, "/readme.txt") == find(&v, "/README.TXT"));
	assert_true(find(&v, "/\xc3\x87\xc3\x9c.\xc3\x84") != 0);
	assert_int_equal(find(&v, "/BEYOND"), 0);
	assert_int_equal(find(&v, "/VOLUME"), 0);
	fs_conformance_damaged(v.fs);
	done(&v);
}

static void long_names(void **state)
{
	(void)state;
	struct volume v = make(12);
	static const uint16_t thirteen[] = {'e', 'x', 'a', 'c', 't', 'l', 'y', '1', '3', 'u', 'n', 'i', 't'};
	static const uint16_t lone[] = {'x', 0xd800};
	static const uint16_t emoji[] = {0xd83d, 0xde00, '.', 't'};
	uint16_t longest[256];
	for (int i = 0; i < 256; i++)
		longest[i] = 0x20ac;
	add_long(&v, thirteen, 13, checksum("EXACT~1    ")), add(&v, "EXACT~1    ", 0, 0, 0);
	add_long(&v, lone, 2, checksum("LONE       ")), add(&v, "LONE       ", 0, 0, 0);
	add_long(&v, emoji, 4, checksum("EMOJI   T  ")), add(&v, "EMOJI   T  ", 0, 0, 0);
	add_long(&v, longest, 255, checksum("LONG~1     ")), add(&v, "LONG~1     ", 0, 0, 0);
	open_volume(&v);
	char want[2000] = "exactly13unit|x\xed\xa0\x80|\xf0\x9f\x98\x80.t|";
	for (int i = 0; i < 255; i++)
		strcat(want, "\xe2\x82\xac");
	strcat(want, "|");
	check_listing(&v, "/", want, 0);
	assert_true(find(&v, "/EXACT~1") != 0 && find(&v, "/EXACT~1") == find(&v, "/Exactly13UNIT"));
	assert_true(find(&v, "/x\xed\xa0\x80") != 0);
	fs_conformance(v.fs);
	done(&v);
}

static void orphaned_long_names_are_ignored(void **state)
{
	(void)state;
	struct volume v = make(12);
	uint16_t u[39];
	for (int i = 0; i < 39; i++)
		u[i] = 'z';
	/* wrong checksum */
	add_long(&v, u, 5, 0x11), add(&v, "SUM        ", 0, 0, 0);
	/* the first slot is missing */
	add_slot(&v, 2, checksum("FIRST      "), u), add_slot(&v, 1, checksum("FIRST      "), u);
	add(&v, "FIRST      ", 0, 0, 0);
	/* the last slot is missing */
	add_slot(&v, 0x43, checksum("LAST       "), u), add_slot(&v, 2, checksum("LAST       "), u);
	add(&v, "LAST       ", 0, 0, 0);
	/* one in the middle is missing */
	add_slot(&v, 0x43, checksum("MIDDLE     "), u), add_slot(&v, 1, checksum("MIDDLE     "), u);
	add(&v, "MIDDLE     ", 0, 0, 0);
	/* a deleted entry, or a label, between */
	add_slot(&v, 0x41, checksum("BETWEEN    "), u), add(&v, "\xe5ONE       ", 0, 0, 0);
	add(&v, "BETWEEN    ", 0, 0, 0);
	add_slot(&v, 0x41, checksum("LABELLED   "), u), add(&v, "L          ", LABEL, 0, 0);
	add(&v, "LABELLED   ", 0, 0, 0);
	/* impossible numbers */
	add_slot(&v, 0x40, checksum("ZERO       "), u), add(&v, "ZERO       ", 0, 0, 0);
	add_slot(&v, 0x7f, checksum("MANY       "), u), add(&v, "MANY       ", 0, 0, 0);
	/* it starts over: the second beginning counts */
	add_slot(&v, 0x42, checksum("AGAIN      "), u), add_long(&v, u, 3, checksum("AGAIN      "));
	add(&v, "AGAIN      ", 0, 0, 0);
	/* the same slots do not serve twice */
	add_long(&v, u, 4, checksum("TWICE      ")), add(&v, "TWICE      ", 0, 0, 0), add(&v, "TWICE      ", 0, 0, 0);
	open_volume(&v);
	check_listing(&v, "/", "SUM|FIRST|LAST|MIDDLE|BETWEEN|LABELLED|ZERO|MANY|zzz|zzzz|TWICE|", 0);
	done(&v);
}

static void lookup_prefers_the_exact_name(void **state)
{
	(void)state;
	struct volume v = make(12);
	static const uint16_t alias_of_other[] = {'O', 'T', 'H', 'E', 'R'};
	static const uint16_t lower[] = {'a', 'b'}, mixed[] = {'A', 'b'};
	add_long(&v, alias_of_other, 5, checksum("AB         ")), add(&v, "AB         ", 0, 0, 0);
	add_long(&v, mixed, 2, checksum("AB~1       ")), add(&v, "AB~1       ", 0, 0, 0);
	add_long(&v, lower, 2, checksum("AB~2       ")), add(&v, "AB~2       ", 0, 0, 0);
	open_volume(&v);
	uint64_t other = find(&v, "/OTHER"), second = find(&v, "/AB~1"), third = find(&v, "/AB~2");
	assert_true(other && second && third && other != second && second != third);
	assert_int_equal(find(&v, "/Ab"), second);
	assert_int_equal(find(&v, "/ab"), third);
	assert_int_equal(find(&v, "/aB"), second);
	assert_int_equal(find(&v, "/AB"), second);
	done(&v);
}

/* --- metadata ------------------------------------------------------------------------------------- */

static void times_attributes_and_modes(void **state)
{
	(void)state;
	struct volume v = make(16);
	add(&v, "TIMES      ", RO | 0x22, 0, 0);
	uint8_t *n = v.root - 32;
	n[13] = 157;                                                 /* + 1.57 s */
	put_le16(n + 14, 23 << 11 | 59 << 5 | 29), put_le16(n + 16, 44 << 9 | 2 << 5 | 29);   /* 2024-02-29 23:59:58 */
	put_le16(n + 18, 0 << 9 | 1 << 5 | 1);                       /* 1980-01-01 */
	put_le16(n + 22, 12 << 11 | 34 << 5 | 28), put_le16(n + 24, 127 << 9 | 12 << 5 | 31); /* 2107-12-31 12:34:56 */
	add(&v, "NOTIMES    ", DIR | RO, 3, 0);
	put_le16(v.root - 32 + 24, 13 << 5 | 1);                     /* there is no thirteenth month */
	link_to(&v, 3, END);
	open_volume(&v);
	struct err e = ERR_INIT;
	struct fs_stat st;
	assert_ok(fs_stat(v.fs, (struct fs_id){.ino = find(&v, "/TIMES")}, &st, &e), &e);
	assert_int_equal(st.valid, FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_BTIME | FS_HAS_ATTRS);
	assert_int_equal(st.mtime.sec, 4354778096);                  /* date -u -d '2107-12-31 12:34:56' +%s */
	assert_int_equal(st.atime.sec, 315532800);
	assert_int_equal(st.btime.sec, 1709251199);
	assert_int_equal(st.btime.nsec, 570000000);
	assert_int_equal(st.mode, 0444);
	assert_int_equal(st.dos_attrs, 0x23);
	assert_ok(fs_stat(v.fs, (struct fs_id){.ino = find(&v, "/NOTIMES")}, &st, &e), &e);
	assert_int_equal(st.valid, FS_HAS_ATTRS);
	assert_int_equal(st.mode, 0555);
	assert_int_equal(st.type, FS_DIRECTORY);
	assert_int_equal(v.fs->warning_count, 0);
	done(&v);
}

static void a_volume_in_use_is_said(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct volume v = make(how == 1 ? 32 : 16);
		if (how == 0)
			link_to(&v, 1, 0x7fff);
		else if (how == 1)
			link_to(&v, 1, 0x07ffffff);
		else if (how == 2)
			v.data[37] = 1;
		else
			v.size -= 100 * SECTOR;
		open_volume(&v);
		assert_int_equal(v.fs->warning_count, 1);
		done(&v);
	}
}

/* --- probing -------------------------------------------------------------------------------------- */

static int probe(const struct volume *v)
{
	struct err e = ERR_INIT;
	struct blk *b = NULL;
	const struct fs_driver *d = NULL;
	struct fs_ident ident;
	assert_ok(blk_mem_open(v->data, v->size, &b, &e), &e);
	assert_ok(fs_probe(b, &d, &ident, &e), &e);
	blk_unref(b);
	return d && strcmp(d->name, "fat") == 0;
}

static void other_boot_sectors_are_not_fat(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
	        {11, 1},  {12, 0}, {12, 0x20}, {12, 3}, {13, 0},    {13, 3}, {14, 0},  {16, 0},
	        {16, 17}, {17, 0}, {21, 0xf1}, {21, 0}, {22, 0xff}, {20, 0}, {3, 'N'},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct volume v = make(12);
		assert_true(probe(&v));
		if (wrong[i].at == 3)
			memcpy(v.data + 3, "NTFS    ", 8);
		else if (wrong[i].at == 20)
			put_le16(v.data + 19, 5);
		else
			v.data[wrong[i].at] = wrong[i].value;
		if (wrong[i].at == 14)
			v.data[15] = 0;
		if (wrong[i].at == 22)
			v.data[23] = 0xff;
		if (probe(&v))
			fail_msg("byte %d = %d was taken", (int)wrong[i].at, wrong[i].value);
		done(&v);
	}
}

static void a_truncated_volume_fails_to_open(void **state)
{
	(void)state;
	struct volume v = make(16);
	v.size = v.root_off - 600;
	struct err e = ERR_INIT;
	assert_ok(blk_mem_open(v.data, v.size, &v.blk, &e), &e);
	assert_int_equal(fs_open(v.blk, &v.fs, &e), ERR_FS_CORRUPT);
	assert_int_equal(v.blk->refs, 1);
	v.fs = NULL;
	done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_names),
		cmocka_unit_test(long_names),
		cmocka_unit_test(orphaned_long_names_are_ignored),
		cmocka_unit_test(lookup_prefers_the_exact_name),
		cmocka_unit_test(times_attributes_and_modes),
		cmocka_unit_test(a_volume_in_use_is_said),
		cmocka_unit_test(other_boot_sectors_are_not_fat),
		cmocka_unit_test(a_truncated_volume_fails_to_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
