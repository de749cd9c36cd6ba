/* A snapshot's bytes, asked for at every place and in every size: from the origin, but where the store has them. */
#include "test.h"

#include "base/bytes.h"
#include "volume/dm/cow.h"

enum {
	CHUNK = 4096,
	CHUNKS = 10,
	STEP = 512,                      /* places and sizes that are asked for */
	STORE = (2 + CHUNKS) * CHUNK,    /* header, exceptions, data */
	MAGIC = 0x70416e53,
};

struct fixture {
	uint8_t origin[CHUNKS * CHUNK], store[STORE], want[CHUNKS * CHUNK], got[CHUNKS * CHUNK];
};

static void put_exception(struct fixture *f, unsigned i, uint64_t chunk)
{
	put_le64(f->store + CHUNK + (size_t)16 * i, chunk);
	put_le64(f->store + CHUNK + (size_t)16 * i + 8, 2 + i);
	memset(f->store + (size_t)CHUNK * (2 + i), 'a' + (int)i, CHUNK);
	memset(f->want + chunk * CHUNK, 'a' + (int)i, CHUNK);
}

/* Wherever a read begins within a chunk, and wherever it ends within another one. */
static void reads_of_any_size(void **state)
{
	(void)state;
	struct fixture *f = calloc(1, sizeof(*f));
	struct blk *origin = NULL, *store = NULL, *b = NULL;
	struct err e = ERR_INIT;
	for (size_t i = 0; i < sizeof(f->origin); i++)
		f->origin[i] = f->want[i] = (uint8_t)(i / STEP);
	put_le32(f->store, MAGIC);
	put_le32(f->store + 4, 1);
	put_le32(f->store + 8, 1);
	put_le32(f->store + 12, CHUNK / 512);
	put_exception(f, 0, 2);
	put_exception(f, 1, 3);
	put_exception(f, 2, 6);
	put_exception(f, 3, 8);
	assert_ok(blk_mem_open(f->origin, sizeof(f->origin), &origin, &e), &e);
	assert_ok(blk_mem_open(f->store, sizeof(f->store), &store, &e), &e);
	assert_ok(cow_open(origin, store, sizeof(f->origin), &b, &e), &e);
	for (size_t off = 0; off < sizeof(f->want); off += STEP) {
		for (size_t len = STEP; off + len <= sizeof(f->want); len += STEP) {
			assert_ok(blk_read(b, off, f->got, len, &e), &e);
			if (memcmp(f->got, f->want + off, len) != 0)
				fail_msg("%zu bytes at %zu are not the snapshot's", len, off);
		}
	}
	blk_unref(b);
	blk_unref(store);
	blk_unref(origin);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_of_any_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
