/* A chain of files: a byte says what format the first is opened as (enum image_format), then each file, newest layer first, has four
 * bytes, little endian, with its length and its bytes, as image_fuzz.h takes them. A length of 0xffffffff stands for the first file once
 * more. A layer with an external data file, and a foreign one for its source, takes the file that follows. */
#include "blk/map.h"
#include "image/image.h"

#include "image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 24 };

struct files {
	int fds[FILES_MAX];
	unsigned count, next;
};

static void split(const uint8_t *data, size_t size, struct files *ret)
{
	struct rdr r = rdr_init(data, size);
	ret->count = ret->next = 0;
	while (ret->count < FILES_MAX && rdr_left(&r) >= 4) {
		uint32_t len = rdr_le32(&r);
		if (len == UINT32_MAX && ret->count > 0) {
			ret->fds[ret->count++] = dup(ret->fds[0]);
			continue;
		}
		size_t n = min_size(len, rdr_left(&r));
		ret->fds[ret->count++] = memory_file(rdr_take(&r, n), n);
	}
}

static int next_file(struct files *f)
{
	return f->next < f->count ? f->fds[f->next++] : -1;
}

/* What its header asks for besides a backing file; it may be missing. */
static int complete(struct image_layer *l, struct files *f)
{
	struct err e = {0};
	struct image_layer *raw = NULL;
	struct blk *source = NULL;
	const struct image_layer_info *info = image_layer_info(l);
	for (unsigned i = 0; image_layer_extent(l, i); i++)
		if (strchr(image_layer_extent(l, i)->name, '/'))
			abort();
	if (!info->has_data_file && !image_format_is_foreign(info->format))
		return 0;
	int fd = next_file(f);
	if (fd < 0)
		return 0;
	if (info->has_data_file)
		return image_layer_set_data_file(l, fd, &e);
	int r = image_layer_open(fd, IMAGE_RAW, &raw, &e);
	if (r == 0)
		r = image_chain_open(&raw, 1, &source, &e);
	if (r == 0)
		r = image_layer_set_source(l, source, &e);
	blk_unref(source);
	return r;
}

/* Unsealed over zeroes. */
static void walk_unsealed(struct blk *sealed)
{
	struct err e = {0};
	struct blk *zeroes = NULL, *b = NULL;
	const struct blk_map_part part = {.len = sealed->size};
	if (blk_map_open(&part, 1, &zeroes, &e) == 0 && image_chain_unseal(sealed, zeroes, &b, &e) == 0)
		walk(b, false);
	blk_unref(zeroes);
	blk_unref(b);
}

static void run(struct files *f, enum image_format format)
{
	struct err e = {0};
	struct image_layer *layers[FILES_MAX];
	unsigned count = 0;
	int r = 0;
	bool backed = true;
	for (int fd; r == 0 && backed && (fd = next_file(f)) >= 0;) {
		r = image_layer_open(fd, format, &layers[count], &e);
		if (r < 0)
			break;
		const struct image_layer_info *info = image_layer_info(layers[count]);
		backed = info->backing_name[0] != '\0';
		format = info->backing_format;
		r = complete(layers[count++], f);
	}
	struct blk *b = NULL;
	e = ERR_INIT;
	bool sealed = image_chain_sealed(layers, count);
	if (r < 0) {
		for (unsigned i = 0; i < count; i++)
			image_layer_close(layers[i]);
	} else if (image_chain_open(layers, count, &b, &e) == 0) {
		walk(b, sealed);
		if (sealed && b->size > 0)
			walk_unsealed(b);
	}
	blk_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct files f;
	if (size < 5)
		return 0;
	split(data + 1, size - 1, &f);
	run(&f, (enum image_format)(data[0] % (IMAGE_QCOW1 + 1)));
	for (unsigned i = 0; i < f.count; i++)
		(void)close(f.fds[i]);
	return 0;
}
