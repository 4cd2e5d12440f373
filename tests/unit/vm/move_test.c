/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * move_test.c - a slot goes elsewhere and takes its log along, or stays.
 *
 * G1 (no write between the two places goes unnoticed), G5; H-23f.
 */
#include "tests/unit/guest.h"

#include <pthread.h>

enum { ID = 7, NR_PAGES = 1000 };

#define OLD UINT64_C(5000)
#define NEW UINT64_C(9000)

static struct guest guest;
static struct gln_vcpu *vcpu;

static void start(uint32_t caps)
{
	guest_start(&guest, caps, 0);
	vcpu = guest_vcpu(&guest, 0);
	guest_log_slot(&guest, ID, OLD, NR_PAGES);
	gln_dirty_mark_range(guest.vm, (struct gln_range){OLD, 10});
}

static void setup(void)
{
	start(MMU_CAPS);
}

static void teardown(void)
{
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

static int move_to(gln_gfn base)
{
	fake_backend_forget(&guest.fake);
	return gln_slot_move(guest.vm, ID, base);
}

static int touch(gln_gfn gfn)
{
	return gln_vcpu_fault(vcpu, gfn, GLN_ACCESS_READ);
}

/* The slot is at @base, logged, with its ten marks and no harvest open. */
static void check_is_at(gln_gfn base)
{
	struct gln_range run;
	struct gln_harvest *harvest;

	cr_assert_eq(gln_dirty_mark(guest.vm, base - 1), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, base), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, base + NR_PAGES), -ENOENT);
	cr_assert_eq(guest_count_marks(&guest, ID), 10);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, base);
	cr_assert_eq(run.count, 10);
	gln_harvest_abort(harvest);
}

/* The calls of the backend were these, at these places. */
static void check_calls(const struct fake_call *calls, size_t nr)
{
	cr_assert_eq(guest.fake.nr_calls, nr);
	for (size_t i = 0; i < nr; i++) {
		cr_assert_eq(guest.fake.calls[i].kind, calls[i].kind, "%zu", i);
		cr_assert_eq(guest.fake.calls[i].base, calls[i].base, "%zu", i);
		cr_assert_eq(guest.fake.calls[i].flags, calls[i].flags);
	}
}

FixtureTest(move, marks_and_logging_go_along)
{
	static const struct fake_call calls[] = {
		{.kind = FAKE_UNMAP, .base = OLD},
		/* In this order: a log that stops may bring blocks back. */
		{.kind = FAKE_DETACH, .base = OLD},
		{.kind = FAKE_LOG_STOP, .base = OLD},
		{.kind = FAKE_ATTACH, .base = NEW},
		{.kind = FAKE_LOG_START, .base = NEW},
	};

	cr_assert_eq(move_to(NEW), 0);
	check_calls(calls, 5);
	check_is_at(NEW);
	cr_assert_eq(touch(OLD), GLN_FAULT_MMIO);
	cr_assert_eq(touch(NEW), GLN_FAULT_MAPPED);
	cr_assert_eq(guest_stats(&guest).dropped_pages, 0);
}

FixtureTest(move, old_and_new_place_may_overlap)
{
	static const gln_gfn places[] = {OLD + 1, OLD, OLD + NR_PAGES - 1,
					 OLD + 500, 1};

	for (const gln_gfn *p = places; p < ARRAY_END(places); p++) {
		cr_assert_eq(move_to(*p), 0);
		check_is_at(*p);
	}
}

FixtureTest(move, an_unlogged_slot_is_only_attached_elsewhere)
{
	static const struct fake_call calls[] = {
		{.kind = FAKE_UNMAP, .base = OLD},
		{.kind = FAKE_DETACH, .base = OLD},
		{.kind = FAKE_ATTACH, .base = NEW},
	};

	cr_assert_eq(gln_log_disable(guest.vm, ID), 0);
	cr_assert_eq(move_to(NEW), 0);
	check_calls(calls, 3);
	cr_assert_eq(gln_dirty_mark(guest.vm, NEW), 0);
	cr_assert_eq(gln_log_enable(guest.vm, ID, 0), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, NEW), 1);
}

FixtureTest(move, to_where_it_is_nothing_happens)
{
	cr_assert_eq(move_to(OLD), 0);
	cr_assert_eq(guest.fake.nr_calls, 0);
	check_is_at(OLD);
}

FixtureTest(move, has_these_errors_and_changes_nothing)
{
	struct gln_harvest *harvest;
	uint64_t nr_live;

	guest_add_slot(&guest, 1, NEW, 100);
	guest_add_slot(&guest, 2, OLD + 1500, 100);
	nr_live = guest.memory.nr_live;
	cr_assert_eq(gln_slot_move(guest.vm, GLN_SLOT_IDS, 0), -EINVAL);
	cr_assert_eq(gln_slot_move(guest.vm, 3, 0), -ENOENT);
	cr_assert_eq(move_to(UINT64_MAX), -EINVAL);
	cr_assert_eq(move_to((UINT64_C(1) << 52) - NR_PAGES + 1), -EINVAL);
	cr_assert_eq(move_to(NEW), -EEXIST);
	cr_assert_eq(move_to(NEW + 99), -EEXIST);
	cr_assert_eq(move_to(NEW - NR_PAGES + 1), -EEXIST);
	/* Over itself and into its neighbour. */
	cr_assert_eq(move_to(OLD + 501), -EEXIST);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(move_to(0), -EBUSY);
	gln_harvest_abort(harvest);
	guest.memory.fail_at = 1;
	cr_assert_eq(move_to(0), -ENOMEM);
	cr_assert_eq(guest.fake.nr_calls, 0);
	cr_assert_eq(guest.memory.nr_live, nr_live);
	check_is_at(OLD);
	cr_assert_eq(touch(OLD), GLN_FAULT_MAPPED);
	cr_assert_eq(move_to(OLD + 500), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, OLD + 499), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, OLD + 500), 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 10);
}

FixtureTest(move, a_place_the_backend_refuses_leaves_it_where_it_was)
{
	static const enum fake_call_kind kinds[] = {FAKE_ATTACH,
						    FAKE_LOG_START};

	for (const enum fake_call_kind *k = kinds; k < ARRAY_END(kinds); k++) {
		guest.fake.fail_at[*k] = 1;
		cr_assert_eq(move_to(NEW), -EIO);
		check_is_at(OLD);
		cr_assert_eq(touch(OLD), GLN_FAULT_MAPPED);
		cr_assert_eq(touch(NEW), GLN_FAULT_MMIO);
	}
	cr_assert_eq(guest.fake.nr_logged, 1);
	cr_assert_eq(move_to(NEW), 0);
	check_is_at(NEW);
}

static int refuse(struct gln_backend *be, struct gln_backend_slot *slot)
{
	(void)be;
	(void)slot;
	return -ERANGE;
}

FixtureTest(move, a_slot_that_is_wanted_nowhere_is_gone)
{
	guest.fake.ops.attach = refuse;
	cr_assert_eq(move_to(NEW), -EIO);
	cr_assert_eq(gln_slot_remove(guest.vm, ID), -ENOENT);
	cr_assert_eq(touch(OLD), GLN_FAULT_MMIO);
	cr_assert_eq(guest_stats(&guest).dropped_pages, 10);
	cr_assert_eq(guest_stats(&guest).log_bytes, 0);
}

FixtureTest(move, what_was_dirty_on_the_way_is_marked)
{
	guest.fake.dirty = (struct gln_range){OLD + 500, 1};
	cr_assert_eq(move_to(NEW), 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 11);
	cr_assert_eq(gln_dirty_mark(guest.vm, NEW + 500), 0);
}

static void (*detach)(struct gln_backend *be, struct gln_backend_slot *slot);
static int in_between;

static void *fault_in_between(void *arg)
{
	(void)arg;
	in_between = touch(OLD + 1);
	return NULL;
}

/* The backend's detach, during which a vCPU faults at the old place. */
static void detach_slowly(struct gln_backend *be, struct gln_backend_slot *slot)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, fault_in_between, NULL), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	/* A write on behalf of a device, too. */
	cr_assert_eq(gln_dirty_mark(guest.vm, OLD + 20), 1);
	detach(be, slot);
}

FixtureTest(move, meanwhile_faults_are_tried_again_and_marks_are_taken)
{
	in_between = -1;
	detach = guest.fake.ops.detach;
	guest.fake.ops.detach = detach_slowly;
	cr_assert_eq(move_to(NEW), 0);
	guest.fake.ops.detach = detach;
	cr_assert_eq(in_between, GLN_FAULT_RETRY);
	cr_assert_eq(guest.fake.nr_of[FAKE_FAULT], 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, NEW + 20), 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 11);
	cr_assert_eq(guest_stats(&guest).faults_retried, 1);
}

Test(move, without_a_table_to_empty_every_page_is_marked)
{
	static const struct fake_call calls[] = {
		{.kind = FAKE_LOG_STOP, .base = OLD},
		{.kind = FAKE_DETACH, .base = OLD},
		{.kind = FAKE_ATTACH, .base = NEW},
		{.kind = FAKE_LOG_START,
		 .base = NEW,
		 .flags = GLN_LOG_START_ALL_MARKED},
	};

	start(ALL_CAPS);
	cr_assert_eq(move_to(NEW), 0);
	check_calls(calls, 4);
	cr_assert_eq(guest_count_marks(&guest, ID), NR_PAGES);
	teardown();

	start(0);
	cr_assert_eq(move_to(NEW), 0);
	check_is_at(NEW);
	teardown();
}

FixtureTest(move, slots_stay_sorted_wherever_they_go)
{
	uint64_t base[16];

	for (uint32_t id = 0; id < 16; id++) {
		base[id] = UINT64_C(100000) + id * 100;
		if (id != ID)
			guest_add_slot(&guest, id, base[id], 10);
	}
	cr_assert_eq(move_to(OLD + 1), 0);
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct test_random random = {seed};
		const uint32_t id = (uint32_t)test_random_below(&random, 16);
		const gln_gfn to =
			100000 + test_random_below(&random, 160) * 10;
		bool is_free = true;

		if (id == ID)
			continue;
		for (uint32_t i = 0; i < 16; i++)
			if (i != ID && i != id && base[i] < to + 10 &&
			    to < base[i] + 10)
				is_free = false;
		require(gln_slot_move(guest.vm, id, to) ==
				(is_free ? 0 : -EEXIST),
			"seed %" PRIu64, seed);
		if (is_free)
			base[id] = to;
		for (uint32_t i = 0; i < 16; i++)
			require(i == ID ||
					gln_dirty_mark(guest.vm, base[i]) == 0,
				"seed %" PRIu64, seed);
		fake_backend_forget(&guest.fake);
	}
}
