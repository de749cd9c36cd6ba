/* map: a device put together from ranges of others, one behind the other: logical volumes, linear arrays.
 *
 * Finding a place is a binary search; reads and extents go straight to the part they fall into. Neighbours in one
 * device are merged.
 */
#ifndef BLK_MAP_H
#define BLK_MAP_H

#include "blk/blk.h"

enum { BLK_MAP_PARTS_MAX = 1 << 20 };

struct blk_map_part {
	struct blk *blk;      /* NULL: reads as zeroes */
	uint64_t off;         /* in blk */
	uint64_t len;         /* > 0 */
};

/* Takes its own references. A part outside its blk, or without length, is ERR_VOLUME_CORRUPT; so is a sum past 2^63. */
int blk_map_open(const struct blk_map_part *parts, size_t count, struct blk **ret, struct err *e);

#endif
