/* Bytes of unknown origin: bounded, sticky-failure reading, and fixed-width loads and stores.
 *
 * A `struct rdr` walks a buffer. A read past its end yields zero and sets `bad`; the caller decodes a
 * whole header and then asks once. Nothing on disk is ever cast to a struct.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint16_t get_be16(const void *p)
{
	return __builtin_bswap16(get_le16(p));
}

static inline uint32_t get_be32(const void *p)
{
	return __builtin_bswap32(get_le32(p));
}

static inline uint64_t get_be64(const void *p)
{
	return __builtin_bswap64(get_le64(p));
}

static inline void put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(void *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(void *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

static inline void put_be32(void *p, uint32_t v)
{
	put_le32(p, __builtin_bswap32(v));
}

static inline void put_be64(void *p, uint64_t v)
{
	put_le64(p, __builtin_bswap64(v));
}

struct rdr {
	const uint8_t *p;
	size_t len;
	size_t off;    /* next byte, <= len */
	bool bad;      /* a read went past the end */
};

static inline struct rdr rdr_init(const void *p, size_t len)
{
	return (struct rdr){.p = p, .len = len};
}

static inline size_t rdr_left(const struct rdr *r)
{
	return r->len - r->off;
}

/* The next n bytes in place, or NULL (and bad). */
static inline const uint8_t *rdr_take(struct rdr *r, size_t n)
{
	if (r->bad || n > r->len - r->off) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->p + r->off;
	r->off += n;
	return p;
}

static inline void rdr_skip(struct rdr *r, size_t n)
{
	(void)rdr_take(r, n);
}

static inline void rdr_seek(struct rdr *r, size_t off)
{
	if (off > r->len)
		r->bad = true;
	else
		r->off = off;
}

/* Copies n bytes; zeroes them when there are not that many. */
static inline void rdr_copy(struct rdr *r, void *to, size_t n)
{
	const uint8_t *p = rdr_take(r, n);
	if (p)
		memcpy(to, p, n);
	else
		memset(to, 0, n);
}

static inline uint8_t rdr_u8(struct rdr *r)
{
	const uint8_t *p = rdr_take(r, 1);
	return p ? *p : 0;
}

#define RDR_DEFINE(name, type, get)                                                                \
	static inline type name(struct rdr *r)                                                     \
	{                                                                                          \
		const uint8_t *p = rdr_take(r, sizeof(type));                                      \
		return p ? get(p) : (type)0;                                                       \
	}
RDR_DEFINE(rdr_le16, uint16_t, get_le16)
RDR_DEFINE(rdr_le32, uint32_t, get_le32)
RDR_DEFINE(rdr_le64, uint64_t, get_le64)
RDR_DEFINE(rdr_be16, uint16_t, get_be16)
RDR_DEFINE(rdr_be32, uint32_t, get_be32)
RDR_DEFINE(rdr_be64, uint64_t, get_be64)
#undef RDR_DEFINE

/* Checked arithmetic for numbers a guest chose: false on overflow, *ret then undefined. */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* True when [off, off + len) lies inside [0, size). */
static inline bool range_inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static inline bool is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
