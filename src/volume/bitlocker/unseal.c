/* From a protector to the key of the data: AES-CCM twice, and the slow hash. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"
#include "crypto/crypto.h"

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

/* What was sealed is an entry again, a key. 1: opened, and *ret_len is the length of that key or 0, where there is none in it;
 * 0: `key` is another one. */
static int open_key(const struct bitlocker_sealed *s, const uint8_t key[32], uint8_t ret[SEALED_MAX], size_t *ret_len,
                    struct err *e)
{
	uint8_t out[SEALED_MAX];
	struct bitlocker_entry n;
	size_t at = 0, len = 0;
	struct ccm_message m = {.nonce = s->nonce, .nonce_len = NONCE, .mac = s->mac, .mac_len = MAC, .data = s->data, .len = s->len};
	int r = s->data && s->len <= sizeof(out) ? ccm_open(&m, key, 32, out, e) : 0;
	if (r == 1 && bitlocker_entry_next(out, s->len, &at, &n) && n.value == BITLOCKER_VALUE_KEY && n.len > KEY_HEAD) {
		len = n.len - KEY_HEAD;
		memcpy(ret, n.data + KEY_HEAD, len);
	}
	explicit_bzero(out, sizeof(out));
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
	explicit_bzero(key, sizeof(key));
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
	explicit_bzero(vmk, sizeof(vmk));
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

void bitlocker_stretch(const uint8_t initial[32], const uint8_t salt[16], uint8_t ret[32])
{
	uint8_t state[88] = {0};     /* the last hash, the first one, the salt, a count */
	memcpy(state + 32, initial, 32);
	memcpy(state + 64, salt, 16);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		put_le64(state + 80, i);
		hash_sha256(state, sizeof(state), state);
	}
	memcpy(ret, state, 32);
	explicit_bzero(state, sizeof(state));
}
