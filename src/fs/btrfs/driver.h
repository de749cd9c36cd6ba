#ifndef FS_BTRFS_DRIVER_H
#define FS_BTRFS_DRIVER_H

#include "fs/fs.h"

/* btrfs, read-only; what fsync left in the log tree is replayed in memory. */
extern const struct fs_driver btrfs_driver;

#endif
