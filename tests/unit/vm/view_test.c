/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view_test.c - marks through a view: the same marks, and who waits for it.
 *
 * G2, G3 (nothing is allocated), G11 (any frame), B1 (no early return).
 */
#include "tests/unit/guest.h"

#include <pthread.h>
#include <time.h>

enum {
	NR_PAGES = 5 * LINE_PAGES + 70,
	/* The smallest slot whose summary has two levels above it. */
	TALL_PAGES = LINE_PAGES * LINE_PAGES * LINE_PAGES + 1,
	A_WHILE_MS = 50,
};

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, 0, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

static bool has_heavy_fence(void)
{
	return guest.vm->fence != FENCE_BOTH;
}

FixtureTest(view, a_frame_is_new_marked_not_logged_or_nowhere)
{
	struct gln_view view;

	guest_log_slot(&guest, 1, 100, 100);
	guest_add_slot(&guest, 2, 300, 100);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark(&view, 100), 1);
	cr_assert_eq(gln_view_mark(&view, 100), 0);
	cr_assert_eq(gln_view_mark(&view, 199), 1);
	cr_assert_eq(gln_view_mark(&view, 300), 0);
	cr_assert_eq(gln_view_mark(&view, 99), -ENOENT);
	cr_assert_eq(gln_view_mark(&view, 200), -ENOENT);
	cr_assert_eq(gln_view_mark(&view, 0), -ENOENT);
	cr_assert_eq(gln_view_mark(&view, UINT64_MAX), -ENOENT);
	cr_assert_eq(gln_view_mark(&view, 199), 0);
	gln_view_close(&view);
	cr_assert_eq(guest_count_marks(&guest, 1), 2);
}

FixtureTest(view, a_look_does_where_the_platform_has_a_heavy_fence)
{
	struct gln_view view;

	guest_log_slot(&guest, 1, 100, 100);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(view.nr_pages, 0);
	gln_view_mark(&view, 150);
	cr_assert_eq(view.nr_pages, has_heavy_fence() ? 100 : 0);
	gln_view_close(&view);
	cr_assert_eq(view.nr_pages, 0);
}

Test(view, with_a_fence_a_mark_no_slot_is_remembered)
{
	struct gln_view view;

	guest_start(&guest, 0, GLN_VM_FULL_FENCE);
	guest_log_slot(&guest, 1, 0, 100);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark(&view, 5), 1);
	cr_assert_eq(gln_view_mark(&view, 5), 0);
	cr_assert_eq(gln_view_mark_range(&view, (struct gln_range){4, 3}), 2);
	cr_assert_eq(view.nr_pages, 0);
	gln_view_close(&view);
	cr_assert_eq(guest_count_marks(&guest, 1), 3);
	guest_stop(&guest);
}

FixtureTest(view, a_vcpu_counts_what_took_more_than_a_look)
{
	struct gln_vcpu *const vcpu = guest_vcpu(&guest, 3);
	struct gln_view view;

	guest_log_slot(&guest, 1, 0, 100);
	gln_vcpu_view_open(vcpu, &view);
	cr_assert_eq(gln_view_mark(&view, 5), 1);
	cr_assert_eq(gln_view_mark(&view, 6), 1);
	cr_assert_eq(gln_view_mark(&view, 100), -ENOENT);
	if (has_heavy_fence())
		cr_assert_eq(gln_view_mark(&view, 6), 0);
	gln_view_close(&view);
	cr_assert_eq(guest_stats(&guest).vcpu_marks, 3);
	cr_assert_eq(guest_stats(&guest).vcpu_new_marks, 2);
	gln_vcpu_unregister(vcpu);
}

FixtureTest(view, a_vcpu_with_a_ring_pushes_each_time)
{
	struct gln_vcpu *vcpu;
	struct gln_view view;

	cr_assert_eq(gln_ring_enable(guest.vm, 4096, GLN_RING_WITH_BITMAP), 0);
	vcpu = guest_vcpu(&guest, 3);
	guest_log_slot(&guest, 1, 0, 100);
	gln_vcpu_view_open(vcpu, &view);
	cr_assert_eq(gln_view_mark(&view, 5), 1);
	cr_assert_eq(gln_view_mark(&view, 5), 1);
	cr_assert_eq(gln_view_mark_range(&view, (struct gln_range){8, 2}), 2);
	gln_view_close(&view);
	cr_assert_eq(guest_stats(&guest).ring_pushes, 2);
	cr_assert_eq(guest_count_marks(&guest, 1), 2);
	gln_vcpu_unregister(vcpu);
}

FixtureTest(view, without_a_vcpu_a_vm_of_rings_refuses)
{
	struct gln_view view;

	cr_assert_eq(gln_ring_enable(guest.vm, 4096, 0), 0);
	guest_log_slot(&guest, 1, 0, 100);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark(&view, 5), -ENXIO);
	cr_assert_eq(gln_view_mark_range(&view, (struct gln_range){8, 2}), 2);
	gln_view_close(&view);
	cr_assert_eq(guest_count_marks(&guest, 1), 2);
}

FixtureTest(view, random_marks_over_two_slots_agree_with_the_model)
{
	static uint8_t marks[2][NR_PAGES];

	for (uint64_t seed = 0; seed < 60; seed++) {
		struct test_random random = {seed};
		const uint64_t nr = test_random_between(&random, 1, NR_PAGES);
		struct gln_view view;

		memset(marks, 0, sizeof(marks));
		guest_log_slot(&guest, 0, seed, nr);
		guest_log_slot(&guest, 1, seed + NR_PAGES, nr);
		gln_view_open(guest.vm, &view);
		for (unsigned int i = 0; i < 500; i++) {
			const uint64_t id = test_random_below(&random, 2);
			const uint64_t page = test_random_below(&random, nr);
			const int got = gln_view_mark(
				&view, seed + id * NR_PAGES + page);

			require(got == !marks[id][page],
				"seed %" PRIu64 ": page %" PRIu64, seed, page);
			marks[id][page] = 1;
		}
		for (uint64_t id = 0; id < 2; id++) {
			const uint64_t page = test_random_below(&random, nr);
			const uint64_t end =
				test_random_between(&random, page + 1, nr);
			const struct gln_range range = {
				seed + id * NR_PAGES + page, end - page};

			require(gln_view_mark_range(&view, range) ==
					test_pages_set(marks[id], page, end),
				"seed %" PRIu64 ": [%" PRIu64 ", %" PRIu64 ")",
				seed, page, end);
		}
		gln_view_close(&view);
		for (uint32_t id = 0; id < 2; id++) {
			require(guest_has_marks(&guest, id, marks[id]),
				"seed %" PRIu64 ": slot %" PRIu32, seed, id);
			cr_assert_eq(gln_slot_remove(guest.vm, id), 0);
		}
	}
}

FixtureTest(view, a_range_over_slots_and_holes_is_marked)
{
	struct gln_view view;

	guest_log_slot(&guest, 1, 100, 100);
	guest_log_slot(&guest, 2, 300, 10);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark_range(&view, (struct gln_range){150, 0}), 0);
	cr_assert_eq(gln_view_mark_range(&view, (struct gln_range){150, 155}),
		     50 + 5);
	cr_assert_eq(
		gln_view_mark_range(&view, (struct gln_range){0, UINT64_MAX}),
		50 + 5);
	cr_assert_eq(gln_view_mark_range(
			     &view, (struct gln_range){UINT64_MAX, UINT64_MAX}),
		     0);
	gln_view_close(&view);
}

/* Clear the bit of @page at a level, and return whether a mark sets it again.
 */
static bool is_set_again(struct gln_view *view, const struct bitmap *live,
			 unsigned int level, uint64_t page)
{
	const uint64_t bit = page >> (LINE_SHIFT * (level + 1));
	gln_word *const word = &bitmap_level(live, level)[bit / GLN_WORD_BITS];
	const uint64_t mask = UINT64_C(1) << bit % GLN_WORD_BITS;

	gln_fetch_and_relaxed(word, ~mask);
	cr_assert_eq(gln_view_mark(view, page), 0);
	return gln_load_relaxed(word) & mask;
}

FixtureTest(view, a_marked_page_whose_summary_is_not_set_is_summarised)
{
	struct gln_view view;
	const struct bitmap *live;

	guest_log_slot(&guest, 1, 0, TALL_PAGES);
	live = guest_log(&guest, 1)->live;
	cr_assert_eq(live->nr_upper, 2);
	gln_view_open(guest.vm, &view);
	for (uint64_t page = 3; page < TALL_PAGES; page = page * 7 + 1) {
		cr_assert_eq(gln_view_mark(&view, page), 1);
		for (unsigned int level = 0; level <= live->nr_upper; level++)
			cr_assert(is_set_again(&view, live, level, page),
				  "level %u of page %" PRIu64, level, page);
	}
	gln_view_close(&view);
}

Test(view, with_quick_marks_a_look_is_at_the_page_alone)
{
	struct gln_view view;
	struct bitmap *live;

	guest_start(&guest, 0, GLN_VM_QUICK_MARKS);
	guest_log_slot(&guest, 1, 0, TALL_PAGES);
	live = guest_log(&guest, 1)->live;
	gln_view_open(guest.vm, &view);
	for (uint64_t page = 3; page < TALL_PAGES; page = page * 7 + 1) {
		cr_assert_eq(gln_view_mark(&view, page), 1);
		cr_assert_eq(gln_view_mark(&view, page), 0);
		cr_assert_eq(gln_dirty_mark(guest.vm, page), 0);
		cr_assert_eq(is_set_again(&view, live, 0, page),
			     live->fence != FENCE_GRACE);
		bitmap_summarise(live, page >> LINE_SHIFT);
	}
	cr_assert_eq(view.nr_pages, has_heavy_fence() ? TALL_PAGES : 0);
	gln_view_close(&view);
	guest_stop(&guest);
}

FixtureTest(view, views_overlap_and_allocate_nothing)
{
	struct gln_view first, second;
	uint64_t nr_calls;

	guest_log_slot(&guest, 1, 0, 100);
	nr_calls = guest.memory.nr_calls;
	gln_view_open(guest.vm, &first);
	gln_view_mark(&first, 1);
	gln_view_open(guest.vm, &second);
	gln_view_mark(&second, 2);
	gln_view_close(&first);
	cr_assert_eq(gln_view_mark(&second, 1), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 3), 1);
	cr_assert_eq(gln_view_mark(&second, 4), 1);
	gln_view_close(&second);
	cr_assert_eq(guest.memory.nr_calls, nr_calls);
	cr_assert_eq(guest_count_marks(&guest, 1), 4);
}

/* Who waits for a view. */

static int harvest_by(enum gln_harvest_strategy strategy)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};
	struct gln_harvest *harvest;
	const int err = gln_harvest_begin(guest.vm, 1, &params, &harvest);

	return err ? err : (int)gln_harvest_commit(harvest);
}

static int flip(void)
{
	return harvest_by(GLN_HARVEST_FLIP);
}

static int exchange(void)
{
	return harvest_by(GLN_HARVEST_EXCHANGE);
}

static int exchange_all(void)
{
	const struct gln_vm_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = GLN_HARVEST_EXCHANGE,
	};
	struct gln_vm_harvest *harvest;
	const int err = gln_vm_harvest_begin(guest.vm, &params, &harvest);

	return err ? err : (int)gln_vm_harvest_commit(harvest);
}

static int stop_logging(void)
{
	return gln_log_disable(guest.vm, 1);
}

static int remove_slot(void)
{
	return gln_slot_remove(guest.vm, 1);
}

static struct {
	int (*call)(void);
	int result;
	_Atomic bool has_ended;
} other;

static void *other_main(void *arg)
{
	(void)arg;
	other.result = other.call();
	gln_store_release(&other.has_ended, true);
	return NULL;
}

static void sleep_a_while(void)
{
	const struct timespec a_while = {.tv_nsec = A_WHILE_MS * 1000000L};

	nanosleep(&a_while, NULL);
}

/*
 * Have @call made beside an open view, which goes on marking in the slot. What
 * did it return?
 */
static int call_beside_a_view(int (*call)(void))
{
	struct gln_view view;
	pthread_t thread;

	guest_log_slot(&guest, 1, 0, 100);
	other.call = call;
	gln_store_relaxed(&other.has_ended, false);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark(&view, 7), 1);
	cr_assert_eq(pthread_create(&thread, NULL, other_main, NULL), 0);
	sleep_a_while();
	cr_assert(!gln_load_relaxed(&other.has_ended), "it did not wait");
	gln_view_mark(&view, 8);
	gln_view_mark(&view, 9);
	gln_view_close(&view);
	pthread_join(thread, NULL);

	return other.result;
}

FixtureTest(view, a_flip_waits_for_it_and_has_its_marks)
{
	/* In the bitmap that was remembered, where one was. */
	const int nr = call_beside_a_view(flip);

	cr_assert_eq(nr + (int)guest_count_marks(&guest, 1), 3);
	cr_assert_eq(nr, has_heavy_fence() ? 3 : 1);
}

FixtureTest(view, logging_that_stops_waits_for_it)
{
	cr_assert_eq(call_beside_a_view(stop_logging), 0);
	cr_assert(guest_stats(&guest).dropped_pages > 0);
}

FixtureTest(view, a_slot_that_goes_waits_for_it)
{
	cr_assert_eq(call_beside_a_view(remove_slot), 0);
	cr_assert(guest_stats(&guest).dropped_pages > 0);
}

/* Where marks are quick; one that finds nothing set waits for nobody. */
static void expect_an_exchange_to_wait(int (*call)(void))
{
	struct gln_view view;

	guest_start(&guest, 0, GLN_VM_QUICK_MARKS);
	if (has_heavy_fence()) {
		cr_assert(call_beside_a_view(call) >= 1);
		cr_assert(call() >= 0); /* what was marked after its look */
		cr_assert(call() >= 0); /* summary bits that came late */
		gln_view_open(guest.vm, &view);
		cr_assert_eq(call(), 0);
		gln_view_close(&view);
	}
	guest_stop(&guest);
}

Test(view, with_quick_marks_an_exchange_waits_for_it)
{
	expect_an_exchange_to_wait(exchange);
}

Test(view, with_quick_marks_an_exchange_of_the_vm_waits_for_it)
{
	expect_an_exchange_to_wait(exchange_all);
}

FixtureTest(view, without_an_exchange_waits_for_no_view)
{
	struct gln_view view;

	guest_log_slot(&guest, 1, 0, 100);
	gln_view_open(guest.vm, &view);
	cr_assert_eq(gln_view_mark(&view, 7), 1);
	cr_assert_eq(exchange(), 1);
	cr_assert_eq(gln_view_mark(&view, 8), 1);
	cr_assert_eq(exchange_all(), 1);
	gln_view_close(&view);
}
