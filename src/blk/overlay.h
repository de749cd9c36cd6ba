/* An in-memory copy-on-write layer over another blk: journal replay writes there.
 *
 * What is written is held in pages of BLK_OVERLAY_PAGE bytes. A page is either bytes of its own or, where a
 * range was redirected, the place in the parent that now stands there: replaying a journal of a gigabyte so
 * costs a few megabytes. The parent must not change.
 */
#ifndef BLK_OVERLAY_H
#define BLK_OVERLAY_H

#include "blk/blk.h"

enum {
	BLK_OVERLAY_PAGE = 4096,
	BLK_OVERLAY_PAGE_COST = 64,  /* bytes a page counts besides its data */
};

/* bytes_max: what the pages may take together; beyond it a write is ERR_LIMIT. Takes its own reference. */
int blk_overlay_open(struct blk *parent, uint64_t bytes_max, struct blk **ret, struct err *e);

/* b must be an overlay. The range must lie inside it (ERR_IO otherwise). A failed write may have been done
 * in part. */
int blk_overlay_write(struct blk *b, uint64_t off, const void *data, size_t len, struct err *e);

/* From now on [off, off + len) reads as the parent's bytes at `from` (not as what was written over them). */
int blk_overlay_redirect(struct blk *b, uint64_t off, uint64_t from, uint64_t len, struct err *e);

#endif
