/* What session.c, pump.c and stream.c share. */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include "session/session.h"
#include "wire/ring.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

/* A request that waits for its answer: on the stack of a call, or inside a stream. Guarded by session.lock. */
struct pending {
	struct pending *next;
	uint32_t request;
	bool done;
	enum wire_type type;             /* of the answer, when done and err.code == 0 */
	struct buf answer;               /* its payload */
	struct err err;
	struct stream *stream;           /* set for streams */
};

/* A request whose caller has left: it may still be answered once, and has to be before `until_ms`. */
struct leftover {
	struct leftover *next;
	uint32_t request;
	uint64_t until_ms;
};

/* A sendense-imagehelper, and qemu-nbd behind it. */
struct image_helper {
	struct image_helper *next;
	pid_t pid;
	int pidfd;                       /* readable when it has ended */
	int control;                     /* shut down, it ends the helper */
	int log;                         /* read end of its standard error, not blocking */
	bool reaped;                     /* under session.lock */
	char format[8];
};

/* A file of a disk that may turn out to be encrypted: kept until session_open, and where it is, as long as the session. */
struct layer_file {
	struct layer_file *next;
	unsigned disk;
	int fd;                          /* ours */
	char kind;                       /* enum imagehelper_layer; 0: not known yet */
};

struct session {
	atomic_uint refs;
	pthread_mutex_t lock;
	pthread_cond_t changed;          /* an answer came, the session died, the process was reaped */
	int sock;
	int pidfd;                       /* readable when the worker has ended */
	pid_t pid;
	bool dead;                       /* given up: `why` says why; nothing is sent any more */
	bool reaped;
	int exit_status;                 /* as waitpid gives it, once reaped */
	bool killed;                     /* by somebody else, with a signal that says nothing against the worker */
	uint64_t closed_ms;              /* when the worker's socket closed without our doing; 0: it has not */
	char *keyhelper;                 /* path of sendense-keyhelper, beside the worker; owned */
	char *imagehelper;               /* path of sendense-imagehelper; owned */
	bool foreign;
	struct image_helper *helpers;    /* under the lock; freed with the session */
	struct layer_file *files;        /* constant after session_open */
	struct err why;
	unsigned phase;                  /* enum wire_phase */
	uint32_t last_request;
	struct pending hello;            /* until session_ready(), by the one thread that sets the session up */
	bool greeted;
	struct pending *pending;
	struct leftover *leftovers;
	unsigned call_timeout_ms, open_timeout_ms, stall_timeout_ms, key_timeout_ms;
	_Atomic uint64_t last_used_ms;
	uint64_t sock_watch, pid_watch;
	char *missing[WIRE_DISKS_MAX];   /* owned; set by session_open, constant from then on */
};

uint64_t now_ms(void);

/* --- spawn.c --- */

/* The worker, and its neighbour. ret: PATH_MAX bytes. */
int session_find_worker(const struct session_options *opt, char *ret, struct err *e);
int session_spawn(const struct session_options *opt, const char *path, int *ret_sock, pid_t *ret_pid, int *ret_pidfd,
                  struct err *e);
/* A descriptor of a child: fd becomes `as`; -1: /dev/null. */
struct spawn_fd {
	int fd, as;
};

struct spawn_program {
	const char *path;
	char *const *argv, *const *envp; /* envp NULL: an empty one */
	const struct spawn_fd *fds;      /* in this order */
	unsigned fd_count;
};

/* Starts it with these descriptors, clean signals and a process group of its own. Where it asks for that, it is killed when this process
 * ends; one_thread: when the calling thread does, as in session_options. errno value. */
int session_run(const struct spawn_program *p, bool one_thread, pid_t *ret);

/* Starts a detached thread that takes no signals. errno value. */
int session_thread(void *(*start)(void *), void *arg);

/* Whether somebody else sends that signal: what a process does to itself, or its sandbox to it, shows as another one or a status. */
bool session_signal_from_outside(int number);

/* A descriptor that becomes readable when the process ends; -1 and errno. */
int session_pidfd(pid_t pid);

/* --- imagehelper.c --- */

/* Starts the helper on these files. layers: of an encrypted chain; else NULL. *ret_sock: a connection to qemu-nbd. `ret` is not yet in the session's list. */
int image_helper_start(struct session *s, const char *format, const char *layers, const int *fds, unsigned count,
                       struct image_helper **ret, int *ret_sock, struct err *e);
/* Ends it, waits for it, frees it. NULL is fine. */
void image_helper_free(struct image_helper *h);
/* Waits a moment for its end. It has failed by itself: replaces *e by what it said; it was killed: by that. */
void image_helper_explain(struct image_helper *h, struct err *e);

/* --- sealed.c: images that are encrypted --- */

/* Keeps a copy of a layer's descriptor, where the session could read it. *ret: it, or NULL. */
int session_keep_file(struct session *s, unsigned disk, int fd, struct layer_file **ret, struct err *e);
/* Drops those of a disk, or (SESSION_DISKS_MAX) those of all disks without an encrypted layer. */
void session_drop_files(struct session *s, unsigned disk);
void session_free_files(struct session *s);
/* Whether that volume is the disk of an encrypted image. 1: it is, of disk *ret_disk; 0: not. */
int session_find_sealed(struct session *s, uint32_t volume, unsigned *ret_disk, bool *ret_locked, struct err *e);
/* Opens it, with all of session_unlock()'s contract. */
int session_unlock_sealed(struct session *s, uint32_t volume, const struct session_key *key, struct session_opened *ret,
                          struct err *e);

/* --- foreign.c, called by session.c and the pump --- */

/* From now on the helper's end is the session's. */
int session_adopt_helper(struct session *s, struct image_helper *h, struct err *e);

/* The helper with that pidfd has ended: so does the session. */
void session_helper_ended(struct session *s, int pidfd);
/* Ends all helpers, under session.lock. */
void session_kill_helpers_locked(struct session *s);

/* --- ask.c, called by foreign.c --- */

/* A LAYER_INFO answer; frees it. */
int session_take_layer(struct session *s, struct pending *p, struct wire_layer *ret, struct err *e);

/* --- pump.c: what waits for all descriptors of all sessions --- */

/* Starts the thread unless it runs. callers: there is none, as in session_options.one_thread. */
int pump_start(bool callers, struct err *e);
/* Whether there is no thread. Then who waits calls pump_turn(), without a lock: it handles what happens within the time, if anything
 * does, and returns. */
bool pump_is_callers(void);
void pump_turn(uint64_t ms);
/* Until fd is readable or the time has run out, or earlier; without a thread this turns the pump, too. */
void pump_wait_readable(int fd, uint64_t ms);

enum watch_kind { WATCH_SOCKET, WATCH_PROCESS, WATCH_HELPER, WATCH_STREAM };

/* Watches fd. A socket or process watch holds a reference on the session until it is removed; a stream watch is
 * one-shot and armed by pump_arm. Returns the watch's number, 0 and *e on failure. */
uint64_t pump_watch(enum watch_kind kind, int fd, struct session *s, struct stream *st, struct err *e);
void pump_arm(uint64_t watch, int fd);
/* After it returns the pump does not touch the watch's stream any more. */
void pump_unwatch(uint64_t watch, int fd);

/* --- session.c, called by the pump --- */

/* Receives and hands out what came, some frames at a time. False: the socket is done with. */
bool session_receive(struct session *s);
/* The process ended: reaps it, and says how it ended where its socket has closed. */
void session_reap(struct session *s);
/* Gives the session up; the first reason counts. */
void session_fail(struct session *s, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Adds p to the pending ones and sends the frame composed in b (whose request number is put in here). */
int session_submit(struct session *s, struct pending *p, struct buf *b, const int *fds, unsigned fd_count,
                   struct err *e);
void session_forget(struct session *s, struct pending *p);
/* Forgets a request that may still run: tells the worker to stop it, and sees to it that it does. */
void session_cancel(struct session *s, struct pending *p);
/* An answer that breaks its own form: ends the session. Fills *e. */
int session_broken(struct session *s, struct err *e, const char *what);
/* Ends a session whose worker ignores a cancel. */
void session_check_leftovers(struct session *s, uint64_t now);
/* Gives up a worker that has closed its socket and does not end. */
void session_check_closed(struct session *s, uint64_t now);
/* Waits for the answer to a submitted request. False when the time ran out. */
bool session_wait_answer(struct session *s, struct pending *p, unsigned timeout_ms);
/* The answer's own error, or ERR_WORKER_PROTOCOL (and the session's end) where it is not of the type `want`. */
int session_judge_answer(struct session *s, struct pending *p, enum wire_type want, struct err *e);
/* Submits, waits; the answer must be of type `want`. p->answer is the caller's to free. */
int session_call(struct session *s, struct buf *b, const int *fds, unsigned fd_count, enum wire_type want,
                 unsigned timeout_ms, struct pending *p, struct err *e);
/* The second half: waits for what was submitted. */
int session_end_call(struct session *s, struct pending *p, enum wire_type want, unsigned timeout_ms, struct err *e);
/* A memfd holding paths, for ARCHIVE and MEASURE. */
int session_paths_fd(const struct session_path *paths, size_t count, struct err *e);

/* What OPENED and UNLOCKED say. r->bad where it cannot be. */
void session_get_opened(struct rdr *r, struct session_opened *ret);

/* --- stream.c --- */

/* Sends the request in b with the ring's descriptors behind `extra` (if >= 0). */
int stream_begin(struct session *s, struct buf *b, int extra, struct stream **ret, struct err *e);

/* --- stream.c, called by the pump --- */

/* Something changed for the stream: wakes who waits. */
void stream_wake(struct stream *st);
/* A stream that waits longer than its limit ends its session; one that waits for what has come is woken. */
void stream_check_stall(struct stream *st, uint64_t now);
/* A PROGRESS frame, under session.lock. */
void stream_note_progress(struct stream *st, struct rdr *r);
/* A LOST frame, under session.lock. False: it breaks its form, or there are too many. */
bool stream_note_lost(struct stream *st, struct rdr *r);
/* What came through the stream makes no sense: ends its session. Fills *e. */
int stream_broken(struct stream *st, struct err *e, const char *what);
/* The same for a listing. */
int entry_reader_bad(struct entry_reader *r, struct err *e);
/* The head of the next directory's listing: 1, STREAM_END or negative. Blocks. */
int entry_reader_next_head(struct entry_reader *r, struct wire_list_head *ret, struct err *e);
/* Makes the waiting reader look again, from any thread. */
void stream_nudge(struct stream *st);

#endif
