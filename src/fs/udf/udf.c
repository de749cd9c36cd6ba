#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	REVISION_MAX = 0x0260,
	FILE_SET_BLOCKS_MAX = 64,
	LINK_BYTES_MAX = 2 * FS_LINK_MAX,    /* of path components */
};

/* --- open ----------------------------------------------------------------------------------------- */

static void udf_close(struct fs *fs)
{
	struct udf *u = (struct udf *)fs;
	udf_tables_free(u);
	fs_fini(fs);
	free(u);
}

/* ECMA 4/8.3.1: descriptors in a sequence, which an unrecorded block ends; the highest number prevails. */
static int find_root(struct udf *u, uint8_t *buf, struct err *e)
{
	struct udf_long_ad at = u->vol.file_set;
	struct err why = ERR_INIT;
	uint32_t best = 0;
	bool found = false;
	for (unsigned i = 0; i < FILE_SET_BLOCKS_MAX && at.len >= u->vol.block; i++) {
		if (udf_read_descriptor(u, at.at, UDF_TAG_FILE_SET, buf, NULL, &why) < 0)
			break;
		uint32_t number = get_le32(buf + 44);
		if (!found || number >= best) {
			best = number;
			u->root = udf_long_ad(buf + 400).at;
		}
		found = true;
		struct udf_long_ad next = udf_long_ad(buf + 448);
		if (next.len > 0) {
			at = next;
		} else {
			at.len -= u->vol.block;
			at.at.block++;
		}
	}
	if (found && why.code != ERR_IO && why.code != ERR_NO_MEMORY)
		return 0;
	if (why.code == 0)
		err_set(&why, ERR_FS_CORRUPT, "udf", "the volume does not say where its file set is");
	if (why.code == ERR_FILE_CORRUPT) {
		why.code = ERR_FS_CORRUPT;
		err_prefix(&why, "the file set descriptor cannot be read");
	}
	*e = why;
	return why.code;
}

/* A virtual partition is for media where the integrity descriptor cannot be written again: it stays open. */
static bool is_write_once(const struct udf_volume *v)
{
	for (unsigned i = 0; i < v->part_count; i++)
		if (v->part[i].kind == UDF_PART_VIRTUAL)
			return true;
	return false;
}

static void warn_of_state(struct udf *u)
{
	const struct udf_volume *v = &u->vol;
	if (v->reserve)
		fs_warn(&u->fs, "the UDF volume's main descriptors are damaged; the reserve sequence is used");
	if (v->open && !is_write_once(v))
		fs_warn(&u->fs, "the UDF volume was in use when it was copied: files then being written may be incomplete");
	if (v->revision > REVISION_MAX)
		fs_warn(&u->fs, "the volume is of UDF revision %x.%02x, which is not known", (unsigned)(v->revision >> 8),
		        v->revision & 0xffu);
	for (unsigned i = 0; i < v->part_count; i++) {
		const struct udf_part *p = &v->part[i];
		bool physical = p->kind == UDF_PART_PLAIN || p->kind == UDF_PART_SPARABLE;
		if (physical && (p->start + p->blocks) * v->block > u->fs.blk->size)
			fs_warn(&u->fs, "a partition of the UDF volume ends at byte %" PRIu64 ", its device at %" PRIu64,
			        (p->start + p->blocks) * v->block, u->fs.blk->size);
		if (p->kind == UDF_PART_UNKNOWN)
			fs_warn(&u->fs, "partition %u of the UDF volume is of an unknown kind: files in it cannot be read", i);
	}
}

static int load(struct udf *u, struct err *e)
{
	struct err why = ERR_INIT;
	int r = udf_volume_read(u->fs.blk, &u->vol, &why, e);
	if (r == 0) {
		*e = why;
		return why.code;
	}
	if (r > 0)
		r = udf_tables_load(u, e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) uint8_t *buf = malloc(u->vol.block);
	if (!buf)
		return err_no_memory(e, "udf");
	r = find_root(u, buf, e);
	if (r == 0)
		warn_of_state(u);
	return r;
}

static int udf_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct udf *u = calloc(1, sizeof(*u));
	if (!u)
		return err_no_memory(e, "udf");
	fs_init(&u->fs, &udf_driver, b);
	int r = load(u, e);
	if (r < 0) {
		udf_close(&u->fs);
		return r;
	}
	*ret = &u->fs;
	return 0;
}

/* --- objects -------------------------------------------------------------------------------------- */

static struct fs_id id_of(struct udf_addr at)
{
	return (struct fs_id){.ino = at.block, .tree = at.part};
}

static struct fs_id udf_root(struct fs *fs)
{
	return id_of(((struct udf *)fs)->root);
}

static int udf_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct udf *u = (struct udf *)fs;
	struct udf_inode n;
	int r = udf_inode_get(u, udf_addr_of(id), &n, e);
	if (r < 0)
		return r;
	r = udf_inode_stat(u, &n, ret, e);
	udf_inode_put(&n);
	return r;
}

static int udf_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	struct udf_dir d;
	struct udf_fid f;
	int r = udf_dir_open((struct udf *)fs, udf_addr_of(dir), UDF_TYPE_DIRECTORY, 0, &d, e);
	if (r < 0)
		return r;
	r = udf_dir_find(&d, name, len, &f, e);
	udf_dir_close(&d);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "udf", "there is no such name in this directory");
	*ret = id_of(f.icb.at);
	return 0;
}

static int give(const struct udf_fid *f, fs_dirent_fn *fn, void *arg)
{
	static const char nameless[] = "(entry without a readable name)";
	bool broken = f->broken.code != 0, named = f->name_len > 0;
	struct fs_dirent de = {
		.name = named || !broken ? f->name : nameless,
		.name_len = named || !broken ? f->name_len : sizeof(nameless) - 1,
		.id = id_of(f->icb.at),
		.next = f->next,
		.broken = broken ? &f->broken : NULL,
	};
	return fn(arg, &de);
}

static int udf_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct udf_dir d;
	struct udf_fid f;
	int r = udf_dir_open((struct udf *)fs, udf_addr_of(id), UDF_TYPE_DIRECTORY, cookie, &d, e);
	if (r < 0)
		return r;
	while ((r = udf_dir_next(&d, &f, e)) > 0) {
		r = give(&f, fn, arg);
		if (r != 0)
			break;
	}
	udf_dir_close(&d);
	return r;
}

int udf_readlink_inode(struct udf *u, const struct udf_inode *n, struct buf *ret, struct err *e)
{
	if (n->size > LINK_BYTES_MAX)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the link's target has %" PRIu64 " bytes", n->size);
	struct udf_extents x;
	int r = udf_extents_load(u, n, &x, e);
	if (r < 0)
		return r;
	size_t len = (size_t)n->size;
	uint8_t *p = malloc(len + 1);
	if (!p)
		r = err_no_memory(e, "udf");
	else
		r = udf_extents_read(u, &x, 0, p, len, 0, e);
	if (r == 0)
		r = udf_link_target(p, len, ret, e);
	free(p);
	udf_extents_free(&x);
	return r;
}

static int udf_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct udf *u = (struct udf *)fs;
	struct udf_inode n;
	int r = udf_inode_get(u, udf_addr_of(id), &n, e);
	if (r < 0)
		return r;
	r = udf_readlink_inode(u, &n, ret, e);
	udf_inode_put(&n);
	return r;
}

/* --- files ---------------------------------------------------------------------------------------- */

struct udf_file {
	struct fs_file file;
	struct udf_extents extents;
};

static int open_inode(struct udf *u, const struct udf_inode *n, struct fs_file **ret, struct err *e)
{
	struct udf_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "udf");
	f->file = (struct fs_file){.fs = &u->fs, .size = n->size};
	int r = udf_extents_load(u, n, &f->extents, e);
	if (r == 0 && f->extents.size < n->size) {
		r = err_set(e, ERR_FILE_CORRUPT, "udf",
		            "the file has %" PRIu64 " bytes, but its allocation descriptors end after %" PRIu64, n->size,
		            f->extents.size);
		udf_extents_free(&f->extents);
	}
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = &f->file;
	return 0;
}

static int udf_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	struct udf *u = (struct udf *)fs;
	struct udf_inode n;
	int r = udf_inode_get(u, udf_addr_of(id), &n, e);
	if (r == 0 && stream) {
		struct udf_addr at;
		r = udf_stream_find(u, &n, stream, &at, e);
		udf_inode_put(&n);
		if (r == 0)
			r = udf_inode_get(u, at, &n, e);
	}
	if (r < 0)
		return r;
	r = open_inode(u, &n, ret, e);
	udf_inode_put(&n);
	return r;
}

static void udf_file_close(struct fs_file *file)
{
	struct udf_file *f = (struct udf_file *)file;
	udf_extents_free(&f->extents);
	free(f);
}

static int udf_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct udf_file *f = (struct udf_file *)file;
	return udf_extents_find((struct udf *)file->fs, &f->extents, off, len, 0, ret, e);
}

const struct fs_driver udf_driver = {
	.name = "udf",
	.probe = udf_probe,
	.open = udf_open,
	.close = udf_close,
	.root = udf_root,
	.lookup = udf_lookup,
	.readdir = udf_readdir,
	.stat = udf_stat,
	.readlink = udf_readlink,
	.streams = udf_streams,
	.file_open = udf_file_open,
	.file_close = udf_file_close,
	.extent = udf_file_extent,
};
