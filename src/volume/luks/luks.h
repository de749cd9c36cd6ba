/* luks: LUKS1 and LUKS2 containers ("LUKS1 On-Disk Format Specification" 1.2.3, "LUKS2 On-Disk Format Specification" 1.1.0).
 *
 * This side reads from the header where the encrypted data lies and how it is encrypted, and decrypts it with the raw key.
 * The key slots are the business of libcryptsetup in another process (src/keys).
 *
 *	header.c   LUKS1, and which of the two        json.c    looking up in the JSON of LUKS2
 *	luks2.c    LUKS2: two copies, checksum, segment  crypt.c   the decrypting blk
 */
#ifndef VOLUME_LUKS_LUKS_H
#define VOLUME_LUKS_LUKS_H

#include "volume/layer.h"

enum {
	LUKS_CIPHER_MAX = 64,
	LUKS_KEY_MAX = 64,           /* of the ciphers read here: XTS with AES-256 */
	LUKS2_HEADER_MIN = 16 << 10,
	LUKS2_HEADER_MAX = 4 << 20,  /* of one of the two copies */
};

struct luks_header {
	unsigned version;
	char cipher[LUKS_CIPHER_MAX];    /* "aes-xts-plain64" */
	uint32_t key_bytes;              /* 0: the header does not say (LUKS2) */
	uint32_t sector_size;            /* 512, 1024, 2048 or 4096 */
	uint64_t offset, size;           /* of the data in the container; both multiples of 512, inside it */
	uint64_t iv_tweak;               /* added to the number of the 512-byte sector */
	uint64_t key_area_end;           /* header and key slots lie before it */
};

/* Reads and checks. ERR_VOLUME_CORRUPT; ERR_VOLUME_UNSUPPORTED for what is not read, named. */
int luks_header_read(struct blk *b, struct luks_header *ret, struct err *e);
/* For a container whose first bytes are those of LUKS2, or destroyed. */
int luks2_header_read(struct blk *b, struct luks_header *ret, struct err *e);

/* Whether that cipher can be decrypted here: ERR_VOLUME_UNSUPPORTED if not. */
int luks_cipher_check(const char *cipher, struct err *e);
/* The decrypted data. ERR_KEY_WRONG where the key's length is not the cipher's. */
int luks_crypt_open(struct blk *container, const struct luks_header *h, const uint8_t *key, size_t key_len,
                    struct blk **ret, struct err *e);

extern const struct volume_layer volume_luks_layer;

#endif
