#include "fs/ext/journal.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 256 };

static struct revoke *slot_of(const struct revokes *t, uint64_t blk)
{
	size_t i = (size_t)(blk * 0x9E3779B97F4A7C15u >> 20) & (t->slot_count - 1);
	while (t->slots[i].used && t->slots[i].blk != blk)
		i = (i + 1) & (t->slot_count - 1);
	return &t->slots[i];
}

static int grow(struct revokes *t, struct err *e)
{
	struct revokes bigger = {.slot_count = t->slot_count ? 2 * t->slot_count : SLOTS_FIRST, .count = t->count};
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return err_no_memory(e, "ext");
	for (size_t i = 0; i < t->slot_count; i++)
		if (t->slots[i].used)
			*slot_of(&bigger, t->slots[i].blk) = t->slots[i];
	free(t->slots);
	*t = bigger;
	return 0;
}

int revokes_add(struct revokes *t, uint64_t blk, uint32_t tid, struct err *e)
{
	if (t->count >= t->slot_count / 2) {
		if (t->count >= JBD_REVOKES_MAX)
			return err_set(e, ERR_LIMIT, "ext", "the journal revokes more than %d blocks", JBD_REVOKES_MAX);
		int r = grow(t, e);
		if (r < 0)
			return r;
	}
	struct revoke *s = slot_of(t, blk);
	if (!s->used) {
		*s = (struct revoke){.blk = blk, .tid = tid, .used = true};
		t->count++;
	} else if (tid_after(tid, s->tid)) {
		s->tid = tid;
	}
	return 0;
}

bool revokes_has(const struct revokes *t, uint64_t blk, uint32_t tid)
{
	if (t->count == 0)
		return false;
	const struct revoke *s = slot_of(t, blk);
	return s->used && !tid_after(tid, s->tid);
}

void revokes_free(struct revokes *t)
{
	free(t->slots);
	*t = (struct revokes){0};
}
