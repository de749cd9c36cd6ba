/* Encrypt on write: while Windows 8 and later encrypt the used space of a volume for the first time, maps say which parts are
 * encrypted already. A descriptor (two copies) names the maps, one a region; each has two records with a bit a chunk, of
 * which the one with the higher sequence number counts. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"
#include "base/search.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	DESCRIPTOR_HEAD = 56,
	DESCRIPTOR_MAX = 64 << 10,
	MAP_HEAD = 60,
	MAP_MAX = 4096,              /* before the first record */
	RECORD_HEAD = 36,
	RECORD_MAX = 64 << 10,
	BITS_BYTES_MAX = 8 << 20,    /* of all regions */
	CHUNK_MAX = 1 << 30,
	ZEROES_A_MAP = 2,
};

static int corrupt(struct err *e)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "bitlocker",
	               "its encryption was under way, and the maps of what is encrypted already are damaged");
}

/* The CRC-32 of all, the four bytes it stands in taken as zero. */
static bool checked(const uint8_t *p, size_t len, size_t field)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)p;
	return field < len;
#else
	static const uint8_t zero[4];
	uLong c = crc32(0, p, (uInt)field);
	c = crc32(c, zero, sizeof(zero));
	c = crc32(c, p + field + 4, (uInt)(len - field - 4));
	return c == get_le32(p + field);
#endif
}

/* 1: read; 0: it does not lie in the volume. */
static int read_at(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	if (!range_inside(off, len, b->size))
		return 0;
	int r = blk_read(b, off, to, len, e);
	return r < 0 ? r : 1;
}

static void add_zero(struct bitlocker_eow *w, uint32_t sector, uint64_t off, uint64_t len)
{
	if (off != 0 && off % sector == 0 && len != 0 && len <= UINT32_MAX)
		w->zeroes[w->zero_count++] = (struct bitlocker_range){.off = off, .len = (len + sector - 1) / sector * sector};
}

/* --- records and maps ----------------------------------------------------------------------------- */

struct record {
	uint64_t sequence;
	uint32_t bits;
	const uint8_t *p;            /* NULL: none yet */
};

static bool take_record(const uint8_t *p, size_t size, uint32_t bits_min, struct record *best)
{
	if (memcmp(p, "FVE-EOWBR", 10) != 0 || get_le16(p + 10) != RECORD_HEAD || get_le32(p + 12) != size ||
	    !checked(p, size, 32))
		return false;
	struct record r = {.bits = get_le32(p + 16), .sequence = get_le64(p + 20), .p = p + RECORD_HEAD};
	if (r.bits < bits_min || (size - RECORD_HEAD) * 8 < r.bits || (best->p && best->sequence >= r.sequence))
		return false;
	*best = r;
	return true;
}

/* Both records; the bits of the one that counts go to `to`, at least (bits + 7) / 8 bytes. */
static int read_bits(struct blk *b, uint64_t map, const uint8_t *head, uint32_t bits, uint8_t *to, struct err *e)
{
	size_t size = get_le32(head + 52);
	if (size < RECORD_HEAD || size > RECORD_MAX)
		return corrupt(e);
	CLEANUP(free_ptr) uint8_t *both = malloc(2 * size);
	if (!both)
		return err_no_memory(e, "bitlocker");
	struct record best = {0};
	for (unsigned i = 0; i < 2; i++) {
		uint64_t off;
		int r = u64_add(map, get_le32(head + 44 + 4 * i), &off) ? read_at(b, off, both + i * size, size, e) : 0;
		if (r < 0)
			return r;
		if (r > 0)
			(void)take_record(both + i * size, size, bits, &best);
	}
	if (!best.p)
		return corrupt(e);
	memcpy(to, best.p, (bits + 7) / 8);
	return 0;
}

static int read_map(struct blk *b, const struct bitlocker_meta *m, struct bitlocker_eow *w, uint64_t map, uint32_t log_len,
                    size_t *used, struct err *e)
{
	uint8_t head[MAP_MAX];
	int r = read_at(b, map, head, MAP_HEAD, e);
	size_t len = r > 0 ? get_le32(head + 44) : 0;
	if (r > 0 && len >= MAP_HEAD && len <= sizeof(head))
		r = read_at(b, map, head, len, e);
	if (r < 0)
		return r;
	if (len < MAP_HEAD || len > sizeof(head) || r == 0 || memcmp(head, "FVE-EOWBM", 10) != 0 ||
	    get_le16(head + 10) != MAP_HEAD || !checked(head, len, 56))
		return corrupt(e);
	struct bitlocker_region *last = w->count > 0 ? &w->regions[w->count - 1] : NULL;
	struct bitlocker_region n = {.off = get_le64(head + 20), .len = get_le64(head + 28)};
	uint64_t end;
	if (n.len == 0 || n.len % m->sector_size != 0 || n.off % m->sector_size != 0 || !u64_add(n.off, n.len, &end) || n.len > w->chunk * UINT32_MAX ||
	    (last && n.off < last->off + last->len))
		return corrupt(e);
	uint64_t bits = (n.len - 1) / w->chunk + 1;
	if ((bits + 7) / 8 > BITS_BYTES_MAX - *used)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "bitlocker", "the maps of what is encrypted are larger than %d bytes", BITS_BYTES_MAX);
	r = read_bits(b, map, head, (uint32_t)bits, w->bits + *used, e);
	if (r < 0)
		return r;
	n.bits = w->bits + *used;
	*used += (size_t)(bits + 7) / 8;
	w->regions[w->count++] = n;
	add_zero(w, m->sector_size, map, get_le32(head + 12));
	add_zero(w, m->sector_size, get_le64(head + 36), log_len);
	return 0;
}

/* --- descriptor ----------------------------------------------------------------------------------- */

/* 1: a good one is in `p`. */
static int read_descriptor(struct blk *b, uint64_t off, uint8_t p[DESCRIPTOR_MAX], struct err *e)
{
	int r = off != 0 ? read_at(b, off, p, DESCRIPTOR_HEAD, e) : 0;
	if (r <= 0 || memcmp(p, "FVE-EOW", 8) != 0 || get_le16(p + 8) != DESCRIPTOR_HEAD)
		return r < 0 ? r : 0;
	size_t size = get_le16(p + 10);
	if (size < DESCRIPTOR_HEAD)
		return 0;
	r = read_at(b, off, p, size, e);
	return r <= 0 ? r : checked(p, size, 36) && get_le32(p + 32) <= (size - DESCRIPTOR_HEAD) / 8;
}

static int read_maps(struct blk *b, const struct bitlocker_meta *m, const uint8_t *p, struct bitlocker_eow *w, struct err *e)
{
	uint32_t count = get_le32(p + 32);
	size_t used = 0;
	w->chunk = get_le32(p + 20);
	if (w->chunk == 0 || w->chunk > CHUNK_MAX || w->chunk % m->sector_size != 0)
		return corrupt(e);
	w->regions = calloc(count + 1, sizeof(*w->regions));
	w->zeroes = calloc((size_t)ZEROES_A_MAP * count + 2, sizeof(*w->zeroes));
	w->bits = malloc(BITS_BYTES_MAX);    /* pages that are not used are never touched */
	if (!w->regions || !w->zeroes || !w->bits)
		return err_no_memory(e, "bitlocker");
	for (unsigned i = 0; i < 2; i++)
		add_zero(w, m->sector_size, m->eow_off[i], get_le16(p + 10));
	int r = 0;
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = read_map(b, m, w, get_le64(p + DESCRIPTOR_HEAD + 8 * i), get_le32(p + 24), &used, e);
	return r;
}

int bitlocker_eow_read(struct blk *b, const struct bitlocker_meta *m, struct bitlocker_eow *ret, struct err *e)
{
	CLEANUP(free_ptr) uint8_t *p = malloc(DESCRIPTOR_MAX);
	if (!p)
		return err_no_memory(e, "bitlocker");
	int r = read_descriptor(b, m->eow_off[0], p, e);
	if (r == 0)
		r = read_descriptor(b, m->eow_off[1], p, e);
	if (r <= 0)
		return r < 0 ? r : corrupt(e);
	struct bitlocker_eow w = {0};
	r = read_maps(b, m, p, &w, e);
	if (r < 0)
		bitlocker_eow_free(&w);
	else
		*ret = w;
	return r;
}

void bitlocker_eow_free(struct bitlocker_eow *w)
{
	free(w->regions);
	free(w->zeroes);
	free(w->bits);
	*w = (struct bitlocker_eow){0};
}

/* --- asking --------------------------------------------------------------------------------------- */

/* How many regions begin at off or before it. */
static unsigned find_region(const struct bitlocker_eow *w, uint64_t off)
{
	return PARTITION_POINT(i, w->count, w->regions[i].off <= off);
}

static bool bit_at(const struct bitlocker_region *r, uint64_t i)
{
	return (r->bits[i / 8] >> (i % 8) & 1) != 0;
}

bool bitlocker_eow_encrypted(const struct bitlocker_eow *w, uint64_t off, uint64_t *len)
{
	unsigned next = find_region(w, off);
	const struct bitlocker_region *r = next > 0 ? &w->regions[next - 1] : NULL;
	if (r && off - r->off < r->len) {
		uint64_t at = (off - r->off) / w->chunk, end = at + 1, last = (r->len - 1) / w->chunk;
		bool encrypted = bit_at(r, at);
		while (end <= last && end * w->chunk - (off - r->off) < *len && bit_at(r, end) == encrypted)
			end++;
		*len = min_u64(*len, min_u64(end * w->chunk, r->len) - (off - r->off));
		return encrypted;
	}
	/* No map speaks of it: it is as in a volume that is done. */
	if (next < w->count)
		*len = min_u64(*len, w->regions[next].off - off);
	return true;
}
