#include "archive/noise.h"

#include "base/bytes.h"

enum {
	WINDOW = 32 << 10,
	STRIDE = 101,                    /* a prime above the number of pieces: each comes once, far from the one before */
	/* Pearson's test of how even the counts are: 255 on average for noise. Of each byte of eight bits that codes could save at best it
	 * grows by 16 ln 2; what deflate does save is about half. One byte in 64 is not worth it. */
	EVEN = NOISE_VALUES - 1,
	EXCESS_PER_BYTE = 11,
	WORTH_CODES = 64,
	/* Four values: were it one, a field of eight bytes that is in each record might happen to be seen by its last three bytes only. */
	PROBES = 4,
	PROBE_LEN = 4,                   /* what libdeflate's level 1 looks for, too */
	WORTH_REPEATS = 128,             /* one in so many may be a repeat */
};

/* Counts a piece. Returns by how much its counts are less even than noise's. */
static int64_t count_piece(struct noise *n, const uint8_t *p)
{
	uint64_t squares = 0;
	memset(n->lanes, 0, sizeof(n->lanes));
	/* Lanes, for a counter that was just written cannot be read at once. */
	for (size_t i = 0; i < NOISE_PIECE; i += NOISE_LANES)
		for (size_t k = 0; k < NOISE_LANES; k++)
			n->lanes[k][p[i + k]]++;
	for (size_t v = 0; v < NOISE_VALUES; v++) {
		uint32_t c = 0;
		for (size_t k = 0; k < NOISE_LANES; k++)
			c += n->lanes[k][v];
		n->count[v] += c;
		squares += c * c;
	}
	return (int64_t)(squares * NOISE_VALUES / NOISE_PIECE) - NOISE_PIECE - EVEN;
}

static bool flat(struct noise *n, const uint8_t *p, size_t len)
{
	size_t pieces = (len + NOISE_PIECE - 1) / NOISE_PIECE;
	int64_t excess = 0, most = (int64_t)(len / WORTH_CODES * EXCESS_PER_BYTE);
	memset(n->count, 0, sizeof(n->count));
	for (size_t i = 0; i < pieces && excess <= most; i++)
		excess += count_piece(n, p + min_size(i * STRIDE % pieces * NOISE_PIECE, len - NOISE_PIECE));
	return excess <= most;
}

/* Takes the most frequent value out of the counts. */
static uint8_t take_frequent(struct noise *n)
{
	size_t most = 0;
	for (size_t v = 1; v < NOISE_VALUES; v++)
		if (n->count[v] > n->count[most])
			most = v;
	n->count[most] = 0;
	return (uint8_t)most;
}

static bool repeats(struct noise *n, const uint8_t *p, size_t len, uint8_t value)
{
	size_t probes = 0, again = 0;
	memset(n->seen, 0, sizeof(n->seen));
	for (const uint8_t *q = p, *end = p + len - PROBE_LEN; q < end && (q = memchr(q, value, (size_t)(end - q))); q++) {
		uint32_t bytes = get_le32(q), at = (uint32_t)(q - p) + 1, *seen = &n->seen[bytes * 0x9e3779b1u >> 22];
		probes++;
		again += *seen && at - *seen <= WINDOW && get_le32(p + *seen - 1) == bytes;
		*seen = at;
	}
	return again > probes / WORTH_REPEATS;
}

bool noise_like(struct noise *n, const uint8_t *p, size_t len)
{
	if (len < NOISE_MIN || !flat(n, p, len))
		return false;
	for (int i = 0; i < PROBES; i++)
		if (repeats(n, p, len, take_frequent(n)))
			return false;
	return true;
}
