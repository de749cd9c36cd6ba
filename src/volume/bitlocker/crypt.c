/* The decrypted volume: which bytes come from where, and the sectors' ciphers. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"
#include "base/search.h"
#include "crypto/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	VISTA_PLAIN = 8192,          /* Vista leaves the first sectors where they are, unencrypted */
};

struct crypt {
	struct blk blk;
	struct blk *below;           /* reference held */
	struct bitlocker_meta *m;    /* owned */
	struct bitlocker_eow eow;    /* count 0: nothing under way */
	struct bitlocker_range *zeroes;  /* ascending, owned */
	unsigned zero_count;
	bool xts;
	struct cipher *data;         /* NULL: nothing is encrypted */
	struct cipher *iv, *tweak;   /* CBC: the key of the vectors; Elephant: of the sectors' keys */
};

/* --- sectors -------------------------------------------------------------------------------------- */

/* XTS counts sectors, CBC bytes. Both of the place where the sector lies, not of the one it is shown at. */
static int make_iv(const struct crypt *c, uint64_t at, uint8_t iv[AES_BLOCK], struct err *e)
{
	memset(iv, 0, AES_BLOCK);
	put_le64(iv, c->xts ? at / c->m->sector_size : at);
	return c->xts ? 0 : cipher_encrypt_block(c->iv, iv, iv, e);
}

static int take_off_elephant(const struct crypt *c, uint64_t at, uint8_t *sector, struct err *e)
{
	uint8_t place[AES_BLOCK] = {0}, key[2 * AES_BLOCK];
	put_le64(place, at);
	int r = cipher_encrypt_block(c->tweak, place, key, e);
	place[AES_BLOCK - 1] = 0x80;
	if (r == 0)
		r = cipher_encrypt_block(c->tweak, place, key + AES_BLOCK, e);
	if (r == 0)
		bitlocker_elephant(sector, c->m->sector_size, key);
	explicit_bzero(key, sizeof(key));
	return r;
}

/* Whole sectors, in place. */
static int decrypt(const struct crypt *c, uint64_t at, uint8_t *p, size_t len, struct err *e)
{
	size_t sector = c->m->sector_size;
	int r = 0;
	for (size_t i = 0; i < len && r == 0; i += sector) {
		uint8_t iv[AES_BLOCK];
		r = make_iv(c, at + i, iv, e);
		if (r == 0)
			r = cipher_decrypt(c->data, iv, p + i, sector, e);
		if (r == 0 && c->tweak)
			r = take_off_elephant(c, at + i, p + i, e);
	}
	return r;
}

/* --- places --------------------------------------------------------------------------------------- */

enum piece_kind { PIECE_PLAIN, PIECE_ENCRYPTED, PIECE_ZERO, PIECE_VISTA };

struct piece {
	enum piece_kind kind;
	uint64_t at;                 /* in the container */
	uint64_t len;
};

/* What lies at a place of the container, at most len bytes of it. */
static struct piece lying(const struct crypt *c, uint64_t at, uint64_t len)
{
	struct piece p = {.kind = PIECE_PLAIN, .at = at, .len = len};
	if (!c->data)
		return p;
	if (c->eow.count > 0) {
		p.kind = bitlocker_eow_encrypted(&c->eow, at, &p.len) ? PIECE_ENCRYPTED : PIECE_PLAIN;
	} else if (at < c->m->plain_from) {
		p.kind = PIECE_ENCRYPTED;
		p.len = min_u64(len, c->m->plain_from - at);
	}
	return p;
}

/* The last range that begins at off or before it, +1. */
static unsigned find_zero(const struct crypt *c, uint64_t off)
{
	return PARTITION_POINT(i, c->zero_count, c->zeroes[i].off <= off);
}

static struct piece piece_at(const struct crypt *c, uint64_t off, uint64_t len)
{
	if (off < c->m->moved_len)
		return lying(c, c->m->moved_off + off, min_u64(len, c->m->moved_len - off));
	if (c->m->version == 1 && off == 0)
		return (struct piece){.kind = PIECE_VISTA, .at = 0, .len = c->m->sector_size};
	if (c->m->version == 1 && off < VISTA_PLAIN)
		return (struct piece){.kind = PIECE_PLAIN, .at = off, .len = min_u64(len, VISTA_PLAIN - off)};
	unsigned next = find_zero(c, off);
	if (next > 0 && off - c->zeroes[next - 1].off < c->zeroes[next - 1].len) {
		uint64_t left = c->zeroes[next - 1].len - (off - c->zeroes[next - 1].off);
		return (struct piece){.kind = PIECE_ZERO, .at = off, .len = min_u64(len, left)};
	}
	if (next < c->zero_count)
		len = min_u64(len, c->zeroes[next].off - off);
	return lying(c, off, len);
}

/* NTFS' own signature and the place of its mirror instead of BitLocker's. */
static void restore_vista(const struct crypt *c, uint8_t *sector)
{
	memcpy(sector + 3, "NTFS    ", 8);
	put_le64(sector + 56, c->m->mirror_lcn);
}

static int read_piece(struct crypt *c, const struct piece *p, uint8_t *to, struct err *e)
{
	size_t len = (size_t)p->len;
	if (p->kind == PIECE_ZERO) {
		memset(to, 0, len);
		return 0;
	}
	int r = blk_read(c->below, p->at, to, len, e);
	if (r == 0 && p->kind == PIECE_ENCRYPTED)
		r = decrypt(c, p->at, to, len, e);
	if (r == 0 && p->kind == PIECE_VISTA)
		restore_vista(c, to);
	return r;
}

/* Part of one sector. */
static int read_part(struct crypt *c, uint64_t off, uint8_t *to, size_t len, struct err *e)
{
	uint8_t sector[BITLOCKER_SECTOR_MAX];
	uint64_t start = off - off % c->m->sector_size;
	struct piece p = piece_at(c, start, c->m->sector_size);
	int r = read_piece(c, &p, sector, e);
	if (r == 0)
		memcpy(to, sector + (off - start), len);
	return r;
}

static int crypt_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct crypt *c = (struct crypt *)b;
	uint8_t *at = to;
	while (len > 0) {
		size_t in = (size_t)(off % c->m->sector_size), n;
		int r;
		if (in != 0 || len < c->m->sector_size) {
			n = min_size(len, c->m->sector_size - in);
			r = read_part(c, off, at, n, e);
		} else {
			struct piece p = piece_at(c, off, len - len % c->m->sector_size);
			n = (size_t)p.len;
			r = read_piece(c, &p, at, e);
		}
		if (r < 0)
			return r;
		off += n;
		at += n;
		len -= n;
	}
	return 0;
}

static void crypt_close(struct blk *b)
{
	struct crypt *c = (struct crypt *)b;
	cipher_free(c->data);
	cipher_free(c->iv);
	cipher_free(c->tweak);
	bitlocker_eow_free(&c->eow);
	blk_unref(c->below);
	free(c->zeroes);
	free(c->m);
	free(c);
}

static const struct blk_ops crypt_ops = {.name = "bitlocker", .read = crypt_read, .close = crypt_close};

/* --- opening -------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
	const struct bitlocker_range *x = a, *y = b;
	return (x->off > y->off) - (x->off < y->off);
}

/* Overlapping ones become one: a look-up finds the last that begins before. */
static void join_zeroes(struct crypt *c)
{
	unsigned n = 0;
	qsort(c->zeroes, c->zero_count, sizeof(*c->zeroes), by_offset);
	for (unsigned i = 0; i < c->zero_count; i++) {
		struct bitlocker_range *last = n > 0 ? &c->zeroes[n - 1] : NULL, z = c->zeroes[i];
		if (last && z.off - last->off <= last->len) {
			if (z.off - last->off + z.len > last->len)
				last->len = z.off - last->off + z.len;
		} else {
			c->zeroes[n++] = z;
		}
	}
	c->zero_count = n;
}

static void add_zero(struct crypt *c, uint64_t off, uint64_t len)
{
	if (off != 0 && off < c->m->size && len != 0)
		c->zeroes[c->zero_count++] = (struct bitlocker_range){.off = off, .len = min_u64(len, c->m->size - off)};
}

static int make_zeroes(struct crypt *c, struct err *e)
{
	const struct bitlocker_meta *m = c->m;
	c->zeroes = calloc(BITLOCKER_COPIES + 2 + c->eow.zero_count, sizeof(*c->zeroes));
	if (!c->zeroes)
		return err_no_memory(e, "bitlocker");
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++)
		add_zero(c, m->copy_off[i], m->copy_len);
	add_zero(c, m->moved_off, m->moved_len);
	add_zero(c, m->plain_from, m->between_len);
	for (unsigned i = 0; i < c->eow.zero_count; i++)
		add_zero(c, c->eow.zeroes[i].off, c->eow.zeroes[i].len);
	join_zeroes(c);
	return 0;
}

static int set_keys(struct crypt *c, const uint8_t *key, size_t len, struct err *e)
{
	uint32_t method = c->m->method;
	bool elephant = method == BITLOCKER_CBC_128_ELEPHANT || method == BITLOCKER_CBC_256_ELEPHANT;
	c->xts = method == BITLOCKER_XTS_128 || method == BITLOCKER_XTS_256;
	size_t one = elephant ? len / 2 : len;
	if (c->xts && !cipher_is_xts_key(key, len))
		return err_set(e, ERR_KEY_WRONG, "bitlocker", "this is no key of an XTS cipher");
	if (c->xts)
		return cipher_new(CIPHER_XTS, key, len, &c->data, e);
	int r = cipher_new(CIPHER_CBC, key, one, &c->data, e);
	if (r == 0)
		r = cipher_new(CIPHER_ECB, key, one, &c->iv, e);
	if (r == 0 && elephant)
		r = cipher_new(CIPHER_ECB, key + one, one, &c->tweak, e);
	return r;
}

static int prepare(struct crypt *c, const uint8_t *key, size_t len, struct err *e)
{
	const struct bitlocker_meta *m = c->m;
	if (!key) {
		assert(m->state == BITLOCKER_DECRYPTED);
		return make_zeroes(c, e);
	}
	if (m->state == BITLOCKER_DECRYPTED || len != bitlocker_key_len(m->method))
		return err_set(e, ERR_KEY_WRONG, "bitlocker", "a key of %zu bytes does not fit this volume", len);
	int r = set_keys(c, key, len, e);
	if (r == 0 && m->on_write)
		r = bitlocker_eow_read(c->below, m, &c->eow, e);
	return r < 0 ? r : make_zeroes(c, e);
}

int bitlocker_crypt_open(struct blk *container, const struct bitlocker_meta *m, const uint8_t *key, size_t len,
                         struct blk **ret, struct err *e)
{
	struct crypt *c = calloc(1, sizeof(*c));
	struct bitlocker_meta *copy = malloc(sizeof(*copy));
	if (!c || !copy) {
		free(c);
		free(copy);
		return err_no_memory(e, "bitlocker");
	}
	*copy = *m;
	blk_init(&c->blk, &crypt_ops, m->size);
	c->m = copy;
	c->below = blk_ref(container);
	c->blk.sector_size = m->sector_size > container->sector_size ? m->sector_size : container->sector_size;
	int r = prepare(c, key, len, e);
	if (r < 0)
		crypt_close(&c->blk);
	else
		*ret = &c->blk;
	return r;
}
