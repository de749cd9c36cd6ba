#include "worker/worker.h"

#include "base/crc32c.h"

#include <string.h>

int bulk_reserve(struct bulk *o, uint8_t **ret_p, size_t *ret_room, struct err *e)
{
	return ring_reserve(&o->ring, o->cancelled, ret_p, ret_room, e);
}

void bulk_commit(struct bulk *o, size_t n)
{
	/* Before the slot is handed over: from then on it is the client's. */
	uint8_t *p = o->ring.map + RING_CONTROL_SIZE + (size_t)(o->ring.mine % RING_SLOTS) * RING_SLOT_SIZE + o->ring.used;
	o->crc = crc32c(o->crc, p, n);
	o->bytes += n;
	ring_commit(&o->ring, n);
}

int bulk_write(struct bulk *o, const void *p, size_t len, struct err *e)
{
	const uint8_t *from = p;
	while (len > 0) {
		uint8_t *to;
		size_t room;
		int r = bulk_reserve(o, &to, &room, e);
		if (r < 0)
			return r;
		size_t n = min_size(len, room);
		memcpy(to, from, n);
		bulk_commit(o, n);
		from += n;
		len -= n;
	}
	return 0;
}

int job_copy_out(struct job *j, job_read_fn *read, void *from, uint64_t off, uint64_t len, struct err *e)
{
	while (len > 0) {
		uint8_t *p;
		size_t room;
		int r = bulk_reserve(&j->out, &p, &room, e);
		if (r < 0)
			return r;
		size_t n = (size_t)min_u64(len, room);
		gate_enter_bulk(&j->worker->gate);
		r = read(from, off, p, n, e);
		gate_leave(&j->worker->gate);
		if (r < 0)
			return r;
		bulk_commit(&j->out, n);
		off += n;
		len -= n;
	}
	return 0;
}
