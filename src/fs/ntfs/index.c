/* Indexes: a B+tree whose root lies in $INDEX_ROOT and whose blocks lie in $INDEX_ALLOCATION. Every entry of
 * an inner node stands behind the subtree of smaller keys its child number names. */
#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	ROOT_HEADER = 16,        /* type, collation, block size, clusters a block */
	NODE_HEADER = 16,        /* offset of entries, their end, room, flags; offsets count from here */
	BLOCK_HEADER = 24,       /* magic, update sequence, log number, own VCN */
	ENTRY_HEADER = 16,
	ENTRY_HAS_CHILD = 1,
	ENTRY_LAST = 2,
	VCN_UNIT = 512,          /* what block numbers count where a cluster is larger than a block */
};

static int bad(const struct ntfs_index *ix, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the index of MFT record %" PRIu64 " is damaged: %s", ix->no, what);
}

/* The node header at `at` of p; entries must end within len. */
static int decode_node(const struct ntfs_index *ix, const uint8_t *p, size_t at, size_t len, struct ntfs_node *ret,
                       struct err *e)
{
	if (!range_inside(at, NODE_HEADER, len))
		return bad(ix, "a node is too short", e);
	uint32_t first = get_le32(p + at), used = get_le32(p + at + 4);
	if (first < NODE_HEADER || first % 8 != 0 || used < first || used > len - at)
		return bad(ix, "a node's entries lie outside it", e);
	*ret = (struct ntfs_node){.p = p, .first = at + first, .end = at + used};
	return 0;
}

static int decode_entry(const struct ntfs_index *ix, const struct ntfs_node *n, size_t off, struct ntfs_entry *ret,
                        struct err *e)
{
	if (off > n->end || n->end - off < ENTRY_HEADER)
		return bad(ix, "a node has no end entry", e);
	const uint8_t *p = n->p + off;
	uint16_t flags = get_le16(p + 12);
	struct ntfs_entry en = {
		.ref = get_le64(p),
		.len = get_le16(p + 8),
		.key = p + ENTRY_HEADER,
		.key_len = get_le16(p + 10),
		.last = flags & ENTRY_LAST,
		.has_child = flags & ENTRY_HAS_CHILD,
	};
	size_t tail = en.has_child ? 8 : 0;
	if (en.len < ENTRY_HEADER + tail || en.len % 8 != 0 || en.len > n->end - off)
		return bad(ix, "an entry has an impossible length", e);
	if (en.last)
		en.key_len = 0;
	else if (en.key_len > en.len - ENTRY_HEADER - tail)
		return bad(ix, "an entry's key lies outside it", e);
	if (ix->view && !en.last) {
		uint16_t data = get_le16(p), data_len = get_le16(p + 2);
		if (data < ENTRY_HEADER || !range_inside(data, data_len, en.len))
			return bad(ix, "an entry's value lies outside it", e);
		en.data = p + data;
		en.data_len = data_len;
	}
	if (en.has_child)
		en.child = get_le64(p + en.len - 8);
	*ret = en;
	return 0;
}

static int decode_root(struct ntfs_index *ix, size_t len, struct err *e)
{
	if (len < ROOT_HEADER + NODE_HEADER)
		return bad(ix, "its root is too short", e);
	ix->view = get_le32(ix->root_value) != NTFS_AT_FILE_NAME;
	ix->block_size = get_le32(ix->root_value + 8);
	if (!is_pow2(ix->block_size) || ix->block_size < NTFS_BLOCK_MIN || ix->block_size > NTFS_BLOCK_MAX)
		return bad(ix, "its block size is impossible", e);
	uint32_t cluster = ix->ntfs->boot.cluster_size;
	ix->vcn_size = cluster <= ix->block_size ? cluster : VCN_UNIT;
	return decode_node(ix, ix->root_value, ROOT_HEADER, len, &ix->root, e);
}

int ntfs_index_open(struct ntfs_inode *ino, const char *name, struct ntfs_index *ret, struct err *e)
{
	struct ntfs_index ix = {.ntfs = ino->ntfs, .no = ino->no};
	size_t len;
	int r = ntfs_attr_load(ino, NTFS_AT_INDEX_ROOT, name, NTFS_RECORD_MAX, &ix.root_value, &len, e);
	if (r == 0)
		return bad(&ix, "it has no root", e);
	if (r < 0)
		return r;
	r = decode_root(&ix, len, e);
	if (r == 0)
		r = ntfs_stream_open_ascii(ino, NTFS_AT_INDEX_ALLOCATION, name, &ix.alloc, e);
	if (r >= 0 && ix.alloc.size / ix.block_size > NTFS_BLOCKS_MAX)
		r = err_set(e, ERR_LIMIT, "ntfs", "the index of MFT record %" PRIu64 " has more than %d blocks",
		            ino->no,
		            NTFS_BLOCKS_MAX);
	if (r < 0) {
		ntfs_index_close(&ix);
		return r;
	}
	ix.blocks = ix.alloc.size / ix.block_size;
	*ret = ix;
	return 0;
}

void ntfs_index_close(struct ntfs_index *ix)
{
	free(ix->root_value);
	ix->root_value = NULL;
	ntfs_stream_close(&ix->alloc);
}

/* Which block a VCN means; false where none. */
static bool block_of(const struct ntfs_index *ix, uint64_t vcn, uint64_t *ret)
{
	uint64_t per_block = ix->block_size / ix->vcn_size;
	if (vcn % per_block != 0 || vcn / per_block >= ix->blocks)
		return false;
	*ret = vcn / per_block;
	return true;
}

static int read_block(const struct ntfs_index *ix, uint64_t block, uint8_t *buf, struct ntfs_node *ret, struct err *e)
{
	int r = ntfs_stream_read(&ix->alloc, block * ix->block_size, buf, ix->block_size, e);
	if (r < 0)
		return r;
	r = ntfs_fixup(buf, ix->block_size, "INDX", "index block", block, e);
	if (r < 0)
		return r;
	if (get_le64(buf + 16) != block * (ix->block_size / ix->vcn_size))
		return bad(ix, "a block is not where it says it is", e);
	return decode_node(ix, buf, BLOCK_HEADER, ix->block_size, ret, e);
}

int ntfs_index_find(const struct ntfs_index *ix, ntfs_key_fn *cmp, const void *want, uint8_t *buf,
                    struct ntfs_entry *ret, struct err *e)
{
	struct ntfs_node node = ix->root;
	for (unsigned depth = 0; depth < NTFS_DEPTH_MAX; depth++) {
		struct ntfs_entry en;
		for (size_t off = node.first;; off += en.len) {
			int r = decode_entry(ix, &node, off, &en, e);
			if (r < 0)
				return r;
			int order = en.last ? -1 : cmp(ix->ntfs, want, &en);
			if (order == 0) {
				*ret = en;
				return 1;
			}
			if (order < 0)
				break;
		}
		if (!en.has_child)
			return 0;
		uint64_t block;
		if (!block_of(ix, en.child, &block))
			return bad(ix, "an entry names a block that is not there", e);
		int r = read_block(ix, block, buf, &node, e);
		if (r < 0)
			return r;
	}
	return bad(ix, "it is too deep", e);
}

/* --- the walk ------------------------------------------------------------------------------------- */

int ntfs_walk_start(struct ntfs_walk *w, struct ntfs_index *ix, struct err *e)
{
	*w = (struct ntfs_walk){.ix = ix, .depth = 1};
	w->level[0].node = ix->root;
	w->level[0].off = ix->root.first;
	w->seen = calloc(1, (size_t)(ix->blocks / 8 + 1));
	return w->seen ? 0 : err_no_memory(e, "ntfs");
}

void ntfs_walk_end(struct ntfs_walk *w)
{
	for (unsigned i = 0; i < NTFS_DEPTH_MAX; i++)
		free(w->level[i].buf);
	free(w->seen);
	*w = (struct ntfs_walk){0};
}

/* A position: block (0 the root), offset in it, and whether the entry (1) or the damage before it (0) is meant.
 * Never 0. */
static uint64_t position(const struct ntfs_level *l, bool entry)
{
	return l->block << 20 | (uint64_t)l->off << 2 | 2u | entry;
}

/* Goes down into the child of the current entry; damage there costs that subtree only. */
static int descend(struct ntfs_walk *w, uint64_t vcn, struct err *e)
{
	struct ntfs_index *ix = w->ix;
	uint64_t block;
	if (!block_of(ix, vcn, &block))
		return bad(ix, "an entry names a block that is not there", e);
	if (w->seen[block / 8] & 1u << block % 8)
		return bad(ix, "two entries name the same block", e);
	if (w->depth == NTFS_DEPTH_MAX)
		return bad(ix, "it is too deep", e);
	w->seen[block / 8] |= (uint8_t)(1u << block % 8);
	struct ntfs_level *l = &w->level[w->depth];
	if (!l->buf && !(l->buf = malloc(ix->block_size)))
		return err_no_memory(e, "ntfs");
	int r = read_block(ix, block, l->buf, &l->node, e);
	if (r < 0)
		return r;
	l->block = block + 1;
	l->off = l->node.first;
	l->descended = false;
	w->depth++;
	return 0;
}

static int broken(struct ntfs_walk *w, const struct ntfs_level *l, bool entry, const struct err *why)
{
	w->broken = *why;
	w->pos = position(l, entry);
	return NTFS_WALK_BROKEN;
}

/* `off` of a level stands on the entry to be given next; `descended` says that its child is done. */
int ntfs_walk_next(struct ntfs_walk *w, struct ntfs_entry *ret, struct err *e)
{
	while (w->depth > 0) {
		struct ntfs_level *l = &w->level[w->depth - 1];
		struct ntfs_entry en;
		struct err why = ERR_INIT;
		if (decode_entry(w->ix, &l->node, l->off, &en, &why) < 0) {
			w->depth--;
			return broken(w, l, true, &why);
		}
		if (en.has_child && !l->descended) {
			l->descended = true;
			int r = descend(w, en.child, &why);
			if (r == ERR_NO_MEMORY)
				return err_no_memory(e, "ntfs");
			if (r < 0)
				return broken(w, l, false, &why);
			continue;
		}
		if (en.last) {
			w->depth--;
			continue;
		}
		w->pos = position(l, true);
		l->off += en.len;
		l->descended = false;
		*ret = en;
		return NTFS_WALK_ENTRY;
	}
	return NTFS_WALK_END;
}
