/* Names of fscrypt: without the key the kernel shows the hash of the name in its directory and the ciphertext, a
 * digest in place of what is too long, as base64url without padding (include/linux/fscrypt.h). */
#include "fs/ext/ext.h"

#include "base/hex.h"
#include "crypto/crypto.h"

#include <assert.h>

enum { NOKEY_BYTES = 149 };

/* Hashes as the kernel hands them to fscrypt: only where it walks the directory in hash order. */
static struct ext_hash name_hash(struct ext_fs *x, const struct ext_inode *dir, const struct ext_dent *d,
                                 unsigned version)
{
	struct ext_hash h = {0};
	bool hashed = x->sb.compat & EXT_DIR_INDEX &&
	              (dir->flags & (EXT_FL_INDEX | EXT_FL_INLINE_DATA) || dir->size >> x->sb.block_bits == 1);
	if (!hashed)
		return h;
	if (!(dir->flags & EXT_FL_CASEFOLD)) {
		(void)ext_name_hash(&x->sb, version, d->name, d->len, &h);
		return h;
	}
	/* Encrypted and case-insensitive: the hash needs the key and is therefore kept behind the name. */
	size_t pad = (4 - (8 + (size_t)d->len) % 4) % 4;
	if (d->tail_len >= pad + 8)
		h = (struct ext_hash){.major = get_le32(d->tail + pad), .minor = get_le32(d->tail + pad + 4)};
	return h;
}

size_t ext_nokey_name(struct ext_fs *x, const struct ext_inode *dir, const struct ext_dent *d, unsigned version,
                      char *ret)
{
	uint8_t raw[8 + NOKEY_BYTES + SHA256_BYTES];
	struct ext_hash h = name_hash(x, dir, d, version);
	put_le32(raw, h.major);
	put_le32(raw + 4, h.minor);
	size_t head = min_size(d->len, NOKEY_BYTES), len = 8 + head;
	memcpy(raw + 8, d->name, head);
	if (d->len > head) {
		hash_sha256(d->name + head, d->len - head, raw + len);
		len += SHA256_BYTES;
	}
	static_assert((sizeof(raw) * 4 + 2) / 3 < EXT_NOKEY_MAX, "there is room for the longest, and NUL");
	base64url_encode(ret, raw, len);
	return base64url_len(len);
}
