/* A raw deflate stream, which zlib reads as well. */
#include "zlib_ends.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The codes of one input stay for the next, as those of one block do. */
	static struct walk w;
	if (!zlib_agrees(&w, data, size))
		abort();
	return 0;
}
