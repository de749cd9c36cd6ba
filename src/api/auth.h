/* Who may call the API: the administrator's token.
 *
 * DATA-DIR/admin.token holds it as one line, base64url of 256 random bits, readable by its owner alone. It is made at
 * the first start; to change it, remove the file and start again. The hub keeps only its SHA-256, so no dump of its
 * memory shows it.
 *
 * Threads: a struct auth does not change after auth_open.
 */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "base/cleanup.h"
#include "base/err.h"
#include "http/http.h"

#include <stdbool.h>

#define AUTH_TOKEN_FILE "admin.token"

enum {
	AUTH_TOKEN_LEN = 43,           /* characters of the token */
	AUTH_TOKEN_MAX = 44,           /* with its NUL */
};

struct auth;

/* Reads the token of that data directory, making it where there is none. ERR_CONFIG: the file cannot be read or made,
 * is not a token, or others than its owner may read it; the message says what to do. */
int auth_open(const char *data_dir, struct auth **ret, struct err *e);
void auth_close(struct auth *a);
CLEANUP_DEFINE(auth_close, struct auth *)

/* Reads the token of a data directory, for a client on the same machine. ERR_CONFIG. */
int auth_read_token(const char *data_dir, char ret[AUTH_TOKEN_MAX], struct err *e);

/* Whether the value of an Authorization header (NULL: none) carries the token. Takes the same time for any wrong one. */
bool auth_allows(const struct auth *a, const char *authorization);

/* The same for the bare token. */
bool auth_is_token(const struct auth *a, const char *token);

/* True, or the response is 401 with WWW-Authenticate. */
bool auth_check(const struct auth *a, const struct http_request *req, struct http_response *resp);

#endif
