#include "base/bytes.h"
#include "fs/clusters/clusters.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	STRIDE_MIN = 64,
	NOTES_MAX = 4096,
};

static int too_short(const struct clusters *c, uint64_t size, uint32_t have, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, c->module,
	               "the file says it has %" PRIu64 " bytes, but its clusters end after %" PRIu64, size,
	               (uint64_t)have * c->cluster_size);
}

/* Notes every stride-th of the clusters needed. The chain may be longer: space kept for growth. */
static int walk(struct clusters *c, struct clusters_map *m, uint64_t size, uint32_t needed, struct err *e)
{
	struct clusters_circle circle = {0};
	uint32_t index = 0;
	for (uint32_t cluster = m->first; cluster != CLUSTER_NONE;) {
		if (clusters_circle_closed(&circle, cluster))
			return err_set(e, ERR_FILE_CORRUPT, c->module, "the file's cluster chain runs in a circle");
		if (index < needed && index % m->stride == 0)
			m->notes[index / m->stride] = cluster;
		index++;
		int r = clusters_next(c, cluster, &cluster, e);
		/* Damage behind the last byte is no loss. */
		if (r == ERR_FILE_CORRUPT && index >= needed) {
			err_clear(e);
			return 0;
		}
		if (r < 0)
			return r;
	}
	return index >= needed ? 0 : too_short(c, size, index, e);
}

int clusters_map_init(struct clusters *c, uint32_t first, bool contiguous, uint64_t size, struct clusters_map *ret,
                      struct err *e)
{
	struct clusters_map m = {.first = first, .contiguous = contiguous, .last_cluster = first};
	uint64_t needed = size / c->cluster_size + (size % c->cluster_size != 0);
	if (needed == 0) {
		*ret = m;
		return 0;
	}
	if (!clusters_valid(c, first))
		return err_set(e, ERR_FILE_CORRUPT, c->module,
		               "the file says it has %" PRIu64 " bytes, but starts at cluster %" PRIu32
		               ", which is not there",
		               size, first);
	uint32_t most = c->cluster_end - (contiguous ? first : CLUSTER_FIRST);
	if (needed > most)
		return too_short(c, size, most, e);
	if (!contiguous) {
		m.stride = (uint32_t)needed / NOTES_MAX + 1;
		if (m.stride < STRIDE_MIN)
			m.stride = STRIDE_MIN;
		m.notes = calloc(needed / m.stride + 1, sizeof(*m.notes));
		if (!m.notes)
			return err_no_memory(e, c->module);
		int r = walk(c, &m, size, (uint32_t)needed, e);
		if (r < 0) {
			free(m.notes);
			return r;
		}
	}
	*ret = m;
	return 0;
}

void clusters_map_free(struct clusters_map *m)
{
	free(m->notes);
	m->notes = NULL;
}

/* Moves last_* to the cluster with this index. */
static int seek(struct clusters *c, struct clusters_map *m, uint32_t index, struct err *e)
{
	uint32_t note = index / m->stride;
	if (m->last_index > index || m->last_index < note * m->stride) {
		m->last_index = note * m->stride;
		m->last_cluster = m->notes[note];
	}
	while (m->last_index < index) {
		uint32_t next;
		int r = clusters_next(c, m->last_cluster, &next, e);
		if (r < 0)
			return r;
		if (next == CLUSTER_NONE)
			return err_set(e, ERR_FILE_CORRUPT, c->module,
			               "the file's cluster chain has changed since it was opened");
		m->last_cluster = next;
		m->last_index++;
	}
	return 0;
}

int clusters_map_find(struct clusters *c, struct clusters_map *m, uint64_t off, uint64_t len, uint64_t *ret_vol_off,
                      uint64_t *ret_len, struct err *e)
{
	if (m->contiguous) {
		*ret_vol_off = clusters_off(c, m->first) + off;
		*ret_len = len;
		return 0;
	}
	int r = seek(c, m, (uint32_t)(off / c->cluster_size), e);
	if (r < 0)
		return r;
	uint64_t inside = off % c->cluster_size;
	uint64_t vol_off = clusters_off(c, m->last_cluster) + inside;
	uint64_t have = c->cluster_size - inside;
	while (have < len) {
		uint32_t next;
		r = clusters_next(c, m->last_cluster, &next, e);
		if (r < 0)
			return r;
		if (next != m->last_cluster + 1)
			break;
		m->last_cluster = next;
		m->last_index++;
		have += c->cluster_size;
	}
	*ret_vol_off = vol_off;
	*ret_len = min_u64(have, len);
	return 0;
}
