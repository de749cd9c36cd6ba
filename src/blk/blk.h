/* blk: a read-only array of bytes. Images, partitions, logical volumes and decrypted containers are
 * all of this one interface; a filesystem sees a blk and nothing else.
 *
 *	fd, mem            leaves
 *	qcow2, raw         src/image
 *	slice              a part of another blk (a partition)
 *	cache              keeps small reads of another blk
 *	overlay            in-memory copy-on-write (journal replay writes there)
 *	map                ranges of others, one behind the other
 *	fault, trace       test and diagnosis wrappers
 *
 * Units are bytes everywhere. Offsets are those of this blk; only `host_off` in a struct blk_extent is
 * an offset in a host file.
 *
 * Ownership: a blk is reference counted (not atomically). A wrapper holds a reference to what it
 * wraps. blk_unref(NULL) is allowed.
 *
 * Threads: one thread at a time uses a tree of blks, unless the owner locks around it. An
 * implementation may use threads inside one call.
 *
 * The front functions below check the range and assert that a failing implementation said why; the
 * implementations trust their arguments: off + len <= size, len > 0.
 */
#ifndef BLK_BLK_H
#define BLK_BLK_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blk;

enum blk_extent_kind {
	BLK_DATA,    /* bytes that have to be read */
	BLK_ZERO,    /* reads as zeroes, known without reading; explicitly written as such */
	BLK_HOLE,    /* reads as zeroes, never written (no layer has it) */
};

struct blk_extent {
	enum blk_extent_kind kind;
	uint64_t len;         /* bytes from the asked offset, 1 … asked len */
	int fd;               /* BLK_DATA that lies plainly in one host file: its descriptor (borrowed, valid
	                         as long as the blk); else -1 */
	uint64_t host_off;    /* where in fd, when fd >= 0 */
};

struct blk_ops {
	const char *name;     /* "qcow2", "slice", …: for messages and traces */
	/* All len bytes or an error; there are no short reads. */
	int (*read)(struct blk *b, uint64_t off, void *to, size_t len, struct err *e);
	/* The same for blk_read_once(). NULL: read. */
	int (*read_once)(struct blk *b, uint64_t off, void *to, size_t len, struct err *e);
	/* The first extent at off, clipped to len. NULL: everything is BLK_DATA with no host file. */
	int (*extent)(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e);
	/* Frees what the implementation holds, including the struct itself. NULL-safe by blk_unref. */
	void (*close)(struct blk *b);
};

/* The head of every implementation's own struct. */
struct blk {
	const struct blk_ops *ops;
	uint64_t size;          /* bytes */
	uint32_t sector_size;   /* logical sector size of the disk, 512 unless known better (4096) */
	unsigned refs;
};

/* For implementations: refs = 1, sector_size = 512. */
void blk_init(struct blk *b, const struct blk_ops *ops, uint64_t size);

struct blk *blk_ref(struct blk *b);
void blk_unref(struct blk *b);
CLEANUP_DEFINE(blk_unref, struct blk *)

/* Reads exactly len bytes at off. A range that leaves the device is ERR_IO and names both. */
int blk_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e);
/* The same for callers that keep what they read: a cache on the way does not keep it, too. */
int blk_read_once(struct blk *b, uint64_t off, void *to, size_t len, struct err *e);

/* Describes the bytes at off, at most len of them; len > 0 and inside the device. */
int blk_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e);

/* A leaf over a host file; `fd` is not owned and must outlive it. size: what to show of it. */
int blk_fd_open(int fd, uint64_t size, struct blk **ret, struct err *e);

/* A leaf over memory. `data` is borrowed. */
int blk_mem_open(const void *data, size_t size, struct blk **ret, struct err *e);

/* Bytes [off, off + len) of `parent` as a device of its own. Takes its own reference. The range must
 * lie inside the parent (ERR_VOLUME_CORRUPT otherwise). */
int blk_slice_open(struct blk *parent, uint64_t off, uint64_t len, struct blk **ret, struct err *e);

#endif
