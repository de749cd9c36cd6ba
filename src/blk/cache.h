/* cache: keeps the lines that small reads of another blk touch.
 *
 * File systems and volume maps read the same few metadata blocks again and again. Reads of
 * BLK_CACHE_BYPASS bytes or more go straight to the parent (file data is read once), and so do blk_read_once() and
 * extent(). There is no read-ahead.
 *
 * A line is BLK_CACHE_LINE bytes at a multiple of that; the last line of the device may be shorter. When a
 * line cannot be read, only the bytes that were asked for are tried: damage elsewhere in a line is not
 * the caller's. Memory: at most bytes_max, taken line by line as it is used.
 */
#ifndef BLK_CACHE_H
#define BLK_CACHE_H

#include "blk/blk.h"

enum {
	BLK_CACHE_LINE = 16 << 10,
	BLK_CACHE_BYPASS = 64 << 10,
	BLK_CACHE_LINES_MIN = 4,
	BLK_CACHE_LINES_MAX = 1 << 16,     /* 1 GiB */
};

/* Takes its own reference on parent. bytes_max is rounded to lines and kept between the two limits. */
int blk_cache_open(struct blk *parent, size_t bytes_max, struct blk **ret, struct err *e);

#endif
