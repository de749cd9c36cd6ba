/* Decrypting as dm-crypt does: each sector by itself, its number as the initialization vector. */
#include "volume/luks/luks.h"

#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
	IV_BYTES = 16,
	SECTOR = 512,
	SECTOR_MAX = 4096,
	ESSIV_KEY = 32,
};

enum iv_kind { IV_PLAIN, IV_PLAIN64, IV_ESSIV };

struct cipher {
	const char *name;
	const EVP_CIPHER *(*evp)(void);
	size_t key_bytes;
	enum iv_kind iv;
};

static const struct cipher ciphers[] = {
	{"aes-xts-plain64", EVP_aes_128_xts, 32, IV_PLAIN64},
	{"aes-xts-plain64", EVP_aes_256_xts, 64, IV_PLAIN64},
	{"aes-xts-plain", EVP_aes_128_xts, 32, IV_PLAIN},
	{"aes-xts-plain", EVP_aes_256_xts, 64, IV_PLAIN},
	{"aes-cbc-essiv:sha256", EVP_aes_128_cbc, 16, IV_ESSIV},
	{"aes-cbc-essiv:sha256", EVP_aes_192_cbc, 24, IV_ESSIV},
	{"aes-cbc-essiv:sha256", EVP_aes_256_cbc, 32, IV_ESSIV},
	{"aes-cbc-plain64", EVP_aes_128_cbc, 16, IV_PLAIN64},
	{"aes-cbc-plain64", EVP_aes_192_cbc, 24, IV_PLAIN64},
	{"aes-cbc-plain64", EVP_aes_256_cbc, 32, IV_PLAIN64},
	{"aes-cbc-plain", EVP_aes_128_cbc, 16, IV_PLAIN},
	{"aes-cbc-plain", EVP_aes_192_cbc, 24, IV_PLAIN},
	{"aes-cbc-plain", EVP_aes_256_cbc, 32, IV_PLAIN},
};

enum { CIPHERS = sizeof(ciphers) / sizeof(ciphers[0]) };

struct crypt {
	struct blk blk;
	struct blk *below;               /* reference held */
	uint64_t offset, iv_tweak;
	uint32_t sector_size;
	enum iv_kind iv;
	EVP_CIPHER_CTX *data, *essiv;    /* essiv NULL: not of that kind */
};

int luks_cipher_check(const char *cipher, struct err *e)
{
	for (unsigned i = 0; i < CIPHERS; i++)
		if (strcmp(ciphers[i].name, cipher) == 0)
			return 0;
	for (const char *p = cipher; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS header does not name its cipher");
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "luks", "it is encrypted with %s; AES in XTS or CBC mode can be read", cipher);
}

static int failed(struct err *e)
{
	return err_set(e, ERR_INTERNAL, "luks", "the cipher failed");
}

static int make_iv(struct crypt *c, uint64_t off, uint8_t iv[IV_BYTES], struct err *e)
{
	uint64_t sector = off / SECTOR + c->iv_tweak;
	int n = 0;
	memset(iv, 0, IV_BYTES);
	put_le64(iv, c->iv == IV_PLAIN ? (uint32_t)sector : sector);
	if (c->iv == IV_ESSIV && EVP_EncryptUpdate(c->essiv, iv, &n, iv, IV_BYTES) != 1)
		return failed(e);
	return 0;
}

/* Whole sectors, in place. */
static int decrypt(struct crypt *c, uint64_t off, uint8_t *p, size_t len, struct err *e)
{
	for (size_t at = 0; at < len; at += c->sector_size) {
		uint8_t iv[IV_BYTES];
		int n = 0;
		int r = make_iv(c, off + at, iv, e);
		if (r < 0)
			return r;
		if (EVP_DecryptInit_ex(c->data, NULL, NULL, NULL, iv) != 1 ||
		    EVP_DecryptUpdate(c->data, p + at, &n, p + at, (int)c->sector_size) != 1 || n != (int)c->sector_size)
			return failed(e);
	}
	return 0;
}

/* Part of one sector. */
static int read_part(struct crypt *c, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t sector[SECTOR_MAX];
	uint64_t start = off - off % c->sector_size;
	int r = blk_read(c->below, c->offset + start, sector, c->sector_size, e);
	if (r == 0)
		r = decrypt(c, start, sector, c->sector_size, e);
	if (r == 0)
		memcpy(to, sector + (off - start), len);
	return r;
}

static int crypt_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct crypt *c = (struct crypt *)b;
	uint8_t *p = to;
	while (len > 0) {
		size_t in = (size_t)(off % c->sector_size);
		size_t n = len - len % c->sector_size;
		int r;
		if (in != 0 || n == 0) {
			n = min_size(len, c->sector_size - in);
			r = read_part(c, off, p, n, e);
		} else {
			r = blk_read(c->below, c->offset + off, p, n, e);
			if (r == 0)
				r = decrypt(c, off, p, n, e);
		}
		if (r < 0)
			return r;
		off += n;
		p += n;
		len -= n;
	}
	return 0;
}

static void crypt_close(struct blk *b)
{
	struct crypt *c = (struct crypt *)b;
	EVP_CIPHER_CTX_free(c->data);    /* wipes the key */
	EVP_CIPHER_CTX_free(c->essiv);
	blk_unref(c->below);
	free(c);
}

static const struct blk_ops crypt_ops = {.name = "luks", .read = crypt_read, .close = crypt_close};

static EVP_CIPHER_CTX *make_ctx(const EVP_CIPHER *cipher, const uint8_t *key, bool encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, encrypt) == 1 && EVP_CIPHER_CTX_set_padding(ctx, 0) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static int set_keys(struct crypt *c, const struct cipher *cipher, const uint8_t *key, struct err *e)
{
	/* The two halves of an XTS key differ, or it is none: OpenSSL refuses it. */
	size_t half = cipher->key_bytes / 2;
	if (strstr(cipher->name, "-xts-") && CRYPTO_memcmp(key, key + half, half) == 0)
		return err_set(e, ERR_KEY_WRONG, "luks", "this is no key of an XTS cipher");
	c->data = make_ctx(cipher->evp(), key, false);
	if (c->data && cipher->iv == IV_ESSIV) {
		uint8_t hash[ESSIV_KEY];
		unsigned n = 0;
		if (EVP_Digest(key, cipher->key_bytes, hash, &n, EVP_sha256(), NULL) == 1)
			c->essiv = make_ctx(EVP_aes_256_ecb(), hash, true);
		OPENSSL_cleanse(hash, sizeof(hash));
	}
	/* Nothing of it fails for what the key is. */
	return c->data && (c->essiv || cipher->iv != IV_ESSIV) ? 0 : err_no_memory(e, "luks");
}

int luks_crypt_open(struct blk *container, const struct luks_header *h, const uint8_t *key, size_t key_len,
                    struct blk **ret, struct err *e)
{
	const struct cipher *cipher = NULL;
	for (unsigned i = 0; i < CIPHERS && !cipher; i++)
		if (strcmp(ciphers[i].name, h->cipher) == 0 && ciphers[i].key_bytes == key_len)
			cipher = &ciphers[i];
	if (!cipher || (h->key_bytes != 0 && h->key_bytes != key_len))
		return err_set(e, ERR_KEY_WRONG, "luks", "a key of %zu bytes does not fit %s", key_len, h->cipher);
	struct crypt *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, "luks");
	blk_init(&c->blk, &crypt_ops, h->size / h->sector_size * h->sector_size);
	c->below = blk_ref(container);
	c->offset = h->offset;
	c->iv_tweak = h->iv_tweak;
	c->sector_size = h->sector_size;
	c->blk.sector_size = h->sector_size > container->sector_size ? h->sector_size : container->sector_size;
	c->iv = cipher->iv;
	int r = set_keys(c, cipher, key, e);
	if (r < 0)
		crypt_close(&c->blk);
	else
		*ret = &c->blk;
	return r;
}
