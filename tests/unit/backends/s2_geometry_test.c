/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2_geometry_test.c - the shape of a stage-2 table is the one the CPU walks.
 */
#include "backends/arm_s2/geometry.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/require.h"

enum { MAX_BITS = 70, MAX_GRANULE = 20 };

/* By the tables of the Arm ARM, D8.2, for roots as short as concatenation can
 * make them. Bits are of the root. */
static const struct shape_case {
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
	unsigned int start_level;
	unsigned int nr_root_tables;
	unsigned int root_bits;
	unsigned int root_shift;
} shapes[] = {
	{12, 32, 0, 2, 4, 11, 21},
	{12, 34, 0, 2, 16, 13, 21},
	{12, 35, 0, 1, 1, 5, 30},
	{12, 39, 0, 1, 1, 9, 30},
	{12, 40, 0, 1, 2, 10, 30},
	{12, 40, GLN_S2_ARMV7, 1, 2, 10, 30},
	{12, 42, 0, 1, 8, 12, 30},
	{12, 43, 0, 1, 16, 13, 30},
	{12, 44, 0, 0, 1, 5, 39},
	{12, 48, 0, 0, 1, 9, 39},
	{12, 48, GLN_S2_LPA2, 0, 1, 9, 39},
	{12, 49, GLN_S2_LPA2, 0, 2, 10, 39},
	{12, 52, GLN_S2_LPA2, 0, 16, 13, 39},
	{14, 32, 0, 2, 1, 7, 25},
	{14, 40, 0, 2, 16, 15, 25},
	{14, 41, 0, 1, 1, 5, 36},
	{14, 47, 0, 1, 1, 11, 36},
	{14, 48, 0, 1, 2, 12, 36},
	{14, 51, GLN_S2_LPA2, 1, 16, 15, 36},
	{14, 52, GLN_S2_LPA2, 0, 1, 5, 47},
	{16, 32, 0, 2, 1, 3, 29},
	{16, 42, 0, 2, 1, 13, 29},
	{16, 46, 0, 2, 16, 17, 29},
	{16, 47, 0, 1, 1, 5, 42},
	{16, 48, 0, 1, 1, 6, 42},
	{16, 52, 0, 1, 1, 10, 42},
};

Test(s2_geometry, known_sizes_start_where_the_manual_says)
{
	for (const struct shape_case *c = shapes; c < ARRAY_END(shapes); c++) {
		struct s2_geometry g;

		cr_assert_eq(
			glni_s2_geometry(c->granule, c->ipa_bits, c->flags, &g),
			0);
		require(g.start_level == c->start_level,
			"granule %u, %u bits: level %u", c->granule,
			c->ipa_bits, g.start_level);
		require(g.nr_root_tables == c->nr_root_tables,
			"granule %u, %u bits: %u tables", c->granule,
			c->ipa_bits, g.nr_root_tables);
		require(g.radix.level[0].bits == c->root_bits &&
				g.radix.level[0].shift == c->root_shift,
			"granule %u, %u bits: root of %u bits from %u",
			c->granule, c->ipa_bits, g.radix.level[0].bits,
			g.radix.level[0].shift);
	}
}

static bool is_supported(unsigned int granule, unsigned int ipa_bits,
			 uint32_t flags)
{
	if (granule != 12 && granule != 14 && granule != 16)
		return false;
	if (ipa_bits < 32 || ipa_bits > 52)
		return false;
	return ipa_bits <= 48 || granule == 16 || (flags & GLN_S2_LPA2);
}

/* All that holds for every shape. */
static void check_shape(const struct s2_geometry *g, unsigned int granule,
			unsigned int ipa_bits)
{
	const unsigned int stride = granule - 3;
	const unsigned int below = 3 - g->start_level;
	unsigned int sum = 0;

	require(g->radix.page_shift == granule &&
			g->radix.addr_bits == ipa_bits &&
			g->radix.nr_levels == below + 1,
		"granule %u, %u bits: not what was asked", granule, ipa_bits);
	/* AArch64.S2InconsistentSL(): what a start level can resolve. */
	require(ipa_bits >= below * stride + granule + 1 &&
			ipa_bits <= below * stride + granule + stride + 4,
		"granule %u, %u bits: inconsistent with level %u", granule,
		ipa_bits, g->start_level);
	for (unsigned int i = 0; i <= below; i++) {
		sum += g->radix.level[i].bits;
		require(g->radix.level[i].shift ==
				granule + (below - i) * stride,
			"granule %u, %u bits: shift of %u", granule, ipa_bits,
			i);
		require(!i || g->radix.level[i].bits == stride,
			"granule %u, %u bits: table at %u", granule, ipa_bits,
			i);
	}
	require(sum + granule == ipa_bits, "granule %u, %u bits: covers %u",
		granule, ipa_bits, sum + granule);
	require(UINT64_C(1) << g->radix.level[0].bits <=
			(uint64_t)g->nr_root_tables << stride,
		"granule %u, %u bits: root too small", granule, ipa_bits);
	require(!g->radix.level[below].block_ok,
		"granule %u, %u bits: a block of one page", granule, ipa_bits);
}

Test(s2_geometry, every_size_is_covered_exactly_or_refused)
{
	static const uint32_t features[] = {0, GLN_S2_LPA2};

	for (unsigned int granule = 0; granule < MAX_GRANULE; granule++)
		for (unsigned int bits = 0; bits < MAX_BITS; bits++)
			for (unsigned int i = 0; i < 2; i++) {
				const uint32_t flags = features[i];
				const bool ok =
					is_supported(granule, bits, flags);
				struct s2_geometry g;
				const int err = glni_s2_geometry(granule, bits,
								 flags, &g);

				require(err == (ok ? 0 : -EINVAL),
					"granule %u, %u bits, flags %u: %d",
					granule, bits, (unsigned int)flags,
					err);
				if (ok)
					check_shape(&g, granule, bits);
			}
}

static const struct block_case {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
	uint64_t sizes; /* bit n: a block of 2^n bytes may stand */
} blocks[] = {
	{"4K", 12, 48, 0, 1ULL << 21 | 1ULL << 30},
	{"4K, two levels", 12, 34, 0, 1ULL << 21},
	{"4K LPA2", 12, 48, GLN_S2_LPA2, 1ULL << 21 | 1ULL << 30 | 1ULL << 39},
	{"4K LPA2, three levels", 12, 40, GLN_S2_LPA2, 1ULL << 21 | 1ULL << 30},
	{"16K", 14, 48, 0, 1ULL << 25},
	{"16K LPA2", 14, 48, GLN_S2_LPA2, 1ULL << 25 | 1ULL << 36},
	{"16K LPA2, four levels", 14, 52, GLN_S2_LPA2, 1ULL << 25 | 1ULL << 36},
	{"64K", 16, 48, 0, 1ULL << 29},
	{"64K, 52 bits", 16, 52, 0, 1ULL << 29 | 1ULL << 42},
	{"64K, a CPU of 52 bits", 16, 48, GLN_S2_LPA2, 1ULL << 29 | 1ULL << 42},
	{"Armv7", 12, 40, GLN_S2_ARMV7, 1ULL << 21 | 1ULL << 30},
	{"none wanted", 12, 48, GLN_S2_NO_BLOCKS | GLN_S2_LPA2, 0},
};

Test(s2_geometry, blocks_stand_where_a_descriptor_can_be_one)
{
	for (const struct block_case *c = blocks; c < ARRAY_END(blocks); c++) {
		struct s2_geometry g;
		uint64_t sizes = 0;

		cr_assert_eq(
			glni_s2_geometry(c->granule, c->ipa_bits, c->flags, &g),
			0);
		for (unsigned int i = 0; i < g.radix.nr_levels; i++)
			if (g.radix.level[i].block_ok)
				sizes |= UINT64_C(1) << g.radix.level[i].shift;
		cr_assert_eq(sizes, c->sizes, "%s: %#" PRIx64, c->what, sizes);
	}
}

static const struct refused_case {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
} refused[] = {
	{"4K above 48 bits without LPA2", 12, 49, 0},
	{"16K above 48 bits without LPA2", 14, 49, 0},
	{"more than 52 bits", 16, 53, GLN_S2_LPA2},
	{"fewer than 32 bits", 12, 31, 0},
	{"no such granule", 13, 40, 0},
	{"Armv7 with another size", 12, 39, GLN_S2_ARMV7},
	{"Armv7 with another granule", 16, 40, GLN_S2_ARMV7},
	{"Armv7 with TLBI by range", 12, 40, GLN_S2_ARMV7 | GLN_S2_TLB_RANGE},
	{"Armv7 with level hints", 12, 40, GLN_S2_ARMV7 | GLN_S2_TTL},
	{"Armv7 with LPA2", 12, 40, GLN_S2_ARMV7 | GLN_S2_LPA2},
	{"Armv7 that sets AF", 12, 40, GLN_S2_ARMV7 | GLN_S2_HW_AF},
};

Test(s2_geometry, a_shape_that_no_cpu_has_is_refused_and_writes_nothing)
{
	for (const struct refused_case *c = refused; c < ARRAY_END(refused);
	     c++) {
		struct s2_geometry before, g;

		memset(&before, 0x5a, sizeof(before));
		memcpy(&g, &before, sizeof(g));
		cr_assert_eq(
			glni_s2_geometry(c->granule, c->ipa_bits, c->flags, &g),
			-EINVAL, "%s", c->what);
		cr_assert_eq(memcmp(&g, &before, sizeof(g)), 0, "%s", c->what);
	}
}

Test(s2_geometry, addresses_are_as_large_as_granule_and_features_make_them)
{
	struct s2_geometry g;

	cr_assert_eq(glni_s2_geometry(12, 48, 0, &g), 0);
	cr_assert(g.pa_bits == 48 && !g.is_lpa2);
	cr_assert_eq(glni_s2_geometry(14, 40, GLN_S2_LPA2, &g), 0);
	cr_assert(g.pa_bits == 52 && g.is_lpa2);
	cr_assert_eq(glni_s2_geometry(16, 48, 0, &g), 0);
	cr_assert(g.pa_bits == 48 && !g.is_lpa2);
	cr_assert_eq(glni_s2_geometry(16, 48, GLN_S2_LPA2, &g), 0);
	cr_assert(g.pa_bits == 52 && !g.is_lpa2);
	cr_assert_eq(glni_s2_geometry(16, 52, 0, &g), 0);
	cr_assert(g.pa_bits == 52 && !g.is_lpa2);
	cr_assert_eq(glni_s2_geometry(12, 40, GLN_S2_ARMV7, &g), 0);
	cr_assert(g.pa_bits == 40 && !g.is_lpa2);
}
