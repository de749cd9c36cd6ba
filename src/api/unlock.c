/* POST /restore/{mount_id}/unlock: the one request that carries a secret of a guest. It is wiped wherever it lay. */
#include "api/api.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MAX = 64 << 10 };

struct secret {
	enum session_key_kind kind;
	uint8_t *bytes;              /* owned */
	size_t len, room;
};

static void secret_free(struct secret *s)
{
	if (s->bytes)
		explicit_bzero(s->bytes, s->room);
	free(s->bytes);
}

static int secret_make(struct secret *s, size_t room, struct err *e)
{
	s->bytes = malloc(room + 1);
	s->room = room;
	return s->bytes ? 0 : err_no_memory(e, "api");
}

/* base64 of RFC 4648, section 4, on one line. */
static int take_key_file(const char *text, struct secret *ret, struct err *e)
{
	size_t n = strlen(text);
	if (n > SECRET_MAX / 3 * 4)
		return err_set(e, ERR_INVALID, "api", "a key file has at most %d bytes here", SECRET_MAX);
	size_t pad = n > 1 && text[n - 1] == '=' ? 1u + (text[n - 2] == '=') : 0;
	if (n == 0 || n % 4 != 0 || strcspn(text, " \t\r\n=") != n - pad)
		return err_set(e, ERR_INVALID, "api", "\"key_file\" must be the bytes of the file in base64");
	int r = secret_make(ret, n, e);
	int got = r == 0 ? EVP_DecodeBlock(ret->bytes, (const unsigned char *)text, (int)n) : r;
	if (r == 0 && got < 0)
		r = err_set(e, ERR_INVALID, "api", "\"key_file\" must be the bytes of the file in base64");
	if (r == 0)
		ret->len = (size_t)got - pad;
	return r;
}

static int take_text(const char *text, const char *what, struct secret *ret, struct err *e)
{
	size_t n = strlen(text);
	if (n == 0 || n > SECRET_MAX)
		return err_set(e, ERR_INVALID, "api", "a %s has 1 to %d bytes", what, SECRET_MAX);
	int r = secret_make(ret, n, e);
	if (r == 0) {
		memcpy(ret->bytes, text, n);
		ret->len = n;
	}
	return r;
}

static int take_secret(struct request_json *body, struct secret *ret, struct err *e)
{
	const char *passphrase = NULL, *recovery_key = NULL, *key_file = NULL;
	int r = request_json_string(body, "passphrase", NULL, &passphrase, e);
	if (r == 0)
		r = request_json_string(body, "recovery_key", NULL, &recovery_key, e);
	if (r == 0)
		r = request_json_string(body, "key_file", NULL, &key_file, e);
	if (r < 0)
		return r;
	if (!!passphrase + !!recovery_key + !!key_file != 1)
		return err_set(e, ERR_INVALID, "api", "give one of \"passphrase\", \"recovery_key\" and \"key_file\"");
	ret->kind = passphrase ? SESSION_KEY_PASSPHRASE : recovery_key ? SESSION_KEY_RECOVERY : SESSION_KEY_FILE;
	if (key_file)
		return take_key_file(key_file, ret, e);
	return passphrase ? take_text(passphrase, "passphrase", ret, e) : take_text(recovery_key, "recovery key", ret, e);
}

static int parse(struct request_json *body, int64_t *volume, struct secret *ret, struct err *e)
{
	int r = request_json_i64(body, "volume", 0, volume, e);
	if (r == 0 && (*volume < 1 || *volume > INT32_MAX))
		r = err_set(e, ERR_INVALID, "api", "\"volume\" must be the number of a locked volume");
	return r < 0 ? r : take_secret(body, ret, e);
}

/* The request's own bytes: they lie in memory of this process until the connection ends. */
static void wipe_request(const struct http_request *req, struct request_json *body)
{
	struct http_text raw = http_body_in(req);
	if (raw.len > 0)
		explicit_bzero((void *)(uintptr_t)raw.s, raw.len);
	if (body) {
		request_json_wipe(body, "passphrase");
		request_json_wipe(body, "recovery_key");
		request_json_wipe(body, "key_file");
	}
}

void api_mount_unlock(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	CLEANUP(secret_free) struct secret secret = {0};
	CLEANUP(hub_mount_free_p) struct hub_mount *m = NULL;
	const char *id;
	int64_t volume = 0;
	int r = http_param_string(req, "mount_id", &id, &e);
	if (r == 0)
		r = api_body(req, &body, &e);
	if (r == 0)
		r = parse(body, &volume, &secret, &e);
	wipe_request(req, body);
	struct session_key key = {.kind = secret.kind, .bytes = secret.bytes, .len = secret.len};
	if (r == 0)
		r = hub_unlock(api_hub(req), id, (uint32_t)volume, &key, &m, &e);
	if (r == 0)
		api_put_mount(http_json(resp, 200), m);
	else
		api_error(resp, &e);
}
