#include "fs/xfs/log.h"

#include "blk/overlay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "xfs";
static const uint64_t overlay_max = (uint64_t)1 << 30;

enum item_type {
	ITEM_EFI = 0x1236,
	ITEM_IUNLINK = 0x1238,
	ITEM_INODE = 0x123B,
	ITEM_BUF = 0x123C,
	ITEM_DQUOT = 0x123D,
	ITEM_QUOTAOFF = 0x123E,
	ITEM_ICREATE = 0x123F,
	ITEM_CUD = 0x1243,
	ITEM_EFI_RT = 0x124A,
	ITEM_CUD_RT = 0x124F,
};

int log_bad_item(struct xfs_log *l, const char *why)
{
	if (l->bad_items++ == 0)
		l->bad_why = why;
	return 0;
}

const uint8_t *log_item_region(const struct log_item *it, uint32_t i, uint32_t min, uint32_t *ret_len)
{
	if (i >= it->regions || it->region[i].len < min)
		return NULL;
	*ret_len = it->region[i].len;
	return it->t->data + it->region[i].off;
}

/* --- items of a transaction ----------------------------------------------------------------------- */

/* Blocks first, then what is in them, then the cancellations: those hold for what follows. */
enum step {
	STEP_BLOCKS,
	STEP_INODES,
	STEP_CANCEL,
	STEP_END,
};

static int unknown(struct xfs_log *l, uint16_t type)
{
	bool ignored = (type >= ITEM_EFI && type <= ITEM_IUNLINK) || type == ITEM_DQUOT || type == ITEM_QUOTAOFF ||
	               (type > ITEM_ICREATE && type <= ITEM_CUD) || (type >= ITEM_EFI_RT && type <= ITEM_CUD_RT);
	return ignored ? 0 : log_bad_item(l, "an item is of an unknown type");
}

static int replay_item(struct xfs_log *l, enum step step, uint16_t type, const struct log_item *it, struct err *e)
{
	if (type == ITEM_BUF) {
		bool cancel = log_buf_is_cancel(it);
		if (step == STEP_CANCEL)
			return cancel ? log_buf_cancel(l, it, e) : 0;
		return step == STEP_BLOCKS && !cancel ? log_buf_replay(l, it, e) : 0;
	}
	if (type == ITEM_ICREATE)
		return step == STEP_BLOCKS ? log_icreate_replay(l, it, e) : 0;
	if (step != STEP_INODES)
		return 0;
	if (type == ITEM_INODE)
		return log_inode_replay(l, it, e);
	return log_intent_known(type) ? log_intent(l, type, it, e) : unknown(l, type);
}

static int run_step(struct xfs_log *l, const struct log_trans *t, enum step step, struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; i < t->regions && r == 0;) {
		struct log_item it = {.t = t, .region = t->region + i, .regions = t->region[i].item};
		if (it.regions == 0 || it.regions > t->regions - i)
			return step == STEP_INODES ? log_bad_item(l, "a transaction is incomplete") : 0;
		uint16_t type = it.region[0].len >= 2 ? get_le16(t->data + it.region[0].off) : 0;
		i += it.regions;
		if (l->pass == 1)
			r = type == ITEM_BUF && log_buf_is_cancel(&it) ? log_buf_cancel(l, &it, e) : 0;
		else
			r = replay_item(l, step, type, &it, e);
	}
	return r;
}

int log_commit(struct xfs_log *l, const struct log_trans *t, struct err *e)
{
	int r = 0;
	for (enum step s = l->pass == 1 ? STEP_CANCEL : STEP_BLOCKS; s < STEP_END && r == 0; s++)
		r = run_step(l, t, s, e);
	return r;
}

/* --- the passes ----------------------------------------------------------------------------------- */

/* From the tail to the last record, both included. *ret_bad: what ended it before. */
static int walk(struct xfs_log *l, const struct log_record *last, const char **ret_bad, struct err *e)
{
	uint32_t blk = (uint32_t)last->tail_lsn, cycle = (uint32_t)(last->tail_lsn >> 32);
	for (;;) {
		struct log_record rec;
		if (blk >= l->blocks) {
			blk -= l->blocks;
			cycle++;
		}
		if (((uint64_t)cycle << 32 | blk) > last->lsn || blk >= l->blocks)
			return 0;
		int r = log_record(l, blk, &rec, ret_bad, e);
		if (r == 0 && !*ret_bad && rec.cycle != cycle)
			*ret_bad = "a record is of another round than its neighbours";
		if (r == 0 && !*ret_bad)
			r = log_operations(l, &rec, ret_bad, e);
		if (r < 0 || *ret_bad)
			return r;
		blk += rec.blocks;
	}
}

static int check_tail(const struct xfs_log *l, const struct log_record *last, const char **ret_why)
{
	uint32_t blk = (uint32_t)last->tail_lsn, cycle = (uint32_t)(last->tail_lsn >> 32);
	if (last->tail_lsn <= last->lsn && blk < l->blocks && last->cycle - cycle <= 1 && (cycle == last->cycle || blk >= last->blk))
		return 0;
	*ret_why = "the last record says it starts where it cannot";
	return -1;
}

static int passes(struct xfs_log *l, const struct log_record *last, const char **ret_why, struct err *e)
{
	int r = 0;
	for (l->pass = 1; l->pass <= 2 && r == 0; l->pass++) {
		const char *bad = NULL;
		r = walk(l, last, &bad, e);
		*ret_why = bad;
		log_trans_drop(l);
	}
	return r;
}

static int replay(struct xfs_log *l, const char **ret_why, struct err *e)
{
	struct log_record last;
	int r = log_find(l, &last, ret_why, e);
	if (r <= 0)
		return r;
	if (check_tail(l, &last, ret_why) < 0)
		return 0;
	r = blk_overlay_open(l->dev, overlay_max, &l->overlay, e);
	if (r == 0)
		r = passes(l, &last, ret_why, e);
	if (r == 0)
		r = log_intents_finish(l, e);
	return r;
}

/* --- front ---------------------------------------------------------------------------------------- */

/* The log may have made the filesystem larger. */
static int reread_super(struct xfs_fs *x, struct err *e)
{
	struct xfs_super sb;
	struct err why = ERR_INIT;
	int r = xfs_super_find(x->fs.blk, &sb, &why, e);
	if (r == 1 && !why.code)
		x->sb = sb;
	else if (r >= 0)
		fs_warn(&x->fs, "the superblock in the log is damaged and was not used");
	return r < 0 ? r : 0;
}

static int run(struct xfs_log *l, struct err *e)
{
	struct xfs_fs *x = l->x;
	const char *why = NULL;
	struct err no = ERR_INIT;
	l->raw = malloc(LOG_RECORD_MAX + LOG_HEADERS_MAX * XFS_BB + XFS_BB);
	l->buf = malloc(LOG_BUF_MAX);
	int r = l->raw && l->buf ? replay(l, &why, &no) : err_no_memory(&no, module);
	if (r < 0 && r != ERR_LIMIT) {
		*e = no;
		return r;
	}
	if (r < 0 || why)
		fs_warn(&x->fs, "the log could not be replayed to its end, what is shown may be older or inconsistent: %s",
		        r < 0 ? no.msg : why);
	if (l->bad_items > 0)
		fs_warn(&x->fs, "%" PRIu32 " changes in the log could not be replayed: %s", l->bad_items, l->bad_why);
	if (!l->overlay)
		return 0;
	blk_unref(x->fs.blk);
	x->fs.blk = blk_ref(l->overlay);
	xfs_caches_drop(x);
	r = reread_super(x, e);
	return r == 0 ? xfs_pending_open(x, e) : r;
}

int xfs_log_recover(struct xfs_fs *x, struct err *e)
{
	const struct xfs_super *sb = &x->sb;
	struct xfs_log l = {.x = x, .dev = x->fs.blk, .off = xfs_fsb_off(sb, sb->logstart)};
	uint64_t len = (uint64_t)sb->logblocks << sb->block_bits;
	if (sb->logstart == 0) {
		fs_warn(&x->fs, "the log is on another device: what was not yet in its place is missing");
		return 0;
	}
	if (sb->log_incompat & ~(uint32_t)XFS_LOG_XATTRS) {
		fs_warn(&x->fs, "the log uses unknown features (0x%" PRIx32 ") and was not replayed",
		        sb->log_incompat & ~(uint32_t)XFS_LOG_XATTRS);
		return 0;
	}
	if (len / XFS_BB < 16 || len / XFS_BB > INT32_MAX || !range_inside(l.off, len, x->fs.blk->size)) {
		fs_warn(&x->fs, "the log does not lie on the device and was not replayed");
		return 0;
	}
	l.blocks = (uint32_t)(len / XFS_BB);
	int r = run(&l, e);
	log_trans_drop(&l);
	blk_unref(l.overlay);
	free(l.raw);
	free(l.buf);
	free(l.cancel);
	log_intents_free(&l);
	return r;
}
