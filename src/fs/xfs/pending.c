#include "fs/xfs/pending.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";

/* --- what there is -------------------------------------------------------------------------------- */

static int need(struct xfs_fs *x, struct err *e)
{
	if (!x->pending)
		x->pending = calloc(1, sizeof(*x->pending));
	return x->pending ? 0 : err_no_memory(e, module);
}

int xfs_pending_patch(struct xfs_fs *x, const struct xfs_patch *patch, struct err *e)
{
	int r = need(x, e);
	if (r < 0)
		return r;
	if (x->pending->patches == PENDING_PATCHES_MAX)
		return err_set(e, ERR_LIMIT, module, "more than %d changes of maps were not carried out", PENDING_PATCHES_MAX);
	x->pending->patch[x->pending->patches++] = *patch;
	return 0;
}

int xfs_pending_exchange(struct xfs_fs *x, const struct xfs_exchange *exchange, struct err *e)
{
	int r = need(x, e);
	if (r < 0)
		return r;
	if (x->pending->exchanges == PENDING_EXCHANGES_MAX)
		return err_set(e, ERR_LIMIT, module, "more than %d exchanges of extents were not carried out", PENDING_EXCHANGES_MAX);
	x->pending->exchange[x->pending->exchanges++] = *exchange;
	return 0;
}

int xfs_pending_attr(struct xfs_fs *x, struct xfs_attr_change *change, struct err *e)
{
	int r = need(x, e);
	if (r == 0 && x->pending->attrs == PENDING_ATTRS_MAX)
		r = err_set(e, ERR_LIMIT, module, "more than %d changes of attributes were not carried out", PENDING_ATTRS_MAX);
	if (r < 0)
		free(change);
	else
		x->pending->attr[x->pending->attrs++] = change;
	return r;
}

const struct xfs_attr_change *xfs_pending_name(const struct xfs_fs *x, uint64_t ino, uint8_t space, const uint8_t *name,
                                               size_t len)
{
	for (uint32_t i = x->pending ? x->pending->attrs : 0; i-- > 0;) {
		const struct xfs_attr_change *c = x->pending->attr[i];
		if (c->ino == ino && c->space == space && c->name_len == len && memcmp(c->bytes, name, len) == 0)
			return c;
	}
	return NULL;
}

static int open_side(struct xfs_fs *x, const struct xfs_exchange *ex, unsigned side, struct err *e)
{
	struct xfs_inode in;
	int r = xfs_inode_any(x, ex->ino[side], &in, e);
	if (r == 0 && in.gen != ex->gen[side])
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " is another file now", in.ino);
	return r == 0 ? xfs_map_init(&x->pending->map[x->pending->opened][side], x, &in, ex->fork, e) : r;
}

/* Whoever exchanges has both files locked until it is done: none is in two exchanges. */
static bool is_taken(const struct xfs_pending *p, const struct xfs_exchange *ex)
{
	for (uint32_t i = 0; i < p->opened; i++)
		for (unsigned side = 0; side < 2; side++)
			if (p->exchange[i].ino[side] == ex->ino[0] || p->exchange[i].ino[side] == ex->ino[1])
				return true;
	return ex->ino[0] == ex->ino[1] && ex->lblk[0] < ex->lblk[1] + ex->len && ex->lblk[1] < ex->lblk[0] + ex->len;
}

int xfs_pending_open(struct xfs_fs *x, struct err *e)
{
	struct xfs_pending *p = x->pending;
	for (uint32_t i = 0; p && i < p->exchanges; i++) {
		const struct xfs_exchange *ex = &p->exchange[i];
		struct err why = ERR_INIT;
		int r = is_taken(p, ex) ? err_set(&why, ERR_FILE_CORRUPT, module, "the log is damaged") : 0;
		for (unsigned side = 0; side < 2 && r == 0; side++)
			r = open_side(x, ex, side, &why);
		if (r < 0 && r != ERR_FILE_CORRUPT) {
			*e = why;
			return r;
		}
		if (r < 0)
			fs_warn(&x->fs, "an exchange of extents of inode %" PRIu64 " was begun in the VM and is not finished here: %s",
			        ex->ino[0], why.msg);
		else
			p->exchange[p->opened++] = *ex;
	}
	return 0;
}

void xfs_pending_free(struct xfs_fs *x)
{
	for (uint32_t i = 0; x->pending && i < x->pending->opened; i++)
		for (unsigned side = 0; side < 2; side++)
			xfs_map_fini(&x->pending->map[i][side]);
	for (uint32_t i = 0; x->pending && i < x->pending->attrs; i++)
		free(x->pending->attr[i]);
	free(x->pending);
}

/* --- maps ----------------------------------------------------------------------------------------- */

/* Patches are single extents that are there, or are not: all of one counts. */
static void count_blocks(const struct xfs_pending *p, struct xfs_inode *in)
{
	for (uint32_t i = 0; i < p->patches; i++) {
		const struct xfs_patch *patch = &p->patch[i];
		if (patch->ino == in->ino)
			in->nblocks = patch->hole ? in->nblocks - min_u64(patch->len, in->nblocks) : in->nblocks + patch->len;
	}
}

void xfs_pending_size(const struct xfs_fs *x, struct xfs_inode *in)
{
	if (x->pending)
		count_blocks(x->pending, in);
	for (uint32_t i = 0; x->pending && i < x->pending->opened; i++) {
		const struct xfs_exchange *ex = &x->pending->exchange[i];
		for (unsigned side = 0; side < 2 && ex->set_sizes; side++)
			if (ex->ino[side] == in->ino)
				in->size = ex->size[side];
	}
}

/* Does [from, from + len) speak for lblk? *max is cut to where it ends or starts. */
static bool covers(uint64_t from, uint64_t len, uint64_t lblk, uint64_t *max)
{
	if (lblk >= from && lblk - from < len) {
		*max = min_u64(*max, len - (lblk - from));
		return true;
	}
	if (from > lblk)
		*max = min_u64(*max, from - lblk);
	return false;
}

/* The last patch that speaks for lblk. */
static const struct xfs_patch *find_patch(const struct xfs_map *m, uint64_t lblk, uint64_t *max)
{
	const struct xfs_pending *pending = m->x->pending;
	for (uint32_t i = pending->patches; i-- > 0;) {
		const struct xfs_patch *p = &pending->patch[i];
		if (p->ino == m->ino && p->fork == m->fork && covers(p->lblk, p->len, lblk, max))
			return p;
	}
	return NULL;
}

/* *ret_side: which of the two m is. */
static const struct xfs_exchange *find_exchange(const struct xfs_map *m, uint64_t lblk, uint64_t *max, unsigned *ret_side)
{
	const struct xfs_pending *pending = m->x->pending;
	for (uint32_t i = 0; i < pending->opened; i++) {
		const struct xfs_exchange *ex = &pending->exchange[i];
		for (unsigned side = 0; side < 2; side++)
			if (ex->ino[side] == m->ino && ex->fork == m->fork && covers(ex->lblk[side], ex->len, lblk, max)) {
				*ret_side = side;
				return ex;
			}
	}
	return NULL;
}

static int exchanged_run(struct xfs_pending *p, const struct xfs_exchange *ex, unsigned side, uint64_t at, uint64_t max,
                         struct xfs_run *ret, struct err *e)
{
	struct xfs_map *map = p->map[ex - p->exchange];
	struct xfs_run first = {.len = max};
	int r = ex->written_only ? xfs_map_stored(&map[0], ex->lblk[0] + at, max, &first, e) : 0;
	unsigned from = first.hole ? side : 1 - side;
	if (r == 0)
		r = xfs_map_stored(&map[from], ex->lblk[from] + at, first.len, ret, e);
	return r < 0 ? r : 1;
}

int xfs_pending_run(struct xfs_map *m, uint64_t lblk, uint64_t *max, struct xfs_run *ret, struct err *e)
{
	const struct xfs_patch *p = find_patch(m, lblk, max);
	unsigned side = 0;
	const struct xfs_exchange *ex = p ? NULL : find_exchange(m, lblk, max, &side);
	if (ex)
		return exchanged_run(m->x->pending, ex, side, lblk - ex->lblk[side], *max, ret, e);
	if (!p)
		return 0;
	uint64_t fsb = p->fsb + (lblk - p->lblk);
	if (!p->hole && !xfs_fsb_ok(&m->x->sb, fsb, *max))
		return err_set(e, ERR_FILE_CORRUPT, module, "the log maps blocks to inode %" PRIu64 " that cannot be its own", m->ino);
	*ret = (struct xfs_run){
		.len = *max, .fsb = fsb, .hole = p->hole || p->unwritten, .unwritten = !p->hole && p->unwritten};
	return 1;
}
