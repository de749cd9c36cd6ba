#include "worker/listing.h"

#include "base/search.h"

#include <stdlib.h>
#include <string.h>

struct reading {
	struct listing *l;
	const atomic_bool *cancelled;
	struct err *e;
};

const char *listing_name(const struct listing *l, const struct listing_item *it)
{
	return (const char *)l->names.data + it->name_off;
}

/* The first fault that is not of a name before that one. */
static unsigned fault_place(const struct listing *l, uint32_t name_off)
{
	return PARTITION_POINT(i, l->fault_count, l->faults[i].name_off < name_off);
}

const struct err *listing_error(const struct listing *l, const struct listing_item *it)
{
	unsigned i = fault_place(l, it->name_off);
	bool found = i < l->fault_count && l->faults[i].name_off == it->name_off;
	return &l->faults[found ? i : l->fault_count - 1].why;
}

struct listing *listing_new(struct fs *fs, struct fs_id dir)
{
	struct listing *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->fs = fs;
	l->dir = dir;
	l->names = BUF_INIT(LISTING_NAMES_MAX);
	return l;
}

void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->items);
	free(l->faults);
	free(l->keys);
	buf_free(&l->names);
	free(l);
}

static int mark_broken(struct listing *l, struct listing_item *it, const struct err *why, struct err *e)
{
	it->broken = true;
	if (l->fault_count == LISTING_BROKEN_MAX)
		return 0;
	struct listing_fault *more = realloc(l->faults, sizeof(*more) * (l->fault_count + 1));
	if (!more)
		return err_no_memory(e, "worker");
	l->faults = more;
	unsigned i = fault_place(l, it->name_off);
	memmove(&more[i + 1], &more[i], (l->fault_count++ - i) * sizeof(*more));
	more[i] = (struct listing_fault){.name_off = it->name_off, .why = *why};
	return 0;
}

static int grow_items(struct listing *l, struct err *e)
{
	if (l->count < l->cap)
		return 0;
	if (l->count >= LISTING_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "worker", "the directory holds more than %d entries", LISTING_ENTRIES_MAX);
	size_t cap = l->cap ? l->cap + l->cap / 2 : 64;
	struct listing_item *more = realloc(l->items, cap * sizeof(*more));
	if (!more)
		return err_no_memory(e, "worker");
	l->items = more;
	l->cap = cap;
	return 0;
}

int listing_add(struct listing *l, const struct fs_dirent *de, struct err *e)
{
	int r = grow_items(l, e);
	if (r < 0)
		return r;
	struct listing_item *it = &l->items[l->count];
	*it = (struct listing_item){
		.name_off = (uint32_t)l->names.len,
		.name_len = (uint16_t)de->name_len,
		.type = (uint8_t)de->type,
		.id = de->id,
	};
	buf_add(&l->names, de->name, de->name_len);
	if (l->names.failed)
		return err_no_memory(e, "worker");
	l->count++;
	return de->broken ? mark_broken(l, it, de->broken, e) : 0;
}

static int take_dirent(void *arg, const struct fs_dirent *de)
{
	struct reading *rd = arg;
	if (atomic_load_explicit(rd->cancelled, memory_order_relaxed))
		return err_set(rd->e, ERR_CANCELLED, "worker", "the reader went away");
	return listing_add(rd->l, de, rd->e);
}

/* Some filesystems' directories do not say what an entry is. */
static int fill_types(struct listing *l, struct err *e)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listing_item *it = &l->items[i];
		if (it->type != FS_UNKNOWN || it->broken)
			continue;
		struct fs_stat st;
		struct err why = ERR_INIT;
		if (fs_stat(l->fs, it->id, &st, &why) == 0) {
			it->type = (uint8_t)st.type;
			continue;
		}
		int r = mark_broken(l, it, &why, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int listing_read(struct fs *fs, struct fs_id dir, const atomic_bool *cancelled, struct listing **ret, struct err *e)
{
	struct listing *l = listing_new(fs, dir);
	if (!l)
		return err_no_memory(e, "worker");
	/* The callback's error and the driver's never meet: a non-zero answer ends the walk. */
	struct err stopped = ERR_INIT;
	struct reading rd = {.l = l, .cancelled = cancelled, .e = &stopped};
	int r = fs_readdir(fs, dir, 0, take_dirent, &rd, e);
	if (stopped.code < 0) {
		*e = stopped;
		r = e->code;
	}
	if (r == 0)
		r = fill_types(l, e);
	if (r < 0) {
		listing_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* --- sort ----------------------------------------------------------------------------------------- */

typedef int item_order(const struct listing *l, const struct listing_item *x, const struct listing_item *y);

struct ordering {
	const struct listing *l;
	item_order *order;
};

static int by_index(const void *a, const void *b, void *arg)
{
	const struct ordering *o = arg;
	return o->order(o->l, &o->l->items[*(const uint32_t *)a], &o->l->items[*(const uint32_t *)b]);
}

/* Place i gets what was at from[i]. */
static void permute(struct listing_item *items, uint32_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (from[i] == i)
			continue;
		struct listing_item first = items[i];
		size_t at = i;
		while (from[at] != i) {
			size_t next = from[at];
			items[at] = items[next];
			from[at] = (uint32_t)at;
			at = next;
		}
		items[at] = first;
		from[at] = (uint32_t)at;
	}
}

/* Numbers are sorted, not the items: qsort takes as much memory again as what it sorts. */
static int sort_items(struct listing *l, item_order *order, struct err *e)
{
	if (l->count < 2)
		return 0;
	CLEANUP(free_ptr) uint32_t *from = malloc(l->count * sizeof(*from));
	if (!from)
		return err_no_memory(e, "worker");
	for (size_t i = 0; i < l->count; i++)
		from[i] = (uint32_t)i;
	struct ordering o = {l, order};
	qsort_r(from, l->count, sizeof(*from), by_index, &o);
	permute(l->items, from, l->count);
	return 0;
}

static int by_place(const struct listing *l, const struct listing_item *x, const struct listing_item *y)
{
	(void)l;
	return listing_place_order(&x->id, &y->id);
}

static uint64_t sort_key(const struct fs_stat *st, enum wire_sort sort)
{
	switch (sort) {
	case WIRE_SORT_SIZE:
		return st->size;
	case WIRE_SORT_MODE:
		return st->mode & 07777;
	case WIRE_SORT_OWNER:
		return (uint64_t)st->uid << 32 | st->gid;
	default:
		return (uint64_t)st->mtime.sec ^ UINT64_C(1) << 63;
	}
}

static int fill_keys(struct listing *l, enum wire_sort sort, const atomic_bool *cancelled, struct err *e)
{
	int r = sort_items(l, by_place, e);
	if (r < 0)
		return r;
	l->keys = calloc(l->count ? l->count : 1, sizeof(*l->keys));
	if (!l->keys)
		return err_no_memory(e, "worker");
	for (size_t i = 0; i < l->count; i++) {
		struct listing_item *it = &l->items[i];
		if (it->broken)
			continue;
		if (atomic_load_explicit(cancelled, memory_order_relaxed))
			return err_set(e, ERR_CANCELLED, "worker", "the reader went away");
		struct fs_stat st;
		struct err ignored = ERR_INIT;
		/* What cannot be read sorts as nothing; it says why when it is shown. */
		if (fs_stat(l->fs, it->id, &st, &ignored) == 0)
			l->keys[i] = sort_key(&st, sort);
	}
	return 0;
}

static int by_name(const struct listing *l, const struct listing_item *x, const struct listing_item *y)
{
	int c = memcmp(listing_name(l, x), listing_name(l, y), x->name_len < y->name_len ? x->name_len : y->name_len);
	return c ? c : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

int listing_sort_names(struct listing *l, struct err *e)
{
	return sort_items(l, by_name, e);
}

static int as_asked(const struct listing *l, const struct listing_item *x, const struct listing_item *y)
{
	bool xd = x->type == FS_DIRECTORY, yd = y->type == FS_DIRECTORY;
	if (xd != yd)
		return xd ? -1 : 1;
	int c = 0;
	if (l->keys && !x->broken && !y->broken) {
		uint64_t a = l->keys[x - l->items], b = l->keys[y - l->items];
		c = (a > b) - (a < b);
	}
	if (c == 0)
		c = by_name(l, x, y);
	return l->descending ? -c : c;
}

int listing_sort(struct listing *l, enum wire_sort sort, bool descending, const atomic_bool *cancelled, struct err *e)
{
	l->sort = sort;
	l->descending = descending;
	int r = sort == WIRE_SORT_NAME ? 0 : fill_keys(l, sort, cancelled, e);
	if (r == 0)
		r = sort_items(l, as_asked, e);
	free(l->keys);
	l->keys = NULL;
	return r;
}
