/* api: who is let in, by the headers of a request: Authorization, Cookie, Origin, Host. The first byte has flags, the rest the headers,
 * as headers.h has them. The hub's token is 43 times A, and there is one session, 43 times B. What is let in is held against the rules,
 * written down once more here. */
#include "api/api.h"
#include "headers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__typeof__(sessions_left) __wrap_sessions_left;
__typeof__(sessions_end) __wrap_sessions_end;

enum { POST = 1, TLS = 2, PUBLIC = 4, SIGN_OUT = 8, ASK = 16 };

static unsigned ended;

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static bool all_of(const char *s, char c)
{
	return strlen(s) == SESSION_SECRET_LEN && strspn(s, (char[]){c, '\0'}) == SESSION_SECRET_LEN;
}

uint64_t __wrap_sessions_left(struct sessions *s, const char *id, uint64_t now)
{
	(void)s;
	(void)now;
	expect(strlen(id) == SESSION_SECRET_LEN);
	return all_of(id, 'B') ? 60 : 0;
}

void __wrap_sessions_end(struct sessions *s, const char *id)
{
	(void)s;
	expect(strlen(id) == SESSION_SECRET_LEN);
	ended++;
}

static struct auth *open_auth(void)
{
	char dir[] = "/tmp/sendense-fuzz-XXXXXX", path[64], token[SESSION_SECRET_LEN + 1];
	struct auth *a;
	struct err e = ERR_INIT;
	expect(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/" AUTH_TOKEN_FILE, dir);
	memset(token, 'A', SESSION_SECRET_LEN);
	token[SESSION_SECRET_LEN] = '\n';
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0 && write(fd, token, sizeof(token)) == sizeof(token) && close(fd) == 0);
	expect(auth_open(dir, &a, &e) == 0);
	expect(unlink(path) == 0 && rmdir(dir) == 0);
	return a;
}

static const char *header(const char *name)
{
	return MHD_lookup_connection_value(NULL, MHD_HEADER_KIND, name);
}

/* "Bearer" and the token. */
static bool has_token(void)
{
	const char *a = header("Authorization");
	return a && strncasecmp(a, "Bearer ", 7) == 0 && all_of(a + 7 + strspn(a + 7, " "), 'A');
}

/* A change that a cookie asks for: the page's own header, and no other site. */
static bool is_own_page(void)
{
	const char *csrf = header("X-Sendense-CSRF"), *origin = header("Origin"), *host = header("Host");
	if (!csrf || strcmp(csrf, "1") != 0)
		return false;
	size_t all = origin ? strlen(origin) : 0, end = host ? strlen(host) : 0;
	return !origin || (host && all >= end + 3 && strcasecmp(origin + all - end, host) == 0 && strncmp(origin + all - end - 3, "://", 3) == 0);
}

static void check(struct http_request *r, unsigned flags)
{
	bool let_in = api_before(r, &r->resp, flags & PUBLIC ? HTTP_ROUTE_PUBLIC : 0);
	bool cookie = !header("Authorization") && header("Cookie") && strstr(header("Cookie"), "sendense_session=BBBB");
	if (let_in)
		expect(flags & PUBLIC || has_token() || (cookie && (!(flags & POST) || is_own_page())));
	else
		expect(!has_token() && (http_status_get(&r->resp) == 401 || http_status_get(&r->resp) == 403));
}

static struct http_request *new_request(struct http_server *server, unsigned flags)
{
	struct http_request *r = request_new(server, "/");
	expect(r != NULL);
	strcpy(r->method, flags & POST ? "POST" : "GET");
	/* Never looked into: only that there is a connection to ask. */
	r->mhd = (struct MHD_Connection *)server;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct auth *auth;
	if (size < 1 || size > 4096)
		return 0;
	if (!auth)
		auth = open_auth();
	struct api api = {.auth = auth};
	struct http_server server = {.config = {.arg = &api, .body_max = 1}, .tls = data[0] & TLS};
	char *text = strndup((const char *)data + 1, size - 1);
	expect(text != NULL);
	split_lines(text);
	struct http_request *r = new_request(&server, data[0]);
	ended = 0;
	if (data[0] & SIGN_OUT) {
		api_session_delete(r, &r->resp);
		expect(!ended || is_own_page());
	} else if (data[0] & ASK) {
		api_session_get(r, &r->resp);
	} else {
		check(r, data[0]);
	}
	response_release(&r->resp, false);
	request_free(r);
	free(text);
	return 0;
}
