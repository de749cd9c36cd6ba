/* The checkpoint: a record that tells where in the log the tables of open attributes, transactions and dirty pages were
 * put. A table has a header (bytes an entry, entries) and entries, which are in use when their first word is all ones;
 * they are named by their offset in the table. Version 0 has the layout of 32-bit Windows. */
#include "fs/ntfs/logop.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	RESTART_MIN = 0x40,
	ENTRY_USED = 0xFFFFFFFF,
	ATTR_V0 = 0x2C,
	ATTR_V1 = 0x28,
	TRANSACTION = 0x28,
	DIRTY_V0 = 0x24,
	DIRTY_V1 = 0x20,
	DIRTY_FIRST = 1024,
};

/* --- slots ----------------------------------------------------------------------------------------- */

static bool slot_of(uint32_t offset, uint32_t entry, uint32_t max, uint32_t *ret)
{
	if (offset < LOG_TABLE_HEADER || (offset - LOG_TABLE_HEADER) % entry != 0 ||
	    (offset - LOG_TABLE_HEADER) / entry >= max)
		return false;
	*ret = (offset - LOG_TABLE_HEADER) / entry;
	return true;
}

struct log_attr *log_attr_at(struct log *l, uint32_t offset)
{
	uint32_t slot;
	return slot_of(offset, l->tables_v0 ? ATTR_V0 : ATTR_V1, LOG_ATTRS_MAX, &slot) ? &l->attr[slot] : NULL;
}

struct log_transaction *log_transaction_at(struct log *l, uint32_t offset)
{
	uint32_t slot;
	return slot_of(offset, TRANSACTION, LOG_TRANSACTIONS_MAX, &slot) ? &l->transaction[slot] : NULL;
}

int log_attr_decode(const struct log *l, const uint8_t *p, size_t len, struct log_attr *ret, struct err *e)
{
	if (len < (size_t)(l->tables_v0 ? ATTR_V0 : ATTR_V1))
		return log_bad(e, "an entry of the log's open attribute table is cut off");
	if (l->tables_v0)
		*ret = (struct log_attr){true, get_le32(p + 0x1C), get_le32(p + 0x28), get_le64(p + 8)};
	else
		*ret = (struct log_attr){true, get_le32(p + 8), get_le32(p + 4), get_le64(p + 0x10)};
	return 0;
}

/* --- dirty clusters -------------------------------------------------------------------------------- */

static size_t dirty_slot(const struct log *l, uint32_t attr, uint64_t vcn)
{
	uint64_t h = (vcn ^ (uint64_t)attr << 40) * 0x9E3779B97F4A7C15u;
	size_t i = (size_t)(h >> 32) & (l->dirty_slots - 1);
	while (l->dirty[i].used && (l->dirty[i].attr != attr || l->dirty[i].vcn != vcn))
		i = (i + 1) & (l->dirty_slots - 1);
	return i;
}

struct log_dirty *log_dirty_find(const struct log *l, uint32_t attr, uint64_t vcn)
{
	if (l->dirty_slots == 0)
		return NULL;
	struct log_dirty *d = &l->dirty[dirty_slot(l, attr, vcn)];
	return d->used ? d : NULL;
}

static int dirty_grow(struct log *l, struct err *e)
{
	size_t slots = l->dirty_slots ? 2 * l->dirty_slots : DIRTY_FIRST;
	if (slots > LOG_DIRTY_MAX)
		return err_set(e, ERR_LIMIT, "ntfs", "$LogFile tells of more than %d dirty clusters",
		               LOG_DIRTY_MAX / 2);
	struct log old = *l;
	l->dirty = calloc(slots, sizeof(*l->dirty));
	if (!l->dirty) {
		l->dirty = old.dirty;
		return err_no_memory(e, "ntfs");
	}
	l->dirty_slots = slots;
	for (size_t i = 0; i < old.dirty_slots; i++)
		if (old.dirty[i].used)
			l->dirty[dirty_slot(l, old.dirty[i].attr, old.dirty[i].vcn)] = old.dirty[i];
	free(old.dirty);
	return 0;
}

int log_dirty_add(struct log *l, uint32_t attr, uint64_t vcn, uint64_t oldest, struct log_dirty **ret, struct err *e)
{
	if (2 * l->dirty_count >= l->dirty_slots) {
		int r = dirty_grow(l, e);
		if (r < 0)
			return r;
	}
	struct log_dirty *d = &l->dirty[dirty_slot(l, attr, vcn)];
	if (!d->used) {
		*d = (struct log_dirty){.used = true, .attr = attr, .vcn = vcn, .oldest = oldest};
		l->dirty_count++;
	}
	if (oldest < d->oldest)
		d->oldest = oldest;
	*ret = d;
	return 0;
}

void log_tables_free(struct log *l)
{
	free(l->attr);
	free(l->transaction);
	free(l->dirty);
}

/* --- tables as logged ------------------------------------------------------------------------------ */

struct table {
	const uint8_t *p;
	uint32_t entry, count;
};

typedef int entry_fn(struct log *l, uint32_t offset, const uint8_t *p, uint32_t len, struct err *e);

static int attr_entry(struct log *l, uint32_t offset, const uint8_t *p, uint32_t len, struct err *e)
{
	struct log_attr *a = log_attr_at(l, offset);
	if (!a)
		return log_bad(e, "the log's open attribute table is malformed");
	return log_attr_decode(l, p, len, a, e);
}

static int transaction_entry(struct log *l, uint32_t offset, const uint8_t *p, uint32_t len, struct err *e)
{
	struct log_transaction *t = log_transaction_at(l, offset);
	if (!t || len < TRANSACTION)
		return log_bad(e, "the log's transaction table is malformed");
	*t = (struct log_transaction){true, p[4], get_le64(p + 8), get_le64(p + 24)};
	return 0;
}

static int dirty_entry(struct log *l, uint32_t offset, const uint8_t *p, uint32_t len, struct err *e)
{
	(void)offset;
	uint32_t head = l->tables_v0 ? DIRTY_V0 : DIRTY_V1;
	if (len < head || get_le32(p + 12) > (len - head) / 8)
		return log_bad(e, "the log's dirty page table is malformed");
	uint32_t attr = get_le32(p + 4), count = get_le32(p + 12);
	uint64_t vcn = get_le64(p + head - 16), oldest = get_le64(p + head - 8);
	if (vcn > l->ntfs->boot.clusters || oldest == 0)
		return log_bad(e, "the log's dirty page table names an impossible page");
	for (uint32_t i = 0; i < count; i++) {
		struct log_dirty *d;
		int r = log_dirty_add(l, attr, vcn + i, oldest, &d, e);
		if (r < 0)
			return r;
		if (get_le64(p + head + 8 * (size_t)i))
			d->lcn = get_le64(p + head + 8 * (size_t)i);
	}
	return 0;
}

/* Reads the table logged under lsn by the operation `code` and gives its entries in use to fn. */
static int table_read(struct log *l, uint64_t lsn, unsigned code, uint32_t entry, entry_fn *fn, struct err *e)
{
	if (lsn == 0)
		return 0;
	struct log_record rec;
	int r = log_record_read(l, lsn, &rec, e);
	if (r < 0)
		return r;
	/* These records are longer than the field for the length of their data can say. */
	if (r == 0 || !rec.ours || rec.type != LOG_RECORD_CLIENT || rec.len < 0x20 || get_le16(rec.data) != code)
		return log_bad(e, "a table of the log's last checkpoint is missing");
	uint32_t off = get_le16(rec.data + 4);
	if (!range_inside(off, LOG_TABLE_HEADER, rec.len))
		return log_bad(e, "a table of the log's last checkpoint is malformed");
	struct table t = {rec.data + off, get_le16(rec.data + off), get_le16(rec.data + off + 2)};
	uint64_t len = LOG_TABLE_HEADER + (uint64_t)t.entry * t.count;
	if (t.entry < 4 || (entry && t.entry != entry) || len > rec.len - off)
		return log_bad(e, "a table of the log's last checkpoint is malformed");
	for (uint32_t i = 0; r >= 0 && i < t.count; i++) {
		uint32_t at = LOG_TABLE_HEADER + i * t.entry;
		if (get_le32(t.p + at) == ENTRY_USED)
			r = fn(l, at, t.p + at, t.entry, e);
	}
	return r < 0 ? r : 0;
}

int log_checkpoint_read(struct log *l, struct err *e)
{
	if (l->rst.restart_lsn == 0)
		return 0;
	struct log_record rec;
	int r = log_record_read(l, l->rst.restart_lsn, &rec, e);
	if (r < 0)
		return r;
	if (r == 0 || !rec.ours || rec.type != LOG_RECORD_RESTART || rec.len < RESTART_MIN)
		return log_bad(e, "the last checkpoint of $LogFile is missing");
	uint32_t version = get_le32(rec.data);
	if (version > 1)
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "the checkpoint of $LogFile has version %" PRIu32,
		               version);
	l->tables_v0 = version == 0;
	uint64_t start = get_le64(rec.data + 8), attrs = get_le64(rec.data + 0x10), dirty = get_le64(rec.data + 0x20);
	uint64_t transactions = get_le64(rec.data + 0x28);
	if (get_le32(rec.data + 0x30) == 0)
		attrs = 0;
	if (get_le32(rec.data + 0x38) == 0)
		dirty = 0;
	if (get_le32(rec.data + 0x3C) == 0)
		transactions = 0;
	l->analysis_lsn = start ? start : rec.lsn;
	l->attrs_lsn = attrs;
	l->attr = calloc(LOG_ATTRS_MAX, sizeof(*l->attr));
	l->transaction = calloc(LOG_TRANSACTIONS_MAX, sizeof(*l->transaction));
	if (!l->attr || !l->transaction)
		return err_no_memory(e, "ntfs");
	r = table_read(l, attrs, LOG_DUMP_ATTRS, l->tables_v0 ? ATTR_V0 : ATTR_V1, attr_entry, e);
	if (r == 0)
		r = table_read(l, dirty, LOG_DUMP_DIRTY, 0, dirty_entry, e);
	if (r == 0)
		r = table_read(l, transactions, LOG_DUMP_TRANSACTIONS, TRANSACTION, transaction_entry, e);
	return r < 0 ? r : 1;
}
