/* xfs: XFS versions 4 and 5, read-only. What the files of this folder share.
 *
 *	super.c      superblock: decoding, validation, copies; ident.c: probe, label, UUID
 *	block.c      where blocks lie, checksums, cache of verified metadata blocks
 *	inode.c      inodes, stat
 *	map.c        logical → filesystem blocks of one fork: extent lists and B+trees
 *	data.c       directory data blocks and inline directories; dir.c: listing
 *	lookup.c     a name by its hash
 *	attr.c       extended attributes; value.c: remote values, access control lists
 *	file.c       open files; link.c: symbolic links; xfs.c: the driver table
 *	log*.c       replay of a dirty log, see log.h; pending.c: what it announces and nobody did
 *
 * Format: "XFS Algorithms & Data Structures", 3rd edition; features since from the kernel's behaviour.
 * All numbers on disk are big-endian, checksums and the items of the log little-endian.
 *
 * Numbers: an inode number and a filesystem block number (fsb) carry the number of an allocation group
 * in their upper bits, so neither is dense; xfs_fsb_off() gives the place of a block in bytes. "lblk" is a
 * block of a file.
 *
 * Damage: what a checksum, an owner or a range check refuses is ERR_FILE_CORRUPT of the object that needed it.
 */
#ifndef FS_XFS_XFS_H
#define FS_XFS_XFS_H

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fs/fs.h"

enum {
	XFS_MAGIC = 0x58465342,          /* "XFSB" */
	XFS_SUPER_SIZE = 512,            /* of the superblock's sector, what is decoded */
	XFS_SECTOR_MAX = 32768,
	XFS_BLOCK_MAX = 65536,
	XFS_INODE_MAX = 2048,
	XFS_BB = 512,                    /* "basic block", the unit of addresses in the log and in block headers */
	XFS_NAME_MAX = 255,
	XFS_BTREE_LEVELS = 9,            /* of a fork's tree above its leaves */
	XFS_DA_LEVELS = 5,               /* of a directory's or an attribute fork's hash index */
	XFS_CACHE_SLOTS = 32,
	XFS_INODE_SMALL = 8 << 10,       /* read of inodes at a random place … */
	XFS_INODE_CHUNK = 64 << 10,      /* … and when reading on */
	XFS_DIR_CHUNK = 64 << 10,
	XFS_CORE_V2 = 100,               /* bytes of an inode before its data fork */
	XFS_CORE_V3 = 176,
	XFS_REC = 16,                    /* bytes of an extent record */
	XFS_VALUE_MAX = 64 << 10,        /* of one attribute */
	XFS_LINK_BYTES = 1024,           /* of a link's target */
	XFS_HIDDEN = 6,
};

enum xfs_incompat {
	XFS_FTYPE = 0x1,
	XFS_SPINODES = 0x2,
	XFS_META_UUID = 0x4,
	XFS_BIGTIME = 0x8,
	XFS_NEEDSREPAIR = 0x10,
	XFS_NREXT64 = 0x20,
	XFS_EXCHRANGE = 0x40,
	XFS_PARENT = 0x80,
	XFS_METADIR = 0x100,
	XFS_INCOMPAT_KNOWN = XFS_FTYPE | XFS_SPINODES | XFS_META_UUID | XFS_BIGTIME | XFS_NREXT64 | XFS_EXCHRANGE |
	                     XFS_PARENT | XFS_METADIR,
};

enum xfs_log_incompat {
	XFS_LOG_XATTRS = 0x1,
};

enum xfs_inode_format {
	XFS_FMT_DEV = 0,
	XFS_FMT_LOCAL = 1,
	XFS_FMT_EXTENTS = 2,
	XFS_FMT_BTREE = 3,
};

enum xfs_inode_flags {
	XFS_DI_REALTIME = 0x1,
	XFS_DI2_BIGTIME = 0x8,
	XFS_DI2_NREXT64 = 0x10,
	XFS_DI2_METADATA = 0x20,
};

/* The superblock, decoded and validated. */
struct xfs_super {
	uint64_t dblocks;
	uint64_t rootino;
	uint64_t logstart;               /* fsb; 0: the log is on another device */
	uint64_t hidden[XFS_HIDDEN];     /* inodes of quotas and of the realtime device, no name leads to them */
	uint32_t agblocks, agcount;
	uint32_t logblocks;
	uint32_t block_size, dir_size;   /* dir_size: of a directory block */
	uint32_t inode_size, inode_per_block;
	uint32_t sector_size;
	uint8_t block_bits, inode_bits, inopb_bits, ag_bits, dir_bits;
	uint32_t ro_compat, incompat, log_incompat;
	bool v5, ftype, ascii_ci;
	uint8_t uuid[16];                /* shown */
	uint8_t meta_uuid[16];           /* in the headers of blocks */
	uint8_t label[12];
};

struct xfs_chunk {
	uint64_t off;                    /* bytes on the device */
	uint32_t len;                    /* 0: nothing held */
	uint8_t *data;
};

/* A verified block of a directory or of an attribute fork. */
struct xfs_cached {
	uint64_t ino, lblk;
	unsigned fork;
	uint32_t len;                    /* 0: empty */
	uint8_t *data;                   /* XFS_BLOCK_MAX at most */
	uint32_t cap;
};

struct xfs_fs {
	struct fs fs;
	struct xfs_super sb;
	bool dir_in_pieces;              /* replay left directory blocks without a checksum */
	struct xfs_pending *pending;     /* NULL: nothing */
	struct xfs_cached cache[XFS_CACHE_SLOTS];
	struct xfs_chunk random, stream;
};

struct xfs_inode {
	uint64_t ino;
	uint64_t size, nblocks;
	uint64_t nextents;               /* of the data fork */
	uint32_t anextents;
	uint32_t uid, gid, links;
	uint32_t gen;
	uint16_t mode, flags;
	uint64_t flags2;
	uint8_t version, format, aformat;
	struct fs_time mtime, atime, ctime, btime;
	uint32_t core;                   /* bytes before the data fork */
	uint32_t forkoff;                /* bytes of the data fork before the attribute fork, 0: there is none */
	const uint8_t *raw;              /* the inode's bytes, valid until another one is read */
};

static inline struct xfs_fs *xfs_of(struct fs *fs)
{
	return (struct xfs_fs *)fs;
}

/* super.c */
/* Decodes and validates; says ERR_FS_CORRUPT or ERR_FS_UNSUPPORTED. raw: `len` bytes of the superblock's
 * sector, as many as it says a sector has, at least XFS_SUPER_SIZE. */
int xfs_super_decode(const uint8_t *raw, size_t len, struct xfs_super *ret, struct err *e);
/* The same without validation, for the name of what cannot be opened. */
void xfs_super_names(const uint8_t *raw, struct xfs_super *ret);
/* 1: *ret filled from the primary superblock, or where that is damaged from a copy: then *ret_why says why.
 * 0: none; *ret_why says why where there is at least a magic number. */
int xfs_super_find(struct blk *b, struct xfs_super *ret, struct err *ret_why, struct err *e);
/* ident.c */
int xfs_probe(struct blk *b, struct fs_ident *ret, struct err *e);

/* block.c */
uint32_t xfs_crc(const uint8_t *p, size_t len, size_t crc_off);
/* a == b; always true in a fuzzing build. */
bool xfs_crc_equal(uint32_t a, uint32_t b);
/* May a file own these blocks? They are then inside one allocation group. */
bool xfs_fsb_ok(const struct xfs_super *sb, uint64_t fsb, uint64_t count);
uint64_t xfs_fsb_off(const struct xfs_super *sb, uint64_t fsb);
/* Is the number one an inode can have? */
bool xfs_ino_ok(const struct xfs_super *sb, uint64_t ino);
uint64_t xfs_ino_off(const struct xfs_super *sb, uint64_t ino);
int xfs_read_blocks(struct xfs_fs *x, uint64_t fsb, uint64_t count, void *to, struct err *e);

/* Where a block's header (version 5) keeps what it says of itself. */
struct xfs_head {
	uint16_t crc, blkno, uuid, owner;
};
extern const struct xfs_head xfs_head_da;        /* nodes and leaves of hash indexes */
extern const struct xfs_head xfs_head_data;      /* directory data */
extern const struct xfs_head xfs_head_remote;    /* remote values and links */
extern const struct xfs_head xfs_head_bmbt;      /* B+tree of extents */
/* Checksum, address, UUID and owner (0: any) fit. NULL, or what does not: "checksum", … */
const char *xfs_head_bad(const struct xfs_fs *x, const struct xfs_head *h, const uint8_t *p, size_t len,
                         uint64_t dev_off, uint64_t owner);
void xfs_caches_drop(struct xfs_fs *x);

/* inode.c */
/* An inode a name may have: of a known type, not free, not one of the filesystem's own. */
int xfs_inode_get(struct xfs_fs *x, uint64_t ino, struct xfs_inode *ret, struct err *e);
/* Also one of the filesystem's own, or without links. */
int xfs_inode_any(struct xfs_fs *x, uint64_t ino, struct xfs_inode *ret, struct err *e);
bool xfs_ino_nameable(const struct xfs_super *sb, uint64_t ino);
int xfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);

/* map.c */
enum xfs_fork {
	XFS_DATA,
	XFS_ATTR,
};

/* The blocks of one fork. Holds the last leaf of a tree, so that reading on costs nothing. */
struct xfs_map {
	struct xfs_fs *x;
	uint64_t ino;
	enum xfs_fork fork;
	uint8_t format;
	uint32_t size;                   /* bytes of root */
	uint32_t records;                /* in root, when it holds extents */
	uint8_t root[XFS_INODE_MAX];     /* the fork */
	uint8_t *leaf;                   /* block_size bytes; NULL until one is needed */
	uint32_t leaf_records;
	uint64_t leaf_first, leaf_end;   /* the blocks it speaks for; empty: none held */
	uint64_t bad_end;                /* after a run that failed: where what is damaged ends, UINT64_MAX for all of the map */
};

struct xfs_run {
	uint64_t len;                    /* blocks, 1 … asked */
	uint64_t fsb;
	bool hole;                       /* reads as zeroes: nothing there, or never written */
	bool unwritten;                  /* with hole: blocks are allocated */
};

/* The fork of an inode just read. Needs no memory of its own until a tree is walked. */
int xfs_map_init(struct xfs_map *m, struct xfs_fs *x, const struct xfs_inode *in, enum xfs_fork fork, struct err *e);
void xfs_map_fini(struct xfs_map *m);
/* Bytes of a fork of format XFS_FMT_LOCAL. */
static inline const uint8_t *xfs_map_local(const struct xfs_map *m)
{
	return m->root;
}
/* What lies at lblk, at most max (> 0) blocks of it. */
int xfs_map_run(struct xfs_map *m, uint64_t lblk, uint64_t max, struct xfs_run *ret, struct err *e);
/* The same without what is pending. */
int xfs_map_stored(struct xfs_map *m, uint64_t lblk, uint64_t max, struct xfs_run *ret, struct err *e);
/* `blocks` blocks from lblk on, which must all exist; *ret_off: where the first lies on the device. */
int xfs_map_read(struct xfs_map *m, uint64_t lblk, uint64_t blocks, uint8_t *to, uint64_t *ret_off, struct err *e);

/* data.c */
struct xfs_dent {
	uint64_t ino;
	const uint8_t *name;             /* NULL for a damaged place without a name */
	uint8_t len;
	uint8_t ftype;
	uint64_t next;                   /* cookie */
	const struct err *damage;
};
/* Non-zero stops and is returned. */
typedef int xfs_dent_fn(void *arg, const struct xfs_dent *d);

/* A directory being read. */
struct xfs_dir {
	struct xfs_fs *x;
	struct xfs_map map;
	uint64_t ino, size;
};
int xfs_dir_open(struct xfs_dir *d, struct xfs_fs *x, struct fs_id id, struct err *e);
void xfs_dir_close(struct xfs_dir *d);
/* A block of entries: is it one, and where do its entries start and end? Sets *ret_block_form for a directory of
 * this one block, whose index lies behind the entries. */
int xfs_data_open(const struct xfs_dir *d, const uint8_t *p, uint64_t lblk, uint64_t dev_off, bool *ret_block_form,
                  size_t *ret_end, struct err *e);
size_t xfs_data_start(const struct xfs_super *sb);
/* The entry at `at`, or where there is none (free space) a dent without a name and length *ret_len. False: damaged. */
bool xfs_data_entry(const struct xfs_super *sb, const uint8_t *p, size_t end, size_t at, struct xfs_dent *ret,
                    size_t *ret_len);
/* All entries of an inline directory. */
int xfs_short_scan(struct xfs_dir *d, uint64_t cookie, xfs_dent_fn *fn, void *arg);
/* All entries; "." and ".." included where they are stored. */
int xfs_dir_scan(struct xfs_dir *d, uint64_t cookie, xfs_dent_fn *fn, void *arg, struct err *e);

/* dir.c */
int xfs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e);
/* Neither the root nor the directory itself is an entry of a directory: a walk would not end. */
int xfs_check_child(const struct xfs_dir *d, uint64_t ino, struct err *e);

/* da.c: blocks of hash indexes. */
enum xfs_da_kind {
	XFS_DA_NODE = 1,
	XFS_DA_LEAF1,                    /* of a directory with one block of index */
	XFS_DA_LEAFN,
	XFS_DA_ATTR,
	XFS_DA_DATA,                     /* directory data, for xfs_da_block() */
};
struct xfs_da {
	enum xfs_da_kind kind;
	unsigned count;                  /* entries */
	unsigned level;                  /* of a node */
	uint32_t forw;                   /* the next block of its level, 0 none */
	uint64_t lblk;
	const uint8_t *entry;            /* the first; all `count` lie inside the block */
	const uint8_t *block;
	uint32_t size;
};
/* The verified block at lblk, kept until later calls push it out. */
int xfs_da_block(struct xfs_map *m, uint64_t lblk, struct xfs_da *ret, struct err *e);
/* Verified directory data. *ret_end: where its entries end. */
int xfs_da_data(struct xfs_dir *d, uint64_t lblk, const uint8_t **ret, bool *ret_block_form, size_t *ret_end,
                struct err *e);
/* From the root at lblk to the first leaf that may hold the hash. */
int xfs_da_descend(struct xfs_map *m, uint64_t lblk, uint32_t hash, struct xfs_da *ret, struct err *e);
/* The first of `count` entries of `size` bytes whose hash is not below; count for none. */
unsigned xfs_da_search(const uint8_t *entry, unsigned count, unsigned size, uint32_t hash);

/* lookup.c */
int xfs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e);

/* attr.c */
int xfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);
/* value.c */
int xfs_value_remote(struct xfs_map *m, uint32_t lblk, uint32_t len, struct buf *to, struct err *e);
/* From the form on disk to that of getxattr(2). */
int xfs_value_acl(uint64_t ino, const uint8_t *p, size_t len, struct buf *to, struct err *e);

/* log.c: replays what is not yet in its place into an overlay, which becomes x->fs.blk. What could not be
 * replayed is a warning; fails only for lack of memory or when the host cannot read. */
int xfs_log_recover(struct xfs_fs *x, struct err *e);

/* file.c, link.c */
int xfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void xfs_file_close(struct fs_file *f);
int xfs_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int xfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);

#endif
