#include "fs/fs.h"

#include "fs/ext/driver.h"
#include "fs/fat/fat.h"
#include "fs/ntfs/ntfs.h"

/* The surest probe wins; among equals the first. */
const struct fs_driver *const fs_drivers[] = {
	&ext_driver,
	&fat_driver,
	&ntfs_driver,
	NULL,
};
