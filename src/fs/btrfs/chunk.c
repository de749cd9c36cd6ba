#include "fs/btrfs/btrfs.h"

#include "base/search.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

enum { CHUNK_HEAD = 48, STRIPE = 32 };

/* --- the table ------------------------------------------------------------------------------------ */

/* Room for `more` behind `count`, at most `max` in all. */
static int grow(void **list, size_t *cap, size_t count, size_t more, size_t max, size_t item, struct err *e)
{
	if (more > max - count)
		return err_set(e, ERR_LIMIT, module, "the filesystem has more chunks than can be held");
	if (count + more <= *cap)
		return 0;
	size_t want = *cap ? *cap * 2 : 64;
	while (want < count + more)
		want *= 2;
	void *p = realloc(*list, want * item);
	if (!p)
		return err_no_memory(e, module);
	*list = p;
	*cap = want;
	return 0;
}

static unsigned chunk_copies(const struct btrfs_chunk *c)
{
	switch (c->profile) {
	case BTRFS_DUP:
	case BTRFS_RAID1:
	case BTRFS_RAID10: return 2;
	case BTRFS_RAID1C3: return 3;
	case BTRFS_RAID1C4: return 4;
	default: return 1;
	}
}

static bool sensible(const struct btrfs_super *sb, const struct btrfs_chunk *c, uint64_t stripe_len)
{
	uint64_t end;
	unsigned copies = chunk_copies(c), least = copies, most = copies;
	if (c->profile & (BTRFS_RAID0 | BTRFS_RAID10))
		most = UINT16_MAX;
	if (c->profile & (BTRFS_RAID5 | BTRFS_RAID6)) {
		least = c->profile & BTRFS_RAID5 ? 2 : 3;
		most = BTRFS_PARITY_STRIPES_MAX;
	}
	if ((c->profile & BTRFS_RAID10) && (c->sub_stripes != 2 || c->stripes % 2))
		return false;
	if (c->len == 0 || (c->len | c->logical) % sb->sector || !u64_add(c->logical, c->len, &end))
		return false;
	return (c->profile & (c->profile - 1)) == 0 && stripe_len == BTRFS_STRIPE_LEN && c->stripes >= least &&
	       c->stripes <= most;
}

/* Index of the first chunk that ends behind logical. */
static size_t chunk_index(const struct btrfs_chunks *c, uint64_t logical)
{
	return PARTITION_POINT(i, c->count, c->list[i].logical + c->list[i].len <= logical);
}

static int insert(struct btrfs_chunks *c, const struct btrfs_chunk *ch, struct err *e)
{
	size_t at = chunk_index(c, ch->logical);
	/* Those of the superblock are in the chunk tree again, which is the one to believe. */
	if (at < c->count && c->list[at].logical == ch->logical && c->list[at].len == ch->len) {
		c->list[at] = *ch;
		return 0;
	}
	if (at < c->count && c->list[at].logical < ch->logical + ch->len)
		return err_set(e, ERR_FS_CORRUPT, module, "two chunks claim the address %" PRIu64, ch->logical);
	int r = grow((void **)&c->list, &c->cap, c->count, 1, BTRFS_CHUNKS_MAX, sizeof(*c->list), e);
	if (r < 0)
		return r;
	memmove(c->list + at + 1, c->list + at, (c->count - at) * sizeof(*c->list));
	c->list[at] = *ch;
	c->count++;
	return 0;
}

int btrfs_chunk_add(struct btrfs_fs *x, uint64_t logical, const uint8_t *item, size_t len, size_t *ret_used,
                    struct err *e)
{
	struct btrfs_chunks *c = &x->chunks;
	if (len < CHUNK_HEAD || (len - CHUNK_HEAD) / STRIPE < get_le16(item + 44))
		return err_set(e, ERR_FS_CORRUPT, module, "the chunk at %" PRIu64 " is cut off", logical);
	struct btrfs_chunk ch = {
		.logical = logical,
		.len = get_le64(item),
		.profile = get_le64(item + 24) & BTRFS_PROFILES,
		.stripes = get_le16(item + 44),
		.sub_stripes = get_le16(item + 46),
		.first = (uint32_t)c->stripe_count,
	};
	if (!sensible(&x->sb, &ch, get_le64(item + 16)))
		return err_set(e, ERR_FS_CORRUPT, module, "the chunk at %" PRIu64 " makes no sense", logical);
	int r = grow((void **)&c->stripes, &c->stripe_cap, c->stripe_count, ch.stripes, BTRFS_STRIPES_MAX,
	             sizeof(*c->stripes), e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < ch.stripes && r == 0; i++) {
		const uint8_t *s = item + CHUNK_HEAD + (size_t)i * STRIPE;
		struct btrfs_stripe *to = &c->stripes[c->stripe_count + i];
		to->phys = get_le64(s + 8);
		r = btrfs_device_find(x, get_le64(s), s + 16, &to->dev, e);
	}
	if (r == 0)
		r = insert(c, &ch, e);
	if (r == 0)
		c->stripe_count += ch.stripes;
	if (ret_used)
		*ret_used = CHUNK_HEAD + (size_t)ch.stripes * STRIPE;
	return r;
}

int btrfs_chunks_boot(struct btrfs_fs *x, struct err *e)
{
	const struct btrfs_super *sb = &x->sb;
	for (size_t at = 0; at < sb->sys_size;) {
		size_t used = 0;
		if (sb->sys_size - at < BTRFS_KEY)
			return err_set(e, ERR_FS_CORRUPT, module, "the array of system chunks is cut off");
		struct btrfs_key k = btrfs_key_decode(sb->sys + at);
		at += BTRFS_KEY;
		if (k.type != BTRFS_CHUNK_ITEM)
			return err_set(e, ERR_FS_CORRUPT, module, "the array of system chunks holds something else");
		int r = btrfs_chunk_add(x, k.offset, sb->sys + at, sb->sys_size - at, &used, e);
		if (r < 0)
			return r;
		at += used;
	}
	return 0;
}

int btrfs_chunks_load(struct btrfs_fs *x, struct err *e)
{
	struct btrfs_tree t = {
		.id = BTRFS_CHUNK_TREE,
		.bytenr = x->sb.chunk_root,
		.generation = x->sb.chunk_root_generation,
		.level = x->sb.chunk_level,
	};
	struct btrfs_cursor c = {0};
	struct btrfs_key from = {.objectid = BTRFS_FIRST_FREE, .type = BTRFS_CHUNK_ITEM};
	int r = btrfs_seek(&c, x, &t, from, e);
	while (r == 1 && c.key.objectid == from.objectid && c.key.type == from.type) {
		r = btrfs_chunk_add(x, c.key.offset, c.data, c.len, NULL, e);
		if (r == 0)
			r = btrfs_next(&c, e);
	}
	btrfs_cursor_done(&c);
	return r < 0 ? r : btrfs_devices_check(x, &t, e);
}

void btrfs_chunks_free(struct btrfs_chunks *c)
{
	free(c->list);
	free(c->stripes);
	*c = (struct btrfs_chunks){0};
}

/* --- places --------------------------------------------------------------------------------------- */

static const struct btrfs_chunk *chunk_of(const struct btrfs_fs *x, uint64_t logical)
{
	const struct btrfs_chunks *c = &x->chunks;
	size_t at = chunk_index(c, logical);
	return at < c->count && c->list[at].logical <= logical ? &c->list[at] : NULL;
}

static bool has_parity(const struct btrfs_chunk *c)
{
	return c->profile & (BTRFS_RAID5 | BTRFS_RAID6);
}

unsigned btrfs_mirrors(const struct btrfs_fs *x, uint64_t logical)
{
	const struct btrfs_chunk *c = chunk_of(x, logical);
	if (!c)
		return 0;
	return has_parity(c) ? 1 + btrfs_row_ways(c) : chunk_copies(c);
}

/* Of `copies` stripes, the nr-th when those on the newest devices come first. */
static const struct btrfs_stripe *nth_copy(const struct btrfs_fs *x, const struct btrfs_stripe *s, unsigned copies, unsigned nr)
{
	for (unsigned age = BTRFS_CURRENT; age <= BTRFS_MISSING; age++)
		for (unsigned i = 0; i < copies; i++)
			if (x->devices[s[i].dev].age == age && nr-- == 0)
				return &s[i];
	return s;
}

/* A place in a chunk that is spread over columns. */
struct place {
	const struct btrfs_chunk *chunk;
	uint64_t row, in;                /* of 64 KiB each; bytes into it */
	unsigned column;
	uint64_t room;                   /* bytes up to the end of the stripe or chunk */
};

static int locate(const struct btrfs_fs *x, uint64_t logical, struct place *ret, struct err *e)
{
	const struct btrfs_chunk *c = chunk_of(x, logical);
	if (!c)
		return err_set(e, ERR_FILE_CORRUPT, module, "no chunk holds the address %" PRIu64, logical);
	uint64_t off = logical - c->logical, nr = off / BTRFS_STRIPE_LEN;
	unsigned columns = has_parity(c) ? btrfs_row_data(c) : c->stripes / chunk_copies(c);
	*ret = (struct place){.chunk = c, .row = nr / columns, .in = off % BTRFS_STRIPE_LEN, .column = (unsigned)(nr % columns)};
	ret->room = c->len - off;
	if (columns > 1 || has_parity(c))
		ret->room = min_u64(ret->room, BTRFS_STRIPE_LEN - ret->in);
	return 0;
}

int btrfs_map(const struct btrfs_fs *x, uint64_t logical, uint64_t len, unsigned mirror, enum btrfs_use use,
              struct btrfs_place *ret, struct err *e)
{
	struct place p;
	int r = locate(x, logical, &p, e);
	if (r < 0)
		return r;
	if (has_parity(p.chunk) && mirror > 0)
		return err_set(e, ERR_FILE_UNSUPPORTED, module, "the bytes at %" PRIu64 " have to be computed", logical);
	unsigned copies = chunk_copies(p.chunk);
	const struct btrfs_stripe *s = x->chunks.stripes + p.chunk->first;
	if (has_parity(p.chunk))
		s += btrfs_row_stripe(p.chunk, p.row, p.column);
	else
		s = nth_copy(x, s + p.column * copies, copies, mirror);
	const struct btrfs_device *d = &x->devices[s->dev];
	r = btrfs_device_usable(d, use, e);
	if (r < 0)
		return r;
	uint64_t phys;
	if (!u64_add(s->phys, p.row * BTRFS_STRIPE_LEN + p.in, &phys) || phys >= d->blk->size)
		return err_set(e, ERR_FILE_CORRUPT, module,
		               "the address %" PRIu64 " lies behind the end of device %" PRIu64, logical, d->devid);
	*ret = (struct btrfs_place){.dev = d, .phys = phys, .len = min_u64(len, p.room)};
	return 0;
}

/* The first of the bytes, as many as lie together: *ret. */
static int read_part(struct btrfs_fs *x, uint64_t logical, unsigned mirror, enum btrfs_use use, uint8_t *to, size_t len,
                     size_t *ret, struct err *e)
{
	struct place p;
	int r = locate(x, logical, &p, e);
	if (r < 0)
		return r;
	if (has_parity(p.chunk) && mirror > 0) {
		*ret = (size_t)min_u64(len, p.room);
		return btrfs_row_compute(x, p.chunk, p.row, p.column, p.in, mirror - 1, to, *ret, e);
	}
	struct btrfs_place at;
	r = btrfs_map(x, logical, len, mirror, use, &at, e);
	if (r < 0)
		return r;
	*ret = (size_t)at.len;
	return btrfs_device_read(at.dev, at.phys, use, to, *ret, e);
}

int btrfs_read_mirror(struct btrfs_fs *x, uint64_t logical, unsigned mirror, enum btrfs_use use, void *to, size_t len,
                      struct err *e)
{
	for (uint8_t *p = to; len > 0;) {
		size_t n = 0;
		int r = read_part(x, logical, mirror, use, p, len, &n, e);
		if (r < 0)
			return r;
		p += n;
		logical += n;
		len -= n;
	}
	return 0;
}
