#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>

/* The bytes a section spans on the volume, with the gaps between them. */
static uint64_t span(const struct iso_section *s)
{
	if (s->unit == 0 || s->len == 0)
		return s->len;
	return s->len + (s->len - 1) / s->unit * s->gap;
}

static int check_sections(const struct iso_file *f, struct err *e)
{
	uint64_t end = f->file.fs->blk->size;
	for (size_t i = 0; i < f->sections.count; i++) {
		const struct iso_section *s = &f->sections.list[i];
		if (s->len > 0 && !range_inside(s->off, span(s), end))
			return err_set(e, ERR_FILE_CORRUPT, "iso9660",
			               "the file's bytes at %" PRIu64 " would lie at %" PRIu64 ", beyond the volume's end at %" PRIu64,
			               s->at, s->off, end);
	}
	return 0;
}

static int file_fill(struct iso_file *f, struct fs_id id, struct err *e)
{
	struct iso_fs *x = (struct iso_fs *)f->file.fs;
	struct iso_entry n;
	struct iso_details more = {.sections = &f->sections};
	int r = iso_entry_get(x, id, &more, &n, e);
	if (r < 0)
		return r;
	if (n.refused)
		return err_set(e, ERR_FILE_UNSUPPORTED, "iso9660", "the file cannot be read: %s", n.refused);
	f->file.size = n.st.size;
	f->stored = n.stored;
	r = check_sections(f, e);
	if (r == 0 && n.zf.version)
		r = iso_zisofs_open(f, &n.zf, &f->z, e);
	return r;
}

int iso_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	(void)stream;
	struct iso_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "iso9660");
	f->file.fs = fs;
	int r = file_fill(f, id, e);
	if (r < 0) {
		iso_file_close(&f->file);
		return r;
	}
	*ret = &f->file;
	return 0;
}

void iso_file_close(struct fs_file *file)
{
	struct iso_file *f = (struct iso_file *)file;
	iso_zisofs_close(f->z);
	free(f->sections.list);
	free(f);
}

/* The section that holds a byte of the file: the last that begins at or before it, which is not empty then. */
static const struct iso_section *find(const struct iso_file *f, uint64_t off)
{
	size_t low = 0, high = f->sections.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (f->sections.list[middle].at <= off)
			low = middle;
		else
			high = middle;
	}
	return &f->sections.list[low];
}

/* Where the byte lies, and how many follow it there. */
static void map(const struct iso_file *f, uint64_t off, uint64_t *ret_off, uint64_t *ret_len)
{
	const struct iso_section *s = find(f, off);
	uint64_t in = off - s->at;
	*ret_off = s->off + in;
	*ret_len = s->len - in;
	if (s->unit) {
		*ret_off += in / s->unit * s->gap;
		*ret_len = min_u64(*ret_len, s->unit - in % s->unit);
	}
}

int iso_stored_read(struct iso_file *f, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	if (!range_inside(off, len, f->stored))
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "compressed bytes would lie at %" PRIu64 " of %" PRIu64 " that are stored",
		               off, f->stored);
	while (len > 0) {
		uint64_t at, there;
		map(f, off, &at, &there);
		size_t n = (size_t)min_u64(len, there);
		int r = blk_read(f->file.fs->blk, at, p, n, e);
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

int iso_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	(void)e;
	const struct iso_file *f = (const struct iso_file *)file;
	if (f->z) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ENCODED, .len = len};
		return 0;
	}
	uint64_t at, there;
	map(f, off, &at, &there);
	*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = min_u64(len, there), .vol_off = at};
	return 0;
}

int iso_file_read(struct fs_file *file, uint64_t off, void *to, size_t len, struct err *e)
{
	return iso_zisofs_read((struct iso_file *)file, off, to, len, e);
}
