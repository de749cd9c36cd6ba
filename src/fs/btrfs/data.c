/* File bytes as they lie on disk, held against their checksums. */
#include "fs/btrfs/btrfs.h"

#include <inttypes.h>

static const char *const module = "btrfs";

enum {
	SECTORS = BTRFS_DATA_PIECE / BTRFS_SECTOR_MIN,
	LAYERS_BACK = 64,            /* items of the log that may cover each other */
};

struct piece {
	struct btrfs_fs *x;
	uint64_t logical;
	uint8_t *to;
	size_t count;                /* sectors, at most SECTORS */
	bool sums;
	bool known[SECTORS], good[SECTORS];
	uint8_t want[SECTORS][BTRFS_CSUM_MAX];
};

/* --- the wanted checksums ------------------------------------------------------------------------- */

/* Copies what an item of checksums says of the sectors from `i` on; how many. */
static size_t take(struct piece *p, size_t i, uint64_t start, const uint8_t *data, size_t len)
{
	const struct btrfs_super *sb = &p->x->sb;
	uint64_t at = p->logical + i * sb->sector;
	if (start > at || (at - start) / sb->sector >= len / sb->csum_size || (at - start) % sb->sector)
		return 0;
	size_t index = (size_t)((at - start) / sb->sector), n = min_size(len / sb->csum_size - index, p->count - i);
	for (size_t k = 0; k < n; k++) {
		memcpy(p->want[i + k], data + (index + k) * sb->csum_size, sb->csum_size);
		p->known[i + k] = true;
	}
	return n;
}

static struct btrfs_key sum_key(const struct piece *p, size_t i)
{
	return (struct btrfs_key){BTRFS_CSUM_OBJECT, BTRFS_EXTENT_CSUM, p->logical + i * p->x->sb.sector};
}

/* The log's are newer than the tree's. */
static void sums_of_log(struct piece *p)
{
	for (size_t i = 0; p->x->log_csums && i < p->count; i++) {
		struct btrfs_key key = sum_key(p, i);
		for (unsigned back = 0; back < LAYERS_BACK && !p->known[i]; back++) {
			const struct btrfs_layer_item *it = btrfs_overlay_le(p->x->log_csums, &key);
			if (!it || take(p, i, it->key.offset, it->data, it->len) || it->key.offset == 0)
				break;
			key.offset = it->key.offset - 1;
		}
	}
}

static int sums_of_tree(struct piece *p, struct err *e)
{
	struct btrfs_fs *x = p->x;
	for (size_t i = 0; i < p->count;) {
		if (p->known[i]) {
			i++;
			continue;
		}
		int r = btrfs_seek_le(&x->sums, x, &x->csum_tree, sum_key(p, i), e);
		if (r < 0)
			return r;
		size_t n = 0;
		if (r == 1 && x->sums.key.objectid == BTRFS_CSUM_OBJECT && x->sums.key.type == BTRFS_EXTENT_CSUM)
			n = take(p, i, x->sums.key.offset, x->sums.data, x->sums.len);
		i += n ? n : 1;
	}
	return 0;
}

static int sums_find(struct piece *p, struct err *e)
{
	if (!p->sums)
		return 0;
	sums_of_log(p);
	return p->x->has_csums ? sums_of_tree(p, e) : 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* Marks the good ones of `n` sectors just read. */
static int verify(struct piece *p, size_t i, size_t n, struct err *reason, struct err *e)
{
	const struct btrfs_super *sb = &p->x->sb;
	for (size_t end = i + n; i < end; i++) {
		int fits = !p->sums;
		if (p->known[i])
			fits = btrfs_csum_fits(sb->csum_type, p->to + i * sb->sector, sb->sector, p->want[i], e);
		if (fits < 0)
			return fits;
		p->good[i] = fits;
		if (!fits && (reason->code == 0 || reason->code == ERR_VOLUME_INCOMPLETE)) {
			err_clear(reason);
			err_set(reason, ERR_FILE_CORRUPT, module, "the bytes at %" PRIu64 " %s",
			        p->logical + i * sb->sector,
			        p->known[i] ? "do not fit their checksum" : "have no checksum");
		}
	}
	return 0;
}

static int read_run(struct piece *p, size_t i, size_t n, unsigned mirror, struct err *reason, struct err *e)
{
	uint32_t sector = p->x->sb.sector;
	struct err why = ERR_INIT;
	int r = btrfs_read_mirror(p->x, p->logical + i * sector, mirror, p->sums ? BTRFS_FOR_SUMMED : BTRFS_FOR_BYTES,
	                          p->to + i * sector, n * sector, &why);
	if (r == 0)
		return verify(p, i, n, reason, e);
	if (!reason->code || r == ERR_IO)
		*reason = why;
	/* Perhaps only a part of it cannot be read. */
	for (size_t k = 0; n > 1 && k < n; k++) {
		r = read_run(p, i + k, 1, mirror, reason, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is not yet good, from one mirror. 1: everything is good now. */
static int read_missing(struct piece *p, unsigned mirror, struct err *reason, struct err *e)
{
	bool all = true;
	for (size_t i = 0; i < p->count;) {
		size_t n = 0;
		while (i + n < p->count && !p->good[i + n])
			n++;
		int r = n ? read_run(p, i, n, mirror, reason, e) : 0;
		if (r < 0)
			return r;
		for (size_t k = 0; k < n; k++)
			all &= p->good[i + k];
		i += n + 1;
	}
	return all;
}

static int piece_read(struct piece *p, struct err *e)
{
	unsigned mirrors = btrfs_mirrors(p->x, p->logical);
	struct err reason = ERR_INIT;
	int r = sums_find(p, e);
	for (unsigned m = 0; m < mirrors && r == 0; m++)
		r = read_missing(p, m, &reason, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (!reason.code)
		err_set(&reason, ERR_FILE_CORRUPT, module, "no chunk holds the address %" PRIu64, p->logical);
	*e = reason;
	return e->code;
}

int btrfs_data_read(struct btrfs_fs *x, uint64_t logical, uint8_t *to, size_t len, bool sums, struct err *e)
{
	for (size_t at = 0; at < len;) {
		size_t n = min_size(len - at, BTRFS_DATA_PIECE);
		struct piece p = {.x = x, .logical = logical + at, .to = to + at, .sums = sums};
		p.count = n / x->sb.sector;
		int r = piece_read(&p, e);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}
