#include "fs/xfs/xfs.h"

#include "base/search.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

enum {
	NODE_V4 = 0xFEBE, NODE_V5 = 0x3EBE,
	LEAF1_V4 = 0xD2F1, LEAF1_V5 = 0x3DF1,
	LEAFN_V4 = 0xD2FF, LEAFN_V5 = 0x3DFF,
	ATTR_V4 = 0xFBEE, ATTR_V5 = 0x3BEE,
	INFO_V4 = 12, INFO_V5 = 56,
	ENTRY = 8,
};

static int damaged(const struct xfs_map *m, uint64_t lblk, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "block %" PRIu64 " of the %s of inode %" PRIu64 " is damaged: %s", lblk,
	               m->fork == XFS_ATTR ? "attributes" : "directory", m->ino, what);
}

/* --- cache ---------------------------------------------------------------------------------------- */

static struct xfs_cached *slot_of(const struct xfs_map *m, uint64_t lblk)
{
	uint64_t h = (m->ino * 31 + lblk * 7 + (lblk >> 12)) * 0x9E3779B97F4A7C15u;
	return &m->x->cache[h >> 32 & (XFS_CACHE_SLOTS - 1)];
}

static bool holds(const struct xfs_cached *c, const struct xfs_map *m, uint64_t lblk, uint32_t len)
{
	return c->len == len && c->ino == m->ino && c->lblk == lblk && c->fork == m->fork;
}

/* Fills the slot; its content counts as verified only once the caller sets len. */
static int fill(struct xfs_cached *c, struct xfs_map *m, uint64_t lblk, uint32_t len, uint64_t *ret_off, struct err *e)
{
	c->len = 0;
	if (c->cap < len) {
		uint8_t *data = realloc(c->data, len);
		if (!data)
			return err_no_memory(e, module);
		c->data = data;
		c->cap = len;
	}
	c->ino = m->ino;
	c->lblk = lblk;
	c->fork = m->fork;
	return xfs_map_read(m, lblk, len >> m->x->sb.block_bits, c->data, ret_off, e);
}

static uint32_t block_len(const struct xfs_map *m)
{
	return m->fork == XFS_ATTR ? m->x->sb.block_size : m->x->sb.dir_size;
}

/* --- blocks of an index --------------------------------------------------------------------------- */

static bool kind_of(const struct xfs_map *m, const uint8_t *p, enum xfs_da_kind *ret)
{
	static const struct {
		uint16_t v4, v5;
		enum xfs_da_kind kind;
		bool attr, dir;
	} kinds[] = {
		{NODE_V4, NODE_V5, XFS_DA_NODE, true, true},
		{LEAF1_V4, LEAF1_V5, XFS_DA_LEAF1, false, true},
		{LEAFN_V4, LEAFN_V5, XFS_DA_LEAFN, false, true},
		{ATTR_V4, ATTR_V5, XFS_DA_ATTR, true, false},
	};
	uint16_t magic = get_be16(p + 8);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (magic != (m->x->sb.v5 ? kinds[i].v5 : kinds[i].v4) || !(m->fork == XFS_ATTR ? kinds[i].attr : kinds[i].dir))
			continue;
		*ret = kinds[i].kind;
		return true;
	}
	return false;
}

static int parse(const struct xfs_map *m, uint64_t lblk, const uint8_t *p, struct xfs_da *ret, struct err *e)
{
	bool v5 = m->x->sb.v5;
	size_t info = v5 ? INFO_V5 : INFO_V4, head = v5 ? 64 : 16;
	struct xfs_da d = {.forw = get_be32(p), .lblk = lblk, .block = p, .size = block_len(m)};
	if (!kind_of(m, p, &d.kind))
		return damaged(m, lblk, "it has no magic number", e);
	if (d.kind == XFS_DA_ATTR)
		head = v5 ? 80 : 32;
	d.count = get_be16(p + info);
	d.level = d.kind == XFS_DA_NODE ? get_be16(p + info + 2) : 0;
	d.entry = p + head;
	if (d.count > (d.size - head) / ENTRY)
		return damaged(m, lblk, "it is overfull", e);
	*ret = d;
	return 0;
}

int xfs_da_block(struct xfs_map *m, uint64_t lblk, struct xfs_da *ret, struct err *e)
{
	uint32_t len = block_len(m);
	struct xfs_cached *c = slot_of(m, lblk);
	if (!holds(c, m, lblk, len)) {
		uint64_t off = 0;
		int r = fill(c, m, lblk, len, &off, e);
		if (r < 0)
			return r;
		const char *bad = m->x->sb.v5 ? xfs_head_bad(m->x, &xfs_head_da, c->data, len, off, m->ino) : NULL;
		if (bad)
			return err_set(e, ERR_FILE_CORRUPT, module, "the %s in block %" PRIu64 " of inode %" PRIu64 " is wrong", bad, lblk,
			               m->ino);
		c->len = len;
	}
	return parse(m, lblk, c->data, ret, e);
}

int xfs_da_data(struct xfs_dir *d, uint64_t lblk, const uint8_t **ret, bool *ret_block_form, size_t *ret_end,
                struct err *e)
{
	uint32_t len = d->x->sb.dir_size;
	struct xfs_cached *c = slot_of(&d->map, lblk);
	if (!holds(c, &d->map, lblk, len)) {
		uint64_t off = 0;
		int r = fill(c, &d->map, lblk, len, &off, e);
		if (r == 0)
			r = xfs_data_open(d, c->data, lblk, off, ret_block_form, ret_end, e);
		if (r < 0)
			return r;
		c->len = len;
	} else {
		/* Verified: only what it says of itself is wanted again. */
		uint32_t count = get_be32(c->data + len - 8);
		*ret_block_form = get_be16(c->data + 2) == 0x3242 || get_be16(c->data + 2) == 0x4233;
		*ret_end = *ret_block_form ? len - 8 - (size_t)count * 8 : len;
	}
	*ret = c->data;
	return 0;
}

/* --- searching ------------------------------------------------------------------------------------ */

unsigned xfs_da_search(const uint8_t *entry, unsigned count, unsigned size, uint32_t hash)
{
	return PARTITION_POINT(i, count, get_be32(entry + (size_t)i * size) < hash);
}

int xfs_da_descend(struct xfs_map *m, uint64_t lblk, uint32_t hash, struct xfs_da *ret, struct err *e)
{
	int r = xfs_da_block(m, lblk, ret, e);
	unsigned level = XFS_DA_LEVELS + 1;
	while (r == 0 && ret->kind == XFS_DA_NODE) {
		if (ret->level == 0 || ret->level >= level || ret->count == 0)
			return damaged(m, lblk, "its level is impossible", e);
		level = ret->level;
		/* Each entry names the greatest hash below it; behind the last there is nothing. */
		unsigned i = xfs_da_search(ret->entry, ret->count, ENTRY, hash);
		if (i == ret->count)
			i--;
		lblk = get_be32(ret->entry + (size_t)i * ENTRY + 4);
		r = xfs_da_block(m, lblk, ret, e);
	}
	if (r == 0 && level != 1 && level != XFS_DA_LEVELS + 1)
		return damaged(m, lblk, "its level is impossible", e);
	return r;
}
