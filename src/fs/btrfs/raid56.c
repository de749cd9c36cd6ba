/* raid5 and raid6: rows of 64 KiB stripes, of data and of one or two parities, that move on by one device from row to row.
 *
 *	P = d0 + d1 + …
 *	Q = d0 + 2·d1 + 4·d2 + …    (base/gf256.h)
 *
 * Nothing says which of the stripes of a row is damaged where one of them is: the ways to compute bytes of raid6 differ in which
 * other one they do without, and the checksum of the result tells which way was right.
 */
#include "fs/btrfs/btrfs.h"

#include "base/gf256.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

enum { NO_SLOT = BTRFS_PARITY_STRIPES_MAX };

unsigned btrfs_row_data(const struct btrfs_chunk *c)
{
	return c->stripes - (c->profile & BTRFS_RAID6 ? 2u : 1u);
}

unsigned btrfs_row_stripe(const struct btrfs_chunk *c, uint64_t row, unsigned slot)
{
	return (unsigned)((row + slot) % c->stripes);
}

/* Of raid6: with what there is; then without each of the other stripes of data, and without P. */
unsigned btrfs_row_ways(const struct btrfs_chunk *c)
{
	return c->profile & BTRFS_RAID6 ? 1 + btrfs_row_data(c) : 1;
}

/* --- one row -------------------------------------------------------------------------------------- */

struct row {
	struct btrfs_fs *x;
	const struct btrfs_chunk *c;
	uint64_t nr, in;
	size_t len;
	unsigned data;               /* stripes of it; P is this slot, Q the next */
	unsigned wanted;
	unsigned left_out;           /* not to be read: NO_SLOT, data or P */
	uint8_t *stripe, *q;         /* what is read; the sum for Q */
};

/* Parity is as old as the oldest device that takes part. */
static int read_slot(struct row *w, unsigned slot, struct err *e)
{
	const struct btrfs_stripe *s = w->x->chunks.stripes + w->c->first + btrfs_row_stripe(w->c, w->nr, slot);
	const struct btrfs_device *d = &w->x->devices[s->dev];
	uint64_t phys;
	int r = btrfs_device_usable(d, BTRFS_FOR_BYTES, e);
	if (r < 0)
		return r;
	if (!u64_add(s->phys, w->nr * BTRFS_STRIPE_LEN + w->in, &phys))
		return err_set(e, ERR_FILE_CORRUPT, module, "a stripe lies behind the end of device %" PRIu64, d->devid);
	return btrfs_device_read(d, phys, BTRFS_FOR_BYTES, w->stripe, w->len, e);
}

/* Sums up what data there is: into p, and for raid6 into w->q. One stripe beside the wanted one may be wanting in raid6. */
static int sum_data(struct row *w, uint8_t *p, struct err *e)
{
	bool two = w->c->profile & BTRFS_RAID6;
	memset(p, 0, w->len);
	memset(w->q, 0, w->len);
	for (unsigned i = 0; i < w->data; i++) {
		struct err why = ERR_INIT;
		if (i == w->wanted || i == w->left_out)
			continue;
		if (read_slot(w, i, &why) < 0) {
			if (!two || w->left_out != NO_SLOT) {
				*e = why;
				return e->code;
			}
			w->left_out = i;
			continue;
		}
		gf256_add(p, w->stripe, w->len);
		if (two)
			gf256_add_times(w->q, w->stripe, gf256_power(i), w->len);
	}
	return 0;
}

/* w->q becomes what the missing data adds to Q. */
static int rest_of_q(struct row *w, struct err *e)
{
	int r = read_slot(w, w->data + 1, e);
	if (r == 0)
		gf256_add(w->q, w->stripe, w->len);
	return r;
}

static int solve(struct row *w, uint8_t *p, struct err *e)
{
	struct err why = ERR_INIT;
	bool two = w->c->profile & BTRFS_RAID6, one_wanting = w->left_out >= w->data;
	int r = w->left_out == w->data ? ERR_FILE_CORRUPT : read_slot(w, w->data, &why);
	if (r == 0)
		gf256_add(p, w->stripe, w->len);
	if (r == 0 && one_wanting)
		return 0;
	if (r < 0 && (!two || !one_wanting)) {
		*e = why;
		return r;
	}
	bool has_p = r == 0;
	r = rest_of_q(w, e);
	if (r < 0)
		return r;
	uint8_t factor = gf256_power(w->wanted);
	if (has_p) {
		/* p = a + b, q = A·a + B·b: a = (q + B·p) / (A + B) */
		uint8_t other = gf256_power(w->left_out);
		gf256_add_times(w->q, p, other, w->len);
		factor ^= other;
	}
	memcpy(p, w->q, w->len);
	gf256_times(p, gf256_inverse(factor), w->len);
	return 0;
}

int btrfs_row_compute(struct btrfs_fs *x, const struct btrfs_chunk *c, uint64_t row, unsigned slot, uint64_t in,
                      unsigned way, uint8_t *to, size_t len, struct err *e)
{
	if (!x->parity)
		x->parity = malloc(2 * (size_t)BTRFS_STRIPE_LEN);
	if (!x->parity)
		return err_no_memory(e, module);
	struct row w = {.x = x, .c = c, .nr = row, .in = in, .len = len, .data = btrfs_row_data(c), .wanted = slot};
	w.stripe = x->parity;
	w.q = x->parity + BTRFS_STRIPE_LEN;
	w.left_out = way == 0 ? NO_SLOT : way - 1 < slot ? way - 1 : way;
	int r = sum_data(&w, to, e);
	return r < 0 ? r : solve(&w, to, e);
}
