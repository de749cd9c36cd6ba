#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>

static struct iso_window *find(struct iso_fs *x, uint64_t start)
{
	for (unsigned i = 0; i < ISO_WINDOWS; i++) {
		if (x->windows[i].len > 0 && x->windows[i].off == start)
			return &x->windows[i];
	}
	return NULL;
}

/* The window that begins at start, or NULL where it cannot be had: then only what is asked for is read. */
static struct iso_window *fill(struct iso_fs *x, uint64_t start)
{
	struct iso_window *w = &x->windows[x->next_window];
	struct err ignored = ERR_INIT;
	if (!w->data)
		w->data = malloc(ISO_WINDOW);
	if (!w->data)
		return NULL;
	size_t len = (size_t)min_u64(ISO_WINDOW, x->fs.blk->size - start);
	w->len = 0;
	if (blk_read(x->fs.blk, start, w->data, len, &ignored) < 0)
		return NULL;
	w->off = start;
	w->len = len;
	x->next_window = (x->next_window + 1) % ISO_WINDOWS;
	return w;
}

int iso_read(struct iso_fs *x, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	if (!range_inside(off, len, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, "iso9660",
		               "%zu bytes that describe it would lie at %" PRIu64 ", beyond the volume's end at %" PRIu64, len, off,
		               x->fs.blk->size);
	while (len > 0) {
		uint64_t start = off - off % ISO_WINDOW;
		size_t in = (size_t)(off - start), n = min_size(len, ISO_WINDOW - in);
		struct iso_window *w = find(x, start);
		if (!w)
			w = fill(x, start);
		if (w) {
			memcpy(p, w->data + in, n);
		} else {
			int r = blk_read(x->fs.blk, off, p, n, e);
			if (r < 0)
				return r;
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

void iso_windows_free(struct iso_fs *x)
{
	for (unsigned i = 0; i < ISO_WINDOWS; i++)
		free(x->windows[i].data);
}
