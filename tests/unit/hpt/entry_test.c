/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry_test.c - the two formats in memory, and the order of their bytes.
 */
#include "core/hpt/entry.h"

#include <string.h>

#include "tests/support/random.h"
#include "tests/unit/require.h"

enum { NR_RANDOM = 20000 };

/* An entry that a guest can have on either CPU: 68 bits of address. */
static struct gln_hpte random_entry(struct test_random *random)
{
	const uint64_t v = test_random_next(random);

	return (struct gln_hpte){
		.v = (v & HPTE_V_3_0) | (v & GLN_HPTE_V_1TB),
		.r = test_random_next(random) & ~HPTE_R_B_3_0,
	};
}

Test(entry, before_isa_3_0_memory_has_the_old_format)
{
	const struct gln_hpte any = {UINT64_C(0xfedcba9876543210),
				     UINT64_C(0x0123456789abcdef)};
	const struct gln_hpte in = hpte_to_memory(GLN_HPT_ISA_2_07, any);
	const struct gln_hpte out = hpte_from_memory(GLN_HPT_ISA_2_07, any);

	cr_assert(in.v == any.v && in.r == any.r);
	cr_assert(out.v == any.v && out.r == any.r);
}

Test(entry, since_isa_3_0_the_segment_size_is_in_r)
{
	const struct gln_hpte in = hpte_to_memory(
		GLN_HPT_ISA_3_0,
		(struct gln_hpte){UINT64_C(0x40000abcde123415), 0x190});

	cr_assert_eq(in.v, UINT64_C(0x00000abcde123415));
	cr_assert_eq(in.r, UINT64_C(0x0400000000000190));
}

Test(entry, since_isa_3_0_v_has_52_bits)
{
	const struct gln_hpte in = hpte_to_memory(
		GLN_HPT_ISA_3_0, (struct gln_hpte){UINT64_MAX, 0});

	cr_assert_eq(in.v, UINT64_C(0x000fffffffffffff));
	cr_assert_eq(in.r, UINT64_C(0x0c00000000000000));
}

/* Nobody writes them; a guest does not get to see them either. */
Test(entry, what_hardware_ignores_of_v_stays_out_of_the_old_format)
{
	const struct gln_hpte out = hpte_from_memory(
		GLN_HPT_ISA_3_0, (struct gln_hpte){UINT64_MAX, 0});

	cr_assert_eq(out.v, UINT64_C(0x000fffffffffffff));
	cr_assert_eq(out.r, 0);
}

Test(entry, the_formats_go_round)
{
	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const struct gln_hpte old = random_entry(&random);
		const struct gln_hpte in = hpte_to_memory(GLN_HPT_ISA_3_0, old);
		const struct gln_hpte out =
			hpte_from_memory(GLN_HPT_ISA_3_0, in);

		require(out.v == old.v && out.r == old.r, "seed %" PRIu64,
			seed);
	}
}

/* What all code tests without asking for the format. */
Test(entry, software_bits_and_hardware_s_notes_do_not_move)
{
	const uint64_t v = GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT |
			   GLN_HPTE_V_BOLTED | GLN_HPTE_V_LOCK |
			   GLN_HPTE_V_LARGE | GLN_HPTE_V_SECONDARY |
			   GLN_HPTE_V_VALID;
	const uint64_t r = GLN_HPTE_R_R | GLN_HPTE_R_C | GLN_HPTE_R_KEY |
			   GLN_HPTE_R_PP0 | GLN_HPTE_R_PP | GLN_HPTE_R_N |
			   GLN_HPTE_R_WIMG | GLN_HPTE_R_LP;
	const struct gln_hpte in =
		hpte_to_memory(GLN_HPT_ISA_3_0, (struct gln_hpte){v, r});

	cr_assert_eq(in.v, v);
	cr_assert_eq(in.r, r);
}

Test(entry, memory_is_big_endian_on_any_host)
{
	const uint64_t be = hpte_be(UINT64_C(0x0102030405060708));
	uint8_t bytes[8];

	memcpy(bytes, &be, sizeof(be));
	for (uint8_t i = 0; i < 8; i++)
		cr_assert_eq(bytes[i], i + 1);
	cr_assert_eq(hpte_be(be), UINT64_C(0x0102030405060708));
}

/* H_CLEAR_REF stores this byte, and leaves C, in the next one, alone. */
Test(entry, r_and_c_are_in_two_bytes)
{
	const uint64_t pair[2] = {0, hpte_be(GLN_HPTE_R_R)};
	uint8_t bytes[16];

	memcpy(bytes, pair, sizeof(pair));
	cr_assert_eq(bytes[HPTE_R_BYTE], GLN_HPTE_R_R >> 8);
	cr_assert_eq(bytes[HPTE_R_BYTE + 1], 0);
}
