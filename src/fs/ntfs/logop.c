#include "fs/ntfs/logop.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OP_HEADER = 0x20 };

enum log_op_kind log_op_kind(unsigned code)
{
	switch (code) {
	case LOG_INIT_RECORD:
	case LOG_FREE_RECORD:
	case LOG_WRITE_END_OF_RECORD:
	case LOG_CREATE_ATTR:
	case LOG_DELETE_ATTR:
	case LOG_UPDATE_RESIDENT:
	case LOG_UPDATE_PAIRS:
	case LOG_SET_SIZES:
	case LOG_ADD_ENTRY_ROOT:
	case LOG_DELETE_ENTRY_ROOT:
	case LOG_SET_VCN_ROOT:
	case LOG_UPDATE_NAME_ROOT:
	case LOG_UPDATE_DATA_ROOT:
	case LOG_ZERO_END_OF_RECORD:
		return LOG_KIND_RECORD;
	case LOG_ADD_ENTRY_BLOCK:
	case LOG_DELETE_ENTRY_BLOCK:
	case LOG_WRITE_END_OF_BLOCK:
	case LOG_SET_VCN_BLOCK:
	case LOG_UPDATE_NAME_BLOCK:
	case LOG_UPDATE_DATA_BLOCK:
		return LOG_KIND_BLOCK;
	case LOG_UPDATE_NONRESIDENT:
	case LOG_SET_BITS:
	case LOG_CLEAR_BITS:
		return LOG_KIND_RAW;
	case LOG_NOOP:
	case LOG_COMPENSATION:
	case LOG_DELETE_DIRTY_CLUSTERS:
	case LOG_HOT_FIX:
	case LOG_END_TOP_LEVEL:
	case LOG_PREPARE:
	case LOG_COMMIT:
	case LOG_FORGET:
	case LOG_OPEN_ATTR:
	case LOG_DUMP_ATTRS:
	case LOG_DUMP_NAMES:
	case LOG_DUMP_DIRTY:
	case LOG_DUMP_TRANSACTIONS:
		return LOG_KIND_NONE;
	default:
		return LOG_KIND_UNKNOWN;
	}
}

/* Tables are longer than their length field can say, and Windows leaves data out that would be all zero. */
static int decode_part(const struct log_record *rec, unsigned at, unsigned code, struct log_part *ret, struct err *e)
{
	uint32_t off = get_le16(rec->data + at), len = get_le16(rec->data + at + 2);
	if (log_op_kind(code) == LOG_KIND_UNKNOWN)
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "record %" PRIu64 " of $LogFile is of unknown kind %u",
		               rec->lsn, code);
	bool inside = range_inside(off, len, rec->len);
	if (!inside && !(code == LOG_UPDATE_NONRESIDENT && off >= rec->len) && log_op_kind(code) != LOG_KIND_NONE)
		return log_bad(e, "record %" PRIu64 " of $LogFile is cut off", rec->lsn);
	*ret = (struct log_part){code, inside ? rec->data + off : NULL, len};
	return 0;
}

int log_op_decode(const struct log_record *rec, struct log_op *ret, struct err *e)
{
	const uint8_t *p = rec->data;
	if (rec->len < OP_HEADER)
		return log_bad(e, "record %" PRIu64 " of $LogFile is too short", rec->lsn);
	struct log_op op = {
		.lsn = rec->lsn,
		.target = get_le16(p + 12),
		.lcn_count = get_le16(p + 14),
		.record_off = get_le16(p + 16),
		.attr_off = get_le16(p + 18),
		.cluster_off = (uint32_t)get_le16(p + 20) * NTFS_STRIDE,
		.vcn = get_le64(p + 24),
		.lcns = p + OP_HEADER,
	};
	if (op.lcn_count > (rec->len - OP_HEADER) / 8 || op.vcn > INT64_MAX / NTFS_CLUSTER_MAX)
		return log_bad(e, "record %" PRIu64 " of $LogFile names impossible clusters", rec->lsn);
	int r = decode_part(rec, 4, get_le16(p), &op.redo, e);
	if (r == 0)
		r = decode_part(rec, 8, get_le16(p + 2), &op.undo, e);
	if (r == 0)
		*ret = op;
	return r;
}

/* --- one block ------------------------------------------------------------------------------------- */

static int bad_place(const struct log_op *op, struct err *e)
{
	return log_bad(e, "record %" PRIu64 " of $LogFile does not fit what is on disk", op->lsn);
}

/* The inverse of ntfs_fixup(): the words at the ends go into the array, the number to the ends. */
static void protect(struct log_block *b)
{
	size_t at = get_le16(b->p + 4);
	for (size_t i = 1; i <= b->size / NTFS_STRIDE; i++) {
		memcpy(b->p + at + 2 * i, b->p + i * NTFS_STRIDE - 2, 2);
		memcpy(b->p + i * NTFS_STRIDE - 2, b->p + at, 2);
	}
}

/* Was the block written after this change? The log goes to disk first: a block newer than all of it contradicts it. */
static int is_newer(struct log *l, const struct log_block *b, const struct log_op *op, bool undo, struct err *e)
{
	uint64_t lsn = get_le64(b->p + 8);
	if (lsn > l->end_lsn && l->end_lsn)
		return log_bad(e, "the volume has changes that are not in $LogFile");
	return !undo && lsn >= op->lsn;
}

static int block_write(struct log *l, struct log_block *b, const struct log_op *op, uint64_t pos, bool undo,
                       struct err *e)
{
	size_t at = get_le16(b->p + 4), count = get_le16(b->p + 6);
	if (count != b->size / NTFS_STRIDE + 1 || at % 2 != 0 || at < 8 || at + 2 * count > NTFS_STRIDE - 2)
		return bad_place(op, e);
	if (!undo)
		put_le64(b->p + 8, op->lsn);
	protect(b);
	int r = log_raw_write(l, op, pos, b->p, b->size, e);
	return r < 0 ? r : 0;
}

static int apply_record(struct log *l, const struct log_op *op, const struct log_part *part, bool undo, struct err *e)
{
	uint8_t buf[NTFS_RECORD_MAX];
	struct log_block b = {buf, l->ntfs->boot.record_size};
	int r = log_raw_read(l, op, op->cluster_off, buf, b.size, e);
	if (r <= 0)
		return r;
	struct err torn = ERR_INIT;
	bool sound = ntfs_fixup(buf, b.size, "FILE", "MFT record", op->vcn, &torn) == 0;
	if (sound) {
		r = is_newer(l, &b, op, undo, e);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (part->code == LOG_INIT_RECORD) {
		if (!sound)
			memset(buf, 0, b.size);
		if (op->record_off + part->len > b.size)
			return bad_place(op, e);
		memcpy(buf + op->record_off, part->data, part->len);
	} else {
		if (!sound || !log_mft_sound(&b))
			return bad_place(op, e);
		r = log_mft_apply(&b, op, part, e);
		if (r < 0)
			return r;
	}
	if (memcmp(buf, "FILE", 4) != 0 || !log_mft_sound(&b))
		return bad_place(op, e);
	return block_write(l, &b, op, op->cluster_off, undo, e);
}

static size_t block_size(const struct log *l, const struct log_attr *a)
{
	uint32_t size = is_pow2(a->index_bytes) ? a->index_bytes : l->ntfs->boot.block_size;
	return size >= NTFS_BLOCK_MIN && size <= NTFS_BLOCK_MAX ? size : 0;
}

static int apply_block(struct log *l, const struct log_attr *a, const struct log_op *op, const struct log_part *part,
                       bool undo, struct err *e)
{
	uint64_t pos = (uint64_t)op->cluster_off + op->record_off;
	struct log_block b = {.size = block_size(l, a)};
	if (b.size == 0)
		return bad_place(op, e);
	CLEANUP(free_ptr) uint8_t *buf = b.p = malloc(b.size);
	if (!buf)
		return err_no_memory(e, "ntfs");
	int r = log_raw_read(l, op, pos, buf, b.size, e);
	if (r <= 0)
		return r;
	struct err torn = ERR_INIT;
	if (ntfs_fixup(buf, b.size, "INDX", "index block", op->vcn, &torn) < 0)
		return bad_place(op, e);
	r = is_newer(l, &b, op, undo, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = log_block_apply(&b, op, part, e);
	return r < 0 ? r : block_write(l, &b, op, pos, undo, e);
}

/* --- raw bytes ------------------------------------------------------------------------------------- */

/* Bytes of an index block come without protection: the block as a whole is put together and protected again. */
static int raw_index(struct log *l, const struct log_attr *a, const struct log_op *op, const struct log_part *part,
                     bool undo, struct err *e)
{
	size_t at = (size_t)op->record_off + op->attr_off;
	struct log_block b = {.size = block_size(l, a)};
	if (b.size == 0 || !range_inside(at, part->len, b.size))
		return bad_place(op, e);
	CLEANUP(free_ptr) uint8_t *buf = b.p = malloc(b.size);
	if (!buf)
		return err_no_memory(e, "ntfs");
	int r = log_raw_read(l, op, op->cluster_off, buf, b.size, e);
	if (r <= 0)
		return r;
	struct err torn = ERR_INIT;
	if (ntfs_fixup(buf, b.size, "INDX", "index block", op->vcn, &torn) < 0)
		memset(buf, 0, b.size);
	else if ((r = is_newer(l, &b, op, undo, e)) != 0)
		return r < 0 ? r : 0;
	if (part->data)
		memcpy(buf + at, part->data, part->len);
	else
		memset(buf + at, 0, part->len);
	/* A block taken back to nothing. */
	if (get_le32(buf) == 0)
		return log_raw_write(l, op, op->cluster_off, buf, b.size, e) < 0 ? e->code : 0;
	return memcmp(buf, "INDX", 4) != 0 ? bad_place(op, e) : block_write(l, &b, op, op->cluster_off, undo, e);
}

static int raw_update(struct log *l, const struct log_op *op, const struct log_part *part, struct err *e)
{
	static const uint8_t zero[NTFS_STRIDE];
	uint64_t pos = (uint64_t)op->cluster_off + op->record_off + op->attr_off;
	if (part->data) {
		int r = log_raw_write(l, op, pos, part->data, part->len, e);
		return r < 0 ? r : 0;
	}
	for (uint32_t done = 0; done < part->len;) {
		uint32_t n = part->len - done < sizeof(zero) ? part->len - done : (uint32_t)sizeof(zero);
		int r = log_raw_write(l, op, pos + done, zero, n, e);
		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

/* Bits [from, to) of a byte. */
static void put_bits(uint8_t *p, unsigned from, unsigned to, bool on)
{
	uint8_t mask = (uint8_t)((0xFFu << from) & (0xFFu >> (8 - to)));
	*p = on ? *p | mask : (uint8_t)(*p & ~mask);
}

static int raw_bits(struct log *l, const struct log_op *op, const struct log_part *part, struct err *e)
{
	if (part->len < 8)
		return bad_place(op, e);
	uint64_t bit = get_le32(part->data), end = bit + get_le32(part->data + 4);
	uint64_t pos = (uint64_t)op->cluster_off + op->record_off + op->attr_off;
	/* So many bits the named clusters hold. */
	if (end > (uint64_t)op->lcn_count * l->ntfs->boot.cluster_size * 8)
		return bad_place(op, e);
	int spent = log_spend(l, (end - bit) / 8, e);
	if (spent < 0)
		return spent;
	while (bit < end) {
		uint8_t p[NTFS_STRIDE];
		uint64_t first = bit / 8, last = (end + 7) / 8;
		size_t n = (size_t)min_u64(last - first, sizeof(p));
		int r = log_raw_read(l, op, pos + first, p, n, e);
		if (r <= 0)
			return r;
		for (; bit < end && bit / 8 < first + n; bit = (bit / 8 + 1) * 8)
			put_bits(&p[bit / 8 - first], (unsigned)(bit % 8), (unsigned)min_u64(end - bit / 8 * 8, 8),
			         part->code == LOG_SET_BITS);
		r = log_raw_write(l, op, pos + first, p, n, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int log_op_apply(struct log *l, const struct log_op *op, const struct log_part *part, bool undo, struct err *e)
{
	const struct log_attr *a = log_attr_at(l, op->target);
	if (!a || !a->used)
		return log_bad(e, "record %" PRIu64 " of $LogFile changes an attribute that is not open", op->lsn);
	switch (log_op_kind(part->code)) {
	case LOG_KIND_RECORD:
		if (a->type != NTFS_AT_DATA || ntfs_ref_no(a->ref) != NTFS_MFT_NO)
			return bad_place(op, e);
		return apply_record(l, op, part, undo, e);
	case LOG_KIND_BLOCK:
		if (a->type != NTFS_AT_INDEX_ALLOCATION)
			return bad_place(op, e);
		return apply_block(l, a, op, part, undo, e);
	case LOG_KIND_RAW:
		if (part->code != LOG_UPDATE_NONRESIDENT)
			return raw_bits(l, op, part, e);
		if (a->type == NTFS_AT_INDEX_ALLOCATION)
			return raw_index(l, a, op, part, undo, e);
		return raw_update(l, op, part, e);
	case LOG_KIND_NONE:
	case LOG_KIND_UNKNOWN:
		break;
	}
	return 0;
}
