/* The manifest beside a backup's images: JSON, <vm_name>/<backup_id>.json, written when all its images are complete.
 * From the manifests alone a lost catalog is rebuilt. docs/repository.md describes each member.
 *
 *	{"format": "sendense-backup", "version": 1, "backup_id": …, "vm_name": …, "vm_context_id": …,
 *	 "backup_type": "full" | "incremental", "parent_backup_id": … | null, "created_at": RFC 3339, "completed_at": RFC 3339,
 *	 "disks": [{"disk_index": 0, "vmware_disk_key": 2000, "size_bytes": …, "file": "disk-0/<id>.qcow2", "format": "qcow2",
 *	            "disk_change_id": … | null, "parent_file": "disk-0/<parent id>.qcow2" | null}]}
 *
 * file and parent_file are relative to the manifest's own folder and stay beneath it. Unknown members are ignored; a higher
 * version is refused.
 */
#ifndef REPOSITORY_MANIFEST_H
#define REPOSITORY_MANIFEST_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "repository/repository.h"

#include <stddef.h>
#include <stdint.h>

enum {
	MANIFEST_VERSION = 1,
	MANIFEST_SIZE_MAX = 1 << 20,     /* bytes of the file */
	MANIFEST_DISKS_MAX = 256,
	MANIFEST_TEXT_MAX = 4096,        /* bytes of any string in it */
	MANIFEST_DEPTH_MAX = 16,         /* nesting of the JSON */
};

struct manifest_disk {
	int64_t disk_index;
	int64_t vmware_disk_key;
	int64_t size_bytes;
	char *file;
	char *format;                    /* "qcow2", "raw" */
	char *disk_change_id;            /* "" for none, as everywhere here */
	char *parent_file;
};

struct manifest {
	char *backup_id;
	char *vm_name;
	char *vm_context_id;
	char *backup_type;
	char *parent_backup_id;
	int64_t created_at;              /* microseconds since 1970, UTC */
	int64_t completed_at;
	struct manifest_disk *disks;     /* by disk_index, no index twice */
	size_t disk_count;
};

/* ERR_INVALID: not JSON, a member missing or of another type, a newer version, …; the message names the member. */
int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *e);
void manifest_free(struct manifest *m);
CLEANUP_DEFINE(manifest_free, struct manifest *)

/* ERR_INVALID where parsing the outcome would fail. */
int manifest_format(const struct manifest *m, struct buf *to, struct err *e);

/* Reads the manifest at that path of the repository. Errors: repository_open_file, manifest_parse. */
int manifest_read(const struct repository *r, const char *path, struct manifest **ret, struct err *e);

/* Writes <vm_name>/<backup_id>.json: temporary file, fsync, rename, fsync of the folder. Folders must exist.
 * ERR_INVALID: vm_name or backup_id cannot be a file name; ERR_IO; ERR_REPOSITORY_UNREACHABLE. */
int manifest_write(const struct repository *r, const struct manifest *m, struct err *e);

#endif
