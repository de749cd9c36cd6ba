/* Signing in to the web page: the token, or a one-time code, for a cookie that browsers send and scripts cannot read. */
#include "api/api.h"

#include "base/clock.h"

#include <string.h>

#define COOKIE "sendense_session"
#define CSRF_HEADER "X-Sendense-CSRF"

static struct api *api_of(const struct http_request *req)
{
	return http_request_arg(req);
}

static uint64_t now_seconds(void)
{
	return clock_mono_ms() / 1000;
}

/* The session's id from "a=b; sendense_session=…; c=d" (RFC 6265, 4.2.1). */
static bool cookie_session(const struct http_request *req, char ret[SESSION_SECRET_MAX])
{
	const char *p = http_header_in(req, "Cookie");
	while (p && *p) {
		p += strspn(p, " ;");
		size_t len = strcspn(p, ";");
		const size_t name = sizeof(COOKIE) - 1;
		if (len == name + 1 + SESSION_SECRET_LEN && strncmp(p, COOKIE "=", name + 1) == 0) {
			memcpy(ret, p + name + 1, SESSION_SECRET_LEN);
			ret[SESSION_SECRET_LEN] = '\0';
			return true;
		}
		p += len;
	}
	return false;
}

static uint64_t session_left(const struct http_request *req)
{
	char id[SESSION_SECRET_MAX];
	return cookie_session(req, id) ? sessions_left(api_of(req)->sessions, id, now_seconds()) : 0;
}

/* A page of another site cannot set the header without asking first, which the hub never allows; and where the browser
 * says whose page it is, it must be ours. */
static bool from_own_page(const struct http_request *req, struct http_response *resp)
{
	const char *csrf = http_header_in(req, CSRF_HEADER), *origin = http_header_in(req, "Origin");
	const char *host = http_header_in(req, "Host");
	const char *scheme = http_is_tls(req) ? "https://" : "http://";
	const char *names = origin ? strstr(origin, "://") : NULL;
	/* Behind a proxy with TLS the page's scheme is https while ours is http: then only the host can be compared. */
	bool same = !origin || (names && host && strcasecmp(names + 3, host) == 0 &&
	                        (!http_is_tls(req) || strncasecmp(origin, scheme, strlen(scheme)) == 0));
	if (csrf && strcmp(csrf, "1") == 0 && same)
		return true;
	http_error(resp, 403, "FORBIDDEN", "a change asked for by a cookie needs the header " CSRF_HEADER
	                                   ": 1, from the hub's own page");
	return false;
}

bool api_before(struct http_request *req, struct http_response *resp, unsigned route_flags)
{
	if (route_flags & HTTP_ROUTE_PUBLIC)
		return true;
	if (!http_header_in(req, "Authorization") && session_left(req) > 0)
		return strcmp(http_method(req), "GET") == 0 || from_own_page(req, resp);
	return auth_check(api_of(req)->auth, req, resp);
}

static void put_session(struct http_response *resp, uint64_t left)
{
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_bool(j, "signed_in", left > 0);
	json_key_time(j, "expires_at", left > 0 ? clock_now_us() + (int64_t)left * 1000000 : 0);
	json_object_end(j);
}

static void set_cookie(const struct http_request *req, struct http_response *resp, const char *id, unsigned seconds)
{
	http_headerf(resp, "Set-Cookie", COOKIE "=%s; Path=/; Max-Age=%u; HttpOnly; SameSite=Strict%s", id, seconds,
	             http_is_tls(req) ? "; Secure" : "");
}

void api_session_get(struct http_request *req, struct http_response *resp)
{
	put_session(resp, session_left(req));
}

static bool is_loopback(const char *peer)
{
	return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 || strncmp(peer, "::ffff:127.", 11) == 0;
}

/* Whether the body's token or code lets in. Otherwise the response is made. */
static bool lets_in(const struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(request_json_free_p) struct request_json *body = NULL;
	const char *token = NULL, *code = NULL;
	int r = api_body(req, &body, &e);
	if (r == 0)
		r = request_json_string(body, "token", NULL, &token, &e);
	if (r == 0)
		r = request_json_string(body, "code", NULL, &code, &e);
	if (r == 0 && !token == !code)
		r = err_set(&e, ERR_INVALID, "api", "give the hub's \"token\", or the \"code\" of a sign-in link");
	if (r < 0) {
		api_error(resp, &e);
		return false;
	}
	if (token && auth_is_token(api_of(req)->auth, token))
		return true;
	if (code && is_loopback(http_peer(req)) && sessions_redeem(api_of(req)->sessions, code, now_seconds()))
		return true;
	http_error(resp, 401, "UNAUTHORIZED", "%s",
	           token ? "this token is not the hub's; that is in " AUTH_TOKEN_FILE " of its data directory"
	                 : "this sign-in link was used already, is older than ten minutes, or comes from another machine");
	return false;
}

void api_session_create(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	char id[SESSION_SECRET_MAX];
	if (!from_own_page(req, resp) || !lets_in(req, resp))
		return;
	/* Whoever signs in anew leaves the session before. */
	if (cookie_session(req, id))
		sessions_end(api_of(req)->sessions, id);
	if (sessions_begin(api_of(req)->sessions, now_seconds(), id, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	put_session(resp, SESSION_SECONDS);
	set_cookie(req, resp, id, SESSION_SECONDS);
}

void api_session_delete(struct http_request *req, struct http_response *resp)
{
	char id[SESSION_SECRET_MAX];
	if (!from_own_page(req, resp))
		return;
	if (cookie_session(req, id))
		sessions_end(api_of(req)->sessions, id);
	put_session(resp, 0);
	set_cookie(req, resp, "", 0);
}

void api_session_link(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	char code[SESSION_SECRET_MAX];
	/* With the token only: a session must not be able to prolong itself. */
	if (!auth_check(api_of(req)->auth, req, resp))
		return;
	if (!is_loopback(http_peer(req))) {
		http_error(resp, 403, "FORBIDDEN", "sign-in links are made on the hub's own machine");
		return;
	}
	if (sessions_link(api_of(req)->sessions, now_seconds(), code, &e) < 0) {
		api_error(resp, &e);
		return;
	}
	struct json *j = http_json(resp, 201);
	json_object(j);
	json_key(j, "url");
	json_stringf(j, "/sign-in#%s", code);
	json_key_time(j, "expires_at", clock_now_us() + (int64_t)SESSION_LINK_SECONDS * 1000000);
	json_object_end(j);
}
