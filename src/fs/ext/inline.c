#include "fs/ext/ext.h"

#include <inttypes.h>

int ext_inline_read(struct ext_fs *x, const struct ext_inode *in, struct buf *ret, struct err *e)
{
	const uint8_t *raw = NULL, *more = NULL;
	size_t more_len = 0;
	int r = ext_inode_raw(x, in->ino, &raw, e);
	if (r < 0)
		return r;
	r = ext_xattr_data(x, in, raw, &more, &more_len, e);
	if (r < 0)
		return r;
	uint64_t want = min_u64(in->size, EXT_IBLOCK_SIZE + more_len);
	size_t head = (size_t)min_u64(want, EXT_IBLOCK_SIZE);
	buf_add(ret, in->i_block, head);
	if (want > head)
		buf_add(ret, more, (size_t)want - head);
	return buf_ok(ret, "ext", e);
}
