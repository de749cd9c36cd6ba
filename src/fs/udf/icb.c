/* File entries and extended file entries (ECMA 4/14.9, 4/14.17), and the hierarchies they are in (4/14.6). */
#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	ENTRY_SIZE = 176,
	EXTENDED_SIZE = 216,
	STRATEGY_DIRECT = 4,
	STRATEGY_CHAIN = 4096,       /* write-once media: each entry may be followed by the address of a newer one */
	INDIRECT_SIZE = 52,
};

struct udf_addr udf_addr_of(struct fs_id id)
{
	return (struct udf_addr){.block = (uint32_t)id.ino, .part = (uint16_t)id.tree};
}

static void decode_plain(const uint8_t *p, struct udf_inode *n)
{
	n->blocks = get_le64(p + 64);
	n->atime = p + 72;
	n->mtime = p + 84;
	n->ctime = p + 96;
	n->attrs_off = ENTRY_SIZE;
	n->attrs_len = get_le32(p + 168);
	n->ads_len = get_le32(p + 172);
}

static void decode_extended(const uint8_t *p, struct udf_inode *n)
{
	n->extended = true;
	n->blocks = get_le64(p + 72);
	n->atime = p + 80;
	n->mtime = p + 92;
	n->btime = p + 104;
	n->ctime = p + 116;
	n->streams = udf_long_ad(p + 152);
	n->attrs_off = EXTENDED_SIZE;
	n->attrs_len = get_le32(p + 208);
	n->ads_len = get_le32(p + 212);
}

static int decode(struct udf *u, struct udf_inode *n, struct err *e)
{
	const uint8_t *p = n->block;
	uint16_t id = get_le16(p);
	if (id != UDF_TAG_FILE_ENTRY && id != UDF_TAG_EXTENDED_ENTRY)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "block %" PRIu32 " of partition %u is not a file's entry",
		               n->where.block, n->where.part);
	n->type = p[27];
	n->flags = get_le16(p + 34);
	n->uid = get_le32(p + 36);
	n->gid = get_le32(p + 40);
	n->permissions = get_le32(p + 44);
	n->links = get_le16(p + 48);
	n->size = get_le64(p + 56);
	if (id == UDF_TAG_FILE_ENTRY)
		decode_plain(p, n);
	else
		decode_extended(p, n);
	if (!range_inside(n->attrs_off, n->attrs_len, u->vol.block) ||
	    !range_inside(n->attrs_off + n->attrs_len, n->ads_len, u->vol.block) || n->size > INT64_MAX)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's entry in block %" PRIu32 " leaves its block",
		               n->where.block);
	n->ads_off = n->attrs_off + n->attrs_len;
	return 0;
}

/* Where the entry after this one is: 1 and *ret; 0: this is the newest. */
static int next_entry(struct udf *u, struct udf_addr at, uint8_t *buf, struct udf_addr *ret, struct err *e)
{
	if (at.block == UINT32_MAX)
		return 0;
	at.block++;
	struct err why = ERR_INIT;
	int r = udf_read_descriptor(u, at, UDF_TAG_INDIRECT, buf, NULL, &why);
	/* Nothing was recorded there. */
	if (r == ERR_FILE_CORRUPT)
		return 0;
	if (r < 0) {
		*e = why;
		return r;
	}
	struct udf_long_ad next = udf_long_ad(buf + INDIRECT_SIZE - 16);
	*ret = next.at;
	return next.len > 0;
}

/* Follows a chain to its newest entry: its block is in n->block then. */
static int follow(struct udf *u, struct udf_inode *n, struct err *e)
{
	CLEANUP(free_ptr) uint8_t *buf = malloc(u->vol.block);
	if (!buf)
		return err_no_memory(e, "udf");
	for (unsigned i = 0; i < UDF_STRATEGY_STEPS_MAX && get_le16(n->block + 20) == STRATEGY_CHAIN; i++) {
		struct udf_addr next;
		int r = next_entry(u, n->where, buf, &next, e);
		if (r <= 0)
			return r;
		r = udf_read_descriptor(u, next, -1, n->block, &n->dev_off, e);
		if (r < 0)
			return r;
		n->where = next;
	}
	if (get_le16(n->block + 20) == STRATEGY_DIRECT)
		return 0;
	return err_set(e, ERR_FILE_CORRUPT, "udf", "the chain of entries that begins in block %" PRIu32 " has no end",
	               n->at.block);
}

int udf_inode_get(struct udf *u, struct udf_addr at, struct udf_inode *ret, struct err *e)
{
	struct udf_inode n = {.at = at, .where = at, .block = malloc(u->vol.block)};
	if (!n.block)
		return err_no_memory(e, "udf");
	int r = udf_read_descriptor(u, at, -1, n.block, &n.dev_off, e);
	unsigned strategy = r < 0 ? 0 : get_le16(n.block + 20);
	if (r == 0 && strategy == STRATEGY_CHAIN)
		r = follow(u, &n, e);
	else if (r == 0 && strategy != STRATEGY_DIRECT)
		r = err_set(e, ERR_FILE_UNSUPPORTED, "udf", "block %" PRIu32 " uses the unknown strategy %u", at.block,
		            strategy);
	if (r == 0)
		r = decode(u, &n, e);
	if (r < 0) {
		free(n.block);
		return r;
	}
	*ret = n;
	return 0;
}

void udf_inode_put(struct udf_inode *n)
{
	free(n->block);
	n->block = NULL;
}

enum fs_type udf_inode_type(const struct udf_inode *n)
{
	switch (n->type) {
	case UDF_TYPE_DIRECTORY: return FS_DIRECTORY;
	case UDF_TYPE_UNSPECIFIED:
	case UDF_TYPE_FILE:
	case UDF_TYPE_REAL_TIME: return FS_FILE;
	case UDF_TYPE_BLOCK: return FS_BLOCK;
	case UDF_TYPE_CHAR: return FS_CHAR;
	case UDF_TYPE_FIFO: return FS_FIFO;
	case UDF_TYPE_SOCKET: return FS_SOCKET;
	case UDF_TYPE_SYMLINK: return FS_SYMLINK;
	default: return FS_UNKNOWN;
	}
}
