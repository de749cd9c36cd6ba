/* Extended attributes: inline in the inode, or leaves in the blocks of the attribute fork. */
#include "fs/xfs/pending.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	LOCAL = 0x1,                 /* the value lies in the leaf */
	ROOT = 0x2,
	SECURE = 0x4,
	PARENT = 0x8,                /* a parent pointer of the filesystem */
	INCOMPLETE = 0x80,           /* being written when the VM stopped */
	LEAVES_MAX = 1 << 16,
};

struct lister {
	struct xfs_map map;
	unsigned count;
	fs_xattr_fn *fn;
	void *arg;
	struct buf value, acl;
	uint8_t *block;              /* a copy of the leaf: what the callback reads may push it out of the cache */
};

struct attr {
	uint8_t flags;
	const uint8_t *name;
	size_t name_len;
	const uint8_t *value;        /* NULL: remote */
	uint32_t value_len, value_blk;
};

static int damaged(const struct lister *l, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the attributes of inode %" PRIu64 " are damaged: %s", l->map.ino, what);
}

static const char *prefix(uint8_t flags)
{
	return flags & ROOT ? "trusted." : flags & SECURE ? "security." : "user.";
}

/* The name in the kernel's namespaces for an access control list, NULL for other attributes. */
static const char *acl_name(const struct attr *a)
{
	static const char file[] = "SGI_ACL_FILE", dflt[] = "SGI_ACL_DEFAULT";
	if (!(a->flags & ROOT))
		return NULL;
	if (a->name_len == sizeof(file) - 1 && memcmp(a->name, file, a->name_len) == 0)
		return "system.posix_acl_access";
	if (a->name_len == sizeof(dflt) - 1 && memcmp(a->name, dflt, a->name_len) == 0)
		return "system.posix_acl_default";
	return NULL;
}

static int show(struct lister *l, const struct attr *a, struct err *e)
{
	char name[32 + XFS_NAME_MAX];
	/* Not counted: a file of many names has a parent pointer for each. */
	if (a->flags & (PARENT | INCOMPLETE) || a->name_len == 0 || memchr(a->name, '\0', a->name_len))
		return 0;
	if (++l->count > FS_XATTRS_MAX)
		return damaged(l, "there are too many", e);
	const uint8_t *value = a->value;
	size_t len = a->value_len;
	if (!value) {
		buf_reset(&l->value);
		int r = xfs_value_remote(&l->map, a->value_blk, a->value_len, &l->value, e);
		if (r < 0)
			return r;
		value = l->value.data;
		len = l->value.len;
	}
	const char *acl = acl_name(a);
	if (acl) {
		buf_reset(&l->acl);
		int r = xfs_value_acl(l->map.ino, value, len, &l->acl, e);
		return r < 0 ? r : l->fn(l->arg, acl, l->acl.data, l->acl.len);
	}
	(void)snprintf(name, sizeof(name), "%s%.*s", prefix(a->flags), (int)a->name_len, (const char *)a->name);
	return l->fn(l->arg, name, value, len);
}

static int report(struct lister *l, const struct attr *a, struct err *e)
{
	return xfs_pending_name(l->map.x, l->map.ino, a->flags & (ROOT | SECURE), a->name, a->name_len) ? 0 : show(l, a, e);
}

/* What was to be set when the VM stopped. */
static int list_pending(struct lister *l, struct err *e)
{
	const struct xfs_pending *p = l->map.x->pending;
	int r = 0;
	for (uint32_t i = 0; p && i < p->attrs && r == 0; i++) {
		const struct xfs_attr_change *c = p->attr[i];
		struct attr a = {
			.flags = c->space,
			.name = c->bytes,
			.name_len = c->name_len,
			.value = c->bytes + c->name_len,
			.value_len = c->value_len,
		};
		if (c->sets && c->ino == l->map.ino && xfs_pending_name(l->map.x, c->ino, c->space, c->bytes, c->name_len) == c)
			r = show(l, &a, e);
	}
	return r;
}

/* Total size, number, padding; then name length, value length, flags, name, value. */
static int list_short(struct lister *l, struct err *e)
{
	const uint8_t *p = xfs_map_local(&l->map);
	enum { HEAD = 4, ENTRY = 3 };
	size_t size = l->map.size >= HEAD ? get_be16(p) : 0, at = HEAD;
	if (size < HEAD || size > l->map.size)
		return damaged(l, "their size is impossible", e);
	int r = 0;
	for (unsigned i = 0; i < p[2] && r == 0; i++) {
		if (!range_inside(at, ENTRY, size) || !range_inside(at + ENTRY, (size_t)p[at] + p[at + 1], size))
			return damaged(l, "one is cut off", e);
		struct attr a = {
			.flags = p[at + 2],
			.name = p + at + ENTRY,
			.name_len = p[at],
			.value = p + at + ENTRY + p[at],
			.value_len = p[at + 1],
		};
		at += ENTRY + a.name_len + a.value_len;
		r = report(l, &a, e);
	}
	return r;
}

static int leaf_attr(const struct lister *l, const struct xfs_da *leaf, unsigned i, struct attr *ret, struct err *e)
{
	enum { LOCAL_HEAD = 3, REMOTE_HEAD = 9 };
	const uint8_t *entry = leaf->entry + (size_t)i * 8, *p = leaf->block;
	size_t at = get_be16(entry + 4), first = (size_t)(leaf->entry - leaf->block) + (size_t)leaf->count * 8;
	struct attr a = {.flags = entry[6]};
	size_t head = a.flags & LOCAL ? LOCAL_HEAD : REMOTE_HEAD;
	if (at < first || !range_inside(at, head, leaf->size))
		return damaged(l, "one lies outside of its block", e);
	a.name = p + at + head;
	a.name_len = p[at + head - 1];
	a.value_len = a.flags & LOCAL ? get_be16(p + at) : get_be32(p + at + 4);
	if (a.flags & LOCAL)
		a.value = a.name + a.name_len;
	else
		a.value_blk = get_be32(p + at);
	if (!range_inside(at + head, a.name_len + (a.flags & LOCAL ? a.value_len : 0), leaf->size))
		return damaged(l, "one is cut off", e);
	*ret = a;
	return 0;
}

static int list_leaf(struct lister *l, const struct xfs_da *cached, struct err *e)
{
	struct xfs_da leaf = *cached;
	memcpy(l->block, cached->block, leaf.size);
	leaf.entry = l->block + (cached->entry - cached->block);
	leaf.block = l->block;
	int r = 0;
	for (unsigned i = 0; i < leaf.count && r == 0; i++) {
		struct attr a = {.value = NULL};
		r = leaf_attr(l, &leaf, i, &a, e);
		if (r == 0)
			r = report(l, &a, e);
	}
	return r;
}

static int list_leaves(struct lister *l, struct err *e)
{
	struct xfs_da leaf;
	int r = xfs_da_descend(&l->map, 0, 0, &leaf, e);
	for (unsigned n = 0; r == 0; n++) {
		uint32_t forw = leaf.forw;
		if (leaf.kind != XFS_DA_ATTR || n > LEAVES_MAX)
			return damaged(l, "their index is", e);
		r = list_leaf(l, &leaf, e);
		if (r || forw == 0)
			return r;
		r = xfs_da_block(&l->map, forw, &leaf, e);
	}
	return r;
}

static int list_fork(struct lister *l, const struct xfs_inode *in, struct err *e)
{
	if (in->forkoff == 0 || (in->aformat == XFS_FMT_EXTENTS && in->anextents == 0))
		return 0;
	int r = xfs_map_init(&l->map, l->map.x, in, XFS_ATTR, e);
	if (r < 0)
		return r;
	if (l->map.format == XFS_FMT_LOCAL)
		return list_short(l, e);
	l->block = malloc(l->map.x->sb.block_size);
	return l->block ? list_leaves(l, e) : err_no_memory(e, module);
}

int xfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e)
{
	struct xfs_inode in;
	int r = xfs_inode_get(xfs_of(fs), id.ino, &in, e);
	if (r < 0)
		return r;
	struct lister l = {
		.map = {.x = xfs_of(fs), .ino = in.ino},
		.fn = fn,
		.arg = arg,
		.value = BUF_INIT(XFS_VALUE_MAX + 1),
		.acl = BUF_INIT(2 * XFS_VALUE_MAX),
	};
	r = list_fork(&l, &in, e);
	if (r == 0)
		r = list_pending(&l, e);
	free(l.block);
	buf_free(&l.value);
	buf_free(&l.acl);
	xfs_map_fini(&l.map);
	return r;
}
