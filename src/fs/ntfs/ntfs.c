#include "fs/ntfs/ntfs.h"

#include "fs/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SCORE_BOOT = 90,
	SCORE_BACKUP = 20,       /* the start of the volume is damaged, or another filesystem's */
};

/* The copy of the boot sector is the last sector of the partition, one behind the filesystem's last. */
static int find_boot(struct blk *b, struct ntfs_boot *ret, struct err *e)
{
	int r = ntfs_boot_read(b, 0, ret, e);
	for (uint32_t size = NTFS_STRIDE; r == 0 && size <= NTFS_SECTOR_MAX; size *= 2) {
		if (b->size < 2 * (uint64_t)size)
			break;
		r = ntfs_boot_read(b, b->size / size * size - size, ret, e);
		if (r > 0)
			ret->backup = true;
	}
	return r;
}

static void base_free(struct ntfs *ntfs)
{
	for (unsigned i = 0; i < NTFS_WINDOWS; i++)
		free(ntfs->window[i].data);
	ntfs_stream_close(&ntfs->mft);
	for (unsigned i = 0; i < NTFS_DIRS; i++)
		ntfs_dir_free(ntfs->dir[i]);
	free(ntfs->upcase);
	fs_fini(&ntfs->fs);
	free(ntfs);
}

/* The MFT describes itself in its record 0, which may need further records of the MFT to do so: each piece of its
 * run list gives access to what the next one needs. */
static int map_mft(struct ntfs *ntfs, struct ntfs_inode *ino, struct err *e)
{
	struct ntfs_stream mft = {.ntfs = ntfs};
	struct ntfs_attrs it = {.ino = ino, .type = NTFS_AT_DATA, .by_name = true};
	struct ntfs_attr a;
	uint64_t size = 0;
	int r;
	while ((r = ntfs_attrs_next(&it, &a, e)) > 0) {
		if (a.resident)
			return err_set(e, ERR_FS_CORRUPT, "ntfs", "the MFT is resident in itself");
		bool first = mft.runs.end == 0;
		if (first) {
			size = a.initialised;
			/* From now on the real run list, not the guess that led here. */
			ntfs_stream_close(&ntfs->mft);
		}
		r = ntfs_runs_add(&mft.runs, ntfs->boot.clusters, a.pairs, a.pairs_len, a.lowest, a.highest, e);
		mft.size = mft.initialised = min_u64(size, mft.runs.end * ntfs->boot.cluster_size);
		ntfs->mft = mft;
		/* What was read so far ended where the MFT was known to end. */
		for (unsigned i = 0; i < NTFS_WINDOWS; i++)
			ntfs->window[i].used_at = 0;
		if (r < 0)
			return r;
	}
	if (r == 0 && ntfs->mft.size < (uint64_t)NTFS_FIRST_USER_NO * ntfs->boot.record_size)
		r = err_set(e, ERR_FS_CORRUPT, "ntfs", "the MFT's own run list is missing or too short");
	return r;
}

int ntfs_mount_mft(struct ntfs *ntfs, struct err *e)
{
	uint64_t size = ntfs->boot.record_size, cluster = ntfs->boot.cluster_size;
	uint64_t clusters = (size + cluster - 1) / cluster;
	if (clusters > ntfs->boot.clusters - ntfs->boot.mft_lcn)
		return err_set(e, ERR_FS_CORRUPT, "ntfs", "the MFT lies outside the volume");
	ntfs->mft = (struct ntfs_stream){.ntfs = ntfs, .size = size, .initialised = size};
	ntfs->mft.runs.v = malloc(sizeof(*ntfs->mft.runs.v));
	if (!ntfs->mft.runs.v)
		return err_no_memory(e, "ntfs");
	ntfs->mft.runs.v[0] = (struct ntfs_run){.vcn = 0, .lcn = ntfs->boot.mft_lcn};
	ntfs->mft.runs.count = ntfs->mft.runs.cap = 1;
	ntfs->mft.runs.end = clusters;
	struct ntfs_inode ino;
	int r = ntfs_inode_get(ntfs, NTFS_MFT_NO, 0, &ino, e);
	if (r == 0) {
		r = map_mft(ntfs, &ino, e);
		ntfs_inode_put(&ino);
	}
	if (r == ERR_FILE_CORRUPT) {
		struct err why = *e;
		err_clear(e);
		r = err_set(e, ERR_FS_CORRUPT, "ntfs", "the MFT cannot be read: %s", why.msg);
	}
	return r;
}

/* What probe and open share: *ret NULL and 0 where this is no NTFS. */
static int base_open(struct blk *b, struct ntfs **ret, struct err *e)
{
	struct ntfs_boot boot = {0};
	*ret = NULL;
	int r = find_boot(b, &boot, e);
	if (r <= 0)
		return r;
	struct ntfs *ntfs = calloc(1, sizeof(*ntfs));
	if (!ntfs)
		return err_no_memory(e, "ntfs");
	fs_init(&ntfs->fs, &ntfs_driver, b);
	ntfs->boot = boot;
	*ret = ntfs;
	return 0;
}

/* --- probe ---------------------------------------------------------------------------------------- */

static void read_label(struct ntfs *ntfs, struct fs_ident *ident)
{
	struct err ignored = ERR_INIT;
	struct ntfs_inode ino;
	if (ntfs_inode_get(ntfs, NTFS_VOLUME_NO, 0, &ino, &ignored) < 0)
		return;
	struct ntfs_attr a;
	if (ntfs_attr_find(&ino, NTFS_AT_VOLUME_NAME, NULL, 0, &a, &ignored) > 0 && a.resident) {
		enum { LABEL_UNITS = (FS_LABEL_MAX - 1) / TEXT_UNIT_BYTES };
		unsigned units = a.value_len / 2;
		size_t len = text_from_utf16le(a.value, units < LABEL_UNITS ? units : LABEL_UNITS, ident->label);
		ident->label[len] = '\0';
	}
	ntfs_inode_put(&ino);
}

static int driver_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	struct ntfs *ntfs;
	int r = base_open(b, &ntfs, e);
	if (r < 0 || !ntfs)
		return r;
	struct fs_ident ident = {.type = "ntfs", .size = ntfs->boot.sectors * ntfs->boot.sector_size};
	(void)snprintf(ident.uuid, sizeof(ident.uuid), "%016" PRIX64, ntfs->boot.serial);
	r = ntfs_mount_mft(ntfs, e);
	if (r == 0)
		read_label(ntfs, &ident);
	bool backup = ntfs->boot.backup;
	base_free(ntfs);
	if (r == ERR_NO_MEMORY)
		return r;
	if (r < 0) {
		/* A sound boot sector is NTFS's, if a damaged one: open says so. An old copy at the end is nothing. */
		err_clear(e);
		if (backup)
			return 0;
	}
	*ret = ident;
	return backup ? SCORE_BACKUP : SCORE_BOOT;
}

/* --- open ----------------------------------------------------------------------------------------- */

static struct fs_id driver_root(struct fs *fs)
{
	return (struct fs_id){.ino = NTFS_ROOT_NO, .tree = ((struct ntfs *)fs)->root_seq};
}

static int check_root(struct ntfs *ntfs, struct err *e)
{
	struct ntfs_inode ino;
	struct err why = ERR_INIT;
	int r = ntfs_inode_get(ntfs, NTFS_ROOT_NO, 0, &ino, &why);
	if (r < 0)
		return err_set(e, r == ERR_FILE_CORRUPT ? ERR_FS_CORRUPT : r, "ntfs",
		               "the root directory cannot be read: %s", why.msg);
	bool is_dir = ntfs_inode_is_dir(&ino);
	ntfs->root_seq = ino.head.seq;
	ntfs_inode_put(&ino);
	return is_dir ? 0 : err_set(e, ERR_FS_CORRUPT, "ntfs", "the root directory is not a directory");
}

/* The MFT and the root as b has them; nothing kept from elsewhere. */
static int remount(struct ntfs *ntfs, struct blk *b, struct err *e)
{
	struct blk *old = ntfs->fs.blk;
	ntfs->fs.blk = blk_ref(b);
	blk_unref(old);
	for (unsigned i = 0; i < NTFS_WINDOWS; i++)
		ntfs->window[i].used_at = 0;
	for (unsigned i = 0; i < NTFS_DIRS; i++) {
		ntfs_dir_free(ntfs->dir[i]);
		ntfs->dir[i] = NULL;
	}
	ntfs_stream_close(&ntfs->mft);
	int r = ntfs_mount_mft(ntfs, e);
	return r < 0 ? r : check_root(ntfs, e);
}

int ntfs_switch(struct ntfs *ntfs, struct blk *b, struct err *e)
{
	struct blk *old = blk_ref(ntfs->fs.blk);
	int r = remount(ntfs, b, e);
	if (r < 0) {
		struct err ignored = ERR_INIT;
		(void)remount(ntfs, old, &ignored);
	}
	blk_unref(old);
	return r;
}

static int driver_open(struct blk *b, struct fs **ret, struct err *e)
{
	struct ntfs *ntfs;
	int r = base_open(b, &ntfs, e);
	if (r < 0)
		return r;
	if (!ntfs)
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "this is not an NTFS volume");
	r = ntfs_mount_mft(ntfs, e);
	if (r == 0)
		r = check_root(ntfs, e);
	if (r == 0)
		r = ntfs_upcase_check(ntfs, e);
	if (r < 0) {
		base_free(ntfs);
		return r;
	}
	if (ntfs->boot.backup)
		fs_warn(&ntfs->fs, "the boot sector is damaged; its copy at the end of the volume is used");
	if (ntfs->boot.sectors > b->size / ntfs->boot.sector_size)
		fs_warn(&ntfs->fs, "the volume is cut off: it spans %" PRIu64 " bytes, the device has %" PRIu64,
		        ntfs->boot.sectors * ntfs->boot.sector_size, b->size);
	r = ntfs_recover(ntfs, e);
	if (r < 0) {
		base_free(ntfs);
		return r;
	}
	*ret = &ntfs->fs;
	return 0;
}

static void driver_close(struct fs *fs)
{
	base_free((struct ntfs *)fs);
}

const struct fs_driver ntfs_driver = {
	.name = "ntfs",
	.probe = driver_probe,
	.open = driver_open,
	.close = driver_close,
	.root = driver_root,
	.lookup = ntfs_lookup,
	.readdir = ntfs_readdir,
	.stat = ntfs_stat,
	.readlink = ntfs_readlink,
	.xattrs = ntfs_xattrs,
	.streams = ntfs_streams,
	.file_open = ntfs_file_open,
	.file_close = ntfs_file_close,
	.extent = ntfs_file_extent,
	.read = ntfs_file_read,
};
