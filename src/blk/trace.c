#include "blk/trace.h"

#include <stdlib.h>

static const char module[] = "trace";

struct blk_trace {
	struct blk blk;
	struct blk *parent;
	struct blk_trace_counts counts;
};

static int trace_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_trace *t = (struct blk_trace *)b;
	t->counts.reads++;
	t->counts.bytes += len;
	int r = blk_read(t->parent, off, to, len, e);
	t->counts.failed += r < 0;
	return r;
}

static int trace_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct blk_trace *t = (struct blk_trace *)b;
	t->counts.extents++;
	return blk_extent(t->parent, off, len, ret, e);
}

static void trace_close(struct blk *b)
{
	blk_unref(((struct blk_trace *)b)->parent);
	free(b);
}

static const struct blk_ops trace_ops = {
	.name = "trace",
	.read = trace_read,
	.extent = trace_extent,
	.close = trace_close,
};

int blk_trace_open(struct blk *parent, struct blk **ret, struct err *e)
{
	struct blk_trace *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, module);
	blk_init(&t->blk, &trace_ops, parent->size);
	t->blk.sector_size = parent->sector_size;
	t->parent = blk_ref(parent);
	*ret = &t->blk;
	return 0;
}

struct blk_trace_counts blk_trace_get(const struct blk *b)
{
	return ((const struct blk_trace *)b)->counts;
}

void blk_trace_reset(struct blk *b)
{
	((struct blk_trace *)b)->counts = (struct blk_trace_counts){0};
}
