/* trace: counts what passes through to another blk, for tests and diagnosis. */
#ifndef BLK_TRACE_H
#define BLK_TRACE_H

#include "blk/blk.h"

struct blk_trace_counts {
	uint64_t reads;
	uint64_t bytes;        /* asked for */
	uint64_t failed;       /* reads that failed */
	uint64_t extents;
};

/* Takes its own reference on parent. */
int blk_trace_open(struct blk *parent, struct blk **ret, struct err *e);

/* What came by since the open or the last reset; `b` must come from blk_trace_open. */
struct blk_trace_counts blk_trace_get(const struct blk *b);
void blk_trace_reset(struct blk *b);

#endif
