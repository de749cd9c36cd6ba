/* One image file, probed. */
#include "image/image.h"

#include "image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memory_file(data, size);
	struct err e = {0};
	struct image_layer *l = NULL;
	struct blk *b = NULL;
	if (image_layer_open(fd, IMAGE_AUTO, &l, &e) == 0 && image_chain_open(&l, 1, &b, &e) == 0)
		walk(b, false);
	blk_unref(b);
	(void)close(fd);
	return 0;
}
