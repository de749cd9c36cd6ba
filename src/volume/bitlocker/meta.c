/* Sector 0, and the best of the copies of the metadata. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	SECTOR_0 = 512,
	BLOCK_HEAD = 64,             /* of a copy; the list's header follows */
	LIST_HEAD = 48,
	VISTA_BLOCK = 16 << 10,
	CLUSTER_MAX = 2 << 20,
};

static const uint8_t signature[8] = {'-', 'F', 'V', 'E', '-', 'F', 'S', '-'};
static const uint8_t guid_plain[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
                                       0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
static const uint8_t guid_on_write[16] = {0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d,
                                          0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8};

bool bitlocker_fatal(const struct err *e)
{
	return e->code == ERR_NO_MEMORY || e->code == ERR_CANCELLED || e->code == ERR_TIMEOUT || e->code == ERR_LIMIT;
}

static int corrupt(struct err *e, const char *what)
{
	return err_set(e, ERR_VOLUME_CORRUPT, "bitlocker", "the BitLocker metadata is damaged: %s", what);
}

/* Vista gives the place of the first copy alone, as a cluster. */
static int take_vista(const uint8_t *p, struct bitlocker_meta *m, struct err *e)
{
	uint64_t cluster = (uint64_t)m->sector_size * p[13];
	if (memcmp(p + 3, signature, sizeof(signature)) != 0 || !is_pow2(cluster) || cluster > CLUSTER_MAX ||
	    !u64_mul(get_le64(p + 56), cluster, &m->named_off[0]))
		return corrupt(e, "the first sector does not say where it is");
	m->version = 1;
	m->copy_len = (cluster + VISTA_BLOCK - 1) / cluster * cluster;
	return 0;
}

/* The places stand behind one of two GUIDs, which are not at the same place in each version. */
static int take_sector_0(const uint8_t *p, struct bitlocker_meta *m, struct err *e)
{
	static const unsigned places[] = {160, 424};
	m->sector_size = get_le16(p + 11);
	if (m->sector_size < 512 || m->sector_size > BITLOCKER_SECTOR_MAX || !is_pow2(m->sector_size))
		return corrupt(e, "its sector size");
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *q = p + places[i];
		m->on_write = memcmp(q, guid_on_write, sizeof(guid_on_write)) == 0;
		if (!m->on_write && memcmp(q, guid_plain, sizeof(guid_plain)) != 0)
			continue;
		m->version = 2;
		m->copy_len = BITLOCKER_BLOCK;
		for (unsigned k = 0; k < BITLOCKER_COPIES; k++)
			m->named_off[k] = get_le64(q + 16 + 8 * k);
		if (m->on_write) {
			m->eow_off[0] = get_le64(q + 40);
			m->eow_off[1] = get_le64(q + 48);
		}
		return 0;
	}
	return take_vista(p, m, e);
}

/* --- a copy --------------------------------------------------------------------------------------- */

enum quality { COPY_BAD, COPY_UNCHECKED, COPY_GOOD };

struct copy {
	enum quality quality;
	uint32_t nonce;              /* grows with each key that is sealed */
	uint32_t list_len;
	uint8_t bytes[BITLOCKER_BLOCK];
};

/* Reads one; one that is not there, or no copy, is COPY_BAD. */
static int read_copy(struct blk *b, const struct bitlocker_meta *m, uint64_t off, struct copy *c, struct err *e)
{
	c->quality = COPY_BAD;
	if (off < SECTOR_0 || off % m->sector_size != 0 || off >= b->size)
		return 0;
	size_t have = (size_t)min_u64(BITLOCKER_BLOCK, b->size - off);
	int r = blk_read(b, off, c->bytes, have, e);
	if (r < 0)
		return r;
	const uint8_t *p = c->bytes;
	if (have < BLOCK_HEAD + LIST_HEAD || memcmp(p, signature, sizeof(signature)) != 0 || get_le16(p + 10) != m->version)
		return 0;
	size_t size = (size_t)get_le16(p + 8) * (m->version == 1 ? 1 : 16);
	uint32_t list = get_le32(p + BLOCK_HEAD);
	if (size < BLOCK_HEAD + LIST_HEAD || size > have || get_le32(p + BLOCK_HEAD + 8) != LIST_HEAD || list < LIST_HEAD ||
	    list > size - BLOCK_HEAD)
		return 0;
	c->list_len = list;
	c->nonce = get_le32(p + BLOCK_HEAD + 32);
	/* Behind it: its length, a version, a CRC-32. */
	bool checked = have - size >= 8 && get_le32(p + size + 4) == crc32(0, p, (uInt)size);
	c->quality = checked ? COPY_GOOD : COPY_UNCHECKED;
	return 0;
}

/* The moved first sectors: an entry says where, and how many bytes; so does the head, in sectors. */
static int take_moved(const uint8_t *p, struct bitlocker_meta *m, struct err *e)
{
	struct bitlocker_entry n;
	size_t at = 0;
	m->moved_off = get_le64(p + 56);
	m->moved_len = (uint64_t)get_le32(p + 28) * m->sector_size;
	while (bitlocker_entry_next(m->entries, m->len, &at, &n)) {
		if (n.value != BITLOCKER_VALUE_PLACE || n.len < 16)
			continue;
		m->moved_off = get_le64(n.data);
		m->moved_len = get_le64(n.data + 8);
	}
	if (m->moved_len < m->sector_size || m->moved_len % m->sector_size != 0 || m->moved_off % m->sector_size != 0)
		return corrupt(e, "the place of the first sectors");
	if (!range_inside(m->moved_off, m->moved_len, m->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "bitlocker", "the first sectors lie at byte %" PRIu64
		               ", behind the end of the volume: the image is cut off", m->moved_off);
	return 0;
}

static int check_method(const struct bitlocker_meta *m, struct err *e)
{
	if (m->state == BITLOCKER_DECRYPTED || bitlocker_key_len(m->method) != 0)
		return 0;
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "bitlocker", "it is encrypted by a method of BitLocker not known here (%04" PRIx32
	               ")", m->method);
}

static int take_copy(const uint8_t *p, uint32_t list_len, struct bitlocker_meta *m, struct err *e)
{
	m->state = get_le16(p + 12);
	m->method = get_le16(p + BLOCK_HEAD + 36);
	m->len = list_len - LIST_HEAD;
	memcpy(m->entries, p + BLOCK_HEAD + LIST_HEAD, m->len);
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++) {
		m->copy_off[i] = get_le64(p + 32 + 8 * i);
		if (m->copy_off[i] % m->sector_size != 0)
			return corrupt(e, "the places of its copies");
	}
	if (m->version == 1) {
		m->mirror_lcn = get_le64(p + 56);
		m->plain_from = m->state == BITLOCKER_DECRYPTED ? 0 : m->size;
		return check_method(m, e);
	}
	m->plain_from = m->state == BITLOCKER_DECRYPTED ? 0 : get_le64(p + 16) / m->sector_size * m->sector_size;
	if (m->state == BITLOCKER_CONVERTING)
		m->between_len = ((uint64_t)get_le32(p + 24) + m->sector_size - 1) / m->sector_size * m->sector_size;
	int r = take_moved(p, m, e);
	return r < 0 ? r : check_method(m, e);
}

static int no_copy(struct blk *b, const struct bitlocker_meta *m, struct err *e)
{
	bool outside = true;
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++)
		outside = outside && (m->named_off[i] == 0 || m->named_off[i] >= b->size);
	if (!outside)
		return corrupt(e, "none of its copies is whole");
	return err_set(e, ERR_VOLUME_CORRUPT, "bitlocker",
	               "the BitLocker metadata lies at byte %" PRIu64 ", behind the end of the volume: the image is cut off",
	               m->named_off[0]);
}

/* Of good copies the one with the newest keys, of those the first. Only where none is left, a failed read is told. */
static int choose(struct blk *b, struct bitlocker_meta *m, struct copy *c, struct copy *best, struct err *e)
{
	struct err failure = ERR_INIT;
	best->quality = COPY_BAD;
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++) {
		struct err why = ERR_INIT;
		m->unreadable[i] = read_copy(b, m, m->named_off[i], c, &why) < 0;
		if (m->unreadable[i] && (failure.code == 0 || bitlocker_fatal(&why)))
			failure = why;
		if (c->quality != COPY_GOOD)
			m->damaged++;
		if (c->quality > best->quality || (c->quality == best->quality && c->quality != COPY_BAD && c->nonce > best->nonce))
			*best = *c;
		/* Vista's first copy knows the others. */
		if (m->version == 1 && i == 0 && c->quality != COPY_BAD) {
			m->named_off[1] = get_le64(c->bytes + 40);
			m->named_off[2] = get_le64(c->bytes + 48);
		}
	}
	if (failure.code != 0 && (best->quality == COPY_BAD || bitlocker_fatal(&failure))) {
		*e = failure;
		return e->code;
	}
	if (best->quality == COPY_BAD)
		return no_copy(b, m, e);
	m->unchecked = best->quality != COPY_GOOD;
	return take_copy(best->bytes, best->list_len, m, e);
}

int bitlocker_meta_read(struct blk *b, struct bitlocker_meta **ret, struct err *e)
{
	uint8_t p[SECTOR_0];
	if (b->size < sizeof(p))
		return corrupt(e, "the volume is smaller than one sector");
	int r = blk_read(b, 0, p, sizeof(p), e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) struct bitlocker_meta *m = calloc(1, sizeof(*m));
	CLEANUP(free_ptr) struct copy *copies = calloc(2, sizeof(*copies));
	if (!m || !copies)
		return err_no_memory(e, "bitlocker");
	r = take_sector_0(p, m, e);
	m->size = r == 0 ? b->size / m->sector_size * m->sector_size : 0;
	if (r == 0)
		r = choose(b, m, &copies[0], &copies[1], e);
	if (r == 0)
		*ret = STEAL(m);
	return r;
}
