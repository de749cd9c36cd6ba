#include "fs/ntfs/ntfs.h"

#include "base/cleanup.h"

#include <stdlib.h>

/* $UpCase, of which there must be all. */
static int open_table(struct ntfs *ntfs, struct ntfs_stream *ret, struct err *e)
{
	struct ntfs_inode ino;
	int r = ntfs_inode_get(ntfs, NTFS_UPCASE_NO, 0, &ino, e);
	if (r >= 0)
		r = ntfs_stream_open(&ino, NTFS_AT_DATA, NULL, 0, ret, e);
	ntfs_inode_put(&ino);
	if (r == 0)
		return err_set(e, ERR_FS_CORRUPT, "ntfs", "$UpCase has no contents");
	return r < 0 ? r : 0;
}

static int read_table(struct ntfs *ntfs, uint8_t *raw, struct err *e)
{
	struct ntfs_stream s;
	int r = open_table(ntfs, &s, e);
	if (r < 0)
		return r;
	r = ntfs_stream_read(&s, 0, raw, 2 * NTFS_UPCASE_UNITS, e);
	ntfs_stream_close(&s);
	return r;
}

int ntfs_upcase_check(struct ntfs *ntfs, struct err *e)
{
	struct ntfs_stream s;
	struct err why = ERR_INIT;
	/* Where there is none, loading says so, once. */
	if (open_table(ntfs, &s, &why) < 0)
		return ntfs_upcase_load(ntfs, e);
	ntfs_stream_close(&s);
	return 0;
}

int ntfs_upcase_load(struct ntfs *ntfs, struct err *e)
{
	if (ntfs->upcase)
		return 0;
	CLEANUP(free_ptr) uint8_t *raw = malloc(2 * NTFS_UPCASE_UNITS);
	CLEANUP(free_ptr) uint16_t *table = malloc(NTFS_UPCASE_UNITS * sizeof(*table));
	if (!raw || !table)
		return err_no_memory(e, "ntfs");
	if (read_table(ntfs, raw, e) == 0) {
		for (unsigned i = 0; i < NTFS_UPCASE_UNITS; i++)
			table[i] = get_le16(raw + 2 * i);
	} else {
		if (e->code == ERR_NO_MEMORY)
			/* cppcheck-suppress memleak ; CLEANUP frees the table */
			return e->code;
		fs_warn(&ntfs->fs, "$UpCase cannot be read (%s): names with letters beyond ASCII may not be found", e->msg);
		err_clear(e);
		for (unsigned i = 0; i < NTFS_UPCASE_UNITS; i++)
			table[i] = (uint16_t)i;
	}
	ntfs->upcase = STEAL(table);
	return 0;
}

bool ntfs_name_is_ascii(const uint8_t *name, unsigned units)
{
	for (unsigned i = 0; i < units; i++)
		if (get_le16(name + 2 * i) >= 0x80)
			return false;
	return true;
}

static uint16_t fold(const struct ntfs *ntfs, uint16_t unit)
{
	if (unit < 0x80)
		return (uint16_t)(unit >= 'a' && unit <= 'z' ? unit - 'a' + 'A' : unit);
	return ntfs->upcase[unit];
}

int ntfs_name_compare(const struct ntfs *ntfs, const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units)
{
	for (unsigned i = 0; i < a_units && i < b_units; i++) {
		uint16_t ua = fold(ntfs, get_le16(a + 2 * i)), ub = fold(ntfs, get_le16(b + 2 * i));
		if (ua != ub)
			return ua < ub ? -1 : 1;
	}
	return a_units < b_units ? -1 : a_units > b_units;
}

int ntfs_name_collate(const struct ntfs *ntfs, const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units)
{
	int r = ntfs_name_compare(ntfs, a, a_units, b, b_units);
	for (unsigned i = 0; r == 0 && i < a_units; i++) {
		uint16_t ua = get_le16(a + 2 * i), ub = get_le16(b + 2 * i);
		if (ua != ub)
			r = ua < ub ? -1 : 1;
	}
	return r;
}

bool ntfs_name_is(const uint8_t *name, unsigned units, const char *ascii)
{
	unsigned i = 0;
	for (; i < units && ascii[i]; i++)
		if (get_le16(name + 2 * i) != (uint8_t)ascii[i])
			return false;
	return i == units && !ascii[i];
}
