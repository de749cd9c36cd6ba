/* Extent trees: a node is a header of 12 bytes and entries of 12 bytes, in i_block or in a block of its own. */
#include "fs/ext/ext.h"

#include "base/search.h"

#include <inttypes.h>

static const char *const module = "ext";

enum {
	ENTRY = 12,
	MAGIC = 0xF30A,
	INIT_MAX = 32768,            /* longer ones are unwritten */
};

static const uint64_t lblk_end = (uint64_t)1 << 32;

static const uint8_t *entry(const uint8_t *node, unsigned i)
{
	return node + ENTRY + (size_t)i * ENTRY;
}

static uint32_t entry_first(const uint8_t *node, unsigned i)
{
	return get_le32(entry(node, i));
}

static uint32_t leaf_len(const uint8_t *p)
{
	uint32_t n = get_le16(p + 4);
	return n > INIT_MAX ? n - INIT_MAX : n;
}

static bool leaf_unwritten(const uint8_t *p)
{
	return get_le16(p + 4) > INIT_MAX;
}

static uint64_t leaf_start(const uint8_t *p)
{
	return get_le32(p + 8) | (uint64_t)get_le16(p + 6) << 32;
}

static uint64_t index_child(const uint8_t *p)
{
	return get_le32(p + 4) | (uint64_t)get_le16(p + 8) << 32;
}

static int bad_node(const struct ext_map *m, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the extent tree of inode %" PRIu32 " is damaged: %s", m->ino, what);
}

/* A node of `size` bytes, `depth` levels above the leaves, which speaks for [first, end): header, checksum, and
 * entries in ascending order that do not overlap. */
static int check_node(const struct ext_map *m, const uint8_t *p, size_t size, unsigned depth, uint64_t first,
                      uint64_t end, struct err *e)
{
	unsigned count = get_le16(p + 2), max = get_le16(p + 4);
	if (get_le16(p) != MAGIC)
		return bad_node(m, "a node has no magic number", e);
	if (get_le16(p + 6) != depth)
		return bad_node(m, "a node has the wrong depth", e);
	if (count > max || (size_t)(max + 1) * ENTRY > size || (count == 0 && depth > 0))
		return bad_node(m, "a node has an impossible number of entries", e);
	if (ext_has_csum(m->x) && size > EXT_IBLOCK_SIZE) {
		size_t tail = (size_t)(max + 1) * ENTRY;
		if (tail + 4 > size || !ext_csum_equal(crc32c(m->seed, p, tail), get_le32(p + tail)))
			return bad_node(m, "the checksum of a node is wrong", e);
	}
	uint64_t at = first;
	for (unsigned i = 0; i < count; i++) {
		uint64_t lblk = entry_first(p, i);
		uint64_t len = depth ? 1 : leaf_len(entry(p, i));
		if (lblk < at || lblk >= end || len == 0 || len > end - lblk)
			return bad_node(m, "its entries are out of order", e);
		at = lblk + len;
	}
	return 0;
}

/* The last entry that starts at or before lblk, -1 for none. */
static int find_entry(const uint8_t *p, uint64_t lblk)
{
	return (int)PARTITION_POINT(i, (unsigned)get_le16(p + 2), entry_first(p, i) <= lblk) - 1;
}

/* Reading on finds the same entry or the next one. */
static int find_again(struct ext_map *m, const uint8_t *p, uint64_t lblk)
{
	unsigned count = get_le16(p + 2);
	for (unsigned i = m->slot; i < count && i <= m->slot + 1; i++)
		if (entry_first(p, i) <= lblk && (i + 1 == count || entry_first(p, i + 1) > lblk)) {
			m->slot = i;
			return (int)i;
		}
	int i = find_entry(p, lblk);
	m->slot = i < 0 ? 0 : (unsigned)i;
	return i;
}

static int leaf_run(struct ext_map *m, const uint8_t *p, uint64_t lblk, uint64_t max, uint64_t end,
                    struct ext_run *ret, struct err *e)
{
	unsigned count = get_le16(p + 2);
	int i = find_again(m, p, lblk);
	uint64_t next = (unsigned)(i + 1) < count ? entry_first(p, (unsigned)(i + 1)) : end;
	if (i < 0 || lblk - entry_first(p, (unsigned)i) >= leaf_len(entry(p, (unsigned)i))) {
		*ret = (struct ext_run){.len = min_u64(max, next - lblk)};
		return 0;
	}
	const uint8_t *x = entry(p, (unsigned)i);
	uint64_t in = lblk - get_le32(x), len = leaf_len(x) - in;
	if (leaf_unwritten(x)) {
		*ret = (struct ext_run){.len = min_u64(max, len)};
		return 0;
	}
	/* All of it: of one that starts at block 0 the later blocks would look like a file's. */
	if (!ext_blocks_ok(m->x, leaf_start(x), leaf_len(x))) {
		m->bad_end = lblk + len;
		return bad_node(m, "an extent cannot be its own", e);
	}
	uint64_t start = leaf_start(x) + in;
	/* Neighbours on disk make one run. */
	for (unsigned k = (unsigned)i + 1; k < count && len < max; k++) {
		const uint8_t *n = entry(p, k);
		if (get_le32(n) != lblk + len || leaf_unwritten(n) || leaf_start(n) != start + len)
			break;
		len += leaf_len(n);
	}
	*ret = (struct ext_run){.len = min_u64(max, len), .pblk = start};
	return 0;
}

/* Goes down to the leaf that speaks for lblk. 1: loaded, 0: nothing does, *ret is the hole. */
static int descend(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e)
{
	const uint8_t *p = m->i_block;
	unsigned depth = get_le16(p + 6);
	uint64_t first = 0, end = lblk_end;
	while (depth > 0) {
		int i = find_entry(p, lblk);
		if (i < 0) {
			*ret = (struct ext_run){.len = min_u64(max, entry_first(p, 0) - lblk)};
			return 0;
		}
		uint64_t child = index_child(entry(p, (unsigned)i));
		first = entry_first(p, (unsigned)i);
		if (i + 1 < get_le16(p + 2))
			end = entry_first(p, (unsigned)i + 1);
		m->bad_end = end;
		if (!ext_blocks_ok(m->x, child, 1))
			return bad_node(m, "it names a block that cannot be its own", e);
		depth--;
		if (depth == 0) {
			int r = ext_map_load(m, child, first, end, e);
			if (r < 0)
				return r;
			p = m->node;
		} else {
			p = ext_block(m->x, child, e);
			if (!p)
				return e->code;
		}
		int r = check_node(m, p, m->x->sb.block_size, depth, first, end, e);
		if (r < 0) {
			m->node_first = m->node_end = 0;
			return r;
		}
	}
	return 1;
}

int ext_extent_run(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e)
{
	if (lblk >= lblk_end) {
		*ret = (struct ext_run){.len = max};
		return 0;
	}
	max = min_u64(max, lblk_end - lblk);
	if (lblk >= m->node_first && lblk < m->node_end)
		return leaf_run(m, m->node, lblk, max, m->node_end, ret, e);
	unsigned depth = get_le16(m->i_block + 6);
	if (depth > EXT_DEPTH_MAX)
		return bad_node(m, "it is too deep", e);
	int r = check_node(m, m->i_block, sizeof(m->i_block), depth, 0, lblk_end, e);
	if (r < 0)
		return r;
	if (depth == 0)
		return leaf_run(m, m->i_block, lblk, max, lblk_end, ret, e);
	r = descend(m, lblk, max, ret, e);
	return r == 1 ? leaf_run(m, m->node, lblk, max, m->node_end, ret, e) : r;
}
