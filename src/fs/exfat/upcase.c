/* The up-case table (spec 7.2): units in order, and 0xFFFF followed by a number for so many units that
 * stand for themselves. */
#include "base/bytes.h"
#include "fs/exfat/exfat.h"

#include <stdlib.h>

enum {
	UPCASE_BYTES_MAX = 2 * EXFAT_UPCASE_UNITS,
	SKIP = 0xffff,
};

static uint32_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (sum << 31 | sum >> 1) + p[i];
	return sum;
}

/* Unit by unit: what the table does not reach stands for itself. */
static uint16_t *expand(const uint8_t *p, size_t len)
{
	uint16_t *to = malloc(EXFAT_UPCASE_UNITS * sizeof(*to));
	if (!to)
		return NULL;
	for (uint32_t u = 0; u < EXFAT_UPCASE_UNITS; u++)
		to[u] = (uint16_t)u;
	uint32_t u = 0;
	for (size_t i = 0; i + 2 <= len && u < EXFAT_UPCASE_UNITS; i += 2) {
		uint16_t unit = get_le16(p + i);
		if (unit == SKIP && i + 4 <= len) {
			i += 2;
			u += get_le16(p + i);
		} else {
			to[u++] = unit;
		}
	}
	return to;
}

static int read_all(struct exfat_fs *x, uint32_t cluster, size_t size, uint8_t *to, struct err *e)
{
	struct clusters_map map;
	int r = clusters_map_init(&x->clusters, cluster, false, size, &map, e);
	if (r < 0)
		return r;
	for (uint64_t off = 0; off < size && r == 0;) {
		uint64_t vol_off, len;
		r = clusters_map_find(&x->clusters, &map, off, size - off, &vol_off, &len, e);
		if (r == 0 && !range_inside(vol_off, len, x->fs.blk->size))
			r = err_set(e, ERR_FILE_CORRUPT, "exfat", "it lies beyond the end of the volume");
		if (r == 0)
			r = blk_read(x->fs.blk, vol_off, to + off, (size_t)len, e);
		if (r == 0)
			off += len;
	}
	clusters_map_free(&map);
	return r;
}

static int load(struct exfat_fs *x, struct err *e)
{
	uint8_t raw[EXFAT_ENTRY_SIZE];
	int r = exfat_root_find(x, EXFAT_UPCASE, raw, e);
	if (r < 0)
		return r;
	uint64_t size = r ? get_le64(raw + 24) : 0;
	if (size == 0 || size > UPCASE_BYTES_MAX)
		return err_set(e, ERR_FILE_CORRUPT, "exfat", r ? "it has an impossible size" : "there is none");
	uint8_t *data = malloc((size_t)size);
	if (!data)
		return err_no_memory(e, "exfat");
	r = read_all(x, get_le32(raw + 20), (size_t)size, data, e);
	if (r == 0 && checksum(data, (size_t)size) != get_le32(raw + 4))
		r = err_set(e, ERR_FILE_CORRUPT, "exfat", "its checksum does not fit");
	if (r == 0) {
		x->upcase = expand(data, (size_t)size);
		if (!x->upcase)
			r = err_no_memory(e, "exfat");
	}
	free(data);
	return r;
}

int exfat_upcase_load(struct exfat_fs *x, struct err *e)
{
	int r = load(x, e);
	if (r == ERR_FILE_CORRUPT) {
		fs_warn(&x->fs,
		        "the exFAT volume's up-case table cannot be used (%s): upper and lower case are Unicode's",
		        e->msg);
		err_clear(e);
		r = 0;
	}
	return r;
}
