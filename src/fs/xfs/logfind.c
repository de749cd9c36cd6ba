#include "fs/xfs/log.h"

#include <stdlib.h>

static const char *const module = "xfs";

enum {
	WINDOW = LOG_TORN_MAX + 4 * (LOG_RECORD_MAX / XFS_BB + LOG_HEADERS_MAX),
	PIECE = 128,                 /* blocks read at once */
};

/* The last blocks before what looks like the head. Position i of the window is block first + i of the ring. One piece of it is
 * in memory: most of the window is looked at once, much of it never. */
struct window {
	struct xfs_log *l;
	uint8_t *piece;
	uint32_t piece_pos, piece_count;
	uint32_t first, count;       /* ring block, blocks */
	uint32_t end;                /* the head, as a position */
};

static uint32_t ring(const struct window *w, uint32_t pos)
{
	return (uint32_t)(((uint64_t)w->first + pos) % w->l->blocks);
}

/* NULL: it cannot be read. */
static const uint8_t *at(struct window *w, uint32_t pos, struct err *e)
{
	if (pos < w->piece_pos || pos - w->piece_pos >= w->piece_count) {
		uint32_t from = pos / PIECE * PIECE, n = w->count - from < PIECE ? w->count - from : PIECE;
		w->piece_count = 0;
		if (log_read(w->l, ring(w, from), n, w->piece, e) < 0)
			return NULL;
		w->piece_pos = from;
		w->piece_count = n;
	}
	return w->piece + (size_t)(pos - w->piece_pos) * XFS_BB;
}

/* --- roughly -------------------------------------------------------------------------------------- */

static int cycle_at(struct xfs_log *l, uint32_t blk, uint32_t *ret, struct err *e)
{
	uint8_t block[XFS_BB];
	int r = log_read(l, blk, 1, block, e);
	if (r == 0)
		*ret = log_cycle(block);
	return r;
}

/* The first block whose cycle is not that of block 0, which all blocks before it have, too. */
static int find_drop(struct xfs_log *l, uint32_t cycle, uint32_t *ret, struct err *e)
{
	uint32_t lo = 0, hi = l->blocks;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2, c = 0;
		int r = cycle_at(l, mid, &c, e);
		if (r < 0)
			return r;
		if (c == cycle)
			lo = mid;
		else
			hi = mid;
	}
	*ret = hi;
	return 0;
}

/* --- exactly -------------------------------------------------------------------------------------- */

/* Blocks arrive on the disk in any order: behind the first that is not of this round, nothing counts. */
static int cut_torn(struct window *w, uint32_t cycle, struct err *e)
{
	uint32_t from = w->count > LOG_TORN_MAX ? w->count - LOG_TORN_MAX : 0;
	for (uint32_t i = from; i < w->count; i++) {
		/* What lies before the ring's start was written a round earlier. */
		uint32_t want = w->first + i < w->l->blocks ? cycle - (w->first + w->count > w->l->blocks ? 1 : 0) : cycle;
		const uint8_t *block = at(w, i, e);
		if (!block)
			return e->code;
		if (log_cycle(block) != want) {
			w->end = i;
			w->l->torn = true;
			return 0;
		}
	}
	return 0;
}

/* The last record that ends at or before position end; *ret_pos its start. 0: none in the window, 1: this one. */
static int record_before(struct window *w, uint32_t end, uint32_t *ret_pos, struct log_record *ret, const char **ret_why,
                         struct err *e)
{
	for (uint32_t i = end; i-- > 0;) {
		const uint8_t *block = at(w, i, e);
		if (!block)
			return e->code;
		if (get_be32(block) != LOG_MAGIC)
			continue;
		const char *why = log_header(w->l, block, ring(w, i), ret);
		if (why) {
			*ret_why = why;
			continue;
		}
		*ret_pos = i;
		return 1;
	}
	return 0;
}

/* Goes back over the last records, then forwards again: the first that is not whole ends the log. */
static int settle(struct window *w, struct log_record *ret, const char **ret_why, struct err *e)
{
	for (;;) {
		uint32_t pos[LOG_CHECKED], end = w->end;
		struct log_record rec[LOG_CHECKED];
		int n = 0, found = 1;
		while (n < LOG_CHECKED && (found = record_before(w, end, &pos[n], &rec[n], ret_why, e)) == 1) {
			if (n == 0 && pos[0] + rec[0].blocks > w->end) {
				/* Cut off by the head: it is none. */
				w->end = end = pos[0];
				w->l->torn = true;
				continue;
			}
			end = pos[n++];
		}
		if (found < 0 || n == 0)
			return found < 0 ? found : 0;
		int good = n;
		for (; good > 0; good--) {
			const char *bad;
			int r = log_record(w->l, rec[good - 1].blk, &rec[good - 1], &bad, e);
			if (r < 0)
				return r;
			if (bad)
				break;
		}
		if (good < n) {
			/* Slot `good` is the last whole one before it. */
			if (good > 0)
				w->l->torn = true;
			*ret = rec[good];
			return 1;
		}
		w->l->torn = true;
		w->end = pos[n - 1];
	}
}

static int find_last(struct window *w, uint32_t head, uint32_t cycle, struct log_record *ret, const char **ret_why,
                     struct err *e)
{
	struct xfs_log *l = w->l;
	w->count = l->blocks < WINDOW ? l->blocks : WINDOW;
	w->first = (uint32_t)(((uint64_t)head + l->blocks - w->count) % l->blocks);
	w->end = w->count;
	w->piece = malloc(PIECE * XFS_BB);
	if (!w->piece)
		return err_no_memory(e, module);
	int r = cut_torn(w, cycle, e);
	return r < 0 ? r : settle(w, ret, ret_why, e);
}

static bool is_unmount(const struct log_record *rec)
{
	enum { OP_UNMOUNT = 0x20 };
	return rec->ops == 1 && rec->len >= 12 && rec->data[9] & OP_UNMOUNT;
}

int log_find(struct xfs_log *l, struct log_record *ret, const char **ret_why, struct err *e)
{
	uint32_t cycle = 0, head;
	int r = cycle_at(l, 0, &cycle, e);
	if (r < 0 || cycle == 0)
		return r;       /* never written */
	r = find_drop(l, cycle, &head, e);
	if (r < 0)
		return r;
	struct window w = {.l = l};
	*ret_why = "there is no record in it";
	r = find_last(&w, head, cycle, ret, ret_why, e);
	free(w.piece);
	if (r <= 0)
		return r;
	*ret_why = NULL;
	/* The data is needed once more: settle() may have read another one last. */
	const char *bad = NULL;
	r = log_record(l, ret->blk, ret, &bad, e);
	return r < 0 ? r : !is_unmount(ret);
}
