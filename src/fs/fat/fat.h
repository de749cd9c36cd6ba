/* FAT12, FAT16 and FAT32 with long names, read-only.
 *
 * After "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03 (here: "spec")
 * and, where that is silent, the Linux kernel's documented behaviour: FAT32 is what has no 16-bit FAT
 * size, the lower-case bits of byte 12, byte 0x05 for 0xE5.
 *
 *	boot.c    boot sector -> struct fat_geo; is it FAT at all?
 *	name.c    8.3 names and their code page, long-name slots
 *	dir.c     directories: entries in order
 *	fat.c     the driver's table; files
 *
 * The allocation table and its chains are src/fs/clusters/, shared with exFAT.
 *
 * An fs_id is the byte offset of the 8.3 entry on the volume; FAT_ROOT_INO for the root, which has none.
 */
#ifndef FS_FAT_FAT_H
#define FS_FAT_FAT_H

#include "fs/clusters/clusters.h"
#include "fs/fs.h"

enum {
	FAT_ENTRY_SIZE = CLUSTERS_ENTRY_SIZE,
	FAT_DIR_ENTRIES_MAX = 65536,         /* spec, "FAT directory structure": a directory has at most 2 MiB */
	FAT_NAME_UNITS = 255,
	FAT_LFN_SLOTS = 20,
	FAT_LFN_SLOT_UNITS = 13,
	FAT_SHORT_LEN = 11,
	FAT_SHORT_UNITS = 12,                /* with the dot */
	FAT_ROOT_INO = 1,                    /* never a multiple of FAT_ENTRY_SIZE */
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

struct fat_fs {
	struct fs fs;
	struct fat_geo geo;
	struct clusters clusters;
};

/* --- boot.c --- */

/* A score as fs_driver's probe gives it; *ret is filled when it is > 0. */
int fat_geo_read(struct blk *b, struct fat_geo *ret, struct err *e);

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

void fat_entry_decode(const uint8_t raw[FAT_ENTRY_SIZE], const struct fat_geo *g, struct fat_entry *ret);

/* The directory that starts at this cluster (0: the root), positioned at entry `index`. */
int fat_dir_open(struct fat_fs *fat, uint32_t cluster, uint32_t index, struct clusters_dir *ret, struct err *e);

/* The next file or directory: 1 and *ret, 0 at the end. "." and ".." are given too. */
int fat_dir_next(const struct fat_fs *fat, struct clusters_dir *d, struct fat_entry *ret, struct err *e);

/* The volume label entry of the root: 1 and raw bytes, 0 none. */
int fat_dir_find_label(struct fat_fs *fat, char ret[FAT_SHORT_LEN], struct err *e);

/* --- fat.c --- */

extern const struct fs_driver fat_driver;

#endif
