#include "crypto/crypto.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

struct cipher {
	gcry_cipher_hd_t handle;
};

static int failed(gcry_error_t why, struct err *e)
{
	if (gcry_err_code(why) == GPG_ERR_ENOMEM)
		return err_no_memory(e, "crypto");
	return err_set(e, ERR_INTERNAL, "crypto", "the cipher failed: %s", gcry_strerror(why));
}

static int algorithm(size_t key_len)
{
	return key_len == 16 ? GCRY_CIPHER_AES128 : key_len == 24 ? GCRY_CIPHER_AES192 : GCRY_CIPHER_AES256;
}

static int open_handle(int algo, int mode, const uint8_t *key, size_t key_len, gcry_cipher_hd_t *ret, struct err *e)
{
	gcry_cipher_hd_t h = NULL;
	gcry_error_t why = gcry_cipher_open(&h, algo, mode, 0);
	if (why == 0)
		why = gcry_cipher_setkey(h, key, key_len);
	if (why != 0) {
		gcry_cipher_close(h);
		return failed(why, e);
	}
	*ret = h;
	return 0;
}

bool cipher_key_fits(enum cipher_mode mode, size_t key_len)
{
	return mode == CIPHER_XTS ? key_len == 32 || key_len == 64 : key_len == 16 || key_len == 24 || key_len == 32;
}

int cipher_new(enum cipher_mode mode, const uint8_t *key, size_t key_len, struct cipher **ret, struct err *e)
{
	static const int modes[] = {
		[CIPHER_ECB] = GCRY_CIPHER_MODE_ECB, [CIPHER_CBC] = GCRY_CIPHER_MODE_CBC, [CIPHER_XTS] = GCRY_CIPHER_MODE_XTS};
	struct cipher *c = calloc(1, sizeof(*c));
	if (!c)
		return err_no_memory(e, "crypto");
	int r = open_handle(algorithm(mode == CIPHER_XTS ? key_len / 2 : key_len), modes[mode], key, key_len, &c->handle, e);
	if (r < 0)
		free(c);
	else
		*ret = c;
	return r;
}

bool cipher_is_xts_key(const uint8_t *key, size_t key_len)
{
	uint8_t differ = 0;
	for (size_t i = 0; i < key_len / 2; i++)
		differ |= key[i] ^ key[key_len / 2 + i];
	return differ != 0;
}

int cipher_decrypt(struct cipher *c, const uint8_t iv[AES_BLOCK], uint8_t *p, size_t len, struct err *e)
{
	gcry_error_t why = gcry_cipher_setiv(c->handle, iv, AES_BLOCK);
	if (why == 0)
		why = gcry_cipher_decrypt(c->handle, p, len, NULL, 0);
	return why == 0 ? 0 : failed(why, e);
}

int cipher_encrypt_block(struct cipher *c, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK], struct err *e)
{
	gcry_error_t why = gcry_cipher_encrypt(c->handle, out, AES_BLOCK, in == out ? NULL : in, in == out ? 0 : AES_BLOCK);
	return why == 0 ? 0 : failed(why, e);
}

void cipher_free(struct cipher *c)
{
	if (c)
		gcry_cipher_close(c->handle);    /* wipes the key */
	free(c);
}

int ccm_open(const struct ccm_message *m, const uint8_t *key, size_t key_len, uint8_t *out, struct err *e)
{
	gcry_cipher_hd_t h = NULL;
	int r = open_handle(algorithm(key_len), GCRY_CIPHER_MODE_CCM, key, key_len, &h, e);
	if (r < 0)
		return r;
	uint64_t lengths[3] = {m->len, 0, m->mac_len};
	gcry_error_t why = gcry_cipher_setiv(h, m->nonce, m->nonce_len);
	if (why == 0)
		why = gcry_cipher_ctl(h, GCRYCTL_SET_CCM_LENGTHS, lengths, sizeof(lengths));
	if (why == 0)
		why = gcry_cipher_decrypt(h, out, m->len, m->data, m->len);
	if (why == 0)
		why = gcry_cipher_checktag(h, m->mac, m->mac_len);
	gcry_cipher_close(h);
	if (gcry_err_code(why) == GPG_ERR_CHECKSUM)
		return 0;
	return why == 0 ? 1 : failed(why, e);
}
