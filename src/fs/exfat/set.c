/* Directory entry sets (spec 6 and 7.4 to 7.7): a file entry, a stream extension that says where the
 * contents are, name entries of 15 units each, and perhaps others that are not needed. */
#include "base/bytes.h"
#include "fs/dos_time.h"
#include "fs/exfat/exfat.h"

enum {
	FLAG_NO_FAT_CHAIN = 2,
	STREAM_OFF = EXFAT_ENTRY_SIZE,
	OFFSET_VALID = 0x80,
	OFFSET_QUARTERS = 15 * 60,
};

size_t exfat_set_length(const uint8_t *file_entry)
{
	size_t count = (size_t)file_entry[1] + 1;
	return count >= EXFAT_SET_MIN && count <= EXFAT_SET_MAX ? count : 0;
}

/* Spec 6.3.3. A fuzzer would never get past it. */
static bool checksum_fits(const uint8_t *set, size_t count)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return true;
#endif
	unsigned sum = 0;
	for (size_t i = 0; i < count * EXFAT_ENTRY_SIZE; i++)
		if (i != 2 && i != 3)
			sum = (((sum & 1) << 15) + (sum >> 1) + set[i]) & 0xffff;
	return sum == get_le16(set + 2);
}

/* As much of the name as is there; false when that is not all. */
static bool take_name(const uint8_t *set, size_t count, struct exfat_entry *n)
{
	size_t want = set[STREAM_OFF + 3];
	for (size_t i = 2; i < count && n->unit_count < want; i++) {
		const uint8_t *raw = set + i * EXFAT_ENTRY_SIZE;
		if (raw[0] != EXFAT_NAME)
			break;
		for (size_t k = 0; k < EXFAT_NAME_UNITS_PER_ENTRY && n->unit_count < want; k++)
			n->units[n->unit_count++] = get_le16(raw + 2 + 2 * k);
	}
	return want > 0 && n->unit_count == want;
}

/* A secondary entry we do not know and may not ignore. */
static bool has_unknown(const uint8_t *set, size_t count)
{
	for (size_t i = 2; i < count; i++) {
		uint8_t type = set[i * EXFAT_ENTRY_SIZE];
		if (type != EXFAT_NAME && !(type & EXFAT_BENIGN))
			return true;
	}
	return false;
}

static void judge(const uint8_t *set, size_t count, bool named, struct exfat_entry *n)
{
	struct err *why = &n->broken;
	if (count < EXFAT_SET_MIN || exfat_set_length(set) != count)
		err_set(why, ERR_FILE_CORRUPT, "exfat", "the entry set is incomplete");
	else if (set[STREAM_OFF] != EXFAT_STREAM)
		err_set(why, ERR_FILE_CORRUPT, "exfat", "the entry set has no stream extension");
	else if (!checksum_fits(set, count))
		err_set(why, ERR_FILE_CORRUPT, "exfat", "the entry set's checksum does not fit");
	else if (!named)
		err_set(why, ERR_FILE_CORRUPT, "exfat", "the entry set does not hold its whole name");
	else if (n->units[0] == '.' && (n->unit_count == 1 || (n->unit_count == 2 && n->units[1] == '.')))
		err_set(why, ERR_FILE_CORRUPT, "exfat", "the entry's name is one that no file may have");
	else if (has_unknown(set, count))
		err_set(why, ERR_FILE_UNSUPPORTED, "exfat", "the entry set has an entry of an unknown kind");
	else if (n->valid > n->size)
		err_set(why, ERR_FILE_CORRUPT, "exfat", "more bytes are said to be valid than there are");
}

void exfat_set_decode(const uint8_t *set, size_t count, struct exfat_entry *ret)
{
	*ret = (struct exfat_entry){.attrs = get_le16(set + 4) & EXFAT_ATTR_MASK};
	memcpy(ret->times, set, EXFAT_ENTRY_SIZE);
	bool named = false;
	if (count >= 2 && set[STREAM_OFF] == EXFAT_STREAM) {
		const uint8_t *stream = set + STREAM_OFF;
		ret->in_piece = stream[1] & FLAG_NO_FAT_CHAIN;
		ret->valid = get_le64(stream + 8);
		ret->cluster = get_le32(stream + 20);
		ret->size = get_le64(stream + 24);
		named = take_name(set, count, ret);
	}
	judge(set, count, named, ret);
}

/* --- stat ----------------------------------------------------------------------------------------- */

/* Local time and, where it is known, the zone's offset from UTC in quarters of an hour (spec 7.4.10). */
static bool zoned_time(const uint8_t *raw, uint8_t hundredths, uint8_t zone, struct fs_time *ret)
{
	if (!dos_time(get_le16(raw + 2), get_le16(raw), hundredths, ret))
		return false;
	if (zone & OFFSET_VALID) {
		int quarters = zone & 0x7f;
		if (quarters >= 64)
			quarters -= 128;
		ret->sec -= quarters * OFFSET_QUARTERS;
	}
	return true;
}

void exfat_entry_stat(const struct exfat_fs *x, const struct exfat_entry *n, struct fs_stat *ret)
{
	bool dir = n->attrs & EXFAT_DIRECTORY;
	const uint8_t *t = n->times;
	*ret = (struct fs_stat){
		.id = {.ino = n->ino},
		.type = dir ? FS_DIRECTORY : FS_FILE,
		.valid = FS_HAS_ATTRS,
		.mode = dir ? 0755 : 0644,
		.nlink = 1,
		.size = dir ? 0 : n->size,
		.dos_attrs = n->attrs,
	};
	if (n->attrs & EXFAT_READ_ONLY)
		ret->mode &= ~0222u;
	uint64_t cluster = x->geo.cluster_size;
	ret->allocated = n->size / cluster * cluster + (n->size % cluster ? cluster : 0);
	if (zoned_time(t + 8, t[20], t[22], &ret->btime))
		ret->valid |= FS_HAS_BTIME;
	if (zoned_time(t + 12, t[21], t[23], &ret->mtime))
		ret->valid |= FS_HAS_MTIME;
	if (zoned_time(t + 16, 0, t[24], &ret->atime))
		ret->valid |= FS_HAS_ATIME;
}
