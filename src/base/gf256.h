/* gf256: the arithmetic of RAID 6: GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, where adding is XOR and 2 is a generator.
 * (H. P. Anvin, "The mathematics of RAID-6".) Pure functions; the ranges of two arguments do not overlap. */
#ifndef BASE_GF256_H
#define BASE_GF256_H

#include <stddef.h>
#include <stdint.h>

/* 2 to the n-th. */
uint8_t gf256_power(unsigned n);
/* Of a != 0. */
uint8_t gf256_inverse(uint8_t a);

/* to += from */
void gf256_add(uint8_t *to, const uint8_t *from, size_t len);
/* to += factor · from */
void gf256_add_times(uint8_t *to, const uint8_t *from, uint8_t factor, size_t len);
/* to = factor · to */
void gf256_times(uint8_t *to, uint8_t factor, size_t len);

#endif
