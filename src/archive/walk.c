#include "archive/walk.h"

#include "base/bytes.h"

enum {
	END_OF_BLOCK = 256,
	LITLENS_MAX = 286, DISTANCES_MAX = 30,      /* codes a header may announce */
	COUNTS = 19,                     /* symbols of the code in which the lengths are written */
	REPEAT = 16, ZEROES = 17, MANY_ZEROES = 18,
	STORED = 0, FIXED = 1, DYNAMIC = 2,
};

/* A step: the bits it takes, extra bits among them, and the table to go on with. */
enum {
	TAKES = 0x3f,
	STEP_MAX = WALK_BITS + 13,
	UNSURE = 1 << 15,                /* nothing else in it */
	GO_ON_SHIFT = 16, DISTANCE_NEXT = WALK_STEPS << GO_ON_SHIFT,
};

static const uint32_t litlen_steps[WALK_LITLENS] = {
	[END_OF_BLOCK] = UNSURE, [257 ... 264] = DISTANCE_NEXT, [265 ... 268] = DISTANCE_NEXT | 1, [269 ... 272] = DISTANCE_NEXT | 2,
	[273 ... 276] = DISTANCE_NEXT | 3, [277 ... 280] = DISTANCE_NEXT | 4, [281 ... 284] = DISTANCE_NEXT | 5, [285] = DISTANCE_NEXT,
	[286 ... 287] = UNSURE,
};

static const uint32_t distance_steps[WALK_DISTANCES] = {
	0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, UNSURE, UNSURE,
};

/* --- bits ----------------------------------------------------------------------------------------- */

/* The next `held` bits are the lowest of `ahead`; bits above these are the stream's, too, or zero. */
struct bits {
	const uint8_t *start, *p, *end;
	uint64_t ahead;
	unsigned held;
};

/* Afterwards 56 bits are held, or all that are left. */
static inline void bits_fill(struct bits *b)
{
	if (b->end - b->p >= 8) {
		b->ahead |= get_le64(b->p) << b->held;
		b->p += (63 - b->held) >> 3;
		b->held |= 56;
		return;
	}
	for (; b->held < 56 && b->p < b->end; b->held += 8)
		b->ahead |= (uint64_t)*b->p++ << b->held;
}

static inline bool bits_drop(struct bits *b, unsigned n)
{
	if (n > b->held)
		return false;
	b->ahead >>= n;
	b->held -= n;
	return true;
}

static bool bits_take(struct bits *b, unsigned n, unsigned *ret)
{
	bits_fill(b);
	unsigned v = (unsigned)b->ahead & ((1u << n) - 1);
	if (!bits_drop(b, n))
		return false;
	*ret = v;
	return true;
}

static uint64_t bits_at(const struct bits *b)
{
	return (uint64_t)(b->p - b->start) * 8 - b->held;
}

static bool skip_stored(struct bits *b)
{
	size_t at = (size_t)((bits_at(b) + 7) / 8), size = (size_t)(b->end - b->start);
	if (size - at < 4)
		return false;
	uint16_t len = get_le16(b->start + at);
	if ((len ^ get_le16(b->start + at + 2)) != 0xffff || len > size - at - 4)
		return false;
	b->p = b->start + at + 4 + len;
	b->ahead = 0;
	b->held = 0;
	return true;
}

/* --- codes ---------------------------------------------------------------------------------------- */

/* False: more codes than there is room for. *ret_left: codes of WALK_LEN_MAX bits that mean nothing. */
static bool code_build(struct walk_code *c, const uint8_t *lens, unsigned n, unsigned *ret_left)
{
	uint16_t place[WALK_LEN_MAX + 1];
	int left = 1;
	memset(c->count, 0, sizeof(c->count));
	for (unsigned i = 0; i < n; i++)
		c->count[lens[i]]++;
	c->count[0] = 0;
	for (unsigned len = 1, at = 0; len <= WALK_LEN_MAX; len++) {
		left = 2 * left - c->count[len];
		if (left < 0)
			return false;
		place[len] = (uint16_t)at;
		at += c->count[len];
	}
	for (unsigned i = 0; i < n; i++)
		if (lens[i])
			c->sorted[place[lens[i]]++] = (uint16_t)i;
	*ret_left = (unsigned)left;
	return true;
}

/* The symbol that `ahead` begins with, its length; -1: none. */
static int code_find(const struct walk_code *c, uint64_t ahead, unsigned *ret_len)
{
	unsigned code = 0, first = 0, before = 0;
	for (unsigned len = 1; len <= WALK_LEN_MAX; len++, ahead >>= 1) {
		code = code << 1 | (ahead & 1);
		if (code - first < c->count[len]) {
			*ret_len = len;
			return c->sorted[before + code - first];
		}
		before += c->count[len];
		first = (first + c->count[len]) << 1;
	}
	return -1;
}

/* Codes are written from their highest bit on. */
static unsigned reversed(unsigned code, unsigned len)
{
	code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
	code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
	code = (code & 0x0f0f) << 4 | (code >> 4 & 0x0f0f);
	code = (code & 0x00ff) << 8 | code >> 8;
	return code >> (16 - len);
}

/* What the next WALK_BITS bits begin with. */
static void steps_fill(uint32_t *steps, const struct walk_code *c, const uint32_t *meaning)
{
	unsigned code = 0, i = 0;
	steps[0] = UNSURE;
	for (unsigned len = 1; len <= WALK_BITS; len++) {
		memcpy(steps + (1u << (len - 1)), steps, sizeof(*steps) << (len - 1));
		code <<= 1;
		for (unsigned n = c->count[len]; n > 0; n--, i++, code++) {
			uint32_t m = meaning[c->sorted[i]];
			steps[reversed(code, len)] = m == UNSURE ? m : m + len;
		}
	}
}

static void walk_fill(struct walk *w)
{
	steps_fill(w->steps, &w->litlen, litlen_steps);
	steps_fill(w->steps + WALK_STEPS, &w->distance, distance_steps);
}

static void take_fixed(struct walk *w)
{
	uint8_t lens[WALK_LITLENS];
	unsigned left;
	if (w->fixed)
		return;
	memset(lens, 8, 144);
	memset(lens + 144, 9, 112);
	memset(lens + 256, 7, 24);
	memset(lens + 280, 8, 8);
	(void)code_build(&w->litlen, lens, WALK_LITLENS, &left);
	memset(lens, 5, WALK_DISTANCES);
	(void)code_build(&w->distance, lens, WALK_DISTANCES, &left);
	walk_fill(w);
	w->fixed = true;
}

/* The lengths of `want` codes, written in a code of their own. */
static bool take_lengths(struct bits *b, const struct walk_code *counts, uint8_t *lens, unsigned want)
{
	for (unsigned have = 0; have < want;) {
		unsigned len, more;
		bits_fill(b);
		int symbol = code_find(counts, b->ahead, &len);
		if (symbol < 0 || !bits_drop(b, len))
			return false;
		if (symbol < REPEAT) {
			lens[have++] = (uint8_t)symbol;
			continue;
		}
		if (!bits_take(b, symbol == REPEAT ? 2 : symbol == ZEROES ? 3 : 7, &more))
			return false;
		more += symbol == MANY_ZEROES ? 11 : 3;
		if ((symbol == REPEAT && have == 0) || more > want - have)
			return false;
		memset(lens + have, symbol == REPEAT ? lens[have - 1] : 0, more);
		have += more;
	}
	return true;
}

/* A code with gaps is allowed where it is one symbol of one bit, or none. */
static bool take_code(struct walk_code *c, const uint8_t *lens, unsigned n)
{
	unsigned left;
	if (!code_build(c, lens, n, &left))
		return false;
	return left == 0 || left == 1u << WALK_LEN_MAX || (left == 1u << (WALK_LEN_MAX - 1) && c->count[1] == 1);
}

static bool take_dynamic(struct walk *w, struct bits *b)
{
	static const uint8_t order[COUNTS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	uint8_t lens[LITLENS_MAX + DISTANCES_MAX] = {0};
	unsigned litlens, distances, counts, left;
	if (!bits_take(b, 5, &litlens) || !bits_take(b, 5, &distances) || !bits_take(b, 4, &counts))
		return false;
	litlens += 257;
	distances += 1;
	counts += 4;
	if (litlens > LITLENS_MAX || distances > DISTANCES_MAX)
		return false;
	for (unsigned i = 0, len; i < counts; i++) {
		if (!bits_take(b, 3, &len))
			return false;
		lens[order[i]] = (uint8_t)len;
	}
	w->fixed = false;
	if (!code_build(&w->litlen, lens, COUNTS, &left) || left > 0 || !take_lengths(b, &w->litlen, lens, litlens + distances))
		return false;
	if (lens[END_OF_BLOCK] == 0 || !take_code(&w->litlen, lens, litlens) || !take_code(&w->distance, lens + litlens, distances))
		return false;
	walk_fill(w);
	return true;
}

/* --- symbols -------------------------------------------------------------------------------------- */

/* Goes on as long as the tables are sure and eight bytes are left. */
static unsigned skip_sure(const uint32_t *steps, struct bits *b, unsigned table)
{
	struct bits at = *b;             /* in registers */
	while (at.end - at.p >= 8) {
		bits_fill(&at);
		/* Three at most: to turn as often as the bits allow would be a branch that depends on the data. */
		for (int i = 0; i < 3 && at.held >= STEP_MAX; i++) {
			uint32_t s = steps[table + (at.ahead & (WALK_STEPS - 1))];
			if (s & UNSURE)
				goto out;
			at.ahead >>= s & TAKES;
			at.held -= s & TAKES;
			table = s >> GO_ON_SHIFT;
		}
	}
out:
	*b = at;
	return table;
}

static bool skip_symbols(const struct walk *w, struct bits *b)
{
	unsigned table = 0;
	for (;;) {
		table = skip_sure(w->steps, b, table);
		bits_fill(b);
		uint32_t s = w->steps[table + (b->ahead & (WALK_STEPS - 1))];
		if (s & UNSURE) {
			unsigned len;
			int symbol = code_find(table ? &w->distance : &w->litlen, b->ahead, &len);
			if (symbol < 0)
				return false;
			if (table == 0 && symbol == END_OF_BLOCK)
				return bits_drop(b, len);
			s = (table ? distance_steps : litlen_steps)[symbol];
			if (s & UNSURE)
				return false;
			s += len;
		}
		if (!bits_drop(b, s & TAKES))
			return false;
		table = s >> GO_ON_SHIFT;
	}
}

bool walk_deflate(struct walk *w, const uint8_t *p, size_t len, struct walk_ends *ret)
{
	struct bits b = {.start = p, .p = p, .end = p + len};
	for (;;) {
		uint64_t at = bits_at(&b);
		unsigned header;
		bool good = bits_take(&b, 3, &header);
		if (!good)
			return false;
		switch (header >> 1) {
		case STORED:
			good = skip_stored(&b);
			break;
		case FIXED:
			take_fixed(w);
			good = skip_symbols(w, &b);
			break;
		case DYNAMIC:
			good = take_dynamic(w, &b) && skip_symbols(w, &b);
			break;
		default:
			good = false;
		}
		if (!good)
			return false;
		if (header & 1) {
			*ret = (struct walk_ends){.last = at, .end = bits_at(&b)};
			return true;
		}
	}
}
