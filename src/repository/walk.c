#include "repository/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct walk {
	const struct repository *repo;
	int (*found)(void *arg, const struct repository_file *f, struct err *e);
	void *arg;
	struct repository_notes *skipped;
	size_t files, entries;
};

/* --- notes ---------------------------------------------------------------------------------------- */

void repository_notes_free(struct repository_notes *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->items[i].path);
		free(n->items[i].reason);
	}
	free(n->items);
	*n = (struct repository_notes){0};
}

int notes_add(struct repository_notes *n, const char *path, const char *reason, struct err *e)
{
	struct repository_note *more = reallocarray(n->items, n->count + 1, sizeof(*more));
	if (!more)
		return err_no_memory(e, "repository");
	n->items = more;
	struct repository_note note = {.path = strdup(path), .reason = strdup(reason)};
	if (!note.path || !note.reason) {
		free(note.path);
		free(note.reason);
		return err_no_memory(e, "repository");
	}
	n->items[n->count++] = note;
	return 0;
}

static int skip(struct walk *w, const char *path, int errnum, struct err *e)
{
	char reason[128];
	(void)snprintf(reason, sizeof(reason), "cannot be read: %s", strerrordesc_np(errnum));
	return notes_add(w->skipped, path, reason, e);
}

/* --- one folder ----------------------------------------------------------------------------------- */

struct name_list {
	char **items;
	size_t count, room;
};

static void names_free(struct name_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
}

static int names_add(struct name_list *l, const char *name, struct err *e)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 32;
		char **more = reallocarray(l->items, room, sizeof(*more));
		if (!more)
			return err_no_memory(e, "repository");
		l->items = more;
		l->room = room;
	}
	l->items[l->count] = strdup(name);
	if (!l->items[l->count])
		return err_no_memory(e, "repository");
	l->count++;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(struct walk *w, DIR *dir, const char *folder, struct name_list *l, struct err *e)
{
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (!d)
			return errno ? skip(w, folder, errno, e) : 0;
		if (d->d_name[0] == '.')
			continue;
		if (++w->entries > REPOSITORY_ENTRIES_MAX)
			return err_set(e, ERR_LIMIT, "repository", "the repository holds more than %d files and folders",
			               REPOSITORY_ENTRIES_MAX);
		int r = names_add(l, d->d_name, e);
		if (r < 0)
			return r;
	}
}

/* "disk-flat.vmdk", "disk-f001.vmdk" */
static bool is_flat_part(const char *name, const char *dot)
{
	const char *dash = dot;
	while (dash > name && *dash != '-')
		dash--;
	if (strcasecmp(dot, ".vmdk") != 0 || *dash != '-')
		return false;
	size_t n = (size_t)(dot - dash);
	return strncasecmp(dash, "-flat", n > 5 ? n : 5) == 0 ||
	       (n > 2 && (dash[1] == 'f' || dash[1] == 'F') && strspn(dash + 2, "0123456789") == n - 2);
}

static bool kind_of(const char *name, enum repository_file_kind *ret)
{
	const char *dot = strrchr(name, '.');
	if (!dot || dot == name)
		return false;
	static const char *const suffixes[] = {".qcow2", ".img", ".raw", ".vmdk", ".vhd", ".vhdx", ".vdi", ".qed"};
	bool image = false;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && !image; i++)
		image = strcasecmp(dot, suffixes[i]) == 0;
	/* The bytes of a flat VMDK disk: all of them the guest's. Its descriptor is the image. */
	image = image && !is_flat_part(name, dot);
	*ret = image ? REPOSITORY_IMAGE : REPOSITORY_MANIFEST;
	return image || strcasecmp(dot, ".json") == 0;
}

static int report(struct walk *w, const char *path, enum repository_file_kind kind, const struct stat *st, struct err *e)
{
	if (++w->files > REPOSITORY_FILES_MAX)
		return err_set(e, ERR_LIMIT, "repository", "the repository holds more than %d images", REPOSITORY_FILES_MAX);
	struct repository_file f = {
		.kind = kind, .path = path, .size = (uint64_t)st->st_size, .dev = st->st_dev, .ino = st->st_ino,
		.mtime = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000,
	};
	return w->found(w->arg, &f, e);
}

static int walk_folder(struct walk *w, const char *folder, unsigned depth, struct err *e);

static int visit(struct walk *w, int dir_fd, const char *folder, const char *name, unsigned depth, struct err *e)
{
	CLEANUP(free_ptr) char *path = NULL;
	if (asprintf(&path, "%s%s%s", folder, *folder ? "/" : "", name) < 0)
		return err_no_memory(e, "repository");
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : skip(w, path, errno, e);
	enum repository_file_kind kind;
	if (S_ISREG(st.st_mode))
		return kind_of(name, &kind) ? report(w, path, kind, &st, e) : 0;
	if (S_ISLNK(st.st_mode) && kind_of(name, &kind))
		return notes_add(w->skipped, path, "is a symbolic link, and those are not followed", e);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == REPOSITORY_DEPTH_MAX || strlen(path) >= REPOSITORY_PATH_MAX)
		return notes_add(w->skipped, path, "lies too deep", e);
	return walk_folder(w, path, depth + 1, e);
}

static int walk_folder(struct walk *w, const char *folder, unsigned depth, struct err *e)
{
	int fd = open_beneath(w->repo, *folder ? folder : ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int errnum = errno;
		if (fd >= 0)
			(void)close(fd);
		if (*folder)
			return skip(w, folder, errnum, e);
		return err_set_errno(e, ERR_REPOSITORY_UNREACHABLE, errnum, "repository", "the repository's folder cannot be read");
	}
	struct name_list names = {0};
	int r = read_names(w, dir, folder, &names, e);
	if (r >= 0 && names.count)
		qsort(names.items, names.count, sizeof(*names.items), by_bytes);
	for (size_t i = 0; i < names.count && r >= 0; i++)
		r = visit(w, fd, folder, names.items[i], depth, e);
	names_free(&names);
	(void)closedir(dir);
	return r;
}

int repository_walk(const struct repository *r, int (*found)(void *arg, const struct repository_file *f, struct err *e),
                    void *arg, struct repository_notes *skipped, struct err *e)
{
	struct walk w = {.repo = r, .found = found, .arg = arg, .skipped = skipped};
	return walk_folder(&w, "", 0, e);
}
