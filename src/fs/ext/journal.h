/* jbd2: the log of ext3 and ext4 (Documentation/filesystems/ext4/journal.rst). Its numbers are big-endian.
 *
 *	block 0: superblock; [first, last): a ring of transactions; behind it, perhaps, the fast-commit area
 *	transaction: descriptor (tags: where the blocks behind it belong), blocks, …, revoke blocks, …, commit
 *
 *	load → SCAN: how far do valid transactions reach → REVOKE: what later ones took back → REPLAY
 *
 * The blocks themselves stay where they are in the log: the overlay refers to them.
 */
#ifndef FS_EXT_JOURNAL_H
#define FS_EXT_JOURNAL_H

#include "fs/ext/ext.h"

enum {
	JBD_MAGIC = 0xC03B3998,
	JBD_DESCRIPTOR = 1,
	JBD_COMMIT = 2,
	JBD_SUPER_V1 = 3,
	JBD_SUPER_V2 = 4,
	JBD_REVOKE = 5,
	JBD_HEADER = 12,
	JBD_COMMIT_HEADER = 60,

	JBD_COMPAT_CHECKSUM = 0x1,
	JBD_INCOMPAT_REVOKE = 0x1,
	JBD_INCOMPAT_64BIT = 0x2,
	JBD_INCOMPAT_ASYNC_COMMIT = 0x4,
	JBD_INCOMPAT_CSUM_V2 = 0x8,
	JBD_INCOMPAT_CSUM_V3 = 0x10,
	JBD_INCOMPAT_FAST_COMMIT = 0x20,
	JBD_INCOMPAT_KNOWN = 0x3F,

	JBD_TAG_ESCAPE = 1,
	JBD_TAG_SAME_UUID = 2,
	JBD_TAG_LAST = 8,

	JBD_FC_BLOCKS = 256,         /* of the fast-commit area where the superblock does not say */
	JBD_REVOKES_MAX = 4 << 20,
	JBD_BLOCKS_MAX = 10240000,   /* of a journal that mke2fs makes; its file's map may name a block more than once */
};

static const uint64_t jbd_overlay_max = (uint64_t)256 << 20;

/* Block → the last transaction that revoked it. revoke.c */
struct revokes {
	struct revoke {
		uint64_t blk;
		uint32_t tid;
		bool used;
	} *slots;
	size_t slot_count, count;
};

int revokes_add(struct revokes *t, uint64_t blk, uint32_t tid, struct err *e);
/* Must a copy logged by transaction tid not be written back? */
bool revokes_has(const struct revokes *t, uint64_t blk, uint32_t tid);
void revokes_free(struct revokes *t);

struct journal {
	struct ext_fs *x;
	struct ext_map map;          /* of the journal's inode */
	uint8_t *block;              /* headers are read here */
	uint8_t *data;               /* and logged blocks here */
	uint32_t block_size;
	uint32_t first, last;        /* the ring */
	uint32_t fc_first, fc_end;
	uint32_t sequence, start;    /* the oldest transaction and its first block; start 0: the log is empty */
	uint32_t compat, incompat;
	uint32_t seed;
	struct revokes revokes;
	struct blk *overlay;

	uint32_t end;                /* found by SCAN: the first transaction that is not there */
	struct err damage;           /* why the log ends too early, or a block of it was left out */
};

/* a comes after b; the numbers wrap. */
static inline bool tid_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool journal_has_csum(const struct journal *j)
{
	return j->incompat & (JBD_INCOMPAT_CSUM_V2 | JBD_INCOMPAT_CSUM_V3);
}

/* Block `lblk` of the journal. */
int journal_read(struct journal *j, uint32_t lblk, uint8_t *to, struct err *e);
/* Where it lies in the fs's blk. */
int journal_where(struct journal *j, uint32_t lblk, uint64_t *ret, struct err *e);

/* jwalk.c: the three passes. Damage of the log is kept in j->damage; fails like ext_journal_recover(). */
int journal_replay(struct journal *j, struct err *e);

/* fastcommit.c: applies the fast commits behind transaction j->end - 1; x->fs.blk is j->overlay by now. */
int fc_replay(struct journal *j, struct err *e);

#endif
