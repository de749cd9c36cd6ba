#include "fs/btrfs/btrfs.h"

#include <inttypes.h>

static const char *const module = "btrfs";

static int damaged(const struct btrfs_key *key, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "the extent at %" PRIu64 " of inode %" PRIu64 " is damaged",
	               key->offset, key->objectid);
}

static bool inline_ok(const struct btrfs_super *sb, const uint8_t *p, size_t len, struct btrfs_extent *x)
{
	x->data = p + BTRFS_INLINE_HEAD;
	x->data_len = len - BTRFS_INLINE_HEAD;
	uint64_t bytes = x->packing ? x->ram : x->data_len;
	if (x->start != 0 || bytes > BTRFS_PACKED_MAX)
		return false;
	x->len = bytes ? (bytes + sb->sector - 1) / sb->sector * sb->sector : sb->sector;
	return true;
}

static bool regular_ok(const struct btrfs_super *sb, const uint8_t *p, size_t len, struct btrfs_extent *x)
{
	uint64_t end, inner, last;
	if (len < BTRFS_EXTENT_ITEM_SIZE)
		return false;
	x->logical = get_le64(p + 21);
	x->disk_len = get_le64(p + 29);
	x->offset = get_le64(p + 37);
	x->len = get_le64(p + 45);
	if ((x->start | x->len | x->logical | x->disk_len | x->offset) % sb->sector || x->len == 0 ||
	    !u64_add(x->start, x->len, &end) || !u64_add(x->offset, x->len, &inner) ||
	    !u64_add(x->logical, x->disk_len, &last))
		return false;
	if (x->logical == 0)
		return true;
	if (x->packing == BTRFS_PLAIN)
		return inner <= x->disk_len;
	return x->disk_len > 0 && x->disk_len <= BTRFS_PACKED_MAX && x->ram <= BTRFS_PACKED_MAX && inner <= x->ram;
}

int btrfs_extent_decode(const struct btrfs_super *sb, const struct btrfs_key *key, const uint8_t *p, size_t len,
                        struct btrfs_extent *ret, struct err *e)
{
	if (len < BTRFS_INLINE_HEAD)
		return damaged(key, e);
	struct btrfs_extent x = {
		.start = key->offset,
		.ram = get_le64(p + 8),
		.packing = p[16],
		.encoded = p[17] || get_le16(p + 18),
		.type = p[20],
	};
	bool ok = x.type == BTRFS_INLINE ? inline_ok(sb, p, len, &x) : x.type <= BTRFS_PREALLOC;
	if (ok && x.type != BTRFS_INLINE)
		ok = regular_ok(sb, p, len, &x);
	if (!ok)
		return damaged(key, e);
	*ret = x;
	return 0;
}

static bool is_extent(const struct btrfs_cursor *c, uint64_t ino)
{
	return c->key.objectid == ino && c->key.type == BTRFS_EXTENT_DATA;
}

int btrfs_extent_at(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, uint64_t ino, uint64_t off,
                    uint64_t end, struct btrfs_extent *ret, struct err *e)
{
	int r = btrfs_seek_le(c, x, t, (struct btrfs_key){ino, BTRFS_EXTENT_DATA, off}, e);
	if (r < 0)
		return r;
	if (r == 1 && is_extent(c, ino)) {
		struct btrfs_extent found;
		r = btrfs_extent_decode(&x->sb, &c->key, c->data, c->len, &found, e);
		if (r < 0)
			return r;
		if (off - found.start < found.len) {
			*ret = found;
			return 0;
		}
		r = 1;
	}
	if (r == 1)
		r = btrfs_next(c, e);
	if (r < 0)
		return r;
	uint64_t until = r == 1 && is_extent(c, ino) ? min_u64(c->key.offset, end) : end;
	*ret = (struct btrfs_extent){.start = off, .len = until - off, .type = BTRFS_REGULAR};
	return 0;
}
