#include "api/auth.h"

#include "base/hex.h"
#include "base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_BYTES = 32 };

struct auth {
	unsigned char digest[SHA256_DIGEST_LENGTH];
};

static int open_folder(const char *data_dir, int *ret, struct err *e)
{
	int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "auth", "cannot open the data directory");
	*ret = fd;
	return 0;
}

static bool is_token(const char *text, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return len == AUTH_TOKEN_LEN && strspn(text, alphabet) == len;
}

/* Reads the token from an open file. */
static int read_token(int fd, char ret[AUTH_TOKEN_MAX], struct err *e)
{
	struct stat st;
	char text[AUTH_TOKEN_MAX + 2];
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "auth", "cannot read " AUTH_TOKEN_FILE);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, "auth", AUTH_TOKEN_FILE " is not a regular file");
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_CONFIG, "auth",
		               AUTH_TOKEN_FILE " may be used by others than its owner: make it mode 0600, or remove it");
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "auth", "cannot read " AUTH_TOKEN_FILE);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	bool good = is_token(text, (size_t)n);
	if (good)
		memcpy(ret, text, AUTH_TOKEN_MAX);
	OPENSSL_cleanse(text, sizeof(text));
	if (good)
		return 0;
	return err_set(e, ERR_CONFIG, "auth", AUTH_TOKEN_FILE " holds no token: remove it, and a new one is made");
}

static int write_token(int dir, int fd, const char *token, struct err *e)
{
	char line[AUTH_TOKEN_MAX + 1];
	(void)snprintf(line, sizeof(line), "%s\n", token);
	ssize_t n = write(fd, line, AUTH_TOKEN_LEN + 1);
	int saved = n < 0 ? errno : ENOSPC;
	bool ok = n == AUTH_TOKEN_LEN + 1;
	if (ok && (fsync(fd) < 0 || fsync(dir) < 0)) {
		saved = errno;
		ok = false;
	}
	OPENSSL_cleanse(line, sizeof(line));
	if (ok)
		return 0;
	(void)unlinkat(dir, AUTH_TOKEN_FILE, 0);
	return err_set_errno(e, ERR_CONFIG, saved, "auth", "cannot write " AUTH_TOKEN_FILE);
}

/* 1: made. 0: there is one already. */
static int make_token(int dir, char ret[AUTH_TOKEN_MAX], struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	CLEANUP(fd_close) int fd = openat(dir, AUTH_TOKEN_FILE, flags, 0600);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "auth", "cannot make " AUTH_TOKEN_FILE);
	unsigned char bytes[TOKEN_BYTES];
	char token[AUTH_TOKEN_MAX];
	int r = random_bytes(bytes, sizeof(bytes), e);
	if (r < 0) {
		(void)unlinkat(dir, AUTH_TOKEN_FILE, 0);
		return r;
	}
	base64url_encode(token, bytes, sizeof(bytes));
	r = write_token(dir, fd, token, e);
	if (r == 0)
		memcpy(ret, token, AUTH_TOKEN_MAX);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(token, sizeof(token));
	return r < 0 ? r : 1;
}

static int open_and_read(int dir, char ret[AUTH_TOKEN_MAX], struct err *e)
{
	CLEANUP(fd_close) int fd = openat(dir, AUTH_TOKEN_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "auth", "cannot read " AUTH_TOKEN_FILE);
	return read_token(fd, ret, e);
}

int auth_read_token(const char *data_dir, char ret[AUTH_TOKEN_MAX], struct err *e)
{
	CLEANUP(fd_close) int dir = -1;
	int r = open_folder(data_dir, &dir, e);
	return r < 0 ? r : open_and_read(dir, ret, e);
}

static void digest_of(const char *token, unsigned char to[SHA256_DIGEST_LENGTH])
{
	(void)SHA256((const unsigned char *)token, strlen(token), to);
}

int auth_open(const char *data_dir, struct auth **ret, struct err *e)
{
	CLEANUP(fd_close) int dir = -1;
	int r = open_folder(data_dir, &dir, e);
	if (r < 0)
		return r;
	char token[AUTH_TOKEN_MAX];
	r = make_token(dir, token, e);
	if (r == 0)
		r = open_and_read(dir, token, e);
	if (r < 0)
		return r;
	struct auth *a = calloc(1, sizeof(*a));
	if (a)
		digest_of(token, a->digest);
	OPENSSL_cleanse(token, sizeof(token));
	if (!a)
		return err_no_memory(e, "auth");
	*ret = a;
	return 0;
}

void auth_close(struct auth *a)
{
	free(a);
}

/* The token of "Bearer TOKEN" (RFC 6750, 2.1); the scheme's case does not matter. */
static const char *bearer(const char *authorization)
{
	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return NULL;
	return authorization + 7 + strspn(authorization + 7, " ");
}

bool auth_is_token(const struct auth *a, const char *token)
{
	/* Digests are compared: how much of a wrong token is right cannot be measured. */
	unsigned char digest[SHA256_DIGEST_LENGTH];
	digest_of(token, digest);
	return CRYPTO_memcmp(digest, a->digest, sizeof(digest)) == 0;
}

bool auth_allows(const struct auth *a, const char *authorization)
{
	const char *token = bearer(authorization);
	return token && auth_is_token(a, token);
}

bool auth_check(const struct auth *a, const struct http_request *req, struct http_response *resp)
{
	const char *authorization = http_header_in(req, "Authorization");
	if (auth_allows(a, authorization))
		return true;
	bool given = bearer(authorization);
	if (given)
		http_error(resp, 401, "UNAUTHORIZED",
		           "this token is not the hub's; that is in " AUTH_TOKEN_FILE " of its data directory");
	else
		http_error(resp, 401, "UNAUTHORIZED", "this call needs the hub's token: Authorization: Bearer TOKEN");
	http_header(resp, "WWW-Authenticate",
	            given ? "Bearer realm=\"sendense\", error=\"invalid_token\"" : "Bearer realm=\"sendense\"");
	return false;
}
