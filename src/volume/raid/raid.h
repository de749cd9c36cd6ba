/* raid: devices that spread their bytes over members: the arithmetic of Linux md, which LVM's raid volumes share
 * (dm-raid runs md's personalities). The formats' superblocks are not read here.
 *
 * A member is a blk whose byte 0 is the member's first data byte; NULL stands for one that is missing. What a missing
 * member held is computed from the others; so is what a present one fails to deliver. Opening fails with
 * ERR_VOLUME_INCOMPLETE where too many are missing. The members must be large enough (ERR_VOLUME_CORRUPT).
 *
 * Each function takes its own references. extent() passes on where the bytes lie plainly in a host file.
 *
 * Sources: kernel, drivers/md/raid0.c, raid5.c (raid5_compute_sector), raid10.c (__raid10_find_phys), as
 * documented in md(4); H. P. Anvin, "The mathematics of RAID-6".
 */
#ifndef VOLUME_RAID_RAID_H
#define VOLUME_RAID_RAID_H

#include "blk/blk.h"

enum {
	RAID_MEMBERS_MAX = 256,
	RAID_CHUNK_MIN = 512,
	RAID_CHUNK_MAX = 1 << 30,
};

/* RAID 1: the first member that can be read. size: of the array. */
int raid_mirror_open(struct blk *const *members, unsigned count, uint64_t size, struct blk **ret, struct err *e);

/* Equal stripes: LVM's striped segments, RAID 0, a zone of an unequal RAID 0. The last row may be partly used. */
int raid_stripe_open(struct blk *const *members, unsigned count, uint32_t chunk, uint64_t size, struct blk **ret,
                     struct err *e);

/* Where parity lies; the numbers are md's `layout`. */
enum raid_layout {
	RAID_LEFT_ASYMMETRIC = 0,
	RAID_RIGHT_ASYMMETRIC = 1,
	RAID_LEFT_SYMMETRIC = 2,
	RAID_RIGHT_SYMMETRIC = 3,
	RAID_PARITY_0 = 4,
	RAID_PARITY_N = 5,
	RAID_ROTATING_ZERO_RESTART = 8,      /* RAID 6 as DDF lays it out: the data blocks count for Q by their disk */
	RAID_ROTATING_N_RESTART = 9,
	RAID_ROTATING_N_CONTINUE = 10,
	RAID_LEFT_ASYMMETRIC_6 = 16,         /* RAID 6 grown out of RAID 5: Q on the last member */
	RAID_RIGHT_ASYMMETRIC_6 = 17,
	RAID_LEFT_SYMMETRIC_6 = 18,
	RAID_RIGHT_SYMMETRIC_6 = 19,
	RAID_PARITY_0_6 = 20,
};

struct raid_geometry {
	unsigned level;        /* 5 (and 4: RAID_PARITY_N or _0) or 6; ignored by raid10 */
	unsigned layout;       /* enum raid_layout; for RAID 10 md's word: near | far << 8 | offset << 16 | sets << 17 */
	uint32_t chunk;        /* bytes */
	uint64_t member_size;  /* bytes used of each member, a multiple of the chunk */
};

/* RAID 4, 5, 6. The array's size is what the geometry gives, or `size` where that is less and not 0. */
int raid_parity_open(struct blk *const *members, unsigned count, const struct raid_geometry *g, uint64_t size,
                     struct blk **ret, struct err *e);

int raid10_open(struct blk *const *members, unsigned count, const struct raid_geometry *g, uint64_t size,
                struct blk **ret, struct err *e);

/* What these have in common. Internal to raid. */
struct raid {
	struct blk blk;
	struct blk **members;
	unsigned count;
	uint32_t chunk;
};

/* The members of `r`, checked for count and size; unref'ed by raid_close_members(). */
int raid_take_members(struct raid *r, struct blk *const *members, unsigned count, uint64_t member_size, struct err *e);
void raid_close_members(struct raid *r);
unsigned raid_missing(const struct raid *r);
int raid_check_chunk(uint32_t chunk, struct err *e);
/* True where another member may be asked instead. */
bool raid_may_retry(const struct err *e);

#endif
