/* The first two bytes say how much is expected to come out. */
#include "fs/btrfs/btrfs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t out_len = get_le16(data) + 1u, got = 0;
	uint8_t *out = malloc(out_len);
	if (out && btrfs_lzo_unpack(BTRFS_SECTOR_MIN, data + 2, size - 2, out, out_len, &got) && got > out_len)
		abort();
	free(out);
	return 0;
}
