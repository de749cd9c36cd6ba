/* What both image targets do: files made of the input, and a chain whose extents are walked, of which pieces are read, at once and in
 * parts, and held against each other. */
#ifndef FUZZ_IMAGE_FUZZ_H
#define FUZZ_IMAGE_FUZZ_H

#include "pieces.h"

#include <sys/mman.h>
#include <unistd.h>

enum { WALK_MAX = 300, PIECE = 32 << 10, PART = 700 };

static inline void put_piece(int fd, const uint8_t *p, size_t len, uint64_t off)
{
	if (pwrite(fd, p, len, (off_t)off) != (ssize_t)len)
		abort();
}

/* The bytes, or, since clusters are large, what is in pieces as pieces.h has them. */
static inline int memory_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	struct blk *b = pieces_open(data, size);
	if (b && b->ops == &pieces_ops) {
		const struct pieces *p = (const struct pieces *)b;
		if (ftruncate(fd, (off_t)b->size) < 0)
			abort();
		size_t used = 0;
		for (uint32_t i = 0; i < p->count; i++) {
			uint64_t at = get_le64(p->table + 12 * i);
			size_t n = min_size(get_le32(p->table + 12 * i + 8), p->bytes_len - used);
			if (range_inside(at, n, b->size))
				put_piece(fd, p->bytes + used, n, at);
			used += n;
		}
	} else {
		put_piece(fd, data, size, 0);
	}
	blk_unref(b);
	return fd;
}

/* A read either fails or agrees with the extent, and in parts it gives the same. */
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
	/* Compressed: in parts through the cache. */
	for (size_t at = 0; x->kind == BLK_DATA && x->fd < 0 && at < len; at += PART) {
		size_t n = min_size(PART, len - at);
		if (blk_read(b, off + at, plain, n, &e) < 0 || memcmp(plain, got + at, n) != 0)
			abort();
	}
}

/* sealed: nothing can be read. */
static inline void walk(struct blk *b, bool sealed)
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
		if (blk_read(b, b->size - n, last, n, &e) == 0 && sealed)
			abort();
	}
}

#endif
