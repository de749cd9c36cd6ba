#include "fs/btrfs/btrfs.h"

#include <openssl/evp.h>
#include <stdlib.h>

static const char *const module = "btrfs";

struct btrfs_hasher {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

uint16_t btrfs_csum_size(uint16_t type)
{
	static const uint16_t sizes[] = {4, 8, 32, 32};
	return type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}

int btrfs_hasher_open(uint16_t type, struct btrfs_hasher **ret, struct err *e)
{
	if (type != BTRFS_SHA256) {
		*ret = NULL;
		return 0;
	}
	struct btrfs_hasher *h = calloc(1, sizeof(*h));
	if (!h)
		return err_no_memory(e, module);
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (!h->md || !h->ctx) {
		btrfs_hasher_close(h);
		return err_no_memory(e, module);
	}
	*ret = h;
	return 0;
}

void btrfs_hasher_close(struct btrfs_hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

static int sha256(struct btrfs_hasher *h, const void *p, size_t len, uint8_t ret[BTRFS_CSUM_MAX], struct err *e)
{
	if (EVP_DigestInit_ex(h->ctx, h->md, NULL) == 1 && EVP_DigestUpdate(h->ctx, p, len) == 1 &&
	    EVP_DigestFinal_ex(h->ctx, ret, NULL) == 1)
		return 0;
	return err_set(e, ERR_INTERNAL, module, "SHA-256 could not be computed");
}

int btrfs_csum_fits(struct btrfs_hasher *h, uint16_t type, const void *p, size_t len, const uint8_t *want,
                    struct err *e)
{
	uint8_t got[BTRFS_CSUM_MAX] = {0};
	int r = 0;
	switch (type) {
	case BTRFS_CRC32C: put_le32(got, ~crc32c(UINT32_MAX, p, len)); break;
	case BTRFS_XXHASH: put_le64(got, btrfs_xxhash64(p, len)); break;
	case BTRFS_SHA256: r = sha256(h, p, len, got, e); break;
	default: btrfs_blake2b(p, len, got); break;
	}
	if (r < 0)
		return r;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)want;
	return 1;
#else
	return memcmp(got, want, btrfs_csum_size(type)) == 0;
#endif
}
