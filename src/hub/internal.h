/* What the files of src/hub share. */
#ifndef HUB_INTERNAL_H
#define HUB_INTERNAL_H

#include "hub/hub.h"

#include <pthread.h>
#include <stdatomic.h>

/* A disk of a mount. */
struct mount_disk {
	int64_t id;                      /* of its row */
	int64_t disk_index;
	char *missing;                   /* why it cannot be opened; NULL: it can; owned */
};

/* A mount that has, or had, a worker in this run of the hub. Reference counted: the table holds one, each use one. */
struct live {
	struct live *next;               /* in the table; under hub.lock */
	unsigned refs;                   /* under hub.lock */
	unsigned users;                  /* uses; under hub.lock */
	bool removed;                    /* unmounted: no longer in the table */
	char id[CATALOG_ID_MAX];
	char *backup_id;                 /* owned */
	struct mount_disk *disks;        /* owned, in their order; what is missing changes under start only */
	unsigned disk_count;
	bool settled;                    /* which disks are missing was found out when the mount was made, and stays so */
	int64_t accessed_at, stored_at;  /* microseconds since 1970; last access, and what the row says of it; under hub.lock */

	/* Held while a worker is started: the second caller waits for the first. Taken before hub.lock, never inside it. */
	pthread_mutex_t start;
	struct session *session;         /* replaced under both locks; NULL: none */
	uint64_t started_ms;
	unsigned deaths;                 /* in a row, each soon after its start */
	uint64_t not_before_ms;
	struct session_opened opened;    /* valid with volumes; under start */
	struct wire_volume *volumes;
	unsigned volume_count;
};

struct selection {
	struct selection *next;
	struct hub_selection shown;
	struct buf paths;                /* u32 length and bytes, one after the other */
	size_t path_count;
	struct buf lost;                 /* see stream_lost() */
	int64_t used_at;
	bool cancelled;
};

struct hub {
	struct catalog *catalog;
	int lock_fd;                     /* of DATA-DIR/hub.lock, flocked */
	char *worker_path;               /* NULL: default */
	unsigned max_mounts, idle_timeout_s, cleanup_interval_s, worker_idle_s, call_timeout_ms;
	bool no_sandbox;
	atomic_bool aborting;            /* scans end */

	pthread_mutex_t lock;            /* the tables below */
	struct live *live;
	struct selection *selections;
	unsigned selection_count;
	pthread_mutex_t mounting;        /* one decision about a free slot at a time */

	pthread_t cleaner;
	bool cleaner_runs;
	pthread_mutex_t clean_lock;      /* the service's own state */
	pthread_cond_t clean_wake;
	bool stop;
	unsigned cleaning;
	struct hub_cleanup_status clean;
};

int64_t hub_now_us(void);

/* --- open.c --- */

/* Starts a worker and hands it the chains of disks of the catalog, file by file. A single disk opens, or it is an error. Of
 * several, those that do not are marked as missing unless none opens; where it is settled which are missing, any other that
 * does not open is an error: the volumes of a mount keep their numbers. */
int hub_open_disks(struct hub *h, struct mount_disk *disks, unsigned count, bool settled, struct session **ret,
                   struct session_opened *ret_opened, struct err *e);
/* What a name promises, or "": the worker looks. A raw image's first bytes are the guest's, who must not be able to make it
 * pass for something else; and a QCOW2 file without its header is damaged, not a raw disk full of noise. */
const char *hub_format_by_name(const char *path);
struct repository;
/* Gives a foreign layer, the last one added to s, its bytes. path: of the image in `repo`, fd: it. */
int hub_attach(struct session *s, unsigned disk, const struct repository *repo, const char *path, int fd,
               struct wire_layer *layer, struct err *e);
/* A repository's folder, by its row's id. */
int hub_open_repository(struct hub *h, const char *repository_id, struct repository **ret, struct err *e);
void hub_session_options(const struct hub *h, struct session_options *ret);

/* --- live.c --- */

/* Not in the table yet; with two references, the table's and the caller's. */
int live_new(struct hub *h, const struct catalog_mount *row, struct live **ret, struct err *e);
void live_unref(struct hub *h, struct live *l);
/* Under hub.lock. */
struct live *live_find_locked(struct hub *h, const char *id);
/* Takes it out of the table; the table's reference becomes the caller's. */
struct live *live_take_out(struct hub *h, const char *id);
bool live_is_open(const struct catalog_mount *row);
int live_not_mounted(struct err *e, const char *id);
/* Replaces the session; the former one is closed. Under l->start. */
void live_set_session(struct hub *h, struct live *l, struct session *s);
/* Under l->start: a session that lives, or a new one. */
int live_ensure_session(struct hub *h, struct live *l, struct err *e);
/* Ends workers nobody asked for. Returns how many. */
unsigned hub_stop_idle_workers(struct hub *h);
void hub_drop_all(struct hub *h);

/* --- mount.c --- */

/* Closes a mount whose time is over; false where it is in use after all. */
int hub_expire(struct hub *h, const struct catalog_mount *row, bool *ret_closed, struct err *e);
/* Ends what lives of mounts whose rows went with their disks. */
void hub_drop_forgotten(struct hub *h);

/* --- cleanup.c --- */

/* Closes the mounts whose time is over and counts them. */
int hub_close_expired(struct hub *h, unsigned *ret_closed, struct err *e);

int hub_cleaner_start(struct hub *h, struct err *e);
void hub_cleaner_stop(struct hub *h);

/* --- selection.c --- */

void hub_selections_drop(struct hub *h, const char *mount_id /* NULL: all */);
void hub_selections_expire(struct hub *h);

#endif
