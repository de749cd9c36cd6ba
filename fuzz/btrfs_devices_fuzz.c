/* A btrfs on several devices: byte 0 is their number, then for each le32 its length; then the images, each as pieces.h takes it. */
#include "fs_fuzz.h"

#include "base/bytes.h"
#include "pieces.h"

enum { DEVICES_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blk *blks[DEVICES_MAX] = {0};
	unsigned count = size ? data[0] : 0, opened = 0;
	size_t head = 1 + 4 * (size_t)count, at = head;
	if (count == 0 || count > DEVICES_MAX || head > size)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		size_t len = min_size(get_le32(data + 1 + 4 * i), size - at);
		blks[opened] = pieces_open(data + at, len);
		opened += blks[opened] != NULL;
		at += len;
	}
	if (opened > 0)
		fs_fuzz_devices(blks[0], blks + 1, opened - 1);
	for (unsigned i = 0; i < opened; i++)
		blk_unref(blks[i]);
	return 0;
}
