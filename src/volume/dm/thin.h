/* thin: a thin volume of a dm-thin pool.
 *
 * The pool's metadata device holds a superblock and B-trees of 4 KiB blocks; a tree of trees leads from the device's
 * number and a block of the volume to a block of the data device:
 *
 *	superblock ─▶ devices (number → root) ─▶ blocks of the volume → block of the data device << 24 | time
 *
 * The trees are copy-on-write and the superblock is the last write of a transaction: after a crash the state is that of
 * the last commit. Nodes are checked (CRC-32C, their own place, sizes) and a few kept.
 *
 * Sources: kernel, drivers/md/dm-thin-metadata.c (struct thin_disk_superblock, disk_device_details), drivers/md/persistent-data/
 * dm-btree-internal.h (struct node_header), Documentation/admin-guide/device-mapper/thin-provisioning.rst.
 */
#ifndef VOLUME_DM_THIN_H
#define VOLUME_DM_THIN_H

#include "blk/blk.h"

enum {
	THIN_BLOCK = 4096,               /* of the metadata device */
	THIN_TREE_DEPTH_MAX = 12,        /* 126 children a node and 2^64 keys take 10 */
	THIN_NODES_KEPT = 64,
	THIN_DEVICE_MAX = (1 << 24) - 1,
};

/* Thin volume `device` of the pool, `size` bytes. Blocks never written read from `external` (NULL: as holes); an external
 * origin that is shorter is followed by zeroes. Takes its own references. ERR_VOLUME_CORRUPT, ERR_VOLUME_UNSUPPORTED;
 * a device the pool does not know is ERR_VOLUME_INCOMPLETE. */
int thin_open(struct blk *metadata, struct blk *data, struct blk *external, uint32_t device, uint64_t size,
              struct blk **ret, struct err *e);

#endif
