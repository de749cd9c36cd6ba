#include "fs/ext/journal.h"

#include "blk/overlay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

/* --- its blocks ----------------------------------------------------------------------------------- */

int journal_where(struct journal *j, uint32_t lblk, uint64_t *ret, struct err *e)
{
	struct ext_run run;
	int r = ext_map_run(&j->map, lblk, 1, &run, e);
	if (r < 0)
		return r;
	uint64_t off = run.pblk << j->x->sb.block_bits;
	if (run.pblk == 0 || !range_inside(off, j->block_size, j->x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module, "block %" PRIu32 " of the journal is not on the device", lblk);
	*ret = off;
	return 0;
}

int journal_read(struct journal *j, uint32_t lblk, uint8_t *to, struct err *e)
{
	uint64_t off;
	int r = journal_where(j, lblk, &off, e);
	return r < 0 ? r : blk_read(j->x->fs.blk, off, to, j->block_size, e);
}

/* --- finding and loading it ----------------------------------------------------------------------- */

enum { BLOCKS_MIN = 1024 };

/* The superblock keeps a copy of the journal inode's map. */
static bool inode_from_backup(const struct ext_super *sb, struct ext_inode *in)
{
	if (sb->journal_backup_type != 1)
		return false;
	*in = (struct ext_inode){.ino = sb->journal_ino, .mode = 0100600, .links = 1};
	for (int i = 0; i < 15; i++)
		put_le32(in->i_block + 4 * i, sb->journal_backup[i]);
	in->size = (uint64_t)sb->journal_backup[15] << 32 | sb->journal_backup[16];
	if (get_le16(in->i_block) == 0xF30A)
		in->flags = EXT_FL_EXTENTS;
	return in->size > 0;
}

static int find_inode(struct ext_fs *x, struct ext_inode *in, struct err *why)
{
	int r = ext_inode_any(x, x->sb.journal_ino, in, why);
	if (r == 0 && in->links > 0 && fs_type_from_mode(in->mode) == FS_FILE)
		return 0;
	if (r < 0 && r != ERR_FILE_CORRUPT)
		return r;
	if (inode_from_backup(&x->sb, in)) {
		err_clear(why);
		return 0;
	}
	return r < 0 ? r : err_set(why, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " is not a journal", in->ino);
}

static int bad_super(struct err *e, const char *what)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "its superblock is damaged: %s", what);
}

static int check_features(struct journal *j, const uint8_t *p, struct err *e)
{
	static const uint8_t zero[4];
	if (j->incompat & ~(uint32_t)JBD_INCOMPAT_KNOWN)
		return err_set(e, ERR_FILE_CORRUPT, module, "it uses unknown features (0x%" PRIx32 ")",
		               j->incompat & ~(uint32_t)JBD_INCOMPAT_KNOWN);
	uint32_t both = JBD_INCOMPAT_CSUM_V2 | JBD_INCOMPAT_CSUM_V3;
	if ((j->incompat & both) == both)
		return bad_super(e, "it says two kinds of checksums are used at once");
	if (!journal_has_csum(j))
		return 0;
	if (p[0x50] != 4)
		return bad_super(e, "its checksums are of an unknown type");
	uint32_t crc = crc32c(~(uint32_t)0, p, 0xFC);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, p + 0x100, 1024 - 0x100);
	if (!ext_csum_equal(crc, get_be32(p + 0xFC)))
		return bad_super(e, "its checksum is wrong");
	return 0;
}

static int decode_super(struct journal *j, uint64_t file_blocks, struct err *e)
{
	const uint8_t *p = j->block;
	uint32_t type = get_be32(p + 4);
	if (get_be32(p) != JBD_MAGIC || (type != JBD_SUPER_V1 && type != JBD_SUPER_V2))
		return bad_super(e, "it has no magic number");
	if (get_be32(p + 0xC) != j->block_size)
		return bad_super(e, "it says the blocks have another size");
	uint32_t len = get_be32(p + 0x10);
	j->first = get_be32(p + 0x14);
	j->sequence = get_be32(p + 0x18);
	j->start = get_be32(p + 0x1C);
	if (type == JBD_SUPER_V2) {
		j->compat = get_be32(p + 0x24);
		j->incompat = get_be32(p + 0x28);
		j->seed = crc32c(~(uint32_t)0, p + 0x30, 16);
	}
	int r = check_features(j, p, e);
	if (r < 0)
		return r;
	if (len > file_blocks || len < BLOCKS_MIN || len > JBD_BLOCKS_MAX)
		return bad_super(e, "its length does not fit its file");
	j->last = len;
	if (j->incompat & JBD_INCOMPAT_FAST_COMMIT) {
		uint32_t n = get_be32(p + 0x54);
		n = n ? n : JBD_FC_BLOCKS;
		if (n < len && len - n >= BLOCKS_MIN)
			j->last = len - n;
		j->fc_first = j->last + 1;
		j->fc_end = len;
	}
	if (j->first == 0 || j->first >= j->last)
		return bad_super(e, "its first block is outside");
	if (j->start && (j->start < j->first || j->start >= j->last))
		return bad_super(e, "its start is outside");
	return 0;
}

static int load(struct journal *j, struct err *e)
{
	struct ext_fs *x = j->x;
	struct ext_inode in;
	int r = find_inode(x, &in, e);
	if (r < 0)
		return r;
	ext_map_init(&j->map, x, &in);
	j->block_size = x->sb.block_size;
	j->block = malloc(j->block_size);
	j->data = malloc(j->block_size);
	if (!j->block || !j->data)
		return err_no_memory(e, module);
	r = journal_read(j, 0, j->block, e);
	if (r < 0)
		return r;
	return decode_super(j, in.size >> x->sb.block_bits, e);
}

/* --- recovery ------------------------------------------------------------------------------------- */

/* From here on the filesystem is read through the overlay; the log may have held a newer superblock. */
static int switch_over(struct ext_fs *x, struct blk *overlay, struct err *e)
{
	uint8_t before[EXT_SUPER_SIZE], raw[EXT_SUPER_SIZE];
	int r = blk_read(x->fs.blk, EXT_SUPER_OFF, before, sizeof(before), e);
	if (r == 0)
		r = blk_read(overlay, EXT_SUPER_OFF, raw, sizeof(raw), e);
	if (r < 0)
		return r;
	blk_unref(x->fs.blk);
	x->fs.blk = blk_ref(overlay);
	ext_caches_drop(x);
	if (memcmp(before, raw, sizeof(raw)) == 0)
		return 0;       /* the log has none; that of the disk may be damaged, its copy is in use then */
	struct ext_super sb;
	struct err why = ERR_INIT;
	if (ext_super_decode(raw, &sb, &why) < 0)
		fs_warn(&x->fs, "the superblock in the journal is not usable: %s", why.msg);
	else if (sb.block_size != x->sb.block_size)
		fs_warn(&x->fs, "the superblock in the journal is that of another filesystem");
	else
		x->sb = sb;
	return 0;
}

static int recover(struct journal *j, struct err *e)
{
	int r = blk_overlay_open(j->x->fs.blk, jbd_overlay_max, &j->overlay, e);
	if (r == 0)
		r = journal_replay(j, e);
	if (r == 0)
		r = switch_over(j->x, j->overlay, e);
	if (r == 0 && j->fc_first && !j->damage.code)
		r = fc_replay(j, e);
	return r;
}

static void journal_free(struct journal *j)
{
	ext_map_fini(&j->map);
	revokes_free(&j->revokes);
	blk_unref(j->overlay);
	free(j->block);
	free(j->data);
}

/* Only memory and the host's disk end the opening of a filesystem; a journal that cannot be used is said. */
static bool is_fatal(int code)
{
	return code == ERR_NO_MEMORY || code == ERR_IO || code == ERR_LIMIT;
}

int ext_journal_recover(struct ext_fs *x, struct err *e)
{
	if (!(x->sb.compat & EXT_HAS_JOURNAL))
		return 0;
	bool needed = x->sb.incompat & EXT_RECOVER;
	if (x->sb.journal_ino == 0) {
		if (needed)
			fs_warn(&x->fs, "the journal lies on another device and was not replayed: the last changes are missing");
		return 0;
	}
	struct journal j = {.x = x};
	struct err why = ERR_INIT;
	int r = load(&j, &why);
	if (r == 0 && j.start)
		r = recover(&j, &why);
	if (r == 0 && j.damage.code)
		fs_warn(&x->fs, "the journal is damaged, the last changes are missing: %s", j.damage.msg);
	/* Without the mark an unreadable journal lost nothing. */
	if (r < 0 && !is_fatal(r) && needed)
		fs_warn(&x->fs, "the journal was not replayed, the last changes are missing: %s", why.msg);
	journal_free(&j);
	if (r < 0 && is_fatal(r)) {
		*e = why;
		return r;
	}
	return 0;
}
