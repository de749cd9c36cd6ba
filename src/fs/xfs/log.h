/* log: replay of what a stopped VM had promised but not yet written in its place.
 *
 * The log is a ring of 512-byte blocks ("basic blocks"). Records follow one another in it; each starts with a header
 * block or more and carries operations. The first four bytes of every block are replaced by the number of the round
 * ("cycle") the writer was in, the bytes that belong there are in the headers: so a block that was not written in this
 * round is recognised, and the end of the log found without a pointer.
 *
 *	cycle:   5 5 5 5 5 5 5 5 5 4 4 4 4 4 4 4 4 4
 *	           ^tail         ^head
 *
 *	logfind.c    the head (where the cycle drops, less records that were not written whole) and, from the last
 *	             record's header, the tail
 *	logrec.c     one record: checked, and with its own bytes put back
 *	logtrans.c   operations → regions → items → transactions; a transaction without its commit is dropped
 *	cancel.c     blocks that were freed later on: older changes of them must not be replayed
 *	logbuf.c     items of blocks; loginode.c of inodes and fresh inode chunks; intent.c of changes of a file's map
 *	             that were announced but not carried out
 *	log.c        the two passes: 1 gathers cancelled blocks, 2 replays into an overlay
 *
 * Not replayed, since nothing we read depends on it: free space, reference counts, quotas, lists of unlinked inodes.
 *
 * Format: "XFS Algorithms & Data Structures", "Journaling Log". Headers are big-endian, items little-endian (those a
 * big-endian machine wrote are refused).
 */
#ifndef FS_XFS_LOG_H
#define FS_XFS_LOG_H

#include "fs/xfs/pending.h"

#define LOG_MAGIC ((uint32_t)0xFEEDBABE)

enum {
	LOG_RECORD_MAX = 256 << 10,          /* bytes of a record's payload */
	LOG_HEADERS_MAX = 8,                 /* header blocks of a record */
	LOG_HEADER_DATA = 32768,             /* bytes of payload a header block keeps the first words of */
	LOG_TORN_MAX = 8 * LOG_RECORD_MAX / XFS_BB,   /* blocks that may be in flight when a machine stops */
	LOG_CHECKED = 8,                     /* records at the head whose checksums decide where it is */
	LOG_TRANS_MAX = 256,                 /* open at once */
	LOG_TRANS_BYTES = 256 << 20,         /* of all open ones */
	LOG_REGIONS_MAX = 1 << 22,           /* of one */
	LOG_ITEM_REGIONS = 10000,
	LOG_CANCEL_MAX = 1 << 21,
	LOG_INTENTS_MAX = 1 << 16,
	LOG_ATTRS_MAX = 256,
	LOG_BUF_MAX = 64 << 10,
};

struct log_record {
	uint32_t blk, cycle;
	uint32_t headers, blocks;            /* header blocks, all blocks */
	uint32_t len, ops;                   /* bytes of payload, operations in it */
	uint64_t lsn, tail_lsn;
	const uint8_t *data;                 /* valid until the next record is read */
};

struct log_region {
	uint32_t off, len;                   /* in the transaction's data */
	uint32_t item;                       /* regions its item has, in the item's first; else 0 */
};

/* A committed transaction's items in the order they were logged. */
struct log_trans {
	uint32_t tid;
	uint64_t lsn;                        /* of the record it started in */
	uint32_t header_len;                 /* bytes of the transaction header seen */
	uint32_t missing;                    /* regions the last item still lacks */
	uint8_t *data;
	uint32_t len, cap;
	struct log_region *region;
	uint32_t regions, region_cap;
	uint8_t header[16];
};

struct log_cancel {
	uint64_t blkno;
	uint32_t len, refs;                  /* refs 0: free slot */
};

struct log_intent {
	uint64_t id, ino;
	uint16_t type;
	struct xfs_patch patch;              /* BUI */
	struct xfs_exchange exchange;        /* XMI */
	struct xfs_attr_change *attr;        /* ATTRI, owned */
};

struct xfs_log {
	struct xfs_fs *x;
	struct blk *dev;                     /* the device without the overlay */
	struct blk *overlay;
	uint64_t off;                        /* bytes */
	uint32_t blocks;
	bool torn;                           /* records at the head were not written whole */
	uint8_t *raw;                        /* a record as it lies there */
	uint8_t *buf;                        /* LOG_BUF_MAX, for items */
	unsigned pass;
	struct log_trans *trans[LOG_TRANS_MAX];
	unsigned trans_count;
	uint64_t trans_bytes;
	struct log_cancel *cancel;           /* hash table */
	uint32_t cancel_cap, cancel_count;
	struct log_intent *intent;
	uint32_t intents, intent_cap, attrs; /* attrs: of them with a change of an attribute */
	uint32_t bad_items;                  /* that could not be replayed */
	const char *bad_why;                 /* the first of them */
};

/* logrec.c */
int log_read(struct xfs_log *l, uint32_t blk, uint32_t count, uint8_t *to, struct err *e);
uint32_t log_cycle(const uint8_t *block);
/* What a header block at blk says; NULL, or why it is none. */
const char *log_header(const struct xfs_log *l, const uint8_t *p, uint32_t blk, struct log_record *ret);
/* 0; *ret_bad NULL, or why the record is not whole. */
int log_record(struct xfs_log *l, uint32_t blk, struct log_record *ret, const char **ret_bad, struct err *e);

/* logfind.c. 1: *ret is the last record; 0: nothing to replay; *ret_why (may be NULL): because of what. */
int log_find(struct xfs_log *l, struct log_record *ret, const char **ret_why, struct err *e);

/* logtrans.c */
int log_operations(struct xfs_log *l, const struct log_record *rec, const char **ret_bad, struct err *e);
void log_trans_drop(struct xfs_log *l);

/* log.c */
/* One committed transaction in this pass. */
int log_commit(struct xfs_log *l, const struct log_trans *t, struct err *e);
/* Notes an item that cannot be replayed. */
int log_bad_item(struct xfs_log *l, const char *why);

/* One item. */
struct log_item {
	const struct log_trans *t;
	const struct log_region *region;
	uint32_t regions;
};
/* Region i, at least `min` bytes long, or NULL. */
const uint8_t *log_item_region(const struct log_item *it, uint32_t i, uint32_t min, uint32_t *ret_len);

/* cancel.c */
int log_cancel_add(struct xfs_log *l, uint64_t blkno, uint32_t len, struct err *e);
void log_cancel_put(struct xfs_log *l, uint64_t blkno, uint32_t len);
bool log_cancelled(const struct xfs_log *l, uint64_t blkno, uint32_t len);

/* logbuf.c */
bool log_buf_is_cancel(const struct log_item *it);
int log_buf_cancel(struct xfs_log *l, const struct log_item *it, struct err *e);
int log_buf_replay(struct xfs_log *l, const struct log_item *it, struct err *e);

/* loginode.c */
int log_inode_replay(struct xfs_log *l, const struct log_item *it, struct err *e);
int log_icreate_replay(struct xfs_log *l, const struct log_item *it, struct err *e);

/* intent.c */
bool log_intent_known(uint16_t type);
int log_intent(struct xfs_log *l, uint16_t type, const struct log_item *it, struct err *e);
/* What was announced and not done becomes pending. */
int log_intents_finish(struct xfs_log *l, struct err *e);
void log_intents_free(struct xfs_log *l);

#endif
