#include "blk/fault.h"

#include <inttypes.h>
#include <stdlib.h>

static const char module[] = "fault";

struct blk_fault {
	struct blk blk;
	struct blk *parent;
	struct blk_fault_plan plan;
	uint64_t reads;
};

static bool fails(const struct blk_fault *f, uint64_t off, size_t len)
{
	const struct blk_fault_plan *p = &f->plan;
	if (p->first != 0 && f->reads >= p->first && f->reads - p->first < p->count)
		return true;
	return p->bad_len > 0 && (off < p->bad_off ? len > p->bad_off - off : off - p->bad_off < p->bad_len);
}

static int fault_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_fault *f = (struct blk_fault *)b;
	f->reads++;
	if (fails(f, off, len))
		return err_set(e, ERR_IO, module, "injected failure of read %" PRIu64 ", %zu bytes at %" PRIu64,
		               f->reads, len, off);
	return blk_read(f->parent, off, to, len, e);
}

static int fault_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	int r = blk_extent(((struct blk_fault *)b)->parent, off, len, ret, e);
	/* No way around the failures: the bytes are to be read through here. */
	if (r == 0)
		ret->fd = -1;
	return r;
}

static void fault_close(struct blk *b)
{
	blk_unref(((struct blk_fault *)b)->parent);
	free(b);
}

static const struct blk_ops fault_ops = {
	.name = "fault",
	.read = fault_read,
	.extent = fault_extent,
	.close = fault_close,
};

int blk_fault_open(struct blk *parent, const struct blk_fault_plan *plan, struct blk **ret, struct err *e)
{
	struct blk_fault *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, module);
	blk_init(&f->blk, &fault_ops, parent->size);
	f->blk.sector_size = parent->sector_size;
	f->parent = blk_ref(parent);
	f->plan = *plan;
	*ret = &f->blk;
	return 0;
}

void blk_fault_reset(struct blk *b, const struct blk_fault_plan *plan)
{
	struct blk_fault *f = (struct blk_fault *)b;
	f->plan = *plan;
	f->reads = 0;
}
