#include "fs/ext/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const module = "ext";

enum {
	HEAD = 8,                    /* bytes of an entry before its name */
	TAIL = 12,                   /* the entry without inode that holds a block's checksum */
	TAIL_TYPE = 0xDE,
	ROOT_INFO = 24,
};

uint32_t ext_dir_size_blocks(const struct ext_fs *x, const struct ext_inode *dir)
{
	uint64_t n = (dir->size + x->sb.block_size - 1) >> x->sb.block_bits;
	/* One that says it is larger than its filesystem would be a walk without end. */
	return (uint32_t)min_u64(min_u64(n, x->sb.blocks), UINT32_MAX);
}

/* --- checksums ------------------------------------------------------------------------------------ */

static size_t record_len(const struct ext_fs *x, const uint8_t *p)
{
	uint32_t v = get_le16(p + 4);
	if (x->sb.block_size < 65536)
		return v;
	return v == 65535 || v == 0 ? 65536 : (v & 65532) | (v & 3) << 16;
}

/* Offset of the entries of a hash tree's node, 0 for an ordinary block. */
static size_t node_entries(const struct ext_fs *x, const struct ext_inode *dir, const uint8_t *p, uint64_t lblk)
{
	if (!(dir->flags & EXT_FL_INDEX))
		return 0;
	/* A fast commit may have set the flag before block 0 became a root. */
	if (lblk == 0)
		return record_len(x, p + TAIL) == x->sb.block_size - TAIL ? ROOT_INFO + 8 : 0;
	return get_le32(p) == 0 && record_len(x, p) == x->sb.block_size ? HEAD : 0;
}

static bool node_csum_ok(const struct ext_fs *x, uint32_t seed, const uint8_t *p, size_t base)
{
	static const uint8_t zero[4];
	size_t limit = get_le16(p + base), count = get_le16(p + base + 2);
	size_t tail = base + limit * 8;
	if (count > limit || tail + 8 > x->sb.block_size)
		return false;
	uint32_t crc = crc32c(seed, p, base + count * 8);
	crc = crc32c(crc, p + tail, 4);
	crc = crc32c(crc, zero, sizeof(zero));
	return ext_csum_equal(crc, get_le32(p + tail + 4));
}

static bool leaf_csum_ok(const struct ext_fs *x, uint32_t seed, const uint8_t *p)
{
	size_t at = x->sb.block_size - TAIL;
	const uint8_t *t = p + at;
	if (get_le32(t) != 0 || get_le16(t + 4) != TAIL || t[6] != 0 || t[7] != TAIL_TYPE)
		return ext_csum_equal(0, 1);
	return ext_csum_equal(crc32c(seed, p, at), get_le32(t + 8));
}

int ext_dir_csum(struct ext_fs *x, const struct ext_inode *dir, const uint8_t *p, uint64_t lblk, struct err *e)
{
	if (!ext_has_csum(x))
		return 0;
	uint32_t seed = ext_inode_seed(&x->sb, dir->ino, dir->generation);
	size_t base = node_entries(x, dir, p, lblk);
	if (base ? node_csum_ok(x, seed, p, base) : leaf_csum_ok(x, seed, p))
		return 0;
	return err_set(e, ERR_FILE_CORRUPT, module, "the checksum of block %" PRIu64 " of directory %" PRIu32 " is wrong",
	               lblk, dir->ino);
}

/* --- walking -------------------------------------------------------------------------------------- */

/* A place without a name of its own. */
static int report_damage(ext_dent_fn *fn, void *arg, uint64_t next, const struct err *why)
{
	struct ext_dent d = {.next = next, .damage = why};
	return fn(arg, &d);
}

int ext_dir_block(struct ext_fs *x, const uint8_t *p, size_t size, size_t from, uint64_t base,
                  const struct err *damage, ext_dent_fn *fn, void *arg)
{
	/* From the block's start, whatever `from` is: a cookie nobody handed out must not show what lies inside a name. */
	for (size_t at = 0; at + HEAD <= size;) {
		const uint8_t *d = p + at;
		size_t len = record_len(x, d), name_len = d[6];
		if (len < HEAD || len % 4 != 0 || len > size - at || HEAD + name_len > len) {
			struct err why = ERR_INIT;
			(void)err_set(&why, ERR_FILE_CORRUPT, module, "a directory block is damaged at byte %zu", at);
			return report_damage(fn, arg, base + size, &why);
		}
		struct ext_dent de = {
			.ino = get_le32(d),
			.name = d + HEAD,
			.len = (uint8_t)name_len,
			.ftype = x->sb.incompat & EXT_FILETYPE ? d[7] : 0,
			.next = base + at + len,
			.tail = d + HEAD + name_len,
			.tail_len = len - HEAD - name_len,
			.damage = damage,
		};
		int r = de.ino && name_len && at >= from ? fn(arg, &de) : 0;
		if (r)
			return r;
		at += len;
	}
	return 0;
}

/* An inline directory: the parent's number, then entries in i_block, then entries in the attribute. */
static int scan_inline(struct ext_fs *x, const struct ext_inode *dir, uint64_t cookie, ext_dent_fn *fn, void *arg,
                       struct err *e)
{
	enum { PARENT = 4 };
	struct buf b = BUF_INIT(EXT_INODE_MAX);
	int r = ext_inline_read(x, dir, &b, e);
	if (r == ERR_FILE_CORRUPT) {
		struct err why = *e;
		err_clear(e);
		r = report_damage(fn, arg, dir->size, &why);
	} else if (r == 0) {
		size_t head = min_size(b.len, EXT_IBLOCK_SIZE), from = (size_t)min_u64(cookie, b.len);
		if (head > PARENT && from < head)
			r = ext_dir_block(x, b.data + PARENT, head - PARENT, from > PARENT ? from - PARENT : 0, PARENT, NULL, fn, arg);
		if (r == 0 && b.len > head)
			r = ext_dir_block(x, b.data + head, b.len - head, from > head ? from - head : 0, head, NULL, fn, arg);
	}
	buf_free(&b);
	return r;
}

struct scan {
	struct ext_fs *x;
	const struct ext_inode *dir;
	struct ext_map map;
	uint8_t *buf;                /* EXT_DIR_CHUNK or one block */
	uint32_t buf_blocks;
	ext_dent_fn *fn;
	void *arg;
};

/* The blocks at lblk up to the end of a run or of the buffer; *ret: how many. */
static int scan_run(struct scan *s, uint64_t lblk, uint64_t blocks, size_t from, uint64_t *ret, struct err *e)
{
	unsigned bits = s->x->sb.block_bits;
	struct ext_run run;
	int r = ext_map_run(&s->map, lblk, blocks - lblk, &run, e);
	if (r < 0) {
		*ret = min_u64(s->map.bad_end, blocks) - lblk;
		return r;
	}
	if (run.pblk == 0) {
		*ret = run.len;
		return 0;
	}
	run.len = min_u64(run.len, s->buf_blocks);
	*ret = 1;
	r = ext_read_blocks(s->x, run.pblk, run.len, s->buf, e);
	if (r < 0)
		return r;
	*ret = run.len;
	for (uint64_t i = 0; i < run.len && r == 0; i++) {
		const uint8_t *p = s->buf + (i << bits);
		struct err damage = ERR_INIT;
		(void)ext_dir_csum(s->x, s->dir, p, lblk + i, &damage);
		r = ext_dir_block(s->x, p, s->x->sb.block_size, i == 0 ? from : 0, (lblk + i) << bits,
		                  damage.code ? &damage : NULL, s->fn, s->arg);
	}
	return r;
}

static int scan_blocks(struct scan *s, uint64_t cookie, struct err *e)
{
	unsigned bits = s->x->sb.block_bits;
	uint64_t blocks = ext_dir_size_blocks(s->x, s->dir);
	size_t from = cookie & (s->x->sb.block_size - 1);
	for (uint64_t lblk = cookie >> bits; lblk < blocks;) {
		uint64_t n = 0;
		int r = scan_run(s, lblk, blocks, from, &n, e);
		lblk += n;
		from = 0;
		if (r < 0 && e->code == ERR_FILE_CORRUPT) {
			/* Not readable, but a listing goes on behind it. */
			struct err why = *e;
			err_clear(e);
			r = report_damage(s->fn, s->arg, lblk << bits, &why);
		}
		if (r)
			return r;
	}
	return 0;
}

int ext_dir_scan(struct ext_fs *x, const struct ext_inode *dir, uint64_t cookie, ext_dent_fn *fn, void *arg,
                 struct err *e)
{
	if (dir->flags & EXT_FL_INLINE_DATA && x->sb.incompat & EXT_INLINE_DATA)
		return scan_inline(x, dir, cookie, fn, arg, e);
	struct scan s = {.x = x, .dir = dir, .fn = fn, .arg = arg};
	uint64_t room = min_u64(EXT_DIR_CHUNK, (uint64_t)ext_dir_size_blocks(x, dir) << x->sb.block_bits);
	s.buf_blocks = room <= x->sb.block_size ? 1 : (uint32_t)(room >> x->sb.block_bits);
	s.buf = malloc((size_t)s.buf_blocks << x->sb.block_bits);
	if (!s.buf)
		return err_no_memory(e, module);
	ext_map_init(&s.map, x, dir);
	int r = scan_blocks(&s, cookie, e);
	ext_map_fini(&s.map);
	free(s.buf);
	return r;
}
