#include "fs/xfs/log.h"

#include <inttypes.h>
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

/* Done: forgotten, all its extents. Their order stays. */
static void drop(struct xfs_log *l, uint64_t id, uint16_t type)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < l->intents; i++)
		if (l->intent[i].id != id || l->intent[i].type != type)
			l->intent[kept++] = l->intent[i];
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

int log_intent(struct xfs_log *l, uint16_t type, const struct log_item *it, struct err *e)
{
	enum { INODE_AT = 16 };
	uint32_t len;
	const uint8_t *p = log_item_region(it, 0, HEAD, &len);
	if (!p)
		return log_bad_item(l, "an announced change is damaged");
	uint64_t id = get_le64(p + 8);
	if (type == BUI)
		return add_map(l, p, len, e);
	if (type == BUD || type == ATTRD || type == XMD) {
		drop(l, id, (uint16_t)(type - 1));
		return 0;
	}
	struct log_intent in = {.id = id, .type = type, .ino = len >= INODE_AT + 8 ? get_le64(p + INODE_AT) : 0};
	return add(l, &in, e);
}

/* --- what is left --------------------------------------------------------------------------------- */

static int add_patch(struct xfs_fs *x, const struct xfs_patch *patch, struct err *e)
{
	if (x->patches == LOG_PATCHES_MAX)
		return err_set(e, ERR_LIMIT, module, "more than %d changes of maps were not carried out", LOG_PATCHES_MAX);
	if (!x->patch) {
		x->patch = calloc(LOG_PATCHES_MAX, sizeof(*x->patch));
		if (!x->patch)
			return err_no_memory(e, module);
	}
	x->patch[x->patches++] = *patch;
	return 0;
}

int log_intents_finish(struct xfs_log *l, struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; i < l->intents && r == 0; i++) {
		const struct log_intent *in = &l->intent[i];
		if (in->type == BUI)
			r = add_patch(l->x, &in->patch, e);
		else
			fs_warn(&l->x->fs, "%s of inode %" PRIu64 " was begun in the VM and is not finished here",
			        in->type == ATTRI ? "a change of an attribute" : "an exchange of extents", in->ino);
	}
	return r;
}
