/* cli: the command line's `image` group: files out of image files, without a hub.
 *
 * The same sandboxed worker reads the image; this side opens the files the image names, and only beneath allowed folders.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "session/session.h"

#include <stdbool.h>

/* The fixed exit statuses. */
enum cli_status {
	CLI_OK = 0,
	CLI_SOME_FAILED = 1,             /* some entries could not be read */
	CLI_USAGE = 2,
	CLI_NO_SUCH_PATH = 3,
	CLI_UNREADABLE = 4,              /* the image, or its volume, cannot be read */
};

/* `sendense image …`; argv[0] is "image". */
int cli_image(int argc, char **argv);

/* --- chain.c --- */

enum { CLI_ALLOW_MAX = 64, CLI_KEYS_MAX = 16, CLI_DISKS_MAX = SESSION_DISKS_MAX };

struct chain_key {
	const char *file;                        /* "-": standard input */
	enum session_key_kind kind;              /* of a key file every byte counts, of the others not the last newline */
};

struct chain_options {
	const char *images[CLI_DISKS_MAX];       /* each the newest layer of a disk of one machine */
	unsigned image_count;                    /* at least 1 */
	const char *allow[CLI_ALLOW_MAX];        /* folders backing files may lie in, beside the image's own */
	unsigned allow_count;
	struct chain_key keys[CLI_KEYS_MAX];     /* tried on every locked volume */
	unsigned key_count;
};

/* A layer as `image info` shows it. */
struct chain_layer {
	char *path;
	struct wire_layer info;
};

struct chain_disk {
	struct chain_layer *layers;              /* newest first */
	unsigned layer_count;
};

struct chain {
	struct session *session;
	struct chain_disk disks[CLI_DISKS_MAX];
	unsigned disk_count;
	bool foreign;                            /* an image needs a session for foreign ones */
	struct session_opened opened;
};

/* Starts a worker, hands it the images and everything behind them, opens. ERR_IMAGE_BACKING_REFUSED for a name that leads
 * outside the allowed folders. A disk that does not open is an error: whoever wants to go without it leaves it out. */
int chain_open(const struct chain_options *opt, struct chain *ret, struct err *e);
void chain_close(struct chain *c);

/* --- unlock.c --- */

/* Tries the keys of opt on the locked volumes of c. ERR_KEY_WRONG where keys were given and none opens anything. */
int chain_unlock(struct chain *c, const struct chain_options *opt, struct err *e);

/* --- shared --- */

/* Writes "sendense: …" and a newline to standard error. Messages quote names that a guest or a stranger chose: control characters
 * become "?". */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints "sendense: …" and gives the exit status that belongs to the code. */
int cli_fail(const struct err *e);

struct image_args {
	struct chain_options chain;
	uint32_t volume;
	const char *format;
	bool json, lines, recursive;
	const char *path;
};

int cli_info(const struct image_args *a);
int cli_ls(const struct image_args *a);
int cli_stat(const struct image_args *a);
int cli_cat(const struct image_args *a);
int cli_tar(const struct image_args *a);
int cli_manifest(const struct image_args *a);
int cli_dump(const struct image_args *a);

/* --- take.c, dump.c --- */

/* All of it to standard output; ERR_CANCELLED where that cannot be. */
int cli_write_all(const uint8_t *p, size_t len, struct err *e);
/* What session_dump() gives, to standard output. */
int cli_dump_copy(struct stream *st, struct err *e);

#endif
