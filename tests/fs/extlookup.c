/* extlookup RAWFILE DIR: finds every name of a directory again and prints how many bytes one lookup read at most. */
#include "fs/fs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct counting {
	struct blk blk;
	struct blk *under;
	uint64_t bytes;
};

static int counting_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct counting *c = (struct counting *)b;
	c->bytes += len;
	return blk_read(c->under, off, to, len, e);
}

static void counting_close(struct blk *b)
{
	(void)b;
}

static const struct blk_ops counting_ops = {.name = "counting", .read = counting_read, .close = counting_close};

struct names {
	struct fs_dirent *list;
	size_t count;
};

static int collect(void *arg, const struct fs_dirent *de)
{
	struct names *n = arg;
	n->list = realloc(n->list, (n->count + 1) * sizeof(*n->list));
	char *name = malloc(de->name_len);
	if (!n->list || !name)
		abort();
	memcpy(name, de->name, de->name_len);
	n->list[n->count++] = (struct fs_dirent){.name = name, .name_len = de->name_len, .id = de->id};
	return 0;
}

static int run(struct counting *c, const char *path, struct err *e)
{
	struct fs *fs = NULL;
	struct fs_id dir, found;
	struct names n = {0};
	int r = fs_open(&c->blk, &fs, e);
	if (r == 0)
		r = fs_resolve(fs, path, strlen(path), 0, &dir, e);
	if (r == 0)
		r = fs_readdir(fs, dir, 0, collect, &n, e);
	uint64_t most = 0;
	size_t wrong = 0;
	for (size_t i = 0; i < n.count && r == 0; i++) {
		c->bytes = 0;
		r = fs_lookup(fs, dir, n.list[i].name, n.list[i].name_len, &found, e);
		most = c->bytes > most ? c->bytes : most;
		wrong += r == 0 && found.ino != n.list[i].id.ino;
	}
	for (size_t i = 0; i < n.count; i++)
		free((void *)(uintptr_t)n.list[i].name);
	free(n.list);
	fs_close(fs);
	printf("names=%zu wrong=%zu most=%" PRIu64 "\n", n.count, wrong, most);
	return r;
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	struct err e = ERR_INIT;
	struct counting c = {0};
	if (end < 0 || blk_fd_open(fd, (uint64_t)end, &c.under, &e) < 0) {
		fprintf(stderr, "usage: extlookup RAWFILE DIR\n");
		return 2;
	}
	blk_init(&c.blk, &counting_ops, c.under->size);
	int r = run(&c, argv[2], &e);
	if (r < 0)
		printf("# %s %s\n", err_code_name(e.code), e.msg);
	blk_unref(c.under);
	(void)close(fd);
	return r < 0;
}
