/* volume_read: what the targets of volume layers do with their disks: discover, and read of each volume its head, its tail
 * and a few extents. What is read at once and in parts is the same, and what an extent calls a hole or zeroes reads as zeroes. */
#ifndef FUZZ_VOLUME_READ_H
#define FUZZ_VOLUME_READ_H

#include "base/bytes.h"
#include "volume/volume.h"

#include <stdlib.h>

enum {
	VOLUME_READ = 40000,
	VOLUME_READ_EXTENTS = 64,
	VOLUME_READ_PART = 7777,
	VOLUME_READ_ZEROES = 2000,
};

static inline void volume_read_twice(struct blk *b, uint64_t off, size_t n)
{
	static uint8_t whole[VOLUME_READ], part[VOLUME_READ_PART];
	struct err e = ERR_INIT;
	if (blk_read(b, off, whole, n, &e) < 0)
		return;
	for (size_t at = 0; at < n; at += VOLUME_READ_PART) {
		size_t len = min_size(VOLUME_READ_PART, n - at);
		if (blk_read(b, off + at, part, len, &e) < 0 || memcmp(part, whole + at, len) != 0)
			abort();
	}
}

static inline void volume_read_zeroes(struct blk *b, uint64_t off, uint64_t len)
{
	uint8_t p[VOLUME_READ_ZEROES];
	struct err e = ERR_INIT;
	size_t n = (size_t)min_u64(len, VOLUME_READ_ZEROES);
	if (blk_read(b, off, p, n, &e) < 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			abort();
}

static inline void volume_read_some(struct blk *b)
{
	size_t n = (size_t)min_u64(b->size, VOLUME_READ);
	volume_read_twice(b, 0, n);
	volume_read_twice(b, b->size - n, n);
	uint64_t off = 0;
	for (unsigned i = 0; i < VOLUME_READ_EXTENTS && off < b->size; i++) {
		struct blk_extent ext;
		struct err e = ERR_INIT;
		if (blk_extent(b, off, b->size - off, &ext, &e) < 0)
			break;
		if (ext.len == 0 || ext.len > b->size - off)
			abort();
		if (ext.kind != BLK_DATA)
			volume_read_zeroes(b, off, ext.len);
		off += ext.len;
	}
}

static inline void volume_read_all(struct blk *const *disks, unsigned count)
{
	struct err e = ERR_INIT;
	struct volume_set *s = NULL;
	if (volume_discover(disks, count, NULL, NULL, &s, &e) < 0)
		return;
	for (unsigned i = 0; i < s->count; i++) {
		if (s->volumes[i].blk && s->volumes[i].kind != VOLUME_DISK)
			volume_read_some(s->volumes[i].blk);
	}
	volume_set_free(s);
}

#endif
