#include "fs/btrfs/btrfs.h"

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

static bool sensible(const struct btrfs_super *sb, const struct btrfs_chunk *c, uint64_t stripe_len)
{
	uint64_t end;
	unsigned least = 1;
	if (c->profile & (BTRFS_RAID1 | BTRFS_DUP | BTRFS_RAID5))
		least = 2;
	if (c->profile & (BTRFS_RAID1C3 | BTRFS_RAID6))
		least = 3;
	if (c->profile & BTRFS_RAID1C4)
		least = 4;
	if ((c->profile & BTRFS_RAID10) && (c->sub_stripes != 2 || c->stripes % 2))
		return false;
	if (c->profile == 0 && c->stripes != 1)
		return false;
	if (c->len == 0 || (c->len | c->logical) % sb->sector || !u64_add(c->logical, c->len, &end))
		return false;
	return (c->profile & (c->profile - 1)) == 0 && stripe_len == BTRFS_STRIPE_LEN && c->stripes >= least;
}

/* Index of the first chunk that ends behind logical. */
static size_t chunk_index(const struct btrfs_chunks *c, uint64_t logical)
{
	size_t lo = 0, hi = c->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c->list[mid].logical + c->list[mid].len > logical)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
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
	for (unsigned i = 0; i < ch.stripes; i++) {
		const uint8_t *s = item + CHUNK_HEAD + (size_t)i * STRIPE;
		c->stripes[c->stripe_count + i] = (struct btrfs_stripe){.devid = get_le64(s), .phys = get_le64(s + 8)};
	}
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
	return r < 0 ? r : 0;
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

unsigned btrfs_mirrors(const struct btrfs_fs *x, uint64_t logical)
{
	const struct btrfs_chunk *c = chunk_of(x, logical);
	if (!c)
		return 0;
	if (c->profile & (BTRFS_RAID1 | BTRFS_RAID1C3 | BTRFS_RAID1C4 | BTRFS_DUP))
		return c->stripes;
	return c->profile & BTRFS_RAID10 ? 2 : 1;
}

int btrfs_map(const struct btrfs_fs *x, uint64_t logical, uint64_t len, unsigned mirror, uint64_t *ret_phys,
              uint64_t *ret_len, struct err *e)
{
	const struct btrfs_chunk *c = chunk_of(x, logical);
	if (!c)
		return err_set(e, ERR_FILE_CORRUPT, module, "no chunk holds the address %" PRIu64, logical);
	if (c->profile & (BTRFS_RAID5 | BTRFS_RAID6))
		return err_set(e, ERR_FILE_UNSUPPORTED, module, "bytes in the profile raid5 or raid6 cannot be read");
	uint64_t off = logical - c->logical, room = c->len - off;
	uint64_t index = mirror;
	if (c->profile & (BTRFS_RAID0 | BTRFS_RAID10)) {
		unsigned copies = c->profile & BTRFS_RAID10 ? 2 : 1, columns = c->stripes / copies;
		uint64_t nr = off / BTRFS_STRIPE_LEN, in = off % BTRFS_STRIPE_LEN;
		index = nr % columns * copies + mirror;
		off = nr / columns * BTRFS_STRIPE_LEN + in;
		room = min_u64(room, BTRFS_STRIPE_LEN - in);
	}
	const struct btrfs_stripe *s = &x->chunks.stripes[c->first + index];
	if (s->devid != x->sb.devid)
		return err_set(e, ERR_VOLUME_INCOMPLETE, module, "the bytes lie on device %" PRIu64
		               " of this btrfs, which is not at hand (this one is device %" PRIu64 ")",
		               s->devid, x->sb.devid);
	uint64_t phys;
	if (!u64_add(s->phys, off, &phys) || phys >= x->fs.blk->size)
		return err_set(e, ERR_FILE_CORRUPT, module,
		               "the address %" PRIu64 " lies behind the end of the device", logical);
	*ret_phys = phys;
	*ret_len = min_u64(len, room);
	return 0;
}

int btrfs_read_mirror(struct btrfs_fs *x, uint64_t logical, unsigned mirror, void *to, size_t len, struct err *e)
{
	for (uint8_t *p = to; len > 0;) {
		uint64_t phys, n;
		int r = btrfs_map(x, logical, len, mirror, &phys, &n, e);
		if (r < 0)
			return r;
		if (!range_inside(phys, n, x->fs.blk->size))
			return err_set(e, ERR_FILE_CORRUPT, module,
			               "the address %" PRIu64 " lies behind the end of the device", logical);
		r = blk_read(x->fs.blk, phys, p, (size_t)n, e);
		if (r < 0)
			return r;
		p += n;
		logical += n;
		len -= (size_t)n;
	}
	return 0;
}
