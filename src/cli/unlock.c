/* Encrypted volumes of an image: every key given is tried on every locked volume. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX = 64 << 10, ROUNDS_MAX = 8 };

struct secret {
	enum session_key_kind kind;
	uint8_t *bytes;              /* owned, SECRET_MAX + 1 */
	size_t len;
};

static void secret_free(struct secret *s)
{
	if (s->bytes)
		explicit_bzero(s->bytes, SECRET_MAX + 1);
	free(s->bytes);
}

/* Of a passphrase the newline at its end is the file's, not the passphrase's. */
static int secret_read(const struct chain_key *k, struct secret *ret, struct err *e)
{
	bool standard = strcmp(k->file, "-") == 0;
	CLEANUP(fd_close) int opened = standard ? -1 : open(k->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int fd = standard ? STDIN_FILENO : opened;
	if (fd < 0)
		return err_set_errno(e, ERR_INVALID, errno, "image", "%s", k->file);
	ret->bytes = malloc(SECRET_MAX + 1);
	if (!ret->bytes)
		return err_no_memory(e, "image");
	for (ssize_t n = 1; n != 0 && ret->len <= SECRET_MAX;) {
		n = read(fd, ret->bytes + ret->len, SECRET_MAX + 1 - ret->len);
		if (n < 0 && errno != EINTR)
			return err_set_errno(e, ERR_INVALID, errno, "image", "%s", k->file);
		ret->len += n > 0 ? (size_t)n : 0;
	}
	if (ret->len > SECRET_MAX)
		return err_set(e, ERR_INVALID, "image", "%s: a key has at most %d bytes", k->file, SECRET_MAX);
	ret->kind = k->kind;
	if (k->kind != SESSION_KEY_FILE && ret->len > 0 && ret->bytes[ret->len - 1] == '\n')
		ret->len--;
	if (ret->len == 0)
		return err_set(e, ERR_INVALID, "image", "%s: there is no key in it", k->file);
	return 0;
}

/* 1: a key fits. 0: none does; *e then says what was said last. */
static int try_keys(struct chain *c, uint32_t volume, const struct secret *secrets, unsigned count, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		err_clear(e);
		struct session_key key = {.kind = secrets[i].kind, .bytes = secrets[i].bytes, .len = secrets[i].len};
		int r = session_unlock(c->session, volume, &key, &c->opened, e);
		if (r == 0)
			return 1;
		if (!session_alive(c->session) || r == ERR_WORKER_START)
			return r;
	}
	return 0;
}

/* Tries all locked volumes once. > 0: some opened. What keeps the others closed goes to *why. */
static int unlock_round(struct chain *c, const struct secret *secrets, unsigned count, struct err *why, struct err *e)
{
	CLEANUP(free_ptr) struct wire_volume *volumes = NULL;
	unsigned volume_count = 0, opened = 0;
	int r = session_volumes(c->session, &volumes, &volume_count, e);
	if (r < 0)
		return r;
	err_clear(why);
	for (unsigned i = 0; i < volume_count; i++) {
		if (!volumes[i].locked)
			continue;
		struct err refused = ERR_INIT;
		r = try_keys(c, volumes[i].number, secrets, count, &refused);
		if (r < 0) {
			*e = refused;
			return r;
		}
		opened += r > 0;
		if (r == 0 && why->code == 0) {
			*why = refused;
			(void)err_prefix(why, "volume %u stays locked", volumes[i].number);
		}
	}
	return (int)opened;
}

/* What was opened may hold further ones. */
static int unlock_all(struct chain *c, const struct secret *secrets, unsigned count, struct err *e)
{
	struct err why = ERR_INIT;
	unsigned total = 0;
	int opened = 1;
	for (unsigned round = 0; opened > 0 && round < ROUNDS_MAX; round++) {
		opened = unlock_round(c, secrets, count, &why, e);
		if (opened < 0)
			return opened;
		total += (unsigned)opened;
	}
	/* A key that opens nothing at all is a mistake; a volume that is of no interest may stay as it is. */
	if (total == 0 && why.code != 0) {
		*e = why;
		return e->code;
	}
	if (total == 0)
		return err_set(e, ERR_INVALID, "image", "a key was given, but no volume of this image is locked");
	return 0;
}

int chain_unlock(struct chain *c, const struct chain_options *opt, struct err *e)
{
	struct secret secrets[CLI_KEYS_MAX] = {{0}};
	int r = 0;
	for (unsigned i = 0; i < opt->key_count && r == 0; i++)
		r = secret_read(&opt->keys[i], &secrets[i], e);
	if (r == 0 && opt->key_count > 0)
		r = unlock_all(c, secrets, opt->key_count, e);
	for (unsigned i = 0; i < CLI_KEYS_MAX; i++)
		secret_free(&secrets[i]);
	return r;
}
