/* The header of an encrypted container, and reading through the decrypting device it describes. What its key slots take lies inside it;
 * with the key 0, 1, 2, … it may open as discovery has it. Inputs are as pieces.h takes them. */
#include "pieces.h"
#include "volume/layer.h"
#include "volume/luks/luks.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_layer(struct blk *b, const uint8_t *key)
{
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	struct err e = ERR_INIT;
	struct blk *inside;
	int n = volume_luks_layer.key_areas(b, areas, &e);
	if (n > VOLUME_KEY_AREAS_MAX)
		__builtin_trap();
	for (size_t len = 32; len <= 64; len += 32) {
		err_clear(&e);
		if (volume_luks_layer.unlock(b, key, len, &inside, &e) == 0)
			blk_unref(inside);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct blk *b = pieces_open(data, size), *inside = NULL;
	struct luks_header h;
	if (!b)
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
		as_layer(b, key);
	}
	blk_unref(b);
	return 0;
}
