/* The three passes. Analysis, from the checkpoint to the end: which clusters may miss changes, where they lie by now,
 * which transactions were not finished. Redo, from the oldest change that may be missing: everything again, in order.
 * Undo: what unfinished transactions did, backwards. */
#include "fs/ntfs/logop.h"

#include "blk/overlay.h"

#include <inttypes.h>

/* Gives every record of the client from lsn on to fn; l->end_lsn is the last one's when it is done. */
typedef int record_fn(struct log *l, const struct log_record *rec, struct err *e);

static int each_record(struct log *l, uint64_t lsn, record_fn *fn, struct err *e)
{
	struct log_record rec;
	int r = log_record_read(l, lsn, &rec, e);
	if (r == 0)
		return log_bad(e, "$LogFile does not reach back to record %" PRIu64, lsn);
	uint64_t last = 0;
	for (; r > 0; r = log_record_read(l, rec.next, &rec, e)) {
		if (rec.lsn <= last)
			return log_bad(e, "the records of $LogFile go round in circles");
		last = rec.lsn;
		if (!rec.ours || rec.type != LOG_RECORD_CLIENT)
			continue;
		int done = fn(l, &rec, e);
		if (done < 0)
			return done;
	}
	l->end_lsn = last;
	return r;
}

int log_spend(struct log *l, uint64_t steps, struct err *e)
{
	l->work += steps;
	return l->work > log_work_max ? err_set(e, ERR_LIMIT, "ntfs", "$LogFile takes too long to analyse") : 0;
}

/* --- analysis -------------------------------------------------------------------------------------- */

static int note_clusters(struct log *l, const struct log_op *op, struct err *e)
{
	for (unsigned i = 0; i < op->lcn_count; i++) {
		struct log_dirty *d;
		int r = log_dirty_add(l, op->target, op->vcn + i, op->lsn, &d, e);
		if (r < 0)
			return r;
		d->lcn = log_op_lcn(op, i);
	}
	return 0;
}

/* Clusters that were given back: they may hold another file's data by now. */
static int note_deleted(struct log *l, const struct log_op *op, struct err *e)
{
	if (!op->redo.data)
		return log_bad(e, "record %" PRIu64 " of $LogFile lacks its data", op->lsn);
	int r = log_spend(l, (uint64_t)(op->redo.len / 16) * l->dirty_slots, e);
	if (r < 0)
		return r;
	for (uint32_t at = 0; at + 16 <= op->redo.len; at += 16) {
		uint64_t lcn = get_le64(op->redo.data + at), count = get_le64(op->redo.data + at + 8);
		for (size_t i = 0; i < l->dirty_slots; i++) {
			struct log_dirty *d = &l->dirty[i];
			if (d->used && d->lcn >= lcn && d->lcn - lcn < count)
				d->lcn = 0;
		}
	}
	return 0;
}

static int note_open(struct log *l, const struct log_op *op, struct err *e)
{
	struct log_attr a, *slot = log_attr_at(l, op->target);
	if (!slot || !op->redo.data)
		return log_bad(e, "record %" PRIu64 " of $LogFile opens an attribute that cannot be", op->lsn);
	int r = log_attr_decode(l, op->redo.data, op->redo.len, &a, e);
	if (r < 0)
		return r;
	/* The table of the checkpoint knows what was opened before it was written. */
	if (slot->used && op->lsn < l->attrs_lsn)
		return 0;
	/* A slot is used again only when no page of its attribute is dirty any more. */
	bool again = slot->used && (slot->ref != a.ref || slot->type != a.type);
	if (again && (r = log_spend(l, l->dirty_slots, e)) < 0)
		return r;
	if (again)
		for (size_t i = 0; i < l->dirty_slots; i++)
			if (l->dirty[i].used && l->dirty[i].attr == op->target)
				l->dirty[i].oldest = UINT64_MAX;
	*slot = a;
	return 0;
}

static int analyse(struct log *l, const struct log_record *rec, struct err *e)
{
	/* The first one belongs to the time before the checkpoint. */
	if (rec->lsn == l->analysis_lsn)
		return 0;
	struct log_op op;
	int r = log_op_decode(rec, &op, e);
	if (r < 0)
		return r;
	if (l->redo_lsn == 0)
		l->redo_lsn = rec->lsn;
	struct log_transaction *t = log_transaction_at(l, rec->transaction);
	if (!t)
		return log_bad(e, "record %" PRIu64 " of $LogFile is of an impossible transaction", rec->lsn);
	if (!t->used)
		*t = (struct log_transaction){.used = true, .state = LOG_ACTIVE, .first = rec->lsn};
	t->undo_next = op.undo.code == LOG_COMPENSATION || op.redo.code == LOG_END_TOP_LEVEL ? rec->undo_next :
	                                                                                      rec->lsn;
	switch (op.redo.code) {
	case LOG_PREPARE:
		t->state = LOG_PREPARED;
		return 0;
	case LOG_COMMIT:
		t->state = LOG_COMMITTED;
		return 0;
	case LOG_FORGET:
		t->used = false;
		return 0;
	case LOG_DELETE_DIRTY_CLUSTERS:
		return note_deleted(l, &op, e);
	case LOG_OPEN_ATTR:
		return note_open(l, &op, e);
	case LOG_HOT_FIX:
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "$LogFile moves a bad cluster (record %" PRIu64 ")",
		               rec->lsn);
	default:
		return log_op_kind(op.redo.code) == LOG_KIND_NONE ? 0 : note_clusters(l, &op, e);
	}
}

static void find_redo_start(struct log *l)
{
	for (size_t i = 0; i < l->dirty_slots; i++)
		if (l->dirty[i].used && l->dirty[i].oldest < l->redo_lsn)
			l->redo_lsn = l->dirty[i].oldest;
}

/* --- redo, undo ------------------------------------------------------------------------------------ */

static int redo(struct log *l, const struct log_record *rec, struct err *e)
{
	struct log_op op;
	int r = log_op_decode(rec, &op, e);
	if (r < 0)
		return r;
	if (op.lcn_count == 0 || log_op_kind(op.redo.code) == LOG_KIND_NONE)
		return 0;
	const struct log_dirty *d = log_dirty_find(l, op.target, op.vcn);
	if (!d || op.lsn < d->oldest)
		return 0;
	return log_op_apply(l, &op, &op.redo, false, e);
}

static int undo(struct log *l, struct log_transaction *t, uint32_t id, struct err *e)
{
	for (uint64_t lsn = t->undo_next; lsn;) {
		struct log_record rec;
		int r = log_record_read(l, lsn, &rec, e);
		if (r < 0)
			return r;
		if (r == 0 || !rec.ours || rec.type != LOG_RECORD_CLIENT || rec.transaction != id)
			return log_bad(e, "$LogFile lacks record %" PRIu64 " of an unfinished transaction", lsn);
		struct log_op op;
		r = log_op_decode(&rec, &op, e);
		if (r == 0 && log_op_kind(op.undo.code) != LOG_KIND_NONE)
			r = log_op_apply(l, &op, &op.undo, true, e);
		if (r < 0)
			return r;
		if (rec.undo_next >= lsn)
			return log_bad(e, "an unfinished transaction of $LogFile goes round in circles");
		lsn = rec.undo_next;
	}
	return 0;
}

int log_replay(struct log *l, struct err *e)
{
	int r = log_checkpoint_read(l, e);
	if (r <= 0)
		return r;
	r = each_record(l, l->analysis_lsn, analyse, e);
	if (r == 0 && l->end_lsn < l->rst.lsn)
		r = log_bad(e, "$LogFile ends at record %" PRIu64 " instead of %" PRIu64, l->end_lsn, l->rst.lsn);
	if (r == 0)
		r = log_check_end(l, e);
	if (r < 0)
		return r;
	uint64_t end = l->end_lsn;
	find_redo_start(l);
	if (l->dirty_count > 0 && l->redo_lsn > 0) {
		r = each_record(l, l->redo_lsn, redo, e);
		if (r == 0 && l->end_lsn != end)
			r = log_bad(e, "the records of $LogFile contradict each other");
	}
	for (uint32_t i = 0; r == 0 && i < LOG_TRANSACTIONS_MAX; i++) {
		struct log_transaction *t = &l->transaction[i];
		if (t->used && t->state == LOG_ACTIVE)
			r = undo(l, t, LOG_TABLE_HEADER + i * 0x28, e);
	}
	return r;
}
