/* wire: what a client (the hub, or the command line) and a worker say to each other.
 *
 * Control frames travel over a SOCK_SEQPACKET pair, one frame a packet, at most WIRE_FRAME_MAX bytes:
 *
 *	u16 type   u16 zero   u32 request   payload …          (little-endian)
 *
 * The list WIRE_MESSAGES is the only place that knows the types: direction, the phases in which a frame
 * is allowed, how large its payload and how many descriptors it may carry. wire_recv() refuses every frame that breaks it; the
 * client then kills the worker, the worker exits.
 *
 *	worker:   HELLO ──▶ CONFIG ── OPEN ──▶ SERVING
 *	                    LAYERS, DATA_FILE    STAT LIST READ ARCHIVE …
 *	                    DISK, EXTENT, SOURCE
 *
 * A request carries a number chosen by the client, greater than 0 and not in use; what answers it carries
 * the same. Requests after HELLO may be answered out of order. Bulk answers come through a ring (ring.h) whose descriptors travel
 * with the request, and end with WIRE_DONE (bytes and CRC-32C of all that went through) or WIRE_ERROR.
 * Silence is never success.
 *
 * Both ends are built together: WIRE_VERSION must match exactly.
 *
 * Threads: wire_send() may be called by several threads at once (a packet is written whole).
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 8

enum {
	WIRE_FRAME_MAX = 64 << 10,
	WIRE_HEADER = 8,
	WIRE_PAYLOAD_MAX = WIRE_FRAME_MAX - WIRE_HEADER,
	WIRE_FDS_MAX = 24,
	WIRE_LAYERS_MAX = 24,        /* of one LAYERS frame: what is said of them fits into its answer */
	WIRE_CONTROL_FD = 3,         /* where a worker finds its socket; 0 and 1 are /dev/null, 2 its log pipe */
	WIRE_PATH_MAX = 32768,       /* = FS_PATH_MAX */
	WIRE_LOST_MAX = 1000,        /* LOST frames of an archive: entries it could not hold, by name */
	WIRE_WARNINGS_MAX = 16,
	WIRE_WARNING_LEN = 512,
	WIRE_DISKS_MAX = 64,         /* = VOLUME_DISKS_MAX */
	WIRE_DISK_NAME_LEN = 64,
	WIRE_MISSING_LEN = 400,      /* why a disk is not there */
	WIRE_EXTENTS_MAX = 512,      /* = IMAGE_EXTENTS_MAX */
	WIRE_EXTENT_NAME_MAX = 256,  /* = IMAGE_EXTENT_NAME_MAX */
	WIRE_KEY_MAX = 512,          /* = VOLUME_MASTER_KEY_MAX */
	WIRE_KEY_AREAS_MAX = 8,      /* = VOLUME_KEY_AREAS_MAX */
	WIRE_KEY_AREA_BYTES_MAX = 32 << 20,
};

enum wire_phase {
	WIRE_PHASE_HELLO = 1 << 0,
	WIRE_PHASE_CONFIG = 1 << 1,
	WIRE_PHASE_SERVING = 1 << 2,
	WIRE_PHASE_ANY = 7,
};

enum wire_direction {
	WIRE_TO_WORKER = 1,
	WIRE_TO_CLIENT = 2,
};

/* What HELLO asks for. */
enum wire_hello {
	WIRE_HELLO_NO_SANDBOX = 1 << 0,  /* sanitizer builds only */
	WIRE_HELLO_ONE_THREAD = 1 << 1,  /* requests are served where they are received, one after the other; none is cancelled */
};

/* X(name, number, direction, phases of the worker, payload at most, descriptors at least, at most) */
#define WIRE_MESSAGES(X)                                                                            \
	X(HELLO,       1, WIRE_TO_WORKER, WIRE_PHASE_HELLO, 16, 0, 0)                                \
	X(LAYERS,      2, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 1024, 1, WIRE_LAYERS_MAX)               \
	X(DATA_FILE,   3, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 16, 1, 1)                               \
	X(OPEN,        4, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 16, 0, 0)                               \
	X(DISK,       16, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 1024, 0, 0)                             \
	X(EXTENT,     18, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 16, 0, 0)                               \
	X(SOURCE,     19, WIRE_TO_WORKER, WIRE_PHASE_CONFIG, 16, 1, 1)                               \
	X(VOLUMES,     5, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 16, 0, 0)                              \
	X(STAT,        6, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 64, 0, 0)              \
	X(LIST,        7, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 64, 3, 3)              \
	X(READ,        8, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 2048, 3, 3)            \
	X(ARCHIVE,     9, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 64, 4, 4)                              \
	X(MANIFEST,   10, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 64, 3, 3)              \
	X(SEARCH,     11, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 2048, 3, 3)            \
	X(MEASURE,    12, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 64, 1, 1)                              \
	X(KEY_AREAS,  14, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 16, 3, 3)                              \
	X(UNLOCK,     15, WIRE_TO_WORKER, WIRE_PHASE_SERVING, WIRE_KEY_MAX + 64, 0, 0)               \
	X(UNLOCK_SOURCE, 20, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 16, 1, 1)                           \
	X(DUMP,       17, WIRE_TO_WORKER, WIRE_PHASE_SERVING, 16, 3, 3)                              \
	X(CANCEL,     13, WIRE_TO_WORKER, WIRE_PHASE_CONFIG | WIRE_PHASE_SERVING, 16, 0, 0)          \
	X(READY,      32, WIRE_TO_CLIENT, WIRE_PHASE_HELLO, 64, 0, 0)                                \
	X(LAYERS_INFO, 45, WIRE_TO_CLIENT, WIRE_PHASE_CONFIG, WIRE_PAYLOAD_MAX, 0, 0)                \
	X(LAYER_INFO, 33, WIRE_TO_CLIENT, WIRE_PHASE_CONFIG, 4096, 0, 0)                             \
	X(EXTENT_INFO, 44, WIRE_TO_CLIENT, WIRE_PHASE_CONFIG, 1024, 0, 0)                            \
	X(OK,         34, WIRE_TO_CLIENT, WIRE_PHASE_ANY, 0, 0, 0)                                   \
	X(OPENED,     35, WIRE_TO_CLIENT, WIRE_PHASE_CONFIG, 49152, 0, 0)                            \
	X(VOLUME_LIST, 36, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, WIRE_PAYLOAD_MAX, 0, 0)               \
	X(STAT_INFO,  37, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, WIRE_PAYLOAD_MAX, 0, 0)                \
	X(MEASURED,   38, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, 64, 0, 0)                              \
	X(PROGRESS,   39, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, 64, 0, 0)                              \
	X(LOST,       43, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, WIRE_PATH_MAX + 1024, 0, 0)            \
	X(DONE,       40, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, 64, 0, 0)                              \
	X(UNLOCKED,   42, WIRE_TO_CLIENT, WIRE_PHASE_SERVING, 32768, 0, 0)                           \
	X(ERROR,      41, WIRE_TO_CLIENT, WIRE_PHASE_ANY, 1024, 0, 0)

enum wire_type {
#define X(name, number, ...) WIRE_##name = number,
	WIRE_MESSAGES(X)
#undef X
};

const char *wire_type_name(unsigned type);

struct wire_frame {
	enum wire_type type;
	uint32_t request;
	struct rdr payload;              /* inside the buffer given to wire_recv */
	int fds[WIRE_FDS_MAX];           /* owned by the receiver */
	unsigned fd_count;
};

/* Closes the descriptors of a received frame that nobody took. */
void wire_frame_close_fds(struct wire_frame *f);

/* Begins a frame of that type in b (which is reset). */
void wire_begin(struct buf *b, enum wire_type type, uint32_t request);
#define WIRE_BUF_INIT BUF_INIT(WIRE_FRAME_MAX)

/* Sends the frame composed in b. ERR_WORKER_DIED where the other end is gone, ERR_INTERNAL where the
 * frame breaks the list. Blocks while the socket is full; with a send time-out on it (SO_SNDTIMEO): ERR_TIMEOUT. */
int wire_send(int sock, const struct buf *b, const int *fds, unsigned fd_count, struct err *e);

/* Receives one frame that may come `direction`-wards in `phase`; buf: WIRE_FRAME_MAX bytes.
 * 1: a frame. 0: the other end closed. ERR_WORKER_PROTOCOL: what came breaks the list. With `wait` false
 * and nothing there: -EAGAIN is not an error here but 2. */
enum { WIRE_CLOSED = 0, WIRE_FRAME = 1, WIRE_NOTHING = 2 };
int wire_recv(int sock, enum wire_direction direction, unsigned phase, bool wait, void *buf, struct wire_frame *ret,
              struct err *e);

/* Fields. A string is u32 length and bytes; the reader gets it in place, not NUL-terminated. */
void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_str(struct buf *b, const void *s, size_t len);
void wire_put_cstr(struct buf *b, const char *s);
/* NULL (and rdr bad) where the length leaves the frame or is over max. */
const char *wire_get_str(struct rdr *r, size_t max, size_t *ret_len);
/* Copies a string into a char array of `size`, NUL-terminated; a string that does not fit, or holds a NUL, is bad. */
void wire_get_cstr(struct rdr *r, char *to, size_t size);

/* The errors a worker may answer with: those of images, volumes, files and requests, and that it has to end. What concerns the
 * catalog, the mounts or how a worker starts is for the client to say. */
#define WIRE_ERRORS(X)                                                                              \
	X(ERR_INTERNAL) X(ERR_NO_MEMORY) X(ERR_INVALID) X(ERR_PATH_INVALID) X(ERR_NOT_FOUND)        \
	X(ERR_NOT_DIRECTORY) X(ERR_IS_DIRECTORY) X(ERR_NOT_FILE) X(ERR_LINK_LOOP) X(ERR_IO)         \
	X(ERR_LIMIT) X(ERR_IMAGE_UNREADABLE) X(ERR_IMAGE_CORRUPT) X(ERR_IMAGE_UNSUPPORTED)          \
	X(ERR_IMAGE_ENCRYPTED) X(ERR_IMAGE_LAYER_MISSING) X(ERR_IMAGE_BACKING_REFUSED)              \
	X(ERR_VOLUME_NOT_FOUND) X(ERR_VOLUME_UNSUPPORTED) X(ERR_VOLUME_LOCKED) X(ERR_VOLUME_CORRUPT) \
	X(ERR_VOLUME_INCOMPLETE) X(ERR_KEY_WRONG) X(ERR_FS_CORRUPT) X(ERR_FS_UNSUPPORTED)           \
	X(ERR_FILE_CORRUPT) X(ERR_FILE_ENCRYPTED) X(ERR_FILE_OFFLINE) X(ERR_FILE_UNSUPPORTED)       \
	X(ERR_CANCELLED) X(ERR_SANDBOX) X(ERR_WORKER_PROTOCOL) X(ERR_WORKER_DIED)

bool wire_error_allowed(int code);

/* Makes a NUL-terminated string of a worker fit to be shown: control characters and bytes that are not UTF-8 become
 * '?'. */
void wire_make_text(char *s);

/* WIRE_ERROR payload from and to a struct err. */
void wire_put_error(struct buf *b, const struct err *from);
/* Fills *e from a frame; returns its code. A code that is none of WIRE_ERRORS becomes ERR_WORKER_PROTOCOL. */
int wire_get_error(struct rdr *r, struct err *e);

#endif
