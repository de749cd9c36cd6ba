/* Named streams (ECMA 4/9.2, UDF 3.3.5): files in a directory of their own, to which the extended entry leads. Those
 * marked as metadata are the filesystem's. */
#include "fs/udf/udf.h"

static bool has_streams(const struct udf_inode *n)
{
	return n->extended && n->streams.len > 0;
}

static int give(struct udf *u, const struct udf_fid *f, fs_stream_fn *fn, void *arg, struct err *e)
{
	if (f->broken.code) {
		*e = f->broken;
		return e->code;
	}
	struct udf_inode n;
	int r = udf_inode_get(u, f->icb.at, &n, e);
	if (r < 0)
		return r;
	uint64_t size = n.size;
	udf_inode_put(&n);
	return fn(arg, f->name, f->name_len, size);
}

static int list(struct udf *u, struct udf_addr at, fs_stream_fn *fn, void *arg, struct err *e)
{
	struct udf_dir d;
	struct udf_fid f;
	int r = udf_dir_open(u, at, UDF_TYPE_STREAM_DIR, 0, &d, e);
	if (r < 0)
		return r;
	while ((r = udf_dir_next(&d, &f, e)) > 0) {
		if (f.flags & UDF_FID_METADATA)
			continue;
		r = give(u, &f, fn, arg, e);
		if (r != 0)
			break;
	}
	udf_dir_close(&d);
	return r;
}

int udf_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e)
{
	struct udf *u = (struct udf *)fs;
	struct udf_inode n;
	int r = udf_inode_get(u, udf_addr_of(id), &n, e);
	if (r < 0)
		return r;
	bool any = has_streams(&n);
	struct udf_addr at = n.streams.at;
	udf_inode_put(&n);
	return any ? list(u, at, fn, arg, e) : 0;
}

int udf_stream_find(struct udf *u, const struct udf_inode *n, const char *name, struct udf_addr *ret, struct err *e)
{
	struct udf_dir d;
	struct udf_fid f;
	int r = 0;
	if (has_streams(n)) {
		r = udf_dir_open(u, n->streams.at, UDF_TYPE_STREAM_DIR, 0, &d, e);
		if (r < 0)
			return r;
		r = udf_dir_find(&d, name, strlen(name), &f, e);
		udf_dir_close(&d);
	}
	if (r < 0)
		return r;
	if (r == 0 || (f.flags & UDF_FID_METADATA))
		return err_set(e, ERR_NOT_FOUND, "udf", "the file has no stream of that name");
	*ret = f.icb.at;
	return 0;
}
