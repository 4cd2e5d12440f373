/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest_test.c - the transaction: begin, walk, settle in part or in whole.
 *
 * G5 (nothing lost, nothing twice), G7 (budget and cursor), G9 (64-bit counts);
 * H-02, H-05, H-13, H-23 (32-bit truncation).
 */
#include "tests/unit/guest.h"

static struct guest guest;

/* What an output holds before a call that must not touch it. */
static struct gln_harvest *const no_harvest = (struct gln_harvest *)&guest;

static void setup(void)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

static void expect_error(uint32_t id, const struct gln_harvest_params *params,
			 int want)
{
	struct gln_harvest *harvest = no_harvest;

	cr_assert_eq(gln_harvest_begin(guest.vm, id, params, &harvest), want,
		     "not %d", want);
	cr_assert_eq(harvest, no_harvest, "a failed begin touched its output");
}

FixtureTest(transaction, beginning_has_these_errors)
{
	static const size_t wrong[] = {
		0,
		7,
		sizeof(struct gln_harvest_params) + 1,
		SIZE_MAX,
	};
	struct gln_harvest_params params = {.struct_bytes = sizeof(params)};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	guest_add_slot(&guest, 2, 100, 100);
	gln_dirty_mark(guest.vm, 5);

	expect_error(GLN_SLOT_IDS, &params, -EINVAL);
	expect_error(UINT32_MAX, &params, -EINVAL);
	expect_error(3, &params, -ENOENT);
	expect_error(2, &params, -ENOENT);
	params.first_page = 101;
	expect_error(1, &params, -EINVAL);
	params.first_page = UINT64_MAX;
	expect_error(1, &params, -EINVAL);
	params.first_page = 0;
	params.strategy = GLN_HARVEST_FLIP + 1;
	expect_error(1, &params, -EINVAL);
	memset(&params.strategy, 0xff, sizeof(params.strategy));
	expect_error(1, &params, -EINVAL);
	params.strategy = GLN_HARVEST_AUTO;
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		params.struct_bytes = *bytes;
		expect_error(1, &params, -EINVAL);
	}
	params.struct_bytes = sizeof(params);
	harvest = guest_begin(&guest, 1);
	expect_error(1, &params, -EBUSY);
	gln_harvest_abort(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	/* None of them is a failure of the backend or of copying. */
	cr_assert_eq(guest_stats(&guest).failed_harvests, 0);
}

FixtureTest(transaction, a_flip_goes_with_neither_budget_nor_cursor)
{
	struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = GLN_HARVEST_FLIP,
	};

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark(guest.vm, 5);
	params.max_pages = 100;
	expect_error(1, &params, -EINVAL);
	params.max_pages = 0;
	params.max_ns = 1;
	expect_error(1, &params, -EINVAL);
	params.max_ns = 0;
	params.first_page = 1;
	expect_error(1, &params, -EINVAL);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
}

/* Does a harvest of this strategy hand out the live bitmap itself? */
static bool flips(const struct gln_harvest_params *params)
{
	const struct bitmap *const before = guest_log(&guest, 1)->live;
	struct gln_harvest *harvest;

	cr_assert_eq(gln_harvest_begin(guest.vm, 1, params, &harvest), 0);
	gln_harvest_abort(harvest);
	return guest_log(&guest, 1)->live != before;
}

FixtureTest(transaction, the_strategy_is_the_callers_or_follows_the_summary)
{
	const uint64_t nr_pages = 1000 * LINE_PAGES;
	struct gln_harvest_params params = {.struct_bytes = sizeof(params)};

	guest_log_slot(&guest, 1, 0, nr_pages);
	gln_dirty_mark(guest.vm, 5);
	cr_assert_not(flips(&params), "one page, auto");
	params.strategy = GLN_HARVEST_FLIP;
	cr_assert(flips(&params), "one page, flip");

	gln_dirty_mark_range(guest.vm, (struct gln_range){0, nr_pages});
	cr_assert(flips(&params), "all pages, flip");
	params.strategy = GLN_HARVEST_AUTO;
	cr_assert(flips(&params), "all pages, auto");
	params.max_pages = nr_pages;
	cr_assert_not(flips(&params), "all pages, auto, a budget");
	params.max_pages = 0;
	params.first_page = 1;
	cr_assert_not(flips(&params), "all pages, auto, a cursor");
	params.first_page = 0;
	params.strategy = GLN_HARVEST_EXCHANGE;
	cr_assert_not(flips(&params), "all pages, exchange");
	cr_assert_eq(guest_count_marks(&guest, 1), nr_pages);
	cr_assert(guest_spare_is_clear(&guest, 1));
}

/* Settle half of 100 pages, ask what was taken, settle the rest. */
static void expect_report(uint32_t caps, enum gln_harvest_strategy strategy)
{
	static struct guest other;
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	struct gln_harvest *harvest;

	guest_start(&other, caps, 0);
	guest_log_slot(&other, 1, 0, 200);
	gln_dirty_mark_range(other.vm, (struct gln_range){50, 100});
	cr_assert_eq(gln_harvest_begin(other.vm, 1, &params, &harvest), 0);
	gln_harvest_commit_range(harvest, (struct gln_range){50, 30});
	gln_harvest_abort_range(harvest, (struct gln_range){80, 20});
	cr_expect_eq(guest_report(harvest).nr_pages, 100);
	cr_expect_eq(
		gln_harvest_commit_range(harvest, (struct gln_range){0, 200}),
		50);
	cr_expect_eq(guest_report(harvest).nr_pages, 100);
	cr_expect_eq(gln_harvest_commit(harvest), 0);
	guest_stop(&other);
}

FixtureTest(transaction, a_report_counts_what_was_taken_whenever_it_is_asked)
{
	static const uint32_t caps[] = {0, GLN_CAP_COLLECT, GLN_CAP_PROTECT,
					ALL_CAPS};

	for (const uint32_t *c = caps; c < ARRAY_END(caps); c++) {
		expect_report(*c, GLN_HARVEST_EXCHANGE);
		expect_report(*c, GLN_HARVEST_FLIP);
	}
}

FixtureTest(transaction, its_end_says_how_many_pages_were_left)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 200);
	for (unsigned int i = 0; i < 6; i++) {
		gln_dirty_mark_range(guest.vm, (struct gln_range){50, 100});
		harvest = guest_begin(&guest, 1);
		gln_harvest_commit_range(harvest, (struct gln_range){0, 60});
		cr_assert_eq(gln_harvest_abort(harvest), 90);
		harvest = guest_begin(&guest, 1);
		gln_harvest_abort_range(harvest, (struct gln_range){60, 1});
		cr_assert_eq(gln_harvest_commit(harvest), 89);
		cr_assert_eq(gln_harvest_commit(guest_begin(&guest, 1)), 1);
		cr_assert_eq(gln_harvest_commit(guest_begin(&guest, 1)), 0);
		cr_assert_eq(gln_harvest_abort(guest_begin(&guest, 1)), 0);
	}
}

FixtureTest(transaction, a_shorter_structure_takes_everything)
{
	struct gln_harvest_params params;
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 100});
	memset(&params, 0xff, sizeof(params));
	params.struct_bytes = sizeof(params.struct_bytes);
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	cr_assert_eq(guest_report(harvest).nr_pages, 100);
	gln_harvest_commit(harvest);
}

FixtureTest(transaction, a_cursor_at_the_end_takes_nothing)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.first_page = 100,
	};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 100});
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	cr_assert_eq(guest_report(harvest).nr_pages, 0);
	cr_assert_eq(guest_report(harvest).next_page, 100);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 100);
	cr_assert_eq(guest.fake.nr_calls, 0);
}

FixtureTest(transaction, a_report_is_as_long_as_the_caller_says)
{
	static const size_t wrong[] = {
		0,
		7,
		sizeof(struct gln_harvest_report) + 1,
		SIZE_MAX,
	};
	struct gln_harvest_report report, before;
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){20, 3});
	harvest = guest_begin(&guest, 1);
	memset(&report, 0xa5, sizeof(report));
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		report.struct_bytes = *bytes;
		before = report;
		cr_assert_eq(gln_harvest_report(harvest, &report), -EINVAL);
		cr_assert_eq(memcmp(&report, &before, sizeof(report)), 0);
	}
	report.struct_bytes = offsetof(struct gln_harvest_report, nr_runs);
	before = report;
	before.nr_pages = 3;
	cr_assert_eq(gln_harvest_report(harvest, &report), 0);
	cr_assert_eq(memcmp(&report, &before, sizeof(report)), 0);
	gln_harvest_commit(harvest);
}

FixtureTest(transaction, excludes_changes_of_its_slot_and_no_other)
{
	uint64_t bitmap[2];
	const struct gln_clear_log clear = {
		.slot = 1,
		.num_pages = 100,
		.bitmap = bitmap,
	};
	struct gln_harvest *harvest, *other;

	memset(bitmap, 0xff, sizeof(bitmap));
	guest_log_slot(&guest, 1, 0, 100);
	guest_log_slot(&guest, 2, 100, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){90, 20});
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), -EBUSY);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -EBUSY);
	cr_assert_eq(gln_get_dirty_log(guest.vm, 1, bitmap), -EBUSY);
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), -EBUSY);
	cr_assert_eq(gln_vm_destroy(guest.vm), -EBUSY);
	other = guest_begin(&guest, 2);
	cr_assert_eq(guest_report(harvest).nr_pages, 10);
	cr_assert_eq(guest_report(other).nr_pages, 10);
	guest_add_slot(&guest, 3, 200, 100);
	cr_assert_eq(gln_slot_remove(guest.vm, 3), 0);
	gln_harvest_commit(harvest);
	gln_harvest_abort(other);
	cr_assert_eq(gln_get_dirty_log(guest.vm, 1, bitmap), 0);
	cr_assert_eq(guest_count_marks(&guest, 2), 10);
}

FixtureTest(transaction, marks_made_meanwhile_are_the_next_ones)
{
	struct gln_harvest *harvest;
	struct gln_range run;

	guest_log_slot(&guest, 1, 0, 1000);
	gln_dirty_mark_range(guest.vm, (struct gln_range){100, 100});
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(
		gln_dirty_mark_range(guest.vm, (struct gln_range){150, 100}),
		100);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, 100);
	cr_assert_eq(run.count, 100);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 0);
	gln_harvest_commit(harvest);

	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, 150);
	cr_assert_eq(run.count, 100);
	gln_harvest_commit(harvest);
}

FixtureTest(transaction, a_walk_can_start_over)
{
	struct gln_range a[3], b[3];
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 10, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){10, 5});
	gln_dirty_mark_range(guest.vm, (struct gln_range){70, 70});
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_harvest_next(harvest, a, 0), 0);
	cr_assert_eq(gln_harvest_next(harvest, a, 1), 1);
	gln_harvest_rewind(harvest);
	cr_assert_eq(gln_harvest_next(harvest, a, 3), 2);
	cr_assert_eq(gln_harvest_next(harvest, a + 2, 1), 0);
	gln_harvest_rewind(harvest);
	cr_assert_eq(gln_harvest_next(harvest, b, 3), 2);
	cr_assert_eq(memcmp(a, b, 2 * sizeof(a[0])), 0);
	gln_harvest_commit(harvest);
}

FixtureTest(transaction, settling_cuts_runs_exactly)
{
	struct gln_harvest *harvest;
	struct gln_range runs[4];

	guest_log_slot(&guest, 1, 1000, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){1000, 200});
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(
		gln_harvest_commit_range(harvest, (struct gln_range){1060, 10}),
		10);
	cr_assert_eq(
		gln_harvest_abort_range(harvest, (struct gln_range){1199, 100}),
		1);
	gln_harvest_rewind(harvest);
	cr_assert_eq(gln_harvest_next(harvest, runs, 4), 2);
	cr_assert_eq(runs[0].first, 1000);
	cr_assert_eq(runs[0].count, 60);
	cr_assert_eq(runs[1].first, 1070);
	cr_assert_eq(runs[1].count, 129);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	cr_assert_eq(guest_stats(&guest).aborted_pages, 1);
}

FixtureTest(transaction, pages_are_settled_once)
{
	const struct gln_range all = {0, UINT64_MAX};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){50, 100});
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_harvest_abort_range(harvest, all), 100);
	cr_assert_eq(gln_harvest_abort_range(harvest, all), 0);
	cr_assert_eq(gln_harvest_commit_range(harvest, all), 0);
	gln_harvest_abort(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 100);
	cr_assert_eq(guest_stats(&guest).aborted_pages, 100);
}

FixtureTest(transaction, hostile_ranges_settle_what_is_in_them)
{
	static const struct {
		const char *what;
		struct gln_range range;
		uint64_t nr; /* of a slot [1000, 1200), all dirty */
	} cases[] = {
		{"nothing", {1000, 0}, 0},
		{"below", {0, 1000}, 0},
		{"one page over the base", {0, 1001}, 1},
		{"the last page and on", {1199, UINT64_MAX}, 1},
		{"above", {1200, UINT64_MAX}, 0},
		{"far above", {UINT64_MAX, 1}, 0},
		{"wrapping from above", {UINT64_MAX, UINT64_MAX}, 0},
		{"wrapping from below", {999, UINT64_MAX}, 200},
		{"everything", {0, UINT64_MAX}, 200},
		{"exactly", {1000, 200}, 200},
	};

	guest_log_slot(&guest, 1, 1000, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){1000, 200});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gln_harvest *const harvest = guest_begin(&guest, 1);

		cr_expect_eq(gln_harvest_abort_range(harvest, cases[i].range),
			     cases[i].nr, "%s", cases[i].what);
		cr_expect_eq(
			gln_harvest_commit_range(
				harvest, (struct gln_range){0, UINT64_MAX}),
			200 - cases[i].nr, "%s", cases[i].what);
		gln_harvest_abort(harvest);
		cr_expect_eq(guest_count_marks(&guest, 1), cases[i].nr, "%s",
			     cases[i].what);
		gln_dirty_mark_range(guest.vm, (struct gln_range){1000, 200});
	}
}

/*
 * The walk is over what was not settled: also of the word in which it stands.
 */
FixtureTest(transaction, a_walk_gives_nothing_that_was_settled_ahead_of_it)
{
	struct gln_harvest *harvest;
	struct gln_range run;

	guest_log_slot(&guest, 1, 0, 200);
	gln_dirty_mark(guest.vm, 1);
	gln_dirty_mark_range(guest.vm, (struct gln_range){10, 5});
	gln_dirty_mark(guest.vm, 20);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, 1);
	cr_assert_eq(gln_harvest_abort_range(harvest, (struct gln_range){8, 5}),
		     3);
	cr_assert_eq(
		gln_harvest_commit_range(harvest, (struct gln_range){20, 1}),
		1);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, 13);
	cr_assert_eq(run.count, 2);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 0);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 3);
}

/*
 * A walk that is over stands behind the last word, which is behind the last
 * word of the summary too when the slot ends with one: AddressSanitizer
 * watches.
 */
FixtureTest(transaction, pages_are_settled_after_the_walk_is_over)
{
	static const uint64_t sizes[] = {1,	64,    65,    512,   513,
					 32767, 32768, 32769, 65536, 98304};

	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		const struct gln_range all = {0, *nr}, last = {*nr - 1, 1};
		struct gln_harvest *harvest;
		struct gln_range run;

		guest_log_slot(&guest, 1, 0, *nr);
		gln_dirty_mark_range(guest.vm, all);
		harvest = guest_begin(&guest, 1);
		cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
		cr_assert_eq(run.count, *nr);
		cr_assert_eq(gln_harvest_next(harvest, &run, 1), 0);
		cr_assert_eq(gln_harvest_abort_range(harvest, last), 1);
		cr_assert_eq(gln_harvest_next(harvest, &run, 1), 0);
		cr_assert_eq(gln_harvest_commit_range(harvest, all), *nr - 1);
		cr_assert_eq(gln_harvest_next(harvest, &run, 1), 0);
		gln_harvest_commit(harvest);
		cr_assert_eq(guest_count_marks(&guest, 1), 1);
		cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	}
}

enum { MODEL_PAGES = 3000 };

/**
 * struct model - the truth about one slot.
 *
 * @live:	marked.
 * @held:	in the open harvest, not settled.
 * @at:		where its walk stands: every page below was passed.
 */
struct model {
	uint64_t seed;
	struct test_random random;
	gln_gfn base;
	uint64_t nr_pages;
	uint64_t at;
	uint8_t live[MODEL_PAGES];
	uint8_t held[MODEL_PAGES];
};

/* A range of frames: near the slot, or anything. */
static struct gln_range random_range(struct model *model)
{
	struct test_random *const random = &model->random;
	const uint64_t first = test_random_below(random, model->nr_pages);

	if (test_random_chance(random, 16))
		return (struct gln_range){test_random_next(random),
					  test_random_next(random)};
	return (struct gln_range){
		model->base + first,
		test_random_below(random, model->nr_pages - first + 2),
	};
}

/* What of @range is in the slot, as pages [first, end). */
static void clip(const struct model *model, struct gln_range range,
		 uint64_t *first, uint64_t *end)
{
	const gln_gfn last = range.count <= UINT64_MAX - range.first
				     ? range.first + range.count
				     : UINT64_MAX;
	const gln_gfn top = model->base + model->nr_pages;

	*first = gln_min(gln_max(range.first, model->base), top) - model->base;
	*end = gln_min(gln_max(last, model->base), top) - model->base;
	if (*end < *first)
		*end = *first;
}

static void step_mark(struct model *model)
{
	const struct gln_range range = random_range(model);
	uint64_t first, end, want;

	clip(model, range, &first, &end);
	want = test_pages_set(model->live, first, end);
	require(gln_dirty_mark_range(guest.vm, range) == want,
		"seed %" PRIu64 ": marks", model->seed);
}

static void step_settle(struct model *model, struct gln_harvest *harvest)
{
	const struct gln_range range = random_range(model);
	const bool commits = test_random_chance(&model->random, 128);
	uint64_t first, end, want, got;

	clip(model, range, &first, &end);
	want = test_pages_count(model->held, first, end);
	for (uint64_t i = first; i < end; i++) {
		model->live[i] |= !commits && model->held[i];
		model->held[i] = 0;
	}
	got = commits ? gln_harvest_commit_range(harvest, range)
		      : gln_harvest_abort_range(harvest, range);
	require(got == want,
		"seed %" PRIu64 ": settled %" PRIu64 ", not %" PRIu64,
		model->seed, got, want);
}

/* The next few runs are those of @held from where the walk stands. */
static void step_walk(struct model *model, struct gln_harvest *harvest)
{
	enum { MAX = 5 };
	static struct gln_range want[MODEL_PAGES];
	struct gln_range got[MAX];
	const size_t max = test_random_below(&model->random, MAX + 1);
	const size_t nr = gln_harvest_next(harvest, got, max);
	const size_t nr_want = test_pages_runs(model->held + model->at,
					       model->nr_pages - model->at,
					       model->base + model->at, want);

	require(nr == gln_min(max, nr_want) &&
			!memcmp(got, want, nr * sizeof(got[0])),
		"seed %" PRIu64 ": other runs from page %" PRIu64 " on",
		model->seed, model->at);
	if (nr)
		model->at = got[nr - 1].first + got[nr - 1].count - model->base;
}

/* Begin with some budget, somewhere; see what was taken. */
static struct gln_harvest *step_begin(struct model *model)
{
	struct test_random *const random = &model->random;
	const uint64_t nr_pages = model->nr_pages;
	struct gln_harvest_params params = {.struct_bytes = sizeof(params)};
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	if (test_random_chance(random, 128))
		params.first_page = test_random_below(random, nr_pages + 1);
	if (test_random_chance(random, 128))
		params.max_pages = test_random_below(random, nr_pages + 1);
	if (!params.first_page && !params.max_pages)
		params.strategy = (enum gln_harvest_strategy)test_random_below(
			random, GLN_HARVEST_FLIP + 1);
	else if (test_random_chance(random, 128))
		params.strategy = GLN_HARVEST_EXCHANGE;
	require(!gln_harvest_begin(guest.vm, 1, &params, &harvest),
		"seed %" PRIu64, model->seed);

	report = guest_report(harvest);
	guest_walk(harvest, model->base, model->held, nr_pages);
	gln_harvest_rewind(harvest);
	model->at = 0;
	for (uint64_t i = 0; i < nr_pages; i++) {
		const bool in_reach =
			i >= params.first_page && i < report.next_page;

		require(model->held[i] == (in_reach && model->live[i]),
			"seed %" PRIu64 ": page %" PRIu64, model->seed, i);
		model->live[i] &= (uint8_t)!model->held[i];
	}
	require(report.nr_pages == test_pages_count(model->held, 0, nr_pages) &&
			(!params.max_pages ||
			 report.nr_pages <= params.max_pages) &&
			(report.next_page == nr_pages ||
			 report.nr_pages == params.max_pages),
		"seed %" PRIu64 ": took %" PRIu64 " of at most %" PRIu64,
		model->seed, report.nr_pages, params.max_pages);

	return harvest;
}

static void step_end(struct model *model, struct gln_harvest *harvest)
{
	const uint64_t left = test_pages_count(model->held, 0, model->nr_pages);
	uint64_t got;

	if (test_random_chance(&model->random, 128)) {
		got = gln_harvest_commit(harvest);
	} else {
		got = gln_harvest_abort(harvest);
		for (uint64_t i = 0; i < model->nr_pages; i++)
			model->live[i] |= model->held[i];
	}
	require(got == left, "seed %" PRIu64 ": %" PRIu64 " were left",
		model->seed, left);
	memset(model->held, 0, model->nr_pages);
}

static void run_transaction(struct model *model)
{
	struct gln_harvest *const harvest = step_begin(model);

	for (uint64_t i = test_random_below(&model->random, 12); i; i--) {
		switch (test_random_below(&model->random, 5)) {
		case 0:
			step_mark(model);
			break;
		case 1:
			step_settle(model, harvest);
			break;
		case 2:
			gln_harvest_rewind(harvest);
			model->at = 0;
			break;
		default:
			step_walk(model, harvest);
		}
	}
	step_end(model, harvest);
	require(guest_has_marks(&guest, 1, model->live) &&
			guest_spare_is_clear(&guest, 1),
		"seed %" PRIu64 ": the marks are not the model's", model->seed);
}

/* Transactions on one slot, and a last one that takes what is left. */
static void run_model(uint64_t seed, uint64_t max_pages)
{
	static struct model model;
	static uint8_t rest[MODEL_PAGES];
	struct gln_harvest *harvest;

	memset(&model, 0, sizeof(model));
	memset(rest, 0, sizeof(rest));
	model.seed = seed;
	model.random.state = seed;
	model.nr_pages = test_random_between(&model.random, 1, max_pages);
	model.base = seed % 3 ? seed : (UINT64_C(1) << 52) - model.nr_pages;
	guest_log_slot(&guest, 1, model.base, model.nr_pages);
	for (unsigned int i = 0; i < 8; i++) {
		test_pages_fill(rest, model.nr_pages, seed + i, &model.random);
		guest_mark(&guest, model.base, rest, model.nr_pages);
		for (uint64_t j = 0; j < model.nr_pages; j++)
			model.live[j] |= rest[j];
		run_transaction(&model);
		fake_backend_forget(&guest.fake);
	}

	harvest = guest_begin(&guest, 1);
	memset(rest, 0, sizeof(rest));
	guest_walk(harvest, model.base, rest, model.nr_pages);
	require(!memcmp(rest, model.live, model.nr_pages),
		"seed %" PRIu64 ": the rest", seed);
	gln_harvest_commit(harvest);
	require(!gln_slot_remove(guest.vm, 1), "seed %" PRIu64, seed);
}

FixtureTest(transaction,
	    random_transactions_of_small_slots_agree_with_the_model)
{
	for (uint64_t seed = 1; seed <= 1500; seed++)
		run_model(seed, 200);
}

FixtureTest(transaction,
	    random_transactions_of_larger_slots_agree_with_the_model)
{
	for (uint64_t seed = 1; seed <= 150; seed++)
		run_model(seed, MODEL_PAGES);
}

/* Harvest to the end in steps. Every page is given once. */
static void harvest_in_steps(const uint8_t *pages, uint64_t nr_pages,
			     uint64_t max_pages, uint64_t max_ns)
{
	struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_pages = max_pages,
		.max_ns = max_ns,
	};
	uint8_t *const got = calloc(nr_pages, 1);
	uint64_t nr = 0;

	cr_assert_not_null(got);
	guest_mark(&guest, 0, pages, nr_pages);
	while (params.first_page < nr_pages) {
		struct gln_harvest_report report;
		struct gln_harvest *harvest;

		require(!gln_harvest_begin(guest.vm, 1, &params, &harvest),
			"no harvest");
		report = guest_report(harvest);
		require(report.next_page > params.first_page &&
				report.next_page <= nr_pages,
			"from page %" PRIu64 " to %" PRIu64 ", at most %" PRIu64
			" pages",
			params.first_page, report.next_page, max_pages);
		require(!max_pages || report.nr_pages <= max_pages,
			"%" PRIu64 " of at most %" PRIu64, report.nr_pages,
			max_pages);
		nr += guest_walk(harvest, 0, got, nr_pages);
		params.first_page = report.next_page;
		gln_harvest_commit(harvest);
		fake_backend_forget(&guest.fake);
	}
	require(nr == test_pages_count(pages, 0, nr_pages) &&
			!memcmp(got, pages, nr_pages),
		"%" PRIu64 " pages, at most %" PRIu64 " at once", nr,
		max_pages);
	free(got);
}

FixtureTest(transaction, budgets_and_cursors_give_every_page_once)
{
	static const uint64_t budgets[] = {0,	1,   2,	  63,	64,    65,
					   511, 512, 513, 1000, 32768, 99999};
	enum { NR = 100000 };
	uint8_t *const pages = calloc(NR, 1);

	cr_assert_not_null(pages);
	guest_log_slot(&guest, 1, 0, NR);
	for (uint64_t seed = 0; seed < NR_PATTERNS; seed++) {
		struct test_random random = {seed};

		test_pages_fill(pages, NR, seed, &random);
		for (const uint64_t *max = budgets; max < ARRAY_END(budgets);
		     max++) {
			if (*max && *max < 63 &&
			    test_pages_count(pages, 0, NR) > 2000)
				continue;
			harvest_in_steps(pages, NR, *max, 0);
		}
	}
	free(pages);
}

FixtureTest(transaction, a_harvest_out_of_time_still_makes_progress)
{
	static const uint64_t budgets[] = {0, 100, 512, 32768};
	enum { NR = 100000 };
	uint8_t *const pages = calloc(NR, 1);

	cr_assert_not_null(pages);
	guest_log_slot(&guest, 1, 0, NR);
	for (uint64_t seed = 0; seed < NR_PATTERNS; seed++) {
		struct test_random random = {seed};

		test_pages_fill(pages, NR, seed, &random);
		for (const uint64_t *max = budgets; max < ARRAY_END(budgets);
		     max++) {
			harvest_in_steps(pages, NR, *max, 1);
			harvest_in_steps(pages, NR, *max, UINT64_MAX);
		}
	}
	free(pages);
}

FixtureTest(transaction, a_page_behind_the_cursor_does_not_hold_it_back)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.first_page = 100,
		.max_ns = 1,
	};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100000);
	gln_dirty_mark(guest.vm, 5);
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	cr_assert_gt(guest_report(harvest).next_page, 100);
	gln_harvest_commit(harvest);
}

FixtureTest(transaction, a_time_budget_bounds_one_harvest)
{
	/* Two windows of 8 GiB, a mark in each: time is up after the first. */
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_ns = 1,
	};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, UINT64_C(1) << 22);
	gln_dirty_mark(guest.vm, 7);
	gln_dirty_mark(guest.vm, (UINT64_C(1) << 22) - 1);
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	cr_assert_eq(guest_report(harvest).nr_pages, 1);
	cr_assert_lt(guest_report(harvest).next_page, UINT64_C(1) << 22);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
}

/*
 * A slot of 32 TiB. Its log is mapped by the platform and takes memory only
 * where it is touched, so the VM has no fake allocator.
 */
Test(huge_slot, counts_and_frames_have_64_bits)
{
	static const struct gln_range runs[] = {
		{0, 1},
		{(UINT64_C(1) << 31) - 1, 2},
		{UINT64_C(1) << 32, 1},
		{(UINT64_C(1) << 32) + 7, 70},
		{(UINT64_C(1) << 33) - 1, 1},
	};
	const struct gln_vm_params params = {.struct_bytes = sizeof(params)};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.base = UINT64_C(1) << 40,
		.nr_pages = UINT64_C(1) << 33,
	};
	struct gln_range got[8];
	struct gln_harvest *harvest;

	cr_assert_eq(gln_vm_create(&params, &guest.vm), 0);
	cr_assert_eq(gln_slot_add(guest.vm, &slot), 0);
	cr_assert_eq(gln_log_enable(guest.vm, 0, 0), 0);
	for (const struct gln_range *run = runs; run < ARRAY_END(runs); run++)
		cr_assert_eq(gln_dirty_mark_range(
				     guest.vm,
				     (struct gln_range){slot.base + run->first,
							run->count}),
			     run->count);

	harvest = guest_begin(&guest, 0);
	cr_assert_eq(guest_report(harvest).nr_pages, 75);
	cr_assert_eq(guest_report(harvest).next_page, slot.nr_pages);
	cr_assert_eq(gln_harvest_next(harvest, got, 8), 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(got[i].first, slot.base + runs[i].first);
		cr_assert_eq(got[i].count, runs[i].count);
	}
	cr_assert_eq(
		gln_harvest_abort_range(
			harvest, (struct gln_range){slot.base + got[1].count,
						    slot.nr_pages}),
		74);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_stats(&guest).log_bytes >> 31, 1);
	cr_assert_eq(gln_vm_destroy(guest.vm), 0);
}
