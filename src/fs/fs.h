/* fs: one opened filesystem, whatever its kind, read-only.
 *
 * A driver is a folder src/fs/<name>/ with one static const struct fs_driver. It sees a block source
 * (blk) and nothing else. The functions fs_*() below are the validating front: they check arguments
 * and ranges, bound depths, follow symbolic links, and assert that a failing driver said why. Drivers
 * trust them and stay small. The worker and every other user call only the front.
 *
 * Ownership: fs_open() takes its own reference on the blk. An fs_file must be closed before its fs.
 * Threads: one thread at a time per struct fs (the worker locks around every call).
 *
 * Errors: damage to the whole filesystem is ERR_FS_CORRUPT, a feature we cannot read is
 * ERR_FS_UNSUPPORTED (naming it). Damage to one entry is that entry's ERR_FILE_CORRUPT and never ends
 * a listing: readdir reports such an entry with `broken` set and goes on.
 *
 * A filesystem left dirty by a crash-consistent backup is read as after recovery: the driver replays
 * the journal into a blk_overlay. What could not be replayed is said with fs_warn().
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/buf.h"
#include "base/err.h"
#include "blk/blk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FS_NAME_MAX = 1024,          /* bytes of one name: 255 UTF-16 units can be 765 bytes */
	FS_PATH_MAX = 32768,         /* bytes of a whole path */
	FS_LINK_MAX = 65536,         /* bytes of a link target */
	FS_LINK_DEPTH = 40,          /* symbolic links followed in one path, as Linux */
	FS_XATTR_VALUE_MAX = 1 << 20,
	FS_XATTRS_MAX = 4096,        /* per inode */
	FS_LABEL_MAX = 256,
	FS_WARNINGS_MAX = 16,
	FS_PROBE_SURE = 100,
};

enum fs_type {
	FS_UNKNOWN = 0,              /* a readdir entry that does not say: stat tells */
	FS_FILE,
	FS_DIRECTORY,
	FS_SYMLINK,
	FS_BLOCK,
	FS_CHAR,
	FS_FIFO,
	FS_SOCKET,
};

/* "file", "directory", … as the API says it. */
const char *fs_type_name(enum fs_type t);

/* From the S_IFMT bits of a Unix mode; FS_UNKNOWN for none of them. */
enum fs_type fs_type_from_mode(uint32_t mode);

/* From the byte that Linux' own filesystems keep in directory entries; FS_UNKNOWN for none of them. */
enum fs_type fs_type_from_ftype(uint8_t ftype);

/* Identifies an object of a filesystem for as long as it is open. What the numbers mean is the
 * driver's affair: inode number, MFT record, (subvolume, inode), place of a FAT entry. */
struct fs_id {
	uint64_t ino;                /* sorting by it must be good for reading metadata in disk order */
	uint64_t tree;               /* 0 where a driver needs only one number */
};

struct fs_time {
	int64_t sec;                 /* since 1970-01-01 00:00:00 UTC */
	uint32_t nsec;
};

enum fs_stat_valid {
	FS_HAS_MODE = 1 << 0,        /* mode, uid, gid come from the filesystem (else: made up 0755/0644, 0, 0) */
	FS_HAS_MTIME = 1 << 1,
	FS_HAS_ATIME = 1 << 2,
	FS_HAS_CTIME = 1 << 3,
	FS_HAS_BTIME = 1 << 4,
	FS_HAS_ATTRS = 1 << 5,       /* dos_attrs */
};

struct fs_stat {
	struct fs_id id;
	enum fs_type type;
	uint32_t valid;              /* enum fs_stat_valid bits */
	uint32_t mode;               /* permission bits 07777 only */
	uint32_t uid, gid;
	uint64_t nlink;
	uint64_t size;               /* bytes; of a symlink: length of its target */
	uint64_t allocated;          /* bytes on disk */
	struct fs_time mtime, atime, ctime, btime;
	uint32_t rdev_major, rdev_minor;
	uint32_t dos_attrs;          /* FILE_ATTRIBUTE_* (NTFS, FAT, exFAT) */
	bool compressed;             /* stored compressed */
	bool encrypted;              /* EFS, fscrypt: contents cannot be read */
};

struct fs_dirent {
	const char *name;            /* not NUL-terminated; raw bytes, on NTFS/FAT/exFAT made UTF-8 (WTF-8) */
	size_t name_len;             /* 1 … FS_NAME_MAX, no '/', no NUL; never "." or ".." */
	struct fs_id id;
	enum fs_type type;           /* FS_UNKNOWN allowed */
	uint64_t next;               /* cookie: readdir from here gives the entries behind this one */
	const struct fs_stat *st;    /* full stat where the directory itself holds it (FAT); else NULL */
	const struct err *broken;    /* why the entry cannot be used; else NULL */
};

/* Called for each entry; a non-zero answer stops the walk and is returned by fs_readdir. */
typedef int fs_dirent_fn(void *arg, const struct fs_dirent *de);
/* name is NUL-terminated with its namespace ("user.x", "security.selinux", "system.posix_acl_access" in
 * the kernel's getxattr(2) form; "ntfs.security_descriptor"). Non-zero stops. */
typedef int fs_xattr_fn(void *arg, const char *name, const void *value, size_t len);
/* A named alternate data stream. Non-zero stops. */
typedef int fs_stream_fn(void *arg, const char *name, size_t name_len, uint64_t size);

enum fs_extent_kind {
	FS_EXTENT_DATA,              /* plain bytes at `vol_off` of the fs's blk */
	FS_EXTENT_ZERO,              /* zeroes: hole, unwritten, preallocated */
	FS_EXTENT_ENCODED,           /* compressed, inline, decrypted …: only the driver's read gives it */
};

struct fs_extent {
	enum fs_extent_kind kind;
	uint64_t len;                /* bytes from the asked offset, 1 … asked len */
	uint64_t vol_off;            /* FS_EXTENT_DATA: offset in the fs's blk */
};

struct fs;

/* An open file or stream; the head of a driver's own struct. */
struct fs_file {
	struct fs *fs;
	uint64_t size;               /* bytes */
};

struct fs_ident {
	char type[16];               /* "ext4", "ntfs", "vfat", …: filesystem_type of the API, as libblkid says it */
	char label[FS_LABEL_MAX];    /* UTF-8, "" for none */
	char uuid[40];               /* as libblkid prints it, "" for none */
	uint64_t size;               /* bytes the filesystem says it spans, 0 unknown */
	/* What lies on several block sources (btrfs): its parts have the same type and uuid. */
	uint64_t devices;            /* how many, as this one knows it; 0: it is never more than this one */
	uint64_t device;             /* number of this one */
	char device_uuid[40];
	bool seed;                   /* others may read on in it, under a uuid of their own */
};

struct fs_driver {
	const char *name;            /* "ext", "ntfs", "fat", … */

	/* > 0: this is ours (the higher, the surer; FS_PROBE_SURE = magic and checksum fit: nobody else is asked), *ret filled.
	 * 0: not ours. < 0: the block source failed. Must not trust a byte. */
	int (*probe)(struct blk *b, struct fs_ident *ret, struct err *e);

	/* Makes the driver's struct, whose head is a struct fs: calls fs_init() on it first. */
	int (*open)(struct blk *b, struct fs **ret, struct err *e);
	/* The same with what else may belong to it, of which it picks its own; NULL: it lies on one block source. Bytes of the others
	 * are FS_EXTENT_ENCODED. */
	int (*open_with)(struct blk *b, struct blk *const *others, unsigned count, struct fs **ret, struct err *e);
	void (*close)(struct fs *fs);                    /* frees all, calls fs_fini() */

	struct fs_id (*root)(struct fs *fs);
	/* ERR_NOT_FOUND where there is no such entry. dir is a directory or the driver says so. */
	int (*lookup)(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret,
	              struct err *e);
	/* Entries behind `cookie` (0: from the start), in a stable order. 0 at the end, or fn's non-zero. */
	int (*readdir)(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg,
	               struct err *e);
	int (*stat)(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);
	/* Appends the target. Absolute Windows targets inside this volume are given as "/…" paths; those
	 * that leave it are given as they stand. */
	int (*readlink)(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);            /* NULL: no symbolic links */
	int (*xattrs)(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);    /* NULL: none */
	int (*streams)(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e);  /* NULL: none */

	/* stream NULL: the file's own bytes. */
	int (*file_open)(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret,
	                 struct err *e);
	void (*file_close)(struct fs_file *f);
	/* First extent at off (off + len <= size, len > 0). */
	int (*extent)(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
	/* Exactly len bytes at off; called only inside FS_EXTENT_ENCODED runs. NULL where there are none. */
	int (*read)(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e);
};

struct fs {
	const struct fs_driver *driver;
	struct blk *blk;                             /* reference held */
	struct fs_ident ident;                       /* filled by fs_open from the probe */
	char *warnings[FS_WARNINGS_MAX];             /* owned */
	unsigned warning_count;
};

/* For drivers. */
void fs_init(struct fs *fs, const struct fs_driver *driver, struct blk *b);
void fs_fini(struct fs *fs);
/* Notes something an administrator should know of the whole filesystem ("journal could not be
 * replayed: …"). Beyond FS_WARNINGS_MAX, or without memory, it is dropped. */
void fs_warn(struct fs *fs, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The drivers, in probing order; ends with NULL. (src/fs/drivers.c) */
extern const struct fs_driver *const fs_drivers[];

/* Which driver reads b? *ret_driver NULL and 0 where none does. */
int fs_probe(struct blk *b, const struct fs_driver **ret_driver, struct fs_ident *ret, struct err *e);
/* Probes and opens; ERR_FS_UNSUPPORTED where no driver knows it. */
int fs_open(struct blk *b, struct fs **ret, struct err *e);
/* A filesystem of which b is one part and `others` may be more (borrowed; the driver takes references on those it keeps): those with
 * the same type and uuid, and the seeds. What is no part of it is left alone; what is missing is said with warnings. hint: the driver
 * that fs_probe() found, asked before all others; or NULL. */
int fs_open_with(struct blk *b, const struct fs_driver *hint, struct blk *const *others, unsigned count, struct fs **ret,
                 struct err *e);
void fs_close(struct fs *fs);
CLEANUP_DEFINE(fs_close, struct fs *)

struct fs_id fs_root(struct fs *fs);
int fs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret,
              struct err *e);
int fs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg,
               struct err *e);
int fs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);
int fs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);
int fs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);
int fs_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e);

int fs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret,
                 struct err *e);
void fs_file_close(struct fs_file *f);
CLEANUP_DEFINE(fs_file_close, struct fs_file *)
int fs_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
/* Exactly len bytes at off, which must lie inside the file; joins extents, fills holes. */
int fs_file_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e);

enum fs_resolve_flags {
	FS_FOLLOW = 1 << 0,          /* a symlink at the very end is followed too */
};

/* Is this a path the front accepts: starts with "/", no NUL, no "." or ".." component, at most
 * FS_PATH_MAX bytes? Else ERR_PATH_INVALID. Repeated and trailing slashes are fine. */
int fs_path_check(const char *path, size_t len, struct err *e);

/* Walks an absolute path. Symbolic links on the way are followed inside the volume ("/" of a link is the
 * volume's root, ".." at the root stays there), never out of it. ERR_NOT_FOUND names the first missing
 * component. */
int fs_resolve(struct fs *fs, const char *path, size_t len, unsigned flags, struct fs_id *ret,
               struct err *e);

#endif
