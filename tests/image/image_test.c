/* Errors by name, limits, and how few reads the map needs. Images are composed here, byte by byte. */
#include "compose.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int try_open(const uint8_t *p, size_t len, enum image_format format, struct err *e)
{
	int fd = file_of(p, len);
	struct image_layer *l = NULL;
	int r = image_layer_open(fd, format, &l, e);
	image_layer_close(l);
	close(fd);
	return r;
}

static void open_fails(const uint8_t *p, size_t len, int code, const char *words)
{
	struct err e = ERR_INIT;
	assert_int_equal(try_open(p, len, IMAGE_AUTO, &e), code);
	if (!strstr(e.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
}

/* Opens well, but reading [off, off + len) fails with these words; cluster `good`, when >= 0, still reads. */
static void read_fails(const uint8_t *p, size_t file_len, uint64_t off, size_t len, const char *words, int good)
{
	int fd = file_of(p, file_len);
	struct blk *b = open_one(fd);
	static uint8_t to[SIZE];
	struct err e = ERR_INIT;
	assert_int_equal(blk_read(b, off, to, len, &e), ERR_IMAGE_CORRUPT);
	if (!strstr(e.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
	if (good >= 0) {
		struct err g = ERR_INIT;
		assert_ok(blk_read(b, (uint64_t)good * CLUSTER, to, CLUSTER, &g), &g);
		assert_int_equal(to[0], 'A' + good);
	}
	blk_unref(b);
	close(fd);
}

static uint8_t img[FILE_BYTES];

static void reads_well(void **state)
{
	(void)state;
	compose(img);
	int fd = file_of(img, sizeof(img));
	struct blk *b = open_one(fd);
	uint8_t to[SIZE];
	struct err e = ERR_INIT;
	struct blk_extent x;
	assert_int_equal(b->size, SIZE);
	assert_ok(blk_read(b, 0, to, SIZE, &e), &e);
	assert_int_equal(to[0], 'A');
	assert_int_equal(to[2 * CLUSTER - 1], 'B');
	assert_int_equal(to[2 * CLUSTER], 0);
	assert_ok(blk_extent(b, 100, SIZE - 100, &x, &e), &e);
	assert_int_equal(x.kind, BLK_DATA);
	assert_int_equal(x.len, 2 * CLUSTER - 100);
	assert_int_equal(x.fd, fd);
	assert_int_equal(x.host_off, DATA_AT + 100);
	assert_ok(blk_extent(b, 2 * CLUSTER, SIZE - 2 * CLUSTER, &x, &e), &e);
	assert_int_equal(x.kind, BLK_ZERO);
	assert_int_equal(x.len, CLUSTER);
	assert_ok(blk_extent(b, 3 * CLUSTER, SIZE - 3 * CLUSTER, &x, &e), &e);
	assert_int_equal(x.kind, BLK_HOLE);
	assert_int_equal(x.len, SIZE - 3 * CLUSTER);
	blk_unref(b);
	close(fd);
}

/* A source that gives zeroes. */
static int zero_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)b;
	(void)off;
	(void)e;
	memset(to, 0, len);
	return 0;
}

static void zero_close(struct blk *b)
{
	free(b);
}

static struct blk *zero_source(uint64_t size)
{
	static const struct blk_ops zero_ops = {.name = "zero", .read = zero_read, .close = zero_close};
	struct blk *b = malloc(sizeof(*b));
	blk_init(b, &zero_ops, size);
	return b;
}

static void foreign_formats(void **state)
{
	(void)state;
	static const struct {
		enum image_format format;
		const char *magic;
		int off;
		unsigned len;
	} all[] = {
		{IMAGE_QCOW1, "QFI\xfb\0\0\0\1", 0, 8}, {IMAGE_VHDX, "vhdxfile", 0, 8},
		{IMAGE_VHD, "conectix", 0, 8},            {IMAGE_VHD, "conectix", FILE_BYTES - 512, 8},
		{IMAGE_VDI, "\x7f\x10\xda\xbe", 64, 4}, {IMAGE_QED, "QED\0", 0, 4},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct err e = ERR_INIT;
		memset(img, 0, sizeof(img));
		memcpy(img + all[i].off, all[i].magic, all[i].len);
		int fd = file_of(img, sizeof(img));
		struct image_layer *l;
		assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
		assert_int_equal(image_layer_info(l)->format, all[i].format);
		enum image_format parsed;
		assert_true(image_format_parse(image_format_name(all[i].format), &parsed) && parsed == all[i].format);
		struct blk *b;
		/* Without its source there is nothing to read. */
		assert_int_equal(image_chain_open(&l, 1, &b, &e), ERR_INVALID);
		err_clear(&e);
		assert_ok(image_layer_open(fd, all[i].format, &l, &e), &e);
		struct blk *zero = zero_source(12345);
		assert_ok(image_layer_set_source(l, zero, &e), &e);
		assert_int_equal(image_layer_info(l)->virtual_size, 12345);
		assert_int_equal(image_layer_set_source(l, zero, &e), ERR_INVALID);
		err_clear(&e);
		assert_ok(image_chain_open(&l, 1, &b, &e), &e);
		assert_ptr_equal(b, zero);
		blk_unref(b);
		blk_unref(zero);
		if (memcmp(all[i].magic, "QFI", 3) != 0)
			assert_ok(try_open(img, sizeof(img), IMAGE_RAW, &e), &e);
		/* What is called so and is none. */
		memset(img, 0, sizeof(img));
		assert_int_equal(try_open(img, sizeof(img), all[i].format, &e), ERR_IMAGE_UNREADABLE);
		close(fd);
	}
	memset(img, 0, sizeof(img));
	/* LUKS is a volume, not an image: raw. */
	memcpy(img, "LUKS\xba\xbe", 6);
	memset(img + 64, 0, 4);
	memset(img + sizeof(img) - 512, 0, 8);
	struct err e = ERR_INIT;
	assert_ok(try_open(img, sizeof(img), IMAGE_AUTO, &e), &e);
	open_fails(img, 0, ERR_IMAGE_UNREADABLE, "empty");
}

static void fails_as(enum image_format format, int code, const char *word)
{
	struct err e = ERR_INIT;
	assert_int_equal(try_open(img, sizeof(img), format, &e), code);
	assert_non_null(strstr(e.msg, word));
}

/* What is only half of a disk, or encrypted, is said by name and never read as if it were whole. */
static void foreign_refused(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	memset(img, 0, sizeof(img));
	memcpy(img, "conectix", 8);
	put_be32(img + 60, 4);
	fails_as(IMAGE_VHD, ERR_IMAGE_UNSUPPORTED, "parent");
	/* The header at the beginning is the one that is read by. */
	memcpy(img + sizeof(img) - 512, "conectix", 8);
	put_be32(img + sizeof(img) - 512 + 60, 3);
	fails_as(IMAGE_VHD, ERR_IMAGE_UNSUPPORTED, "parent");
	memset(img, 0, sizeof(img));
	memcpy(img + 64, "\x7f\x10\xda\xbe", 4);
	put_le32(img + 76, 4);
	fails_as(IMAGE_VDI, ERR_IMAGE_UNSUPPORTED, "parent");
	/* QEMU would read zeroes where blocks are missing. */
	put_le32(img + 76, 1);
	put_le32(img + 0x158, CLUSTER);
	put_le32(img + 0x178, CLUSTER);
	put_le32(img + 0x184, sizeof(img) / CLUSTER - 1);
	assert_ok(try_open(img, sizeof(img), IMAGE_AUTO, &e), &e);
	assert_int_equal(try_open(img, sizeof(img) - 1, IMAGE_AUTO, &e), ERR_IMAGE_UNREADABLE);
	put_le32(img + 0x184, UINT32_MAX);
	put_le32(img + 0x178, UINT32_MAX);
	fails_as(IMAGE_VDI, ERR_IMAGE_UNREADABLE, "truncated");
	memset(img, 0, sizeof(img));
	memcpy(img, "QED", 4);
	img[16] = 1;
	fails_as(IMAGE_QED, ERR_IMAGE_UNSUPPORTED, "parent");
	memset(img, 0, sizeof(img));
	memcpy(img, "QFI\xfb\0\0\0\1", 8);
	put_be64(img + 8, 72);
	fails_as(IMAGE_QCOW1, ERR_IMAGE_UNSUPPORTED, "parent");
	put_be32(img + 36, 1);
	fails_as(IMAGE_QCOW1, ERR_IMAGE_ENCRYPTED, "encrypted");
	/* A fixed VHD is one whatever its guest writes into the first sector. */
	memset(img, 0, sizeof(img));
	memcpy(img, "QFI\xfb\0\0\0\3", 8);
	memcpy(img + sizeof(img) - 512, "conectix", 8);
	err_clear(&e);
	assert_ok(try_open(img, sizeof(img), IMAGE_VHD, &e), &e);
	/* A guest's raw disk that begins like a descriptor is not followed. */
	memset(img, 0, sizeof(img));
	strcpy((char *)img, "# Disk DescriptorFile\nRW 1 FLAT \"other.raw\" 0\n");
	fails_as(IMAGE_AUTO, ERR_IMAGE_UNSUPPORTED, ".vmdk");
	memset(img, 0, sizeof(img));
	memcpy(img, "COWD", 4);
	fails_as(IMAGE_VMDK, ERR_IMAGE_UNSUPPORTED, "one part");
	memcpy(img, "KDMV", 4);
	fails_as(IMAGE_VMDK, ERR_IMAGE_UNSUPPORTED, "one part");
	put_le64(img + 28, 1 << 20);
	put_le64(img + 36, 20);
	fails_as(IMAGE_VMDK, ERR_IMAGE_CORRUPT, "beyond");
}

static void features(void **state)
{
	(void)state;
	compose(img);
	put_be64(img + 72, UINT64_C(1) << 9);
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "incompatible bit 9");
	/* named by the table; what is not printable does not reach the message */
	put_be32(img + 104, 0x6803f857);
	put_be32(img + 108, 48);
	img[113] = 9;
	memcpy(img + 114, "time\x1b[31mtravel", 15);
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "time?[31mtravel (incompatible bit 9)");

	compose(img);
	put_be64(img + 72, 2);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "marked corrupt");
	compose(img);
	put_be32(img + 32, 1);
	open_fails(img, sizeof(img), ERR_IMAGE_ENCRYPTED, "AES");
	put_be32(img + 32, 3);
	open_fails(img, sizeof(img), ERR_IMAGE_ENCRYPTED, "unknown method");
	compose(img);
	put_be32(img + 4, 4);
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "version 4");
	compose(img);
	put_be32(img + 100, 112);
	put_be64(img + 72, 8);
	img[104] = 7;
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "compression type 7");
	img[104] = 0;
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "compression type");
	compose(img);
	put_be64(img + 72, 16);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "extended L2");
}

static void headers(void **state)
{
	(void)state;
	compose(img);
	open_fails(img, 60, ERR_IMAGE_UNREADABLE, "truncated");
	open_fails(img, L1_AT + 4, ERR_IMAGE_UNREADABLE, "the L1 table");
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		int code;
		const char *words;
	} all[] = {
		{20, 4, 8, ERR_IMAGE_CORRUPT, "cluster size"},
		{20, 4, 22, ERR_IMAGE_CORRUPT, "cluster size"},
		{100, 4, 96, ERR_IMAGE_CORRUPT, "header length"},
		{100, 4, 8192, ERR_IMAGE_CORRUPT, "longer than a cluster"},
		{96, 4, 7, ERR_IMAGE_CORRUPT, "reference counts"},
		{24, 8, UINT64_MAX, ERR_IMAGE_CORRUPT, "virtual size"},
		{24, 8, UINT64_C(1) << 40, ERR_IMAGE_CORRUPT, "the virtual size needs"},
		{36, 4, 5 << 20, ERR_LIMIT, "L1 table"},
		{40, 8, L1_AT + 8, ERR_IMAGE_CORRUPT, "not aligned"},
		{40, 8, 0, ERR_IMAGE_CORRUPT, "overlaps the header"},
		{40, 8, UINT64_C(1) << 40, ERR_IMAGE_UNREADABLE, "truncated"},
		{48, 8, 77, ERR_IMAGE_CORRUPT, "refcount table"},
		{48, 8, UINT64_C(1) << 40, ERR_IMAGE_UNREADABLE, "refcount table"},
		{60, 4, 70000, ERR_LIMIT, "snapshots"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		compose(img);
		if (all[i].bytes == 4)
			put_be32(img + all[i].at, (uint32_t)all[i].value);
		else
			put_be64(img + all[i].at, all[i].value);
		open_fails(img, sizeof(img), all[i].code, all[i].words);
	}
	/* an extension that is longer than its cluster */
	compose(img);
	put_be32(img + 104, 0xe2792aca);
	put_be32(img + 108, UINT32_MAX);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "extension");
}

static void backing_names(void **state)
{
	(void)state;
	compose(img);
	put_be64(img + 8, 512);
	put_be32(img + 16, 8);
	memcpy(img + 512, "base.img", 8);
	put_be32(img + 104, 0xe2792aca);
	put_be32(img + 108, 3);
	memcpy(img + 112, "raw", 3);
	int fd = file_of(img, sizeof(img));
	struct err e = ERR_INIT;
	struct image_layer *l = NULL;
	assert_ok(image_layer_open(fd, IMAGE_QCOW2, &l, &e), &e);
	assert_string_equal(image_layer_info(l)->backing_name, "base.img");
	assert_int_equal(image_layer_info(l)->backing_format, IMAGE_RAW);
	struct blk *b = NULL;
	assert_int_equal(image_chain_open(&l, 1, &b, &e), ERR_IMAGE_LAYER_MISSING);
	close(fd);

	memcpy(img + 112, "vdi", 3);
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "vdi");
	put_be32(img + 16, 1024);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "backing file name is 1024 bytes");
	put_be32(img + 16, 8);
	put_be64(img + 8, CLUSTER - 4);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "backing file name lies outside");
	put_be64(img + 8, 512);
	img[515] = 0;
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "NUL");
}

static void chains(void **state)
{
	(void)state;
	compose(img);
	put_be64(img + 8, 512);
	put_be32(img + 16, 1);
	img[512] = 'x';
	int fd = file_of(img, sizeof(img));
	compose(img);
	int base = file_of(img, sizeof(img));
	struct image_layer *l[3] = {NULL};
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l[0], &e), &e);
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l[1], &e), &e);
	assert_ok(image_layer_open(base, IMAGE_AUTO, &l[2], &e), &e);
	assert_int_equal(image_chain_open(l, 3, &b, &e), ERR_IMAGE_CORRUPT);
	assert_non_null(strstr(e.msg, "same file"));

	err_clear(&e);
	assert_ok(image_layer_open(base, IMAGE_AUTO, &l[0], &e), &e);
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l[1], &e), &e);
	assert_int_equal(image_chain_open(l, 2, &b, &e), ERR_INVALID);

	err_clear(&e);
	assert_int_equal(image_chain_open(l, 0, &b, &e), ERR_LIMIT);
	close(fd);
	close(base);
}

/* LUKS inside: a LUKS header of a cluster at the end of the file. */
static void compose_luks(uint8_t *p)
{
	compose(p);
	put_be32(p + 32, 2);
	put_be32(p + 104, 0x0537be77);
	put_be32(p + 108, 16);
	put_be64(p + 112, FILE_BYTES - CLUSTER);
	put_be64(p + 120, CLUSTER);
}

static void encrypted(void **state)
{
	(void)state;
	compose_luks(img);
	put_be32(img + 104, 0);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "where its LUKS header is");
	compose_luks(img);
	put_be64(img + 112, CLUSTER + 512);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "where its LUKS header is");
	compose_luks(img);
	put_be64(img + 120, 0);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "where its LUKS header is");
	put_be64(img + 120, CLUSTER + 1);
	open_fails(img, sizeof(img), ERR_IMAGE_UNREADABLE, "the LUKS header");
	put_be64(img + 120, UINT64_MAX);
	open_fails(img, sizeof(img), ERR_IMAGE_UNREADABLE, "the LUKS header");
	put_be32(img + 108, 8);
	open_fails(img, sizeof(img), ERR_IMAGE_CORRUPT, "16 bytes");
	compose_luks(img);
	put_be64(img + 72, 4);
	open_fails(img, sizeof(img), ERR_IMAGE_UNSUPPORTED, "encrypted and keeps its data in an external file");
}

/* The disk of an encrypted chain is there, and says what it is when it is read, whichever layer is encrypted. */
static void sealed_chains(void **state)
{
	(void)state;
	compose_luks(img);
	int luks = file_of(img, sizeof(img));
	compose(img);
	put_be64(img + 24, 4 * CLUSTER);
	put_be64(img + 8, 512);
	put_be32(img + 16, 1);
	img[512] = 'x';
	int over = file_of(img, sizeof(img));
	put_be64(img + 72, 4);
	int data_over = file_of(img, sizeof(img));
	struct image_layer *l[2] = {NULL};
	struct err e = ERR_INIT;
	struct blk *b = NULL;
	uint8_t to[512];
	assert_ok(image_layer_open(over, IMAGE_AUTO, &l[0], &e), &e);
	assert_ok(image_layer_open(luks, IMAGE_AUTO, &l[1], &e), &e);
	assert_true(image_layer_info(l[1])->encrypted && !image_layer_info(l[0])->encrypted);
	assert_true(image_chain_sealed(l, 2) && !image_chain_sealed(l, 1));
	assert_ok(image_chain_open(l, 2, &b, &e), &e);
	assert_int_equal(b->size, 4 * CLUSTER);
	assert_int_equal(blk_read(b, 0, to, sizeof(to), &e), ERR_VOLUME_LOCKED);
	blk_unref(b);

	err_clear(&e);
	assert_ok(image_layer_open(data_over, IMAGE_AUTO, &l[0], &e), &e);
	assert_ok(image_layer_set_data_file(l[0], over, &e), &e);
	assert_ok(image_layer_open(luks, IMAGE_AUTO, &l[1], &e), &e);
	assert_int_equal(image_chain_open(l, 2, &b, &e), ERR_IMAGE_UNSUPPORTED);

	err_clear(&e);
	assert_ok(image_layer_open(luks, IMAGE_AUTO, &l[0], &e), &e);
	assert_ok(image_layer_open(luks, IMAGE_AUTO, &l[1], &e), &e);
	assert_int_equal(image_chain_open(l, 2, &b, &e), ERR_INVALID);
	close(luks);
	close(over);
	close(data_over);
}

/* Who decrypts takes what is missing of the file for zeroes, and says nothing. */
static void what_is_missing_stays_so_unsealed(void **state)
{
	(void)state;
	compose_luks(img);
	put_be64(img + 112, DATA_AT);
	put_be64(img + L2_AT + 3 * 8, FILE_BYTES);
	int fd = file_of(img, DATA_AT + CLUSTER + 512);
	struct err e = ERR_INIT;
	struct blk *sealed = open_one(fd), *small = zero_source(SIZE - 512), *source = zero_source(SIZE), *b = NULL;
	struct blk_extent x;
	uint8_t to[SIZE];
	assert_int_equal(image_chain_unseal(sealed, small, &b, &e), ERR_INVALID);
	err_clear(&e);
	assert_int_equal(image_chain_unseal(source, source, &b, &e), ERR_INVALID);
	err_clear(&e);
	assert_ok(image_chain_unseal(sealed, source, &b, &e), &e);
	blk_unref(sealed);
	blk_unref(source);
	blk_unref(small);
	assert_ok(blk_read(b, 0, to, CLUSTER + 512, &e), &e);
	assert_ok(blk_read(b, 2 * CLUSTER, to, CLUSTER, &e), &e);
	assert_ok(blk_read(b, 4 * CLUSTER, to, SIZE - 4 * CLUSTER, &e), &e);
	assert_int_equal(blk_read(b, 0, to, CLUSTER + 513, &e), ERR_IMAGE_CORRUPT);
	err_clear(&e);
	assert_int_equal(blk_read(b, 0, to, SIZE, &e), ERR_IMAGE_CORRUPT);
	err_clear(&e);
	assert_int_equal(blk_read(b, 4 * CLUSTER - 1, to, 2, &e), ERR_IMAGE_CORRUPT);
	assert_non_null(strstr(e.msg, "beyond the end of the file"));
	err_clear(&e);
	assert_ok(blk_extent(b, 3 * CLUSTER, SIZE - 3 * CLUSTER, &x, &e), &e);
	assert_true(x.kind == BLK_DATA && x.len == CLUSTER && x.fd < 0);
	blk_unref(b);
	close(fd);
}

static void data_files(void **state)
{
	(void)state;
	compose(img);
	put_be64(img + 72, 4);
	put_be64(img + L2_AT, UINT64_C(1) << 63);          /* offset 0 is a place here */
	put_be64(img + L2_AT + 8, CLUSTER);
	put_be64(img + L2_AT + 24, DATA_AT + CLUSTER);     /* guest cluster 3 would lie at cluster 4 */
	int fd = file_of(img, sizeof(img));
	int data = file_of("data", 4);
	struct err e = ERR_INIT;
	struct image_layer *l = NULL;
	struct blk *b = NULL;
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	assert_true(image_layer_info(l)->has_data_file);
	assert_int_equal(image_chain_open(&l, 1, &b, &e), ERR_IMAGE_LAYER_MISSING);
	assert_non_null(strstr(e.msg, "data file"));

	err_clear(&e);
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	assert_int_equal(image_layer_set_data_file(l, fd, &e), ERR_IMAGE_CORRUPT);
	err_clear(&e);
	assert_ok(image_layer_set_data_file(l, data, &e), &e);
	assert_ok(image_chain_open(&l, 1, &b, &e), &e);
	uint8_t to[2 * CLUSTER];
	assert_ok(blk_read(b, 0, to, sizeof(to), &e), &e);
	assert_memory_equal(to, "data\0\0\0", 8);
	assert_int_equal(blk_read(b, 3 * CLUSTER, to, 1, &e), ERR_IMAGE_CORRUPT);
	blk_unref(b);
	close(fd);
	close(data);

	compose(img);
	fd = file_of(img, sizeof(img));
	err_clear(&e);
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	assert_int_equal(image_layer_set_data_file(l, fd, &e), ERR_INVALID);
	image_layer_close(l);
	close(fd);
}

static void damaged_tables(void **state)
{
	(void)state;
	static const struct {
		unsigned at;
		uint64_t value;
		const char *words;
		int good;
	} all[] = {
		{L1_AT, L2_AT | 1, "L1 entry has reserved bits", -1},
		{L1_AT, L2_AT + 512, "L2 table is not aligned", -1},
		{L1_AT, UINT64_C(1) << 40, "L2 table lies beyond the end", -1},
		{L1_AT, L1_AT, "L2 table overlaps the L1 table", -1},
		{L2_AT, DATA_AT | 4, "L2 entry has reserved bits", 1},
		{L2_AT, DATA_AT | UINT64_C(1) << 58, "L2 entry has reserved bits", 1},
		{L2_AT, DATA_AT + 512, "not aligned", 1},
		{L2_AT, FILE_BYTES, "beyond the end of the file", 1},
		{L2_AT, UINT64_C(1) << 50, "beyond the end of the file", 1},
		{L2_AT, UINT64_C(1) << 62 | UINT64_C(1) << 50, "beyond the end of the file", 1},
		{L2_AT, UINT64_C(1) << 62 | DATA_AT, "compressed cluster", 1},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		compose(img);
		put_be64(img + all[i].at, all[i].value);
		read_fails(img, sizeof(img), 0, 10, all[i].words, all[i].good);
	}
	/* zero clusters came with version 3 */
	compose(img);
	put_be32(img + 4, 2);
	read_fails(img, sizeof(img), 2 * CLUSTER, 10, "version 2", 0);
}

/* The last cluster of a file may be short: zeroes follow. A cluster that is missing altogether is damage. */
static void short_files(void **state)
{
	(void)state;
	compose(img);
	int fd = file_of(img, DATA_AT + CLUSTER + 100);
	struct blk *b = open_one(fd);
	uint8_t to[CLUSTER];
	struct err e = ERR_INIT;
	struct blk_extent x;
	assert_ok(blk_read(b, CLUSTER, to, CLUSTER, &e), &e);
	assert_int_equal(to[99], 'B');
	assert_int_equal(to[100], 0);
	assert_ok(blk_extent(b, 0, SIZE, &x, &e), &e);
	assert_int_equal(x.len, CLUSTER + 100);
	blk_unref(b);

	/* and one cut off behind our back is not silently zero */
	b = open_one(fd);
	assert_int_equal(ftruncate(fd, DATA_AT + 10), 0);
	assert_int_equal(blk_read(b, 0, to, CLUSTER, &e), ERR_IO);
	blk_unref(b);
	close(fd);
	read_fails(img, DATA_AT + CLUSTER, CLUSTER, 10, "beyond the end of the file", 0);
}

static void odd_sizes_end_with_their_last_sector(void **state)
{
	(void)state;
	compose(img);
	put_be64(img + 24, SIZE - 100);
	int fd = file_of(img, sizeof(img));
	struct blk *b = open_one(fd);
	assert_int_equal(b->size, SIZE - 512);
	blk_unref(b);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_well),    cmocka_unit_test(foreign_formats), cmocka_unit_test(foreign_refused), cmocka_unit_test(features),
		cmocka_unit_test(headers),       cmocka_unit_test(backing_names),   cmocka_unit_test(chains),
		cmocka_unit_test(data_files),    cmocka_unit_test(damaged_tables),  cmocka_unit_test(short_files),
		cmocka_unit_test(odd_sizes_end_with_their_last_sector), cmocka_unit_test(encrypted), cmocka_unit_test(sealed_chains),
		cmocka_unit_test(what_is_missing_stays_so_unsealed),
	};
	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
