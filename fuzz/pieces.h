/* A fuzz input as a block source: a raw image, or, since much cannot be small, one in pieces, as fuzz/make-seed
 * writes it: "SEED", le32 number of pieces, le64 image size, for each piece le64 offset, le32 length;
 * then the pieces' bytes one after the other. What no piece covers is zero.
 */
#ifndef FUZZ_PIECES_H
#define FUZZ_PIECES_H

#include "base/bytes.h"
#include "blk/blk.h"

#include <stdlib.h>
#include <string.h>

enum {
	PIECES_MAX = 4096,
	PIECES_IMAGE_MAX_SHIFT = 44,
};

struct pieces {
	struct blk blk;
	const uint8_t *table, *bytes;
	size_t bytes_len;
	uint32_t count;
};

/* The bytes [at, at + len) as far as they lie inside [off, off + n). */
static inline void pieces_copy(const uint8_t *from, uint64_t at, uint64_t len, uint8_t *to, uint64_t off, size_t n)
{
	uint64_t first = at > off ? at : off, last = min_u64(at + len, off + n);
	if (first < last)
		memcpy(to + (first - off), from + (first - at), (size_t)(last - first));
}

static inline int pieces_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)e;
	const struct pieces *p = (const struct pieces *)b;
	memset(to, 0, len);
	size_t used = 0;
	for (uint32_t i = 0; i < p->count; i++) {
		uint64_t at = get_le64(p->table + 12 * i);
		size_t n = min_size(get_le32(p->table + 12 * i + 8), p->bytes_len - used);
		if (range_inside(at, n, p->blk.size))
			pieces_copy(p->bytes + used, at, n, to, off, len);
		used += n;
	}
	return 0;
}

static inline void pieces_close(struct blk *b)
{
	free(b);
}

static const struct blk_ops pieces_ops = {.name = "pieces", .read = pieces_read, .close = pieces_close};

/* NULL for what is no image. */
static inline struct blk *pieces_open(const uint8_t *data, size_t size)
{
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	if (size < 16 || memcmp(data, "SEED", 4) != 0)
		return blk_mem_open(data, size, &b, &e) == 0 ? b : NULL;
	uint32_t count = get_le32(data + 4);
	uint64_t image = get_le64(data + 8);
	if (count > PIECES_MAX || 12 * (size_t)count > size - 16 || image >> PIECES_IMAGE_MAX_SHIFT)
		return NULL;
	struct pieces *p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	blk_init(&p->blk, &pieces_ops, image);
	p->count = count;
	p->table = data + 16;
	p->bytes = p->table + 12 * (size_t)count;
	p->bytes_len = size - 16 - 12 * (size_t)count;
	return &p->blk;
}

#endif
