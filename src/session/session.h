/* session: a client's side of one worker: starts the process, sets it up, asks it, reads its streams.
 *
 *	session_start ─▶ { session_layer, session_data_file, session_disk }* ─▶ session_open ─▶ session_stat, session_list, …
 *
 * The worker is not trusted. Whatever it sends is checked; a frame that breaks the protocol, an answer that does not come
 * in time, or an impossible ring index kills it. From then on every call and stream of the session fails with
 * ERR_WORKER_DIED, ERR_TIMEOUT or ERR_WORKER_PROTOCOL and the session can only be closed; nothing else is touched.
 *
 * One thread of the process, the pump (made by the first session_start), receives the control frames of all
 * sessions and wakes who waits. Workers are always started with posix_spawn, by whichever thread calls.
 *
 * Ownership: a session is reference counted; each stream holds a reference. session_close ends the worker at once.
 * Threads: every function may be called from any thread; one stream is used by one thread at a time.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/entry.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct session;
struct stream;

struct session_options {
	const char *worker_path;         /* the sendense-worker program; NULL: beside the running program */
	bool foreign;                    /* start its neighbour sendense-worker-nbd, for images in a foreign format */
	int log_fd;                      /* where the worker's standard error goes; -1: our own */
	unsigned call_timeout_ms;        /* for an answer that needs no stream; 0: 30,000 */
	unsigned open_timeout_ms;        /* for session_open; 0: 60,000 */
	unsigned key_timeout_ms;         /* for the key helper, of session_unlock; 0: 60,000 */
	unsigned stall_timeout_ms;       /* a stream that gives no byte and no sign of progress; 0: 60,000 */
	bool one_thread;                 /* the program is one thread that asks one thing at a time: none is started on either side, whoever
	                                  * waits does the pump's work, and the worker ends with this thread instead of with the process. For
	                                  * all sessions of a process or for none; not with stream_on_ready() */
	bool no_sandbox;                 /* sanitizer builds only: the worker refuses it elsewhere */
};

/* ERR_WORKER_START, ERR_SANDBOX; ERR_WORKER_DIED where somebody killed the worker while it started: the next one may live. */
int session_start(const struct session_options *opt, struct session **ret, struct err *e);
/* The same in two steps: the worker starts, which takes longer than most of what follows, while its client opens the files
 * and begins layers. The worker takes them only when it is confined. session_ready() says whether that succeeded, before
 * anything else is waited for; called again it does nothing. */
int session_begin(const struct session_options *opt, struct session **ret, struct err *e);
int session_ready(struct session *s, struct err *e);
/* Kills the worker if it still lives, waits for it, drops the caller's reference. NULL is fine. */
void session_close(struct session *s);
CLEANUP_DEFINE(session_close, struct session *)

struct session *session_ref(struct session *s);
void session_unref(struct session *s);

pid_t session_pid(const struct session *s);
/* False once the worker is gone or was given up. */
bool session_alive(struct session *s);
/* Monotonic milliseconds since the last call or stream byte. */
uint64_t session_idle_ms(struct session *s);

/* Adds an image file to disk `disk` (0 …), newest layer first. `fd` stays the caller's and may be closed
 * afterwards. The layer is of the format that the layer above says; where there is none, or it says nothing, it is `format`:
 * "qcow2", "raw", or "" to recognise it. The answer says what backs the layer: the caller finds that file and
 * adds it next. Descriptors must be read-only (ERR_INVALID otherwise). */
int session_layer(struct session *s, unsigned disk, int fd, const char *format, struct wire_layer *ret,
                  struct err *e);

/* The same in two steps and for several layers at once (1 … SESSION_LAYERS_MAX), for a caller who knows the chain beforehand:
 * they are added in the order they were begun, and others may be begun meanwhile. Each call begun must be ended, which frees it
 * whatever it returns. The end tells of *ret_taken layers; an error is that of the next one, or of the session, and the disk is
 * of no use then. */
enum { SESSION_LAYERS_MAX = WIRE_LAYERS_MAX };

struct layers_call;
int session_layers_begin(struct session *s, unsigned disk, const int *fds, const char *const *formats, unsigned count,
                         struct layers_call **ret, struct err *e);
int session_layers_end(struct session *s, struct layers_call *c, struct wire_layer *ret, unsigned *ret_taken, struct err *e);

/* The foreign format a file's suffix promises ("vmdk", "vhd", …), or "". What has one is never taken for a raw image; and only
 * of a name ending in .vmdk is a VMDK descriptor followed, for a guest may write the like into its raw disk. */
const char *session_foreign_format(const char *path);
/* Whether this session can take foreign images: wire_layer.foreign or .encrypted of a session that cannot means to start one that can. */
bool session_takes_foreign(const struct session *s);
/* The file a VMDK descriptor, the layer added last, names as number `index` of info.extent_count. */
int session_extent(struct session *s, unsigned disk, uint32_t index, struct wire_extent *ret, struct err *e);

struct session_extent_file {
	struct wire_extent extent;
	int fd;                                  /* opened for reading; stays the caller's */
};

/* Gives a foreign layer, the one added last, its bytes: starts qemu-nbd on the image, confined, and connects the worker to it. It
 * ends with the session; if it ends before, the session is given up with ERR_WORKER_DIED. fd: the image; of a VMDK descriptor its
 * files instead, in their order. The answer is the layer again, with its size. ERR_IMAGE_UNSUPPORTED: QEMU is not installed;
 * ERR_IMAGE_UNREADABLE: what QEMU says of the image; ERR_SANDBOX. */
int session_attach(struct session *s, unsigned disk, const char *format, int fd, const struct session_extent_file *files,
                   unsigned file_count, struct wire_layer *ret, struct err *e);
/* The external data file of layer `layer` (0: the newest). */
int session_data_file(struct session *s, unsigned disk, unsigned layer, int fd, struct err *e);

enum { SESSION_DISKS_MAX = WIRE_DISKS_MAX };

/* What disk `disk` is called in what the worker says. missing (NULL: it is there): why it cannot be had; layers added to it are
 * dropped, and it keeps its place. Both are cut at WIRE_DISK_NAME_LEN and WIRE_MISSING_LEN. */
int session_disk(struct session *s, unsigned disk, const char *name, const char *missing, struct err *e);

enum { SESSION_WARNINGS_MAX = WIRE_WARNINGS_MAX, SESSION_WARNING_LEN = WIRE_WARNING_LEN };

struct session_opened {
	uint32_t volume_count;
	uint32_t default_volume;                 /* 0: no volume can be read */
	uint32_t warning_count;
	char warnings[SESSION_WARNINGS_MAX][SESSION_WARNING_LEN];
};

/* Joins the layers, finds the volumes. Of several disks those that do not open are missing from then on; an error where
 * none opens. */
int session_open(struct session *s, struct session_opened *ret, struct err *e);
/* After session_open: why that disk is missing; NULL where it is there. Borrowed from the session. */
const char *session_missing(const struct session *s, unsigned disk);

/* What a person has to open an encrypted volume with; theirs who made it to wipe. */
enum session_key_kind {
	SESSION_KEY_PASSPHRASE,
	SESSION_KEY_RECOVERY,                    /* BitLocker: 48 digits, dashes or not */
	SESSION_KEY_FILE,                        /* the bytes of a key file; BitLocker: of a start-up key, .BEK */
};

struct session_key {
	enum session_key_kind kind;
	const void *bytes;
	size_t len;
};

/* Opens an encrypted volume; its inside is found as further volumes behind those there were. Takes seconds, and a gigabyte
 * in another process. ERR_KEY_WRONG; ERR_INVALID: it is not locked, or a recovery key is mistyped; ERR_VOLUME_NOT_FOUND,
 * VOLUME_*. The disk of an encrypted image (wire_layer.encrypted) is read by qemu-nbd from then on, as with session_attach(). */
int session_unlock(struct session *s, uint32_t volume, const struct session_key *key, struct session_opened *ret,
                   struct err *e);
/* All volumes, malloc'ed. */
int session_volumes(struct session *s, struct wire_volume **ret, unsigned *ret_count, struct err *e);

/* volume 0: the default one. Paths are raw bytes, absolute, '/'-separated. */
struct session_path {
	uint32_t volume;
	const char *path;
	size_t len;
};

enum { SESSION_XATTRS_MAX = 128, SESSION_STREAMS_MAX = 128 };

struct session_xattr {
	const char *name;                        /* NUL-terminated */
	const uint8_t *value;                    /* the first len bytes of full_len */
	size_t len, full_len;
};

struct session_named_stream {
	const char *name;                        /* raw bytes */
	size_t name_len;
	uint64_t size;
};

struct session_stat {
	struct wire_entry entry;                 /* name: last component of the path; "/" for the root */
	uint32_t volume;                         /* the volume meant, never 0 */
	struct session_xattr xattrs[SESSION_XATTRS_MAX];
	unsigned xattr_count;
	struct session_named_stream streams[SESSION_STREAMS_MAX];
	unsigned stream_count;
	bool cut;                                /* there are more xattrs or streams than fit */
	void *memory;                            /* owns all of the above */
};

/* follow: a symlink at the end is followed. details: xattrs and streams too. */
int session_stat(struct session *s, struct session_path at, bool follow, bool details, struct session_stat *ret,
                 struct err *e);
void session_stat_free(struct session_stat *st);

struct session_list_options {
	enum wire_sort sort;
	bool descending;                         /* directories stay first */
	uint64_t first;                          /* index of the first entry wanted */
	uint64_t limit;                          /* 0: all */
	bool below;                              /* every directory below, too (then first and limit are 0): read with a tree_reader */
};

/* --- streams --------------------------------------------------------------------------------------
 * A stream is begun by one of these; errors that are known at once (no such path) come from
 * stream_read. */

int session_list(struct session *s, struct session_path at, const struct session_list_options *opt,
                 struct stream **ret, struct err *e);
/* A volume, or (0) the one disk there is, as it lies there. The stream is a row of records, each
 *	off u64, len u64, little endian; then len bytes
 * in the order of `off`, without overlap. What is between them, and up to `off` of the last, whose len is 0, is zero. */
int session_dump(struct session *s, uint32_t volume, struct stream **ret, struct err *e);
/* len UINT64_MAX: to the end. `name`: an alternate data stream, NULL for the file itself. */
int session_read(struct session *s, struct session_path at, const char *name, uint64_t off, uint64_t len,
                 struct stream **ret, struct err *e);
/* paths: each is archived under its last component ("a (2).txt" where that is taken), one that comes twice once. format: "zip", "tar", "tar.gz", "tar.zst". */
int session_archive(struct session *s, uint32_t volume, const struct session_path *paths, size_t path_count,
                    const char *format, unsigned threads, struct stream **ret, struct err *e);
int session_manifest(struct session *s, struct session_path at, struct stream **ret, struct err *e);
/* Names below `at` that contain `query` (or match it as a pattern with * and ?), case ignored; at most `limit`. */
int session_search(struct session *s, struct session_path at, const char *query, size_t query_len, uint64_t limit,
                   struct stream **ret, struct err *e);

struct session_measure {
	uint64_t files, directories, others, bytes, errors;
};

/* How much an archive of these paths would hold; walks them all. Blocks up to `timeout_ms` (0: call timeout);
 * ERR_TIMEOUT then leaves the session alive. */
int session_measure(struct session *s, uint32_t volume, const struct session_path *paths, size_t path_count,
                    unsigned timeout_ms, struct session_measure *ret, struct err *e);

enum { STREAM_END = 0, STREAM_WAIT = -1000000 };

/* Never blocks. > 0: bytes copied. STREAM_END: complete, byte count and digest verified. STREAM_WAIT: nothing
 * there now. Else negative with *e filled: the stream is broken and what came so far is not complete. */
ssize_t stream_read(struct stream *st, void *to, size_t max, struct err *e);
/* As stream_read, waiting for the first byte. */
ssize_t stream_read_wait(struct stream *st, void *to, size_t max, struct err *e);
/* Calls wake(arg) once, from the pump's thread or at once from this one, when stream_read has something else to say than
 * STREAM_WAIT. Again only after a new call. wake must not close the stream itself; the thread it wakes may. */
void stream_on_ready(struct stream *st, void (*wake)(void *arg), void *arg);

struct stream_progress {
	uint64_t files, bytes, errors;           /* of an archive: entries done, their bytes, entries that failed */
};

struct stream_progress stream_progress(struct stream *st);
/* After STREAM_END of an archive or manifest: entries that could not be read. */
uint64_t stream_error_entries(struct stream *st);

enum { STREAM_LOST_BYTES_MAX = 512 << 10, STREAM_LOST_CODE_MAX = 32 };

/* Of an archive: the first of the entries that it does not hold, or not whole (at most WIRE_LOST_MAX of them, in
 * STREAM_LOST_BYTES_MAX). */
struct stream_lost_entry {
	const char *path;                        /* raw bytes, inside the buffer read from */
	size_t path_len;
	char code[STREAM_LOST_CODE_MAX];         /* name of an error code, or "SKIPPED": the format has no place for such */
	char msg[ERR_MSG_MAX];
};

/* Appends those known so far, to be read by stream_lost_next. */
void stream_lost(struct stream *st, struct buf *to);
/* False: there are no more. */
bool stream_lost_next(struct rdr *r, struct stream_lost_entry *ret);
/* Cancels what still runs and frees. No wake comes afterwards. NULL is fine. */
void stream_close(struct stream *st);
CLEANUP_DEFINE(stream_close, struct stream *)

/* Reads the records of a listing or search from a stream: copies out of shared memory, checks, decodes. */
struct entry_reader;
int entry_reader_open(struct stream *st, struct entry_reader **ret, struct err *e);     /* takes st over, also on failure */
/* 1: an entry, valid until the next call. STREAM_END, STREAM_WAIT, or negative, as stream_read. */
int entry_reader_next(struct entry_reader *r, struct wire_entry *ret, struct err *e);
/* Waits for and reads the head of the listing; needed once before entries. Blocks. */
int entry_reader_head(struct entry_reader *r, struct wire_list_head *ret, struct err *e);
/* As entry_reader_next, waiting. 1, STREAM_END or negative. */
int entry_reader_next_wait(struct entry_reader *r, struct wire_entry *ret, struct err *e);
struct stream *entry_reader_stream(struct entry_reader *r);
void entry_reader_close(struct entry_reader *r);
CLEANUP_DEFINE(entry_reader_close, struct entry_reader *)

/* Lists a directory and, with opt->below, all that are below it, each after the one it lies in and before the next one there. */
struct tree_reader;
int tree_reader_open(struct session *s, struct session_path at, const struct session_list_options *opt, struct tree_reader **ret,
                     struct err *e);

struct tree_directory {
	const char *path;                        /* raw bytes, valid until the next directory; of the first: as it was asked for */
	size_t len, base_len;                    /* base_len: without slashes at the end */
	struct err why;                          /* code < 0: it cannot be read and has no entries */
};

/* To the next directory; all entries of the one before were read. 1, STREAM_END or negative. Blocks. */
int tree_reader_directory(struct tree_reader *r, struct tree_directory *ret, struct err *e);
/* 1: an entry of this directory, valid until the next call. 0: it has no more. Negative as stream_read. Blocks. */
int tree_reader_next(struct tree_reader *r, struct wire_entry *ret, struct err *e);
void tree_reader_close(struct tree_reader *r);
CLEANUP_DEFINE(tree_reader_close, struct tree_reader *)

#endif
