/* RAID 10: each chunk lies on several members, near (on neighbours), far (again in the second half of the members) or
 * offset (again in the next row). */
#include "volume/raid/raid.h"

#include "base/bytes.h"

#include <inttypes.h>

struct raid10 {
	struct raid raid;
	unsigned near, far;
	bool offset;
	unsigned set;           /* far copies stay within sets of so many members; the last one takes the rest */
	uint64_t stride;        /* bytes from a copy to its far copy */
};

enum { COPIES_MAX = 64 };

struct copy {
	unsigned member;
	uint64_t at;
};

/* The member `d` of a far copy after `d`. */
static unsigned next_far(const struct raid10 *a, unsigned d)
{
	unsigned last_start = (a->raid.count / a->set - 1) * a->set;
	unsigned set = d / a->set;
	d += a->near;
	if (a->raid.count % a->set != 0 && d > last_start)
		return (d - last_start) % (a->set + a->raid.count % a->set) + last_start;
	return d % a->set + a->set * set;
}

/* Where the bytes at off lie; returns how many of len lie there together. */
static uint64_t locate(const struct raid10 *a, uint64_t off, uint64_t len, struct copy copies[COPIES_MAX])
{
	uint64_t slot = off / a->raid.chunk * a->near;
	uint32_t within = (uint32_t)(off % a->raid.chunk);
	uint64_t row = slot / a->raid.count;
	unsigned dev = (unsigned)(slot % a->raid.count);
	uint64_t at = row * (a->offset ? a->far : 1) * a->raid.chunk + within;
	unsigned n = 0;
	for (unsigned i = 0; i < a->near; i++) {
		copies[n++] = (struct copy){.member = dev, .at = at};
		unsigned d = dev;
		for (unsigned f = 1; f < a->far; f++) {
			d = next_far(a, d);
			copies[n++] = (struct copy){.member = d, .at = at + f * a->stride};
		}
		if (++dev == a->raid.count) {
			dev = 0;
			at += a->raid.chunk;
		}
	}
	return min_u64(len, a->raid.chunk - within);
}

/* Reads (or, with `ret`, describes) from the first copy that gives it. */
static int try_copies(const struct raid10 *a, const struct copy *copies, void *to, uint64_t len, struct blk_extent *ret,
                      struct err *e)
{
	int r = 1;
	for (unsigned i = 0; r != 0 && i < a->near * a->far; i++) {
		struct blk *member = a->raid.members[copies[i].member];
		if (!member)
			continue;
		err_clear(e);
		r = ret ? blk_extent(member, copies[i].at, len, ret, e) : blk_read(member, copies[i].at, to, (size_t)len, e);
		if (r < 0 && !raid_may_retry(e))
			return r;
	}
	if (r > 0)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "all members that hold these bytes are missing");
	return r;
}

static int raid10_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	const struct raid10 *a = (struct raid10 *)b;
	uint8_t *p = to;
	while (len > 0) {
		struct copy copies[COPIES_MAX];
		size_t n = (size_t)locate(a, off, len, copies);
		int r = try_copies(a, copies, p, n, NULL, e);
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int raid10_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	const struct raid10 *a = (struct raid10 *)b;
	struct copy copies[COPIES_MAX];
	uint64_t n = locate(a, off, len, copies);
	return try_copies(a, copies, NULL, n, ret, e);
}

static void raid10_close(struct blk *b)
{
	raid_close_members((struct raid *)b);
	free(b);
}

static const struct blk_ops raid10_ops = {
	.name = "raid10",
	.read = raid10_read,
	.extent = raid10_extent,
	.close = raid10_close,
};

static int decode_layout(struct raid10 *a, unsigned layout, unsigned count, struct err *e)
{
	a->near = layout & 0xff;
	a->far = layout >> 8 & 0xff;
	a->offset = layout >> 16 & 1;
	unsigned copies = a->near * a->far;
	if (layout >> 19 != 0 || layout >> 17 == 3)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "raid", "layout %#x of RAID level 10 is not known", layout);
	if (count < 2 || count > RAID_MEMBERS_MAX || copies < 2 || copies > count || copies > COPIES_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "raid", "RAID level 10 with %u members and %u copies is not possible", count,
		               copies);
	a->set = layout >> 17 == 0 ? count : layout >> 17 == 1 ? count / a->far : copies;
	return 0;
}

/* True where enough members are there for each chunk. Places repeat after `count` chunks. */
static bool complete(const struct raid10 *a)
{
	for (unsigned chunk = 0; chunk < a->raid.count; chunk++) {
		struct copy copies[COPIES_MAX];
		(void)locate(a, (uint64_t)chunk * a->raid.chunk, 1, copies);
		bool found = false;
		for (unsigned i = 0; !found && i < a->near * a->far; i++)
			found = a->raid.members[copies[i].member] != NULL;
		if (!found)
			return false;
	}
	return true;
}

int raid10_open(struct blk *const *members, unsigned count, const struct raid_geometry *g, uint64_t size,
                struct blk **ret, struct err *e)
{
	int r = raid_check_chunk(g->chunk, e);
	if (r < 0)
		return r;
	struct raid10 *a = calloc(1, sizeof(*a));
	if (!a)
		return err_no_memory(e, "raid");
	blk_init(&a->raid.blk, &raid10_ops, 0);
	a->raid.chunk = g->chunk;
	CLEANUP(blk_unref_p) struct blk *owned = &a->raid.blk;
	r = decode_layout(a, g->layout, count, e);
	if (r < 0)
		return r;
	/* In chunks: a member's share, the array, what of the member that uses. */
	uint64_t share = g->member_size / g->chunk / a->far;
	if (share == 0 || share > INT64_MAX / g->chunk / RAID_MEMBERS_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "raid", "members of %" PRIu64 " bytes are not possible", g->member_size);
	uint64_t chunks = share * count / a->near;
	uint64_t used = (chunks * a->near * a->far + count - 1) / count;
	a->stride = (a->offset ? 1 : used / a->far) * g->chunk;
	a->raid.blk.size = chunks * g->chunk;
	if (size != 0)
		a->raid.blk.size = min_u64(a->raid.blk.size, size);
	r = raid_take_members(&a->raid, members, count, min_u64(used * g->chunk, g->member_size), e);
	if (r < 0)
		return r;
	if (!complete(a))
		return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "%u of %u members are missing, and with them all copies of some chunks",
		               raid_missing(&a->raid), count);
	*ret = STEAL(owned);
	return 0;
}
