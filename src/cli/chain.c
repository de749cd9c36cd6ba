/* Finding the files of a chain. The worker says what a layer is backed by; this side decides whether that file may be
 * opened. A name in an image is a guest's or a stranger's word: it is followed only to regular files that really lie (links
 * resolved) beneath the image's own folder, or beneath a folder the user named. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LAYERS_MAX = 1024 };

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct finder {
	const struct chain_options *opt;
	struct chain *chain;
	unsigned disk;                   /* whose files are being found */
	char *own_folder;                /* real path of the image's folder; owned */
	struct file_id seen[LAYERS_MAX];
	unsigned seen_count;
};

static int check_regular(int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_IO, errno, "image", "%s", path);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	return err_set(e, ERR_IMAGE_UNREADABLE, "image", "%s: not a regular file", path);
}

/* Backups are read without a trace, their access times included, where the system allows it: to their owner and root. */
static const int image_flags[] = {
	O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOATIME,
	O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
};

static int open_top(const char *path, int *ret_fd, struct err *e)
{
	CLEANUP(fd_close) int fd = open(path, image_flags[0]);
	if (fd < 0 && errno == EPERM)
		fd = open(path, image_flags[1]);
	if (fd < 0)
		return err_set_errno(e, ERR_IMAGE_UNREADABLE, errno, "image", "%s", path);
	int r = check_regular(fd, path, e);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

/* True where `path` lies beneath `folder`; *ret_rest: the part behind it. Both are real paths. */
static bool is_beneath(const char *path, const char *folder, const char **ret_rest)
{
	size_t n = strlen(folder);
	if (strcmp(folder, "/") == 0)
		n = 0;
	if (strncmp(path, folder, n) != 0 || path[n] != '/')
		return false;
	*ret_rest = path + n + 1;
	return true;
}

/* Opens rest beneath folder in a way that nobody can bend on the way: no links, no "..". */
static int open_beneath(const char *folder, const char *rest, int *ret_fd, struct err *e)
{
	CLEANUP(fd_close) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = {
		.flags = (uint64_t)(unsigned)image_flags[0],
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = dir < 0 ? -1 : (int)syscall(SYS_openat2, dir, rest, &how, sizeof(how));
	if (dir >= 0 && fd < 0 && errno == EPERM) {
		how.flags = (uint64_t)(unsigned)image_flags[1];
		fd = (int)syscall(SYS_openat2, dir, rest, &how, sizeof(how));
	}
	if (fd < 0)
		return err_set_errno(e, ERR_IMAGE_UNREADABLE, errno, "image", "%s/%s", folder, rest);
	int r = check_regular(fd, rest, e);
	if (r < 0)
		(void)close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int refuse(const char *name, struct err *e)
{
	return err_set(e, ERR_IMAGE_BACKING_REFUSED, "image",
	               "the image names \"%s\", which is not beneath its own folder; if you trust it, name the folder with "
	               "--allow-backing",
	               name);
}

/* "file:x" is x for QEMU; any other "word:" is a protocol or JSON, which is no file. */
static int plain_name(const char *name, const char **ret, struct err *e)
{
	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	size_t word = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	if (word > 0 && name[word] == ':')
		return err_set(e, ERR_IMAGE_UNSUPPORTED, "image", "the image is backed by \"%s\"; only files can be opened", name);
	*ret = name;
	return 0;
}

/* Opens what `name` means in an image that lies at `from`. */
static int find_file(struct finder *f, const char *from, const char *name, char **ret_path, int *ret_fd, struct err *e)
{
	int r = plain_name(name, &name, e);
	if (r < 0)
		return r;
	char joined[PATH_MAX];
	const char *slash = strrchr(from, '/');
	int len = name[0] == '/' || !slash ? snprintf(joined, sizeof(joined), "%s", name)
	                                   : snprintf(joined, sizeof(joined), "%.*s/%s", (int)(slash - from), from, name);
	if (len < 0 || (size_t)len >= sizeof(joined))
		return err_set(e, ERR_IMAGE_UNSUPPORTED, "image", "the image names a file by a path that is too long");
	CLEANUP(free_ptr) char *real = realpath(joined, NULL);
	if (!real && errno == ENOENT)
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "image", "the backing file \"%s\" of %s is missing", name, from);
	if (!real)
		return err_set_errno(e, ERR_IMAGE_UNREADABLE, errno, "image", "the backing file \"%s\"", name);

	const char *rest = NULL;
	const char *folder = NULL;
	CLEANUP(free_ptr) char *allowed = NULL;
	if (is_beneath(real, f->own_folder, &rest))
		folder = f->own_folder;
	for (unsigned i = 0; i < f->opt->allow_count && !folder; i++) {
		free(allowed);
		allowed = realpath(f->opt->allow[i], NULL);
		if (allowed && is_beneath(real, allowed, &rest))
			folder = allowed;
	}
	if (!folder)
		return refuse(name, e);
	r = open_beneath(folder, rest, ret_fd, e);
	if (r == 0)
		*ret_path = STEAL(real);
	return r;
}

/* A file that is its own ancestor would go on for ever. */
static int note_seen(struct finder *f, int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_IO, errno, "image", "%s", path);
	for (unsigned i = 0; i < f->seen_count; i++)
		if (f->seen[i].dev == st.st_dev && f->seen[i].ino == st.st_ino)
			return err_set(e, ERR_IMAGE_CORRUPT, "image", "%s is backed by itself", path);
	if (f->seen_count == LAYERS_MAX)
		return err_set(e, ERR_LIMIT, "image", "the chain has more than %d layers", LAYERS_MAX);
	f->seen[f->seen_count++] = (struct file_id){st.st_dev, st.st_ino};
	return 0;
}

static int keep_layer(struct chain_disk *d, char *path, const struct wire_layer *info, struct err *e)
{
	struct chain_layer *more = realloc(d->layers, sizeof(*more) * (d->layer_count + 1));
	if (!more) {
		free(path);
		return err_no_memory(e, "image");
	}
	d->layers = more;
	more[d->layer_count++] = (struct chain_layer){.path = path, .info = *info};
	return 0;
}

/* The files a VMDK descriptor at `path` names, in their order. */
static int open_extents(struct finder *f, const char *path, unsigned count, struct session_extent_file *files, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		CLEANUP(free_ptr) char *found = NULL;
		int r = session_extent(f->chain->session, f->disk, i, &files[i].extent, e);
		if (r == 0)
			r = find_file(f, path, files[i].extent.name, &found, &files[i].fd, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A layer in a foreign format gets its bytes. */
static int attach(struct finder *f, const char *path, int fd, struct wire_layer *info, struct err *e)
{
	struct session *s = f->chain->session;
	if (!session_takes_foreign(s)) {
		f->chain->foreign = true;
		return err_set(e, ERR_IMAGE_UNSUPPORTED, "image", "%s: a %s image", path, info->format);
	}
	if (info->encrypted)
		return 0;        /* its bytes come with its passphrase */
	struct session_extent_file files[WIRE_EXTENTS_MAX];
	unsigned count = info->extent_count;
	for (unsigned i = 0; i < count; i++)
		files[i].fd = -1;
	int r = open_extents(f, path, count, files, e);
	if (r == 0)
		r = session_attach(s, f->disk, info->format, fd, files, count, info, e);
	for (unsigned i = 0; i < count; i++)
		if (files[i].fd >= 0)
			(void)close(files[i].fd);
	return r;
}

/* Hands one layer over; takes path over. */
static int add_layer(struct finder *f, char *path, int fd, const char *format, struct err *e)
{
	struct session *s = f->chain->session;
	struct wire_layer info;
	int r = note_seen(f, fd, path, e);
	if (r == 0) {
		r = session_layer(s, f->disk, fd, format, &info, e);
		if (r == 0 && (info.foreign || info.encrypted))
			r = attach(f, path, fd, &info, e);
		if (r < 0)
			(void)err_prefix(e, "%s", path);
	}
	if (r == 0 && info.has_data_file) {
		CLEANUP(free_ptr) char *data_path = NULL;
		CLEANUP(fd_close) int data_fd = -1;
		if (info.data_file_name[0] == '\0')
			r = err_set(e, ERR_IMAGE_LAYER_MISSING, "image", "%s keeps its data in another file but does not name it", path);
		else
			r = find_file(f, path, info.data_file_name, &data_path, &data_fd, e);
		if (r == 0)
			r = session_data_file(s, f->disk, f->chain->disks[f->disk].layer_count, data_fd, e);
	}
	if (r < 0) {
		free(path);
		return r;
	}
	return keep_layer(&f->chain->disks[f->disk], path, &info, e);
}

static int add_chain(struct finder *f, const char *image, struct err *e)
{
	CLEANUP(fd_close) int fd = -1;
	int r = open_top(image, &fd, e);
	if (r < 0)
		return r;
	char *real = realpath(image, NULL);
	if (!real)
		return err_set_errno(e, ERR_IMAGE_UNREADABLE, errno, "image", "%s", image);
	char *slash = strrchr(real, '/');
	f->own_folder = slash == real ? strdup("/") : strndup(real, (size_t)(slash - real));
	if (!f->own_folder) {
		free(real);
		return err_no_memory(e, "image");
	}
	/* A QCOW2 file without its header is damaged, not a raw disk full of noise. */
	const char *dot = strrchr(image, '.');
	r = add_layer(f, real, fd, dot && strcasecmp(dot, ".qcow2") == 0 ? "qcow2" : session_foreign_format(image), e);
	while (r == 0) {
		const struct chain_disk *d = &f->chain->disks[f->disk];
		const struct chain_layer *last = &d->layers[d->layer_count - 1];
		if (last->info.backing_name[0] == '\0')
			break;
		char *path = NULL;
		CLEANUP(fd_close) int next = -1;
		r = find_file(f, last->path, last->info.backing_name, &path, &next, e);
		if (r == 0)
			r = add_layer(f, path, next, last->info.backing_format, e);
	}
	return r;
}

/* The disk of one image: its files, and what it is called where there are several. */
static int add_disk(struct chain *c, const struct chain_options *opt, unsigned disk, struct err *e)
{
	CLEANUP(free_ptr) struct finder *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "image");
	f->opt = opt;
	f->chain = c;
	f->disk = disk;
	const char *image = opt->images[disk], *slash = strrchr(image, '/');
	int r = add_chain(f, image, e);
	free(f->own_folder);
	return r < 0 || opt->image_count == 1 ? r : session_disk(c->session, disk, slash ? slash + 1 : image, NULL, e);
}

/* What opens in part only is no success here: the disks were named one by one. */
static int check_all_there(const struct chain *c, const struct chain_options *opt, struct err *e)
{
	for (unsigned i = 0; i < c->disk_count; i++)
		if (session_missing(c->session, i))
			return err_set(e, ERR_IMAGE_UNREADABLE, "image", "%s: %s", opt->images[i], session_missing(c->session, i));
	return 0;
}

/* *ret_foreign: it failed because the worker was not one for foreign images. */
static int open_all(const struct chain_options *opt, bool foreign, struct chain *ret, bool *ret_foreign, struct err *e)
{
	struct chain c = {0};
	struct session_options so = {
		.log_fd = -1, .one_thread = true, .no_sandbox = getenv("SENDENSE_NO_SANDBOX") != NULL, .foreign = foreign};
	int r = session_begin(&so, &c.session, e);
	if (r < 0)
		return r;
	for (; r == 0 && c.disk_count < opt->image_count; c.disk_count++)
		r = add_disk(&c, opt, c.disk_count, e);
	if (r == 0)
		r = session_open(c.session, &c.opened, e);
	if (r == 0)
		r = check_all_there(&c, opt, e);
	if (r == 0)
		r = chain_unlock(&c, opt, e);
	*ret_foreign = c.foreign;
	if (r < 0)
		chain_close(&c);
	else
		*ret = c;
	return r;
}

int chain_open(const struct chain_options *opt, struct chain *ret, struct err *e)
{
	bool foreign;
	int r = open_all(opt, false, ret, &foreign, e);
	if (r == 0 || !foreign)
		return r;
	err_clear(e);
	return open_all(opt, true, ret, &foreign, e);
}

void chain_close(struct chain *c)
{
	session_close(c->session);
	for (unsigned d = 0; d < c->disk_count; d++) {
		for (unsigned i = 0; i < c->disks[d].layer_count; i++)
			free(c->disks[d].layers[i].path);
		free(c->disks[d].layers);
	}
	*c = (struct chain){0};
}
