/* QCOW2 L1 and L2 tables: docs/interop/qcow2.txt, "Cluster mapping", "Extended L2 Entries". */
#include "map.h"

#include "base/bytes.h"

#include <string.h>

#include <stdlib.h>

static const char module[] = "qcow2";

static const uint64_t L1_OFFSET = UINT64_C(0x00fffffffffffe00);
static const uint64_t L1_RESERVED = UINT64_C(0x7f000000000001ff);
static const uint64_t L2_OFFSET = UINT64_C(0x00fffffffffffe00);
static const uint64_t L2_RESERVED = UINT64_C(0x3f000000000001fe);
static const uint64_t L2_COPIED = UINT64_C(1) << 63;
static const uint64_t L2_COMPRESSED = UINT64_C(1) << 62;
static const uint64_t L2_ZERO = 1;

/* The tables of a chain lie in a file each. Read one by one from a disk or over a network, each would take a round trip; so a read that has
 * to wait announces what the layers below are going to be asked for. */
enum { L1_AHEAD = 64, L2_AHEAD_FIRST = 4, L2_AHEAD_MAX = 64 };

static void announce(struct image_layer *l, uint64_t off, uint64_t len)
{
	if (l->announced == off)
		return;
	l->announced = off;
	image_file_announce(l->fd, off, len);
}

/* --- L1 ------------------------------------------------------------------------------------------- */

static unsigned span_bits(const struct image_layer *l)
{
	return l->cluster_bits + l->l2_bits;
}

static bool l1_has(const struct image_layer *l, uint64_t index)
{
	return l->l1_have > 0 && index >= l->l1_first && index - l->l1_first < l->l1_have;
}

/* The window that holds entry `index`; returns its first entry. */
static uint64_t l1_window(const struct image_layer *l, uint64_t index, uint64_t *ret_have)
{
	const uint64_t per = L1_WINDOW_BYTES / 8;
	uint64_t first = index / per * per;
	*ret_have = min_u64(per, l->l1_count - first);
	return first;
}

static void announce_l1(const struct image_layer *l, uint64_t guest)
{
	struct image_layer *n = l->below;
	for (unsigned i = 0; i < L1_AHEAD && n; i++, n = n->below) {
		uint64_t index = guest >> span_bits(n);
		if (n->info.format != IMAGE_QCOW2 || index >= n->l1_count || l1_has(n, index))
			continue;
		uint64_t have, first = l1_window(n, index, &have);
		announce(n, n->l1_off + first * 8, have * 8);
	}
}

/* Makes the window hold entry `index`. */
static int l1_load(struct image_layer *l, uint64_t index, struct err *e)
{
	if (l1_has(l, index))
		return 0;
	if (!l->l1) {
		l->l1 = malloc((size_t)min_u64(L1_WINDOW_BYTES / 8, l->l1_count) * 8);
		if (!l->l1)
			return err_no_memory(e, module);
	}
	uint64_t have, first = l1_window(l, index, &have), off = l->l1_off + first * 8;
	l->l1_have = 0;
	if (!image_file_cached(l->fd, off, l->l1, (size_t)have * 8)) {
		announce_l1(l, index << span_bits(l));
		int r = layer_pread(l->fd, off, l->l1, (size_t)have * 8, e);
		if (r < 0)
			return r;
	}
	l->l1_first = first;
	l->l1_have = have;
	return 0;
}

static uint64_t l1_entry(const struct image_layer *l, uint64_t index)
{
	return get_be64(l->l1 + (index - l->l1_first) * 8);
}

int qcow2_hole_end(struct image_layer *l, uint64_t off, uint64_t enough, uint64_t *ret, struct err *e)
{
	uint64_t index = off >> span_bits(l);
	if (index >= l->l1_count) {
		*ret = UINT64_MAX;
		return 0;
	}
	int r = l1_load(l, index, e);
	if (r < 0)
		return r;
	uint64_t end = min_u64(l->l1_first + l->l1_have, (enough >> span_bits(l)) + 1), from = index;
	while (index < end && l1_entry(l, index) == 0)
		index++;
	*ret = index == from ? off : index == l->l1_count ? UINT64_MAX : index << span_bits(l);
	return 0;
}

/* --- L2 entries ----------------------------------------------------------------------------------- */

/* Checks the host offset of the plain cluster at `guest` and puts the part [from, to) of it. */
static void put_plain(struct image_layer *l, struct map_sweep *s, uint64_t guest, uint64_t from, uint64_t to,
                      uint64_t host)
{
	enum map_kind kind = MAP_DATA;
	if (host & ((UINT64_C(1) << l->cluster_bits) - 1))
		kind = MAP_BAD_ALIGN;
	else if (l->info.has_data_file && host != guest)
		kind = MAP_BAD_DATA_FILE;
	else if (!l->info.has_data_file && host >= l->data_size)
		kind = MAP_BAD_OUTSIDE;
	map_sweep_put(s, from, to, kind, kind == MAP_DATA ? host + (from - guest) : host);
}

static void put_compressed(struct image_layer *l, struct map_sweep *s, uint64_t guest, uint64_t entry)
{
	uint64_t host = entry & ((UINT64_C(1) << (62 - (l->cluster_bits - 8))) - 1);
	uint64_t descriptor = entry & (L2_COMPRESSED - 1);
	enum map_kind kind = MAP_COMPRESSED;
	if (l->info.has_data_file)
		kind = MAP_BAD_DATA_FILE;
	else if (host >= l->data_size)
		kind = MAP_BAD_OUTSIDE;
	map_sweep_put(s, guest, guest + (UINT64_C(1) << l->cluster_bits), kind,
	              kind == MAP_COMPRESSED ? descriptor : host);
}

/* Offset 0 is a place only in an external data file, and only with the "copied" bit. */
static bool has_place(const struct image_layer *l, uint64_t entry)
{
	return (entry & L2_OFFSET) != 0 || (l->info.has_data_file && (entry & L2_COPIED) != 0);
}

static void put_standard(struct image_layer *l, struct map_sweep *s, uint64_t guest, uint64_t entry)
{
	uint64_t end = guest + (UINT64_C(1) << l->cluster_bits);
	uint64_t host = entry & L2_OFFSET;
	if (entry & L2_ZERO) {
		bool aligned = (host & ((UINT64_C(1) << l->cluster_bits) - 1)) == 0;
		enum map_kind kind = l->info.version < 3 ? MAP_BAD_ZERO_V2 : aligned ? MAP_ZERO : MAP_BAD_ALIGN;
		map_sweep_put(s, guest, end, kind, host);
	} else if (has_place(l, entry)) {
		put_plain(l, s, guest, guest, end, host);
	}
}

/* The bitmap: bit n, subcluster n is allocated; bit 32 + n, it reads as zeroes. */
static void put_extended(struct image_layer *l, struct map_sweep *s, uint64_t guest, uint64_t entry, uint64_t bitmap)
{
	uint32_t alloc = (uint32_t)bitmap, zero = (uint32_t)(bitmap >> 32);
	uint64_t end = guest + (UINT64_C(1) << l->cluster_bits);
	if ((entry & L2_ZERO) || (alloc & zero) || (alloc && !has_place(l, entry))) {
		map_sweep_put(s, guest, end, MAP_BAD_SUBCLUSTER, bitmap);
		return;
	}
	uint64_t size = (UINT64_C(1) << l->cluster_bits) / QCOW2_SUBCLUSTERS;
	for (unsigned i = 0; i < QCOW2_SUBCLUSTERS; i++) {
		uint64_t from = guest + i * size;
		if (alloc >> i & 1)
			put_plain(l, s, guest, from, from + size, entry & L2_OFFSET);
		else if (zero >> i & 1)
			map_sweep_put(s, from, from + size, MAP_ZERO, 0);
	}
}

static void put_entry(struct image_layer *l, struct map_sweep *s, uint64_t guest, const uint8_t *at)
{
	uint64_t entry = get_be64(at);
	if (entry & L2_COMPRESSED)
		put_compressed(l, s, guest, entry);
	else if (entry & L2_RESERVED)
		map_sweep_put(s, guest, guest + (UINT64_C(1) << l->cluster_bits), MAP_BAD_RESERVED, entry);
	else if (l->info.extended_l2)
		put_extended(l, s, guest, entry, get_be64(at + 8));
	else
		put_standard(l, s, guest, entry);
}

/* --- L2 tables ------------------------------------------------------------------------------------ */

/* Whether an L1 entry leads to a table inside the file; MAP_DATA when it does. */
static enum map_kind l2_check(const struct image_layer *l, uint64_t entry)
{
	uint64_t off = entry & L1_OFFSET, cluster = UINT64_C(1) << l->cluster_bits;
	if (entry & L1_RESERVED)
		return MAP_BAD_L1_RESERVED;
	if (off % cluster != 0)
		return MAP_BAD_L2_ALIGN;
	if (!range_inside(off, cluster, l->info.file_size))
		return MAP_BAD_L2_OUTSIDE;
	if (off + cluster > l->l1_off && off < l->l1_off + l->l1_count * 8)
		return MAP_BAD_L2_OVERLAP;
	return MAP_DATA;
}

/* The first cluster from c on whose entry may say something. An incremental backup's tables are nearly empty, and a chain
 * has many of them: eight words at a time. */
static uint64_t skip_empty(const struct image_layer *l, const uint8_t *table, uint64_t first, uint64_t c, uint64_t end)
{
	unsigned step = 64 / l->entry_size;
	for (; end - c >= step; c += step) {
		uint64_t w[8];
		memcpy(w, table + (c - first) * l->entry_size, sizeof(w));
		if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
			break;
	}
	return c;
}

static uint64_t l2_index(const struct image_layer *l, uint64_t cluster)
{
	return cluster & ((UINT64_C(1) << l->l2_bits) - 1);
}

/* Of the layers below, whose L1 tables are needed next in any case: what they have from the guest's offset `from` on, as far as one table
 * goes. More of them each time that something had to be waited for. */
static void announce_l2(const struct image_layer *l, struct map_sweep *s, uint64_t from)
{
	s->ahead = s->ahead ? (unsigned)min_u64(s->ahead * 2, L2_AHEAD_MAX) : L2_AHEAD_FIRST;
	struct image_layer *n = l->below;
	for (unsigned i = 0; i < s->ahead && n; i++, n = n->below) {
		struct err ignored = ERR_INIT;
		uint64_t index = from >> span_bits(n), first = from >> n->cluster_bits;
		if (n->info.format != IMAGE_QCOW2 || index >= n->l1_count || l1_load(n, index, &ignored) < 0)
			continue;
		uint64_t entry = l1_entry(n, index), end = min_u64((s->end - 1) >> n->cluster_bits, ((index + 1) << n->l2_bits) - 1) + 1;
		if ((entry & L1_OFFSET) != 0 && l2_check(n, entry) == MAP_DATA)
			announce(n, (entry & L1_OFFSET) + l2_index(n, first) * n->entry_size, (end - first) * n->entry_size);
	}
}

/* Clusters [first, end) of the layer, all of one L2 table. */
static int sweep_table(struct image_layer *l, struct map_sweep *s, uint64_t first, uint64_t end, uint8_t *scratch,
                       struct err *e)
{
	int r = l1_load(l, first >> l->l2_bits, e);
	if (r < 0)
		return r;
	uint64_t entry = l1_entry(l, first >> l->l2_bits);
	if ((entry & (L1_OFFSET | L1_RESERVED)) == 0)
		return 0;
	enum map_kind kind = l2_check(l, entry);
	if (kind != MAP_DATA) {
		map_sweep_put(s, first << l->cluster_bits, end << l->cluster_bits, kind, entry & L1_OFFSET);
		return 0;
	}
	uint64_t off = (entry & L1_OFFSET) + l2_index(l, first) * l->entry_size;
	size_t len = (size_t)(end - first) * l->entry_size;
	if (!image_file_cached(l->fd, off, scratch, len)) {
		announce_l2(l, s, first << l->cluster_bits);
		r = layer_pread(l->fd, off, scratch, len, e);
		if (r < 0)
			return r;
	}
	for (uint64_t c = first; (c = skip_empty(l, scratch, first, c, end)) < end; c++)
		put_entry(l, s, c << l->cluster_bits, scratch + (c - first) * l->entry_size);
	return 0;
}

int qcow2_sweep(struct image_layer *l, struct map_sweep *s, uint64_t limit, uint8_t *scratch, struct err *e)
{
	uint64_t from = s->base + ((uint64_t)s->lo << s->bits);
	uint64_t to = min_u64(s->base + ((uint64_t)s->hi << s->bits), limit);
	if (from >= to)
		return 0;
	uint64_t end = ((to - 1) >> l->cluster_bits) + 1;
	for (uint64_t c = from >> l->cluster_bits; c < end;) {
		uint64_t stop = min_u64(end, ((c >> l->l2_bits) + 1) << l->l2_bits);
		int r = sweep_table(l, s, c, stop, scratch, e);
		if (r < 0)
			return r;
		c = stop;
	}
	return 0;
}
