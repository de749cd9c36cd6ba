#include "fs/ntfs/ntfs.h"

#include <stdlib.h>

enum { STD_LEN = 36, STD_LEN_V3 = 72 };

/* 100 ns since 1601, or before: the number is signed. */
static struct fs_time time_of(uint64_t t)
{
	enum { PER_SEC = 10000000 };
	const int64_t epoch_sec = 11644473600;       /* 1601 to 1970 */
	int64_t sec = (int64_t)t / PER_SEC, rest = (int64_t)t % PER_SEC;
	if (rest < 0) {
		sec--;
		rest += PER_SEC;
	}
	return (struct fs_time){.sec = sec - epoch_sec, .nsec = (uint32_t)rest * 100};
}

int ntfs_std_get(struct ntfs_inode *ino, struct ntfs_std *ret, struct err *e)
{
	struct ntfs_attr a;
	int r = ntfs_attr_find(ino, NTFS_AT_STANDARD_INFORMATION, NULL, 0, &a, e);
	if (r < 0)
		return r;
	if (r == 0 || !a.resident || a.value_len < STD_LEN)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "MFT record %llu has no valid $STANDARD_INFORMATION",
		               (unsigned long long)ino->no);
	*ret = (struct ntfs_std){
		.created = get_le64(a.value),
		.modified = get_le64(a.value + 8),
		.changed = get_le64(a.value + 16),
		.accessed = get_le64(a.value + 24),
		.dos_attrs = get_le32(a.value + 32),
		.security_id = a.value_len >= STD_LEN_V3 ? get_le32(a.value + 52) : 0,
	};
	return 0;
}

static int sizes(struct ntfs_inode *ino, const struct ntfs_kind *kind, struct fs_stat *st, struct err *e)
{
	struct ntfs_attr a;
	int r = ntfs_attr_find(ino, NTFS_AT_DATA, NULL, 0, &a, e);
	if (r <= 0)
		return r;
	st->size = a.size;
	st->allocated = a.stored;
	st->compressed = a.flags & NTFS_ATTR_COMPRESSED;
	st->encrypted = a.flags & NTFS_ATTR_ENCRYPTED;
	if (kind->tag != NTFS_TAG_WOF)
		return 0;
	static const char name[] = "WofCompressedData";
	uint8_t units[2 * (sizeof(name) - 1)];
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		put_le16(units + 2 * i, (uint8_t)name[i]);
	r = ntfs_attr_find(ino, NTFS_AT_DATA, units, sizeof(name) - 1, &a, e);
	if (r > 0) {
		st->allocated = a.stored;
		st->compressed = true;
	}
	return r;
}

/* The Windows Subsystem for Linux keeps owner and mode in extended attributes. */
static void wsl_attribute(struct fs_stat *st, const char *name, size_t name_len, const uint8_t *value, size_t len)
{
	if (name_len != 6 || len < 4)
		return;
	if (memcmp(name, "$LXMOD", 6) == 0) {
		st->mode = get_le32(value) & 07777;
		st->valid |= FS_HAS_MODE;
	} else if (memcmp(name, "$LXUID", 6) == 0) {
		st->uid = get_le32(value);
	} else if (memcmp(name, "$LXGID", 6) == 0) {
		st->gid = get_le32(value);
	} else if (memcmp(name, "$LXDEV", 6) == 0 && len >= 8 && (st->type == FS_BLOCK || st->type == FS_CHAR)) {
		st->rdev_major = get_le32(value);
		st->rdev_minor = get_le32(value + 4);
	}
}

static int wsl(struct ntfs_inode *ino, struct fs_stat *st, struct err *e)
{
	struct ntfs_attr a;
	int r = ntfs_attr_find(ino, NTFS_AT_EA, NULL, 0, &a, e);
	if (r <= 0)
		return r;
	CLEANUP(free_ptr) uint8_t *p = NULL;
	size_t len, off = 0;
	/* Damaged ones are an error of whoever asks for extended attributes; the file itself is sound. */
	struct err damaged = ERR_INIT;
	r = ntfs_attr_load(ino, NTFS_AT_EA, "", NTFS_EA_MAX, &p, &len, &damaged);
	if (r < 0 && r != ERR_FILE_CORRUPT)
		return err_set(e, r, "ntfs", "%s", damaged.msg);
	if (r <= 0)
		return 0;
	const char *name;
	const uint8_t *value;
	size_t name_len, value_len;
	while (ntfs_ea_next(p, len, &off, &name, &name_len, &value, &value_len, &damaged) > 0)
		wsl_attribute(st, name, name_len, value, value_len);
	return 0;
}

static int stat_inode(struct ntfs_inode *ino, struct fs_stat *ret, struct err *e)
{
	struct ntfs_std std;
	struct ntfs_kind kind;
	int r = ntfs_std_get(ino, &std, e);
	if (r == 0)
		r = ntfs_kind_get(ino, std.dos_attrs, &kind, e);
	if (r < 0)
		return r;
	struct fs_stat st = {
		.id = {.ino = ino->no, .tree = ino->head.seq},
		.type = kind.type,
		.valid = FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_CTIME | FS_HAS_BTIME | FS_HAS_ATTRS,
		.mode = 0777,
		/* The record's own count, in which an 8.3 name is a link of its own; a directory has no others. */
		.nlink = ntfs_inode_is_dir(ino) || ino->head.links == 0 ? 1 : ino->head.links,
		.mtime = time_of(std.modified),
		.atime = time_of(std.accessed),
		.ctime = time_of(std.changed),
		.btime = time_of(std.created),
		.rdev_major = kind.rdev_major,
		.rdev_minor = kind.rdev_minor,
		.dos_attrs = std.dos_attrs | (ntfs_inode_is_dir(ino) ? (uint32_t)NTFS_FA_DIRECTORY : 0),
		.encrypted = std.dos_attrs & NTFS_FA_ENCRYPTED && !ntfs_inode_is_dir(ino),
	};
	if (st.type == FS_FILE)
		r = sizes(ino, &kind, &st, e);
	else if (st.type == FS_SYMLINK) {
		struct buf target = BUF_INIT(FS_LINK_MAX);
		r = ntfs_link_target(ino, &kind, &target, e);
		st.size = target.len;
		buf_free(&target);
	}
	if (r >= 0)
		r = wsl(ino, &st, e);
	if (r < 0)
		return r;
	*ret = st;
	return 0;
}

int ntfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct ntfs_inode ino;
	int r = ntfs_inode_get_id((struct ntfs *)fs, id, &ino, e);
	if (r < 0)
		return r;
	r = stat_inode(&ino, ret, e);
	ntfs_inode_put(&ino);
	return r;
}
