/* Held against OpenSSL, which the library does not use, on bytes nobody chose. */
#include "crypto/crypto.h"

#include "test.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { LEN_MAX = 5000, SECTOR_MAX = 4096 };

static uint8_t noise[LEN_MAX];

static void fill(void)
{
	uint32_t x = 1;
	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
}

static void test_hashes(void **state)
{
	(void)state;
	static const struct {
		enum hash_kind kind;
		const char *name;
	} all[] = {{HASH_MD5, "MD5"},       {HASH_SHA1, "SHA1"},     {HASH_SHA224, "SHA224"},     {HASH_SHA256, "SHA256"},
	           {HASH_SHA384, "SHA384"}, {HASH_SHA512, "SHA512"}, {HASH_SHA3_256, "SHA3-256"}};
	static const size_t lens[] = {0, 1, 55, 56, 63, 64, 65, 127, 128, 136, 1000, LEN_MAX};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const EVP_MD *md = EVP_get_digestbyname(all[i].name);
		struct hash *h = NULL;
		struct err e = ERR_INIT;
		assert_non_null(md);
		assert_int_equal(hash_bytes(all[i].kind), EVP_MD_get_size(md));
		assert_int_equal(hash_new(all[i].kind, &h, &e), 0);
		for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			uint8_t want[EVP_MAX_MD_SIZE], got[HASH_BYTES_MAX];
			assert_int_equal(EVP_Digest(noise, lens[k], want, NULL, md, NULL), 1);
			assert_int_equal(hash_once(all[i].kind, noise, lens[k], got, &e), 0);
			assert_memory_equal(got, want, hash_bytes(all[i].kind));
			memset(got, 0, sizeof(got));
			hash_add(h, noise, lens[k] / 3);
			hash_add(h, noise + lens[k] / 3, lens[k] - lens[k] / 3);
			hash_end(h, got);
			assert_memory_equal(got, want, hash_bytes(all[i].kind));
			if (all[i].kind == HASH_SHA256) {
				uint8_t same[LEN_MAX];
				memcpy(same, noise, lens[k]);
				hash_sha256(same, lens[k], same);
				assert_memory_equal(same, want, SHA256_BYTES);
			}
		}
		hash_free(h);
	}
}

/* OpenSSL's BLAKE2b has 64 bytes only, which is another function: the 32 bytes of "abc" by Python's hashlib. */
static void test_blake2b(void **state)
{
	(void)state;
	static const uint8_t want[32] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
	                                 0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
	uint8_t got[HASH_BYTES_MAX];
	struct err e = ERR_INIT;
	assert_int_equal(hash_once(HASH_BLAKE2B_256, "abc", 3, got, &e), 0);
	assert_int_equal(hash_bytes(HASH_BLAKE2B_256), sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
}

static EVP_CIPHER_CTX *other(const char *name, const uint8_t *key, const uint8_t *iv)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	assert_non_null(c);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_get_cipherbyname(name), NULL, key, iv), 1);
	assert_int_equal(EVP_CIPHER_CTX_set_padding(c, 0), 1);
	return c;
}

static void test_ciphers(void **state)
{
	(void)state;
	static const struct {
		enum cipher_mode mode;
		const char *name;
		size_t key_len;
	} all[] = {{CIPHER_XTS, "AES-128-XTS", 32}, {CIPHER_XTS, "AES-256-XTS", 64}, {CIPHER_CBC, "AES-128-CBC", 16},
	           {CIPHER_CBC, "AES-192-CBC", 24}, {CIPHER_CBC, "AES-256-CBC", 32}};
	static const size_t lens[] = {AES_BLOCK, 512, 1024, SECTOR_MAX};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct cipher *c = NULL;
		struct err e = ERR_INIT;
		const uint8_t *key = noise + 16 * i;
		assert_int_equal(cipher_new(all[i].mode, key, all[i].key_len, &c, &e), 0);
		for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			const uint8_t *iv = noise + 100 * k;
			uint8_t bytes[SECTOR_MAX];
			int n = 0;
			EVP_CIPHER_CTX *o = other(all[i].name, key, iv);
			assert_int_equal(EVP_EncryptUpdate(o, bytes, &n, noise, (int)lens[k]), 1);
			EVP_CIPHER_CTX_free(o);
			assert_int_equal(n, lens[k]);
			assert_int_equal(cipher_decrypt(c, iv, bytes, lens[k], &e), 0);
			assert_memory_equal(bytes, noise, lens[k]);
		}
		cipher_free(c);
	}
}

static void test_block(void **state)
{
	(void)state;
	for (size_t key_len = 16; key_len <= 32; key_len += 8) {
		static const char *const names[] = {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"};
		struct cipher *c = NULL;
		struct err e = ERR_INIT;
		uint8_t want[AES_BLOCK], got[AES_BLOCK];
		int n = 0;
		EVP_CIPHER_CTX *o = other(names[key_len / 8 - 2], noise, NULL);
		assert_int_equal(EVP_EncryptUpdate(o, want, &n, noise + 99, AES_BLOCK), 1);
		EVP_CIPHER_CTX_free(o);
		assert_int_equal(cipher_new(CIPHER_ECB, noise, key_len, &c, &e), 0);
		assert_int_equal(cipher_encrypt_block(c, noise + 99, got, &e), 0);
		assert_memory_equal(got, want, sizeof(want));
		memcpy(got, noise + 99, AES_BLOCK);
		assert_int_equal(cipher_encrypt_block(c, got, got, &e), 0);
		assert_memory_equal(got, want, sizeof(want));
		cipher_free(c);
	}
}

static void test_ccm(void **state)
{
	(void)state;
	enum { LEN = 44, NONCE = 12, MAC = 16 };
	uint8_t sealed[LEN], mac[MAC], out[LEN], key[32];
	int n = 0;
	memcpy(key, noise, sizeof(key));
	EVP_CIPHER_CTX *o = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex(o, EVP_aes_256_ccm(), NULL, NULL, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(o, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(o, EVP_CTRL_AEAD_SET_TAG, MAC, NULL), 1);
	assert_int_equal(EVP_EncryptInit_ex(o, NULL, NULL, key, noise + 40), 1);
	assert_int_equal(EVP_EncryptUpdate(o, NULL, &n, NULL, LEN), 1);
	assert_int_equal(EVP_EncryptUpdate(o, sealed, &n, noise + 60, LEN), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(o, EVP_CTRL_AEAD_GET_TAG, MAC, mac), 1);
	EVP_CIPHER_CTX_free(o);

	struct ccm_message m = {.nonce = noise + 40, .nonce_len = NONCE, .mac = mac, .mac_len = MAC, .data = sealed, .len = LEN};
	struct err e = ERR_INIT;
	assert_int_equal(ccm_open(&m, key, sizeof(key), out, &e), 1);
	assert_memory_equal(out, noise + 60, LEN);
	key[31] ^= 1;
	assert_int_equal(ccm_open(&m, key, sizeof(key), out, &e), 0);
	key[31] ^= 1;
	mac[0] ^= 0x80;
	assert_int_equal(ccm_open(&m, key, sizeof(key), out, &e), 0);
	mac[0] ^= 0x80;
	sealed[LEN - 1] ^= 1;
	assert_int_equal(ccm_open(&m, key, sizeof(key), out, &e), 0);
}

static void test_key_lengths(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 80; n++) {
		bool one = n == 16 || n == 24 || n == 32;
		assert_int_equal(cipher_key_fits(CIPHER_ECB, n), one);
		assert_int_equal(cipher_key_fits(CIPHER_CBC, n), one);
		assert_int_equal(cipher_key_fits(CIPHER_XTS, n), n == 32 || n == 64);
	}
}

static void test_xts_keys(void **state)
{
	(void)state;
	uint8_t key[64];
	memcpy(key, noise, 32);
	memcpy(key + 32, noise, 32);
	assert_false(cipher_is_xts_key(key, sizeof(key)));
	key[63] ^= 1;
	assert_true(cipher_is_xts_key(key, sizeof(key)));
}

int main(void)
{
	crypto_init();
	fill();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes), cmocka_unit_test(test_blake2b), cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_block),  cmocka_unit_test(test_ccm),     cmocka_unit_test(test_xts_keys),
		cmocka_unit_test(test_key_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
