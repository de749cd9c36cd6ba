/* Directories (ECMA 4/8.6): file identifier descriptors one behind the other, across blocks and extents. */
#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	FID_HEADER = 38,
	FID_ALIGN = 4,
	WINDOW = 60 << 10,           /* below what the cache lets pass by */
	GARBAGE_MAX = 1 << 20,       /* bytes skipped in one go to find the next sound entry */
};

int udf_dir_open(struct udf *u, struct udf_addr at, enum udf_file_type type, uint64_t pos, struct udf_dir *ret,
                 struct err *e)
{
	struct udf_dir d = {.u = u, .pos = pos};
	int r = udf_inode_get(u, at, &d.inode, e);
	if (r < 0)
		return r;
	if (d.inode.type != type)
		r = err_set(e, ERR_NOT_DIRECTORY, "udf", "this is not a directory");
	else if (d.inode.size > UDF_DIR_SIZE_MAX)
		r = err_set(e, ERR_LIMIT, "udf", "the directory has %" PRIu64 " bytes, which is more than %d", d.inode.size,
		            UDF_DIR_SIZE_MAX);
	else
		r = udf_extents_load(u, &d.inode, &d.extents, e);
	if (r == 0 && !(d.window = malloc(WINDOW)))
		r = err_no_memory(e, "udf");
	if (r < 0) {
		udf_dir_close(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void udf_dir_close(struct udf_dir *d)
{
	udf_inode_put(&d->inode);
	udf_extents_free(&d->extents);
	free(d->window);
	d->window = NULL;
}

static bool has_copy(const struct udf_dir *d)
{
	const struct udf_extents *x = &d->extents;
	return x->count > 0 && !x->list[0].embedded && udf_has_copy(d->u, x->list[0].part);
}

static int fill(struct udf_dir *d, unsigned copy, struct err *e)
{
	size_t len = (size_t)min_u64(WINDOW, d->inode.size - d->pos);
	/* What is there of it is given, then the reason why there is no more. */
	if (d->pos < d->extents.size)
		len = (size_t)min_u64(len, d->extents.size - d->pos);
	d->window_len = 0;
	int r = udf_extents_read(d->u, &d->extents, d->pos, d->window, len, copy, e);
	if (r < 0)
		return r;
	d->window_off = d->pos;
	d->window_len = len;
	return 0;
}

/* The bytes at pos: as many as an entry can have, or as there are. */
static int look(struct udf_dir *d, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	uint64_t want = min_u64(UDF_FID_SIZE_MAX, d->inode.size - d->pos);
	if (d->pos < d->window_off || d->pos - d->window_off + want > d->window_len) {
		struct err first = ERR_INIT;
		int r = fill(d, 0, &first);
		if (r < 0 && has_copy(d)) {
			struct err second = ERR_INIT;
			r = fill(d, 1, &second);
		}
		if (r < 0) {
			*e = first;
			return first.code;
		}
	}
	*ret = d->window + (d->pos - d->window_off);
	*ret_len = (size_t)min_u64(want, d->window_len - (d->pos - d->window_off));
	return 0;
}

/* How long the sound entry at p is; 0: none is there. */
static size_t fid_size(const uint8_t *p, size_t len)
{
	if (len < FID_HEADER || get_le16(p) != UDF_TAG_FILE_IDENT)
		return 0;
	size_t size = FID_HEADER + get_le16(p + 36) + p[19];
	size = (size + FID_ALIGN - 1) / FID_ALIGN * FID_ALIGN;
	return size <= len && udf_tag_id(p, size) == UDF_TAG_FILE_IDENT ? size : 0;
}

static void decode(const uint8_t *p, struct udf_fid *f)
{
	f->flags = p[18];
	f->icb = udf_long_ad(p + 20);
	f->name_len = 0;
	f->broken = ERR_INIT;
	if (f->flags & (UDF_FID_DELETED | UDF_FID_PARENT))
		return;
	if (!udf_name(p + FID_HEADER + get_le16(p + 36), p[19], f->name, &f->name_len))
		err_set(&f->broken, ERR_FILE_CORRUPT, "udf", "the entry's name is not in OSTA Unicode");
	else if (f->icb.len == 0)
		err_set(&f->broken, ERR_FILE_CORRUPT, "udf", "the entry does not say where its file is");
}

static void set_lost(struct udf_dir *d, uint64_t from, struct udf_fid *ret)
{
	static const char name[] = "(damaged part of the directory)";
	*ret = (struct udf_fid){.next = d->pos, .name_len = sizeof(name) - 1};
	memcpy(ret->name, name, sizeof(name) - 1);
	err_set(&ret->broken, ERR_FILE_CORRUPT, "udf",
	        "bytes %" PRIu64 " to %" PRIu64 " of the directory hold no sound entry", from, d->pos);
}

/* Goes on at the next sound entry, or at the end: where there is none, what remains is lost. */
static int resync(struct udf_dir *d, struct udf_fid *ret, struct err *e)
{
	uint64_t from = d->pos;
	for (d->pos += FID_ALIGN; d->pos < d->inode.size; d->pos += FID_ALIGN) {
		const uint8_t *p = NULL;
		size_t len = 0;
		int r = look(d, &p, &len, e);
		if (r < 0)
			return r;
		if (fid_size(p, len) > 0)
			break;
		if (d->pos - from > GARBAGE_MAX)
			return err_set(e, ERR_FILE_CORRUPT, "udf",
			               "the directory holds no sound entry from byte %" PRIu64 " on", from);
	}
	d->pos = min_u64(d->pos, d->inode.size);
	set_lost(d, from, ret);
	return 1;
}

/* The entry at pos, from the mirror where the first is damaged; 0: damaged. */
static int take(struct udf_dir *d, struct udf_fid *ret, struct err *e)
{
	const uint8_t *p = NULL;
	size_t len = 0;
	int r = look(d, &p, &len, e);
	if (r < 0)
		return r;
	size_t size = fid_size(p, len);
	uint8_t mirror[UDF_FID_SIZE_MAX];
	struct err why = ERR_INIT;
	/* No more than the entry: a hostile directory has a damaged one every few bytes. */
	if (size == 0 && has_copy(d) && udf_extents_read(d->u, &d->extents, d->pos, mirror, len, 1, &why) == 0) {
		size = fid_size(mirror, len);
		p = mirror;
	}
	if (size == 0)
		return 0;
	decode(p, ret);
	d->pos += size;
	ret->next = d->pos;
	return 1;
}

/* UDF 2.3.13: what a rewritable disc's blocks that may not be used are booked under. Other hidden files are files. */
static bool is_reserved(const struct udf_fid *f)
{
	static const char name[] = "Non-Allocatable Space";
	return f->flags & UDF_FID_HIDDEN && f->name_len == sizeof(name) - 1 && memcmp(f->name, name, f->name_len) == 0;
}

int udf_dir_next(struct udf_dir *d, struct udf_fid *ret, struct err *e)
{
	while (d->pos < d->inode.size) {
		int r = take(d, ret, e);
		if (r == 0)
			return resync(d, ret, e);
		if (r < 0 || !(ret->flags & (UDF_FID_DELETED | UDF_FID_PARENT) || is_reserved(ret)))
			return r;
	}
	return 0;
}

int udf_dir_find(struct udf_dir *d, const char *name, size_t len, struct udf_fid *ret, struct err *e)
{
	int r;
	struct err damage = ERR_INIT;
	while ((r = udf_dir_next(d, ret, e)) > 0) {
		if (ret->broken.code == 0 && ret->name_len == len && memcmp(ret->name, name, len) == 0)
			return 1;
		if (ret->broken.code && damage.code == 0)
			damage = ret->broken;
	}
	/* The name may have been in what is lost. */
	if (r == 0 && damage.code) {
		*e = damage;
		r = damage.code;
	}
	return r;
}
