/* nbd: a blk whose bytes come over a connected socket by the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md), read with
 * libnbd.
 *
 * The other end is qemu-nbd reading a hostile image: what it says of the size and of holes may be wrong, it may stop talking at
 * any moment. Nothing waits longer than the patience for it; after a time-out or a broken connection every further call fails
 * at once.
 *
 * Threads: as blk. */
#ifndef NBD_NBD_H
#define NBD_NBD_H

#include "blk/blk.h"

enum {
	NBD_PATIENCE_MS = 20000,         /* below a client's own limit for an answer, so that there is a sentence to give it */
	NBD_PIECE = 1 << 20,             /* bytes of one request */
	NBD_IN_FLIGHT = 4,
	NBD_EXTENTS_MAX = 256,           /* kept of one answer about holes */
};

/* Shakes hands and takes the default export. `fd` is taken over, also on failure. ERR_IO. */
int nbd_blk_open(int fd, unsigned patience_ms, struct blk **ret, struct err *e);

/* What libnbd asks of the system at its first use it asks here, before a sandbox is entered. */
void nbd_warm_up(void);

/* Has a connection ended by itself, or gone silent, in this process? Then what could not be read is no fault of the image. Any thread. */
bool nbd_lost(void);

#endif
