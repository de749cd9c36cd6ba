/* vmdk: the text descriptor of a VMDK disk: "VMware Virtual Disks, Virtual Disk Format 5.0", "The Layout of a Virtual Disk".
 *
 *	# Disk DescriptorFile
 *	parentCID=ffffffff
 *	RW 4192256 SPARSE "disk-s001.vmdk"
 *	RW 4192256 FLAT "disk-flat.vmdk" 0
 *
 * Only what leads to other files is taken from it. */
#ifndef IMAGE_VMDK_H
#define IMAGE_VMDK_H

#include "image/image.h"

enum {
	VMDK_DESCRIPTOR_MAX = 128 << 10,   /* bytes */
};
#define VMDK_SECTORS_MAX (UINT64_C(1) << 40)    /* of all extents: 512 TiB */

struct vmdk_descriptor {
	struct image_extent *extents;      /* owned */
	unsigned count;
	uint64_t sectors;                  /* of all extents */
	bool has_parent;
	char parent[IMAGE_NAME_MAX];       /* its name, as a hint; "" where there is none */
};

/* text need not end with a NUL; what follows the first NUL is padding. ERR_IMAGE_CORRUPT, _UNSUPPORTED (names the extent
 * type, the access mode, or what else cannot be read), _BACKING_REFUSED: an extent
 * outside the descriptor's own folder; ERR_LIMIT: more than IMAGE_EXTENTS_MAX. */
int vmdk_descriptor_parse(const char *text, size_t len, struct vmdk_descriptor *ret, struct err *e);
void vmdk_descriptor_free(struct vmdk_descriptor *d);

#endif
