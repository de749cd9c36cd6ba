#include "archive/zipdir.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

struct zipdir_chunk {
	struct zipdir_chunk *next;
	size_t packed, raw;
	uint8_t data[];
};

int zipdir_init(struct zipdir *d, struct err *e)
{
	*d = (struct zipdir){.raw = BUF_INIT(ZIPDIR_RAW + ZIPDIR_RECORD_MAX), .deflate = deflate_new()};
	return d->deflate ? 0 : err_no_memory(e, "archive");
}

void zipdir_release(struct zipdir *d)
{
	for (struct zipdir_chunk *c = d->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	buf_free(&d->raw);
	deflate_free(d->deflate);
	*d = (struct zipdir){0};
}

static int zipdir_pack(struct zipdir *d, struct err *e)
{
	struct zipdir_chunk *c = malloc(sizeof(*c) + DEFLATE_OUT);
	if (!c)
		return err_no_memory(e, "archive");
	bool stored;
	size_t n = deflate_block(d->deflate, d->raw.data, d->raw.len, true, c->data, &stored);
	if (n > ZIPDIR_PACKED_MAX - d->packed) {
		free(c);
		return err_set(e, ERR_LIMIT, "archive", "the archive has more names than its directory may hold (%d MiB)",
		               ZIPDIR_PACKED_MAX >> 20);
	}
	struct zipdir_chunk *fit = realloc(c, sizeof(*c) + n);
	if (fit)
		c = fit;
	*c = (struct zipdir_chunk){.packed = n, .raw = d->raw.len};
	if (d->last)
		d->last->next = c;
	else
		d->first = c;
	d->last = c;
	d->packed += n;
	buf_reset(&d->raw);
	return 0;
}

int zipdir_add(struct zipdir *d, const void *record, size_t len, struct err *e)
{
	if (d->entries >= ZIPDIR_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "archive", "the archive has more than %d entries", ZIPDIR_ENTRIES_MAX);
	d->entries++;
	buf_add(&d->raw, record, len);
	int r = buf_ok(&d->raw, "archive", e);
	return r < 0 || d->raw.len < ZIPDIR_RAW ? r : zipdir_pack(d, e);
}

static int chunk_write(struct libdeflate_decompressor *inflate, struct zipdir_chunk *c, uint8_t *raw, struct out *o, struct err *e)
{
	if (libdeflate_deflate_decompress(inflate, c->data, c->packed, raw, c->raw, NULL) != LIBDEFLATE_SUCCESS)
		return err_set(e, ERR_INTERNAL, "archive", "the zip directory in memory does not unpack");
	return out_write(o, raw, c->raw, e);
}

int zipdir_write(struct zipdir *d, struct out *o, struct err *e)
{
	struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
	uint8_t *raw = malloc(ZIPDIR_RAW + ZIPDIR_RECORD_MAX);
	int r = inflate && raw ? 0 : err_no_memory(e, "archive");
	while (r == 0 && d->first) {
		struct zipdir_chunk *c = d->first;
		r = chunk_write(inflate, c, raw, o, e);
		d->first = c->next;
		free(c);
	}
	d->last = NULL;
	free(raw);
	libdeflate_free_decompressor(inflate);
	return r < 0 ? r : out_write(o, d->raw.data, d->raw.len, e);
}
