#include "fs/btrfs/btrfs.h"

#include <lzo/lzo1x.h>

/* Total length, then segments, each behind its length and unpacking to a sector at most. A length never crosses the end
 * of a sector: what is left there is not used. Segments behind the last byte wanted do not count. */
bool btrfs_lzo_unpack(uint32_t sector, const uint8_t *from, size_t len, uint8_t *to, size_t to_len, size_t *ret_len)
{
	enum { LENGTH = 4 };
	size_t out = 0, total = len >= LENGTH ? get_le32(from) : 0;
	if (total < LENGTH || total > len)
		return false;
	for (size_t at = LENGTH; at < total && out < to_len;) {
		size_t left = sector - at % sector;
		if (left < LENGTH) {
			at += left;
			continue;
		}
		if (total - at < LENGTH || get_le32(from + at) > total - at - LENGTH)
			return false;
		size_t n = get_le32(from + at);
		lzo_uint got = min_size(sector, to_len - out);
		if (lzo1x_decompress_safe(from + at + LENGTH, n, to + out, &got, NULL) != LZO_E_OK)
			return false;
		at += LENGTH + n;
		out += got;
	}
	*ret_len = out;
	return true;
}
