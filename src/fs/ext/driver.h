/* The ext2/3/4 driver, for src/fs/drivers.c. */
#ifndef FS_EXT_DRIVER_H
#define FS_EXT_DRIVER_H

#include "fs/fs.h"

extern const struct fs_driver ext_driver;

#endif
