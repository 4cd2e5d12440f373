/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bits.h - arithmetic on 64-bit words, and the byte order at the edges.
 *
 * Nothing here may become a call into libgcc: a hypervisor does not link it.
 */
#ifndef GLN_CORE_BASE_BITS_H
#define GLN_CORE_BASE_BITS_H

#include <stdint.h>

enum {
	GLN_WORD_BITS = 64,
	GLN_WORD_SHIFT = 6,
	GLN_WORD_BYTES = 8,
};

/** Index of the lowest set bit. @x must not be 0 (H-10). */
static inline unsigned int gln_ctz64(uint64_t x)
{
	return (unsigned int)__builtin_ctzll(x);
}

/** Index of the highest set bit. @x must not be 0. */
static inline unsigned int gln_last_set(uint64_t x)
{
	return GLN_WORD_BITS - 1 - (unsigned int)__builtin_clzll(x);
}

/** Number of set bits, without the CPU's instruction. */
static inline unsigned int gln_popcount64(uint64_t x)
{
	const uint64_t pairs = UINT64_C(0x5555555555555555);
	const uint64_t nibbles = UINT64_C(0x3333333333333333);
	const uint64_t bytes = UINT64_C(0x0f0f0f0f0f0f0f0f);
	const uint64_t ones = UINT64_C(0x0101010101010101);

	x -= x >> 1 & pairs;
	x = (x & nibbles) + (x >> 2 & nibbles);
	x = (x + (x >> 4)) & bytes;
	return (unsigned int)(x * ones >> 56);
}

/** The @n lowest bits, @n from 0 to 64. */
static inline uint64_t gln_low_bits(unsigned int n)
{
	return n < GLN_WORD_BITS ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/** Bits [first, last] of a word, both within it. */
static inline uint64_t gln_bits_between(unsigned int first, unsigned int last)
{
	return gln_low_bits(last + 1) & ~gln_low_bits(first);
}

/** The @n lowest set bits of @x; all of them when it has fewer. */
static inline uint64_t gln_lowest_set(uint64_t x, uint64_t n)
{
	uint64_t rest = x;

	while (n-- && rest)
		rest &= rest - 1;

	return x ^ rest;
}

/** To or from little-endian, the order of bitmaps at the KVM edge (H-14). */
static inline uint64_t gln_le64(uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(x);
#else
	return x;
#endif
}

/** @n / @d rounded up, for an @n near the top of 64 bits too. */
static inline uint64_t gln_div_up(uint64_t n, uint64_t d)
{
	return n / d + (n % d != 0);
}

static inline uint64_t gln_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t gln_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
