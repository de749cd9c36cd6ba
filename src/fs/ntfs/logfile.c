/* Was the volume shut down properly? If not, its log is replayed. */
#include "fs/ntfs/log.h"

#include "blk/overlay.h"

#include <stdlib.h>

enum {
	VOLUME_DIRTY = 0x0001,
	PAGE_USUAL = 4096,
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

/* An empty log is all 0xFF: so mkntfs and chkdsk leave it. Both restart pages are looked at, of the size they have on all real volumes. */
static bool is_blank(const struct ntfs_stream *s)
{
	struct err ignored = ERR_INIT;
	uint8_t p[2 * PAGE_USUAL];
	if (s->size < sizeof(p) || ntfs_stream_read(s, 0, p, sizeof(p), &ignored) < 0)
		return false;
	for (size_t i = 0; i < sizeof(p); i++)
		if (p[i] != 0xFF)
			return false;
	return true;
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

/* --- replay ---------------------------------------------------------------------------------------- */

static int log_open(struct ntfs *ntfs, struct ntfs_stream *ret, struct err *e)
{
	struct ntfs_inode ino;
	int r = ntfs_inode_get(ntfs, NTFS_LOGFILE_NO, 0, &ino, e);
	if (r < 0)
		return r;
	r = ntfs_stream_open(&ino, NTFS_AT_DATA, NULL, 0, ret, e);
	ntfs_inode_put(&ino);
	return r == 0 ? log_bad(e, "$LogFile has no contents") : r < 0 ? r : 0;
}

static int replay(struct log *l, struct err *e)
{
	struct ntfs *ntfs = l->ntfs;
	int r = log_pages_init(l, e);
	if (r == 0)
		r = blk_overlay_open(ntfs->fs.blk, log_overlay_max, &l->overlay, e);
	if (r == 0)
		r = log_replay(l, e);
	if (r == 0 && l->changes > 0)
		r = ntfs_switch(ntfs, l->overlay, e);
	return r;
}

/* 0 where nothing is left to do, be it that it is done; else why not. */
static int recover(struct ntfs *ntfs, bool asleep, struct err *e)
{
	struct log l = {.ntfs = ntfs};
	int r = log_open(ntfs, &l.data, e);
	if (r < 0)
		return r;
	bool blank = is_blank(&l.data);
	if (!blank)
		r = log_restart_read(&l.data, &l.rst, e);
	if (r == 0 && !blank)
		r = log_bad(e, "$LogFile has no sound restart page");
	else if (r > 0 && l.rst.clean)
		r = 0;
	else if (r > 0 && asleep)
		r = err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "Windows is hibernated");
	else if (r > 0 && l.rst.bad.code)
		r = (*e = l.rst.bad).code;
	else if (r > 0)
		r = replay(&l, e);
	ntfs_stream_close(&l.data);
	log_tables_free(&l);
	blk_unref(l.overlay);
	free(l.page);
	free(l.record);
	return r;
}

int ntfs_recover(struct ntfs *ntfs, struct err *e)
{
	bool asleep = hibernated(ntfs);
	if (asleep)
		fs_warn(&ntfs->fs,
		        "Windows is hibernated on this volume (or shut down with fast start-up): what it had not yet "
		                   "written is missing here");
	struct err why = ERR_INIT;
	int r = recover(ntfs, asleep, &why);
	if (r == ERR_NO_MEMORY) {
		*e = why;
		return r;
	}
	if (r < 0)
		fs_warn(&ntfs->fs,
		        "the volume was not shut down properly and $LogFile was not replayed: the newest changes may "
		                   "be incomplete (%s)",
		        why.msg);
	uint16_t flags = 0;
	if (!read_flags(ntfs, &flags))
		fs_warn(&ntfs->fs, "the volume's information record ($Volume) cannot be read");
	else if (flags & VOLUME_DIRTY)
		fs_warn(&ntfs->fs, "the volume is marked dirty: Windows would check it at its next start");
	return 0;
}
