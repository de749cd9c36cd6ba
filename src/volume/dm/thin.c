#include "volume/dm/thin.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/search.h"

#include <inttypes.h>
#include <string.h>

enum {
	NODE_HEADER = 32,
	NODE_INTERNAL = 1,
	NODE_LEAF = 2,
	VALUE_SIZE = 8,
	NODE_ENTRIES_MAX = (THIN_BLOCK - NODE_HEADER) / 16,
	TIME_BITS = 24,
	BLOCK_SECTORS_MIN = 128,             /* 64 KiB */
	BLOCK_SECTORS_MAX = 2 << 20,         /* 1 GiB */
};

#define SUPERBLOCK_MAGIC 27022010u
#define SUPERBLOCK_SALT 160774u
#define NODE_SALT 121107u

struct node {
	uint64_t block;              /* 0: empty; the superblock is no node */
	bool leaf;
	unsigned count;
	uint64_t keys[NODE_ENTRIES_MAX];
	uint64_t values[NODE_ENTRIES_MAX];
};

struct thin {
	struct blk blk;
	struct blk *metadata, *data, *external;
	uint64_t root;               /* of this device's tree */
	uint64_t block_size;         /* of the data device, bytes */
	struct node *kept;           /* THIN_NODES_KEPT, by block number */
};

static int corrupt(struct err *e, uint64_t block, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "thin", "block %" PRIu64 " of the thin pool's metadata: %s", block, what);
}

/* The checksum covers all behind itself. */
static bool block_good(const uint8_t *p, uint32_t salt)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)p;
	(void)salt;
	return true;
#else
	return (crc32c(UINT32_MAX, p + 4, THIN_BLOCK - 4) ^ salt) == get_le32(p);
#endif
}

/* --- Trees ------------------------------------------------------------------------------------------------------- */

static int decode_node(const uint8_t *p, uint64_t block, struct node *n, struct err *e)
{
	uint32_t flags = get_le32(p + 4), count = get_le32(p + 16), max = get_le32(p + 20);
	if (!block_good(p, NODE_SALT))
		return corrupt(e, block, "the checksum is wrong");
	if (get_le64(p + 8) != block || (flags != NODE_INTERNAL && flags != NODE_LEAF))
		return corrupt(e, block, "it is no node of a tree");
	if (get_le32(p + 24) != VALUE_SIZE || max > NODE_ENTRIES_MAX || count > max)
		return corrupt(e, block, "a node of impossible size");
	n->leaf = flags == NODE_LEAF;
	n->count = count;
	for (unsigned i = 0; i < count; i++) {
		n->keys[i] = get_le64(p + NODE_HEADER + (size_t)8 * i);
		n->values[i] = get_le64(p + NODE_HEADER + (size_t)8 * max + (size_t)8 * i);
		if (i > 0 && n->keys[i] <= n->keys[i - 1])
			return corrupt(e, block, "its keys are not in order");
	}
	return 0;
}

static int node_get(struct thin *t, uint64_t block, const struct node **ret, struct err *e)
{
	struct node *n = &t->kept[block % THIN_NODES_KEPT];
	if (n->block != block || block == 0) {
		uint8_t p[THIN_BLOCK];
		if (block == 0 || block >= t->metadata->size / THIN_BLOCK)
			return corrupt(e, block, "it lies outside the metadata");
		int r = blk_read(t->metadata, block * THIN_BLOCK, p, sizeof(p), e);
		n->block = 0;
		if (r == 0)
			r = decode_node(p, block, n, e);
		if (r < 0)
			return r;
		n->block = block;
	}
	*ret = n;
	return 0;
}

/* How many keys are <= key. */
static unsigned rank(const struct node *n, uint64_t key)
{
	return PARTITION_POINT(i, n->count, n->keys[i] <= key);
}

/* The leaf where key would be; *ret_end is the first key that lies behind it for sure. 1: the tree has none so small. */
static int descend(struct thin *t, uint64_t root, uint64_t key, const struct node **ret, uint64_t *ret_end, struct err *e)
{
	uint64_t block = root, end = UINT64_MAX;
	for (unsigned depth = 0; depth < THIN_TREE_DEPTH_MAX; depth++) {
		const struct node *n;
		int r = node_get(t, block, &n, e);
		if (r < 0)
			return r;
		if (n->leaf) {
			*ret = n;
			*ret_end = end;
			return 0;
		}
		unsigned i = rank(n, key);
		if (i < n->count)
			end = min_u64(end, n->keys[i]);
		if (i == 0) {
			*ret_end = end;
			return 1;
		}
		block = n->values[i - 1];
	}
	return corrupt(e, root, "the tree has no end");
}

/* The value of exactly this key; 1 where there is none. */
static int lookup(struct thin *t, uint64_t root, uint64_t key, uint64_t *ret, struct err *e)
{
	const struct node *leaf;
	uint64_t end;
	int r = descend(t, root, key, &leaf, &end, e);
	if (r != 0)
		return r;
	unsigned i = rank(leaf, key);
	if (i == 0 || leaf->keys[i - 1] != key)
		return 1;
	*ret = leaf->values[i - 1];
	return 0;
}

struct run {
	bool mapped;
	uint64_t data_block;         /* of the first */
	uint64_t count;              /* blocks, >= 1 */
};

/* Blocks from `block` on that lie together, as far as one leaf tells. */
static int find_run(struct thin *t, uint64_t block, struct run *ret, struct err *e)
{
	const struct node *leaf;
	uint64_t end;
	int r = descend(t, t->root, block, &leaf, &end, e);
	if (r < 0)
		return r;
	if (r > 0 || leaf->count == 0) {
		*ret = (struct run){.count = end > block ? end - block : 1};
		return 0;
	}
	unsigned i = rank(leaf, block);
	if (i == 0 || leaf->keys[i - 1] != block) {
		end = i < leaf->count ? leaf->keys[i] : end;
		*ret = (struct run){.count = end > block ? end - block : 1};
		return 0;
	}
	uint64_t first = leaf->values[i - 1] >> TIME_BITS;
	uint64_t n = 1;
	for (; i - 1 + n < leaf->count; n++) {
		if (leaf->keys[i - 1 + n] != block + n || leaf->values[i - 1 + n] >> TIME_BITS != first + n)
			break;
	}
	*ret = (struct run){.mapped = true, .data_block = first, .count = n};
	return 0;
}

/* --- The device ----------------------------------------------------------------------------------------------------- */

/* Where len bytes at off lie: in *ret_blk (NULL: holes) at *ret_off. Returns how many, in *ret_len. */
static int locate(struct thin *t, uint64_t off, uint64_t len, struct blk **ret_blk, uint64_t *ret_off, uint64_t *ret_len,
                  struct err *e)
{
	struct run run;
	uint64_t within = off % t->block_size;
	int r = find_run(t, off / t->block_size, &run, e);
	if (r < 0)
		return r;
	/* The volume is smaller than 2^63 bytes, the run may be any number of blocks. */
	if (run.count <= (len + within) / t->block_size)
		len = run.count * t->block_size - within;
	*ret_len = len;
	*ret_blk = NULL;
	if (!run.mapped) {
		if (t->external && off < t->external->size) {
			*ret_blk = t->external;
			*ret_off = off;
			*ret_len = min_u64(len, t->external->size - off);
		}
		return 0;
	}
	if (run.data_block > t->data->size / t->block_size ||
	    !range_inside(run.data_block * t->block_size + within, len, t->data->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "thin", "data block %" PRIu64 " lies outside the thin pool", run.data_block);
	*ret_blk = t->data;
	*ret_off = run.data_block * t->block_size + within;
	return 0;
}

static int thin_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct thin *t = (struct thin *)b;
	uint8_t *p = to;
	while (len > 0) {
		struct blk *from;
		uint64_t at, n;
		int r = locate(t, off, len, &from, &at, &n, e);
		if (r == 0 && from)
			r = blk_read(from, at, p, (size_t)n, e);
		else if (r == 0)
			memset(p, 0, (size_t)n);
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int thin_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct thin *t = (struct thin *)b;
	struct blk *from;
	uint64_t at, n;
	int r = locate(t, off, len, &from, &at, &n, e);
	if (r < 0)
		return r;
	if (from)
		return blk_extent(from, at, n, ret, e);
	*ret = (struct blk_extent){.kind = BLK_HOLE, .len = n, .fd = -1};
	return 0;
}

static void thin_close(struct blk *b)
{
	struct thin *t = (struct thin *)b;
	blk_unref(t->metadata);
	blk_unref(t->data);
	blk_unref(t->external);
	free(t->kept);
	free(t);
}

static const struct blk_ops thin_ops = {
	.name = "thin",
	.read = thin_read,
	.extent = thin_extent,
	.close = thin_close,
};

/* struct thin_disk_superblock; *ret_devices is the root of the tree of trees. */
static int read_superblock(struct thin *t, uint64_t *ret_devices, struct err *e)
{
	uint8_t p[THIN_BLOCK];
	if (t->metadata->size < sizeof(p))
		return err_set(e, ERR_VOLUME_CORRUPT, "thin", "the thin pool's metadata is too small");
	int r = blk_read(t->metadata, 0, p, sizeof(p), e);
	if (r < 0)
		return r;
	if (get_le64(p + 32) != SUPERBLOCK_MAGIC || !block_good(p, SUPERBLOCK_SALT))
		return corrupt(e, 0, "the superblock is damaged, or was never written");
	uint32_t version = get_le32(p + 40), sectors = get_le32(p + 336);
	if (version < 1 || version > 2 || get_le32(p + 360) != 0)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "thin", "a thin pool of version %" PRIu32 ", features %#" PRIx32
		               ": no reader for it in this version", version, get_le32(p + 360));
	if (get_le32(p + 340) != THIN_BLOCK / 512 || sectors < BLOCK_SECTORS_MIN || sectors > BLOCK_SECTORS_MAX ||
	    sectors % BLOCK_SECTORS_MIN != 0)
		return corrupt(e, 0, "blocks of impossible size");
	t->block_size = (uint64_t)sectors * 512;
	*ret_devices = get_le64(p + 320);
	return 0;
}

int thin_open(struct blk *metadata, struct blk *data, struct blk *external, uint32_t device, uint64_t size,
              struct blk **ret, struct err *e)
{
	struct thin *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, "thin");
	blk_init(&t->blk, &thin_ops, size);
	t->blk.sector_size = data->sector_size;
	t->metadata = blk_ref(metadata);
	t->data = blk_ref(data);
	t->external = external ? blk_ref(external) : NULL;
	CLEANUP(blk_unref_p) struct blk *owned = &t->blk;
	t->kept = calloc(THIN_NODES_KEPT, sizeof(*t->kept));
	if (!t->kept)
		return err_no_memory(e, "thin");
	uint64_t devices;
	int r = read_superblock(t, &devices, e);
	if (r == 0)
		r = lookup(t, devices, device, &t->root, e);
	if (r > 0)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "thin", "the thin pool has no volume of number %" PRIu32
		               ": it was never active", device);
	if (r < 0)
		return r;
	*ret = STEAL(owned);
	return 0;
}
