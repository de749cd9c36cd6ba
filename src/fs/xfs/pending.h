/* pending: what the log announces and nobody had carried out when the VM stopped. Recovery would; here it is put over what is read.
 *
 *	patch        a piece of a file's map. The later ones win.
 *	exchange     of the blocks of two files: each one's map speaks for the other in that range, as far as no patch does.
 *	attribute    set or removed: shown instead of what the attribute fork says of that name.
 */
#ifndef FS_XFS_PENDING_H
#define FS_XFS_PENDING_H

#include "fs/xfs/xfs.h"

enum {
	PENDING_PATCHES_MAX = 4096,
	PENDING_EXCHANGES_MAX = 16,
	PENDING_ATTRS_MAX = 64,
};

struct xfs_patch {
	uint64_t ino, lblk, len, fsb;
	enum xfs_fork fork;
	bool hole, unwritten;
};

struct xfs_exchange {
	uint64_t ino[2], lblk[2], size[2];
	uint32_t gen[2];
	uint64_t len;
	enum xfs_fork fork;
	bool set_sizes;
	bool written_only;           /* only where the first file has something written */
};

struct xfs_attr_change {
	uint64_t ino;
	uint8_t space;               /* as in an attribute's flags */
	bool sets;                   /* else there is to be none of that name */
	uint8_t name_len;
	uint32_t value_len;
	uint8_t bytes[];             /* name, value */
};

struct xfs_pending {
	struct xfs_patch patch[PENDING_PATCHES_MAX];
	uint32_t patches;
	struct xfs_exchange exchange[PENDING_EXCHANGES_MAX];
	struct xfs_map map[PENDING_EXCHANGES_MAX][2]; /* of its files, as stored */
	uint32_t exchanges, opened;
	struct xfs_attr_change *attr[PENDING_ATTRS_MAX];
	uint32_t attrs;
};

/* The lists grow while the log is replayed. */
int xfs_pending_patch(struct xfs_fs *x, const struct xfs_patch *patch, struct err *e);
int xfs_pending_exchange(struct xfs_fs *x, const struct xfs_exchange *exchange, struct err *e);
/* Takes the change over, also when it fails. */
int xfs_pending_attr(struct xfs_fs *x, struct xfs_attr_change *change, struct err *e);
/* When all else of the log is in its place. Exchanges that cannot be are warnings. */
int xfs_pending_open(struct xfs_fs *x, struct err *e);
void xfs_pending_free(struct xfs_fs *x);

/* The size an exchange gives, and the blocks that patches add and take. */
void xfs_pending_size(const struct xfs_fs *x, struct xfs_inode *in);
/* The last change of that name, NULL: none. */
const struct xfs_attr_change *xfs_pending_name(const struct xfs_fs *x, uint64_t ino, uint8_t space, const uint8_t *name,
                                               size_t len);
/* As xfs_map_run(): 1, or 0 where the stored map speaks for at most *max blocks from lblk on. */
int xfs_pending_run(struct xfs_map *m, uint64_t lblk, uint64_t *max, struct xfs_run *ret, struct err *e);

#endif
