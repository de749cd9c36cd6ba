/* Which hub, and with which token.
 *
 * The URL: as given, else $SENDENSE_URL, else the line in DATA-DIR/hub.url, which a running hub writes, else the
 * default.
 * The token: of the file given, else $SENDENSE_TOKEN, else DATA-DIR/admin.token, where that hub is one of this machine
 * or the data directory was named: a local hub's token is not carried to another machine by a mere --url.
 * DATA-DIR: as given, else $SENDENSE_DATA_DIR, else the first of $XDG_DATA_HOME/sendense, ~/.local/share/sendense,
 * /var/lib/sendense that holds one of the two files.
 */
#ifndef CLIENT_LOCATE_H
#define CLIENT_LOCATE_H

#include "base/err.h"

#include <stdbool.h>

#define LOCATE_DEFAULT_URL "http://127.0.0.1:8082"

enum { LOCATE_URL_MAX = 1024, LOCATE_TOKEN_MAX = 1024, LOCATE_FROM_MAX = 256 };

struct locate_options {
	const char *url, *token_file, *data_dir;       /* of the command line; NULL: not given */
};

struct location {
	char url[LOCATE_URL_MAX];                      /* http(s)://HOST[:PORT][/prefix], without a last "/" */
	bool tls, loopback;
	char token[LOCATE_TOKEN_MAX];                  /* "": none */
	char token_from[LOCATE_FROM_MAX];              /* for messages: where it came from, or why there is none */
};

/* ERR_INVALID: an address that makes no sense, or plain http beyond this machine. */
int locate_hub(const struct locate_options *o, struct location *ret, struct err *e);

#endif
