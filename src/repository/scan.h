/* scan: finds the restore points in a repository. Nothing is ever written there.
 *
 * What an image's header says is asked of the caller (`inspect`), who has it read by a sandboxed worker: this library parses
 * no image. Each backing link is followed beneath the root; an image whose chain is broken, loops or leads out is an orphan,
 * and so is everything that stands on it.
 *
 * Where a restore point gets its names from:
 *	1. a manifest naming the image: authoritative;
 *	2. the layout <vm_name>/disk-<index>/<backup_id>.qcow2;
 *	3. an image made elsewhere: vm_name is the name of its folder, backup_id its file name without the suffix, disk 0.
 * Disks of one VM with the same backup id form one restore point. An id that is not unique gets a suffix made from the path
 * (the same at each scan).
 */
#ifndef REPOSITORY_SCAN_H
#define REPOSITORY_SCAN_H

#include "base/cleanup.h"
#include "base/err.h"
#include "repository/repository.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCAN_NAME_MAX = 1024,            /* of a name in an image header, with its NUL */
	SCAN_ID_MAX = 256,               /* of a backup id, context id or VM name, with its NUL */
	SCAN_LAYERS_MAX = 1024,          /* of one chain */
	SCAN_DISKS_MAX = 256,            /* of one restore point */
};

struct scan_image_info {
	char format[16];                     /* "qcow2", "raw", "vmdk", … */
	uint64_t virtual_size;
	char backing_name[SCAN_NAME_MAX];    /* "" for none; as in the header */
	char backing_format[16];             /* "" where the header does not say */
	bool has_data_file;
	char data_file_name[SCAN_NAME_MAX];
	char **extents;                      /* names of the files a VMDK descriptor lists, beside it; malloc'ed, taken over */
	size_t extent_count;
};

struct scan_ops {
	void *arg;
	/* What the image in fd is; ret is zeroed, and what was put in before a failure is taken over. `name`: its path. An error makes it an orphan with that
	 * message, a worker it killed or hung included; ERR_CANCELLED, _INTERNAL, _INVALID, _NO_MEMORY, _SANDBOX, _WORKER_START
	 * and _REPOSITORY_UNREACHABLE end the scan. Required. */
	int (*inspect)(void *arg, int fd, const char *name, struct scan_image_info *ret, struct err *e);
	/* The backup id this repository's image at `path` already has in the catalog: kept, so that ids survive new files.
	 * ret: SCAN_ID_MAX bytes. Returns whether there is one. NULL: none has. */
	bool (*known_id)(void *arg, const char *path, char *ret);
	/* Whether a backup of another repository has that id. NULL: none. */
	bool (*id_taken)(void *arg, const char *id);
};

struct scan_disk {
	int64_t disk_index;
	int64_t vmware_disk_key;
	int64_t size_bytes;
	int64_t stored_bytes;                /* allocated to the file (and its data file) on disk */
	char *path;                          /* relative to the root */
	char *format;
	char *disk_change_id;
	char *parent_backup_id;              /* of the restore point its backing file belongs to; "" for none */
	int64_t parent_disk_index;
	char *data_path;                     /* external data file, "" for none */
};

/* Strings are "" where nothing is known. */
struct scan_point {
	char *backup_id;
	char *vm_name;
	char *vm_context_id;                 /* from a manifest only */
	char *manifest_path;                 /* "" for an image made elsewhere */
	bool incremental;
	char *parent_backup_id;              /* that of its lowest disk that has one */
	int64_t created_at;                  /* manifest, else the file's mtime, but later than that of the parent */
	int64_t completed_at;
	struct scan_disk *disks;             /* by disk_index */
	size_t disk_count;
};

struct scan_report {
	struct scan_point *points;           /* parents before children: to be registered in this order */
	size_t point_count;
	struct repository_notes orphans;     /* images of no restore point, and why */
	struct repository_notes skipped;     /* files passed over: damaged manifests, folders too deep, … */
	size_t image_count;                  /* image files found, data files left out */
	size_t manifest_count;
};

/* Errors: ERR_REPOSITORY_UNREACHABLE, ERR_LIMIT, ERR_NO_MEMORY, and those of `inspect` that end it. */
int repository_scan(const struct repository *r, const struct scan_ops *ops, struct scan_report *ret, struct err *e);
/* Takes out a point that cannot be registered: its images are orphans, for that reason. */
int scan_report_refuse(struct scan_report *report, size_t point, const char *why, struct err *e);
void scan_report_free(struct scan_report *report);       /* a zeroed one too */

#endif
