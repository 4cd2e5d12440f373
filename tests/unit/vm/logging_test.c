/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logging_test.c - logging of a slot goes on and off; every error it has.
 *
 * H-20 (marks dropped are counted), H-23b (not logging and failing are told
 * apart), H-23c (all marked means exactly [0, n)), H-87 (what the first harvest
 * holds).
 */
#include "tests/unit/guest.h"

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, ALL_CAPS, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

FixtureTest(logging, modes_are_checked)
{
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT), 0);
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT |
							GLN_LOG_INITIALLY_SET),
		     0);
	cr_assert_eq(gln_log_set_mode(guest.vm, 0), 0);
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_INITIALLY_SET),
		     -EINVAL);
	for (unsigned int bit = 2; bit < 32; bit++)
		cr_assert_eq(
			gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT |
							   UINT32_C(1) << bit),
			-EINVAL, "bit %u", bit);
}

FixtureTest(logging, a_refused_mode_changes_nothing)
{
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_INITIALLY_SET),
		     -EINVAL);
	cr_assert_eq(gln_log_set_mode(guest.vm, 7), -EINVAL);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
}

FixtureTest(logging, enabling_has_these_errors)
{
	cr_assert_eq(gln_log_enable(guest.vm, GLN_SLOT_IDS, 0), -EINVAL);
	cr_assert_eq(gln_log_enable(guest.vm, UINT32_MAX, 0), -EINVAL);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), -ENOENT);
	guest_add_slot(&guest, 1, 0, 100);
	for (unsigned int bit = 1; bit < 32; bit++)
		cr_assert_eq(gln_log_enable(guest.vm, 1, UINT32_C(1) << bit),
			     -EINVAL, "bit %u", bit);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), 0);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), 1);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), -EEXIST);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
}

FixtureTest(logging, enabling_twice_is_refused_while_a_harvest_is_open_too)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), -EEXIST);
	gln_harvest_commit(harvest);
}

FixtureTest(logging, disabling_has_these_errors)
{
	struct gln_harvest *harvest;

	cr_assert_eq(gln_log_disable(guest.vm, GLN_SLOT_IDS), -EINVAL);
	cr_assert_eq(gln_log_disable(guest.vm, UINT32_MAX), -EINVAL);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -ENOENT);
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -ENOENT);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -EBUSY);
	gln_harvest_abort(harvest);
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -ENOENT);
}

FixtureTest(logging, a_backend_that_cannot_log_says_so)
{
	static const uint32_t caps[] = {0, GLN_CAP_FLUSH};

	for (const uint32_t *c = caps; c < ARRAY_END(caps); c++) {
		static struct guest other;
		struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.backend = &other.fake.backend,
			.allocator = &other.memory.allocator,
		};

		fake_allocator_init(&other.memory);
		fake_backend_init(&other.fake, *c);
		cr_assert_eq(gln_vm_create(&params, &other.vm), 0);
		guest_add_slot(&other, 1, 0, 100);
		cr_assert_eq(gln_log_enable(other.vm, 1, 0), -ENOTSUP);
		cr_assert_eq(gln_dirty_mark(other.vm, 0), 0);
		cr_assert_eq(other.fake.nr_of[FAKE_LOG_START], 0);
		guest_stop(&other);
	}
}

FixtureTest(logging, without_a_backend_explicit_marks_are_logged)
{
	static struct guest other;
	struct gln_harvest *harvest;

	guest_start(&other, 0, 0);
	guest_log_slot(&other, 1, 0, 100);
	cr_assert_eq(gln_dirty_mark(other.vm, 9), 1);
	harvest = guest_begin(&other, 1);
	cr_assert_eq(guest_report(harvest).nr_pages, 1);
	gln_harvest_commit(harvest);
	cr_assert_eq(gln_log_disable(other.vm, 1), 0);
	guest_stop(&other);
}

/* Marks made inside log_start, where the log must be there already. */
static int mark_while_starting(struct gln_backend *be,
			       struct gln_backend_slot *slot, uint32_t flags)
{
	(void)be;
	(void)flags;
	slot->mark(slot, slot->base + 3, 1);
	return 0;
}

FixtureTest(logging, a_write_while_the_backend_starts_is_logged)
{
	guest.fake.ops.log_start = mark_while_starting;
	guest.fake.ops.log_stop = NULL;
	guest_add_slot(&guest, 1, 50, 100);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
}

FixtureTest(logging, a_backend_that_fails_to_start_leaves_the_slot_unlogged)
{
	const struct gln_stats before = guest_stats(&guest);
	struct gln_stats after;
	size_t nr_live;

	guest_add_slot(&guest, 1, 0, 100);
	nr_live = guest.memory.nr_live;
	guest.fake.fail_at[FAKE_LOG_START] = 1;
	guest.fake.fail_with = -EPERM;
	cr_assert_eq(gln_log_enable(guest.vm, 1, GLN_LOG_ENABLE_ALL_MARKED),
		     -EPERM);
	cr_assert_eq(guest.memory.nr_live, nr_live);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), 0);
	cr_assert_eq(gln_log_disable(guest.vm, 1), -ENOENT);
	after = guest_stats(&guest);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0,
		     "a call that failed is in the statistics");
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), 1);
}

/* How logging starts for a mode and flags: what is marked, what is said. */
static void expect_start(uint32_t mode, uint32_t flags, uint64_t nr_pages,
			 bool all_marked)
{
	static uint8_t pages[1100];
	const struct fake_call *call;

	memset(pages, all_marked, sizeof(pages));
	cr_assert_eq(gln_log_set_mode(guest.vm, mode), 0);
	guest_add_slot(&guest, 1, 17, nr_pages);
	cr_assert_eq(gln_log_enable(guest.vm, 1, flags), 0);
	call = fake_backend_nth(&guest.fake, FAKE_LOG_START, 0);
	cr_assert_eq(call->flags, all_marked ? GLN_LOG_START_ALL_MARKED : 0);
	cr_assert(guest_has_marks(&guest, 1, pages));
	cr_assert_eq(guest_count_marks(&guest, 1), all_marked ? nr_pages : 0);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	fake_backend_forget(&guest.fake);
}

FixtureTest(logging, all_marked_is_exactly_every_page_of_the_slot)
{
	const uint32_t manual = GLN_LOG_MANUAL_PROTECT;
	const uint32_t initially = manual | GLN_LOG_INITIALLY_SET;
	static const uint64_t sizes[] = {1,   63,  64,	65,  200,
					 511, 512, 513, 1100};

	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		expect_start(0, 0, *nr, false);
		expect_start(0, GLN_LOG_ENABLE_ALL_MARKED, *nr, true);
		expect_start(manual, 0, *nr, false);
		expect_start(manual, GLN_LOG_ENABLE_ALL_MARKED, *nr, true);
		expect_start(initially, 0, *nr, true);
		expect_start(initially, GLN_LOG_ENABLE_ALL_MARKED, *nr, true);
	}
}

FixtureTest(logging, a_log_starts_empty_each_time)
{
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_dirty_mark(guest.vm, 1), 0);
	for (unsigned int i = 1; i <= 3; i++) {
		cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
		cr_assert_eq(guest_count_marks(&guest, 1), 0);
		cr_assert_eq(gln_dirty_mark(guest.vm, i), 1);
		cr_assert_eq(gln_dirty_mark(guest.vm, i + 50), 1);
		cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
		cr_assert_eq(guest_stats(&guest).dropped_pages, 2 * i);
		cr_assert_eq(gln_dirty_mark(guest.vm, i), 0);
	}
	cr_assert_eq(guest.fake.nr_of[FAKE_LOG_START], 3);
	cr_assert_eq(guest.fake.nr_of[FAKE_LOG_STOP], 3);
}

FixtureTest(logging, harvested_pages_are_not_dropped)
{
	guest_log_slot(&guest, 1, 0, 100);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 60});
	gln_harvest_commit(guest_begin(&guest, 1));
	gln_dirty_mark_range(guest.vm, (struct gln_range){50, 7});
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	cr_assert_eq(guest_stats(&guest).dropped_pages, 7);
}

FixtureTest(logging, slots_are_logged_one_by_one)
{
	guest_log_slot(&guest, 1, 0, 100);
	guest_add_slot(&guest, 2, 100, 100);
	cr_assert_eq(
		gln_dirty_mark_range(guest.vm, (struct gln_range){50, 100}),
		50);
	cr_assert_eq(gln_log_enable(guest.vm, 2, 0), 0);
	cr_assert_eq(
		gln_dirty_mark_range(guest.vm, (struct gln_range){50, 100}),
		50);
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	cr_assert_eq(guest_count_marks(&guest, 2), 50);
}
