/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken_test.c - the breaks that a run may switch on do break what they say,
 * and nothing while they are off. That somebody then notices is for those to
 * show who run a guest on it.
 */
#include "tests/unit/guest.h"

#include "core/base/broken.h"

enum { ID = 7 };

#define BASE UINT64_C(1000)

static struct guest guest;
static struct gln_vcpu *vcpu;
static uint64_t nr_marks_in_fault;

static void look(struct fake_backend *fake,
		 const struct gln_backend_fault *fault)
{
	(void)fake;
	(void)fault;
	nr_marks_in_fault = guest_count_marks(&guest, ID);
}

static void start(enum glni_break how)
{
	glni_broken = (int)how;
	guest_start(&guest, MMU_CAPS | GLN_CAP_COLLECT, 0);
	vcpu = guest_vcpu(&guest, 0);
	guest_log_slot(&guest, ID, BASE, 1000);
	guest.fake.in_fault = look;
	guest.fake.to_mark = true;
}

static void stop(void)
{
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

/* Marks that a fault, a CPU's log, an unmap and a collect make, each one. */
static uint64_t mark_in_all_ways(void)
{
	static const gln_gfn log[] = {BASE + 1};
	uint8_t written[1000] = {[3] = 1};
	uint64_t nr;

	cr_assert_eq(gln_vcpu_fault(vcpu, BASE, GLN_ACCESS_WRITE),
		     GLN_FAULT_MAPPED);
	guest.fake.cpu_log = log;
	guest.fake.nr_cpu_log = 1;
	gln_vcpu_exit(vcpu);
	guest.fake.dirty = (struct gln_range){BASE + 2, 1};
	gln_mmu_unmap(guest.vm, (struct gln_range){BASE, 10});
	guest.fake.written = written;
	guest.fake.written_id = ID;
	nr = gln_harvest_commit(guest_begin(&guest, ID));
	guest.fake.written = NULL;

	return nr;
}

static uint64_t nr_pages_of(const struct fake_call *call)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < call->nr_ranges; i++)
		nr += guest.fake.ranges[call->first_range + i].count;

	return nr;
}

/* Pages that a harvest of [10, 20) and page 30 protects. */
static uint64_t nr_protected(void)
{
	const struct fake_call *call;
	uint64_t nr = 0;

	gln_dirty_mark_range(guest.vm, (struct gln_range){BASE + 10, 10});
	gln_dirty_mark(guest.vm, BASE + 30);
	fake_backend_forget(&guest.fake);
	gln_harvest_commit(guest_begin(&guest, ID));
	for (size_t n = 0;
	     (call = fake_backend_nth(&guest.fake, FAKE_PROTECT, n)); n++)
		nr += nr_pages_of(call);

	return nr;
}

Test(broken, each_break_does_what_it_says_and_no_more)
{
	static const struct break_case {
		enum glni_break how;
		uint64_t nr_early;
		uint64_t nr_marked;
		uint64_t nr_protected;
		uint64_t nr_flushes;
	} cases[] = {
		{GLNI_BREAK_NONE, 0, 4, 11, 1},
		{GLNI_BREAK_SKIP_FLUSH, 0, 4, 11, 0},
		{GLNI_BREAK_MARK_FIRST, 1, 4, 11, 1},
		{GLNI_BREAK_LOSE_DIRTY, 0, 0, 11, 1},
		{GLNI_BREAK_SPAN, 0, 2, 9, 1},
	};

	for (const struct break_case *c = cases; c < ARRAY_END(cases); c++) {
		start(c->how);
		cr_assert_eq(mark_in_all_ways(), c->nr_marked, "%d", c->how);
		cr_assert_eq(nr_marks_in_fault, c->nr_early, "%d", c->how);
		cr_assert_eq(nr_protected(), c->nr_protected, "%d", c->how);
		cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], c->nr_flushes, "%d",
			     c->how);
		stop();
	}
}

Test(broken, a_page_alone_is_not_protected_at_all_by_a_span)
{
	start(GLNI_BREAK_SPAN);
	gln_dirty_mark(guest.vm, BASE);
	gln_harvest_commit(guest_begin(&guest, ID));
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 1);
	stop();
}
