#include "fs/btrfs/log.h"

enum { AT_OFFSET = 37, AT_LEN = 45 };

static void put_u64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

/* The part [from, from + len) of an extent, an item of its own. */
static int put_part(struct btrfs_replay *r, struct btrfs_key key, const struct btrfs_extent *x, const uint8_t *item,
                    uint64_t from, uint64_t len, struct err *e)
{
	uint8_t part[BTRFS_EXTENT_ITEM_SIZE];
	memcpy(part, item, sizeof(part));
	put_u64(part + AT_OFFSET, x->offset + (from - x->start));
	put_u64(part + AT_LEN, len);
	key.offset = from;
	return btrfs_replay_put(r, key, part, sizeof(part), e);
}

/* Takes [start, end) out of the extent whose item is in r->item. */
static int cut_extent(struct btrfs_replay *r, struct btrfs_key key, const struct btrfs_extent *x, uint64_t start,
                      uint64_t end, struct err *e)
{
	uint64_t stop = x->start + x->len;
	uint8_t item[BTRFS_EXTENT_ITEM_SIZE];
	if (x->type == BTRFS_INLINE)
		return start > x->start ? 0 : btrfs_replay_put(r, key, NULL, 0, e);
	memcpy(item, r->item.data, sizeof(item));
	int bad = x->start < start ? put_part(r, key, x, item, x->start, start - x->start, e) :
	                             btrfs_replay_put(r, key, NULL, 0, e);
	if (bad == 0 && stop > end)
		bad = put_part(r, key, x, item, end, stop - end, e);
	return bad;
}

/* The extent that covers `at`, or the first behind it: 1 there, *ret_key its key. */
static int extent_from(struct btrfs_replay *r, uint64_t ino, uint64_t at, struct btrfs_key *ret_key,
                       struct btrfs_extent *ret, struct err *e)
{
	struct btrfs_key key = {ino, BTRFS_EXTENT_DATA, at};
	int there = btrfs_seek_le(&r->c, r->x, &r->fs, key, e);
	bool back = there == 1 && r->c.key.objectid == ino && r->c.key.type == BTRFS_EXTENT_DATA;
	for (unsigned i = 0; i < 2 && there >= 0; i++, back = false) {
		if (!back)
			there = btrfs_seek(&r->c, r->x, &r->fs, key, e);
		if (there != 1 || r->c.key.objectid != ino || r->c.key.type != BTRFS_EXTENT_DATA)
			return there < 0 ? there : 0;
		int bad = btrfs_extent_decode(&r->x->sb, &r->c.key, r->c.data, r->c.len, ret, e);
		if (bad < 0)
			return bad;
		*ret_key = r->c.key;
		if (!back || ret->start + ret->len > at)
			return 1;
	}
	return there;
}

int btrfs_replay_drop(struct btrfs_replay *r, uint64_t ino, uint64_t start, uint64_t end, struct err *e)
{
	for (uint64_t at = start; at < end;) {
		struct btrfs_key key;
		struct btrfs_extent x;
		int there = extent_from(r, ino, at, &key, &x, e);
		if (there != 1 || x.start >= end)
			return there < 0 ? there : 0;
		int bad = btrfs_replay_get(r, key, e);
		if (bad == 1)
			bad = cut_extent(r, key, &x, start, end, e);
		if (bad < 0)
			return bad;
		at = x.start + x.len;
	}
	return 0;
}

int btrfs_replay_extent(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e)
{
	struct btrfs_extent x;
	int bad = btrfs_extent_decode(&r->x->sb, &key, item, len, &x, e);
	int there = bad ? bad : btrfs_replay_get(r, (struct btrfs_key){key.objectid, BTRFS_INODE_ITEM, 0}, e);
	if (there != 1)
		return there;
	bad = btrfs_replay_drop(r, key.objectid, x.start, x.start + x.len, e);
	/* A hole needs no item. */
	if (bad == 0 && (x.type == BTRFS_INLINE || x.logical || !(r->x->sb.incompat & BTRFS_NO_HOLES)))
		bad = btrfs_replay_put(r, key, item, len, e);
	return bad ? bad : btrfs_replay_touch(r, key.objectid, e);
}
