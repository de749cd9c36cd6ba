/* FAT volumes laid out by hand: what tools do not write. See fat_test.sh for what they do. */
#include "conformance.h"

#include "base/bytes.h"

#include "test.h"

enum {
	SECTOR = 512,
	TABLES = 2,
	ROOT_ENTRIES = 64,
	RO = 0x01, LABEL = 0x08, DIR = 0x10, LFN = 0x0f,
	END = 0x0fffffff,            /* of a chain; cut to the table's width */
};

struct volume {
	unsigned bits;
	uint32_t table_sectors, clusters;
	uint8_t *data;
	size_t size, table_off, root_off, data_off;
	uint8_t *root;               /* entries of the root directory, the next free one */
	struct blk *blk;
	struct fs *fs;
};

static void set_table(struct volume *v, unsigned table, uint32_t cluster, uint32_t value)
{
	uint8_t *t = v->data + v->table_off + table * v->table_sectors * SECTOR;
	if (v->bits == 32) {
		put_le32(t + 4 * cluster, value);
	} else if (v->bits == 16) {
		put_le16(t + 2 * cluster, (uint16_t)value);
	} else {
		uint8_t *p = t + cluster * 3 / 2;
		unsigned old = get_le16(p);
		put_le16(p, (uint16_t)(cluster & 1 ? (old & 0xf) | (value & 0xfff) << 4 : (old & 0xf000) | (value & 0xfff)));
	}
}

static void link_to(struct volume *v, uint32_t cluster, uint32_t value)
{
	for (unsigned i = 0; i < TABLES; i++)
		set_table(v, i, cluster, value);
}

static uint8_t *cluster_at(struct volume *v, uint32_t cluster)
{
	return v->data + v->data_off + (cluster - 2) * SECTOR;
}

static struct volume make(unsigned bits)
{
	struct volume v = {.bits = bits, .clusters = bits == 16 ? 4200 : 200};
	v.table_sectors = bits == 12 ? 1 : bits == 16 ? 17 : 2;
	uint32_t root_sectors = bits == 32 ? 0 : ROOT_ENTRIES * 32 / SECTOR;
	uint32_t sectors = 1 + TABLES * v.table_sectors + root_sectors + v.clusters;
	v.size = sectors * SECTOR;
	v.data = calloc(1, v.size);
	assert_non_null(v.data);
	v.table_off = SECTOR;
	v.root_off = v.table_off + TABLES * v.table_sectors * SECTOR;
	v.data_off = v.root_off + root_sectors * SECTOR;
	uint8_t *b = v.data;
	memcpy(b, "\xeb\x3c\x90MSDOS5.0", 11);
	put_le16(b + 11, SECTOR);
	b[13] = 1;
	put_le16(b + 14, 1);
	b[16] = TABLES;
	put_le16(b + 17, bits == 32 ? 0 : ROOT_ENTRIES);
	put_le16(b + 19, (uint16_t)sectors);
	b[21] = 0xf8;
	put_le16(b + 22, bits == 32 ? 0 : (uint16_t)v.table_sectors);
	uint8_t *ext = b + 36;
	if (bits == 32) {
		put_le32(b + 36, v.table_sectors);
		put_le32(b + 44, 2);
		ext = b + 64;
	}
	ext[2] = 0x29;
	put_le32(ext + 3, 0xabcd1234);
	memcpy(ext + 7, "STALE LABELFAT     ", 19);
	put_le16(b + 510, 0xaa55);
	link_to(&v, 0, 0x0ffffff8);
	link_to(&v, 1, END);
	if (bits == 32)
		link_to(&v, 2, END);
	v.root = bits == 32 ? cluster_at(&v, 2) : v.data + v.root_off;
	return v;
}

/* Writes an entry and gives the place of the next. */
static uint8_t *put_entry(uint8_t *at, const char *name, uint8_t attr, uint32_t cluster, uint32_t size)
{
	memset(at, 0, 32);
	memcpy(at, name, 11);
	at[11] = attr;
	put_le16(at + 20, (uint16_t)(cluster >> 16));
	put_le16(at + 26, (uint16_t)cluster);
	put_le32(at + 28, size);
	return at + 32;
}

static void add(struct volume *v, const char *name, uint8_t attr, uint32_t cluster, uint32_t size)
{
	v->root = put_entry(v->root, name, attr, cluster, size);
}

static uint8_t checksum(const char *short_name)
{
	unsigned sum = 0;
	for (int i = 0; i < 11; i++)
		sum = ((sum & 1) << 7) + (sum >> 1) + (uint8_t)short_name[i], sum &= 0xff;
	return (uint8_t)sum;
}

/* One slot, thirteen units from `units`. */
static void add_slot(struct volume *v, uint8_t number, uint8_t sum, const uint16_t *units)
{
	static const uint8_t places[] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	memset(v->root, 0, 32);
	v->root[0] = number;
	v->root[11] = LFN;
	v->root[13] = sum;
	for (int i = 0; i < 13; i++)
		put_le16(v->root + places[i], units[i]);
	v->root += 32;
}

static void add_long(struct volume *v, const uint16_t *units, size_t count, uint8_t sum)
{
	uint16_t padded[20 * 13];
	memset(padded, 0xff, sizeof(padded));
	memcpy(padded, units, 2 * count);
	if (count % 13)
		padded[count] = 0;
	for (size_t n = (count + 12) / 13, i = n; i > 0; i--)
		add_slot(v, (uint8_t)(i | (i == n ? 0x40 : 0)), sum, padded + 13 * (i - 1));
}

static void open_volume(struct volume *v)
{
	struct err e = ERR_INIT;
	assert_ok(blk_mem_open(v->data, v->size, &v->blk, &e), &e);
	assert_ok(fs_open(v->blk, &v->fs, &e), &e);
}

static void done(struct volume *v)
{
	fs_close(v->fs);
	blk_unref(v->blk);
	free(v->data);
}

static int take_name(void *arg, const struct fs_dirent *de)
{
	struct buf *names = arg;
	buf_add(names, de->name, de->name_len);
	buf_adds(names, de->broken ? "!|" : "|");
	return 0;
}

static void check_listing(struct volume *v, const char *path, const char *want, int want_code)
{
	struct err e = ERR_INIT;
	struct fs_id id;
	assert_ok(fs_resolve(v->fs, path, strlen(path), 0, &id, &e), &e);
	struct buf names = BUF_INIT(1 << 20);
	assert_int_equal(fs_readdir(v->fs, id, 0, take_name, &names, &e), want_code);
	assert_string_equal(buf_str(&names), want);
	buf_free(&names);
}

static uint64_t find(struct volume *v, const char *path)
{
	struct err e = ERR_INIT;
	struct fs_id id = {0};
	int r = fs_resolve(v->fs, path, strlen(path), 0, &id, &e);
	if (r < 0)
		assert_int_equal(r, ERR_NOT_FOUND);
	return id.ino;
}

/* Opens a file: 0 and its first bytes in *ret, or the error's code. */
static int read_file(struct volume *v, const char *path, char *ret, size_t len, const char **ret_msg)
{
	static struct err e;
	e = ERR_INIT;
	struct fs_file *f = NULL;
	int r = fs_file_open(v->fs, (struct fs_id){.ino = find(v, path)}, NULL, &f, &e);
	if (r == 0)
		r = fs_file_read(f, 0, ret, len, &e);
	fs_file_close(f);
	*ret_msg = e.msg;
	return r;
}

static void check_damaged(struct volume *v, const char *path, const char *want)
{
	char byte;
	const char *msg;
	assert_int_equal(read_file(v, path, &byte, 1, &msg), ERR_FILE_CORRUPT);
	if (!strstr(msg, want))
		fail_msg("\"%s\" does not say \"%s\"", msg, want);
}

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
	add(&v, "           ", 0, 0, 0);
	add(&v, "VOLUME     ", LABEL, 0, 0);
	add(&v, "LAST       ", 0, 0, 0);
	v.root += 32;
	add(&v, "BEYOND     ", 0, 0, 0);
	open_volume(&v);
	check_listing(&v, "/", "README.TXT|NOEXT|lower.txt|base.EXT|BASE2.ext|\xcf\x83IGMA|\xc3\xa7\xc3\xbc.\xc3\xa4|"
	              "A B.C D|SLASH?X!|?!|LAST|", 0);
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

/* --- chains --------------------------------------------------------------------------------------- */

static void files_follow_their_chain(unsigned bits)
{
	struct volume v = make(bits);
	/* 5, 6, 7, 100, 99, 8; the table's last cluster; an odd and an even one */
	static const uint32_t chain[] = {5, 6, 7, 100, 99, 8};
	for (int i = 0; i < 6; i++) {
		link_to(&v, chain[i], i < 5 ? chain[i + 1] : END);
		memset(cluster_at(&v, chain[i]), 'a' + i, SECTOR);
	}
	link_to(&v, v.clusters + 1, END);
	memset(cluster_at(&v, v.clusters + 1), 'Z', SECTOR);
	add(&v, "CHAIN      ", 0, 5, 5 * SECTOR + 100);
	add(&v, "LAST       ", 0, v.clusters + 1, SECTOR);
	add(&v, "EMPTY      ", 0, 0, 0);
	add(&v, "RESERVED   ", 0, 5, 10);             /* more clusters than it needs */
	open_volume(&v);
	fs_conformance(v.fs);
	fs_torture(v.blk);
	char got[6 * SECTOR], want[6 * SECTOR];
	for (int i = 0; i < 6; i++)
		memset(want + i * SECTOR, 'a' + i, SECTOR);
	const char *msg;
	assert_int_equal(read_file(&v, "/CHAIN", got, 5 * SECTOR + 100, &msg), 0);
	assert_memory_equal(got, want, 5 * SECTOR + 100);
	assert_int_equal(read_file(&v, "/LAST", got, SECTOR, &msg), 0);
	assert_int_equal(got[SECTOR - 1], 'Z');
	/* Neighbouring clusters are one extent. */
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	struct fs_extent ext;
	assert_ok(fs_file_open(v.fs, (struct fs_id){.ino = find(&v, "/CHAIN")}, NULL, &f, &e), &e);
	assert_ok(fs_file_extent(f, 10, 5 * SECTOR, &ext, &e), &e);
	assert_int_equal(ext.len, 3 * SECTOR - 10);
	assert_int_equal(ext.vol_off, v.data_off + 3 * SECTOR + 10);
	fs_file_close(f);
	done(&v);
}

static void files_follow_their_chain_12(void **state)
{
	(void)state;
	files_follow_their_chain(12);
}

static void files_follow_their_chain_16(void **state)
{
	(void)state;
	files_follow_their_chain(16);
}

static void files_follow_their_chain_32(void **state)
{
	(void)state;
	files_follow_their_chain(32);
}

static void damaged_chains_are_that_files_error(void **state)
{
	(void)state;
	for (unsigned bits = 12; bits <= 32; bits += bits == 12 ? 4 : 16) {
		struct volume v = make(bits);
		link_to(&v, 10, END);
		link_to(&v, 11, 12), link_to(&v, 12, 13), link_to(&v, 13, 12);
		link_to(&v, 14, 0);
		link_to(&v, 15, 1);
		link_to(&v, 16, 0x0ffffff7);
		link_to(&v, 17, v.clusters + 2);
		link_to(&v, 18, 19), link_to(&v, 19, 0);
		link_to(&v, 20, 20);
		add(&v, "SHORT      ", 0, 10, SECTOR + 1);
		add(&v, "CIRCLE     ", 0, 11, 40 * SECTOR);
		add(&v, "FREE       ", 0, 14, SECTOR + 1);
		add(&v, "RESERVED   ", 0, 15, SECTOR + 1);
		add(&v, "BAD        ", 0, 16, SECTOR + 1);
		add(&v, "OUTSIDE    ", 0, 17, SECTOR + 1);
		add(&v, "START      ", 0, v.clusters + 2, 1);
		add(&v, "NOSTART    ", 0, 0, 1);
		add(&v, "HUGE       ", 0, 10, UINT32_MAX);
		add(&v, "SELF       ", 0, 20, 2);
		add(&v, "GOOD       ", 0, 18, 2 * SECTOR);      /* damage behind its last byte is no loss */
		open_volume(&v);
		check_damaged(&v, "/SHORT", "end after 512");
		check_damaged(&v, "/CIRCLE", "circle");
		check_damaged(&v, "/FREE", "free cluster");
		check_damaged(&v, "/RESERVED", "not there");
		check_damaged(&v, "/BAD", "bad one");
		check_damaged(&v, "/OUTSIDE", "not there");
		check_damaged(&v, "/START", "starts at cluster");
		check_damaged(&v, "/NOSTART", "starts at cluster 0");
		check_damaged(&v, "/HUGE", "end after");
		check_damaged(&v, "/SELF", "circle");
		char two[2 * SECTOR];
		const char *msg;
		assert_int_equal(read_file(&v, "/GOOD", two, sizeof(two), &msg), 0);
		fs_conformance_damaged(v.fs);
		done(&v);
	}
}

static void damaged_directories_give_what_they_have(void **state)
{
	(void)state;
	struct volume v = make(12);
	/* A directory of two clusters that leads back to its first. */
	add(&v, "CIRCLE     ", DIR, 5, 0);
	link_to(&v, 5, 6), link_to(&v, 6, 5);
	uint8_t *p = cluster_at(&v, 5);
	p = put_entry(p, ".          ", DIR, 5, 0);
	p = put_entry(p, "..         ", DIR, 0, 0);
	char name[12];
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "F%02d        ", i);
		p = put_entry(p, name, 0, 0, 0);
	}
	/* One that ends before the damage does not notice. */
	add(&v, "FINE       ", DIR, 7, 0);
	link_to(&v, 7, 1);
	put_entry(cluster_at(&v, 7), "X          ", 0, 0, 0);
	add(&v, "NOWHERE    ", DIR, 9999, 0);
	add(&v, "ROOTAGN    ", DIR, 0, 0);
	add(&v, "OUTER      ", DIR, 8, 0);
	link_to(&v, 8, END);
	put_entry(cluster_at(&v, 8), "INNER      ", DIR, 8, 0);
	open_volume(&v);
	check_listing(&v, "/", "CIRCLE|FINE|NOWHERE!|ROOTAGN!|OUTER|", 0);
	check_listing(&v, "/CIRCLE", "F00|F01|F02|F03|F04|F05|F06|F07|F08|F09|F10|F11|F12|F13|F14|F15|F16|F17|F18|F19|F20|"
	              "F21|F22|F23|F24|F25|F26|F27|F28|F29|", ERR_FILE_CORRUPT);
	check_listing(&v, "/FINE", "X|", 0);
	check_listing(&v, "/OUTER", "INNER!|", 0);
	check_listing(&v, "/NOWHERE", "", ERR_FILE_CORRUPT);
	assert_true(find(&v, "/CIRCLE/F29") != 0);
	fs_conformance_damaged(v.fs);
	done(&v);
}

static void the_active_table_is_used(void **state)
{
	(void)state;
	struct volume v = make(32);
	link_to(&v, 5, END);
	set_table(&v, 1, 5, 6), set_table(&v, 1, 6, END);
	add(&v, "FILE       ", 0, 5, 2 * SECTOR);
	open_volume(&v);
	check_damaged(&v, "/FILE", "end after");
	fs_close(v.fs);
	blk_unref(v.blk);
	put_le16(v.data + 40, 0x81);
	open_volume(&v);
	char got[2 * SECTOR];
	const char *msg;
	assert_int_equal(read_file(&v, "/FILE", got, sizeof(got), &msg), 0);
	fs_close(v.fs);
	blk_unref(v.blk);
	/* One that does not exist. */
	put_le16(v.data + 40, 0x82);
	struct err e = ERR_INIT;
	assert_ok(blk_mem_open(v.data, v.size, &v.blk, &e), &e);
	assert_int_equal(fs_open(v.blk, &v.fs, &e), ERR_FS_UNSUPPORTED);
	v.fs = NULL;
	done(&v);
}

/* A file in 4096-byte pages of the table's, every cluster elsewhere: any place is found again. */
static void random_places_in_a_fragmented_file(void **state)
{
	(void)state;
	struct volume v = make(16);
	enum { COUNT = 2000 };
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t cluster = 2 + i * 1009 % 4111;
		link_to(&v, cluster, i + 1 < COUNT ? 2 + (i + 1) * 1009 % 4111 : END);
		put_le32(cluster_at(&v, cluster), i);
	}
	add(&v, "SCATTER    ", 0, 2, COUNT * SECTOR);
	open_volume(&v);
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	assert_ok(fs_file_open(v.fs, (struct fs_id){.ino = find(&v, "/SCATTER")}, NULL, &f, &e), &e);
	for (uint32_t n = 0; n < 3 * COUNT; n++) {
		uint32_t i = n * 733 % COUNT;
		uint8_t got[4];
		assert_ok(fs_file_read(f, (uint64_t)i * SECTOR, got, 4, &e), &e);
		assert_int_equal(get_le32(got), i);
	}
	fs_file_close(f);
	done(&v);
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
		{11, 1}, {12, 0}, {12, 0x20}, {12, 3}, {13, 0}, {13, 3}, {14, 0}, {16, 0}, {16, 17}, {17, 0}, {21, 0xf1},
		{21, 0}, {22, 0xff}, {20, 0}, {3, 'N'},
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
		cmocka_unit_test(files_follow_their_chain_12),
		cmocka_unit_test(files_follow_their_chain_16),
		cmocka_unit_test(files_follow_their_chain_32),
		cmocka_unit_test(damaged_chains_are_that_files_error),
		cmocka_unit_test(damaged_directories_give_what_they_have),
		cmocka_unit_test(the_active_table_is_used),
		cmocka_unit_test(random_places_in_a_fragmented_file),
		cmocka_unit_test(other_boot_sectors_are_not_fat),
		cmocka_unit_test(a_truncated_volume_fails_to_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
