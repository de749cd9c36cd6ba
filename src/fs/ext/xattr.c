/* Extended attributes: entries in the inode behind its fields, in a block of their own, large values in inodes. */
#include "fs/ext/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const module = "ext";

enum {
	MAGIC = 0xEA020000,
	ENTRY = 16,                  /* bytes of an entry before its name */
	BLOCK_HEAD = 32,
	GOOD_OLD_SIZE = 128,
	INDEX_SYSTEM = 7,
	INDEX_ENCRYPTION = 9,
};

struct xattr {
	unsigned index;              /* of the name's prefix */
	const uint8_t *name;
	size_t name_len;
	uint32_t value_ino;          /* 0: the value lies at value_off */
	uint32_t value_off, value_len;
};

static int damaged(uint32_t ino, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the extended attributes of inode %" PRIu32 " are damaged: %s", ino, what);
}

/* The entry at *off of an area; 1: there, 0: the end. Values lie at `origin` + their offset inside the area. */
static int next_entry(uint32_t ino, const uint8_t *p, size_t size, size_t *off, size_t origin, struct xattr *ret,
                      struct err *e)
{
	if (!range_inside(*off, 4, size) || get_le32(p + *off) == 0)
		return 0;
	const uint8_t *d = p + *off;
	if (!range_inside(*off, ENTRY, size) || !range_inside(*off + ENTRY, d[0], size))
		return damaged(ino, "an entry leaves its area", e);
	struct xattr a = {
		.index = d[1],
		.name = d + ENTRY,
		.name_len = d[0],
		.value_off = get_le16(d + 2),
		.value_ino = get_le32(d + 4),
		.value_len = get_le32(d + 8),
	};
	if (a.value_ino == 0 && !range_inside(origin + a.value_off, a.value_len, size))
		return damaged(ino, "a value leaves its area", e);
	if (a.value_len > EXT_EA_SIZE_MAX)
		return damaged(ino, "a value is too large", e);
	a.value_off += (uint32_t)origin;
	*off += (ENTRY + a.name_len + 3) & ~(size_t)3;
	*ret = a;
	return 1;
}

/* Start of the attributes inside the inode, 0 for none. */
static size_t inside_start(const struct ext_fs *x, const struct ext_inode *in, const uint8_t *raw)
{
	size_t at = GOOD_OLD_SIZE + (size_t)in->extra_isize;
	if (x->sb.inode_size == GOOD_OLD_SIZE || in->extra_isize == 0 || !range_inside(at, 4, x->sb.inode_size))
		return 0;
	return get_le32(raw + at) == MAGIC ? at + 4 : 0;
}

int ext_xattr_data(const struct ext_fs *x, const struct ext_inode *in, const uint8_t *raw, const uint8_t **ret,
                   size_t *ret_len, struct err *e)
{
	size_t start = inside_start(x, in, raw), off = start;
	struct xattr a;
	int r = 0;
	while (start && (r = next_entry(in->ino, raw, x->sb.inode_size, &off, start, &a, e)) == 1)
		if (a.index == INDEX_SYSTEM && a.name_len == 4 && memcmp(a.name, "data", 4) == 0 && a.value_ino == 0) {
			*ret = raw + a.value_off;
			*ret_len = a.value_len;
			return 0;
		}
	return r;
}

/* --- values --------------------------------------------------------------------------------------- */

static const char *prefix(unsigned index)
{
	static const char *const names[] = {
		"", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "lustre.", "security.",
		"system.", "system.richacl", NULL, "gnu.",
	};
	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

static bool is_acl(unsigned index)
{
	return index == 2 || index == 3;
}

/* ext4 stores an entry without the id where there is none; getxattr(2) gives all of them 8 bytes. */
static int acl_convert(uint32_t ino, const uint8_t *p, size_t len, struct buf *to, struct err *e)
{
	enum { VERSION_DISK = 1, VERSION_XATTR = 2, USER = 2, GROUP = 8 };
	if (len < 4 || get_le32(p) != VERSION_DISK)
		return damaged(ino, "an access control list has an unknown version", e);
	uint8_t out[8];
	put_le32(out, VERSION_XATTR);
	buf_add(to, out, 4);
	for (size_t at = 4; at < len;) {
		if (!range_inside(at, 4, len))
			return damaged(ino, "an access control list is cut off", e);
		unsigned tag = get_le16(p + at);
		bool id = tag == USER || tag == GROUP;
		if (id && !range_inside(at, 8, len))
			return damaged(ino, "an access control list is cut off", e);
		memcpy(out, p + at, 4);
		put_le32(out + 4, id ? get_le32(p + at + 4) : UINT32_MAX);
		buf_add(to, out, sizeof(out));
		at += id ? 8 : 4;
	}
	return buf_ok(to, module, e);
}

static int read_value_inode(struct ext_fs *x, uint32_t owner, const struct xattr *a, struct buf *to, struct err *e)
{
	struct ext_inode in;
	int r = ext_inode_any(x, a->value_ino, &in, e);
	if (r < 0)
		return r;
	if (!(in.flags & EXT_FL_EA_INODE) || in.size != a->value_len || in.flags & EXT_FL_INLINE_DATA)
		return damaged(owner, "a value lies in an inode that is not made for it", e);
	void *p = buf_reserve(to, a->value_len + 1);
	if (!p)
		return buf_ok(to, module, e);
	struct ext_map m;
	ext_map_init(&m, x, &in);
	r = ext_map_read(&m, 0, p, a->value_len, e);
	ext_map_fini(&m);
	if (r == 0)
		buf_filled(to, a->value_len);
	return r;
}

/* --- listing -------------------------------------------------------------------------------------- */

struct lister {
	struct ext_fs *x;
	uint32_t ino;
	unsigned count;
	fs_xattr_fn *fn;
	void *arg;
	struct buf value, acl;
};

static int report(struct lister *l, const uint8_t *area, const struct xattr *a, struct err *e)
{
	char name[64 + 256];
	const char *pre = prefix(a->index);
	if (!pre || memchr(a->name, '\0', a->name_len))
		return 0;       /* INDEX_ENCRYPTION and what no system call would show */
	if (a->index == INDEX_SYSTEM && a->name_len == 4 && memcmp(a->name, "data", 4) == 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%s%.*s", pre, (int)a->name_len, (const char *)a->name);

	const uint8_t *value = area + a->value_off;
	size_t len = a->value_len;
	if (a->value_ino) {
		buf_reset(&l->value);
		int r = read_value_inode(l->x, l->ino, a, &l->value, e);
		if (r < 0)
			return r;
		value = l->value.data;
		len = l->value.len;
	}
	if (is_acl(a->index)) {
		buf_reset(&l->acl);
		int r = acl_convert(l->ino, value, len, &l->acl, e);
		if (r < 0)
			return r;
		value = l->acl.data;
		len = l->acl.len;
	}
	return l->fn(l->arg, name, value, len);
}

static int list_area(struct lister *l, const uint8_t *p, size_t size, size_t start, size_t origin, struct err *e)
{
	struct xattr a;
	int r;
	for (size_t off = start; (r = next_entry(l->ino, p, size, &off, origin, &a, e)) == 1;) {
		if (++l->count > FS_XATTRS_MAX)
			return damaged(l->ino, "there are too many", e);
		r = report(l, p, &a, e);
		if (r)
			return r;
	}
	return r;
}

static int check_block(const struct ext_fs *x, uint32_t ino, uint64_t blk, const uint8_t *p, struct err *e)
{
	static const uint8_t zero[4];
	if (get_le32(p) != MAGIC || get_le32(p + 8) != 1)
		return damaged(ino, "their block has no magic number", e);
	if (!ext_has_csum(x))
		return 0;
	uint8_t n[8];
	put_le64(n, blk);
	uint32_t crc = crc32c(x->sb.csum_seed, n, sizeof(n));
	crc = crc32c(crc, p, 0x10);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, p + 0x14, x->sb.block_size - 0x14);
	return ext_csum_equal(crc, get_le32(p + 0x10)) ? 0 : damaged(ino, "the checksum of their block is wrong", e);
}

static int list_block(struct lister *l, uint64_t blk, uint8_t *area, struct err *e)
{
	if (!ext_blocks_ok(l->x, blk, 1))
		return damaged(l->ino, "their block cannot be their own", e);
	int r = ext_read_blocks(l->x, blk, 1, area, e);
	if (r == 0)
		r = check_block(l->x, l->ino, blk, area, e);
	return r < 0 ? r : list_area(l, area, l->x->sb.block_size, BLOCK_HEAD, 0, e);
}

static int list(struct lister *l, const struct ext_inode *in, uint8_t *area, struct err *e)
{
	const uint8_t *raw = NULL;
	int r = ext_inode_raw(l->x, in->ino, &raw, e);
	if (r < 0)
		return r;
	/* A copy: what the callback does may push the inode out of its buffer. */
	memcpy(area, raw, l->x->sb.inode_size);
	size_t start = inside_start(l->x, in, area);
	if (start)
		r = list_area(l, area, l->x->sb.inode_size, start, start, e);
	if (r == 0 && in->file_acl)
		r = list_block(l, in->file_acl, area, e);
	return r;
}

int ext_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e)
{
	struct lister l = {
		.x = ext_of(fs),
		.ino = (uint32_t)id.ino,
		.fn = fn,
		.arg = arg,
		.value = BUF_INIT(EXT_EA_SIZE_MAX + 1),
		.acl = BUF_INIT(2 * EXT_EA_SIZE_MAX),
	};
	struct ext_inode in;
	int r = ext_inode_get(l.x, id.ino, &in, e);
	if (r < 0)
		return r;
	if (in.file_acl == 0 && in.extra_isize == 0)
		return 0;
	CLEANUP(free_ptr) uint8_t *area = malloc(l.x->sb.block_size);
	if (!area)
		return err_no_memory(e, module);
	r = list(&l, &in, area, e);
	buf_free(&l.value);
	buf_free(&l.acl);
	return r;
}
