/* The log tree of btrfs: what fsync(2) wrote since the last commit.
 *
 *	log.c        the logs of all subvolumes, the order of things
 *	loginode.c   inodes, attributes, what is counted at the end
 *	logname.c    names: taking away and adding; logref.c: names as the log has them
 *	logextent.c  extents
 *
 * Recovery is a rewriting of the subvolume's tree by the log's items. Here it writes into overlays in memory
 * (struct btrfs_overlay), which stand before the trees for every reader; the image is not touched.
 *
 * The log of one inode tells all of it or, for one that was only touched by a neighbour's fsync, that it is
 * there. Three passes over the items, as the kernel's recovery makes them: inodes (with what they lost), then
 * the entries of directories, then references, attributes and extents.
 */
#ifndef FS_BTRFS_LOG_H
#define FS_BTRFS_LOG_H

#include "fs/btrfs/btrfs.h"

enum { BTRFS_LOGS_MAX = 4096 };

/* The replay of one subvolume's log. */
struct btrfs_replay {
	struct btrfs_fs *x;
	struct btrfs_tree fs, log;       /* fs: with its overlay */
	struct btrfs_overlay *touched;   /* a set of inodes to be counted again: (inode, 0, 0) */
	struct buf item, other;          /* an item of fs, one of the log */
	struct btrfs_cursor c;
};

/* Replays when there is a log. What cannot be replayed is left out as a whole and said with fs_warn(). */
int btrfs_log_replay(struct btrfs_fs *x, struct err *e);
void btrfs_log_drop(struct btrfs_fs *x);

/* log.c */
/* Copies the item of exactly this key: 1 there, 0 not. Of the subvolume into r->item, of the log into r->other. */
int btrfs_replay_get(struct btrfs_replay *r, struct btrfs_key key, struct err *e);
int btrfs_replay_log_get(struct btrfs_replay *r, struct btrfs_key key, struct err *e);
/* data NULL or len 0: takes the item away. */
int btrfs_replay_put(struct btrfs_replay *r, struct btrfs_key key, const void *data, size_t len, struct err *e);
int btrfs_replay_touch(struct btrfs_replay *r, uint64_t ino, struct err *e);
/* r->item without the bytes [at, at + len) becomes the item. */
int btrfs_replay_cut(struct btrfs_replay *r, struct btrfs_key key, size_t at, size_t len, struct err *e);

/* loginode.c */
int btrfs_replay_inode(struct btrfs_replay *r, uint64_t ino, const uint8_t *item, size_t len, struct err *e);
/* Links, sizes and bytes of all that was touched. */
int btrfs_replay_count(struct btrfs_replay *r, struct err *e);

/* logname.c */
struct btrfs_name {
	uint8_t bytes[BTRFS_NAME_MAX];
	size_t len;
};
/* One name of an inode: from an INODE_REF or INODE_EXTREF item. */
struct btrfs_ref {
	uint64_t parent, index;
	struct btrfs_name name;
	size_t at, size;                 /* of it in its item */
};
/* The reference at *at, *at then behind it. 1 there, 0 the end, -1 the item is damaged. */
int btrfs_ref_next(struct btrfs_key key, const uint8_t *p, size_t len, size_t *at, struct btrfs_ref *ret);
/* The entry of this name in an item of directory entries: 1 there, 0 not. */
int btrfs_entry_find(const struct buf *item, const struct btrfs_name *name, struct btrfs_entry *ret);
struct btrfs_key btrfs_dir_item_key(uint64_t dir, const struct btrfs_name *name);
struct btrfs_key btrfs_extref_key(uint64_t ino, uint64_t parent, const struct btrfs_name *name);
/* Takes the name out of the directory and out of the inode it leads to. index: where it stands in the listing, 0 for
 * what the inode says. */
int btrfs_replay_unlink(struct btrfs_replay *r, uint64_t dir, const struct btrfs_name *name, uint64_t index,
                        struct err *e);
/* Adds the name to the directory; with_ref: to the inode too. */
int btrfs_replay_link(struct btrfs_replay *r, uint64_t dir, const struct btrfs_name *name, uint64_t index, uint64_t ino,
                      bool with_ref, struct err *e);
/* Takes away what the log says is gone; all: everything. */
int btrfs_replay_dir_deletes(struct btrfs_replay *r, uint64_t dir, bool all, struct err *e);

/* logref.c */
int btrfs_replay_entry(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e);
int btrfs_replay_refs(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e);

/* logextent.c */
int btrfs_replay_drop(struct btrfs_replay *r, uint64_t ino, uint64_t start, uint64_t end, struct err *e);
int btrfs_replay_extent(struct btrfs_replay *r, struct btrfs_key key, const uint8_t *item, size_t len, struct err *e);

#endif
