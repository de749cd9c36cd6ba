#include "volume/table.h"

#include "base/bytes.h"

#include <stdlib.h>

void table_free(struct table *t)
{
	free(t->entries);
	*t = (struct table){0};
}

struct table_entry *table_add(struct table *t, bool *ret_full)
{
	if (t->count == VOLUME_MAX) {
		*ret_full = true;
		return NULL;
	}
	if (t->count == t->cap) {
		unsigned cap = t->cap ? 2 * t->cap : 8;
		struct table_entry *grown = reallocarray(t->entries, cap, sizeof(*grown));
		if (!grown)
			return NULL;
		t->entries = grown;
		t->cap = cap;
	}
	struct table_entry *n = &t->entries[t->count++];
	*n = (struct table_entry){0};
	return n;
}

void table_place(struct table_entry *n, uint64_t start, uint64_t count, uint32_t sector_size)
{
	uint64_t end = 0;
	if (!u64_mul(start, sector_size, &n->off) || !u64_mul(count, sector_size, &n->len) ||
	    !u64_add(n->off, n->len, &end)) {
		n->off = 0;
		n->len = 0;
		n->bad = "its place in the partition table is not a possible one";
	}
}
