/* $LogFile: the log of NTFS. Two layers: LFS, a ring of pages that holds records ("RSTR" and "RCRD" pages), and the
 * records NTFS writes there (logop.h). Versions 1.1 (up to Windows 7, and every clean volume) and 2.0 (Windows 8 on).
 *
 *	1.1  page 0, 1: restart pages   2, 3: copies of the page being filled          from 4: the ring
 *	2.0  page 0, 1: restart pages   2 … 33: copies of the pages last written       from 34: the ring
 *
 * A log sequence number (LSN) is an offset into the log in units of 8 bytes, above it the count of times round.
 *
 *	logfile.c  is there work?       logpage.c   pages, records      logtable.c  the checkpoint's tables
 *	logwalk.c  the three passes     logop.c     one operation       lograw.c    where it applies
 *	logrec.c   on an MFT record     logindex.c  on index entries
 *
 * Everything is written to an overlay. What is not understood ends the replay, ERR_FILE_CORRUPT, and the overlay goes.
 */
#ifndef FS_NTFS_LOG_H
#define FS_NTFS_LOG_H

#include "fs/ntfs/ntfs.h"

enum {
	LOG_PAGE_MIN = 1024,
	LOG_PAGE_MAX = 64 << 10,
	LOG_TAILS = 32,                  /* copies of pages in front of the ring */
	LOG_RECORD_HEADER = 0x30,
	LOG_RECORD_MAX = 4 << 20,        /* bytes of a record: a table of the checkpoint */
	LOG_ATTRS_MAX = 4096,            /* slots of the open attribute table */
	LOG_TRANSACTIONS_MAX = 4096,
	LOG_DIRTY_MAX = 1 << 19,         /* clusters not yet written when the machine stopped: 16 MiB of table */
	LOG_TABLE_HEADER = 0x18,
};

static const uint64_t log_size_max = (uint64_t)4 << 30;
static const uint64_t log_work_max = (uint64_t)1 << 30;
static const uint64_t log_overlay_max = (uint64_t)128 << 20;

struct log_restart {                     /* what the newer restart page says */
	uint64_t lsn;
	bool clean;
	unsigned major, minor;
	uint32_t page_size;
	uint64_t size;                   /* bytes of the log in use */
	unsigned seq_bits;
	uint32_t record_header, data_off;
	uint64_t oldest_lsn, restart_lsn;   /* of the client: NTFS */
	uint16_t client, client_seq;
	struct err bad;                  /* why there can be no replay, the page being sound */
};

struct log_page {
	uint64_t lsn;                    /* the last record that starts in it */
	uint64_t end_lsn;                /* … that ends in it */
	bool has_end;
	uint16_t count, pos;             /* of the pages written at once */
};

struct log_record {
	uint64_t lsn, undo_next;
	uint64_t next;                   /* where the next one would be */
	uint32_t type, transaction;
	bool ours;                       /* of the client */
	const uint8_t *data;             /* in log.record */
	uint32_t len;
};

enum { LOG_RECORD_CLIENT = 1, LOG_RECORD_RESTART = 2 };

struct log_attr {                        /* an open attribute */
	bool used;
	uint32_t type, index_bytes;
	uint64_t ref;
};

enum log_state { LOG_ACTIVE = 1, LOG_PREPARED = 2, LOG_COMMITTED = 3 };

struct log_transaction {
	bool used;
	uint8_t state;
	uint64_t first, undo_next;
};

struct log_dirty {                       /* a cluster of an open attribute whose page was dirty */
	bool used;
	uint32_t attr;
	uint64_t vcn, lcn;               /* lcn 0: it was given back since */
	uint64_t oldest;                 /* the first record that may be missing on disk */
};

struct log {
	struct ntfs *ntfs;
	struct ntfs_stream data;
	struct log_restart rst;
	uint64_t first_page;
	struct {
		uint64_t off, of;        /* where it is, of which page it is a copy */
		uint64_t end_lsn;
	} tail[LOG_TAILS];
	unsigned tails;
	uint8_t *page;                   /* a page, fixups undone; owned */
	uint64_t have;                   /* which page of the ring, be it from its copy; 0: none */
	struct log_page head;            /* its header */
	uint8_t *record;                 /* owned */
	size_t record_cap;

	bool tables_v0;                  /* the 32-bit form of the tables */
	uint64_t analysis_lsn, attrs_lsn, end_lsn, redo_lsn;
	struct log_attr *attr;           /* LOG_ATTRS_MAX slots, owned */
	struct log_transaction *transaction;
	struct log_dirty *dirty;         /* hash table, owned */
	size_t dirty_slots, dirty_count;
	struct blk *overlay;
	uint64_t changes, work;
};

#define log_bad(e, ...) err_set(e, ERR_FILE_CORRUPT, "ntfs", __VA_ARGS__)

/* --- logpage.c ------------------------------------------------------------------------------------- */

/* 1 and *ret from the newer sound restart page, 0 where there is none. */
int log_restart_read(const struct ntfs_stream *s, struct log_restart *ret, struct err *e);
/* Notes the copies of pages; l->data and l->rst are set. */
int log_pages_init(struct log *l, struct err *e);
/* 1 and the record, 0 where the log holds none of that number. */
int log_record_read(struct log *l, uint64_t lsn, struct log_record *ret, struct err *e);
/* Does a page tell of records behind l->end_lsn that no torn write explains? Then ERR_FILE_CORRUPT. */
int log_check_end(struct log *l, struct err *e);

/* --- logtable.c ------------------------------------------------------------------------------------ */

/* Reads the checkpoint's record and its tables: 1, or 0 on a volume never used. */
int log_checkpoint_read(struct log *l, struct err *e);
/* The slot a table offset names, or NULL. */
struct log_attr *log_attr_at(struct log *l, uint32_t offset);
struct log_transaction *log_transaction_at(struct log *l, uint32_t offset);
/* One entry of the open attribute table, as it also comes in an OpenNonresidentAttribute. */
int log_attr_decode(const struct log *l, const uint8_t *p, size_t len, struct log_attr *ret, struct err *e);
struct log_dirty *log_dirty_find(const struct log *l, uint32_t attr, uint64_t vcn);
/* Finds or makes; an older `oldest` replaces a newer one. */
int log_dirty_add(struct log *l, uint32_t attr, uint64_t vcn, uint64_t oldest, struct log_dirty **ret, struct err *e);
void log_tables_free(struct log *l);

/* --- logwalk.c ------------------------------------------------------------------------------------- */

/* Counts work that a short record can ask for: steps through the table of dirty clusters, bytes of bitmaps. ERR_LIMIT
 * beyond log_work_max. */
int log_spend(struct log *l, uint64_t steps, struct err *e);
/* Analysis, redo, undo, into l->overlay. */
int log_replay(struct log *l, struct err *e);

#endif
