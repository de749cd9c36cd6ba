/* The header of an encrypted container, and reading through the decrypting device it describes. */
#include "volume/luks/luks.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct blk *b = NULL, *inside = NULL;
	struct luks_header h;
	if (blk_mem_open(data, size, &b, &e) < 0)
		return 0;
	if (luks_header_read(b, &h, &e) == 0) {
		static const size_t lengths[] = {16, 24, 32, 64};
		uint8_t key[64], sector[5000];
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)i;
		for (unsigned i = 0; i < 4; i++) {
			struct err ignored = ERR_INIT;
			if (luks_crypt_open(b, &h, key, lengths[i], &inside, &ignored) < 0)
				continue;
			size_t n = inside->size < sizeof(sector) ? (size_t)inside->size : sizeof(sector);
			if (blk_read(inside, inside->size - n, sector, n, &ignored) < 0)
				__builtin_trap();
			blk_unref(inside);
			break;
		}
	}
	blk_unref(b);
	return 0;
}
