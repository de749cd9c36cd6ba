#include "fs/ntfs/logop.h"

#include "blk/overlay.h"

#include <inttypes.h>

/* Where byte pos of the target lies, and how many follow it there: 1, or 0 when its cluster was given back. */
static int locate(const struct log *l, const struct log_op *op, uint64_t pos, uint64_t *ret, size_t *ret_len,
                  struct err *e)
{
	uint32_t size = l->ntfs->boot.cluster_size;
	uint64_t index = pos / size, lcn;
	const struct log_dirty *d = log_dirty_find(l, op->target, op->vcn + index);
	if (d)
		lcn = d->lcn;
	else if (index < op->lcn_count)
		lcn = log_op_lcn(op, (unsigned)index);
	else
		return log_bad(e, "record %" PRIu64 " of $LogFile does not name all its clusters", op->lsn);
	if (lcn >= l->ntfs->boot.clusters)
		return log_bad(e, "record %" PRIu64 " of $LogFile leaves the volume", op->lsn);
	*ret = lcn * size + pos % size;
	*ret_len = (size_t)(size - pos % size);
	return lcn != 0;
}

int log_raw_read(struct log *l, const struct log_op *op, uint64_t pos, void *to, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		uint64_t at;
		size_t n;
		int r = locate(l, op, pos + done, &at, &n, e);
		if (r <= 0)
			return r;
		if (n > len - done)
			n = len - done;
		r = blk_read(l->overlay, at, (uint8_t *)to + done, n, e);
		if (r < 0)
			return r;
		done += n;
	}
	return 1;
}

int log_raw_write(struct log *l, const struct log_op *op, uint64_t pos, const void *data, size_t len, struct err *e)
{
	int whole = 1;
	for (size_t done = 0; done < len;) {
		uint64_t at;
		size_t n;
		int r = locate(l, op, pos + done, &at, &n, e);
		if (r < 0)
			return r;
		if (n > len - done)
			n = len - done;
		if (r > 0) {
			r = blk_overlay_write(l->overlay, at, (const uint8_t *)data + done, n, e);
			if (r < 0)
				return r;
			l->changes++;
		} else {
			whole = 0;
		}
		done += n;
	}
	return whole;
}
