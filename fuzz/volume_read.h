/* volume_read: what the targets of volume layers do with their disks: discover, and read of each volume its head, its tail
 * and a few extents. */
#ifndef FUZZ_VOLUME_READ_H
#define FUZZ_VOLUME_READ_H

#include "base/bytes.h"
#include "volume/volume.h"

enum {
	VOLUME_READ = 40000,
	VOLUME_READ_EXTENTS = 64,
};

static inline void volume_read_some(struct blk *b)
{
	static uint8_t buf[VOLUME_READ];
	struct err e = ERR_INIT;
	size_t n = (size_t)min_u64(b->size, VOLUME_READ);
	(void)blk_read(b, 0, buf, n, &e);
	err_clear(&e);
	(void)blk_read(b, b->size - n, buf, n, &e);
	uint64_t off = 0;
	for (unsigned i = 0; i < VOLUME_READ_EXTENTS && off < b->size; i++) {
		struct blk_extent ext;
		err_clear(&e);
		if (blk_extent(b, off, b->size - off, &ext, &e) < 0)
			break;
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
