/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats_test.c - counters say what happened, in 64 bits, at any time; records
 * and histograms, how long it took.
 *
 * H-20 (dropped pages), H-23 (32-bit truncation), H-23b (failures apart).
 */
#include "tests/unit/guest.h"

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

FixtureTest(stats, a_new_vm_has_done_nothing)
{
	const struct gln_stats none = {.struct_bytes = sizeof(none)};
	const struct gln_stats stats = guest_stats(&guest);

	cr_assert_eq(memcmp(&stats, &none, sizeof(stats)), 0);
}

FixtureTest(stats, a_structure_of_a_size_that_makes_no_sense_is_left_alone)
{
	static const size_t wrong[] = {0, 7, sizeof(struct gln_stats) + 1,
				       SIZE_MAX};
	struct gln_stats stats, before;

	memset(&stats, 0xa5, sizeof(stats));
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		stats.struct_bytes = *bytes;
		before = stats;
		cr_assert_eq(gln_vm_stats(guest.vm, &stats), -EINVAL);
		cr_assert_eq(memcmp(&stats, &before, sizeof(stats)), 0);
	}
}

FixtureTest(stats, an_older_caller_gets_the_members_he_knows)
{
	struct gln_stats stats, before;

	guest_log_slot(&guest, 1, 0, 100);
	gln_harvest_commit(guest_begin(&guest, 1));
	memset(&stats, 0xa5, sizeof(stats));
	stats.struct_bytes = offsetof(struct gln_stats, harvested_pages);
	before = stats;
	before.harvests = 1;
	cr_assert_eq(gln_vm_stats(guest.vm, &stats), 0);
	cr_assert_eq(memcmp(&stats, &before, sizeof(stats)), 0);
	stats.struct_bytes = sizeof(stats.struct_bytes);
	before.struct_bytes = stats.struct_bytes;
	cr_assert_eq(gln_vm_stats(guest.vm, &stats), 0);
	cr_assert_eq(memcmp(&stats, &before, sizeof(stats)), 0);
}

/* Every second page of [0, 2 * nr). */
static void mark_runs(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		gln_dirty_mark(guest.vm, 2 * i);
}

FixtureTest(stats, a_harvest_counts_pages_runs_and_calls)
{
	struct gln_stats stats;

	guest_log_slot(&guest, 1, 0, 1000);
	mark_runs(64);
	gln_harvest_commit(guest_begin(&guest, 1));
	stats = guest_stats(&guest);
	cr_assert_eq(stats.harvests, 1);
	cr_assert_eq(stats.harvested_pages, 64);
	cr_assert_eq(stats.harvested_runs, 64);
	cr_assert_eq(stats.protect_calls, 1);
	cr_assert_eq(stats.flushes, 1);
	cr_assert_eq(stats.whole_slot_flushes, 0);

	mark_runs(65);
	gln_harvest_commit(guest_begin(&guest, 1));
	gln_harvest_commit(guest_begin(&guest, 1));
	stats = guest_stats(&guest);
	cr_assert_eq(stats.harvests, 3);
	cr_assert_eq(stats.harvested_pages, 129);
	cr_assert_eq(stats.harvested_runs, 129);
	cr_assert_eq(stats.protect_calls, 3);
	cr_assert_eq(stats.flushes, 2);
	cr_assert_eq(stats.whole_slot_flushes, 1);
	cr_assert_eq(stats.aborted_pages, 0);
	cr_assert_eq(stats.failed_harvests, 0);
}

FixtureTest(stats, aborted_pages_are_counted_whole_and_in_part)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 1000);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 100});
	harvest = guest_begin(&guest, 1);
	gln_harvest_commit_range(harvest, (struct gln_range){0, 30});
	gln_harvest_abort_range(harvest, (struct gln_range){30, 10});
	cr_assert_eq(guest_stats(&guest).aborted_pages, 10);
	gln_harvest_abort(harvest);
	cr_assert_eq(guest_stats(&guest).aborted_pages, 70);
	cr_assert_eq(guest_stats(&guest).harvested_pages, 100);
}

FixtureTest(stats, gets_and_clears_are_harvests_too)
{
	const uint64_t ones[2] = {UINT64_MAX, UINT64_MAX};
	const struct gln_clear_log clear = {
		.slot = 1,
		.num_pages = 100,
		.bitmap = ones,
	};
	uint64_t bitmap[2];
	struct gln_stats stats;

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 10});
	cr_assert_eq(gln_get_dirty_log(guest.vm, 1, bitmap), 0);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 5});
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), 0);
	stats = guest_stats(&guest);
	cr_assert_eq(stats.harvests, 2);
	cr_assert_eq(stats.harvested_pages, 15);
	cr_assert_eq(stats.cleared_pages, 5);
	cr_assert_eq(stats.harvested_runs, 2);
	cr_assert_eq(stats.protect_calls, 2);
	cr_assert_eq(stats.flushes, 2);
}

/*
 * Whatever fails: the backend's calls were made, so they are counted; and what
 * was aborted was harvested before.
 */
static void expect_failure_counted(enum fake_call_kind kind, uint64_t nth)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	const struct gln_stats before = guest_stats(&guest);
	struct gln_harvest *harvest;
	struct gln_stats after;

	fake_backend_forget(&guest.fake);
	mark_runs(100);
	guest.fake.fail_at[kind] = nth;
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), -EIO);
	after = guest_stats(&guest);
	cr_expect_eq(after.failed_harvests - before.failed_harvests, 1);
	cr_expect_eq(after.aborted_pages - before.aborted_pages, 100);
	cr_expect_eq(after.protect_calls - before.protect_calls,
		     guest.fake.nr_of[FAKE_PROTECT], "protect calls");
	cr_expect_eq(after.flushes - before.flushes,
		     guest.fake.nr_of[FAKE_FLUSH], "flushes");
	cr_expect_geq(after.harvested_pages - before.harvested_pages,
		      after.aborted_pages - before.aborted_pages,
		      "more pages were put back than taken");
}

FixtureTest(stats, a_failed_harvest_is_counted_with_the_calls_it_made)
{
	guest_log_slot(&guest, 1, 0, 1000);
	expect_failure_counted(FAKE_PROTECT, 1);
	expect_failure_counted(FAKE_PROTECT, 2);
	expect_failure_counted(FAKE_FLUSH, 1);
}

FixtureTest(stats, counters_do_not_wrap_at_32_bits)
{
	struct dirty_stats *const live = &guest.vm->stats;
	struct gln_stats stats;

	guest_log_slot(&guest, 1, 0, 1000);
	dirty_count(&live->harvested_pages, UINT32_MAX);
	dirty_count(&live->aborted_pages, UINT32_MAX);
	dirty_count(&live->dropped_pages, UINT32_MAX);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 10});
	gln_harvest_abort(guest_begin(&guest, 1));
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	stats = guest_stats(&guest);
	cr_assert_eq(stats.harvested_pages, UINT64_C(0x100000009));
	cr_assert_eq(stats.aborted_pages, UINT64_C(0x100000009));
	cr_assert_eq(stats.dropped_pages, UINT64_C(0x100000009));
}

FixtureTest(stats, log_bytes_is_memory_held_now)
{
	size_t plain, logged;

	guest_add_slot(&guest, 1, 0, 100000);
	guest_add_slot(&guest, 2, 100000, 70);
	plain = guest.memory.live_bytes;
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(guest_stats(&guest).log_bytes,
		     guest.memory.live_bytes - plain);
	cr_assert_eq(gln_log_enable(guest.vm, 2, 0), 0);
	logged = guest.memory.live_bytes - plain;
	cr_assert_eq(guest_stats(&guest).log_bytes, logged);
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	cr_assert_eq(guest_stats(&guest).log_bytes,
		     guest.memory.live_bytes - plain);
	cr_assert_eq(gln_slot_remove(guest.vm, 2), 0);
	cr_assert_eq(guest_stats(&guest).log_bytes, 0);
}

FixtureTest(stats, can_be_read_while_a_harvest_is_open)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark(guest.vm, 1);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(guest_stats(&guest).harvests, 1);
	cr_assert_eq(guest_stats(&guest).harvested_pages, 0);
	cr_assert_eq(gln_harvest_commit(harvest), 1);
	cr_assert_eq(guest_stats(&guest).harvested_pages, 1);
}

FixtureTest(stats, vcpus_that_left_still_count)
{
	struct gln_vcpu *vcpus[3];
	struct gln_stats stats;

	guest_log_slot(&guest, 1, 0, 100);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(gln_vcpu_register(guest.vm, i, &vcpus[i]), 0);
	for (uint64_t i = 0; i < 30; i++)
		gln_vcpu_mark(vcpus[i % 3], i % 20);
	gln_vcpu_unregister(vcpus[1]);
	stats = guest_stats(&guest);
	cr_assert_eq(stats.vcpu_marks, 30);
	cr_assert_eq(stats.vcpu_new_marks, 20);
	gln_vcpu_unregister(vcpus[0]);
	gln_vcpu_unregister(vcpus[2]);
	stats = guest_stats(&guest);
	cr_assert_eq(stats.vcpu_marks, 30);
	cr_assert_eq(stats.vcpu_new_marks, 20);
}

static struct gln_histogram histogram_of(enum gln_step step)
{
	struct gln_histogram histogram = {.struct_bytes = sizeof(histogram)};

	cr_assert_eq(gln_vm_histogram(guest.vm, step, &histogram), 0);
	return histogram;
}

/* How often each step happened so far. */
static void expect_steps(const uint64_t counts[GLN_NR_STEPS])
{
	for (enum gln_step step = 0; step < GLN_NR_STEPS; step++)
		cr_expect_eq(histogram_of(step).count, counts[step],
			     "step %d happened %" PRIu64 " times", (int)step,
			     histogram_of(step).count);
}

FixtureTest(stats, a_new_vm_has_empty_histograms)
{
	struct gln_bucket bucket;

	for (enum gln_step step = 0; step < GLN_NR_STEPS; step++) {
		const struct gln_histogram none = {
			.struct_bytes = sizeof(none),
		};
		const struct gln_histogram histogram = histogram_of(step);

		cr_assert_eq(memcmp(&histogram, &none, sizeof(none)), 0);
		cr_assert_eq(gln_vm_buckets(guest.vm, step, &bucket, 1), 0);
	}
}

FixtureTest(stats, a_histogram_of_no_step_or_size_is_left_alone)
{
	static const size_t wrong[] = {0, 7, sizeof(struct gln_histogram) + 1,
				       SIZE_MAX};
	struct gln_histogram histogram, before;
	struct gln_bucket bucket;

	guest_log_slot(&guest, 1, 0, 100);
	gln_harvest_commit(guest_begin(&guest, 1));
	memset(&histogram, 0xa5, sizeof(histogram));
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		histogram.struct_bytes = *bytes;
		before = histogram;
		cr_assert_eq(
			gln_vm_histogram(guest.vm, GLN_STEP_TAKE, &histogram),
			-EINVAL);
		cr_assert_eq(memcmp(&histogram, &before, sizeof(before)), 0);
	}
	histogram.struct_bytes = sizeof(histogram);
	before = histogram;
	cr_assert_eq(gln_vm_histogram(guest.vm, GLN_NR_STEPS, &histogram),
		     -EINVAL);
	cr_assert_eq(memcmp(&histogram, &before, sizeof(before)), 0);
	cr_assert_eq(gln_vm_buckets(guest.vm, GLN_NR_STEPS, &bucket, 1), 0);
}

FixtureTest(stats, an_older_caller_gets_the_percentiles_he_knows)
{
	struct gln_histogram histogram, before;

	guest_log_slot(&guest, 1, 0, 100);
	gln_harvest_commit(guest_begin(&guest, 1));
	memset(&histogram, 0xa5, sizeof(histogram));
	histogram.struct_bytes = offsetof(struct gln_histogram, sum_ns);
	before = histogram;
	before.count = 1;
	cr_assert_eq(gln_vm_histogram(guest.vm, GLN_STEP_TAKE, &histogram), 0);
	cr_assert_eq(memcmp(&histogram, &before, sizeof(before)), 0);
}

FixtureTest(stats, only_a_step_that_happened_is_in_a_histogram)
{
	static const uint64_t clean[GLN_NR_STEPS] = {
		[GLN_STEP_TAKE] = 1,
		[GLN_STEP_BEGIN] = 1,
	};
	static const uint64_t dirty[GLN_NR_STEPS] = {
		[GLN_STEP_TAKE] = 2,	[GLN_STEP_PROTECT] = 1,
		[GLN_STEP_FLUSH] = 1,	[GLN_STEP_BEGIN] = 2,
		[GLN_STEP_DELIVER] = 1,
	};
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = GLN_HARVEST_EXCHANGE,
	};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 1000);
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	gln_harvest_commit(harvest);
	expect_steps(clean);
	mark_runs(10);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(histogram_of(GLN_STEP_DELIVER).count, 0);
	gln_harvest_commit(harvest);
	expect_steps(dirty);
}

FixtureTest(stats, an_abort_ends_the_delivery_and_a_failure_has_none)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 1000);
	mark_runs(10);
	gln_harvest_abort(guest_begin(&guest, 1));
	cr_assert_eq(histogram_of(GLN_STEP_DELIVER).count, 1);
	guest.fake.fail_at[FAKE_FLUSH] = 1;
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), -EIO);
	cr_assert_eq(histogram_of(GLN_STEP_TAKE).count, 2);
	cr_assert_eq(histogram_of(GLN_STEP_FLUSH).count, 2);
	cr_assert_eq(histogram_of(GLN_STEP_BEGIN).count, 1);
	cr_assert_eq(histogram_of(GLN_STEP_DELIVER).count, 1);
}

FixtureTest(stats, steps_of_gets_and_clears_are_timed)
{
	const uint64_t ones[2] = {UINT64_MAX, UINT64_MAX};
	const struct gln_clear_log clear = {
		.slot = 1,
		.num_pages = 100,
		.bitmap = ones,
	};
	static const uint64_t expected[GLN_NR_STEPS] = {
		[GLN_STEP_TAKE] = 1,	[GLN_STEP_PROTECT] = 2,
		[GLN_STEP_FLUSH] = 2,	[GLN_STEP_BEGIN] = 1,
		[GLN_STEP_DELIVER] = 1,
	};
	uint64_t bitmap[2];

	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 10});
	cr_assert_eq(gln_get_dirty_log(guest.vm, 1, bitmap), 0);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 5});
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), 0);
	expect_steps(expected);
}

FixtureTest(stats, the_steps_of_a_record_add_up_to_all_of_begin)
{
	uint64_t begin_ns = 0;

	guest_log_slot(&guest, 1, 0, 100000);
	for (uint64_t i = 0; i < 100; i++) {
		struct gln_harvest_report report;
		struct gln_harvest *harvest;

		fake_backend_forget(&guest.fake);
		mark_runs(i * 100);
		harvest = guest_begin(&guest, 1);
		report = guest_report(harvest);
		cr_assert_eq(report.take_ns + report.protect_ns +
				     report.flush_ns,
			     report.begin_ns);
		begin_ns += report.begin_ns;
		cr_assert_leq(report.deliver_ns,
			      guest_report(harvest).deliver_ns);
		gln_harvest_commit(harvest);
	}
	cr_assert_eq(histogram_of(GLN_STEP_BEGIN).sum_ns, begin_ns);
	cr_assert_eq(histogram_of(GLN_STEP_TAKE).sum_ns +
			     histogram_of(GLN_STEP_PROTECT).sum_ns +
			     histogram_of(GLN_STEP_FLUSH).sum_ns,
		     begin_ns);
}

FixtureTest(stats, buckets_are_what_a_histogram_is_made_of)
{
	static struct gln_bucket buckets[GLN_MAX_BUCKETS];
	struct gln_histogram histogram;
	uint64_t count = 0;
	size_t nr;

	guest_log_slot(&guest, 1, 0, 10000);
	for (uint64_t i = 0; i < 1000; i++) {
		fake_backend_forget(&guest.fake);
		mark_runs(i % 50 * 10);
		gln_harvest_commit(guest_begin(&guest, 1));
	}
	histogram = histogram_of(GLN_STEP_BEGIN);
	nr = gln_vm_buckets(guest.vm, GLN_STEP_BEGIN, buckets, GLN_MAX_BUCKETS);
	for (size_t i = 0; i < nr; i++) {
		cr_assert_gt(buckets[i].count, 0);
		cr_assert_leq(buckets[i].first_ns, buckets[i].last_ns);
		if (i)
			cr_assert_gt(buckets[i].first_ns,
				     buckets[i - 1].last_ns);
		count += buckets[i].count;
	}
	cr_assert_eq(histogram.count, 1000);
	cr_assert_eq(count, 1000);
	cr_assert_leq(buckets[nr - 1].first_ns, histogram.max_ns);
	cr_assert_geq(buckets[nr - 1].last_ns, histogram.max_ns);
	cr_assert_gt(histogram.p50_ns, 0);
	cr_assert_leq(histogram.p50_ns, histogram.p90_ns);
	cr_assert_leq(histogram.p90_ns, histogram.p99_ns);
	cr_assert_leq(histogram.p99_ns, histogram.max_ns);
	cr_assert_eq(gln_vm_buckets(guest.vm, GLN_STEP_BEGIN, buckets, 0), 0);
	cr_assert_eq(gln_vm_buckets(guest.vm, GLN_STEP_BEGIN, buckets, 1), 1);
}

FixtureTest(stats, a_record_and_the_vm_count_the_ranges_of_a_flush)
{
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 10000);
	mark_runs(7);
	harvest = guest_begin(&guest, 1);
	report = guest_report(harvest);
	cr_assert_eq(report.flushes, 1);
	cr_assert_eq(report.flush_ranges, 7);
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_stats(&guest).flush_ranges, 7);

	mark_runs(GLN_FLUSH_RANGES + 1);
	harvest = guest_begin(&guest, 1);
	report = guest_report(harvest);
	cr_assert_eq(report.flushes, 1);
	cr_assert_eq(report.flush_ranges, 0,
		     "it was a flush of the whole slot");
	gln_harvest_commit(harvest);
	cr_assert_eq(guest_stats(&guest).flush_ranges, 7);
	cr_assert_eq(guest_stats(&guest).whole_slot_flushes, 1);
}

static struct gln_harvest_report report_of(enum gln_harvest_strategy strategy)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &params, &harvest), 0);
	report = guest_report(harvest);
	gln_harvest_commit(harvest);
	return report;
}

/* Pages of two lines, two words of one: one word of summary is above them. */
static void mark_three_words(void)
{
	gln_dirty_mark(guest.vm, 1);
	gln_dirty_mark(guest.vm, 64);
	gln_dirty_mark(guest.vm, 600);
}

FixtureTest(stats, a_record_says_what_the_take_read_and_exchanged)
{
	enum { LINE_BYTES = LINE_WORDS * GLN_WORD_BYTES };
	struct gln_harvest_report report;

	guest_log_slot(&guest, 1, 0, 1000);
	mark_three_words();
	report = report_of(GLN_HARVEST_EXCHANGE);
	cr_assert_eq(report.bytes_read, 2 * LINE_BYTES);
	cr_assert_eq(report.empty_lines, 0);
	cr_assert_eq(report.atomics,
		     1 + (guest.vm->fence != FENCE_BOTH ? 3 : 2 * LINE_WORDS));
	mark_three_words();
	report = report_of(GLN_HARVEST_FLIP);
	cr_assert_eq(report.nr_pages, 3);
	cr_assert_eq(report.bytes_read, 0);
	cr_assert_eq(report.atomics, 0);
	report = report_of(GLN_HARVEST_EXCHANGE);
	cr_assert_eq(report.bytes_read, 0, "the slot is clean");
	cr_assert_eq(report.atomics, 0);
}

FixtureTest(stats, a_record_counts_lines_that_the_summary_named_in_vain)
{
	const uint64_t ones[2] = {UINT64_MAX, UINT64_MAX};
	const struct gln_clear_log clear = {
		.slot = 1,
		.num_pages = 128,
		.bitmap = ones,
	};
	struct gln_harvest_report report;

	guest_log_slot(&guest, 1, 0, 1000);
	mark_three_words();
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), 0);
	report = report_of(GLN_HARVEST_EXCHANGE);
	cr_assert_eq(report.nr_pages, 1);
	cr_assert_eq(report.bytes_read, 2 * LINE_WORDS * GLN_WORD_BYTES);
	cr_assert_eq(report.empty_lines, 1);
	report = report_of(GLN_HARVEST_EXCHANGE);
	cr_assert_eq(report.empty_lines, 0);
}

FixtureTest(stats, a_harvest_of_nothing_delivers_what_is_merged_into_it)
{
	const unsigned char bits = 3;
	struct gln_source source = {.page_shift = 12, .data = &bits, .nr = 8};
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 1000);
	gln_harvest_commit(guest_begin(&guest, 1));
	cr_assert_eq(histogram_of(GLN_STEP_DELIVER).count, 0);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &source, 1), 0);
	gln_harvest_commit(harvest);
	cr_assert_eq(histogram_of(GLN_STEP_DELIVER).count, 1);
}

/* A VM of its own: its backend has no flush. */
Test(stats, the_steps_of_a_record_add_up_where_one_is_missing)
{
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	guest_start(&guest, GLN_CAP_PROTECT, 0);
	guest_log_slot(&guest, 1, 0, 100000);
	mark_runs(10000);
	harvest = guest_begin(&guest, 1);
	report = guest_report(harvest);
	cr_assert_gt(report.protect_ns, 0);
	cr_assert_eq(report.take_ns + report.protect_ns, report.begin_ns);
	cr_assert_eq(report.flushes, 0);
	cr_assert_eq(report.flush_ns, 0);
	cr_assert_eq(histogram_of(GLN_STEP_PROTECT).count, 1);
	cr_assert_eq(histogram_of(GLN_STEP_FLUSH).count, 0);
	gln_harvest_commit(harvest);
	guest_stop(&guest);
}

/* A VM of its own: its backend collects. */
Test(stats, each_call_of_collect_is_timed_and_is_a_part_of_the_take)
{
	const struct gln_harvest_params part = {
		.struct_bytes = sizeof(part),
		.max_pages = UINT64_MAX,
	};
	struct gln_harvest_report report;
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, 1, 0, UINT64_C(1) << 23);
	harvest = guest_begin(&guest, 1);
	report = guest_report(harvest);
	cr_assert_eq(report.collect_calls, 1);
	cr_assert_leq(report.collect_ns, report.take_ns);
	gln_harvest_commit(harvest);
	cr_assert_eq(gln_harvest_begin(guest.vm, 1, &part, &harvest), 0);
	report = guest_report(harvest);
	cr_assert_eq(report.collect_calls, guest.fake.nr_of[FAKE_COLLECT] - 1);
	cr_assert_gt(report.collect_calls, 1, "it goes in windows");
	cr_assert_leq(report.collect_ns, report.take_ns);
	gln_harvest_commit(harvest);
	cr_assert_eq(histogram_of(GLN_STEP_COLLECT).count,
		     guest.fake.nr_of[FAKE_COLLECT]);
	guest_stop(&guest);
}
