#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

void ntfs_runs_free(struct ntfs_runs *r)
{
	free(r->v);
	*r = (struct ntfs_runs){0};
}

/* A little-endian signed number of n bytes, n 0 … 8. */
static int64_t get_signed(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	if (n > 0 && n < 8 && (p[n - 1] & 0x80))
		v |= UINT64_MAX << (8 * n);
	return (int64_t)v;
}

static int append(struct ntfs_runs *r, uint64_t lcn, uint64_t len, struct err *e)
{
	/* Neighbours on disk become one run: a file written in many small steps often has such. */
	if (r->count > 0) {
		const struct ntfs_run *last = &r->v[r->count - 1];
		bool both_holes = last->lcn == NTFS_HOLE && lcn == NTFS_HOLE;
		bool adjacent = last->lcn != NTFS_HOLE && lcn != NTFS_HOLE && last->lcn + (r->end - last->vcn) == lcn;
		if (both_holes || adjacent) {
			r->end += len;
			return 0;
		}
	}
	if (r->count == r->cap) {
		if (r->cap >= NTFS_RUNS_MAX)
			return err_set(e, ERR_LIMIT, "ntfs", "a file has more than %d runs", NTFS_RUNS_MAX);
		size_t cap = r->cap ? r->cap * 2 : 8;
		struct ntfs_run *v = realloc(r->v, cap * sizeof(*v));
		if (!v)
			return err_no_memory(e, "ntfs");
		r->v = v;
		r->cap = cap;
	}
	r->v[r->count++] = (struct ntfs_run){.vcn = r->end, .lcn = lcn};
	r->end += len;
	return 0;
}

int ntfs_runs_add(struct ntfs_runs *r, uint64_t volume_clusters, const uint8_t *pairs, size_t len, uint64_t lowest,
                  uint64_t highest, struct err *e)
{
	if (lowest != r->end)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "a piece of a run list starts at cluster %" PRIu64 " of its file instead of %" PRIu64,
		               lowest, r->end);
	uint64_t lcn = 0;
	for (size_t i = 0; i < len && pairs[i] != 0;) {
		unsigned len_bytes = pairs[i] & 0x0F, lcn_bytes = pairs[i] >> 4;
		if (len_bytes == 0 || len_bytes > 8 || lcn_bytes > 8 || len_bytes + lcn_bytes >= len - i)
			return err_set(e, ERR_FILE_CORRUPT, "ntfs", "a run list is malformed");
		int64_t count = get_signed(pairs + i + 1, len_bytes);
		uint64_t at = NTFS_HOLE;
		if (lcn_bytes > 0)
			at = lcn += (uint64_t)get_signed(pairs + i + 1 + len_bytes, lcn_bytes);
		/* So many clusters are far beyond any file, and their bytes are counted in 64 bits. */
		if (count <= 0 || (uint64_t)count > NTFS_CLUSTERS_MAX - r->end)
			return err_set(e, ERR_FILE_CORRUPT, "ntfs", "a run has an impossible length");
		if (lcn_bytes > 0 && !range_inside(at, (uint64_t)count, volume_clusters))
			return err_set(e, ERR_FILE_CORRUPT, "ntfs",
			               "a run of %" PRId64 " clusters at %" PRIu64 " leaves the volume", count, at);
		int res = append(r, at, (uint64_t)count, e);
		if (res < 0)
			return res;
		i += 1 + len_bytes + lcn_bytes;
	}
	/* highest is -1 for an empty attribute. */
	if (r->end != highest + 1)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "a run list ends at cluster %" PRIu64 " of its file instead of %" PRIu64,
		               r->end, highest + 1);
	return 0;
}

bool ntfs_runs_find(const struct ntfs_runs *r, uint64_t vcn, uint64_t *ret_lcn, uint64_t *ret_left)
{
	if (vcn >= r->end)
		return false;
	size_t low = 0, high = r->count;         /* v[low].vcn <= vcn < v[high].vcn */
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (r->v[mid].vcn <= vcn)
			low = mid;
		else
			high = mid;
	}
	const struct ntfs_run *run = &r->v[low];
	uint64_t end = low + 1 < r->count ? r->v[low + 1].vcn : r->end;
	*ret_lcn = run->lcn == NTFS_HOLE ? NTFS_HOLE : run->lcn + (vcn - run->vcn);
	*ret_left = end - vcn;
	return true;
}
