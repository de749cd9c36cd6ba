/* Hashes and sector ciphers, as far as what lies on disks needs them: libgcrypt's, behind names of our own.
 *
 * crypto_init() comes before everything else here, once a process and before it is confined: libgcrypt asks the system things then.
 * Later nothing here makes a system call. A cipher or hash is used by one thread at a time; hash_once() by any.
 * Keys are wiped when they are freed, and never kept elsewhere.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

void crypto_init(void);

/* --- hashes: RFC 1321, FIPS 180-4, FIPS 202, RFC 7693 ---------------------------------------------- */

enum hash_kind { HASH_MD5, HASH_SHA1, HASH_SHA224, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA3_256, HASH_BLAKE2B_256 };

enum { HASH_BYTES_MAX = 64, SHA256_BYTES = 32 };

/* Bytes of such a hash. */
size_t hash_bytes(enum hash_kind kind);
/* ret: hash_bytes() of them. Fails for want of memory only. */
int hash_once(enum hash_kind kind, const void *p, size_t len, uint8_t *ret, struct err *e);

/* Takes no memory, and cannot fail. ret may lie in p. */
void hash_sha256(const void *p, size_t len, uint8_t ret[SHA256_BYTES]);

struct hash;
int hash_new(enum hash_kind kind, struct hash **ret, struct err *e);
void hash_add(struct hash *h, const void *p, size_t len);
/* The hash of what was added, and a new beginning. */
void hash_end(struct hash *h, uint8_t *ret);
void hash_free(struct hash *h);

/* --- AES: FIPS 197, SP 800-38A (ECB, CBC), SP 800-38C (CCM), SP 800-38E (XTS) ------------------------ */

enum cipher_mode { CIPHER_ECB, CIPHER_CBC, CIPHER_XTS };

enum { AES_BLOCK = 16 };

struct cipher;
/* 16, 24 or 32 bytes; XTS: two keys of 16 or 32 behind each other. */
bool cipher_key_fits(enum cipher_mode mode, size_t key_len);
/* The key fits; the two of XTS differ (cipher_is_xts_key()). */
int cipher_new(enum cipher_mode mode, const uint8_t *key, size_t key_len, struct cipher **ret, struct err *e);
bool cipher_is_xts_key(const uint8_t *key, size_t key_len);
/* One sector, a whole number of blocks, in place. iv: its initialization vector or tweak. */
int cipher_decrypt(struct cipher *c, const uint8_t iv[AES_BLOCK], uint8_t *p, size_t len, struct err *e);
/* CIPHER_ECB: one block; in and out may be the same. */
int cipher_encrypt_block(struct cipher *c, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK], struct err *e);
void cipher_free(struct cipher *c);

struct ccm_message {
	const uint8_t *nonce, *mac, *data;
	size_t nonce_len, mac_len, len;
};
/* 1: opened, and out holds the len bytes; 0: not sealed with this key, or damaged. */
int ccm_open(const struct ccm_message *m, const uint8_t *key, size_t key_len, uint8_t *out, struct err *e);
