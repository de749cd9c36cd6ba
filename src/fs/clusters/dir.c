#include "base/bytes.h"
#include "fs/clusters/clusters.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WINDOW = 16384 };             /* bytes of a directory read at once */

static int add_run(struct clusters_dir *d, uint64_t off, uint64_t len, struct err *e)
{
	struct clusters_run *last = d->run_count ? &d->runs[d->run_count - 1] : NULL;
	d->size += len;
	if (last && last->off + last->len == off) {
		last->len += len;
		return 0;
	}
	if (d->run_count == d->run_cap) {
		size_t cap = d->run_cap ? 2 * d->run_cap : 8;
		struct clusters_run *runs = realloc(d->runs, cap * sizeof(*runs));
		if (!runs)
			return err_no_memory(e, d->c->module);
		d->runs = runs;
		d->run_cap = cap;
	}
	d->runs[d->run_count++] = (struct clusters_run){.off = off, .len = len};
	return 0;
}

/* How many different clusters a circular chain has: the circle's length, and the way to it. */
static int circle_clusters(struct clusters *c, uint32_t first, uint32_t length, uint32_t *ret, struct err *e)
{
	uint32_t ahead = first, behind = first, way = 0;
	int r = 0;
	for (uint32_t i = 0; i < length && r == 0; i++)
		r = clusters_next(c, ahead, &ahead, e);
	for (; r == 0 && ahead != behind; way++) {
		r = clusters_next(c, ahead, &ahead, e);
		if (r == 0)
			r = clusters_next(c, behind, &behind, e);
	}
	*ret = way + length;
	return r;
}

/* How many clusters of the chain make sense. Where it stops doing so, d->damage says why. A chain that is
 * too long is walked on to its end: it may be a circle, of which no entry is to be given twice. */
static int measure(struct clusters_dir *d, uint32_t *ret, struct err *e)
{
	struct clusters_circle circle = {0};
	uint32_t count = 0;
	for (uint32_t cluster = d->first; cluster != CLUSTER_NONE; count++) {
		if (clusters_circle_closed(&circle, cluster)) {
			err_set(&d->damage, ERR_FILE_CORRUPT, d->c->module,
			        "the directory's cluster chain runs in a circle");
			return circle_clusters(d->c, d->first, circle.steps, ret, e);
		}
		int r = clusters_next(d->c, cluster, &cluster, e);
		if (r == ERR_FILE_CORRUPT) {
			d->damage = *e;
			err_clear(e);
			cluster = CLUSTER_NONE;
		} else if (r < 0) {
			return r;
		}
	}
	*ret = count;
	return 0;
}

static int follow(struct clusters_dir *d, uint64_t max, struct err *e)
{
	uint32_t count = 0, cluster = d->first;
	int r = measure(d, &count, e);
	uint64_t most = max / d->c->cluster_size + (max % d->c->cluster_size != 0);
	if (r == 0 && count > most) {
		count = (uint32_t)most;
		err_clear(&d->damage);
		err_set(&d->damage, ERR_FILE_CORRUPT, d->c->module, "the directory has more than %" PRIu64 " bytes",
		        max);
	}
	while (r == 0 && count-- > 0) {
		r = add_run(d, clusters_off(d->c, cluster), d->c->cluster_size, e);
		if (r == 0 && count > 0)
			r = clusters_next(d->c, cluster, &cluster, e);
	}
	return r;
}

static int finish(struct clusters_dir *d, int r, struct clusters_dir *ret, struct err *e)
{
	if (r == 0) {
		d->window = malloc(WINDOW);
		if (!d->window)
			r = err_no_memory(e, d->c->module);
	}
	if (r < 0)
		clusters_dir_close(d);
	else
		*ret = *d;
	return r;
}

int clusters_dir_open(struct clusters *c, uint32_t first, uint64_t max, uint32_t index, struct clusters_dir *ret,
                      struct err *e)
{
	struct clusters_dir d = {.c = c, .first = first, .index = index};
	if (!clusters_valid(c, first))
		return err_set(e, ERR_FILE_CORRUPT, c->module,
		               "the directory starts at cluster %" PRIu32 ", which is not there", first);
	return finish(&d, follow(&d, max, e), ret, e);
}

int clusters_dir_open_at(struct clusters *c, uint64_t off, uint64_t len, uint32_t index, struct clusters_dir *ret,
                         struct err *e)
{
	struct clusters_dir d = {.c = c, .index = index};
	return finish(&d, add_run(&d, off, len, e), ret, e);
}

void clusters_dir_close(struct clusters_dir *d)
{
	free(d->runs);
	free(d->window);
	d->runs = NULL;
	d->window = NULL;
}

/* Reads the window that starts at a byte of the directory: no further than its run goes. */
static int fill_window(struct clusters_dir *d, uint64_t pos, struct err *e)
{
	uint64_t skip = pos;
	const struct clusters_run *run = d->runs;
	while (skip >= run->len) {
		skip -= run->len;
		run++;
	}
	size_t len = (size_t)min_u64(WINDOW, run->len - skip);
	d->window_len = 0;
	if (!range_inside(run->off + skip, len, d->c->blk->size))
		return err_set(e, ERR_FILE_CORRUPT, d->c->module, "the directory lies beyond the end of the volume");
	int r = blk_read(d->c->blk, run->off + skip, d->window, len, e);
	if (r < 0)
		return r;
	d->window_len = len;
	d->window_pos = pos;
	d->window_off = run->off + skip;
	return 0;
}

int clusters_dir_next(struct clusters_dir *d, const uint8_t **ret, uint64_t *ret_off, struct err *e)
{
	uint64_t pos = (uint64_t)d->index * CLUSTERS_ENTRY_SIZE;
	if (pos >= d->size) {
		if (d->damage.code)
			*e = d->damage;
		return d->damage.code;
	}
	if (pos < d->window_pos || pos - d->window_pos >= d->window_len) {
		int r = fill_window(d, pos, e);
		if (r < 0)
			return r;
	}
	const uint8_t *raw = d->window + (pos - d->window_pos);
	if (raw[0] == 0)
		return 0;
	*ret = raw;
	*ret_off = d->window_off + (pos - d->window_pos);
	d->index++;
	return 1;
}
