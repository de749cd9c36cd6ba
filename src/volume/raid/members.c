/* What all arrays share: holding members. */
#include "volume/raid/raid.h"

#include "base/bytes.h"

#include <inttypes.h>

int raid_take_members(struct raid *r, struct blk *const *members, unsigned count, uint64_t member_size, struct err *e)
{
	if (count == 0 || count > RAID_MEMBERS_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "raid", "an array of %u members: 1 to %d can be read", count,
		               RAID_MEMBERS_MAX);
	r->members = calloc(count, sizeof(struct blk *));
	if (!r->members)
		return err_no_memory(e, "raid");
	r->count = count;
	bool known = false;
	for (unsigned i = 0; i < count; i++) {
		if (!members[i])
			continue;
		if (members[i]->size < member_size)
			return err_set(e, ERR_VOLUME_CORRUPT, "raid",
			               "member %u has %" PRIu64 " bytes where the array needs %" PRIu64, i, members[i]->size,
			               member_size);
		r->members[i] = blk_ref(members[i]);
		if (!known || members[i]->sector_size > r->blk.sector_size)
			r->blk.sector_size = members[i]->sector_size;
		known = true;
	}
	return 0;
}

void raid_close_members(struct raid *r)
{
	for (unsigned i = 0; i < r->count; i++)
		blk_unref(r->members[i]);
	free(r->members);
}

unsigned raid_missing(const struct raid *r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->count; i++)
		n += !r->members[i];
	return n;
}

int raid_check_chunk(uint32_t chunk, struct err *e)
{
	if (chunk >= RAID_CHUNK_MIN && chunk <= RAID_CHUNK_MAX && chunk % RAID_CHUNK_MIN == 0)
		return 0;
	return err_set(e, ERR_VOLUME_CORRUPT, "raid", "a chunk of %" PRIu32 " bytes is not possible", chunk);
}

bool raid_may_retry(const struct err *e)
{
	return e->code != ERR_NO_MEMORY && e->code != ERR_CANCELLED && e->code != ERR_TIMEOUT;
}
