/* entry: a file as it crosses the wire: in listings (a stream of records through the ring) and in STAT_INFO.
 *
 * A listing is one WIRE_LIST_HEAD record and then entries, each a u32 length and that many bytes. A listing of a directory and all that
 * are below it (WIRE_LIST_BELOW) is a row of such: first the directory's own, then, for each directory among its entries, in the order
 * of the listing, its own and those below it. Which directory one is of follows from the order alone.
 * Everything that arrives is checked here; a caller of wire_entry_get() gets plausible values or nothing.
 */
#ifndef WIRE_ENTRY_H
#define WIRE_ENTRY_H

#include "wire/wire.h"

enum wire_entry_kind {
	ENTRY_UNKNOWN = 0,
	ENTRY_FILE,
	ENTRY_DIRECTORY,
	ENTRY_SYMLINK,
	ENTRY_BLOCK,
	ENTRY_CHAR,
	ENTRY_FIFO,
	ENTRY_SOCKET,
	ENTRY_KINDS,
};

/* "file", "directory", … */
const char *wire_entry_kind_name(enum wire_entry_kind k);

enum {
	ENTRY_NAME_MAX = 4096,           /* a name, or in search results a whole path below */
	ENTRY_TARGET_MAX = 16384,        /* longer link targets are cut */
	ENTRY_RECORD_MAX = 60000,
};

enum wire_entry_flags {
	ENTRY_HAS_MODE = 1 << 0,         /* the same bits as FS_HAS_* of fs.h */
	ENTRY_HAS_MTIME = 1 << 1,
	ENTRY_HAS_ATIME = 1 << 2,
	ENTRY_HAS_CTIME = 1 << 3,
	ENTRY_HAS_BTIME = 1 << 4,
	ENTRY_HAS_ATTRS = 1 << 5,
	ENTRY_COMPRESSED = 1 << 8,
	ENTRY_ENCRYPTED = 1 << 9,
	ENTRY_BROKEN = 1 << 10,          /* error_code and error_msg say why; sizes and times are void */
};

struct wire_time {
	int64_t sec;
	uint32_t nsec;                   /* < 1,000,000,000 */
};

struct wire_entry {
	const char *name;                /* raw bytes of the guest, not NUL-terminated; borrowed */
	size_t name_len;
	const char *target;              /* symlinks; borrowed */
	size_t target_len;
	enum wire_entry_kind kind;
	uint32_t flags;
	uint32_t mode, uid, gid;         /* mode: 07777 */
	uint64_t nlink, size, allocated;
	uint64_t ino, tree;
	struct wire_time mtime, atime, ctime, btime;
	uint32_t rdev_major, rdev_minor;
	uint32_t dos_attrs;
	int error_code;                  /* with ENTRY_BROKEN */
	const char *error_msg;
	size_t error_len;
};

void wire_entry_put(struct buf *b, const struct wire_entry *en);
/* Reads one; r->bad where it is not one. Strings point into r. */
void wire_entry_get(struct rdr *r, struct wire_entry *ret);

/* How a listing is asked for. */
enum wire_list_how {
	WIRE_LIST_DESCENDING = 1 << 0,   /* directories stay first */
	WIRE_LIST_BELOW = 1 << 1,        /* also every directory below; only of all entries, from the first */
	WIRE_LIST_HOW_ALL = 3,
};

/* Head of a listing. */
struct wire_list_head {
	uint64_t total;                  /* entries of the directory, whatever the page */
	uint64_t first;                  /* index of the first entry of this page */
	uint64_t count;                  /* entries that follow; UINT64_MAX: not known ahead (search) */
	struct err why;                  /* code < 0: this directory below cannot be read; none follow */
};

void wire_list_head_put(struct buf *b, const struct wire_list_head *h);
void wire_list_head_get(struct rdr *r, struct wire_list_head *ret);

enum wire_sort {
	WIRE_SORT_NAME,
	WIRE_SORT_SIZE,
	WIRE_SORT_MTIME,
	WIRE_SORT_MODE,
	WIRE_SORT_OWNER,
};

/* A volume, as VOLUME_LIST carries them. */
struct wire_volume {
	uint32_t number, disk, parent, partition;
	char kind[16], table[8];
	char name[256], label[256], uuid[40], type[24];
	char part_type[40], part_type_name[48], part_uuid[40], reason[512];
	uint64_t offset, size;
	bool supported, locked, container, is_default;
};

void wire_volume_put(struct buf *b, const struct wire_volume *v);
void wire_volume_get(struct rdr *r, struct wire_volume *ret);

/* What LAYER_INFO says of an image file. */
struct wire_layer {
	char format[8];                  /* "raw", "qcow2", "vmdk", … */
	uint32_t version, cluster_size;
	uint64_t virtual_size, file_size;
	char backing_name[1024], backing_format[8];      /* "" for none / not said */
	bool has_data_file;
	char data_file_name[1024];
	bool dirty, extended_l2, compression_zstd;
	bool encrypted;                  /* QCOW2 with LUKS inside: UNLOCK_SOURCE brings its bytes */
	bool foreign;                    /* it needs a SOURCE, made from the file or from its extents */
	uint32_t extent_count;           /* of a VMDK descriptor, at most WIRE_EXTENTS_MAX */
};

/* A file of a VMDK disk, as EXTENT_INFO says it. */
enum wire_extent_kind { WIRE_EXTENT_FLAT, WIRE_EXTENT_SPARSE, WIRE_EXTENT_VMFSSPARSE, WIRE_EXTENT_SESPARSE, WIRE_EXTENT_KINDS };

struct wire_extent {
	enum wire_extent_kind kind;
	uint64_t sectors, first;         /* of 512 bytes; first: FLAT only */
	char name[WIRE_EXTENT_NAME_MAX]; /* no '/', no '"', no control characters: wire_extent_get checks it */
};

void wire_extent_put(struct buf *b, const struct wire_extent *x);
void wire_extent_get(struct rdr *r, struct wire_extent *ret);

void wire_layer_put(struct buf *b, const struct wire_layer *l);
void wire_layer_get(struct rdr *r, struct wire_layer *ret);

#endif
