#include "fs/ext/fc.h"

#include "base/search.h"

#include <stdlib.h>

static const char *const module = "ext";

void ext_fc_free(struct ext_fc *fc)
{
	if (!fc)
		return;
	for (size_t i = 0; i < fc->map_count; i++)
		free(fc->maps[i].extents);
	for (size_t i = 0; i < fc->name_count; i++)
		free(fc->names[i]);
	free(fc->maps);
	free(fc->names);
	free(fc);
}

static int too_much(struct err *e)
{
	return err_set(e, ERR_LIMIT, module, "the fast commits of the journal change more than can be held in memory");
}

/* Makes room for one more in a list that may reach max. */
static int reserve(void *list, size_t size, size_t count, size_t *cap, size_t max, struct err *e)
{
	if (count < *cap)
		return 0;
	if (count >= max)
		return too_much(e);
	size_t more = *cap ? 2 * *cap : 16;
	void *p = realloc(*(void **)list, more * size);
	if (!p)
		return err_no_memory(e, module);
	*(void **)list = p;
	*cap = more;
	return 0;
}

/* --- names ---------------------------------------------------------------------------------------- */

static int compare_name(const struct fc_name *n, uint32_t dir, const uint8_t *name, size_t len)
{
	if (n->dir != dir)
		return n->dir < dir ? -1 : 1;
	int r = memcmp(n->name, name, min_size(n->len, len));
	return r ? r : (n->len > len) - (n->len < len);
}

/* Where it is, or would have to be. */
static size_t name_place(const struct ext_fc *fc, uint32_t dir, const uint8_t *name, size_t len)
{
	return PARTITION_POINT(i, fc->name_count, compare_name(fc->names[i], dir, name, len) < 0);
}

const struct fc_name *ext_fc_name(const struct ext_fs *x, uint32_t dir, const uint8_t *name, size_t len)
{
	if (!x->fc)
		return NULL;
	size_t i = name_place(x->fc, dir, name, len);
	bool there = i < x->fc->name_count && compare_name(x->fc->names[i], dir, name, len) == 0;
	return there ? x->fc->names[i] : NULL;
}

const struct fc_name *ext_fc_dir_name(const struct ext_fs *x, uint32_t dir, size_t i)
{
	static const uint8_t first[1];
	if (!x->fc)
		return NULL;
	size_t at = name_place(x->fc, dir, first, 0);
	if (i >= x->fc->name_count - at || x->fc->names[at + i]->dir != dir)
		return NULL;
	return x->fc->names[at + i];
}

int fc_set_name(struct ext_fc *fc, uint32_t dir, const uint8_t *name, size_t len, uint32_t ino, struct err *e)
{
	size_t i = name_place(fc, dir, name, len);
	if (i < fc->name_count && compare_name(fc->names[i], dir, name, len) == 0) {
		fc->names[i]->ino = ino;
		return 0;
	}
	int r = reserve(&fc->names, sizeof(struct fc_name *), fc->name_count, &fc->name_cap, FC_NAMES_MAX, e);
	if (r < 0)
		return r;
	struct fc_name *n = malloc(sizeof(*n));
	if (!n)
		return err_no_memory(e, module);
	*n = (struct fc_name){.dir = dir, .ino = ino, .len = (uint8_t)len};
	memcpy(n->name, name, len);
	memmove(&fc->names[i + 1], &fc->names[i], (fc->name_count - i) * sizeof(struct fc_name *));
	fc->name_count++;
	fc->names[i] = n;
	return 0;
}

/* --- maps ----------------------------------------------------------------------------------------- */

static size_t map_place(const struct ext_fc *fc, uint32_t ino)
{
	return PARTITION_POINT(i, fc->map_count, fc->maps[i].ino < ino);
}

const struct fc_map *ext_fc_map(const struct ext_fs *x, uint32_t ino)
{
	if (!x->fc)
		return NULL;
	size_t i = map_place(x->fc, ino);
	return i < x->fc->map_count && x->fc->maps[i].ino == ino ? &x->fc->maps[i] : NULL;
}

/* The first extent that ends behind lblk. */
static size_t extent_place(const struct fc_map *m, uint64_t lblk)
{
	return PARTITION_POINT(i, m->count, m->extents[i].lblk + m->extents[i].len <= lblk);
}

void ext_fc_run(const struct fc_map *m, uint64_t lblk, uint64_t max, struct ext_run *ret)
{
	size_t i = extent_place(m, lblk);
	if (i == m->count) {
		*ret = (struct ext_run){.len = max};
		return;
	}
	const struct fc_extent *x = &m->extents[i];
	if (lblk < x->lblk)
		*ret = (struct ext_run){.len = min_u64(max, x->lblk - lblk)};
	else
		*ret = (struct ext_run){.len = min_u64(max, x->lblk + x->len - lblk), .pblk = x->pblk + (lblk - x->lblk)};
}

static int insert(struct ext_fc *fc, struct fc_map *m, size_t i, struct fc_extent x, struct err *e)
{
	if (fc->extent_count >= FC_EXTENTS_MAX)
		return too_much(e);
	int r = reserve(&m->extents, sizeof(*m->extents), m->count, &m->cap, FC_EXTENTS_MAX, e);
	if (r < 0)
		return r;
	memmove(&m->extents[i + 1], &m->extents[i], (m->count - i) * sizeof(*m->extents));
	m->extents[i] = x;
	m->count++;
	fc->extent_count++;
	return 0;
}

static void erase(struct ext_fc *fc, struct fc_map *m, size_t i)
{
	m->count--;
	fc->extent_count--;
	memmove(&m->extents[i], &m->extents[i + 1], (m->count - i) * sizeof(*m->extents));
}

/* Takes [lblk, lblk + len) out; *ret: where an extent that begins at lblk belongs. */
static int cut(struct ext_fc *fc, struct fc_map *m, uint64_t lblk, uint64_t len, size_t *ret, struct err *e)
{
	uint64_t end = lblk + len;
	size_t i = extent_place(m, lblk);
	if (i < m->count && m->extents[i].lblk < lblk) {
		struct fc_extent x = m->extents[i];
		uint64_t head = lblk - x.lblk;
		m->extents[i].len = head;
		struct fc_extent rest = {.lblk = lblk, .len = x.len - head, .pblk = x.pblk + head};
		int r = insert(fc, m, ++i, rest, e);
		if (r < 0)
			return r;
	}
	while (i < m->count && m->extents[i].lblk + m->extents[i].len <= end)
		erase(fc, m, i);
	if (i < m->count && m->extents[i].lblk < end) {
		uint64_t n = end - m->extents[i].lblk;
		m->extents[i].lblk += n;
		m->extents[i].pblk += n;
		m->extents[i].len -= n;
	}
	*ret = i;
	return 0;
}

/* The file's map as the blocks have it. */
static int load(struct ext_fs *x, struct fc_map *m, struct err *e)
{
	static const uint64_t end = (uint64_t)1 << 32;
	struct ext_inode in;
	int r = ext_inode_any(x, m->ino, &in, e);
	if (r < 0)
		return r;
	struct ext_map map;
	ext_map_init(&map, x, &in);
	map.fc = NULL;
	for (uint64_t lblk = 0; lblk < end && r == 0;) {
		struct ext_run run;
		r = x->fc->runs_seen++ < FC_RUNS_MAX ? ext_map_run(&map, lblk, end - lblk, &run, e) : too_much(e);
		if (r == 0 && run.pblk)
			r = insert(x->fc, m, m->count, (struct fc_extent){.lblk = lblk, .len = run.len, .pblk = run.pblk}, e);
		if (r == 0)
			lblk += run.len;
	}
	ext_map_fini(&map);
	return r;
}

static int obtain(struct ext_fs *x, uint32_t ino, bool loaded, struct fc_map **ret, struct err *e)
{
	struct ext_fc *fc = x->fc;
	size_t i = map_place(fc, ino);
	if (i < fc->map_count && fc->maps[i].ino == ino) {
		*ret = &fc->maps[i];
		return 0;
	}
	struct fc_map m = {.ino = ino};
	int r = loaded ? load(x, &m, e) : 0;
	if (r == 0)
		r = reserve(&fc->maps, sizeof(*fc->maps), fc->map_count, &fc->map_cap, FC_MAPS_MAX, e);
	if (r < 0) {
		fc->extent_count -= m.count;
		free(m.extents);
		return r;
	}
	memmove(&fc->maps[i + 1], &fc->maps[i], (fc->map_count - i) * sizeof(*fc->maps));
	fc->map_count++;
	fc->maps[i] = m;
	*ret = &fc->maps[i];
	return 0;
}

int fc_set_range(struct ext_fs *x, uint32_t ino, uint64_t lblk, uint64_t len, uint64_t pblk, struct err *e)
{
	struct fc_map *m;
	size_t i;
	int r = obtain(x, ino, true, &m, e);
	if (r == 0)
		r = cut(x->fc, m, lblk, len, &i, e);
	if (r == 0 && pblk)
		r = insert(x->fc, m, i, (struct fc_extent){.lblk = lblk, .len = len, .pblk = pblk}, e);
	return r;
}

int fc_set_empty(struct ext_fs *x, uint32_t ino, struct err *e)
{
	struct fc_map *m;
	int r = obtain(x, ino, false, &m, e);
	if (r < 0)
		return r;
	x->fc->extent_count -= m->count;
	m->count = 0;
	return 0;
}

void fc_forget_map(struct ext_fc *fc, uint32_t ino)
{
	size_t i = map_place(fc, ino);
	if (i == fc->map_count || fc->maps[i].ino != ino)
		return;
	fc->extent_count -= fc->maps[i].count;
	free(fc->maps[i].extents);
	fc->map_count--;
	memmove(&fc->maps[i], &fc->maps[i + 1], (fc->map_count - i) * sizeof(*fc->maps));
}
