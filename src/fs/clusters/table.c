#include "base/bytes.h"
#include "fs/clusters/clusters.h"

#include <inttypes.h>
#include <stdlib.h>

void clusters_free(struct clusters *c)
{
	for (size_t i = 0; i < CLUSTERS_PAGES; i++) {
		free(c->pages[i].data);
		c->pages[i].data = NULL;
	}
}

bool clusters_valid(const struct clusters *c, uint32_t cluster)
{
	return cluster >= CLUSTER_FIRST && cluster < c->cluster_end;
}

uint64_t clusters_off(const struct clusters *c, uint32_t cluster)
{
	return c->data_off + (uint64_t)(cluster - CLUSTER_FIRST) * c->cluster_size;
}

/* A byte of the table and those behind it in its page. A hostile table has gigabytes; CLUSTERS_PAGES pages
 * of it are kept. */
static int get_bytes(struct clusters *c, uint64_t at, const uint8_t **ret, struct err *e)
{
	uint64_t number = at / CLUSTERS_PAGE_SIZE;
	struct clusters_page *p = &c->pages[number % CLUSTERS_PAGES];
	if (!p->data || p->number != number) {
		uint8_t *data = p->data ? p->data : malloc(CLUSTERS_PAGE_SIZE);
		if (!data)
			return err_no_memory(e, c->module);
		/* Empty while the read may fail: a slot never claims what it does not hold. */
		p->data = NULL;
		uint64_t start = number * CLUSTERS_PAGE_SIZE;
		size_t len = (size_t)min_u64(CLUSTERS_PAGE_SIZE, c->table_size - start);
		int r = blk_read(c->blk, c->table_off + start, data, len, e);
		if (r < 0) {
			free(data);
			return r;
		}
		*p = (struct clusters_page){.number = number, .data = data};
	}
	*ret = p->data + at % CLUSTERS_PAGE_SIZE;
	return 0;
}

/* Three bytes hold two entries, and one may lie across two pages. */
static int entry12(struct clusters *c, uint32_t cluster, uint32_t *ret, struct err *e)
{
	uint64_t at = (uint64_t)cluster * 3 / 2;
	const uint8_t *p;
	int r = get_bytes(c, at, &p, e);
	if (r < 0)
		return r;
	uint32_t pair = *p;
	r = get_bytes(c, at + 1, &p, e);
	if (r < 0)
		return r;
	pair |= (uint32_t)*p << 8;
	*ret = cluster & 1 ? pair >> 4 : pair & 0xfff;
	return 0;
}

int clusters_entry(struct clusters *c, uint32_t cluster, uint32_t *ret, struct err *e)
{
	if (c->bits == 12)
		return entry12(c, cluster, ret, e);
	const uint8_t *p;
	int r = get_bytes(c, (uint64_t)cluster * (c->bits == 16 ? 2 : 4), &p, e);
	if (r < 0)
		return r;
	*ret = c->bits == 16 ? get_le16(p) : c->bits == 28 ? get_le32(p) & 0x0fffffff : get_le32(p);
	return 0;
}

int clusters_next(struct clusters *c, uint32_t cluster, uint32_t *ret, struct err *e)
{
	uint32_t next;
	int r = clusters_entry(c, cluster, &next, e);
	if (r < 0)
		return r;
	/* …8 to …f, all other bits set, end a chain, …7 marks a bad cluster. */
	uint32_t end = (uint32_t)(((uint64_t)1 << c->bits) - 8);
	if (next >= end) {
		*ret = CLUSTER_NONE;
		return 0;
	}
	if (!clusters_valid(c, next)) {
		const char *what = next == 0 ? "a free cluster" : next == end - 1 ? "a bad one" : "one that is not there";
		return err_set(e, ERR_FILE_CORRUPT, c->module,
		               "cluster %" PRIu32 " of the chain leads to %s (0x%" PRIx32 " in the allocation table)",
		               cluster, what, next);
	}
	*ret = next;
	return 0;
}

bool clusters_circle_closed(struct clusters_circle *c, uint32_t cluster)
{
	if (c->limit > 0 && cluster == c->mark)
		return true;
	if (c->steps == c->limit) {
		c->mark = cluster;
		c->limit = c->limit ? 2 * c->limit : 1;
		c->steps = 0;
	}
	c->steps++;
	return false;
}
