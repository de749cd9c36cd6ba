/* Blocks that are joined to one deflate stream, and the walk that finds where each may be opened. zlib is the referee. */
#include "archive/deflate.h"
#include "archive/noise.h"
#include "archive/walk.h"

#include "../../fuzz/zlib_ends.h"
#include "test.h"

#include <libdeflate.h>

enum { BIG = DEFLATE_BLOCK, PACKED = BIG + BIG / 8 + 4096 };

static uint64_t state = 1;

static uint8_t noise(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint8_t)(state >> 56);
}

enum kind { NOISE, TEXT, RUNS, EQUAL, SKEWED, KINDS };

static void fill(uint8_t *p, size_t len, enum kind kind)
{
	static const char *const words[] = {"image", "cluster", "of", "the", "a", "volume", "restore", "point", "entry", "bytes", "\n", "0815"};
	static const size_t count = sizeof(words) / sizeof(words[0]);
	for (size_t n = 0; n < len;) {
		if (kind == TEXT) {
			/* word lengths and letters vary, so that codes do */
			const char *word = words[noise() % count];
			for (size_t i = 0; word[i] && n < len; i++)
				p[n++] = (uint8_t)word[i];
			if (n < len)
				p[n++] = noise() % 8 ? ' ' : noise();
		} else if (kind == RUNS) {
			uint8_t v = noise();
			for (size_t run = 1 + noise() * 3; run > 0 && n < len; run--)
				p[n++] = v;
		} else if (kind == SKEWED) {
			/* the n-th value half as often as the one before: codes of up to 15 bits */
			uint8_t v = 0;
			while (v < 200 && noise() % 2)
				v++;
			p[n++] = v;
		} else {
			p[n++] = kind == NOISE ? noise() : 'x';
		}
	}
}

/* The bytes in memory of their own, so that a sanitizer sees what is read behind them. */
static bool agrees(struct walk *w, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, p, len);
	bool yes = zlib_agrees(w, copy, len);
	free(copy);
	return yes;
}

static size_t by_zlib(const uint8_t *p, size_t len, int level, int strategy, int memory, uint8_t *to)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)p, .avail_in = (unsigned)len, .next_out = to, .avail_out = PACKED};
	assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, -15, memory, strategy), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = z.total_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
	return n;
}

static size_t by_libdeflate(const uint8_t *p, size_t len, int level, uint8_t *to)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
	assert_non_null(c);
	size_t n = libdeflate_deflate_compress(c, p, len, to, PACKED);
	assert_true(n > 0);
	libdeflate_free_compressor(c);
	return n;
}

static uint8_t plain[BIG], packed[PACKED];

static void the_walk_finds_what_zlib_finds(void **st)
{
	static const size_t sizes[] = {0, 1, 2, 3, 60, 1000, 70000, BIG - 1, BIG};
	static const int levels[] = {0, 1, 2, 6, 12};
	struct walk *w = calloc(1, sizeof(*w));
	struct walk_ends ends;
	unsigned several = 0;
	(void)st;
	for (int kind = 0; kind < KINDS; kind++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			size_t len = sizes[s];
			fill(plain, len, (enum kind)kind);
			for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
				size_t n = by_libdeflate(plain, len, levels[i], packed);
				assert_true(agrees(w, packed, n));
				assert_true(walk_deflate(w, packed, n, &ends));
				assert_int_equal((ends.end + 7) / 8, n);
				several += ends.last > 0;
			}
			for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++)
				assert_true(agrees(w, packed, by_zlib(plain, len, 1 + strategy, strategy, 1 + strategy, packed)));
			/* what is behind the end is nobody's business */
			size_t n = by_zlib(plain, len, 9, Z_DEFAULT_STRATEGY, 9, packed);
			memset(packed + n, 0xff, 20);
			assert_true(agrees(w, packed, n + 20));
		}
	}
	assert_true(several > 20);
	free(w);
}

/* Each bit turned round, each end cut off. */
static void damaged_streams(void **st)
{
	static uint8_t stream[4096];
	static const struct { enum kind kind; size_t len; int level, strategy; } cases[] = {
		{TEXT, 900, 9, Z_DEFAULT_STRATEGY}, {SKEWED, 4000, 9, Z_HUFFMAN_ONLY}, {TEXT, 200, 9, Z_FIXED}, {EQUAL, 5000, 9, Z_DEFAULT_STRATEGY},
		{NOISE, 100, 0, Z_DEFAULT_STRATEGY}, {RUNS, 3000, 6, Z_RLE},
	};
	struct walk *w = calloc(1, sizeof(*w));
	(void)st;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill(plain, cases[i].len, cases[i].kind);
		size_t n = by_zlib(plain, cases[i].len, cases[i].level, cases[i].strategy, 9, stream);
		assert_in_range(n, 1, sizeof(stream));
		for (size_t cut = 0; cut < n; cut++) {
			struct walk_ends ends;
			assert_false(walk_deflate(w, stream, cut, &ends));
			assert_true(agrees(w, stream, cut));
		}
		for (size_t bit = 0; bit < n * 8; bit++) {
			stream[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_true(agrees(w, stream, n));
			stream[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_true(agrees(w, stream, n));
	}
	/* and what never was a stream, but begins as one with codes */
	for (int i = 0; i < 20000; i++) {
		size_t n = 1u + noise() % 64;
		for (size_t k = 0; k < n; k++)
			stream[k] = noise();
		stream[0] = (uint8_t)((stream[0] & ~7u) | (i % 3 == 0 ? 3 : 5));
		assert_true(agrees(w, stream, n));
	}
	free(w);
}

static void inflates_to(const uint8_t *p, size_t len, const uint8_t *want, size_t want_len)
{
	uint8_t *out = malloc(want_len + 1);
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)p, .avail_in = (unsigned)len, .next_out = out, .avail_out = (unsigned)want_len + 1};
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, want_len);
	assert_memory_equal(out, want, want_len);
	assert_int_equal(inflateEnd(&z), Z_OK);
	free(out);
}

static void blocks_make_one_stream(void **st)
{
	enum { BLOCKS = 60 };
	static const size_t sizes[] = {BIG, 1, 0, 70000, 5, 13, BIG - 1, 200, 64, 1000};
	uint8_t *all = malloc((size_t)BLOCKS * BIG), *stream = malloc((size_t)BLOCKS * DEFLATE_OUT);
	struct deflate *d = deflate_new();
	size_t len = 0, n = 0;
	(void)st;
	assert_true(all && stream && d);
	for (int i = 0; i < BLOCKS; i++) {
		size_t part = sizes[i % (int)(sizeof(sizes) / sizeof(sizes[0]))];
		enum kind kind = (enum kind)(i % 7 % KINDS);
		bool stored;
		fill(all + len, part, kind);
		size_t got = deflate_block(d, all + len, part, false, stream + n, &stored);
		assert_in_range(got, 1, part + 5 * (part / 65535 + 1));
		assert_int_equal(stored, got > part);
		if (part >= 1000)
			assert_int_equal(stored, kind == NOISE);
		/* a stream of its own once more, closed here */
		uint8_t *closed = malloc(DEFLATE_OUT);
		size_t closed_len = deflate_block(d, all + len, part, true, closed, &stored);
		inflates_to(closed, closed_len, all + len, part);
		assert_true(got <= closed_len + 10 || stored);
		len += part;
		n += got;
		/* and all there is so far, closed by this block in place of the open one */
		memcpy(stream + n - got, closed, closed_len);
		inflates_to(stream, n - got + closed_len, all, len);
		assert_int_equal(deflate_block(d, all + len - part, part, false, stream + n - got, &stored), got);
		free(closed);
	}
	deflate_free(d);
	free(all);
	free(stream);
}

/* The length of a block, which comes back as it was: closed, and open with an empty one behind it. */
static size_t comes_back(struct deflate *d, const uint8_t *p, size_t len, bool *ret_stored)
{
	uint8_t *copy = malloc(len), *to = malloc(2 * (size_t)DEFLATE_OUT);
	bool stored, empty_stored;
	assert_true(copy && to);
	memcpy(copy, p, len);
	inflates_to(to, deflate_block(d, copy, len, true, to, &stored), p, len);
	size_t n = deflate_block(d, copy, len, false, to, ret_stored);
	assert_int_equal(stored, *ret_stored);
	inflates_to(to, n + deflate_block(d, copy, 0, true, to + n, &empty_stored), p, len);
	free(copy);
	free(to);
	return n;
}

/* --- what looks like noise ------------------------------------------------------------------------ */

static void fill_kind(uint8_t *p, size_t len, size_t kind, size_t unused)
{
	(void)unused;
	fill(p, len, (enum kind)kind);
}

/* One part of the block text behind several of noise. */
static void fill_parts(uint8_t *p, size_t len, size_t noise_parts, size_t turns)
{
	size_t turn = len / turns, text = turn / (noise_parts + 1);
	fill(p, len, NOISE);
	for (size_t n = turn; n <= len; n += turn)
		fill(p + n - text, text, TEXT);
}

static void fill_period(uint8_t *p, size_t len, size_t period, size_t unused)
{
	(void)unused;
	fill(p, period, NOISE);
	for (size_t n = period; n < len; n++)
		p[n] = p[n - period];
}

/* Noise in pieces, of which there are only so many. */
static void fill_pieces(uint8_t *p, size_t len, size_t piece, size_t pieces)
{
	static uint8_t all[64 << 10];
	assert_in_range(piece * pieces, 1, sizeof(all));
	fill(all, piece * pieces, NOISE);
	for (size_t n = 0; n + piece <= len; n += piece)
		memcpy(p + n, all + noise() % pieces * piece, piece);
}

/* A field that is always the same in records of noise. */
static void fill_records(uint8_t *p, size_t len, size_t record, size_t field)
{
	fill(p, len, NOISE);
	for (size_t n = record; n + field <= len; n += record)
		memcpy(p + n, p, field);
}

/* One piece of so many is that before it once more. */
static void fill_copies(uint8_t *p, size_t len, size_t piece, size_t pieces)
{
	fill(p, len, NOISE);
	for (size_t n = piece; n + piece <= len; n += piece * pieces)
		memcpy(p + n, p + n - piece, piece);
}

static void fill_ramp(uint8_t *p, size_t len, size_t step, size_t unused)
{
	(void)unused;
	for (size_t n = 0; n < len; n++)
		p[n] = (uint8_t)(n * step);
}

/* Some bits of each so-manieth byte, all of the others. */
static void fill_masked(uint8_t *p, size_t len, size_t mask, size_t every)
{
	fill(p, len, NOISE);
	for (size_t n = 0; n < len; n += every)
		p[n] &= (uint8_t)mask;
}

static void what_does_not_shrink_is_stored(void **st)
{
	static const size_t sizes[] = {NOISE_MIN, NOISE_MIN + 1, 65535, 65536, 70000, BIG - 1, BIG};
	struct deflate *d = deflate_new();
	struct noise *look = calloc(1, sizeof(*look));
	bool stored;
	(void)st;
	assert_true(d && look);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i];
		fill(plain, len, NOISE);
		assert_true(noise_like(look, plain, len));
		assert_in_range(comes_back(d, plain, len, &stored), len + 1, len + len / 2000);
		assert_true(stored);
	}
	assert_false(noise_like(look, plain, NOISE_MIN - 1));
	/* what deflate does not find either: further apart than its window */
	fill_period(plain, BIG, 40000, 0);
	assert_true(noise_like(look, plain, BIG));
	/* as JPEG does: a zero behind each byte of ones */
	fill(plain, BIG, NOISE);
	for (size_t n = 1; n < BIG; n++)
		if (plain[n - 1] == 0xff)
			plain[n] = 0;
	assert_true(noise_like(look, plain, BIG));
	free(look);
	deflate_free(d);
}

static void what_shrinks_is_compressed(void **st)
{
	static const size_t sizes[] = {NOISE_MIN, 70000, BIG - 1, BIG};
	static const struct {
		void (*fill)(uint8_t *p, size_t len, size_t a, size_t b);
		size_t a, b, percent;    /* of its length at most */
	} cases[] = {
		{fill_kind, TEXT, 0, 75}, {fill_kind, EQUAL, 0, 1}, {fill_kind, SKEWED, 0, 50}, {fill_kind, RUNS, 0, 20},
		{fill_parts, 1, 1, 85}, {fill_parts, 1, 4, 85}, {fill_parts, 1, 64, 85}, {fill_parts, 15, 1, 99}, {fill_parts, 15, 16, 99},
		/* every value as frequent as any other */
		{fill_period, 600, 0, 10}, {fill_period, 4096, 0, 30}, {fill_period, 13000, 0, 85},
		{fill_pieces, 512, 64, 95}, {fill_pieces, 16, 1000, 80}, {fill_records, 256, 16, 97}, {fill_copies, 256, 16, 97},
		{fill_ramp, 1, 0, 3}, {fill_ramp, 77, 0, 3},
		/* nothing repeats, but some values are more frequent: as in base64, ASCII, wave files, numbers */
		{fill_masked, 0x3f, 1, 77}, {fill_masked, 0x7f, 1, 90}, {fill_masked, 0x0f, 2, 95}, {fill_masked, 0, 4, 90},
	};
	struct deflate *d = deflate_new();
	(void)st;
	assert_non_null(d);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
			bool stored;
			cases[k].fill(plain, sizes[i], cases[k].a, cases[k].b);
			size_t n = comes_back(d, plain, sizes[i], &stored);
			if (stored || n > sizes[i] * cases[k].percent / 100)
				fail_msg("case %zu of %zu bytes: %zu, stored: %d", k, sizes[i], n, stored);
			/* as by the compressor alone, but for what joins */
			assert_in_range(n, 1, by_libdeflate(plain, sizes[i], 1, packed) + 5);
		}
	}
	deflate_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_walk_finds_what_zlib_finds),
		cmocka_unit_test(damaged_streams),
		cmocka_unit_test(blocks_make_one_stream),
		cmocka_unit_test(what_does_not_shrink_is_stored),
		cmocka_unit_test(what_shrinks_is_compressed),
	};
	return cmocka_run_group_tests_name("archive-deflate", tests, NULL, NULL);
}
