/* Two files: four bytes, little endian, say how long the first is. The second serves as its backing file, its
 * data file, or both. */
#include "image/image.h"

#include "image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(int top, int base)
{
	struct err e = {0};
	struct image_layer *l[2] = {NULL, NULL};
	struct blk *b = NULL;
	if (image_layer_open(top, IMAGE_QCOW2, &l[0], &e) < 0)
		return;
	const struct image_layer_info *info = image_layer_info(l[0]);
	unsigned count = 1;
	int r = info->has_data_file ? image_layer_set_data_file(l[0], base, &e) : 0;
	if (r == 0 && info->backing_name[0]) {
		r = image_layer_open(base, info->backing_format, &l[1], &e);
		count = 2;
	}
	if (r == 0) {
		if (image_chain_open(l, count, &b, &e) == 0)
			walk(b);
		blk_unref(b);
	} else {
		image_layer_close(l[0]);
		image_layer_close(l[1]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	size_t first = min_size(get_le32(data), size - 4);
	int top = memory_file(data + 4, first);
	int base = memory_file(data + 4 + first, size - 4 - first);
	run(top, base);
	(void)close(top);
	(void)close(base);
	return 0;
}
