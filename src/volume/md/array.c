/* An array of members that are at hand. */
#include "volume/md/md.h"

#include "base/bytes.h"
#include "blk/map.h"

#include <inttypes.h>

enum { RAID0_ORIGINAL = 1, RAID0_ALTERNATE = 2 };

static uint64_t whole_chunks(const struct md_super *s, const struct blk *b)
{
	return s->chunk ? b->size / s->chunk * s->chunk : b->size;
}

static int linear_open(const struct md_super *s, struct blk *const *members, struct blk **ret, struct err *e)
{
	struct blk_map_part parts[RAID_MEMBERS_MAX];
	for (unsigned i = 0; i < s->raid_disks; i++)
		parts[i] = (struct blk_map_part){.blk = members[i], .len = whole_chunks(s, members[i])};
	return blk_map_open(parts, s->raid_disks, ret, e);
}

/* --- RAID 0 of unequal members: zones of equal stripes -------------------------------------------------------------- */

struct zone {
	struct blk *members[RAID_MEMBERS_MAX];   /* those that reach beyond `start`, in order of their role */
	unsigned count;
	uint64_t start, end;                     /* in each member */
	uint64_t at;                             /* in the array */
};

/* The zone from z->start on; false where there is none. */
static bool next_zone(const struct md_super *s, struct blk *const *members, struct zone *z)
{
	z->count = 0;
	z->end = UINT64_MAX;
	for (unsigned i = 0; i < s->raid_disks; i++) {
		uint64_t size = whole_chunks(s, members[i]);
		if (size <= z->start)
			continue;
		z->members[z->count++] = members[i];
		z->end = min_u64(z->end, size);
	}
	return z->count > 0;
}

/* The original layout counts chunks from the start of the array where the alternate one counts from the start of the
 * zone: it begins a zone with another member. */
static int zone_open(const struct md_super *s, const struct zone *z, struct blk **ret, struct err *e)
{
	struct blk *slices[RAID_MEMBERS_MAX] = {0};
	unsigned first = s->layout == RAID0_ALTERNATE ? 0 : (unsigned)(z->at / s->chunk % z->count);
	int r = 0;
	for (unsigned i = 0; r == 0 && i < z->count; i++)
		r = blk_slice_open(z->members[(first + i) % z->count], z->start, z->end - z->start, &slices[i], e);
	if (r == 0)
		r = raid_stripe_open(slices, z->count, s->chunk, (z->end - z->start) * z->count, ret, e);
	for (unsigned i = 0; i < z->count; i++)
		blk_unref(slices[i]);
	return r;
}

static int add_zones(const struct md_super *s, struct blk *const *members, struct blk_map_part *parts, unsigned *ret_count,
                     struct err *e)
{
	struct zone z = {0};
	while (next_zone(s, members, &z)) {
		if (*ret_count > 0 && s->layout != RAID0_ORIGINAL && s->layout != RAID0_ALTERNATE)
			return err_set(e, ERR_VOLUME_UNSUPPORTED, "md",
			               "its members differ in size, and the superblock does not say which of the two layouts "
			               "that Linux had for this was used");
		if (z.end - z.start > INT64_MAX / RAID_MEMBERS_MAX / 2)
			return err_set(e, ERR_VOLUME_CORRUPT, "md", "members of impossible size");
		struct blk_map_part *part = &parts[*ret_count];
		int r = zone_open(s, &z, &part->blk, e);
		if (r < 0)
			return r;
		++*ret_count;
		part->len = part->blk->size;
		z.at += part->len;
		z.start = z.end;
	}
	return 0;
}

static int raid0_open(const struct md_super *s, struct blk *const *members, struct blk **ret, struct err *e)
{
	int r = raid_check_chunk(s->chunk, e);
	if (r < 0)
		return r;
	struct blk_map_part parts[RAID_MEMBERS_MAX] = {0};
	unsigned count = 0;
	r = add_zones(s, members, parts, &count, e);
	if (r == 0)
		r = blk_map_open(parts, count, ret, e);
	for (unsigned i = 0; i < count; i++)
		blk_unref(parts[i].blk);
	return r;
}

/* ------------------------------------------------------------------------------------------------------------------------ */

static int check_all_there(const struct md_super *s, struct blk *const *members, struct err *e)
{
	unsigned missing = 0, first = 0;
	for (unsigned i = s->raid_disks; i-- > 0;) {
		if (!members[i]) {
			missing++;
			first = i;
		}
	}
	if (missing == 0)
		return 0;
	return err_set(e, ERR_VOLUME_INCOMPLETE, "md", "%u of %u members are missing, among them number %u; an array of this level needs all",
	               missing, s->raid_disks, first);
}

int md_array_open(const struct md_super *s, struct blk *const *members, struct blk **ret, struct err *e)
{
	struct raid_geometry g = {.level = (unsigned)s->level, .layout = (unsigned)s->layout, .chunk = s->chunk};
	g.member_size = s->chunk ? s->size / s->chunk * s->chunk : s->size;
	int r = s->level == MD_LINEAR || s->level == 0 ? check_all_there(s, members, e) : 0;
	if (r < 0)
		return r;
	switch (s->level) {
	case MD_LINEAR:
		return linear_open(s, members, ret, e);
	case 0:
		return raid0_open(s, members, ret, e);
	case 1:
	case MD_MULTIPATH:
		return raid_mirror_open(members, s->raid_disks, s->size, ret, e);
	case 4:
		g.layout = RAID_PARITY_N;
		return raid_parity_open(members, s->raid_disks, &g, 0, ret, e);
	case 5:
	case 6:
		return raid_parity_open(members, s->raid_disks, &g, 0, ret, e);
	case 10:
		return raid10_open(members, s->raid_disks, &g, 0, ret, e);
	default:
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "md", "RAID level %d: no reader for it in this version", s->level);
	}
}
