/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic_test.c - each name does what it says to the value; orders are for the
 * stress tests.
 */
#include "core/base/atomic.h"

#include "tests/unit/require.h"

Test(atomic, exchanges_return_what_was_there)
{
	gln_word word = 5;

	cr_assert_eq(gln_xchg_relaxed(&word, 6), 5);
	cr_assert_eq(gln_xchg_acquire(&word, 7), 6);
	cr_assert_eq(gln_xchg_acq_rel(&word, 8), 7);
	cr_assert_eq(gln_load_relaxed(&word), 8);
}

Test(atomic, bit_operations_return_the_word_before)
{
	gln_word word = 0x0f;

	cr_assert_eq(gln_fetch_or_relaxed(&word, 0x30), 0x0f);
	cr_assert_eq(gln_fetch_or_acq_rel(&word, 0x41), 0x3f);
	cr_assert_eq(gln_fetch_and_acq_rel(&word, 0x11), 0x7f);
	cr_assert_eq(gln_fetch_add_relaxed(&word, UINT64_MAX), 0x11);
	cr_assert_eq(gln_fetch_xor_relaxed(&word, 0x11), 0x10);
	cr_assert_eq(gln_load_acquire(&word), 0x01);
}

Test(atomic, a_failed_compare_exchange_says_what_it_saw)
{
	gln_word word = 5;
	uint64_t seen = 4;

	cr_assert_not(gln_cas_strong_acquire(&word, &seen, 9));
	cr_assert_eq(seen, 5);
	cr_assert_eq(gln_load_relaxed(&word), 5);
	cr_assert(gln_cas_strong_acquire(&word, &seen, 9));
	cr_assert_eq(gln_load_relaxed(&word), 9);
}

Test(atomic, a_counter_counts_past_32_bits)
{
	gln_word counter = UINT32_MAX;

	gln_count(&counter, 1);
	gln_count(&counter, 2);
	cr_assert_eq(gln_load_relaxed(&counter), UINT64_C(0x100000002));
}
