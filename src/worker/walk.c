#include "worker/walk.h"

#include "worker/listing.h"

#include <stdlib.h>
#include <string.h>

/* One directory on the way from the start to where the walk is:
 *
 *	batch read ─▶ files and other leaves visited ─▶ its directories entered one by one ─▶ next batch … end
 *
 * While the walk is below, a frame keeps the rest of its batch. */
struct frame {
	struct frame *up;
	struct fs_id id;
	size_t path_len;                 /* of this directory's own path */
	uint64_t cookie;                 /* where the next batch starts */
	bool last;                       /* there is no next batch */
	struct listing *batch;
	size_t next;                     /* in the batch */
};

struct walker {
	struct job *job;
	struct fs *fs;
	bool sorted;
	walk_fn *fn;
	void *arg;
	struct buf path;
	struct frame *top;
};

static void pop(struct walker *w)
{
	struct frame *f = w->top;
	w->top = f->up;
	listing_free(f->batch);
	free(f);
}

static void cut_path(struct walker *w, size_t len)
{
	w->path.len = len;
	w->path.data[len] = '\0';
}

/* A directory that holds itself, or one above it, is damage: going in would never end. */
static bool is_above(const struct walker *w, struct fs_id id)
{
	for (const struct frame *f = w->top; f; f = f->up)
		if (f->id.ino == id.ino && f->id.tree == id.tree)
			return true;
	return false;
}

static int push(struct walker *w, struct fs_id id, struct err *e)
{
	struct frame *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "worker");
	f->up = w->top;
	f->id = id;
	f->path_len = w->path.len;
	w->top = f;
	return 0;
}

static int visit(struct walker *w, struct fs_id id, enum fs_type type, const struct fs_stat *st, const struct err *why,
                 struct err *e)
{
	if (atomic_load_explicit(&w->job->cancelled, memory_order_relaxed))
		return err_set(e, ERR_CANCELLED, "worker", "the reader went away");
	const char *path = buf_str(&w->path);
	const char *slash = strrchr(path, '/');
	struct walk_entry en = {
		.path = path,
		.path_len = w->path.len,
		.name = slash[1] ? slash + 1 : slash,
		.id = id,
		.type = st ? st->type : type,
		.st = st,
		.why = why,
	};
	return w->fn(w->arg, &en, e);
}

/* Stats and visits the object the path now names; enters a directory. */
static int step_into(struct walker *w, struct fs_id id, enum fs_type type, const struct err *broken, struct err *e)
{
	struct fs_stat st = {0};
	struct err why = ERR_INIT;
	if (broken) {
		why = *broken;
	} else {
		gate_enter_bulk(&w->job->worker->gate);
		(void)fs_stat(w->fs, id, &st, &why);
		gate_leave(&w->job->worker->gate);
	}
	if (why.code == 0 && st.type == FS_DIRECTORY && is_above(w, id))
		(void)err_set(&why, ERR_FILE_CORRUPT, "worker", "the directory contains itself");
	int r = visit(w, id, type, why.code < 0 ? NULL : &st, why.code < 0 ? &why : NULL, e);
	if (r == WALK_GO_ON && why.code == 0 && st.type == FS_DIRECTORY)
		return push(w, id, e);
	return r < 0 ? r : 0;
}

/* --- batches -------------------------------------------------------------------------------------- */

struct batch_read {
	struct listing *l;
	struct frame *frame;
	struct err *e;
};

static int take(void *arg, const struct fs_dirent *de)
{
	struct batch_read *b = arg;
	int r = listing_add(b->l, de, b->e);
	if (r < 0)
		return r;
	b->frame->cookie = de->next;
	return b->l->count >= WALK_BATCH ? 1 : 0;
}

static int batch_order(const void *a, const void *b)
{
	const struct listing_item *x = a, *y = b;
	bool xd = x->type == FS_DIRECTORY, yd = y->type == FS_DIRECTORY;
	if (xd != yd)
		return xd ? 1 : -1;
	return listing_place_order(&x->id, &y->id);
}

/* Under the gate. Damage to the directory goes into *why; *e only for what ends the walk. */
static int read_batch(struct walker *w, struct frame *f, struct err *why, struct err *e)
{
	listing_free(f->batch);
	f->batch = NULL;
	f->next = 0;
	if (w->sorted) {
		f->last = true;
		struct listing *l = NULL;
		if (listing_read(w->fs, f->id, &w->job->cancelled, &l, why) < 0)
			return 0;
		f->batch = l;
		return listing_sort_names(l, e);
	}
	f->batch = listing_new(w->fs, f->id);
	if (!f->batch)
		return err_no_memory(e, "worker");
	struct err stopped = ERR_INIT;
	struct batch_read b = {.l = f->batch, .frame = f, .e = &stopped};
	int r = fs_readdir(w->fs, f->id, f->cookie, take, &b, why);
	if (stopped.code < 0) {
		*e = stopped;
		return e->code;
	}
	f->last = r != 1;
	if (f->batch->count > 1)
		qsort(f->batch->items, f->batch->count, sizeof(*f->batch->items), batch_order);
	return 0;
}

/* The directory broke off: said as one more visit of the directory, with its error. */
static int report_break(struct walker *w, struct frame *f, const struct err *why, struct err *e)
{
	cut_path(w, f->path_len);
	int r = visit(w, f->id, FS_DIRECTORY, NULL, why, e);
	return r < 0 ? r : 0;
}

static int append_name(struct walker *w, const struct frame *f, const struct listing_item *it, struct err *e)
{
	cut_path(w, f->path_len);
	if (f->path_len > 1)
		buf_addc(&w->path, '/');
	buf_add(&w->path, listing_name(f->batch, it), it->name_len);
	return buf_ok(&w->path, "worker", e);
}

/* One step of the directory at the top. */
static int step(struct walker *w, struct err *e)
{
	struct frame *f = w->top;
	if (!f->batch || (f->next == f->batch->count && !f->last)) {
		struct err why = ERR_INIT;
		gate_enter_bulk(&w->job->worker->gate);
		int r = read_batch(w, f, &why, e);
		gate_leave(&w->job->worker->gate);
		if (r == 0 && why.code < 0)
			r = report_break(w, f, &why, e);
		if (r < 0)
			return r;
	}
	if (!f->batch || f->next == f->batch->count) {
		if (f->last)
			pop(w);
		return 0;
	}
	const struct listing_item *it = &f->batch->items[f->next++];
	int r = append_name(w, f, it, e);
	if (r == ERR_LIMIT) {
		/* Deeper than any path can name: the directory's affair, not the walk's. */
		struct err why = *e;
		err_clear(e);
		w->path.failed = false;
		return report_break(w, f, &why, e);
	}
	if (r < 0)
		return r;
	const struct err *broken = it->broken ? listing_error(f->batch, it) : NULL;
	return step_into(w, it->id, (enum fs_type)it->type, broken, e);
}

int walk(struct job *j, struct fs *fs, struct fs_id id, const char *path, size_t path_len, bool sorted, walk_fn *fn,
         void *arg, struct err *e)
{
	struct walker w = {.job = j, .fs = fs, .sorted = sorted, .fn = fn, .arg = arg, .path = BUF_INIT(FS_PATH_MAX)};
	while (path_len > 1 && path[path_len - 1] == '/')
		path_len--;
	buf_add(&w.path, path, path_len);
	int r = buf_ok(&w.path, "worker", e);
	if (r == 0)
		r = step_into(&w, id, FS_UNKNOWN, NULL, e);
	while (r == 0 && w.top)
		r = step(&w, e);
	while (w.top)
		pop(&w);
	buf_free(&w.path);
	return r;
}
