/* cow: a snapshot of dm-snapshot, with its persistent exception store.
 *
 * The store is made of chunks: a header, then in turn a chunk of exceptions and the chunks of data they speak of. An
 * exception says that a chunk of the origin is to be read from a chunk of the store. The first exception without a place
 * ends the list.
 *
 * Sources: kernel, drivers/md/dm-snap-persistent.c (struct disk_header, disk_exception),
 * Documentation/admin-guide/device-mapper/snapshot.rst.
 */
#ifndef VOLUME_DM_COW_H
#define VOLUME_DM_COW_H

#include "blk/blk.h"

enum { COW_EXCEPTIONS_MAX = 1 << 22 };     /* 64 MiB of memory; 16 GiB in chunks of 4 KiB */

/* `origin` as seen through the store, `size` bytes (what lies behind the origin reads as zeroes). Takes its own
 * references. An overflowed snapshot is ERR_VOLUME_CORRUPT. */
int cow_open(struct blk *origin, struct blk *store, uint64_t size, struct blk **ret, struct err *e);

#endif
