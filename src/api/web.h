/* The web page's files. All of the folder is read at the start, so a request chooses from a table and never names a
 * file: there is nothing to traverse. A page that was built anew needs a new start of the hub.
 *
 * Threads: a struct web does not change after web_open.
 */
#ifndef API_WEB_H
#define API_WEB_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	WEB_FILES_MAX = 256,
	WEB_FILE_MAX = 8 << 20,            /* bytes of a file */
	WEB_PATH_MAX = 256,
	WEB_DEPTH_MAX = 4,                 /* folders in folders */
};

struct web;

struct web_file {
	char path[WEB_PATH_MAX];           /* "index.html", "assets/main-D3hJ.js" */
	const char *type;                  /* Content-Type */
	char etag[33];
	bool hashed;                       /* its name changes with its bytes: may be kept for ever */
	void *data;                        /* owned by the struct web */
	size_t len;
};

/* ERR_CONFIG: the folder cannot be read, has no index.html, or holds more than the limits above. */
int web_open(const char *dir, struct web **ret, struct err *e);
void web_close(struct web *w);
CLEANUP_DEFINE(web_close, struct web *)

/* The folder beside the program, "../share/sendense/web" where it is installed, "web/dist" in a source tree; NULL:
 * neither holds a page. Writes into `to` and returns it. */
const char *web_find_dir(char *to, size_t size);

/* NULL: no such file. */
const struct web_file *web_find(const struct web *w, const char *path, size_t len);

#endif
