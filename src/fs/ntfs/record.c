/* MFT records. The MFT is read in pieces of 64 KiB of which a few are kept: whoever goes through the files
 * in the order of their numbers reads the disk in order too. Fixups are undone in the kept piece, once a
 * record, when the record is first asked for. */
#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RECORD_UNTOUCHED = 0, RECORD_CHECKED = 1, RECORD_BAD = 2 };

enum { RECORD_HEADER = 42, MIRRORED = 4 };

/* Every 512 bytes of such a structure end in the update sequence number; the words that belong there are kept in
 * an array behind the header. A mismatch is a write the machine did not finish. */
int ntfs_fixup(uint8_t *p, size_t len, const char magic[4], const char *what, uint64_t no, struct err *e)
{
	if (memcmp(p, magic, 4) != 0)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "%s %" PRIu64 " has no valid signature", what, no);
	size_t at = get_le16(p + 4), count = get_le16(p + 6), strides = len / NTFS_STRIDE;
	if (count != strides + 1 || at % 2 != 0 || at < 8 || at + 2 * count > NTFS_STRIDE - 2)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "%s %" PRIu64 " has a malformed update sequence", what, no);
	for (size_t i = 1; i <= strides; i++)
		if (memcmp(p + i * NTFS_STRIDE - 2, p + at, 2) != 0)
			return err_set(e, ERR_FILE_CORRUPT, "ntfs", "%s %" PRIu64 " was only partly written", what, no);
	for (size_t i = 1; i <= strides; i++)
		memcpy(p + i * NTFS_STRIDE - 2, p + at + 2 * i, 2);
	return 0;
}

static int decode_header(const struct ntfs *ntfs, const uint8_t *p, uint64_t no, struct ntfs_record *ret, struct err *e)
{
	struct ntfs_record h = {
		.seq = get_le16(p + 16),
		.links = get_le16(p + 18),
		.first = get_le16(p + 20),
		.flags = get_le16(p + 22),
		.used = get_le32(p + 24),
		.base = get_le64(p + 32),
	};
	if (h.used > ntfs->boot.record_size || h.first < RECORD_HEADER || h.first % 8 != 0 || h.used < h.first + 8u)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "MFT record %" PRIu64 " has an impossible length", no);
	*ret = h;
	return 0;
}

/* The window with that number, or the one to put it into: the least recently used, emptied. */
static struct ntfs_window *window_of(struct ntfs *ntfs, uint64_t index, struct err *e)
{
	struct ntfs_window *oldest = &ntfs->window[0];
	for (unsigned i = 0; i < NTFS_WINDOWS; i++) {
		struct ntfs_window *w = &ntfs->window[i];
		if (w->used_at && w->index == index)
			return w;
		if (w->used_at < oldest->used_at)
			oldest = w;
	}
	struct ntfs_window *w = oldest;
	w->used_at = 0;
	if (!w->data && !(w->data = malloc(NTFS_WINDOW))) {
		err_no_memory(e, "ntfs");
		return NULL;
	}
	w->index = index;
	w->from = w->to = 0;
	return w;
}

/* What to read of a window for the record at off. Whoever wants one record may want no other: first the piece around it, then twice as much
 * behind, and all of it for one that is elsewhere, or where the window before was read whole, as in a listing. */
static void choose_piece(const struct ntfs *ntfs, const struct ntfs_window *w, size_t off, size_t *ret_from, size_t *ret_to)
{
	*ret_from = 0;
	*ret_to = NTFS_WINDOW;
	if (w->to == 0 && (ntfs->next_window == 0 || w->index != ntfs->next_window)) {
		*ret_from = off / NTFS_PIECE * NTFS_PIECE;
		*ret_to = *ret_from + NTFS_PIECE;
	} else if (w->to > 0 && off >= w->to && off < w->to + (w->to - w->from)) {
		*ret_from = w->to;
		*ret_to = min_size(NTFS_WINDOW, w->to + (w->to - w->from));
	}
}

/* What is behind the end of the MFT is never asked for. */
static int window_fill(struct ntfs *ntfs, struct ntfs_window *w, size_t off, struct err *e)
{
	size_t from, to;
	choose_piece(ntfs, w, off, &from, &to);
	uint64_t at = w->index * NTFS_WINDOW;
	to = (size_t)min_u64(to, ntfs->mft.size - at);
	w->used_at = 0;
	if (ntfs_stream_read(&ntfs->mft, at + from, w->data + from, to - from, e) < 0)
		return e->code;
	size_t first = from / ntfs->boot.record_size, count = (to - from) / ntfs->boot.record_size;
	memset(w->state + first, RECORD_UNTOUCHED, count);
	if (w->to == 0 || from < w->to)
		w->from = from;
	w->to = to;
	if (w->from == 0 && to == NTFS_WINDOW)
		ntfs->next_window = w->index + 1;
	return 0;
}

/* Where record `off` bytes into a window is. */
static uint8_t *window_record(struct ntfs *ntfs, struct ntfs_window *w, size_t off, struct err *e)
{
	bool there = off >= w->from && off + ntfs->boot.record_size <= w->to;
	if (!there && window_fill(ntfs, w, off, e) < 0)
		return NULL;
	w->used_at = ++ntfs->tick;
	return w->data + off;
}

/* The record as it lies in the MFT, fixups undone. */
static int read_main(struct ntfs *ntfs, uint64_t no, uint8_t *buf, struct err *e)
{
	size_t size = ntfs->boot.record_size, per_window = NTFS_WINDOW / size;
	size_t slot = (size_t)(no % per_window);
	struct ntfs_window *w = window_of(ntfs, no / per_window, e);
	uint8_t *p = w ? window_record(ntfs, w, slot * size, e) : NULL;
	if (!p) {
		/* One unreadable cluster must not take the record's neighbours with it. */
		if (e->code == ERR_NO_MEMORY)
			return e->code;
		err_clear(e);
		int r = ntfs_stream_read(&ntfs->mft, no * size, buf, size, e);
		return r < 0 ? r : ntfs_fixup(buf, size, "FILE", "MFT record", no, e);
	}
	if (w->state[slot] != RECORD_CHECKED) {
		int r = ntfs_fixup(p, size, "FILE", "MFT record", no, e);
		w->state[slot] = r < 0 ? RECORD_BAD : RECORD_CHECKED;
		if (r < 0)
			return r;
	}
	memcpy(buf, p, size);
	return 0;
}

/* The first four records, or the first cluster of them, are kept twice. */
static int read_mirror(struct ntfs *ntfs, uint64_t no, uint8_t *buf, struct err *e)
{
	uint64_t off = ntfs->boot.mirror_lcn * ntfs->boot.cluster_size + no * ntfs->boot.record_size;
	int r = blk_read(ntfs->fs.blk, off, buf, ntfs->boot.record_size, e);
	if (r < 0)
		return r;
	return ntfs_fixup(buf, ntfs->boot.record_size, "FILE", "MFT record", no, e);
}

int ntfs_record_read(struct ntfs *ntfs, uint64_t no, uint8_t *buf, struct ntfs_record *ret, struct err *e)
{
	if (no >= ntfs->mft.size / ntfs->boot.record_size)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "MFT record %" PRIu64 " lies behind the end of the MFT",
		               no);
	int r = read_main(ntfs, no, buf, e);
	if (r < 0 && r != ERR_NO_MEMORY && no < MIRRORED) {
		struct err second = ERR_INIT;
		if (read_mirror(ntfs, no, buf, &second) == 0) {
			err_clear(e);
			r = 0;
			if (!(ntfs->mirror_used & 1u << no))
				fs_warn(&ntfs->fs, "MFT record %" PRIu64 " is damaged; its copy in $MFTMirr is used",
				        no);
			ntfs->mirror_used |= 1u << no;
		}
	}
	if (r < 0)
		return r;
	return decode_header(ntfs, buf, no, ret, e);
}
