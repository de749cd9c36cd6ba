#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	MAGIC = 0x5841524D,          /* "XARM" */
	HEAD = 56,                   /* of each block of a remote value, version 5 */
};

static int damaged(uint64_t ino, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "an attribute of inode %" PRIu64 " is damaged: %s", ino, what);
}

static int check_head(const struct xfs_map *m, const uint8_t *p, uint64_t dev_off, uint32_t done, struct err *e)
{
	uint32_t room = m->x->sb.block_size - HEAD;
	if (get_be32(p) != MAGIC)
		return damaged(m->ino, "a block of its value has no magic number", e);
	const char *bad = xfs_head_bad(m->x, &xfs_head_remote, p, m->x->sb.block_size, dev_off, m->ino);
	if (bad)
		return err_set(e, ERR_FILE_CORRUPT, module, "an attribute of inode %" PRIu64 " is damaged: wrong %s of its value",
		               m->ino, bad);
	if (get_be32(p + 4) != done || get_be32(p + 8) > room || get_be32(p + 8) == 0)
		return damaged(m->ino, "a block of its value holds another piece", e);
	return 0;
}

static int read_value(struct xfs_map *m, uint32_t lblk, uint32_t len, uint8_t *block, struct buf *to, struct err *e)
{
	const struct xfs_super *sb = &m->x->sb;
	uint32_t head = sb->v5 ? HEAD : 0;
	for (uint32_t done = 0; done < len; lblk++) {
		uint64_t off;
		int r = xfs_map_read(m, lblk, 1, block, &off, e);
		if (r == 0 && sb->v5)
			r = check_head(m, block, off, done, e);
		if (r < 0)
			return r;
		uint32_t n = sb->v5 ? get_be32(block + 8) : sb->block_size;
		n = n < len - done ? n : len - done;
		buf_add(to, block + head, n);
		done += n;
	}
	return buf_ok(to, module, e);
}

int xfs_value_remote(struct xfs_map *m, uint32_t lblk, uint32_t len, struct buf *to, struct err *e)
{
	if (len > XFS_VALUE_MAX)
		return damaged(m->ino, "its value is too large", e);
	uint8_t *block = malloc(m->x->sb.block_size);
	if (!block)
		return err_no_memory(e, module);
	int r = read_value(m, lblk, len, block, to, e);
	free(block);
	return r;
}

int xfs_value_acl(uint64_t ino, const uint8_t *p, size_t len, struct buf *to, struct err *e)
{
	enum { VERSION = 2, ENTRY = 12, USER = 2, GROUP = 8 };
	if (len < 4 || get_be32(p) > (len - 4) / ENTRY)
		return damaged(ino, "an access control list is cut off", e);
	uint8_t out[8];
	put_le32(out, VERSION);
	buf_add(to, out, 4);
	for (uint32_t i = 0, n = get_be32(p); i < n; i++) {
		const uint8_t *a = p + 4 + (size_t)i * ENTRY;
		uint32_t tag = get_be32(a);
		put_le16(out, (uint16_t)tag);
		put_le16(out + 2, get_be16(a + 8));
		put_le32(out + 4, tag == USER || tag == GROUP ? get_be32(a + 4) : UINT32_MAX);
		buf_add(to, out, sizeof(out));
	}
	return buf_ok(to, module, e);
}
