#include "crypto/crypto.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int algo;
	size_t bytes;
} kinds[] = {
	[HASH_MD5] = {GCRY_MD_MD5, 16},       [HASH_SHA1] = {GCRY_MD_SHA1, 20},         [HASH_SHA224] = {GCRY_MD_SHA224, 28},
	[HASH_SHA256] = {GCRY_MD_SHA256, 32}, [HASH_SHA384] = {GCRY_MD_SHA384, 48},     [HASH_SHA512] = {GCRY_MD_SHA512, 64},
	[HASH_SHA3_256] = {GCRY_MD_SHA3_256, 32}, [HASH_BLAKE2B_256] = {GCRY_MD_BLAKE2B_256, 32},
};

struct hash {
	gcry_md_hd_t handle;
	enum hash_kind kind;
};

void crypto_init(void)
{
	/* In FIPS mode libgcrypt would check its own file, which is not there where it is linked in, and refuse MD5. What is read here
	 * was written by others: there is nothing to choose. */
	(void)gcry_control(GCRYCTL_NO_FIPS_MODE);
	(void)gcry_check_version(NULL);
	/* Locked memory is little, and the worker's limits forbid it; its pages are of one mount and it leaves no core. */
	(void)gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	(void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

size_t hash_bytes(enum hash_kind kind)
{
	return kinds[kind].bytes;
}

int hash_once(enum hash_kind kind, const void *p, size_t len, uint8_t *ret, struct err *e)
{
	gcry_buffer_t all = {.size = len, .len = len, .data = (void *)p};
	return gcry_md_hash_buffers(kinds[kind].algo, 0, ret, &all, 1) == 0 ? 0 : err_no_memory(e, "crypto");
}

void hash_sha256(const void *p, size_t len, uint8_t ret[SHA256_BYTES])
{
	gcry_md_hash_buffer(GCRY_MD_SHA256, ret, p, len);
}

int hash_new(enum hash_kind kind, struct hash **ret, struct err *e)
{
	struct hash *h = calloc(1, sizeof(*h));
	if (!h || gcry_md_open(&h->handle, kinds[kind].algo, 0) != 0) {
		free(h);
		return err_no_memory(e, "crypto");
	}
	h->kind = kind;
	*ret = h;
	return 0;
}

void hash_add(struct hash *h, const void *p, size_t len)
{
	gcry_md_write(h->handle, p, len);
}

void hash_end(struct hash *h, uint8_t *ret)
{
	memcpy(ret, gcry_md_read(h->handle, kinds[h->kind].algo), kinds[h->kind].bytes);
	gcry_md_reset(h->handle);
}

void hash_free(struct hash *h)
{
	if (h)
		gcry_md_close(h->handle);
	free(h);
}
