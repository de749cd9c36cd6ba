/* Compressed attributes: units of 16 clusters. A unit without a hole is stored as it is, one that is a hole is
 * zeroes, one whose clusters end in a hole is LZNT1. */
#include "fs/ntfs/ntfs.h"

#include "fs/ntfs/decompress.h"

#include <inttypes.h>
#include <stdlib.h>

enum unit_kind { UNIT_ZERO, UNIT_PLAIN, UNIT_PACKED };

struct ntfs_units {
	struct ntfs_stream *s;
	uint32_t unit_size;
	uint64_t at;                 /* which unit `out` holds; UINT64_MAX: none */
	uint8_t *out;                /* owned, unit_size bytes */
	uint8_t *packed;             /* owned, unit_size bytes */
};

int ntfs_units_open(struct ntfs_stream *s, struct ntfs_units **ret, struct err *e)
{
	uint32_t cluster = s->ntfs->boot.cluster_size;
	if (s->unit_shift == 0 || s->unit_shift > 10 || (uint64_t)cluster << s->unit_shift > NTFS_UNIT_MAX)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the file is compressed in units of an impossible size");
	struct ntfs_units *u = calloc(1, sizeof(*u));
	if (!u)
		return err_no_memory(e, "ntfs");
	u->s = s;
	u->unit_size = cluster << s->unit_shift;
	u->at = UINT64_MAX;
	u->out = malloc(u->unit_size);
	u->packed = malloc(u->unit_size);
	if (!u->out || !u->packed) {
		ntfs_units_close(u);
		return err_no_memory(e, "ntfs");
	}
	*ret = u;
	return 0;
}

void ntfs_units_close(struct ntfs_units *u)
{
	if (!u)
		return;
	free(u->out);
	free(u->packed);
	free(u);
}

/* What a unit is; *ret_clusters: how many clusters stand before its hole. */
static int classify(const struct ntfs_units *u, uint64_t unit, enum unit_kind *ret, uint64_t *ret_clusters,
                    struct err *e)
{
	uint64_t per_unit = 1ull << u->s->unit_shift, vcn = unit << u->s->unit_shift, stored = 0, lcn, left;
	if (!ntfs_runs_find(&u->s->runs, vcn, &lcn, &left))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "the file's run list ends before its size of %" PRIu64 " bytes",
		               u->s->size);
	while (stored < per_unit && ntfs_runs_find(&u->s->runs, vcn + stored, &lcn, &left) && lcn != NTFS_HOLE)
		stored += min_u64(left, per_unit - stored);
	*ret = stored == 0 ? UNIT_ZERO : stored == per_unit ? UNIT_PLAIN : UNIT_PACKED;
	*ret_clusters = stored;
	return 0;
}

int ntfs_units_extent(struct ntfs_units *u, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	if (off >= u->s->initialised)
		return ntfs_stream_extent(u->s, off, len, ret, e);
	enum unit_kind kind;
	uint64_t clusters;
	int r = classify(u, off / u->unit_size, &kind, &clusters, e);
	if (r < 0)
		return r;
	len = min_u64(len, u->unit_size - off % u->unit_size);
	len = min_u64(len, u->s->initialised - off);
	if (kind == UNIT_PLAIN)
		return ntfs_stream_extent(u->s, off, len, ret, e);
	*ret = (struct fs_extent){.kind = kind == UNIT_ZERO ? FS_EXTENT_ZERO : FS_EXTENT_ENCODED, .len = len};
	return 0;
}

/* Reads the first `clusters` clusters of a unit. Not by the stream's size, which may end inside them. */
static int read_clusters(const struct ntfs_units *u, uint64_t unit, uint64_t clusters, uint8_t *to, struct err *e)
{
	uint64_t vcn = unit << u->s->unit_shift, lcn, left;
	uint32_t cluster = u->s->ntfs->boot.cluster_size;
	while (clusters > 0 && ntfs_runs_find(&u->s->runs, vcn, &lcn, &left)) {
		left = min_u64(left, clusters);
		int r = blk_read(u->s->ntfs->fs.blk, lcn * cluster, to, (size_t)(left * cluster), e);
		if (r < 0)
			return r;
		to += left * cluster;
		vcn += left;
		clusters -= left;
	}
	return 0;
}

/* A whole unit to `to`, which has room for it. */
static int unpack(struct ntfs_units *u, uint64_t unit, uint8_t *to, struct err *e)
{
	enum unit_kind kind;
	uint64_t clusters;
	int r = classify(u, unit, &kind, &clusters, e);
	if (r < 0)
		return r;
	if (kind == UNIT_ZERO) {
		memset(to, 0, u->unit_size);
		return 0;
	}
	r = read_clusters(u, unit, clusters, kind == UNIT_PLAIN ? to : u->packed, e);
	if (r < 0 || kind == UNIT_PLAIN)
		return r;
	if (!lznt1_decompress(u->packed, (size_t)clusters * u->s->ntfs->boot.cluster_size, to, u->unit_size))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "the compressed bytes of the file at %" PRIu64 " are damaged",
		               unit * u->unit_size);
	return 0;
}

int ntfs_units_read(struct ntfs_units *u, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		uint64_t unit = off / u->unit_size;
		size_t inside = (size_t)(off % u->unit_size), n = min_size(len, u->unit_size - inside);
		if (n == u->unit_size) {
			int r = unpack(u, unit, p, e);
			if (r < 0)
				return r;
		} else {
			if (u->at != unit) {
				u->at = UINT64_MAX;
				int r = unpack(u, unit, u->out, e);
				if (r < 0)
					return r;
				u->at = unit;
			}
			memcpy(p, u->out + inside, n);
		}
		/* Behind the initialised size there are zeroes, whatever the unit holds. */
		if (off + n > u->s->initialised) {
			size_t valid = off < u->s->initialised ? (size_t)(u->s->initialised - off) : 0;
			memset(p + valid, 0, n - valid);
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
