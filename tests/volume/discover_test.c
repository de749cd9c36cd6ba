/* Discovery on tables made by hand, and the rounds of layers with layers made up for it. */
#include "test.h"

#include "base/bytes.h"
#include "blk/fault.h"
#include "volume/ident.h"
#include "volume/layer.h"

#include <zlib.h>

enum { DISK = 4 << 20 };

struct fixture {
	uint8_t *disk;
	struct blk *blk;
	struct volume_set *set;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->disk = calloc(1, DISK);
	*state = f;
	return blk_mem_open(f->disk, DISK, &f->blk, &f->e);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	volume_set_free(f->set);
	blk_unref(f->blk);
	free(f->disk);
	free(f);
	return 0;
}

static void discover(struct fixture *f)
{
	assert_ok(volume_discover(&f->blk, 1, NULL, NULL, &f->set, &f->e), &f->e);
}

static const struct volume *volume(struct fixture *f, unsigned number)
{
	assert_true(number <= f->set->count);
	assert_int_equal(f->set->volumes[number - 1].number, number);
	return &f->set->volumes[number - 1];
}

static bool warned(const struct volume_set *s, const char *part)
{
	for (unsigned i = 0; i < s->warning_count; i++) {
		if (strstr(s->warnings[i], part))
			return true;
	}
	return false;
}

static void slot(uint8_t *sector, unsigned i, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *p = sector + 446 + 16 * i;
	p[4] = type;
	put_le32(p + 8, start);
	put_le32(p + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

/* "swap" is the smallest content there is: ten bytes. */
static void put_swap(uint8_t *p)
{
	memcpy(p + 4086, "SWAPSPACE2", 10);
}

/* --- MBR --------------------------------------------------------------------------------------------- */

static void mbr_chain(void **state)
{
	struct fixture *f = *state;
	put_le32(f->disk + 440, 0x12345678);
	slot(f->disk, 0, 0x83, 64, 100);
	slot(f->disk, 2, 0x0f, 1000, 3000);
	slot(f->disk + 1000 * 512, 0, 0x83, 10, 100);
	slot(f->disk + 1000 * 512, 1, 0x05, 500, 500);
	slot(f->disk + 1500 * 512, 0, 0x82, 10, 200);
	put_swap(f->disk + 1510 * 512);
	discover(f);
	assert_int_equal(f->set->count, 3);
	assert_int_equal(volume(f, 1)->partition, 1);
	assert_string_equal(volume(f, 1)->part_uuid, "12345678-01");
	assert_string_equal(volume(f, 1)->reason, "no filesystem recognised");
	assert_int_equal(volume(f, 2)->partition, 5);
	assert_int_equal(volume(f, 2)->offset, 1010 * 512);
	assert_int_equal(volume(f, 3)->partition, 6);
	assert_int_equal(volume(f, 3)->offset, 1510 * 512);
	assert_string_equal(volume(f, 3)->content.type, "swap");
	assert_string_equal(volume(f, 3)->reason, "swap space holds no files");
	assert_string_equal(volume(f, 3)->part_uuid, "12345678-06");
	assert_int_equal(f->set->warning_count, 0);
}

static void mbr_chain_in_a_circle(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x05, 1000, 3000);
	slot(f->disk + 1000 * 512, 0, 0x83, 10, 100);
	slot(f->disk + 1000 * 512, 1, 0x05, 500, 500);
	slot(f->disk + 1500 * 512, 0, 0x83, 10, 100);
	slot(f->disk + 1500 * 512, 1, 0x05, 0, 500);
	discover(f);
	assert_int_equal(f->set->count, 2);
	assert_true(warned(f->set, "circle"));
}

static void mbr_chain_of_many(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x05, 100, 5000);
	for (unsigned i = 0; i < 300; i++) {
		slot(f->disk + (100 + 10 * i) * 512, 0, 0x83, 1, 5);
		slot(f->disk + (100 + 10 * i) * 512, 1, 0x05, 10 * (i + 1), 10);
	}
	discover(f);
	assert_int_equal(f->set->count, 128);
	assert_true(warned(f->set, "more than 128 logical"));
}

static void mbr_chain_off_the_disk(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x85, 1000, 3000);
	slot(f->disk + 1000 * 512, 0, 0x83, 10, 100);
	slot(f->disk + 1000 * 512, 1, 0x05, 0xfffffff0, 500);
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_true(warned(f->set, "beyond the end"));
}

static void mbr_beyond_the_disk(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x83, 64, 0xffffff00);
	slot(f->disk, 1, 0x07, 0xfffffff0, 0xfffffff0);
	discover(f);
	assert_int_equal(f->set->count, 2);
	assert_non_null(volume(f, 1)->blk);
	assert_int_equal(volume(f, 1)->blk->size, DISK - 64 * 512);
	assert_int_equal(volume(f, 1)->size, 0xffffff00 * 512ULL);
	assert_true(warned(f->set, "behind the end"));
	assert_null(volume(f, 2)->blk);
	assert_non_null(strstr(volume(f, 2)->reason, "beyond the end"));
}

static void mbr_overlap(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x83, 64, 1000);
	slot(f->disk, 1, 0x83, 1000, 1000);
	discover(f);
	assert_int_equal(f->set->count, 2);
	assert_true(warned(f->set, "partitions 1 and 2 overlap"));
}

static void mbr_of_4096_byte_sectors(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x82, 256, 700);
	put_swap(f->disk + 256 * 4096);
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_string_equal(volume(f, 1)->content.type, "swap");
	assert_int_equal(volume(f, 1)->offset, 256 * 4096);
	assert_int_equal(volume(f, 1)->blk->sector_size, 4096);
}

static void boot_flag_garbage_is_no_table(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x83, 64, 1000);
	f->disk[446] = 0x33;
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_int_equal(volume(f, 1)->kind, VOLUME_DISK);
	assert_string_equal(volume(f, 1)->reason, "no partition table and no filesystem recognised");
}

/* A FAT volume on the whole disk, with boot code that looks like an entry. */
static void put_fat(uint8_t *p)
{
	p[0] = 0xeb;
	put_le16(p + 11, 512);
	p[13] = 4;
	put_le16(p + 14, 1);
	p[16] = 2;
	put_le16(p + 17, 512);
	put_le16(p + 19, 8192);
	p[21] = 0xf8;
	put_le16(p + 22, 8);
	memcpy(p + 54, "FAT16   ", 8);
	p[510] = 0x55;
	p[511] = 0xaa;
}

static void fat_wins_over_text_that_looks_like_a_table(void **state)
{
	struct fixture *f = *state;
	put_fat(f->disk);
	slot(f->disk, 0, 0x6f, 1000, 1000);
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_int_equal(volume(f, 1)->kind, VOLUME_DISK);
	assert_string_equal(volume(f, 1)->content.type, "vfat");
}

static void a_table_with_content_wins_over_fat(void **state)
{
	struct fixture *f = *state;
	put_fat(f->disk);
	slot(f->disk, 0, 0x82, 1000, 1000);
	put_swap(f->disk + 1000 * 512);
	discover(f);
	assert_int_equal(volume(f, 1)->kind, VOLUME_PARTITION);
	assert_string_equal(volume(f, 1)->content.type, "swap");
}

/* --- GPT ---------------------------------------------------------------------------------------------- */

struct gpt_at {
	uint32_t sector;
	uint64_t lba, alternate, entries;
	uint32_t count;
};

static void put_entry(uint8_t *table, unsigned i, uint8_t type, uint64_t first, uint64_t last)
{
	uint8_t *p = table + 128 * i;
	memset(p, type, 16);
	memset(p + 16, 0x40 + (int)i, 16);
	put_le64(p + 32, first);
	put_le64(p + 40, last);
	put_le16(p + 56, 0xd83d);
	put_le16(p + 58, 0xde00);
	put_le16(p + 60, 'x');
}

static void put_header(uint8_t *disk, const struct gpt_at *g)
{
	uint8_t *p = disk + g->lba * g->sector;
	memcpy(p, "EFI PART\0\0\1\0", 12);
	put_le32(p + 12, 92);
	put_le32(p + 16, 0);
	put_le64(p + 24, g->lba);
	put_le64(p + 32, g->alternate);
	put_le64(p + 72, g->entries);
	put_le32(p + 80, g->count);
	put_le32(p + 84, 128);
	put_le32(p + 88, (uint32_t)crc32(0, disk + g->entries * g->sector, g->count * 128));
	put_le32(p + 16, (uint32_t)crc32(0, p, 92));
}

/* Both copies on a disk of `size` bytes. */
static void put_gpt(uint8_t *disk, uint64_t size, uint32_t sector)
{
	uint64_t last = size / sector - 1, table_sectors = 16384 / sector;
	slot(disk, 0, 0xee, 1, (uint32_t)last);
	uint8_t *entries = disk + 2 * sector;
	put_entry(entries, 0, 1, 100, 199);
	put_entry(entries, 4, 2, 200, 299);
	memcpy(disk + (last - table_sectors) * sector, entries, 16384);
	put_header(disk, &(struct gpt_at){sector, 1, last, 2, 128});
	put_header(disk, &(struct gpt_at){sector, last, 1, last - table_sectors, 128});
}

static void expect_both(struct fixture *f, uint32_t sector)
{
	assert_int_equal(f->set->count, 2);
	assert_int_equal(volume(f, 1)->partition, 1);
	assert_int_equal(volume(f, 2)->partition, 5);
	assert_string_equal(volume(f, 2)->table, "gpt");
	assert_int_equal(volume(f, 2)->offset, 200 * sector);
	assert_int_equal(volume(f, 2)->size, 100 * sector);
	assert_string_equal(volume(f, 2)->name, "\xf0\x9f\x98\x80x");
	assert_string_equal(volume(f, 2)->part_uuid, "44444444-4444-4444-4444-444444444444");
	assert_int_equal(f->blk->sector_size, sector);
	assert_int_equal(volume(f, 2)->blk->sector_size, sector);
}

static void gpt_both_sector_sizes(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	discover(f);
	expect_both(f, 512);
	assert_int_equal(f->set->warning_count, 0);
	volume_set_free(STEAL(f->set));
	memset(f->disk, 0, DISK);
	put_gpt(f->disk, DISK, 4096);
	discover(f);
	expect_both(f, 4096);
	assert_int_equal(f->set->warning_count, 0);
}

/* Each damage alone; the backup must do. */
static void gpt_primary_damaged(void **state)
{
	struct fixture *f = *state;
	static const unsigned places[] = {512, 512 + 16, 512 + 40, 512 + 73, 512 + 80, 1024 + 32, 1024 + 16000};
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		memset(f->disk, 0, DISK);
		put_gpt(f->disk, DISK, 512);
		f->disk[places[i]] ^= 1;
		discover(f);
		expect_both(f, 512);
		assert_true(warned(f->set, "the backup is used"));
		volume_set_free(STEAL(f->set));
	}
}

static void gpt_backup_damaged(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	f->disk[DISK - 512 + 40] ^= 1;
	discover(f);
	expect_both(f, 512);
	assert_true(warned(f->set, "is damaged; the primary one is used"));
}

static void gpt_both_damaged(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	f->disk[512 + 40] ^= 1;
	f->disk[DISK - 512 + 40] ^= 1;
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_int_equal(volume(f, 1)->kind, VOLUME_DISK);
	assert_non_null(strstr(volume(f, 1)->reason, "damaged, and so is the backup"));
}

/* The disk grew: the backup is where the old end was; a destroyed primary cannot say so, but the protective MBR does. */
static void gpt_grown(void **state)
{
	struct fixture *f = *state;
	for (unsigned how = 0; how < 3; how++) {
		memset(f->disk, 0, DISK);
		put_gpt(f->disk, DISK / 2, 512);
		if (how == 1)
			f->disk[512 + 80] ^= 1;
		if (how == 2)
			memset(f->disk + 512, 0, 1024);
		discover(f);
		expect_both(f, 512);
		assert_int_equal(warned(f->set, "the backup is used"), how > 0);
		volume_set_free(STEAL(f->set));
	}
}

static void gpt_without_protective_mbr(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	memset(f->disk, 0, 512);
	discover(f);
	expect_both(f, 512);
	assert_true(warned(f->set, "no protective MBR"));
}

/* A GPT that is left over under a new MBR, and one under a new filesystem, are not asked. */
static void gpt_remnant(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	memset(f->disk, 0, 512);
	slot(f->disk, 0, 0x83, 64, 1000);
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_string_equal(volume(f, 1)->table, "mbr");
	volume_set_free(STEAL(f->set));
	memset(f->disk, 0, 2048);
	put_swap(f->disk);
	discover(f);
	assert_int_equal(f->set->count, 1);
	assert_int_equal(volume(f, 1)->kind, VOLUME_DISK);
	assert_string_equal(volume(f, 1)->content.type, "swap");
}

static void gpt_hybrid(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	slot(f->disk, 1, 0x0c, 100, 100);
	discover(f);
	expect_both(f, 512);
}

static void gpt_entries_that_lie(void **state)
{
	struct fixture *f = *state;
	put_gpt(f->disk, DISK, 512);
	put_entry(f->disk + 1024, 6, 3, 500, 400);
	put_entry(f->disk + 1024, 7, 3, UINT64_MAX / 512, UINT64_MAX - 1);
	put_entry(f->disk + 1024, 8, 3, 1 << 20, 1 << 21);
	put_header(f->disk, &(struct gpt_at){512, 1, DISK / 512 - 1, 2, 128});
	discover(f);
	assert_int_equal(f->set->count, 5);
	for (unsigned i = 3; i <= 5; i++) {
		assert_null(volume(f, i)->blk);
		assert_true(volume(f, i)->reason[0] != '\0');
	}
	assert_non_null(strstr(volume(f, 3)->reason, "ends before it begins"));
}

static void gpt_header_that_lies(void **state)
{
	struct fixture *f = *state;
	/* Entry size and count that no table has; both copies say it, with good checksums. */
	static const struct {
		uint32_t count, size;
	} lies[] = {{UINT32_MAX, 128}, {128, 0}, {128, 8}, {128, UINT32_MAX}, {0, 128}, {1 << 25, 128}};
	for (unsigned i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		memset(f->disk, 0, DISK);
		put_gpt(f->disk, DISK, 512);
		for (unsigned k = 0; k < 2; k++) {
			uint8_t *p = k ? f->disk + DISK - 512 : f->disk + 512;
			put_le32(p + 80, lies[i].count);
			put_le32(p + 84, lies[i].size);
			put_le32(p + 16, 0);
			put_le32(p + 16, (uint32_t)crc32(0, p, 92));
		}
		discover(f);
		assert_int_equal(f->set->count, 1);
		assert_int_equal(volume(f, 1)->kind, VOLUME_DISK);
		volume_set_free(STEAL(f->set));
	}
}

static void odd_disks(void **state)
{
	struct fixture *f = *state;
	for (size_t size = 0; size < 1100; size += 100) {
		struct blk *b = NULL;
		struct volume_set *s = NULL;
		assert_ok(blk_mem_open(f->disk, size, &b, &f->e), &f->e);
		assert_ok(volume_discover(&b, 1, NULL, NULL, &s, &f->e), &f->e);
		assert_int_equal(s->count, 1);
		volume_set_free(s);
		blk_unref(b);
	}
	assert_ok(volume_discover(NULL, 0, NULL, NULL, &f->set, &f->e), &f->e);
	assert_int_equal(f->set->count, 0);
}

/* --- Layers ------------------------------------------------------------------------------------------- */

/* A container of "pool" begins with "POOL", its number and how many there are: their insides one after the other. A
 * container of "box" begins with "BOX", and is opened with the key "open"; inside is everything behind its first 4 KiB. */
static int test_probe(void *arg, struct blk *b, struct volume_content *ret, struct err *e)
{
	uint8_t p[8];
	(void)arg;
	if (b->size < 8192)
		return 0;
	int r = blk_read(b, 0, p, sizeof(p), e);
	if (r < 0)
		return r;
	const char *type = memcmp(p, "POOL", 4) == 0 ? "pool" : memcmp(p, "BOX", 3) == 0 ? "box" :
	                   memcmp(p, "FILES", 5) == 0 ? "files" : memcmp(p, "BROKEN", 6) == 0 ? "broken" : NULL;
	if (!type)
		return 0;
	if (strcmp(type, "broken") == 0)
		return err_set(e, ERR_IO, "test", "the medium is broken");
	(void)snprintf(ret->type, sizeof(ret->type), "%s", type);
	ret->supported = strcmp(type, "files") == 0;
	return 1;
}

static const struct volume_layer pool_layer, box_layer;

/* The child is the last member's inside, once all are there. */
static int pool_assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	uint8_t p[8];
	int r = blk_read(members[0].blk, 0, p, sizeof(p), e);
	if (r < 0)
		return r;
	struct volume_child child = {.kind = VOLUME_LV, .parent = members[0].number, .size = 1234};
	(void)snprintf(child.identity, sizeof(child.identity), "the pool");
	(void)snprintf(child.name, sizeof(child.name), "pool/lv");
	struct blk *inside = NULL;
	if (count >= p[5]) {
		r = blk_slice_open(members[count - 1].blk, 4096, members[count - 1].blk->size - 4096, &inside, e);
		if (r < 0)
			return r;
		child.blk = inside;
	} else {
		(void)snprintf(child.reason, sizeof(child.reason), "%u of %u members are missing", p[5] - count, p[5]);
	}
	r = volume_set_add_child(s, &pool_layer, &child, e);
	blk_unref(inside);
	return r < 0 ? r : 0;
}

static int box_areas(struct blk *b, struct volume_range ret[VOLUME_KEY_AREAS_MAX], struct err *e)
{
	(void)e;
	ret[0] = (struct volume_range){0, 512};
	ret[1] = (struct volume_range){b->size - 512, 512};
	return 2;
}

static int box_unlock(struct blk *b, const uint8_t *key, size_t len, struct blk **ret, struct err *e)
{
	if (len != 4 || memcmp(key, "open", 4) != 0)
		return err_set(e, ERR_KEY_WRONG, "box", "the key does not fit");
	return blk_slice_open(b, 4096, b->size - 4096, ret, e);
}

static const struct volume_layer pool_layer = {.name = "pool", .types = {"pool"}, .assemble = pool_assemble};
static const struct volume_layer box_layer = {
	.name = "box", .types = {"box"}, .key_areas = box_areas, .unlock = box_unlock};
static const struct volume_layer *const test_layers[] = {&pool_layer, &box_layer, NULL};

static void discover_layers(struct fixture *f)
{
	assert_ok(volume_discover_layers(&f->blk, 1, test_layers, test_probe, NULL, &f->set, &f->e), &f->e);
}

/* Two members, one of them in a box: the pool is whole only when the box is open, and keeps its number. */
static void a_stack_grows_by_unlocking(void **state)
{
	struct fixture *f = *state;
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	slot(f->disk, 0, 0x8e, 64, 1000);
	slot(f->disk, 1, 0x83, 2000, 1000);
	slot(f->disk, 2, 0x83, 4000, 1000);
	memcpy(f->disk + 64 * 512, "POOL\0\2", 6);
	memcpy(f->disk + 2000 * 512, "BOX", 3);
	memcpy(f->disk + 2000 * 512 + 4096, "POOL\1\2", 6);
	memcpy(f->disk + 2000 * 512 + 8192, "FILES", 5);
	memcpy(f->disk + 4000 * 512, "FILES", 5);
	discover_layers(f);
	assert_int_equal(f->set->count, 4);
	assert_true(volume(f, 1)->container);
	assert_true(volume(f, 2)->locked);
	assert_true(volume(f, 2)->container);
	assert_string_equal(volume(f, 2)->reason, "it is encrypted: a key is needed");
	assert_true(volume(f, 3)->content.supported);
	assert_int_equal(volume(f, 4)->kind, VOLUME_LV);
	assert_int_equal(volume(f, 4)->parent, 1);
	assert_int_equal(volume(f, 4)->size, 1234);
	assert_null(volume(f, 4)->blk);
	assert_string_equal(volume(f, 4)->reason, "1 of 2 members are missing");
	const struct volume *before = volume(f, 4);

	assert_int_equal(volume_set_key_areas(f->set, 2, areas, &f->e), 2);
	assert_int_equal(areas[1].off, 1000 * 512 - 512);
	assert_int_equal(volume_set_unlock(f->set, 2, (const uint8_t *)"nope", 4, &f->e), ERR_KEY_WRONG);
	err_clear(&f->e);
	assert_true(volume(f, 2)->locked);
	assert_int_equal(f->set->count, 4);

	assert_int_equal(volume_set_unlock(f->set, 2, (const uint8_t *)"open", 4, &f->e), 5);
	assert_false(volume(f, 2)->locked);
	assert_string_equal(volume(f, 2)->reason, "it is unlocked: what is inside is volume 5");
	assert_string_equal(volume(f, 1)->reason, "pool: its volumes are listed");
	assert_string_equal(volume(f, 5)->reason, "pool: its volumes are listed");
	assert_int_equal(f->set->count, 5);
	assert_int_equal(volume(f, 5)->kind, VOLUME_CRYPT);
	assert_int_equal(volume(f, 5)->parent, 2);
	assert_string_equal(volume(f, 5)->content.type, "pool");
	assert_ptr_equal(volume(f, 4), before);
	assert_non_null(volume(f, 4)->blk);
	assert_string_equal(volume(f, 4)->content.type, "files");
	assert_true(volume(f, 4)->content.supported);
	assert_string_equal(volume(f, 4)->reason, "");
	/* Once more is not an error and adds nothing. */
	assert_int_equal(volume_set_unlock(f->set, 2, (const uint8_t *)"open", 4, &f->e), 5);
	assert_int_equal(f->set->count, 5);
}

static void unlock_refusals(void **state)
{
	struct fixture *f = *state;
	const uint8_t *key = (const uint8_t *)"open";
	memcpy(f->disk, "FILES", 5);
	discover_layers(f);
	assert_int_equal(volume_set_unlock(f->set, 0, key, 4, &f->e), ERR_VOLUME_NOT_FOUND);
	err_clear(&f->e);
	assert_int_equal(volume_set_unlock(f->set, 2, key, 4, &f->e), ERR_VOLUME_NOT_FOUND);
	err_clear(&f->e);
	assert_int_equal(volume_set_unlock(f->set, 1, key, 4, &f->e), ERR_INVALID);
	err_clear(&f->e);
}

/* An opened box with a partition table of its own: its partitions are children of it. */
static void partitions_inside(void **state)
{
	struct fixture *f = *state;
	memcpy(f->disk, "BOX", 3);
	slot(f->disk + 4096, 0, 0x83, 100, 1000);
	memcpy(f->disk + 4096 + 100 * 512, "FILES", 5);
	discover_layers(f);
	assert_int_equal(f->set->count, 1);
	assert_int_equal(volume_set_unlock(f->set, 1, (const uint8_t *)"open", 4, &f->e), 2);
	assert_int_equal(f->set->count, 3);
	assert_true(volume(f, 2)->container);
	assert_int_equal(volume(f, 3)->parent, 2);
	assert_int_equal(volume(f, 3)->kind, VOLUME_PARTITION);
	assert_int_equal(volume(f, 3)->offset, 100 * 512);
	assert_string_equal(volume(f, 3)->content.type, "files");
}

/* Each pool's child is a pool again, with the same bytes further on. */
static int nest_assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e);
static const struct volume_layer nest_layer = {.name = "nest", .types = {"pool"}, .assemble = nest_assemble};
static const struct volume_layer *const nest_layers[] = {&nest_layer, NULL};

static int nest_assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	int r = 0;
	for (unsigned i = 0; r >= 0 && i < count; i++) {
		struct volume_child child = {.kind = VOLUME_MD, .parent = members[i].number, .blk = members[i].blk};
		(void)snprintf(child.identity, sizeof(child.identity), "child of %u", members[i].number);
		r = volume_set_add_child(s, &nest_layer, &child, e);
	}
	return r < 0 ? r : 0;
}

static void endless_nesting_ends(void **state)
{
	struct fixture *f = *state;
	memcpy(f->disk, "POOL\0\1", 6);
	assert_ok(volume_discover_layers(&f->blk, 1, nest_layers, test_probe, NULL, &f->set, &f->e), &f->e);
	assert_int_equal(f->set->count, 1 + VOLUME_DEPTH_MAX);
	assert_true(warned(f->set, "deep in each other"));
}

static void a_broken_volume_does_not_harm_the_others(void **state)
{
	struct fixture *f = *state;
	slot(f->disk, 0, 0x83, 64, 1000);
	slot(f->disk, 1, 0x83, 2000, 1000);
	memcpy(f->disk + 64 * 512, "BROKEN", 6);
	memcpy(f->disk + 2000 * 512, "FILES", 5);
	discover_layers(f);
	assert_int_equal(f->set->count, 2);
	assert_string_equal(volume(f, 1)->reason, "the medium is broken");
	assert_true(volume(f, 2)->content.supported);
}

static void disks_of_a_machine_that_are_missing(void **state)
{
	struct fixture *f = *state;
	struct blk *broken = NULL;
	assert_ok(blk_fault_open(f->blk, &(struct blk_fault_plan){.bad_len = 1}, &broken, &f->e), &f->e);
	memcpy(f->disk, "FILES", 5);
	struct volume_disk disks[] = {
		{.name = "first", .missing = "nobody knows where it is"},
		{.blk = broken, .name = "second"},
		{.blk = f->blk, .name = "third"},
	};
	assert_ok(volume_discover_machine(disks, 3, test_probe, NULL, &f->set, &f->e), &f->e);
	assert_int_equal(f->set->count, 3);
	assert_string_equal(volume(f, 1)->reason, "first is missing: nobody knows where it is");
	assert_null(volume(f, 1)->blk);
	assert_string_equal(volume(f, 2)->reason, "second is missing: injected failure of read 1, 512 bytes at 0");
	assert_null(f->set->disks[1]);
	assert_int_equal(volume(f, 3)->disk, 2);
	assert_true(volume(f, 3)->content.supported);
	assert_true(warned(f->set, "first is missing: nobody knows where it is"));
	assert_true(warned(f->set, "second is missing: injected failure of read 1, 512 bytes at 0"));

	struct volume_set *none = NULL;
	assert_int_equal(volume_discover_machine(disks, 2, test_probe, NULL, &none, &f->e), ERR_IMAGE_UNREADABLE);
	assert_non_null(strstr(f->e.msg, "first is missing"));
	err_clear(&f->e);
	/* Of a single disk it is the disk's own error. */
	assert_int_equal(volume_discover_machine(&disks[1], 1, test_probe, NULL, &none, &f->e), ERR_IO);
	assert_string_equal(f->e.msg, "second: injected failure of read 3, 512 bytes at 0");
	err_clear(&f->e);
	blk_unref(broken);
}

/* Encrypted below the disk: nothing of it is looked at until its bytes come from elsewhere, and then it is like any other. */
static void sealed_disks(void **state)
{
	struct fixture *f = *state;
	struct blk *unreadable = NULL;
	assert_ok(blk_fault_open(f->blk, &(struct blk_fault_plan){.bad_len = UINT64_MAX}, &unreadable, &f->e), &f->e);
	memcpy(f->disk, "FILES", 5);
	struct volume_disk disks[] = {{.blk = unreadable, .name = "first", .sealed = true}, {.blk = f->blk, .name = "second"}};
	assert_ok(volume_discover_machine(disks, 2, test_probe, NULL, &f->set, &f->e), &f->e);
	assert_int_equal(f->set->count, 2);
	assert_true(volume(f, 1)->locked && volume(f, 1)->container && !volume(f, 1)->content.supported);
	assert_int_equal(volume(f, 1)->size, f->blk->size);
	assert_string_equal(volume(f, 1)->content.type, "crypto_LUKS");
	assert_int_equal(f->set->warning_count, 0);

	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	assert_int_equal(volume_set_key_areas(f->set, 1, areas, &f->e), ERR_INVALID);
	err_clear(&f->e);
	assert_int_equal(volume_set_unlock(f->set, 1, (const uint8_t *)"key", 3, &f->e), ERR_INVALID);
	err_clear(&f->e);
	assert_int_equal(volume_set_add_crypt(f->set, 1, f->blk, &f->e), 3);
	assert_int_equal(volume_set_add_crypt(f->set, 1, f->blk, &f->e), 3);
	assert_false(volume(f, 1)->locked);
	assert_int_equal(volume(f, 3)->kind, VOLUME_CRYPT);
	assert_int_equal(volume(f, 3)->parent, 1);
	assert_true(volume(f, 3)->content.supported);
	blk_unref(unreadable);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(mbr_chain),
		T(mbr_chain_in_a_circle),
		T(mbr_chain_of_many),
		T(mbr_chain_off_the_disk),
		T(mbr_beyond_the_disk),
		T(mbr_overlap),
		T(mbr_of_4096_byte_sectors),
		T(boot_flag_garbage_is_no_table),
		T(fat_wins_over_text_that_looks_like_a_table),
		T(a_table_with_content_wins_over_fat),
		T(gpt_both_sector_sizes),
		T(gpt_primary_damaged),
		T(gpt_backup_damaged),
		T(gpt_both_damaged),
		T(gpt_grown),
		T(gpt_without_protective_mbr),
		T(gpt_remnant),
		T(gpt_hybrid),
		T(gpt_entries_that_lie),
		T(gpt_header_that_lies),
		T(odd_disks),
		T(a_stack_grows_by_unlocking),
		T(unlock_refusals),
		T(partitions_inside),
		T(endless_nesting_ends),
		T(a_broken_volume_does_not_harm_the_others),
		T(disks_of_a_machine_that_are_missing),
		T(sealed_disks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
