/* LIST: one page of a directory, or all of it.
 *
 * The names are read and sorted first; then chunk after chunk of the wanted entries is statted in the order of their
 * place on disk and sent in the order asked for. The sorted names of the directory listed last are kept, so that the
 * pages of a large one cost what they show. */
#include "worker/worker.h"

#include "worker/list.h"
#include "worker/listing.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 2048,                    /* entries statted at a time */
	CACHED_MAX = 4 << 20,            /* bytes of names kept for the next page */
};

struct list_request {
	uint32_t volume;
	enum wire_sort sort;
	bool descending;
	uint64_t first, limit;
	const char *path;
	size_t path_len;
};

struct chunk_place {                     /* for visiting a chunk in disk order */
	struct fs_id id;
	uint32_t index;                  /* within the chunk */
};

struct chunk {
	struct chunk_place place[CHUNK];
	struct fs_stat st[CHUNK];
	struct err *error[CHUNK];        /* owned; NULL for what could be read */
};

static int parse(struct job *j, struct list_request *q, struct err *e)
{
	q->volume = rdr_le32(&j->rd);
	q->sort = (enum wire_sort)rdr_u8(&j->rd);
	q->descending = rdr_u8(&j->rd);
	q->first = rdr_le64(&j->rd);
	q->limit = rdr_le64(&j->rd);
	q->path = wire_get_str(&j->rd, WIRE_PATH_MAX, &q->path_len);
	if (j->rd.bad || q->sort > WIRE_SORT_OWNER)
		return err_set(e, ERR_INVALID, "worker", "a LIST request that cannot be read");
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
	struct fs_stat st;
	r = fs_stat(fs, id, &st, e);
	if (r < 0)
		return r;
	if (st.type != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, "worker", "this is a %s, not a directory", fs_type_name(st.type));
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

static void keep_listing(struct job *j, struct listing *l)
{
	if (j->worker->cached || l->cap * sizeof(*l->items) + l->names.cap > CACHED_MAX)
		listing_free(l);
	else
		j->worker->cached = l;
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

static int send_chunk(struct job *j, struct chunk *c, const struct listing *l, size_t first, size_t n, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT((size_t)CHUNK * ENTRY_RECORD_MAX);
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct listing_item *it = &l->items[first + i];
		const struct err *why = it->broken ? listing_error(l, it) : c->error[i];
		list_put_entry(&b, l->fs, listing_name(l, it), it->name_len, (enum fs_type)it->type, it->id, &c->st[i], why);
		if (b.len >= RING_SLOT_SIZE / 2 || i + 1 == n) {
			r = buf_ok(&b, "worker", e);
			/* A slow client must not keep the others from the filesystem. */
			gate_leave(&j->worker->gate);
			if (r == 0)
				r = bulk_write(&j->out, b.data, b.len, e);
			gate_enter(&j->worker->gate);
			buf_reset(&b);
		}
	}
	for (size_t i = 0; i < n; i++)
		free(c->error[i]);
	return r;
}

static int send_head(struct job *j, const struct wire_list_head *h, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(64);
	wire_put_u32(&b, 24);
	wire_list_head_put(&b, h);
	int r = buf_ok(&b, "worker", e);
	return r < 0 ? r : bulk_write(&j->out, b.data, b.len, e);
}

static int send_listing(struct job *j, const struct list_request *q, const struct listing *l, struct err *e)
{
	struct wire_list_head head = {.total = l->count, .first = min_u64(q->first, l->count)};
	head.count = l->count - head.first;
	if (q->limit > 0)
		head.count = min_u64(head.count, q->limit);
	int r = send_head(j, &head, e);
	CLEANUP(free_ptr) struct chunk *c = malloc(sizeof(*c));
	if (r == 0 && !c)
		return err_no_memory(e, "worker");
	for (uint64_t done = 0; done < head.count && r == 0;) {
		size_t n = (size_t)min_u64(head.count - done, CHUNK);
		stat_chunk(c, l, (size_t)(head.first + done), n);
		r = send_chunk(j, c, l, (size_t)(head.first + done), n, e);
		done += n;
	}
	return r;
}

int job_list(struct job *j, struct err *e)
{
	struct list_request q;
	int r = parse(j, &q, e);
	if (r < 0)
		return r;
	gate_enter(&j->worker->gate);
	struct listing *l = NULL;
	r = get_listing(j, &q, &l, e);
	if (r == 0) {
		r = send_listing(j, &q, l, e);
		keep_listing(j, l);
	}
	gate_leave(&j->worker->gate);
	return r;
}
