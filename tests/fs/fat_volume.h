/* FAT volumes laid out by hand in memory, for fat_test.c and fat_chain_test.c. */
#ifndef TESTS_FS_FAT_VOLUME_H
#define TESTS_FS_FAT_VOLUME_H

#include "base/bytes.h"
#include "conformance.h"

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

static inline void set_table(struct volume *v, unsigned table, uint32_t cluster, uint32_t value)
{
	uint8_t *t = v->data + v->table_off + table * v->table_sectors * SECTOR;
	if (v->bits == 32) {
		put_le32(t + 4 * cluster, value);
	} else if (v->bits == 16) {
		put_le16(t + 2 * cluster, (uint16_t)value);
	} else {
		uint8_t *p = t + cluster * 3 / 2;
		unsigned old = get_le16(p);
		put_le16(p, (uint16_t)(cluster & 1 ? (old & 0xf) | (value & 0xfff) << 4
		                                   : (old & 0xf000) | (value & 0xfff)));
	}
}

static inline void link_to(struct volume *v, uint32_t cluster, uint32_t value)
{
	for (unsigned i = 0; i < TABLES; i++)
		set_table(v, i, cluster, value);
}

static inline uint8_t *cluster_at(struct volume *v, uint32_t cluster)
{
	return v->data + v->data_off + (cluster - 2) * SECTOR;
}

static inline struct volume make(unsigned bits)
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
static inline uint8_t *put_entry(uint8_t *at, const char *name, uint8_t attr, uint32_t cluster, uint32_t size)
{
	memset(at, 0, 32);
	memcpy(at, name, 11);
	at[11] = attr;
	put_le16(at + 20, (uint16_t)(cluster >> 16));
	put_le16(at + 26, (uint16_t)cluster);
	put_le32(at + 28, size);
	return at + 32;
}

static inline void add(struct volume *v, const char *name, uint8_t attr, uint32_t cluster, uint32_t size)
{
	v->root = put_entry(v->root, name, attr, cluster, size);
}

static inline uint8_t checksum(const char *short_name)
{
	unsigned sum = 0;
	for (int i = 0; i < 11; i++)
		sum = ((sum & 1) << 7) + (sum >> 1) + (uint8_t)short_name[i], sum &= 0xff;
	return (uint8_t)sum;
}

/* One slot, thirteen units from `units`. */
static inline void add_slot(struct volume *v, uint8_t number, uint8_t sum, const uint16_t *units)
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

static inline void add_long(struct volume *v, const uint16_t *units, size_t count, uint8_t sum)
{
	uint16_t padded[20 * 13];
	memset(padded, 0xff, sizeof(padded));
	memcpy(padded, units, 2 * count);
	if (count % 13)
		padded[count] = 0;
	for (size_t n = (count + 12) / 13, i = n; i > 0; i--)
		add_slot(v, (uint8_t)(i | (i == n ? 0x40 : 0)), sum, padded + 13 * (i - 1));
}

static inline void open_volume(struct volume *v)
{
	struct err e = ERR_INIT;
	assert_ok(blk_mem_open(v->data, v->size, &v->blk, &e), &e);
	assert_ok(fs_open(v->blk, &v->fs, &e), &e);
}

static inline void done(struct volume *v)
{
	fs_close(v->fs);
	blk_unref(v->blk);
	free(v->data);
}

static inline int take_name(void *arg, const struct fs_dirent *de)
{
	struct buf *names = arg;
	buf_add(names, de->name, de->name_len);
	buf_adds(names, de->broken ? "!|" : "|");
	return 0;
}

static inline void check_listing(struct volume *v, const char *path, const char *want, int want_code)
{
	struct err e = ERR_INIT;
	struct fs_id id;
	assert_ok(fs_resolve(v->fs, path, strlen(path), 0, &id, &e), &e);
	struct buf names = BUF_INIT(1 << 20);
	assert_int_equal(fs_readdir(v->fs, id, 0, take_name, &names, &e), want_code);
	assert_string_equal(buf_str(&names), want);
	buf_free(&names);
}

static inline uint64_t find(struct volume *v, const char *path)
{
	struct err e = ERR_INIT;
	struct fs_id id = {0};
	int r = fs_resolve(v->fs, path, strlen(path), 0, &id, &e);
	if (r < 0)
		assert_int_equal(r, ERR_NOT_FOUND);
	return id.ino;
}

/* Opens a file: 0 and its first bytes in *ret, or the error's code. */
static inline int read_file(struct volume *v, const char *path, char *ret, size_t len, const char **ret_msg)
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

static inline void check_damaged(struct volume *v, const char *path, const char *want)
{
	char byte;
	const char *msg;
	assert_int_equal(read_file(v, path, &byte, 1, &msg), ERR_FILE_CORRUPT);
	if (!strstr(msg, want))
		fail_msg("\"%s\" does not say \"%s\"", msg, want);
}

#endif
