/* fsattrs RAWFILE: prints every extended attribute and every named stream of a filesystem, in no certain order:
 *
 *	./dir/name xattr user.x <hex>
 *	./dir/name stream <name> <hex>
 *
 * Names are quoted as fsdump quotes them. What fails is a line "# …", and the exit status then is 1. */
#include "base/cleanup.h"
#include "fs/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 200 };

static struct fs *fs;
static bool failed;

struct place {
	struct buf path;
	struct fs_id id;
	unsigned depth;
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

static void put_hex(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void complain(const struct place *at, const struct err *e)
{
	failed = true;
	printf("# ");
	put(buf_str(&at->path), at->path.len);
	printf(": %s %s\n", err_code_name(e->code), e->msg);
}

static int show_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct place *at = arg;
	put(buf_str(&at->path), at->path.len);
	printf(" xattr %s ", name);
	put_hex(value, len);
	putchar('\n');
	return 0;
}

static int show_stream(void *arg, const char *name, size_t name_len, uint64_t size)
{
	struct place *at = arg;
	CLEANUP(free_ptr) char *copy = strndup(name, name_len);
	CLEANUP(free_ptr) uint8_t *data = malloc(size + 1);
	CLEANUP(fs_file_close_p) struct fs_file *f = NULL;
	struct err e = ERR_INIT;
	if (!copy || !data || fs_file_open(fs, at->id, copy, &f, &e) < 0 || fs_file_read(f, 0, data, size, &e) < 0) {
		complain(at, &e);
		return 0;
	}
	put(buf_str(&at->path), at->path.len);
	printf(" stream ");
	put(name, name_len);
	putchar(' ');
	put_hex(data, size);
	putchar('\n');
	return 0;
}

static void show(struct place *at);

static int child(void *arg, const struct fs_dirent *de)
{
	const struct place *dir = arg;
	if (de->broken || dir->depth == DEPTH_MAX)
		return 0;
	struct place at = {.path = BUF_INIT(FS_PATH_MAX), .id = de->id, .depth = dir->depth + 1};
	buf_add(&at.path, dir->path.data, dir->path.len);
	buf_addc(&at.path, '/');
	buf_add(&at.path, de->name, de->name_len);
	show(&at);
	buf_free(&at.path);
	return 0;
}

static void show(struct place *at)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	if (fs_xattrs(fs, at->id, show_xattr, at, &e) < 0 || fs_streams(fs, at->id, show_stream, at, &e) < 0 ||
	    fs_stat(fs, at->id, &st, &e) < 0 || (st.type == FS_DIRECTORY && fs_readdir(fs, at->id, 0, child, at,
	                                                                               &e) < 0))
		complain(at, &e);
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	CLEANUP(fd_close) int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (end < 0) {
		fprintf(stderr, "usage: fsattrs RAWFILE\n");
		return 2;
	}
	if (blk_fd_open(fd, (uint64_t)end, &b, &e) < 0 || fs_open(b, &fs, &e) < 0) {
		printf("# %s %s\n", err_code_name(e.code), e.msg);
		return 1;
	}
	struct place root = {.path = BUF_INIT(FS_PATH_MAX), .id = fs_root(fs)};
	buf_addc(&root.path, '.');
	show(&root);
	buf_free(&root.path);
	fs_close(fs);
	return failed;
}
