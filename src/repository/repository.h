/* repository: the files of backups below one root folder.
 *
 *	<location>/<vm_name>/disk-<index>/<backup_id>.qcow2      backing file named relatively: "<parent_id>.qcow2"
 *	<location>/<vm_name>/<backup_id>.json                    the manifest (repository/manifest.h), written last
 *
 * Local, NFS and CIFS are the same code on a mounted path. Every file is opened beneath the root's descriptor with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS): no name leads out, and no link is followed.
 * The root itself may be, or lie behind, a symbolic link: its owner chose it.
 *
 * Messages name paths relative to the repository only.
 * Threads: a struct repository is not changed after opening; any number of threads may use it.
 */
#ifndef REPOSITORY_REPOSITORY_H
#define REPOSITORY_REPOSITORY_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	REPOSITORY_PATH_MAX = 4096,      /* bytes of a relative path, with its NUL */
	REPOSITORY_DEPTH_MAX = 16,       /* folders below the root that a walk enters */
	REPOSITORY_FILES_MAX = 1000000,  /* image files and manifests of one walk */
	REPOSITORY_ENTRIES_MAX = 4000000,/* directory entries one walk looks at */
};

struct repository;

/* type: "local", "nfs", "cifs". location: an absolute path. ERR_NOT_IMPLEMENTED: s3; ERR_INVALID: another type, a
 * relative location; ERR_REPOSITORY_UNREACHABLE: no such folder, or it may not be read. */
int repository_open(const char *type, const char *location, struct repository **ret, struct err *e);
void repository_close(struct repository *r);
CLEANUP_DEFINE(repository_close, struct repository *)

/* The root's descriptor (O_PATH), borrowed. */
int repository_root_fd(const struct repository *r);

/* Opens the regular file at `path` for reading; *ret_fd is the caller's (O_RDONLY | O_CLOEXEC).
 * ERR_IMAGE_LAYER_MISSING: no such file; ERR_IMAGE_BACKING_REFUSED: the path is absolute, leads out or through a
 * symbolic link; ERR_IMAGE_UNREADABLE: not a regular file; ERR_IO; ERR_REPOSITORY_UNREACHABLE. */
int repository_open_file(const struct repository *r, const char *path, int *ret_fd, struct err *e);

/* The path, relative to the root, that `name` in the header of the image at `image_path` stands for: taken from the image's
 * own folder, "." and ".." and doubled slashes removed. An absolute name is accepted where it is, by its text, beneath the
 * repository's location. ret: REPOSITORY_PATH_MAX bytes. ERR_IMAGE_BACKING_REFUSED: it leads out, is a URL or "json:" or
 * protocol name, or is too long. Only text is looked at; open the result with repository_open_file. */
int repository_resolve(const struct repository *r, const char *image_path, const char *name, char *ret, struct err *e);

enum repository_file_kind {
	REPOSITORY_IMAGE,        /* *.qcow2, *.img, *.raw, *.vmdk, *.vhd, *.vhdx, *.vdi, *.qed */
	REPOSITORY_MANIFEST,     /* *.json */
};

/* One file of a walk; borrowed for the call. */
struct repository_file {
	enum repository_file_kind kind;
	const char *path;        /* relative to the root */
	uint64_t size;
	int64_t mtime;           /* microseconds since 1970, UTC */
	uint64_t dev, ino;
};

/* A path a walk or scan did not take, and why. */
struct repository_note {
	char *path;
	char *reason;            /* one sentence */
};

struct repository_notes {
	struct repository_note *items;
	size_t count;
};
void repository_notes_free(struct repository_notes *n);

/* Calls `found` for each image and manifest below the root, in the order of their paths' bytes, folder by folder; links,
 * special files, hidden entries ("." first) and other names are passed over. What cannot be read, and folders too deep, go to
 * `skipped`. A negative return of `found` (having filled e) ends the walk with that. ERR_LIMIT: more than the ceilings. */
int repository_walk(const struct repository *r, int (*found)(void *arg, const struct repository_file *f, struct err *e),
                    void *arg, struct repository_notes *skipped, struct err *e);

#endif
