/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resize_test.c - a table of another order, at once and in steps (Z1 to Z4;
 * H-58, H-73 to H-76, H-90).
 */
#include "tests/unit/hpt/guest_table.h"

#include <glean/log.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { INCREMENTAL = GLN_HPT_RESIZE_INCREMENTAL };

static const uint32_t modes[] = {0, INCREMENTAL};

static int prepare(unsigned int order, uint32_t flags)
{
	return gln_hpt_resize_prepare(rig.vm, order, flags);
}

static int work_all(uint64_t max_groups)
{
	int nr = 1;

	while (gln_hpt_resize_work(rig.vm, max_groups))
		nr++;
	return nr;
}

static int resize(unsigned int order, uint32_t flags)
{
	cr_assert_eq(prepare(order, flags), GLN_HPT_RESIZE_WAIT_MS);
	work_all(64);
	cr_assert_eq(prepare(order, flags), 0);
	return gln_hpt_resize_commit(rig.vm, order);
}

/* The commit used what was copied ahead. */
static bool is_copied(void)
{
	return gln_load_relaxed(&hpt_table(rig.mmu)->before);
}

Test(resize, only_orders_that_there_are_can_be_prepared)
{
	rig_open(GLN_HPT_ISA_2_07, 18);
	cr_assert_eq(prepare(17, 0), -EINVAL);
	cr_assert_eq(prepare(47, 0), -EINVAL);
	cr_assert_eq(prepare(20, 2), -EINVAL);
	cr_assert_eq(prepare(0, 0), 0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 0), -EINVAL);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 47), -EINVAL);
	cr_assert_eq(gln_hpt_resize_work(rig.vm, 1), 0);
	rig_close();
}

Test(resize, a_preparation_says_how_far_it_is)
{
	for (size_t i = 0; i < 2; i++) {
		rig_open(GLN_HPT_ISA_2_07, 18);
		cr_assert_eq(prepare(19, modes[i]), GLN_HPT_RESIZE_WAIT_MS);
		cr_assert_eq(prepare(19, modes[i]), GLN_HPT_RESIZE_WAIT_MS);
		work_all(100);
		cr_assert_eq(prepare(19, modes[i]), 0);
		cr_assert_eq(prepare(20, modes[i]), GLN_HPT_RESIZE_WAIT_MS);
		cr_assert_eq(prepare(19, modes[i]), GLN_HPT_RESIZE_WAIT_MS,
			     "the other order cancelled this one");
		work_all(100);
		cr_assert_eq(prepare(0, 0), 0);
		cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -ENXIO);
		rig_close();
	}
}

Test(resize, a_commit_uses_up_what_was_prepared)
{
	rig_open(GLN_HPT_ISA_3_0, 18);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -ENXIO);
	prepare(19, 0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -EBUSY);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -ENXIO);
	prepare(19, INCREMENTAL);
	work_all(64);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 20), -ENXIO);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -ENXIO);
	cr_assert_eq(hpt_table(rig.mmu)->order, 18);
	rig_close();
}

Test(resize, want_of_memory_is_told_once)
{
	for (uint64_t nth = 1; nth <= 5; nth++) {
		rig_open(GLN_HPT_ISA_2_07, 18);
		prepare(19, INCREMENTAL);
		rig.memory.fail_at = nth;
		work_all(64);
		rig.memory.fail_at = 0;
		cr_assert_eq(prepare(19, INCREMENTAL), -ENOMEM);
		cr_assert_eq(prepare(19, INCREMENTAL), GLN_HPT_RESIZE_WAIT_MS);
		work_all(64);
		cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), 0);
		rig_close();
	}
}

/* The sixth block is of heads: without it they are cleared in the pause. */
Test(resize, heads_are_cleared_where_there_is_no_room_for_others)
{
	const struct rig_entry e = {
		RIG_SLB_4K,	   0x5000,	    false, 3,
		GLN_HPTE_V_BOLTED, RIG_R | 0x100000};
	struct hpt_slot *slot;

	rig_open(GLN_HPT_ISA_2_07, 18);
	slot = rig.mmu->slots;
	cr_assert_eq(rig_enter(&e, 18), 0);
	rig_note(rig_at(rig_index(&e, 18)), GLN_HPTE_R_R);
	cr_assert_eq(rig_call(GLN_H_REMOVE, 0, rig_index(&e, 18)), 0);
	cr_assert_eq(rig_enter(&e, 18), 0);
	cr_assert(gln_load_relaxed(&slot->pages[0]) & PAGE_PRESENT);
	cr_assert(gln_load_relaxed(&slot->pages[0]) & PAGE_R);
	prepare(19, INCREMENTAL);
	rig.memory.fail_at = 6;
	work_all(64);
	cr_assert_null(slot->spare);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), 0);
	cr_assert(is_copied());
	cr_assert_not(gln_load_relaxed(&slot->pages[0]) & PAGE_PRESENT);
	cr_assert(gln_load_relaxed(&slot->pages[0]) & PAGE_R);
	work_all(64);
	cr_assert_eq(rig_check(), 0);
	rig_close();
}

/* What heads know of use is carried over to the new ones. */
Test(resize, a_page_that_was_used_stays_used)
{
	const struct rig_entry e = {RIG_SLB_4K, 0x5000, false,
				    3,		0,	RIG_R | 0x100000};

	for (size_t i = 0; i < 4; i++) {
		uint64_t nr_young = 0;

		rig_open(GLN_HPT_ISA_2_07, 18);
		cr_assert_eq(rig_enter(&e, 18), 0);
		rig_note(rig_at(rig_index(&e, 18)), GLN_HPTE_R_R);
		/* Known to the head alone, or to the entry. */
		if (i & 1)
			cr_assert_eq(
				rig_call(GLN_H_REMOVE, 0, rig_index(&e, 18)),
				0);
		cr_assert_eq(resize(19, INCREMENTAL), 0);
		/* Ageing does what work is left. */
		if (i & 2)
			work_all(64);
		cr_assert_eq(gln_mmu_age(rig.vm,
					 (struct gln_range){RIG_GFN, RIG_PAGES},
					 &nr_young),
			     0);
		cr_assert_eq(nr_young, 1);
		rig_close();
	}
}

/* A harvest that meets a commit has what was noted before it. */
static struct beside {
	pthread_t thread;
	bool is_running;
	int err;
	uint64_t nr_pages;
} beside;

static void *harvest_beside(void *ctx)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};
	struct gln_harvest *harvest;

	beside.err = gln_harvest_begin(rig.vm, 0, &params, &harvest);
	if (beside.err)
		return ctx;
	gln_harvest_report(harvest, &report);
	beside.nr_pages = report.nr_pages;
	gln_harvest_commit(harvest);
	return ctx;
}

static void set_table_slowly(void *ctx, uint64_t word)
{
	const struct timespec while_it_begins = {.tv_nsec = 20000000};

	(void)ctx;
	(void)word;
	beside.is_running =
		!pthread_create(&beside.thread, NULL, harvest_beside, NULL);
	nanosleep(&while_it_begins, NULL);
}

Test(resize, a_harvest_that_meets_a_commit_reports_what_was_noted)
{
	const struct rig_entry e = {
		RIG_SLB_4K,	   0x5000,	     false, 3,
		GLN_HPTE_V_BOLTED, RIG_R | 0x100000,
	};
	const uint32_t flags[] = {0, INCREMENTAL};

	for (size_t i = 0; i < 2; i++) {
		struct gln_hpt_fault fault = {
			.ea = 0x5000,
			.slb = RIG_SLB_4K,
			.access = GLN_ACCESS_WRITE,
		};

		rig_open(GLN_HPT_ISA_2_07, 18);
		cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
		cr_assert_eq(rig_enter(&e, 18), 0);
		cr_assert(gln_hpt_fault(rig.vcpu, &fault) >= 0);
		rig_note(rig_at(rig_index(&e, 18)), GLN_HPTE_R_C);
		rig.mmu->set_table = set_table_slowly;
		beside = (struct beside){.err = -1};
		cr_assert_eq(resize(19, flags[i]), 0);
		cr_assert(beside.is_running);
		pthread_join(beside.thread, NULL);
		cr_expect_eq(beside.err, 0);
		cr_expect_eq(beside.nr_pages, 1);
		rig_close();
	}
}

Test(resize, a_slot_that_links_cannot_reach_is_refused)
{
	const struct gln_slot_params far = {
		.struct_bytes = sizeof(far),
		.id = 1,
		.base = UINT64_C(1) << 36,
		.nr_pages = 1,
	};

	rig_open(GLN_HPT_ISA_2_07, 18);
	cr_assert_eq(gln_slot_add(rig.vm, &far), 0);
	cr_assert_eq(prepare(46, 0), -ERANGE);
	cr_assert_eq(prepare(40, 0), GLN_HPT_RESIZE_WAIT_MS);
	cr_assert_eq(prepare(0, 0), 0);
	rig_close();
}

static void cancel_now(void)
{
	cr_assert_eq(prepare(0, 0), 0);
}

static void cancel_for_another(void)
{
	cr_assert_eq(prepare(20, 0), GLN_HPT_RESIZE_WAIT_MS);
	cr_assert_eq(gln_hpt_resize_work(rig.vm, 1), 1, "one at a time works");
}

/* The rig looks at what is freed, and at the end that all of it is. */
Test(resize, who_allocates_for_a_request_that_is_gone_frees_it)
{
	rig_open(GLN_HPT_ISA_2_07, 18);
	prepare(19, INCREMENTAL);
	rig.on_alloc = cancel_now;
	cr_assert_eq(gln_hpt_resize_work(rig.vm, 64), 0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), -ENXIO);

	prepare(19, INCREMENTAL);
	rig.on_alloc = cancel_for_another;
	cr_assert_eq(gln_hpt_resize_work(rig.vm, 64), 1);
	work_all(64);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 20), 0);
	cr_assert_eq(hpt_table(rig.mmu)->order, 20);
	rig_close();
}

Test(resize, a_step_looks_at_no_more_groups_than_it_may)
{
	const int nr_groups = 1 << (18 - GLN_HPT_GROUP_SHIFT);

	rig_open(GLN_HPT_ISA_2_07, 18);
	prepare(19, INCREMENTAL);
	cr_assert_geq(work_all(1), nr_groups);
	cr_assert_eq(prepare(19, INCREMENTAL), 0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), 0);
	cr_assert_geq(work_all(1), nr_groups);
	prepare(18, INCREMENTAL);
	cr_assert_leq(work_all(UINT64_MAX), 3);
	rig_close();
}

Test(resize, hardware_is_told_and_flushed)
{
	rig_open(GLN_HPT_ISA_3_0, 18);
	for (size_t i = 0; i < 2; i++) {
		const uint64_t was = rig.nr_flushes;
		const uint64_t generation = gln_hpt_mmio_generation(rig.vm);

		cr_assert_eq(resize(20 - (unsigned int)i, modes[i]), 0);
		cr_assert_eq(rig.nr_flushes, was + 1);
		cr_assert_eq(rig.word, gln_hpt_table_word(rig.be));
		cr_assert_eq(rig.word & 0x3f, 20 - i - 18);
		cr_assert_neq(gln_hpt_mmio_generation(rig.vm), generation);
	}
	rig_close();
}

/* Two entries of one group of the small table, and of two of the large one. */
static const struct rig_entry colliding[] = {
	{RIG_SLB_4K, 0x5000, false, 3, GLN_HPTE_V_BOLTED, RIG_R | 0x100000},
	{RIG_SLB_4K, 0x5000 ^ 0x800000, false, 3, GLN_HPTE_V_BOLTED,
	 RIG_R | 0x101000},
};

Test(resize, two_bolted_entries_for_one_place_leave_the_table_as_it_was)
{
	for (size_t i = 0; i < 2; i++) {
		rig_open(GLN_HPT_ISA_2_07, 19);
		for (size_t j = 0; j < 2; j++)
			cr_assert_eq(rig_enter(&colliding[j], 19), 0);
		cr_assert_neq(rig_index(&colliding[0], 19),
			      rig_index(&colliding[1], 19));
		cr_assert_eq(resize(18, modes[i]), -ENOSPC);
		cr_assert_eq(hpt_table(rig.mmu)->order, 19);
		for (size_t j = 0; j < 2; j++) {
			const struct gln_hpte e = rig_hpte(&colliding[j]);
			const struct gln_hpte got =
				rig_read(rig_index(&colliding[j], 19));

			cr_assert_eq(got.v, e.v | GLN_HPTE_V_VALID);
			cr_assert_eq(got.r, e.r);
		}
		cr_assert_eq(rig_check(), 0);
		rig_close();
	}
}

Test(resize, a_collision_that_is_gone_by_the_commit_was_none)
{
	rig_open(GLN_HPT_ISA_2_07, 19);
	for (size_t j = 0; j < 2; j++)
		cr_assert_eq(rig_enter(&colliding[j], 19), 0);
	prepare(18, INCREMENTAL);
	work_all(64);
	cr_assert_eq(rig_call(GLN_H_REMOVE, 0, rig_index(&colliding[0], 19)),
		     0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 18), 0);
	cr_assert_eq(rig_read(rig_index(&colliding[1], 18)).r,
		     rig_hpte(&colliding[1]).r);
	rig_close();
}

/* Bolted beats what is not. */
Test(resize, what_is_not_bolted_is_in_nobodys_way)
{
	for (size_t i = 0; i < 2; i++) {
		struct rig_entry loose = colliding[0];

		loose.flags = 0;
		rig_open(GLN_HPT_ISA_2_07, 19);
		cr_assert_eq(rig_enter(&loose, 19), 0);
		cr_assert_eq(rig_enter(&colliding[1], 19), 0);
		cr_assert_eq(resize(18, modes[i]), 0);
		cr_assert_eq(rig_read(rig_index(&colliding[1], 18)).r,
			     rig_hpte(&colliding[1]).r);
		rig_close();
	}
}

/* The guest loses it, hardware never finds it, and nobody else suffers. */
Test(resize, an_entry_in_a_wrong_group_goes_where_a_rehash_puts_it)
{
	struct gln_hpte found[2];

	for (size_t i = 0; i < 2; i++) {
		const struct gln_hpte e = rig_hpte(&colliding[0]);
		const uint64_t index = rig_index(&colliding[0], 20) ^ 0x800 * 8;

		rig_open(GLN_HPT_ISA_2_07, 20);
		cr_assert_eq(rig_enter_at(index, e), 0);
		prepare(19, modes[i]);
		work_all(64);
		/* And it may go again once it is copied. */
		if (i)
			cr_assert_eq(rig_call(GLN_H_REMOVE, 0, index), 0);
		cr_assert_eq(gln_hpt_resize_commit(rig.vm, 19), 0);
		found[i] = rig_read(rig_index(&colliding[0], 19));
		cr_assert_eq(rig_check(), 0);
		rig_close();
	}
	cr_assert_eq(found[0].r, rig_hpte(&colliding[0]).r);
	cr_assert_eq(found[1].v, 0);
}

Test(resize, what_has_no_memory_behind_it_stays_so)
{
	const struct rig_entry mmio = {
		RIG_SLB_4K, 0x7000, true, 5, GLN_HPTE_V_BOLTED, RIG_R | 0x3000};

	for (size_t i = 0; i < 4; i++) {
		const uint64_t index = rig_index(&mmio, 20);
		struct hpt_hold hold;

		rig_open((enum gln_hpt_isa)(i / 2), 18);
		cr_assert_eq(rig_enter(&mmio, 18), 0);
		cr_assert_eq(resize(20, modes[i % 2]), 0);
		cr_assert_eq(rig_read(index).r, rig_hpte(&mmio).r);
		hold = glni_hpt_hold(hpt_table(rig.mmu), index);
		cr_assert(glni_hold_is_mmio(&hold));
		hold_release(&hold);
		rig_close();
	}
}

Test(resize, what_changed_after_it_was_copied_is_copied_again)
{
	struct rig_entry late = colliding[1];
	const struct rig_entry *const early = &colliding[0];

	late.place = 4;
	for (unsigned int order = 18; order <= 20; order++) {
		rig_open(GLN_HPT_ISA_2_07, 19);
		cr_assert_eq(rig_enter(early, 19), 0);
		prepare(order, INCREMENTAL);
		work_all(64);
		cr_assert_eq(rig_call(GLN_H_REMOVE, 0, rig_index(early, 19)),
			     0);
		cr_assert_eq(rig_enter(&late, 19), 0);
		cr_assert_eq(gln_hpt_resize_commit(rig.vm, order), 0);
		cr_assert(is_copied());
		cr_assert_eq(rig_read(rig_index(early, order)).v, 0);
		cr_assert_eq(rig_read(rig_index(&late, order)).r,
			     rig_hpte(&late).r);
		rig_close();
	}
}

/* One goes from the second half of a table, and one comes in the first. */
Test(resize, a_place_that_became_free_is_free)
{
	const bool is_first_low =
		rig_index(&colliding[0], 19) < rig_index(&colliding[1], 19);
	const struct rig_entry *const low = &colliding[!is_first_low];
	const struct rig_entry *const high = &colliding[is_first_low];

	rig_open(GLN_HPT_ISA_2_07, 19);
	cr_assert_eq(rig_enter(high, 19), 0);
	prepare(18, INCREMENTAL);
	work_all(64);
	cr_assert_eq(rig_call(GLN_H_REMOVE, 0, rig_index(high, 19)), 0);
	cr_assert_eq(rig_enter(low, 19), 0);
	cr_assert_eq(gln_hpt_resize_commit(rig.vm, 18), 0);
	cr_assert(is_copied());
	cr_assert_eq(rig_read(rig_index(low, 18)).r, rig_hpte(low).r);
	rig_close();
}

/*
 * A guest that does what it likes, on a CPU that notes R and C when it likes;
 * with a resize in its midst, whose steps come whenever.
 */

enum {
	NR_KNOWN = 96,
	NR_ACTIONS = 1200,
	NR_SEEDS = 60,
	LOG_WORDS = RIG_PAGES / 64,
	SMALL = 18,
};

/** struct known - an entry: what it is while it is in the table. */
struct known {
	struct rig_entry e;
	bool is_in;
	uint64_t index;
	uint64_t r;
};

static struct story {
	uint64_t seed;
	struct test_random random;
	unsigned int order;
	struct known known[NR_KNOWN];
	uint64_t dirty[LOG_WORDS];
	uint64_t reported[LOG_WORDS];
} story;

static uint64_t draw(uint64_t end)
{
	return test_random_below(&story.random, end);
}

static unsigned int pages_of(const struct known *k)
{
	return 1U << (gln_slb_page_shift(k->e.slb) - RIG_SHIFT);
}

static bool is_mmio(const struct known *k)
{
	return (k->r & GLN_HPTE_R_RPN) >> RIG_SHIFT < RIG_GFN;
}

static bool is_free(uint64_t index)
{
	for (const struct known *k = story.known; k < ARRAY_END(story.known);
	     k++)
		if (k->is_in && k->index == index)
			return false;
	return true;
}

/* Another address each time, among few groups: some share their places. */
static void draw_entry(struct known *k)
{
	static const uint64_t slbs[] = {RIG_SLB_4K, RIG_SLB_64K, RIG_SLB_1T};
	const uint64_t nth = (uint64_t)(k - story.known);
	const uint64_t slb = slbs[nth % 3];
	const unsigned int shift = gln_slb_page_shift(slb);
	const uint64_t page = draw(RIG_PAGES) & ~(UINT64_C(15) * (nth % 3 > 0));

	k->e = (struct rig_entry){
		.slb = slb,
		.ea = nth / 3 % 4 << shift | (nth / 12 & 7) << (shift + 11) |
		      draw(2) << 27,
		.is_secondary = draw(3) == 0,
		.place = (unsigned int)draw(8),
		.flags = draw(3) ? GLN_HPTE_V_BOLTED : 0,
		.r = RIG_R | (draw(8) ? rig_rpn(page) : page << 8 & 0xf0000),
	};
}

static void act_enter(struct known *k)
{
	struct gln_hpte e;

	if (k->is_in)
		return;
	draw_entry(k);
	for (const struct known *other = story.known;
	     other < ARRAY_END(story.known); other++)
		if (other->is_in && other->e.slb == k->e.slb &&
		    other->e.ea == k->e.ea)
			return;
	k->index = rig_index(&k->e, story.order);
	if (!is_free(k->index))
		return;
	e = rig_hpte(&k->e);
	require(rig_enter_at(k->index, e) == 0, "seed %" PRIu64 ": enter",
		story.seed);
	k->r = e.r;
	k->is_in = true;
}

static void expect_r(const struct known *k, uint64_t got, const char *what)
{
	require(got == k->r,
		"seed %" PRIu64 ": %s at %#" PRIx64 ": R %#" PRIx64
		", not %#" PRIx64,
		story.seed, what, k->index, got, k->r);
}

static void act_remove(struct known *k)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, k->index};

	require(gln_hcall(rig.vcpu, GLN_H_REMOVE, args, args) == 0,
		"seed %" PRIu64 ": remove", story.seed);
	expect_r(k, args[1], "removed");
	k->is_in = false;
}

static void act_clear(struct known *k, uint64_t nr, uint64_t bit)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, k->index};

	require(gln_hcall(rig.vcpu, nr, args, args) == 0,
		"seed %" PRIu64 ": clear", story.seed);
	expect_r(k, args[0], "cleared");
	k->r &= ~bit;
}

static void act_protect(struct known *k)
{
	const uint64_t pp = draw(2) ? 2 : 3;

	require(rig_call(GLN_H_PROTECT, pp, k->index) == 0,
		"seed %" PRIu64 ": protect", story.seed);
	k->r = (k->r & ~GLN_HPTE_R_PP) | pp;
}

/* A store, or a load, as far as the entry allows it; now or a little later. */
static void act_access(struct known *k, bool is_late)
{
	struct hpte *const entry = rig_at(k->index);
	uint64_t rc = GLN_HPTE_R_R;

	if (!(hpte_v(entry) & GLN_HPTE_V_VALID))
		return;
	if (draw(2) && hpt_is_writable(hpte_r(entry)))
		rc |= GLN_HPTE_R_C;
	if (is_late && rig.nr_late < RIG_LATE) {
		rig.late[rig.nr_late].entry = entry;
		rig.late[rig.nr_late++].rc = rc;
	} else {
		rig_note(entry, rc);
	}
	k->r |= rc;
	if (rc & GLN_HPTE_R_C) {
		/* Below the page's size there is LP. */
		const uint64_t page =
			(((k->r & GLN_HPTE_R_RPN) >> RIG_SHIFT) - RIG_GFN) &
			~(uint64_t)(pages_of(k) - 1);

		for (uint64_t p = page; p < page + pages_of(k); p++)
			story.dirty[p / 64] |= UINT64_C(1) << p % 64;
	}
}

static void act_fault(const struct known *k)
{
	struct gln_hpt_fault fault = {
		.ea = k->e.ea,
		.slb = k->e.slb,
		.access = draw(2) ? GLN_ACCESS_WRITE : GLN_ACCESS_READ,
	};

	require(gln_hpt_fault(rig.vcpu, &fault) >= 0, "seed %" PRIu64 ": fault",
		story.seed);
}

static void act_read(const struct known *k)
{
	const struct gln_hpte got = rig_read(k->index);

	expect_r(k, got.r, "read");
	require(got.v == (rig_hpte(&k->e).v | GLN_HPTE_V_VALID),
		"seed %" PRIu64 ": V %#" PRIx64, story.seed, got.v);
}

static void act_harvest(void)
{
	uint64_t words[LOG_WORDS];

	cr_assert_eq(gln_get_dirty_log(rig.vm, 0, words), 0);
	for (size_t i = 0; i < LOG_WORDS; i++)
		story.reported[i] |= words[i];
}

static void act_unmap(void)
{
	const struct gln_range some = {RIG_GFN + draw(RIG_PAGES - 64),
				       draw(64)};

	cr_assert_eq(gln_mmu_unmap(rig.vm, some), 0);
}

static void act_on(struct known *k)
{
	switch (draw(9)) {
	case 0:
		act_remove(k);
		break;
	case 1:
		act_clear(k, GLN_H_CLEAR_REF, GLN_HPTE_R_R);
		break;
	case 2:
		act_clear(k, GLN_H_CLEAR_MOD, GLN_HPTE_R_C);
		break;
	case 3:
		act_protect(k);
		break;
	case 4:
	case 5:
		act_access(k, false);
		break;
	case 6:
	case 7:
		if (!is_mmio(k))
			act_fault(k);
		break;
	default:
		act_read(k);
	}
}

static void act(void)
{
	struct known *const k = &story.known[draw(NR_KNOWN)];

	if (!draw(40))
		act_harvest();
	else if (!draw(40))
		act_unmap();
	else if (!draw(8))
		gln_hpt_resize_work(rig.vm, 1 + draw(200));
	else if (k->is_in)
		act_on(k);
	else
		act_enter(k);
}

/* Would two bolted entries have the same place? */
static bool collides(unsigned int order)
{
	for (size_t i = 0; i < NR_KNOWN; i++)
		for (size_t j = 0; j < i; j++) {
			const struct known *const a = &story.known[i];
			const struct known *const b = &story.known[j];

			if (a->is_in && b->is_in && a->e.flags && b->e.flags &&
			    rig_index(&a->e, order) == rig_index(&b->e, order))
				return true;
		}
	return false;
}

/* What the guest knows is what there is, and all there is. */
static void compare(void)
{
	const struct hpt *const hpt = hpt_table(rig.mmu);
	uint64_t nr_known = 0, nr_there = 0;

	for (const struct known *k = story.known; k < ARRAY_END(story.known);
	     k++)
		if (k->is_in) {
			nr_known++;
			act_read(k);
		}
	for (uint64_t i = 0; i < hpt->nr_entries; i++)
		nr_there += !!(hpte_v(&hpt->entries[i]) &
			       (GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT));
	require(nr_known == nr_there,
		"seed %" PRIu64 ": %" PRIu64 " entries, not %" PRIu64,
		story.seed, nr_there, nr_known);
}

static void finish_preparing(unsigned int order, uint32_t flags)
{
	for (int i = 0; i < 100000 && prepare(order, flags); i++)
		act();
}

static void commit(unsigned int order, uint32_t flags)
{
	const bool fails = collides(order);
	int err;

	/* What is late comes with the flush, or before. */
	for (unsigned int i = 0; i < 20; i++) {
		struct known *const k = &story.known[draw(NR_KNOWN)];

		if (k->is_in)
			act_access(k, true);
	}
	err = gln_hpt_resize_commit(rig.vm, order);
	rig_flush();
	require(err == (fails ? -ENOSPC : 0), "seed %" PRIu64 ": commit: %d",
		story.seed, err);
	if (fails)
		return;
	require(!flags || order < story.order || is_copied(),
		"seed %" PRIu64 ": all was done anew", story.seed);
	story.order = order;
	for (struct known *k = story.known; k < ARRAY_END(story.known); k++) {
		k->is_in &= k->e.flags != 0;
		k->index = rig_index(&k->e, order);
	}
}

static void run_story(uint64_t seed)
{
	const uint32_t flags = seed % 3 ? INCREMENTAL : 0;

	story = (struct story){.seed = seed, .random = {seed}};
	story.order = SMALL + (unsigned int)draw(3);
	rig_open(seed % 2 ? GLN_HPT_ISA_3_0 : GLN_HPT_ISA_2_07, story.order);
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	for (unsigned int resizes = 0; resizes < 4; resizes++) {
		const unsigned int order = SMALL + (unsigned int)draw(3);

		for (int i = 0; i < NR_ACTIONS; i++)
			act();
		finish_preparing(order, flags);
		for (uint64_t i = draw(100); i; i--)
			act();
		commit(order, flags);
		if (draw(2))
			compare();
		/* A check clears up after the commit; see it without, too. */
		require(draw(2) || rig_check() == 0, "seed %" PRIu64 ": check",
			seed);
	}
	act_harvest();
	compare();
	for (size_t i = 0; i < LOG_WORDS; i++)
		require(!(story.dirty[i] & ~story.reported[i]),
			"seed %" PRIu64 ": pages %#" PRIx64
			" of word %zu were written and not reported",
			seed, story.dirty[i] & ~story.reported[i], i);
	rig_close();
}

Test(resize, the_guest_notices_nothing_but_what_is_not_bolted)
{
	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++)
		run_story(seed);
}

/*
 * Guests on two threads, a stream, a harvester and whoever resizes. A guest
 * knows where its entries are as long as no commit is under way; all others
 * come whenever.
 */

enum { NR_GUESTS = 2, NR_OWN = 64, NR_RESIZES = 60 };

static struct crowd {
	pthread_rwlock_t place;
	unsigned int order;
	atomic_bool is_over;
	atomic_uint nr_ops;
	bool is_in[NR_GUESTS][NR_OWN];
} crowd = {.place = PTHREAD_RWLOCK_INITIALIZER};

static struct rig_entry own_entry(unsigned int guest, unsigned int nth)
{
	return (struct rig_entry){
		.slb = RIG_SLB_4K,
		.ea = (uint64_t)(guest * NR_OWN + nth) << 12 | (nth & 1) << 27,
		.is_secondary = nth % 3 == 0,
		.place = nth % RIG_GROUP,
		.flags = GLN_HPTE_V_BOLTED,
		.r = RIG_R | rig_rpn(nth * 5 % RIG_PAGES),
	};
}

static void change_own(struct gln_vcpu *vcpu, unsigned int guest,
		       struct test_random *random)
{
	const unsigned int nth =
		(unsigned int)test_random_below(random, NR_OWN);
	const struct rig_entry e = own_entry(guest, nth);
	const struct gln_hpte entry = rig_hpte(&e);
	bool *const is_in = &crowd.is_in[guest][nth];
	uint64_t args[GLN_HCALL_ARGS] = {
		GLN_H_EXACT, rig_index(&e, crowd.order), entry.v, entry.r};

	if (!*is_in) {
		/* Another's entry may have the place. */
		*is_in = gln_hcall(vcpu, GLN_H_ENTER, args, args) == 0;
		return;
	}
	args[0] = 0;
	if (test_random_chance(random, 128)) {
		require(gln_hcall(vcpu, GLN_H_REMOVE, args, args) == 0,
			"remove");
		*is_in = false;
	} else {
		require(gln_hcall(vcpu, GLN_H_READ, args, args) == 0, "read");
	}
	require((args[0] | GLN_HPTE_V_VALID) == (entry.v | GLN_HPTE_V_VALID) &&
			args[1] == entry.r,
		"an entry became %#" PRIx64 " %#" PRIx64, args[0], args[1]);
}

static void *be_guest(void *arg)
{
	const unsigned int guest = (unsigned int)(uintptr_t)arg;
	struct test_random random = {guest};
	struct gln_vcpu *vcpu;

	cr_assert_eq(gln_vcpu_register(rig.vm, guest + 1, &vcpu), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	while (!crowd.is_over) {
		pthread_rwlock_rdlock(&crowd.place);
		change_own(vcpu, guest, &random);
		pthread_rwlock_unlock(&crowd.place);
		crowd.nr_ops++;
	}
	gln_vcpu_leave(vcpu);
	gln_vcpu_unregister(vcpu);
	return NULL;
}

static void *be_reader(void *arg)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
	};
	uint8_t buffer[4096];
	uint64_t words[LOG_WORDS];
	struct gln_hpt_stream *stream;

	(void)arg;
	cr_assert_eq(gln_hpt_stream_open(rig.vm, &params, &stream), 0);
	while (!crowd.is_over) {
		require(gln_hpt_stream_read(stream, buffer, sizeof(buffer)) >=
				0,
			"read");
		cr_assert_eq(gln_get_dirty_log(rig.vm, 0, words), 0);
	}
	gln_hpt_stream_close(stream);
	return NULL;
}

static void resize_among_others(unsigned int order, uint32_t flags)
{
	const unsigned int nr_before = crowd.nr_ops;
	int err;

	while (prepare(order, flags))
		gln_hpt_resize_work(rig.vm, 100);
	while (crowd.nr_ops < nr_before + 200)
		sched_yield();
	pthread_rwlock_wrlock(&crowd.place);
	err = gln_hpt_resize_commit(rig.vm, order);
	if (!err)
		crowd.order = order;
	pthread_rwlock_unlock(&crowd.place);
	require(!err || (err == -ENOSPC), "commit: %d", err);
	for (int i = 0; i < 20; i++)
		gln_hpt_resize_work(rig.vm, 10);
}

Test(resize, entries_change_while_the_table_does)
{
	pthread_t threads[NR_GUESTS + 1];
	struct test_random random = {1};

	rig_open(GLN_HPT_ISA_2_07, 19);
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	crowd.order = 19;
	for (uintptr_t i = 0; i <= NR_GUESTS; i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL,
				       i < NR_GUESTS ? be_guest : be_reader,
				       (void *)i),
			0);
	for (unsigned int i = 0; i < NR_RESIZES; i++)
		resize_among_others(
			18 + (unsigned int)test_random_below(&random, 3),
			i % 4 ? INCREMENTAL : 0);
	crowd.is_over = true;
	for (size_t i = 0; i <= NR_GUESTS; i++)
		pthread_join(threads[i], NULL);

	for (unsigned int g = 0; g < NR_GUESTS; g++)
		for (unsigned int i = 0; i < NR_OWN; i++) {
			const struct rig_entry e = own_entry(g, i);
			const uint64_t v =
				rig_read(rig_index(&e, crowd.order)).v;

			require(!crowd.is_in[g][i] || v == (rig_hpte(&e).v |
							    GLN_HPTE_V_VALID),
				"entry %u of guest %u is gone", i, g);
		}
	cr_assert_eq(rig_check(), 0);
	rig_close();
}
