#include "fs_fuzz.h"

#include "base/bytes.h"
#include "fs/fs.h"

#include <stdlib.h>
#include <string.h>

enum {
	PIECES_MAX = 4096,
	ENTRIES_MAX = 1000,          /* of a whole walk */
	DEPTH_MAX = 24,
	CHILDREN_MAX = 200,          /* followed in one directory */
	FILE_BYTES_MAX = 256 << 10,
	TOTAL_BYTES_MAX = 8 << 20,
	CHUNK = 60000,
	IMAGE_MAX_SHIFT = 44,
};

/* --- the image in pieces -------------------------------------------------------------------------- */

struct pieces {
	struct blk blk;
	const uint8_t *table, *bytes;
	size_t bytes_len;
	uint32_t count;
};

/* The bytes [at, at + len) as far as they lie inside [off, off + n). */
static void copy_overlap(const uint8_t *from, uint64_t at, uint64_t len, uint8_t *to, uint64_t off, size_t n)
{
	uint64_t first = at > off ? at : off, last = min_u64(at + len, off + n);
	if (first < last)
		memcpy(to + (first - off), from + (first - at), (size_t)(last - first));
}

static int pieces_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)e;
	const struct pieces *p = (const struct pieces *)b;
	memset(to, 0, len);
	size_t used = 0;
	for (uint32_t i = 0; i < p->count; i++) {
		uint64_t at = get_le64(p->table + 12 * i);
		size_t n = min_size(get_le32(p->table + 12 * i + 8), p->bytes_len - used);
		if (range_inside(at, n, p->blk.size))
			copy_overlap(p->bytes + used, at, n, to, off, len);
		used += n;
	}
	return 0;
}

static void pieces_close(struct blk *b)
{
	free(b);
}

static const struct blk_ops pieces_ops = {.name = "pieces", .read = pieces_read, .close = pieces_close};

static struct blk *image_open(const uint8_t *data, size_t size)
{
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	if (size < 16 || memcmp(data, "SEED", 4) != 0)
		return blk_mem_open(data, size, &b, &e) == 0 ? b : NULL;
	uint32_t count = get_le32(data + 4);
	uint64_t image = get_le64(data + 8);
	if (count > PIECES_MAX || 12 * (size_t)count > size - 16 || image >> IMAGE_MAX_SHIFT)
		return NULL;
	struct pieces *p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	blk_init(&p->blk, &pieces_ops, image);
	p->count = count;
	p->table = data + 16;
	p->bytes = p->table + 12 * (size_t)count;
	p->bytes_len = size - 16 - 12 * (size_t)count;
	return &p->blk;
}

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

int fs_fuzz(const uint8_t *data, size_t size)
{
	struct blk *b = image_open(data, size);
	struct walk w = {0};
	struct err e = ERR_INIT;
	if (b && fs_open(b, &w.fs, &e) == 0) {
		walk_object(&w, fs_root(w.fs));
		struct fs_id id;
		(void)fs_resolve(w.fs, "/a/b/../c", 9, FS_FOLLOW, &id, &e);
		err_clear(&e);
		(void)fs_resolve(w.fs, "/file0/file0", 12, FS_FOLLOW, &id, &e);
		fs_close(w.fs);
	}
	blk_unref(b);
	return 0;
}
