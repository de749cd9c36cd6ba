/* unlock: the key of an encrypted volume, from a file or standard input, never from the command line. */
#include "client/commands.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX = 64 << 10, BODY_ROOM = 8 * SECRET_MAX };

struct secret {
	uint8_t *bytes;              /* owned, SECRET_MAX + 1 */
	size_t len;
};

static void wipe(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
	free(p);
}

static int read_secret(const char *file, struct secret *s, struct err *e)
{
	bool standard = strcmp(file, "-") == 0;
	CLEANUP(fd_close) int opened = standard ? -1 : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int fd = standard ? STDIN_FILENO : opened;
	if (fd < 0)
		return err_set_errno(e, ERR_INVALID, errno, "client", "%s", file);
	for (ssize_t n = 1; n != 0 && s->len <= SECRET_MAX;) {
		n = read(fd, s->bytes + s->len, SECRET_MAX + 1 - s->len);
		if (n < 0 && errno != EINTR)
			return err_set_errno(e, ERR_INVALID, errno, "client", "%s", file);
		s->len += n > 0 ? (size_t)n : 0;
	}
	if (s->len == 0 || s->len > SECRET_MAX)
		return err_set(e, ERR_INVALID, "client", "%s: a key has 1 to %d bytes", file, SECRET_MAX);
	return 0;
}

/* Into room that never grows: no copy is left behind. */
static size_t put_base64(char *to, const uint8_t *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *at = to;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < len ? p[i + 2] : 0);
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = i + 1 < len ? digits[v >> 6 & 63] : '=';
		*at++ = i + 2 < len ? digits[v & 63] : '=';
	}
	return (size_t)(at - to);
}

/* A JSON string's inside: at most six bytes for one. */
static size_t put_text(char *to, const uint8_t *p, size_t len)
{
	char *at = to;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] == '"' || p[i] == '\\' || p[i] == 0x7f)
			at += snprintf(at, 7, "\\u%04x", p[i]);
		else
			*at++ = (char)p[i];
	}
	return (size_t)(at - to);
}

/* A passphrase that is no text goes as the bytes of a key file, which is the same to LUKS. */
static void fill_body(char *body, const struct client_args *a, const struct secret *s)
{
	bool text = !a->key_file && utf8_valid(s->bytes, s->len) && !memchr(s->bytes, '\0', s->len);
	const char *name = !text ? "key_file" : a->passphrase_file ? "passphrase" : "recovery_key";
	int n = snprintf(body, BODY_ROOM, "{\"volume\":%s,\"%s\":\"", a->volume, name);
	size_t at = (size_t)n + (text ? put_text(body + n, s->bytes, s->len) : put_base64(body + n, s->bytes, s->len));
	memcpy(body + at, "\"}", 3);
}

static int print_unlocked(const struct doc *d, const struct client_args *a)
{
	(void)d;
	(void)printf("volume %s is unlocked until this mount's worker ends\n", a->volume);
	return CLIENT_OK;
}

int cmd_unlock(struct client *c, const struct client_args *a)
{
	const char *file = a->passphrase_file ? a->passphrase_file : a->recovery_key_file ? a->recovery_key_file : a->key_file;
	struct err e = ERR_INIT;
	struct secret s = {.bytes = malloc(SECRET_MAX + 1)};
	char *body = malloc(BODY_ROOM);
	int r = s.bytes && body ? read_secret(file, &s, &e) : err_no_memory(&e, "client");
	/* The newline at the end of a file of text is the file's. */
	if (r == 0 && !a->key_file && s.len > 1 && s.bytes[s.len - 1] == '\n')
		s.len--;
	int status;
	if (r == 0) {
		CLEANUP(buf_free) struct buf path = BUF_INIT(4096);
		api_path(&path, "/restore/%s/unlock", a->operands[0]);
		fill_body(body, a, &s);
		struct call call = {.method = "POST", .path = buf_str(&path), .body = body};
		status = show(c, a, &call, print_unlocked);
	} else {
		status = complain_err(&e);
	}
	wipe(s.bytes, SECRET_MAX + 1);
	wipe(body, BODY_ROOM);
	return status;
}
