/* Decrypting as dm-crypt does: each sector by itself, its number as the initialization vector. */
#include "volume/luks/luks.h"

#include "base/bytes.h"
#include "crypto/crypto.h"

#include <stdlib.h>
#include <string.h>

enum {
	SECTOR = 512,
	SECTOR_MAX = 4096,
};

enum iv_kind { IV_PLAIN, IV_PLAIN64, IV_ESSIV };

struct luks_cipher {
	const char *name;
	enum cipher_mode mode;
	enum iv_kind iv;
};

static const struct luks_cipher ciphers[] = {
	{"aes-xts-plain64", CIPHER_XTS, IV_PLAIN64},    {"aes-xts-plain", CIPHER_XTS, IV_PLAIN},
	{"aes-cbc-essiv:sha256", CIPHER_CBC, IV_ESSIV}, {"aes-cbc-plain64", CIPHER_CBC, IV_PLAIN64},
	{"aes-cbc-plain", CIPHER_CBC, IV_PLAIN},
};

enum { CIPHERS = sizeof(ciphers) / sizeof(ciphers[0]) };

struct crypt {
	struct blk blk;
	struct blk *below;               /* reference held */
	uint64_t offset, iv_tweak;
	uint32_t sector_size;
	enum iv_kind iv;
	struct cipher *data, *essiv;     /* essiv NULL: not of that kind */
};

static const struct luks_cipher *find_cipher(const char *name)
{
	for (unsigned i = 0; i < CIPHERS; i++)
		if (strcmp(ciphers[i].name, name) == 0)
			return &ciphers[i];
	return NULL;
}

int luks_cipher_check(const char *cipher, struct err *e)
{
	if (find_cipher(cipher))
		return 0;
	for (const char *p = cipher; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS header does not name its cipher");
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "luks", "it is encrypted with %s; AES in XTS or CBC mode can be read", cipher);
}

static int make_iv(struct crypt *c, uint64_t off, uint8_t iv[AES_BLOCK], struct err *e)
{
	uint64_t sector = off / SECTOR + c->iv_tweak;
	memset(iv, 0, AES_BLOCK);
	put_le64(iv, c->iv == IV_PLAIN ? (uint32_t)sector : sector);
	return c->iv == IV_ESSIV ? cipher_encrypt_block(c->essiv, iv, iv, e) : 0;
}

/* Whole sectors, in place. */
static int decrypt(struct crypt *c, uint64_t off, uint8_t *p, size_t len, struct err *e)
{
	int r = 0;
	for (size_t at = 0; at < len && r == 0; at += c->sector_size) {
		uint8_t iv[AES_BLOCK];
		r = make_iv(c, off + at, iv, e);
		if (r == 0)
			r = cipher_decrypt(c->data, iv, p + at, c->sector_size, e);
	}
	return r;
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
	cipher_free(c->data);
	cipher_free(c->essiv);
	blk_unref(c->below);
	free(c);
}

static const struct blk_ops crypt_ops = {.name = "luks", .read = crypt_read, .close = crypt_close};

static int set_keys(struct crypt *c, const struct luks_cipher *cipher, const uint8_t *key, size_t key_len, struct err *e)
{
	if (cipher->mode == CIPHER_XTS && !cipher_is_xts_key(key, key_len))
		return err_set(e, ERR_KEY_WRONG, "luks", "this is no key of an XTS cipher");
	int r = cipher_new(cipher->mode, key, key_len, &c->data, e);
	if (r < 0 || cipher->iv != IV_ESSIV)
		return r;
	uint8_t hash[SHA256_BYTES];
	hash_sha256(key, key_len, hash);
	r = cipher_new(CIPHER_ECB, hash, sizeof(hash), &c->essiv, e);
	explicit_bzero(hash, sizeof(hash));
	return r;
}

int luks_crypt_open(struct blk *container, const struct luks_header *h, const uint8_t *key, size_t key_len,
                    struct blk **ret, struct err *e)
{
	const struct luks_cipher *cipher = find_cipher(h->cipher);
	if (!cipher || !cipher_key_fits(cipher->mode, key_len) || (h->key_bytes != 0 && h->key_bytes != key_len))
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
	int r = set_keys(c, cipher, key, key_len, e);
	if (r < 0)
		crypt_close(&c->blk);
	else
		*ret = &c->blk;
	return r;
}
