#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

void ntfs_stream_close(struct ntfs_stream *s)
{
	free(s->data);
	ntfs_runs_free(&s->runs);
	*s = (struct ntfs_stream){0};
}

static int take_first(struct ntfs_stream *s, const struct ntfs_attr *a, struct err *e)
{
	s->size = a->size;
	s->initialised = a->initialised;
	s->stored = a->stored;
	s->flags = a->flags;
	s->unit_shift = a->unit_shift;
	if (!a->resident)
		return 0;
	s->data = malloc(a->value_len ? a->value_len : 1);
	if (!s->data)
		return err_no_memory(e, "ntfs");
	if (a->value_len)
		memcpy(s->data, a->value, a->value_len);
	return 0;
}

int ntfs_stream_open(struct ntfs_inode *ino, uint32_t type, const uint8_t *name, unsigned name_units,
                     struct ntfs_stream *ret, struct err *e)
{
	struct ntfs_stream s = {.ntfs = ino->ntfs};
	struct ntfs_attrs it = {.ino = ino, .type = type, .by_name = true, .name = name, .name_units = name_units};
	struct ntfs_attr a;
	bool found = false;
	int r;
	while ((r = ntfs_attrs_next(&it, &a, e)) > 0) {
		if (!found)
			r = take_first(&s, &a, e);
		if (r >= 0 && !a.resident)
			r = ntfs_runs_add(&s.runs, ino->ntfs->boot.clusters, a.pairs, a.pairs_len, a.lowest, a.highest,
			                  e);
		if (r < 0)
			break;
		found = true;
		if (a.resident)
			break;
	}
	if (r < 0 || !found) {
		ntfs_stream_close(&s);
		return r;
	}
	*ret = s;
	return 1;
}

/* ASCII to UTF-16LE; the names the driver itself looks for are short. */
static unsigned ascii_units(const char *s, uint8_t to[2 * 32])
{
	unsigned n = 0;
	for (; n < 32 && s[n]; n++)
		put_le16(to + 2 * n, (uint8_t)s[n]);
	return n;
}

int ntfs_stream_open_ascii(struct ntfs_inode *ino, uint32_t type, const char *name, struct ntfs_stream *ret,
                           struct err *e)
{
	uint8_t units[2 * 32];
	unsigned n = ascii_units(name, units);
	return ntfs_stream_open(ino, type, units, n, ret, e);
}

int ntfs_stream_extent(const struct ntfs_stream *s, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	if (s->data) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ENCODED, .len = len};
		return 0;
	}
	/* Behind the initialised size the clusters hold what was there before. */
	if (off >= s->initialised) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ZERO, .len = len};
		return 0;
	}
	uint32_t cluster = s->ntfs->boot.cluster_size;
	uint64_t lcn, left, inside = off % cluster;
	if (!ntfs_runs_find(&s->runs, off / cluster, &lcn, &left))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "the file's run list ends before its size of %" PRIu64 " bytes", s->size);
	len = min_u64(len, s->initialised - off);
	len = min_u64(len, left * cluster - inside);
	if (lcn == NTFS_HOLE) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ZERO, .len = len};
		return 0;
	}
	uint64_t at = lcn * cluster + inside;
	if (at >= s->ntfs->fs.blk->size)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "the file's clusters at byte %" PRIu64 " lie behind the end of the volume's device", at);
	*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = min_u64(len, s->ntfs->fs.blk->size - at),
	                          .vol_off = at};
	return 0;
}

int ntfs_stream_read(const struct ntfs_stream *s, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	if (!range_inside(off, len, s->size))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "an attribute of %" PRIu64 " bytes ends before byte %" PRIu64, s->size,
		               off);
	if (s->data) {
		memcpy(p, s->data + off, len);
		return 0;
	}
	while (len > 0) {
		struct fs_extent x;
		int r = ntfs_stream_extent(s, off, len, &x, e);
		if (r < 0)
			return r;
		if (x.kind == FS_EXTENT_ZERO)
			memset(p, 0, (size_t)x.len);
		else
			r = blk_read(s->ntfs->fs.blk, x.vol_off, p, (size_t)x.len, e);
		if (r < 0)
			return r;
		p += x.len;
		off += x.len;
		len -= (size_t)x.len;
	}
	return 0;
}

int ntfs_attr_load(struct ntfs_inode *ino, uint32_t type, const char *name, size_t max, uint8_t **ret, size_t *ret_len,
                   struct err *e)
{
	struct ntfs_stream s;
	int r = ntfs_stream_open_ascii(ino, type, name, &s, e);
	if (r <= 0)
		return r;
	uint8_t *p = NULL;
	size_t len = 0;
	if (s.size > max) {
		r = err_set(e, ERR_FILE_CORRUPT, "ntfs",
		            "MFT record %" PRIu64 " has an attribute 0x%x of %" PRIu64 " bytes", ino->no,
		            type, s.size);
		goto out;
	}
	len = (size_t)s.size;
	p = malloc(len ? len : 1);
	if (!p)
		r = err_no_memory(e, "ntfs");
	else
		r = len ? ntfs_stream_read(&s, 0, p, len, e) : 0;
out:
	ntfs_stream_close(&s);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	*ret_len = len;
	return 1;
}
