/* FAT12, FAT16 and FAT32 with long names, read-only.
 *
 * After "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03 (here: "spec")
 * and, where that is silent, the Linux kernel's documented behaviour: FAT32 is what has no 16-bit FAT
 * size, the lower-case bits of byte 12, byte 0x05 for 0xE5.
 *
 *	boot.c    boot sector -> struct fat_geo; is it FAT at all?
 *	table.c   the file allocation table: one entry, by cached pages; chains of clusters
 *	name.c    8.3 names and their code page, long-name slots
 *	dir.c     directories: entries in order
 *	file.c    contents: a place in a file -> a place on the volume
 *	fat.c     the driver's table
 *
 * An fs_id is the byte offset of the 8.3 entry on the volume; FAT_ROOT_INO for the root, which has none.
 */
#ifndef FS_FAT_FAT_H
#define FS_FAT_FAT_H

#include "fs/fs.h"

enum {
	FAT_ENTRY_SIZE = 32,
	FAT_DIR_ENTRIES_MAX = 65536,         /* spec, "FAT directory structure": a directory has at most 2 MiB */
	FAT_NAME_UNITS = 255,
	FAT_LFN_SLOTS = 20,
	FAT_LFN_SLOT_UNITS = 13,
	FAT_SHORT_LEN = 11,
	FAT_SHORT_UNITS = 12,                /* with the dot */
	FAT_ROOT_INO = 1,                    /* never a multiple of FAT_ENTRY_SIZE */
	FAT_PAGE_SIZE = 8192,
	FAT_PAGES = 32,                      /* of the allocation table kept in memory */
};

enum fat_attr {
	FAT_READ_ONLY = 0x01,
	FAT_HIDDEN = 0x02,
	FAT_SYSTEM = 0x04,
	FAT_LABEL = 0x08,
	FAT_DIRECTORY = 0x10,
	FAT_ARCHIVE = 0x20,
	FAT_LONG_NAME = 0x0f,
	FAT_ATTR_MASK = 0x3f,
};

/* Where things lie, in bytes of the volume. */
struct fat_geo {
	unsigned bits;               /* 12, 16 or 32 of a table entry */
	uint32_t sector_size;
	uint32_t cluster_size;
	uint64_t table_off;          /* the active table */
	uint64_t table_size;         /* of one table */
	uint64_t root_off;           /* 12, 16: the fixed root directory */
	uint32_t root_entries;
	uint32_t root_cluster;       /* 32 */
	uint64_t data_off;           /* cluster 2 */
	uint32_t cluster_end;        /* one past the last cluster's number */
	uint64_t size;               /* of the volume as the boot sector says */
	uint32_t serial;
	bool mounted;                /* the boot sector says it was in use */
	bool table_short;            /* the table has fewer entries than there are clusters */
};

struct fat_page {
	uint64_t number;             /* table_off + number * FAT_PAGE_SIZE */
	size_t len;
	uint8_t *data;               /* owned, NULL: empty slot */
};

struct fat_fs {
	struct fs fs;
	struct fat_geo geo;
	struct fat_page pages[FAT_PAGES];    /* slot = number % FAT_PAGES */
};

/* --- boot.c --- */

/* A score as fs_driver's probe gives it; *ret is filled when it is > 0. */
int fat_geo_read(struct blk *b, struct fat_geo *ret, struct err *e);

/* Byte offset of a cluster, whose number is valid. */
uint64_t fat_cluster_off(const struct fat_geo *g, uint32_t cluster);
bool fat_cluster_valid(const struct fat_geo *g, uint32_t cluster);

/* --- table.c --- */

enum { FAT_CHAIN_END = 0 };          /* what fat_next gives behind the last cluster of a chain */

/* The cluster behind a valid one, or FAT_CHAIN_END. ERR_FILE_CORRUPT where the entry is free, bad or
 * outside the volume. */
int fat_next(struct fat_fs *fat, uint32_t cluster, uint32_t *ret, struct err *e);

/* Is the bit that says "cleanly unmounted" unset? 0 or 1, or an error. */
int fat_is_dirty(struct fat_fs *fat, struct err *e);

void fat_pages_free(struct fat_fs *fat);

/* Finds a circle in a chain within a few rounds of it (Brent): ask for each cluster in order. */
struct fat_circle {
	uint32_t mark;               /* a cluster seen before */
	uint32_t steps, limit;       /* since the mark; the mark moves on at limit */
};

bool fat_circle_closed(struct fat_circle *c, uint32_t cluster);

/* --- name.c --- */

/* Code page 437 to UTF-16, one unit a byte. */
void fat_oem_to_utf16(const uint8_t *bytes, size_t len, uint16_t *to);

/* The 8.3 name as shown, at most FAT_SHORT_UNITS units; with_case: heed the lower-case bits. */
size_t fat_short_name(const uint8_t raw[FAT_ENTRY_SIZE], bool with_case, uint16_t *to);

/* Trims and converts a label to UTF-8; to has room for FS_LABEL_MAX. */
void fat_label(const char raw[FAT_SHORT_LEN], char *to);

/* Collects the slots that precede an 8.3 entry. */
struct fat_long_name {
	unsigned expect;             /* number of the next slot; 0: complete or none */
	size_t slots;                /* 0: none */
	uint8_t checksum;
	uint16_t units[FAT_LFN_SLOTS * FAT_LFN_SLOT_UNITS];
};

void fat_long_name_add(struct fat_long_name *l, const uint8_t raw[FAT_ENTRY_SIZE]);

/* The length in units of the name that belongs to this 8.3 entry; 0: none does. */
size_t fat_long_name_for(const struct fat_long_name *l, const uint8_t raw[FAT_ENTRY_SIZE]);

/* --- dir.c --- */

struct fat_entry {
	uint64_t off;                /* of the 8.3 entry on the volume */
	uint32_t index;              /* of the 8.3 entry in its directory */
	uint8_t raw[FAT_ENTRY_SIZE];
	uint8_t attr;
	uint32_t cluster;            /* first; 0 none */
	uint32_t size;
	uint16_t units[FAT_NAME_UNITS];      /* the name shown */
	size_t unit_count;
	bool has_long_name;
};

struct fat_run {
	uint64_t off;                /* on the volume */
	uint64_t len;
};

struct fat_dir {
	struct fat_fs *fat;
	uint32_t cluster;            /* first; 0: the root */
	struct fat_run *runs;        /* owned */
	size_t run_count, run_cap;
	uint64_t size;               /* of all runs */
	struct err damage;           /* why the chain ends early; told when a reader gets there */
	uint32_t index;              /* next entry */
	uint8_t *window;             /* owned; the bytes [window_pos, + window_len) of the directory */
	uint64_t window_pos;
	size_t window_len;
	uint64_t window_off;         /* on the volume */
};

void fat_entry_decode(const uint8_t raw[FAT_ENTRY_SIZE], const struct fat_geo *g, struct fat_entry *ret);

/* The directory that starts at this cluster (0: the root), positioned at entry `index`. */
int fat_dir_open(struct fat_fs *fat, uint32_t cluster, uint32_t index, struct fat_dir *ret, struct err *e);
void fat_dir_close(struct fat_dir *d);

/* The next file or directory: 1 and *ret, 0 at the end. "." and ".." are given too. */
int fat_dir_next(struct fat_dir *d, struct fat_entry *ret, struct err *e);

/* The volume label entry of the root: 1 and raw bytes, 0 none. */
int fat_dir_find_label(struct fat_fs *fat, char ret[FAT_SHORT_LEN], struct err *e);

/* --- file.c --- */

int fat_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e);
void fat_file_close(struct fs_file *f);
int fat_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e);

/* --- fat.c --- */

extern const struct fs_driver fat_driver;

/* The entry an id names. ERR_INVALID for the root and for what cannot be an id. */
int fat_entry_read(struct fat_fs *fat, struct fs_id id, struct fat_entry *ret, struct err *e);

#endif
