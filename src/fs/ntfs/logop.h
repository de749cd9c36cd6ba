/* The records of NTFS in its log. Each tells how to do a change again and how to take it back: an operation, its data,
 * the place. The numbers are those of Windows' own structures as the Linux-NTFS project and ntfs3 name them. */
#ifndef FS_NTFS_LOGOP_H
#define FS_NTFS_LOGOP_H

#include "fs/ntfs/log.h"

enum log_op_code {
	LOG_NOOP = 0x00,
	LOG_COMPENSATION = 0x01,
	LOG_INIT_RECORD = 0x02,
	LOG_FREE_RECORD = 0x03,
	LOG_WRITE_END_OF_RECORD = 0x04,
	LOG_CREATE_ATTR = 0x05,
	LOG_DELETE_ATTR = 0x06,
	LOG_UPDATE_RESIDENT = 0x07,
	LOG_UPDATE_NONRESIDENT = 0x08,
	LOG_UPDATE_PAIRS = 0x09,
	LOG_DELETE_DIRTY_CLUSTERS = 0x0A,
	LOG_SET_SIZES = 0x0B,
	LOG_ADD_ENTRY_ROOT = 0x0C,
	LOG_DELETE_ENTRY_ROOT = 0x0D,
	LOG_ADD_ENTRY_BLOCK = 0x0E,
	LOG_DELETE_ENTRY_BLOCK = 0x0F,
	LOG_WRITE_END_OF_BLOCK = 0x10,
	LOG_SET_VCN_ROOT = 0x11,
	LOG_SET_VCN_BLOCK = 0x12,
	LOG_UPDATE_NAME_ROOT = 0x13,
	LOG_UPDATE_NAME_BLOCK = 0x14,
	LOG_SET_BITS = 0x15,
	LOG_CLEAR_BITS = 0x16,
	LOG_HOT_FIX = 0x17,
	LOG_END_TOP_LEVEL = 0x18,
	LOG_PREPARE = 0x19,
	LOG_COMMIT = 0x1A,
	LOG_FORGET = 0x1B,
	LOG_OPEN_ATTR = 0x1C,
	LOG_DUMP_ATTRS = 0x1D,
	LOG_DUMP_NAMES = 0x1E,
	LOG_DUMP_DIRTY = 0x1F,
	LOG_DUMP_TRANSACTIONS = 0x20,
	LOG_UPDATE_DATA_ROOT = 0x21,
	LOG_UPDATE_DATA_BLOCK = 0x22,
	LOG_ZERO_END_OF_RECORD = 0x25,
};

enum log_op_kind {
	LOG_KIND_UNKNOWN,
	LOG_KIND_NONE,                   /* changes nothing on disk */
	LOG_KIND_RECORD,                 /* an MFT record */
	LOG_KIND_BLOCK,                  /* an index block */
	LOG_KIND_RAW,                    /* bytes of an attribute */
};

enum log_op_kind log_op_kind(unsigned code);

struct log_part {                        /* redo or undo */
	unsigned code;
	const uint8_t *data;             /* NULL: as many zeroes */
	uint32_t len;
};

struct log_op {
	uint64_t lsn;
	struct log_part redo, undo;
	uint16_t target;                 /* offset in the open attribute table */
	uint16_t lcn_count;
	uint16_t record_off, attr_off;
	uint32_t cluster_off;            /* bytes */
	uint64_t vcn;
	const uint8_t *lcns;
};

/* Where a change applies: the block, fixups undone. */
struct log_block {
	uint8_t *p;
	size_t size;
};

int log_op_decode(const struct log_record *rec, struct log_op *ret, struct err *e);
static inline uint64_t log_op_lcn(const struct log_op *op, unsigned i)
{
	return get_le64(op->lcns + 8 * (size_t)i);
}

/* Does one part of the operation: its redo, or its undo. */
int log_op_apply(struct log *l, const struct log_op *op, const struct log_part *part, bool undo, struct err *e);

/* --- lograw.c: bytes of the target ------------------------------------------------------------------ */

/* pos counts from the operation's first cluster. 1 done; 0: a cluster of it was given back since; or an error. */
int log_raw_read(struct log *l, const struct log_op *op, uint64_t pos, void *to, size_t len, struct err *e);
/* Leaves out clusters that were given back. */
int log_raw_write(struct log *l, const struct log_op *op, uint64_t pos, const void *data, size_t len, struct err *e);

/* --- logrec.c, logindex.c --------------------------------------------------------------------------- */

/* Is the record sound, its attributes end to end? */
bool log_mft_sound(const struct log_block *b);
int log_mft_apply(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e);

/* Root entries: `attr` is the attribute's offset in the record. */
int log_root_apply(struct log_block *b, size_t attr, const struct log_op *op, const struct log_part *part,
                   struct err *e);
int log_block_apply(struct log_block *b, const struct log_op *op, const struct log_part *part, struct err *e);
/* Gives the attribute at `attr` of the record another length: what follows moves. */
bool log_attr_resize(struct log_block *b, size_t attr, size_t len);

#endif
