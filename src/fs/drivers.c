#include "fs/fs.h"

#include "fs/btrfs/driver.h"
#include "fs/ext/driver.h"
#include "fs/exfat/exfat.h"
#include "fs/fat/fat.h"
#include "fs/iso9660/iso9660.h"
#include "fs/ntfs/ntfs.h"
#include "fs/udf/udf.h"
#include "fs/xfs/driver.h"

/* The surest probe wins; among equals the first. FAT stands last: its boot sector has no magic of its own
 * and often survives beneath another filesystem. */
const struct fs_driver *const fs_drivers[] = {
	&ext_driver,
	&ntfs_driver,
	&xfs_driver,
	&btrfs_driver,
	&exfat_driver,
	/* A bridge disc is both: as libblkid and Linux, we take it for UDF. */
	&udf_driver,
	&iso9660_driver,
	&fat_driver,
	NULL,
};
