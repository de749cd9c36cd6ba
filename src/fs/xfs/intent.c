#include "fs/xfs/log.h"

#include <stdlib.h>

static const char *const module = "xfs";

/* A change too large for one transaction is announced with an item of its own, and what was done of it noted with
 * another. Announced changes of free space do not matter here. */
enum type {
	BUI = 0x1244, BUD = 0x1245,          /* a file's map */
	ATTRI = 0x1246, ATTRD = 0x1247,      /* an attribute */
	XMI = 0x1248, XMD = 0x1249,          /* exchange of two files' extents */
};

enum {
	HEAD = 16,                           /* type, regions, count, id */
	EXTENT = 32,
	MAP = 1, UNMAP = 2,
	EXCHANGE = 88,               /* bytes of it */
	ATTRIBUTE = 40,
	SPACES = 0x2 | 0x4,          /* root, secure */
	ATTRIBUTES = 0x1, SET_SIZES = 0x2, WRITTEN_ONLY = 0x4,
};

static const uint32_t attr_fork = 1u << 31, unwritten = 1u << 30, realtime = 1u << 29;

bool log_intent_known(uint16_t type)
{
	return type >= BUI && type <= XMD;
}

static int add(struct xfs_log *l, const struct log_intent *in, struct err *e)
{
	if (l->intents == l->intent_cap) {
		uint32_t cap = l->intent_cap ? l->intent_cap * 2 : 64;
		if (cap > LOG_INTENTS_MAX)
			return err_set(e, ERR_LIMIT, module, "more than %d changes are announced in it", LOG_INTENTS_MAX);
		struct log_intent *list = realloc(l->intent, cap * sizeof(*list));
		if (!list)
			return err_no_memory(e, module);
		l->intent = list;
		l->intent_cap = cap;
	}
	l->intent[l->intents++] = *in;
	return 0;
}

static void drop_attr(struct xfs_log *l, struct log_intent *in)
{
	l->attrs -= in->attr ? 1 : 0;
	free(in->attr);
}

/* Done: forgotten, all its extents. Their order stays. */
static void drop(struct xfs_log *l, uint64_t id, uint16_t type)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < l->intents; i++)
		if (l->intent[i].id != id || l->intent[i].type != type)
			l->intent[kept++] = l->intent[i];
		else
			drop_attr(l, &l->intent[i]);
	l->intents = kept;
}

static int add_map(struct xfs_log *l, const uint8_t *p, uint32_t len, struct err *e)
{
	uint32_t n = get_le32(p + 4);
	if (n > (len - HEAD) / EXTENT)
		return log_bad_item(l, "an announced change of a file's map is damaged");
	int r = 0;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		const uint8_t *x = p + HEAD + (size_t)i * EXTENT;
		uint32_t flags = get_le32(x + 28);
		struct log_intent in = {
			.id = get_le64(p + 8),
			.ino = get_le64(x),
			.type = BUI,
			.patch = {
				.ino = get_le64(x),
				.fork = flags & attr_fork ? XFS_ATTR : XFS_DATA,
				.lblk = get_le64(x + 16),
				.len = get_le32(x + 24),
				.fsb = get_le64(x + 8),
				.hole = (flags & 0xFF) == UNMAP,
				.unwritten = flags & unwritten,
			},
		};
		if ((flags & 0xFF) != MAP && (flags & 0xFF) != UNMAP)
			return log_bad_item(l, "an announced change of a file's map is of an unknown kind");
		if (!(flags & realtime))
			r = add(l, &in, e);
	}
	return r;
}

static int add_exchange(struct xfs_log *l, const uint8_t *p, uint32_t len, struct err *e)
{
	static const uint64_t end = (uint64_t)1 << 54;
	if (len < EXCHANGE)
		return log_bad_item(l, "an announced exchange of extents is damaged");
	uint64_t flags = get_le64(p + 64);
	struct log_intent in = {
		.id = get_le64(p + 8),
		.ino = get_le64(p + 16),
		.type = XMI,
		.exchange = {
			.ino = {get_le64(p + 16), get_le64(p + 24)},
			.gen = {get_le32(p + 32), get_le32(p + 36)},
			.lblk = {get_le64(p + 40), get_le64(p + 48)},
			.len = get_le64(p + 56),
			.size = {get_le64(p + 72), get_le64(p + 80)},
			.fork = flags & ATTRIBUTES ? XFS_ATTR : XFS_DATA,
			.set_sizes = flags & SET_SIZES,
			.written_only = flags & WRITTEN_ONLY,
		},
	};
	const struct xfs_exchange *ex = &in.exchange;
	if (ex->lblk[0] >= end || ex->lblk[1] >= end || ex->len > end)
		return log_bad_item(l, "an announced exchange of extents is damaged");
	return add(l, &in, e);
}

enum attr_op {
	OP_SET = 1,
	OP_REMOVE = 2,
	OP_REPLACE = 3,
	OP_PARENT = 4,               /* parent pointers, of three kinds, are not shown */
	OP_PARENT_LAST = 6,
};

/* The name and the value are regions of their own. */
static int add_attr(struct xfs_log *l, const struct log_item *it, const uint8_t *p, uint32_t len, struct err *e)
{
	static const char bad[] = "an announced change of an attribute is damaged";
	if (len < ATTRIBUTE)
		return log_bad_item(l, bad);
	uint8_t op = p[24];
	uint32_t name_len = get_le32(p + 28), value_len = get_le32(p + 32), has;
	if (op >= OP_PARENT && op <= OP_PARENT_LAST)
		return 0;
	if (op == OP_REMOVE)
		value_len = 0;
	if (op < OP_SET || op > OP_REPLACE || name_len == 0 || name_len > XFS_NAME_MAX || value_len > XFS_VALUE_MAX)
		return log_bad_item(l, bad);
	const uint8_t *name = log_item_region(it, 1, name_len, &has);
	const uint8_t *value = value_len ? log_item_region(it, 2, value_len, &has) : name;
	if (!name || !value)
		return log_bad_item(l, bad);
	if (l->attrs == LOG_ATTRS_MAX)
		return err_set(e, ERR_LIMIT, module, "more than %d changes of attributes are announced in it", LOG_ATTRS_MAX);
	struct xfs_attr_change *c = malloc(sizeof(*c) + name_len + value_len);
	if (!c)
		return err_no_memory(e, module);
	*c = (struct xfs_attr_change){
		.ino = get_le64(p + 16),
		.space = get_le32(p + 36) & SPACES,
		.sets = op != OP_REMOVE,
		.name_len = (uint8_t)name_len,
		.value_len = value_len,
	};
	memcpy(c->bytes, name, name_len);
	memcpy(c->bytes + name_len, value, value_len);
	struct log_intent in = {.id = get_le64(p + 8), .type = ATTRI, .ino = c->ino, .attr = c};
	int r = add(l, &in, e);
	if (r < 0)
		free(c);
	else
		l->attrs++;
	return r;
}

int log_intent(struct xfs_log *l, uint16_t type, const struct log_item *it, struct err *e)
{
	uint32_t len;
	const uint8_t *p = log_item_region(it, 0, HEAD, &len);
	if (!p)
		return log_bad_item(l, "an announced change is damaged");
	uint64_t id = get_le64(p + 8);
	switch (type) {
	case BUI: return add_map(l, p, len, e);
	case ATTRI: return add_attr(l, it, p, len, e);
	case XMI: return add_exchange(l, p, len, e);
	default: drop(l, id, (uint16_t)(type - 1)); return 0;
	}
}

/* --- what is left --------------------------------------------------------------------------------- */

int log_intents_finish(struct xfs_log *l, struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; i < l->intents && r == 0; i++) {
		struct log_intent *in = &l->intent[i];
		struct xfs_attr_change *attr = in->attr;
		in->attr = NULL;
		r = in->type == BUI   ? xfs_pending_patch(l->x, &in->patch, e)
		    : in->type == XMI ? xfs_pending_exchange(l->x, &in->exchange, e)
		                      : xfs_pending_attr(l->x, attr, e);
	}
	return r;
}

void log_intents_free(struct xfs_log *l)
{
	for (uint32_t i = 0; i < l->intents; i++)
		free(l->intent[i].attr);
	free(l->intent);
}
