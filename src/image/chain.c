/* A chain of layers as one blk.
 *
 * Where which bytes lie is resolve.c's.
 *
 * Memory of a chain, at most: an L1 window a layer (16 KiB; 16 MiB for 1024 layers), 8 MiB of runs,
 * 64 KiB of cells, 4 KiB for a piece of an L2 table, and, with compressed clusters, 4 MiB of
 * decompressed ones and, for each thread that unpacks, two clusters of input (at least 256 KiB). Nothing of it grows with the virtual size.
 */
#include "decompress.h"
#include "resolve.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char module[] = "image";

enum {
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
	unsigned count;
	struct resolver resolver;
	struct decompress *decompress;  /* NULL without QCOW2 layers */
	struct stream streams[STREAMS];
	uint64_t stream_clock;
};

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
		if (resolve_within_slot(&c->resolver, s->ahead, min_u64(size, end - s->ahead), &next, &ignored) < 0)
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

static int damaged(const struct segment *s, uint64_t off, struct err *e)
{
	return err_set(e, ERR_IMAGE_CORRUPT, "qcow2", "the cluster of guest offset %#" PRIx64 ": %s (%#" PRIx64 ")", off, map_bad_text(s->kind),
	               s->host);
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
		return damaged(s, off, e);
	}
}

static int chain_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct chain *c = (struct chain *)b;
	uint8_t *p = to;
	while (len > 0) {
		struct segment s;
		size_t done = 0;
		int r = resolve(&c->resolver, off, len, &s, e);
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
	int r = resolve(&c->resolver, off, len, &s, e);
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
	resolver_fini(&c->resolver);
	free(c->layers);
	free(c);
}

static const struct blk_ops raw_ops = {
	.name = "raw", .read = chain_read, .extent = chain_extent, .close = chain_close};
static const struct blk_ops qcow2_ops = {
	.name = "qcow2", .read = chain_read, .extent = chain_extent, .close = chain_close};

/* --- sealed chains -------------------------------------------------------------------------------- */

bool image_chain_sealed(struct image_layer *const *layers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (layers[i]->info.encrypted)
			return true;
	return false;
}

static int sealed_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	(void)b;
	(void)off;
	(void)to;
	(void)len;
	return err_set(e, ERR_VOLUME_LOCKED, module, "the image is encrypted (LUKS inside QCOW2); unlock it first");
}

static const struct blk_ops sealed_ops = {.name = "sealed", .read = sealed_read, .close = chain_close};

static int check_sealed(struct image_layer **layers, unsigned count, struct err *e)
{
	if (count > IMAGE_SEALED_LAYERS_MAX)
		return err_set(e, ERR_LIMIT, module, "a chain with an encrypted layer has %u layers, at most %d can be read", count,
		               IMAGE_SEALED_LAYERS_MAX);
	for (unsigned i = 0; i < count; i++)
		if (layers[i]->info.has_data_file)
			return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
			               "layer %u keeps its data in an external file, another layer is encrypted: both together cannot be read", i);
	return 0;
}

struct unsealed {
	struct blk blk;
	struct blk *chain, *source;
};

static int unsealed_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct unsealed *u = (struct unsealed *)b;
	struct chain *c = (struct chain *)u->chain;
	struct segment s;
	for (size_t done = 0; done < len; done += s.len) {
		int r = resolve(&c->resolver, off + done, len - done, &s, e);
		if (r == 0 && s.kind >= MAP_BAD) {
			r = damaged(&s, off + done, e);
			r = c->count > 1 ? err_prefix(e, "layer %u", s.layer) : r;
		}
		if (r < 0)
			return r;
	}
	return blk_read(u->source, off, to, len, e);
}

/* What is damaged is no hole, whatever the source takes it for: it is to be read, and told. */
static int unsealed_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct unsealed *u = (struct unsealed *)b;
	struct segment s;
	int r = resolve(&((struct chain *)u->chain)->resolver, off, len, &s, e);
	if (r < 0)
		return r;
	if (s.kind < MAP_BAD)
		return blk_extent(u->source, off, s.len, ret, e);
	*ret = (struct blk_extent){.kind = BLK_DATA, .len = s.len, .fd = -1};
	return 0;
}

static void unsealed_close(struct blk *b)
{
	struct unsealed *u = (struct unsealed *)b;
	blk_unref(u->source);
	blk_unref(u->chain);
	free(u);
}

static const struct blk_ops unsealed_ops = {
	.name = "unsealed", .read = unsealed_read, .extent = unsealed_extent, .close = unsealed_close};

int image_chain_unseal(struct blk *chain, struct blk *source, struct blk **ret, struct err *e)
{
	if (chain->ops != &sealed_ops || source->size != chain->size)
		return err_set(e, ERR_INVALID, module, "a source of %" PRIu64 " bytes is not what an encrypted chain of %" PRIu64 " bytes needs",
		               source->size, chain->size);
	struct unsealed *u = calloc(1, sizeof(*u));
	if (!u)
		return err_no_memory(e, module);
	blk_init(&u->blk, &unsealed_ops, chain->size);
	u->chain = blk_ref(chain);
	u->source = blk_ref(source);
	*ret = &u->blk;
	return 0;
}

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

static size_t largest_cluster(struct image_layer **layers, unsigned count)
{
	size_t most = 0;
	for (unsigned i = 0; i < count; i++)
		if (layers[i]->info.format != IMAGE_RAW && layers[i]->info.cluster_size > most)
			most = layers[i]->info.cluster_size;
	return most;
}

static int chain_init(struct chain *c, struct image_layer **layers, unsigned count, struct err *e)
{
	const struct blk_ops *ops = layers[0]->info.format == IMAGE_RAW ? &raw_ops : &qcow2_ops;
	blk_init(&c->blk, image_chain_sealed(layers, count) ? &sealed_ops : ops, layers[0]->info.virtual_size);
	c->layers = calloc(count, sizeof(layers[0]));
	if (!c->layers)
		return err_no_memory(e, module);
	memcpy(c->layers, layers, count * sizeof(layers[0]));
	int r = resolver_init(&c->resolver, c->layers, count, e);
	size_t cluster = largest_cluster(layers, count);
	if (r == 0 && cluster > 0)
		r = decompress_new(cluster, &c->decompress, e);
	/* Last: on failure the layers are still the caller's to close. */
	if (r == 0)
		c->count = count;
	return r;
}

/* A foreign layer: its source is the disk. */
static int open_foreign(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	const struct image_layer *l = layers[0];
	int r = 0;
	if (count > 1)
		r = err_set(e, ERR_IMAGE_UNSUPPORTED, module, "only QCOW2 and raw images can be layers of a chain");
	else if (!l->source)
		r = err_set(e, ERR_INVALID, module, "the %s image has no source", image_format_name(l->info.format));
	else
		*ret = blk_ref(l->source);
	for (unsigned i = 0; i < count; i++)
		image_layer_close(layers[i]);
	return r;
}

static bool any_foreign(struct image_layer **layers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (image_format_is_foreign(layers[i]->info.format))
			return true;
	return false;
}

int image_chain_open(struct image_layer **layers, unsigned count, struct blk **ret, struct err *e)
{
	int r;
	struct chain *c = NULL;
	if (count <= IMAGE_LAYERS_MAX && any_foreign(layers, count))
		return open_foreign(layers, count, ret, e);
	if (count == 0 || count > IMAGE_LAYERS_MAX)
		r = err_set(e, ERR_LIMIT, module, "a chain of %u layers; 1 to %d are allowed", count, IMAGE_LAYERS_MAX);
	else
		r = check_layers(layers, count, e);
	if (r == 0 && image_chain_sealed(layers, count))
		r = check_sealed(layers, count, e);
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
