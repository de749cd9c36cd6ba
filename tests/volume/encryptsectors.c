/* encryptsectors CIPHER KEY-FILE SECTOR-SIZE OFFSET PLAIN CONTAINER: writes PLAIN, encrypted as dm-crypt does it, into
 * CONTAINER at OFFSET. What a test needs where there is no device-mapper; it shares nothing with the reader. */
#include <assert.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void once(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv, const uint8_t *in, uint8_t *out, int len)
{
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (!ctx || EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) != 1)
		abort();
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	if (EVP_EncryptUpdate(ctx, out, &n, in, len) != 1 || n != len)
		abort();
	EVP_CIPHER_CTX_free(ctx);
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	uint8_t key[64], in[4096], out[4096], hash[SHA256_DIGEST_LENGTH];
	int fd = open(argv[2], O_RDONLY);
	ssize_t key_len = read(fd, key, sizeof(key));
	int sector = atoi(argv[3]);
	off_t offset = atoll(argv[4]);
	int plain = open(argv[5], O_RDONLY), to = open(argv[6], O_WRONLY);
	if (key_len < 16 || plain < 0 || to < 0 || sector < 512 || sector > 4096)
		return 2;
	char name[32];
	(void)snprintf(name, sizeof(name), "aes-%zd-%s", key_len * (strstr(argv[1], "xts") ? 4 : 8),
	               strstr(argv[1], "xts") ? "xts" : "cbc");
	const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);
	if (!cipher)
		return 2;
	SHA256(key, (size_t)key_len, hash);
	for (off_t at = 0; pread(plain, in, (size_t)sector, at) == sector; at += sector) {
		uint8_t iv[16] = {0};
		uint64_t number = (uint64_t)at / 512;
		for (unsigned i = 0; i < 8; i++)
			iv[i] = (uint8_t)(number >> (8 * i));
		if (strstr(argv[1], "essiv"))
			once(EVP_aes_256_ecb(), hash, NULL, iv, iv, 16);
		once(cipher, key, iv, in, out, sector);
		if (pwrite(to, out, (size_t)sector, offset + at) != sector)
			return 1;
	}
	return 0;
}
