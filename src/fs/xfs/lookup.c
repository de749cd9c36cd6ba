#include "fs/xfs/xfs.h"

#include <inttypes.h>

static const char *const module = "xfs";

enum {
	INDEX = 8,                   /* hash, place in units of 8 bytes */
	INDEX_SPACE_BITS = 35,       /* where in the directory the index starts */
	LEAVES_MAX = 4096,           /* with names of one hash */
	PLACES_MAX = 1 << 14,        /* looked at for one name */
	FOUND = 1,
};

struct finder {
	struct xfs_dir dir;
	const uint8_t *name;
	size_t len;
	uint32_t hash;
	bool fold;                   /* compare without case */
	unsigned places;             /* looked at */
	uint64_t ino;
};

/* --- names ---------------------------------------------------------------------------------------- */

/* Letters of Latin-1, whatever the names are written in: in those of UTF-8 this hits the first bytes of sequences. */
static uint8_t lower(uint8_t c)
{
	bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
	return upper ? (uint8_t)(c + 32) : c;
}

/* Older mkfs.xfs and xfs_repair know ASCII only, so that what the index says of such a name depends on who wrote it. */
static bool is_disputed(const struct finder *f)
{
	for (size_t i = 0; i < f->len; i++)
		if (f->name[i] >= 0x80 && lower(f->name[i]) != f->name[i])
			return true;
	return false;
}

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t name_hash(const struct xfs_super *sb, const uint8_t *p, size_t len)
{
	uint32_t h = 0;
	/* Seven bits a character, the older ones rotated on. */
	for (size_t i = 0; i < len; i++)
		h = (sb->ascii_ci ? lower(p[i]) : p[i]) ^ rol(h, 7);
	return h;
}

static bool same_name(const struct finder *f, const struct xfs_dent *d)
{
	if (d->len != f->len)
		return false;
	if (!f->fold)
		return memcmp(d->name, f->name, f->len) == 0;
	for (size_t i = 0; i < f->len; i++)
		if (lower(d->name[i]) != lower(f->name[i]))
			return false;
	return true;
}

static int match(void *arg, const struct xfs_dent *d)
{
	struct finder *f = arg;
	if (!d->name || !same_name(f, d))
		return 0;
	f->ino = d->ino;
	return FOUND;
}

/* --- by the index --------------------------------------------------------------------------------- */

static int bad_index(const struct finder *f, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the index of directory %" PRIu64 " is damaged", f->dir.ino);
}

/* The entry that an index entry points at. */
static int try_place(struct finder *f, uint32_t place, struct err *e)
{
	const struct xfs_super *sb = &f->dir.x->sb;
	if (place == 0)
		return 0;       /* a removed one */
	uint64_t off = (uint64_t)place << 3;
	if (off >= f->dir.size || ++f->places > PLACES_MAX)
		return bad_index(f, e);
	const uint8_t *p;
	bool block;
	size_t end, len;
	int r = xfs_da_data(&f->dir, off / sb->dir_size << sb->dir_bits, &p, &block, &end, e);
	if (r < 0)
		return r;
	struct xfs_dent d;
	if (!xfs_data_entry(sb, p, end, off % sb->dir_size, &d, &len) || !d.name)
		return bad_index(f, e);
	return match(f, &d);
}

/* The entries of the index that lies in this block: a leaf, or behind the entries of a directory of one block. Fetched
 * anew for each of them, since the data that is read in between may push it out of the cache. */
static int get_entries(struct finder *f, uint64_t lblk, bool block_form, struct xfs_da *ret, struct err *e)
{
	if (!block_form)
		return xfs_da_block(&f->dir.map, lblk, ret, e);
	const uint8_t *p;
	bool block;
	size_t end;
	int r = xfs_da_data(&f->dir, lblk, &p, &block, &end, e);
	if (r < 0)
		return r;
	if (!block)
		return bad_index(f, e);
	enum { TAIL = 8 };
	*ret = (struct xfs_da){.entry = p + end, .count = (unsigned)((f->dir.x->sb.dir_size - TAIL - end) / INDEX)};
	return 0;
}

/* *ret_forw: the next leaf, where names of this hash may go on; 0 for none. */
static int try_leaf(struct finder *f, uint64_t lblk, bool block_form, uint32_t *ret_forw, struct err *e)
{
	struct xfs_da leaf;
	int r = get_entries(f, lblk, block_form, &leaf, e);
	if (r < 0)
		return r;
	unsigned i = xfs_da_search(leaf.entry, leaf.count, INDEX, f->hash);
	while (r == 0 && i < leaf.count && get_be32(leaf.entry + (size_t)i * INDEX) == f->hash) {
		r = try_place(f, get_be32(leaf.entry + (size_t)i * INDEX + 4), e);
		if (r == 0)
			r = get_entries(f, lblk, block_form, &leaf, e);
		i++;
	}
	*ret_forw = r == 0 && i == leaf.count ? leaf.forw : 0;
	return r;
}

static int find_in_tree(struct finder *f, struct err *e)
{
	uint64_t top = (uint64_t)1 << (INDEX_SPACE_BITS - f->dir.x->sb.block_bits);
	struct xfs_da leaf;
	int r = xfs_da_descend(&f->dir.map, top, f->hash, &leaf, e);
	if (r < 0)
		return r;
	uint64_t lblk = leaf.lblk;
	for (unsigned n = 0; n < LEAVES_MAX; n++) {
		uint32_t forw = 0;
		r = try_leaf(f, lblk, false, &forw, e);
		if (r || forw == 0)
			return r;
		lblk = forw;
	}
	return bad_index(f, e);
}

static int find_by_hash(struct finder *f, struct err *e)
{
	const uint8_t *p;
	bool block = false;
	size_t end;
	if (f->dir.size == f->dir.x->sb.dir_size) {
		int r = xfs_da_data(&f->dir, 0, &p, &block, &end, e);
		if (r < 0)
			return r;
	}
	uint32_t forw = 0;
	return block ? try_leaf(f, 0, true, &forw, e) : find_in_tree(f, e);
}

/* --- front ---------------------------------------------------------------------------------------- */

struct scanner {
	struct finder *f;
	struct err damage;
};

static int scan_entry(void *arg, const struct xfs_dent *d)
{
	struct scanner *s = arg;
	if (!d->name)
		s->damage = *d->damage;
	return match(s->f, d);
}

/* Entry by entry: inline directories have no index, and what a listing shows must be found though an index is damaged.
 * A name that is not there may have been in a damaged place. */
static int find_by_scan(struct finder *f, struct err *e)
{
	struct scanner s = {.f = f};
	int r = xfs_dir_scan(&f->dir, 0, scan_entry, &s, e);
	if (r == 0 && s.damage.code)
		*e = s.damage;
	return r == 0 ? s.damage.code : r;
}

static int find(struct finder *f, struct err *e)
{
	if (f->dir.map.format == XFS_FMT_LOCAL)
		return find_by_scan(f, e);
	struct err no = ERR_INIT;
	int r = find_by_hash(f, &no);
	if (r == ERR_FILE_CORRUPT || (r == 0 && f->dir.x->sb.ascii_ci && is_disputed(f)))
		return find_by_scan(f, e);
	if (r >= 0)
		return r;
	*e = no;
	return r;
}

int xfs_lookup(struct fs *fs, struct fs_id id, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	struct finder f = {.name = (const uint8_t *)name, .len = len};
	int r = xfs_dir_open(&f.dir, x, id, e);
	if (r < 0)
		return r;
	f.hash = name_hash(&x->sb, f.name, len);
	r = len <= XFS_NAME_MAX ? find(&f, e) : 0;
	if (r == 0 && len <= XFS_NAME_MAX && x->sb.ascii_ci) {
		f.fold = true;
		f.places = 0;
		r = find(&f, e);
	}
	if (r == 0)
		r = err_set(e, ERR_NOT_FOUND, module, "there is no such name");
	else if (r == FOUND)
		r = xfs_check_child(&f.dir, f.ino, e);
	if (r == 0)
		*ret = (struct fs_id){.ino = f.ino};
	xfs_dir_close(&f.dir);
	return r;
}
