/* The metadata of a BitLocker volume: what opens it, the clear key, and reading through the decrypting device; the last 64 bytes
 * of the input are the key where there is no clear one. Then the input as what a person gives: the whole of it a start-up key, its end,
 * behind the last zero, a password and a recovery key. The slow hash is a quick one here (fuzz/meson.build). */
#include "volume/bitlocker/bitlocker.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__typeof__(bitlocker_stretch) __wrap_bitlocker_stretch;

enum { TEXT_MAX = 80 };

void __wrap_bitlocker_stretch(const uint8_t initial[32], const uint8_t salt[16], uint8_t ret[32])
{
	memcpy(ret, initial, 32);
	for (unsigned i = 0; i < 16; i++)
		ret[i] ^= salt[i];
}

static void try_texts(const struct bitlocker_meta *m, const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT, again = ERR_INIT;
	struct bitlocker_key key;
	size_t n = 0;
	while (n < size && n < TEXT_MAX && data[size - n - 1] != 0)
		n++;
	(void)bitlocker_open_password(m, data + size - n, n, &key, &e);
	(void)bitlocker_open_recovery(m, data + size - n, n, &key, &again);
}

static void read_through(struct blk *b, const struct bitlocker_meta *m, const uint8_t *key, size_t len)
{
	struct err e = ERR_INIT;
	struct blk *inside = NULL;
	if (bitlocker_crypt_open(b, m, key, len, &inside, &e) < 0)
		return;
	static uint8_t buf[20000];
	uint64_t off = 0;
	for (unsigned i = 0; i < 64 && off < inside->size; i++) {
		size_t n = inside->size - off < sizeof(buf) ? (size_t)(inside->size - off) : sizeof(buf);
		struct err read_error = ERR_INIT;
		if (blk_read(inside, off, buf, n, &read_error) < 0 && read_error.code != ERR_IO)
			__builtin_trap();
		off += n - (n > 1000 ? 777 : 0);
	}
	blk_unref(inside);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT, again = ERR_INIT, third = ERR_INIT;
	struct blk *b = NULL;
	struct bitlocker_meta *m = NULL;
	struct bitlocker_key key;
	char text[VOLUME_TEXT_MAX];
	if (blk_mem_open(data, size, &b, &e) < 0)
		return 0;
	if (bitlocker_meta_read(b, &m, &e) == 0) {
		bitlocker_describe(m, text, sizeof(text));
		if (bitlocker_open_clear(m, &key, &again) > 0)
			read_through(b, m, key.bytes, key.len);
		else if (m->state == BITLOCKER_DECRYPTED)
			read_through(b, m, NULL, 0);
		else if (size >= BITLOCKER_KEY_MAX)
			read_through(b, m, data + size - BITLOCKER_KEY_MAX, bitlocker_key_len(m->method));
		(void)bitlocker_open_startup(m, data, size, &key, &third);
		try_texts(m, data, size);
		free(m);
	}
	blk_unref(b);
	return 0;
}
