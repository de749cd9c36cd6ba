/* hub: mounts and what keeps them: workers, time-outs, cleanup, scans, selections. No HTTP, no JSON here.
 *
 *	        catalog row (restore_mounts)                 the truth: survives the hub
 *	              │
 *	   mount ─────┤
 *	              │
 *	        live entry (live.c):  session ──▶ worker     a cache of the row: made on access, dropped when idle or dead
 *
 *	mounting ──▶ mounted ──▶ unmounting ──▶ unmounted
 *	    └──▶ failed
 *
 * A mount is a row; its worker is only its cache. After a restart (or kill -9) of the hub the rows answer again: the next
 * access starts a worker. Workers end with the hub, whose end of their sockets closes.
 *
 * Errors: messages are fit for the API: they name no path of this machine (paths are relative to the repository).
 * Threads: every function may be called from any thread, blocking calls included. hub_close must be the last.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/cleanup.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub;

enum {
	HUB_MAX_MOUNTS = 1000,
	HUB_IDLE_TIMEOUT_S = 3600,
	HUB_CLEANUP_INTERVAL_S = 60,
	HUB_WORKER_IDLE_S = 300,         /* a worker nobody asked for so long is ended; its mount stays */
	HUB_MEASURE_TIMEOUT_MS = 60000,
	HUB_SELECTIONS_MAX = 1000,
	HUB_SELECTION_PATHS_MAX = 300000,
};

/* 0 stands for the defaults above. */
struct hub_config {
	const char *data_dir;            /* exists, is the hub's own */
	const char *worker_path;         /* NULL: beside the program */
	unsigned max_mounts;
	unsigned idle_timeout_s;
	unsigned cleanup_interval_s;
	unsigned worker_idle_s;
	unsigned call_timeout_ms;        /* of a worker's answers, see session_options */
	bool no_sandbox;                 /* sanitizer builds only */
};

/* Opens DATA-DIR/catalog.db, puts rows of an earlier run in order, starts the cleanup service.
 * Errors: catalog_open's; ERR_CONFLICT where another hub uses the data directory. */
int hub_open(const struct hub_config *config, struct hub **ret, struct err *e);
/* Ends the cleanup service and all workers. Mount rows stay. NULL is fine. */
void hub_close(struct hub *h);

/* Before it: scans that run, which may take hours, end with ERR_CANCELLED, and so does each that begins. */
void hub_abort(struct hub *h);

struct catalog *hub_catalog(struct hub *h);

/* --- mounts --------------------------------------------------------------------------------------- */

/* A mount as the API shows it. One block and its lists: hub_mount_free. */
struct hub_mount {
	struct catalog_mount *row;       /* owned; its times are the current ones */
	struct catalog_mount_disk_list disks;    /* owned; wire_volume.disk counts in it */
	struct wire_volume *volumes;     /* owned; NULL and 0 in lists, and where the worker cannot be had */
	unsigned volume_count;
	uint32_t default_volume;         /* 0: none can be read */
	char (*warnings)[SESSION_WARNING_LEN];   /* owned */
	unsigned warning_count;
};

void hub_mount_free(struct hub_mount *m);
CLEANUP_DEFINE(hub_mount_free, struct hub_mount *)

enum { HUB_MOUNT_DISKS_MAX = SESSION_DISKS_MAX };

/* What to mount of a restore point: a disk by its index, some by their ids, or all as one machine. */
struct hub_mount_request {
	const char *backup_id;
	int64_t disk_index;              /* where the next two say nothing */
	bool all_disks;
	const int64_t *disk_ids;         /* borrowed; in any order, each once or oftener */
	size_t disk_id_count;
	bool reuse;                      /* an existing mount of the same is as good */
};

/* Opens disks of a restore point. *ret_reused: they were mounted already and `reuse` asked for that. Of several disks some
 * may be missing: the mount's disks and warnings say so. One disk is a mount of that disk, however it was asked for.
 * ERR_BACKUP_NOT_FOUND, ERR_DISK_NOT_FOUND, ERR_BACKUP_NOT_COMPLETE; ERR_ALREADY_MOUNTED (ret_existing, CATALOG_ID_MAX
 * bytes, is set to the id): that disk, or exactly those together; ERR_NO_SLOT; ERR_LIMIT: more than HUB_MOUNT_DISKS_MAX
 * disks; IMAGE_*, VOLUME_*; ERR_REPOSITORY_UNREACHABLE; worker errors. */
int hub_mount(struct hub *h, const struct hub_mount_request *req, struct hub_mount **ret, bool *ret_reused,
              char *ret_existing, struct err *e);
/* With volumes; starts a worker if it must, and counts as access. ERR_MOUNT_NOT_FOUND: unknown, failed, unmounted or expired. */
int hub_mount_get(struct hub *h, const char *mount_id, struct hub_mount **ret, struct err *e);
/* Unlocks an encrypted volume of a mount; the mount as it is then. Nothing of the key is kept: a new worker finds the volume
 * locked. ERR_INVALID: it is not locked, or a recovery key is mistyped; ERR_KEY_WRONG; ERR_VOLUME_NOT_FOUND, VOLUME_*; as
 * hub_mount_get. */
int hub_unlock(struct hub *h, const char *mount_id, uint32_t volume, const struct session_key *key,
               struct hub_mount **ret, struct err *e);
/* All active ones, oldest first, with the volumes that are at hand (no worker is started). *ret: malloc'ed array. */
int hub_mount_list(struct hub *h, struct hub_mount ***ret, size_t *ret_count, struct err *e);
void hub_mount_list_free(struct hub_mount **list, size_t count);
/* Ends its worker (running downloads break off) and the mount. ERR_MOUNT_NOT_FOUND. */
int hub_unmount(struct hub *h, const char *mount_id, struct err *e);

struct hub_resources {
	unsigned active_mounts, max_mounts;
	unsigned workers;                /* processes that run now */
};
int hub_resources(struct hub *h, struct hub_resources *ret, struct err *e);
unsigned hub_idle_timeout_s(const struct hub *h);

/* --- using a mount -------------------------------------------------------------------------------- */

/* Access to a mount's worker. While one is held the mount does not expire, and its last access is renewed when it is released: a
 * download holds one as long as it runs. */
struct hub_use {
	struct session *session;         /* borrowed from the use */
	uint32_t default_volume;
	const char *backup_id;           /* for ETags: a restore point never changes */
	uint64_t disks;                  /* the disk's id, or a number that stands for these disks */
	/* private */
	struct hub *hub;
	struct live *live;
};

/* Starts the worker if it does not run. ERR_MOUNT_NOT_FOUND; whatever opening the disk can fail with. A worker that keeps
 * dying is not started again for a while (1 s, doubling to 60 s): ERR_WORKER_DIED says so. */
int hub_use(struct hub *h, const char *mount_id, struct hub_use **ret, struct err *e);
void hub_use_release(struct hub_use *u);
CLEANUP_DEFINE(hub_use_release, struct hub_use *)

/* --- cleanup service ------------------------------------------------------------------------------ */

struct hub_cleanup_status {
	bool running;                    /* a run is under way */
	unsigned interval_seconds, idle_timeout_seconds;
	int64_t last_run_at, next_run_at;        /* microseconds since 1970; 0: never */
	int64_t total_cleaned;           /* mounts closed since the catalog was made */
	unsigned last_cleaned;
	char last_error[ERR_MSG_MAX];    /* "" for none */
};
void hub_cleanup_status(struct hub *h, struct hub_cleanup_status *ret);
/* Runs now, in the caller's thread. *ret_cleaned: mounts closed. */
int hub_cleanup_run(struct hub *h, unsigned *ret_cleaned, struct err *e);

/* --- repositories --------------------------------------------------------------------------------- */

/* Creates the row after checking that the folder can be read. */
int hub_repository_create(struct hub *h, const struct catalog_repository *in, struct catalog_repository **ret,
                          struct err *e);

struct scan_report;
struct hub_scan {
	struct scan_report *report;      /* owned */
	unsigned created;                /* restore points new in the catalog */
	unsigned updated;                /* … that were known */
};
/* Looks through the repository (each image is inspected by a sandboxed worker) and registers what it finds. */
int hub_repository_scan(struct hub *h, const char *repository_id, struct hub_scan *ret, struct err *e);
void hub_scan_free(struct hub_scan *s);

/* --- selections ----------------------------------------------------------------------------------- */

enum hub_selection_state {
	HUB_SELECTION_READY,             /* waits for its download */
	HUB_SELECTION_RUNNING,
	HUB_SELECTION_COMPLETE,
	HUB_SELECTION_FAILED,
	HUB_SELECTION_CANCELLED,
};

const char *hub_selection_state_name(enum hub_selection_state s);      /* "ready", "running", … */

/* A selection of paths, to be downloaded as one archive by a plain GET. Kept in memory: it ends with the hub, with its mount, or
 * an hour after its last use. */
struct hub_selection {
	char id[40];
	char mount_id[CATALOG_ID_MAX];
	uint32_t volume;
	char format[16];                 /* "zip", … */
	enum hub_selection_state state;
	struct session_measure total;    /* what it holds */
	struct stream_progress done;     /* while it runs, and at its end */
	char error[ERR_MSG_MAX];
	int64_t created_at;
};

/* Counts what the paths hold (up to HUB_MEASURE_TIMEOUT_MS). Paths are raw bytes, copied. */
int hub_selection_create(struct hub *h, const char *mount_id, uint32_t volume, const char *format,
                         const struct session_path *paths, size_t path_count, struct hub_selection *ret, struct err *e);
/* Adds further paths to one that was not fetched yet. ERR_CONFLICT: it was. ERR_LIMIT: more than HUB_SELECTION_PATHS_MAX. */
int hub_selection_add(struct hub *h, const char *id, const struct session_path *paths, size_t path_count,
                      struct hub_selection *ret, struct err *e);
/* ERR_ARCHIVE_NOT_FOUND. */
int hub_selection_get(struct hub *h, const char *id, struct hub_selection *ret, struct err *e);
/* Breaks off its download, if one runs, and forgets it. */
int hub_selection_cancel(struct hub *h, const char *id, struct err *e);

/* Begins the download: a use of the mount and the archive's stream. hub_selection_progress is told what was sent, and
 * hub_selection_end how it ended. ERR_CONFLICT while it is being downloaded already. */
int hub_selection_begin(struct hub *h, const char *id, struct hub_use **ret_use, struct stream **ret, struct err *e);
/* True while it may go on; false after hub_selection_cancel. */
bool hub_selection_progress(struct hub *h, const char *id, const struct stream_progress *p);
/* Keeps what the archive's stream lost; before hub_selection_end. */
void hub_selection_keep_lost(struct hub *h, const char *id, struct stream *st);
/* Appends it, for stream_lost_next(). */
void hub_selection_lost(struct hub *h, const char *id, struct buf *to);
void hub_selection_end(struct hub *h, const char *id, const struct err *why /* NULL: complete */);

#endif
