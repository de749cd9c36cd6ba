/* FAT: chains of clusters, sound and damaged. */
#include "fat_volume.h"

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
	check_listing(&v, "/CIRCLE",
	              "F00|F01|F02|F03|F04|F05|F06|F07|F08|F09|F10|F11|F12|F13|F14|F15|F16|F17|F18|F19|F20|"
	              "F21|F22|F23|F24|F25|F26|F27|F28|F29|",
	              ERR_FILE_CORRUPT);
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

/* A chain that comes back to its third cluster: each entry is given once. */
static void a_circle_further_on_ends_too(void **state)
{
	(void)state;
	struct volume v = make(16);
	static const uint32_t chain[] = {30, 40, 50, 60, 70, 80, 50};
	add(&v, "DIR        ", DIR, 30, 0);
	struct buf want = BUF_INIT(10000);
	char name[12];
	for (int i = 0, n = 0; i < 6; i++) {
		link_to(&v, chain[i], chain[i + 1]);
		for (uint8_t *p = cluster_at(&v, chain[i]); p < cluster_at(&v, chain[i]) + SECTOR; n++) {
			snprintf(name, sizeof(name), "N%04d      ", n);
			p = put_entry(p, name, 0, 0, 0);
			buf_addf(&want, "N%04d|", n);
		}
	}
	open_volume(&v);
	check_listing(&v, "/DIR", buf_str(&want), ERR_FILE_CORRUPT);
	buf_free(&want);
	done(&v);
}

static void a_directory_has_a_largest_size(void **state)
{
	(void)state;
	struct volume v = make(16);
	enum { COUNT = 4100 };       /* of clusters; 4096 hold 65,536 entries */
	add(&v, "DIR        ", DIR, 10, 0);
	for (uint32_t c = 10; c < 10 + COUNT; c++) {
		link_to(&v, c, c + 1 < 10 + COUNT ? c + 1 : END);
		memset(cluster_at(&v, c), 0xe5, SECTOR);
	}
	put_entry(cluster_at(&v, 10 + 4095), "LAST       ", 0, 0, 0);
	put_entry(cluster_at(&v, 10 + 4096), "BEYOND     ", 0, 0, 0);
	open_volume(&v);
	check_listing(&v, "/DIR", "LAST|", ERR_FILE_CORRUPT);
	done(&v);
}

/* A volume too large to be laid out: the start is in memory, each cluster holds its own number. */
struct large {
	struct blk blk;
	uint8_t *start;
	size_t start_len;
};

enum { LARGE_CLUSTER = 32768, LARGE_CLUSTERS = 140000 };

static int large_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)e;
	const struct large *l = (const struct large *)b;
	uint8_t *p = to;
	for (; len > 0; len--, off++) {
		uint64_t in = off - l->start_len;
		*p++ = off < l->start_len ? l->start[off] : (uint8_t)((in / LARGE_CLUSTER + 3) >> 8 * (in % 4));
	}
	return 0;
}

static void large_close(struct blk *b)
{
	free(((struct large *)b)->start);
	free(b);
}

static void a_file_of_the_largest_size(void **state)
{
	(void)state;
	static const struct blk_ops ops = {.name = "large", .read = large_read, .close = large_close};
	enum { TABLE_SECTORS = (LARGE_CLUSTERS + 2) * 4 / SECTOR + 1, NEEDED = 131072 };
	struct large *l = malloc(sizeof(*l));
	l->start_len = (size_t)(1 + TABLE_SECTORS) * SECTOR + LARGE_CLUSTER; /* with cluster 2, the root */
	l->start = calloc(1, l->start_len);
	uint64_t size = l->start_len + (uint64_t)(LARGE_CLUSTERS - 1) * LARGE_CLUSTER;
	blk_init(&l->blk, &ops, size);
	uint8_t *b = l->start, *table = b + SECTOR;
	put_le16(b + 11, SECTOR), b[13] = LARGE_CLUSTER / SECTOR, put_le16(b + 14, 1), b[16] = 1, b[21] = 0xf8;
	put_le32(b + 32, (uint32_t)(size / SECTOR)), put_le32(b + 36, TABLE_SECTORS), put_le32(b + 44, 2);
	put_le16(b + 510, 0xaa55);
	put_le32(table + 4, END), put_le32(table + 8, END);
	/* Runs of 1,000 clusters, the higher half of each 2,000 before the lower. */
	uint32_t first = 0, last = 0;
	for (uint32_t i = 0; i < NEEDED; i++) {
		uint32_t cluster = 3 + i / 2000 * 2000 + (i % 2000 + 1000) % 2000;
		if (last)
			put_le32(table + 4 * last, cluster);
		else
			first = cluster;
		last = cluster;
	}
	put_le32(table + 4 * last, END);
	struct err e = ERR_INIT;
	struct fs *fs = NULL;
	struct fs_file *f = NULL;
	struct fs_id id;
	put_entry(b + l->start_len - LARGE_CLUSTER, "HUGE       ", 0, first, UINT32_MAX);
	assert_ok(fs_open(&l->blk, &fs, &e), &e);
	assert_ok(fs_resolve(fs, "/huge", 5, 0, &id, &e), &e);
	assert_ok(fs_file_open(fs, id, NULL, &f, &e), &e);
	for (uint32_t n = 0; n < 3000; n++) {
		uint32_t i = n * 74747u % NEEDED, cluster = 3 + i / 2000 * 2000 + (i % 2000 + 1000) % 2000;
		uint8_t got[4];
		assert_ok(fs_file_read(f, (uint64_t)i * LARGE_CLUSTER, got, 4, &e), &e);
		assert_int_equal(get_le32(got), cluster);
	}
	uint8_t byte;
	assert_ok(fs_file_read(f, UINT32_MAX - 1, &byte, 1, &e), &e);
	struct fs_extent ext;
	assert_ok(fs_file_extent(f, 0, UINT32_MAX, &ext, &e), &e);
	assert_int_equal(ext.len, 1000 * LARGE_CLUSTER);
	fs_file_close(f);
	fs_close(fs);
	blk_unref(&l->blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_follow_their_chain_12),
		cmocka_unit_test(files_follow_their_chain_16),
		cmocka_unit_test(files_follow_their_chain_32),
		cmocka_unit_test(damaged_chains_are_that_files_error),
		cmocka_unit_test(damaged_directories_give_what_they_have),
		cmocka_unit_test(the_active_table_is_used),
		cmocka_unit_test(random_places_in_a_fragmented_file),
		cmocka_unit_test(a_circle_further_on_ends_too),
		cmocka_unit_test(a_directory_has_a_largest_size),
		cmocka_unit_test(a_file_of_the_largest_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
