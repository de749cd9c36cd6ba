#include "fs/xfs/log.h"

#include <stdlib.h>

static const char *const module = "xfs";

enum {
	OP_HEAD = 12,
	OP_START = 0x1,
	OP_COMMIT = 0x2,
	OP_CONTINUE = 0x4,           /* the region goes on in the next record */
	OP_WAS_CONTINUED = 0x8,
	OP_END = 0x10,
	OP_UNMOUNT = 0x20,
	CLIENT_TRANSACTION = 0x69,
	CLIENT_LOG = 0xAA,
	TRANS_MAGIC = 0x5452414E,    /* "TRAN" */
};

/* --- transactions --------------------------------------------------------------------------------- */

static void trans_free(struct xfs_log *l, unsigned i)
{
	struct log_trans *t = l->trans[i];
	l->trans_bytes -= t->len;
	free(t->data);
	free(t->region);
	free(t);
	l->trans[i] = l->trans[--l->trans_count];
}

void log_trans_drop(struct xfs_log *l)
{
	while (l->trans_count > 0)
		trans_free(l, 0);
}

static int trans_find(const struct xfs_log *l, uint32_t tid)
{
	for (unsigned i = 0; i < l->trans_count; i++)
		if (l->trans[i]->tid == tid)
			return (int)i;
	return -1;
}

static int trans_start(struct xfs_log *l, uint32_t tid, uint64_t lsn, struct err *e)
{
	if (l->trans_count == LOG_TRANS_MAX)
		return err_set(e, ERR_LIMIT, module, "more than %d transactions are open at once", LOG_TRANS_MAX);
	struct log_trans *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, module);
	t->tid = tid;
	t->lsn = lsn;
	l->trans[l->trans_count++] = t;
	return 0;
}

static int append(struct xfs_log *l, struct log_trans *t, const uint8_t *p, uint32_t len, struct err *e)
{
	if (l->trans_bytes + len > LOG_TRANS_BYTES)
		return err_set(e, ERR_LIMIT, module, "its open transactions have more than %d bytes", LOG_TRANS_BYTES);
	if (len > t->cap - t->len) {
		uint32_t cap = t->cap ? t->cap : 4096;
		while (len > cap - t->len)
			cap *= 2;
		uint8_t *data = realloc(t->data, cap);
		if (!data)
			return err_no_memory(e, module);
		t->data = data;
		t->cap = cap;
	}
	memcpy(t->data + t->len, p, len);
	t->len += len;
	l->trans_bytes += len;
	return 0;
}

static int add_region(struct xfs_log *l, struct log_trans *t, const uint8_t *p, uint32_t len, uint32_t item, struct err *e)
{
	if (t->regions == t->region_cap) {
		uint32_t cap = t->region_cap ? t->region_cap * 2 : 64;
		if (cap > LOG_REGIONS_MAX)
			return err_set(e, ERR_LIMIT, module, "a transaction has more than %d regions", LOG_REGIONS_MAX);
		struct log_region *region = realloc(t->region, cap * sizeof(*region));
		if (!region)
			return err_no_memory(e, module);
		t->region = region;
		t->region_cap = cap;
	}
	uint32_t off = t->len;
	int r = append(l, t, p, len, e);
	if (r == 0)
		t->region[t->regions++] = (struct log_region){.off = off, .len = len, .item = item};
	return r;
}

/* --- operations ----------------------------------------------------------------------------------- */

struct op {
	uint32_t tid, len;
	uint8_t client, flags;
	const uint8_t *data;
};

/* The header of a transaction is its first region, and like each may be cut in two. */
static const char *add_header(struct log_trans *t, const struct op *op)
{
	if (op->len > sizeof(t->header) - t->header_len)
		return "a transaction's header is too long";
	memcpy(t->header + t->header_len, op->data, op->len);
	t->header_len += op->len;
	if (t->header_len >= 4 && get_le32(t->header) != TRANS_MAGIC)
		return "a transaction has no header";
	return NULL;
}

static int add_new(struct xfs_log *l, struct log_trans *t, const struct op *op, const char **ret_bad, struct err *e)
{
	if (t->header_len < sizeof(t->header)) {
		*ret_bad = add_header(t, op);
		return 0;
	}
	uint32_t item = 0;
	if (t->missing == 0) {
		/* The first region of an item: its type, and how many regions it has. */
		item = op->len >= 4 ? get_le16(op->data + 2) : 0;
		if (item == 0 || item > LOG_ITEM_REGIONS) {
			*ret_bad = "an item has an impossible number of regions";
			return 0;
		}
		t->missing = item;
	}
	int r = add_region(l, t, op->data, op->len, item, e);
	t->missing--;
	return r;
}

static int add_rest(struct xfs_log *l, struct log_trans *t, const struct op *op, const char **ret_bad, struct err *e)
{
	if (t->regions == 0) {
		*ret_bad = add_header(t, op);
		return 0;
	}
	/* Of the region that came last, and whose data lies last. */
	int r = append(l, t, op->data, op->len, e);
	if (r == 0)
		t->region[t->regions - 1].len += op->len;
	return r;
}

static int operation(struct xfs_log *l, const struct log_record *rec, const struct op *op, const char **ret_bad,
                     struct err *e)
{
	int i = trans_find(l, op->tid);
	if (i < 0)
		/* Of a transaction that started before the tail: all of it is in its place. */
		return op->flags & OP_START ? trans_start(l, op->tid, rec->lsn, e) : 0;
	struct log_trans *t = l->trans[i];
	uint8_t flags = op->flags & (uint8_t)~OP_END;
	if (flags & OP_WAS_CONTINUED)
		flags &= (uint8_t)~OP_CONTINUE;
	int r;
	switch (flags) {
	case 0:
	case OP_CONTINUE:
		return op->len ? add_new(l, t, op, ret_bad, e) : 0;
	case OP_WAS_CONTINUED:
		return add_rest(l, t, op, ret_bad, e);
	case OP_COMMIT:
		r = log_commit(l, t, e);
		trans_free(l, (unsigned)i);
		return r;
	case OP_UNMOUNT:
		trans_free(l, (unsigned)i);
		return 0;
	default:
		*ret_bad = "an operation has unknown flags";
		return 0;
	}
}

int log_operations(struct xfs_log *l, const struct log_record *rec, const char **ret_bad, struct err *e)
{
	struct rdr in = rdr_init(rec->data, rec->len);
	for (uint32_t i = 0; i < rec->ops; i++) {
		struct op op = {.tid = rdr_be32(&in), .len = rdr_be32(&in), .client = rdr_u8(&in), .flags = rdr_u8(&in)};
		rdr_skip(&in, 2);
		op.data = rdr_take(&in, op.len);
		if (in.bad) {
			*ret_bad = "an operation leaves its record";
			return 0;
		}
		if (op.client != CLIENT_TRANSACTION && op.client != CLIENT_LOG) {
			*ret_bad = "an operation is of an unknown kind";
			return 0;
		}
		int r = operation(l, rec, &op, ret_bad, e);
		if (r < 0 || *ret_bad)
			return r;
	}
	return 0;
}
