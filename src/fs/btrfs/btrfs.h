/* btrfs, read-only. What the files of this folder share.
 *
 *	super.c      superblock: decoding, validation, mirrors; ident.c: probe, label, UUID
 *	csum.c       the four checksums; xxhash.c: one of them
 *	device.c     the devices at hand, those that are missing or behind
 *	chunk.c      logical addresses → places on the devices, profiles, mirrors; raid56.c: what parity gives back
 *	node.c       verified tree blocks and their cache
 *	tree.c       search and iteration in a B-tree; cursor.c: the same beneath an overlay
 *	overlay.c    items in memory that stand in front of a tree's (log replay)
 *	root.c       roots of trees, subvolumes
 *	inode.c      inodes, stat; xattr.c
 *	dir.c        listing; lookup.c: a name by its hash
 *	extent.c     extent items; file.c: open files; data.c: verified bytes; unpack.c: zlib, lzo, zstd
 *	log*.c       the log tree, see log.h
 *	btrfs.c      the driver table
 *
 * Format: btrfs.readthedocs.io, "On-disk Format" and "Btrees"; what is not written there, from the kernel's
 * behaviour. All numbers on disk are little-endian.
 *
 * Numbers: "logical" is an address of the filesystem's own address space, "phys" one of a device; fs_id.tree is
 * a subvolume's number. A subvolume that a snapshot does not hold is shown as an empty directory, as the kernel
 * does: its id is that of the directory around it with BTRFS_STUB set.
 *
 * Damage: what a checksum or a range check refuses on all mirrors is ERR_FILE_CORRUPT of the object that needed
 * it; what lies on a device that is not at hand is ERR_VOLUME_INCOMPLETE and names the device.
 *
 * Devices are told by number and UUID, as the stripes of chunks name them. They may be of different age: a mirror that was
 * away for a while. What a checksum or the generation of a tree block vouches for is read from such a one when no other has it,
 * bytes that nothing vouches for are not.
 */
#ifndef FS_BTRFS_BTRFS_H
#define FS_BTRFS_BTRFS_H

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fs/fs.h"

enum {
	BTRFS_SUPER_SIZE = 4096,
	BTRFS_SUPER_OFF = 64 << 10,
	BTRFS_SUPER_MIRRORS = 3,
	BTRFS_LABEL = 256,
	BTRFS_SYS_ARRAY = 2048,
	BTRFS_SECTOR_MIN = 4096,
	BTRFS_SECTOR_MAX = 64 << 10,
	BTRFS_NODE_MAX = 64 << 10,
	BTRFS_LEVELS = 8,
	BTRFS_CSUM_MAX = 32,
	BTRFS_STRIPE_LEN = 64 << 10,
	BTRFS_CHUNKS_MAX = 1 << 20,
	BTRFS_STRIPES_MAX = 1 << 22,
	BTRFS_DEVICES_MAX = 1024,        /* at hand and missing */
	BTRFS_PARITY_STRIPES_MAX = 257,  /* raid6: 255 of data */
	BTRFS_UUID_TEXT = 37,
	BTRFS_NODE_CACHE = 2 << 20,      /* bytes of tree blocks kept … */
	BTRFS_NODE_CACHE_MIN = 64,       /* … and how many at least … */
	BTRFS_NODE_CACHE_MAX = 1024,     /* … and at most */
	BTRFS_NODE_WAYS = 4,
	BTRFS_TREES = 64,                /* roots of subvolumes kept */
	BTRFS_NODE_HEAD = 101,
	BTRFS_ITEM = 25,                 /* of a leaf */
	BTRFS_PTR = 33,                  /* of a node */
	BTRFS_KEY = 17,
	BTRFS_NAME_MAX = 255,
	BTRFS_DIR_ENTRY = 30,            /* bytes of an entry before its name */
	BTRFS_INODE_ITEM_SIZE = 160,
	BTRFS_INLINE_HEAD = 21,          /* of an extent item before inline data */
	BTRFS_EXTENT_ITEM_SIZE = 53,
	BTRFS_PACKED_MAX = 128 << 10,    /* of a compressed extent, on disk and unpacked */
	BTRFS_DATA_PIECE = 256 << 10,    /* verified at once */
	BTRFS_OVERLAY_MAX = 128 << 20,   /* bytes of all overlays */
};

#define BTRFS_STUB ((uint64_t)1 << 63)
#define BTRFS_SEEDING ((uint64_t)1 << 32)        /* of the superblock's flags */

enum btrfs_incompat {
	BTRFS_METADATA_UUID = 1 << 10,
	BTRFS_NO_HOLES = 1 << 9,
	BTRFS_INCOMPAT_KNOWN = 0xfff | 1 << 16,      /* up to raid1c34; simple quotas */
};

enum btrfs_csum_type {
	BTRFS_CRC32C = 0,
	BTRFS_XXHASH = 1,
	BTRFS_SHA256 = 2,
	BTRFS_BLAKE2B = 3,
};

enum btrfs_objectid {
	BTRFS_ROOT_TREE = 1,
	BTRFS_DEV_ITEMS = 1,             /* of the chunk tree */
	BTRFS_CHUNK_TREE = 3,
	BTRFS_FS_TREE = 5,
	BTRFS_ROOT_DIR = 6,
	BTRFS_CSUM_TREE = 7,
	BTRFS_FIRST_FREE = 256,          /* inode and subvolume numbers start here; also the chunk tree's items */
};
#define BTRFS_LOG_TREE ((uint64_t)-6)
#define BTRFS_CSUM_OBJECT ((uint64_t)-10)
#define BTRFS_LAST_FREE ((uint64_t)-256)

enum btrfs_item_type {
	BTRFS_INODE_ITEM = 1,
	BTRFS_INODE_REF = 12,
	BTRFS_INODE_EXTREF = 13,
	BTRFS_XATTR_ITEM = 24,
	BTRFS_DIR_LOG_INDEX = 72,
	BTRFS_DIR_ITEM = 84,
	BTRFS_DIR_INDEX = 96,
	BTRFS_EXTENT_DATA = 108,
	BTRFS_EXTENT_CSUM = 128,
	BTRFS_ROOT_ITEM = 132,
	BTRFS_ROOT_REF = 156,
	BTRFS_DEV_ITEM = 216,
	BTRFS_CHUNK_ITEM = 228,
};

enum btrfs_profile {
	BTRFS_RAID0 = 1 << 3,
	BTRFS_RAID1 = 1 << 4,
	BTRFS_DUP = 1 << 5,
	BTRFS_RAID10 = 1 << 6,
	BTRFS_RAID5 = 1 << 7,
	BTRFS_RAID6 = 1 << 8,
	BTRFS_RAID1C3 = 1 << 9,
	BTRFS_RAID1C4 = 1 << 10,
	BTRFS_PROFILES = 0xff8,
};

struct btrfs_super {
	uint64_t flags, generation, root, chunk_root, log_root, chunk_root_generation;
	uint64_t total_bytes, num_devices, dev_bytes, devid, incompat;
	uint32_t sector, node, sys_size;
	uint16_t csum_type;
	uint16_t csum_size;
	uint8_t root_level, chunk_level, log_level;
	uint8_t fsid[16];                /* shown */
	uint8_t meta_fsid[16];           /* in the headers of blocks */
	uint8_t dev_uuid[16];
	uint8_t label[BTRFS_LABEL];
	uint8_t sys[BTRFS_SYS_ARRAY];
};

struct btrfs_key {
	uint64_t objectid;
	uint8_t type;
	uint64_t offset;
};

enum btrfs_age {
	BTRFS_CURRENT,
	BTRFS_BEHIND,                    /* by one generation: a crash between writing two superblocks */
	BTRFS_STALE,                     /* by more, or changed apart from the others */
	BTRFS_MISSING,
};

struct btrfs_device {
	struct blk *blk;                 /* reference; NULL: missing */
	uint64_t devid, generation, root;
	uint8_t uuid[16];
	uint8_t meta_fsid[16];           /* in the headers of blocks: a seed has its own */
	enum btrfs_age age;
	bool seed;                       /* of a filesystem that this one grew out of */
	bool listed;                     /* the chunk tree knows it */
};

struct btrfs_stripe {
	uint64_t phys;
	uint32_t dev;                    /* of devices */
};

struct btrfs_chunk {
	uint64_t logical, len;
	uint64_t profile;                /* BTRFS_PROFILES bits */
	uint32_t first;                  /* of its stripes */
	uint16_t stripes, sub_stripes;
};

struct btrfs_chunks {
	struct btrfs_chunk *list;        /* by logical address */
	size_t count, cap;
	struct btrfs_stripe *stripes;
	size_t stripe_count, stripe_cap;
};

/* A verified tree block. Lives as long as anybody holds it. */
struct btrfs_node {
	uint64_t bytenr, generation, owner;
	uint32_t count;                  /* items, all inside the block, their keys ascending */
	uint8_t level;
	unsigned refs;
	uint64_t used;                   /* tick of the last use */
	uint8_t data[];
};

struct btrfs_overlay;

/* Where a tree starts. */
struct btrfs_tree {
	uint64_t id, bytenr, generation;
	uint8_t level;
	uint64_t dirid;                  /* inode of a subvolume's root directory */
	struct btrfs_overlay *overlay;   /* NULL: none */
};

struct btrfs_fs;
struct btrfs_unpacker;

/* A place in a tree as it lies on disk. */
struct btrfs_path {
	struct btrfs_node *node[BTRFS_LEVELS];       /* from the leaf (0) up to the root */
	uint32_t slot[BTRFS_LEVELS];
	bool valid;                                  /* node[0], slot[0] is an item */
	bool resumable;                              /* a block could not be read; behind it the tree goes on at: */
	struct btrfs_key resume;
};
/* A place in a tree with what the log put in front of it. Starts as {0}; the tree must outlive it. */
struct btrfs_cursor {
	struct btrfs_fs *x;
	const struct btrfs_tree *tree;
	struct btrfs_path path;
	struct btrfs_key key;            /* of the item found */
	const uint8_t *data;             /* valid until the cursor moves */
	size_t len;
};
struct btrfs_fs {
	struct fs fs;
	struct btrfs_super sb;           /* of the newest device */
	struct btrfs_device *devices;
	unsigned device_count;
	struct btrfs_chunks chunks;
	struct btrfs_node **cache;       /* BTRFS_NODE_WAYS to a set */
	size_t cache_slots;
	uint64_t tick;
	struct btrfs_tree root_tree, csum_tree;
	bool has_csums;                  /* csum_tree is there */
	struct btrfs_tree trees[BTRFS_TREES];
	uint64_t default_tree;           /* subvolume shown as the root */
	uint64_t root_dirid;             /* its root directory */
	struct btrfs_tree inode_tree;    /* of the last inode read */
	struct btrfs_cursor inodes, sums;    /* stay where the last inode, the last checksum was */
	struct btrfs_overlay **logs;     /* of subvolumes with a log, by number */
	size_t log_count;
	struct btrfs_overlay *log_csums; /* NULL: none */
	size_t overlay_used;             /* bytes of all overlays */
	uint8_t *packed;                 /* BTRFS_PACKED_MAX, for compressed bytes */
	uint8_t *bounce;                 /* a sector */
	uint8_t *parity;                 /* two stripes, for what is computed; NULL until something is */
	struct btrfs_unpacker *unpacker;
};

static inline struct btrfs_fs *btrfs_of(struct fs *fs)
{
	return (struct btrfs_fs *)fs;
}

/* super.c */
/* Checksum, magic number, address. *ret_why is set where it is not a superblock that can be used. */
bool btrfs_super_decode(const uint8_t *raw, uint64_t off, struct btrfs_super *ret, struct err *ret_why);
/* 1: *ret is the first one or, where it is damaged (ret_why then says how), the newest of its copies. 0: none,
 * *ret_why says why when there is at least a magic number. */
int btrfs_super_find(struct blk *b, struct btrfs_super *ret, struct err *ret_why, struct err *e);
/* ERR_FS_UNSUPPORTED, naming what we do not know. */
int btrfs_super_supported(const struct btrfs_super *sb, struct err *e);
/* ident.c */
void btrfs_uuid_text(const uint8_t uuid[16], char ret[BTRFS_UUID_TEXT]);
int btrfs_probe(struct blk *b, struct fs_ident *ret, struct err *e);

/* csum.c */
uint64_t btrfs_xxhash64(const void *p, size_t len);
uint16_t btrfs_csum_size(uint16_t type);         /* 0: unknown */
/* Is `want` the checksum of p? 1 or 0, in a fuzzing build always 1. */
int btrfs_csum_fits(uint16_t type, const void *p, size_t len, const uint8_t *want, struct err *e);

/* device.c */
/* Those of `others` that belong to the filesystem of b; x->sb becomes the newest one's. */
int btrfs_devices_open(struct btrfs_fs *x, struct blk *const *others, unsigned count, struct err *e);
void btrfs_devices_close(struct btrfs_fs *x);
/* The device of a stripe, which is one more that is missing where it is not known. */
int btrfs_device_find(struct btrfs_fs *x, uint64_t devid, const uint8_t uuid[16], uint32_t *ret, struct err *e);
/* Says which of those the chunk tree lists are missing, and which it does not list. */
int btrfs_devices_check(struct btrfs_fs *x, const struct btrfs_tree *chunk_tree, struct err *e);
/* What bytes are read for: whether a checksum will tell that they are good, and whether they are kept. */
enum btrfs_use {
	BTRFS_FOR_BYTES,
	BTRFS_FOR_SUMMED,
	BTRFS_FOR_NODE,          /* summed, and kept by node.c */
};
/* ERR_VOLUME_INCOMPLETE where the device is missing or, for bytes that nothing verifies, stale. */
int btrfs_device_usable(const struct btrfs_device *d, enum btrfs_use use, struct err *e);
int btrfs_device_read(const struct btrfs_device *d, uint64_t phys, enum btrfs_use use, void *to, size_t len,
                      struct err *e);
/* Is it the UUID of this filesystem, or of a seed, as headers of blocks have it? */
bool btrfs_fsid_known(const struct btrfs_fs *x, const uint8_t fsid[16]);

/* chunk.c */
/* A chunk item, with or without its neighbours: checked and kept. */
int btrfs_chunk_add(struct btrfs_fs *x, uint64_t logical, const uint8_t *item, size_t len, size_t *ret_used,
                    struct err *e);
/* All of the superblock's array; then, of the chunk tree. */
int btrfs_chunks_boot(struct btrfs_fs *x, struct err *e);
int btrfs_chunks_load(struct btrfs_fs *x, struct err *e);
void btrfs_chunks_free(struct btrfs_chunks *c);
/* Ways to what lies at logical: its copies and, behind them, the ways to compute it. The most trustworthy come first. 0: nothing is
 * mapped there. */
unsigned btrfs_mirrors(const struct btrfs_fs *x, uint64_t logical);
struct btrfs_place {
	const struct btrfs_device *dev;
	uint64_t phys, len;
};
/* Where one copy of the bytes at logical lies, and for how many bytes (1 … len). What has to be computed lies nowhere. */
int btrfs_map(const struct btrfs_fs *x, uint64_t logical, uint64_t len, unsigned mirror, enum btrfs_use use,
              struct btrfs_place *ret, struct err *e);
int btrfs_read_mirror(struct btrfs_fs *x, uint64_t logical, unsigned mirror, enum btrfs_use use, void *to, size_t len,
                      struct err *e);

/* raid56.c */
/* Stripes of data in a row of a chunk in raid5 or raid6. */
unsigned btrfs_row_data(const struct btrfs_chunk *c);
/* Of row `row`, the stripe that holds `slot`: data from 0 on, then P, then Q. */
unsigned btrfs_row_stripe(const struct btrfs_chunk *c, uint64_t row, unsigned slot);
/* How many ways there are to compute bytes. */
unsigned btrfs_row_ways(const struct btrfs_chunk *c);
/* Bytes [in, in + len) of data stripe `slot` of the row out of the others. */
int btrfs_row_compute(struct btrfs_fs *x, const struct btrfs_chunk *c, uint64_t row, unsigned slot, uint64_t in,
                      unsigned way, uint8_t *to, size_t len, struct err *e);

/* node.c */
struct btrfs_key btrfs_key_decode(const uint8_t *p);
int btrfs_key_cmp(const struct btrfs_key *a, const struct btrfs_key *b);
struct btrfs_key btrfs_node_key(const struct btrfs_node *n, uint32_t slot);
/* The block at bytenr of a tree; the caller owns a reference. */
int btrfs_node_get(struct btrfs_fs *x, uint64_t tree, uint64_t bytenr, uint8_t level, uint64_t generation,
                   struct btrfs_node **ret, struct err *e);
void btrfs_node_put(struct btrfs_node *n);
int btrfs_cache_open(struct btrfs_fs *x, struct err *e);
void btrfs_cache_close(struct btrfs_fs *x);

/* tree.c */
void btrfs_path_done(struct btrfs_path *p);
/* The first item not below key: 1 there, 0 there is none. */
int btrfs_path_seek(struct btrfs_fs *x, const struct btrfs_tree *t, const struct btrfs_key *key, struct btrfs_path *p,
                    struct err *e);
int btrfs_path_next(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, struct err *e);
int btrfs_path_prev(struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_path *p, struct err *e);
struct btrfs_key btrfs_path_key(const struct btrfs_path *p);
const uint8_t *btrfs_path_data(const struct btrfs_path *p, size_t *ret_len);

/* cursor.c */
void btrfs_cursor_done(struct btrfs_cursor *c);
/* The first item not below key. 1 there, 0 there is none. */
int btrfs_seek(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
               struct err *e);
int btrfs_next(struct btrfs_cursor *c, struct err *e);
/* The last item not above key. */
int btrfs_seek_le(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
                  struct err *e);
/* The item of exactly this key. */
int btrfs_find(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, struct btrfs_key key,
               struct err *e);

/* overlay.c */
struct btrfs_layer_item {
	struct btrfs_key key;
	bool deleted;                    /* hides the tree's item */
	size_t len;
	const uint8_t *data;
};
/* *used counts the bytes of all overlays that share it. */
int btrfs_overlay_open(uint64_t id, size_t *used, struct btrfs_overlay **ret, struct err *e);
void btrfs_overlay_free(struct btrfs_overlay *o);
uint64_t btrfs_overlay_id(const struct btrfs_overlay *o);
/* data NULL: the item is deleted. ERR_LIMIT beyond BTRFS_OVERLAY_MAX. */
int btrfs_overlay_put(struct btrfs_overlay *o, const struct btrfs_key *key, const void *data, size_t len,
                      struct err *e);
/* The first not below, the last not above key; NULL: none. */
const struct btrfs_layer_item *btrfs_overlay_ge(const struct btrfs_overlay *o, const struct btrfs_key *key);
const struct btrfs_layer_item *btrfs_overlay_le(const struct btrfs_overlay *o, const struct btrfs_key *key);

/* root.c */
bool btrfs_is_subvolume(uint64_t id);
/* Any tree the root tree knows. ERR_NOT_FOUND. */
int btrfs_tree_find(struct btrfs_fs *x, uint64_t id, struct btrfs_tree *ret, struct err *e);
/* A subvolume, which must not be deleted; kept. */
int btrfs_subvolume(struct btrfs_fs *x, uint64_t id, struct btrfs_tree *ret, struct err *e);
/* A root item; false: damaged. */
bool btrfs_root_decode(const uint8_t *p, size_t len, struct btrfs_tree *ret);
int btrfs_roots_open(struct btrfs_fs *x, struct err *e);
/* Is subvolume `id` what the entry `name` of directory `dir` in `parent` means? Else the entry is a stub. 1 or 0. */
int btrfs_subvolume_is_here(struct btrfs_fs *x, uint64_t parent, uint64_t dir, const uint8_t *name, size_t len,
                            uint64_t id, struct err *e);

/* inode.c */
struct btrfs_inode {
	struct fs_id id;
	uint64_t size, nbytes, rdev, flags;
	uint32_t nlink, uid, gid, mode;
	struct fs_time mtime, atime, ctime, otime;
};
enum {
	BTRFS_INODE_NODATASUM = 1 << 0,
	BTRFS_INODE_COMPRESS = 1 << 11,
};
bool btrfs_inode_decode(const uint8_t *p, size_t len, struct btrfs_inode *ret);
int btrfs_inode_get(struct btrfs_fs *x, struct fs_id id, struct btrfs_tree *ret_tree, struct btrfs_inode *ret,
                    struct err *e);
int btrfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);
/* xattr.c */
int btrfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);

/* dir.c */
/* One entry of a directory item, or an extended attribute, which has the same form. */
struct btrfs_entry {
	struct btrfs_key to;
	const uint8_t *name, *value;
	size_t name_len, value_len;
	uint8_t type;
	const uint8_t *start;
	size_t size;                     /* bytes of all of it */
};
/* The entry at *at of an item, *at then behind it. 1 there, 0 the end, -1 the item is damaged. */
int btrfs_entry_next(const uint8_t *p, size_t len, size_t *at, struct btrfs_entry *ret);
enum fs_type btrfs_entry_type(uint8_t type);
/* Where the entry of `dir` leads: an inode, another subvolume, or a stub. */
int btrfs_entry_target(struct btrfs_fs *x, struct fs_id dir, const struct btrfs_entry *n, struct fs_id *ret,
                       struct err *e);
int btrfs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e);
int btrfs_dir_check(const struct btrfs_inode *in, struct err *e);
/* lookup.c */
uint32_t btrfs_name_hash(const void *name, size_t len);
int btrfs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e);

/* extent.c */
enum btrfs_extent_type {
	BTRFS_INLINE = 0,
	BTRFS_REGULAR = 1,
	BTRFS_PREALLOC = 2,
};
enum btrfs_packing {
	BTRFS_PLAIN = 0,
	BTRFS_ZLIB = 1,
	BTRFS_LZO = 2,
	BTRFS_ZSTD = 3,
};
struct btrfs_extent {
	uint64_t start, len;             /* of the file, len > 0; of inline data: rounded to sectors */
	uint8_t type, packing;
	bool encoded;                    /* encrypted or in another way unknown to us */
	uint64_t logical, disk_len;      /* 0: a hole */
	uint64_t offset, ram;            /* into the unpacked bytes; their number */
	const uint8_t *data;             /* inline: in the cursor's item */
	size_t data_len;
};
/* ERR_FILE_CORRUPT where the item makes no sense. */
int btrfs_extent_decode(const struct btrfs_super *sb, const struct btrfs_key *key, const uint8_t *p, size_t len,
                        struct btrfs_extent *ret, struct err *e);
/* What covers `off`, or the hole up to the next extent or `end`. */
int btrfs_extent_at(struct btrfs_cursor *c, struct btrfs_fs *x, const struct btrfs_tree *t, uint64_t ino, uint64_t off,
                    uint64_t end, struct btrfs_extent *ret, struct err *e);

/* data.c */
/* Sectors at logical, whole ones, each held against its checksum (unless !sums) and read from another mirror if it does
 * not fit. */
int btrfs_data_read(struct btrfs_fs *x, uint64_t logical, uint8_t *to, size_t len, bool sums, struct err *e);

/* unpack.c */
/* There has to be room for the whole sectors that hold to_len bytes. */
int btrfs_unpack(struct btrfs_fs *x, uint8_t packing, const uint8_t *from, size_t len, uint8_t *to, size_t to_len,
                 struct err *e);
void btrfs_unpacker_close(struct btrfs_unpacker *u);
/* lzo.c: the segments of a compressed extent. False: damaged. */
bool btrfs_lzo_unpack(uint32_t sector, const uint8_t *from, size_t len, uint8_t *to, size_t to_len, size_t *ret_len);

/* file.c */
int btrfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void btrfs_file_close(struct fs_file *f);
int btrfs_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int btrfs_file_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e);
int btrfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);

#endif
