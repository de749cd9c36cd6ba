/* Was the volume shut down properly? $LogFile begins with two restart pages; the restart area of the newer one
 * says whether a client (NTFS is the only one) still has work in the log. */
#include "fs/ntfs/ntfs.h"

#include "fs/text.h"

#include <stdlib.h>

enum {
	VOLUME_DIRTY = 0x0001,
	PAGE_MIN = 512,
	PAGE_MAX = 64 << 10,
	RESTART_AREA_MIN = 28,
	CLIENTS_NONE = 0xFFFF,
	RESTART_CLEAN = 0x0002,
};

static bool read_flags(struct ntfs *ntfs, uint16_t *ret)
{
	struct ntfs_inode ino;
	struct err ignored = ERR_INIT;
	if (ntfs_inode_get(ntfs, NTFS_VOLUME_NO, 0, &ino, &ignored) < 0)
		return false;
	struct ntfs_attr a;
	bool found = ntfs_attr_find(&ino, NTFS_AT_VOLUME_INFORMATION, NULL, 0, &a, &ignored) > 0 && a.resident &&
	             a.value_len >= 12;
	if (found)
		*ret = get_le16(a.value + 10);
	ntfs_inode_put(&ino);
	return found;
}

/* One restart page at off: does it parse, how new is it, is its log done with? */
static bool restart_page(const struct ntfs_stream *s, uint64_t off, uint64_t *ret_lsn, bool *ret_clean)
{
	struct err ignored = ERR_INIT;
	uint8_t head[PAGE_MIN];
	if (!range_inside(off, sizeof(head), s->size) || ntfs_stream_read(s, off, head, sizeof(head), &ignored) < 0)
		return false;
	uint32_t page_size = get_le32(head + 16);
	if (memcmp(head, "RSTR", 4) != 0 || !is_pow2(page_size) || page_size < PAGE_MIN || page_size > PAGE_MAX ||
	    !range_inside(off, page_size, s->size))
		return false;
	CLEANUP(free_ptr) uint8_t *p = malloc(page_size);
	if (!p || ntfs_stream_read(s, off, p, page_size, &ignored) < 0 ||
	    ntfs_fixup(p, page_size, "RSTR", "restart page", off, &ignored) < 0)
		return false;
	uint16_t area = get_le16(p + 24);
	if (!range_inside(area, RESTART_AREA_MIN, page_size))
		return false;
	*ret_lsn = get_le64(p + area);
	*ret_clean = get_le16(p + area + 12) == CLIENTS_NONE || get_le16(p + area + 14) & RESTART_CLEAN;
	return true;
}

/* An empty log is all 0xFF: so mkntfs and chkdsk leave it. */
static bool is_blank(const struct ntfs_stream *s)
{
	struct err ignored = ERR_INIT;
	uint8_t p[PAGE_MIN];
	if (s->size < sizeof(p) || ntfs_stream_read(s, 0, p, sizeof(p), &ignored) < 0)
		return false;
	for (size_t i = 0; i < sizeof(p); i++)
		if (p[i] != 0xFF)
			return false;
	return true;
}

static bool log_clean(struct ntfs *ntfs)
{
	enum { SECOND_PAGE = 4096 };
	struct ntfs_inode ino;
	struct ntfs_stream s;
	struct err ignored = ERR_INIT;
	if (ntfs_inode_get(ntfs, NTFS_LOGFILE_NO, 0, &ino, &ignored) < 0)
		return false;
	int r = ntfs_stream_open(&ino, NTFS_AT_DATA, NULL, 0, &s, &ignored);
	ntfs_inode_put(&ino);
	if (r <= 0)
		return false;
	uint64_t lsn[2] = {0};
	bool page_clean[2] = {false, false};
	bool first = restart_page(&s, 0, &lsn[0], &page_clean[0]);
	bool second = restart_page(&s, SECOND_PAGE, &lsn[1], &page_clean[1]);
	bool clean;
	if (first && second)
		clean = page_clean[lsn[1] > lsn[0]];
	else if (first || second)
		clean = page_clean[second];
	else
		clean = is_blank(&s);
	ntfs_stream_close(&s);
	return clean;
}

/* hiberfil.sys begins with "hibr" (or "HIBR") while a session is kept in it. */
static bool hibernated(struct ntfs *ntfs)
{
	struct fs *fs = &ntfs->fs;
	struct err ignored = ERR_INIT;
	struct fs_id id;
	struct fs_file *f = NULL;
	uint8_t p[4] = {0};
	static const char name[] = "hiberfil.sys";
	if (ntfs_lookup(fs, fs->driver->root(fs), name, sizeof(name) - 1, &id, &ignored) < 0 ||
	    ntfs_file_open(fs, id, NULL, &f, &ignored) < 0)
		return false;
	bool yes = f->size >= sizeof(p) && ntfs_file_read(f, 0, p, sizeof(p), &ignored) == 0 &&
	           (memcmp(p, "hibr", 4) == 0 || memcmp(p, "HIBR", 4) == 0);
	ntfs_file_close(f);
	return yes;
}

void ntfs_check_clean(struct ntfs *ntfs)
{
	uint16_t flags = 0;
	if (!read_flags(ntfs, &flags))
		fs_warn(&ntfs->fs, "the volume's information record ($Volume) cannot be read");
	else if (flags & VOLUME_DIRTY)
		fs_warn(&ntfs->fs, "the volume is marked dirty: Windows would check it at its next start");
	if (hibernated(ntfs))
		fs_warn(&ntfs->fs,
		        "Windows is hibernated on this volume (or shut down with fast start-up): what it had not yet "
		                   "written is missing here");
	if (!log_clean(ntfs))
		fs_warn(&ntfs->fs,
		        "the volume was not shut down properly and $LogFile was not replayed: the newest changes may be "
		                   "incomplete");
}
