/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hazards_test.c - what went wrong in other hashed page tables, through the
 * public interface: one test a hazard (docs/internals/hazards.md), named after
 * it. Both formats of entries, where it matters.
 *
 * Those that are shown elsewhere:
 *
 *   H-57	tests/model/clients.c, unit/sync/gate: every interleaving
 *   H-65, H-66	stress/hcall_threads, stress/tables; bit locks never sleep
 *   H-67	stress/hcall_threads: a group is full only if it was
 *   H-70	the embedder's: stress/tables, where a CPU is not told
 *   H-73, H-74	unit/hpt/resize
 *   H-77	the gate has no lock that a vCPU holds: unit/vm/hpt
 *   H-79	tests/model/clients.c; stress/broken/publish_first
 *   H-84	unit/hpt/rev, unit/hpt/table: links of 42 bits
 *   H-88	unit/hpt/size: all encodings, both ways
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_allocator.h"
#include "tests/support/hpt_rig.h"
#include "tests/unit/require.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum {
	ORDER = 18,
	NR_ENTRIES = 1 << (ORDER - 4),
	SLOT_PAGES = 2 * 4096,
};

#define SLOT_BYTES ((uint64_t)SLOT_PAGES << RIG_SHIFT)

static const enum gln_hpt_isa isas[] = {GLN_HPT_ISA_2_07, GLN_HPT_ISA_3_0};
/* Each test below does it all for both formats. */
#define FOR_EACH_ISA \
	for (const enum gln_hpt_isa *isa = isas; isa < ARRAY_END(isas); isa++)

static struct hpt_rig rig;

/* A guest with 32 MiB from address 0 on, and its vCPU inside. */

static void open_with(struct hpt_rig_params params)
{
	params.memory_bytes = SLOT_BYTES;
	cr_assert_eq(hpt_rig_open(&rig, &params), 0);
	cr_assert_eq(hpt_rig_slot(&rig, 0, 0, SLOT_BYTES, 0), 0);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
}

static void open_rig(enum gln_hpt_isa isa)
{
	open_with((struct hpt_rig_params){.isa = isa, .order = ORDER});
}

static void close_rig(void)
{
	const char *why = "no reason";

	gln_vcpu_leave(rig.vcpu);
	cr_assert_eq(gln_hpt_check(rig.vm, &why), 0, "%s", why);
	cr_assert_eq(hpt_rig_close(&rig), 0);
}

static int allocate(uint32_t order)
{
	int err;

	gln_vcpu_leave(rig.vcpu);
	err = gln_hpt_allocate(rig.vm, &order);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	return err;
}

static int64_t call(uint64_t nr, uint64_t flags, uint64_t index, uint64_t a,
		    uint64_t b, uint64_t *rets)
{
	uint64_t gprs[GLN_HCALL_ARGS] = {flags, index, a, b};
	const int64_t code = hpt_rig_call(&rig, nr, gprs);

	if (rets)
		memcpy(rets, gprs, sizeof(gprs));
	return code;
}

/* V of a page of 4 KiB of segment 0; the hash of 256 MiB is the page. */
#define V_OF(ea) ((uint64_t)(ea) >> 16 & ~UINT64_C(0x7f))

/* Enter @r, exactly there. */
static int64_t enter(uint64_t index, uint64_t v, uint64_t r)
{
	return call(GLN_H_ENTER, GLN_H_EXACT, index, v | GLN_HPTE_V_VALID,
		    r | GLN_HPTE_R_M, NULL);
}

static struct gln_hpte read_entry(uint64_t index)
{
	uint64_t rets[GLN_HCALL_ARGS];

	cr_assert_eq(call(GLN_H_READ, 0, index, 0, 0, rets), GLN_H_SUCCESS);
	return (struct gln_hpte){rets[0], rets[1]};
}

static bool is_valid(uint64_t index)
{
	return hpt_rig_entry(&rig, index).v & GLN_HPTE_V_VALID;
}

static bool is_writable(uint64_t index)
{
	const uint64_t r = hpt_rig_entry(&rig, index).r;

	return !(r & GLN_HPTE_R_PP0) && (r & GLN_HPTE_R_PP) != 3;
}

static int fault_at(uint64_t ea, uint64_t slb, uint32_t access)
{
	struct gln_hpt_fault fault = {.ea = ea, .slb = slb, .access = access};

	return gln_hpt_fault(rig.vcpu, &fault);
}

/* Pages of the slot that the log says were written; it is on. */
static uint64_t bitmap[SLOT_PAGES / 64 + 1];

static uint64_t count_dirty(void)
{
	uint64_t nr = 0;

	cr_assert_eq(gln_get_dirty_log(rig.vm, 0, bitmap), 0);
	for (size_t i = 0; i < SLOT_PAGES / 64; i++)
		nr += (uint64_t)__builtin_popcountll(bitmap[i]);
	return nr;
}

static bool is_dirty(uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

/* A writable entry of page @page at @index, which a fault made writable. */
static void enter_writable(uint64_t index, uint64_t page)
{
	const uint64_t ea = page << RIG_SHIFT;

	cr_assert_eq(enter(index, V_OF(ea), ea | 2), GLN_H_SUCCESS);
	if (!is_writable(index))
		fault_at(ea, 0, GLN_ACCESS_WRITE);
	cr_assert(is_valid(index) && is_writable(index));
}

/* Where a page of segment 0 belongs: its group's first entry. */
static uint64_t index_of(uint64_t page)
{
	return page * GLN_HPT_GROUP_ENTRIES % NR_ENTRIES;
}

/* Tables. */

Test(hpt_hazards, h50_no_partition_id_left_is_an_error_and_no_id)
{
	const struct gln_hpt_host_params params = {
		.struct_bytes = sizeof(params),
		.nr_lpids = 2,
	};
	struct hpt_rig_params guest = {.order = ORDER};
	struct hpt_rig second;

	cr_assert_eq(gln_hpt_host_create(&params, &guest.hpt_host), 0);
	open_with(guest);
	cr_assert_eq(gln_hpt_lpid(rig.backend), 1);
	cr_assert_eq(hpt_rig_open(&second, &guest), -ENOSPC);
	close_rig();
	open_with(guest);
	close_rig();
	gln_hpt_host_destroy(guest.hpt_host);
}

/** struct miser - an allocator with no block of more than some bytes. */
struct miser {
	size_t most;
	uint64_t nr_refused;
	struct fake_allocator fake;
};

static void *miser_alloc(void *ctx, size_t bytes)
{
	struct miser *const miser = ctx;

	if (bytes > miser->most) {
		miser->nr_refused++;
		return NULL;
	}
	return miser->fake.allocator.alloc(miser->fake.allocator.ctx, bytes);
}

static void miser_free(void *ctx, void *memory, size_t bytes)
{
	struct miser *const miser = ctx;

	miser->fake.allocator.free(miser->fake.allocator.ctx, memory, bytes);
}

static struct miser miser;
static const struct gln_allocator from_miser = {miser_alloc, miser_free,
						&miser};

static void start_miser(size_t most)
{
	fake_allocator_init(&miser.fake);
	miser.most = most;
	miser.nr_refused = 0;
}

Test(hpt_hazards, h51_a_default_table_may_come_down_to_the_smallest_order)
{
	start_miser((size_t)1 << GLN_HPT_ORDER_MIN);
	open_with((struct hpt_rig_params){.allocator = &from_miser});
	cr_assert_eq(hpt_rig_order(&rig), GLN_HPT_ORDER_MIN);
	cr_assert_geq(miser.nr_refused,
		      GLN_HPT_ORDER_DEFAULT - GLN_HPT_ORDER_MIN);
	close_rig();
	cr_assert_eq(miser.fake.nr_live, 0);
}

Test(hpt_hazards, h51_and_no_further)
{
	const struct hpt_rig_params params = {
		.allocator = &from_miser,
		.memory_bytes = SLOT_BYTES,
	};

	start_miser(((size_t)1 << GLN_HPT_ORDER_MIN) - 1);
	cr_assert_eq(hpt_rig_open(&rig, &params), 0);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), -ENOMEM);
	cr_assert_eq(hpt_rig_order(&rig), 0);
	cr_assert_eq(hpt_rig_close(&rig), 0);
	cr_assert_eq(miser.fake.nr_live, 0);
}

Test(hpt_hazards, h52_an_order_out_of_bounds_allocates_nothing)
{
	static const uint32_t orders[] = {0,  1,       17,	  47,
					  64, 1 << 18, UINT32_MAX};
	uint64_t nr_calls;

	start_miser(SIZE_MAX);
	open_with((struct hpt_rig_params){.order = ORDER,
					  .allocator = &from_miser});
	nr_calls = miser.fake.nr_calls;
	for (const uint32_t *o = orders; o < ARRAY_END(orders); o++) {
		cr_assert_eq(allocate(*o), -EINVAL, "order %" PRIu32, *o);
		cr_assert_eq(miser.fake.nr_calls, nr_calls);
	}
	close_rig();
}

Test(hpt_hazards, h53_who_asks_for_a_size_gets_it_or_an_error)
{
	uint32_t order = 22;

	start_miser((size_t)1 << 20);
	open_with((struct hpt_rig_params){.order = ORDER,
					  .allocator = &from_miser});
	gln_vcpu_leave(rig.vcpu);
	cr_assert_eq(gln_hpt_allocate(rig.vm, &order), -ENOMEM);
	cr_assert_eq(order, 22, "it was changed to %" PRIu32, order);
	cr_assert_eq(hpt_rig_order(&rig), ORDER);
	close_rig();
}

Test(hpt_hazards, h54_a_table_is_published_when_all_of_it_is_there)
{
	int err = -ENOMEM;

	start_miser(SIZE_MAX);
	open_with((struct hpt_rig_params){.order = ORDER,
					  .allocator = &from_miser});
	cr_assert_eq(enter(9, V_OF(0), 0), GLN_H_SUCCESS);
	for (uint64_t i = 1; err; i++) {
		const uint64_t word = gln_hpt_table_word(rig.backend);

		miser.fake.fail_at = miser.fake.nr_calls + i;
		err = allocate(20);
		if (!err)
			break;
		cr_assert_eq(err, -ENOMEM);
		cr_assert_eq(gln_hpt_table_word(rig.backend), word);
		cr_assert(read_entry(9).v, "the old table is as it was");
	}
	miser.fake.fail_at = 0;
	cr_assert_eq(hpt_rig_order(&rig), 20);
	cr_assert(!read_entry(9).v);
	close_rig();
	cr_assert_eq(miser.fake.nr_live, 0);
}

Test(hpt_hazards, h55_a_reset_empties_the_reverse_map)
{
	FOR_EACH_ISA
	{
		open_rig(*isa);
		for (uint64_t i = 0; i < 100; i++)
			cr_assert_eq(enter(i, V_OF(0), i % 3 << RIG_SHIFT),
				     GLN_H_SUCCESS);
		cr_assert_eq(allocate(ORDER), 0);
		/* Chains begin anew, with entries that were in others. */
		for (uint64_t i = 0; i < 100; i++)
			cr_assert_eq(enter(99 - i, V_OF(0), i % 5 << RIG_SHIFT),
				     GLN_H_SUCCESS);
		cr_assert_eq(gln_mmu_unmap(rig.vm, (struct gln_range){0, 2}),
			     0);
		for (uint64_t i = 0; i < 100; i++)
			cr_assert_eq(is_valid(99 - i), i % 5 > 1);
		close_rig();
	}
}

Test(hpt_hazards, h56_every_way_to_a_new_table_flushes)
{
	uint64_t nr;

	open_rig(GLN_HPT_ISA_2_07);
	nr = rig.nr_flushes;
	cr_assert_eq(allocate(ORDER), 0);
	cr_assert_gt(rig.nr_flushes, nr, "the same order");
	nr = rig.nr_flushes;
	cr_assert_eq(allocate(20), 0);
	cr_assert_gt(rig.nr_flushes, nr, "another");
	close_rig();
}

Test(hpt_hazards, h57_no_table_changes_under_a_vcpu)
{
	uint32_t order = 20;

	open_rig(GLN_HPT_ISA_2_07);
	cr_assert_eq(gln_hpt_allocate(rig.vm, &order), -EBUSY);
	cr_assert(gln_vcpu_may_run(rig.vcpu));
	cr_assert_eq(hpt_rig_order(&rig), ORDER);
	close_rig();
}

Test(hpt_hazards, h58_bounds_are_those_of_the_present_table)
{
	static const uint32_t orders[] = {21, 18, 19, 24, 18};

	open_rig(GLN_HPT_ISA_3_0);
	for (const uint32_t *o = orders; o < ARRAY_END(orders); o++) {
		const uint64_t nr = UINT64_C(1) << (*o - 4);

		cr_assert_eq(allocate(*o), 0);
		cr_assert_eq(enter(nr - 1, V_OF(0), 0), GLN_H_SUCCESS);
		cr_assert_eq(enter(nr, V_OF(0), 0), GLN_H_PARAMETER);
		cr_assert(is_valid(nr - 1));
	}
	close_rig();
}

/* R and C. */

Test(hpt_hazards, h59_what_a_cpu_notes_late_is_in_what_remove_returns)
{
	FOR_EACH_ISA
	{
		const uint64_t rc = GLN_HPTE_R_R | GLN_HPTE_R_C;
		uint64_t rets[GLN_HCALL_ARGS];

		open_rig(*isa);
		cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
		enter_writable(index_of(5), 5);
		cr_assert(hpt_rig_keep(&rig, index_of(5), rc));
		cr_assert_eq(call(GLN_H_REMOVE, 0, index_of(5), 0, 0, rets), 0);
		cr_assert_eq(rets[1] & rc, rc);
		cr_assert_eq(count_dirty(), 1);
		cr_assert(is_dirty(5));
		close_rig();
	}
}

Test(hpt_hazards, h60_protect_keeps_what_a_cpu_notes_meanwhile)
{
	FOR_EACH_ISA
	{
		const uint64_t rc = GLN_HPTE_R_R | GLN_HPTE_R_C;

		open_rig(*isa);
		cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
		enter_writable(index_of(5), 5);
		cr_assert(hpt_rig_keep(&rig, index_of(5), rc));
		cr_assert_eq(call(GLN_H_PROTECT, 3, index_of(5), 0, 0, NULL),
			     0);
		cr_assert_eq(rig.nr_kept, 0);
		cr_assert_eq(read_entry(index_of(5)).r & rc, rc);
		cr_assert_eq(count_dirty(), 1);
		cr_assert(is_dirty(5));
		close_rig();
	}
}

Test(hpt_hazards, h61_protect_never_lets_write_what_the_host_does_not)
{
	uint64_t page = 0;

	open_rig(GLN_HPT_ISA_2_07);
	rig.moods = 1;
	while (hpt_rig_mood(&rig, page << RIG_SHIFT) != RIG_READ_ONLY)
		page++;
	cr_assert_eq(enter(index_of(page), V_OF(page << RIG_SHIFT),
			   page << RIG_SHIFT | 3),
		     GLN_H_SUCCESS);
	cr_assert(is_valid(index_of(page)));
	cr_assert_eq(call(GLN_H_PROTECT, 2, index_of(page), 0, 0, NULL), 0);
	cr_assert_eq(read_entry(index_of(page)).r & GLN_HPTE_R_PP, 2);
	cr_assert(!is_writable(index_of(page)));

	cr_assert_eq(fault_at(page << RIG_SHIFT, 0, GLN_ACCESS_WRITE),
		     GLN_FAULT_RELAXED);
	cr_assert(is_writable(index_of(page)));
	close_rig();
}

/* A large page at guest address 16M: V and R. */
#define LARGE_V (GLN_HPTE_V_LARGE)
#define LARGE_R (16 * MIB)

Test(hpt_hazards, h62_a_large_entry_dirties_all_of_its_pages)
{
	FOR_EACH_ISA
	{
		open_rig(*isa);
		cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
		cr_assert_eq(enter(0, LARGE_V, LARGE_R | 2), GLN_H_SUCCESS);
		fault_at(0, GLN_SLB_L, GLN_ACCESS_WRITE);
		cr_assert(is_valid(0) && is_writable(0));
		hpt_rig_note(&rig, 0, GLN_HPTE_R_R | GLN_HPTE_R_C);
		cr_assert_eq(count_dirty(), 4096);
		cr_assert(!is_dirty(4095) && is_dirty(4096) && is_dirty(8191));
		close_rig();
	}
}

Test(hpt_hazards, h63_and_no_other_whatever_the_unit)
{
	const uint64_t nr = SLOT_BYTES >> 16;

	open_with((struct hpt_rig_params){.order = ORDER, .page_shift = 16});
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	cr_assert_eq(enter(0, LARGE_V, LARGE_R | 2), GLN_H_SUCCESS);
	fault_at(0, GLN_SLB_L, GLN_ACCESS_WRITE);
	hpt_rig_note(&rig, 0, GLN_HPTE_R_R | GLN_HPTE_R_C);
	memset(bitmap, 0x5a, sizeof(bitmap));
	cr_assert_eq(gln_get_dirty_log(rig.vm, 0, bitmap), 0);
	for (uint64_t page = 0; page < nr; page++)
		cr_assert_eq(is_dirty(page), page >= nr / 2, "page %" PRIu64,
			     page);
	cr_assert_eq(bitmap[nr / 64], UINT64_C(0x5a5a5a5a5a5a5a5a));
	close_rig();
}

/* Groups and locks. */

Test(hpt_hazards, h64_a_list_with_an_entry_twice_comes_to_an_end)
{
	const uint64_t request = UINT64_C(1) << 62;
	uint64_t gprs[GLN_HCALL_ARGS] = {
		request | 8, 0, request | 9, 0, request | 8, 0, request | 9, 0,
	};

	open_rig(GLN_HPT_ISA_2_07);
	cr_assert_eq(enter(8, V_OF(0), 0), GLN_H_SUCCESS);
	cr_assert_eq(enter(9, V_OF(0), 0), GLN_H_SUCCESS);
	cr_assert_eq(hpt_rig_call(&rig, GLN_H_BULK_REMOVE, gprs), 0);
	cr_assert_eq(gprs[0] >> 56, 0x80);
	cr_assert_eq(gprs[2] >> 56, 0x80);
	cr_assert_eq(gprs[4] >> 56, 0x90);
	cr_assert_eq(gprs[6] >> 56, 0x90);
	close_rig();
}

Test(hpt_hazards, h68_a_reserved_segment_size_is_refused)
{
	FOR_EACH_ISA
	{
		open_rig(*isa);
		for (uint64_t b = 0; b < 4; b++)
			cr_assert_eq(enter(b, b << 62, 0),
				     b < 2 ? GLN_H_SUCCESS : GLN_H_PARAMETER);
		close_rig();
	}
}

Test(hpt_hazards, h69_absent_memory_does_not_look_like_a_device)
{
	FOR_EACH_ISA
	{
		const uint64_t key = GLN_HPTE_R_KEY;

		open_rig(*isa);
		cr_assert_eq(enter(0, V_OF(0), key | 2), GLN_H_SUCCESS);
		cr_assert_eq(gln_mmu_unmap(rig.vm, (struct gln_range){0, 1}),
			     0);
		cr_assert(!is_valid(0));
		cr_assert_eq(hpt_rig_entry(&rig, 0).r & key, 0);
		cr_assert_eq(read_entry(0).r & key, key);
		cr_assert_eq(fault_at(0, 0, GLN_ACCESS_READ), GLN_FAULT_MAPPED);
		close_rig();
	}
}

Test(hpt_hazards, h69_what_was_known_of_a_device_is_void_when_it_goes)
{
	const uint64_t device = SLOT_BYTES;
	uint64_t was;

	open_rig(GLN_HPT_ISA_3_0);
	cr_assert_eq(enter(0, V_OF(0), device), GLN_H_SUCCESS);
	cr_assert_eq(enter(1, V_OF(0), device), GLN_H_SUCCESS);
	was = gln_hpt_mmio_generation(rig.vm);
	cr_assert_eq(call(GLN_H_PROTECT, 2, 0, 0, 0, NULL), 0);
	cr_assert_neq(gln_hpt_mmio_generation(rig.vm), was, "protect");
	was = gln_hpt_mmio_generation(rig.vm);
	cr_assert_eq(call(GLN_H_REMOVE, 0, 0, 0, 0, NULL), 0);
	cr_assert_neq(gln_hpt_mmio_generation(rig.vm), was, "remove");
	was = gln_hpt_mmio_generation(rig.vm);
	cr_assert_eq(hpt_rig_slot(&rig, 1, device, 4096, 0), 0);
	cr_assert_neq(gln_hpt_mmio_generation(rig.vm), was, "a slot comes");
	/* And the entry is memory now. */
	cr_assert_eq(fault_at(0, 0, GLN_ACCESS_READ), GLN_FAULT_MAPPED);
	was = gln_hpt_mmio_generation(rig.vm);
	cr_assert_eq(gln_slot_remove(rig.vm, 1), 0);
	cr_assert_neq(gln_hpt_mmio_generation(rig.vm), was, "a slot goes");
	cr_assert_eq(fault_at(0, 0, GLN_ACCESS_READ), GLN_FAULT_MMIO);
	close_rig();
}

Test(hpt_hazards, h71_what_no_cpu_writes_is_marked_all_the_same)
{
	open_rig(GLN_HPT_ISA_2_07);
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	cr_assert_eq(call(GLN_H_PAGE_INIT, GLN_H_ZERO_PAGE, 7 << RIG_SHIFT, 0,
			  0, NULL),
		     0);
	cr_assert_eq(call(GLN_H_PAGE_INIT, GLN_H_COPY_PAGE, 9 << RIG_SHIFT,
			  7 << RIG_SHIFT, 0, NULL),
		     0);
	/* The hypervisor writes a VPA, or a dispatch log. */
	gln_dirty_mark(rig.vm, 11);
	cr_assert_eq(count_dirty(), 3);
	cr_assert(is_dirty(7) && is_dirty(9) && is_dirty(11));
	close_rig();
}

Test(hpt_hazards, h72_a_vcpu_that_stopped_may_still_owe_a_c)
{
	FOR_EACH_ISA
	{
		open_rig(*isa);
		cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
		enter_writable(index_of(5), 5);
		count_dirty();
		if (!is_writable(index_of(5)))
			fault_at(5 << RIG_SHIFT, 0, GLN_ACCESS_WRITE);
		cr_assert(hpt_rig_keep(&rig, index_of(5), GLN_HPTE_R_C));
		gln_vcpu_leave(rig.vcpu);
		cr_assert_eq(count_dirty(), 1);
		cr_assert(is_dirty(5));
		cr_assert_eq(rig.nr_kept, 0);
		cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
		close_rig();
	}
}

/* Formats, sizes, searches. */

Test(hpt_hazards, h75_an_entry_of_no_size_is_refused)
{
	open_rig(GLN_HPT_ISA_2_07);
	cr_assert_eq(enter(0, GLN_HPTE_V_LARGE, 0x2000), GLN_H_PARAMETER);
	cr_assert_eq(enter(0, GLN_HPTE_V_LARGE, 0x28000), GLN_H_PARAMETER);
	cr_assert_eq(enter(0, GLN_HPTE_V_LARGE, 0xff000), GLN_H_PARAMETER);
	close_rig();
}

Test(hpt_hazards, h76_memory_has_its_format_and_the_guest_has_the_old_one)
{
	const uint64_t v = GLN_HPTE_V_1TB | UINT64_C(0x000abcde12345600) |
			   GLN_HPTE_V_BOLTED;

	FOR_EACH_ISA
	{
		uint64_t word;
		const unsigned char *memory;

		open_rig(*isa);
		cr_assert_eq(enter(3, v, 2), GLN_H_SUCCESS);
		cr_assert_eq(read_entry(3).v, v | GLN_HPTE_V_VALID);
		word = gln_hpt_table_word(rig.backend) & ~UINT64_C(0x3ffff);
		memory = (const unsigned char *)(uintptr_t)word + 3 * 16;
		/* Big-endian: B is at the top of one word or the other. */
		cr_assert_eq(memory[0] >> 6, *isa == GLN_HPT_ISA_2_07);
		cr_assert_eq(memory[8] >> 2 & 3, *isa == GLN_HPT_ISA_3_0);
		cr_assert_eq(memory[7] & 0x51,
			     GLN_HPTE_V_BOLTED | GLN_HPTE_V_VALID);
		cr_assert_eq(call(GLN_H_REMOVE, GLN_H_AVPN, 3,
				  v & GLN_HPTE_V_COMPARE, 0, NULL),
			     GLN_H_SUCCESS);
		close_rig();
	}
}

Test(hpt_hazards, h80_a_group_is_full_with_eight_entries_and_not_with_seven)
{
	uint64_t rets[GLN_HCALL_ARGS];

	open_rig(GLN_HPT_ISA_2_07);
	for (uint64_t i = 0; i < 8; i++) {
		cr_assert_eq(call(GLN_H_ENTER, 0, 16 + 7 - i, V_OF(0), 0, rets),
			     GLN_H_SUCCESS, "after %" PRIu64, i);
		cr_assert_eq(rets[0], 16 + i);
	}
	cr_assert_eq(call(GLN_H_ENTER, 0, 16, V_OF(0), 0, rets),
		     GLN_H_PTEG_FULL);
	for (uint64_t i = 0; i < 8; i++) {
		cr_assert_eq(call(GLN_H_REMOVE, 0, 16 + i, 0, 0, NULL), 0);
		cr_assert_eq(call(GLN_H_ENTER, 0, 16, V_OF(0), 0, rets),
			     GLN_H_SUCCESS);
		cr_assert_eq(rets[0], 16 + i, "the only one that is free");
	}
	cr_assert(!read_entry(15).v && !read_entry(24).v);
	close_rig();
}

Test(hpt_hazards, h89_the_segment_says_what_size_to_look_for)
{
	/* Base 64K and 16M; the page at 48M + 5 * 64K, or at 48M. */
	static const struct {
		uint64_t slb, other, lp, ea;
		unsigned int shift;
	} cases[] = {
		{0, GLN_SLB_L, 0, 49 * MIB + 4096, 12},
		{GLN_SLB_L | GLN_SLB_LP_64K, 0, 0x1000, 48 * MIB + 0x50000, 16},
		{GLN_SLB_L, GLN_SLB_L | GLN_SLB_LP_64K, 0, 48 * MIB, 24},
	};

	open_rig(GLN_HPT_ISA_3_0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t hash = gln_hpt_hash(cases[i].slb, cases[i].ea);

		cr_assert_eq(enter(hash * 8 % NR_ENTRIES,
				   gln_hpt_vpn(cases[i].slb, cases[i].ea),
				   cases[i].lp | 2),
			     GLN_H_SUCCESS);
		cr_assert_eq(fault_at(cases[i].ea + (1U << cases[i].shift) - 1,
				      cases[i].slb, GLN_ACCESS_READ),
			     GLN_FAULT_SPURIOUS, "case %zu", i);
		cr_assert_eq(
			fault_at(cases[i].ea, cases[i].other, GLN_ACCESS_READ),
			GLN_FAULT_REFLECT, "case %zu", i);
	}
	close_rig();
}

/* Entries stand in a group that is not their segment's: only V tells. */
Test(hpt_hazards, h89_a_page_larger_than_its_segment_is_in_no_other_segment)
{
	enum { VSID = 63, GROUP = VSID };
	const uint64_t slb = GLN_SLB_L | GLN_SLB_LP_16G;

	open_rig(GLN_HPT_ISA_3_0);
	for (uint64_t vsid = 0; vsid <= VSID; vsid++) {
		const uint64_t v =
			gln_hpt_vpn(slb | vsid << GLN_SLB_VSID_SHIFT, 0);

		cr_assert_eq(enter(GROUP * 8, v, 16 * GIB | 0x3000 | 2),
			     GLN_H_SUCCESS);
		cr_assert_eq(fault_at(MIB, slb | VSID << GLN_SLB_VSID_SHIFT,
				      GLN_ACCESS_READ),
			     vsid == VSID ? GLN_FAULT_MMIO : GLN_FAULT_REFLECT,
			     "VSID %" PRIu64, vsid);
		cr_assert_eq(call(GLN_H_REMOVE, 0, GROUP * 8, 0, 0, NULL),
			     GLN_H_SUCCESS);
	}
	close_rig();
}

/* Streams. */

static struct gln_hpt_stream *open_stream(void)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_hpt_stream *stream = NULL;

	cr_assert_eq(gln_hpt_stream_open(rig.vm, &params, &stream), 0);
	return stream;
}

/* A pass to its end: entries it told of, and how many of them valid. */
static uint64_t read_pass(struct gln_hpt_stream *stream, uint64_t *nr_valid)
{
	static unsigned char buffer[1 << 16];
	const uint64_t nr_entries = UINT64_C(1) << (hpt_rig_order(&rig) - 4);
	uint64_t nr = 0;
	int64_t bytes;

	*nr_valid = 0;
	do {
		bytes = gln_hpt_stream_read(stream, buffer, sizeof(buffer));
		cr_assert_geq(bytes, 0);
		for (int64_t at = 0; at < bytes;) {
			struct gln_hpt_record record;

			memcpy(&record, buffer + at, sizeof(record));
			at += (int64_t)sizeof(record) + record.nr_valid * 16;
			nr += (uint64_t)record.nr_valid + record.nr_invalid;
			*nr_valid += record.nr_valid;
		}
	} while (bytes && nr < nr_entries);
	return nr;
}

Test(hpt_hazards, h78_a_stream_reads_one_table_or_another)
{
	struct gln_hpt_stream *stream;
	uint64_t nr_valid;

	open_with((struct hpt_rig_params){.order = 20});
	stream = open_stream();
	cr_assert_eq(enter(60000, V_OF(0), 0), GLN_H_SUCCESS);
	cr_assert_eq(read_pass(stream, &nr_valid), 1 << 16);
	cr_assert_eq(nr_valid, 1);
	cr_assert_eq(allocate(ORDER), 0);
	cr_assert_eq(enter(60000, V_OF(0), 0), GLN_H_PARAMETER);
	cr_assert_eq(enter(6, V_OF(0), 0), GLN_H_SUCCESS);
	cr_assert_eq(read_pass(stream, &nr_valid), NR_ENTRIES);
	cr_assert_eq(nr_valid, 1);
	gln_hpt_stream_close(stream);
	close_rig();
}

Test(hpt_hazards, h81_a_reset_is_told_by_a_stream)
{
	struct gln_hpt_stream *stream;
	uint64_t nr_valid;

	open_rig(GLN_HPT_ISA_2_07);
	for (uint64_t i = 0; i < 40; i++)
		cr_assert_eq(enter(i * 7, V_OF(0), 0), GLN_H_SUCCESS);
	stream = open_stream();
	cr_assert_eq(read_pass(stream, &nr_valid), NR_ENTRIES);
	cr_assert_eq(nr_valid, 40);
	cr_assert_eq(allocate(ORDER), 0);
	cr_assert_eq(read_pass(stream, &nr_valid), NR_ENTRIES);
	cr_assert_eq(nr_valid, 0);
	gln_hpt_stream_close(stream);
	close_rig();
}

Test(hpt_hazards, h82_runs_of_more_than_16_bits_are_told_whole)
{
	const uint64_t nr_entries = UINT64_C(1) << (22 - 4);
	struct gln_hpt_stream *stream;
	uint64_t nr_valid;

	open_with((struct hpt_rig_params){.order = 22});
	cr_assert_eq(enter(nr_entries - 1, V_OF(0), 0), GLN_H_SUCCESS);
	stream = open_stream();
	cr_assert_eq(read_pass(stream, &nr_valid), nr_entries);
	cr_assert_eq(nr_valid, 1);
	gln_hpt_stream_close(stream);
	close_rig();
}

/* Slots, and logs. */

Test(hpt_hazards, h83_no_entry_points_to_a_slot_that_is_gone)
{
	FOR_EACH_ISA
	{
		open_rig(*isa);
		for (uint64_t i = 0; i < 64; i++)
			cr_assert_eq(enter(i, V_OF(0), i % 5 << RIG_SHIFT | 2),
				     GLN_H_SUCCESS);
		cr_assert_eq(gln_slot_remove(rig.vm, 0), 0);
		for (uint64_t i = 0; i < 64; i++) {
			cr_assert(!is_valid(i));
			cr_assert(read_entry(i).v & GLN_HPTE_V_VALID);
		}
		cr_assert_eq(fault_at(0, 0, GLN_ACCESS_READ), GLN_FAULT_MMIO);
		close_rig();
	}
}

Test(hpt_hazards, h85_a_bad_order_leaves_the_table_as_it_is)
{
	uint64_t word;

	open_rig(GLN_HPT_ISA_2_07);
	cr_assert_eq(enter(77, V_OF(0), 0), GLN_H_SUCCESS);
	word = gln_hpt_table_word(rig.backend);
	cr_assert_eq(allocate(47), -EINVAL);
	cr_assert_eq(gln_hpt_table_word(rig.backend), word);
	cr_assert(read_entry(77).v && is_valid(77));
	close_rig();
}

Test(hpt_hazards, h86_entries_outlive_a_log_that_goes_on_and_off)
{
	struct gln_hpte was;

	open_rig(GLN_HPT_ISA_3_0);
	enter_writable(index_of(5), 5);
	was = read_entry(index_of(5));
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	cr_assert_eq(gln_log_disable(rig.vm, 0), 0);
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	cr_assert_eq(read_entry(index_of(5)).v, was.v);
	cr_assert_eq(read_entry(index_of(5)).r, was.r);
	cr_assert(is_valid(index_of(5)) && !is_writable(index_of(5)));
	cr_assert_eq(gln_log_disable(rig.vm, 0), 0);
	cr_assert_eq(fault_at(5 << RIG_SHIFT, 0, GLN_ACCESS_WRITE),
		     GLN_FAULT_RELAXED);
	cr_assert(is_writable(index_of(5)));
	close_rig();
}

Test(hpt_hazards, h87_what_was_written_before_the_log_is_not_told_for_ever)
{
	open_rig(GLN_HPT_ISA_2_07);
	enter_writable(index_of(5), 5);
	hpt_rig_note(&rig, index_of(5), GLN_HPTE_R_R | GLN_HPTE_R_C);
	cr_assert_eq(gln_log_enable(rig.vm, 0, 0), 0);
	cr_assert_leq(count_dirty(), 1);
	cr_assert_eq(count_dirty(), 0);
	/* The guest still knows. */
	cr_assert(read_entry(index_of(5)).r & GLN_HPTE_R_C);
	close_rig();
}

Test(hpt_hazards, h90_the_mask_is_that_of_the_table_obtained)
{
	const uint64_t ea = UINT64_C(0x0abcd000);
	uint64_t hash;

	/* 2^24 bytes asked for, 2^19 obtained: groups 0 to 4095. */
	start_miser((size_t)1 << 19);
	open_with((struct hpt_rig_params){.allocator = &from_miser,
					  .default_order = 24});
	cr_assert_eq(hpt_rig_order(&rig), 19);
	hash = gln_hpt_hash(0, ea);
	cr_assert_eq(enter((hash & 4095) * 8, gln_hpt_vpn(0, ea), 2),
		     GLN_H_SUCCESS);
	cr_assert_eq(fault_at(ea, 0, GLN_ACCESS_READ), GLN_FAULT_SPURIOUS);
	cr_assert_eq(enter((~hash & 4095) * 8,
			   gln_hpt_vpn(0, ea) | GLN_HPTE_V_SECONDARY, 2),
		     GLN_H_SUCCESS);
	cr_assert_eq(call(GLN_H_REMOVE, 0, (hash & 4095) * 8, 0, 0, NULL), 0);
	cr_assert_eq(fault_at(ea, 0, GLN_ACCESS_READ), GLN_FAULT_SPURIOUS);
	cr_assert_eq(enter(UINT64_C(1) << (19 - 4), V_OF(0), 0),
		     GLN_H_PARAMETER);
	close_rig();
}
