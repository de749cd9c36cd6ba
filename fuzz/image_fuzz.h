/* What both image targets do with a chain: walk its extents, read pieces, and hold the two against each other. */
#ifndef FUZZ_IMAGE_FUZZ_H
#define FUZZ_IMAGE_FUZZ_H

#include "base/bytes.h"
#include "blk/blk.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WALK_MAX = 300, PIECE = 32 << 10 };

static inline int memory_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	return fd;
}

/* A read either fails or agrees with the extent. */
static inline void check_piece(struct blk *b, uint64_t off, const struct blk_extent *x)
{
	static uint8_t got[PIECE], plain[PIECE];
	struct err e = {0};
	size_t len = (size_t)min_u64(PIECE, x->len);
	if (blk_read(b, off, got, len, &e) < 0)
		return;
	if (x->kind != BLK_DATA) {
		for (size_t i = 0; i < len; i++)
			if (got[i] != 0)
				abort();
	} else if (x->fd >= 0) {
		if (pread(x->fd, plain, len, (off_t)x->host_off) != (ssize_t)len || memcmp(plain, got, len) != 0)
			abort();
	}
}

static inline void walk(struct blk *b)
{
	uint64_t off = 0;
	for (unsigned i = 0; i < WALK_MAX && off < b->size; i++) {
		struct err e = {0};
		struct blk_extent x;
		if (blk_extent(b, off, b->size - off, &x, &e) < 0) {
			off += min_u64(UINT64_C(1) << (i % 40), b->size - off);
			continue;
		}
		check_piece(b, off, &x);
		off += x.len;
	}
	if (b->size > 0) {
		struct err e = {0};
		uint8_t last[512];
		size_t n = (size_t)min_u64(sizeof(last), b->size);
		(void)blk_read(b, b->size - n, last, n, &e);
	}
}

#endif
