/* Encrypted images: a chain with LUKS inside a QCOW2 layer. The worker knows the disk's size and that it is locked; when the
 * passphrase comes, qemu-nbd reads the whole chain with it, confined, and the worker gets the decrypted disk from there. */
#include "session/internal.h"

#include "wire/imagehelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICK_MS = 500 };

/* One at a time, as with the keys of volumes: stretching them takes a processor. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* --- the files ------------------------------------------------------------------------------------ */

int session_keep_file(struct session *s, unsigned disk, int fd, struct layer_file **ret, struct err *e)
{
	*ret = NULL;
	if (!s->foreign)
		return 0;
	struct layer_file *f = malloc(sizeof(*f)), **at = &s->files;
	if (!f)
		return err_no_memory(e, "session");
	*f = (struct layer_file){.disk = disk, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
	if (f->fd < 0) {
		free(f);
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "too many files are open");
	}
	while (*at)
		at = &(*at)->next;
	*at = *ret = f;
	return 0;
}

static bool is_sealed(const struct session *s, unsigned disk)
{
	for (const struct layer_file *f = s->files; f; f = f->next)
		if (f->disk == disk && f->kind == IMAGEHELPER_LUKS)
			return true;
	return false;
}

void session_drop_files(struct session *s, unsigned disk)
{
	for (struct layer_file **at = &s->files; *at;) {
		struct layer_file *f = *at;
		if (disk == SESSION_DISKS_MAX ? is_sealed(s, f->disk) : f->disk != disk) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		(void)close(f->fd);
		free(f);
	}
}

void session_free_files(struct session *s)
{
	while (s->files)
		session_drop_files(s, s->files->disk);
}

int session_find_sealed(struct session *s, uint32_t volume, unsigned *ret_disk, bool *ret_locked, struct err *e)
{
	if (!s->files)
		return 0;
	CLEANUP(free_ptr) struct wire_volume *list = NULL;
	unsigned count = 0;
	int r = session_volumes(s, &list, &count, e);
	for (unsigned i = 0; i < count && r == 0; i++) {
		const struct wire_volume *v = &list[i];
		if (v->number != volume || strcmp(v->kind, "disk") != 0 || !is_sealed(s, v->disk) || session_missing(s, v->disk))
			continue;
		*ret_disk = v->disk;
		*ret_locked = v->locked;
		return 1;
	}
	return r;
}

/* --- unlocking ------------------------------------------------------------------------------------ */

/* A pipe with the secret in it and nobody who writes. What is read of it is gone. */
static int secret_pipe(const struct session_key *key, struct err *e)
{
	int ends[2];
	if (key->kind == SESSION_KEY_RECOVERY)
		return err_set(e, ERR_KEY_WRONG, "session", "an encrypted image has no recovery key; it opens with a passphrase");
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot pass the passphrase on");
	ssize_t n = write(ends[1], key->bytes, key->len);
	(void)close(ends[1]);
	if (n == (ssize_t)key->len)
		return ends[0];
	(void)close(ends[0]);
	return err_set(e, ERR_INVALID, "session", "the passphrase is too long for an encrypted image");
}

static int start(struct session *s, unsigned disk, int secret, struct image_helper **ret, int *ret_sock, struct err *e)
{
	char layers[IMAGEHELPER_LAYERS_MAX + 1] = "";
	int fds[IMAGEHELPER_LAYERS_MAX + 1];
	unsigned n = 0;
	for (const struct layer_file *f = s->files; f; f = f->next) {
		if (f->disk != disk)
			continue;
		if (n == IMAGEHELPER_LAYERS_MAX)
			return err_set(e, ERR_LIMIT, "session", "an encrypted chain has at most %d layers", IMAGEHELPER_LAYERS_MAX);
		layers[n] = f->kind;
		fds[n++] = f->fd;
	}
	fds[n] = secret;
	return image_helper_start(s, "qcow2", layers, fds, n + 1, ret, ret_sock, e);
}

/* Until qemu-nbd says hello, which it does first: it has the key then. */
static int wait_hello(struct session *s, struct image_helper *h, int sock, struct err *e)
{
	uint64_t until = now_ms() + s->key_timeout_ms;
	struct pollfd p[2] = {{.fd = sock, .events = POLLIN}, {.fd = h->pidfd, .events = POLLIN}};
	while (poll(p, 2, TICK_MS) <= 0 || (p[0].revents == 0 && p[1].revents == 0)) {
		if (!session_alive(s))
			return err_set(e, ERR_CANCELLED, "session", "the session was closed");
		if (now_ms() >= until)
			return err_set(e, ERR_TIMEOUT, "session",
			               "opening the image with this passphrase took too long and was ended; it may still be the right one");
	}
	char c;
	if (recv(sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		return 0;
	(void)err_set(e, ERR_IMAGE_UNREADABLE, "session", "qemu-nbd, which reads this image, ended without a word");
	image_helper_explain(h, e);
	return e->code;
}

static int give_source(struct session *s, uint32_t volume, int sock, struct session_opened *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_UNLOCK_SOURCE, 0);
	wire_put_u32(&b, volume);
	struct pending p;
	int r = session_call(s, &b, &sock, 1, WIRE_UNLOCKED, s->open_timeout_ms, &p, e);
	if (r < 0)
		return r;
	struct rdr rd = rdr_init(p.answer.data, p.answer.len);
	struct session_opened opened;
	session_get_opened(&rd, &opened);
	buf_free(&p.answer);
	if (rd.bad)
		return session_broken(s, e, "its description of the disk");
	*ret = opened;
	return 0;
}

static int unlock(struct session *s, uint32_t volume, int secret, struct session_opened *ret, struct err *e)
{
	unsigned disk = 0;
	bool locked = true;
	struct image_helper *h = NULL;
	CLEANUP(fd_close) int sock = -1;
	int r = session_find_sealed(s, volume, &disk, &locked, e);
	if (r == 0)
		return err_set(e, ERR_VOLUME_NOT_FOUND, "session", "there is no volume %u that is an encrypted image", (unsigned)volume);
	if (r > 0)
		r = start(s, disk, secret, &h, &sock, e);
	if (r < 0)
		return r;
	struct session_opened opened;
	r = wait_hello(s, h, sock, e);
	if (r == 0)
		r = give_source(s, volume, sock, &opened, e);
	/* One that is open already keeps the qemu-nbd it has: this one has only tried the key. */
	if (r < 0 || !locked)
		image_helper_free(h);
	else
		r = session_adopt_helper(s, h, e);
	if (r == 0)
		*ret = opened;
	return r;
}

int session_unlock_sealed(struct session *s, uint32_t volume, const struct session_key *key, struct session_opened *ret,
                          struct err *e)
{
	CLEANUP(fd_close) int secret = secret_pipe(key, e);
	if (secret < 0)
		return secret;
	pthread_mutex_lock(&one_at_a_time);
	int r = unlock(s, volume, secret, ret, e);
	pthread_mutex_unlock(&one_at_a_time);
	return r;
}
