#include "blk/blk.h"

#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void blk_init(struct blk *b, const struct blk_ops *ops, uint64_t size)
{
	*b = (struct blk){.ops = ops, .size = size, .sector_size = 512, .refs = 1};
}

struct blk *blk_ref(struct blk *b)
{
	assert(b->refs > 0);
	b->refs++;
	return b;
}

void blk_unref(struct blk *b)
{
	if (!b)
		return;
	assert(b->refs > 0);
	if (--b->refs == 0)
		b->ops->close(b);
}

static int check_range(const struct blk *b, uint64_t off, uint64_t len, struct err *e)
{
	if (range_inside(off, len, b->size))
		return 0;
	return err_set(e, ERR_IO, b->ops->name,
	               "a read of %" PRIu64 " bytes at %" PRIu64 " leaves the device of %" PRIu64 " bytes", len,
	               off, b->size);
}

typedef int read_op(struct blk *b, uint64_t off, void *to, size_t len, struct err *e);

static int read_by(read_op *op, struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	int r = check_range(b, off, len, e);
	if (r < 0 || len == 0)
		return r;
	r = op(b, off, to, len, e);
	assert(r <= 0 && (r == 0) == (e->code == 0) && "a failing driver says why");
	return r;
}

int blk_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	return read_by(b->ops->read, b, off, to, len, e);
}

int blk_read_once(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	return read_by(b->ops->read_once ? b->ops->read_once : b->ops->read, b, off, to, len, e);
}

int blk_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	int r = check_range(b, off, len, e);
	if (r < 0)
		return r;
	assert(len > 0);
	struct blk_extent ext = {.kind = BLK_DATA, .len = len, .fd = -1};
	if (b->ops->extent) {
		r = b->ops->extent(b, off, len, &ext, e);
		assert(r <= 0 && (r == 0) == (e->code == 0) && "a failing driver says why");
		if (r < 0)
			return r;
		assert(ext.len > 0 && ext.len <= len);
	}
	*ret = ext;
	return 0;
}

/* --- fd ------------------------------------------------------------------------------------------- */

struct blk_fd {
	struct blk blk;
	int fd;
};

static int fd_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_fd *f = (struct blk_fd *)b;
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = pread(f->fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_IO, errno, "file", "cannot read %zu bytes at %" PRIu64, len, off);
		if (n == 0)
			return err_set(e, ERR_IO, "file",
			               "the file ends at %" PRIu64 ", before the %" PRIu64 " bytes it had when it was opened",
			               off, b->size);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int fd_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	(void)e;
	struct blk_fd *f = (struct blk_fd *)b;
	*ret = (struct blk_extent){.kind = BLK_DATA, .len = len, .fd = f->fd, .host_off = off};
	return 0;
}

static void plain_close(struct blk *b)
{
	free(b);
}

static const struct blk_ops fd_ops = {
	.name = "file",
	.read = fd_read,
	.extent = fd_extent,
	.close = plain_close,
};

int blk_fd_open(int fd, uint64_t size, struct blk **ret, struct err *e)
{
	struct blk_fd *f = malloc(sizeof(*f));
	if (!f)
		return err_no_memory(e, "file");
	blk_init(&f->blk, &fd_ops, size);
	f->fd = fd;
	*ret = &f->blk;
	return 0;
}

/* --- mem ------------------------------------------------------------------------------------------ */

struct blk_mem {
	struct blk blk;
	const uint8_t *data;
};

static int mem_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)e;
	memcpy(to, ((struct blk_mem *)b)->data + off, len);
	return 0;
}

static const struct blk_ops mem_ops = {
	.name = "memory",
	.read = mem_read,
	.close = plain_close,
};

int blk_mem_open(const void *data, size_t size, struct blk **ret, struct err *e)
{
	struct blk_mem *m = malloc(sizeof(*m));
	if (!m)
		return err_no_memory(e, "memory");
	blk_init(&m->blk, &mem_ops, size);
	m->data = data;
	*ret = &m->blk;
	return 0;
}

/* --- slice ---------------------------------------------------------------------------------------- */

struct blk_slice {
	struct blk blk;
	struct blk *parent;
	uint64_t start;
};

static int slice_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct blk_slice *s = (struct blk_slice *)b;
	return blk_read(s->parent, s->start + off, to, len, e);
}

static int slice_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct blk_slice *s = (struct blk_slice *)b;
	return blk_extent(s->parent, s->start + off, len, ret, e);
}

static void slice_close(struct blk *b)
{
	struct blk_slice *s = (struct blk_slice *)b;
	blk_unref(s->parent);
	free(s);
}

static const struct blk_ops slice_ops = {
	.name = "slice",
	.read = slice_read,
	.extent = slice_extent,
	.close = slice_close,
};

int blk_slice_open(struct blk *parent, uint64_t off, uint64_t len, struct blk **ret, struct err *e)
{
	if (!range_inside(off, len, parent->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "slice",
		               "a part of %" PRIu64 " bytes at %" PRIu64 " does not fit a device of %" PRIu64 " bytes",
		               len, off, parent->size);
	struct blk_slice *s = malloc(sizeof(*s));
	if (!s)
		return err_no_memory(e, "slice");
	blk_init(&s->blk, &slice_ops, len);
	s->blk.sector_size = parent->sector_size;
	s->parent = blk_ref(parent);
	s->start = off;
	*ret = &s->blk;
	return 0;
}
