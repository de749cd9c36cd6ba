/* RAID 1. */
#include "volume/raid/raid.h"

#include "base/bytes.h"

static int mirror_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct raid *m = (struct raid *)b;
	int r = -1;
	for (unsigned i = 0; r < 0 && i < m->count; i++) {
		if (!m->members[i])
			continue;
		err_clear(e);
		r = blk_read(m->members[i], off, to, len, e);
		if (r < 0 && !raid_may_retry(e))
			return r;
	}
	return r;
}

static int mirror_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct raid *m = (struct raid *)b;
	int r = -1;
	for (unsigned i = 0; r < 0 && i < m->count; i++) {
		if (!m->members[i])
			continue;
		err_clear(e);
		r = blk_extent(m->members[i], off, len, ret, e);
		if (r < 0 && !raid_may_retry(e))
			return r;
	}
	return r;
}

static void mirror_close(struct blk *b)
{
	raid_close_members((struct raid *)b);
	free(b);
}

static const struct blk_ops mirror_ops = {
	.name = "mirror",
	.read = mirror_read,
	.extent = mirror_extent,
	.close = mirror_close,
};

int raid_mirror_open(struct blk *const *members, unsigned count, uint64_t size, struct blk **ret, struct err *e)
{
	struct raid *m = calloc(1, sizeof(*m));
	if (!m)
		return err_no_memory(e, "raid");
	blk_init(&m->blk, &mirror_ops, size);
	CLEANUP(blk_unref_p) struct blk *owned = &m->blk;
	int r = raid_take_members(m, members, count, size, e);
	if (r < 0)
		return r;
	if (raid_missing(m) == count)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "no member of the mirror is there");
	*ret = STEAL(owned);
	return 0;
}
