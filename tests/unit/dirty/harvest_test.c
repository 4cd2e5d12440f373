/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest_test.c - what a harvest asks of the backend, and what it does when
 * the backend fails.
 *
 * G4 (exact runs, a vector a call), G5 (errors put back), G8 (flush follows
 * bits reaped), G9 (any base and size); H-03 (flush before the harvest is
 * over), H-05, H-09, H-11, H-12, H-13.
 */
#include "tests/unit/guest.h"

static struct guest guest;

enum { ID = 7 };

/* Pages of the largest slot here, and the runs they can make. */
enum { MAX_PAGES = 40000 };

/*
 * The ranges of all protect calls, in order, are @runs: 64 to a call, but for
 * the last.
 */
static void check_protected(const struct gln_range *runs, size_t nr_runs,
			    uint64_t seed)
{
	size_t at = 0, nr_calls = 0;
	const struct fake_call *call;

	for (; (call = fake_backend_nth(&guest.fake, FAKE_PROTECT, nr_calls));
	     nr_calls++) {
		const size_t want = gln_min(nr_runs - at, RUNS_A_CALL);

		require(call->id == ID && call->nr_ranges == want,
			"seed %" PRIu64 ", call %zu: %zu ranges, not %zu", seed,
			nr_calls, call->nr_ranges, want);
		require(!memcmp(&guest.fake.ranges[call->first_range],
				&runs[at], want * sizeof(*runs)),
			"seed %" PRIu64 ", call %zu: other runs", seed,
			nr_calls);
		at += want;
	}
	require(at == nr_runs, "seed %" PRIu64 ": %zu of %zu runs", seed, at,
		nr_runs);
}

/* One flush, the last call of all, whose plan is @runs, or the whole slot. */
static void check_flushed(const struct gln_range *runs, size_t nr_runs,
			  uint64_t nr_pages, uint64_t seed)
{
	const struct fake_call *const call =
		fake_backend_nth(&guest.fake, FAKE_FLUSH, 0);

	if (!nr_runs) {
		require(!call, "seed %" PRIu64 ": a flush of nothing", seed);
		return;
	}
	require(call && guest.fake.nr_of[FAKE_FLUSH] == 1 &&
			call == &guest.fake.calls[guest.fake.nr_calls - 1],
		"seed %" PRIu64 ": no flush after the last protect", seed);
	require(call->nr_pages == nr_pages,
		"seed %" PRIu64 ": %" PRIu64 " pages in the plan", seed,
		call->nr_pages);
	require(call->whole_slot == (nr_runs > GLN_FLUSH_RANGES),
		"seed %" PRIu64 ": whole slot for %zu runs", seed, nr_runs);
	require(call->whole_slot ||
			(call->nr_ranges == nr_runs &&
			 !memcmp(&guest.fake.ranges[call->first_range], runs,
				 nr_runs * sizeof(*runs))),
		"seed %" PRIu64 ": other ranges in the plan", seed);
}

static void check_report(struct gln_harvest *harvest, uint64_t slot_pages,
			 uint64_t nr_pages, size_t nr_runs, uint64_t seed)
{
	const struct gln_harvest_report report = guest_report(harvest);

	require(report.nr_pages == nr_pages && report.nr_runs == nr_runs &&
			report.next_page == slot_pages &&
			report.protect_calls ==
				gln_div_up(nr_runs, RUNS_A_CALL),
		"seed %" PRIu64 ": reported %" PRIu64 " pages, %" PRIu64
		" runs, next page %" PRIu64 ", %" PRIu64 " calls",
		seed, report.nr_pages, report.nr_runs, report.next_page,
		report.protect_calls);
}

/* Mark a pattern in a slot, harvest, look at everything; take it away again. */
static void harvest_pattern(gln_gfn base, uint64_t slot_pages, uint64_t pattern,
			    uint64_t seed)
{
	static struct gln_range runs[MAX_PAGES / 2 + 1], got[MAX_PAGES / 2 + 1];
	static uint8_t pages[MAX_PAGES], none[MAX_PAGES];
	struct test_random random = {seed};
	struct gln_harvest *harvest;
	uint64_t nr_pages;
	size_t nr_runs, nr;

	test_pages_fill(pages, slot_pages, pattern, &random);
	nr_runs = test_pages_runs(pages, slot_pages, base, runs);
	nr_pages = test_pages_count(pages, 0, slot_pages);
	guest_log_slot(&guest, ID, base, slot_pages);
	guest_mark(&guest, base, pages, slot_pages);

	harvest = guest_begin(&guest, ID);
	check_protected(runs, nr_runs, seed);
	check_flushed(runs, nr_runs, nr_pages, seed);
	check_report(harvest, slot_pages, nr_pages, nr_runs, seed);
	nr = gln_harvest_next(harvest, got, nr_runs + 1);
	require(nr == nr_runs && !memcmp(got, runs, nr * sizeof(*runs)),
		"seed %" PRIu64 ": %zu runs given, not %zu", seed, nr, nr_runs);
	gln_harvest_commit(harvest);
	require(guest_has_marks(&guest, ID, none) &&
			guest_spare_is_clear(&guest, ID),
		"seed %" PRIu64 ": marks are left", seed);
	require(!gln_slot_remove(guest.vm, ID), "seed %" PRIu64, seed);
}

Test(harvest, protects_and_flushes_exact_runs_at_every_size_and_base)
{
	guest_start(&guest, ALL_CAPS, 0);
	for (uint64_t nr = 1; nr <= 200; nr++)
		for (gln_gfn base = 0; base < 64; base++)
			harvest_pattern(base, nr, nr + base, nr * 64 + base);
	guest_stop(&guest);
}

Test(harvest, protects_and_flushes_exact_runs_at_every_density)
{
	guest_start(&guest, ALL_CAPS, GLN_VM_FULL_FENCE);
	for (uint64_t nr = 1; nr <= 200; nr++)
		for (uint64_t seed = 0; seed < NR_PATTERNS; seed++)
			harvest_pattern((UINT64_C(1) << 52) - 200, nr, seed,
					seed);
	guest_stop(&guest);
}

Test(harvest, protects_and_flushes_exact_runs_of_larger_slots)
{
	static const uint64_t sizes[] = {511, 512, 513, 5000, 32768, MAX_PAGES};

	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++)
		for (uint64_t seed = 0; seed < NR_PATTERNS; seed++)
			harvest_pattern(1000 + seed, *nr, seed, seed);
	guest_stop(&guest);
}

/* @nr runs of one page each, every second page. */
static struct gln_harvest *begin_with_runs(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		gln_dirty_mark(guest.vm, 2 * i);
	fake_backend_forget(&guest.fake);

	return guest_begin(&guest, ID);
}

Test(harvest, one_call_of_the_backend_takes_64_runs)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
	guest_log_slot(&guest, ID, 0, 1000);
	for (uint64_t nr = 1; nr <= 130; nr++) {
		struct gln_harvest *const harvest = begin_with_runs(nr);
		const struct fake_call *const flush =
			fake_backend_nth(&guest.fake, FAKE_FLUSH, 0);

		cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT],
			     gln_div_up(nr, 64));
		cr_assert_eq(flush->whole_slot, nr > 64);
		gln_harvest_commit(harvest);
	}
	guest_stop(&guest);
}

Test(harvest, asks_nothing_of_the_backend_for_a_clean_slot)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
	guest_log_slot(&guest, ID, 64, 1000);
	for (unsigned int i = 0; i < 6; i++) {
		struct gln_harvest *const harvest = guest_begin(&guest, ID);

		check_report(harvest, 1000, 0, 0, i);
		gln_harvest_commit(harvest);
	}
	cr_assert_eq(guest.fake.nr_calls, 0);
	guest_stop(&guest);
}

/* What a backend of these capabilities is asked when two runs are dirty. */
static void expect_calls_by(enum gln_harvest_strategy strategy, uint32_t caps,
			    uint64_t nr_collect, uint64_t nr_protect,
			    uint64_t nr_flush)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	guest_start(&guest, caps, 0);
	guest_log_slot(&guest, ID, 0, 100);
	gln_dirty_mark(guest.vm, 3);
	gln_dirty_mark(guest.vm, 99);
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	report = guest_report(harvest);
	cr_expect_eq(guest.fake.nr_of[FAKE_COLLECT], nr_collect);
	cr_expect_eq(guest.fake.nr_of[FAKE_PROTECT], nr_protect);
	cr_expect_eq(guest.fake.nr_of[FAKE_FLUSH], nr_flush);
	cr_expect_eq(report.nr_pages, 2);
	cr_expect_eq(report.nr_runs, nr_protect || nr_flush ? 2 : 0);
	cr_expect_eq(report.protect_calls, nr_protect);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

static void expect_calls(uint32_t caps, uint64_t nr_collect,
			 uint64_t nr_protect, uint64_t nr_flush)
{
	expect_calls_by(GLN_HARVEST_EXCHANGE, caps, nr_collect, nr_protect,
			nr_flush);
	expect_calls_by(GLN_HARVEST_FLIP, caps, nr_collect, nr_protect,
			nr_flush);
}

Test(harvest, asks_of_the_backend_what_its_capabilities_say)
{
	expect_calls(0, 0, 0, 0);
	expect_calls(GLN_CAP_PROTECT, 0, 1, 0);
	expect_calls(GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0, 1, 1);
	expect_calls(GLN_CAP_COLLECT, 1, 0, 0);
	expect_calls(GLN_CAP_COLLECT | GLN_CAP_FLUSH, 1, 0, 1);
	expect_calls(ALL_CAPS, 1, 1, 1);
}

static void expect_collected(enum gln_harvest_strategy strategy)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	uint8_t written[200] = {[0] = 1, [63] = 1, [64] = 1, [199] = 1};
	uint8_t got[200] = {0}, want[200] = {[100] = 1};
	const struct fake_call *call;
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 5, 200);
	gln_dirty_mark(guest.vm, 5 + 100);
	for (size_t i = 0; i < sizeof(want); i++)
		want[i] |= written[i];
	guest.fake.written = written;
	guest.fake.written_id = ID;

	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	call = &guest.fake.calls[0];
	cr_assert_eq(call->kind, FAKE_COLLECT);
	cr_assert_eq(guest.fake.ranges[call->first_range].first, 5);
	cr_assert_eq(guest.fake.ranges[call->first_range].count, 200);
	cr_assert_eq(guest_walk(harvest, 5, got, 200), 5);
	cr_assert_eq(memcmp(got, want, sizeof(got)), 0);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

Test(harvest, what_a_collect_finds_is_in_the_same_harvest)
{
	expect_collected(GLN_HARVEST_AUTO);
	expect_collected(GLN_HARVEST_EXCHANGE);
	expect_collected(GLN_HARVEST_FLIP);
}

/*
 * A slot of 100 runs: one collect, two protects, one flush. Let the @nth call
 * of a kind fail; then everything must be as before.
 */
static void expect_rollback(enum fake_call_kind kind, uint64_t nth,
			    uint32_t flags, enum gln_harvest_strategy strategy)
{
	struct gln_harvest *const untouched = (struct gln_harvest *)&guest;
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	struct gln_harvest *harvest = untouched;
	static uint8_t pages[300];
	struct gln_stats stats;

	memset(pages, 0, sizeof(pages));
	for (size_t i = 0; i < 100; i++)
		pages[3 * i] = 1;
	guest_start(&guest, ALL_CAPS, flags);
	guest_log_slot(&guest, ID, 30, 300);
	guest_mark(&guest, 30, pages, 300);
	guest.fake.fail_at[kind] = nth;
	guest.fake.fail_with = -ENODEV;

	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest),
		     -ENODEV);
	cr_assert_eq(harvest, untouched);
	cr_assert(guest_has_marks(&guest, ID, pages));
	cr_assert(guest_spare_is_clear(&guest, ID));
	stats = guest_stats(&guest);
	cr_assert_eq(stats.failed_harvests, 1);

	/* The slot is free again, and nothing is missing. */
	fake_backend_forget(&guest.fake);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(guest_report(harvest).nr_pages, 100);
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 2);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

static void expect_rollbacks(uint32_t flags, enum gln_harvest_strategy strategy)
{
	expect_rollback(FAKE_COLLECT, 1, flags, strategy);
	expect_rollback(FAKE_PROTECT, 1, flags, strategy);
	expect_rollback(FAKE_PROTECT, 2, flags, strategy);
	expect_rollback(FAKE_FLUSH, 1, flags, strategy);
}

Test(harvest, puts_everything_back_when_the_backend_fails)
{
	for (const uint32_t *flags = vm_flags; flags < ARRAY_END(vm_flags);
	     flags++) {
		expect_rollbacks(*flags, GLN_HARVEST_AUTO);
		expect_rollbacks(*flags, GLN_HARVEST_EXCHANGE);
		expect_rollbacks(*flags, GLN_HARVEST_FLIP);
	}
}

Test(harvest, a_failed_harvest_keeps_what_its_collect_marked)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	uint8_t written[100] = {[7] = 1};
	const uint8_t want[100] = {[7] = 1};
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 0, 100);
	guest.fake.written = written;
	guest.fake.written_id = ID;
	guest.fake.fail_at[FAKE_COLLECT] = 1;
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), -EIO);
	cr_assert_eq(written[7], 0);
	cr_assert(guest_has_marks(&guest, ID, want));
	guest_stop(&guest);
}

/* Pages between two collects, where there is a budget. */
#define WINDOW (UINT64_C(1) << 21)

Test(harvest, a_budget_collects_window_by_window)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.first_page = 100,
		.max_pages = 1000,
	};
	const uint64_t nr_pages = 2 * WINDOW + 5;
	const struct gln_range want[] = {
		{64 + 100, WINDOW - 100},
		{64 + WINDOW, WINDOW},
		{64 + 2 * WINDOW, 5},
	};
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 64, nr_pages);
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_COLLECT], 3);
	cr_assert_eq(memcmp(guest.fake.ranges, want, sizeof(want)), 0);
	cr_assert_eq(guest_report(harvest).next_page, nr_pages);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

Test(harvest, a_budget_that_is_spent_stops_collecting)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_pages = 3,
	};
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 0, 2 * WINDOW);
	gln_dirty_mark_range(guest.vm, (struct gln_range){10, 20});
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_COLLECT], 1);
	cr_assert_eq(guest_report(harvest).next_page, 13);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

Test(harvest, a_budget_holds_over_windows)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_pages = 10,
	};
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 0, 2 * WINDOW);
	gln_dirty_mark_range(guest.vm, (struct gln_range){7, 3});
	gln_dirty_mark_range(guest.vm, (struct gln_range){WINDOW, 100});
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	cr_assert_eq(guest_report(harvest).nr_pages, 10);
	cr_assert_eq(guest_report(harvest).next_page, WINDOW + 7);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_count_marks(&guest, ID), 93);
	guest_stop(&guest);
}

Test(harvest, a_collect_that_fails_later_puts_earlier_windows_back)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_pages = 1000,
	};
	struct gln_harvest *harvest = NULL;
	struct gln_range run;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 0, 2 * WINDOW);
	gln_dirty_mark_range(guest.vm, (struct gln_range){500, 100});
	guest.fake.fail_at[FAKE_COLLECT] = 2;
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), -EIO);
	cr_assert_null(harvest);
	cr_assert_eq(guest_count_marks(&guest, ID), 100);
	cr_assert_eq(guest_stats(&guest).aborted_pages, 100);

	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, 500);
	cr_assert_eq(run.count, 100);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}
