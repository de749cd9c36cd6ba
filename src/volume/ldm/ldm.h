/* ldm: Windows dynamic disks (Logical Disk Manager).
 *
 *	disk ─▶ PRIVHEAD ─▶ TOCBLOCK ─▶ VMDB ─▶ VBLKs ─▶ records ─▶ volume: components of columns of extents ─▶ blk
 *	        header.c    ────────── database.c ───────  record.c   volume.c
 *
 * Every disk of a group has the whole group's database in its private region: at the end of an MBR disk, in a partition
 * of its own on a GPT disk. The copy with the newest committed transaction counts, and says where in the disks' public
 * regions the volumes lie. All numbers on disk are big-endian; places of records count in 512 bytes on any disk, those of
 * PRIVHEAD and TOCBLOCK in the disk's sectors.
 *
 * A change under way is seen as its phase says: before its commit, records that wait for deletion still count and
 * those that wait for activation do not; from then on it is the other way round.
 *
 * Sources: R. Russon and T. Aloni, LDM Documentation (flatcap.github.io/linux-ntfs/ldm); kernel, block/partitions/ldm.h
 * (places of the copies); libldm (GPT disks).
 */
#ifndef VOLUME_LDM_LDM_H
#define VOLUME_LDM_LDM_H

#include "volume/layer.h"

enum {
	LDM_BLOCK = 512,                 /* the unit of records; size of a PRIVHEAD, a TOCBLOCK */
	LDM_SECTOR_MAX = 4096,
	LDM_SCAN = 1 << 20,              /* of a private region, searched where its usual places hold no header */
	LDM_CONFIG_MAX = 4 << 20,        /* a database; Windows makes 740 KiB */
	LDM_VBLK_MIN = 64,
	LDM_VBLK_MAX = 4096,             /* 128 */
	LDM_FRAGMENTS_MAX = 16,          /* of a record; 2 or 3 */
	LDM_RECORDS_MAX = 16384,
	LDM_COLUMNS_MAX = 256,           /* 32 */
	LDM_COMPONENTS_MAX = 32,         /* copies of one volume; 2 */
	LDM_NAME_MAX = 64,
	LDM_GUID_MAX = 40,
};

extern const struct volume_layer volume_ldm_layer;

/* --- A disk and its copy of the database (header.c, database.c) --------------------------------------------------- */

/* VMDB, the head of the database. */
struct ldm_vmdb {
	uint64_t off;                    /* on the disk */
	uint32_t slot_off;               /* of the first VBLK, from here */
	uint32_t slot_size;
	uint32_t slots;
	unsigned status;                 /* enum ldm_status */
	uint64_t committed;              /* transaction: the age */
	uint32_t counts[4];              /* volumes, components, extents, disks that must be there */
};

enum ldm_status {
	LDM_CHANGE = 2,
	LDM_COMMIT = 3,
	LDM_ABORT = 4,
	LDM_STALE = 6,
};

struct ldm_disk {
	struct blk *blk;                             /* the whole disk; borrowed */
	const struct volume_member *member;          /* the first one on it */
	const struct volume_member *metadata;        /* GPT: the partition of the private region; else NULL */
	char uuid[LDM_GUID_MAX];
	char group[LDM_GUID_MAX];
	char group_name[LDM_NAME_MAX];
	uint32_t sector;
	uint64_t sequence;                           /* of the private header */
	struct volume_range data;                    /* the public region, bytes of the disk */
	struct volume_range private_region;
	uint64_t tocs[2];                            /* sectors in the private region */
	unsigned copies, copies_bad;                 /* of the private header, and of the table of contents */
	bool has_vmdb;
	struct ldm_vmdb vmdb;
};

/* Finds and reads the private header. d: blk, member and metadata are set. */
int ldm_header_read(struct ldm_disk *d, struct err *e);

/* Reads the table of contents and the head of the database. */
int ldm_vmdb_read(struct ldm_disk *d, struct err *e);

/* A GUID in text form, checked and in lower case; false where it is none. */
bool ldm_guid_text(char to[LDM_GUID_MAX], const uint8_t *p, size_t len);

/* PRIVHEAD and TOCBLOCK: the sum of all bytes but those of the sum itself. */
bool ldm_sum_good(const uint8_t p[LDM_BLOCK]);

/* --- Records (record.c) ------------------------------------------------------------------------------------------
 *
 * Ids are those of the database, unique among the records of a kind; each struct begins with it. */

struct ldm_volume {
	uint64_t id;
	char name[LDM_NAME_MAX];         /* "Volume1" */
	char hint[LDM_NAME_MAX];         /* where it was mounted, "E:"; "" for none */
	char uuid[LDM_GUID_MAX];
	bool crashed;                    /* parity may be out of step */
	uint32_t components;
	uint64_t size;                   /* bytes */
};

enum ldm_layout {
	LDM_STRIPE = 1,
	LDM_CONCAT = 2,
	LDM_RAID5 = 3,
};

struct ldm_component {
	uint64_t id, volume;
	unsigned layout;                 /* enum ldm_layout */
	bool stale;                      /* its bytes are not those of the volume */
	uint32_t extents, columns;
	uint64_t chunk;                  /* bytes; 0 for none */
};

struct ldm_extent {
	uint64_t id, component, disk;
	char name[LDM_NAME_MAX];         /* "Disk1-01" */
	bool stale;
	uint32_t column;
	uint64_t start;                  /* bytes, in the public region */
	uint64_t offset;                 /* bytes, in the column */
	uint64_t size;
};

struct ldm_disk_record {
	uint64_t id;
	char name[LDM_NAME_MAX];         /* "Disk1" */
	char uuid[LDM_GUID_MAX];
	bool detached;
	const struct ldm_disk *present;  /* NULL: missing */
};

struct ldm_db {
	struct ldm_volume *volumes;              /* sorted by id: in the order they were made */
	struct ldm_component *components;        /* by volume, id */
	struct ldm_extent *extents;              /* by component, column, offset */
	struct ldm_disk_record *disks;           /* by id */
	unsigned volume_count, volume_cap, component_count, component_cap, extent_count, extent_cap, disk_count, disk_cap;
	unsigned damaged;                        /* records that could not be read, or are too many or too few */
	unsigned unknown;                        /* of a type or revision that is not known */
};

/* Decodes one record (what follows the VBLK headers) into db. committing: the phase of the database. A record that makes
 * no sense is counted; fails for lack of memory, or ERR_VOLUME_UNSUPPORTED past LDM_RECORDS_MAX. */
int ldm_record_add(struct ldm_db *db, const uint8_t *p, size_t len, bool committing, struct err *e);

/* All records of the database on disk d, sorted. */
int ldm_db_load(const struct ldm_disk *d, struct ldm_db *ret, struct err *e);
void ldm_db_free(struct ldm_db *db);

/* --- Volumes (volume.c) ------------------------------------------------------------------------------------------- */

struct ldm_group {
	struct volume_set *set;
	char name[LDM_NAME_MAX];
	uint64_t committed;
	struct ldm_db db;
};

/* What people call it: the drive letter where there is one. */
const char *ldm_volume_title(const struct ldm_volume *v);

/* The components of a volume, and the extents of a component; NULL for none. */
const struct ldm_component *ldm_components_of(const struct ldm_db *db, uint64_t volume, unsigned *ret_count);
const struct ldm_extent *ldm_extents_of(const struct ldm_db *db, uint64_t component, unsigned *ret_count);
const struct ldm_disk_record *ldm_disk_of(const struct ldm_db *db, uint64_t id);

/* The volume's bytes. ERR_VOLUME_INCOMPLETE names the missing disks. */
int ldm_volume_open(const struct ldm_group *g, const struct ldm_volume *v, struct blk **ret, struct err *e);

#endif
