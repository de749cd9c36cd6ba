#include "base/bytes.h"
#include "fs/exfat/exfat.h"

#include <inttypes.h>

int exfat_root_open(struct exfat_fs *x, uint32_t index, struct exfat_dir *ret, struct err *e)
{
	ret->in_piece = false;
	return clusters_dir_open(&x->clusters, x->geo.root_cluster, EXFAT_DIR_SIZE_MAX, index, &ret->raw, e);
}

int exfat_dir_open(struct exfat_fs *x, const struct exfat_entry *n, uint32_t index, struct exfat_dir *ret,
                   struct err *e)
{
	struct clusters *c = &x->clusters;
	ret->in_piece = n->in_piece;
	if (!n->in_piece)
		return clusters_dir_open(c, n->cluster, EXFAT_DIR_SIZE_MAX, index, &ret->raw, e);
	if (!clusters_valid(c, n->cluster))
		return err_set(e, ERR_FILE_CORRUPT, "exfat",
		               "the directory starts at cluster %" PRIu32 ", which is not there", n->cluster);
	if (n->size > EXFAT_DIR_SIZE_MAX || n->size > (uint64_t)(c->cluster_end - n->cluster) * c->cluster_size)
		return err_set(e, ERR_FILE_CORRUPT, "exfat", "the directory's size of %" PRIu64 " bytes is impossible",
		               n->size);
	return clusters_dir_open_at(c, clusters_off(c, n->cluster), n->size, index, &ret->raw, e);
}

void exfat_dir_close(struct exfat_dir *d)
{
	clusters_dir_close(&d->raw);
}

/* Reads the rest of the set whose file entry is in set[0]. The count of entries found: less than there should
 * be where something else follows, which is then left to be read again. */
static int read_rest(struct exfat_dir *d, uint8_t *set, struct err *e)
{
	size_t want = exfat_set_length(set), count = 1;
	while (count < want) {
		const uint8_t *raw;
		uint64_t off;
		int r = clusters_dir_next(&d->raw, &raw, &off, e);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		if (!(raw[0] & EXFAT_IN_USE) || !(raw[0] & EXFAT_SECONDARY)) {
			d->raw.index--;
			break;
		}
		memcpy(set + count++ * EXFAT_ENTRY_SIZE, raw, EXFAT_ENTRY_SIZE);
	}
	return (int)count;
}

int exfat_dir_next(struct exfat_dir *d, struct exfat_entry *ret, struct err *e)
{
	uint8_t set[EXFAT_SET_MAX * EXFAT_ENTRY_SIZE];
	const uint8_t *raw;
	uint64_t off;
	int r;
	do {
		r = clusters_dir_next(&d->raw, &raw, &off, e);
		if (r <= 0)
			return r;
	} while (raw[0] != EXFAT_FILE);
	memcpy(set, raw, EXFAT_ENTRY_SIZE);
	r = read_rest(d, set, e);
	if (r < 0)
		return r;
	exfat_set_decode(set, (size_t)r, ret);
	ret->ino = off | (d->in_piece ? EXFAT_IN_PIECE : 0);
	ret->next_index = d->raw.index;
	return 1;
}

int exfat_root_find(struct exfat_fs *x, enum exfat_type type, uint8_t ret[EXFAT_ENTRY_SIZE], struct err *e)
{
	struct exfat_dir d;
	int r = exfat_root_open(x, 0, &d, e);
	if (r < 0)
		return r;
	const uint8_t *raw;
	uint64_t off;
	while ((r = clusters_dir_next(&d.raw, &raw, &off, e)) > 0 && raw[0] != type)
		;
	if (r > 0)
		memcpy(ret, raw, EXFAT_ENTRY_SIZE);
	exfat_dir_close(&d);
	return r;
}

/* The place of the entry behind the one at off: in the same cluster, or at the start of the next. */
static int next_place(struct exfat_fs *x, bool in_piece, uint64_t *off, struct err *e)
{
	struct clusters *c = &x->clusters;
	uint64_t inside = (*off - c->data_off) % c->cluster_size + EXFAT_ENTRY_SIZE;
	if (inside < c->cluster_size) {
		*off += EXFAT_ENTRY_SIZE;
		return 0;
	}
	uint32_t cluster = (uint32_t)((*off - c->data_off) / c->cluster_size) + CLUSTER_FIRST, next = cluster + 1;
	if (!in_piece) {
		int r = clusters_next(c, cluster, &next, e);
		if (r < 0)
			return r;
	}
	if (!clusters_valid(c, next))
		return err_set(e, ERR_FILE_CORRUPT, "exfat", "the directory ends within an entry set");
	*off = clusters_off(c, next);
	return 0;
}

static int read_raw(struct exfat_fs *x, uint64_t off, uint8_t *to, struct err *e)
{
	if (!range_inside(off, EXFAT_ENTRY_SIZE, x->fs.blk->size))
		return err_set(e, ERR_FILE_CORRUPT, "exfat", "the directory lies beyond the end of the volume");
	return blk_read(x->fs.blk, off, to, EXFAT_ENTRY_SIZE, e);
}

int exfat_entry_read(struct exfat_fs *x, struct fs_id id, struct exfat_entry *ret, struct err *e)
{
	const struct clusters *c = &x->clusters;
	bool in_piece = id.ino & EXFAT_IN_PIECE;
	uint64_t off = id.ino & ~(uint64_t)EXFAT_IN_PIECE, end = clusters_off(c, c->cluster_end);
	if (id.tree != 0 || off % EXFAT_ENTRY_SIZE != 0 || off < c->data_off || off >= end)
		return err_set(e, ERR_INVALID, "exfat", "%" PRIu64 " is not the place of a directory entry", id.ino);
	uint8_t set[EXFAT_SET_MAX * EXFAT_ENTRY_SIZE];
	int r = read_raw(x, off, set, e);
	if (r < 0)
		return r;
	size_t want = set[0] == EXFAT_FILE ? exfat_set_length(set) : 0, count = 1;
	for (; count < want; count++) {
		uint8_t *to = set + count * EXFAT_ENTRY_SIZE;
		r = next_place(x, in_piece, &off, e);
		if (r == 0)
			r = read_raw(x, off, to, e);
		if (r < 0)
			return r;
		if (!(to[0] & EXFAT_IN_USE) || !(to[0] & EXFAT_SECONDARY))
			break;
	}
	exfat_set_decode(set, count, ret);
	ret->ino = id.ino;
	return 0;
}
