/* Reparse points ([MS-FSCC] 2.1.2) and Interix special files.
 *
 * A Windows link names its target with a drive letter, and a volume does not know its letter. The rule: a volume
 * with \Windows\System32 is taken to be C:, and nothing else. Any other volume is taken to be the drive of a link
 * when the target's path exists in it. Such targets are given as "/…" paths; all others as they stand. */
#include "fs/ntfs/ntfs.h"

#include "fs/text.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	REPARSE_HEADER = 8,
	SYMLINK_RELATIVE = 1,
	INTERIX_MAGIC = 8,
	INTERIX_DEVICE = 24,
	INTERIX_MAX = INTERIX_MAGIC + 2 * 4096,
	PATH_DEPTH_MAX = 256,
};

#define INTERIX_LINK 0x014B4E4C78746E49u     /* "IntxLNK\1" */
#define INTERIX_CHAR 0x0052484378746E49u     /* "IntxCHR\0" */
#define INTERIX_BLOCK 0x004B4C4278746E49u    /* "IntxBLK\0" */

static int bad(const struct ntfs_inode *ino, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the reparse point of MFT record %" PRIu64 " is malformed",
	               ino->no);
}

int ntfs_reparse_get(struct ntfs_inode *ino, struct ntfs_reparse *ret, struct err *e)
{
	struct ntfs_attr a;
	ret->tag = 0;
	ret->len = 0;
	int r = ntfs_attr_find(ino, NTFS_AT_REPARSE_POINT, NULL, 0, &a, e);
	if (r <= 0)
		return r;
	CLEANUP(free_ptr) uint8_t *p = NULL;
	size_t len;
	r = ntfs_attr_load(ino, NTFS_AT_REPARSE_POINT, "", NTFS_REPARSE_MAX, &p, &len, e);
	if (r <= 0)
		return r;
	if (len < REPARSE_HEADER || get_le16(p + 4) > len - REPARSE_HEADER)
		return bad(ino, e);
	ret->tag = get_le32(p);
	ret->len = get_le16(p + 4);
	memcpy(ret->data, p + REPARSE_HEADER, ret->len);
	return 0;
}

static enum fs_type type_of_tag(uint32_t tag, bool is_dir)
{
	switch (tag) {
	case NTFS_TAG_SYMLINK:
	case NTFS_TAG_MOUNT_POINT:
	case NTFS_TAG_LX_SYMLINK: return FS_SYMLINK;
	case NTFS_TAG_AF_UNIX: return FS_SOCKET;
	case NTFS_TAG_LX_FIFO: return FS_FIFO;
	case NTFS_TAG_LX_CHR: return FS_CHAR;
	case NTFS_TAG_LX_BLK: return FS_BLOCK;
	default: return is_dir ? FS_DIRECTORY : FS_FILE;
	}
}

/* Services for Unix, and ntfs-3g after it, keep special files as system files: a fifo is empty, a socket has one
 * byte, links and devices begin with a magic. */
static int interix(struct ntfs_inode *ino, uint32_t dos_attrs, struct ntfs_kind *ret, struct err *e)
{
	struct ntfs_attr a;
	int r = ntfs_attr_find(ino, NTFS_AT_DATA, NULL, 0, &a, e);
	if (r <= 0)
		return r;
	bool visible = !(dos_attrs & NTFS_FA_HIDDEN);
	if (a.size <= 1 && visible)
		ret->type = a.size ? FS_SOCKET : FS_FIFO;
	if (a.size <= INTERIX_MAGIC || a.size > INTERIX_MAX || a.flags & (NTFS_ATTR_COMPRESSED | NTFS_ATTR_ENCRYPTED))
		return 0;
	struct ntfs_stream s;
	r = ntfs_stream_open(ino, NTFS_AT_DATA, NULL, 0, &s, e);
	if (r <= 0)
		return r;
	uint8_t p[INTERIX_DEVICE] = {0};
	r = ntfs_stream_read(&s, 0, p, min_size(sizeof(p), (size_t)s.size), e);
	uint64_t magic = get_le64(p), size = s.size;
	ntfs_stream_close(&s);
	if (r < 0)
		return r;
	ret->interix = magic == INTERIX_LINK;
	if (magic == INTERIX_LINK)
		ret->type = FS_SYMLINK;
	else if (size == INTERIX_DEVICE && (magic == INTERIX_CHAR || magic == INTERIX_BLOCK)) {
		ret->type = magic == INTERIX_CHAR ? FS_CHAR : FS_BLOCK;
		ret->rdev_major = (uint32_t)get_le64(p + 8);
		ret->rdev_minor = (uint32_t)get_le64(p + 16);
	}
	return 0;
}

int ntfs_kind_get(struct ntfs_inode *ino, uint32_t dos_attrs, struct ntfs_kind *ret, struct err *e)
{
	bool is_dir = ntfs_inode_is_dir(ino);
	*ret = (struct ntfs_kind){.type = is_dir ? FS_DIRECTORY : FS_FILE};
	if (dos_attrs & NTFS_FA_REPARSE) {
		struct ntfs_attr a;
		int r = ntfs_attr_find(ino, NTFS_AT_REPARSE_POINT, NULL, 0, &a, e);
		if (r < 0)
			return r;
		struct ntfs_reparse rp = {.tag = 0};
		if (r > 0 && (r = ntfs_reparse_get(ino, &rp, e)) < 0)
			return r;
		ret->tag = rp.tag;
		ret->type = type_of_tag(rp.tag, is_dir);
		return 0;
	}
	if (dos_attrs & NTFS_FA_SYSTEM && !is_dir && ino->no >= NTFS_FIRST_USER_NO)
		return interix(ino, dos_attrs, ret, e);
	return 0;
}

int ntfs_kind_find(struct ntfs_inode *ino, struct ntfs_kind *ret, struct err *e)
{
	struct ntfs_std std;
	int r = ntfs_std_get(ino, &std, e);
	return r < 0 ? r : ntfs_kind_get(ino, std.dos_attrs, ret, e);
}

/* --- link targets --------------------------------------------------------------------------------- */

struct units {                   /* a piece of UTF-16LE text */
	const uint8_t *p;
	size_t count;
};

static uint16_t unit(struct units u, size_t i)
{
	return i < u.count ? get_le16(u.p + 2 * i) : 0;
}

static struct units behind(struct units u, size_t n)
{
	n = min_size(n, u.count);
	return (struct units){.p = u.p + 2 * n, .count = u.count - n};
}

static bool is_letter(uint16_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void add_units(struct buf *b, struct units u, bool slashes)
{
	char *to = buf_reserve(b, u.count * TEXT_UNIT_BYTES);
	if (!to)
		return;
	size_t len = text_from_utf16le(u.p, u.count, to);
	for (size_t i = 0; slashes && i < len; i++)
		if (to[i] == '\\')
			to[i] = '/';
	buf_filled(b, len);
}

static bool is_reparse(struct ntfs *ntfs, struct fs_id id)
{
	struct ntfs_inode ino;
	struct ntfs_std std = {0};
	struct err ignored = ERR_INIT;
	if (ntfs_inode_get_id(ntfs, id, &ino, &ignored) < 0)
		return false;
	bool yes = ntfs_std_get(&ino, &std, &ignored) == 0 && std.dos_attrs & NTFS_FA_REPARSE;
	ntfs_inode_put(&ino);
	return yes;
}

/* Is there such a path from the root? What lies behind a further link on the way is taken to be there. */
static bool path_exists(struct ntfs *ntfs, struct units path)
{
	struct fs_id id = ntfs->fs.driver->root(&ntfs->fs);
	for (unsigned depth = 0; depth < PATH_DEPTH_MAX; depth++) {
		while (unit(path, 0) == '\\')
			path = behind(path, 1);
		size_t len = 0;
		while (len < path.count && unit(path, len) != '\\')
			len++;
		if (len == 0)
			return depth > 0;
		if (len > NTFS_NAME_UNITS)
			return false;
		struct err ignored = ERR_INIT;
		struct fs_id next;
		if (ntfs_lookup_units(ntfs, id, path.p, (unsigned)len, &next, &ignored) < 0)
			return is_reparse(ntfs, id);
		id = next;
		path = behind(path, len);
	}
	return false;
}

static bool system_volume(struct ntfs *ntfs)
{
	static const char name[] = "Windows\\System32";
	uint8_t p[2 * sizeof(name)];
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		put_le16(p + 2 * i, (uint8_t)name[i]);
	struct units path = {.p = p, .count = sizeof(name) - 1};
	if (ntfs->system_volume == NTFS_SYSTEM_UNKNOWN)
		ntfs->system_volume = path_exists(ntfs, path) ? NTFS_SYSTEM_YES : NTFS_SYSTEM_NO;
	return ntfs->system_volume == NTFS_SYSTEM_YES;
}

static bool is_this_volume(struct ntfs *ntfs, uint16_t letter, struct units path)
{
	if (system_volume(ntfs))
		return letter == 'C' || letter == 'c';
	return path_exists(ntfs, path);
}

/* \??\X:\path, the NT form of an absolute path. */
static void add_absolute(struct ntfs *ntfs, struct units target, struct buf *ret)
{
	bool nt = unit(target, 0) == '\\' && (unit(target, 1) == '?' || unit(target, 1) == '\\') &&
	          unit(target, 2) == '?' && unit(target, 3) == '\\';
	struct units drive = nt ? behind(target, 4) : target;
	struct units path = behind(drive, 2);
	bool with_letter = is_letter(unit(drive, 0)) && unit(drive, 1) == ':' && unit(path, 0) == '\\' &&
	                   is_this_volume(ntfs, unit(drive, 0), path);
	/* Linux's ntfs3 makes \??\\path of "/path". */
	bool unix_path = nt && unit(drive, 0) == '\\';
	if (!with_letter && !unix_path) {
		add_units(ret, target, false);
		return;
	}
	if (unix_path)
		path = drive;
	/* A junction made by some tools ends in a backslash. */
	while (path.count > 1 && unit(path, path.count - 1) == '\\')
		path.count--;
	add_units(ret, path, true);
}

static int windows_target(struct ntfs_inode *ino, const struct ntfs_reparse *rp, struct buf *ret, struct err *e)
{
	bool symlink = rp->tag == NTFS_TAG_SYMLINK;
	struct rdr r = rdr_init(rp->data, rp->len);
	uint16_t off = rdr_le16(&r), len = rdr_le16(&r);
	rdr_skip(&r, 4);                 /* the print name */
	uint32_t flags = symlink ? rdr_le32(&r) : 0;
	rdr_skip(&r, off);
	const uint8_t *p = rdr_take(&r, len);
	if (r.bad || len % 2 != 0)
		return bad(ino, e);
	struct units target = {.p = p, .count = len / 2u};
	if (flags & SYMLINK_RELATIVE)
		add_units(ret, target, true);
	else
		add_absolute(ino->ntfs, target, ret);
	return 0;
}

static int interix_target(struct ntfs_inode *ino, struct buf *ret, struct err *e)
{
	CLEANUP(free_ptr) uint8_t *p = NULL;
	size_t len;
	int r = ntfs_attr_load(ino, NTFS_AT_DATA, "", INTERIX_MAX, &p, &len, e);
	if (r < 0)
		return r;
	if (r == 0 || len < INTERIX_MAGIC)
		return bad(ino, e);
	add_units(ret, (struct units){.p = p + INTERIX_MAGIC, .count = (len - INTERIX_MAGIC) / 2}, false);
	return 0;
}

int ntfs_link_target(struct ntfs_inode *ino, const struct ntfs_kind *kind, struct buf *ret, struct err *e)
{
	int r;
	struct ntfs_reparse rp;
	if (kind->interix) {
		r = interix_target(ino, ret, e);
	} else if ((r = ntfs_reparse_get(ino, &rp, e)) == 0) {
		if (kind->tag != NTFS_TAG_LX_SYMLINK)
			r = windows_target(ino, &rp, ret, e);
		else if (rp.len < 4)         /* a version, then the target in UTF-8 */
			r = bad(ino, e);
		else
			buf_add(ret, rp.data + 4, rp.len - 4);
	}
	return r < 0 ? r : buf_ok(ret, "ntfs", e);
}

int ntfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct ntfs_inode ino;
	struct ntfs_kind kind;
	int r = ntfs_inode_get_id((struct ntfs *)fs, id, &ino, e);
	if (r < 0)
		return r;
	r = ntfs_kind_find(&ino, &kind, e);
	if (r == 0)
		r = ntfs_link_target(&ino, &kind, ret, e);
	ntfs_inode_put(&ino);
	return r;
}
