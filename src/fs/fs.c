/* The validating front: see fs.h. Paths are in resolve.c. */
#include "fs/fs.h"

#include "base/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NSEC_PER_SEC = 1000000000 };

static const char *const type_names[] = {
	[FS_UNKNOWN] = "unknown", [FS_FILE] = "file", [FS_DIRECTORY] = "directory", [FS_SYMLINK] = "symlink",
	[FS_BLOCK] = "block",     [FS_CHAR] = "char", [FS_FIFO] = "fifo",           [FS_SOCKET] = "socket",
};

const char *fs_type_name(enum fs_type t)
{
	return type_names[t];
}

enum fs_type fs_type_from_mode(uint32_t mode)
{
	/* The numbers of inode(7); they are the same in every filesystem that stores a mode. */
	switch (mode & 0170000) {
	case 0100000: return FS_FILE;
	case 0040000: return FS_DIRECTORY;
	case 0120000: return FS_SYMLINK;
	case 0060000: return FS_BLOCK;
	case 0020000: return FS_CHAR;
	case 0010000: return FS_FIFO;
	case 0140000: return FS_SOCKET;
	default: return FS_UNKNOWN;
	}
}

enum fs_type fs_type_from_ftype(uint8_t ftype)
{
	static const enum fs_type types[] = {
		FS_UNKNOWN, FS_FILE, FS_DIRECTORY, FS_CHAR, FS_BLOCK, FS_FIFO, FS_SOCKET, FS_SYMLINK,
	};
	return ftype < sizeof(types) / sizeof(types[0]) ? types[ftype] : FS_UNKNOWN;
}

/* Every driver call passes here: it succeeded, or it said why. */
static int checked(int r, const struct err *e)
{
	assert(r <= 0 && (r == 0) == (e->code == 0) && "a failing driver says why");
	(void)e;
	return r;
}

/* --- for drivers ---------------------------------------------------------------------------------- */

void fs_init(struct fs *fs, const struct fs_driver *driver, struct blk *b)
{
	fs->driver = driver;
	fs->blk = blk_ref(b);
	fs->ident = (struct fs_ident){0};
	fs->warning_count = 0;
}

void fs_fini(struct fs *fs)
{
	for (unsigned i = 0; i < fs->warning_count; i++)
		free(fs->warnings[i]);
	fs->warning_count = 0;
	blk_unref(fs->blk);
	fs->blk = NULL;
}

void fs_warn(struct fs *fs, const char *fmt, ...)
{
	if (fs->warning_count == FS_WARNINGS_MAX)
		return;
	struct buf text = BUF_INIT(ERR_MSG_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	char *warning = buf_detach(&text);
	if (warning)
		fs->warnings[fs->warning_count++] = warning;
	buf_free(&text);
}

/* --- open ----------------------------------------------------------------------------------------- */

int fs_probe(struct blk *b, const struct fs_driver **ret_driver, struct fs_ident *ret, struct err *e)
{
	const struct fs_driver *best = NULL;
	struct fs_ident best_ident = {0};
	int best_score = 0;
	for (size_t i = 0; fs_drivers[i] && best_score < FS_PROBE_SURE; i++) {
		struct fs_ident ident = {0};
		int score = fs_drivers[i]->probe(b, &ident, e);
		assert((score < 0) == (e->code != 0) && "a failing driver says why");
		if (score < 0)
			return score;
		if (score > best_score) {
			best = fs_drivers[i];
			best_score = score;
			best_ident = ident;
		}
	}
	*ret_driver = best;
	if (best)
		*ret = best_ident;
	return 0;
}

int fs_open(struct blk *b, struct fs **ret, struct err *e)
{
	return fs_open_with(b, NULL, NULL, 0, ret, e);
}

/* The driver that was found before, where it still says so; else whichever does. */
static int probe_again(struct blk *b, const struct fs_driver *hint, const struct fs_driver **ret_driver, struct fs_ident *ret,
                       struct err *e)
{
	struct fs_ident ident = {0};
	int score = hint ? hint->probe(b, &ident, e) : 0;
	assert((score < 0) == (e->code != 0) && "a failing driver says why");
	if (score <= 0)
		return score < 0 ? score : fs_probe(b, ret_driver, ret, e);
	*ret_driver = hint;
	*ret = ident;
	return 0;
}

int fs_open_with(struct blk *b, const struct fs_driver *hint, struct blk *const *others, unsigned count, struct fs **ret,
                 struct err *e)
{
	const struct fs_driver *driver = NULL;
	struct fs_ident ident;
	int r = probe_again(b, hint, &driver, &ident, e);
	if (r < 0)
		return r;
	if (!driver)
		return err_set(e, ERR_FS_UNSUPPORTED, "fs", "no filesystem that can be read was found here");
	struct fs *fs = NULL;
	if (driver->open_with && count > 0)
		r = driver->open_with(b, others, count, &fs, e);
	else
		r = driver->open(b, &fs, e);
	r = checked(r, e);
	if (r < 0)
		return r;
	fs->ident = ident;
	*ret = fs;
	return 0;
}

void fs_close(struct fs *fs)
{
	if (fs)
		fs->driver->close(fs);
}

/* --- objects -------------------------------------------------------------------------------------- */

struct fs_id fs_root(struct fs *fs)
{
	return fs->driver->root(fs);
}

static bool is_dot(const char *name, size_t len)
{
	return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

static bool has_forbidden_byte(const char *name, size_t len)
{
	return memchr(name, '/', len) || memchr(name, '\0', len);
}

int fs_lookup(struct fs *fs, struct fs_id dir, const char *name, size_t len, struct fs_id *ret,
              struct err *e)
{
	if (len == 0 || is_dot(name, len) || has_forbidden_byte(name, len))
		return err_set(e, ERR_PATH_INVALID, "fs", "this is not a name of a directory entry");
	if (len > FS_NAME_MAX)
		return err_set(e, ERR_NOT_FOUND, "fs", "no name is %zu bytes long", len);
	return checked(fs->driver->lookup(fs, dir, name, len, ret, e), e);
}

/* What a driver finds is guest data: stat's numbers are brought into the range the contract promises. */
static void normalise(struct fs_stat *st)
{
	st->mode &= 07777;
	struct fs_time *times[] = {&st->mtime, &st->atime, &st->ctime, &st->btime};
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		if (times[i]->nsec >= NSEC_PER_SEC)
			times[i]->nsec = NSEC_PER_SEC - 1;
}

int fs_stat(struct fs *fs, struct fs_id id, struct fs_stat *ret, struct err *e)
{
	struct fs_stat st = {0};
	int r = checked(fs->driver->stat(fs, id, &st, e), e);
	if (r < 0)
		return r;
	assert(st.type != FS_UNKNOWN);
	normalise(&st);
	*ret = st;
	return 0;
}

struct listing {
	fs_dirent_fn *fn;
	void *arg;
	bool stopped;
	int answer;
};

/* A name no path can hold is shown with "?" in place of what is wrong with it, and cannot be opened. "." and
 * ".." get here only as damage: where they are part of the format, they are left out. */
static void sanitise(struct fs_dirent *de, char *name, struct err *e)
{
	size_t len = min_size(de->name_len, FS_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		name[i] = de->name[i] == '/' || de->name[i] == '\0' ? '?' : de->name[i];
	if (is_dot(name, len))
		name[0] = '?';
	if (len == 0)
		name[len++] = '?';
	if (!de->broken) {
		err_set(e, ERR_FILE_CORRUPT, "fs", "the entry's name is empty, too long or holds a slash or a NUL");
		de->broken = e;
	}
	de->name = name;
	de->name_len = len;
}

static int listing_entry(void *arg, const struct fs_dirent *given)
{
	struct listing *l = arg;
	assert(!l->stopped && given->next != 0);
	bool dot = is_dot(given->name, given->name_len);
	if (dot && !given->broken)
		return 0;
	struct fs_dirent de = *given;
	char name[FS_NAME_MAX];
	struct err broken = ERR_INIT;
	if (dot || de.name_len == 0 || de.name_len > FS_NAME_MAX || has_forbidden_byte(de.name, de.name_len))
		sanitise(&de, name, &broken);
	struct fs_stat st;
	if (de.st) {
		st = *de.st;
		normalise(&st);
		de.st = &st;
	}
	int r = l->fn(l->arg, &de);
	if (r != 0) {
		l->stopped = true;
		l->answer = r;
	}
	return r;
}

int fs_readdir(struct fs *fs, struct fs_id dir, uint64_t cookie, fs_dirent_fn *fn, void *arg,
               struct err *e)
{
	struct listing l = {.fn = fn, .arg = arg};
	int r = fs->driver->readdir(fs, dir, cookie, listing_entry, &l, e);
	if (l.stopped) {
		assert(r == l.answer && "a driver stops when it is told to");
		return r;
	}
	return checked(r, e);
}

int fs_readlink(struct fs *fs, struct fs_id id, struct buf *ret, struct err *e)
{
	struct fs_stat st;
	int r = fs_stat(fs, id, &st, e);
	if (r < 0)
		return r;
	if (st.type != FS_SYMLINK)
		return err_set(e, ERR_INVALID, "fs", "this is not a symbolic link");
	assert(fs->driver->readlink && "a driver that shows links reads them");
	return checked(fs->driver->readlink(fs, id, ret, e), e);
}

/* A negative answer of the callback has no message of its own here: the caller knows it. */
static int checked_walk(int r, const struct err *e)
{
	assert((e->code == 0 || r < 0) && "a driver that succeeded left an error behind");
	(void)e;
	return r;
}

int fs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e)
{
	if (!fs->driver->xattrs)
		return 0;
	return checked_walk(fs->driver->xattrs(fs, id, fn, arg, e), e);
}

int fs_streams(struct fs *fs, struct fs_id id, fs_stream_fn *fn, void *arg, struct err *e)
{
	if (!fs->driver->streams)
		return 0;
	return checked_walk(fs->driver->streams(fs, id, fn, arg, e), e);
}

/* --- files ---------------------------------------------------------------------------------------- */

int fs_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret,
                 struct err *e)
{
	struct fs_stat st;
	int r = fs_stat(fs, id, &st, e);
	if (r < 0)
		return r;
	/* A directory of NTFS may have named streams, but no bytes of its own. */
	if (!stream && st.type == FS_DIRECTORY)
		return err_set(e, ERR_IS_DIRECTORY, "fs", "a directory cannot be read as a file");
	if (!stream && st.type != FS_FILE)
		return err_set(e, ERR_NOT_FILE, "fs", "a %s has no bytes to read", fs_type_name(st.type));
	if (stream && !fs->driver->streams)
		return err_set(e, ERR_NOT_FOUND, "fs", "files of this filesystem have no named streams");
	struct fs_file *f = NULL;
	r = checked(fs->driver->file_open(fs, id, stream, &f, e), e);
	if (r < 0)
		return r;
	assert(f->fs == fs);
	*ret = f;
	return 0;
}

void fs_file_close(struct fs_file *f)
{
	if (f)
		f->fs->driver->file_close(f);
}

static int check_range(const struct fs_file *f, uint64_t off, uint64_t len, struct err *e)
{
	if (range_inside(off, len, f->size))
		return 0;
	return err_set(e, ERR_INVALID, "fs",
	               "a read of %" PRIu64 " bytes at %" PRIu64 " leaves the file of %" PRIu64 " bytes", len,
	               off, f->size);
}

int fs_file_extent(struct fs_file *f, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	int r = check_range(f, off, len, e);
	if (r < 0)
		return r;
	if (len == 0)
		return err_set(e, ERR_INVALID, "fs", "an extent of no bytes was asked for");
	struct fs_extent ext = {0};
	r = checked(f->fs->driver->extent(f, off, len, &ext, e), e);
	if (r < 0)
		return r;
	assert(ext.len > 0 && ext.len <= len);
	if (ext.kind == FS_EXTENT_DATA && !range_inside(ext.vol_off, ext.len, f->fs->blk->size))
		return err_set(e, ERR_FILE_CORRUPT, "fs",
		               "the file's bytes at %" PRIu64 " would lie at %" PRIu64
		               ", beyond the volume's end at %" PRIu64,
		               off, ext.vol_off, f->fs->blk->size);
	*ret = ext;
	return 0;
}

int fs_file_read(struct fs_file *f, uint64_t off, void *to, size_t len, struct err *e)
{
	int r = check_range(f, off, len, e);
	uint8_t *p = to;
	while (r == 0 && len > 0) {
		struct fs_extent ext;
		r = fs_file_extent(f, off, len, &ext, e);
		if (r < 0)
			break;
		size_t n = (size_t)ext.len;
		switch (ext.kind) {
		case FS_EXTENT_DATA:
			r = blk_read(f->fs->blk, ext.vol_off, p, n, e);
			break;
		case FS_EXTENT_ZERO:
			memset(p, 0, n);
			break;
		case FS_EXTENT_ENCODED:
			r = checked(f->fs->driver->read(f, off, p, n, e), e);
			break;
		}
		p += n;
		off += n;
		len -= n;
	}
	return r;
}
