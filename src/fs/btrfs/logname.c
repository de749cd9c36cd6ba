#include "fs/btrfs/log.h"

enum { REF_HEAD = 10, EXTREF_HEAD = 18 };

int btrfs_ref_next(struct btrfs_key key, const uint8_t *p, size_t len, size_t *at, struct btrfs_ref *ret)
{
	bool ext = key.type == BTRFS_INODE_EXTREF;
	size_t head = ext ? EXTREF_HEAD : REF_HEAD;
	if (*at == len)
		return 0;
	if (!range_inside(*at, head, len))
		return -1;
	const uint8_t *d = p + *at;
	size_t n = get_le16(d + head - 2);
	if (n == 0 || n > BTRFS_NAME_MAX || !range_inside(*at + head, n, len))
		return -1;
	ret->parent = ext ? get_le64(d) : key.offset;
	ret->index = get_le64(d + head - 10);
	ret->name.len = n;
	memcpy(ret->name.bytes, d + head, n);
	ret->at = *at;
	ret->size = head + n;
	*at += ret->size;
	return 1;
}

int btrfs_entry_find(const struct buf *item, const struct btrfs_name *name, struct btrfs_entry *ret)
{
	size_t at = 0;
	while (btrfs_entry_next(item->data, item->len, &at, ret) == 1)
		if (ret->name_len == name->len && memcmp(ret->name, name->bytes, name->len) == 0)
			return 1;
	return 0;
}

struct btrfs_key btrfs_dir_item_key(uint64_t dir, const struct btrfs_name *name)
{
	return (struct btrfs_key){dir, BTRFS_DIR_ITEM, btrfs_name_hash(name->bytes, name->len)};
}

struct btrfs_key btrfs_extref_key(uint64_t ino, uint64_t parent, const struct btrfs_name *name)
{
	return (struct btrfs_key){ino, BTRFS_INODE_EXTREF, crc32c((uint32_t)parent, name->bytes, name->len)};
}

/* --- taking away ---------------------------------------------------------------------------------- */

/* Out of one item of references; *index is the place it had. 1: it was there. */
static int cut_ref(struct btrfs_replay *r, struct btrfs_key key, uint64_t dir, const struct btrfs_name *name,
                   uint64_t *index, struct err *e)
{
	struct btrfs_ref ref;
	size_t at = 0;
	int there = btrfs_replay_get(r, key, e);
	while (there == 1 && btrfs_ref_next(key, r->item.data, r->item.len, &at, &ref) == 1) {
		if (ref.parent != dir || ref.name.len != name->len ||
		    memcmp(ref.name.bytes, name->bytes, name->len) != 0)
			continue;
		*index = ref.index;
		int bad = btrfs_replay_cut(r, key, ref.at, ref.size, e);
		return bad < 0 ? bad : 1;
	}
	return there < 0 ? there : 0;
}

int btrfs_replay_unlink(struct btrfs_replay *r, uint64_t dir, const struct btrfs_name *name, uint64_t index,
                        struct err *e)
{
	struct btrfs_key key = btrfs_dir_item_key(dir, name);
	struct btrfs_entry n;
	int there = btrfs_replay_get(r, key, e);
	if (there < 0)
		return there;
	if (there == 1 && btrfs_entry_find(&r->item, name, &n)) {
		uint64_t ino = n.to.type == BTRFS_INODE_ITEM ? n.to.objectid : 0, at = 0;
		int bad = btrfs_replay_cut(r, key, (size_t)(n.start - r->item.data), n.size, e);
		if (bad == 0 && ino)
			bad = cut_ref(r, (struct btrfs_key){ino, BTRFS_INODE_REF, dir}, dir, name, &at, e);
		if (bad == 0 && ino)
			bad = cut_ref(r, btrfs_extref_key(ino, dir, name), dir, name, &at, e);
		if (bad >= 0 && ino)
			bad = btrfs_replay_touch(r, ino, e);
		if (bad < 0)
			return bad;
		index = at ? at : index;
	}
	int bad = index ? btrfs_replay_put(r, (struct btrfs_key){dir, BTRFS_DIR_INDEX, index}, NULL, 0, e) : 0;
	return bad ? bad : btrfs_replay_touch(r, dir, e);
}

/* --- adding --------------------------------------------------------------------------------------- */

static size_t make_entry(uint8_t *to, uint64_t ino, uint8_t type, const struct btrfs_name *name)
{
	memset(to, 0, BTRFS_DIR_ENTRY);
	put_le32(to, (uint32_t)ino);
	put_le32(to + 4, (uint32_t)(ino >> 32));
	to[8] = BTRFS_INODE_ITEM;
	put_le16(to + 27, (uint16_t)name->len);
	to[29] = type;
	memcpy(to + BTRFS_DIR_ENTRY, name->bytes, name->len);
	return BTRFS_DIR_ENTRY + name->len;
}

static uint8_t entry_type(uint32_t mode)
{
	static const uint8_t types[] = {
		[FS_FILE] = 1, [FS_DIRECTORY] = 2, [FS_CHAR] = 3, [FS_BLOCK] = 4, [FS_FIFO] = 5, [FS_SOCKET] = 6,
		[FS_SYMLINK] = 7,
	};
	return types[fs_type_from_mode(mode)];
}

/* Behind what the item has already. */
static int append(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *p, size_t len, struct err *e)
{
	int there = btrfs_replay_get(r, key, e);
	if (there < 0)
		return there;
	if (there == 0)
		buf_reset(&r->item);
	buf_add(&r->item, p, len);
	int bad = buf_ok(&r->item, "btrfs", e);
	return bad ? bad : btrfs_replay_put(r, key, r->item.data, r->item.len, e);
}

static int add_ref(struct btrfs_replay *r, uint64_t ino, uint64_t dir, const struct btrfs_name *name, uint64_t index,
                   struct err *e)
{
	uint8_t ref[EXTREF_HEAD + BTRFS_NAME_MAX];
	put_le32(ref, (uint32_t)dir);
	put_le32(ref + 4, (uint32_t)(dir >> 32));
	put_le32(ref + 8, (uint32_t)index);
	put_le32(ref + 12, (uint32_t)(index >> 32));
	put_le16(ref + 16, (uint16_t)name->len);
	memcpy(ref + EXTREF_HEAD, name->bytes, name->len);
	struct btrfs_key key = {ino, BTRFS_INODE_REF, dir};
	int there = btrfs_replay_get(r, key, e);
	if (there < 0)
		return there;
	/* What does not fit into a leaf any more goes the extended way. */
	if (there == 1 && r->item.len + REF_HEAD + name->len > r->x->sb.node - BTRFS_NODE_HEAD - BTRFS_ITEM)
		return append(r, btrfs_extref_key(ino, dir, name), ref, EXTREF_HEAD + name->len, e);
	return append(r, key, ref + EXTREF_HEAD - REF_HEAD, REF_HEAD + name->len, e);
}

int btrfs_replay_link(struct btrfs_replay *r, uint64_t dir, const struct btrfs_name *name, uint64_t index, uint64_t ino,
                      bool with_ref, struct err *e)
{
	uint8_t entry[BTRFS_DIR_ENTRY + BTRFS_NAME_MAX];
	struct btrfs_inode in;
	int there = btrfs_replay_get(r, (struct btrfs_key){ino, BTRFS_INODE_ITEM, 0}, e);
	if (there != 1 || !btrfs_inode_decode(r->item.data, r->item.len, &in))
		return there < 0 ? there : 0;
	size_t len = make_entry(entry, ino, entry_type(in.mode), name);
	int bad = append(r, btrfs_dir_item_key(dir, name), entry, len, e);
	if (bad == 0)
		bad = btrfs_replay_put(r, (struct btrfs_key){dir, BTRFS_DIR_INDEX, index}, entry, len, e);
	if (bad == 0 && with_ref)
		bad = add_ref(r, ino, dir, name, index, e);
	if (bad == 0)
		bad = btrfs_replay_touch(r, dir, e);
	return bad ? bad : btrfs_replay_touch(r, ino, e);
}

/* --- what a directory lost ------------------------------------------------------------------------ */

/* The entry at key stays when the log has it too. r->item is the subvolume's. */
static int delete_unlogged(struct btrfs_replay *r, struct btrfs_key key, bool all, struct err *e)
{
	struct btrfs_entry n, same;
	size_t at = 0;
	int there = btrfs_replay_get(r, key, e);
	if (there != 1 || btrfs_entry_next(r->item.data, r->item.len, &at, &n) != 1 || n.to.type != BTRFS_INODE_ITEM)
		return there < 0 ? there : 0;
	struct btrfs_name name = {.len = n.name_len};
	memcpy(name.bytes, n.name, n.name_len);
	int logged = all ? 0 : btrfs_replay_log_get(r, key, e);
	if (logged < 0)
		return logged;
	if (logged == 1 && btrfs_entry_find(&r->other, &name, &same))
		return 0;
	return btrfs_replay_unlink(r, key.objectid, &name, key.offset, e);
}

static int delete_range(struct btrfs_replay *r, uint64_t dir, uint64_t start, uint64_t end, bool all, struct err *e)
{
	struct btrfs_key key = {dir, BTRFS_DIR_INDEX, start};
	for (;;) {
		int there = btrfs_seek(&r->c, r->x, &r->fs, key, e);
		if (there != 1 || r->c.key.objectid != dir || r->c.key.type != BTRFS_DIR_INDEX || r->c.key.offset > end)
			return there < 0 ? there : 0;
		key = r->c.key;
		int bad = delete_unlogged(r, key, all, e);
		if (bad < 0 || key.offset == UINT64_MAX)
			return bad;
		key.offset++;
	}
}

int btrfs_replay_dir_deletes(struct btrfs_replay *r, uint64_t dir, bool all, struct err *e)
{
	if (all)
		return delete_range(r, dir, 0, UINT64_MAX, true, e);
	for (struct btrfs_key key = {dir, BTRFS_DIR_LOG_INDEX, 0};;) {
		/* The log speaks for the ranges it names; inside them what it does not have is gone. */
		int there = btrfs_seek(&r->c, r->x, &r->log, key, e);
		if (there != 1 || r->c.key.objectid != dir || r->c.key.type != BTRFS_DIR_LOG_INDEX || r->c.len < 8)
			return there < 0 ? there : 0;
		uint64_t start = r->c.key.offset, end = get_le64(r->c.data);
		int bad = delete_range(r, dir, start, end, false, e);
		if (bad < 0 || start == UINT64_MAX || end == UINT64_MAX)
			return bad;
		key.offset = (end > start ? end : start) + 1;
	}
}
