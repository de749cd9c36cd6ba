/* Filesystems that lie on several volumes (btrfs): the first of them that was found stands for all. */
#include "worker/worker.h"

#include "blk/cache.h"

#include <stdlib.h>
#include <string.h>

enum {
	CACHE_BYTES = 2 << 20,           /* metadata kept per opened filesystem … */
	CACHE_PARTS = 4,                 /* … and at most as for so many, however many parts it has */
};

static bool is_part(const struct disks *d, unsigned i)
{
	const struct volume_content *c = &d->set->volumes[i].content;
	return c->supported && c->devices > 0;
}

static bool same_fs(const struct disks *d, unsigned a, unsigned b)
{
	const struct volume_content *x = &d->set->volumes[a].content, *y = &d->set->volumes[b].content;
	return strcmp(x->uuid, y->uuid) == 0 && strcmp(x->type, y->type) == 0;
}

/* Clones of a filesystem on one device have its UUID, too, and are filesystems of their own. */
static bool spans_several(const struct disks *d, unsigned i)
{
	for (unsigned k = 0; k < d->set->count; k++)
		if (is_part(d, k) && same_fs(d, i, k) && d->set->volumes[k].content.devices > 1)
			return true;
	return false;
}

/* Who stood for it before does so still: numbers do not change. */
static unsigned find_head(const struct disks *d, unsigned i)
{
	unsigned first = i;
	for (unsigned k = d->set->count; k-- > 0;) {
		if (!is_part(d, k) || !same_fs(d, i, k))
			continue;
		if (d->fs[k].is_head)
			return k;
		if (k < first)
			first = k;
	}
	return first;
}

/* The others that may belong to volume i: with its UUID where it spans several, and seeds. */
static unsigned collect(const struct disks *d, unsigned i, struct blk **ret)
{
	unsigned n = 0;
	bool several = is_part(d, i) && spans_several(d, i);
	for (unsigned k = 0; several && k < d->set->count; k++) {
		if (k == i || !is_part(d, k) || !(same_fs(d, i, k) || d->set->volumes[k].content.seed))
			continue;
		if (ret)
			ret[n] = d->set->volumes[k].blk;
		n++;
	}
	return n;
}

/* Jobs may be reading the one that is there: it stays until the end. */
static int retire(struct disks *d, unsigned i, struct err *e)
{
	struct volume_fs *vf = &d->fs[i];
	if (vf->fs) {
		struct fs **more = realloc(d->retired, (d->retired_count + 1) * sizeof(*more));
		if (!more)
			return err_no_memory(e, "worker");
		d->retired = more;
		more[d->retired_count++] = STEAL(vf->fs);
	}
	err_clear(&vf->error);
	return 0;
}

/* Opens again what was opened, or could not be, without something that is there now. */
static int reopen(struct disks *d, unsigned i, struct err *e)
{
	struct volume_fs *vf = &d->fs[i];
	bool tried = vf->fs || vf->error.code < 0, stale = vf->part_of > 0 || collect(d, i, NULL) != vf->others;
	if (!tried || !stale)
		return 0;
	int r = retire(d, i, e);
	struct fs *fs;
	struct err ignored = ERR_INIT;
	if (r == 0 && vf->part_of == 0)
		(void)disks_fs(d, i + 1, &fs, &ignored);
	return r;
}

int parts_join(struct disks *d, struct err *e)
{
	unsigned count = d->set->count;
	for (unsigned i = 0; i < count; i++) {
		if (!is_part(d, i) || !spans_several(d, i))
			continue;
		unsigned head = find_head(d, i);
		d->fs[head].is_head = true;
		d->fs[i].part_of = head == i ? 0 : head + 1;
	}
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = reopen(d, i, e);
	if (d->default_volume > 0 && d->fs[d->default_volume - 1].part_of > 0)
		d->default_volume = d->fs[d->default_volume - 1].part_of;
	return r;
}

int parts_open(struct disks *d, unsigned i, struct fs **ret, struct err *e)
{
	CLEANUP(free_ptr) struct blk **blks = calloc(VOLUME_MAX, sizeof(struct blk *));
	if (!blks)
		return err_no_memory(e, "worker");
	blks[0] = d->set->volumes[i].blk;
	unsigned n = 1 + collect(d, i, blks + 1), cached = 0;
	int r = 0;
	for (; cached < n && r == 0; cached += r == 0)
		r = blk_cache_open(blks[cached], n > CACHE_PARTS ? CACHE_BYTES * CACHE_PARTS / n : CACHE_BYTES, &blks[cached], e);
	if (r == 0)
		r = fs_open_with(blks[0], d->set->volumes[i].content.reader, blks + 1, n - 1, ret, e);
	for (unsigned k = 0; k < cached; k++)
		blk_unref(blks[k]);
	d->fs[i].others = n - 1;
	return r;
}

void parts_close(struct disks *d)
{
	for (unsigned i = 0; i < d->retired_count; i++)
		fs_close(d->retired[i]);
	free(d->retired);
}
