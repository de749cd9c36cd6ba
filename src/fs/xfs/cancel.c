#include "fs/xfs/log.h"

#include <stdlib.h>

static const char *const module = "xfs";

/* Blocks freed in the log, with the number of times. An open-addressing table, at most half full; slots are not freed
 * but keep refs 0. */

static uint32_t slot_of(const struct xfs_log *l, uint64_t blkno, uint32_t len)
{
	uint64_t h = (blkno * 64 + len) * 0x9E3779B97F4A7C15u;
	return (uint32_t)(h >> 32) & (l->cancel_cap - 1);
}

/* The block's slot, or the empty one where it would be. */
static struct log_cancel *find(const struct xfs_log *l, uint64_t blkno, uint32_t len)
{
	uint32_t i = slot_of(l, blkno, len);
	while (l->cancel[i].len && (l->cancel[i].blkno != blkno || l->cancel[i].len != len))
		i = (i + 1) & (l->cancel_cap - 1);
	return &l->cancel[i];
}

static int grow(struct xfs_log *l, struct err *e)
{
	uint32_t cap = l->cancel_cap ? l->cancel_cap * 2 : 256, old_cap = l->cancel_cap;
	if (cap > LOG_CANCEL_MAX)
		return err_set(e, ERR_LIMIT, module, "it frees more than %d blocks", LOG_CANCEL_MAX / 2);
	struct log_cancel *old = l->cancel, *table = calloc(cap, sizeof(*table));
	if (!table)
		return err_no_memory(e, module);
	l->cancel = table;
	l->cancel_cap = cap;
	for (uint32_t i = 0; i < old_cap; i++)
		if (old[i].len)
			*find(l, old[i].blkno, old[i].len) = old[i];
	free(old);
	return 0;
}

int log_cancel_add(struct xfs_log *l, uint64_t blkno, uint32_t len, struct err *e)
{
	if (l->cancel_count >= l->cancel_cap / 2) {
		int r = grow(l, e);
		if (r < 0)
			return r;
	}
	struct log_cancel *c = find(l, blkno, len);
	if (c->len == 0) {
		*c = (struct log_cancel){.blkno = blkno, .len = len};
		l->cancel_count++;
	}
	c->refs++;
	return 0;
}

void log_cancel_put(struct xfs_log *l, uint64_t blkno, uint32_t len)
{
	if (l->cancel_cap == 0)
		return;
	struct log_cancel *c = find(l, blkno, len);
	if (c->len && c->refs > 0)
		c->refs--;
}

bool log_cancelled(const struct xfs_log *l, uint64_t blkno, uint32_t len)
{
	return l->cancel_cap && find(l, blkno, len)->refs > 0;
}
