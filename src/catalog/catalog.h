/* catalog: what exists. The only code that speaks SQL; the schema is migrations/, the picture is docs/catalog.md.
 *
 *	repositories ──< vm_backup_contexts ──< backup_jobs ──< backup_disks ──< restore_mounts (┄< restore_mount_disks)
 *
 * Rows handed out (`struct catalog_x *`) are one block each, strings included: release with free(). Lists are
 * released with catalog_x_list_free(), which takes an empty (zeroed) list too. Rows handed in are borrowed for the call.
 * Text is UTF-8 as far as its source was; a text member handed out is never NULL, and one handed in may be NULL for "".
 *
 * Times are microseconds since 1970-01-01 UTC; 0 stands for "not yet" (NULL in the database).
 *
 * Errors: ERR_CATALOG (damaged, locked, not writable: the message says which and what to do), ERR_CATALOG_FULL,
 * ERR_NO_MEMORY from every call, beside those named. A call that fails has changed nothing.
 *
 * Threads: every function may be called from any thread; calls are serialised. Only catalog_close must be the last.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CATALOG_ID_MAX = 256,            /* bytes of an id, with its NUL */
	CATALOG_NAME_MAX = 256,          /* of a name */
	CATALOG_TEXT_MAX = 64 << 10,     /* of any other text: a path, JSON, a message */
	CATALOG_CHAIN_MAX = 1024,        /* layers of one chain; as IMAGE_LAYERS_MAX */
	CATALOG_DISKS_MAX = 256,         /* disks of one backup */
};

struct catalog;

/* --- opening -------------------------------------------------------------------------------------- */

/* Opens the SQLite file at `path`, making it (mode 0600) where there is none, and applies the migrations it lacks.
 * ERR_CATALOG_NEWER: made by a later version of Sendense, left untouched. */
int catalog_open(const char *path, struct catalog **ret, struct err *e);
void catalog_close(struct catalog *c);
CLEANUP_DEFINE(catalog_close, struct catalog *)

/* Migrates up or down to `version` (0: an empty database). ERR_INVALID: no such version. Not for a catalog in use. */
int catalog_migrate(struct catalog *c, unsigned version, struct err *e);
unsigned catalog_version_newest(void);
int catalog_version(struct catalog *c, unsigned *ret, struct err *e);

/* The database's own integrity check and that of its foreign keys. ERR_CATALOG with the first finding. */
int catalog_check(struct catalog *c, struct err *e);

/* The clock the catalog stamps rows with: microseconds since 1970, UTC. */
int64_t catalog_now(void);

/* --- enumerations ---------------------------------------------------------------------------------
 * Each has 0 for "none / any", catalog_<enum>_name() (static, "" for 0) and catalog_<enum>_from_name() (0 for an
 * unknown name). The names are those of the API. */

#define CATALOG_REPOSITORY_TYPES(X)                                                                \
	X(CATALOG_REPOSITORY_LOCAL, "local")                                                       \
	X(CATALOG_REPOSITORY_NFS, "nfs")                                                           \
	X(CATALOG_REPOSITORY_CIFS, "cifs")                                                         \
	X(CATALOG_REPOSITORY_S3, "s3")

#define CATALOG_BACKUP_TYPES(X)                                                                    \
	X(CATALOG_BACKUP_FULL, "full")                                                             \
	X(CATALOG_BACKUP_INCREMENTAL, "incremental")

#define CATALOG_BACKUP_STATUSES(X)                                                                 \
	X(CATALOG_BACKUP_PENDING, "pending")                                                       \
	X(CATALOG_BACKUP_RUNNING, "running")                                                       \
	X(CATALOG_BACKUP_COMPLETED, "completed")                                                   \
	X(CATALOG_BACKUP_FAILED, "failed")                                                         \
	X(CATALOG_BACKUP_CANCELLED, "cancelled")

#define CATALOG_MOUNT_STATUSES(X)                                                                  \
	X(CATALOG_MOUNT_MOUNTING, "mounting")                                                      \
	X(CATALOG_MOUNT_MOUNTED, "mounted")                                                        \
	X(CATALOG_MOUNT_UNMOUNTING, "unmounting")                                                  \
	X(CATALOG_MOUNT_FAILED, "failed")                                                          \
	X(CATALOG_MOUNT_UNMOUNTED, "unmounted")

#define X(symbol, name) symbol,
enum catalog_repository_type { CATALOG_REPOSITORY_TYPE_NONE, CATALOG_REPOSITORY_TYPES(X) };
enum catalog_backup_type { CATALOG_BACKUP_TYPE_ANY, CATALOG_BACKUP_TYPES(X) };
enum catalog_backup_status { CATALOG_BACKUP_STATUS_ANY, CATALOG_BACKUP_STATUSES(X) };
enum catalog_mount_status { CATALOG_MOUNT_STATUS_ANY, CATALOG_MOUNT_STATUSES(X) };
#undef X

const char *catalog_repository_type_name(enum catalog_repository_type t);
const char *catalog_backup_type_name(enum catalog_backup_type t);
const char *catalog_backup_status_name(enum catalog_backup_status s);
const char *catalog_mount_status_name(enum catalog_mount_status s);
enum catalog_repository_type catalog_repository_type_from_name(const char *name);
enum catalog_backup_type catalog_backup_type_from_name(const char *name);
enum catalog_backup_status catalog_backup_status_from_name(const char *name);
enum catalog_mount_status catalog_mount_status_from_name(const char *name);

/* struct catalog_<x>_list { items, count } and its release. */
#define CATALOG_LIST(x)                                                                            \
	struct catalog_##x##_list {                                                                \
		struct catalog_##x **items;                                                        \
		size_t count;                                                                      \
	};                                                                                         \
	void catalog_##x##_list_free(struct catalog_##x##_list *l);

/* --- repositories --------------------------------------------------------------------------------- */

struct catalog_repository {
	const char *id;              /* "repo-…", made by create when NULL or "" */
	const char *name;            /* unique */
	enum catalog_repository_type type;
	const char *location;        /* a folder of the hub's machine: never shown in an error */
	const char *options;         /* JSON object */
	int64_t created_at;          /* 0: now */
};
CATALOG_LIST(repository)

/* The stored row in *ret (NULL: not wanted). ERR_EXISTS: that id or name; ERR_INVALID: no name, type or location. */
int catalog_repository_create(struct catalog *c, const struct catalog_repository *in,
                              struct catalog_repository **ret, struct err *e);
/* ERR_REPOSITORY_NOT_FOUND. */
int catalog_repository_get(struct catalog *c, const char *id, struct catalog_repository **ret, struct err *e);
int catalog_repository_get_by_name(struct catalog *c, const char *name, struct catalog_repository **ret, struct err *e);
/* All, by name. */
int catalog_repository_list(struct catalog *c, struct catalog_repository_list *ret, struct err *e);
/* ERR_REPOSITORY_NOT_FOUND; ERR_CONFLICT while VM contexts or backups are in it. */
int catalog_repository_delete(struct catalog *c, const char *id, struct err *e);
/* With its VM contexts and backups (rows only). ERR_REPOSITORY_NOT_FOUND; ERR_CONFLICT while disks of it are mounted;
 * ERR_HAS_DEPENDENTS: a backup elsewhere is based on one of these. */
int catalog_repository_forget(struct catalog *c, const char *id, struct err *e);

/* --- VM contexts ---------------------------------------------------------------------------------- */

struct catalog_vm {
	const char *context_id;      /* "ctx-…", made by upsert when NULL or "" */
	const char *vm_name;
	const char *repository_id;
	const char *source;          /* JSON object: where the VM lives */
	int64_t created_at;
	int64_t updated_at;
	/* Handed out only: */
	int64_t backup_count;
	int64_t last_backup_at;      /* created_at of its newest backup */
};
CATALOG_LIST(vm)

struct catalog_vm_filter {
	const char *vm_name;         /* NULL: any; exact */
	const char *repository_id;   /* NULL: any */
	int64_t limit;               /* 0: all */
	int64_t offset;
};

/* Makes the context, or changes name, source and repository of the one with that context_id. ERR_REPOSITORY_NOT_FOUND;
 * ERR_CONFLICT: it has backups and the repository would change. */
int catalog_vm_upsert(struct catalog *c, const struct catalog_vm *in, struct catalog_vm **ret, struct err *e);
int catalog_vm_get(struct catalog *c, const char *context_id, struct catalog_vm **ret, struct err *e); /* ERR_VM_NOT_FOUND */
int catalog_vm_list(struct catalog *c, const struct catalog_vm_filter *f, struct catalog_vm_list *ret, struct err *e);
int catalog_vm_count(struct catalog *c, const struct catalog_vm_filter *f, int64_t *ret, struct err *e);
/* With its backups, disks and mounts (rows only). ERR_VM_NOT_FOUND. ERR_HAS_DEPENDENTS: a backup of another VM is
 * based on one of these. */
int catalog_vm_delete(struct catalog *c, const char *context_id, struct err *e);

/* --- backups (table backup_jobs) ------------------------------------------------------------------ */

struct catalog_backup {
	const char *id;
	const char *vm_context_id;
	const char *repository_id;
	enum catalog_backup_type backup_type;
	enum catalog_backup_status status;
	const char *parent_backup_id;      /* "" for a full */
	const char *change_id;
	int64_t total_bytes;
	int64_t bytes_transferred;
	int64_t transfer_speed_bps;
	const char *error_message;
	int64_t created_at;                /* 0 in create: now */
	int64_t started_at;
	int64_t completed_at;
	/* Handed out only: */
	const char *vm_name;
};
CATALOG_LIST(backup)

/* Every member set narrows; zeroed: all. */
struct catalog_backup_filter {
	const char *vm_name;
	const char *vm_context_id;
	const char *repository_id;
	enum catalog_backup_status status;
	enum catalog_backup_type backup_type;
	int64_t limit;                     /* 0: all */
	int64_t offset;
};

/* ERR_EXISTS; ERR_VM_NOT_FOUND, ERR_REPOSITORY_NOT_FOUND; ERR_BACKUP_NOT_FOUND for the parent; ERR_INVALID. */
int catalog_backup_create(struct catalog *c, const struct catalog_backup *in, struct err *e);
int catalog_backup_get(struct catalog *c, const char *id, struct catalog_backup **ret, struct err *e); /* ERR_BACKUP_NOT_FOUND */
/* Newest first. */
int catalog_backup_list(struct catalog *c, const struct catalog_backup_filter *f, struct catalog_backup_list *ret,
                        struct err *e);
/* How many there are in all, limit and offset set aside. */
int catalog_backup_count(struct catalog *c, const struct catalog_backup_filter *f, int64_t *ret, struct err *e);
/* Sets the status, and with it: running stamps started_at (once), an end state completed_at (once). error_message: NULL
 * leaves it. ERR_BACKUP_NOT_FOUND. */
int catalog_backup_set_status(struct catalog *c, const char *id, enum catalog_backup_status status,
                              const char *error_message, struct err *e);
int catalog_backup_set_progress(struct catalog *c, const char *id, int64_t total_bytes, int64_t bytes_transferred,
                                int64_t speed_bps, struct err *e);
/* The row with its disks and mounts. ERR_BACKUP_NOT_FOUND; ERR_HAS_DEPENDENTS. */
int catalog_backup_delete(struct catalog *c, const char *id, struct err *e);
/* The backups based directly on this one, oldest first. */
int catalog_backup_dependents(struct catalog *c, const char *id, struct catalog_backup_list *ret, struct err *e);

/* --- disks (table backup_disks) ------------------------------------------------------------------- */

struct catalog_disk {
	int64_t id;                        /* made by create */
	const char *backup_id;
	int64_t disk_index;
	int64_t vmware_disk_key;
	int64_t size_bytes;                /* what the guest sees; size_gb is derived from it, rounded up */
	int64_t stored_bytes;
	const char *qcow2_path;            /* relative to the repository */
	const char *disk_change_id;
	enum catalog_backup_status status;
	/* The disk this image is based on, usually the same index of the parent backup; "" for one whole in itself. */
	const char *parent_backup_id;
	int64_t parent_disk_index;
	/* Handed out only: */
	int64_t size_gb;
	const char *repository_id;
	const char *vm_context_id;
	const char *vm_name;
	int64_t created_at;                /* of the backup */
};
CATALOG_LIST(disk)

/* *ret_id: the new id (NULL: not wanted). ERR_BACKUP_NOT_FOUND; ERR_EXISTS: that index; ERR_INVALID. */
int catalog_disk_create(struct catalog *c, const struct catalog_disk *in, int64_t *ret_id, struct err *e);
/* Changes sizes, path, change id and status of disk (backup_id, disk_index). ERR_DISK_NOT_FOUND. */
int catalog_disk_update(struct catalog *c, const struct catalog_disk *in, struct err *e);
/* By index. ERR_BACKUP_NOT_FOUND. */
int catalog_disk_list(struct catalog *c, const char *backup_id, struct catalog_disk_list *ret, struct err *e);
int catalog_disk_get(struct catalog *c, int64_t id, struct catalog_disk **ret, struct err *e);       /* ERR_DISK_NOT_FOUND */
/* ERR_BACKUP_NOT_FOUND, ERR_DISK_NOT_FOUND. */
int catalog_disk_get_by_index(struct catalog *c, const char *backup_id, int64_t disk_index, struct catalog_disk **ret,
                              struct err *e);
/* The disk whose image is that file of that repository. ERR_DISK_NOT_FOUND. */
int catalog_disk_get_by_path(struct catalog *c, const char *repository_id, const char *qcow2_path,
                             struct catalog_disk **ret, struct err *e);

/* --- chains --------------------------------------------------------------------------------------- */

/* What opening a disk needs to know of each image: a few columns, since a chain may have hundreds. */
struct catalog_layer {
	const char *backup_id;
	const char *qcow2_path;                /* relative to the repository */
	const char *repository_id;
	const char *parent_backup_id;          /* "" for one whole in itself */
	int64_t parent_disk_index;
};
CATALOG_LIST(layer)

/* The layers of a disk: its own image first, then what it is based on, to the full one.
 * ERR_DISK_NOT_FOUND; ERR_IMAGE_LAYER_MISSING: an ancestor is not in the catalog (its backup is named); ERR_LIMIT. */
int catalog_disk_layers(struct catalog *c, int64_t disk_id, struct catalog_layer_list *ret, struct err *e);

/* A full backup and everything of the same VM based on it: items[0] is the full, then parents before children. */
struct catalog_chain {
	struct catalog_backup_list backups;
	struct catalog_disk_list disks;        /* disks.items[i] is that disk of backups.items[i] */
	int64_t stored_bytes;                  /* sum over the disks */
};
struct catalog_chain_list {
	struct catalog_chain *items;
	size_t count;
};
void catalog_chain_free(struct catalog_chain *chain);
void catalog_chain_list_free(struct catalog_chain_list *l);

/* The chain of the newest full. ERR_VM_NOT_FOUND; ERR_DISK_NOT_FOUND: no backup of that VM has that disk. */
int catalog_chain_get(struct catalog *c, const char *vm_context_id, int64_t disk_index, struct catalog_chain *ret,
                      struct err *e);
/* All chains of that disk, newest full first. */
int catalog_chain_get_all(struct catalog *c, const char *vm_context_id, int64_t disk_index,
                          struct catalog_chain_list *ret, struct err *e);

/* --- restore points found by a scan --------------------------------------------------------------- */

/* Makes or refreshes VM context, backup and disks in one transaction; doing it again changes nothing. The context is the
 * one with vm->context_id, or when that is "" the one of that name in that repository, or a new one. Disks that a former
 * registration had and this one lacks are removed. backup->vm_context_id and ->repository_id are filled from vm.
 * *ret_created (NULL: not wanted): the backup is new.
 * ERR_EXISTS: that backup or context id belongs to another repository or VM. ERR_REPOSITORY_NOT_FOUND, ERR_INVALID. */
int catalog_register_restore_point(struct catalog *c, const struct catalog_vm *vm, const struct catalog_backup *backup,
                                   const struct catalog_disk *disks, size_t disk_count, bool *ret_created,
                                   struct err *e);

/* --- mounts --------------------------------------------------------------------------------------- */

struct catalog_mount {
	const char *id;                    /* UUID, given by the hub */
	int64_t backup_disk_id;            /* of a mount of several disks: handed out only, the first one's */
	const char *engine;
	const char *mount_path;            /* "": none, as for the native engine */
	const char *nbd_device;            /* "": none */
	const char *filesystem_type;
	const char *mount_mode;            /* "read-only" when NULL or "" */
	enum catalog_mount_status status;
	const char *error_message;
	int64_t created_at;                /* 0 in create: now */
	int64_t last_accessed_at;
	int64_t expires_at;
	int64_t unmounted_at;
	/* Handed out only: */
	const char *backup_id;
	int64_t disk_index;
	const char *qcow2_path;
	const char *vm_context_id;
	const char *vm_name;
	const char *repository_id;
};
CATALOG_LIST(mount)

struct catalog_mount_filter {
	const char *backup_id;             /* NULL: any */
	const char *vm_context_id;         /* NULL: any */
	enum catalog_mount_status status;
	int64_t expired_at;                /* > 0: only those whose expires_at is set and <= this */
	bool active;                       /* only mounting, mounted, unmounting */
};

/* ERR_ALREADY_MOUNTED: an active mount of that disk exists; ret_existing (CATALOG_ID_MAX bytes, NULL: not wanted) is then
 * set to its id. A failed or unmounted row of that disk is replaced. ERR_DISK_NOT_FOUND; ERR_EXISTS: the id or nbd_device. */
int catalog_mount_create(struct catalog *c, const struct catalog_mount *in, char *ret_existing, struct err *e);
/* A mount of several disks of one backup, in that order; in->backup_disk_id is not looked at. ERR_ALREADY_MOUNTED: an
 * active mount of the same disks in the same order; mounts of other sets, and of single disks, are no obstacle. Otherwise
 * as catalog_mount_create. ERR_INVALID: not 2 to CATALOG_DISKS_MAX disks of one backup. */
int catalog_mount_create_machine(struct catalog *c, const struct catalog_mount *in, const int64_t *disk_ids, size_t count,
                                 char *ret_existing, struct err *e);
int catalog_mount_get(struct catalog *c, const char *id, struct catalog_mount **ret, struct err *e);  /* ERR_MOUNT_NOT_FOUND */
/* Oldest first. */
int catalog_mount_list(struct catalog *c, const struct catalog_mount_filter *f, struct catalog_mount_list *ret,
                       struct err *e);
int catalog_mount_count(struct catalog *c, const struct catalog_mount_filter *f, int64_t *ret, struct err *e);
/* filesystem_type, error_message: NULL leaves them. unmounted stamps unmounted_at. ERR_MOUNT_NOT_FOUND. */
int catalog_mount_set_status(struct catalog *c, const char *id, enum catalog_mount_status status,
                             const char *filesystem_type, const char *error_message, struct err *e);
int catalog_mount_touch(struct catalog *c, const char *id, int64_t last_accessed_at, int64_t expires_at, struct err *e);
int catalog_mount_delete(struct catalog *c, const char *id, struct err *e);

/* The disks of a mount, one or several, in their order. */
struct catalog_mount_disk {
	int64_t position;
	int64_t id;                        /* of the disk */
	int64_t disk_index;
	int64_t size_bytes;
	const char *qcow2_path;
	const char *missing;               /* why it could not be opened when the mount was made; "": it was */
};
CATALOG_LIST(mount_disk)

/* Empty for a mount that is not there. */
int catalog_mount_disks(struct catalog *c, const char *mount_id, struct catalog_mount_disk_list *ret, struct err *e);
/* Of a mount of several disks. */
int catalog_mount_set_missing(struct catalog *c, const char *mount_id, int64_t disk_id, const char *why, struct err *e);

/* --- counters and settings ------------------------------------------------------------------------ */

/* Adds and returns the sum (ret: NULL not wanted). A counter that was never added to is 0. */
int catalog_counter_add(struct catalog *c, const char *name, int64_t delta, int64_t *ret, struct err *e);
int catalog_counter_get(struct catalog *c, const char *name, int64_t *ret, struct err *e);
#define CATALOG_COUNTER_MOUNTS "mounts"          /* mounts made so far */
#define CATALOG_COUNTER_RESTORES "restores"      /* files and archives delivered so far */
#define CATALOG_COUNTER_CLEANED "cleaned"        /* mounts closed by the cleanup service */

/* *ret: malloc'ed, NULL where the key is not set (that is no error). */
int catalog_setting_get(struct catalog *c, const char *key, char **ret, struct err *e);
/* value NULL: removes it. */
int catalog_setting_set(struct catalog *c, const char *key, const char *value, struct err *e);

#endif
