/* ntfs: what the files of the driver share. Nothing outside this folder includes it, the tests aside.
 *
 *	boot.c       boot sector → geometry             index.c    B+tree nodes, descent, in-order walk
 *	record.c     MFT records, fixups, window cache  dir.c      readdir, lookup
 *	attr.c       attributes, attribute lists        name.c     UTF-16, $UpCase, collation
 *	runs.c       mapping pairs                      inode.c    stat
 *	stream.c     one attribute as bytes             reparse.c  links, tags, WSL and Interix types
 *	file.c       open files                         secure.c   descriptors, extended attributes
 *	unit.c       LZNT1 compression units            wof.c      WofCompressedData
 *	lznt1.c xpress.c lzx.c huff.c  decompressors    logfile.c  state of $LogFile
 *
 * Format: Microsoft's public pieces ([MS-FSCC] reparse data, EAs; [MS-DTYP] descriptors; [MS-XCA]) and the
 * Linux-NTFS project's documentation of the on-disk layout. docs/fs/ntfs.md lists the sources.
 *
 * Memory: a struct ntfs_inode holds its record by value, so that a stat allocates nothing. Attributes
 * found in an inode point into it, or into its one extension buffer: they are valid until the next
 * step of a walk over that inode.
 */
#ifndef FS_NTFS_NTFS_H
#define FS_NTFS_NTFS_H

#include "base/bytes.h"
#include "fs/fs.h"

enum {
	NTFS_SECTOR_MIN = 256,           /* mkntfs makes 256; Windows 512 */
	NTFS_SECTOR_MAX = 4096,
	NTFS_CLUSTER_MAX = 2 << 20,
	NTFS_RECORD_MIN = 512,
	NTFS_RECORD_MAX = 4096,
	NTFS_BLOCK_MIN = 512,            /* an index block */
	NTFS_BLOCK_MAX = 64 << 10,
	NTFS_STRIDE = 512,               /* bytes one entry of an update sequence protects, whatever the sector */
	NTFS_WINDOW = 64 << 10,          /* bytes of the MFT read at once … */
	NTFS_PIECE = 4 << 10,            /* … or for one record, which lies within */
	NTFS_WINDOWS = 8,                /* such pieces kept */
	NTFS_DIRS = 8,                   /* directories kept open */
	NTFS_LIST_MAX = 256 << 10,       /* bytes of an attribute list: Windows' own limit */
	NTFS_ATTRS_MAX = 16384,          /* attributes of one file, all records together */
	NTFS_RUNS_MAX = 1 << 21,         /* runs of one attribute: 32 MiB of table */
	NTFS_DEPTH_MAX = 32,             /* levels of an index */
	NTFS_BLOCKS_MAX = 1 << 24,       /* blocks of one index */
	NTFS_NODE_ENTRIES_MAX = 4096,    /* entries of one index block: 64 KiB / 16 */
	NTFS_NAME_UNITS = 255,
	NTFS_REPARSE_MAX = 16 << 10,     /* [MS-FSCC] MAXIMUM_REPARSE_DATA_BUFFER_SIZE */
	NTFS_EA_MAX = 64 << 10,
	NTFS_UNIT_MAX = 1 << 20,         /* bytes of a compression unit; 64 KiB on every real volume */
	NTFS_UPCASE_UNITS = 65536,
};

#define NTFS_HOLE UINT64_MAX
#define NTFS_CLUSTERS_MAX ((uint64_t)1 << 42)    /* of one attribute; times NTFS_CLUSTER_MAX it is 2^63 */

enum {
	NTFS_MFT_NO = 0,
	NTFS_MFTMIRR_NO = 1,
	NTFS_LOGFILE_NO = 2,
	NTFS_VOLUME_NO = 3,
	NTFS_ROOT_NO = 5,
	NTFS_SECURE_NO = 9,
	NTFS_UPCASE_NO = 10,
	NTFS_FIRST_USER_NO = 16,         /* below: metafiles, hidden */
};

enum {
	NTFS_AT_STANDARD_INFORMATION = 0x10,
	NTFS_AT_ATTRIBUTE_LIST = 0x20,
	NTFS_AT_FILE_NAME = 0x30,
	NTFS_AT_OBJECT_ID = 0x40,
	NTFS_AT_SECURITY_DESCRIPTOR = 0x50,
	NTFS_AT_VOLUME_NAME = 0x60,
	NTFS_AT_VOLUME_INFORMATION = 0x70,
	NTFS_AT_DATA = 0x80,
	NTFS_AT_INDEX_ROOT = 0x90,
	NTFS_AT_INDEX_ALLOCATION = 0xA0,
	NTFS_AT_REPARSE_POINT = 0xC0,
	NTFS_AT_EA = 0xE0,
};

enum {                                   /* flags of an attribute */
	NTFS_ATTR_COMPRESSED = 0x00FF,   /* which method; 1 is LZNT1 */
	NTFS_ATTR_ENCRYPTED = 0x4000,
	NTFS_ATTR_SPARSE = 0x8000,
};

enum {                                   /* FILE_ATTRIBUTE_*, [MS-FSCC] 2.6 */
	NTFS_FA_HIDDEN = 0x2,
	NTFS_FA_SYSTEM = 0x4,
	NTFS_FA_DIRECTORY = 0x10,
	NTFS_FA_REPARSE = 0x400,
	NTFS_FA_OFFLINE = 0x1000,
	NTFS_FA_ENCRYPTED = 0x4000,
	NTFS_FA_RECALL = 0x400000,       /* RECALL_ON_DATA_ACCESS */
	NTFS_FA_HAS_INDEX = 0x10000000,  /* in index copies only: the file is a directory */
};

struct ntfs;

/* --- runs.c: where the clusters of an attribute are ---------------------------------------------- */

struct ntfs_run {
	uint64_t vcn;                    /* ends where the next one starts, the last at ntfs_runs.end */
	uint64_t lcn;                    /* or NTFS_HOLE */
};

struct ntfs_runs {
	struct ntfs_run *v;              /* owned, sorted by vcn, without gaps */
	size_t count, cap;
	uint64_t end;                    /* clusters mapped */
};

/* Decodes the mapping pairs of one piece that spans [lowest, highest] and appends its runs. The piece has to
 * start where the last one ended and every run to lie inside the volume: else ERR_FILE_CORRUPT. */
int ntfs_runs_add(struct ntfs_runs *r, uint64_t volume_clusters, const uint8_t *pairs, size_t len, uint64_t lowest,
                  uint64_t highest, struct err *e);
/* The rest of the run that holds vcn; false when none does. */
bool ntfs_runs_find(const struct ntfs_runs *r, uint64_t vcn, uint64_t *ret_lcn, uint64_t *ret_left);
void ntfs_runs_free(struct ntfs_runs *r);

/* --- record.c: MFT records ------------------------------------------------------------------------ */

enum {
	NTFS_RECORD_IN_USE = 1,
	NTFS_RECORD_DIRECTORY = 2,
};

struct ntfs_record {                     /* a record's header */
	uint16_t seq, links, flags;
	uint16_t first;                  /* offset of the first attribute */
	uint32_t used;                   /* bytes of it in use */
	uint64_t base;                   /* reference to the base record; 0 in a base record */
};

static inline uint64_t ntfs_ref_no(uint64_t ref)
{
	return ref & 0xFFFFFFFFFFFFu;
}

static inline uint16_t ntfs_ref_seq(uint64_t ref)
{
	return (uint16_t)(ref >> 48);
}

/* Checks a multi-sector structure's magic and update sequence and puts the protected words back. */
int ntfs_fixup(uint8_t *p, size_t len, const char magic[4], const char *what, uint64_t no, struct err *e);
/* Copies record `no`, checked, to buf (ntfs->record_size bytes). */
int ntfs_record_read(struct ntfs *ntfs, uint64_t no, uint8_t *buf, struct ntfs_record *ret, struct err *e);

/* --- attr.c: a file's attributes ------------------------------------------------------------------- */

struct ntfs_attr {
	uint32_t type;
	uint16_t flags, instance;
	const uint8_t *name;             /* UTF-16LE */
	unsigned name_units;
	bool resident;
	const uint8_t *value;            /* resident */
	uint32_t value_len;
	uint64_t lowest, highest;        /* non-resident from here on: VCNs of this piece */
	const uint8_t *pairs;
	size_t pairs_len;
	uint8_t unit_shift;              /* log2 of clusters a compression unit */
	uint64_t allocated, size, initialised, stored;   /* of the whole attribute; only where lowest is 0 */
};

struct ntfs_inode {
	struct ntfs *ntfs;
	uint64_t no;
	struct ntfs_record head;
	uint8_t *list;                   /* the attribute list, owned, or NULL */
	size_t list_len;
	uint8_t *ext;                    /* the extension record last looked at, owned, or NULL */
	uint64_t ext_no;
	struct ntfs_record ext_head;
	uint8_t rec[NTFS_RECORD_MAX];
};

/* Reads the base record of a file in use, and its attribute list. seq 0: any. */
int ntfs_inode_get(struct ntfs *ntfs, uint64_t no, uint16_t seq, struct ntfs_inode *ret, struct err *e);
int ntfs_inode_get_id(struct ntfs *ntfs, struct fs_id id, struct ntfs_inode *ret, struct err *e);
void ntfs_inode_put(struct ntfs_inode *ino);

static inline bool ntfs_inode_is_dir(const struct ntfs_inode *ino)
{
	return ino->head.flags & NTFS_RECORD_DIRECTORY;
}

struct ntfs_attrs {                      /* a walk; = {.ino = …} for all attributes */
	struct ntfs_inode *ino;
	uint32_t type;                   /* only of this type, if not 0 */
	bool by_name;                    /* only of this name, which may be the empty one */
	unsigned name_units;
	const uint8_t *name;
	size_t off;
	unsigned seen;
};

/* 1 and *ret, or 0 at the end. A file with an attribute list gives the pieces in the list's order. */
int ntfs_attrs_next(struct ntfs_attrs *it, struct ntfs_attr *ret, struct err *e);
/* The (first piece of the) attribute of that type and name, compared unit by unit; 1, or 0 where there is none. */
int ntfs_attr_find(struct ntfs_inode *ino, uint32_t type, const uint8_t *name, unsigned name_units,
                   struct ntfs_attr *ret, struct err *e);
bool ntfs_attr_named(const struct ntfs_attr *a, const char *ascii);
/* Decodes the attribute at `off` of a record; *ret_len 0 at the end mark. */
int ntfs_attr_decode(const uint8_t *rec, uint32_t used, size_t off, uint64_t no, struct ntfs_attr *ret,
                     uint32_t *ret_len, struct err *e);

/* --- stream.c: an attribute as bytes --------------------------------------------------------------- */

struct ntfs_stream {
	struct ntfs *ntfs;
	uint8_t *data;                   /* resident: the value, owned; NULL: runs */
	struct ntfs_runs runs;
	uint64_t size, initialised;
	uint64_t stored;                 /* bytes on disk */
	uint16_t flags;
	uint8_t unit_shift;
};

/* 1 and *ret, or 0 where there is no such attribute. */
int ntfs_stream_open(struct ntfs_inode *ino, uint32_t type, const uint8_t *name, unsigned name_units,
                     struct ntfs_stream *ret, struct err *e);
int ntfs_stream_open_ascii(struct ntfs_inode *ino, uint32_t type, const char *name, struct ntfs_stream *ret,
                           struct err *e);
void ntfs_stream_close(struct ntfs_stream *s);
/* What lies at off, compression left aside: resident values are FS_EXTENT_ENCODED. */
int ntfs_stream_extent(const struct ntfs_stream *s, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
/* The bytes as stored; of a compressed attribute that is not its contents. */
int ntfs_stream_read(const struct ntfs_stream *s, uint64_t off, void *to, size_t len, struct err *e);
/* A whole small attribute as a malloc'ed block: 1, 0 where there is none, ERR_FILE_CORRUPT beyond `max` bytes. */
int ntfs_attr_load(struct ntfs_inode *ino, uint32_t type, const char *name, size_t max, uint8_t **ret, size_t *ret_len,
                   struct err *e);

/* --- name.c ---------------------------------------------------------------------------------------- */

/* Whether there is a table in $UpCase; a warning where there is none. */
int ntfs_upcase_check(struct ntfs *ntfs, struct err *e);
/* Reads it, 128 KiB, unless that was done: only names beyond ASCII need it, and most folders have none. On damage a warning, and
 * letters beyond ASCII are as they are. */
int ntfs_upcase_load(struct ntfs *ntfs, struct err *e);
bool ntfs_name_is_ascii(const uint8_t *name, unsigned units);
/* Compares two UTF-16LE names without regard to case: < 0, 0, > 0. Names beyond ASCII: only after ntfs_upcase_load(). */
int ntfs_name_compare(const struct ntfs *ntfs, const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units);
/* The same, equal ones then by their code units: COLLATION_FILE_NAME. */
int ntfs_name_collate(const struct ntfs *ntfs, const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units);
bool ntfs_name_is(const uint8_t *name, unsigned units, const char *ascii);

/* --- index.c --------------------------------------------------------------------------------------- */

struct ntfs_entry {
	uint64_t ref;                    /* directories: the file */
	const uint8_t *key;
	size_t key_len;
	const uint8_t *data;             /* view indexes ($SII): the value */
	size_t data_len;
	bool last;                       /* the end entry: no key */
	bool has_child;
	uint64_t child;                  /* VCN, in the index's own unit */
	size_t len;
};

struct ntfs_node {
	const uint8_t *p;                /* the root's value, or a block */
	size_t first, end;               /* its entries */
};

struct ntfs_index {
	struct ntfs *ntfs;
	uint64_t no;                     /* whose */
	uint8_t *root_value;             /* owned */
	struct ntfs_node root;
	struct ntfs_stream alloc;
	uint32_t block_size;
	uint32_t vcn_size;               /* bytes one VCN stands for */
	uint64_t blocks;
	bool view;                       /* entries hold data, not file references */
};

int ntfs_index_open(struct ntfs_inode *ino, const char *name, struct ntfs_index *ret, struct err *e);
void ntfs_index_close(struct ntfs_index *ix);

/* How the wanted key stands to an entry's: < 0 before it, 0 equal. */
typedef int ntfs_key_fn(const struct ntfs *ntfs, const void *want, const struct ntfs_entry *entry);
/* Descends to an equal entry: 1 and *ret (pointing into `buf`, block_size bytes, or the root), or 0. */
int ntfs_index_find(const struct ntfs_index *ix, ntfs_key_fn *cmp, const void *want, uint8_t *buf,
                    struct ntfs_entry *ret, struct err *e);

struct ntfs_level {
	uint8_t *buf;                    /* owned; NULL at the root */
	struct ntfs_node node;
	uint64_t block;                  /* 0: the root; else block number + 1 */
	size_t off;
	bool descended;                  /* the child of the entry at off has been seen */
};

/* An in-order walk. Each block is entered once, so that hostile links neither loop nor multiply; the sequence
 * of positions is a function of the image alone, which makes them good cookies. */
struct ntfs_walk {
	struct ntfs_index *ix;
	unsigned depth;                  /* levels in use; 0 at the end */
	struct ntfs_level level[NTFS_DEPTH_MAX];
	uint8_t *seen;                   /* bitmap of blocks, owned */
	uint64_t pos;                    /* of the entry last given */
	struct err broken;               /* why a subtree was left out */
};

enum { NTFS_WALK_END = 0, NTFS_WALK_ENTRY = 1, NTFS_WALK_BROKEN = 2 };

int ntfs_walk_start(struct ntfs_walk *w, struct ntfs_index *ix, struct err *e);
int ntfs_walk_next(struct ntfs_walk *w, struct ntfs_entry *ret, struct err *e);
void ntfs_walk_end(struct ntfs_walk *w);

/* --- dir.c ----------------------------------------------------------------------------------------- */

struct ntfs_dir;                         /* a directory lately used */

void ntfs_dir_free(struct ntfs_dir *d);
int ntfs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e);
int ntfs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e);
/* The same with a UTF-16LE name. */
int ntfs_lookup_units(struct ntfs *ntfs, struct fs_id dir, const uint8_t *name, unsigned units, struct fs_id *ret,
                      struct err *e);

/* --- reparse.c ------------------------------------------------------------------------------------- */

enum ntfs_tag {                          /* [MS-FSCC] 2.1.2.1 */
	NTFS_TAG_MOUNT_POINT = 0xA0000003,
	NTFS_TAG_HSM = 0xC0000004,
	NTFS_TAG_HSM2 = 0x80000006,
	NTFS_TAG_SYMLINK = 0xA000000C,
	NTFS_TAG_DEDUP = 0x80000013,
	NTFS_TAG_WOF = 0x80000017,
	NTFS_TAG_CLOUD = 0x9000001A,     /* and 0x9000?01A */
	NTFS_TAG_LX_SYMLINK = 0xA000001D,
	NTFS_TAG_AF_UNIX = 0x80000023,
	NTFS_TAG_LX_FIFO = 0x80000024,
	NTFS_TAG_LX_CHR = 0x80000025,
	NTFS_TAG_LX_BLK = 0x80000026,
};

struct ntfs_reparse {
	uint32_t tag;                    /* 0: no reparse point */
	size_t len;
	uint8_t data[NTFS_REPARSE_MAX];  /* behind the 8 bytes of header */
};

/* What a file is beyond file or directory: reparse points and Interix special files. */
struct ntfs_kind {
	enum fs_type type;
	uint32_t tag;                    /* reparse tag, 0 for none */
	bool interix;                    /* a system file with Interix contents */
	uint32_t rdev_major, rdev_minor;
};

int ntfs_reparse_get(struct ntfs_inode *ino, struct ntfs_reparse *ret, struct err *e);
int ntfs_kind_get(struct ntfs_inode *ino, uint32_t dos_attrs, struct ntfs_kind *ret, struct err *e);
/* The same where the attributes are not at hand. */
int ntfs_kind_find(struct ntfs_inode *ino, struct ntfs_kind *ret, struct err *e);
int ntfs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e);
/* The target of a link whose inode and kind are at hand. */
int ntfs_link_target(struct ntfs_inode *ino, const struct ntfs_kind *kind, struct buf *ret, struct err *e);

/* --- inode.c --------------------------------------------------------------------------------------- */

struct ntfs_std {                        /* $STANDARD_INFORMATION */
	uint64_t created, modified, changed, accessed;   /* 100 ns since 1601 */
	uint32_t dos_attrs;
	uint32_t security_id;            /* 0: none (NTFS 1.2) */
};

int ntfs_std_get(struct ntfs_inode *ino, struct ntfs_std *ret, struct err *e);
int ntfs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e);

/* --- secure.c -------------------------------------------------------------------------------------- */

/* Steps through a list of extended attributes ([MS-FSCC] 2.4.15): 1 and the outputs, or 0 at the end. */
int ntfs_ea_next(const uint8_t *p, size_t len, size_t *off, const char **ret_name, size_t *ret_name_len,
                 const uint8_t **ret_value, size_t *ret_value_len, struct err *e);
int ntfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e);

/* --- file.c, unit.c, wof.c ------------------------------------------------------------------------- */

struct ntfs_units;                       /* a compressed attribute being read */
struct ntfs_wof;                         /* a WOF file being read */

int ntfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void ntfs_file_close(struct fs_file *f);
int ntfs_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int ntfs_file_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e);
int ntfs_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e);

/* The stream stays the caller's and must outlive it. */
int ntfs_units_open(struct ntfs_stream *s, struct ntfs_units **ret, struct err *e);
void ntfs_units_close(struct ntfs_units *u);
int ntfs_units_extent(struct ntfs_units *u, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int ntfs_units_read(struct ntfs_units *u, uint64_t off, void *to, size_t len, struct err *e);

/* size: bytes of the file decompressed. */
int ntfs_wof_open(struct ntfs_inode *ino, const struct ntfs_reparse *rp, uint64_t size, struct ntfs_wof **ret,
                  struct err *e);
void ntfs_wof_close(struct ntfs_wof *w);
int ntfs_wof_read(struct ntfs_wof *w, uint64_t off, void *to, size_t len, struct err *e);

/* --- the volume ------------------------------------------------------------------------------------ */

struct ntfs_boot {
	uint32_t sector_size, cluster_size, record_size, block_size;
	uint64_t sectors, clusters;
	uint64_t mft_lcn, mirror_lcn;
	uint64_t serial;
	bool backup;                     /* taken from the copy at the end */
};

/* 1 and *ret, 0 when this is no NTFS boot sector or its numbers make no sense. */
int ntfs_boot_read(struct blk *b, uint64_t off, struct ntfs_boot *ret, struct err *e);

struct ntfs_window {
	uint64_t index;                  /* which piece of the MFT */
	uint64_t used_at;                /* tick of the last use; 0: empty */
	uint8_t *data;                   /* owned, NTFS_WINDOW bytes, or NULL */
	size_t from, to;                 /* bytes of it that were read */
	uint8_t state[NTFS_WINDOW / NTFS_RECORD_MIN];   /* of each record: 0 untouched, 1 checked, 2 bad */
};

struct ntfs {
	struct fs fs;
	struct ntfs_boot boot;
	struct ntfs_stream mft;
	struct ntfs_window window[NTFS_WINDOWS];
	uint64_t next_window;            /* index behind the last one of which all was read; 0: none */
	uint64_t tick;
	unsigned mirror_used;            /* bit n: record n came from $MFTMirr, said once */
	uint16_t *upcase;                /* owned, NTFS_UPCASE_UNITS entries; NULL until needed */
	struct ntfs_dir *dir[NTFS_DIRS]; /* owned, or NULL; the last used first */
	uint16_t root_seq;
	enum { NTFS_SYSTEM_UNKNOWN, NTFS_SYSTEM_NO, NTFS_SYSTEM_YES } system_volume;   /* see reparse.c */
};

/* Boot sector, MFT: enough to read records. ERR_FS_CORRUPT. */
int ntfs_mount_mft(struct ntfs *ntfs, struct err *e);
/* Replays $LogFile where it has work, and notes in the warnings what it, hiberfil.sys and the dirty flag say. Only
 * ERR_NO_MEMORY is a failure. logfile.c */
int ntfs_recover(struct ntfs *ntfs, struct err *e);
/* From here on the volume is read from b; when it cannot be mounted there, nothing changes. */
int ntfs_switch(struct ntfs *ntfs, struct blk *b, struct err *e);

extern const struct fs_driver ntfs_driver;

#endif
