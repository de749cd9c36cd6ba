/* LIST: one page of a directory, or all of it, or it and all directories below.
 *
 * The names are read and sorted first; then chunk after chunk of the wanted entries is statted in the order of their
 * place on disk and sent in the order asked for. The sorted names of the directory listed last are kept, so that the
 * pages of a large one cost what they show.
 *
 * Of a tree, each directory is listed as a whole: what is held of the others is which of them are still to come. */
#include "worker/worker.h"

#include "worker/list.h"
#include "worker/listing.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 1024,                    /* entries statted at a time */
	CHUNK_KEPT = 128,                /* from one directory of a tree to the next */
	CACHED_MAX = 4 << 20,            /* bytes of names kept for the next page */
	TREE_DEPTH = FS_PATH_MAX / 2 + 1, /* a level is a slash and a byte at least */
};

struct list_request {
	uint32_t volume;
	enum wire_sort sort;
	bool descending, below;
	uint64_t first, limit;
	const char *path;
	size_t path_len;
};

struct chunk_place {                     /* for visiting a chunk in disk order */
	struct fs_id id;
	uint32_t index;                  /* within the chunk */
};

struct chunk {
	size_t room;                     /* entries */
	struct chunk_place *place;
	struct fs_stat *st;
	struct err **error;              /* owned; NULL for what could be read */
};

/* A directory of a tree. */
struct tree_dir {
	struct fs_id id;
	uint32_t path_len;               /* of its path, without slashes at the end */
	uint32_t depth;
};

struct tree {
	struct tree_dir *todo;           /* the next one last */
	size_t count, cap;
	struct tree_dir at;              /* the one being listed */
	struct fs_id above[TREE_DEPTH];  /* those that it lies in, from the top, and itself */
};

static int parse(struct job *j, struct list_request *q, struct err *e)
{
	q->volume = rdr_le32(&j->rd);
	q->sort = (enum wire_sort)rdr_u8(&j->rd);
	unsigned how = rdr_u8(&j->rd);
	q->descending = how & WIRE_LIST_DESCENDING;
	q->below = how & WIRE_LIST_BELOW;
	q->first = rdr_le64(&j->rd);
	q->limit = rdr_le64(&j->rd);
	q->path = wire_get_str(&j->rd, WIRE_PATH_MAX, &q->path_len);
	if (j->rd.bad || q->sort > WIRE_SORT_OWNER || how > WIRE_LIST_HOW_ALL || (q->below && (q->first > 0 || q->limit > 0)))
		return err_set(e, ERR_INVALID, "worker", "a LIST request that cannot be read");
	return 0;
}

static int new_listing(struct job *j, const struct list_request *q, struct fs *fs, struct fs_id id, struct listing **ret, struct err *e)
{
	struct fs_stat st;
	int r = fs_stat(fs, id, &st, e);
	if (r < 0)
		return r;
	if (st.type != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, "worker", "this is a %s, not a directory", fs_type_name(st.type));
	struct listing *l = NULL;
	r = listing_read(fs, id, &j->cancelled, &l, e);
	if (r == 0)
		r = listing_sort(l, q->sort, q->descending, &j->cancelled, e);
	if (r < 0) {
		listing_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* The sorted listing, from the cache where it is the one shown last; it is taken out of there. */
static int get_listing(struct job *j, const struct list_request *q, struct listing **ret, struct err *e)
{
	struct fs *fs;
	struct fs_id id;
	int r = job_resolve(j, q->volume, q->path, q->path_len, FS_FOLLOW, &fs, &id, e);
	if (r < 0)
		return r;
	struct listing *l = j->worker->cached;
	j->worker->cached = NULL;
	if (l && l->fs == fs && l->dir.ino == id.ino && l->dir.tree == id.tree && l->sort == q->sort &&
	    l->descending == q->descending) {
		*ret = l;
		return 0;
	}
	listing_free(l);
	return new_listing(j, q, fs, id, ret, e);
}

static void keep_listing(struct job *j, struct listing *l)
{
	if (j->worker->cached || l->cap * sizeof(*l->items) + l->names.cap > CACHED_MAX)
		listing_free(l);
	else
		j->worker->cached = l;
}

static void chunk_free(struct chunk *c)
{
	free(c->place);
	free(c->st);
	free(c->error);
	*c = (struct chunk){0};
}

/* Room for n entries. */
static int chunk_reserve(struct chunk *c, size_t n, struct err *e)
{
	if (n <= c->room)
		return 0;
	chunk_free(c);
	c->place = malloc(n * sizeof(*c->place));
	c->st = malloc(n * sizeof(*c->st));
	c->error = malloc(n * sizeof(struct err *));
	if (!c->place || !c->st || !c->error)
		return err_no_memory(e, "worker");
	c->room = n;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	return listing_place_order(&((const struct chunk_place *)a)->id, &((const struct chunk_place *)b)->id);
}

static void stat_chunk(struct chunk *c, const struct listing *l, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		c->place[i] = (struct chunk_place){.id = l->items[first + i].id, .index = (uint32_t)i};
	if (n > 1)
		qsort(c->place, n, sizeof(c->place[0]), by_place);
	for (size_t i = 0; i < n; i++) {
		uint32_t k = c->place[i].index;
		c->error[k] = NULL;
		if (l->items[first + k].broken)
			continue;
		struct err why = ERR_INIT;
		if (fs_stat(l->fs, c->place[i].id, &c->st[k], &why) == 0)
			continue;
		c->error[k] = malloc(sizeof(why));
		if (c->error[k])
			*c->error[k] = why;
		else
			c->st[k] = (struct fs_stat){.type = FS_UNKNOWN};
	}
}

/* Composes one record: u32 length, entry. */
static void put_record(struct buf *b, struct fs *fs, struct wire_entry *en)
{
	CLEANUP(buf_free) struct buf target = BUF_INIT(FS_LINK_MAX);
	struct err why = ERR_INIT;
	if (!(en->flags & ENTRY_BROKEN) && en->kind == ENTRY_SYMLINK) {
		struct fs_id id = {.ino = en->ino, .tree = en->tree};
		if (fs_readlink(fs, id, &target, &why) < 0) {
			en->flags |= ENTRY_BROKEN;
			en->error_code = why.code;
			en->error_msg = why.msg;
			en->error_len = strlen(why.msg);
		}
		en->target = buf_str(&target);
		en->target_len = min_size(target.len, ENTRY_TARGET_MAX);
	}
	size_t at = b->len;
	wire_put_u32(b, 0);
	wire_entry_put(b, en);
	if (!b->failed)
		put_le32(b->data + at, (uint32_t)(b->len - at - 4));
}

void list_put_entry(struct buf *b, struct fs *fs, const char *name, size_t name_len, enum fs_type type,
                    struct fs_id id, const struct fs_stat *st, const struct err *why)
{
	struct wire_entry en = {0};
	if (why) {
		struct fs_stat guess = {.type = type, .id = id};
		entry_from_stat(&en, &guess);
		en.flags = ENTRY_BROKEN;
		en.error_code = why->code;
		en.error_msg = why->msg;
		en.error_len = strlen(why->msg);
	} else {
		entry_from_stat(&en, st);
	}
	en.name = name;
	en.name_len = name_len;
	put_record(b, fs, &en);
}

/* An entry that was sent as a directory comes later. */
static int tree_add(struct tree *t, const struct listing_item *it, struct err *e)
{
	if (t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct tree_dir *more = realloc(t->todo, cap * sizeof(*more));
		if (!more)
			return err_no_memory(e, "worker");
		t->todo = more;
		t->cap = cap;
	}
	t->todo[t->count++] = (struct tree_dir){.id = it->id, .path_len = t->at.path_len + 1 + it->name_len, .depth = t->at.depth + 1};
	return 0;
}

/* Outside the gate: a slow client must not keep the others from the filesystem. */
static int send_bytes(struct job *j, struct buf *b, struct err *e)
{
	int r = buf_ok(b, "worker", e);
	if (r < 0)
		return r;
	gate_leave(&j->worker->gate);
	r = bulk_write(&j->out, b->data, b->len, e);
	gate_enter(&j->worker->gate);
	buf_reset(b);
	return r;
}

/* t: of the tree that the directory is one of, or NULL. */
static int send_chunk(struct job *j, struct chunk *c, const struct listing *l, size_t first, size_t n, struct tree *t, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT((size_t)CHUNK * ENTRY_RECORD_MAX);
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct listing_item *it = &l->items[first + i];
		const struct err *why = it->broken ? listing_error(l, it) : c->error[i];
		list_put_entry(&b, l->fs, listing_name(l, it), it->name_len, (enum fs_type)it->type, it->id, &c->st[i], why);
		if (t && !why && c->st[i].type == FS_DIRECTORY)
			r = tree_add(t, it, e);
		if (r == 0 && (b.len >= RING_SLOT_SIZE / 2 || i + 1 == n))
			r = send_bytes(j, &b, e);
	}
	for (size_t i = 0; i < n; i++)
		free(c->error[i]);
	return r;
}

static int send_head(struct job *j, const struct wire_list_head *h, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(ENTRY_RECORD_MAX);
	wire_put_u32(&b, 0);
	wire_list_head_put(&b, h);
	if (!b.failed)
		put_le32(b.data, (uint32_t)(b.len - 4));
	return send_bytes(j, &b, e);
}

static int send_listing(struct job *j, const struct list_request *q, const struct listing *l, struct chunk *c, struct tree *t, struct err *e)
{
	struct wire_list_head head = {.total = l->count, .first = min_u64(q->first, l->count)};
	head.count = l->count - head.first;
	if (q->limit > 0)
		head.count = min_u64(head.count, q->limit);
	int r = send_head(j, &head, e);
	if (r == 0)
		r = chunk_reserve(c, (size_t)min_u64(head.count, CHUNK), e);
	for (uint64_t done = 0; done < head.count && r == 0;) {
		size_t n = (size_t)min_u64(head.count - done, CHUNK);
		stat_chunk(c, l, (size_t)(head.first + done), n);
		r = send_chunk(j, c, l, (size_t)(head.first + done), n, t, e);
		done += n;
	}
	return r;
}

/* --- trees ---------------------------------------------------------------------------------------- */

static int tree_listing(struct job *j, const struct list_request *q, struct fs *fs, struct tree *t, struct listing **ret, struct err *e)
{
	const struct tree_dir *at = &t->at;
	if (at->path_len > FS_PATH_MAX)
		return err_set(e, ERR_LIMIT, "worker", "this directory lies deeper than a path can name");
	for (size_t i = 0; i < at->depth; i++)
		if (t->above[i].ino == at->id.ino && t->above[i].tree == at->id.tree)
			return err_set(e, ERR_FILE_CORRUPT, "worker", "the directory contains itself");
	t->above[at->depth] = at->id;
	return new_listing(j, q, fs, at->id, ret, e);
}

/* The directory t->at, under the gate. One below the top that cannot be read does not end the listing. */
static int send_directory(struct job *j, const struct list_request *q, struct fs *fs, struct tree *t, struct chunk *c, struct err *e)
{
	struct wire_list_head head = {.why = ERR_INIT};
	struct listing *l = NULL;
	int r = tree_listing(j, q, fs, t, &l, &head.why);
	if (r == ERR_CANCELLED || (r < 0 && t->at.depth == 0)) {
		*e = head.why;
		return r;
	}
	if (r < 0)
		return send_head(j, &head, e);
	size_t first = t->count;
	r = send_listing(j, q, l, c, t, e);
	listing_free(l);
	/* What a large directory took is not held while the others are listed. */
	if (c->room > CHUNK_KEPT)
		chunk_free(c);
	for (size_t a = first, b = t->count; a + 1 < b; a++, b--) {
		struct tree_dir keep = t->todo[a];
		t->todo[a] = t->todo[b - 1];
		t->todo[b - 1] = keep;
	}
	return r;
}

static int list_tree(struct job *j, const struct list_request *q, struct err *e)
{
	CLEANUP(free_ptr) struct tree *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, "worker");
	struct chunk c = {0};
	struct fs *fs;
	t->at.path_len = (uint32_t)q->path_len;
	while (t->at.path_len > 0 && q->path[t->at.path_len - 1] == '/')
		t->at.path_len--;
	gate_enter_bulk(&j->worker->gate);
	int r = job_resolve(j, q->volume, q->path, q->path_len, FS_FOLLOW, &fs, &t->at.id, e);
	if (r == 0)
		r = send_directory(j, q, fs, t, &c, e);
	gate_leave(&j->worker->gate);
	for (uint64_t done = 1; r == 0 && t->count > 0; done++) {
		job_progress(j, done, j->out.bytes, 0);
		t->at = t->todo[--t->count];
		gate_enter_bulk(&j->worker->gate);
		r = send_directory(j, q, fs, t, &c, e);
		gate_leave(&j->worker->gate);
	}
	chunk_free(&c);
	free(t->todo);
	return r;
}

int job_list(struct job *j, struct err *e)
{
	struct list_request q;
	int r = parse(j, &q, e);
	if (r < 0)
		return r;
	if (q.below)
		return list_tree(j, &q, e);
	gate_enter(&j->worker->gate);
	struct listing *l = NULL;
	r = get_listing(j, &q, &l, e);
	if (r == 0) {
		struct chunk c = {0};
		r = send_listing(j, &q, l, &c, NULL, e);
		chunk_free(&c);
		keep_listing(j, l);
	}
	gate_leave(&j->worker->gate);
	return r;
}
