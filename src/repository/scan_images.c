#include "repository/scan_state.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- finding -------------------------------------------------------------------------------------- */

static int add_image(struct scan *s, const char *path, const struct repository_file *f, struct err *e)
{
	if (s->image_count == REPOSITORY_FILES_MAX)
		return err_set(e, ERR_LIMIT, "scan", "the repository holds more than %d images", REPOSITORY_FILES_MAX);
	if (s->image_count == s->image_room) {
		size_t room = s->image_room ? s->image_room * 2 : 64;
		struct image *more = reallocarray(s->images, room, sizeof(*more));
		if (!more)
			return err_no_memory(e, "scan");
		s->images = more;
		s->image_room = room;
	}
	char *copy = strdup(path);
	if (!copy)
		return err_no_memory(e, "scan");
	s->images[s->image_count++] = (struct image){
		.path = copy, .mtime = f->mtime, .dev = f->dev, .ino = f->ino, .parent = NONE, .point = NONE,
	};
	return 0;
}

static int add_manifest(struct scan *s, const char *path, struct err *e)
{
	if (s->manifest_count == s->manifest_room) {
		size_t room = s->manifest_room ? s->manifest_room * 2 : 64;
		char **more = reallocarray(s->manifests, room, sizeof(*more));
		if (!more)
			return err_no_memory(e, "scan");
		s->manifests = more;
		s->manifest_room = room;
	}
	s->manifests[s->manifest_count] = strdup(path);
	if (!s->manifests[s->manifest_count])
		return err_no_memory(e, "scan");
	s->manifest_count++;
	return 0;
}

static int found(void *arg, const struct repository_file *f, struct err *e)
{
	return f->kind == REPOSITORY_IMAGE ? add_image(arg, f->path, f, e) : add_manifest(arg, f->path, e);
}

static int by_path(const void *a, const void *b)
{
	const struct image *x = a, *y = b;
	return strcmp(x->path, y->path);
}

size_t scan_find(const struct scan *s, const char *path)
{
	struct image key = {.path = (char *)path};
	const struct image *im = s->sorted ? bsearch(&key, s->images, s->sorted, sizeof(key), by_path) : NULL;
	if (im)
		return (size_t)(im - s->images);
	for (size_t i = s->sorted; i < s->image_count; i++)
		if (strcmp(s->images[i].path, path) == 0)
			return i;
	return NONE;
}

int scan_reject(struct image *im, struct err *e, const char *fmt, ...)
{
	if (im->why_not)
		return 0;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&im->why_not, fmt, ap);
	va_end(ap);
	if (n >= 0)
		return 0;
	im->why_not = NULL;
	return err_no_memory(e, "scan");
}

/* --- inspecting ----------------------------------------------------------------------------------- */

/* A fault of the hub or of the whole repository; every other is that one image's, a worker that it killed included. */
static bool ends_scan(int code)
{
	switch (code) {
	case ERR_CANCELLED:
	case ERR_INTERNAL:
	case ERR_INVALID:
	case ERR_NO_MEMORY:
	case ERR_REPOSITORY_UNREACHABLE:
	case ERR_SANDBOX:
	case ERR_WORKER_START:
		return true;
	default:
		return false;
	}
}

/* Turns a failure into the image's own, where it is. */
static int settle(struct image *im, int r, struct err *e)
{
	if (r >= 0 || ends_scan(r))
		return r;
	struct err why = *e;
	err_clear(e);
	return scan_reject(im, e, "%s", why.msg);
}

/* A NUL somewhere: what a worker sends is not trusted to end. */
static bool ends_inside(const char *text, size_t room)
{
	return strnlen(text, room) < room;
}

static int take_info(struct image *im, const struct scan_image_info *info, struct err *e)
{
	if (!ends_inside(info->format, sizeof(info->format)) || !ends_inside(info->backing_name, SCAN_NAME_MAX) ||
	    !ends_inside(info->data_file_name, SCAN_NAME_MAX) || info->virtual_size > INT64_MAX)
		return scan_reject(im, e, "the header could not be read: the answer about it makes no sense");
	memcpy(im->format, info->format, sizeof(im->format));
	im->virtual_size = (int64_t)info->virtual_size;
	im->backing_name = strdup(info->backing_name);
	return im->backing_name ? 0 : err_no_memory(e, "scan");
}

/* The data file counts as part of the image: it is no image of its own, whatever its name. */
static int take_data_file(struct scan *s, size_t at, const char *name, struct err *e)
{
	char path[REPOSITORY_PATH_MAX];
	CLEANUP(fd_close) int fd = -1;
	struct stat st;
	int r = *name ? repository_resolve(s->repo, s->images[at].path, name, path, e)
	              : err_set(e, ERR_IMAGE_LAYER_MISSING, "scan", "the header does not name its data file");
	if (r >= 0)
		r = repository_open_file(s->repo, path, &fd, e);
	if (r < 0) {
		err_prefix(e, "data file");
		return settle(&s->images[at], r, e);
	}
	struct image *im = &s->images[at];
	im->data_path = strdup(path);
	if (!im->data_path)
		return err_no_memory(e, "scan");
	if (fstat(fd, &st) == 0)
		im->stored += (int64_t)st.st_blocks * 512;
	size_t data = scan_find(s, path);
	if (data != NONE)
		s->images[data].is_data = true;
	return 0;
}

static int inspect(struct scan *s, size_t at, struct err *e)
{
	struct scan_image_info info = {0};
	struct image *im = &s->images[at];
	CLEANUP(fd_close) int fd = -1;
	struct stat st;
	int r = repository_open_file(s->repo, im->path, &fd, e);
	if (r >= 0)
		r = s->ops->inspect(s->ops->arg, fd, im->path, &info, e);
	im->extents = info.extents;
	im->extent_count = info.extent_count;
	if (r < 0)
		return settle(im, r, e);
	if (fstat(fd, &st) == 0)
		im->stored = (int64_t)st.st_blocks * 512;
	r = take_info(im, &info, e);
	if (r < 0 || im->why_not || !info.has_data_file)
		return r;
	return take_data_file(s, at, info.data_file_name, e);
}

/* The files of a VMDK disk are no images of their own, unless they are: a descriptor that names another's does not hide it. */
static int take_extents(struct scan *s, size_t at, struct err *e)
{
	struct stat st;
	for (size_t i = 0; i < s->images[at].extent_count && !s->images[at].why_not; i++) {
		char path[REPOSITORY_PATH_MAX];
		CLEANUP(fd_close) int fd = -1;
		int r = repository_resolve(s->repo, s->images[at].path, s->images[at].extents[i], path, e);
		if (r >= 0)
			r = repository_open_file(s->repo, path, &fd, e);
		if (r < 0)
			return settle(&s->images[at], r, e);
		if (fstat(fd, &st) == 0)
			s->images[at].stored += (int64_t)st.st_blocks * 512;
		size_t part = scan_find(s, path);
		if (part != NONE && s->images[part].why_not)
			s->images[part].is_data = true;
	}
	return 0;
}

/* --- linking -------------------------------------------------------------------------------------- */

/* One file may have several paths; a backing name may use another than the walk found. */
static size_t find_inode(const struct scan *s, const struct stat *st)
{
	for (size_t i = 0; i < s->image_count; i++)
		if (s->images[i].ino == st->st_ino && s->images[i].dev == st->st_dev)
			return i;
	return NONE;
}

/* A backing file that is in the repository under a name the walk passes over: it joins the images. */
static int find_or_add(struct scan *s, const char *path, size_t *ret, struct err *e)
{
	*ret = scan_find(s, path);
	if (*ret != NONE)
		return 0;
	CLEANUP(fd_close) int fd = -1;
	struct stat st;
	int r = repository_open_file(s->repo, path, &fd, e);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_IO, "scan", "its backing file cannot be examined");
	*ret = find_inode(s, &st);
	if (*ret != NONE)
		return 0;
	struct repository_file f = {
		.dev = st.st_dev, .ino = st.st_ino,
		.mtime = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
	};
	if (s->image_count - s->sorted >= SCAN_UNLISTED_MAX)
		return err_set(e, ERR_LIMIT, "scan", "too many backing files are not named as images");
	*ret = s->image_count;
	r = add_image(s, path, &f, e);
	return r < 0 ? r : inspect(s, *ret, e);
}

static int link_one(struct scan *s, size_t at, struct err *e)
{
	char path[REPOSITORY_PATH_MAX];
	struct image *im = &s->images[at];
	if (im->why_not || !im->backing_name || !*im->backing_name)
		return 0;
	size_t parent = NONE;
	int r = repository_resolve(s->repo, im->path, im->backing_name, path, e);
	if (r >= 0)
		r = find_or_add(s, path, &parent, e);
	im = &s->images[at];
	if (r < 0) {
		if (r == ERR_IMAGE_LAYER_MISSING)
			err_prefix(e, "its backing file is missing");
		return settle(im, r, e);
	}
	if (s->images[parent].is_data)
		return scan_reject(im, e, "its backing file is the data file of another image");
	im->parent = parent;
	return 0;
}

/* Gives every image the number of layers below it, walking up from each until one that has its own. A walk that comes back
 * to itself, ends at an orphan, or takes too long makes orphans of all it passed. */
static int place(struct scan *s, size_t start, struct err *e)
{
	size_t stack[SCAN_LAYERS_MAX];
	size_t n = 0, at = start;
	const char *fault = NULL;
	char shown[PATH_SHOWN_MAX] = "";
	while (at != NONE && !s->images[at].placed && !s->images[at].why_not) {
		bool seen = false;
		for (size_t i = 0; i < n && !seen; i++)
			seen = stack[i] == at;
		if (seen || n == SCAN_LAYERS_MAX) {
			fault = seen ? "its chain of backing files runs in a circle" : "its chain has too many layers";
			break;
		}
		stack[n++] = at;
		at = s->images[at].parent;
	}
	unsigned depth = at == NONE || fault || s->images[at].why_not ? 0 : s->images[at].depth + 1;
	if (!fault && depth + n > SCAN_LAYERS_MAX)
		fault = "its chain has too many layers";
	if (!fault && at != NONE && s->images[at].why_not)
		path_show(s->images[at].path, shown);
	int r = 0;
	while (n > 0 && r >= 0) {
		struct image *im = &s->images[stack[--n]];
		if (fault)
			r = scan_reject(im, e, "%s", fault);
		else if (*shown)
			r = scan_reject(im, e, "it stands on %s, which cannot be used", shown);
		else
			im->placed = true, im->depth = depth++;
	}
	return r;
}

int scan_images(struct scan *s, struct err *e)
{
	int r = repository_walk(s->repo, found, s, &s->skipped, e);
	if (r < 0)
		return r;
	/* The walk goes folder by folder, where "a/b" comes before "a.img": not yet the order of whole paths. */
	if (s->image_count)
		qsort(s->images, s->image_count, sizeof(*s->images), by_path);
	s->sorted = s->image_count;
	for (size_t i = 0; i < s->sorted && r >= 0; i++)
		r = inspect(s, i, e);
	for (size_t i = 0; i < s->sorted && r >= 0; i++)
		r = take_extents(s, i, e);
	/* Linking may find more, behind the sorted ones. */
	for (size_t i = 0; i < s->image_count && r >= 0; i++)
		r = link_one(s, i, e);
	for (size_t i = 0; i < s->image_count && r >= 0; i++)
		if (!s->images[i].is_data)
			r = place(s, i, e);
	return r;
}
