/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * geometry.c - the shape of a stage-2 table, by D8.2 of the Arm ARM.
 */
#include "backends/arm_s2/geometry.h"

#include "backends/arm_s2/entry.h"
#include "core/base/bits.h"
#include "core/base/errno.h"

enum {
	CONCATENATED_BITS = 4, /* 16 root tables */
	MIN_LEVELS = 2,
};

_Static_assert(1 << CONCATENATED_BITS == S2_CONCATENATED_MAX, "one limit");

/* What only VMSAv8-64 has. */
#define ARMV8_FLAGS (GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_LPA2 | GLN_S2_HW_AF)

static bool is_granule(unsigned int granule)
{
	return granule == S2_GRANULE_4K || granule == S2_GRANULE_16K ||
	       granule == S2_GRANULE_64K;
}

static bool is_possible(unsigned int granule, unsigned int ipa_bits,
			uint32_t flags)
{
	if (flags & GLN_S2_ARMV7)
		return granule == S2_GRANULE_4K &&
		       ipa_bits == S2_ARMV7_IPA_BITS && !(flags & ARMV8_FLAGS);
	if (!is_granule(granule) || ipa_bits < S2_IPA_BITS_MIN)
		return false;
	if (granule == S2_GRANULE_64K || (flags & GLN_S2_LPA2))
		return ipa_bits <= S2_IPA_BITS_MAX;
	return ipa_bits <= S2_PA_BITS;
}

/* FEAT_LPA2 includes FEAT_LPA; 64 KiB with a larger IPA needs that one. */
static unsigned int pa_bits_of(unsigned int ipa_bits, uint32_t flags)
{
	if (flags & GLN_S2_ARMV7)
		return S2_PA_BITS_ARMV7;
	return (flags & GLN_S2_LPA2) || ipa_bits > S2_PA_BITS ? S2_PA_BITS_LARGE
							      : S2_PA_BITS;
}

/*
 * The largest block a descriptor can be: a level further up is reserved unless
 * addresses have 52 bits (Arm ARM D8.3, "block descriptor").
 *
 *	granule		block sizes		and with 52 bits
 *	4K		2 MiB, 1 GiB		512 GiB
 *	16K		32 MiB			64 GiB
 *	64K		512 MiB			4 TiB
 */
static unsigned int max_block_shift(unsigned int granule, unsigned int pa_bits)
{
	const unsigned int index_bits = granule - S2_ENTRY_SHIFT;
	unsigned int shift = granule + index_bits;

	if (granule == S2_GRANULE_4K)
		shift += index_bits;
	if (pa_bits == S2_PA_BITS_LARGE)
		shift += index_bits;
	return shift;
}

static unsigned int nr_levels(unsigned int granule, unsigned int ipa_bits)
{
	const unsigned int index_bits = granule - S2_ENTRY_SHIFT;
	const unsigned int bits = ipa_bits - granule - CONCATENATED_BITS;

	return (unsigned int)gln_max(gln_div_up(bits, index_bits), MIN_LEVELS);
}

static void fill_levels(struct radix_geometry *radix, unsigned int max_block)
{
	const unsigned int index_bits = radix->page_shift - S2_ENTRY_SHIFT;
	const unsigned int last = radix->nr_levels - 1;
	unsigned int top = radix->addr_bits;

	for (unsigned int i = 0; i <= last; i++) {
		const unsigned int shift =
			radix->page_shift + (last - i) * index_bits;

		radix->level[i].shift = shift;
		radix->level[i].bits = top - shift;
		radix->level[i].block_ok = i < last && shift <= max_block;
		top = shift;
	}
}

int glni_s2_geometry(unsigned int granule, unsigned int ipa_bits,
		     uint32_t flags, struct s2_geometry *geometry)
{
	if (!is_possible(granule, ipa_bits, flags))
		return -EINVAL;

	const unsigned int index_bits = granule - S2_ENTRY_SHIFT;
	const unsigned int levels = nr_levels(granule, ipa_bits);
	const unsigned int pa_bits = pa_bits_of(ipa_bits, flags);
	struct s2_geometry g = {
		.radix = {.nr_levels = levels,
			  .page_shift = granule,
			  .addr_bits = ipa_bits},
		.flags = flags,
		.start_level = S2_CPU_LAST_LEVEL + 1 - levels,
		.pa_bits = pa_bits,
		.is_lpa2 = (flags & GLN_S2_LPA2) && granule != S2_GRANULE_64K,
	};

	fill_levels(&g.radix, flags & GLN_S2_NO_BLOCKS
				      ? 0
				      : max_block_shift(granule, pa_bits));
	g.nr_root_tables = g.radix.level[0].bits > index_bits
				   ? 1U << (g.radix.level[0].bits - index_bits)
				   : 1;
	*geometry = g;
	return 0;
}
