/* table: partition tables read from a block source into one host form. Internal to volume. */
#ifndef VOLUME_TABLE_H
#define VOLUME_TABLE_H

#include "volume/volume.h"

enum {
	MBR_LOGICAL_MAX = 128,               /* links of EBR chains followed */
	GPT_ENTRIES_BYTES_MAX = 2 << 20,     /* the entry array; 16 KiB by the specification's minimum */
	TABLE_SECTOR = 512,                  /* an MBR has this size on any disk */
};

struct table_entry {
	unsigned number;                     /* as the kernel counts */
	uint64_t off;                        /* bytes */
	uint64_t len;                        /* bytes; 0 where `bad` says why */
	char type[40];
	char uuid[40];
	char name[VOLUME_TEXT_MAX];
	const char *bad;                     /* its place is nonsense; static, NULL where it is not */
};

struct table {
	const char *kind;                    /* "gpt", "mbr" */
	uint32_t sector_size;
	bool backup;                         /* GPT: read from the backup */
	bool no_protective;                  /* GPT: without a protective MBR */
	bool at_start;                       /* MBR: some entry, of type 0 too, begins in the first 64 KiB */
	struct table_entry *entries;
	unsigned count;
	unsigned cap;
};

void table_free(struct table *t);        /* back to empty */

/* The next entry, zeroed; NULL without memory or past VOLUME_MAX (then *ret_full is set). */
struct table_entry *table_add(struct table *t, bool *ret_full);

/* Places an entry of `count` sectors at `start`: bytes, or `bad`. */
void table_place(struct table_entry *n, uint64_t start, uint64_t count, uint32_t sector_size);

struct mbr_slot {
	uint8_t flag;
	uint8_t type;
	uint32_t start;                      /* sectors */
	uint32_t count;
};

/* Sector 0. Format: the PC partition table, four slots at 446, 0x55 0xaa at 510. */
struct mbr {
	bool signature;
	bool sane;                           /* signature, and each boot flag is 0 or 0x80 */
	unsigned used;                       /* slots with a type and a size */
	bool protective;                     /* one is of type 0xee */
	uint32_t id;
	struct mbr_slot slots[4];
};

void mbr_decode(const uint8_t sector[TABLE_SECTOR], struct mbr *ret);

/* All partitions of a sane MBR, the logical ones too. Fails only as volume_fatal() says. */
int mbr_read(struct volume_set *s, struct blk *b, const struct mbr *m, uint32_t sector_size, struct table *ret,
             struct err *e);

/* > 0: a GPT was read, 0: there is none that can be trusted; *ret_damaged: there are remains of one. */
int gpt_read(struct volume_set *s, struct blk *b, const struct mbr *m, struct table *ret, bool *ret_damaged,
             struct err *e);

/* "EFI System", "Linux LVM", …; "" for what is not known. `type` as in table_entry. */
const char *part_type_name(const char *type);

/* Types that hold no filesystem by their nature: says what they are for; NULL for all others. */
const char *part_type_no_files(const char *type);

/* Partitions of a Windows dynamic disk (LDM). */
bool part_type_is_ldm(const char *type);

#endif
