/* opendump KEYHELPER passphrase|recovery|file SECRET-FILE IMAGE: the bytes inside the first locked volume of a raw image, opened as
 * the hub does it: its key areas to the key helper, the key to the volume. "-" for the kind: what is open without a key. */
#include "session/keyhelper.h"
#include "volume/volume.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t secret[64 << 10], buf[1 << 20];

static int copy_header(struct volume_set *s, const struct volume *v, int *ret_fd, struct err *e)
{
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	int n = volume_set_key_areas(s, v->number, areas, e);
	if (n < 0)
		return n;
	int fd = memfd_create("header", 0);
	if (fd < 0 || ftruncate(fd, (off_t)v->blk->size) < 0)
		return err_set(e, ERR_NO_MEMORY, "test", "no memfd");
	for (int i = 0; i < n; i++) {
		for (uint64_t at = 0; at < areas[i].len;) {
			size_t part = areas[i].len - at < sizeof(buf) ? (size_t)(areas[i].len - at) : sizeof(buf);
			if (blk_read(v->blk, areas[i].off + at, buf, part, e) < 0)
				return e->code;
			if (pwrite(fd, buf, part, (off_t)(areas[i].off + at)) != (ssize_t)part)
				return err_set(e, ERR_NO_MEMORY, "test", "cannot write");
			at += part;
		}
	}
	*ret_fd = fd;
	return 0;
}

static int open_locked(struct volume_set *s, char **argv, struct err *e)
{
	struct session_key key = {.bytes = secret};
	uint8_t master[WIRE_KEY_MAX];
	size_t len = 0;
	int header = -1, fd = open(argv[3], O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, secret, sizeof(secret));
	if (n < 0)
		return err_set(e, ERR_INVALID, "test", "no secret");
	key.len = (size_t)n;
	key.kind = strcmp(argv[2], "passphrase") == 0 ? SESSION_KEY_PASSPHRASE :
	           strcmp(argv[2], "recovery") == 0   ? SESSION_KEY_RECOVERY : SESSION_KEY_FILE;
	for (unsigned i = 0; i < s->count; i++) {
		if (!s->volumes[i].locked)
			continue;
		int r = copy_header(s, &s->volumes[i], &header, e);
		if (r == 0)
			r = keyhelper_ask(argv[1], KEYHELPER_TIMEOUT_MS, header, &key, master, &len, e);
		return r < 0 ? r : volume_set_unlock(s, s->volumes[i].number, master, len, e);
	}
	return err_set(e, ERR_INVALID, "test", "nothing is locked");
}

static int dump(const struct volume_set *s, struct err *e)
{
	const struct volume *v = NULL;
	for (unsigned i = 0; i < s->count && !v; i++)
		v = s->volumes[i].kind == VOLUME_CRYPT ? &s->volumes[i] : NULL;
	if (!v)
		return err_set(e, ERR_INVALID, "test", "nothing is open: %s", s->count ? s->volumes[0].reason : "");
	/* Odd sizes: parts of sectors, and reads over all borders. */
	size_t step = 1013;
	for (uint64_t off = 0; off < v->blk->size; step = step * 7 % (sizeof(buf) - 1) + 1) {
		size_t n = v->blk->size - off < step ? (size_t)(v->blk->size - off) : step;
		if (blk_read(v->blk, off, buf, n, e) < 0)
			return e->code;
		if (fwrite(buf, 1, n, stdout) != n)
			return err_set(e, ERR_IO, "test", "cannot write");
		off += n;
	}
	return fflush(stdout) == 0 ? 0 : err_set(e, ERR_IO, "test", "cannot write");
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct blk *disk = NULL;
	struct volume_set *s = NULL;
	struct stat st;
	int fd = argc == 5 ? open(argv[4], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 2;
	int r = blk_fd_open(fd, (uint64_t)st.st_size, &disk, &e);
	if (r == 0)
		r = volume_discover(&disk, 1, NULL, NULL, &s, &e);
	if (r == 0 && strcmp(argv[2], "-") != 0)
		r = open_locked(s, argv, &e);
	if (r >= 0)
		r = dump(s, &e);
	for (unsigned i = 0; s && i < s->warning_count; i++)
		(void)fprintf(stderr, "warning: %s\n", s->warnings[i]);
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", err_code_name(e.code), e.msg);
	volume_set_free(s);
	blk_unref(disk);
	return r < 0;
}
