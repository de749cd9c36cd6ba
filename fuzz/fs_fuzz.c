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
	NAMES_MAX = 8,               /* looked up in one directory */
	STREAMS_MAX = 4,             /* read of one object */
	EXTENTS_MAX = 64,            /* asked for in one file */
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

struct name {
	char bytes[FS_NAME_MAX + 1];
	size_t len;
};

struct children {
	struct fs_id list[CHILDREN_MAX];
	struct name names[NAMES_MAX];        /* of the first, to look them up */
	uint64_t middle;                     /* cookie of one of them */
	size_t count;
};

struct streams {
	struct name names[STREAMS_MAX];
	size_t count;
};

static void read_extents(struct fs_file *f)
{
	struct fs_extent ext;
	struct err e = ERR_INIT;
	uint64_t off = 0;
	for (unsigned i = 0; i < EXTENTS_MAX && off < f->size; i++) {
		if (fs_file_extent(f, off, f->size - off, &ext, &e) < 0)
			return;
		off += ext.len;
	}
}

static void walk_file(struct walk *w, struct fs_id id, const char *stream)
{
	static uint8_t chunk[CHUNK];
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	if (fs_file_open(w->fs, id, stream, &f, &e) < 0)
		return;
	read_extents(f);
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

static void take_name(struct name *ret, const char *name, size_t len)
{
	memcpy(ret->bytes, name, len);
	ret->bytes[len] = '\0';
	ret->len = len;
}

static int take_stream(void *arg, const char *name, size_t len, uint64_t size)
{
	struct streams *s = arg;
	(void)size;
	if (len <= FS_NAME_MAX && s->count < STREAMS_MAX)
		take_name(&s->names[s->count++], name, len);
	return 0;
}

static int take_child(void *arg, const struct fs_dirent *de)
{
	struct children *c = arg;
	if (de->broken)
		return 0;
	if (c->count < NAMES_MAX) {
		take_name(&c->names[c->count], de->name, de->name_len);
		c->middle = de->next;
	}
	c->list[c->count++] = de->id;
	return c->count == CHILDREN_MAX;
}

static int take_one(void *arg, const struct fs_dirent *de)
{
	(void)de;
	unsigned *left = arg;
	return --*left == 0;
}

static void find(struct walk *w, struct fs_id dir, const struct name *n)
{
	struct fs_id found;
	struct err e = ERR_INIT;
	(void)fs_lookup(w->fs, dir, n->bytes, n->len, &found, &e);
}

/* As it stands, in the other case, and as one with letters beyond ASCII. */
static void find_ways(struct walk *w, struct fs_id dir, const struct name *name)
{
	static const char letters[] = "\xc3\xa9\xd0\x96";
	struct name n = *name;
	find(w, dir, &n);
	for (size_t i = 0; i < n.len; i++)
		n.bytes[i] ^= (n.bytes[i] & ~0x20) >= 'A' && (n.bytes[i] & ~0x20) <= 'Z' ? 0x20 : 0;
	find(w, dir, &n);
	n.len = min_size(n.len, FS_NAME_MAX - (sizeof(letters) - 1));
	memcpy(n.bytes + n.len, letters, sizeof(letters) - 1);
	n.len += sizeof(letters) - 1;
	find(w, dir, &n);
}

static void resolve(struct walk *w, const struct name *n)
{
	char path[FS_NAME_MAX + 4] = "/";
	struct fs_id found;
	struct err e = ERR_INIT;
	memcpy(path + 1, n->bytes, n->len);
	memcpy(path + 1 + n->len, "/x", 2);
	(void)fs_resolve(w->fs, path, n->len + 1, FS_FOLLOW, &found, &e);
	err_clear(&e);
	(void)fs_resolve(w->fs, path, n->len + 3, 0, &found, &e);
}

static void walk_object(struct walk *w, struct fs_id id);

static void walk_directory(struct walk *w, struct fs_id id)
{
	struct children *c = calloc(1, sizeof(*c));
	struct err e = ERR_INIT;
	if (!c)
		return;
	(void)fs_readdir(w->fs, id, 0, take_child, c, &e);
	err_clear(&e);
	unsigned few = 3;
	if (c->count > 1)
		(void)fs_readdir(w->fs, id, c->middle, take_one, &few, &e);
	for (size_t i = 0; i < min_size(c->count, NAMES_MAX); i++) {
		find_ways(w, id, &c->names[i]);
		if (w->depth == 1)
			resolve(w, &c->names[i]);
	}
	for (size_t i = 0; i < c->count && w->entries < ENTRIES_MAX; i++)
		walk_object(w, c->list[i]);
	free(c);
}

static void walk_streams(struct walk *w, struct fs_id id)
{
	struct streams *s = calloc(1, sizeof(*s));
	struct err e = ERR_INIT;
	if (!s)
		return;
	(void)fs_streams(w->fs, id, take_stream, s, &e);
	for (size_t i = 0; i < s->count; i++)
		walk_file(w, id, s->names[i].bytes);
	free(s);
}

static void walk_object(struct walk *w, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	w->entries++;
	if (fs_stat(w->fs, id, &st, &e) < 0)
		return;
	(void)fs_xattrs(w->fs, id, take_xattr, w, &e);
	walk_streams(w, id);
	err_clear(&e);
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
