#include "blk/map.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct blk_map_run {
	uint64_t start;       /* in the map */
	struct blk *blk;
	uint64_t off;
};

struct blk_map {
	struct blk blk;
	struct blk_map_run *runs;   /* sorted; a run ends where the next one starts */
	size_t count;
};

static const struct blk_map_run *find(const struct blk_map *m, uint64_t off, uint64_t *ret_end)
{
	size_t lo = 0, hi = m->count;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->runs[mid].start <= off)
			lo = mid;
		else
			hi = mid;
	}
	*ret_end = lo + 1 < m->count ? m->runs[lo + 1].start : m->blk.size;
	return &m->runs[lo];
}

static int map_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_map *m = (struct blk_map *)b;
	uint8_t *p = to;
	while (len > 0) {
		uint64_t end;
		const struct blk_map_run *run = find(m, off, &end);
		size_t n = (size_t)min_u64(len, end - off);
		if (run->blk) {
			int r = blk_read(run->blk, run->off + (off - run->start), p, n, e);
			if (r < 0)
				return r;
		} else {
			memset(p, 0, n);
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int map_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct blk_map *m = (struct blk_map *)b;
	uint64_t end;
	const struct blk_map_run *run = find(m, off, &end);
	uint64_t n = min_u64(len, end - off);
	if (run->blk)
		return blk_extent(run->blk, run->off + (off - run->start), n, ret, e);
	*ret = (struct blk_extent){.kind = BLK_ZERO, .len = n, .fd = -1};
	return 0;
}

static void map_close(struct blk *b)
{
	struct blk_map *m = (struct blk_map *)b;
	for (size_t i = 0; i < m->count; i++)
		blk_unref(m->runs[i].blk);
	free(m->runs);
	free(m);
}

static const struct blk_ops map_ops = {
	.name = "map",
	.read = map_read,
	.extent = map_extent,
	.close = map_close,
};

static bool continues(const struct blk_map *m, uint64_t size, const struct blk_map_part *part)
{
	if (m->count == 0)
		return false;
	const struct blk_map_run *last = &m->runs[m->count - 1];
	return last->blk == part->blk && (!part->blk || last->off + (size - last->start) == part->off);
}

static int add_parts(struct blk_map *m, const struct blk_map_part *parts, size_t count, struct err *e)
{
	uint64_t size = 0;
	for (size_t i = 0; i < count; i++) {
		const struct blk_map_part *part = &parts[i];
		if (part->len == 0 || (part->blk && !range_inside(part->off, part->len, part->blk->size)))
			return err_set(e, ERR_VOLUME_CORRUPT, "map",
			               "a part of %" PRIu64 " bytes at %" PRIu64 " does not fit a device of %" PRIu64 " bytes",
			               part->len, part->off, part->blk ? part->blk->size : 0);
		if (!continues(m, size, part))
			m->runs[m->count++] = (struct blk_map_run){
				.start = size, .blk = part->blk ? blk_ref(part->blk) : NULL, .off = part->off};
		if (!u64_add(size, part->len, &size) || size > INT64_MAX)
			return err_set(e, ERR_VOLUME_CORRUPT, "map", "the parts of a device add up to more than there can be");
	}
	m->blk.size = size;
	return 0;
}

int blk_map_open(const struct blk_map_part *parts, size_t count, struct blk **ret, struct err *e)
{
	if (count == 0 || count > BLK_MAP_PARTS_MAX)
		return err_set(e, count == 0 ? ERR_VOLUME_CORRUPT : ERR_VOLUME_UNSUPPORTED, "map",
		               "a device of %zu parts cannot be put together", count);
	struct blk_map *m = calloc(1, sizeof(*m));
	if (!m)
		return err_no_memory(e, "map");
	blk_init(&m->blk, &map_ops, 0);
	CLEANUP(blk_unref_p) struct blk *owned = &m->blk;
	m->runs = calloc(count, sizeof(*m->runs));
	if (!m->runs)
		return err_no_memory(e, "map");
	int r = add_parts(m, parts, count, e);
	if (r < 0)
		return r;
	if (parts[0].blk)
		m->blk.sector_size = parts[0].blk->sector_size;
	*ret = STEAL(owned);
	return 0;
}
