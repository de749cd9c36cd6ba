/* DUMP: the bytes of a disk or a volume as they are, without those known to be zero. See session_dump() for the form. */
#include "worker/worker.h"

#include <inttypes.h>
#include <string.h>

enum {
	RUN_MAX = 4 << 20,                   /* bytes of one record */
	LOOK_MAX = 1 << 30,                  /* of the disk described at a time */
};

static int put_record(struct bulk *o, uint64_t off, uint64_t len, struct err *e)
{
	uint8_t head[16];
	put_le64(head, off);
	put_le64(head + 8, len);
	return bulk_write(o, head, sizeof(head), e);
}

static int read_blk(void *from, uint64_t off, void *to, size_t len, struct err *e)
{
	return blk_read(from, off, to, len, e);
}

int job_copy_blk(struct job *j, struct blk *b, uint64_t off, uint64_t len, struct err *e)
{
	return job_copy_out(j, read_blk, b, off, len, e);
}

static int dump(struct job *j, struct blk *b, struct err *e)
{
	for (uint64_t off = 0; off < b->size;) {
		struct blk_extent x;
		gate_enter_bulk(&j->worker->gate);
		int r = blk_extent(b, off, min_u64(LOOK_MAX, b->size - off), &x, e);
		gate_leave(&j->worker->gate);
		for (uint64_t done = 0; r == 0 && x.kind == BLK_DATA && done < x.len; done += RUN_MAX) {
			uint64_t n = min_u64(RUN_MAX, x.len - done);
			r = put_record(&j->out, off + done, n, e);
			if (r == 0)
				r = job_copy_blk(j, b, off + done, n, e);
			if (r == 0)
				job_progress(j, 0, off + done + n, 0);
		}
		if (r == 0 && atomic_load(&j->cancelled))
			r = err_set(e, ERR_CANCELLED, "worker", "cancelled");
		if (r < 0)
			return r;
		off += x.len;
	}
	return put_record(&j->out, b->size, 0, e);
}

/* Of a locked container the bytes are there, too: encrypted, as they lie on the disk. */
static int find_volume(const struct disks *d, uint32_t number, struct blk **ret, struct err *e)
{
	if (number > d->set->count)
		return err_set(e, ERR_VOLUME_NOT_FOUND, "worker", "there is no volume %" PRIu32 "; the disk has %u", number,
		               d->set->count);
	const struct volume *v = &d->set->volumes[number - 1];
	if (!v->blk)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "worker", "volume %" PRIu32 " cannot be read: %s", number, v->reason);
	*ret = v->blk;
	return 0;
}

int job_dump(struct job *j, struct err *e)
{
	uint32_t volume = rdr_le32(&j->rd);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a DUMP request that cannot be read");
	const struct disks *d = &j->worker->disks;
	struct blk *b = d->blks[0];
	int r = 0;
	gate_enter_bulk(&j->worker->gate);
	if (volume > 0)
		r = find_volume(d, volume, &b, e);
	else if (d->count != 1)
		r = err_set(e, ERR_INVALID, "worker", "there are %u disks; name one, or a volume", d->count);
	gate_leave(&j->worker->gate);
	return r < 0 ? r : dump(j, b, e);
}
