#include "fs/fs.h"

#include "fs/ntfs/ntfs.h"

/* The surest probe wins; among equals the first. */
const struct fs_driver *const fs_drivers[] = {
	&ntfs_driver,
	NULL,
};
