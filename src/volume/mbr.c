#include "volume/table.h"

#include "base/bytes.h"
#include "volume/discover.h"

#include <stdio.h>

enum {
	MBR_SLOTS = 446,
	MBR_SLOT_SIZE = 16,
	MBR_ID = 440,
	MBR_PROTECTIVE = 0xee,
	MBR_LOGICAL_FIRST = 5,
};

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

void mbr_decode(const uint8_t sector[TABLE_SECTOR], struct mbr *ret)
{
	*ret = (struct mbr){.signature = sector[510] == 0x55 && sector[511] == 0xaa, .id = get_le32(sector + MBR_ID)};
	ret->sane = ret->signature;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = sector + MBR_SLOTS + i * MBR_SLOT_SIZE;
		struct mbr_slot *slot = &ret->slots[i];
		*slot = (struct mbr_slot){
			.flag = p[0], .type = p[4], .start = get_le32(p + 8), .count = get_le32(p + 12)};
		if (slot->flag != 0 && slot->flag != 0x80)
			ret->sane = false;
		if (slot->type != 0 && slot->count != 0)
			ret->used++;
		if (slot->type == MBR_PROTECTIVE)
			ret->protective = true;
	}
}

struct mbr_walk {
	struct volume_set *set;
	struct blk *blk;
	struct table *table;
	uint32_t id;
	uint32_t sector_size;
	unsigned next_logical;
	unsigned links;
};

static int add_slot(struct mbr_walk *w, unsigned number, uint64_t start, const struct mbr_slot *slot, struct err *e)
{
	bool full = false;
	struct table_entry *n = table_add(w->table, &full);
	if (!n)
		return full ? 0 : err_no_memory(e, "mbr");
	n->number = number;
	table_place(n, start, slot->count, w->sector_size);
	(void)snprintf(n->type, sizeof(n->type), "0x%02x", slot->type);
	/* As the kernel and libblkid name them, but for a disk without an identity. */
	if (w->id != 0)
		(void)snprintf(n->uuid, sizeof(n->uuid), "%08x-%02x", w->id, number);
	return 0;
}

/* One EBR: 1 go on at *next, 0 the chain ends here. */
static int read_link(struct mbr_walk *w, uint64_t base, uint64_t base_count, uint64_t at, uint64_t *next, struct err *e)
{
	uint64_t off = 0;
	uint8_t sector[TABLE_SECTOR];
	struct mbr m;
	if (!u64_mul(at, w->sector_size, &off) || !range_inside(off, sizeof(sector), w->blk->size)) {
		volume_set_warn(w->set, "the list of logical partitions leads beyond the end of the disk");
		return 0;
	}
	if (blk_read(w->blk, off, sector, sizeof(sector), e) < 0) {
		if (volume_fatal(e))
			return e->code;
		volume_set_warn(w->set, "the list of logical partitions cannot be read: %s", e->msg);
		err_clear(e);
		return 0;
	}
	mbr_decode(sector, &m);
	if (!m.signature) {
		volume_set_warn(w->set, "the list of logical partitions is broken off: a link has no signature");
		return 0;
	}
	int more = 0;
	for (unsigned i = 0; i < 4; i++) {
		const struct mbr_slot *slot = &m.slots[i];
		if (slot->count == 0 || slot->type == 0)
			continue;
		if (is_extended(slot->type)) {
			if (!more)
				*next = base + slot->start;
			more = 1;
			continue;
		}
		/* The last two slots are not defined here; some tools leave garbage in them. */
		uint64_t start = at + slot->start;
		if (i >= 2 && (start < base || !range_inside(start - base, slot->count, base_count)))
			continue;
		int r = add_slot(w, w->next_logical, start, slot, e);
		if (r < 0)
			return r;
		w->next_logical++;
	}
	return more;
}

/* Links lead from the start of the extended partition, and may lead in circles. */
static int read_chain(struct mbr_walk *w, const struct mbr_slot *extended, struct err *e)
{
	uint64_t seen[MBR_LOGICAL_MAX];
	uint64_t at = extended->start;
	unsigned count = 0;
	for (;;) {
		for (unsigned i = 0; i < count; i++) {
			if (seen[i] == at) {
				volume_set_warn(w->set, "the list of logical partitions runs in a circle");
				return 0;
			}
		}
		if (w->links == MBR_LOGICAL_MAX) {
			volume_set_warn(w->set, "more than %d logical partitions: the others are left out", MBR_LOGICAL_MAX);
			return 0;
		}
		w->links++;
		seen[count++] = at;
		int r = read_link(w, extended->start, extended->count, at, &at, e);
		if (r <= 0)
			return r;
	}
}

int mbr_read(struct volume_set *s, struct blk *b, const struct mbr *m, uint32_t sector_size, struct table *ret,
             struct err *e)
{
	struct table t = {.kind = "mbr", .sector_size = sector_size};
	struct mbr_walk w = {.set = s, .blk = b, .table = &t, .id = m->id, .sector_size = sector_size,
	                     .next_logical = MBR_LOGICAL_FIRST};
	int r = 0;
	for (unsigned i = 0; i < 4; i++) {
		const struct mbr_slot *slot = &m->slots[i];
		if (slot->count != 0 && (uint64_t)slot->start * sector_size < 65536)
			t.at_start = true;
	}
	for (unsigned i = 0; r == 0 && i < 4; i++) {
		const struct mbr_slot *slot = &m->slots[i];
		if (slot->type != 0 && slot->count != 0 && !is_extended(slot->type) && slot->type != MBR_PROTECTIVE)
			r = add_slot(&w, i + 1, slot->start, slot, e);
	}
	for (unsigned i = 0; r == 0 && i < 4; i++) {
		if (is_extended(m->slots[i].type) && m->slots[i].count != 0)
			r = read_chain(&w, &m->slots[i], e);
	}
	if (r < 0) {
		table_free(&t);
		return r;
	}
	*ret = t;
	return 0;
}
