#include "fs/btrfs/log.h"

static int exists(struct btrfs_replay *r, uint64_t ino, struct err *e)
{
	return btrfs_replay_get(r, (struct btrfs_key){ino, BTRFS_INODE_ITEM, 0}, e);
}

static bool same_name(const struct btrfs_name *a, const struct btrfs_name *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Does an item of references have the name? */
static bool has_ref(struct btrfs_key key, const uint8_t *p, size_t len, uint64_t parent, const struct btrfs_name *name)
{
	struct btrfs_ref ref;
	size_t at = 0;
	while (btrfs_ref_next(key, p, len, &at, &ref) == 1)
		if (ref.parent == parent && same_name(&ref.name, name))
			return true;
	return false;
}

static int ref_in_log(struct btrfs_replay *r, uint64_t ino, uint64_t parent, const struct btrfs_name *name,
                      struct err *e)
{
	struct btrfs_key keys[] = {{ino, BTRFS_INODE_REF, parent}, btrfs_extref_key(ino, parent, name)};
	for (unsigned i = 0; i < 2; i++) {
		int there = btrfs_replay_log_get(r, keys[i], e);
		if (there < 0 || (there == 1 && has_ref(keys[i], r->other.data, r->other.len, parent, name)))
			return there;
	}
	return 0;
}

/* --- entries of directories ----------------------------------------------------------------------- */

/* The name as the item at key has it: 1 if it leads to what `want` leads to, 0 if not there or elsewhere; then it is
 * taken away, when something can take its place. */
static int settle(struct btrfs_replay *r, struct btrfs_key key, const struct btrfs_name *name,
                  const struct btrfs_entry *want, bool replace, struct err *e)
{
	struct btrfs_entry n;
	int there = btrfs_replay_get(r, key, e);
	if (there != 1 || !btrfs_entry_find(&r->item, name, &n))
		return there < 0 ? there : 0;
	if (btrfs_key_cmp(&n.to, &want->to) == 0 && n.type == want->type)
		return 1;
	if (!replace)
		return 0;
	return btrfs_replay_unlink(r, key.objectid, name, key.type == BTRFS_DIR_INDEX ? key.offset : 0, e);
}

int btrfs_replay_entry(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e)
{
	struct btrfs_entry n;
	size_t at = 0;
	int there = exists(r, key.objectid, e);
	if (there != 1 || btrfs_entry_next(item, len, &at, &n) != 1)
		return there < 0 ? there : 0;
	struct btrfs_name name = {.len = n.name_len};
	memcpy(name.bytes, n.name, n.name_len);
	there = n.to.type == BTRFS_INODE_ITEM ? exists(r, n.to.objectid, e) : 0;
	if (there < 0)
		return there;
	int by_name = settle(r, btrfs_dir_item_key(key.objectid, &name), &name, &n, there, e);
	int by_index = by_name < 0 ? by_name : settle(r, key, &name, &n, there, e);
	if (by_index < 0 || (by_name == 1 && by_index == 1))
		return by_index < 0 ? by_index : 0;
	/* A reference that the log has too adds the name later. */
	int later = there ? ref_in_log(r, n.to.objectid, key.objectid, &name, e) : 1;
	if (later)
		return later < 0 ? later : 0;
	if (by_name == 1 || by_index == 1) {
		int bad = btrfs_replay_unlink(r, key.objectid, &name, by_index == 1 ? key.offset : 0, e);
		if (bad < 0)
			return bad;
	}
	return btrfs_replay_link(r, key.objectid, &name, key.offset, n.to.objectid, true, e);
}

/* --- references ----------------------------------------------------------------------------------- */

/* Is the name in the directory already, by hash and at its place? */
static int is_linked(struct btrfs_replay *r, uint64_t ino, const struct btrfs_ref *ref, struct err *e)
{
	struct btrfs_key keys[] = {
		{ref->parent, BTRFS_DIR_INDEX, ref->index},
		btrfs_dir_item_key(ref->parent, &ref->name),
	};
	for (unsigned i = 0; i < 2; i++) {
		struct btrfs_entry n;
		int there = btrfs_replay_get(r, keys[i], e);
		if (there != 1 || !btrfs_entry_find(&r->item, &ref->name, &n) || n.to.objectid != ino)
			return there < 0 ? there : 0;
	}
	return 1;
}

/* Takes away the names of the subvolume's item that neither the log nor `keep` (an item of the log) has. */
static int drop_old_names(struct btrfs_replay *r, struct btrfs_key key, uint64_t parent, const uint8_t *keep,
                          size_t keep_len, struct err *e)
{
	struct btrfs_ref ref;
	for (size_t at = 0;;) {
		int there = btrfs_replay_get(r, key, e);
		if (there != 1 || btrfs_ref_next(key, r->item.data, r->item.len, &at, &ref) != 1)
			return there < 0 ? there : 0;
		if ((parent && ref.parent != parent) || (keep && has_ref(key, keep, keep_len, ref.parent, &ref.name)))
			continue;
		int logged = keep ? 0 : ref_in_log(r, key.objectid, ref.parent, &ref.name, e);
		if (logged < 0)
			return logged;
		if (logged)
			continue;
		int bad = btrfs_replay_unlink(r, ref.parent, &ref.name, ref.index, e);
		if (bad < 0)
			return bad;
		/* It is gone from the item too, unless the directory had another idea of it: then walk past. */
		there = btrfs_replay_get(r, key, e);
		if (there < 0)
			return there;
		if (there == 0 || !has_ref(key, r->item.data, r->item.len, ref.parent, &ref.name))
			at = ref.at;
	}
}

/* Whatever stands at the name's place. */
static int clear_place(struct btrfs_replay *r, const struct btrfs_ref *ref, struct err *e)
{
	struct btrfs_key key = {ref->parent, BTRFS_DIR_INDEX, ref->index};
	struct btrfs_entry n;
	size_t at = 0;
	int there = btrfs_replay_get(r, key, e), bad = 0;
	if (there == 1 && btrfs_entry_next(r->item.data, r->item.len, &at, &n) == 1) {
		struct btrfs_name name = {.len = n.name_len};
		memcpy(name.bytes, n.name, n.name_len);
		bad = btrfs_replay_unlink(r, ref->parent, &name, ref->index, e);
	}
	if (there < 0 || bad < 0)
		return there < 0 ? there : bad;
	return btrfs_replay_unlink(r, ref->parent, &ref->name, 0, e);
}

static int add_name(struct btrfs_replay *r, uint64_t ino, const struct btrfs_ref *ref, struct err *e)
{
	int bad = drop_old_names(r, (struct btrfs_key){ino, BTRFS_INODE_REF, ref->parent}, ref->parent, NULL, 0, e);
	if (bad == 0)
		bad = drop_old_names(r, btrfs_extref_key(ino, ref->parent, &ref->name), ref->parent, NULL, 0, e);
	if (bad == 0)
		bad = clear_place(r, ref, e);
	return bad ? bad : btrfs_replay_link(r, ref->parent, &ref->name, ref->index, ino, false, e);
}

int btrfs_replay_refs(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e)
{
	struct btrfs_ref ref;
	size_t at = 0;
	/* The root directory's reference is to itself. */
	int there = key.objectid == key.offset && key.type == BTRFS_INODE_REF ? 0 : exists(r, key.objectid, e);
	while (there == 1 && btrfs_ref_next(key, item, len, &at, &ref) == 1) {
		int parent = exists(r, ref.parent, e);
		if (parent < 0 || (parent == 0 && key.type == BTRFS_INODE_REF))
			return parent;
		int linked = parent ? is_linked(r, key.objectid, &ref, e) : 1;
		int bad = linked == 0 ? add_name(r, key.objectid, &ref, e) : 0;
		if (linked < 0 || bad < 0)
			return linked < 0 ? linked : bad;
	}
	if (there != 1)
		return there;
	int bad = drop_old_names(r, key, 0, item, len, e);
	if (bad == 0)
		bad = btrfs_replay_put(r, key, item, len, e);
	return bad ? bad : btrfs_replay_touch(r, key.objectid, e);
}
