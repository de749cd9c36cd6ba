/* layer: one file of a chain, inside src/image only. See image.h for the contract, chain.c for the picture. */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include "image/image.h"

#include <sys/types.h>

enum {
	QCOW2_CLUSTER_BITS_MIN = 9,
	QCOW2_CLUSTER_BITS_MAX = 21,
	QCOW2_SUBCLUSTERS = 32,            /* of a cluster, with extended L2 entries */
	QCOW2_L1_BYTES_MAX = 32 << 20,     /* the limit other readers have, too */
	HEADER_FIRST_READ = 1024,          /* nearly every header fits */
	ANNOUNCED_MAX = 128 << 10,         /* by one call: the kernel takes no more than its own window, of 128 KiB where nobody changed it */
	L1_WINDOW_BYTES = 16 << 10,        /* of an L1 table kept in memory: 1 TiB of guest at 64 KiB clusters */
};

/* Frees a name of image_layer_info and makes it "". */
void image_name_drop(const char **name);

struct image_layer {
	int fd;
	int data_fd;                  /* holds the guest clusters: fd, or the external file; -1 until that is set */
	uint64_t data_size;           /* bytes of the file data_fd */
	dev_t dev;                    /* which file this is, to find one that is in a chain twice */
	ino_t ino;
	struct image_layer_info info;
	struct image_extent *extents; /* of a VMDK descriptor; owned */
	struct blk *source;           /* of a foreign layer; NULL until it is given */

	/* QCOW2 */
	unsigned cluster_bits;
	unsigned l2_bits;             /* log2 of the entries of an L2 table */
	unsigned entry_size;          /* of an L2 entry: 8, or 16 with extended L2 */
	uint64_t l1_off;
	uint64_t l1_count;            /* entries that cover the virtual size; more may follow in the file */
	uint8_t *l1;                  /* a window of the table, L1_WINDOW_BYTES or less; NULL until used */
	uint64_t l1_first;            /* index of its first entry */
	uint64_t l1_have;             /* entries in it, 0 for none */

	struct image_layer *below;    /* in its chain; NULL for the oldest */
	uint64_t announced;           /* the offset announced last */
};

/* Reads exactly len bytes of a file that was long enough when it was opened. */
int layer_pread(int fd, uint64_t off, void *to, size_t len, struct err *e);

/* Size of what `fd` is: a regular file or a block device. */
int layer_file_size(int fd, uint64_t *ret, struct err *e);

/* Decodes and validates the header into l->info and the QCOW2 fields. */
int qcow2_header_read(struct image_layer *l, struct err *e);

/* What a file is that nobody said anything about. */
int foreign_detect(const struct image_layer *l, enum image_format *ret, struct err *e);
/* Looks at the header of a foreign layer, whose format is in l->info: that it is one, that it stands alone, is not encrypted, and
 * what other files it is made of. */
int foreign_header_read(struct image_layer *l, struct err *e);

#endif
