/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strategy_test.c - the cheaper way to take is chosen, by what both have cost.
 */
#include "core/dirty/strategy.h"

#include "tests/unit/require.h"

enum {
	GUESSED_LINES = FIRST_GRACE_NS / EXCHANGE_LINE_NS,
	SLOW_NS = 10000000,
};

static struct strategy fresh(void)
{
	struct strategy strategy;

	strategy_init(&strategy);
	return strategy;
}

/* One harvest of @nr_lines lines by whichever is chosen. True if that flips. */
static bool harvest(struct strategy *strategy, uint64_t nr_lines,
		    uint64_t grace_ns, uint64_t fences_ns)
{
	if (nr_lines >= strategy_flip_lines(strategy)) {
		strategy_note_flip(strategy, grace_ns);
		return true;
	}
	strategy_note_exchange(strategy, nr_lines,
			       fences_ns + nr_lines * EXCHANGE_LINE_NS);
	return false;
}

Test(strategy, begins_with_a_guess)
{
	const struct strategy strategy = fresh();

	cr_assert_eq(strategy_flip_lines(&strategy), GUESSED_LINES);
}

Test(strategy, never_flips_for_nothing)
{
	struct strategy strategy = fresh();

	/* So dear that a flip is tried, whatever it costs. */
	strategy_note_exchange(&strategy, 0,
			       UINT64_C(2) * TRIAL_SHARE * FIRST_GRACE_NS);
	cr_assert_eq(strategy.flip.estimate_ns, 0);
	cr_assert_eq(strategy_flip_lines(&strategy), 1);
}

Test(strategy, without_a_clock_stays_at_its_guess)
{
	struct strategy strategy = fresh();

	for (unsigned int i = 0; i < 3; i++) {
		strategy_note_flip(&strategy, 0);
		strategy_note_exchange(&strategy, 1, 0);
	}
	cr_assert_eq(strategy_flip_lines(&strategy), GUESSED_LINES);
}

Test(strategy, a_cheap_grace_period_makes_flips_of_few_lines)
{
	struct strategy strategy = fresh();

	strategy_note_flip(&strategy, 800);
	cr_assert_eq(strategy_flip_lines(&strategy), 20);
}

Test(strategy, dear_fences_make_flips_of_few_lines)
{
	struct strategy strategy = fresh();

	strategy_note_exchange(&strategy, 0, 9000);
	strategy_note_exchange(&strategy, 0, 9000);
	cr_assert_lt(strategy_flip_lines(&strategy), 20);
}

Test(strategy, dear_lines_make_flips_of_few_lines)
{
	struct strategy strategy = fresh();

	for (unsigned int i = 0; i < 2; i++)
		strategy_note_exchange(&strategy, 100, 300 * 100);
	cr_assert_leq(strategy_flip_lines(&strategy), 100);
}

Test(strategy, one_interruption_changes_nothing)
{
	struct strategy strategy = fresh();
	uint64_t before;

	strategy_note_flip(&strategy, 1200);
	strategy_note_flip(&strategy, 1200);
	before = strategy_flip_lines(&strategy);
	strategy_note_flip(&strategy, SLOW_NS);
	cr_assert_eq(strategy_flip_lines(&strategy), before);
	strategy_note_flip(&strategy, SLOW_NS);
	cr_assert_eq(strategy_flip_lines(&strategy),
		     SLOW_NS / EXCHANGE_LINE_NS);
}

Test(strategy, very_many_lines_are_worth_any_wait)
{
	struct strategy strategy = fresh();

	for (unsigned int i = 0; i < 100; i++)
		harvest(&strategy, 1000000, SLOW_NS, 1000);
	cr_assert(harvest(&strategy, 1000000, SLOW_NS, 1000));
}

/*
 * Harvest with @nr_lines over and over. What is paid stays within the share for
 * trials, and what is learnt first, of the cheaper of the two.
 */
static void expect_little_regret(uint64_t nr_lines, uint64_t grace_ns,
				 uint64_t fences_ns)
{
	const uint64_t nr_harvests = 20000;
	const uint64_t exchange_ns = fences_ns + nr_lines * EXCHANGE_LINE_NS;
	const uint64_t best_ns = gln_min(grace_ns, exchange_ns);
	struct strategy strategy = fresh();
	uint64_t paid_ns = 0;

	for (uint64_t i = 0; i < nr_harvests; i++)
		paid_ns += harvest(&strategy, nr_lines, grace_ns, fences_ns)
				   ? grace_ns
				   : exchange_ns;
	require(paid_ns <= nr_harvests * best_ns * (TRIAL_SHARE + 1) /
					   TRIAL_SHARE +
				   4 * FIRST_GRACE_NS * TRIAL_SHARE +
				   3 * (grace_ns + exchange_ns),
		"%" PRIu64 " lines, grace %" PRIu64 " ns, fences %" PRIu64
		" ns: %" PRIu64 " ns a harvest",
		nr_lines, grace_ns, fences_ns, paid_ns / nr_harvests);
}

Test(strategy, what_trials_cost_is_bounded)
{
	static const uint64_t lines[] = {1, 10, 100, 249, 251, 1000, 100000};
	static const uint64_t graces[] = {300, 1000, 10000, 40000, SLOW_NS};
	static const uint64_t fences[] = {0, 500, 2000, 40000};

	for (unsigned int i = 0; i < 7; i++)
		for (unsigned int j = 0; j < 5; j++)
			for (unsigned int k = 0; k < 4; k++)
				expect_little_regret(lines[i], graces[j],
						     fences[k]);
}

Test(strategy, a_grace_period_that_got_cheap_is_found_out)
{
	struct strategy strategy = fresh();
	unsigned int i = 0;

	while (i < 3) {
		strategy_note_flip(&strategy, 50000);
		i++;
	}
	while (!harvest(&strategy, 100, 1000, 1000))
		require(i++ < TRIAL_SHARE * 10, "no trial in %u harvests", i);
	cr_assert(harvest(&strategy, 100, 1000, 1000));
}
