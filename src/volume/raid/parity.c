/* RAID 4, 5 and 6: places by formula, and what is missing from the parity of its row.
 *
 * A row is one chunk of each member, at the same place. P is the sum (xor) of the data chunks; Q is the sum of the data
 * chunks times g^i in GF(2^8) (polynomial 0x11d, g = 2). i counts the data chunks from the disk behind Q on, or, in
 * the layouts of DDF, is the number of the disk.
 */
#include "volume/raid/raid.h"

#include "base/bytes.h"
#include "base/gf256.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE = 64 << 10 };      /* reconstructed at a time */

struct parity {
	struct raid raid;
	unsigned level;
	unsigned layout;
	unsigned data;          /* data chunks of a row */
	uint8_t *tmp, *p_sum, *q_sum;     /* PIECE bytes each, made with the array */
};

struct row {
	uint64_t number;
	unsigned p, q;          /* members; q == count where there is none */
};

/* --- Layouts ------------------------------------------------------------------------------------------------- */

static bool layout_known(unsigned level, unsigned layout)
{
	if (layout <= RAID_PARITY_N)
		return true;
	return level == 6 && ((layout >= RAID_ROTATING_ZERO_RESTART && layout <= RAID_ROTATING_N_CONTINUE) ||
	                      (layout >= RAID_LEFT_ASYMMETRIC_6 && layout <= RAID_PARITY_0_6));
}

static bool layout_ddf(unsigned layout)
{
	return layout >= RAID_ROTATING_ZERO_RESTART && layout <= RAID_ROTATING_N_CONTINUE;
}

/* Layouts of RAID 5 over all members but the last, which is Q. */
static bool layout_q_last(unsigned layout)
{
	return layout >= RAID_LEFT_ASYMMETRIC_6 && layout <= RAID_PARITY_0_6;
}

/* The layout of P where Q is left out of the picture. */
static unsigned p_layout(const struct parity *a)
{
	return layout_q_last(a->layout) ? a->layout - RAID_LEFT_ASYMMETRIC_6 : a->layout;
}

static struct row row_of(const struct parity *a, uint64_t number)
{
	unsigned n = a->raid.count;
	struct row row = {.number = number, .q = n};
	unsigned ring = layout_q_last(a->layout) ? n - 1 : n;
	unsigned turn = (unsigned)(number % ring);
	switch (p_layout(a)) {
	case RAID_LEFT_ASYMMETRIC:
	case RAID_LEFT_SYMMETRIC:
	case RAID_ROTATING_N_CONTINUE:
		row.p = ring - 1 - turn;
		break;
	case RAID_ROTATING_N_RESTART:
		row.p = ring - 1 - (unsigned)((number + 1) % ring);
		break;
	case RAID_RIGHT_ASYMMETRIC:
	case RAID_RIGHT_SYMMETRIC:
	case RAID_ROTATING_ZERO_RESTART:
		row.p = turn;
		break;
	case RAID_PARITY_0:
		row.p = 0;
		break;
	default:
		row.p = a->data;
		break;
	}
	if (layout_q_last(a->layout))
		row.q = n - 1;
	else if (a->level == 6 && a->layout == RAID_ROTATING_N_CONTINUE)
		row.q = (row.p + n - 1) % n;
	else if (a->level == 6)
		row.q = (row.p + 1) % n;
	return row;
}

/* The member that holds data chunk `index` of a row. */
static unsigned data_member(const struct parity *a, const struct row *row, unsigned index)
{
	unsigned n = a->raid.count;
	bool two = a->level == 6 && !layout_q_last(a->layout);
	unsigned ring = layout_q_last(a->layout) ? n - 1 : n;
	switch (p_layout(a)) {
	case RAID_LEFT_SYMMETRIC:
	case RAID_RIGHT_SYMMETRIC:
		return (row->p + (two ? 2 : 1) + index) % ring;
	case RAID_ROTATING_N_CONTINUE:
		return (row->p + 1 + index) % n;
	case RAID_PARITY_0:
		return index + (two ? 2 : 1);
	case RAID_PARITY_N:
		return index;
	default:
		break;
	}
	/* The asymmetric ones: in order of the disks, P (and Q) passed over. */
	if (two && row->p == n - 1)
		return index + 1;
	if (index >= row->p)
		return index + (two ? 2 : 1);
	return index;
}

/* The i of g^i for a member that holds data. */
static unsigned exponent(const struct parity *a, const struct row *row, unsigned member)
{
	unsigned n = a->raid.count;
	if (layout_ddf(a->layout))
		return member;
	unsigned i = 0;
	for (unsigned d = (row->q + 1) % n; d != member; d = (d + 1) % n)
		i += d != row->p && d != row->q;
	return i;
}

/* --- Reconstruction --------------------------------------------------------------------------------------------- */

/* 0: the bytes; 1: this member has none to give. */
static int read_member(const struct parity *a, unsigned member, uint64_t at, void *to, size_t len, struct err *e)
{
	if (!a->raid.members[member])
		return 1;
	int r = blk_read(a->raid.members[member], at, to, len, e);
	if (r == 0 || !raid_may_retry(e))
		return r;
	err_clear(e);
	return 1;
}

static int too_many(const struct parity *a, struct err *e)
{
	return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "more members are missing or unreadable here than parity makes up for (level %u)",
	               a->level);
}

/* Sums up the row without `wanted`: *ret_second is the other data member that is missing, or count. */
static int sum_row(struct parity *a, const struct row *row, unsigned wanted, uint64_t at, size_t len,
                   unsigned *ret_second, struct err *e)
{
	unsigned second = a->raid.count;
	memset(a->p_sum, 0, len);
	memset(a->q_sum, 0, len);
	for (unsigned m = 0; m < a->raid.count; m++) {
		if (m == wanted || m == row->p || m == row->q)
			continue;
		int r = read_member(a, m, at, a->tmp, len, e);
		if (r < 0)
			return r;
		if (r > 0 && (second != a->raid.count || a->level != 6))
			return too_many(a, e);
		if (r > 0) {
			second = m;
			continue;
		}
		gf256_add(a->p_sum, a->tmp, len);
		if (a->level == 6)
			gf256_add_times(a->q_sum, a->tmp, gf256_power(exponent(a, row, m)), len);
	}
	*ret_second = second;
	return 0;
}

/* One data member missing and P too, or P unreadable: from Q. */
static int from_q(struct parity *a, const struct row *row, unsigned wanted, uint64_t at, uint8_t *to, size_t len,
                  struct err *e)
{
	int r = a->level == 6 ? read_member(a, row->q, at, a->tmp, len, e) : 1;
	if (r != 0)
		return r < 0 ? r : too_many(a, e);
	gf256_add(a->q_sum, a->tmp, len);
	gf256_times(a->q_sum, gf256_inverse(gf256_power(exponent(a, row, wanted))), len);
	memcpy(to, a->q_sum, len);
	return 0;
}

/* Two data members missing; p_sum holds their sum already:
 *	Dx + Dy = p and g^x Dx + g^y Dy = q  →  Dx = (g^y p + q) / (g^x + g^y) */
static int from_both(struct parity *a, const struct row *row, unsigned wanted, unsigned second, uint64_t at, uint8_t *to,
                     size_t len, struct err *e)
{
	int r = read_member(a, row->q, at, a->tmp, len, e);
	if (r != 0)
		return r < 0 ? r : too_many(a, e);
	gf256_add(a->q_sum, a->tmp, len);
	uint8_t gx = gf256_power(exponent(a, row, wanted)), gy = gf256_power(exponent(a, row, second));
	gf256_add_times(a->q_sum, a->p_sum, gy, len);
	gf256_times(a->q_sum, gf256_inverse(gx ^ gy), len);
	memcpy(to, a->q_sum, len);
	return 0;
}

static int reconstruct(struct parity *a, const struct row *row, unsigned wanted, uint64_t at, uint8_t *to, size_t len,
                       struct err *e)
{
	unsigned second = a->raid.count;
	int r = sum_row(a, row, wanted, at, len, &second, e);
	if (r < 0)
		return r;
	bool two = second != a->raid.count;
	r = read_member(a, row->p, at, a->tmp, len, e);
	if (r < 0)
		return r;
	if (r > 0)
		return two ? too_many(a, e) : from_q(a, row, wanted, at, to, len, e);
	gf256_add(a->p_sum, a->tmp, len);
	if (two)
		return from_both(a, row, wanted, second, at, to, len, e);
	memcpy(to, a->p_sum, len);
	return 0;
}

/* --- The device --------------------------------------------------------------------------------------------------- */

static uint64_t locate(const struct parity *a, uint64_t off, uint64_t len, struct row *ret_row, unsigned *ret_member,
                       uint64_t *ret_at)
{
	uint64_t chunk = off / a->raid.chunk;
	uint32_t within = (uint32_t)(off % a->raid.chunk);
	*ret_row = row_of(a, chunk / a->data);
	*ret_member = data_member(a, ret_row, (unsigned)(chunk % a->data));
	*ret_at = ret_row->number * a->raid.chunk + within;
	return min_u64(len, a->raid.chunk - within);
}

static int parity_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct parity *a = (struct parity *)b;
	uint8_t *p = to;
	while (len > 0) {
		struct row row;
		unsigned member;
		uint64_t at;
		size_t n = (size_t)locate(a, off, len, &row, &member, &at);
		int r = read_member(a, member, at, p, n, e);
		if (r > 0) {
			n = min_size(n, PIECE);
			r = reconstruct(a, &row, member, at, p, n, e);
		}
		if (r < 0)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int parity_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct parity *a = (struct parity *)b;
	struct row row;
	unsigned member;
	uint64_t at;
	uint64_t n = locate(a, off, len, &row, &member, &at);
	if (a->raid.members[member])
		return blk_extent(a->raid.members[member], at, n, ret, e);
	*ret = (struct blk_extent){.kind = BLK_DATA, .len = n, .fd = -1};
	return 0;
}

static void parity_close(struct blk *b)
{
	struct parity *a = (struct parity *)b;
	raid_close_members(&a->raid);
	free(a->tmp);
	free(a->p_sum);
	free(a->q_sum);
	free(a);
}

static const struct blk_ops parity_ops = {
	.name = "raid5",
	.read = parity_read,
	.extent = parity_extent,
	.close = parity_close,
};

static int check_shape(unsigned count, const struct raid_geometry *g, struct err *e)
{
	int r = raid_check_chunk(g->chunk, e);
	if (r < 0)
		return r;
	if (g->level < 4 || g->level > 6 || !layout_known(g->level, g->layout))
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "raid", "layout %u of RAID level %u is not known", g->layout, g->level);
	if (count < (g->level == 6 ? 4 : 2) || count > RAID_MEMBERS_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "raid", "RAID level %u with %u members is not possible", g->level, count);
	if (g->member_size == 0 || g->member_size % g->chunk != 0)
		return err_set(e, ERR_VOLUME_CORRUPT, "raid", "members of %" PRIu64 " bytes are no whole chunks of %" PRIu32,
		               g->member_size, g->chunk);
	return 0;
}

static int make_buffers(struct parity *a, struct err *e)
{
	a->tmp = malloc(PIECE);
	a->p_sum = malloc(PIECE);
	a->q_sum = malloc(PIECE);
	return a->tmp && a->p_sum && a->q_sum ? 0 : err_no_memory(e, "raid");
}

int raid_parity_open(struct blk *const *members, unsigned count, const struct raid_geometry *g, uint64_t size,
                     struct blk **ret, struct err *e)
{
	int r = check_shape(count, g, e);
	if (r < 0)
		return r;
	unsigned parities = g->level == 6 ? 2 : 1;
	uint64_t full;
	if (!u64_mul(g->member_size, count - parities, &full) || full > INT64_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "raid", "members of %" PRIu64 " bytes are not possible", g->member_size);
	struct parity *a = calloc(1, sizeof(*a));
	if (!a)
		return err_no_memory(e, "raid");
	blk_init(&a->raid.blk, &parity_ops, size == 0 ? full : min_u64(full, size));
	a->raid.chunk = g->chunk;
	a->level = g->level;
	a->layout = g->layout;
	a->data = count - parities;
	CLEANUP(blk_unref_p) struct blk *owned = &a->raid.blk;
	r = make_buffers(a, e);
	if (r == 0)
		r = raid_take_members(&a->raid, members, count, g->member_size, e);
	if (r < 0)
		return r;
	if (raid_missing(&a->raid) > parities)
		return err_set(e, ERR_VOLUME_INCOMPLETE, "raid", "%u of %u members are missing; RAID level %u makes up for %u",
		               raid_missing(&a->raid), count, g->level, parities);
	*ret = STEAL(owned);
	return 0;
}
