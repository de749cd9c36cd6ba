#ifndef FS_XFS_DRIVER_H
#define FS_XFS_DRIVER_H

#include "fs/fs.h"

/* XFS versions 4 and 5, read-only; a dirty log is replayed in memory. */
extern const struct fs_driver xfs_driver;

#endif
