/* ISO 9660 with Rock Ridge, Joliet and zisofs, read-only.
 *
 * After ECMA-119, 4th edition (here: "ECMA"), SUSP 1.12, RRIP 1.12, the Joliet specification of 1995, and for what these leave
 * open the Linux kernel's documented behaviour: which tree is shown, how plain names are spelt, what relocated directories
 * look like.
 *
 *	super.c    volume descriptors -> struct iso_volume; label and UUID
 *	tree.c     which tree is shown: Rock Ridge, Joliet or plain
 *	meta.c     reading metadata through a few windows
 *	date.c     the two forms of a time
 *	susp.c     system use areas: entries and their continuations
 *	rock.c     the entries of Rock Ridge
 *	entry.c    directory records -> struct iso_entry
 *	dir.c      directories in order
 *	file.c     file sections, interleaved or not
 *	zisofs.c   compressed files
 *	iso9660.c  the driver's table
 *
 * An fs_id of a directory is the byte offset of its first record, which describes the directory itself, and tree ISO_TREE_DIR; of
 * anything else, the byte offset of its (first) directory record. So, as in Linux, hard links are separate objects.
 */
#ifndef FS_ISO9660_ISO9660_H
#define FS_ISO9660_ISO9660_H

#include "fs/fs.h"

enum {
	ISO_SECTOR = 2048,
	ISO_FIRST_DESCRIPTOR = 16,
	ISO_DESCRIPTORS_MAX = 84,            /* as Linux: sectors 16 to 99 */
	ISO_RECORD_MIN = 33,                 /* ECMA 9.1: up to the name */
	ISO_RECORD_MAX = 255,
	ISO_SECTIONS_MAX = 8192,             /* 2^32 blocks of 2 KiB in sections of nearly 4 GiB are 2049 */
	ISO_DIR_SIZE_MAX = 256 << 20,
	ISO_CE_LINKS_MAX = 128,              /* continuations of one record */
	ISO_CE_SIZE_MAX = 32 << 10,          /* of one continuation */
	ISO_WINDOW = 32 << 10,
	ISO_WINDOWS = 4,
	ISO_TREE_DIR = 1,                    /* fs_id.tree */
	ISO_JOLIET_UNITS_MAX = ISO_RECORD_MAX / 2,
};

/* ECMA 9.1.6 */
enum iso_flag {
	ISO_DIRECTORY = 0x02,
	ISO_ASSOCIATED = 0x04,
	ISO_MULTI_EXTENT = 0x80,
};

/* What the descriptors say, in bytes of the volume. */
struct iso_volume {
	uint32_t block_size;
	uint64_t size;
	unsigned set_size, sequence;
	uint64_t root;               /* the plain tree's root directory */
	uint64_t joliet_root;        /* 0: none */
	bool halves_differ;          /* a number's little-endian half is not its big-endian one */
	char label[FS_LABEL_MAX];
	char uuid[40];
};

struct iso_window {
	uint64_t off;
	size_t len;                  /* 0: empty */
	uint8_t *data;               /* owned */
};

struct iso_fs {
	struct fs fs;
	struct iso_volume vol;
	uint64_t root;               /* of the tree that is shown */
	bool joliet, rock;
	unsigned skip;               /* SUSP 5.3: bytes before each record's system use entries */
	unsigned root_skip;          /* the same in the root's own record */
	struct iso_window windows[ISO_WINDOWS];
	unsigned next_window;
	uint8_t *continuation;       /* ISO_CE_SIZE_MAX bytes, once needed */
};

/* --- super.c --- */

/* 1 and *ret; 0: no ISO 9660 here; or an error of the block source. */
int iso_volume_read(struct blk *b, struct iso_volume *ret, struct err *e);

/* --- tree.c --- */

/* Sets root, joliet, rock and the skips. */
int iso_choose_tree(struct iso_fs *x, struct err *e);

/* --- meta.c --- */

/* Metadata at off; ERR_FILE_CORRUPT where the volume ends before. */
int iso_read(struct iso_fs *x, uint64_t off, void *to, size_t len, struct err *e);
void iso_windows_free(struct iso_fs *x);

/* --- date.c --- */

/* ECMA 9.1.5: seven bytes. False where they are no time. */
bool iso_time_short(const uint8_t *p, struct fs_time *ret);
/* ECMA 8.4.26.1: sixteen digits and a zone. */
bool iso_time_long(const uint8_t *p, struct fs_time *ret);

/* --- susp.c --- */

/* An entry: signature, length (p[2], at least 4), version, data. */
typedef void iso_susp_fn(void *arg, const uint8_t *p, size_t len);

/* Calls fn for each entry but CE and padding, in order, through all continuations. ERR_FILE_CORRUPT where these
 * cannot be. */
int iso_susp_walk(struct iso_fs *x, const uint8_t *area, size_t len, iso_susp_fn *fn, void *arg, struct err *e);

/* --- rock.c --- */

struct iso_zf {
	unsigned version;            /* 0: not compressed; 1, 2: zisofs */
	unsigned header_size;
	unsigned block_shift;
	uint64_t size;               /* unpacked */
};

/* What the Rock Ridge entries of one record say. */
struct iso_rock {
	bool has_px, has_pn, has_cl, has_sl, relocated;
	uint32_t mode, nlink, uid, gid;
	uint32_t rdev_major, rdev_minor;
	uint32_t times;              /* FS_HAS_*TIME bits */
	struct fs_time mtime, atime, ctime, btime;
	uint32_t child;              /* CL: the block of the directory whose place this is */
	char name[FS_NAME_MAX];
	size_t name_len;             /* 0: none */
	struct buf *link;            /* borrowed; NULL: only the length is wanted */
	size_t link_len;
	bool link_part, link_slash;  /* the last component goes on; a slash is due before the next one */
	struct iso_zf zf;
	const char *damage;          /* why the record cannot be used */
	const char *refused;         /* why the file's bytes cannot be read */
};

/* An iso_susp_fn; arg is a struct iso_rock. */
void iso_rock_entry(void *arg, const uint8_t *p, size_t len);

/* --- entry.c --- */

struct iso_section {
	uint64_t at;                 /* in the file */
	uint64_t off;                /* on the volume */
	uint64_t len;
	uint64_t unit, gap;          /* ECMA 6.4.3: bytes together, bytes between; unit 0: in one piece */
};

struct iso_sections {
	struct iso_section *list;    /* owned */
	size_t count;
};

enum iso_found {
	ISO_PADDING,                 /* no record: what follows is in the next block */
	ISO_NOT_SHOWN,               /* "." and "..", associated files, relocated directories */
	ISO_ENTRY,
};

struct iso_entry {
	struct fs_id id;
	uint64_t next;               /* where the following record is, or the next block */
	bool itself;                 /* the directory's own record, "." */
	struct fs_stat st;           /* of a directory: only of its own record, else id and type */
	uint64_t stored;             /* bytes of all sections */
	struct iso_zf zf;
	const char *refused;         /* why the file's bytes cannot be read */
	char name[FS_NAME_MAX];
	size_t name_len;
	struct err broken;           /* code 0: nothing is wrong with it */
};

/* What only some callers want. */
struct iso_details {
	struct buf *link;
	struct iso_sections *sections;
};

/* What is at this byte of a directory: an enum iso_found, or an error of the block source. Damage goes to ret->broken. */
int iso_entry_read(struct iso_fs *x, uint64_t off, const struct iso_details *more, struct iso_entry *ret, struct err *e);

/* The entry an id names, which can be used; else its error. */
int iso_entry_get(struct iso_fs *x, struct fs_id id, const struct iso_details *more, struct iso_entry *ret, struct err *e);

/* The system use area of the record at off, which is a directory's own: at most ISO_RECORD_MAX bytes, ret_len of them. */
int iso_system_use(struct iso_fs *x, uint64_t off, uint8_t *to, size_t *ret_len, struct err *e);

/* --- dir.c --- */

struct iso_dir {
	struct fs_id id;
	uint64_t at, size;
	bool cut;                    /* it says it is longer than it can be */
};

int iso_dir_open(struct iso_fs *x, struct fs_id id, uint64_t at, struct iso_dir *ret, struct err *e);

/* 1 and *ret, or 0 at the end. */
int iso_dir_next(struct iso_fs *x, struct iso_dir *d, struct iso_entry *ret, struct err *e);

/* --- file.c --- */

struct iso_zisofs;

struct iso_file {
	struct fs_file file;
	struct iso_sections sections;
	uint64_t stored;
	struct iso_zisofs *z;        /* owned; NULL: not compressed */
};

int iso_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void iso_file_close(struct fs_file *file);
int iso_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);
int iso_file_read(struct fs_file *file, uint64_t off, void *to, size_t len, struct err *e);

/* Bytes as they are stored, which need not be there. */
int iso_stored_read(struct iso_file *f, uint64_t off, void *to, size_t len, struct err *e);

/* --- zisofs.c --- */

/* Checks the header and the table's place. */
int iso_zisofs_open(struct iso_file *f, const struct iso_zf *zf, struct iso_zisofs **ret, struct err *e);
void iso_zisofs_close(struct iso_zisofs *z);
int iso_zisofs_read(struct iso_file *f, uint64_t off, uint8_t *to, size_t len, struct err *e);

/* --- iso9660.c --- */

extern const struct fs_driver iso9660_driver;

#endif
