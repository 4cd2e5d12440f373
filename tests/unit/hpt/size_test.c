/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size_test.c - page sizes: all 256 encodings, all pairs, all segments. (H-88)
 */
#include <glean/hpte.h>

#include "tests/unit/require.h"

enum {
	SHIFT_4K = 12,
	SHIFT_64K = 16,
	SHIFT_16M = 24,
	SHIFT_16G = 34,
	NR_LP = 256,
	MAX_SHIFT = 64,
};

/* What a manual's reader would say, nibble by nibble. */
static bool expected(unsigned int lp, struct gln_hpte_size *size)
{
	const unsigned int high = lp >> 4;

	switch (lp & 15) {
	case 0:
		*size = (struct gln_hpte_size){SHIFT_16M, SHIFT_16M};
		return high == 0;
	case 1:
		*size = (struct gln_hpte_size){SHIFT_64K, SHIFT_64K};
		return true;
	case 3:
		*size = (struct gln_hpte_size){SHIFT_16G, SHIFT_16G};
		return high == 0;
	case 7:
		*size = (struct gln_hpte_size){SHIFT_4K, SHIFT_64K};
		return true;
	case 8:
		*size = (struct gln_hpte_size){high ? SHIFT_4K : SHIFT_64K,
					       SHIFT_16M};
		return high == 0 || high == 3;
	default:
		return false;
	}
}

static bool is_same(struct gln_hpte_size a, struct gln_hpte_size b)
{
	return a.base == b.base && a.actual == b.actual;
}

static uint64_t r_of_lp(unsigned int lp)
{
	return (uint64_t)lp << GLN_HPTE_R_LP_SHIFT;
}

Test(size, every_encoding_is_what_the_manual_says_or_refused)
{
	for (unsigned int lp = 0; lp < NR_LP; lp++) {
		struct gln_hpte_size want, got = {1, 2};
		const bool is_known = expected(lp, &want);

		cr_assert_eq(
			gln_hpte_decode(GLN_HPTE_V_LARGE, r_of_lp(lp), &got),
			is_known, "LP %#x", lp);
		if (!is_known)
			want = (struct gln_hpte_size){1, 2};
		cr_assert(is_same(got, want), "LP %#x: %u %u", lp, got.base,
			  got.actual);
	}
}

Test(size, without_l_there_is_no_lp)
{
	for (unsigned int lp = 0; lp < NR_LP; lp++) {
		struct gln_hpte_size got = {0, 0};

		cr_assert(gln_hpte_decode(~GLN_HPTE_V_LARGE,
					  r_of_lp(lp) | ~GLN_HPTE_R_LP, &got));
		cr_assert(is_same(got, (struct gln_hpte_size){12, 12}));
	}
}

Test(size, the_rest_of_an_entry_does_not_matter)
{
	for (unsigned int lp = 0; lp < NR_LP; lp++) {
		struct gln_hpte_size bare = {0, 0}, full = {0, 0};

		cr_assert_eq(
			gln_hpte_decode(GLN_HPTE_V_LARGE, r_of_lp(lp), &bare),
			gln_hpte_decode(UINT64_MAX,
					r_of_lp(lp) | ~GLN_HPTE_R_LP, &full));
		cr_assert(is_same(bare, full), "LP %#x", lp);
	}
}

/* What is decoded is encoded, but for bits of LP that are the real page's. */
Test(size, decoding_and_encoding_go_round)
{
	for (unsigned int i = 0; i < 2 * NR_LP; i++) {
		const uint64_t v = i & NR_LP ? GLN_HPTE_V_LARGE : 0;
		const uint64_t r = r_of_lp(i % NR_LP);
		struct gln_hpte_size size, again;
		struct gln_hpte entry;

		if (!gln_hpte_decode(v, r, &size))
			continue;
		cr_assert(gln_hpte_encode(size, &entry), "case %#x", i);
		cr_assert_eq(entry.v, v, "case %#x", i);
		cr_assert_eq(entry.r, r & ((UINT64_C(1) << size.actual) - 1),
			     "case %#x: %#" PRIx64, i, entry.r);
		cr_assert(gln_hpte_decode(entry.v, entry.r, &again));
		cr_assert(is_same(size, again), "case %#x", i);
	}
}

Test(size, seven_pairs_have_an_encoding_and_no_other)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < MAX_SHIFT * MAX_SHIFT; i++) {
		const struct gln_hpte_size size = {i / MAX_SHIFT,
						   i % MAX_SHIFT};
		struct gln_hpte entry = {1, 2};
		struct gln_hpte_size again;

		if (!gln_hpte_encode(size, &entry)) {
			cr_assert(entry.v == 1 && entry.r == 2);
			continue;
		}
		nr++;
		cr_assert(gln_hpte_decode(entry.v, entry.r, &again));
		cr_assert(is_same(size, again), "%u %u", size.base,
			  size.actual);
	}
	cr_assert_eq(nr, 7);
}

Test(size, a_segment_has_one_of_four_pages)
{
	static const struct {
		uint64_t slb;
		unsigned int shift;
	} cases[] = {
		{0x000, SHIFT_4K},  {0x010, 0},		{0x020, 0},
		{0x030, 0},	    {0x100, SHIFT_16M}, {0x110, SHIFT_64K},
		{0x120, SHIFT_16G}, {0x130, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(gln_slb_page_shift(cases[i].slb), cases[i].shift,
			     "%#" PRIx64, cases[i].slb);
		cr_assert_eq(
			gln_slb_page_shift(cases[i].slb | ~UINT64_C(0x130)),
			cases[i].shift);
	}
}
