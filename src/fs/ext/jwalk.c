/* Walks the log. What counts as its end, and what as damage, is decided as the kernel's fs/jbd2/recovery.c does. */
#include "fs/ext/journal.h"

#include "blk/overlay.h"

#include <inttypes.h>

static const char *const module = "ext";

enum pass { SCAN, REVOKE, REPLAY };

enum { GO_ON = 0, STOP = 1 };

struct walk {
	struct journal *j;
	enum pass pass;
	uint32_t tid;                /* of the transaction being read */
	uint32_t next;               /* block of the log */
	uint32_t left;               /* blocks until the log has been read once around */
	uint32_t crc;                /* version 1 checksum: of all descriptors and blocks of the transaction */
	uint64_t last_time;          /* of the last good commit */
	bool suspect;                /* a checksum was wrong: damage, or left over from an older use of the log */
};

static void advance(struct walk *w, uint32_t n)
{
	const struct journal *j = w->j;
	uint32_t ring = j->last - j->first;
	n %= ring;
	w->next = w->next - j->first + n >= ring ? w->next + n - ring : w->next + n;
	w->left = w->left > n ? w->left - n : 0;
}

static void note_damage(struct walk *w, const char *what)
{
	if (!w->j->damage.code)
		(void)err_set(&w->j->damage, ERR_FILE_CORRUPT, module, "transaction %" PRIu32 ": %s", w->tid, what);
}

/* Damage of the journal's own map or file ends the log; the host's failures end everything. */
static int log_read(struct walk *w, uint32_t lblk, uint8_t *to, struct err *e)
{
	struct err why = ERR_INIT;
	int r = journal_read(w->j, lblk, to, &why);
	if (r == ERR_FILE_CORRUPT) {
		note_damage(w, why.msg);
		return STOP;
	}
	if (r < 0)
		*e = why;
	return r;
}

/* --- checksums ------------------------------------------------------------------------------------ */

/* Of descriptor and revoke blocks: in their last four bytes. */
static bool tail_csum_ok(const struct journal *j, const uint8_t *p)
{
	static const uint8_t zero[4];
	if (!journal_has_csum(j))
		return true;
	uint32_t crc = crc32c(j->seed, p, j->block_size - 4);
	crc = crc32c(crc, zero, sizeof(zero));
	return ext_csum_equal(crc, get_be32(p + j->block_size - 4));
}

/* Behind its header a commit block is zeroes. Where the machine stopped while it was written, the first sector may be there
 * and older bytes behind it: the transaction counts all the same. */
static bool commit_block_csum_ok(const struct journal *j, const uint8_t *p)
{
	static const uint8_t zero[4];
	uint32_t found = get_be32(p + 16), crc = crc32c(j->seed, p, 16);
	crc = crc32c(crc, zero, sizeof(zero));
	uint32_t whole = crc32c(crc, p + 20, j->block_size - 20);
	if (ext_csum_equal(whole, found))
		return true;
	crc = crc32c(crc, p + 20, JBD_COMMIT_HEADER - 20);
	for (uint32_t at = JBD_COMMIT_HEADER; at < j->block_size; at += sizeof(zero))
		crc = crc32c(crc, zero, sizeof(zero));
	return ext_csum_equal(crc, found);
}

static bool commit_csum_ok(const struct walk *w, const uint8_t *p)
{
	const struct journal *j = w->j;
	uint32_t found = get_be32(p + 16);
	if (journal_has_csum(j))
		return commit_block_csum_ok(j, p);
	if (!(j->compat & JBD_COMPAT_CHECKSUM))
		return true;
	bool unused = p[12] == 0 && p[13] == 0 && found == 0;
	return unused || (p[12] == 1 && p[13] == 4 && ext_csum_equal(w->crc, found));
}

struct tag {
	uint64_t blk;
	uint32_t flags, csum;
};

static bool tag_csum_ok(const struct journal *j, const struct tag *t, uint32_t tid, const uint8_t *data)
{
	if (!journal_has_csum(j))
		return true;
	uint8_t n[4];
	put_be32(n, tid);
	uint32_t crc = crc32c(j->seed, n, sizeof(n));
	crc = crc32c(crc, data, j->block_size);
	return j->incompat & JBD_INCOMPAT_CSUM_V3 ? ext_csum_equal(crc, t->csum) : ext_csum_equal(crc & 0xFFFF, t->csum);
}

/* --- descriptors ---------------------------------------------------------------------------------- */

static size_t tag_size(const struct journal *j)
{
	if (j->incompat & JBD_INCOMPAT_CSUM_V3)
		return 16;
	return 8 + (j->incompat & JBD_INCOMPAT_64BIT ? 4 : 0) + (j->incompat & JBD_INCOMPAT_CSUM_V2 ? 2 : 0);
}

/* The tag at *off of a descriptor, and on to the next; false behind the last. */
static bool next_tag(const struct journal *j, const uint8_t *p, size_t *off, struct tag *ret)
{
	size_t size = tag_size(j), end = j->block_size - (journal_has_csum(j) ? 4 : 0);
	if (*off == 0 || !range_inside(*off, size, end))
		return false;
	const uint8_t *t = p + *off;
	bool wide = j->incompat & JBD_INCOMPAT_64BIT;
	if (j->incompat & JBD_INCOMPAT_CSUM_V3)
		*ret = (struct tag){
			.blk = get_be32(t) | (wide ? (uint64_t)get_be32(t + 8) << 32 : 0),
			.flags = get_be32(t + 4),
			.csum = get_be32(t + 12),
		};
	else
		*ret = (struct tag){
			.blk = get_be32(t) | (wide ? (uint64_t)get_be32(t + 8) << 32 : 0),
			.flags = get_be16(t + 6),
			.csum = get_be16(t + 4),
		};
	*off += size + (ret->flags & JBD_TAG_SAME_UUID ? 0 : 16);
	if (ret->flags & JBD_TAG_LAST)
		*off = 0;       /* nothing behind it */
	return true;
}

static int scan_descriptor(struct walk *w, struct err *e)
{
	struct journal *j = w->j;
	bool sum = w->pass == SCAN && j->compat & JBD_COMPAT_CHECKSUM && !journal_has_csum(j);
	if (sum)
		w->crc = ext_crc32_be(w->crc, j->block, j->block_size);
	struct tag t;
	uint32_t n = 0;
	for (size_t off = JBD_HEADER; next_tag(j, j->block, &off, &t); n++) {
		if (!sum)
			continue;
		int r = log_read(w, w->next, j->data, e);
		if (r)
			return r;
		w->crc = ext_crc32_be(w->crc, j->data, j->block_size);
		advance(w, 1);
	}
	if (!sum)
		advance(w, n);
	return GO_ON;
}

static int replay_block(struct walk *w, const struct tag *t, struct err *e)
{
	struct journal *j = w->j;
	int r = log_read(w, w->next, j->data, e);
	if (r)
		return r;
	if (revokes_has(&j->revokes, t->blk, w->tid))
		return GO_ON;
	if (!tag_csum_ok(j, t, w->tid, j->data)) {
		note_damage(w, "the checksum of a logged block is wrong");
		return GO_ON;
	}
	uint64_t off = t->blk << j->x->sb.block_bits;
	if (t->blk >= j->x->sb.blocks || !range_inside(off, j->block_size, j->overlay->size)) {
		note_damage(w, "a logged block belongs behind the end of the filesystem");
		return GO_ON;
	}
	if (t->flags & JBD_TAG_ESCAPE) {
		/* A block that began with the log's own magic number was logged with zeroes there. */
		put_be32(j->data, JBD_MAGIC);
		return blk_overlay_write(j->overlay, off, j->data, j->block_size, e);
	}
	uint64_t from;
	r = journal_where(j, w->next, &from, e);
	return r < 0 ? r : blk_overlay_redirect(j->overlay, off, from, j->block_size, e);
}

static int replay_descriptor(struct walk *w, struct err *e)
{
	struct tag t;
	for (size_t off = JBD_HEADER; next_tag(w->j, w->j->block, &off, &t); advance(w, 1)) {
		int r = replay_block(w, &t, e);
		if (r)
			return r;
	}
	return GO_ON;
}

/* --- revokes and commits -------------------------------------------------------------------------- */

static int read_revokes(struct walk *w, struct err *e)
{
	struct journal *j = w->j;
	size_t size = j->incompat & JBD_INCOMPAT_64BIT ? 8 : 4;
	size_t end = get_be32(j->block + JBD_HEADER);
	if (end > j->block_size - (journal_has_csum(j) ? 4u : 0u)) {
		note_damage(w, "a revoke block says it is too long");
		return STOP;
	}
	for (size_t off = JBD_HEADER + 4; off + size <= end; off += size) {
		uint64_t blk = size == 8 ? get_be64(j->block + off) : get_be32(j->block + off);
		int r = revokes_add(&j->revokes, blk, w->tid, e);
		if (r < 0)
			return r;
	}
	return GO_ON;
}

/* Times go up. A wrong checksum with an older time is what an earlier use of the log left behind. */
static int scan_commit(struct walk *w)
{
	const uint8_t *p = w->j->block;
	uint64_t time = get_be64(p + 48);
	bool ok = commit_csum_ok(w, p);
	if (w->suspect || !ok) {
		if (time >= w->last_time)
			note_damage(w, w->suspect ? "the checksum of a descriptor is wrong" : "its checksum is wrong");
		return STOP;
	}
	w->last_time = time;
	w->crc = ~(uint32_t)0;
	return GO_ON;
}

/* --- the walk ------------------------------------------------------------------------------------- */

static int step(struct walk *w, uint32_t type, struct err *e)
{
	struct journal *j = w->j;
	int r = GO_ON;
	switch (type) {
	case JBD_DESCRIPTOR:
		if (w->pass == SCAN)
			w->suspect |= !tail_csum_ok(j, j->block);
		return w->pass == REPLAY ? replay_descriptor(w, e) : scan_descriptor(w, e);
	case JBD_REVOKE:
		if (w->pass == SCAN)
			w->suspect |= !tail_csum_ok(j, j->block);
		return w->pass == REVOKE ? read_revokes(w, e) : GO_ON;
	case JBD_COMMIT:
		if (w->pass == SCAN)
			r = scan_commit(w);
		if (r == GO_ON)
			w->tid++;
		return r;
	default:
		return STOP;
	}
}

static int walk(struct journal *j, enum pass pass, struct err *e)
{
	struct walk w = {
		.j = j,
		.pass = pass,
		.tid = j->sequence,
		.next = j->start,
		.left = j->last - j->first,
		.crc = ~(uint32_t)0,
	};
	int r = GO_ON;
	while (r == GO_ON && w.left > 0 && (pass == SCAN || tid_after(j->end, w.tid))) {
		r = log_read(&w, w.next, j->block, e);
		if (r)
			break;
		if (get_be32(j->block) != JBD_MAGIC || get_be32(j->block + 8) != w.tid)
			break;
		advance(&w, 1);
		r = step(&w, get_be32(j->block + 4), e);
	}
	if (r < 0)
		return r;
	if (pass == SCAN)
		j->end = w.tid;
	return 0;
}

int journal_replay(struct journal *j, struct err *e)
{
	int r = walk(j, SCAN, e);
	if (r == 0)
		r = walk(j, REVOKE, e);
	if (r == 0)
		r = walk(j, REPLAY, e);
	return r;
}
