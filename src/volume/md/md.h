/* md: Linux software RAID, superblocks 0.90 and 1.0, 1.1, 1.2.
 *
 * Members of one UUID make an array. The one with the most events knows best: its table says which member plays which
 * role. Members that saw fewer events missed writes and are left out (one event less is the normal trace of an unclean
 * end). Bitmaps are ignored; so are write journals and partial parity logs, with a warning.
 *
 * Sources: kernel, include/uapi/linux/raid/md_p.h (on-disk structures), drivers/md/md.c (super_90_*, super_1_*), raid0.c
 * (zones); md(4).
 */
#ifndef VOLUME_MD_MD_H
#define VOLUME_MD_MD_H

#include "volume/layer.h"
#include "volume/raid/raid.h"

enum {
	MD_ROLES_MAX = 1920,             /* of a 1.x superblock, which is at most 4 KiB */
	MD_ROLE_SPARE = 0xffff,
	MD_ROLE_FAULTY = 0xfffe,
	MD_ROLE_JOURNAL = 0xfffd,
};

enum md_level {
	MD_LINEAR = -1,
	MD_MULTIPATH = -4,
};

struct md_super {
	const struct volume_member *member;
	char version[8];                 /* "0.90", "1.2" */
	char uuid[40];
	char name[VOLUME_TEXT_MAX];      /* of the array: "data" of "host:data", "md0" */
	int level;                       /* 0, 1, 4, 5, 6, 10, enum md_level */
	int layout;                      /* -1: not said (RAID 0) */
	uint32_t chunk;                  /* bytes, 0 for none */
	uint64_t size;                   /* bytes used of each member; 0 for linear and RAID 0 */
	unsigned raid_disks;
	uint64_t events;
	unsigned number;                 /* its index in roles */
	uint64_t data_offset, data_size; /* bytes, in the member */
	bool reshaping, recovering, replacement, journal, partial_parity, bad_blocks, clean;
	unsigned role_count;
	uint16_t roles[MD_ROLES_MAX];    /* by number: position in the array, or MD_ROLE_… */
};

extern const struct volume_layer volume_md_layer;

/* ERR_VOLUME_CORRUPT where no superblock is whole. */
int md_super_read(const struct volume_member *m, struct md_super *ret, struct err *e);

/* The bytes of an array: members[i] plays role i (NULL: missing), from its first data byte on. */
int md_array_open(const struct md_super *s, struct blk *const *members, struct blk **ret, struct err *e);

#endif
