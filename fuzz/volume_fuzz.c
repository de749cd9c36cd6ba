/* Discovery with all layers: tables, contents, assembling; then every volume is read here and there, and every locked
 * one is given a key. Inputs are as pieces.h takes them. */
#include "pieces.h"
#include "volume/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY_BYTES = 64 };

static void read_some(struct blk *b)
{
	static const unsigned eighths[] = {0, 1, 3, 5, 7};
	uint8_t p[700];
	for (unsigned i = 0; i < sizeof(eighths) / sizeof(*eighths); i++) {
		struct err e = ERR_INIT;
		struct blk_extent ext;
		uint64_t off = b->size / 8 * eighths[i];
		(void)blk_read(b, off, p, (size_t)min_u64(sizeof(p), b->size - off), &e);
		err_clear(&e);
		if (off < b->size)
			(void)blk_extent(b, off, b->size - off, &ext, &e);
	}
}

static void unlock(struct volume_set *s, unsigned number)
{
	static const uint8_t key[KEY_BYTES] = {1, 2, 3};
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	struct err e = ERR_INIT;
	(void)volume_set_key_areas(s, number, areas, &e);
	for (size_t len = 16; len <= KEY_BYTES; len *= 2) {
		err_clear(&e);
		(void)volume_set_unlock(s, number, key, len, &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blk *b = pieces_open(data, size);
	struct volume_set *s = NULL;
	struct err e = ERR_INIT;
	if (b && volume_discover(&b, 1, NULL, NULL, &s, &e) == 0) {
		for (unsigned i = 0; i < s->count; i++) {
			if (s->volumes[i].locked)
				unlock(s, i + 1);
			if (s->volumes[i].blk)
				read_some(s->volumes[i].blk);
		}
	}
	volume_set_free(s);
	blk_unref(b);
	return 0;
}
