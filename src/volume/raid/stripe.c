/* Equal stripes. */
#include "volume/raid/raid.h"

#include "base/bytes.h"

#include <inttypes.h>

/* The member and place of the bytes at off; returns how many of len lie there together. */
static uint64_t locate(const struct raid *s, uint64_t off, uint64_t len, struct blk **ret_member, uint64_t *ret_off)
{
	uint64_t chunk = off / s->chunk;
	uint32_t within = (uint32_t)(off % s->chunk);
	*ret_member = s->members[chunk % s->count];
	*ret_off = chunk / s->count * s->chunk + within;
	return min_u64(len, s->chunk - within);
}

static int stripe_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		struct blk *member;
		uint64_t at;
		size_t n = (size_t)locate((struct raid *)b, off, len, &member, &at);
		int r = blk_read(member, at, p, n, e);
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int stripe_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct blk *member;
	uint64_t at;
	uint64_t n = locate((struct raid *)b, off, len, &member, &at);
	return blk_extent(member, at, n, ret, e);
}

static void stripe_close(struct blk *b)
{
	raid_close_members((struct raid *)b);
	free(b);
}

static const struct blk_ops stripe_ops = {
	.name = "stripe",
	.read = stripe_read,
	.extent = stripe_extent,
	.close = stripe_close,
};

int raid_stripe_open(struct blk *const *members, unsigned count, uint32_t chunk, uint64_t size, struct blk **ret,
                     struct err *e)
{
	int r = raid_check_chunk(chunk, e);
	if (r < 0)
		return r;
	struct raid *s = calloc(1, sizeof(*s));
	if (!s)
		return err_no_memory(e, "raid");
	blk_init(&s->blk, &stripe_ops, size);
	s->chunk = chunk;
	CLEANUP(blk_unref_p) struct blk *owned = &s->blk;
	/* The full rows; a row used in part is checked by the read. */
	uint64_t rows = count ? size / chunk / count : 0;
	r = raid_take_members(s, members, count, rows * chunk, e);
	if (r < 0)
		return r;
	if (raid_missing(s) > 0)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "%u of %u members are missing, and stripes have no second copy",
		               raid_missing(s), count);
	*ret = STEAL(owned);
	return 0;
}
