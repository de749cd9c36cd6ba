/* Changes of index entries, in a root or in a block. Both have a header (0 first entry, 4 bytes in use, 8 room, counted
 * from the header) and entries (8 length, 10 length of the key, 12 flags; the key from 16). */
#include "fs/ntfs/logop.h"

#include <inttypes.h>

enum {
	BLOCK_INDEX = 24,                /* where the header is in a block */
	ROOT_INDEX = 16,                 /* … and in a root's value */
	INDEX_HEADER = 16,
	ENTRY_MIN = 16,
	ENTRY_CHILD = 1,
	ENTRY_LAST = 2,
	NAME_TIMES = 8,                  /* what a directory repeats of a file, in the file name */
	NAME_COPY = 0x38,
	NAME_MIN = 0x42,
};

struct index {
	uint8_t *h;
	size_t used, room;
};

static int bad_place(const struct log_op *op, struct err *e)
{
	return log_bad(e, "record %" PRIu64 " of $LogFile does not fit its index", op->lsn);
}

static bool index_at(uint8_t *h, size_t len, struct index *ret)
{
	if (len < INDEX_HEADER)
		return false;
	*ret = (struct index){h, get_le32(h + 4), get_le32(h + 8)};
	return get_le32(h) >= INDEX_HEADER && get_le32(h) < ret->used && ret->used <= ret->room && ret->room <= len;
}

/* The entry at `want` bytes behind the header, of which it gives the length; 0 when none is there. */
static size_t entry_at(const struct index *ix, size_t want)
{
	for (size_t at = get_le32(ix->h); range_inside(at, ENTRY_MIN, ix->used);) {
		size_t len = get_le16(ix->h + at + 8);
		if (len < ENTRY_MIN || len % 8 != 0 || !range_inside(at, len, ix->used))
			return 0;
		if (at == want)
			return len;
		if (get_le16(ix->h + at + 12) & ENTRY_LAST)
			return 0;
		at += len;
	}
	return 0;
}

/* The length of the entry that is to be added; 0 when the data is none. */
static size_t new_entry(const struct log_part *part)
{
	if (part->len < ENTRY_MIN)
		return 0;
	size_t len = get_le16(part->data + 8);
	bool last = get_le16(part->data + 12) & ENTRY_LAST;
	return len >= ENTRY_MIN && len % 8 == 0 && len <= part->len && !last ? len : 0;
}

static void insert(struct index *ix, size_t at, const uint8_t *entry, size_t len)
{
	memmove(ix->h + at + len, ix->h + at, ix->used - at);
	memcpy(ix->h + at, entry, len);
	put_le32(ix->h + 4, (uint32_t)(ix->used + len));
}

static bool take_out(struct index *ix, size_t at, size_t len)
{
	if (get_le16(ix->h + at + 12) & ENTRY_LAST)
		return false;
	memmove(ix->h + at, ix->h + at + len, ix->used - at - len);
	put_le32(ix->h + 4, (uint32_t)(ix->used - len));
	return true;
}

static bool set_child(uint8_t *entry, size_t len, const struct log_part *part)
{
	if (part->len < 8 || len < ENTRY_MIN + 8 || !(get_le16(entry + 12) & ENTRY_CHILD))
		return false;
	memcpy(entry + len - 8, part->data, 8);
	return true;
}

static bool update_name(uint8_t *entry, size_t len, const struct log_part *part)
{
	if (len < ENTRY_MIN + NAME_MIN || get_le16(entry + 10) < NAME_MIN || part->len > NAME_COPY)
		return false;
	memcpy(entry + ENTRY_MIN + NAME_TIMES, part->data, part->len);
	return true;
}

static bool update_data(uint8_t *entry, size_t len, const struct log_part *part)
{
	size_t at = get_le16(entry);
	if (at < ENTRY_MIN || !range_inside(at, part->len, len))
		return false;
	memcpy(entry + at, part->data, part->len);
	return true;
}

int log_root_apply(struct log_block *b, size_t attr, const struct log_op *op, const struct log_part *part,
                   struct err *e)
{
	uint8_t *a = b->p + attr;
	size_t value = get_le16(a + 0x14), len = get_le32(a + 0x10), attr_len = get_le32(a + 4);
	struct index ix;
	if (len < ROOT_INDEX || !index_at(a + value + ROOT_INDEX, len - ROOT_INDEX, &ix) ||
	    op->attr_off < value + ROOT_INDEX)
		return bad_place(op, e);
	size_t at = op->attr_off - value - ROOT_INDEX, entry = entry_at(&ix, at), added = 0;
	bool done = false;
	if (entry == 0)
		return bad_place(op, e);
	switch (part->code) {
	case LOG_ADD_ENTRY_ROOT:
		added = new_entry(part);
		if (added == 0 || !log_attr_resize(b, attr, attr_len + added))
			return bad_place(op, e);
		insert(&ix, at, part->data, added);
		put_le32(a + 0x10, (uint32_t)(len + added));
		put_le32(ix.h + 8, (uint32_t)(ix.room + added));
		return 0;
	case LOG_DELETE_ENTRY_ROOT:
		if (!take_out(&ix, at, entry))
			return bad_place(op, e);
		put_le32(a + 0x10, (uint32_t)(len - entry));
		put_le32(ix.h + 8, (uint32_t)(ix.room - entry));
		done = log_attr_resize(b, attr, attr_len - entry);
		break;
	case LOG_SET_VCN_ROOT:
		done = set_child(ix.h + at, entry, part);
		break;
	case LOG_UPDATE_NAME_ROOT:
		done = update_name(ix.h + at, entry, part);
		break;
	case LOG_UPDATE_DATA_ROOT:
		done = update_data(ix.h + at, entry, part);
		break;
	default:
		break;
	}
	return done ? 0 : bad_place(op, e);
}

int log_block_apply(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e)
{
	struct index ix;
	if (!index_at(b->p + BLOCK_INDEX, b->size - BLOCK_INDEX, &ix) || op->attr_off < BLOCK_INDEX)
		return bad_place(op, e);
	size_t at = (size_t)op->attr_off - BLOCK_INDEX, entry = entry_at(&ix, at), added = 0;
	bool done = false;
	if (entry == 0)
		return bad_place(op, e);
	switch (part->code) {
	case LOG_ADD_ENTRY_BLOCK:
		added = new_entry(part);
		if (added == 0 || added > ix.room - ix.used)
			return bad_place(op, e);
		insert(&ix, at, part->data, added);
		return 0;
	case LOG_DELETE_ENTRY_BLOCK:
		done = take_out(&ix, at, entry);
		break;
	case LOG_WRITE_END_OF_BLOCK:
		if (part->len < ENTRY_MIN || part->len > ix.room - at)
			return bad_place(op, e);
		memcpy(ix.h + at, part->data, part->len);
		put_le32(ix.h + 4, (uint32_t)(at + part->len));
		return 0;
	case LOG_SET_VCN_BLOCK:
		done = set_child(ix.h + at, entry, part);
		break;
	case LOG_UPDATE_NAME_BLOCK:
		done = update_name(ix.h + at, entry, part);
		break;
	case LOG_UPDATE_DATA_BLOCK:
		done = update_data(ix.h + at, entry, part);
		break;
	default:
		break;
	}
	return done ? 0 : bad_place(op, e);
}
