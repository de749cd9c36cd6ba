/* lvm, md, ldm: discovery over disks made of the input, for targets of volume layers.
 *
 * Input: a byte with the number of disks (1 … 4), then for each its length (4 bytes, little-endian) and its non-zero
 * pieces, each as offset and length (4 bytes each); an offset of 0xffffffff ends the disk. Disks end at DISK_MAX.
 */
#include "volume_read.h"

#include <stdlib.h>
#include <string.h>

enum {
	DISKS_MAX = 4,
	DISK_MAX = 4 << 20,
	PIECE_END = -1,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct blk *make_disk(struct rdr *r, uint8_t **ret_bytes)
{
	struct err e = ERR_INIT;
	struct blk *b = NULL;
	size_t len = min_size(rdr_le32(r), DISK_MAX);
	uint8_t *bytes = calloc(1, len + 1);
	if (!bytes)
		abort();
	while (!r->bad) {
		uint32_t off = rdr_le32(r), n = rdr_le32(r);
		if (off == (uint32_t)PIECE_END || off > len)
			break;
		n = (uint32_t)min_size(n, min_size(len - off, rdr_left(r)));
		rdr_copy(r, bytes + off, n);
	}
	if (blk_mem_open(bytes, len, &b, &e) < 0)
		abort();
	*ret_bytes = bytes;
	return b;
}

static void discover(const uint8_t *data, size_t size)
{
	struct rdr r = rdr_init(data, size);
	unsigned count = rdr_u8(&r) % DISKS_MAX + 1;
	uint8_t *bytes[DISKS_MAX] = {0};
	struct blk *disks[DISKS_MAX];
	for (unsigned i = 0; i < count; i++)
		disks[i] = make_disk(&r, &bytes[i]);
	volume_read_all(disks, count);
	for (unsigned i = 0; i < count; i++) {
		blk_unref(disks[i]);
		free(bytes[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	discover(data, size);
	return 0;
}
