/* Listings of trees. Whose entries come next follows from those that came before, so each of them is noted until its turn; a worker whose
 * listing is about another one, or about more or fewer, is not believed. */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>

/* A directory whose listing is to come. */
struct todo {
	struct todo *next;
	size_t depth, len;
	char name[];
};

struct tree_reader {
	struct entry_reader *entries;
	bool below;
	bool begun;
	uint64_t left;                           /* entries of this directory */
	struct todo *todo;                       /* the next one first */
	struct todo **tail;                      /* where this directory's next one goes: they come before those that wait */
	struct buf path;                         /* of this directory */
	size_t depth;
	uint32_t base_len[WIRE_PATH_MAX / 2 + 2]; /* of its path and those above, without slashes at the end; by depth: a level is two bytes */
};

enum { TREE_PATH_MAX = WIRE_PATH_MAX + 1 + ENTRY_NAME_MAX };

int tree_reader_open(struct session *s, struct session_path at, const struct session_list_options *opt, struct tree_reader **ret,
                     struct err *e)
{
	struct tree_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return err_no_memory(e, "session");
	r->below = opt->below;
	r->tail = &r->todo;
	r->path = BUF_INIT(TREE_PATH_MAX);
	buf_add(&r->path, at.path, at.len);
	r->base_len[0] = (uint32_t)at.len;
	while (r->base_len[0] > 0 && at.path[r->base_len[0] - 1] == '/')
		r->base_len[0]--;
	struct stream *st = NULL;
	int n = buf_ok(&r->path, "session", e);
	if (n == 0)
		n = session_list(s, at, opt, &st, e);
	if (n == 0)
		n = entry_reader_open(st, &r->entries, e);
	if (n < 0) {
		tree_reader_close(r);
		return n;
	}
	*ret = r;
	return 0;
}

/* Makes the directory that is next this one. False: there is none. */
static bool enter_next(struct tree_reader *r)
{
	struct todo *t = r->todo;
	if (!t)
		return false;
	r->todo = t->next;
	r->depth = t->depth;
	r->path.len = r->base_len[t->depth - 1];
	buf_addc(&r->path, '/');
	buf_add(&r->path, t->name, t->len);
	r->base_len[r->depth] = (uint32_t)r->path.len;
	free(t);
	return true;
}

int tree_reader_directory(struct tree_reader *r, struct tree_directory *ret, struct err *e)
{
	struct wire_list_head head;
	int n = entry_reader_next_head(r->entries, &head, e);
	if (n < 0)
		return n;
	if (n == STREAM_END)
		return r->todo || !r->begun ? entry_reader_bad(r->entries, e) : STREAM_END;
	if (r->left > 0 || (r->begun && !enter_next(r)))
		return entry_reader_bad(r->entries, e);
	bool first = !r->begun;
	r->begun = true;
	if (buf_ok(&r->path, "session", e) < 0)
		return e->code;
	/* Only one below that could not be read says so in its head, and one that no path can name must. */
	if (head.why.code == 0 ? r->path.len > WIRE_PATH_MAX : first)
		return entry_reader_bad(r->entries, e);
	r->left = head.count;
	r->tail = &r->todo;
	*ret = (struct tree_directory){
		.path = buf_str(&r->path), .len = r->path.len, .base_len = r->base_len[r->depth], .why = head.why};
	return 1;
}

static int note(struct tree_reader *r, const struct wire_entry *en, struct err *e)
{
	struct todo *t = malloc(sizeof(*t) + en->name_len);
	if (!t)
		return err_no_memory(e, "session");
	t->depth = r->depth + 1;
	t->len = en->name_len;
	memcpy(t->name, en->name, en->name_len);
	t->next = *r->tail;
	*r->tail = t;
	r->tail = &t->next;
	return 0;
}

int tree_reader_next(struct tree_reader *r, struct wire_entry *ret, struct err *e)
{
	if (r->left == 0)
		return 0;
	int n = entry_reader_next_wait(r->entries, ret, e);
	if (n == STREAM_END)
		return entry_reader_bad(r->entries, e);
	if (n < 0)
		return n;
	r->left--;
	if (r->below && ret->kind == ENTRY_DIRECTORY && !(ret->flags & ENTRY_BROKEN))
		n = note(r, ret, e);
	return n < 0 ? n : 1;
}

void tree_reader_close(struct tree_reader *r)
{
	if (!r)
		return;
	entry_reader_close(r->entries);
	for (struct todo *next; r->todo; r->todo = next) {
		next = r->todo->next;
		free(r->todo);
	}
	buf_free(&r->path);
	free(r);
}
