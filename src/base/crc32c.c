#include "base/crc32c.h"

#include "base/bytes.h"

/* Four bits at a time. */
static uint32_t crc32c_portable(uint32_t crc, const void *p, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++) {
		crc = crc >> 4 ^ table[(crc ^ b[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ b[i] >> 4) & 15];
	}
	return crc;
}

#if defined(__x86_64__)

#include <immintrin.h>
#include <sys/platform/x86.h>

/* --- the instruction (SSE 4.2) -------------------------------------------------------------------- */

#define LANES __attribute__((target("sse4.2,pclmul")))

enum { LANE = 1024 };            /* bytes; three at once, for the instruction takes three cycles and one can start in each */

/* x^(8n − 33) modulo the polynomial, in reflected bits: a checksum times that is what n zero bytes behind it make of it. (The product
 * of reflected numbers is one bit short, and the instruction multiplies by x^32.) */
static const uint32_t behind_one_lane = 0x170076fa, behind_two_lanes = 0xa51b6135;

LANES static uint64_t shift(uint64_t crc, uint32_t by)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)by), 0);
	return _mm_crc32_u64(0, (unsigned long long)_mm_cvtsi128_si64(product));
}

LANES static uint64_t three_lanes(uint64_t crc, const uint8_t *p)
{
	uint64_t a = crc, b = 0, c = 0;
	for (size_t i = 0; i < LANE; i += 8) {
		a = _mm_crc32_u64(a, get_le64(p + i));
		b = _mm_crc32_u64(b, get_le64(p + LANE + i));
		c = _mm_crc32_u64(c, get_le64(p + 2 * LANE + i));
	}
	return shift(a, behind_two_lanes) ^ shift(b, behind_one_lane) ^ c;
}

LANES static uint32_t crc32c_lanes(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t at = crc;
	for (; len >= 3 * LANE; p += 3 * LANE, len -= 3 * LANE)
		at = three_lanes(at, p);
	for (; len >= 8; p += 8, len -= 8)
		at = _mm_crc32_u64(at, get_le64(p));
	for (; len > 0; p++, len--)
		at = _mm_crc32_u8((uint32_t)at, *p);
	return (uint32_t)at;
}

/* --- folding (AVX-512) ---------------------------------------------------------------------------- */

/* V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009): 128 bits d bits further
 * on are their first half times x^(d + 63) plus their second half times x^(d − 1), modulo the polynomial. */
#define WIDE __attribute__((target("avx512f,vpclmulqdq,sse4.2,pclmul")))

enum { STRIDE = 256 };           /* bytes: four registers of 64 */

#define BEHIND_STRIDE 0xe9a5d8be00000000, 0x1426a81500000000
#define BEHIND_64 0x1c19243b00000000, 0x75bba45b00000000
#define BEHIND_48 0xa46ef4aa00000000, 0x6051243f00000000
#define BEHIND_32 0x33ccbbbc00000000, 0xa2158b3400000000
#define BEHIND_16 0x3743f7bd00000000, 0x3171d43000000000

static const uint64_t stride_behind[8] = {BEHIND_STRIDE, BEHIND_STRIDE, BEHIND_STRIDE, BEHIND_STRIDE};
static const uint64_t register_behind[8] = {BEHIND_64, BEHIND_64, BEHIND_64, BEHIND_64};
static const uint64_t quarters_behind[8] = {BEHIND_48, BEHIND_32, BEHIND_16, 0, 0};

WIDE static __m512i load(const void *p)
{
	return _mm512_loadu_si512(p);
}

/* v moved on by what `by` stands for, plus what lies there. */
WIDE static __m512i fold(__m512i v, __m512i by, __m512i there)
{
	enum { XOR_OF_THREE = 0x96 };
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(v, by, 0x00), _mm512_clmulepi64_epi128(v, by, 0x11), there,
	                                 XOR_OF_THREE);
}

/* The checksum of these 64 bytes. */
WIDE static uint32_t reduce(__m512i v)
{
	__m512i moved = fold(v, load(quarters_behind), _mm512_setzero_si512());
	__m128i sum = _mm_xor_si128(_mm_xor_si128(_mm512_extracti32x4_epi32(moved, 0), _mm512_extracti32x4_epi32(moved, 1)),
	                            _mm_xor_si128(_mm512_extracti32x4_epi32(moved, 2), _mm512_extracti32x4_epi32(v, 3)));
	uint64_t crc = _mm_crc32_u64(0, (unsigned long long)_mm_extract_epi64(sum, 0));
	return (uint32_t)_mm_crc32_u64(crc, (unsigned long long)_mm_extract_epi64(sum, 1));
}

/* len >= STRIDE. */
WIDE static uint32_t crc32c_wide(uint32_t crc, const uint8_t *p, size_t len)
{
	const __m512i by = load(stride_behind), next = load(register_behind);
	__m512i a = _mm512_xor_si512(load(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
	__m512i b = load(p + 64), c = load(p + 128), d = load(p + 192);
	for (p += STRIDE, len -= STRIDE; len >= STRIDE; p += STRIDE, len -= STRIDE) {
		a = fold(a, by, load(p));
		b = fold(b, by, load(p + 64));
		c = fold(c, by, load(p + 128));
		d = fold(d, by, load(p + 192));
	}
	a = fold(fold(fold(a, next, b), next, c), next, d);
	return crc32c_lanes(reduce(a), p, len);
}

/* What the processor has, libc found out when the program started: to ask it is slow under a hypervisor. */
static enum crc32c_way best_way(size_t len)
{
	if (!CPU_FEATURE_ACTIVE(SSE4_2) || !CPU_FEATURE_ACTIVE(PCLMULQDQ))
		return CRC32C_PORTABLE;
	return len >= STRIDE && CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(VPCLMULQDQ) ? CRC32C_WIDE : CRC32C_LANES;
}

static uint32_t run(enum crc32c_way way, uint32_t crc, const void *p, size_t len)
{
	switch (way) {
	case CRC32C_WIDE:
		return crc32c_wide(crc, p, len);
	case CRC32C_LANES:
		return crc32c_lanes(crc, p, len);
	default:
		return crc32c_portable(crc, p, len);
	}
}

#else

static enum crc32c_way best_way(size_t len)
{
	(void)len;
	return CRC32C_PORTABLE;
}

static uint32_t run(enum crc32c_way way, uint32_t crc, const void *p, size_t len)
{
	(void)way;
	return crc32c_portable(crc, p, len);
}

#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t len)
{
	return run(best_way(len), crc, p, len);
}

bool crc32c_by(enum crc32c_way way, uint32_t *crc, const void *p, size_t len)
{
	/* Each has what those before it need. */
	if (way > best_way(len))
		return false;
	*crc = run(way, *crc, p, len);
	return true;
}
