/* fsdump [--offset N] [--ident] [--all] [--with RAWFILE]… RAWFILE [PATH]
 *
 * Opens a filesystem (--with: other devices it may lie on) and prints its manifest, depth first, children sorted bytewise by name:
 *
 *	./dir/name type=file mode=0644 uid=0 gid=0 nlink=1 size=5 time=1700000000.000000000 sha256=<hex>
 *	./dir/link type=link mode=0777 uid=0 gid=0 nlink=1 time=… link=<target>
 *	./dir/sda type=block … rdev=8,0
 *
 * Bytes outside 0x21–0x7e, '\' and '#' are \ooo. An entry that fails is a line "# ./path: CODE message",
 * and the exit status then is 1. With --ident, lines "# ident …" and "# warning …" come first.
 */
#include "base/cleanup.h"
#include "fs/fs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 4096, CHUNK = 1 << 20 };

static bool failed;

struct child {
	char *name;
	size_t len;
	struct fs_id id;
	int broken;
	char why[ERR_MSG_MAX];
};

struct children {
	struct child *list;
	size_t count, cap;
};

static void put(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x21 || c > 0x7e || c == '\\' || c == '#')
			printf("\\%03o", c);
		else
			putchar(c);
	}
}

static void complain(const struct buf *path, int code, const char *msg)
{
	failed = true;
	printf("# ");
	put(buf_str(path), path->len);
	printf(": %s %s\n", err_code_name(code), msg);
}

static int hash_file(struct fs *fs, struct fs_id id, uint64_t size, char *hex, struct err *e)
{
	CLEANUP(fs_file_close_p) struct fs_file *f = NULL;
	int r = fs_file_open(fs, id, NULL, &f, e);
	if (r < 0)
		return r;
	if (f->size != size)
		return err_set(e, ERR_INTERNAL, "fsdump", "stat says %" PRIu64 " bytes, open %" PRIu64, size, f->size);
	CLEANUP(free_ptr) uint8_t *chunk = malloc(CHUNK);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!chunk || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		abort();
	for (uint64_t off = 0; off < size && r == 0; off += CHUNK) {
		size_t n = size - off < CHUNK ? (size_t)(size - off) : CHUNK;
		r = fs_file_read(f, off, chunk, n, e);
		if (r == 0)
			EVP_DigestUpdate(ctx, chunk, n);
	}
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_DigestFinal_ex(ctx, digest, &len);
	EVP_MD_CTX_free(ctx);
	for (unsigned i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return r;
}

static const char *type_word(enum fs_type t)
{
	return t == FS_DIRECTORY ? "dir" : t == FS_SYMLINK ? "link" : fs_type_name(t);
}

static bool print_all;

struct attrs {
	char **list;                 /* "xattr:NAME=hex" */
	size_t count;
};

static int collect_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct attrs *a = arg;
	a->list = realloc(a->list, (a->count + 1) * sizeof(*a->list));
	size_t name_len = strlen(name);
	char *line = malloc(4 * name_len + 2 * len + 16);
	if (!a->list || !line)
		abort();
	char *to = line + sprintf(line, "xattr:");
	for (size_t i = 0; i < name_len; i++)
		to += sprintf(to, name[i] > 0x20 && name[i] < 0x7f && !strchr("\\#=", name[i]) ? "%c" : "\\%03o",
		              (unsigned char)name[i]);
	*to++ = '=';
	for (size_t i = 0; i < len; i++)
		to += sprintf(to, "%02x", ((const uint8_t *)value)[i]);
	*to = '\0';
	a->list[a->count++] = line;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What --all adds: the other times, the bytes on disk, the extended attributes. */
static int print_rest(struct fs *fs, const struct fs_stat *st, struct err *e)
{
	printf(" atime=%" PRId64 ".%09" PRIu32 " ctime=%" PRId64 ".%09" PRIu32, st->atime.sec, st->atime.nsec,
	       st->ctime.sec, st->ctime.nsec);
	if (st->valid & FS_HAS_BTIME)
		printf(" btime=%" PRId64 ".%09" PRIu32, st->btime.sec, st->btime.nsec);
	printf(" allocated=%" PRIu64, st->allocated);
	struct attrs a = {0};
	int r = fs_xattrs(fs, st->id, collect_xattr, &a, e);
	if (a.count)
		qsort(a.list, a.count, sizeof(*a.list), by_text);
	for (size_t i = 0; i < a.count; i++) {
		printf(" %s", a.list[i]);
		free(a.list[i]);
	}
	free(a.list);
	return r;
}

static int print_entry(struct fs *fs, const struct buf *path, struct fs_id id, enum fs_type *ret_type, struct err *e)
{
	struct fs_stat st;
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	CLEANUP(buf_free) struct buf target = BUF_INIT(FS_LINK_MAX);
	int r = fs_stat(fs, id, &st, e);
	if (r == 0)
		*ret_type = st.type;
	if (r == 0 && st.type == FS_FILE)
		r = hash_file(fs, id, st.size, hex, e);
	if (r == 0 && st.type == FS_SYMLINK)
		r = fs_readlink(fs, id, &target, e);
	if (r < 0)
		return r;
	put(buf_str(path), path->len);
	printf(" type=%s mode=%04o uid=%" PRIu32 " gid=%" PRIu32 " nlink=%" PRIu64, type_word(st.type), st.mode, st.uid,
	       st.gid, st.nlink);
	if (st.type == FS_FILE)
		printf(" size=%" PRIu64, st.size);
	/* Before 1970 the fraction still counts upwards, as in struct timespec. */
	printf(" time=%" PRId64 ".%09" PRIu32, st.mtime.sec, st.mtime.nsec);
	if (st.type == FS_FILE)
		printf(" sha256=%s", hex);
	if (st.type == FS_SYMLINK) {
		printf(" link=");
		put(buf_str(&target), target.len);
	}
	if (st.type == FS_BLOCK || st.type == FS_CHAR)
		printf(" rdev=%" PRIu32 ",%" PRIu32, st.rdev_major, st.rdev_minor);
	if (print_all)
		r = print_rest(fs, &st, e);
	printf("\n");
	return r;
}

static int collect(void *arg, const struct fs_dirent *de)
{
	struct children *c = arg;
	if (c->count == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 16;
		c->list = realloc(c->list, c->cap * sizeof(*c->list));
	}
	char *name = malloc(de->name_len);
	if (!c->list || !name)
		abort();
	memcpy(name, de->name, de->name_len);
	struct child *ch = &c->list[c->count++];
	*ch = (struct child){.name = name, .len = de->name_len, .id = de->id};
	if (de->broken) {
		ch->broken = de->broken->code;
		snprintf(ch->why, sizeof(ch->why), "%s", de->broken->msg);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct child *x = a, *y = b;
	int r = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
	return r ? r : (x->len > y->len) - (x->len < y->len);
}

static void dump(struct fs *fs, struct buf *path, struct fs_id id, unsigned depth)
{
	struct err e = ERR_INIT;
	enum fs_type type = FS_UNKNOWN;
	if (print_entry(fs, path, id, &type, &e) < 0) {
		complain(path, e.code, e.msg);
		return;
	}
	if (type != FS_DIRECTORY)
		return;
	if (depth == DEPTH_MAX) {
		complain(path, ERR_LIMIT, "too deep");
		return;
	}
	struct children c = {0};
	int r = fs_readdir(fs, id, 0, collect, &c, &e);
	if (c.count)
		qsort(c.list, c.count, sizeof(*c.list), by_name);
	for (size_t i = 0; i < c.count; i++) {
		size_t len = path->len;
		buf_addc(path, '/');
		buf_add(path, c.list[i].name, c.list[i].len);
		if (c.list[i].broken)
			complain(path, c.list[i].broken, c.list[i].why);
		else
			dump(fs, path, c.list[i].id, depth + 1);
		path->len = len;
		free(c.list[i].name);
	}
	free(c.list);
	if (r < 0)
		complain(path, e.code, e.msg);
}

enum { OTHERS_MAX = 16 };

static struct blk *others[OTHERS_MAX];
static int other_fds[OTHERS_MAX];
static unsigned other_count;

static bool add_other(const char *name)
{
	struct err e = ERR_INIT;
	int fd = other_count < OTHERS_MAX ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (end < 0 || blk_fd_open(fd, (uint64_t)end, &others[other_count], &e) < 0) {
		perror(name);
		return false;
	}
	other_fds[other_count++] = fd;
	return true;
}

static void close_others(void)
{
	for (unsigned i = 0; i < other_count; i++) {
		blk_unref(others[i]);
		(void)close(other_fds[i]);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: fsdump [--offset N] [--ident] [--all] [--with RAWFILE]... RAWFILE [PATH]\n");
	return 2;
}

static int run(struct blk *b, bool ident, const char *from, struct err *e)
{
	CLEANUP(fs_close_p) struct fs *fs = NULL;
	int r = fs_open_with(b, NULL, others, other_count, &fs, e);
	if (r < 0)
		return r;
	if (ident) {
		printf("# ident type=%s label=", fs->ident.type);
		put(fs->ident.label, strlen(fs->ident.label));
		printf(" uuid=%s size=%" PRIu64 "\n", fs->ident.uuid, fs->ident.size);
		for (unsigned i = 0; i < fs->warning_count; i++)
			printf("# warning %s\n", fs->warnings[i]);
	}
	struct fs_id id;
	r = fs_resolve(fs, from, strlen(from), 0, &id, e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf path = BUF_INIT(1 << 24);
	buf_addc(&path, '.');
	if (strcmp(from, "/") != 0)
		buf_adds(&path, from);
	dump(fs, &path, id, 0);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t offset = 0;
	bool ident = false;
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--ident") == 0)
			ident = true;
		else if (strcmp(argv[i], "--all") == 0)
			print_all = true;
		else if (strcmp(argv[i], "--offset") == 0 && i + 1 < argc)
			offset = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--with") != 0 || i + 1 >= argc)
			return usage();
		else if (!add_other(argv[++i]))
			return 2;
	}
	if (i >= argc || argc - i > 2)
		return usage();
	CLEANUP(fd_close) int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (end < 0) {
		perror(argv[i]);
		return 2;
	}
	struct err e = ERR_INIT;
	CLEANUP(blk_unref_p) struct blk *whole = NULL;
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	int r = blk_fd_open(fd, (uint64_t)end, &whole, &e);
	if (r == 0)
		r = blk_slice_open(whole, offset, (uint64_t)end < offset ? 0 : (uint64_t)end - offset, &b, &e);
	if (r == 0)
		r = run(b, ident, i + 1 < argc ? argv[i + 1] : "/", &e);
	close_others();
	if (r < 0) {
		printf("# .: %s %s\n", err_code_name(e.code), e.msg);
		return 1;
	}
	return failed ? 1 : 0;
}
