/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats_test.c - counters say what happened, in 64 bits, at any time.
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
