/* Allocation descriptors (ECMA 4/14.14): short ones mean the partition they are in, long and extended ones name it;
 * or the file's bytes stand in their place. Where a block has no room for all of them, the last leads to more. */
#include "fs/udf/udf.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	FORM_SHORT,
	FORM_LONG,
	FORM_EXTENDED,
	FORM_EMBEDDED,
	FORM_MASK = 7,
	CONTINUATION_HEADER = 24,
};

static const unsigned form_size[] = {[FORM_SHORT] = 8, [FORM_LONG] = 16, [FORM_EXTENDED] = 20};

static bool joins(const struct udf_extent *a, const struct udf_extent *b, uint32_t block)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == UDF_HOLE)
		return true;
	return a->part == b->part && a->len % block == 0 && a->at + a->len / block == b->at;
}

static int add(struct udf_extents *x, struct udf_extent ext, uint32_t block, struct err *e)
{
	ext.off = x->size;
	x->size += ext.len;
	if (x->count > 0 && joins(&x->list[x->count - 1], &ext, block)) {
		x->list[x->count - 1].len += ext.len;
		return 0;
	}
	if (x->count == UDF_EXTENTS_MAX)
		return err_set(e, ERR_LIMIT, "udf", "the file is in more than %d pieces", UDF_EXTENTS_MAX);
	if (x->count == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 4;
		struct udf_extent *list = realloc(x->list, cap * sizeof(*list));
		if (!list)
			return err_no_memory(e, "udf");
		x->list = list;
		x->cap = cap;
	}
	x->list[x->count++] = ext;
	return 0;
}

static struct udf_long_ad decode(const uint8_t *p, unsigned form, uint16_t part)
{
	struct udf_long_ad ad;
	if (form == FORM_SHORT) {
		uint32_t len = get_le32(p);
		ad = (struct udf_long_ad){.len = len & 0x3fffffff, .kind = (enum udf_extent_kind)(len >> 30),
		                          .at = {.block = get_le32(p + 4), .part = part}};
	} else if (form == FORM_LONG) {
		ad = udf_long_ad(p);
	} else {
		ad = udf_long_ad(p);
		ad.at = (struct udf_addr){.block = get_le32(p + 12), .part = get_le16(p + 16)};
	}
	return ad;
}

/* One area of descriptors. 1: it goes on at *ret_next; 0: that was all. */
static int take_area(struct udf *u, const struct udf_inode *n, const uint8_t *p, size_t len, struct udf_extents *x,
                     struct udf_addr *ret_next, struct err *e)
{
	unsigned form = n->flags & FORM_MASK, size = form_size[form];
	for (size_t off = 0; len - off >= size && x->size < n->size; off += size) {
		struct udf_long_ad ad = decode(p + off, form, n->where.part);
		if (ad.len == 0)
			return 0;
		if (ad.kind == UDF_CONTINUED) {
			*ret_next = ad.at;
			return 1;
		}
		struct udf_extent ext = {.len = ad.len, .kind = UDF_HOLE};
		int r = 0;
		if (ad.kind == UDF_RECORDED) {
			r = udf_devirtualise(u, &ad.at, e);
			ext.kind = UDF_RECORDED;
			ext.at = ad.at.block;
			ext.part = ad.at.part;
		}
		if (r == 0)
			r = add(x, ext, u->vol.block, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_continuations(struct udf *u, const struct udf_inode *n, struct udf_addr at, struct udf_extents *x,
                              struct err *e)
{
	CLEANUP(free_ptr) uint8_t *buf = malloc(u->vol.block);
	if (!buf)
		return err_no_memory(e, "udf");
	for (uint64_t read = 0; read < UDF_CONTINUATION_BYTES_MAX; read += u->vol.block) {
		int r = udf_read_descriptor(u, at, UDF_TAG_ALLOCATION, buf, NULL, e);
		if (r < 0)
			return r;
		uint32_t len = get_le32(buf + 20);
		if (!range_inside(CONTINUATION_HEADER, len, u->vol.block))
			return err_set(e, ERR_FILE_CORRUPT, "udf", "the allocation descriptors in block %" PRIu32 " leave it",
			               at.block);
		r = take_area(u, n, buf + CONTINUATION_HEADER, len, x, &at, e);
		if (r <= 0)
			return r;
	}
	return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's allocation descriptors have no end");
}

int udf_extents_load(struct udf *u, const struct udf_inode *n, struct udf_extents *ret, struct err *e)
{
	struct udf_extents x = {0};
	unsigned form = n->flags & FORM_MASK;
	int r = 0;
	if (form == FORM_EMBEDDED) {
		struct udf_extent ext = {.len = min_u64(n->size, n->ads_len), .kind = UDF_RECORDED, .embedded = true,
		                         .at = n->dev_off + n->ads_off};
		if (ext.len > 0)
			r = add(&x, ext, u->vol.block, e);
	} else if (form > FORM_EMBEDDED) {
		r = err_set(e, ERR_FILE_CORRUPT, "udf", "the file's allocation descriptors are of unknown form %u", form);
	} else {
		struct udf_addr next;
		r = take_area(u, n, n->block + n->ads_off, n->ads_len, &x, &next, e);
		if (r > 0)
			r = take_continuations(u, n, next, &x, e);
	}
	if (r < 0) {
		udf_extents_free(&x);
		return r;
	}
	*ret = x;
	return 0;
}

void udf_extents_free(struct udf_extents *x)
{
	free(x->list);
	*x = (struct udf_extents){0};
}

/* The extent off lies in; off < x->size. */
static const struct udf_extent *search(const struct udf_extents *x, uint64_t off)
{
	size_t low = 0, high = x->count - 1;
	while (low < high) {
		size_t mid = low + (high - low + 1) / 2;
		if (x->list[mid].off <= off)
			low = mid;
		else
			high = mid - 1;
	}
	return &x->list[low];
}

int udf_extents_find(struct udf *u, const struct udf_extents *x, uint64_t off, uint64_t len, unsigned copy,
                     struct fs_extent *ret, struct err *e)
{
	if (off >= x->size)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's allocation descriptors end after %" PRIu64 " bytes",
		               x->size);
	const struct udf_extent *ext = search(x, off);
	uint64_t inside = off - ext->off;
	len = min_u64(len, ext->len - inside);
	if (ext->kind == UDF_HOLE) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_ZERO, .len = len};
		return 0;
	}
	if (ext->embedded) {
		*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = len, .vol_off = ext->at + inside};
		return 0;
	}
	uint64_t block = ext->at + inside / u->vol.block, skip = inside % u->vol.block, at = 0, there = 0;
	if (block > UINT32_MAX)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's bytes lie behind the end of any partition");
	int r = udf_place(u, (struct udf_addr){.block = (uint32_t)block, .part = ext->part}, copy, skip + len, &at, &there, e);
	if (r < 0)
		return r;
	if (there <= skip)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's bytes lie behind the end of the volume's device");
	*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = there - skip, .vol_off = at + skip};
	return 0;
}

int udf_extents_read(struct udf *u, const struct udf_extents *x, uint64_t off, void *to, size_t len, unsigned copy,
                     struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		struct fs_extent ext;
		int r = udf_extents_find(u, x, off, len, copy, &ext, e);
		if (r < 0)
			return r;
		if (ext.kind == FS_EXTENT_ZERO)
			memset(p, 0, (size_t)ext.len);
		else
			r = blk_read(u->fs.blk, ext.vol_off, p, (size_t)ext.len, e);
		if (r < 0)
			return r;
		p += ext.len;
		off += ext.len;
		len -= (size_t)ext.len;
	}
	return 0;
}
