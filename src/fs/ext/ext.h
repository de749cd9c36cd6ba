/* ext: ext2, ext3 and ext4, read-only. What the files of this folder share.
 *
 *	super.c      superblock: decoding, validation, backups; probe
 *	group.c      group descriptors, block reads, small cache of metadata blocks
 *	inode.c      inodes, stat
 *	map.c        logical → physical blocks of one inode: front and indirect maps
 *	extent.c     … extent trees
 *	inline.c     data kept inside the inode
 *	dir.c        directory blocks; lookup.c; htree.c, hash.c: finding a name by its hash
 *	nokey.c      names of encrypted directories
 *	xattr.c      extended attributes
 *	journal.c    jbd2 replay; jwalk.c, revoke.c; fastcommit.c, fc.c: the fast-commit area
 *	file.c       open files; ext.c: the driver table
 *
 * Format: the kernel's Documentation/filesystems/ext4/ and, for what is not there, what mke2fs, the
 * kernel and e2fsck do. All numbers on disk are little-endian, the journal's big-endian.
 *
 * Damage: what a checksum or a range check refuses is ERR_FILE_CORRUPT of the object that needed it.
 */
#ifndef FS_EXT_EXT_H
#define FS_EXT_EXT_H

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fs/fs.h"

enum {
	EXT_SUPER_OFF = 1024,
	EXT_SUPER_SIZE = 1024,
	EXT_MAGIC = 0xEF53,
	EXT_ROOT_INO = 2,
	EXT_JOURNAL_INO = 8,
	EXT_BLOCK_MAX = 65536,
	EXT_IBLOCK_SIZE = 60,            /* bytes of i_block */
	EXT_DEPTH_MAX = 5,               /* levels of an extent tree above its leaves */
	EXT_EA_SIZE_MAX = FS_XATTR_VALUE_MAX,
	EXT_CACHE_SLOTS = 32,
	EXT_INODE_SMALL = 8 << 10,       /* read of the inode table at a random place … */
	EXT_INODE_CHUNK = 64 << 10,      /* … and when reading on */
	EXT_DIR_CHUNK = 64 << 10,
	EXT_GROUP_WARNINGS = 2,
	EXT_INODE_MAX = EXT_BLOCK_MAX,
};

enum ext_compat {
	EXT_HAS_JOURNAL = 0x4,
	EXT_DIR_INDEX = 0x20,
	EXT_SPARSE_SUPER2 = 0x200,
	EXT_FAST_COMMIT = 0x400,
};

enum ext_incompat {
	EXT_FILETYPE = 0x2,
	EXT_RECOVER = 0x4,
	EXT_JOURNAL_DEV = 0x8,
	EXT_META_BG = 0x10,
	EXT_EXTENTS = 0x40,
	EXT_64BIT = 0x80,
	EXT_MMP = 0x100,
	EXT_FLEX_BG = 0x200,
	EXT_EA_INODE = 0x400,
	EXT_CSUM_SEED = 0x2000,
	EXT_LARGEDIR = 0x4000,
	EXT_INLINE_DATA = 0x8000,
	EXT_ENCRYPT = 0x10000,
	EXT_CASEFOLD = 0x20000,
	EXT_INCOMPAT_KNOWN = EXT_FILETYPE | EXT_RECOVER | EXT_JOURNAL_DEV | EXT_META_BG | EXT_EXTENTS | EXT_64BIT |
	                     EXT_MMP | EXT_FLEX_BG | EXT_EA_INODE | EXT_CSUM_SEED | EXT_LARGEDIR | EXT_INLINE_DATA |
	                     EXT_ENCRYPT | EXT_CASEFOLD,
};

enum ext_ro_compat {
	EXT_SPARSE_SUPER = 0x1,
	EXT_LARGE_FILE = 0x2,
	EXT_BTREE_DIR = 0x4,
	EXT_HUGE_FILE = 0x8,
	EXT_GDT_CSUM = 0x10,
	EXT_BIGALLOC = 0x200,
	EXT_METADATA_CSUM = 0x400,
};

enum ext_inode_flags {
	EXT_FL_ENCRYPT = 0x800,
	EXT_FL_INDEX = 0x1000,
	EXT_FL_HUGE_FILE = 0x40000,
	EXT_FL_EXTENTS = 0x80000,
	EXT_FL_EA_INODE = 0x200000,
	EXT_FL_INLINE_DATA = 0x10000000,
	EXT_FL_CASEFOLD = 0x40000000,
};

/* The superblock, decoded and validated. */
struct ext_super {
	uint64_t blocks;
	uint32_t inodes;
	uint32_t first_data_block;
	uint32_t block_size, block_bits;
	uint32_t cluster_size;
	uint32_t blocks_per_group;
	uint32_t inodes_per_group;
	uint32_t inode_size;
	uint32_t first_ino;              /* below it, only the root is an inode a name may have */
	uint32_t desc_size, desc_per_block;
	uint32_t groups;
	uint32_t first_meta_bg;
	uint32_t compat, incompat, ro_compat;
	uint32_t backup_bgs[2];
	uint32_t csum_seed;
	uint32_t hash_seed[4];
	uint32_t group_nr;               /* of the copy this was decoded from */
	uint32_t journal_ino, journal_dev;
	uint8_t journal_backup_type;
	uint32_t journal_backup[17];     /* i_block[15], i_size_high, i_size */
	uint8_t hash_version;
	bool hash_unsigned;
	bool hurd;
	uint8_t uuid[16];
	uint8_t journal_uuid[16];
	uint8_t label[16];
};

/* A piece of an inode table. */
struct ext_chunk {
	uint32_t group;
	uint32_t off, len;               /* bytes in the group's table; len 0: nothing held */
	uint8_t *data;
};

struct ext_fc;

struct ext_fs {
	struct fs fs;
	struct ext_super sb;
	uint64_t cache_blk[EXT_CACHE_SLOTS];     /* 0: empty */
	uint8_t *cache[EXT_CACHE_SLOTS];
	struct ext_chunk random, stream;
	unsigned group_warnings;
	struct ext_fc *fc;               /* what the fast-commit area adds; NULL for nothing */
};

struct ext_inode {
	uint32_t ino;
	uint32_t mode;
	uint32_t uid, gid;
	uint32_t links;
	uint32_t flags;
	uint32_t generation;
	uint32_t dtime;
	uint32_t extra_isize;
	uint64_t size;
	uint64_t allocated;              /* bytes */
	uint64_t file_acl;               /* block of extended attributes, 0 none */
	struct fs_time mtime, atime, ctime, btime;
	bool has_btime;
	uint8_t i_block[EXT_IBLOCK_SIZE];
};

static inline struct ext_fs *ext_of(struct fs *fs)
{
	return (struct ext_fs *)fs;
}

static inline bool ext_has_csum(const struct ext_fs *x)
{
	return x->sb.ro_compat & EXT_METADATA_CSUM;
}

/* csum.c: as ext4 uses it, without any inversion of its own. */
uint16_t ext_crc16(uint16_t crc, const void *p, size_t len);
uint32_t ext_crc32_be(uint32_t crc, const void *p, size_t len);
/* Seed of the checksums of what belongs to one inode. */
uint32_t ext_inode_seed(const struct ext_super *sb, uint32_t ino, uint32_t generation);
/* a == b; always true in a fuzzing build, whose inputs would never get past a checksum. */
bool ext_csum_equal(uint32_t a, uint32_t b);

/* super.c */
int ext_probe(struct blk *b, struct fs_ident *ret, struct err *e);
/* Decodes and validates; says ERR_FS_CORRUPT or ERR_FS_UNSUPPORTED. raw: EXT_SUPER_SIZE bytes. */
int ext_super_decode(const uint8_t *raw, struct ext_super *ret, struct err *e);
/* From the primary superblock, or where that is damaged from a copy: then *ret_backup says why. */
int ext_super_find(struct blk *b, struct ext_super *ret, struct err *ret_backup, struct err *e);
bool ext_group_has_super(const struct ext_super *sb, uint32_t group);
uint64_t ext_group_first(const struct ext_super *sb, uint32_t group);

/* group.c */
/* May a file own these blocks? */
bool ext_blocks_ok(const struct ext_fs *x, uint64_t blk, uint64_t count);
int ext_read_blocks(struct ext_fs *x, uint64_t blk, uint64_t count, void *to, struct err *e);
/* One metadata block, kept until later calls push it out: use it before the next call. NULL: *e says. */
const uint8_t *ext_block(struct ext_fs *x, uint64_t blk, struct err *e);
/* First block of the group's inode table. */
int ext_group_itable(struct ext_fs *x, uint32_t group, uint64_t *ret, struct err *e);
void ext_caches_drop(struct ext_fs *x);

/* inode.c */
/* The inode_size bytes of an inode, valid until the next call. */
int ext_inode_raw(struct ext_fs *x, uint32_t ino, const uint8_t **ret, struct err *e);
/* Where it lies in the fs's blk. */
int ext_inode_where(struct ext_fs *x, uint32_t ino, uint64_t *ret, struct err *e);
/* Any inode with a sound checksum and size, also a reserved or deleted one. */
int ext_inode_any(struct ext_fs *x, uint32_t ino, struct ext_inode *ret, struct err *e);
/* One that a name may have: not reserved, not deleted, of a known type. */
int ext_inode_get(struct ext_fs *x, uint64_t ino, struct ext_inode *ret, struct err *e);
bool ext_ino_nameable(const struct ext_fs *x, uint64_t ino);
uint32_t ext_inode_csum(const struct ext_fs *x, uint32_t ino, const uint8_t *raw, bool *ret_wide);
int ext_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);

/* map.c, extent.c: the blocks of one inode. Holds the last tree leaf, so that reading on costs nothing. */
struct ext_map {
	struct ext_fs *x;
	uint32_t ino, seed, flags;
	uint8_t i_block[EXT_IBLOCK_SIZE];
	uint8_t *node;                   /* the leaf, block_size bytes; NULL until one is needed */
	uint64_t node_first, node_end;   /* the logical blocks it speaks for; empty: none held */
	unsigned slot;                   /* extents: the one found last */
	uint64_t bad_end;                /* after a run that failed: where what is damaged ends, UINT64_MAX for all of the map */
	const struct fc_map *fc;         /* not NULL: the fast commits changed it, this is all of it */
};

struct ext_run {
	uint64_t len;                    /* blocks, 1 … asked */
	uint64_t pblk;                   /* 0: reads as zeroes */
};

void ext_map_init(struct ext_map *m, struct ext_fs *x, const struct ext_inode *in);
void ext_map_fini(struct ext_map *m);
/* What lies at logical block lblk, at most max (> 0) blocks of it. */
int ext_map_run(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e);
/* Bytes through the map, holes as zeroes. */
int ext_map_read(struct ext_map *m, uint64_t off, void *to, size_t len, struct err *e);
/* For extent.c and map.c: fills m->node with block blk, which speaks for [first, end). */
int ext_map_load(struct ext_map *m, uint64_t blk, uint64_t first, uint64_t end, struct err *e);
int ext_extent_run(struct ext_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret, struct err *e);

/* inline.c: data in i_block and in the attribute "system.data". */
int ext_inline_read(struct ext_fs *x, const struct ext_inode *in, struct buf *ret, struct err *e);

/* dir.c */
struct ext_dent {
	uint32_t ino;
	const uint8_t *name;             /* NULL for a damaged place without a name */
	uint8_t len;
	uint8_t ftype;
	uint64_t next;                   /* cookie */
	const uint8_t *tail;             /* what follows the name, tail_len bytes */
	size_t tail_len;
	const struct err *damage;        /* why the entry, or its block, cannot be trusted */
};
/* Non-zero stops and is returned. */
typedef int ext_dent_fn(void *arg, const struct ext_dent *d);

/* Entries of one block (or inline area) of `size` bytes from byte `from` on; base: cookie of its byte 0. */
int ext_dir_block(struct ext_fs *x, const uint8_t *p, size_t size, size_t from, uint64_t base,
                  const struct err *damage, ext_dent_fn *fn, void *arg);
/* Entries of a directory; "." and ".." included. */
int ext_dir_scan(struct ext_fs *x, const struct ext_inode *dir, uint64_t cookie, ext_dent_fn *fn, void *arg,
                 struct err *e);
/* 0 when the block's own checksum fits or there is none. */
int ext_dir_csum(struct ext_fs *x, const struct ext_inode *dir, const uint8_t *p, uint64_t lblk, struct err *e);
int ext_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e);
int ext_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e);
/* lookup.c: the inode a name of these very bytes leads to in the directory's blocks, 0 for none. */
int ext_dir_find_raw(struct ext_fs *x, const struct ext_inode *dir, const char *name, size_t len, uint32_t *ret,
                     struct err *e);
uint32_t ext_dir_size_blocks(const struct ext_fs *x, const struct ext_inode *dir);

/* hash.c: hash of a name in a directory. version: 0 legacy, 1 half MD4, 2 TEA, 3 … 5 the same with
 * unsigned characters. False where it is none of these. */
struct ext_hash {
	uint32_t major, minor;
};
bool ext_name_hash(const struct ext_super *sb, unsigned version, const void *name, size_t len,
                   struct ext_hash *ret);

/* htree.c */
/* The hash version this directory uses, legacy ones made unsigned where the filesystem says so. */
int ext_htree_version(struct ext_fs *x, const struct ext_inode *dir, unsigned *ret, struct err *e);
/* Calls fn for the entries of each leaf that may hold a name of this hash. 0: no fn stopped. Negative with
 * *e: the tree is damaged. *ret: fn's answer. */
int ext_htree_find(struct ext_fs *x, const struct ext_inode *dir, const void *name, size_t len,
                   ext_dent_fn *fn, void *arg, int *ret, struct err *e);

/* nokey.c: the name shown for an encrypted one, as the kernel shows it without the key. */
enum { EXT_NOKEY_MAX = 256 };
size_t ext_nokey_name(struct ext_fs *x, const struct ext_inode *dir, const struct ext_dent *d, unsigned version,
                      char *ret);

/* xattr.c */
int ext_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);
/* Finds "system.data" in the inode itself; *ret points into raw, NULL where there is none. */
int ext_xattr_data(const struct ext_fs *x, const struct ext_inode *in, const uint8_t *raw, const uint8_t **ret,
                   size_t *ret_len, struct err *e);

/* journal.c: replays what is not yet in its place into an overlay, which becomes x->fs.blk. What could not be
 * replayed is a warning; fails only for lack of memory or when the host cannot read. */
int ext_journal_recover(struct ext_fs *x, struct err *e);

/* file.c */
int ext_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void ext_file_close(struct fs_file *f);
int ext_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int ext_file_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e);
int ext_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);

#endif
