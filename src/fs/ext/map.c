#include "fs/ext/ext.h"
#include "fs/ext/fc.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

enum { DIRECT = 12, PTR = 4 };

void ext_map_init(struct ext_map *m, struct ext_fs *x, const struct ext_inode *in)
{
	*m = (struct ext_map){
		.x = x,
		.ino = in->ino,
		.seed = ext_inode_seed(&x->sb, in->ino, in->generation),
		.flags = in->flags,
		.fc = ext_fc_map(x, in->ino),
	};
	memcpy(m->i_block, in->i_block, sizeof(m->i_block));
}

void ext_map_fini(struct ext_map *m)
{
	free(m->node);
	m->node = NULL;
}

int ext_map_load(struct ext_map *m, uint64_t blk, uint64_t first, uint64_t end, struct err *e)
{
	if (!m->node) {
		m->node = malloc(m->x->sb.block_size);
		if (!m->node)
			return err_no_memory(e, module);
	}
	m->node_first = m->node_end = 0;
	m->slot = 0;
	int r = ext_read_blocks(m->x, blk, 1, m->node, e);
	if (r < 0)
		return r;
	m->node_first = first;
	m->node_end = end;
	return 0;
}

/* --- indirect maps -------------------------------------------------------------------------------- */

/* Pointers idx … of a table of n: a run of neighbours, or of holes. */
static void pointer_run(const uint8_t *table, uint64_t idx, uint64_t n, uint64_t max, struct ext_run *ret)
{
	uint32_t first = get_le32(table + idx * PTR);
	uint64_t len = 1;
	max = min_u64(max, n - idx);
	while (len < max && get_le32(table + (idx + len) * PTR) == (first ? first + (uint32_t)len : 0))
		len++;
	*ret = (struct ext_run){.len = len, .pblk = first};
}

/* Goes down from i_block to the last table on the way to lblk; 1: loaded, 0: a hole, *ret filled. */
static int indirect_descend(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e)
{
	uint64_t per = m->x->sb.block_size / PTR;
	uint64_t first = DIRECT, span = per;
	unsigned level = 1;
	while (level <= 3 && lblk - first >= span) {
		first += span;
		span *= per;
		level++;
	}
	if (level > 3) {
		*ret = (struct ext_run){.len = max};
		return 0;
	}
	uint32_t ptr = get_le32(m->i_block + (DIRECT + level - 1) * PTR);
	for (;; level--) {
		m->bad_end = first + span;
		if (ptr == 0) {
			*ret = (struct ext_run){.len = min_u64(max, first + span - lblk)};
			return 0;
		}
		if (!ext_blocks_ok(m->x, ptr, 1))
			return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " names block %" PRIu32 ", which cannot be its own",
			               m->ino, ptr);
		if (level == 1)
			break;
		const uint8_t *p = ext_block(m->x, ptr, e);
		if (!p)
			return e->code;
		span /= per;
		uint64_t idx = (lblk - first) / span;
		ptr = get_le32(p + idx * PTR);
		first += idx * span;
	}
	int r = ext_map_load(m, ptr, first, first + per, e);
	return r < 0 ? r : 1;
}

static int indirect_run(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e)
{
	if (lblk < DIRECT) {
		pointer_run(m->i_block, lblk, DIRECT, max, ret);
		return 0;
	}
	if (lblk < m->node_first || lblk >= m->node_end) {
		int r = indirect_descend(m, lblk, max, ret, e);
		if (r <= 0)
			return r;
	}
	pointer_run(m->node, lblk - m->node_first, m->node_end - m->node_first, max, ret);
	return 0;
}

/* --- front ---------------------------------------------------------------------------------------- */

int ext_map_run(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e)
{
	struct ext_run run;
	int r = 0;
	m->bad_end = UINT64_MAX;
	if (m->fc)
		ext_fc_run(m->fc, lblk, max, &run);
	else if (m->flags & EXT_FL_EXTENTS)
		r = ext_extent_run(m, lblk, max, &run, e);
	else
		r = indirect_run(m, lblk, max, &run, e);
	if (r < 0)
		return r;
	if (run.pblk && !ext_blocks_ok(m->x, run.pblk, run.len)) {
		m->bad_end = lblk + run.len;
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " names block %" PRIu64 ", which cannot be its own",
		               m->ino, run.pblk);
	}
	*ret = run;
	return 0;
}

int ext_map_read(struct ext_map *m, uint64_t off, void *to, size_t len, struct err *e)
{
	unsigned bits = m->x->sb.block_bits;
	uint8_t *p = to;
	while (len > 0) {
		struct ext_run run;
		uint64_t in = off & (m->x->sb.block_size - 1);
		uint64_t want = (in + len + m->x->sb.block_size - 1) >> bits;
		int r = ext_map_run(m, off >> bits, want, &run, e);
		if (r < 0)
			return r;
		size_t n = (size_t)min_u64(len, (run.len << bits) - in);
		uint64_t at = (run.pblk << bits) + in;
		if (run.pblk == 0)
			memset(p, 0, n);
		else if (!range_inside(at, n, m->x->fs.blk->size))
			return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " has bytes behind the end of the device", m->ino);
		else if ((r = blk_read(m->x->fs.blk, at, p, n, e)) < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
