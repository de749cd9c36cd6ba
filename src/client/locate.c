#include "client/locate.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { DEFAULT_DIRS = 3 };

/* The environment's value; NULL for an empty one. */
static const char *environment(const char *name)
{
	const char *v = getenv(name);
	return v && v[0] ? v : NULL;
}

/* --- files of one line ---------------------------------------------------------------------------- */

/* Printable ASCII without blanks. */
static bool is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len > 0;
}

/* 0; ERR_NOT_FOUND: no such file. `what` names its content in messages. */
static int read_line(const char *path, const char *what, char *to, size_t size, struct err *e)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOT_FOUND, "client", "there is no %s", path);
	ssize_t n = fd < 0 ? -1 : read(fd, to, size);
	if (n < 0)
		return err_set_errno(e, ERR_FORBIDDEN, errno, "client", "cannot read %s", path);
	size_t len = (size_t)n;
	while (len > 0 && strchr(" \t\r\n", to[len - 1]))
		len--;
	if (len == 0 || len >= size)
		return err_set(e, ERR_INVALID, "client", "%s does not hold %s", path, what);
	if (!is_token(to, len))
		return err_set(e, ERR_INVALID, "client", "%s does not hold %s: one line without blanks", path, what);
	to[len] = '\0';
	return 0;
}

/* --- the data directory --------------------------------------------------------------------------- */

static void default_dir(struct buf *to, unsigned i)
{
	const char *xdg = environment("XDG_DATA_HOME"), *home = environment("HOME");
	buf_reset(to);
	if (i == 0 && xdg && xdg[0] == '/')
		buf_addf(to, "%s/sendense", xdg);
	const struct passwd *pw = home && home[0] == '/' ? NULL : getpwuid(getuid());
	if (pw)
		home = pw->pw_dir;
	if (i == 1 && home && home[0] == '/')
		buf_addf(to, "%s/.local/share/sendense", home);
	if (i == 2)
		buf_adds(to, "/var/lib/sendense");
}

static void file_in(struct buf *to, const struct buf *dir, const char *name)
{
	buf_reset(to);
	buf_addf(to, "%s/%s", buf_str(dir), name);
}

/* A file that may not be looked at counts as there: its error is more useful than another hub. */
static bool has_file(const struct buf *dir, const char *name)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	file_in(&path, dir, name);
	return access(buf_str(&path), F_OK) == 0 || errno == EACCES;
}

/* Leaves `ret` empty where none is known. */
static void find_dir(const char *given, struct buf *ret)
{
	if (given) {
		buf_adds(ret, given);
		return;
	}
	for (unsigned i = 0; i < DEFAULT_DIRS; i++) {
		default_dir(ret, i);
		if (ret->len > 0 && (has_file(ret, "hub.url") || has_file(ret, "admin.token")))
			return;
	}
	buf_reset(ret);
}

/* --- the address ---------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	char bare[64];
	size_t len = strlen(host);
	if (strcasecmp(host, "localhost") == 0)
		return true; /* libcurl never asks a name server for it */
	if (len > 2 && host[0] == '[' && len - 2 < sizeof(bare)) {
		(void)snprintf(bare, sizeof(bare), "%.*s", (int)(len - 2), host + 1);
		return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	}
	return inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

static void free_part(char **p)
{
	curl_free(*p);
}

/* The part as text; NULL where the URL has none. Free with curl_free. */
static char *url_part(CURLU *u, CURLUPart part)
{
	char *s = NULL;
	return curl_url_get(u, part, &s, 0) == CURLUE_OK ? s : NULL;
}

static int take_url(CURLU *u, const char *text, struct location *ret, struct err *e)
{
	CLEANUP(free_part) char *whole = NULL;
	if (curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK)
		whole = url_part(u, CURLUPART_URL);
	CLEANUP(free_part) char *scheme = url_part(u, CURLUPART_SCHEME);
	CLEANUP(free_part) char *host = url_part(u, CURLUPART_HOST);
	CLEANUP(free_part) char *user = url_part(u, CURLUPART_USER);
	CLEANUP(free_part) char *query = url_part(u, CURLUPART_QUERY);
	CLEANUP(free_part) char *fragment = url_part(u, CURLUPART_FRAGMENT);
	if (!whole || !scheme || !host || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		return err_set(e, ERR_INVALID, "client", "\"%.200s\" is not the address of a hub, such as %s", text,
		               LOCATE_DEFAULT_URL);
	if (user || query || fragment)
		return err_set(e, ERR_INVALID, "client",
		               "the hub's address has a user, a \"?\" or a \"#\": it is only https://HOST:PORT");
	ret->tls = strcmp(scheme, "https") == 0;
	ret->loopback = is_loopback(host);
	if (!ret->tls && !ret->loopback)
		return err_set(e, ERR_INVALID, "client",
		               "the token would cross the network unencrypted to %.200s: use https://", host);
	size_t len = strlen(whole);
	while (len > 0 && whole[len - 1] == '/')
		len--;
	if (len >= sizeof(ret->url))
		return err_set(e, ERR_INVALID, "client", "the hub's address is longer than %d bytes",
		               LOCATE_URL_MAX - 1);
	(void)snprintf(ret->url, sizeof(ret->url), "%.*s", (int)len, whole);
	return 0;
}

static int check_url(const char *text, struct location *ret, struct err *e)
{
	CURLU *u = curl_url();
	if (!u)
		return err_no_memory(e, "client");
	int r = take_url(u, text, ret, e);
	curl_url_cleanup(u);
	return r;
}

/* --- all of it ------------------------------------------------------------------------------------ */

static int find_url(const char *given, const struct buf *dir, struct location *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	char line[LOCATE_URL_MAX];
	if (given || dir->len == 0)
		return check_url(given ? given : LOCATE_DEFAULT_URL, ret, e);
	file_in(&path, dir, "hub.url");
	int r = read_line(buf_str(&path), "a hub's address", line, sizeof(line), e);
	if (r == ERR_NOT_FOUND) {
		err_clear(e);
		return check_url(LOCATE_DEFAULT_URL, ret, e);
	}
	return r < 0 ? r : check_url(line, ret, e);
}

static void say_from(struct location *ret, const char *where)
{
	(void)snprintf(ret->token_from, sizeof(ret->token_from), "%.*s", LOCATE_FROM_MAX - 1, where);
}

static int take_token(const char *path, struct location *ret, struct err *e)
{
	int r = read_line(path, "a token", ret->token, sizeof(ret->token), e);
	if (r == 0)
		say_from(ret, path);
	return r;
}

static int take_environment_token(const char *value, struct location *ret, struct err *e)
{
	if (strlen(value) >= sizeof(ret->token) || !is_token(value, strlen(value)))
		return err_set(e, ERR_INVALID, "client", "$SENDENSE_TOKEN does not hold a token");
	(void)snprintf(ret->token, sizeof(ret->token), "%s", value);
	say_from(ret, "$SENDENSE_TOKEN");
	return 0;
}

static int take_local_token(const struct buf *dir, struct location *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	file_in(&path, dir, "admin.token");
	int r = take_token(buf_str(&path), ret, e);
	if (r == ERR_FORBIDDEN)
		return err_prefix(e, "the token is for the hub's user: run this as that user, or give --token-file");
	if (r != ERR_NOT_FOUND)
		return r;
	err_clear(e);
	return 0;
}

int locate_hub(const struct locate_options *o, struct location *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf dir = BUF_INIT(PATH_MAX);
	struct location l = {0};
	const char *url = o->url ? o->url : environment("SENDENSE_URL");
	const char *named = o->data_dir ? o->data_dir : environment("SENDENSE_DATA_DIR");
	const char *token = environment("SENDENSE_TOKEN");
	find_dir(named, &dir);
	int r = buf_ok(&dir, "client", e);
	if (r == 0)
		r = find_url(url, &dir, &l, e);
	if (r < 0)
		return r;
	say_from(&l, "none was found");
	if (o->token_file)
		r = take_token(o->token_file, &l, e);
	else if (token)
		r = take_environment_token(token, &l, e);
	else if (dir.len > 0 && (!url || l.loopback || named))
		r = take_local_token(&dir, &l, e);
	else if (dir.len > 0)
		say_from(&l, "this machine's own is not sent to another one");
	if (r == 0)
		*ret = l;
	explicit_bzero(&l, sizeof(l));
	return r;
}
