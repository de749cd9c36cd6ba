/* Superblocks. */
#include "volume/md/md.h"

#include "base/bytes.h"
#include "volume/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SUPER_BYTES = 4096,
	SECTOR = 512,
	MD_MAGIC = 0xa92b4efc,
	V090_RESERVED = 64 << 10,
	V090_DISKS = 27,
	V090_FAULTY = 1 << 0,
	V090_ACTIVE = 1 << 1,
	V090_SYNC = 1 << 2,
	V1_FIXED = 256,                  /* the roles follow */
	V1_RECOVERY_OFFSET = 1 << 1,
	V1_RESHAPE_ACTIVE = 1 << 2,
	V1_BAD_BLOCKS = 1 << 3,
	V1_REPLACEMENT = 1 << 4,
	V1_JOURNAL = 1 << 9,
	V1_PPL = 1 << 10,
	V1_MULTIPLE_PPLS = 1 << 11,
	V1_RAID0_LAYOUT = 1 << 12,
	V1_KNOWN = (1 << 13) - 1,
};

static bool sum_good(uint32_t sum, uint32_t want)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)sum;
	(void)want;
	return true;
#else
	return sum == want;
#endif
}

static bool size_from_sectors(uint64_t sectors, uint64_t *ret)
{
	if (sectors > INT64_MAX / SECTOR)
		return false;
	*ret = sectors * SECTOR;
	return true;
}

/* --- 0.90: words in the byte order of the machine that made it ---------------------------------------------------- */

struct words {
	const uint8_t *p;
	bool big;
};

static uint32_t word(struct words w, unsigned i)
{
	const uint8_t *p = w.p + (size_t)4 * i;
	return w.big ? get_be32(p) : get_le32(p);
}

static bool v090_sum_good(struct words w)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < SUPER_BYTES / 4; i++)
		sum += i == 38 ? 0 : word(w, i);
	return sum_good((uint32_t)(sum + (sum >> 32)), word(w, 38));
}

/* The table of disks: 32 words each, from word 128 on. */
static void v090_roles(struct words w, struct md_super *s)
{
	s->role_count = V090_DISKS;
	for (unsigned i = 0; i < V090_DISKS; i++) {
		unsigned at = 128 + 32 * i;
		uint32_t position = word(w, at + 3), state = word(w, at + 4);
		s->roles[i] = MD_ROLE_SPARE;
		if (state & V090_FAULTY)
			s->roles[i] = MD_ROLE_FAULTY;
		else if ((state & V090_ACTIVE) && (state & V090_SYNC) && position < s->raid_disks)
			s->roles[i] = (uint16_t)position;
	}
	s->number = word(w, 992);
}

static void v090_uuid(struct words w, struct md_super *s)
{
	uint8_t uuid[16];
	static const unsigned at[4] = {5, 13, 14, 15};
	for (unsigned i = 0; i < 4; i++)
		put_be32(uuid + (size_t)4 * i, word(w, at[i]));
	text_uuid(s->uuid, uuid);
}

/* 1: none there. */
static int v090_read(const struct volume_member *m, struct md_super *s, struct err *e)
{
	uint8_t p[SUPER_BYTES];
	if (m->blk->size < 2 * V090_RESERVED)
		return 1;
	uint64_t at = (m->blk->size & ~(uint64_t)(V090_RESERVED - 1)) - V090_RESERVED;
	int r = blk_read(m->blk, at, p, sizeof(p), e);
	if (r < 0)
		return r;
	struct words w = {.p = p, .big = get_be32(p) == MD_MAGIC};
	if (word(w, 0) != MD_MAGIC || word(w, 1) != 0 || word(w, 2) < 90 || !v090_sum_good(w))
		return 1;
	/* The two halves of the events count are swapped between the byte orders. */
	uint32_t high = word(w, w.big ? 39 : 40), low = word(w, w.big ? 40 : 39);
	*s = (struct md_super){
		.member = m, .level = (int)word(w, 7), .raid_disks = word(w, 10), .events = (uint64_t)high << 32 | low,
		.layout = (int)word(w, 64), .chunk = word(w, 65), .size = (uint64_t)word(w, 8) << 10, .data_size = at,
		.reshaping = word(w, 2) > 90, .clean = word(w, 33) & 1,
	};
	if (s->level == 0)
		s->layout = -1;
	if (s->level <= 0)
		s->size = 0;
	(void)snprintf(s->version, sizeof(s->version), "0.90");
	(void)snprintf(s->name, sizeof(s->name), "md%" PRIu32, word(w, 11));
	v090_uuid(w, s);
	v090_roles(w, s);
	return 0;
}

/* --- 1.x: little-endian ------------------------------------------------------------------------------------------------ */

static bool v1_sum_good(const uint8_t *p, uint32_t max_dev)
{
	uint64_t sum = 0;
	size_t len = V1_FIXED + (size_t)2 * max_dev;
	for (size_t i = 0; i + 4 <= len; i += 4)
		sum += i == 216 ? 0 : get_le32(p + i);
	if (len % 4 != 0)
		sum += get_le16(p + len - 2);
	return sum_good((uint32_t)(sum + (sum >> 32)), get_le32(p + 216));
}

/* "host:name", or the name alone. */
static void v1_name(const uint8_t *p, struct md_super *s)
{
	char full[VOLUME_TEXT_MAX];
	text_label(full, sizeof(full), p + 32, 32);
	const char *colon = strchr(full, ':');
	(void)snprintf(s->name, sizeof(s->name), "%s", colon ? colon + 1 : full);
	if (s->name[0] == '\0')
		(void)snprintf(s->name, sizeof(s->name), "md");
}

static bool v1_decode(const uint8_t *p, uint64_t at, struct md_super *s)
{
	uint32_t features = get_le32(p + 8), max_dev = get_le32(p + 220);
	if (get_le32(p) != MD_MAGIC || get_le32(p + 4) != 1 || get_le64(p + 144) != at / SECTOR || max_dev > MD_ROLES_MAX ||
	    !v1_sum_good(p, max_dev))
		return false;
	uint64_t chunk;
	if (!size_from_sectors(get_le64(p + 80), &s->size) || !size_from_sectors(get_le32(p + 88), &chunk) ||
	    chunk > RAID_CHUNK_MAX || !size_from_sectors(get_le64(p + 128), &s->data_offset) ||
	    !size_from_sectors(get_le64(p + 136), &s->data_size))
		return false;
	s->chunk = (uint32_t)chunk;
	s->level = (int)get_le32(p + 72);
	s->layout = (int)get_le32(p + 76);
	if (s->level == 0 && !(features & V1_RAID0_LAYOUT))
		s->layout = -1;
	if (s->level <= 0)
		s->size = 0;
	s->raid_disks = get_le32(p + 92);
	s->number = get_le32(p + 160);
	s->events = get_le64(p + 200);
	s->clean = get_le64(p + 208) == UINT64_MAX;
	s->reshaping = (features & V1_RESHAPE_ACTIVE) || features > V1_KNOWN;
	s->recovering = (features & V1_RECOVERY_OFFSET) && get_le64(p + 152) != UINT64_MAX;
	s->replacement = features & V1_REPLACEMENT;
	s->journal = features & V1_JOURNAL;
	s->partial_parity = features & (V1_PPL | V1_MULTIPLE_PPLS);
	s->bad_blocks = (features & V1_BAD_BLOCKS) && get_le16(p + 186) != 0;
	s->role_count = max_dev;
	for (unsigned i = 0; i < max_dev; i++)
		s->roles[i] = get_le16(p + V1_FIXED + (size_t)2 * i);
	text_uuid(s->uuid, p + 16);
	v1_name(p, s);
	return true;
}

/* 1: none there. */
static int v1_read(const struct volume_member *m, const char *version, uint64_t at, struct md_super *s, struct err *e)
{
	uint8_t p[SUPER_BYTES];
	if (!range_inside(at, sizeof(p), m->blk->size))
		return 1;
	int r = blk_read(m->blk, at, p, sizeof(p), e);
	if (r < 0)
		return r;
	*s = (struct md_super){.member = m};
	(void)snprintf(s->version, sizeof(s->version), "%s", version);
	return v1_decode(p, at, s) ? 0 : 1;
}

int md_super_read(const struct volume_member *m, struct md_super *ret, struct err *e)
{
	uint64_t end = m->blk->size >= 24 * SECTOR ? (m->blk->size / SECTOR - 16) & ~(uint64_t)7 : 0;
	int r = v090_read(m, ret, e);
	if (r > 0)
		r = v1_read(m, "1.0", end * SECTOR, ret, e);
	if (r > 0)
		r = v1_read(m, "1.1", 0, ret, e);
	if (r > 0)
		r = v1_read(m, "1.2", 4096, ret, e);
	if (r > 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "md", "the superblock is damaged");
	if (r == 0 && (ret->raid_disks == 0 || ret->raid_disks > RAID_MEMBERS_MAX || ret->chunk > RAID_CHUNK_MAX))
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "md", "an array of %u members: 1 to %d can be read", ret->raid_disks,
		               RAID_MEMBERS_MAX);
	return r;
}
