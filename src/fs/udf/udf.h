/* UDF, read-only, after ECMA-167 third edition (here: "ECMA", part/clause) and the OSTA Universal Disk Format
 * Specification, revisions 1.02 to 2.60 (here: "UDF").
 *
 *	tag.c     descriptor tags: checksum, CRC, place
 *	volume.c  recognition, anchors, volume descriptors -> struct udf_volume
 *	ident.c   label and UUID as libblkid gives them
 *	part.c    partitions: an address in one of them -> a place on the device
 *	table.c   the tables of partitions: sparing, virtual allocation, metadata files
 *	icb.c     (extended) file entries -> struct udf_inode; strategy 4096
 *	extent.c  allocation descriptors -> struct udf_extents; reading by them
 *	dir.c     file identifier descriptors in order
 *	name.c    OSTA CS0, symbolic links' path components
 *	attr.c    times, permissions, extended attributes
 *	stream.c  named streams
 *	udf.c     the driver's table; files
 *
 *	anchor -> volume descriptors -> partition maps -> file set -> root's ICB -> directory -> ICB -> extents
 *
 * An fs_id is the address of the ICB: block in `ino`, number of the partition map in `tree`.
 */
#ifndef FS_UDF_UDF_H
#define FS_UDF_UDF_H

#include "base/bytes.h"
#include "fs/fs.h"

enum {
	UDF_BLOCK_MIN = 512,
	UDF_BLOCK_MAX = 32768,
	UDF_TAG_SIZE = 16,
	UDF_PARTS_MAX = 16,          /* partition maps */
	UDF_SPARING_MAX = 1 << 16,   /* entries of a sparing table: its length is 16 bits */
	UDF_DIR_SIZE_MAX = 256 << 20,
	UDF_FID_SIZE_MAX = 4096,     /* UDF 2.3.4: at most a block */
	UDF_NAME_BYTES = 254,        /* of a name in CS0, without the compression ID */
	UDF_EXTENTS_MAX = 1 << 20,   /* of one file, after neighbours are joined */
	UDF_CONTINUATION_BYTES_MAX = 32 << 20,       /* of one file's allocation extent descriptors, their whole blocks */
	UDF_STRATEGY_STEPS_MAX = 1024,       /* entries of an ICB hierarchy followed */
};

enum udf_tag_id {
	UDF_TAG_PRIMARY = 1,
	UDF_TAG_ANCHOR = 2,
	UDF_TAG_POINTER = 3,
	UDF_TAG_PARTITION = 5,
	UDF_TAG_LOGICAL = 6,
	UDF_TAG_TERMINATING = 8,
	UDF_TAG_INTEGRITY = 9,
	UDF_TAG_FILE_SET = 256,
	UDF_TAG_FILE_IDENT = 257,
	UDF_TAG_ALLOCATION = 258,
	UDF_TAG_INDIRECT = 259,
	UDF_TAG_FILE_ENTRY = 261,
	UDF_TAG_ATTRS = 262,
	UDF_TAG_EXTENDED_ENTRY = 266,
	UDF_TAG_SPARING = 0,
};

enum udf_file_type {                 /* ECMA 4/14.6.6; from 248 on UDF */
	UDF_TYPE_UNSPECIFIED = 0,
	UDF_TYPE_DIRECTORY = 4,
	UDF_TYPE_FILE = 5,
	UDF_TYPE_BLOCK = 6,
	UDF_TYPE_CHAR = 7,
	UDF_TYPE_FIFO = 9,
	UDF_TYPE_SOCKET = 10,
	UDF_TYPE_SYMLINK = 12,
	UDF_TYPE_STREAM_DIR = 13,
	UDF_TYPE_VAT = 248,
	UDF_TYPE_REAL_TIME = 249,
	UDF_TYPE_METADATA = 250,
	UDF_TYPE_METADATA_MIRROR = 251,
};

/* A block of a partition; ECMA lb_addr. */
struct udf_addr {
	uint32_t block;
	uint16_t part;               /* number of the partition map */
};

enum udf_extent_kind {
	UDF_RECORDED = 0,            /* as the two top bits of an extent's length have it */
	UDF_ALLOCATED = 1,           /* but not recorded: zeroes */
	UDF_HOLE = 2,
	UDF_CONTINUED = 3,           /* more descriptors are there */
};

struct udf_long_ad {
	uint32_t len;
	enum udf_extent_kind kind;
	struct udf_addr at;
};

/* A run of bytes of a file. */
struct udf_extent {
	uint64_t off, len;           /* in the file */
	uint64_t at;                 /* recorded: block of the partition; embedded: byte of the device */
	uint16_t part;
	uint8_t kind;                /* enum udf_extent_kind; UDF_ALLOCATED is held as UDF_HOLE */
	bool embedded;
};

struct udf_extents {
	struct udf_extent *list;     /* owned; in order, without gaps from 0 on */
	size_t count, cap;
	uint64_t size;               /* bytes covered */
};

enum udf_part_kind {
	UDF_PART_PLAIN,
	UDF_PART_VIRTUAL,
	UDF_PART_SPARABLE,
	UDF_PART_METADATA,
	UDF_PART_UNKNOWN,            /* a kind we do not know: its addresses are refused */
};

struct udf_spare {
	uint32_t from, to;           /* first block of a packet: in the partition, on the device */
};

/* One partition map with what it leads to. */
struct udf_part {
	enum udf_part_kind kind;
	uint16_t number;
	bool found;                  /* its partition descriptor is there */
	uint64_t start, blocks;      /* of the partition, in blocks of the device */
	uint16_t base;               /* virtual, metadata: map of the physical partition beneath */
	/* sparable */
	uint32_t packet;             /* blocks */
	uint32_t table_size, table_count, table_at[4];
	struct udf_spare *spares;    /* owned; sorted */
	size_t spare_count;
	/* virtual */
	struct udf_extents vat;
	uint64_t vat_off, vat_count; /* of its entries */
	/* metadata: the file's extents, and those of its mirror */
	uint32_t file_at[2];
	bool duplicated;
	struct udf_extents file[2];
};

/* What the volume descriptors say. */
struct udf_volume {
	uint32_t block;              /* bytes */
	uint16_t revision;           /* 0x0102 … 0x0260 */
	bool reserve;                /* the reserve sequence had to be used */
	bool open;                   /* was in use when it was copied */
	char set_id[128], logical_id[128];   /* dstrings */
	struct udf_long_ad file_set;
	struct udf_part part[UDF_PARTS_MAX];
	unsigned part_count;
};

struct udf {
	struct fs fs;
	struct udf_volume vol;
	struct udf_addr root;
};

/* --- tag.c --- */

/* Is there a descriptor of this kind at the start of these bytes, and sound? at: the place it must name. */
bool udf_tag_fits(const uint8_t *p, size_t len, uint16_t id, uint32_t at);
/* The same for any kind and place: its kind, or -1. */
int udf_tag_id(const uint8_t *p, size_t len);

struct udf_long_ad udf_long_ad(const uint8_t p[16]);

/* --- volume.c --- */

/* Is a recognition sequence there? 1 or 0. */
int udf_recognise(struct blk *b, struct err *e);
/* Finds the anchor and reads what it leads to: 1 and *ret; 0: there is none, and *why says so. */
int udf_volume_read(struct blk *b, struct udf_volume *ret, struct err *why, struct err *e);

/* --- ident.c --- */

int udf_probe(struct blk *b, struct fs_ident *ret, struct err *e);

/* --- part.c --- */

/* The bytes from a block on: where they begin on the device and how many follow there (at most `want`).
 * copy 1: of a metadata partition by its mirror. ERR_FILE_CORRUPT where there is nothing. */
int udf_place(struct udf *u, struct udf_addr at, unsigned copy, uint64_t want, uint64_t *ret_off, uint64_t *ret_len,
              struct err *e);
/* An address of a virtual partition -> the physical one; others stay as they are. */
int udf_devirtualise(struct udf *u, struct udf_addr *at, struct err *e);
/* Has it a second copy of its structures? */
bool udf_has_copy(const struct udf *u, uint16_t part);
/* Reads a block with the sound descriptor `id` (-1: of any kind), from the mirror where the first is not: its place
 * on the device goes to *ret_off (NULL allowed). buf has room for a block. */
int udf_read_descriptor(struct udf *u, struct udf_addr at, int id, uint8_t *buf, uint64_t *ret_off, struct err *e);

/* --- table.c --- */

/* Loads what the partition maps need. Damage is ERR_FS_CORRUPT; what is only partly lost, a warning. */
int udf_tables_load(struct udf *u, struct err *e);
void udf_tables_free(struct udf *u);

/* --- icb.c --- */

struct udf_inode {
	struct udf_addr at;          /* as it was asked for */
	struct udf_addr where;       /* of the entry used, which strategy 4096 puts elsewhere */
	uint64_t dev_off;            /* of the block on the device */
	uint8_t *block;              /* owned */
	uint8_t type;                /* enum udf_file_type */
	uint16_t flags;              /* of the ICB tag */
	bool extended;
	uint32_t uid, gid, permissions;
	uint16_t links;
	uint64_t size, blocks;
	const uint8_t *mtime, *atime, *ctime, *btime;        /* in block; btime NULL in a plain entry */
	struct udf_long_ad streams;  /* len 0: none */
	uint32_t attrs_off, attrs_len;       /* extended attributes, in block */
	uint32_t ads_off, ads_len;   /* allocation descriptors or the bytes themselves, in block */
};

int udf_inode_get(struct udf *u, struct udf_addr at, struct udf_inode *ret, struct err *e);
void udf_inode_put(struct udf_inode *n);
struct udf_addr udf_addr_of(struct fs_id id);
/* FS_UNKNOWN for what is no file of a user's. */
enum fs_type udf_inode_type(const struct udf_inode *n);

/* --- extent.c --- */

int udf_extents_load(struct udf *u, const struct udf_inode *n, struct udf_extents *ret, struct err *e);
void udf_extents_free(struct udf_extents *x);
/* The first run at off, at most len bytes: a place on the device or zeroes. */
int udf_extents_find(struct udf *u, const struct udf_extents *x, uint64_t off, uint64_t len, unsigned copy,
                     struct fs_extent *ret, struct err *e);
int udf_extents_read(struct udf *u, const struct udf_extents *x, uint64_t off, void *to, size_t len, unsigned copy,
                     struct err *e);

/* --- dir.c --- */

enum udf_fid_flag {
	UDF_FID_HIDDEN = 0x01,
	UDF_FID_DELETED = 0x04,
	UDF_FID_PARENT = 0x08,
	UDF_FID_METADATA = 0x10,
};

struct udf_fid {
	uint64_t next;               /* offset behind it */
	uint8_t flags;
	struct udf_long_ad icb;
	size_t name_len;
	char name[3 * UDF_NAME_BYTES];       /* 254 letters of Latin-1 are 508 bytes, 127 units 381 */
	struct err broken;           /* code 0: nothing is wrong with it */
};

struct udf_dir {
	struct udf *u;
	struct udf_inode inode;
	struct udf_extents extents;
	uint64_t pos;
	uint8_t *window;             /* owned */
	uint64_t window_off;
	size_t window_len;
};

/* type: UDF_TYPE_DIRECTORY or UDF_TYPE_STREAM_DIR. */
int udf_dir_open(struct udf *u, struct udf_addr at, enum udf_file_type type, uint64_t pos, struct udf_dir *ret,
                 struct err *e);
void udf_dir_close(struct udf_dir *d);
/* The next entry that is neither deleted nor the parent: 1 and *ret, 0 at the end. */
int udf_dir_next(struct udf_dir *d, struct udf_fid *ret, struct err *e);
/* The entry of that very name: 1, or 0. */
int udf_dir_find(struct udf_dir *d, const char *name, size_t len, struct udf_fid *ret, struct err *e);

/* --- name.c --- */

/* CS0 (UDF 2.1.1) to WTF-8; to has room for 3 bytes each. False where it is none. */
bool udf_name(const uint8_t *p, size_t len, char *to, size_t *ret_len);
/* A dstring (ECMA 1/7.2.12) of a volume descriptor as UTF-8. */
void udf_dstring(const char *p, size_t len, char *to);
/* Path components (ECMA 4/14.16) -> a target. */
int udf_link_target(const uint8_t *p, size_t len, struct buf *ret, struct err *e);

/* --- attr.c --- */

bool udf_time(const uint8_t p[12], struct fs_time *ret);
int udf_inode_stat(struct udf *u, const struct udf_inode *n, struct fs_stat *ret, struct err *e);

/* --- stream.c --- */

int udf_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e);
/* The ICB of a named stream. */
int udf_stream_find(struct udf *u, const struct udf_inode *n, const char *name, struct udf_addr *ret, struct err *e);

/* --- udf.c --- */

int udf_readlink_inode(struct udf *u, const struct udf_inode *n, struct buf *ret, struct err *e);

extern const struct fs_driver udf_driver;

#endif
