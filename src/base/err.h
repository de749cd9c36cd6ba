/* Errors: one negative code and one message, set exactly once on a failure path.
 *
 * Every fallible function returns 0 (or a count >= 0) on success and a negative `enum err_code` on
 * failure, having filled the `struct err` it was given. On success the struct is left untouched.
 * The message is one sentence a person can act on; it never names a path of the machine the hub
 * runs on. Whoever handles an error logs it; libraries do not log.
 *
 * Threads: a struct err belongs to one thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* X(symbol, name in the API). The numbers cross the wire between hub and worker, which are built
 * together and check each other's version: the order may change, the names may not. */
#define ERR_CODES(X)                                                                                \
	X(ERR_INTERNAL, "INTERNAL")                     /* a bug of ours */                         \
	X(ERR_NO_MEMORY, "NO_MEMORY")                                                               \
	X(ERR_INVALID, "INVALID_ARGUMENT")              /* a request that makes no sense */         \
	X(ERR_PATH_INVALID, "PATH_INVALID")             /* "..", NUL, no leading "/", too long */   \
	X(ERR_NOT_FOUND, "NOT_FOUND")                   /* no such file in the volume */            \
	X(ERR_NOT_DIRECTORY, "NOT_A_DIRECTORY")                                                     \
	X(ERR_IS_DIRECTORY, "IS_A_DIRECTORY")                                                       \
	X(ERR_NOT_FILE, "NOT_A_FILE")                   /* device, fifo, socket: has no bytes */    \
	X(ERR_LINK_LOOP, "SYMLINK_LOOP")                                                            \
	X(ERR_IO, "IO_ERROR")                           /* the host could not read the backup */    \
	X(ERR_LIMIT, "LIMIT_EXCEEDED")                  /* a named ceiling of ours was reached */   \
	X(ERR_IMAGE_UNREADABLE, "IMAGE_UNREADABLE")     /* not an image, or truncated */            \
	X(ERR_IMAGE_CORRUPT, "IMAGE_CORRUPT")           /* its tables contradict each other */      \
	X(ERR_IMAGE_UNSUPPORTED, "IMAGE_UNSUPPORTED")   /* a feature we cannot read, named */       \
	X(ERR_IMAGE_ENCRYPTED, "IMAGE_ENCRYPTED")                                                   \
	X(ERR_IMAGE_LAYER_MISSING, "IMAGE_LAYER_MISSING")                                           \
	X(ERR_IMAGE_BACKING_REFUSED, "IMAGE_BACKING_REFUSED") /* backing name outside allowed folders */ \
	X(ERR_VOLUME_NOT_FOUND, "VOLUME_NOT_FOUND")                                                 \
	X(ERR_VOLUME_UNSUPPORTED, "VOLUME_UNSUPPORTED") /* recognised, no reader */                 \
	X(ERR_VOLUME_LOCKED, "VOLUME_LOCKED")           /* encrypted, no key given yet */           \
	X(ERR_VOLUME_CORRUPT, "VOLUME_CORRUPT")                                                     \
	X(ERR_VOLUME_INCOMPLETE, "VOLUME_INCOMPLETE")   /* a member disk is missing */              \
	X(ERR_KEY_WRONG, "KEY_WRONG")                                                               \
	X(ERR_FS_CORRUPT, "FS_CORRUPT")                                                             \
	X(ERR_FS_UNSUPPORTED, "FS_UNSUPPORTED")         /* a feature of that filesystem, named */   \
	X(ERR_FILE_CORRUPT, "FILE_CORRUPT")             /* damage to one file */                    \
	X(ERR_FILE_ENCRYPTED, "FILE_ENCRYPTED")         /* EFS, fscrypt */                          \
	X(ERR_FILE_OFFLINE, "FILE_OFFLINE")             /* its bytes are in a cloud or a dedup store */ \
	X(ERR_FILE_UNSUPPORTED, "FILE_UNSUPPORTED")     /* a compression or reparse kind, named */  \
	X(ERR_CANCELLED, "CANCELLED")                                                               \
	X(ERR_TIMEOUT, "WORKER_TIMEOUT")                                                            \
	X(ERR_WORKER_DIED, "WORKER_DIED")                                                           \
	X(ERR_WORKER_PROTOCOL, "WORKER_PROTOCOL")                                                   \
	X(ERR_WORKER_START, "WORKER_START_FAILED")                                                  \
	X(ERR_SANDBOX, "SANDBOX_FAILED")                                                            \
	X(ERR_BACKUP_NOT_FOUND, "BACKUP_NOT_FOUND")                                                 \
	X(ERR_DISK_NOT_FOUND, "DISK_NOT_FOUND")                                                     \
	X(ERR_MOUNT_NOT_FOUND, "MOUNT_NOT_FOUND")                                                   \
	X(ERR_ALREADY_MOUNTED, "ALREADY_MOUNTED")                                                   \
	X(ERR_NO_SLOT, "NO_SLOT")                                                                   \
	X(ERR_BACKUP_NOT_COMPLETE, "BACKUP_NOT_COMPLETE")                                           \
	X(ERR_HAS_DEPENDENTS, "HAS_DEPENDENTS")                                                     \
	X(ERR_REPOSITORY_NOT_FOUND, "REPOSITORY_NOT_FOUND")                                         \
	X(ERR_REPOSITORY_UNREACHABLE, "REPOSITORY_UNREACHABLE")                                     \
	X(ERR_VM_NOT_FOUND, "VM_NOT_FOUND")                                                         \
	X(ERR_ARCHIVE_NOT_FOUND, "ARCHIVE_NOT_FOUND")                                               \
	X(ERR_EXISTS, "ALREADY_EXISTS")                                                             \
	X(ERR_CONFLICT, "CONFLICT")                                                                 \
	X(ERR_CATALOG, "CATALOG_ERROR")                                                             \
	X(ERR_CATALOG_FULL, "CATALOG_FULL")             /* no space left for the database */        \
	X(ERR_CATALOG_NEWER, "CATALOG_NEWER")                                                       \
	X(ERR_CONFIG, "CONFIG_INVALID")                                                             \
	X(ERR_UNAUTHORIZED, "UNAUTHORIZED")                                                         \
	X(ERR_FORBIDDEN, "FORBIDDEN")                                                               \
	X(ERR_NOT_IMPLEMENTED, "NOT_IMPLEMENTED")

enum err_code_index {
	ERR_INDEX_NONE = 0,
#define X(symbol, name) symbol##_INDEX,
	ERR_CODES(X)
#undef X
	ERR_INDEX_COUNT
};

enum err_code {
	ERR_OK = 0,
#define X(symbol, name) symbol = -(int)symbol##_INDEX,
	ERR_CODES(X)
#undef X
};

enum { ERR_MSG_MAX = 480 };

struct err {
	int code;                  /* 0, or an enum err_code */
	const char *module;        /* static string: who failed, "qcow2", "ext", … */
	char msg[ERR_MSG_MAX];     /* UTF-8, one sentence, no trailing newline */
};

#define ERR_INIT ((struct err){0})

/* Fills *e and returns `code`. Asserts that *e was clear: an error is set once. */
int err_set(struct err *e, int code, const char *module, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same, with ": " and the text of errno value `errnum` behind the message. ENOMEM turns the
 * code into ERR_NO_MEMORY. */
int err_set_errno(struct err *e, int code, int errnum, const char *module, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* "not enough memory", for a failed allocation. */
int err_no_memory(struct err *e, const char *module);

/* Puts "prefix: " before the message of an error already set; returns its code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forgets an error that has been dealt with, so that another way can be tried. */
void err_clear(struct err *e);

/* "IMAGE_CORRUPT" for ERR_IMAGE_CORRUPT; "INTERNAL" for a number that is none. Static. */
const char *err_code_name(int code);

/* The reverse; 0 where no code has that name. */
int err_code_from_name(const char *name);

/* True for a number that is one of ERR_CODES: to check what arrives over the wire. */
bool err_code_known(int code);

#endif
