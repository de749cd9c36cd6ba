/* image: a chain of disk image files as one blk.
 *
 * The caller opens the files and passes descriptors; names inside headers are handed out for
 * comparison and never opened here. Layers are opened one by one, because only a layer's header says
 * whether (and what) it is backed by; then they are joined.
 *
 *	image_layer_open(fd of the newest file) → info.backing_name → caller finds that file →
 *	image_layer_open(its fd) → … → no backing → image_chain_open(layers, newest first)
 *
 * Formats: QCOW2 versions 2 and 3 (QEMU, docs/interop/qcow2.txt) and raw. The foreign ones (VMDK, VHD, …) are recognised
 * here, and their headers looked at for what leads to other files; their bytes come through a blk of somebody else, given with
 * image_layer_set_source().
 *
 * Ownership: descriptors are borrowed and must outlive the layer or chain. image_chain_open takes the
 * layers over, whether it succeeds or not.
 * Threads: as blk.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/err.h"
#include "blk/blk.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	IMAGE_LAYERS_MAX = 1024,     /* of one chain */
	IMAGE_NAME_MAX = 1024,       /* bytes of a backing or data file name: 1023 by the format, and NUL */
	IMAGE_SEALED_LAYERS_MAX = 256, /* of a chain with an encrypted layer */
	IMAGE_EXTENTS_MAX = 512,     /* files a VMDK descriptor names */
	IMAGE_EXTENT_NAME_MAX = 256,
};

enum image_format {
	IMAGE_AUTO = 0,              /* by its magic; without one it is raw */
	IMAGE_RAW,
	IMAGE_QCOW2,
	/* foreign */
	IMAGE_VMDK,
	IMAGE_VHD,
	IMAGE_VHDX,
	IMAGE_VDI,
	IMAGE_QED,
	IMAGE_QCOW1,
};

const char *image_format_name(enum image_format f);              /* "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "qed", "qcow" */
/* False for a name that is none. */
bool image_format_parse(const char *name, enum image_format *ret);
bool image_format_is_foreign(enum image_format f);

/* A part of a disk that a VMDK descriptor lists, in the order of the disk. */
enum image_extent_kind { IMAGE_EXTENT_FLAT, IMAGE_EXTENT_SPARSE, IMAGE_EXTENT_VMFSSPARSE, IMAGE_EXTENT_SESPARSE };

struct image_extent {
	enum image_extent_kind kind;
	uint64_t sectors;                        /* of 512 bytes, > 0 */
	uint64_t first;                          /* FLAT: the sector of the file it begins at */
	char name[IMAGE_EXTENT_NAME_MAX];        /* of a file beside the descriptor: no '/', no control characters */
};

struct image_layer_info {
	enum image_format format;
	unsigned version;                        /* QCOW2: 2 or 3; raw: 0 */
	uint64_t virtual_size;                   /* bytes the guest sees */
	uint64_t file_size;                      /* bytes of the file itself */
	uint32_t cluster_size;                   /* bytes; 0 raw */
	const char *backing_name;                /* the layer's; "" for none; as in the header, shorter than IMAGE_NAME_MAX */
	enum image_format backing_format;        /* IMAGE_AUTO where the header does not say */
	bool has_data_file;                      /* guest clusters lie in an external raw file */
	const char *data_file_name;              /* likewise; "" where the header does not name it */
	bool encrypted;                          /* QCOW2: LUKS inside; somebody else decrypts it */
	bool dirty;                              /* refcounts may be stale: harmless for reading */
	bool extended_l2;
	bool compression_zstd;
	unsigned extent_count;                   /* of a VMDK descriptor; 0: the file itself holds the disk */
};

struct image_layer;

/* Whether a layer is encrypted: image_chain_open() will make a sealed blk. */
bool image_chain_sealed(struct image_layer *const *layers, unsigned count);

/* Bytes of an image file, where they need not be waited for; otherwise, or where the system cannot tell, false. */
bool image_file_cached(int fd, uint64_t off, void *to, size_t len);
/* They will be read: the system fetches them meanwhile. */
void image_file_announce(int fd, uint64_t off, uint64_t len);
/* These files' headers will be read one after the other: where the first is not in memory, all are fetched side by side. */
void image_announce(const int *fds, unsigned count);

/* Reads and validates the header. ERR_IMAGE_UNREADABLE (not an image, truncated), _CORRUPT,
 * _UNSUPPORTED (names the feature), _ENCRYPTED. */
int image_layer_open(int fd, enum image_format format, struct image_layer **ret, struct err *e);
const struct image_layer_info *image_layer_info(const struct image_layer *l);
/* The external data file a layer asked for; `fd` borrowed. */
int image_layer_set_data_file(struct image_layer *l, int fd, struct err *e);
/* NULL: there are not so many. */
const struct image_extent *image_layer_extent(const struct image_layer *l, unsigned index);
/* Where the bytes of a foreign layer come from; takes a reference. Gives the layer its virtual size. */
int image_layer_set_source(struct image_layer *l, struct blk *source, struct err *e);
void image_layer_close(struct image_layer *l);

/* Joins layers[0] (newest) … layers[count - 1] (oldest). ERR_IMAGE_LAYER_MISSING where the oldest layer
 * still names a backing file; ERR_INVALID where a layer in the middle names none. A foreign layer stands alone and has its
 * source. Of a chain with an encrypted layer the blk is sealed: it knows its size, and reads fail with ERR_VOLUME_LOCKED. */
int image_chain_open(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e);

/* What `source`, somebody else's reader, decrypts of a sealed chain, but for what the chain's tables say cannot be read: where clusters are
 * missing QEMU reads zeroes, or makes noise of them. Those reads fail as they do of other chains. Takes references. ERR_INVALID: not a
 * sealed chain, or sizes that differ. */
int image_chain_unseal(struct blk *chain, struct blk *source, struct blk **ret, struct err *e);

#endif
