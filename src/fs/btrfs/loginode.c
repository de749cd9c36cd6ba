#include "fs/btrfs/log.h"

#include <inttypes.h>

static const char *const module = "btrfs";

enum { AT_GENERATION = 0, AT_SIZE = 16, AT_NBYTES = 24, AT_NLINK = 40 };

static int damaged(uint64_t ino, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " of the log is damaged", ino);
}

static void put_u64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

/* --- attributes ----------------------------------------------------------------------------------- */

/* One item of attributes without those the log does not have. */
static int prune_attrs(struct btrfs_replay *r, struct btrfs_key key, struct err *e)
{
	int there = btrfs_replay_get(r, key, e);
	int logged = there == 1 ? btrfs_replay_log_get(r, key, e) : 0;
	if (there < 0 || logged < 0)
		return there < 0 ? there : logged;
	if (logged == 0)
		return btrfs_replay_put(r, key, NULL, 0, e);
	struct btrfs_entry n, same;
	for (size_t at = 0; btrfs_entry_next(r->item.data, r->item.len, &at, &n) == 1;) {
		struct btrfs_name name = {.len = n.name_len};
		memcpy(name.bytes, n.name, n.name_len);
		if (btrfs_entry_find(&r->other, &name, &same))
			continue;
		at -= n.size;
		int bad = btrfs_replay_cut(r, key, at, n.size, e);
		if (bad < 0)
			return bad;
	}
	return 0;
}

static int xattr_deletes(struct btrfs_replay *r, uint64_t ino, struct err *e)
{
	struct btrfs_key key = {ino, BTRFS_XATTR_ITEM, 0};
	for (;;) {
		int there = btrfs_seek(&r->c, r->x, &r->fs, key, e);
		if (there != 1 || r->c.key.objectid != ino || r->c.key.type != BTRFS_XATTR_ITEM)
			return there < 0 ? there : 0;
		key = r->c.key;
		int bad = prune_attrs(r, key, e);
		if (bad < 0 || key.offset == UINT64_MAX)
			return bad;
		key.offset++;
	}
}

/* --- inodes --------------------------------------------------------------------------------------- */

/* r->item holds what the subvolume has, if `there`; makes of it what recovery would. */
static int merge_inode(struct btrfs_replay *r, struct btrfs_key key, bool there, const uint8_t *item, struct err *e)
{
	struct btrfs_inode now, log;
	uint8_t merged[BTRFS_INODE_ITEM_SIZE];
	if (!btrfs_inode_decode(item, BTRFS_INODE_ITEM_SIZE, &log))
		return damaged(key.objectid, e);
	there = there && btrfs_inode_decode(r->item.data, r->item.len, &now);
	enum fs_type type = fs_type_from_mode(log.mode);
	bool only_exists = get_le64(item + AT_GENERATION) == 0;
	memcpy(merged, item, sizeof(merged));
	if (there && only_exists) {
		/* Only that it exists was logged; size 0 then says nothing. */
		memcpy(merged, r->item.data, sizeof(merged));
		if (type == FS_FILE && log.size != 0)
			put_u64(merged + AT_SIZE, log.size);
	}
	put_u64(merged + AT_NBYTES, there ? now.nbytes : 0);
	return btrfs_replay_put(r, key, merged, sizeof(merged), e);
}

/* What lies behind the end of the file was there only for the subvolume's older state. */
static int cut_tail(struct btrfs_replay *r, struct btrfs_key key, struct err *e)
{
	struct btrfs_inode in;
	int there = btrfs_replay_get(r, key, e);
	if (there != 1 || !btrfs_inode_decode(r->item.data, r->item.len, &in) || fs_type_from_mode(in.mode) != FS_FILE)
		return there < 0 ? there : 0;
	uint64_t up = r->x->sb.sector - 1;
	return in.size > UINT64_MAX - up ? 0 : btrfs_replay_drop(r, key.objectid, (in.size + up) & ~up, UINT64_MAX, e);
}

int btrfs_replay_inode(struct btrfs_replay *r, uint64_t ino, const uint8_t *item, size_t len, struct err *e)
{
	struct btrfs_key key = {ino, BTRFS_INODE_ITEM, 0};
	if (len < BTRFS_INODE_ITEM_SIZE)
		return damaged(ino, e);
	int bad = xattr_deletes(r, ino, e);
	if (bad == 0 && fs_type_from_mode(get_le32(item + 52)) == FS_DIRECTORY)
		bad = btrfs_replay_dir_deletes(r, ino, false, e);
	int there = bad ? bad : btrfs_replay_get(r, key, e);
	if (there < 0)
		return there;
	bad = merge_inode(r, key, there, item, e);
	if (bad == 0)
		bad = cut_tail(r, key, e);
	return bad ? bad : btrfs_replay_touch(r, ino, e);
}

/* --- counting ------------------------------------------------------------------------------------- */

struct count {
	uint32_t links;
	uint64_t names, bytes;           /* twice the length of all entries' names; of all extents */
};

static void count_item(struct btrfs_replay *r, struct count *n)
{
	const struct btrfs_cursor *c = &r->c;
	struct btrfs_ref ref;
	struct btrfs_entry entry;
	struct btrfs_extent ext;
	struct err why = ERR_INIT;
	size_t at = 0;
	switch (c->key.type) {
	case BTRFS_INODE_REF:
	case BTRFS_INODE_EXTREF:
		while (btrfs_ref_next(c->key, c->data, c->len, &at, &ref) == 1)
			n->links++;
		break;
	case BTRFS_DIR_INDEX:
		if (btrfs_entry_next(c->data, c->len, &at, &entry) == 1)
			n->names += 2 * entry.name_len;
		break;
	case BTRFS_EXTENT_DATA:
		if (btrfs_extent_decode(&r->x->sb, &c->key, c->data, c->len, &ext, &why) == 0)
			n->bytes += ext.type == BTRFS_INLINE ? ext.ram : ext.logical ? ext.len : 0;
		break;
	default: break;
	}
}

static int count_inode(struct btrfs_replay *r, uint64_t ino, struct count *ret, struct err *e)
{
	*ret = (struct count){0};
	int there = btrfs_seek(&r->c, r->x, &r->fs, (struct btrfs_key){ino, BTRFS_INODE_REF, 0}, e);
	while (there == 1 && r->c.key.objectid == ino) {
		count_item(r, ret);
		there = btrfs_next(&r->c, e);
	}
	return there < 0 ? there : 0;
}

static int recount(struct btrfs_replay *r, uint64_t ino, bool *ret_gone, struct err *e)
{
	struct btrfs_key key = {ino, BTRFS_INODE_ITEM, 0};
	struct btrfs_inode in;
	struct count n;
	*ret_gone = false;
	int bad = count_inode(r, ino, &n, e);
	int there = bad ? bad : btrfs_replay_get(r, key, e);
	if (there != 1 || !btrfs_inode_decode(r->item.data, r->item.len, &in))
		return there < 0 ? there : 0;
	enum fs_type type = fs_type_from_mode(in.mode);
	put_le32(r->item.data + AT_NLINK, n.links);
	if (type == FS_DIRECTORY)
		put_u64(r->item.data + AT_SIZE, n.names);
	else
		put_u64(r->item.data + AT_NBYTES, n.bytes);
	*ret_gone = type == FS_DIRECTORY && n.links == 0 && n.names > 0;
	return btrfs_replay_put(r, key, r->item.data, r->item.len, e);
}

/* One round over all that was touched; *ret_more: a directory without a name gave up its entries. */
static int count_round(struct btrfs_replay *r, bool *ret_more, struct err *e)
{
	const struct btrfs_layer_item *it;
	*ret_more = false;
	for (struct btrfs_key key = {0}; (it = btrfs_overlay_ge(r->touched, &key)); key.objectid++) {
		bool gone;
		key.objectid = it->key.objectid;
		int bad = recount(r, key.objectid, &gone, e);
		if (bad == 0 && gone)
			bad = btrfs_replay_dir_deletes(r, key.objectid, true, e);
		if (bad < 0)
			return bad;
		*ret_more |= gone;
	}
	return 0;
}

int btrfs_replay_count(struct btrfs_replay *r, struct err *e)
{
	enum { ROUNDS = 100 };
	bool more = true;
	for (unsigned i = 0; i < ROUNDS && more; i++) {
		int bad = count_round(r, &more, e);
		if (bad < 0)
			return bad;
	}
	return 0;
}
