#include "keys/keys.h"

#include "base/cleanup.h"
#include "volume/bitlocker/bitlocker.h"
#include "volume/ident.h"
#include "wire/keyhelper.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int open_with(const struct bitlocker_meta *m, const struct keys_secret *s, struct bitlocker_key *ret, struct err *e)
{
	switch (s->kind) {
	case KEYHELPER_PASSPHRASE:
		return bitlocker_open_password(m, s->bytes, s->len, ret, e);
	case KEYHELPER_RECOVERY:
		return bitlocker_open_recovery(m, s->bytes, s->len, ret, e);
	default:
		return bitlocker_open_startup(m, s->bytes, s->len, ret, e);
	}
}

int keys_bitlocker(int header_fd, const struct keys_secret *secret, uint8_t ret[KEYS_MASTER_MAX], size_t *ret_len,
                   struct err *e)
{
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	CLEANUP(free_ptr) struct bitlocker_meta *m = NULL;
	struct volume_content content = {0};
	struct stat st;
	if (fstat(header_fd, &st) < 0)
		return err_set_errno(e, ERR_INTERNAL, errno, "keys", "there is no header");
	int r = blk_fd_open(header_fd, (uint64_t)st.st_size, &b, e);
	if (r == 0)
		r = ident_probe(b, &content, e);
	if (r <= 0 || strcmp(content.type, "BitLocker") != 0)
		return r < 0 ? r : 0;
	struct bitlocker_key key;
	r = bitlocker_meta_read(b, &m, e);
	if (r == 0)
		r = open_with(m, secret, &key, e);
	if (r == 0) {
		memcpy(ret, key.bytes, key.len);
		*ret_len = key.len;
	}
	explicit_bzero(&key, sizeof(key));
	return r < 0 ? r : 1;
}
