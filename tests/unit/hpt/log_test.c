/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_test.c - warm and cold pages: what a harvest looks at, what it reports.
 */
#include <criterion/criterion.h>

#include <glean/glean.h>

#include "core/hpt/mmu.h"
#include "tests/support/hpt_rig.h"
#include "tests/unit/require.h"

enum {
	ORDER = 18,
	NR_PAGES = 8192, /* two pages of 16 MiB */
	NR_MAPPED = 1024,
	BATCH = 32, /* entries that a harvest invalidates together */
	PAGE = 1 << RIG_SHIFT,
	SLOT = 0,
};

#define SLB	(GLN_SLB_1TB | UINT64_C(0x123) << GLN_SLB_VSID_SHIFT_1T)
#define PP_RW	UINT64_C(2)
#define PP_RO	UINT64_C(3)
#define RW_HERE (GLN_HPTE_R_M | PP_RW)

static struct hpt_rig rig;

/* NULL, or what happens when a whole batch is invalidated; once. */
static void (*in_batch)(void);

static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	void (*const happen)(void) = in_batch;

	(void)ops;
	if (nr == BATCH && happen) {
		in_batch = NULL;
		happen();
	}
	for (uint64_t i = 0; i < 1U << (ORDER - GLN_HPT_ENTRY_SHIFT); i++)
		hpt_rig_settle(ctx, i);
}

static void setup(void)
{
	const struct hpt_rig_params params = {
		.order = ORDER,
		.memory_bytes = (uint64_t)NR_PAGES * PAGE,
		.tlbie = tlbie,
	};

	cr_assert(hpt_rig_open(&rig, &params) == 0);
	cr_assert(hpt_rig_slot(&rig, SLOT, 0, (uint64_t)NR_PAGES * PAGE, 0) ==
		  0);
	cr_assert(gln_vcpu_enter(rig.vcpu) == 0);
}

static void teardown(void)
{
	gln_vcpu_leave(rig.vcpu);
	cr_expect(gln_hpt_check(rig.vm, NULL) == 0);
	cr_expect(hpt_rig_close(&rig) == 0);
}

/* Enter a page of 4 KiB at an address. Returns the entry's index. */
static uint64_t enter_at(uint64_t ea, uint64_t page, uint64_t r)
{
	const uint64_t hash = gln_hpt_hash(SLB, ea);
	uint64_t gprs[GLN_HCALL_ARGS] = {
		0,
		(hash & ((1U << (ORDER - GLN_HPT_GROUP_SHIFT)) - 1)) *
			GLN_HPT_GROUP_ENTRIES,
		gln_hpt_vpn(SLB, ea),
		page * PAGE | r,
	};

	cr_assert(hpt_rig_call(&rig, GLN_H_ENTER, gprs) == GLN_H_SUCCESS);
	return gprs[0];
}

/* At its own. */
static uint64_t enter(uint64_t page, uint64_t r)
{
	return enter_at(page * PAGE, page, r);
}

static void remove_entry(uint64_t index)
{
	uint64_t gprs[GLN_HCALL_ARGS] = {0, index};

	cr_assert(hpt_rig_call(&rig, GLN_H_REMOVE, gprs) == GLN_H_SUCCESS);
}

/* A page of 16 MiB at address 0, in a segment of such pages; @v is added. */
#define SLB_16M (SLB | GLN_SLB_L)

static uint64_t enter_16m(uint64_t v)
{
	const struct gln_hpte_size size = {24, 24};
	uint64_t gprs[GLN_HCALL_ARGS] = {0};
	struct gln_hpte entry;

	cr_assert(gln_hpte_encode(size, &entry));
	gprs[1] = (gln_hpt_hash(SLB_16M, 0) &
		   ((1U << (ORDER - GLN_HPT_GROUP_SHIFT)) - 1)) *
		  GLN_HPT_GROUP_ENTRIES;
	gprs[2] = entry.v | gln_hpt_vpn(SLB_16M, 0) | v;
	gprs[3] = entry.r | RW_HERE;
	cr_assert(hpt_rig_call(&rig, GLN_H_ENTER, gprs) == GLN_H_SUCCESS);
	return gprs[0];
}

static int fault(uint64_t page, uint32_t access)
{
	struct gln_hpt_fault it = {
		.ea = page * PAGE,
		.slb = SLB,
		.access = access,
	};

	return gln_hpt_fault(rig.vcpu, &it);
}

static bool is_writable(uint64_t index)
{
	const uint64_t r = hpt_rig_entry(&rig, index).r;

	return (r & GLN_HPTE_R_PP) == PP_RW && !(r & GLN_HPTE_R_PP0);
}

/* Harvest all; the reported pages, as ranges joined into one count. */
static uint64_t harvest(uint64_t *first)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	struct gln_range range;
	uint64_t nr = 0;

	cr_assert(gln_harvest_begin(rig.vm, SLOT, &params, &harvest) == 0);
	while (gln_harvest_next(harvest, &range, 1)) {
		if (!nr)
			*first = range.first;
		nr += range.count;
	}
	gln_harvest_commit(harvest);
	return nr;
}

static struct gln_hpt_stats stats(void)
{
	struct gln_hpt_stats now = {.struct_bytes = sizeof(now)};

	cr_assert(gln_hpt_stats(rig.vm, &now) == 0);
	return now;
}

FixtureTest(hpt_log,
	    a_log_that_starts_makes_every_page_cold_and_reports_nothing)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t first;

	hpt_rig_note(&rig, index, GLN_HPTE_R_R | GLN_HPTE_R_C);
	cr_assert(is_writable(index));
	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_expect(!is_writable(index));
	cr_expect(harvest(&first) == 0);
}

FixtureTest(hpt_log,
	    what_was_changed_before_the_log_is_still_in_the_guests_view)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t gprs[GLN_HCALL_ARGS] = {0, index};

	cr_assert(hpt_rig_keep(&rig, index, GLN_HPTE_R_R | GLN_HPTE_R_C));
	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(hpt_rig_call(&rig, GLN_H_READ, gprs) == GLN_H_SUCCESS);
	cr_expect(gprs[1] & GLN_HPTE_R_C);
}

FixtureTest(hpt_log, a_cold_page_is_warm_after_one_write_fault)
{
	const uint64_t index = enter(7, RW_HERE);

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_expect(fault(7, GLN_ACCESS_READ) == GLN_FAULT_SPURIOUS);
	cr_expect(!is_writable(index));
	cr_expect(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_expect(is_writable(index));
	cr_expect(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_SPURIOUS);
}

/* The CPU is as late as it may be: C comes with the invalidation. */
FixtureTest(hpt_log, a_change_that_hardware_still_owes_is_reported)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t first = 0;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_assert(hpt_rig_keep(&rig, index, GLN_HPTE_R_R | GLN_HPTE_R_C));
	cr_expect(harvest(&first) == 1);
	cr_expect(first == 7);
	cr_expect(is_writable(index), "it is warm");
	cr_expect(!(hpt_rig_entry(&rig, index).r & GLN_HPTE_R_C),
		  "and armed again");
}

FixtureTest(hpt_log, a_page_that_is_not_written_for_a_round_becomes_cold)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t first, walked;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	hpt_rig_note(&rig, index, GLN_HPTE_R_C);
	cr_assert(harvest(&first) == 1);
	cr_expect(harvest(&first) == 0);
	cr_expect(!is_writable(index));
	walked = stats().harvest_walked;
	cr_expect(harvest(&first) == 0);
	cr_expect(stats().harvest_walked == walked, "nobody looks at it now");
}

FixtureTest(hpt_log, a_harvest_looks_at_warm_pages_alone)
{
	uint64_t first, walked;

	for (uint64_t page = 0; page < NR_MAPPED; page++)
		enter(page, RW_HERE);
	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	walked = stats().harvest_walked;
	cr_assert(fault(500, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_expect(harvest(&first) == 0);
	cr_expect(stats().harvest_walked == walked + 1);
}

FixtureTest(hpt_log, a_writable_entry_that_is_made_while_logging_is_looked_at)
{
	uint64_t first = 0, index;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	index = enter(9, RW_HERE);
	cr_assert(hpt_rig_keep(&rig, index, GLN_HPTE_R_C));
	cr_expect(harvest(&first) == 1);
	cr_expect(first == 9);
}

FixtureTest(hpt_log, an_entry_that_is_made_with_c_reports_nothing_by_it)
{
	uint64_t first;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	enter(9, RW_HERE | GLN_HPTE_R_R | GLN_HPTE_R_C);
	cr_expect(harvest(&first) == 0);
}

FixtureTest(hpt_log, a_change_survives_the_entry_that_it_was_noted_in)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t gprs[GLN_HCALL_ARGS] = {0, index};
	uint64_t first = 0;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_assert(hpt_rig_keep(&rig, index, GLN_HPTE_R_C));
	cr_assert(hpt_rig_call(&rig, GLN_H_REMOVE, gprs) == GLN_H_SUCCESS);
	cr_expect(gprs[1] & GLN_HPTE_R_C);
	cr_expect(harvest(&first) == 1);
	cr_expect(first == 7);
}

FixtureTest(hpt_log, an_entry_that_lost_the_right_to_write_is_still_reported)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t gprs[GLN_HCALL_ARGS] = {PP_RO, index};
	uint64_t first = 0;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_assert(hpt_rig_keep(&rig, index, GLN_HPTE_R_C));
	cr_assert(hpt_rig_call(&rig, GLN_H_PROTECT, gprs) == GLN_H_SUCCESS);
	cr_expect(harvest(&first) == 1);
}

FixtureTest(hpt_log,
	    all_entries_of_a_page_are_looked_at_whatever_locks_the_batch_has)
{
	enum { NR_ALIASES = 100 };
	uint64_t index[NR_ALIASES];
	uint64_t first = 0;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	for (uint64_t i = 0; i < NR_ALIASES; i++) {
		/* Each at its own address, all of page 3. */
		uint64_t gprs[GLN_HCALL_ARGS] = {
			0,
			i * GLN_HPT_GROUP_ENTRIES,
			gln_hpt_vpn(SLB, i << 30),
			UINT64_C(3) * PAGE | RW_HERE,
		};

		cr_assert(hpt_rig_call(&rig, GLN_H_ENTER, gprs) ==
			  GLN_H_SUCCESS);
		index[i] = gprs[0];
	}
	hpt_rig_note(&rig, index[NR_ALIASES - 1], GLN_HPTE_R_C);
	cr_expect(harvest(&first) == 1);
	cr_expect(first == 3);
	for (size_t i = 0; i < NR_ALIASES - 1; i++)
		cr_expect(!is_writable(index[i]), "alias %zu is cold", i);
	cr_expect(is_writable(index[NR_ALIASES - 1]));
}

FixtureTest(hpt_log, an_aborted_harvest_gives_back_what_it_reported)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	const uint64_t index = enter(7, RW_HERE);
	struct gln_harvest *aborted;
	uint64_t first = 0;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	hpt_rig_note(&rig, index, GLN_HPTE_R_C);
	cr_assert(gln_harvest_begin(rig.vm, SLOT, &params, &aborted) == 0);
	gln_harvest_abort(aborted);
	cr_expect(harvest(&first) == 1);
	cr_expect(first == 7);
}

FixtureTest(hpt_log, a_cold_page_is_warm_again_after_the_log_by_one_fault)
{
	const uint64_t index = enter(7, RW_HERE);

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	cr_assert(gln_log_disable(rig.vm, SLOT) == 0);
	cr_expect(!is_writable(index));
	cr_expect(fault(7, GLN_ACCESS_WRITE) == GLN_FAULT_RELAXED);
	cr_expect(is_writable(index));
}

/*
 * A chain that is turned under the harvest's hands: B leaves it and comes back
 * at its end, so that who was on the way from A to B goes on to the end.
 */
enum { TURNED_PAGE = 500, NR_TURNED = 4, TURNED_EA_SHIFT = 32 };

static uint64_t turned[NR_TURNED];

static uint64_t enter_turned(uint64_t i, uint64_t r)
{
	return enter_at((i + 1) << TURNED_EA_SHIFT, TURNED_PAGE, r);
}

static void turn(void)
{
	remove_entry(turned[1]);
	turned[1] = enter_turned(1, GLN_HPTE_R_M | PP_RO);
}

FixtureTest(hpt_log, a_chain_that_turns_under_a_harvest_loses_no_page)
{
	uint64_t first = 0, nr;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	/* With A the batch is full, and the chain turns. */
	for (uint64_t page = 0; page < BATCH - 1; page++)
		enter(page, RW_HERE);
	for (uint64_t i = 0; i < NR_TURNED; i++)
		turned[i] = enter_turned(i, RW_HERE);
	hpt_rig_note(&rig, turned[3], GLN_HPTE_R_R | GLN_HPTE_R_C);
	in_batch = turn;
	nr = harvest(&first);
	cr_expect(!in_batch, "it turned");
	nr += harvest(&first);
	cr_expect(nr == 1 && first == TURNED_PAGE);
}

/* What is below the page in V is anything: hardware looks past it. */
FixtureTest(hpt_log, a_write_finds_its_large_entry_whatever_is_below_it_in_v)
{
	for (uint64_t below = 0; below < 2; below++) {
		const uint64_t index = enter_16m(below << 7);
		struct gln_hpt_fault it = {
			.ea = PAGE,
			.slb = SLB_16M,
			.access = GLN_ACCESS_WRITE,
		};

		cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
		cr_expect(gln_hpt_fault(rig.vcpu, &it) == GLN_FAULT_RELAXED);
		cr_expect(is_writable(index));
		cr_assert(gln_log_disable(rig.vm, SLOT) == 0);
		remove_entry(index);
	}
}

FixtureTest(hpt_log, a_part_of_a_slot_has_what_large_pages_before_it_say)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.first_page = 100,
		.max_pages = 1,
	};
	struct gln_harvest *harvest;
	struct gln_range range;
	uint64_t index;

	cr_assert(gln_log_enable(rig.vm, SLOT, 0) == 0);
	index = enter_16m(0);
	hpt_rig_note(&rig, index, GLN_HPTE_R_C);
	cr_assert(gln_harvest_begin(rig.vm, SLOT, &params, &harvest) == 0);
	cr_assert(gln_harvest_next(harvest, &range, 1) == 1);
	cr_expect(range.first == 100);
	gln_harvest_commit(harvest);
}

FixtureTest(hpt_log, a_page_that_is_used_through_any_of_its_entries_is_young)
{
	uint64_t young = 0;

	enter_at(UINT64_C(7) << 32, 0, RW_HERE);
	const uint64_t large = enter_16m(0);

	hpt_rig_note(&rig, large, GLN_HPTE_R_R);
	cr_assert(gln_mmu_age(rig.vm, (struct gln_range){100, 1}, &young) == 0);
	cr_expect(young == 1);
	hpt_rig_note(&rig, large, GLN_HPTE_R_R);
	cr_assert(gln_mmu_age(rig.vm, (struct gln_range){0, NR_PAGES},
			      &young) == 0);
	cr_expect(young == 4096);
}

static int64_t read_all(struct gln_hpt_stream *stream)
{
	static char buffer[1 << 16];
	int64_t nr, sum = 0;

	while ((nr = gln_hpt_stream_read(stream, buffer, sizeof(buffer))) > 0)
		sum += nr;
	return sum;
}

FixtureTest(hpt_log, a_stream_tells_what_ageing_made_the_guests)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
	};
	const uint64_t index = enter(7, RW_HERE);
	struct gln_hpt_stream *stream;
	uint64_t young;

	cr_assert(gln_hpt_stream_open(rig.vm, &params, &stream) == 0);
	read_all(stream);
	cr_assert(read_all(stream) == 0);
	hpt_rig_note(&rig, index, GLN_HPTE_R_R);
	cr_assert(gln_mmu_age(rig.vm, (struct gln_range){0, NR_PAGES},
			      &young) == 0);
	cr_expect(read_all(stream) > 0);
	gln_hpt_stream_close(stream);
}

FixtureTest(hpt_log, what_was_told_as_a_device_is_void_when_it_goes)
{
	const uint64_t index = enter(7, RW_HERE);
	uint64_t generation;

	cr_assert(gln_slot_remove(rig.vm, SLOT) == 0);
	generation = gln_hpt_mmio_generation(rig.vm);
	cr_assert(fault(7, GLN_ACCESS_READ) == GLN_FAULT_MMIO);
	remove_entry(index);
	cr_expect(gln_hpt_mmio_generation(rig.vm) != generation);
}
