#include "repository/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { OPEN_TRIES = 64 };

/* "/a//b/" → "/a/b"; "/" → "". */
static char *tidy(const char *path)
{
	char text[REPOSITORY_PATH_MAX];
	char *ret = NULL;
	if (!path_join("", path, text))
		return strdup("");
	return asprintf(&ret, "/%s", text) < 0 ? NULL : ret;
}

/* Where the descriptor leads: image headers may name files by that rather than by the location as it was given. */
static char *real_path(int fd, const char *otherwise)
{
	char link[64], path[REPOSITORY_PATH_MAX];
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return strdup(otherwise);
	path[n] = '\0';
	return tidy(path);
}

static int check_type(const char *type, const char *location, struct err *e)
{
	if (strcmp(type, "s3") == 0)
		return err_set(e, ERR_NOT_IMPLEMENTED, "repository", "repositories of type s3 cannot be used yet");
	if (strcmp(type, "local") != 0 && strcmp(type, "nfs") != 0 && strcmp(type, "cifs") != 0)
		return err_set(e, ERR_INVALID, "repository", "a repository's type is one of local, nfs, cifs, s3");
	if (location[0] != '/' || strlen(location) >= REPOSITORY_PATH_MAX)
		return err_set(e, ERR_INVALID, "repository", "a repository's location is an absolute path");
	return 0;
}

int repository_open(const char *type, const char *location, struct repository **ret, struct err *e)
{
	int result = check_type(type, location, e);
	if (result < 0)
		return result;
	CLEANUP(fd_close) int fd = open(location, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, ERR_REPOSITORY_UNREACHABLE, errno, "repository", "the repository's folder cannot be opened");
	/* Only the owner of a file and root may read without a trace; where the folder is someone else's, its files are likely, too. */
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	CLEANUP(fd_close) int readable = openat(fd, ".", flags | O_NOATIME);
	bool ours = readable >= 0 || errno != EPERM;
	if (!ours)
		readable = openat(fd, ".", flags);
	if (readable < 0)
		return err_set_errno(e, ERR_REPOSITORY_UNREACHABLE, errno, "repository", "the repository's folder cannot be read");
	CLEANUP(repository_close_p) struct repository *r = calloc(1, sizeof(*r));
	if (!r)
		return err_no_memory(e, "repository");
	r->root = -1;
	r->location = tidy(location);
	r->real = r->location ? real_path(fd, r->location) : NULL;
	if (!r->location || !r->real)
		/* cppcheck-suppress memleak ; CLEANUP closes it */
		return err_no_memory(e, "repository");
	r->root = fd_steal(&fd);
	r->ours = ours;
	*ret = STEAL(r);
	return 0;
}

void repository_close(struct repository *r)
{
	if (!r)
		return;
	if (r->root >= 0)
		(void)close(r->root);
	free(r->location);
	free(r->real);
	free(r);
}

int repository_root_fd(const struct repository *r)
{
	return r->root;
}

static bool is_link(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* The same without openat2(2), which Linux before 5.6, some containers and valgrind do not know: folder by folder, never
 * through a link and never up. */
static int open_by_steps(int root, const char *path, int flags)
{
	CLEANUP(fd_close) int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
	while (dir >= 0) {
		char part[NAME_MAX + 1];
		path += strspn(path, "/");
		size_t n = strcspn(path, "/");
		if (n > NAME_MAX || (n == 2 && memcmp(path, "..", 2) == 0)) {
			errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(part, n ? path : ".", n ? n : 1);
		part[n ? n : 1] = '\0';
		path += n;
		if (path[strspn(path, "/")] == '\0')
			return openat(dir, part, flags | O_NOFOLLOW | O_CLOEXEC);
		int next = openat(dir, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			if (errno == ENOTDIR && is_link(dir, part))
				errno = ELOOP;           /* as openat2 says it */
			return -1;
		}
		(void)close(dir);
		dir = next;
	}
	return -1;
}

int open_beneath(const struct repository *r, const char *path, int flags)
{
	if (*path == '/') {
		errno = EXDEV;
		return -1;
	}
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	long fd = -1;
	/* EAGAIN: something was renamed meanwhile, so the kernel cannot be sure; it asks to be called again. */
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, r->root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 && errno == ENOSYS ? open_by_steps(r->root, path, flags) : (int)fd;
}

static int open_failed(int errnum, const char *path, struct err *e)
{
	char shown[PATH_SHOWN_MAX];
	/* An absolute path tells of the machine that made the image: only its end is shown. */
	path_show(path[0] == '/' ? path_base(path) : path, shown);
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "repository", "%s is not in the repository", shown);
	case ELOOP:
	case EXDEV:
	case ENAMETOOLONG:
		return err_set(e, ERR_IMAGE_BACKING_REFUSED, "repository",
		               "%s leads out of the repository or through a symbolic link", shown);
	case ESTALE:
	case ENOTCONN:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return err_set_errno(e, ERR_REPOSITORY_UNREACHABLE, errnum, "repository", "the repository does not answer");
	default:
		return err_set_errno(e, ERR_IO, errnum, "repository", "%s cannot be opened", shown);
	}
}

int repository_open_file(const struct repository *r, const char *path, int *ret_fd, struct err *e)
{
	char shown[PATH_SHOWN_MAX];
	if (!*path)
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "repository", "the file has no name");
	/* NONBLOCK: a fifo must not hold the hub up before it is seen to be one. */
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
	CLEANUP(fd_close) int fd = open_beneath(r, path, r->ours ? flags | O_NOATIME : flags);
	if (fd < 0 && errno == EPERM && r->ours)
		fd = open_beneath(r, path, flags);
	if (fd < 0)
		return open_failed(errno, path, e);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_IO, errno, "repository", "%s cannot be examined", path_show(path, shown));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IMAGE_UNREADABLE, "repository", "%s is not a regular file", path_show(path, shown));
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* --- names in image headers ----------------------------------------------------------------------- */

/* "nbd://…", "json:{…}", "file:x": QEMU takes what has a ":" before any "/" for such a name. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* The rest of an absolute, tidied path below `root`; NULL when it is not there. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);
	return strncmp(path, root, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

int repository_resolve(const struct repository *r, const char *image_path, const char *name, char *ret, struct err *e)
{
	char shown[PATH_SHOWN_MAX], folder[REPOSITORY_PATH_MAX];
	path_show(name, shown);
	if (!*name || has_protocol(name))
		return err_set(e, ERR_IMAGE_BACKING_REFUSED, "repository", "\"%s\" is not the name of a file", shown);
	if (name[0] == '/') {
		CLEANUP(free_ptr) char *path = strlen(name) < REPOSITORY_PATH_MAX ? tidy(name) : strdup("");
		if (!path)
			return err_no_memory(e, "repository");
		const char *rest = below(path, r->location);
		if (!rest)
			rest = below(path, r->real);
		if (rest && path_join("", rest, ret))
			return 0;
		return err_set(e, ERR_IMAGE_BACKING_REFUSED, "repository",
		               "the backing file \"%s\" is named by an absolute path outside the repository", path_base(shown));
	}
	path_folder(image_path, folder);
	if (!path_join(folder, name, ret))
		return err_set(e, ERR_IMAGE_BACKING_REFUSED, "repository", "the backing file \"%s\" lies outside the repository",
		               shown);
	return 0;
}
