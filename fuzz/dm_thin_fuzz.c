/* dm-thin: the metadata of a thin pool (the input, as pieces.h takes it), over a data device of fixed bytes. The first byte is the
 * number of the volume; with its highest bit there is an external origin. */
#include "pieces.h"
#include "volume/dm/thin.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DATA = 1 << 20, READ = 300000, EXTERNAL = 0x80 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t pool[DATA], buf[READ];
	struct err e = ERR_INIT;
	struct blk *metadata = NULL, *b = NULL, *thin = NULL;
	if (size < 2)
		return 0;
	metadata = pieces_open(data + 1, size - 1);
	if (blk_mem_open(pool, DATA, &b, &e) < 0)
		abort();
	if (metadata && thin_open(metadata, b, data[0] & EXTERNAL ? b : NULL, data[0] & ~EXTERNAL, (uint64_t)1 << 40, &thin, &e) == 0) {
		(void)blk_read(thin, 12345, buf, READ, &e);
		err_clear(&e);
		(void)blk_read(thin, DATA - 1000, buf, 2000, &e);
		uint64_t off = 0;
		for (unsigned i = 0; i < 200 && off < thin->size; i++) {
			struct blk_extent ext;
			err_clear(&e);
			if (blk_extent(thin, off, thin->size - off, &ext, &e) < 0)
				break;
			off += ext.len;
		}
	}
	blk_unref(thin);
	blk_unref(b);
	blk_unref(metadata);
	return 0;
}
