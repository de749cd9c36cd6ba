/* A file's chain is walked once when it is opened: so damage is known before the first byte is given out,
 * and a circle cannot pass for data. On the way every stride-th cluster is noted; from the nearest note,
 * or from where the last read ended, any place is a short walk away. */
#include "base/bytes.h"
#include "fs/fat/fat.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	STRIDE_MIN = 64,
	NOTES_MAX = 4096,
};

struct fat_file {
	struct fs_file file;
	uint32_t *notes;             /* owned: clusters 0, stride, 2 * stride, … of the chain */
	uint32_t stride;
	uint32_t last_index;         /* where the last read was: index in the chain, and the cluster there */
	uint32_t last_cluster;
};

/* The clusters the file needs; the chain may be longer (space reserved for growth). */
static uint32_t clusters_of(const struct fat_geo *g, uint32_t size)
{
	return size / g->cluster_size + (size % g->cluster_size != 0);
}

static int too_short(uint32_t size, uint32_t have, const struct fat_geo *g, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, "fat",
	               "the file says it has %" PRIu32 " bytes, but its cluster chain ends after %" PRIu64, size,
	               (uint64_t)have * g->cluster_size);
}

static int walk_chain(struct fat_file *f, struct fat_fs *fat, uint32_t cluster, uint32_t needed, struct err *e)
{
	struct fat_circle circle = {0};
	uint32_t index = 0;
	while (cluster != FAT_CHAIN_END) {
		if (fat_circle_closed(&circle, cluster))
			return err_set(e, ERR_FILE_CORRUPT, "fat", "the file's cluster chain runs in a circle");
		if (index < needed && index % f->stride == 0)
			f->notes[index / f->stride] = cluster;
		index++;
		int r = fat_next(fat, cluster, &cluster, e);
		/* Damage behind the last byte is no loss. */
		if (r == ERR_FILE_CORRUPT && index >= needed) {
			err_clear(e);
			return 0;
		}
		if (r < 0)
			return r;
	}
	return index >= needed ? 0 : too_short((uint32_t)f->file.size, index, &fat->geo, e);
}

static int map_file(struct fat_file *f, struct fat_fs *fat, const struct fat_entry *n, struct err *e)
{
	uint32_t needed = clusters_of(&fat->geo, n->size);
	if (needed == 0)
		return 0;
	if (!fat_cluster_valid(&fat->geo, n->cluster))
		return err_set(e, ERR_FILE_CORRUPT, "fat",
		               "the file says it has %" PRIu32 " bytes, but starts at cluster %" PRIu32 ", which is not there",
		               n->size, n->cluster);
	if (needed > fat->geo.cluster_end)
		return too_short(n->size, fat->geo.cluster_end, &fat->geo, e);
	f->stride = needed / NOTES_MAX + 1;
	if (f->stride < STRIDE_MIN)
		f->stride = STRIDE_MIN;
	f->notes = calloc(needed / f->stride + 1, sizeof(*f->notes));
	if (!f->notes)
		return err_no_memory(e, "fat");
	f->last_cluster = n->cluster;
	return walk_chain(f, fat, n->cluster, needed, e);
}

int fat_file_open(struct fs *fs, struct fs_id id, const char *stream, struct fs_file **ret, struct err *e)
{
	(void)stream;
	struct fat_fs *fat = (struct fat_fs *)fs;
	struct fat_entry n;
	int r = fat_entry_read(fat, id, &n, e);
	if (r < 0)
		return r;
	struct fat_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "fat");
	f->file = (struct fs_file){.fs = fs, .size = n.size};
	r = map_file(f, fat, &n, e);
	if (r < 0) {
		fat_file_close(&f->file);
		return r;
	}
	*ret = &f->file;
	return 0;
}

void fat_file_close(struct fs_file *file)
{
	struct fat_file *f = (struct fat_file *)file;
	free(f->notes);
	free(f);
}

/* Moves last_* to the cluster with this index. */
static int seek(struct fat_file *f, struct fat_fs *fat, uint32_t index, struct err *e)
{
	uint32_t note = index / f->stride;
	if (f->last_index > index || f->last_index < note * f->stride) {
		f->last_index = note * f->stride;
		f->last_cluster = f->notes[note];
	}
	while (f->last_index < index) {
		uint32_t next;
		int r = fat_next(fat, f->last_cluster, &next, e);
		if (r < 0)
			return r;
		if (next == FAT_CHAIN_END)
			return err_set(e, ERR_FILE_CORRUPT, "fat", "the file's cluster chain ended since it was opened");
		f->last_cluster = next;
		f->last_index++;
	}
	return 0;
}

int fat_file_extent(struct fs_file *file, uint64_t off, uint64_t len, struct fs_extent *ret, struct err *e)
{
	struct fat_file *f = (struct fat_file *)file;
	struct fat_fs *fat = (struct fat_fs *)file->fs;
	const struct fat_geo *g = &fat->geo;
	int r = seek(f, fat, (uint32_t)(off / g->cluster_size), e);
	if (r < 0)
		return r;
	uint64_t inside = off % g->cluster_size;
	uint64_t vol_off = fat_cluster_off(g, f->last_cluster) + inside;
	uint64_t have = g->cluster_size - inside;
	while (have < len) {
		uint32_t next;
		r = fat_next(fat, f->last_cluster, &next, e);
		if (r < 0)
			return r;
		if (next != f->last_cluster + 1)
			break;
		f->last_cluster = next;
		f->last_index++;
		have += g->cluster_size;
	}
	*ret = (struct fs_extent){.kind = FS_EXTENT_DATA, .len = min_u64(have, len), .vol_off = vol_off};
	return 0;
}
