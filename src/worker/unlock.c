/* Encrypted containers: the header out, the key in. */
#include "worker/worker.h"

#include "wire/imagehelper.h"

#include <string.h>

_Static_assert((int)WIRE_KEY_MAX == (int)VOLUME_MASTER_KEY_MAX && (int)WIRE_KEY_AREAS_MAX == (int)VOLUME_KEY_AREAS_MAX &&
                       (int)WIRE_KEY_AREA_BYTES_MAX == (int)VOLUME_KEY_AREA_BYTES_MAX &&
                       (int)WIRE_DISKS_MAX == (int)VOLUME_DISKS_MAX &&
                       (int)IMAGEHELPER_LAYERS_MAX == (int)IMAGE_SEALED_LAYERS_MAX,
               "the wire carries what volume.h allows");

static int find_areas(struct job *j, uint32_t volume, struct volume_range areas[VOLUME_KEY_AREAS_MAX],
                      struct blk **ret, struct err *e)
{
	struct volume_set *s = j->worker->disks.set;
	int n = volume_set_key_areas(s, volume, areas, e);
	if (n >= 0)
		*ret = s->volumes[volume - 1].blk;
	return n;
}

/* The stream: u64 size of the container, u32 areas, each u64 offset and u64 length; then their bytes. */
int job_key_areas(struct job *j, struct err *e)
{
	uint32_t volume = rdr_le32(&j->rd);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a KEY_AREAS request that cannot be read");
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	struct blk *b = NULL;
	gate_enter(&j->worker->gate);
	int n = find_areas(j, volume, areas, &b, e);
	gate_leave(&j->worker->gate);
	if (n < 0)
		return n;
	CLEANUP(buf_free) struct buf head = BUF_INIT(1024);
	wire_put_u64(&head, b->size);
	wire_put_u32(&head, (uint32_t)n);
	for (int i = 0; i < n; i++) {
		wire_put_u64(&head, areas[i].off);
		wire_put_u64(&head, areas[i].len);
	}
	int r = buf_ok(&head, "worker", e);
	if (r == 0)
		r = bulk_write(&j->out, head.data, head.len, e);
	for (int i = 0; i < n && r == 0; i++)
		r = job_copy_blk(j, b, areas[i].off, areas[i].len, e);
	return r;
}

static int answer_unlocked(struct job *j, struct err *e)
{
	const struct disks *d = &j->worker->disks;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_UNLOCKED, j->request);
	wire_put_u32(&b, d->set->count);
	wire_put_u32(&b, d->default_volume);
	job_put_warnings(&b, d);
	return job_answer(j, &b, e);
}

int job_unlock(struct job *j, struct err *e)
{
	struct disks *d = &j->worker->disks;
	uint32_t volume = rdr_le32(&j->rd);
	size_t len;
	const char *key = wire_get_str(&j->rd, WIRE_KEY_MAX, &len);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "an UNLOCK request that cannot be read");
	int r = disks_unlock(d, volume, (const uint8_t *)key, len, e);
	return r < 0 ? r : answer_unlocked(j, e);
}

int job_unlock_source(struct job *j, struct err *e)
{
	struct disks *d = &j->worker->disks;
	uint32_t volume = rdr_le32(&j->rd);
	if (j->rd.bad || !j->worker->source)
		return err_set(e, ERR_INVALID, "worker", "an UNLOCK_SOURCE request that this worker cannot take");
	CLEANUP(blk_unref_p) struct blk *source = NULL;
	int r = j->worker->source->open(fd_steal(&j->extra_fd), &source, e);
	if (r == 0)
		r = disks_unlock_source(d, volume, source, e);
	return r < 0 ? r : answer_unlocked(j, e);
}
