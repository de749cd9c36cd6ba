/* PRIVHEAD: what a dynamic disk says of itself. Three copies on an MBR disk, two on a GPT disk. */
#include "volume/ldm/ldm.h"

#include "base/bytes.h"
#include "volume/raid/raid.h"
#include "volume/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum {
	FIRST_COPY = 6,                  /* sector of an MBR disk */
	GUID_TEXT = 36,
	KNOWN_VERSION = 2,
	PLACES_MAX = 4,
};

struct header {
	unsigned major, minor;
	struct ldm_disk disk;            /* only the fields of the header */
	uint64_t copies[2];              /* sectors in the private region */
};

bool ldm_guid_text(char to[LDM_GUID_MAX], const uint8_t *p, size_t len)
{
	if (len < GUID_TEXT || (len > GUID_TEXT && p[GUID_TEXT] != '\0'))
		return false;
	for (size_t i = 0; i < GUID_TEXT; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? p[i] != '-' : !isxdigit(p[i]))
			return false;
		to[i] = (char)tolower(p[i]);
	}
	to[GUID_TEXT] = '\0';
	return true;
}

bool ldm_sum_good(const uint8_t p[LDM_BLOCK])
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)p;
	return true;
#else
	uint32_t sum = 0;
	for (unsigned i = 0; i < LDM_BLOCK; i++)
		sum += i >= 8 && i < 12 ? 0 : p[i];
	return sum == get_be32(p + 8);
#endif
}

static bool range_from_sectors(const uint8_t *p, uint32_t sector, struct volume_range *ret)
{
	uint64_t start = get_be64(p), count = get_be64(p + 8);
	if (start > INT64_MAX / LDM_SECTOR_MAX / 2 || count > INT64_MAX / LDM_SECTOR_MAX / 2)
		return false;
	*ret = (struct volume_range){.off = start * sector, .len = count * sector};
	return true;
}

static bool decode(const uint8_t p[LDM_BLOCK], struct header *h)
{
	struct ldm_disk *d = &h->disk;
	if (memcmp(p, "PRIVHEAD", 8) != 0 || !ldm_sum_good(p))
		return false;
	*h = (struct header){.major = get_be16(p + 0x0c), .minor = get_be16(p + 0x0e)};
	d->sequence = get_be64(p + 0x18);
	d->sector = get_be32(p + 0x10f) == LDM_SECTOR_MAX ? LDM_SECTOR_MAX : LDM_BLOCK;
	h->copies[0] = get_be64(p + 0x20);
	h->copies[1] = get_be64(p + 0x28);
	text_label(d->group_name, sizeof(d->group_name), p + 0xf0, 31);
	d->tocs[0] = get_be64(p + 0x13b);
	d->tocs[1] = get_be64(p + 0x143);
	return ldm_guid_text(d->uuid, p + 0x30, 64) && ldm_guid_text(d->group, p + 0xb0, 64) &&
	       range_from_sectors(p + 0x11b, d->sector, &d->data) &&
	       range_from_sectors(p + 0x12b, d->sector, &d->private_region);
}

/* 1: a good header lies at off; a place that cannot be read has none. */
static int copy_at(struct blk *b, uint64_t off, struct header *ret, struct err *e)
{
	uint8_t p[LDM_BLOCK];
	if (!range_inside(off, sizeof(p), b->size))
		return 0;
	int r = blk_read(b, off, p, sizeof(p), e);
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (r < 0) {
		err_clear(e);
		return 0;
	}
	return decode(p, ret) ? 1 : 0;
}

/* Any good copy at a place that is known without one. The size of the sectors is not known yet. */
static int find_usual(const struct ldm_disk *d, struct header *ret, struct err *e)
{
	struct blk *b = d->metadata ? d->metadata->blk : d->blk;
	int r = 0;
	for (uint32_t sector = LDM_BLOCK; r == 0 && sector <= LDM_SECTOR_MAX; sector *= LDM_SECTOR_MAX / LDM_BLOCK) {
		if (b->size >= sector)
			r = copy_at(b, b->size / sector * sector - sector, ret, e);
		if (r == 0 && !d->metadata)
			r = copy_at(b, (uint64_t)FIRST_COPY * sector, ret, e);
	}
	return r;
}

/* The last resort: the other copy lies somewhere in the private region. */
static int find_by_search(const struct ldm_disk *d, struct header *ret, struct err *e)
{
	struct blk *b = d->metadata ? d->metadata->blk : d->blk;
	uint64_t end = b->size / LDM_BLOCK * LDM_BLOCK, at = end > LDM_SCAN ? end - LDM_SCAN : 0;
	int r = 0;
	for (; r == 0 && at < end; at += LDM_BLOCK)
		r = copy_at(b, at, ret, e);
	return r;
}

/* The newest of the copies that the header itself speaks of; counts those that are not there. */
static int compare_copies(struct ldm_disk *d, struct header *best, struct err *e)
{
	uint64_t sector = best->disk.sector, start = best->disk.private_region.off;
	uint64_t places[PLACES_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (best->copies[i] < best->disk.private_region.len / sector)
			places[count++] = start + best->copies[i] * sector;
	}
	if (!d->metadata)
		places[count++] = FIRST_COPY * sector;
	d->copies = count;
	for (unsigned i = 0; i < count; i++) {
		struct header h;
		int r = copy_at(d->blk, places[i], &h, e);
		if (r < 0)
			return r;
		bool same = r > 0 && strcmp(h.disk.uuid, best->disk.uuid) == 0;
		d->copies_bad += !same;
		if (same && h.disk.sequence > best->disk.sequence)
			*best = h;
	}
	return 0;
}

int ldm_header_read(struct ldm_disk *d, struct err *e)
{
	struct header h;
	int r = find_usual(d, &h, e);
	if (r == 0)
		r = find_by_search(d, &h, e);
	if (r == 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "ldm",
		               "it belongs to a dynamic disk, but no copy of that disk's private header can be found");
	if (r > 0)
		r = compare_copies(d, &h, e);
	if (r < 0)
		return r;
	if (h.major != KNOWN_VERSION)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "ldm",
		               "a dynamic disk of version %u.%u: no reader for it in this version",
		               h.major, h.minor);
	memcpy(d->uuid, h.disk.uuid, sizeof(d->uuid));
	memcpy(d->group, h.disk.group, sizeof(d->group));
	memcpy(d->group_name, h.disk.group_name, sizeof(d->group_name));
	d->sector = h.disk.sector;
	d->sequence = h.disk.sequence;
	d->data = h.disk.data;
	d->private_region = h.disk.private_region;
	memcpy(d->tocs, h.disk.tocs, sizeof(d->tocs));
	return 0;
}
