/* fault: a blk whose reads fail on demand, for tests that try every point of failure in turn. */
#ifndef BLK_FAULT_H
#define BLK_FAULT_H

#include "blk/blk.h"

/* Reads fail with ERR_IO from number `first` on (the first read is 1), `count` of them. first 0: none by
 * number. Independent of that, each read that touches [bad_off, bad_off + bad_len) fails. extent() passes. */
struct blk_fault_plan {
	uint64_t first, count;
	uint64_t bad_off, bad_len;
};

/* Takes its own reference on parent. The plan is copied. */
int blk_fault_open(struct blk *parent, const struct blk_fault_plan *plan, struct blk **ret, struct err *e);

/* Starts counting anew, with another plan. `b` must come from blk_fault_open. */
void blk_fault_reset(struct blk *b, const struct blk_fault_plan *plan);

#endif
