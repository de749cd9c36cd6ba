/* Paths. A path is walked one component at a time with the ids of all directories on the way on a
 * stack, so that ".." of a link target needs no ".." entry of the filesystem, which may be damaged.
 *
 *	left    what is still to be walked; a symbolic link puts its target before it
 *	stack   the directories walked so far, the root at the bottom; ".." pops, never the root
 */
#include "base/cleanup.h"
#include "fs/fs.h"
#include "fs/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = FS_PATH_MAX / 2,             /* "/a/a/a…" */
	LEFT_MAX = FS_PATH_MAX + FS_LINK_MAX,    /* a target and what follows it */
};

struct walk {
	struct fs *fs;
	unsigned flags;
	struct buf left;
	size_t pos;                  /* next byte of left */
	struct fs_id *stack;
	size_t depth, cap;
	unsigned links;              /* followed so far */
	bool at_directory;           /* the top of the stack is one */
};

/* The component at *pos of path, its length, and *pos moved behind it; 0 at the end. */
static size_t next_component(const char *path, size_t len, size_t *pos, const char **ret)
{
	while (*pos < len && path[*pos] == '/')
		(*pos)++;
	*ret = path + *pos;
	size_t start = *pos;
	while (*pos < len && path[*pos] != '/')
		(*pos)++;
	return *pos - start;
}

static bool is_name(const char *s, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(s, want, len) == 0;
}

int fs_path_check(const char *path, size_t len, struct err *e)
{
	if (len > FS_PATH_MAX)
		return err_set(e, ERR_PATH_INVALID, "fs", "a path may be %d bytes long, not %zu", FS_PATH_MAX, len);
	if (len == 0 || path[0] != '/')
		return err_set(e, ERR_PATH_INVALID, "fs", "a path starts with \"/\"");
	if (memchr(path, '\0', len))
		return err_set(e, ERR_PATH_INVALID, "fs", "a path holds no NUL");
	size_t pos = 0, n;
	const char *name;
	while ((n = next_component(path, len, &pos, &name)) > 0)
		if (is_name(name, n, ".") || is_name(name, n, ".."))
			return err_set(e, ERR_PATH_INVALID, "fs", "a path holds no \".\" and no \"..\"");
	return 0;
}

static int push(struct walk *w, struct fs_id id, struct err *e)
{
	if (w->depth == DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "fs", "the path leads through more than %d directories", DEPTH_MAX);
	if (w->depth == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;
		struct fs_id *stack = realloc(w->stack, cap * sizeof(*stack));
		if (!stack)
			return err_no_memory(e, "fs");
		w->stack = stack;
		w->cap = cap;
	}
	w->stack[w->depth++] = id;
	return 0;
}

/* Puts the target of the link before what is left; an absolute one starts at the root again. */
static int follow(struct walk *w, struct fs_id link, struct err *e)
{
	if (++w->links > FS_LINK_DEPTH)
		return err_set(e, ERR_LINK_LOOP, "fs", "more than %d symbolic links in one path", FS_LINK_DEPTH);
	CLEANUP(buf_free) struct buf path = BUF_INIT(LEFT_MAX);
	int r = fs_readlink(w->fs, link, &path, e);
	if (r < 0)
		return r;
	if (path.len == 0)
		return err_set(e, ERR_NOT_FOUND, "fs", "a symbolic link on the way has an empty target");
	if (memchr(path.data, '\0', path.len))
		return err_set(e, ERR_FILE_CORRUPT, "fs", "the target of a symbolic link on the way holds a NUL");
	if (path.data[0] == '/')
		w->depth = 1;
	buf_add(&path, w->left.data + w->pos, w->left.len - w->pos);
	r = buf_ok(&path, "fs", e);
	if (r < 0)
		return r;
	buf_free(&w->left);
	w->left = path;
	w->pos = 0;
	path = BUF_INIT(LEFT_MAX);
	return 0;
}

static bool anything_left(const struct walk *w)
{
	const char *name;
	size_t pos = w->pos;
	return next_component(buf_str(&w->left), w->left.len, &pos, &name) > 0;
}

static int not_found(const char *name, size_t len, struct err *e)
{
	char quoted[ERR_MSG_MAX / 2];
	text_quote(quoted, sizeof(quoted), name, len);
	return err_set(e, ERR_NOT_FOUND, "fs", "there is no \"%s\" in its directory", quoted);
}

static int step(struct walk *w, const char *name, size_t len, struct err *e)
{
	if (!w->at_directory) {
		char quoted[ERR_MSG_MAX / 2];
		text_quote(quoted, sizeof(quoted), name, len);
		return err_set(e, ERR_NOT_DIRECTORY, "fs", "what comes before \"%s\" in the path is not a directory",
		               quoted);
	}
	if (is_name(name, len, "."))
		return 0;
	if (is_name(name, len, "..")) {
		if (w->depth > 1)
			w->depth--;
		return 0;
	}
	struct fs_id id;
	int r = fs_lookup(w->fs, w->stack[w->depth - 1], name, len, &id, e);
	if (r == ERR_NOT_FOUND) {
		err_clear(e);
		return not_found(name, len, e);
	}
	if (r < 0)
		return r;
	struct fs_stat st;
	r = fs_stat(w->fs, id, &st, e);
	if (r < 0)
		return r;
	if (st.type == FS_SYMLINK && (anything_left(w) || (w->flags & FS_FOLLOW)))
		return follow(w, id, e);
	w->at_directory = st.type == FS_DIRECTORY;
	return push(w, id, e);
}

int fs_resolve(struct fs *fs, const char *path, size_t len, unsigned flags, struct fs_id *ret,
               struct err *e)
{
	int r = fs_path_check(path, len, e);
	if (r < 0)
		return r;
	struct walk w = {.fs = fs, .flags = flags, .left = BUF_INIT(LEFT_MAX), .at_directory = true};
	buf_add(&w.left, path, len);
	r = buf_ok(&w.left, "fs", e);
	if (r == 0)
		r = push(&w, fs_root(fs), e);
	while (r == 0) {
		const char *name;
		size_t n = next_component((const char *)w.left.data, w.left.len, &w.pos, &name);
		if (n == 0)
			break;
		r = step(&w, name, n, e);
	}
	if (r == 0)
		*ret = w.stack[w.depth - 1];
	free(w.stack);
	buf_free(&w.left);
	return r;
}
