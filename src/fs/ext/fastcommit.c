/* The fast-commit area: tags (le16 type, le16 length, value) that say what changed since the last transaction, one
 * after the other, closed by a TAIL with their CRC. Format: fs/ext4/fast_commit.h, the rules of its replay:
 * fs/ext4/fast_commit.c. */
#include "fs/ext/fc.h"
#include "fs/ext/journal.h"

#include "blk/overlay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "ext";

enum fc_tag {
	FC_ADD_RANGE = 1,
	FC_DEL_RANGE,
	FC_CREAT,
	FC_LINK,
	FC_UNLINK,
	FC_INODE,
	FC_PAD,
	FC_TAIL,
	FC_HEAD,
	FC_TAG_HEAD = 4,             /* bytes of type and length */
	FC_NAME_MAX = 255,
};

enum { GO_ON = 0, STOP = 1 };

struct fc_scan {
	uint32_t tid;
	uint32_t crc;
	uint64_t seen;               /* tags read */
	uint64_t valid;              /* of them, up to the last good TAIL */
};

static bool length_ok(const struct ext_fs *x, unsigned tag, size_t len)
{
	switch (tag) {
	case FC_ADD_RANGE: return len == 16;
	case FC_DEL_RANGE: return len == 12;
	case FC_CREAT:
	case FC_LINK:
	case FC_UNLINK: return len > 8 && len <= 8 + FC_NAME_MAX;
	case FC_INODE: return len >= 4 + 128 && len <= 4 + x->sb.inode_size;
	case FC_PAD: return true;
	case FC_TAIL: return len >= 8;
	case FC_HEAD: return len == 8;
	default: return false;
	}
}

/* --- scan ----------------------------------------------------------------------------------------- */

static int scan_tag(struct fc_scan *s, unsigned tag, const uint8_t *p, size_t len)
{
	const uint8_t *v = p + FC_TAG_HEAD;
	s->seen++;
	if (tag == FC_TAIL) {
		/* The CRC covers the tail too, up to itself. */
		s->crc = crc32c(s->crc, p, FC_TAG_HEAD + 4);
		bool ok = get_le32(v) == s->tid && ext_csum_equal(get_le32(v + 4), s->crc);
		s->crc = 0;
		if (!ok)
			return STOP;
		s->valid = s->seen;
		return GO_ON;
	}
	if (tag == FC_HEAD && (get_le32(v) != 0 || get_le32(v + 4) != s->tid))
		return STOP;
	s->crc = crc32c(s->crc, p, FC_TAG_HEAD + len);
	return GO_ON;
}

/* Calls fn for each tag of the block in j->data; STOP at the first that makes no sense. */
static int each_tag(struct journal *j, int (*fn)(void *arg, unsigned tag, const uint8_t *p, size_t len), void *arg)
{
	for (size_t off = 0; off + FC_TAG_HEAD <= j->block_size;) {
		const uint8_t *p = j->data + off;
		unsigned tag = get_le16(p);
		size_t len = get_le16(p + 2);
		if (len > j->block_size - off - FC_TAG_HEAD || !length_ok(j->x, tag, len))
			return STOP;
		int r = fn(arg, tag, p, len);
		if (r)
			return r;
		off += FC_TAG_HEAD + len;
	}
	return GO_ON;
}

static int scan_fn(void *arg, unsigned tag, const uint8_t *p, size_t len)
{
	return scan_tag(arg, tag, p, len);
}

static int each_block(struct journal *j, int (*fn)(void *arg, unsigned tag, const uint8_t *p, size_t len), void *arg,
                      struct err *e)
{
	int r = GO_ON;
	for (uint32_t b = j->fc_first; b < j->fc_end && r == GO_ON; b++) {
		struct err why = ERR_INIT;
		r = journal_read(j, b, j->data, &why);
		if (r == ERR_FILE_CORRUPT)
			return 0;
		if (r < 0) {
			*e = why;
			return r;
		}
		/* The area begins with a head; without one it holds nothing. */
		if (b == j->fc_first && get_le16(j->data) != FC_HEAD)
			return 0;
		r = each_tag(j, fn, arg);
	}
	return r < 0 ? r : 0;
}

/* --- replay --------------------------------------------------------------------------------------- */

struct fc_apply {
	struct journal *j;
	struct ext_fs *x;
	uint64_t left;               /* tags */
	struct err damage;           /* of one tag: the others still count */
	struct err *e;               /* fatal */
};

enum { I_MODE = 0, I_LINKS = 0x1A, I_FLAGS = 0x20, I_BLOCK = 0x28, I_GENERATION = 0x64 };

/* The inode as it is by now, into j->block; *ret_at: where it belongs. */
static int inode_load(struct fc_apply *a, uint32_t ino, uint64_t *ret_at, struct err *e)
{
	struct ext_fs *x = a->x;
	int r = ext_inode_where(x, ino, ret_at, e);
	if (r < 0)
		return r;
	if (!range_inside(*ret_at, x->sb.inode_size, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module, "inode %" PRIu32 " lies behind the end of the device", ino);
	return blk_read(x->fs.blk, *ret_at, a->j->block, x->sb.inode_size, e);
}

static int inode_store(struct fc_apply *a, uint32_t ino, uint64_t at, struct err *e)
{
	struct ext_fs *x = a->x;
	uint8_t *raw = a->j->block;
	if (ext_has_csum(x)) {
		bool wide;
		uint32_t crc = ext_inode_csum(x, ino, raw, &wide);
		put_le16(raw + 0x7C, (uint16_t)crc);
		if (wide)
			put_le16(raw + 0x82, (uint16_t)(crc >> 16));
	}
	ext_caches_drop(x);
	return blk_overlay_write(x->fs.blk, at, raw, x->sb.inode_size, e);
}

/* A file that lost its last name is gone, and another may get its number before the next transaction. Of a directory,
 * which is never moved by a fast commit, the name is the only one. */
static int count_link(struct fc_apply *a, uint32_t ino, bool gone, struct err *e)
{
	uint64_t at;
	int r = inode_load(a, ino, &at, e);
	if (r < 0)
		return r;
	uint8_t *raw = a->j->block;
	uint16_t links = get_le16(raw + I_LINKS);
	if (!gone)
		links = links < UINT16_MAX ? links + 1 : links;
	else
		links = links > 0 && fs_type_from_mode(get_le16(raw + I_MODE)) != FS_DIRECTORY ? links - 1 : 0;
	put_le16(raw + I_LINKS, links);
	return inode_store(a, ino, at, e);
}

/* What a name of a directory leads to at this point of the replay; 0: nothing. */
static int current(struct ext_fs *x, uint32_t dir, const uint8_t *name, size_t len, uint32_t *ret, struct err *e)
{
	const struct fc_name *n = ext_fc_name(x, dir, name, len);
	if (n) {
		*ret = n->ino;
		return 0;
	}
	struct ext_inode in;
	int r = ext_inode_get(x, dir, &in, e);
	if (r < 0)
		return r;
	if (fs_type_from_mode(in.mode) != FS_DIRECTORY)
		return err_set(e, ERR_FILE_CORRUPT, module, "a fast commit changes names in inode %" PRIu32 ", no directory", dir);
	return ext_dir_find_raw(x, &in, (const char *)name, len, ret, e);
}

static int apply_name(struct fc_apply *a, unsigned tag, const uint8_t *v, size_t len, struct err *e)
{
	uint32_t dir = get_le32(v), ino = get_le32(v + 4), now = 0;
	const uint8_t *name = v + 8;
	len -= 8;
	int r = 0;
	if (tag == FC_CREAT) {
		/* The blocks of a new directory were never written: its names follow as tags. */
		struct ext_inode in;
		r = ext_inode_get(a->x, ino, &in, e);
		if (r == 0 && fs_type_from_mode(in.mode) == FS_DIRECTORY && !(in.flags & EXT_FL_INLINE_DATA))
			r = fc_set_empty(a->x, ino, e);
	}
	if (r == 0)
		r = current(a->x, dir, name, len, &now, e);
	if (r < 0)
		return r;
	bool gone = tag == FC_UNLINK;
	if (now != (gone ? ino : 0))
		return 0;
	r = fc_set_name(a->x->fc, dir, name, len, gone ? 0 : ino, e);
	/* That of a new file is counted already. */
	return r < 0 || tag == FC_CREAT ? r : count_link(a, ino, gone, e);
}

static int apply_range(struct fc_apply *a, unsigned tag, const uint8_t *v, struct err *e)
{
	enum { INIT_MAX = 32768 };
	uint32_t ino = get_le32(v);
	uint64_t lblk = get_le32(v + 4), len, pblk = 0;
	if (tag == FC_DEL_RANGE) {
		len = get_le32(v + 8);
	} else {
		len = get_le16(v + 8);
		pblk = get_le32(v + 12) | (uint64_t)get_le16(v + 10) << 32;
		if (len > INIT_MAX) {
			len -= INIT_MAX;
			pblk = 0;
		}
	}
	if (len == 0)
		return 0;
	if (pblk && !ext_blocks_ok(a->x, pblk, len))
		return err_set(e, ERR_FILE_CORRUPT, module, "a fast commit gives inode %" PRIu32 " block %" PRIu64, ino, pblk);
	return fc_set_range(a->x, ino, lblk, len, pblk, e);
}

/* The inode but for its map, which the range tags change; a map that is no tree is the inode's own affair. renewed: the
 * number was given to another file, and the map that is there was the former one's. */
static void merge_inode(uint8_t *raw, const uint8_t *v, size_t len, bool renewed)
{
	memcpy(raw, v, I_BLOCK);
	memcpy(raw + I_GENERATION, v + I_GENERATION, len - I_GENERATION);
	uint8_t *i_block = raw + I_BLOCK;
	if (!(get_le32(raw + I_FLAGS) & EXT_FL_EXTENTS)) {
		memcpy(i_block, v + I_BLOCK, EXT_IBLOCK_SIZE);
	} else if (renewed || get_le16(i_block) != 0xF30A) {
		memset(i_block, 0, EXT_IBLOCK_SIZE);
		put_le16(i_block, 0xF30A);
		put_le16(i_block + 4, 4);
	}
}

static int apply_inode(struct fc_apply *a, const uint8_t *v, size_t len, struct err *e)
{
	uint32_t ino = get_le32(v);
	uint64_t at;
	int r = inode_load(a, ino, &at, e);
	if (r < 0)
		return r;
	uint8_t *raw = a->j->block;
	v += 4;
	bool renewed = get_le16(raw + I_LINKS) == 0 && get_le32(raw + I_GENERATION) != get_le32(v + I_GENERATION);
	merge_inode(raw, v, len - 4, renewed);
	if (renewed)
		fc_forget_map(a->x->fc, ino);
	return inode_store(a, ino, at, e);
}

static int apply_tag(struct fc_apply *a, unsigned tag, const uint8_t *v, size_t len, struct err *e)
{
	switch (tag) {
	case FC_ADD_RANGE:
	case FC_DEL_RANGE: return apply_range(a, tag, v, e);
	case FC_CREAT:
	case FC_LINK:
	case FC_UNLINK: return apply_name(a, tag, v, len, e);
	case FC_INODE: return apply_inode(a, v, len, e);
	default: return 0;
	}
}

static int apply_fn(void *arg, unsigned tag, const uint8_t *p, size_t len)
{
	struct fc_apply *a = arg;
	if (a->left == 0)
		return STOP;
	a->left--;
	struct err why = ERR_INIT;
	int r = apply_tag(a, tag, p + FC_TAG_HEAD, len, &why);
	if (r == ERR_FILE_CORRUPT) {
		if (!a->damage.code)
			a->damage = why;
		return GO_ON;
	}
	if (r < 0)
		*a->e = why;
	return r;
}

int fc_replay(struct journal *j, struct err *e)
{
	struct fc_scan s = {.tid = j->end};
	int r = each_block(j, scan_fn, &s, e);
	if (r < 0 || s.valid == 0)
		return r;
	struct ext_fs *x = j->x;
	x->fc = calloc(1, sizeof(*x->fc));
	if (!x->fc)
		return err_no_memory(e, module);
	struct fc_apply a = {.j = j, .x = x, .left = s.valid, .e = e};
	r = each_block(j, apply_fn, &a, e);
	if (r == ERR_LIMIT) {
		a.damage = *e;
		err_clear(e);
		r = 0;
	}
	if (r == 0 && a.damage.code)
		fs_warn(&x->fs, "a fast commit of the journal could not be applied wholly: %s", a.damage.msg);
	return r;
}
