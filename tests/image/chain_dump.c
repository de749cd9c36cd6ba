/* For tests only: opens an image with its backing and data files by the names in the headers, relative to
 * the image's folder, and writes it raw to a file; or compares it with a raw file.
 *
 *	chain_dump compare IMAGE RAW SEED     whole, in pieces of random size and place, and by extents
 *	chain_dump info IMAGE                 one line a layer
 *	chain_dump peek IMAGE OFF LEN         writes these bytes to stdout
 *	chain_dump read IMAGE                 reads everything: exit status and the error
 *	chain_dump order IMAGE RAW PIECE      in order, in pieces; pieces that cannot be read are counted and passed over
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 3 << 20, FDS_MAX = 2 * IMAGE_LAYERS_MAX };

static int fds[FDS_MAX];
static unsigned fd_count;

static int open_beside(const char *image, const char *name)
{
	char path[4096];
	const char *slash = strrchr(image, '/');
	if (name[0] == '/' || !slash)
		(void)snprintf(path, sizeof(path), "%s", name);
	else
		(void)snprintf(path, sizeof(path), "%.*s%s", (int)(slash + 1 - image), image, name);
	int fd = fd_count < FDS_MAX ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0)
		fds[fd_count++] = fd;
	return fd;
}

static int open_layers(const char *image, struct image_layer **layers, unsigned *count, struct err *e)
{
	char name[IMAGE_NAME_MAX];
	(void)snprintf(name, sizeof(name), "%s", strrchr(image, '/') ? strrchr(image, '/') + 1 : image);
	enum image_format format = IMAGE_AUTO;
	while (name[0] && *count < IMAGE_LAYERS_MAX) {
		int fd = open_beside(image, name);
		if (fd < 0)
			return err_set_errno(e, ERR_IMAGE_LAYER_MISSING, errno, "dump", "%s", name);
		int r = image_layer_open(fd, format, &layers[*count], e);
		if (r < 0)
			return r;
		const struct image_layer_info *info = image_layer_info(layers[*count]);
		if (info->has_data_file) {
			int data = open_beside(image, info->data_file_name);
			if (data >= 0)
				r = image_layer_set_data_file(layers[*count], data, e);
		}
		++*count;
		if (r < 0)
			return r;
		(void)snprintf(name, sizeof(name), "%s", info->backing_name);
		format = info->backing_format;
	}
	return 0;
}

static struct blk *open_chain(const char *image)
{
	static struct image_layer *layers[IMAGE_LAYERS_MAX];
	unsigned count = 0;
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	int r = open_layers(image, layers, &count, &e);
	if (r < 0)
		for (unsigned i = 0; i < count; i++)
			image_layer_close(layers[i]);
	else
		r = image_chain_open(layers, count, &b, &e);
	if (r < 0)
		printf("%s: %s\n", err_code_name(e.code), e.msg);
	return r < 0 ? NULL : b;
}

static int fail(const char *what, uint64_t off, const struct err *e)
{
	printf("%s at %" PRIu64 ": %s\n", what, off, e ? e->msg : "");
	return 1;
}

static uint64_t rng_state;
static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* A raw image of odd length is padded with zeroes by the reader we are held against. */
static int check_size(uint64_t size, int raw)
{
	struct stat st;
	uint8_t tail[512];
	if (fstat(raw, &st) < 0)
		return 1;
	uint64_t want = (uint64_t)st.st_size;
	if (want < size || want - size >= 512)
		return printf("size %" PRIu64 ", expected %" PRIu64 "\n", size, want), 1;
	if (pread(raw, tail, want - size, (off_t)size) != (ssize_t)(want - size) || !is_zero(tail, want - size))
		return fail("data behind the end", size, NULL);
	return 0;
}

static int compare_range(struct blk *b, int raw, uint64_t off, size_t len, uint8_t *got, uint8_t *want)
{
	struct err e = ERR_INIT;
	if (blk_read(b, off, got, len, &e) < 0)
		return fail("read", off, &e);
	if (pread(raw, want, len, (off_t)off) != (ssize_t)len)
		return fail("pread of the raw file", off, NULL);
	for (size_t i = 0; i < len; i++)
		if (got[i] != want[i])
			return fail("difference", off + i, NULL);
	return 0;
}

static int compare_extent(struct blk *b, int raw, uint64_t off, uint64_t max, uint64_t *ret_len, uint8_t *got,
                          uint8_t *want)
{
	struct err e = ERR_INIT;
	struct blk_extent x;
	if (blk_extent(b, off, max, &x, &e) < 0)
		return fail("extent", off, &e);
	*ret_len = x.len;
	if (x.len == 0 || x.len > max)
		return fail("extent of a wrong length", off, NULL);
	for (uint64_t done = 0; done < x.len;) {
		size_t n = (size_t)min_u64(CHUNK, x.len - done);
		if (pread(raw, want, n, (off_t)(off + done)) != (ssize_t)n)
			return fail("pread of the raw file", off, NULL);
		if (x.kind != BLK_DATA && !is_zero(want, n))
			return fail("a zero extent with data", off + done, NULL);
		if (x.kind == BLK_DATA && x.fd >= 0 &&
		    (pread(x.fd, got, n, (off_t)(x.host_off + done)) != (ssize_t)n || memcmp(got, want, n) != 0))
			return fail("a data extent with other bytes", off + done, NULL);
		done += n;
	}
	return 0;
}

static int compare(struct blk *b, int raw, uint64_t seed)
{
	CLEANUP(free_ptr) uint8_t *got = malloc(CHUNK);
	CLEANUP(free_ptr) uint8_t *want = malloc(CHUNK);
	if (!got || !want || check_size(b->size, raw) != 0)
		return 1;
	rng_state = seed * 2654435761U + 88172645463325252U;
	for (unsigned i = 0; i < 300 && b->size > 0; i++) {
		uint64_t off = rng() % b->size;
		size_t len = (size_t)min_u64(1 + rng() % (i % 10 ? 9000 : CHUNK), b->size - off);
		uint64_t n;
		if (compare_range(b, raw, off, len, got, want) || compare_extent(b, raw, off, len, &n, got, want))
			return 1;
	}
	for (uint64_t off = 0; off < b->size;) {
		size_t len = (size_t)min_u64(CHUNK - rng() % 4096, b->size - off);
		if (compare_range(b, raw, off, len, got, want))
			return 1;
		off += len;
	}
	for (uint64_t off = 0, n = 0; off < b->size; off += n)
		if (compare_extent(b, raw, off, b->size - off, &n, got, want))
			return 1;
	return 0;
}

static int read_all(struct blk *b)
{
	CLEANUP(free_ptr) uint8_t *buf = malloc(CHUNK);
	struct err e = ERR_INIT;
	for (uint64_t off = 0; buf && off < b->size; off += CHUNK)
		if (blk_read(b, off, buf, (size_t)min_u64(CHUNK, b->size - off), &e) < 0)
			return printf("%s: %s\n", err_code_name(e.code), e.msg), 1;
	return buf ? 0 : 1;
}

/* Twice, so that the second time finds what is kept. */
static int in_order(struct blk *b, int raw, size_t piece)
{
	CLEANUP(free_ptr) uint8_t *got = malloc(CHUNK);
	CLEANUP(free_ptr) uint8_t *want = malloc(CHUNK);
	if (!got || !want || piece == 0 || piece > CHUNK)
		return 1;
	unsigned failed = 0;
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t off = 0; off < b->size; off += piece) {
			size_t len = (size_t)min_u64(piece, b->size - off);
			struct err e = ERR_INIT;
			if (blk_read(b, off, got, len, &e) < 0) {
				failed++;
				continue;
			}
			if (pread(raw, want, len, (off_t)off) != (ssize_t)len || memcmp(got, want, len) != 0)
				return fail("difference in the piece", off, NULL);
		}
	}
	printf("%u failed\n", failed);
	return 0;
}

/* Writes len bytes at off to stdout. */
static int peek(struct blk *b, uint64_t off, size_t len)
{
	struct err e = ERR_INIT;
	uint8_t *p = malloc(len);
	if (!p || blk_read(b, off, p, len, &e) < 0) {
		free(p);
		return fail("peek", off, &e);
	}
	int r = fwrite(p, 1, len, stdout) == len ? 0 : 1;
	free(p);
	return r;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct blk *b = open_chain(argv[2]);
	int r = 1;
	if (b && strcmp(argv[1], "compare") == 0 && argc == 5) {
		int raw = open(argv[3], O_RDONLY | O_CLOEXEC);
		r = raw < 0 ? 1 : compare(b, raw, strtoull(argv[4], NULL, 10));
		if (raw >= 0)
			(void)close(raw);
	} else if (b && strcmp(argv[1], "order") == 0 && argc == 5) {
		int raw = open(argv[3], O_RDONLY | O_CLOEXEC);
		r = raw < 0 ? 1 : in_order(b, raw, strtoul(argv[4], NULL, 10));
		if (raw >= 0)
			(void)close(raw);
	} else if (b && strcmp(argv[1], "peek") == 0 && argc == 5) {
		r = peek(b, strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	} else if (b && strcmp(argv[1], "read") == 0) {
		r = read_all(b);
	} else if (b) {
		printf("%" PRIu64 "\n", b->size);
		r = 0;
	}
	blk_unref(b);
	while (fd_count > 0)
		(void)close(fds[--fd_count]);
	return r;
}
