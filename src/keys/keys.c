#include "keys/keys.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "wire/keyhelper.h"

#include <errno.h>
#include <libcryptsetup.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WARM_UP_BYTES = 1 << 20, ANSWER_HEAD = 8 };

static void device_free(struct crypt_device **cd)
{
	crypt_free(*cd);
}

/* What libcryptsetup would print may hold anything of a header. */
static void no_log(int level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

static int open_device(int fd, struct crypt_device **ret)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = crypt_init(ret, path);
	return r < 0 ? r : crypt_load(*ret, CRYPT_LUKS, NULL);
}

static void *leave(void *arg)
{
	pthread_exit(arg);
}

void keys_warm_up(void)
{
	crypto_init();
	/* argon2's threads end with pthread_exit(), for which glibc loads a library the first time. */
	pthread_t thread;
	if (pthread_create(&thread, NULL, leave, NULL) == 0)
		(void)pthread_join(thread, NULL);
	crypt_set_log_callback(NULL, no_log, NULL);
	/* The header and its key slots are a copy nobody else uses. */
	(void)crypt_metadata_locking(NULL, 0);
	CLEANUP(device_free) struct crypt_device *cd = NULL;
	CLEANUP(fd_close) int fd = memfd_create("sendense-warm-up", MFD_CLOEXEC);
	/* There is no header in it, and that is the point: all that is needed to say so has been loaded. */
	if (fd >= 0 && ftruncate(fd, WARM_UP_BYTES) == 0)
		(void)open_device(fd, &cd);
}

static int load_failed(int r, struct err *e)
{
	if (r == -ENOMEM)
		return err_no_memory(e, "keys");
	if (r == -ENOTSUP)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "keys", "this LUKS header has features that are not known here");
	return err_set(e, ERR_VOLUME_CORRUPT, "keys", "the LUKS header is damaged and cannot be opened");
}

static int key_failed(int r, struct err *e)
{
	switch (r) {
	case -EPERM:
		return err_set(e, ERR_KEY_WRONG, "keys", "no key slot of this volume opens with that passphrase or key file");
	case -ENOENT:
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "keys", "this volume has no key slot that a passphrase or key file opens");
	case -ENOMEM:
		return err_set(e, ERR_NO_MEMORY, "keys", "deriving the key needs more memory than there is");
	default:
		return err_set_errno(e, ERR_VOLUME_CORRUPT, -r, "keys", "the key slots of this volume cannot be used");
	}
}

int keys_luks(int header_fd, const struct keys_secret *secret, uint8_t ret[KEYS_MASTER_MAX], size_t *ret_len,
              struct err *e)
{
	CLEANUP(device_free) struct crypt_device *cd = NULL;
	if (secret->kind == KEYHELPER_RECOVERY)
		return err_set(e, ERR_KEY_WRONG, "keys", "a LUKS volume has no recovery key; it opens with a passphrase or a key file");
	int r = open_device(header_fd, &cd);
	if (r < 0)
		return load_failed(r, e);
	uint8_t key[KEYS_MASTER_MAX];
	size_t key_len = sizeof(key);
	r = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, (char *)key, &key_len, (const char *)secret->bytes, secret->len);
	if (r >= 0) {
		memcpy(ret, key, key_len);
		*ret_len = key_len;
	}
	explicit_bzero(key, sizeof(key));
	return r < 0 ? key_failed(r, e) : 0;
}

/* --- the process ---------------------------------------------------------------------------------- */

static bool get_all(void *to, size_t len)
{
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = recv(KEYHELPER_SOCKET_FD, p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put_all(const void *from, size_t len)
{
	const uint8_t *p = from;
	while (len > 0) {
		ssize_t n = send(KEYHELPER_SOCKET_FD, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static int answer(int code, const void *bytes, size_t len)
{
	uint8_t head[ANSWER_HEAD];
	put_le32(head, (uint32_t)-code);
	put_le32(head + 4, (uint32_t)len);
	return put_all(head, sizeof(head)) && put_all(bytes, len) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int find_key(uint8_t *key, size_t *key_len, struct err *e)
{
	static uint8_t secret[KEYHELPER_SECRET_MAX];
	uint8_t head[8];
	int r = get_all(head, sizeof(head)) ? 0 : err_set(e, ERR_INVALID, "keys", "the client went away");
	uint32_t kind = r == 0 ? get_le32(head) : 0;
	size_t len = r == 0 ? get_le32(head + 4) : 0;
	if (r == 0 && (len > sizeof(secret) || !get_all(secret, len)))
		r = err_set(e, ERR_INVALID, "keys", "a passphrase or key file has at most %d bytes", KEYHELPER_SECRET_MAX);
	struct keys_secret s = {.kind = kind, .bytes = secret, .len = len};
	if (r == 0)
		r = keys_bitlocker(KEYHELPER_HEADER_FD, &s, key, key_len, e);
	if (r == 0)
		r = keys_luks(KEYHELPER_HEADER_FD, &s, key, key_len, e);
	explicit_bzero(secret, sizeof(secret));
	return r < 0 ? r : 0;
}

int keys_main(void)
{
	struct err e = ERR_INIT;
	uint8_t key[KEYS_MASTER_MAX];
	size_t len = 0;
	(void)close_range(KEYHELPER_HEADER_FD + 1, ~0U, 0);
	keys_warm_up();
	int r = keys_confine(&e);
	if (r == 0)
		r = find_key(key, &len, &e);
	int status = r < 0 ? answer(r, e.msg, strlen(e.msg)) : answer(0, key, len);
	explicit_bzero(key, sizeof(key));
	return status;
}
