#include "fs/ntfs/ntfs.h"

#include <stdlib.h>

static void ascii_upcase(uint16_t *table)
{
	for (unsigned i = 0; i < NTFS_UPCASE_UNITS; i++)
		table[i] = (uint16_t)(i >= 'a' && i <= 'z' ? i - 'a' + 'A' : i);
}

static int read_table(struct ntfs *ntfs, uint8_t *raw, struct err *e)
{
	struct ntfs_inode ino;
	struct ntfs_stream s;
	int r = ntfs_inode_get(ntfs, NTFS_UPCASE_NO, 0, &ino, e);
	if (r >= 0)
		r = ntfs_stream_open(&ino, NTFS_AT_DATA, NULL, 0, &s, e);
	ntfs_inode_put(&ino);
	if (r == 0)
		return err_set(e, ERR_FS_CORRUPT, "ntfs", "$UpCase has no contents");
	if (r < 0)
		return r;
	r = ntfs_stream_read(&s, 0, raw, 2 * NTFS_UPCASE_UNITS, e);
	ntfs_stream_close(&s);
	return r;
}

int ntfs_upcase_load(struct ntfs *ntfs, struct err *e)
{
	uint8_t *raw = malloc(2 * NTFS_UPCASE_UNITS);
	ntfs->upcase = malloc(NTFS_UPCASE_UNITS * sizeof(*ntfs->upcase));
	if (!raw || !ntfs->upcase) {
		free(raw);
		return err_no_memory(e, "ntfs");
	}
	int r = read_table(ntfs, raw, e);
	if (r == 0) {
		for (unsigned i = 0; i < NTFS_UPCASE_UNITS; i++)
			ntfs->upcase[i] = get_le16(raw + 2 * i);
	} else if (r != ERR_NO_MEMORY) {
		fs_warn(&ntfs->fs, "$UpCase cannot be read (%s): names with letters beyond ASCII may not be found",
		        e->msg);
		err_clear(e);
		ascii_upcase(ntfs->upcase);
		r = 0;
	}
	free(raw);
	return r;
}

int ntfs_name_compare(const struct ntfs *ntfs, const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units)
{
	for (unsigned i = 0; i < a_units && i < b_units; i++) {
		uint16_t ua = ntfs->upcase[get_le16(a + 2 * i)], ub = ntfs->upcase[get_le16(b + 2 * i)];
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
