#include "fs/btrfs/btrfs.h"

#include <inttypes.h>

static const char *const module = "btrfs";

static struct fs_time time_decode(const uint8_t *p)
{
	return (struct fs_time){.sec = (int64_t)get_le64(p), .nsec = get_le32(p + 8)};
}

bool btrfs_inode_decode(const uint8_t *p, size_t len, struct btrfs_inode *ret)
{
	if (len < BTRFS_INODE_ITEM_SIZE)
		return false;
	ret->size = get_le64(p + 16);
	ret->nbytes = get_le64(p + 24);
	ret->nlink = get_le32(p + 40);
	ret->uid = get_le32(p + 44);
	ret->gid = get_le32(p + 48);
	ret->mode = get_le32(p + 52);
	ret->rdev = get_le64(p + 56);
	ret->flags = get_le64(p + 64);
	ret->atime = time_decode(p + 112);
	ret->ctime = time_decode(p + 124);
	ret->mtime = time_decode(p + 136);
	ret->otime = time_decode(p + 148);
	return fs_type_from_mode(ret->mode) != FS_UNKNOWN && ret->size <= INT64_MAX;
}

static int inode_read(struct btrfs_fs *x, const struct btrfs_tree *t, uint64_t ino, struct btrfs_inode *ret,
                      struct err *e)
{
	int r = btrfs_find(&x->inodes, x, t, (struct btrfs_key){ino, BTRFS_INODE_ITEM, 0}, e);
	if (r == 1 && btrfs_inode_decode(x->inodes.data, x->inodes.len, ret))
		return 0;
	if (r < 0)
		return r;
	return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu64 " of subvolume %" PRIu64 " is %s", ino, t->id,
	               r == 1 ? "damaged" : "not there");
}

/* Stands for a subvolume that is not in this snapshot: empty, owned by who owns the directory around it. */
static void make_stub(struct btrfs_inode *in)
{
	in->mode = 0040755;
	in->nlink = 1;
	in->size = in->nbytes = in->flags = 0;
}

int btrfs_inode_get(struct btrfs_fs *x, struct fs_id id, struct btrfs_tree *ret_tree, struct btrfs_inode *ret,
                    struct err *e)
{
	struct btrfs_inode in;
	uint64_t ino = id.ino & ~BTRFS_STUB;
	int r = btrfs_subvolume(x, id.tree, &x->inode_tree, e);
	if (r == 0)
		r = inode_read(x, &x->inode_tree, ino, &in, e);
	if (r < 0)
		return r;
	if (id.ino & BTRFS_STUB)
		make_stub(&in);
	in.id = id;
	*ret = in;
	if (ret_tree)
		*ret_tree = x->inode_tree;
	return 0;
}

int btrfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	enum { MINOR_BITS = 20 };
	struct btrfs_fs *x = btrfs_of(fs);
	struct btrfs_inode in;
	int r = btrfs_inode_get(x, id, NULL, &in, e);
	if (r < 0)
		return r;
	uint64_t up = x->sb.sector - 1;
	*ret = (struct fs_stat){
		.id = id,
		.type = fs_type_from_mode(in.mode),
		.valid = FS_HAS_MODE | FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_CTIME | FS_HAS_BTIME,
		.mode = in.mode & 07777,
		.uid = in.uid,
		.gid = in.gid,
		.nlink = in.nlink,
		.size = in.size,
		.allocated = in.nbytes > UINT64_MAX - up ? in.nbytes : (in.nbytes + up) & ~up,
		.mtime = in.mtime,
		.atime = in.atime,
		.ctime = in.ctime,
		.btime = in.otime,
		.compressed = in.flags & BTRFS_INODE_COMPRESS,
	};
	if (ret->type == FS_BLOCK || ret->type == FS_CHAR) {
		ret->rdev_major = (uint32_t)(in.rdev >> MINOR_BITS);
		ret->rdev_minor = (uint32_t)(in.rdev & (((uint64_t)1 << MINOR_BITS) - 1));
	}
	return 0;
}
