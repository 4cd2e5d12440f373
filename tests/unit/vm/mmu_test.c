/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu_test.c - faults and what the host asks of a backend that maps a guest.
 *
 * G1 (the mark comes last, and on success only: H-28, H-44), G6, G7, G11.
 */
#include "tests/unit/guest.h"

enum { ID = 7 };

#define BASE	 UINT64_C(1000)
#define NR_PAGES UINT64_C(1000000)
#define CHUNK	 (UINT64_C(1) << 18) /* pages of 1 GiB */

static struct guest guest;
static struct gln_vcpu *vcpu;

static void setup(void)
{
	guest_start(&guest, MMU_CAPS, 0);
	vcpu = guest_vcpu(&guest, 3);
	guest_log_slot(&guest, ID, BASE, NR_PAGES);
}

static void teardown(void)
{
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

static int fault(gln_gfn gfn, uint32_t access)
{
	return gln_vcpu_fault(vcpu, gfn, access);
}

static const struct fake_call *last(enum fake_call_kind kind)
{
	const struct fake_call *const call =
		fake_backend_nth(&guest.fake, kind, guest.fake.nr_of[kind] - 1);

	cr_assert(call);
	return call;
}

FixtureTest(fault, a_marked_answer_marks_whatever_the_result)
{
	guest.fake.to_mark = true;
	for (int answer = 0; answer <= GLN_FAULT_RETRY; answer++) {
		guest.fake.answer = answer;
		cr_assert_eq(fault(BASE + (gln_gfn)answer, GLN_ACCESS_WRITE),
			     answer);
		cr_assert_eq(guest_count_marks(&guest, ID),
			     (uint64_t)answer + 1);
		cr_assert_eq(last(FAKE_FAULT)->gfn, BASE + (gln_gfn)answer);
		cr_assert_eq(last(FAKE_FAULT)->flags, GLN_ACCESS_WRITE);
		cr_assert(last(FAKE_FAULT)->is_logged);
	}
	guest.fake.to_mark = false;
	cr_assert_eq(fault(BASE + 100, GLN_ACCESS_READ), GLN_FAULT_RETRY);
	cr_assert_eq(guest_count_marks(&guest, ID), GLN_FAULT_RETRY + 1);
}

FixtureTest(fault, a_failed_one_marks_nothing)
{
	static const int errors[] = {-ENOMEM, -ERANGE, -EFAULT};

	guest.fake.to_mark = true;
	for (const int *e = errors; e < ARRAY_END(errors); e++) {
		guest.fake.answer = *e;
		cr_assert_eq(fault(BASE, GLN_ACCESS_WRITE), *e);
	}
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
	cr_assert_eq(guest_stats(&guest).faults_mapped, 0);
}

static void see_no_mark(struct fake_backend *fake,
			const struct gln_backend_fault *now)
{
	(void)fake;
	(void)now;
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
}

FixtureTest(fault, the_mark_comes_after_the_entry)
{
	guest.fake.to_mark = true;
	guest.fake.in_fault = see_no_mark;
	cr_assert_eq(fault(BASE, GLN_ACCESS_WRITE), GLN_FAULT_MAPPED);
	cr_assert_eq(guest_count_marks(&guest, ID), 1);
}

FixtureTest(fault, the_backend_learns_whether_the_slot_is_logged)
{
	cr_assert_eq(fault(BASE, GLN_ACCESS_READ), GLN_FAULT_MAPPED);
	cr_assert(last(FAKE_FAULT)->is_logged);
	cr_assert_eq(gln_log_disable(guest.vm, ID), 0);
	guest.fake.to_mark = true;
	cr_assert_eq(fault(BASE, GLN_ACCESS_READ), GLN_FAULT_MAPPED);
	cr_assert_not(last(FAKE_FAULT)->is_logged);
}

FixtureTest(fault, arguments_have_these_errors)
{
	cr_assert_eq(fault(BASE, 0), -EINVAL);
	cr_assert_eq(fault(BASE, 8), -EINVAL);
	cr_assert_eq(fault(BASE, UINT32_MAX), -EINVAL);
	cr_assert_eq(guest.fake.nr_calls, 0);
}

FixtureTest(fault, where_no_slot_is_there_is_mmio)
{
	static const gln_gfn nowhere[] = {0, BASE - 1, BASE + NR_PAGES,
					  UINT64_MAX};

	for (const gln_gfn *g = nowhere; g < ARRAY_END(nowhere); g++) {
		cr_assert_eq(fault(*g, GLN_ACCESS_READ), GLN_FAULT_MMIO);
		cr_assert_eq(last(FAKE_MMIO)->gfn, *g);
	}
	guest.fake.fail_at[FAKE_MMIO] = 1;
	guest.fake.fail_with = -ERANGE;
	cr_assert_eq(fault(UINT64_MAX, GLN_ACCESS_READ), -ERANGE);
	guest.fake.ops.mmio = NULL;
	cr_assert_eq(fault(0, GLN_ACCESS_WRITE), GLN_FAULT_MMIO);
	cr_assert_eq(guest.fake.nr_of[FAKE_FAULT], 0);
}

FixtureTest(fault, a_read_only_slot_is_read_and_executed)
{
	struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = 1,
		.nr_pages = 100,
		.flags = 2,
	};

	cr_assert_eq(gln_slot_add(guest.vm, &params), -EINVAL);
	params.flags = GLN_SLOT_READ_ONLY | 1U << 31;
	cr_assert_eq(gln_slot_add(guest.vm, &params), -EINVAL);
	params.flags = GLN_SLOT_READ_ONLY;
	cr_assert_eq(gln_slot_add(guest.vm, &params), 0);
	cr_assert_eq(gln_log_enable(guest.vm, 1, 0), 0);
	cr_assert_eq(fault(5, GLN_ACCESS_WRITE), GLN_FAULT_READ_ONLY);
	cr_assert_eq(fault(5, GLN_ACCESS_WRITE | GLN_ACCESS_READ),
		     GLN_FAULT_READ_ONLY);
	cr_assert_eq(guest.fake.nr_of[FAKE_FAULT], 0);
	cr_assert_eq(fault(5, GLN_ACCESS_READ), GLN_FAULT_MAPPED);
	cr_assert_eq(fault(5, GLN_ACCESS_EXEC), GLN_FAULT_MAPPED);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
}

FixtureTest(fault, results_are_counted)
{
	struct gln_stats stats;

	for (int answer = 0; answer <= GLN_FAULT_RETRY; answer++) {
		guest.fake.answer = answer;
		for (int i = 0; i <= answer; i++)
			fault(BASE, GLN_ACCESS_READ);
	}
	fault(0, GLN_ACCESS_READ);
	gln_vcpu_unregister(vcpu);
	vcpu = guest_vcpu(&guest, 4);
	guest.fake.answer = GLN_FAULT_MAPPED;
	fault(BASE, GLN_ACCESS_READ);
	stats = guest_stats(&guest);
	cr_assert_eq(stats.faults_mapped, 1 + 1);
	cr_assert_eq(stats.faults_relaxed, 2);
	cr_assert_eq(stats.faults_spurious, 3);
	cr_assert_eq(stats.faults_retried, 4);
	cr_assert_eq(stats.ring_pushes, 0);
}

FixtureTest(vcpu, exits_and_the_end_drain_what_its_cpu_logged)
{
	static const gln_gfn log[] = {BASE, BASE + 1, 0, UINT64_MAX,
				      BASE + NR_PAGES};

	guest.fake.cpu_log = log;
	guest.fake.nr_cpu_log = 5;
	gln_vcpu_exit(vcpu);
	cr_assert_eq(guest_count_marks(&guest, ID), 2);
	guest.fake.cpu_log = log + 1;
	guest.fake.nr_cpu_log = 1;
	gln_harvest_commit(guest_begin(&guest, ID));
	gln_vcpu_unregister(vcpu);
	cr_assert_eq(guest_count_marks(&guest, ID), 1);
	vcpu = guest_vcpu(&guest, 3);
	guest.fake.ops.exited = NULL;
	gln_vcpu_exit(vcpu);
}

FixtureTest(vcpu, one_that_the_backend_refuses_is_not_registered)
{
	struct gln_vcpu *const untouched = (void *)&guest;
	struct gln_vcpu *other = untouched;
	const size_t nr_live = guest.memory.nr_live;

	guest.fake.fail_at[FAKE_VCPU_ATTACH] = 1;
	cr_assert_eq(gln_vcpu_register(guest.vm, 5, &other), -EIO);
	cr_assert_eq(other, untouched);
	cr_assert_eq(guest.memory.nr_live, nr_live);
	other = guest_vcpu(&guest, 5);
	cr_assert_eq(last(FAKE_VCPU_ATTACH)->id, 5);
	gln_vcpu_unregister(other);
}

FixtureTest(vcpu, topping_up_is_the_backends)
{
	cr_assert_eq(gln_vcpu_topup(vcpu), 0);
	guest.fake.fail_at[FAKE_TOPUP] = 1;
	guest.fake.fail_with = -ENOMEM;
	cr_assert_eq(gln_vcpu_topup(vcpu), -ENOMEM);
	cr_assert_eq(last(FAKE_TOPUP)->id, 3);
}

Test(vcpu, a_backend_that_maps_no_guest_has_none_of_this)
{
	uint64_t next = 7, young = 7;

	guest_start(&guest, ALL_CAPS, 0);
	vcpu = guest_vcpu(&guest, 3);
	guest_log_slot(&guest, ID, BASE, NR_PAGES);
	cr_assert_eq(gln_vcpu_topup(vcpu), -ENOTSUP);
	cr_assert_eq(fault(BASE, GLN_ACCESS_READ), -ENOTSUP);
	gln_vcpu_exit(vcpu);
	cr_assert_eq(gln_mmu_unmap(guest.vm, (struct gln_range){0, 1}),
		     -ENOTSUP);
	cr_assert_eq(gln_mmu_age(guest.vm, (struct gln_range){0, 1}, &young),
		     -ENOTSUP);
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), -ENOTSUP);
	cr_assert_eq(next, 7);
	cr_assert_eq(young, 7);
	cr_assert_eq(guest.fake.nr_calls, 0);
	teardown();
}

Test(vcpu, a_backend_that_maps_a_guest_needs_these_calls)
{
	static const size_t needed[] = {
		offsetof(struct gln_backend_ops, vcpu_attach),
		offsetof(struct gln_backend_ops, vcpu_detach),
		offsetof(struct gln_backend_ops, topup),
		offsetof(struct gln_backend_ops, fault),
		offsetof(struct gln_backend_ops, unmap),
		offsetof(struct gln_backend_ops, age),
	};
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = &guest.fake.backend,
	};
	struct gln_vm *vm;

	for (const size_t *n = needed; n < ARRAY_END(needed); n++) {
		fake_backend_init(&guest.fake, MMU_CAPS);
		memset((char *)&guest.fake.ops + *n, 0, sizeof(void *));
		cr_assert_eq(gln_vm_create(&params, &vm), -EINVAL);
	}
	fake_backend_init(&guest.fake, MMU_CAPS);
	guest.fake.ops.mmio = NULL;
	guest.fake.ops.exited = NULL;
	guest.fake.ops.split = NULL;
	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(gln_vm_destroy(vm), 0);
}

static int result_meanwhile;

static void fault_meanwhile(struct fake_backend *fake)
{
	(void)fake;
	result_meanwhile = gln_vcpu_fault(vcpu, BASE, GLN_ACCESS_READ);
}

/* A page must not come back before what was there is flushed (H-29). */
FixtureTest(mmu, while_a_slot_is_unmapped_its_faults_are_tried_again)
{
	guest.fake.in_unmap = fault_meanwhile;
	cr_assert_eq(gln_mmu_unmap(guest.vm, (struct gln_range){BASE + 1, 1}),
		     0);
	cr_assert_eq(result_meanwhile, GLN_FAULT_RETRY);
	cr_assert_eq(gln_vcpu_fault(vcpu, BASE, GLN_ACCESS_READ),
		     GLN_FAULT_MAPPED);
}

FixtureTest(mmu, unmap_and_age_go_slot_by_slot)
{
	static const struct parts_case {
		struct gln_range asked;
		size_t nr;
		struct gln_range parts[2];
	} cases[] = {
		{{0, UINT64_MAX}, 2, {{10, 90}, {BASE, NR_PAGES}}},
		{{1, UINT64_MAX}, 2, {{10, 90}, {BASE, NR_PAGES}}},
		{{0, 10}, 0, {{0, 0}}},
		{{0, 11}, 1, {{10, 1}}},
		{{50, 0}, 0, {{0, 0}}},
		{{99, BASE - 98}, 2, {{99, 1}, {BASE, 1}}},
		{{100, BASE - 100}, 0, {{0, 0}}},
		{{BASE + NR_PAGES - 1, UINT64_MAX},
		 1,
		 {{BASE + NR_PAGES - 1, 1}}},
		{{UINT64_MAX, UINT64_MAX}, 0, {{0, 0}}},
	};
	uint64_t young;

	guest_add_slot(&guest, 1, 10, 90);
	guest.fake.nr_young = 3;
	for (const struct parts_case *c = cases; c < ARRAY_END(cases); c++) {
		fake_backend_forget(&guest.fake);
		cr_assert_eq(gln_mmu_unmap(guest.vm, c->asked), 0);
		cr_assert_eq(gln_mmu_age(guest.vm, c->asked, &young), 0);
		cr_assert_eq(young, 3 * c->nr, "case %td", c - cases);
		cr_assert_eq(guest.fake.nr_of[FAKE_UNMAP], c->nr, "case %td",
			     c - cases);
		cr_assert_eq(guest.fake.nr_of[FAKE_AGE], c->nr);
		for (size_t i = 0; i < 2 * c->nr; i++)
			cr_assert_eq(memcmp(&guest.fake.ranges[i],
					    &c->parts[i % c->nr],
					    sizeof(struct gln_range)),
				     0, "case %td, part %zu", c - cases, i);
	}
}

FixtureTest(mmu, what_unmap_finds_dirty_is_marked)
{
	guest.fake.dirty = (struct gln_range){BASE + 5, 2};
	cr_assert_eq(gln_mmu_unmap(guest.vm, (struct gln_range){0, UINT64_MAX}),
		     0);
	cr_assert_eq(guest_count_marks(&guest, ID), 2);
}

FixtureTest(split, goes_in_chunks_that_end_where_blocks_end)
{
	uint64_t next = 0;
	gln_gfn at = BASE;

	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), 0);
	cr_assert_eq(next, NR_PAGES);
	for (size_t i = 0; i < guest.fake.nr_calls; i++) {
		const struct gln_range *const range = &guest.fake.ranges[i];

		cr_assert_eq(guest.fake.calls[i].kind, FAKE_SPLIT);
		cr_assert_eq(range->first, at);
		cr_assert_leq(range->count, CHUNK);
		at += range->count;
		cr_assert(at % CHUNK == 0 || at == BASE + NR_PAGES);
	}
	cr_assert_eq(at, BASE + NR_PAGES);
	cr_assert_eq(guest.fake.nr_calls, 4);
	fake_backend_forget(&guest.fake);
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), 0);
	cr_assert_eq(guest.fake.nr_calls, 0);
}

FixtureTest(split, a_budget_and_a_cursor_pass_nothing_over)
{
	uint64_t next = 5, at = 5;

	while (at < NR_PAGES) {
		fake_backend_forget(&guest.fake);
		cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 3000), 0);
		cr_assert_eq(guest.fake.ranges[0].first, BASE + at);
		cr_assert_eq(next, gln_min(at + 3000, NR_PAGES));
		at = next;
	}
}

FixtureTest(split, says_how_far_it_got_without_memory)
{
	uint64_t next = 0;

	guest.fake.fail_with = -ENOMEM;
	guest.fake.fail_at[FAKE_SPLIT] = 3;
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), -ENOMEM);
	cr_assert_eq(next, 2 * CHUNK - BASE);
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), 0);
	cr_assert_eq(next, NR_PAGES);
	guest.fake.ops.split = NULL;
	next = 0;
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), 0);
	cr_assert_eq(next, NR_PAGES);
}

FixtureTest(split, has_these_errors)
{
	struct gln_harvest *harvest;
	uint64_t next = NR_PAGES + 1;

	guest_add_slot(&guest, 1, 10, 90);
	fake_backend_forget(&guest.fake);
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), -EINVAL);
	cr_assert_eq(next, NR_PAGES + 1);
	next = 0;
	cr_assert_eq(gln_mmu_split(guest.vm, GLN_SLOT_IDS, &next, 0), -EINVAL);
	cr_assert_eq(gln_mmu_split(guest.vm, 2, &next, 0), -ENOENT);
	cr_assert_eq(gln_mmu_split(guest.vm, 1, &next, 0), -ENOENT);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_mmu_split(guest.vm, ID, &next, 0), -EBUSY);
	gln_harvest_abort(harvest);
	cr_assert_eq(next, 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_SPLIT], 0);
}

/* Clear 128 pages of slot @id from 64 on. */
static int clear(uint32_t id)
{
	static const uint64_t ones[2] = {UINT64_MAX, UINT64_MAX};
	const struct gln_clear_log range = {
		.slot = id,
		.first_page = 64,
		.num_pages = 128,
		.bitmap = ones,
	};

	fake_backend_forget(&guest.fake);
	return gln_clear_dirty_log(guest.vm, &range);
}

FixtureTest(split, comes_before_a_clear_of_what_began_all_marked)
{
	const struct fake_call *call;

	gln_dirty_mark_range(guest.vm, (struct gln_range){BASE, 1000});
	cr_assert_eq(clear(ID), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_SPLIT], 0);

	guest_add_slot(&guest, 1, NR_PAGES * 2, 1000);
	cr_assert_eq(gln_log_enable(guest.vm, 1, GLN_LOG_ENABLE_ALL_MARKED), 0);
	cr_assert_eq(clear(1), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 1);
	call = &guest.fake.calls[0];
	cr_assert_eq(call->kind, FAKE_SPLIT);
	cr_assert_eq(guest.fake.ranges[call->first_range].first,
		     NR_PAGES * 2 + 64);
	cr_assert_eq(guest.fake.ranges[call->first_range].count, 128);
	cr_assert_eq(guest.fake.split_flags, GLN_SPLIT_FOR_CLEAR);

	/* Without memory the block is protected as it is. */
	gln_dirty_mark_range(guest.vm, (struct gln_range){NR_PAGES * 2, 1000});
	guest.fake.fail_with = -ENOMEM;
	guest.fake.fail_at[FAKE_SPLIT] = 1;
	cr_assert_eq(clear(1), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 1);
	guest.fake.ops.split = NULL;
	cr_assert_eq(clear(1), 0);
}

FixtureTest(fault, the_steady_state_allocates_nothing)
{
	const uint64_t nr_calls = guest.memory.nr_calls;
	uint64_t young;

	guest.fake.to_mark = true;
	for (unsigned int i = 0; i < 100; i++) {
		fault(BASE + i, GLN_ACCESS_WRITE);
		fault(i, GLN_ACCESS_READ);
		gln_vcpu_exit(vcpu);
		gln_mmu_age(guest.vm, (struct gln_range){0, 5000}, &young);
		gln_harvest_commit(guest_begin(&guest, ID));
	}
	cr_assert_eq(guest.memory.nr_calls, nr_calls);
}
