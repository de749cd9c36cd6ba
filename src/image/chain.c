/* A chain of layers as one blk.
 *
 *	guest offset ─▶ slot (512 granules) ─▶ run ─▶ layer + host offset ─▶ pread
 *	                  │ not cached
 *	                  ▼
 *	     layer 0 (newest)  ░░██░░░░▒▒░░     what each layer's L2 tables say:
 *	     layer 1           ░░░░██░░░░░░     █ data  ▒ zero  ░ nothing, look below
 *	     layer 2 (oldest)  ████████░░░░
 *	                       ────────────
 *	     cells             22001122▒▒__     resolved top-down, once; _ hole
 *	     runs              └┴─┴─┴──┴─┴─     folded; cached, least recently used slot dropped first
 *
 * A lookup in a cached slot costs one binary search, however long the chain. Building a slot costs one
 * pread for each layer that has an L2 table there; a layer whose L1 entry is 0 costs none, and where all
 * are 0 the slot is a hole without a look at any table.
 *
 * Layers differ in size. What lies behind the end of a layer reads as zeroes, even where an older layer
 * has data there: visible[i] is the smallest size among layers 0 … i, and a run of layer i is cut at it.
 * The first byte behind it may lie within a granule, so the cut is made at lookup, not in the cells.
 * In the same place a run is cut at the end of its file: the last cluster of a file may be short.
 *
 * Memory of a chain, at most: an L1 window a layer (16 KiB; 16 MiB for 1024 layers), 8 MiB of runs,
 * 8 KiB of cells, 4 KiB for a piece of an L2 table, and, with compressed clusters, 4 MiB of
 * decompressed ones and, for each thread that unpacks, two clusters of input (at least 256 KiB). Nothing of it grows with the virtual size.
 */
#include "decompress.h"
#include "map.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char module[] = "image";

enum {
	GRANULE_BITS_RAW = 16,          /* of a chain of raw layers alone */
	SEGMENT_JOINS_MAX = 64,         /* slots looked at to find the end of one segment */
	STREAMS = 8,                    /* sequential readers of compressed clusters told apart */
};

/* Somebody who reads compressed clusters in the order of the guest. */
struct stream {
	uint64_t next;                  /* where its next cluster starts; 0: unused */
	uint64_t ahead;                 /* up to here clusters were asked ahead */
	uint64_t used;
	unsigned depth;                 /* clusters asked ahead, doubled with each one read */
};

struct chain {
	struct blk blk;
	struct image_layer **layers;
	uint64_t *visible;
	unsigned count;
	unsigned granule_bits;
	unsigned slot_bits;             /* log2 of a slot's bytes */
	bool plain;                     /* one raw layer: no map needed */
	struct map_cell *cells;
	uint8_t *scratch;
	struct decompress *decompress;  /* NULL without QCOW2 layers */
	struct stream streams[STREAMS];
	uint64_t stream_clock;
	struct map_cache cache;
};

/* A stretch of the guest of one kind. */
struct segment {
	enum map_kind kind;
	unsigned layer;
	uint64_t host;
	uint64_t len;
};

/* --- lookup --------------------------------------------------------------------------------------- */

/* Where the hole at off ends, as far as L1 tables tell; 0 when it ends before `need`. */
static int hole_end(struct chain *c, uint64_t off, uint64_t need, uint64_t *ret, struct err *e)
{
	uint64_t end = UINT64_MAX;
	for (unsigned i = 0; i < c->count && off < c->visible[i] && end >= need; i++) {
		struct image_layer *l = c->layers[i];
		uint64_t here = off;
		if (l->info.format == IMAGE_QCOW2) {
			int r = qcow2_hole_end(l, off, end, &here, e);
			if (r < 0)
				return err_prefix(e, "layer %u", i);
		}
		end = min_u64(end, here);
	}
	*ret = end < need ? 0 : end;
	return 0;
}

static unsigned slot_granules(const struct chain *c)
{
	return 1u << (c->slot_bits - c->granule_bits);
}

static int build_slot(struct chain *c, uint64_t index, struct map_slot **ret, struct err *e)
{
	uint64_t base = index << c->slot_bits;
	unsigned granules = slot_granules(c);
	uint64_t left = (c->blk.size - base - 1) >> c->granule_bits;
	unsigned count = left < granules ? (unsigned)left + 1 : granules;
	uint64_t granule = UINT64_C(1) << c->granule_bits;
	struct map_sweep s = {.cells = c->cells,
	                      .base = base,
	                      .end = base + ((uint64_t)count << c->granule_bits),
	                      .bits = c->granule_bits,
	                      .hi = count};
	memset(c->cells, 0, count * sizeof(c->cells[0]));
	for (unsigned i = 0; i < c->count && map_sweep_narrow(&s); i++) {
		struct image_layer *l = c->layers[i];
		s.layer = i;
		/* The granule in which the view ends still belongs to the layers; lookups cut it. */
		uint64_t limit = (c->visible[i] + granule - 1) & -granule;
		map_sweep_put(&s, limit > base ? limit : base, s.end, MAP_HOLE, 0);
		if (l->info.format == IMAGE_RAW)
			map_sweep_put(&s, base, s.end, MAP_DATA, base);
		else if (limit > base) {
			int r = qcow2_sweep(l, &s, limit, c->scratch, e);
			if (r < 0)
				return err_prefix(e, "layer %u", i);
		}
	}
	map_sweep_put(&s, base, s.end, MAP_HOLE, 0);
	*ret = map_cache_add(&c->cache, index, &s, count);
	return *ret ? 0 : err_no_memory(e, module);
}

/* The slot, cached or resolved now. Where no layer has an L2 table there, it is one hole, and *ret_hole_end says
 * how far that goes on behind it (0: not known). */
static int get_slot(struct chain *c, uint64_t index, struct map_slot **ret, uint64_t *ret_hole_end, struct err *e)
{
	*ret_hole_end = 0;
	*ret = map_cache_find(&c->cache, index);
	if (*ret)
		return 0;
	uint64_t base = index << c->slot_bits;
	int r = hole_end(c, base, min_u64(c->blk.size, base + (UINT64_C(1) << c->slot_bits)), ret_hole_end, e);
	if (r < 0)
		return r;
	if (*ret_hole_end == 0)
		return build_slot(c, index, ret, e);
	struct map_cell hole = {.kind = MAP_HOLE};
	*ret = map_cache_add(&c->cache, index, &(struct map_sweep){.cells = &hole}, 1);
	return *ret ? 0 : err_no_memory(e, module);
}

/* Cuts a run at the end of what is visible of its layer, and of its file. */
static void cut(const struct chain *c, uint64_t off, struct segment *s)
{
	if (s->kind == MAP_HOLE || s->kind == MAP_ZERO)
		return;
	uint64_t visible = c->visible[s->layer];
	if (off >= visible) {
		s->kind = MAP_HOLE;
		return;
	}
	s->len = min_u64(s->len, visible - off);
	if (s->kind != MAP_DATA)
		return;
	uint64_t size = c->layers[s->layer]->data_size;
	if (s->host >= size)
		s->kind = MAP_ZERO;
	else
		s->len = min_u64(s->len, size - s->host);
}

/* The segment at off as one slot knows it. */
static int lookup(struct chain *c, uint64_t off, uint64_t len, struct segment *ret, struct err *e)
{
	if (c->plain) {
		*ret = (struct segment){.kind = MAP_DATA, .host = off, .len = len};
		return 0;
	}
	uint64_t index = off >> c->slot_bits, base = index << c->slot_bits, hole;
	struct map_slot *slot;
	int r = get_slot(c, index, &slot, &hole, e);
	if (r < 0)
		return r;
	if (hole > off) {
		*ret = (struct segment){.kind = MAP_HOLE, .len = min_u64(len, hole - off)};
		return 0;
	}
	unsigned granule = (unsigned)((off - base) >> c->granule_bits);
	unsigned n = map_slot_run(slot, granule);
	const struct map_run *run = &slot->runs[n];
	uint64_t start = base + ((uint64_t)run->first << c->granule_bits);
	unsigned next = n + 1 < slot->count ? slot->runs[n + 1].first : slot_granules(c);
	uint64_t end = base + ((uint64_t)next << c->granule_bits);
	*ret = (struct segment){
		.kind = run->kind, .layer = run->layer, .host = run->host, .len = min_u64(len, end - off)};
	if (run->kind == MAP_DATA)
		ret->host += off - start;
	cut(c, off, ret);
	return 0;
}

static bool joins(const struct segment *a, const struct segment *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == MAP_DATA)
		return a->layer == b->layer && b->host == a->host + a->len;
	return a->kind == MAP_HOLE || a->kind == MAP_ZERO;
}

/* The segment at off, joined across slots as far as it goes on without a break. */
static int segment_at(struct chain *c, uint64_t off, uint64_t len, struct segment *ret, struct err *e)
{
	struct segment s;
	int r = lookup(c, off, len, &s, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < SEGMENT_JOINS_MAX && s.len < len; i++) {
		/* A table that cannot be read is told to whoever asks for what it covers. */
		struct err later = ERR_INIT;
		struct segment next;
		if (lookup(c, off + s.len, len - s.len, &next, &later) < 0 || !joins(&s, &next))
			break;
		s.len += next.len;
	}
	*ret = s;
	return 0;
}

/* --- blk ------------------------------------------------------------------------------------------ */

/* The stream that goes on at this cluster, or comes by it within what was asked ahead; else the least recently used one,
 * begun anew. NULL where the stream is at this cluster already. */
static struct stream *stream_at(struct chain *c, uint64_t start, uint64_t size)
{
	struct stream *old = &c->streams[0];
	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *s = &c->streams[i];
		if (s->next == start + size)
			return NULL;
		if (s->next != 0 && start >= s->next && start < s->next + size * DECOMPRESS_AHEAD_MAX) {
			s->depth = s->depth ? s->depth * 2 : 1;
			s->next = start + size;
			return s;
		}
		if (s->used < old->used)
			old = s;
	}
	*old = (struct stream){.next = start + size};
	return old;
}

/* A cluster at `start` is being read: has the next ones unpacked meanwhile, where that is what will be asked for. Files of a
 * folder mostly lie behind each other, so it pays for many small ones too. */
static void read_ahead(struct chain *c, uint64_t start, uint64_t size)
{
	unsigned most = decompress_ahead_max(c->decompress);
	struct stream *s = most ? stream_at(c, start, size) : NULL;
	if (!s)
		return;
	s->used = ++c->stream_clock;
	if (s->depth > most)
		s->depth = most;
	if (s->ahead < s->next)
		s->ahead = s->next;
	uint64_t end = min_u64(s->next + s->depth * size, c->blk.size);
	while (s->ahead < end) {
		struct err ignored = ERR_INIT;
		struct segment next;
		if (lookup(c, s->ahead, min_u64(size, end - s->ahead), &next, &ignored) < 0)
			return;
		if (next.kind == MAP_COMPRESSED)
			decompress_ahead(c->decompress, c->layers[next.layer], next.layer, next.host);
		s->ahead = (s->ahead + next.len + size - 1) & -size;
	}
}

/* Part of a compressed cluster, at most to its end; *done bytes of it. */
static int read_compressed(struct chain *c, const struct segment *s, uint64_t off, uint8_t *to, size_t *done,
                           struct err *e)
{
	const struct image_layer *l = c->layers[s->layer];
	size_t skip = off & (l->info.cluster_size - 1);
	*done = min_size(s->len, l->info.cluster_size - skip);
	read_ahead(c, off - skip, l->info.cluster_size);
	return decompress_read(c->decompress, l, s->layer, s->host, skip, to, *done, e);
}

static int read_segment(struct chain *c, const struct segment *s, uint64_t off, uint8_t *to, size_t *done,
                        struct err *e)
{
	*done = (size_t)s->len;
	switch (s->kind) {
	case MAP_HOLE:
	case MAP_ZERO:
		memset(to, 0, *done);
		return 0;
	case MAP_DATA:
		return layer_pread(c->layers[s->layer]->data_fd, s->host, to, *done, e);
	case MAP_COMPRESSED:
		return read_compressed(c, s, off, to, done, e);
	default:
		return err_set(e, ERR_IMAGE_CORRUPT, "qcow2",
		               "the cluster of guest offset %#" PRIx64 ": %s (%#" PRIx64 ")", off, map_bad_text(s->kind), s->host);
	}
}

static int chain_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct chain *c = (struct chain *)b;
	uint8_t *p = to;
	while (len > 0) {
		struct segment s;
		size_t done = 0;
		int r = segment_at(c, off, len, &s, e);
		if (r < 0)
			return r;
		r = read_segment(c, &s, off, p, &done, e);
		if (r < 0)
			return c->count > 1 ? err_prefix(e, "layer %u", s.layer) : r;
		p += done;
		off += done;
		len -= done;
	}
	return 0;
}

static int chain_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct chain *c = (struct chain *)b;
	struct segment s;
	int r = segment_at(c, off, len, &s, e);
	if (r < 0)
		return r;
	*ret = (struct blk_extent){.kind = BLK_DATA, .len = s.len, .fd = -1};
	if (s.kind == MAP_HOLE)
		ret->kind = BLK_HOLE;
	else if (s.kind == MAP_ZERO)
		ret->kind = BLK_ZERO;
	if (s.kind == MAP_DATA) {
		ret->fd = c->layers[s.layer]->data_fd;
		ret->host_off = s.host;
	}
	return 0;
}

static void chain_close(struct blk *b)
{
	struct chain *c = (struct chain *)b;
	/* First: its threads may still read ahead out of the layers. */
	decompress_free(c->decompress);
	for (unsigned i = 0; c->layers && i < c->count; i++)
		image_layer_close(c->layers[i]);
	map_cache_clear(&c->cache);
	free(c->layers);
	free(c->visible);
	free(c->cells);
	free(c->scratch);
	free(c);
}

static const struct blk_ops raw_ops = {
	.name = "raw", .read = chain_read, .extent = chain_extent, .close = chain_close};
static const struct blk_ops qcow2_ops = {
	.name = "qcow2", .read = chain_read, .extent = chain_extent, .close = chain_close};

/* --- open ----------------------------------------------------------------------------------------- */

static int check_layers(struct image_layer **layers, unsigned count, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		const struct image_layer *l = layers[i];
		bool backed = l->info.backing_name[0] != '\0';
		if (l->data_fd < 0)
			return err_set(e, ERR_IMAGE_LAYER_MISSING, module, "layer %u needs its external data file", i);
		if (i + 1 < count && !backed)
			return err_set(e, ERR_INVALID, module, "layer %u of %u names no backing file", i, count);
		if (i + 1 == count && backed)
			return err_set(e, ERR_IMAGE_LAYER_MISSING, module, "the backing file of layer %u is missing", i);
		for (unsigned j = 0; j < i; j++)
			if (layers[j]->dev == l->dev && layers[j]->ino == l->ino)
				return err_set(e, ERR_IMAGE_CORRUPT, module,
				               "layers %u and %u are the same file: the chain leads back to itself", j, i);
	}
	return 0;
}

/* log2 of the smallest unit any layer maps; the largest unit goes to *ret_cluster_max. */
static unsigned granule_bits(struct image_layer **layers, unsigned count, size_t *ret_cluster_max)
{
	unsigned bits = 0;
	size_t cluster_max = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct image_layer *l = layers[i];
		if (l->info.format == IMAGE_RAW)
			continue;
		unsigned own = l->cluster_bits - (l->info.extended_l2 ? 5 : 0);
		if (bits == 0 || own < bits)
			bits = own;
		if (l->info.cluster_size > cluster_max)
			cluster_max = l->info.cluster_size;
	}
	*ret_cluster_max = cluster_max;
	return bits ? bits : GRANULE_BITS_RAW;
}

static unsigned slot_bits(unsigned granule_bits)
{
	if (granule_bits + MAP_SLOT_GRANULE_BITS_MIN > MAP_SLOT_BITS)
		return granule_bits + MAP_SLOT_GRANULE_BITS_MIN;
	if (granule_bits + MAP_SLOT_GRANULE_BITS_MAX < MAP_SLOT_BITS)
		return granule_bits + MAP_SLOT_GRANULE_BITS_MAX;
	return MAP_SLOT_BITS;
}

static int chain_init(struct chain *c, struct image_layer **layers, unsigned count, struct err *e)
{
	size_t cluster_max = 0;
	blk_init(&c->blk, layers[0]->info.format == IMAGE_RAW ? &raw_ops : &qcow2_ops, layers[0]->info.virtual_size);
	c->granule_bits = granule_bits(layers, count, &cluster_max);
	c->slot_bits = slot_bits(c->granule_bits);
	c->plain = count == 1 && cluster_max == 0;
	c->layers = calloc(count, sizeof(layers[0]));
	c->visible = calloc(count, sizeof(c->visible[0]));
	c->cells = malloc(MAP_SLOT_GRANULES_MAX * sizeof(c->cells[0]));
	c->scratch = malloc(QCOW2_SCRATCH_BYTES);
	if (!c->layers || !c->visible || !c->cells || !c->scratch)
		return err_no_memory(e, module);
	if (cluster_max > 0) {
		int r = decompress_new(cluster_max, &c->decompress, e);
		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < count; i++) {
		uint64_t size = layers[i]->info.virtual_size;
		c->visible[i] = i == 0 ? size : min_u64(size, c->visible[i - 1]);
	}
	/* Last, so that on failure the layers are still the caller's to close. */
	memcpy(c->layers, layers, count * sizeof(layers[0]));
	c->count = count;
	return 0;
}

/* A foreign layer: its source is the disk. */
static int open_foreign(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	const struct image_layer *l = layers[0];
	if (count > 1)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "only QCOW2 and raw images can be layers of a chain");
	if (!l->source)
		return err_set(e, ERR_INVALID, module, "the %s image has no source", image_format_name(l->info.format));
	*ret = blk_ref(l->source);
	return 0;
}

static bool any_foreign(struct image_layer **layers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (image_format_is_foreign(layers[i]->info.format))
			return true;
	return false;
}

/* --- sealed chains -------------------------------------------------------------------------------- */

static int sealed_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)b;
	(void)off;
	(void)to;
	(void)len;
	return err_set(e, ERR_VOLUME_LOCKED, module, "the image is encrypted (LUKS inside QCOW2); unlock it first");
}

static void sealed_close(struct blk *b)
{
	free(b);
}

static const struct blk_ops sealed_ops = {.name = "sealed", .read = sealed_read, .close = sealed_close};

bool image_chain_sealed(struct image_layer *const *layers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (layers[i]->info.encrypted)
			return true;
	return false;
}

static int open_sealed(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	if (count > IMAGE_SEALED_LAYERS_MAX)
		return err_set(e, ERR_LIMIT, module, "a chain with an encrypted layer has %u layers, at most %d can be read", count,
		               IMAGE_SEALED_LAYERS_MAX);
	int r = check_layers(layers, count, e);
	for (unsigned i = 0; r == 0 && i < count; i++)
		if (layers[i]->info.has_data_file)
			r = err_set(e, ERR_IMAGE_UNSUPPORTED, module,
			            "layer %u keeps its data in an external file, another layer is encrypted: both together cannot be read", i);
	if (r < 0)
		return r;
	struct blk *b = calloc(1, sizeof(*b));
	if (!b)
		return err_no_memory(e, module);
	blk_init(b, &sealed_ops, layers[0]->info.virtual_size);
	*ret = b;
	return 0;
}

/* What is no chain of ours to map. */
static int open_others(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	int r = any_foreign(layers, count) ? open_foreign(layers, count, ret, e) : open_sealed(layers, count, ret, e);
	for (unsigned i = 0; i < count; i++)
		image_layer_close(layers[i]);
	return r;
}

int image_chain_open(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	int r;
	if (count <= IMAGE_LAYERS_MAX && (any_foreign(layers, count) || image_chain_sealed(layers, count)))
		return open_others(layers, count, ret, e);
	struct chain *c = NULL;
	if (count == 0 || count > IMAGE_LAYERS_MAX)
		r = err_set(e, ERR_LIMIT, module, "a chain of %u layers; 1 to %d are allowed", count, IMAGE_LAYERS_MAX);
	else
		r = check_layers(layers, count, e);
	if (r == 0) {
		c = calloc(1, sizeof(*c));
		r = c ? chain_init(c, layers, count, e) : err_no_memory(e, module);
	}
	if (r < 0) {
		for (unsigned i = 0; i < count; i++)
			image_layer_close(layers[i]);
		if (c)
			chain_close(&c->blk);
		return r;
	}
	*ret = &c->blk;
	return 0;
}
