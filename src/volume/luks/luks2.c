/* LUKS2: two copies of a binary header and a JSON area; the newer one whose checksum is right counts. */
#include "volume/luks/luks.h"

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "volume/luks/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic_first[6] = {'L', 'U', 'K', 'S', 0xba, 0xbe};
static const uint8_t magic_second[6] = {'S', 'K', 'U', 'L', 0xba, 0xbe};

enum {
	BINARY_HEADER = 4096,
	CHECKSUM_AT = 448,
	CHECKSUM_MAX = 64,
	SECTOR = 512,
	SECTOR_MAX = 4096,
};

/* One copy, read whole. */
struct copy {
	uint8_t *bytes;              /* owned */
	size_t len;
	uint64_t seqid;
};

static void copy_free(struct copy *c)
{
	free(c->bytes);
	c->bytes = NULL;
}

static bool checksum_of(const uint8_t *name, enum hash_kind *ret)
{
	static const struct {
		const char *name;
		enum hash_kind kind;
	} known[] = {{"sha256", HASH_SHA256}, {"sha512", HASH_SHA512}, {"sha384", HASH_SHA384},
	             {"sha224", HASH_SHA224}, {"sha1", HASH_SHA1},     {"sha3-256", HASH_SHA3_256}};
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp((const char *)name, known[i].name, 32) == 0) {
			*ret = known[i].kind;
			return true;
		}
	return false;
}

/* 1: it is right, 0: it is not. It is taken over the whole copy with the checksum's own field zeroed. */
static int checksum_right(struct copy *c, struct err *e)
{
	enum hash_kind kind;
	if (!checksum_of(c->bytes + 72, &kind))
		return 0;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)e;
	return 1;
#else
	uint8_t stored[CHECKSUM_MAX], found[HASH_BYTES_MAX];
	static_assert((int)HASH_BYTES_MAX <= (int)CHECKSUM_MAX, "each of these fits the header's field");
	memcpy(stored, c->bytes + CHECKSUM_AT, CHECKSUM_MAX);
	memset(c->bytes + CHECKSUM_AT, 0, CHECKSUM_MAX);
	int r = hash_once(kind, c->bytes, c->len, found, e);
	return r < 0 ? r : memcmp(stored, found, hash_bytes(kind)) == 0;
#endif
}

static bool is_header_size(uint64_t size)
{
	return size >= LUKS2_HEADER_MIN && size <= LUKS2_HEADER_MAX && (size & (size - 1)) == 0;
}

/* 1: a good copy lies at `off`. 0: none does. */
static int read_copy(struct blk *b, uint64_t off, const uint8_t *magic, struct copy *ret, struct err *e)
{
	uint8_t head[SECTOR];
	if (off > b->size || b->size - off < LUKS2_HEADER_MIN)
		return 0;
	int r = blk_read(b, off, head, sizeof(head), e);
	if (r < 0)
		return r;
	uint64_t size = get_be64(head + 8);
	if (memcmp(head, magic, 6) != 0 || get_be16(head + 6) != 2 || !is_header_size(size) || size > b->size - off ||
	    get_be64(head + 256) != off)
		return 0;
	struct copy c = {.bytes = malloc((size_t)size), .len = (size_t)size, .seqid = get_be64(head + 16)};
	if (!c.bytes)
		return err_no_memory(e, "luks");
	r = blk_read(b, off, c.bytes, c.len, e);
	if (r == 0)
		r = checksum_right(&c, e);
	if (r <= 0)
		copy_free(&c);
	else
		*ret = c;
	return r;
}

/* The second copy lies right behind the first one, whose size may not be known: one of a few places. */
static int find_second(struct blk *b, struct copy *ret, struct err *e)
{
	int r = 0;
	for (uint64_t at = LUKS2_HEADER_MIN; r == 0 && at <= LUKS2_HEADER_MAX; at *= 2)
		r = read_copy(b, at, magic_second, ret, e);
	return r;
}

static int corrupt(struct err *e, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS2 header is damaged: %s", what);
}

static int unsupported(struct err *e, const char *what)
{
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "luks", "this LUKS2 volume cannot be read: %s", what);
}

/* What a reader must know, or keep away. */
static int check_requirements(struct luks_json config, struct err *e)
{
	struct luks_json list = luks_json_member(luks_json_member(config, "requirements"), "mandatory");
	struct luks_json name, v;
	size_t at = 0;
	char text[48];
	if (!luks_json_next(list, &at, &name, &v))
		return 0;
	if (!luks_json_string(v, text, sizeof(text)))
		return corrupt(e, "its requirements");
	if (strstr(text, "reencrypt"))
		return unsupported(e, "a change of its encryption was under way when the backup was taken");
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "luks", "this LUKS2 volume needs \"%s\", which is not known here", text);
}

static int take_segment(struct blk *b, struct luks_json segment, struct luks_header *h, struct err *e)
{
	uint64_t sector_size;
	if (!luks_json_is(luks_json_member(segment, "type"), "crypt"))
		return unsupported(e, "its data is not a plainly encrypted segment");
	if (luks_json_member(segment, "integrity").p)
		return unsupported(e, "it has integrity protection (dm-integrity)");
	if (!luks_json_u64(luks_json_member(segment, "offset"), &h->offset) ||
	    !luks_json_u64(luks_json_member(segment, "iv_tweak"), &h->iv_tweak) ||
	    !luks_json_u64(luks_json_member(segment, "sector_size"), &sector_size) ||
	    !luks_json_string(luks_json_member(segment, "encryption"), h->cipher, sizeof(h->cipher)))
		return corrupt(e, "its data segment");
	if (sector_size < SECTOR || sector_size > SECTOR_MAX || (sector_size & (sector_size - 1)) != 0)
		return corrupt(e, "its sector size");
	h->sector_size = (uint32_t)sector_size;
	struct luks_json size = luks_json_member(segment, "size");
	if (h->offset % SECTOR != 0 || h->offset >= b->size)
		return corrupt(e, "its data lies behind the end of the volume");
	uint64_t room = (b->size - h->offset) / h->sector_size * h->sector_size;
	h->size = room;
	if (luks_json_is(size, "dynamic"))
		return 0;
	if (!luks_json_u64(size, &h->size) || h->size % h->sector_size != 0 || h->size > room)
		return corrupt(e, "the size of its data");
	return 0;
}

/* The one segment there is. Several are those of a reencryption; backup segments of one are marked by flags. */
static int take_segments(struct blk *b, struct luks_json segments, struct luks_header *h, struct err *e)
{
	struct luks_json name, v, first = {0};
	size_t at = 0;
	unsigned count = 0;
	while (luks_json_next(segments, &at, &name, &v)) {
		if (count++ == 0)
			first = v;
	}
	if (count == 0)
		return unsupported(e, "it has no data segment; it may be a detached header");
	if (count > 1)
		return unsupported(e, "its data lies in several segments");
	return take_segment(b, first, h, e);
}

/* Where the last key slot in use ends: most of the room for them is never used, and may be larger than is handed out. */
static int find_key_end(struct luks_json slots, uint64_t from, uint64_t to, uint64_t *ret, struct err *e)
{
	struct luks_json name, slot;
	size_t at = 0;
	uint64_t end = from;
	while (luks_json_next(slots, &at, &name, &slot)) {
		struct luks_json area = luks_json_member(slot, "area");
		uint64_t off, size;
		if (!luks_json_u64(luks_json_member(area, "offset"), &off) || !luks_json_u64(luks_json_member(area, "size"), &size) ||
		    off < from || !range_inside(off, size, to))
			return corrupt(e, "the place of a key slot");
		end = off + size > end ? off + size : end;
	}
	*ret = end;
	return 0;
}

static int take_json(struct blk *b, const struct copy *c, struct luks_header *ret, struct err *e)
{
	struct luks_json root = luks_json_parse((const char *)c->bytes + BINARY_HEADER, c->len - BINARY_HEADER);
	struct luks_json config = luks_json_member(root, "config");
	struct luks_header h = {.version = 2};
	uint64_t slots;
	if (!config.p || !luks_json_u64(luks_json_member(config, "keyslots_size"), &slots))
		return corrupt(e, "its configuration");
	int r = check_requirements(config, e);
	if (r == 0)
		r = take_segments(b, luks_json_member(root, "segments"), &h, e);
	if (r < 0)
		return r;
	if (h.offset == 0)
		return unsupported(e, "it is a detached header, the data lies elsewhere");
	if (slots > h.offset || 2 * (uint64_t)c->len > h.offset - slots)
		return corrupt(e, "its key slots lie in its data");
	uint64_t headers = 2 * (uint64_t)c->len;
	r = find_key_end(luks_json_member(root, "keyslots"), headers, headers + slots, &h.key_area_end, e);
	if (r == 0)
		*ret = h;
	return r;
}

int luks2_header_read(struct blk *b, struct luks_header *ret, struct err *e)
{
	struct copy first = {0}, second = {0};
	int have_first = read_copy(b, 0, magic_first, &first, e);
	int have_second = have_first < 0 ? have_first : find_second(b, &second, e);
	int r = have_second;
	if (r >= 0 && have_first == 0 && have_second == 0)
		r = corrupt(e, "neither of its two copies is whole");
	else if (r >= 0)
		r = take_json(b, !have_first || (have_second && second.seqid > first.seqid) ? &second : &first, ret, e);
	copy_free(&first);
	copy_free(&second);
	return r;
}
