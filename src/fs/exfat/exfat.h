/* exFAT, read-only, after "exFAT file system specification" by Microsoft (here: "spec"), revision 1.00.
 *
 *	boot.c    the main and the backup boot region -> struct exfat_geo
 *	upcase.c  the volume's up-case table
 *	set.c     a directory entry set (file, stream extension, names) -> struct exfat_entry
 *	dir.c     directories: entry sets in order; the label
 *	exfat.c   the driver's table; files
 *
 * The allocation table and its chains are src/fs/clusters/, shared with FAT.
 *
 * An fs_id is the byte offset of the set's first entry on the volume, which is a multiple of 32, plus
 * EXFAT_IN_PIECE where its directory lies in one piece (NoFatChain): a set may go on in the directory's
 * next cluster. EXFAT_ROOT_INO is the root, which has no entry.
 */
#ifndef FS_EXFAT_EXFAT_H
#define FS_EXFAT_EXFAT_H

#include "fs/clusters/clusters.h"
#include "fs/fs.h"

enum {
	EXFAT_ENTRY_SIZE = CLUSTERS_ENTRY_SIZE,
	EXFAT_DIR_SIZE_MAX = 256 << 20,      /* spec, DataLength of a stream extension */
	EXFAT_NAME_UNITS = 255,
	EXFAT_NAME_UNITS_PER_ENTRY = 15,
	EXFAT_SET_MIN = 3,                   /* entries: file, stream extension, one name */
	EXFAT_SET_MAX = 19,
	EXFAT_LABEL_UNITS = 11,
	EXFAT_UPCASE_UNITS = 65536,
	EXFAT_IN_PIECE = 1,
	EXFAT_ROOT_INO = 2,
};

enum exfat_type {
	EXFAT_BITMAP = 0x81,
	EXFAT_UPCASE = 0x82,
	EXFAT_LABEL = 0x83,
	EXFAT_FILE = 0x85,
	EXFAT_STREAM = 0xc0,
	EXFAT_NAME = 0xc1,
	EXFAT_IN_USE = 0x80,
	EXFAT_SECONDARY = 0x40,
	EXFAT_BENIGN = 0x20,
};

enum exfat_attr {
	EXFAT_READ_ONLY = 0x01,
	EXFAT_DIRECTORY = 0x10,
	EXFAT_ATTR_MASK = 0x37,      /* read-only, hidden, system, directory, archive */
};

enum exfat_boot_state {
	EXFAT_BOOT_GOOD,
	EXFAT_BOOT_BACKUP,           /* the main region is damaged, the backup is good */
	EXFAT_BOOT_UNSURE,           /* the numbers make sense, but neither checksum fits */
};

struct exfat_geo {
	enum exfat_boot_state state;
	uint32_t sector_size;
	uint32_t cluster_size;
	uint64_t size;               /* of the volume */
	uint64_t table_off, table_size;      /* the active table */
	uint64_t data_off;
	uint32_t cluster_end;
	uint32_t root_cluster;
	uint32_t serial;
	bool dirty, media_failure;
};

struct exfat_fs {
	struct fs fs;
	struct exfat_geo geo;
	struct clusters clusters;
	uint16_t *upcase;            /* owned; NULL: Unicode's own mappings */
};

/* --- boot.c --- */

/* 1 and *ret, or 0: no exFAT here; < 0: an error of the block source. */
int exfat_geo_read(struct blk *b, struct exfat_geo *ret, struct err *e);

/* --- upcase.c --- */

/* Reads the table; a missing or damaged one is a warning. */
int exfat_upcase_load(struct exfat_fs *x, struct err *e);

/* --- set.c --- */

struct exfat_entry {
	uint64_t ino;
	uint32_t next_index;         /* behind the set in its directory */
	uint16_t attrs;
	bool in_piece;               /* NoFatChain */
	uint32_t cluster;
	uint64_t size;               /* DataLength */
	uint64_t valid;              /* ValidDataLength: zero from there on */
	uint8_t times[EXFAT_ENTRY_SIZE];     /* the file entry, whose times are decoded when asked for */
	uint16_t units[EXFAT_NAME_UNITS];
	size_t unit_count;
	struct err broken;           /* code 0: nothing is wrong with it */
};

/* How many entries the set has that begins with this one; 0: a number no set can have. */
size_t exfat_set_length(const uint8_t *file_entry);

/* Decodes a whole set of count entries; damage goes to ret->broken. */
void exfat_set_decode(const uint8_t *set, size_t count, struct exfat_entry *ret);

/* type, times, attributes and sizes. */
void exfat_entry_stat(const struct exfat_fs *x, const struct exfat_entry *n, struct fs_stat *ret);

/* --- dir.c --- */

struct exfat_dir {
	struct clusters_dir raw;
	bool in_piece;
};

/* The root. */
int exfat_root_open(struct exfat_fs *x, uint32_t index, struct exfat_dir *ret, struct err *e);
/* The directory an entry is of. */
int exfat_dir_open(struct exfat_fs *x, const struct exfat_entry *n, uint32_t index, struct exfat_dir *ret,
                   struct err *e);
void exfat_dir_close(struct exfat_dir *d);

/* The next file or directory: 1 and *ret, 0 at the end. */
int exfat_dir_next(struct exfat_dir *d, struct exfat_entry *ret, struct err *e);

/* The first entry of a kind in the root: 1 and its bytes, 0 none. */
int exfat_root_find(struct exfat_fs *x, enum exfat_type type, uint8_t ret[EXFAT_ENTRY_SIZE], struct err *e);

/* The set an id names. ERR_INVALID for the root and for what cannot be an id. */
int exfat_entry_read(struct exfat_fs *x, struct fs_id id, struct exfat_entry *ret, struct err *e);

/* --- exfat.c --- */

extern const struct fs_driver exfat_driver;

#endif
