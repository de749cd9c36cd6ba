/* archive: writes zip, tar, tar.gz and tar.zst streams, in constant memory, to a sink.
 *
 * The writer knows sinks and entries, not filesystems: the caller pushes an entry, then its bytes.
 *
 *	archive_open → { archive_entry → archive_data* }* → archive_finish
 *
 * An archive gets its trailer only by archive_finish(). After any failure the only allowed call is
 * archive_close(): what was written then never looks complete. A file that breaks in the middle is
 * ended with archive_entry_failed(): the entry is closed in a way that keeps the archive readable, and the
 * caller lists it (RESTORE-ERRORS.txt, through archive_add_text()).
 *
 * One failure leaves the archive alive: archive_entry() returning ERR_INVALID refused the entry (its name leads outside,
 * its attributes are too long, a zip cannot hold its type) and wrote nothing; the caller lists it and goes on.
 *
 * Memory: see docs/archives.md; single-threaded at most 2 MiB plus about 20 bytes a zip entry.
 *
 * Sources: PKWARE APPNOTE 6.3.10 (Zip64, UTF-8 flag, data descriptors), Info-ZIP extra fields "UT" and
 * "ux"; POSIX.1-2017 pax; GNU sparse 1.0 in pax; SCHILY.xattr; RFC 1952; RFC 8878.
 *
 * Threads: one thread drives an archive; the compressor may use threads of its own.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ARCHIVE_PATH_MAX = 65000,            /* bytes of a path or a link target: zip counts in 16 bits */
	ARCHIVE_RUN_UNIT = 512,              /* the length of each run but the last is a multiple of it */
};

enum archive_format {
	ARCHIVE_TAR,
	ARCHIVE_TAR_GZ,
	ARCHIVE_TAR_ZST,
	ARCHIVE_ZIP,
};

/* "tar", "tar.gz", "tar.zst", "zip"; false where there is no such format. */
bool archive_format_from_name(const char *name, enum archive_format *ret);
const char *archive_format_name(enum archive_format f);
const char *archive_format_mime(enum archive_format f);

/* Where the bytes go. write: 0, or negative with *e filled (the reader went away: ERR_CANCELLED). */
struct archive_sink {
	int (*write)(void *arg, const void *p, size_t len, struct err *e);
	void *arg;
};

enum archive_entry_type {
	ARCHIVE_FILE,
	ARCHIVE_DIRECTORY,
	ARCHIVE_SYMLINK,
	ARCHIVE_HARDLINK,            /* tar: link_target is the earlier entry's path; zip: caller sends the bytes again */
	ARCHIVE_BLOCK, ARCHIVE_CHAR, ARCHIVE_FIFO,      /* tar only */
};

struct archive_xattr {
	const char *name;            /* "user.x", "system.posix_acl_access" (kernel form), … */
	const void *value;
	size_t len;
};

struct archive_run {                 /* a run of data in a sparse file */
	uint64_t off, len;
};

struct archive_entry {
	enum archive_entry_type type;
	const char *path;            /* relative, '/'-separated, NUL-terminated, raw bytes; never absolute, never ".." */
	const char *link_target;     /* symlink, hardlink */
	uint64_t size;               /* bytes that will follow (all of them; of a sparse file: its full size) */
	uint32_t mode, uid, gid;     /* mode: 07777 bits */
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	int64_t atime_sec, ctime_sec;      /* with has_atime, has_ctime */
	uint32_t atime_nsec, ctime_nsec;
	bool has_atime, has_ctime;
	uint32_t rdev_major, rdev_minor;
	const struct archive_xattr *xattrs;
	size_t xattr_count;
	/* Sparse files: the runs that hold data, ascending. tar writes a sparse entry and takes by
	 * archive_data() only the bytes of the runs, in order; zip ignores it (archive_wants_sparse() == false)
	 * and takes all. NULL: not sparse. */
	const struct archive_run *runs;
	size_t run_count;
};

struct archive;

struct archive_options {
	enum archive_format format;
	unsigned threads;            /* compressor threads, 0: one */
};

int archive_open(const struct archive_options *opt, const struct archive_sink *sink, struct archive **ret,
                 struct err *e);
bool archive_wants_sparse(const struct archive *a);
bool archive_wants_hardlinks(const struct archive *a);
bool archive_wants_special(const struct archive *a);       /* devices and fifos */
int archive_entry(struct archive *a, const struct archive_entry *en, struct err *e);
/* Bytes of the current file; the sum must reach exactly what was announced. */
int archive_data(struct archive *a, const void *p, size_t len, struct err *e);
/* The current file's source failed after some of its bytes. tar: the rest is padded with zeroes up to the
 * announced size; zip: the entry ends where it is. Either way the caller must list it. */
int archive_entry_failed(struct archive *a, struct err *e);
/* A whole small regular file from memory (RESTORE-ERRORS.txt). */
int archive_add_text(struct archive *a, const char *path, const void *text, size_t len, int64_t mtime_sec,
                     struct err *e);
/* Trailer and flush. Only after this the stream is complete. */
int archive_finish(struct archive *a, struct err *e);
void archive_close(struct archive *a);

#endif
