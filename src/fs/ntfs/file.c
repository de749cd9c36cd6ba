#include "fs/ntfs/ntfs.h"

#include "fs/text.h"

#include <inttypes.h>
#include <stdlib.h>

static const char wof_stream[] = "WofCompressedData";

struct ntfs_file {
	struct fs_file file;
	struct ntfs_stream data;
	struct ntfs_units *units;    /* LZNT1 */
	struct ntfs_wof *wof;
};

/* --- which stream --------------------------------------------------------------------------------- */

/* Named streams compare as file names do: the exact one first. 1 and its name on disk, or 0. */
static int find_stream(struct ntfs_inode *ino, const char *stream, uint8_t ret_name[2 * NTFS_NAME_UNITS],
                       unsigned *ret_units, struct err *e)
{
	uint16_t units[NTFS_NAME_UNITS];
	uint8_t want[2 * NTFS_NAME_UNITS];
	size_t count;
	if (!text_to_utf16(stream, strlen(stream), units, NTFS_NAME_UNITS, &count) || count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		put_le16(want + 2 * i, units[i]);
	int r = ntfs_upcase_load(ino->ntfs, e), found = 0;
	if (r < 0)
		return r;
	struct ntfs_attrs it = {.ino = ino, .type = NTFS_AT_DATA};
	struct ntfs_attr a;
	while ((r = ntfs_attrs_next(&it, &a, e)) > 0) {
		if (a.name_units == 0 || ntfs_name_compare(ino->ntfs, want, (unsigned)count, a.name, a.name_units) != 0)
			continue;
		bool exact = memcmp(want, a.name, 2 * count) == 0;
		if (!found || exact) {
			memcpy(ret_name, a.name, 2 * a.name_units);
			*ret_units = a.name_units;
		}
		found = 1;
		if (exact)
			break;
	}
	return r < 0 ? r : found;
}

static bool is_wof(struct ntfs_inode *ino)
{
	struct err ignored = ERR_INIT;
	struct ntfs_kind kind;
	return ntfs_kind_find(ino, &kind, &ignored) == 0 && kind.tag == NTFS_TAG_WOF;
}

int ntfs_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e)
{
	struct ntfs_inode ino;
	int r = ntfs_inode_get_id((struct ntfs *)fs, id, &ino, e);
	if (r < 0)
		return r;
	bool packed = is_wof(&ino);
	struct ntfs_attrs it = {.ino = &ino, .type = NTFS_AT_DATA};
	struct ntfs_attr a;
	while ((r = ntfs_attrs_next(&it, &a, e)) > 0) {
		/* Further pieces of a run list repeat the name; WOF's stream is the file's own contents. */
		if (a.name_units == 0 || (!a.resident && a.lowest != 0) ||
		    (packed && ntfs_attr_named(&a, wof_stream)))
			continue;
		char name[NTFS_NAME_UNITS * TEXT_UNIT_BYTES];
		size_t len = text_from_utf16le(a.name, a.name_units, name);
		if ((r = fn(arg, name, len, a.size)) != 0)
			break;
	}
	ntfs_inode_put(&ino);
	return r;
}

/* --- can it be read? ------------------------------------------------------------------------------ */

/* Holes of a compressed file are what was saved: only one that is nothing but holes has its bytes elsewhere. */
static bool has_hole(const struct ntfs_stream *s)
{
	bool hole = false, cluster = false;
	for (size_t i = 0; i < s->runs.count; i++) {
		hole |= s->runs.v[i].lcn == NTFS_HOLE;
		cluster |= s->runs.v[i].lcn != NTFS_HOLE;
	}
	return hole && !(cluster && s->flags & NTFS_ATTR_COMPRESSED);
}

/* Files of a cloud service keep their reparse point when their bytes are here. */
static bool is_offline(const struct ntfs_std *std, uint32_t tag, const struct ntfs_stream *s)
{
	bool cloud = (tag & 0xFFFF0FFF) == NTFS_TAG_CLOUD, hsm = tag == NTFS_TAG_HSM || tag == NTFS_TAG_HSM2;
	if (!cloud && !hsm && !(std->dos_attrs & NTFS_FA_RECALL))
		return false;
	return std->dos_attrs & (NTFS_FA_OFFLINE | NTFS_FA_RECALL) || has_hole(s);
}

static int open_reparse(struct ntfs_inode *ino, struct ntfs_file *f, struct err *e)
{
	struct ntfs_std std;
	struct ntfs_reparse rp = {.tag = 0};
	int r = ntfs_std_get(ino, &std, e);
	if (r == 0 && std.dos_attrs & NTFS_FA_REPARSE)
		r = ntfs_reparse_get(ino, &rp, e);
	if (r < 0)
		return r;
	if (rp.tag == NTFS_TAG_WOF)
		return ntfs_wof_open(ino, &rp, f->data.size, &f->wof, e);
	if (rp.tag == NTFS_TAG_DEDUP && has_hole(&f->data))
		return err_set(e, ERR_FILE_OFFLINE, "ntfs", "the file's bytes are in the volume's deduplication store");
	if (is_offline(&std, rp.tag, &f->data))
		return err_set(e, ERR_FILE_OFFLINE, "ntfs",
		               "the file is a placeholder: its bytes are in a cloud or on archive storage");
	/* Unknown tags: archives of all makers, single instance storage. A hole stands for bytes then, not for zeroes. */
	if (rp.tag != 0 && (has_hole(&f->data) || std.dos_attrs & NTFS_FA_OFFLINE))
		return err_set(e, ERR_FILE_OFFLINE, "ntfs",
		               "the file's bytes are kept elsewhere, by what made its reparse point (tag 0x%08" PRIx32 ")",
		               rp.tag);
	return 0;
}

/* --- open ----------------------------------------------------------------------------------------- */

static int open_data(struct ntfs_inode *ino, const char *stream, struct ntfs_file *f, struct err *e)
{
	uint8_t name[2 * NTFS_NAME_UNITS];
	unsigned units = 0;
	int r = 1;
	if (stream)
		r = find_stream(ino, stream, name, &units, e);
	if (r > 0)
		r = ntfs_stream_open(ino, NTFS_AT_DATA, name, units, &f->data, e);
	if (r < 0)
		return r;
	if (r == 0 && stream)
		return err_set(e, ERR_NOT_FOUND, "ntfs", "the file has no stream of that name");
	if (r == 0)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "MFT record %" PRIu64 " has no contents", ino->no);
	f->file.size = f->data.size;
	if (f->data.flags & NTFS_ATTR_ENCRYPTED)
		return err_set(e, ERR_FILE_ENCRYPTED, "ntfs", "the file is encrypted (EFS)");
	r = stream ? 0 : open_reparse(ino, f, e);
	if (r < 0 || f->wof || f->data.data || !(f->data.flags & NTFS_ATTR_COMPRESSED))
		return r;
	if ((f->data.flags & NTFS_ATTR_COMPRESSED) != 1)
		return err_set(e, ERR_FILE_UNSUPPORTED, "ntfs", "the file is compressed by unknown method %d",
		               f->data.flags & NTFS_ATTR_COMPRESSED);
	return ntfs_units_open(&f->data, &f->units, e);
}

int ntfs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	struct ntfs_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "ntfs");
	f->file.fs = fs;
	struct ntfs_inode ino;
	int r = ntfs_inode_get_id((struct ntfs *)fs, id, &ino, e);
	if (r == 0) {
		r = open_data(&ino, stream, f, e);
		ntfs_inode_put(&ino);
	}
	if (r < 0) {
		ntfs_file_close(&f->file);
		return r;
	}
	*ret = &f->file;
	return 0;
}

void ntfs_file_close(struct fs_file *file)
{
	struct ntfs_file *f = (struct ntfs_file *)file;
	ntfs_units_close(f->units);
	ntfs_wof_close(f->wof);
	ntfs_stream_close(&f->data);
	free(f);
}

int ntfs_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct ntfs_file *f = (struct ntfs_file *)file;
	if (f->wof) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ENCODED, .len = len};
		return 0;
	}
	if (f->units)
		return ntfs_units_extent(f->units, off, len, ret, e);
	return ntfs_stream_extent(&f->data, off, len, ret, e);
}

int ntfs_file_read(struct fs_file *file, uint64_t off, void *to, size_t len, struct err *e)
{
	struct ntfs_file *f = (struct ntfs_file *)file;
	if (f->wof)
		return ntfs_wof_read(f->wof, off, to, len, e);
	if (f->units)
		return ntfs_units_read(f->units, off, to, len, e);
	return ntfs_stream_read(&f->data, off, to, len, e);
}
