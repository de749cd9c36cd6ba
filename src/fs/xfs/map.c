#include "fs/xfs/pending.h"

#include "base/search.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

/* --- records -------------------------------------------------------------------------------------- */

/* 1 bit unwritten, 54 of logical block, 52 of filesystem block, 21 of length. */
struct rec {
	uint64_t lblk, fsb, len;
	bool unwritten;
};

static uint64_t rec_lblk(const uint8_t *p)
{
	return get_be64(p) >> 9 & (((uint64_t)1 << 54) - 1);
}

static struct rec rec_get(const uint8_t *p)
{
	uint64_t a = get_be64(p), b = get_be64(p + 8);
	return (struct rec){
		.lblk = rec_lblk(p),
		.fsb = (a & 0x1FF) << 43 | b >> 21,
		.len = b & 0x1FFFFF,
		.unwritten = a >> 63,
	};
}

static int damaged(const struct xfs_map *m, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the map of %s of inode %" PRIu64 " is damaged: %s",
	               m->fork == XFS_ATTR ? "the attributes" : "the blocks", m->ino, what);
}

/* In order and without overlap, or a search would miss some. */
static int check_order(const struct xfs_map *m, const uint8_t *recs, uint32_t count, uint64_t first, uint64_t end,
                       struct err *e)
{
	uint64_t last = first;
	for (uint32_t i = 0; i < count; i++) {
		struct rec r = rec_get(recs + (size_t)i * XFS_REC);
		if (r.len == 0 || r.lblk < last || r.lblk >= end)
			return damaged(m, "extents are out of order", e);
		last = r.lblk + r.len;
	}
	return 0;
}

static uint64_t start_of(const uint8_t *p, size_t size)
{
	return size == XFS_REC ? rec_lblk(p) : get_be64(p);
}

/* How many of `count` records (or keys) of `size` bytes start at or before lblk. */
static uint32_t count_before(const uint8_t *p, uint32_t count, size_t size, uint64_t lblk)
{
	return PARTITION_POINT(i, count, start_of(p + i * size, size) <= lblk);
}

/* Records that speak for all blocks up to `end`. */
static int find_run(struct xfs_map *m, const uint8_t *recs, uint32_t count, uint64_t end, uint64_t lblk, uint64_t max,
                    struct xfs_run *ret, struct err *e)
{
	uint32_t n = count_before(recs, count, XFS_REC, lblk);
	if (n > 0) {
		struct rec r = rec_get(recs + (size_t)(n - 1) * XFS_REC);
		uint64_t in = lblk - r.lblk;
		if (in < r.len) {
			if (!xfs_fsb_ok(&m->x->sb, r.fsb, r.len)) {
				m->bad_end = r.lblk + r.len;
				return damaged(m, "an extent cannot be its own", e);
			}
			*ret = (struct xfs_run){
				.len = min_u64(max, r.len - in), .fsb = r.fsb + in, .hole = r.unwritten, .unwritten = r.unwritten};
			return 0;
		}
	}
	if (n < count)
		end = rec_lblk(recs + (size_t)n * XFS_REC);
	*ret = (struct xfs_run){.len = min_u64(max, end - lblk), .hole = true};
	return 0;
}

/* --- B+trees -------------------------------------------------------------------------------------- */

enum {
	MAGIC_V4 = 0x424D4150,       /* "BMAP" */
	MAGIC_V5 = 0x424D4133,       /* "BMA3" */
	HEAD_V4 = 24,
	HEAD_V5 = 72,
	ROOT_HEAD = 4,               /* level, number of records */
	KEY = 8, PTR = 8,
};

static uint32_t head_size(const struct xfs_map *m)
{
	return m->x->sb.v5 ? HEAD_V5 : HEAD_V4;
}

static int load(struct xfs_map *m, uint64_t fsb, unsigned level, struct err *e)
{
	const struct xfs_super *sb = &m->x->sb;
	if (!xfs_fsb_ok(sb, fsb, 1))
		return damaged(m, "a block of its tree cannot be its own", e);
	int r = xfs_read_blocks(m->x, fsb, 1, m->leaf, e);
	if (r < 0)
		return r;
	if (get_be32(m->leaf) != (sb->v5 ? (uint32_t)MAGIC_V5 : (uint32_t)MAGIC_V4) || get_be16(m->leaf + 4) != level)
		return damaged(m, "a block of its tree is none", e);
	/* Owners are not held against the inode: exchanging the files' extents leaves them to a later pass. */
	const char *bad = sb->v5 ? xfs_head_bad(m->x, &xfs_head_bmbt, m->leaf, sb->block_size, xfs_fsb_off(sb, fsb), 0) : NULL;
	if (bad)
		return err_set(e, ERR_FILE_CORRUPT, module, "the map of inode %" PRIu64 " is damaged: wrong %s in block %" PRIu64,
		               m->ino, bad, fsb);
	if (get_be16(m->leaf + 6) > (sb->block_size - head_size(m)) / XFS_REC)
		return damaged(m, "a block of its tree is overfull", e);
	return 0;
}

/* From the root to the leaf that speaks for lblk. Keys and pointers lie apart, as many as there is room for. */
static int descend(struct xfs_map *m, uint64_t lblk, struct err *e)
{
	const uint8_t *node = m->root + ROOT_HEAD;
	unsigned level = get_be16(m->root);
	uint32_t count = get_be16(m->root + 2), room = (m->size - ROOT_HEAD) / (KEY + PTR);
	uint64_t first = 0, end = UINT64_MAX;
	if (level == 0 || level > XFS_BTREE_LEVELS)
		return damaged(m, "its tree has an impossible height", e);
	for (; level > 0; level--) {
		if (count == 0 || count > room)
			return damaged(m, "a node of its tree is empty or overfull", e);
		uint32_t n = count_before(node, count, KEY, lblk);
		uint32_t slot = n ? n - 1 : 0;
		/* Before the first key there is nothing, which its leaf tells as well. */
		first = n ? get_be64(node + (size_t)slot * KEY) : first;
		end = slot + 1 < count ? min_u64(end, get_be64(node + (size_t)(slot + 1) * KEY)) : end;
		m->bad_end = end > lblk ? end : lblk + 1;
		int r = load(m, get_be64(node + (size_t)room * KEY + (size_t)slot * PTR), level - 1, e);
		if (r < 0)
			return r;
		node = m->leaf + head_size(m);
		count = get_be16(m->leaf + 6);
		room = (m->x->sb.block_size - head_size(m)) / (KEY + PTR);
	}
	if (lblk >= end)
		return damaged(m, "the keys of its tree are out of order", e);
	int r = check_order(m, node, count, first, end, e);
	if (r < 0)
		return r;
	m->leaf_records = count;
	m->leaf_first = first;
	m->leaf_end = end;
	return 0;
}

static int tree_run(struct xfs_map *m, uint64_t lblk, uint64_t max, struct xfs_run *ret, struct err *e)
{
	if (!m->leaf) {
		m->leaf = malloc(m->x->sb.block_size);
		if (!m->leaf)
			return err_no_memory(e, module);
	}
	if (lblk < m->leaf_first || lblk >= m->leaf_end) {
		m->leaf_first = m->leaf_end = 0;
		int r = descend(m, lblk, e);
		if (r < 0) {
			m->leaf_first = m->leaf_end = 0;
			return r;
		}
	}
	return find_run(m, m->leaf + head_size(m), m->leaf_records, m->leaf_end, lblk, max, ret, e);
}

/* --- front ---------------------------------------------------------------------------------------- */

int xfs_map_init(struct xfs_map *m, struct xfs_fs *x, const struct xfs_inode *in, enum xfs_fork fork, struct err *e)
{
	m->x = x;
	m->ino = in->ino;
	m->fork = fork;
	m->leaf = NULL;
	m->leaf_first = m->leaf_end = 0;
	m->leaf_records = m->records = 0;
	uint32_t area = x->sb.inode_size - in->core, start = fork == XFS_ATTR ? in->forkoff : 0;
	m->size = fork == XFS_DATA && in->forkoff ? in->forkoff : area - start;
	m->format = fork == XFS_ATTR ? in->aformat : in->format;
	memcpy(m->root, in->raw + in->core + start, m->size);
	if (m->format == XFS_FMT_BTREE)
		return m->size >= ROOT_HEAD + KEY + PTR ? 0 : damaged(m, "there is no room for a tree", e);
	if (m->format == XFS_FMT_LOCAL)
		return fork == XFS_ATTR || in->size <= m->size ? 0 : damaged(m, "there is no room for so many bytes", e);
	if (m->format != XFS_FMT_EXTENTS)
		return damaged(m, "it has an unknown form", e);
	uint64_t n = fork == XFS_ATTR ? in->anextents : in->nextents;
	if (n > m->size / XFS_REC)
		return damaged(m, "there is no room for so many extents", e);
	m->records = (uint32_t)n;
	return check_order(m, m->root, m->records, 0, UINT64_MAX, e);
}

void xfs_map_fini(struct xfs_map *m)
{
	free(m->leaf);
	m->leaf = NULL;
}

int xfs_map_stored(struct xfs_map *m, uint64_t lblk, uint64_t max, struct xfs_run *ret, struct err *e)
{
	if (m->format == XFS_FMT_BTREE)
		return tree_run(m, lblk, max, ret, e);
	if (m->format == XFS_FMT_EXTENTS)
		return find_run(m, m->root, m->records, UINT64_MAX, lblk, max, ret, e);
	return damaged(m, "bytes inside the inode have no blocks", e);
}

int xfs_map_run(struct xfs_map *m, uint64_t lblk, uint64_t max, struct xfs_run *ret, struct err *e)
{
	m->bad_end = UINT64_MAX;
	int r = m->x->pending ? xfs_pending_run(m, lblk, &max, ret, e) : 0;
	return r == 0 ? xfs_map_stored(m, lblk, max, ret, e) : r < 0 ? r : 0;
}

int xfs_map_read(struct xfs_map *m, uint64_t lblk, uint64_t blocks, uint8_t *to, uint64_t *ret_off, struct err *e)
{
	const struct xfs_super *sb = &m->x->sb;
	for (uint64_t done = 0; done < blocks;) {
		struct xfs_run run;
		int r = xfs_map_run(m, lblk + done, blocks - done, &run, e);
		if (r < 0)
			return r;
		if (run.hole)
			return damaged(m, "there is a hole where metadata is needed", e);
		r = xfs_read_blocks(m->x, run.fsb, run.len, to + (done << sb->block_bits), e);
		if (r < 0)
			return r;
		if (done == 0)
			*ret_off = xfs_fsb_off(sb, run.fsb);
		done += run.len;
	}
	return 0;
}
