/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bits_test.c - arithmetic on words, against loops over 64 bits.
 *
 * H-10 (zero masks), H-11 (one-bit masks and bit 63), H-14 (byte order), G9.
 */
#include "core/base/bits.h"

#include <string.h>

#include "tests/support/random.h"
#include "tests/unit/require.h"

static const uint64_t corners[] = {
	0,
	1,
	2,
	3,
	UINT64_C(1) << 63,
	UINT64_C(1) << 63 | 1,
	UINT64_C(0x5555555555555555),
	UINT64_C(0xaaaaaaaaaaaaaaaa),
	UINT64_C(0x00000000ffffffff),
	UINT64_C(0xffffffff00000000),
	UINT64_MAX - 1,
	UINT64_MAX >> 1,
	UINT64_MAX,
};

static unsigned int slow_count(uint64_t x)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < 64; i++)
		nr += (unsigned int)(x >> i & 1);

	return nr;
}

static uint64_t slow_lowest(uint64_t x, uint64_t n)
{
	uint64_t kept = 0;

	for (unsigned int i = 0; i < 64 && n; i++) {
		if (!(x >> i & 1))
			continue;
		kept |= UINT64_C(1) << i;
		n--;
	}

	return kept;
}

Test(bits, first_and_last_set_bit_of_every_position)
{
	for (unsigned int i = 0; i < 64; i++) {
		const uint64_t bit = UINT64_C(1) << i;

		cr_assert_eq(gln_ctz64(bit), i);
		cr_assert_eq(gln_last_set(bit), i);
		cr_assert_eq(gln_ctz64(bit | UINT64_C(1) << 63), i);
		cr_assert_eq(gln_last_set(bit | 1), i);
	}
}

Test(bits, population_count_agrees_with_a_loop)
{
	struct test_random random = {1};

	for (const uint64_t *x = corners; x < ARRAY_END(corners); x++)
		cr_assert_eq(gln_popcount64(*x), slow_count(*x), "%#" PRIx64,
			     *x);
	for (unsigned int i = 0; i < 100000; i++) {
		const uint64_t x =
			test_random_next(&random) & test_random_next(&random);

		require(gln_popcount64(x) == slow_count(x), "%#" PRIx64, x);
	}
}

Test(bits, low_bits_of_every_length_from_none_to_all)
{
	uint64_t want = 0;

	for (unsigned int n = 0; n <= 64; n++) {
		cr_assert_eq(gln_low_bits(n), want, "%u bits", n);
		want = want << 1 | 1;
	}
}

Test(bits, bits_between_include_both_ends)
{
	for (unsigned int first = 0; first < 64; first++) {
		uint64_t want = 0;

		for (unsigned int last = first; last < 64; last++) {
			want |= UINT64_C(1) << last;
			require(gln_bits_between(first, last) == want,
				"[%u, %u]", first, last);
		}
	}
}

Test(bits, lowest_set_keeps_so_many_and_no_more)
{
	struct test_random random = {2};

	for (const uint64_t *x = corners; x < ARRAY_END(corners); x++) {
		for (uint64_t n = 0; n <= 66; n++)
			require(gln_lowest_set(*x, n) == slow_lowest(*x, n),
				"%" PRIu64 " of %#" PRIx64, n, *x);
		cr_assert_eq(gln_lowest_set(*x, UINT64_MAX), *x);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		const uint64_t x = test_random_next(&random);
		const uint64_t n = test_random_below(&random, 66);

		require(gln_lowest_set(x, n) == slow_lowest(x, n),
			"%" PRIu64 " of %#" PRIx64, n, x);
	}
}

Test(bits, little_endian_words_have_their_low_byte_first)
{
	const uint8_t want[] = {8, 7, 6, 5, 4, 3, 2, 1};
	const uint64_t word = gln_le64(UINT64_C(0x0102030405060708));

	cr_assert_eq(memcmp(&word, want, sizeof(word)), 0);
	cr_assert_eq(gln_le64(word), UINT64_C(0x0102030405060708));
}

Test(bits, division_rounds_up_at_the_edge_of_64_bits_too)
{
	static const struct {
		uint64_t n, d, want;
	} cases[] = {
		{0, 1, 0},
		{0, 512, 0},
		{1, 512, 1},
		{511, 512, 1},
		{512, 512, 1},
		{513, 512, 2},
		{UINT64_MAX, 1, UINT64_MAX},
		{UINT64_MAX, 2, UINT64_C(1) << 63},
		{UINT64_MAX, 64, UINT64_C(1) << 58},
		{UINT64_MAX - 63, 64, (UINT64_C(1) << 58) - 1},
		{UINT64_MAX - 62, 64, UINT64_C(1) << 58},
		{UINT64_MAX, UINT64_MAX, 1},
		{UINT64_MAX - 1, UINT64_MAX, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(gln_div_up(cases[i].n, cases[i].d), cases[i].want,
			     "row %zu", i);
}

Test(bits, min_and_max_compare_without_a_sign)
{
	cr_assert_eq(gln_min(1, UINT64_MAX), 1);
	cr_assert_eq(gln_min(UINT64_MAX, 1), 1);
	cr_assert_eq(gln_max(1, UINT64_MAX), UINT64_MAX);
	cr_assert_eq(gln_max(UINT64_MAX, 1), UINT64_MAX);
	cr_assert_eq(gln_min(7, 7), 7);
	cr_assert_eq(gln_max(7, 7), 7);
}
