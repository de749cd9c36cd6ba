/* GUID partition table: UEFI specification, section 5.3. The header lies in the second sector and, as a backup, in the
 * last; which sector size a disk has is known by where the header is. */
#include "volume/table.h"

#include "base/bytes.h"
#include "volume/discover.h"
#include "volume/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	GPT_HEADER_MIN = 92,
	GPT_HEADER_MAX = 4096,
	GPT_ENTRY_MIN = 128,
	GPT_ENTRY_MAX = 4096,
	GPT_NAME_BYTES = 72,
};

enum gpt_state {
	GPT_ABSENT,
	GPT_DAMAGED,         /* the signature is there, but the rest contradicts it */
	GPT_GOOD,
};

struct gpt_header {
	uint32_t sector_size;
	uint64_t alternate;
	uint64_t entries_lba;
	uint32_t entry_count;
	uint32_t entry_size;
	uint32_t entries_crc;
};

/* A fuzzer cannot guess a checksum. */
static bool checksum_is(const uint8_t *p, size_t len, uint32_t crc)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)crc;
	(void)p;
	(void)len;
	return true;
#else
	return crc32(0, p, (uInt)len) == crc;
#endif
}

/* Fills *ret as far as it can be trusted: `alternate` in a damaged header too. < 0: volume_fatal(). */
static int read_header(struct blk *b, uint32_t sector_size, uint64_t lba, enum gpt_state *ret_state,
                       struct gpt_header *ret, struct err *e)
{
	uint8_t raw[GPT_HEADER_MAX];
	uint64_t off = 0;
	*ret_state = GPT_ABSENT;
	if (!u64_mul(lba, sector_size, &off) || !range_inside(off, sector_size, b->size))
		return 0;
	if (blk_read(b, off, raw, sector_size, e) < 0) {
		if (volume_fatal(e))
			return e->code;
		err_clear(e);
		return 0;
	}
	if (memcmp(raw, "EFI PART", 8) != 0)
		return 0;
	*ret_state = GPT_DAMAGED;
	struct rdr r = rdr_init(raw + 12, sector_size - 12);
	uint32_t size = rdr_le32(&r);
	uint32_t crc = rdr_le32(&r);
	rdr_skip(&r, 4);
	uint64_t own = rdr_le64(&r);
	*ret = (struct gpt_header){.sector_size = sector_size, .alternate = rdr_le64(&r)};
	rdr_skip(&r, 8 + 8 + 16);
	ret->entries_lba = rdr_le64(&r);
	ret->entry_count = rdr_le32(&r);
	ret->entry_size = rdr_le32(&r);
	ret->entries_crc = rdr_le32(&r);
	if (size < GPT_HEADER_MIN || size > sector_size || own != lba)
		return 0;
	put_le32(raw + 16, 0);
	if (!checksum_is(raw, size, crc))
		return 0;
	if (ret->entry_size < GPT_ENTRY_MIN || ret->entry_size > GPT_ENTRY_MAX || ret->entry_size % 8 != 0 ||
	    ret->entry_count > GPT_ENTRIES_BYTES_MAX / ret->entry_size)
		return 0;
	*ret_state = GPT_GOOD;
	return 0;
}

/* The entry array, checked. *ret stays NULL where it is damaged. */
static int read_entries(struct blk *b, const struct gpt_header *h, uint8_t **ret, struct err *e)
{
	size_t len = (size_t)h->entry_count * h->entry_size;
	uint64_t off = 0;
	if (len == 0 || !u64_mul(h->entries_lba, h->sector_size, &off) || !range_inside(off, len, b->size))
		return 0;
	CLEANUP(free_ptr) uint8_t *raw = malloc(len);
	if (!raw)
		return err_no_memory(e, "gpt");
	if (blk_read(b, off, raw, len, e) < 0) {
		if (volume_fatal(e))
			return e->code;
		err_clear(e);
		return 0;
	}
	if (checksum_is(raw, len, h->entries_crc))
		*ret = STEAL(raw);
	return 0;
}

static int decode_entries(struct volume_set *s, const struct gpt_header *h, const uint8_t *raw, struct table *t,
                          struct err *e)
{
	static const uint8_t unused[16];
	for (uint32_t i = 0; i < h->entry_count; i++) {
		const uint8_t *p = raw + (size_t)i * h->entry_size;
		if (memcmp(p, unused, 16) == 0)
			continue;
		bool full = false;
		struct table_entry *n = table_add(t, &full);
		if (!n && !full)
			return err_no_memory(e, "gpt");
		if (!n) {
			volume_set_warn(s, "the partition table has more than %d partitions: the others are left out",
			                VOLUME_MAX);
			return 0;
		}
		uint64_t first = get_le64(p + 32), last = get_le64(p + 40);
		n->number = i + 1;
		text_guid(n->type, p);
		text_guid(n->uuid, p + 16);
		text_utf16(n->name, sizeof(n->name), p + 56, GPT_NAME_BYTES, false);
		if (last < first || last == UINT64_MAX)
			n->bad = "it ends before it begins";
		else
			table_place(n, first, last - first + 1, h->sector_size);
	}
	return 0;
}

/* Header and entries at lba. State GPT_GOOD: *ret_entries is to be freed. */
static int try_at(struct blk *b, uint32_t sector_size, uint64_t lba, enum gpt_state *ret_state, struct gpt_header *h,
                  uint8_t **ret_entries, struct err *e)
{
	int r = read_header(b, sector_size, lba, ret_state, h, e);
	if (r < 0 || *ret_state != GPT_GOOD)
		return r;
	r = read_entries(b, h, ret_entries, e);
	if (r == 0 && !*ret_entries)
		*ret_state = GPT_DAMAGED;
	return r;
}

/* Where the backup may be: the last sector; where the primary says; for a disk that was grown (a primary that is gone
 * cannot say it) behind the range of the protective MBR. */
static int try_backups(struct blk *b, uint32_t sector_size, const struct mbr *m, uint64_t alternate, bool *damaged,
                       struct gpt_header *h, uint8_t **ret_entries, struct err *e)
{
	uint64_t places[3] = {b->size / sector_size - 1, alternate, 0};
	for (unsigned i = 0; i < 4; i++) {
		if (m->signature && m->slots[i].type == 0xee && m->slots[i].count != UINT32_MAX)
			places[2] = (uint64_t)m->slots[i].start + m->slots[i].count - 1;
	}
	for (unsigned i = 0; i < 3; i++) {
		enum gpt_state state = GPT_ABSENT;
		if (places[i] <= 1)
			continue;
		int r = try_at(b, sector_size, places[i], &state, h, ret_entries, e);
		if (r < 0 || *ret_entries)
			return r;
		*damaged |= state == GPT_DAMAGED;
	}
	return 0;
}

static int check_backup(struct volume_set *s, struct blk *b, const struct gpt_header *primary, struct err *e)
{
	enum gpt_state state = GPT_ABSENT;
	struct gpt_header h;
	int r = read_header(b, primary->sector_size, primary->alternate, &state, &h, e);
	if (r == 0 && state != GPT_GOOD)
		volume_set_warn(s, "the backup of the GPT (sector %" PRIu64 ") is %s; the primary one is used",
		                primary->alternate, state == GPT_DAMAGED ? "damaged" : "missing");
	return r;
}

/* *ret_entries: NULL where there is no GPT. */
static int find(struct volume_set *s, struct blk *b, const struct mbr *m, struct gpt_header *h, uint8_t **ret_entries,
                bool *ret_backup, bool *damaged, struct err *e)
{
	const uint32_t sizes[2] = {b->sector_size == 4096 ? 4096 : 512, b->sector_size == 4096 ? 512 : 4096};
	uint64_t alternate[2] = {0, 0};
	for (unsigned i = 0; i < 2; i++) {
		enum gpt_state state = GPT_ABSENT;
		if (b->size / sizes[i] < 3)
			continue;
		int r = try_at(b, sizes[i], 1, &state, h, ret_entries, e);
		if (r < 0)
			return r;
		if (*ret_entries)
			return check_backup(s, b, h, e);
		if (state == GPT_DAMAGED) {
			*damaged = true;
			alternate[i] = h->alternate;
		}
	}
	*ret_backup = true;
	for (unsigned i = 0; i < 2; i++) {
		if (b->size / sizes[i] < 3)
			continue;
		int r = try_backups(b, sizes[i], m, alternate[i], damaged, h, ret_entries, e);
		if (r < 0 || *ret_entries)
			return r;
	}
	return 0;
}

int gpt_read(struct volume_set *s, struct blk *b, const struct mbr *m, struct table *ret, bool *ret_damaged,
             struct err *e)
{
	struct table t = {.kind = "gpt", .no_protective = !m->signature || !m->protective};
	struct gpt_header h = {0};
	CLEANUP(free_ptr) uint8_t *entries = NULL;
	bool damaged = false;
	int r = find(s, b, m, &h, &entries, &t.backup, &damaged, e);
	if (r < 0)
		return r;
	*ret_damaged = damaged;
	if (!entries)
		return 0;
	t.sector_size = h.sector_size;
	r = decode_entries(s, &h, entries, &t, e);
	if (r < 0) {
		table_free(&t);
		return r;
	}
	for (unsigned i = 0; i < t.count; i++)
		t.at_start |= t.entries[i].len != 0 && t.entries[i].off < 65536;
	*ret = t;
	return 1;
}
