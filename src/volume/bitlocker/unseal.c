/* From a protector to the key of the data: AES-CCM twice, and the slow hash. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum {
	NONCE = 12,
	MAC = 16,
	SEALED_MAX = 256,
	KEY_HEAD = 4,
	ROUNDS = 1 << 20,
	ELEPHANT_HALF = 32,          /* the second key begins there, however long the first is */
};

size_t bitlocker_key_len(uint32_t method)
{
	switch (method) {
	case BITLOCKER_CBC_128:
		return 16;
	case BITLOCKER_CBC_128_ELEPHANT:
	case BITLOCKER_CBC_256:
	case BITLOCKER_XTS_128:
		return 32;
	case BITLOCKER_CBC_256_ELEPHANT:
	case BITLOCKER_XTS_256:
		return 64;
	default:
		return 0;
	}
}

/* 1: the message's code is right; 0: it is not, with this key. */
static int ccm_open(const struct bitlocker_sealed *s, const uint8_t key[32], uint8_t *out, struct err *e)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t mac[MAC];
	int n = 0;
	memcpy(mac, s->mac, sizeof(mac));
	bool ready = c && EVP_DecryptInit_ex(c, EVP_aes_256_ccm(), NULL, NULL, NULL) == 1 &&
	             EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) == 1 &&
	             EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, MAC, mac) == 1 &&
	             EVP_DecryptInit_ex(c, NULL, NULL, key, s->nonce) == 1;
	bool right = ready && EVP_DecryptUpdate(c, NULL, &n, NULL, (int)s->len) == 1 &&
	             EVP_DecryptUpdate(c, out, &n, s->data, (int)s->len) == 1;
	EVP_CIPHER_CTX_free(c);
	/* Nothing up to `ready` depends on which key it is. */
	return ready ? right : err_no_memory(e, "bitlocker");
}

/* What was sealed is an entry again, a key. 1: opened, and *ret_len is the length of that key or 0, where there is none in it;
 * 0: `key` is another one. */
static int open_key(const struct bitlocker_sealed *s, const uint8_t key[32], uint8_t ret[SEALED_MAX], size_t *ret_len,
                    struct err *e)
{
	uint8_t out[SEALED_MAX];
	struct bitlocker_entry n;
	size_t at = 0, len = 0;
	int r = s->data && s->len <= sizeof(out) ? ccm_open(s, key, out, e) : 0;
	if (r == 1 && bitlocker_entry_next(out, s->len, &at, &n) && n.value == BITLOCKER_VALUE_KEY && n.len > KEY_HEAD) {
		len = n.len - KEY_HEAD;
		memcpy(ret, n.data + KEY_HEAD, len);
	}
	OPENSSL_cleanse(out, sizeof(out));
	*ret_len = len;
	return r;
}

static bool take_key(uint32_t method, const uint8_t *p, size_t len, struct bitlocker_key *ret)
{
	size_t want = bitlocker_key_len(method);
	if (want == 0 || len < want)
		return false;
	ret->len = want;
	memcpy(ret->bytes, p, want);
	if (method != BITLOCKER_CBC_128_ELEPHANT)
		return true;
	if (len < ELEPHANT_HALF + 16)
		return false;
	memcpy(ret->bytes + 16, p + ELEPHANT_HALF, 16);
	return true;
}

static int open_data_key(const struct bitlocker_meta *m, const uint8_t vmk[BITLOCKER_VMK], struct bitlocker_key *ret,
                         struct err *e)
{
	struct bitlocker_entry n;
	struct bitlocker_sealed s;
	uint8_t key[SEALED_MAX];
	size_t at = 0;
	bool found = false;
	int r = 0;
	while (!found && r >= 0 && bitlocker_entry_next(m->entries, m->len, &at, &n)) {
		size_t len;
		if (n.type != BITLOCKER_FVEK || !bitlocker_sealed_take(&n, &s))
			continue;
		r = open_key(&s, vmk, key, &len, e);
		found = r == 1 && len > 0 && take_key(m->method, key, len, ret);
	}
	OPENSSL_cleanse(key, sizeof(key));
	if (r < 0)
		return r;
	return found ? 1 : err_set(e, ERR_VOLUME_CORRUPT, "bitlocker",
	                           "the BitLocker metadata is damaged: the key of the data is not in it");
}

int bitlocker_unseal(const struct bitlocker_meta *m, const struct bitlocker_protector *p, const uint8_t key[BITLOCKER_VMK],
                     struct bitlocker_key *ret, struct err *e)
{
	uint8_t vmk[SEALED_MAX];
	size_t len;
	int r = open_key(&p->vmk, key, vmk, &len, e);
	if (r == 1)
		r = len == BITLOCKER_VMK ? open_data_key(m, vmk, ret, e)
		                         : err_set(e, ERR_VOLUME_CORRUPT, "bitlocker",
		                                   "the BitLocker metadata is damaged: there is no key under this protector");
	OPENSSL_cleanse(vmk, sizeof(vmk));
	return r;
}

int bitlocker_open_clear(const struct bitlocker_meta *m, struct bitlocker_key *ret, struct err *e)
{
	struct bitlocker_protector p;
	size_t at = 0;
	for (unsigned i = 0; i < BITLOCKER_PROTECTORS_MAX && bitlocker_protector_next(m, &at, &p); i++) {
		if (p.kind != BITLOCKER_BY_CLEAR_KEY || !p.clear || !p.vmk.data)
			continue;
		int r = bitlocker_unseal(m, &p, p.clear, ret, e);
		return r != 0 ? r : err_set(e, ERR_VOLUME_CORRUPT, "bitlocker",
		                            "the BitLocker metadata is damaged: its clear key does not fit");
	}
	return 0;
}

int bitlocker_stretch(const uint8_t initial[32], const uint8_t salt[16], uint8_t ret[32], struct err *e)
{
	uint8_t state[88] = {0};     /* the last hash, the first one, the salt, a count */
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;
	memcpy(state + 32, initial, 32);
	memcpy(state + 64, salt, 16);
	for (uint64_t i = 0; ok && i < ROUNDS; i++) {
		put_le64(state + 80, i);
		ok = EVP_DigestInit_ex(c, NULL, NULL) == 1 && EVP_DigestUpdate(c, state, sizeof(state)) == 1 &&
		     EVP_DigestFinal_ex(c, state, NULL) == 1;
	}
	memcpy(ret, state, 32);
	OPENSSL_cleanse(state, sizeof(state));
	EVP_MD_CTX_free(c);
	return ok ? 0 : err_no_memory(e, "bitlocker");
}
