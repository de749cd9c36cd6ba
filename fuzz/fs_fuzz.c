#include "fs_fuzz.h"

#include "base/bytes.h"
#include "fs/fs.h"
#include "pieces.h"

#include <stdlib.h>
#include <string.h>

enum {
	ENTRIES_MAX = 1000,          /* of a whole walk */
	DEPTH_MAX = 24,
	CHILDREN_MAX = 200,          /* followed in one directory */
	FILE_BYTES_MAX = 256 << 10,
	TOTAL_BYTES_MAX = 8 << 20,
	CHUNK = 60000,
};

/* --- the walk ------------------------------------------------------------------------------------- */

struct walk {
	struct fs *fs;
	unsigned entries, depth;
	uint64_t bytes;
};

struct children {
	struct fs_id list[CHILDREN_MAX];
	char name[FS_NAME_MAX];      /* of the last one, to look it up */
	size_t name_len, count;
};

static void walk_file(struct walk *w, struct fs_id id, const char *stream)
{
	static uint8_t chunk[CHUNK];
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	if (fs_file_open(w->fs, id, stream, &f, &e) < 0)
		return;
	uint64_t end = min_u64(f->size, FILE_BYTES_MAX);
	for (uint64_t off = 0; off < end && w->bytes < TOTAL_BYTES_MAX; off += CHUNK) {
		size_t n = (size_t)min_u64(CHUNK, end - off);
		err_clear(&e);
		(void)fs_file_read(f, off, chunk, n, &e);
		w->bytes += n;
	}
	/* And the end, which in a huge file is far away. */
	if (f->size > FILE_BYTES_MAX) {
		err_clear(&e);
		(void)fs_file_read(f, f->size - 5000, chunk, 5000, &e);
	}
	fs_file_close(f);
}

static int take_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct walk *w = arg;
	w->bytes += strlen(name) + (len ? ((const uint8_t *)value)[len - 1] & 1 : 0);
	return 0;
}

static int take_stream(void *arg, const char *name, size_t len, uint64_t size)
{
	char *last = arg;
	(void)size;
	if (len <= FS_NAME_MAX) {
		memcpy(last, name, len);
		last[len] = '\0';
	}
	return 0;
}

static int take_child(void *arg, const struct fs_dirent *de)
{
	struct children *c = arg;
	if (de->broken)
		return 0;
	c->list[c->count++] = de->id;
	memcpy(c->name, de->name, de->name_len);
	c->name_len = de->name_len;
	return c->count == CHILDREN_MAX;
}

static void walk_object(struct walk *w, struct fs_id id);

static void walk_directory(struct walk *w, struct fs_id id)
{
	struct children *c = calloc(1, sizeof(*c));
	struct err e = ERR_INIT;
	if (!c)
		return;
	(void)fs_readdir(w->fs, id, 0, take_child, c, &e);
	if (c->count > 0) {
		struct fs_id found;
		err_clear(&e);
		(void)fs_lookup(w->fs, id, c->name, c->name_len, &found, &e);
	}
	for (size_t i = 0; i < c->count && w->entries < ENTRIES_MAX; i++)
		walk_object(w, c->list[i]);
	free(c);
}

static void walk_object(struct walk *w, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	w->entries++;
	if (fs_stat(w->fs, id, &st, &e) < 0)
		return;
	(void)fs_xattrs(w->fs, id, take_xattr, w, &e);
	err_clear(&e);
	char stream[FS_NAME_MAX + 1] = "";
	(void)fs_streams(w->fs, id, take_stream, stream, &e);
	err_clear(&e);
	if (stream[0])
		walk_file(w, id, stream);
	if (st.type == FS_FILE) {
		walk_file(w, id, NULL);
	} else if (st.type == FS_SYMLINK) {
		struct buf target = BUF_INIT(FS_LINK_MAX);
		(void)fs_readlink(w->fs, id, &target, &e);
		buf_free(&target);
	} else if (st.type == FS_DIRECTORY && w->depth < DEPTH_MAX) {
		w->depth++;
		walk_directory(w, id);
		w->depth--;
	}
}

void fs_fuzz_devices(struct blk *b, struct blk *const *others, unsigned count)
{
	struct walk w = {0};
	struct err e = ERR_INIT;
	if (fs_open_with(b, NULL, others, count, &w.fs, &e) < 0)
		return;
	walk_object(&w, fs_root(w.fs));
	struct fs_id id;
	(void)fs_resolve(w.fs, "/a/b/../c", 9, FS_FOLLOW, &id, &e);
	err_clear(&e);
	(void)fs_resolve(w.fs, "/file0/file0", 12, FS_FOLLOW, &id, &e);
	fs_close(w.fs);
}

int fs_fuzz(const uint8_t *data, size_t size)
{
	struct blk *b = pieces_open(data, size);
	if (b)
		fs_fuzz_devices(b, NULL, 0);
	blk_unref(b);
	return 0;
}
