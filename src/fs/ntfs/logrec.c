/* Changes of an MFT record. Offsets: of a record's header 0x10 sequence number, 0x12 links, 0x14 first attribute, 0x16
 * flags, 0x18 bytes in use, 0x1C bytes in all, 0x28 next instance; of an attribute 4 length, 8 non-resident, 14
 * instance; resident 0x10 length of the value, 0x14 its offset, 0x16 indexed; non-resident 0x10 and 0x18 the VCNs, 0x20
 * the run list, 0x28 the sizes. */
#include "fs/ntfs/logop.h"

#include <inttypes.h>

enum {
	RECORD_USED = 0x18,
	RECORD_FIRST_MIN = 42,
	ATTR_END = 0xFFFFFFFF,
	ATTR_MIN = 0x18,
	ATTR_NONRESIDENT_MIN = 0x40,
	SIZES_V1 = 24,                   /* allocated, initialised, size */
	SIZES = 32,                      /* … and bytes stored */
};

static int bad_place(const struct log_op *op, struct err *e)
{
	return log_bad(e, "record %" PRIu64 " of $LogFile does not fit its MFT record", op->lsn);
}

/* An attribute whose length makes sense: its end. 0: none; the end mark counts as 8 bytes. */
static size_t attr_end(const struct log_block *b, size_t at, size_t used)
{
	if (!range_inside(at, 8, used))
		return 0;
	if (get_le32(b->p + at) == ATTR_END)
		return at + 8;
	uint32_t len = get_le32(b->p + at + 4);
	if (len < ATTR_MIN || len % 8 != 0 || !range_inside(at, len, used))
		return 0;
	const uint8_t *p = b->p + at;
	if (p[8] ? len < ATTR_NONRESIDENT_MIN || get_le16(p + 0x20) > len :
	           !range_inside(get_le16(p + 0x14), get_le32(p + 0x10), len))
		return 0;
	return at + len;
}

/* Is `want` the start of an attribute, or of the end mark? */
static bool is_boundary(const struct log_block *b, size_t want)
{
	size_t used = get_le32(b->p + RECORD_USED), at = get_le16(b->p + 0x14);
	while (at < want) {
		if (get_le32(b->p + at) == ATTR_END)
			return false;
		at = attr_end(b, at, used);
		if (at == 0)
			return false;
	}
	return at == want;
}

static bool is_attr(const struct log_block *b, size_t at)
{
	return is_boundary(b, at) && get_le32(b->p + at) != ATTR_END;
}

bool log_mft_sound(const struct log_block *b)
{
	size_t used = get_le32(b->p + RECORD_USED), at = get_le16(b->p + 0x14);
	if (used > b->size || used % 8 != 0 || at < RECORD_FIRST_MIN || at % 8 != 0 ||
	    get_le32(b->p + 0x1C) != b->size)
		return false;
	while (range_inside(at, 8, used)) {
		size_t end = attr_end(b, at, used);
		if (end == 0)
			return false;
		if (get_le32(b->p + at) == ATTR_END)
			return true;
		at = end;
	}
	return false;
}

bool log_attr_resize(struct log_block *b, size_t attr, size_t len)
{
	size_t used = get_le32(b->p + RECORD_USED), old = get_le32(b->p + attr + 4), tail = attr + old;
	if (len < ATTR_MIN || len % 8 != 0 || used - old + len > b->size)
		return false;
	memmove(b->p + attr + len, b->p + tail, used - tail);
	put_le32(b->p + attr + 4, (uint32_t)len);
	put_le32(b->p + RECORD_USED, (uint32_t)(used - old + len));
	return true;
}

/* A name in a directory counts as a link. */
static void count_link(struct log_block *b, const uint8_t *attr, int by)
{
	if (!attr[8] && attr[0x16] & 1)
		put_le16(b->p + 0x12, (uint16_t)(get_le16(b->p + 0x12) + by));
}

static int create_attr(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	size_t at = op->record_off, used = get_le32(b->p + RECORD_USED);
	if (part->len < ATTR_MIN || !is_boundary(b, at))
		return bad_place(op, e);
	size_t len = get_le32(part->data + 4);
	if (len < ATTR_MIN || len % 8 != 0 || len > part->len || len > b->size - used)
		return bad_place(op, e);
	memmove(b->p + at + len, b->p + at, used - at);
	memcpy(b->p + at, part->data, len);
	put_le32(b->p + RECORD_USED, (uint32_t)(used + len));
	uint16_t instance = get_le16(b->p + at + 14);
	if (get_le16(b->p + 0x28) <= instance)
		put_le16(b->p + 0x28, (uint16_t)(instance + 1));
	count_link(b, b->p + at, 1);
	return 0;
}

static int delete_attr(struct log_block *b, const struct log_op *op, struct err *e)
{
	size_t at = op->record_off, used = get_le32(b->p + RECORD_USED);
	if (!is_attr(b, at))
		return bad_place(op, e);
	size_t len = get_le32(b->p + at + 4);
	count_link(b, b->p + at, -1);
	memmove(b->p + at, b->p + at + len, used - at - len);
	put_le32(b->p + RECORD_USED, (uint32_t)(used - len));
	return 0;
}

static int update_resident(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	size_t at = op->record_off, off = op->attr_off, end = off + part->len;
	if (!is_attr(b, at))
		return bad_place(op, e);
	/* Data of the same length overwrites; other data is the value's new end. */
	if (op->redo.len != op->undo.len) {
		size_t value = get_le16(b->p + at + 0x14);
		if (b->p[at + 8] || off < value || !log_attr_resize(b, at, (end + 7) & ~(size_t)7))
			return bad_place(op, e);
		put_le32(b->p + at + 0x10, (uint32_t)(end - value));
	}
	if (end > get_le32(b->p + at + 4))
		return bad_place(op, e);
	memcpy(b->p + at + off, part->data, part->len);
	return 0;
}

/* Clusters a run list maps; -1 when it is malformed. */
static int64_t pairs_clusters(const uint8_t *p, size_t len)
{
	uint64_t clusters = 0;
	for (size_t i = 0; i < len && p[i] != 0;) {
		unsigned len_bytes = p[i] & 0x0F, lcn_bytes = p[i] >> 4;
		if (len_bytes == 0 || len_bytes > 8 || lcn_bytes > 8 || len_bytes + lcn_bytes >= len - i)
			return -1;
		uint64_t n = 0;
		for (unsigned k = 0; k < len_bytes; k++)
			n |= (uint64_t)p[i + 1 + k] << (8 * k);
		if (n == 0 || n > (1ull << 42) || clusters > (1ull << 42))
			return -1;
		clusters += n;
		i += 1 + len_bytes + lcn_bytes;
	}
	return (int64_t)clusters;
}

static int update_pairs(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	size_t at = op->record_off, off = op->attr_off, end = off + part->len;
	if (!is_attr(b, at) || !b->p[at + 8])
		return bad_place(op, e);
	size_t pairs = get_le16(b->p + at + 0x20);
	if (off < pairs || pairs < ATTR_NONRESIDENT_MIN || off > get_le32(b->p + at + 4) ||
	    !log_attr_resize(b, at, (end + 7) & ~(size_t)7))
		return bad_place(op, e);
	memcpy(b->p + at + off, part->data, part->len);
	int64_t clusters = pairs_clusters(b->p + at + pairs, get_le32(b->p + at + 4) - pairs);
	if (clusters < 0)
		return bad_place(op, e);
	put_le64(b->p + at + 0x18, get_le64(b->p + at + 0x10) + (uint64_t)clusters - 1);
	return 0;
}

static int set_sizes(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	uint8_t *p = b->p + op->record_off;
	if (!is_attr(b, op->record_off) || !p[8] || part->len < SIZES_V1)
		return bad_place(op, e);
	put_le64(p + 0x28, get_le64(part->data));
	put_le64(p + 0x38, get_le64(part->data + 8));
	put_le64(p + 0x30, get_le64(part->data + 16));
	/* Compressed and sparse attributes have a fourth, in front of the run list. */
	if (part->len >= SIZES && get_le16(p + 0x20) >= 0x48 && get_le32(p + 4) >= 0x48)
		put_le64(p + 0x40, get_le64(part->data + 24));
	return 0;
}

static int write_end(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	size_t end = (size_t)op->record_off + part->len;
	if (!is_boundary(b, op->record_off) || end > b->size)
		return bad_place(op, e);
	memcpy(b->p + op->record_off, part->data, part->len);
	put_le32(b->p + RECORD_USED, (uint32_t)((end + 7) & ~(size_t)7));
	return 0;
}

int log_mft_apply(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	size_t at = op->record_off;
	switch (part->code) {
	case LOG_FREE_RECORD:
		put_le16(b->p + 0x16, (uint16_t)(get_le16(b->p + 0x16) & ~NTFS_RECORD_IN_USE));
		put_le16(b->p + 0x10, (uint16_t)(get_le16(b->p + 0x10) + 1));
		return 0;
	case LOG_WRITE_END_OF_RECORD:
		return write_end(b, op, part, e);
	case LOG_CREATE_ATTR:
		return create_attr(b, op, part, e);
	case LOG_DELETE_ATTR:
		return delete_attr(b, op, e);
	case LOG_UPDATE_RESIDENT:
		return update_resident(b, op, part, e);
	case LOG_UPDATE_PAIRS:
		return update_pairs(b, op, part, e);
	case LOG_SET_SIZES:
		return set_sizes(b, op, part, e);
	case LOG_ZERO_END_OF_RECORD:
		if (at < get_le32(b->p + RECORD_USED) || at + part->len > b->size)
			return bad_place(op, e);
		memset(b->p + at, 0, part->len);
		return 0;
	default:
		if (!is_attr(b, at) || get_le32(b->p + at) != NTFS_AT_INDEX_ROOT || b->p[at + 8])
			return bad_place(op, e);
		return log_root_apply(b, at, op, part, e);
	}
}
