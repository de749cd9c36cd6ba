#include "client/part.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUFFIX_ROOM = 10 };               /* strlen(".part.etag") */

/* A name near the file system's limit is cut for its working files. */
static char *with_suffix(const char *path, const char *suffix)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash + 1 - path) : 0;
	size_t name = strlen(path + dir);
	if (name > NAME_MAX - SUFFIX_ROOM)
		name = NAME_MAX - SUFFIX_ROOM;
	char *s = NULL;
	return asprintf(&s, "%.*s%s", (int)(dir + name), path, suffix) < 0 ? NULL : s;
}

static int exists_already(const struct part *p, struct err *e)
{
	return err_set(e, ERR_EXISTS, "client", "%s exists already; --force replaces it, -o names another", p->path);
}

static int open_part(struct part *p, struct err *e)
{
	struct stat st;
	if (!p->replace && lstat(p->path, &st) == 0)
		return exists_already(p, e);
	p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (p->fd < 0)
		return err_set_errno(e, ERR_IO, errno, "client", "cannot make %s", p->part);
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "client", "%s is not a regular file", p->part);
	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(e, ERR_CONFLICT, "client", "another download is writing %s", p->part);
	return 0;
}

int part_open(struct part *p, const char *path, bool replace, struct err *e)
{
	*p = PART_INIT;
	p->replace = replace;
	p->to_stdout = strcmp(path, "-") == 0;
	if (p->to_stdout) {
		p->fd = STDOUT_FILENO;
		return 0;
	}
	p->path = strdup(path);
	p->part = with_suffix(path, ".part");
	p->tag = with_suffix(path, ".part.etag");
	int r = p->path && p->part && p->tag ? open_part(p, e) : err_no_memory(e, "client");
	if (r < 0)
		part_close(p);
	return r;
}

uint64_t part_kept(const struct part *p, char ret_etag[CALL_ETAG_MAX])
{
	struct stat st;
	if (p->to_stdout || fstat(p->fd, &st) < 0 || st.st_size <= 0)
		return 0;
	CLEANUP(fd_close) int fd = open(p->tag, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_etag, CALL_ETAG_MAX);
	if (n < 2 || n >= CALL_ETAG_MAX || ret_etag[0] != '"' || ret_etag[n - 1] != '"')
		return 0;
	ret_etag[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (ret_etag[i] < '!' || ret_etag[i] > '~')
			return 0;
	return (uint64_t)st.st_size;
}

int part_begin(struct part *p, const char *etag, struct err *e)
{
	p->at = 0;
	if (p->to_stdout)
		return 0;
	/* The old tag goes before the bytes it belongs to, the new one comes before the new bytes. */
	(void)unlink(p->tag);
	if (ftruncate(p->fd, 0) < 0)
		return err_set_errno(e, ERR_IO, errno, "client", "cannot write %s", p->part);
	if (etag[0] != '"')
		return 0;
	CLEANUP(fd_close) int fd = open(p->tag, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, etag, strlen(etag)) != (ssize_t)strlen(etag))
		return err_set_errno(e, ERR_IO, errno, "client", "cannot write %s", p->tag);
	return 0;
}

int part_resume(struct part *p, uint64_t at, struct err *e)
{
	p->at = at;
	if (ftruncate(p->fd, (off_t)at) < 0)
		return err_set_errno(e, ERR_IO, errno, "client", "cannot write %s", p->part);
	return 0;
}

int part_write(struct part *p, const void *data, size_t len, struct err *e)
{
	const char *s = data;
	while (len > 0) {
		ssize_t n = p->to_stdout ? write(p->fd, s, len) : pwrite(p->fd, s, len, (off_t)p->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(e, ERR_IO, n < 0 ? errno : ENOSPC, "client", "cannot write %s",
			                     p->to_stdout ? "to standard output" : p->part);
		s += n;
		len -= (size_t)n;
		p->at += (uint64_t)n;
	}
	return 0;
}

static int take_name(struct part *p, struct err *e)
{
	int r = p->replace ? rename(p->part, p->path)
	                   : renameat2(AT_FDCWD, p->part, AT_FDCWD, p->path, RENAME_NOREPLACE);
	/* NFS, FUSE and others know no such rename; some of them know no hard links either. */
	if (r < 0 && !p->replace && (errno == EINVAL || errno == ENOSYS)) {
		r = link(p->part, p->path);
		if (r == 0)
			(void)unlink(p->part);
		else if (errno != EEXIST && access(p->path, F_OK) < 0)
			r = rename(p->part, p->path);
	}
	if (r < 0 && errno == EEXIST)
		return exists_already(p, e);
	return r < 0 ? err_set_errno(e, ERR_IO, errno, "client", "cannot make %s", p->path) : 0;
}

int part_finish(struct part *p, mode_t mode, const struct timespec *mtime, struct err *e)
{
	if (p->to_stdout)
		return 0;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
	if (mtime)
		times[1] = *mtime;
	/* A time the file system cannot keep is no reason to lose the bytes. */
	(void)futimens(p->fd, times);
	if (fchmod(p->fd, mode) < 0 || fsync(p->fd) < 0)
		return err_set_errno(e, ERR_IO, errno, "client", "cannot finish %s", p->part);
	int r = take_name(p, e);
	if (r == 0)
		(void)unlink(p->tag);
	return r;
}

void part_discard(struct part *p)
{
	if (p->to_stdout || p->fd < 0)
		return;
	(void)unlink(p->part);
	(void)unlink(p->tag);
}

void part_close(struct part *p)
{
	if (!p->to_stdout && p->fd >= 0)
		(void)close(p->fd);
	free(p->path);
	free(p->part);
	free(p->tag);
	*p = PART_INIT;
}
