#include "worker/ahead.h"

#include "base/bytes.h"
#include "image/image.h"

enum {
	WINDOW_FIRST = 1 << 20,          /* as far ahead at first; then twice as far as was read … */
	WINDOW_MAX = 8 << 20,            /* … up to this */
	STEP = 512 << 10,                /* said at a time, at least */
	RUNS_MAX = 512,                  /* of a file in crumbs only so many are looked up at a time */
};

static void announce(int fd, uint64_t off, uint64_t len)
{
	uint8_t byte;
	if (!image_file_cached(fd, off, &byte, 1) || !image_file_cached(fd, off + len - 1, &byte, 1))
		image_file_announce(fd, off, len);
}

static void announce_volume(struct blk *b, uint64_t off, uint64_t len)
{
	struct err ignored = ERR_INIT;
	for (uint64_t end = off + len; off < end;) {
		struct blk_extent x;
		if (blk_extent(b, off, end - off, &x, &ignored) < 0)
			return;
		if (x.kind == BLK_DATA && x.fd >= 0)
			announce(x.fd, x.host_off, x.len);
		off += x.len;
	}
}

static uint64_t window(const struct ahead *a, uint64_t next)
{
	uint64_t read = next - a->begin;
	if (read <= WINDOW_FIRST / 2)
		return WINDOW_FIRST;
	return read >= WINDOW_MAX / 2 ? WINDOW_MAX : 2 * read;
}

void ahead_file(struct ahead *a, struct fs_file *f, uint64_t next, uint64_t end)
{
	if (!a->begun)
		*a = (struct ahead){.begin = next, .told = next, .begun = true};
	uint64_t from = a->told > next ? a->told : next, to = min_u64(next + window(a, next), end);
	if (from >= to || (to - from < STEP && to < end))
		return;
	a->told = to;
	struct err ignored = ERR_INIT;
	for (unsigned i = 0; from < to && i < RUNS_MAX; i++) {
		struct fs_extent x;
		if (fs_file_extent(f, from, to - from, &x, &ignored) < 0)
			return;
		if (x.kind == FS_EXTENT_DATA)
			announce_volume(f->fs->blk, x.vol_off, x.len);
		from += x.len;
	}
}
