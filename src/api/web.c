#include "api/web.h"

#include "base/hex.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ETAG_BYTES = 16 };

struct web {
	struct web_file files[WEB_FILES_MAX];
	unsigned count;
};

static const char *content_type(const char *path)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"},  {".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},    {".svg", "image/svg+xml"},
		{".json", "application/json"},          {".woff2", "font/woff2"},
		{".png", "image/png"},                  {".ico", "image/x-icon"},
		{".txt", "text/plain; charset=utf-8"},  {".webmanifest", "application/manifest+json"},
	};
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static int read_whole(int fd, struct web_file *f, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "web", "cannot read %s of the web page", f->path);
	if (!S_ISREG(st.st_mode) || st.st_size > WEB_FILE_MAX)
		return err_set(e, ERR_CONFIG, "web", "%s of the web page is not a regular file of at most 8 MiB", f->path);
	f->data = malloc((size_t)st.st_size + 1);
	if (!f->data)
		return err_no_memory(e, "web");
	while (f->len < (size_t)st.st_size) {
		ssize_t n = read(fd, (char *)f->data + f->len, (size_t)st.st_size - f->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(e, ERR_CONFIG, n < 0 ? errno : EIO, "web", "cannot read %s of the web page", f->path);
		f->len += (size_t)n;
	}
	return 0;
}

static int add_file(struct web *w, int dir, const char *name, const char *path, struct err *e)
{
	if (w->count == WEB_FILES_MAX)
		return err_set(e, ERR_CONFIG, "web", "the web page's folder holds more than %d files", WEB_FILES_MAX);
	CLEANUP(fd_close) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "web", "cannot read %s of the web page", path);
	struct web_file *f = &w->files[w->count++];
	(void)snprintf(f->path, sizeof(f->path), "%s", path);
	f->type = content_type(path);
	f->hashed = strncmp(path, "assets/", 7) == 0;
	int r = read_whole(fd, f, e);
	if (r < 0)
		return r;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	(void)SHA256(f->data, f->len, digest);
	hex_encode(f->etag, digest, ETAG_BYTES);
	return 0;
}

static void close_dir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* Takes the descriptor over. prefix: "" or "assets/". */
static int read_folder(struct web *w, int fd, const char *prefix, unsigned depth, struct err *e)
{
	CLEANUP(close_dir) DIR *d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return err_no_memory(e, "web");
	}
	int r = 0;
	for (const struct dirent *en; r == 0 && (en = readdir(d));) {
		char path[WEB_PATH_MAX];
		struct stat st;
		if (en->d_name[0] == '.')
			continue;
		int len = snprintf(path, sizeof(path), "%s%s", prefix, en->d_name);
		if (len >= (int)sizeof(path) - 1 || fstatat(dirfd(d), en->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(e, ERR_CONFIG, "web", "cannot read a file of the web page");
		if (!S_ISDIR(st.st_mode)) {
			r = add_file(w, dirfd(d), en->d_name, path, e);
			continue;
		}
		int sub = depth < WEB_DEPTH_MAX ? openat(dirfd(d), en->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (sub < 0)
			return err_set(e, ERR_CONFIG, "web", "cannot read the folder %s of the web page", path);
		path[len] = '/';
		path[len + 1] = '\0';
		r = read_folder(w, sub, path, depth + 1, e);
	}
	return r;
}

int web_open(const char *dir, struct web **ret, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "web", "cannot open the web page's folder");
	CLEANUP(web_close_p) struct web *w = calloc(1, sizeof(*w));
	if (!w) {
		(void)close(fd);
		return err_no_memory(e, "web");
	}
	int r = read_folder(w, fd, "", 0, e);
	if (r < 0)
		return r;
	if (!web_find(w, "index.html", 10))
		return err_set(e, ERR_CONFIG, "web", "the web page's folder has no index.html: \"make web\" builds it");
	*ret = STEAL(w);
	return 0;
}

void web_close(struct web *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->count; i++)
		free(w->files[i].data);
	free(w);
}

const char *web_find_dir(char *to, size_t size)
{
	static const char *const places[] = {"../share/sendense/web", "../../../web/dist"};
	char self[PATH_MAX], index[PATH_MAX * 2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return NULL;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	*slash = '\0';
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int len = snprintf(to, size, "%s/%s", self, places[i]);
		(void)snprintf(index, sizeof(index), "%s/%s/index.html", self, places[i]);
		if (len > 0 && (size_t)len < size && access(index, R_OK) == 0)
			return to;
	}
	return NULL;
}

const struct web_file *web_find(const struct web *w, const char *path, size_t len)
{
	for (unsigned i = 0; i < w->count; i++)
		if (strlen(w->files[i].path) == len && memcmp(w->files[i].path, path, len) == 0)
			return &w->files[i];
	return NULL;
}
