/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ept_test.c - the x86 EPT backend: what it tells the CPU, what it takes from
 * it, and what it refuses. The tree itself has tests of its own (unit/radix).
 *
 * G6; H-37, H-38, H-41. Numbers here are the Intel SDM's, volume 3C, and not
 * the backend's.
 */
#include <glean/ept.h>

#include <errno.h>
#include <string.h>

#include "core/radix/mmu.h"
#include "tests/support/fake_allocator.h"
#include "tests/unit/require.h"

enum {
	READ = GLN_ACCESS_READ,
	WRITE = GLN_ACCESS_WRITE,
	MAX_MARKS = 600,
	BASE = 5,
	NR_PAGES = 600,
};

/* Bits of an entry (SDM 29.3.2). */
#define BIT(n)	(UINT64_C(1) << (n))
#define R	BIT(0)
#define W	BIT(1)
#define X	BIT(2)
#define TYPE_WB (UINT64_C(6) << 3)
#define TYPES	(UINT64_C(7) << 3)
#define LARGE	BIT(7)
#define A	BIT(8)
#define D	BIT(9)
#define HOST	BIT(53)
#define MMU	BIT(54)

static struct fake_allocator memory;
static struct gln_backend *be;
static struct gln_backend_vcpu vcpu;
static struct gln_backend_slot slot;
static bool is_host_read_only;
static struct gln_host_page host_page; /* of every frame, if it has an order */
static unsigned int nr_kicks, nr_invepts;
static uint64_t last_eptp;
static const uint64_t *watched; /* and what it held when INVEPT was executed */
static uint64_t invept_saw;
static gln_gfn marks[MAX_MARKS];
static size_t nr_marks;

static void kick(void *ctx)
{
	(void)ctx;
	nr_kicks++;
}

static void invept(void *ctx, uint64_t eptp)
{
	require(ctx == &memory, "the context is not passed on");
	nr_invepts++;
	last_eptp = eptp;
	if (watched)
		invept_saw = *watched;
}

static void vcpu_mark(struct gln_backend_vcpu *of, gln_gfn gfn)
{
	require(of == &vcpu && nr_marks < MAX_MARKS, "marks");
	marks[nr_marks++] = gfn;
}

static void slot_mark(struct gln_backend_slot *of, gln_gfn first,
		      uint64_t count)
{
	require(of == &slot, "marks of another slot");
	while (count-- && nr_marks < MAX_MARKS)
		marks[nr_marks++] = first++;
}

static int translate(void *ctx, const struct gln_backend_slot *of, gln_gfn gfn,
		     uint32_t access, struct gln_host_page *page)
{
	(void)ctx;
	(void)access;
	if (host_page.order) {
		*page = host_page;
		return 0;
	}
	page->hpa = BIT(40) + (gfn << of->page_shift & (BIT(40) - 1));
	page->is_writable = !is_host_read_only;
	return 0;
}

static const struct gln_mmu_host host = {.translate = translate, .kick = kick};

static struct gln_ept_params params_of(unsigned int levels,
				       enum gln_ept_mode mode, uint32_t flags)
{
	return (struct gln_ept_params){
		.struct_bytes = sizeof(struct gln_ept_params),
		.levels = levels,
		.mode = mode,
		.flags = flags,
		.host = &host,
		.allocator = &memory.allocator,
		.invept = invept,
		.invept_ctx = &memory,
	};
}

static void open_with(const struct gln_ept_params *params)
{
	fake_allocator_init(&memory);
	cr_assert_eq(gln_ept_create(params, &be), 0);
	slot = (struct gln_backend_slot){
		.id = 1,
		.page_shift = 12,
		.base = BASE,
		.nr_pages = NR_PAGES,
		.mark = slot_mark,
	};
	vcpu = (struct gln_backend_vcpu){.id = 7, .mark = vcpu_mark};
	cr_assert_eq(be->ops->attach(be, &slot), 0);
	cr_assert_eq(be->ops->vcpu_attach(be, &vcpu), 0);
	cr_assert_eq(be->ops->topup(be, &vcpu), 0);
	nr_kicks = 0;
	nr_invepts = 0;
	nr_marks = 0;
	is_host_read_only = false;
	host_page = (struct gln_host_page){0};
}

static void open_as(unsigned int levels, enum gln_ept_mode mode, uint32_t flags)
{
	const struct gln_ept_params params = params_of(levels, mode, flags);

	open_with(&params);
}

static void close_it(void)
{
	const char *why = NULL;

	cr_assert_eq(glni_radix_check(radix_of(be), &why), 0, "%s", why);
	be->ops->vcpu_detach(be, &vcpu);
	be->ops->detach(be, &slot);
	gln_ept_destroy(be);
	cr_assert_eq(memory.nr_live, 0);
}

static int fault_at(gln_gfn gfn, uint32_t access, bool is_logged, bool *to_mark)
{
	struct gln_backend_fault fault = {
		.gfn = gfn,
		.access = access,
		.is_logged = is_logged,
	};
	int said;

	cr_assert_eq(be->ops->topup(be, &vcpu), 0);
	glni_read_lock();
	said = be->ops->fault(be, &vcpu, &slot, &fault);
	glni_read_unlock();
	if (to_mark)
		*to_mark = fault.to_mark;
	return said;
}

/* Walk as the CPU does, from the EPTP; nothing of the backend's is asked. */
static uint64_t *entry_of(gln_gfn gfn)
{
	const uint64_t eptp = gln_ept_eptp(be);
	unsigned int levels = (unsigned int)(eptp >> 3 & 7) + 1;
	uint64_t *table = (uint64_t *)(uintptr_t)(eptp & ~UINT64_C(0xfff));

	for (;;) {
		uint64_t *const entry = &table[gfn >> 9 * --levels & 511];

		if (!levels || !(*entry & (R | W | X)) || (*entry & LARGE))
			return entry;
		/* A table: bits 6:3 are reserved, and zero. */
		cr_assert_eq(*entry & (UINT64_C(0xf) << 3), 0);
		table = (uint64_t *)(uintptr_t)(*entry &
						UINT64_C(0x000ffffffffff000));
	}
}

Test(ept, the_eptp_says_how_to_walk)
{
	static const struct {
		unsigned int levels;
		uint32_t flags;
		uint64_t low;
	} cases[] = {
		{0, 0, 0x5e}, /* WB 6, 4 levels 3 << 3, A/D 1 << 6 */
		{4, 0, 0x5e}, /* the same */
		{5, 0, 0x66}, /* 4 << 3 */
		{4, GLN_EPT_NO_AD, 0x1e}, /* no bit 6 */
		{5, GLN_EPT_NO_AD, 0x26},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_as(cases[i].levels, GLN_EPT_WRITE_PROTECT, cases[i].flags);
		cr_assert_eq(gln_ept_eptp(be) & 0xfff, cases[i].low,
			     "case %zu: %#" PRIx64, i, gln_ept_eptp(be));
		cr_assert_neq(gln_ept_eptp(be) >> 12, 0);
		close_it();
	}
}

Test(ept, addresses_are_cut_at_every_nine_bits)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		const struct radix_geometry *geometry;
		gln_gfn last;

		open_as(levels, GLN_EPT_WRITE_PROTECT, 0);
		geometry = &radix_of(be)->geometry;
		cr_assert_eq(geometry->nr_levels, levels);
		cr_assert_eq(geometry->addr_bits, levels == 4 ? 48 : 57);
		for (unsigned int i = 0; i < levels; i++) {
			const unsigned int shift = 12 + 9 * (levels - 1 - i);

			cr_assert_eq(geometry->level[i].shift, shift);
			cr_assert_eq(geometry->level[i].bits, 9);
			cr_assert_eq(geometry->level[i].block_ok,
				     shift == 21 || shift == 30);
		}

		/* The last frame is translated, the one after is not. */
		last = BIT(geometry->addr_bits - 12) - 1;
		be->ops->detach(be, &slot);
		slot.base = last;
		slot.nr_pages = 2;
		cr_assert_eq(be->ops->attach(be, &slot), -ERANGE);
		slot.base = last + 1;
		slot.nr_pages = 1;
		cr_assert_eq(be->ops->attach(be, &slot), -ERANGE);
		slot.base = last;
		slot.nr_pages = UINT64_MAX;
		cr_assert_eq(be->ops->attach(be, &slot), -ERANGE);
		slot.nr_pages = 1;
		cr_assert_eq(be->ops->attach(be, &slot), 0);
		cr_assert_eq(fault_at(last, WRITE, false, NULL),
			     GLN_FAULT_MAPPED);
		cr_assert_eq(*entry_of(last) & UINT64_C(0x000ffffffffff000),
			     BIT(40) + (last << 12 & (BIT(40) - 1)));
		cr_assert_eq(fault_at(last + 1, READ, false, NULL), -ERANGE);
		close_it();
	}
}

Test(ept, a_slot_of_other_pages_is_refused)
{
	open_as(4, GLN_EPT_WRITE_PROTECT, 0);
	slot.page_shift = 16;
	cr_assert_eq(be->ops->attach(be, &slot), -EINVAL);
	slot.page_shift = 12;
	close_it();
}

Test(ept, an_entry_is_in_one_of_three_states)
{
	uint64_t *entry;

	open_as(4, GLN_EPT_WRITE_PROTECT, GLN_EPT_NO_BLOCKS);

	/* Writable: host, mmu, W. */
	cr_assert_eq(fault_at(BASE, WRITE, false, NULL), GLN_FAULT_MAPPED);
	entry = entry_of(BASE);
	cr_assert_eq(*entry & (R | W | X | HOST | MMU), R | W | X | HOST | MMU);
	cr_assert_eq(*entry & TYPES, TYPE_WB);
	cr_assert_eq(*entry & (LARGE | D), 0);
	cr_assert_eq(*entry & A, A);
	cr_assert_eq(*entry >> 63, 1);

	/* Protected for the log: only W goes. */
	be->ops->protect(be, &slot, &(struct gln_range){BASE, 1}, 1);
	cr_assert_eq(*entry & (R | W | X | HOST | MMU), R | X | HOST | MMU);
	cr_assert_eq(fault_at(BASE, WRITE, true, NULL), GLN_FAULT_RELAXED);
	cr_assert_eq(*entry & (W | HOST | MMU), W | HOST | MMU);

	/* The host's page is read-only: none of them. */
	is_host_read_only = true;
	cr_assert_eq(fault_at(BASE + 1, READ, false, NULL), GLN_FAULT_MAPPED);
	entry = entry_of(BASE + 1);
	cr_assert_eq(*entry & (R | W | X | HOST | MMU), R | X);
	cr_assert_eq(fault_at(BASE + 1, WRITE, false, NULL), -EFAULT);
	cr_assert_eq(*entry & (W | HOST | MMU), 0);

	/* A frame without memory: W without R, a misconfiguration. */
	cr_assert_eq(be->ops->mmio(be, &vcpu, BASE - 1), 0);
	entry = entry_of(BASE - 1);
	cr_assert_eq(*entry & (R | W | X), W | X);
	cr_assert_eq(be->ops->mmio(be, &vcpu, BIT(36)), -ERANGE);

	/* Nothing is mapped: nothing the CPU would follow. */
	cr_assert_eq(*entry_of(BASE - 2), BIT(63));
	close_it();
}

/*
 * Entries as numbers, put together by hand from 29.3.2: of them all but what
 * software may have for itself, bits 11 and 62:52. 0x137 is A, WB and R W X; 63
 * suppresses #VE.
 */
#define HARDWARE UINT64_C(0x800ffffffffff7ff)

static const struct entry_case {
	const char *what;
	uint32_t flags;
	enum gln_ept_mode mode;
	struct gln_host_page page;
	uint32_t access;
	bool is_logged;
	uint64_t entry;
} entries[] = {
	{"page",
	 0,
	 0,
	 {.hpa = 0x989abcdef1000, .order = 12, .is_writable = true},
	 WRITE,
	 false,
	 0x800989abcdef1137},
	/* bit 7 */
	{"2M block",
	 0,
	 0,
	 {.hpa = 0x989abcde00000, .order = 21, .is_writable = true},
	 WRITE,
	 false,
	 0x800989abcde001b7},
	{"1G block",
	 0,
	 0,
	 {.hpa = 0x989abc0000000, .order = 30, .is_writable = true},
	 WRITE,
	 false,
	 0x800989abc00001b7},
	/* UC is 0 */
	{"device",
	 0,
	 0,
	 {.hpa = 0x989abcdef1000,
	  .order = 12,
	  .is_writable = true,
	  .type = GLN_MEMORY_DEVICE},
	 WRITE,
	 false,
	 0x800989abcdef1107},
	{"the host's page is read-only",
	 0,
	 0,
	 {.hpa = 0x989abcdef1000, .order = 12},
	 READ,
	 false,
	 0x800989abcdef1135},
	{"protected for the log",
	 0,
	 0,
	 {.hpa = 0x989abcdef1000, .order = 12, .is_writable = true},
	 READ,
	 true,
	 0x800989abcdef1135},
	/* W without D (bit 9) */
	{"for the CPU to log",
	 0,
	 GLN_EPT_PML,
	 {.hpa = 0x989abcdef1000, .order = 12, .is_writable = true},
	 READ,
	 true,
	 0x800989abcdef1137},
	{"without A and D",
	 GLN_EPT_NO_AD,
	 0,
	 {.hpa = 0x989abcdef1000, .order = 12, .is_writable = true},
	 WRITE,
	 false,
	 0x800989abcdef1037},
};

Test(ept, a_leaf_is_the_manuals_number)
{
	for (const struct entry_case *c = entries; c < ARRAY_END(entries);
	     c++) {
		uint64_t got;

		open_as(4, c->mode, c->flags);
		be->ops->detach(be, &slot);
		slot.base = UINT64_C(1) << 18;
		slot.nr_pages = UINT64_C(1) << 18;
		cr_assert_eq(be->ops->attach(be, &slot), 0);
		host_page = c->page;
		cr_assert_eq(fault_at(slot.base, c->access, c->is_logged, NULL),
			     GLN_FAULT_MAPPED);
		got = *entry_of(slot.base) & HARDWARE;
		cr_assert_eq(got, c->entry, "%s: %#" PRIx64, c->what, got);
		close_it();
	}
}

/* A machine whose memory begins where no address of a process ends. */
#define FAR UINT64_C(0x0009000000000000)

static uint64_t far_phys_of(void *ctx, const void *at)
{
	(void)ctx;
	return FAR + (uintptr_t)at;
}

static void *far_memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	return (void *)(uintptr_t)(hpa - FAR);
}

/* Follow @hpa, which is of a table and must be nothing more. */
static uint64_t *far_table(uint64_t hpa, uint64_t rest)
{
	const uint64_t in_process = UINT64_C(0x00007ffffffff000);

	cr_assert_eq(hpa & HARDWARE & ~in_process, FAR | rest, "%#" PRIx64,
		     hpa);
	return (uint64_t *)(uintptr_t)(hpa & in_process);
}

Test(ept, a_table_is_named_by_the_manuals_number)
{
	static const struct gln_mmu_host far_host = {
		.translate = translate,
		.phys_of = far_phys_of,
		.memory_at = far_memory_at,
	};
	struct gln_ept_params params = params_of(4, 0, 0);
	uint64_t *table;

	params.host = &far_host;
	open_with(&params);
	cr_assert_eq(fault_at(BASE, WRITE, false, NULL), GLN_FAULT_MAPPED);
	table = far_table(gln_ept_eptp(be), 0x5e);
	/* R W X, and nothing else: A comes from the CPU. */
	for (int i = 0; i < 3; i++)
		table = far_table(table[0], 0x7);
	cr_assert_eq(table[BASE] & HARDWARE, 0x8000010000005137);
	close_it();
}

/* The host moved a page that was read-only; of the old one nothing may stay. */
Test(ept, a_page_is_flushed_before_another_stands_there)
{
	bool to_mark = false;

	open_as(4, GLN_EPT_WRITE_PROTECT, GLN_EPT_NO_BLOCKS);
	host_page = (struct gln_host_page){.hpa = 0x123456000, .order = 12};
	cr_assert_eq(fault_at(BASE, READ, true, NULL), GLN_FAULT_MAPPED);
	cr_assert_eq(*entry_of(BASE) & HARDWARE, 0x8000000123456135);
	cr_assert_eq(nr_invepts, 0);

	watched = entry_of(BASE);
	host_page.hpa = 0x234567000;
	host_page.is_writable = true;
	cr_assert_eq(fault_at(BASE, WRITE, true, &to_mark), GLN_FAULT_MAPPED);
	cr_assert(to_mark);
	cr_assert_eq(nr_invepts, 1);
	cr_assert_eq(invept_saw & (R | W | X), 0, "%#" PRIx64, invept_saw);
	cr_assert_eq(*watched & HARDWARE, 0x8000000234567137);
	watched = NULL;
	close_it();
}

Test(ept, without_ad_bits_no_entry_has_them)
{
	uint64_t nr_young = 0;

	open_as(4, GLN_EPT_WRITE_PROTECT, GLN_EPT_NO_AD | GLN_EPT_NO_BLOCKS);
	cr_assert_eq(fault_at(BASE, WRITE, false, NULL), GLN_FAULT_MAPPED);
	cr_assert_eq(*entry_of(BASE) & (A | D), 0);
	be->ops->age(be, &slot, (struct gln_range){BASE, NR_PAGES}, &nr_young);
	cr_assert_eq(nr_young, 0);
	close_it();
}

Test(ept, every_flush_is_of_the_whole_context)
{
	const struct gln_flush flush = {
		.nr_pages = 1, .nr_ranges = 1, .ranges = {{BASE, 1}}};

	open_as(5, GLN_EPT_WRITE_PROTECT, 0);
	cr_assert_eq(be->ops->flush(be, &slot, &flush), 0);
	cr_assert_eq(nr_invepts, 1);
	cr_assert_eq(last_eptp, gln_ept_eptp(be));
	be->ops->unmap(be, &slot, (struct gln_range){BASE, 1});
	cr_assert_eq(nr_invepts, 2);
	/* Of a table without a single entry: an entry proves nothing. */
	cr_assert_eq(be->ops->log_start(be, &slot, 0), 0);
	cr_assert_eq(nr_invepts, 3);
	/* What only adds rights needs none. */
	cr_assert_eq(fault_at(BASE, READ, true, NULL), GLN_FAULT_MAPPED);
	cr_assert_eq(fault_at(BASE, WRITE, true, NULL), GLN_FAULT_RELAXED);
	cr_assert_eq(nr_invepts, 3);
	be->ops->log_stop(be, &slot);
	close_it();
}

Test(ept, a_logged_page_is_writable_and_clean_where_the_cpu_logs)
{
	bool to_mark = true;

	open_as(4, GLN_EPT_PML, 0);
	cr_assert_eq(be->ops->log_start(be, &slot, 0), 0);
	cr_assert_eq(fault_at(BASE, WRITE, true, &to_mark), GLN_FAULT_MAPPED);
	cr_assert_not(to_mark);
	cr_assert_eq(*entry_of(BASE) & (R | W | D | LARGE), R | W);
	*entry_of(BASE) |= D;
	be->ops->protect(be, &slot, &(struct gln_range){BASE, 1}, 1);
	cr_assert_eq(*entry_of(BASE) & (R | W | D), R | W);
	be->ops->log_stop(be, &slot);
	close_it();
}

static void fill(struct gln_ept_pml *pml, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pml->log[511 - i] = (UINT64_C(1000) + i) << 12;
	pml->index = (uint16_t)(511 - nr);
}

static void require_drained(unsigned int nr)
{
	const struct gln_ept_pml *const pml = gln_ept_pml(be, 7);

	nr_marks = 0;
	be->ops->exited(be, &vcpu);
	cr_assert_eq(nr_marks, nr);
	for (unsigned int i = 0; i < nr; i++)
		require(marks[i] == 1000 + i, "mark %u is %" PRIu64, i,
			marks[i]);
	cr_assert_eq(pml->index, 511);
	nr_marks = 0;
	be->ops->exited(be, &vcpu);
	cr_assert_eq(nr_marks, 0);
}

Test(ept, a_log_is_drained_in_the_order_the_cpu_wrote_it)
{
	static const unsigned int counts[] = {0, 1, 2, 255, 511, 512};
	struct gln_ept_pml *pml;

	open_as(4, GLN_EPT_PML, 0);
	pml = gln_ept_pml(be, 7);
	cr_assert_not_null(pml);
	cr_assert_eq((uintptr_t)pml->log % 4096, 0);
	cr_assert_eq(pml->index, 511);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		fill(pml, counts[i]);
		require_drained(counts[i]);
	}
	close_it();
}

Test(ept, any_index_and_any_address_in_a_log_is_bounded)
{
	struct gln_ept_pml *pml;

	open_as(4, GLN_EPT_PML, 0);
	pml = gln_ept_pml(be, 7);
	for (uint32_t index = 0; index <= UINT16_MAX; index++) {
		const unsigned int nr = index < 512 ? 511 - index : 512;

		pml->index = (uint16_t)index;
		nr_marks = 0;
		be->ops->exited(be, &vcpu);
		require(nr_marks == nr, "index %u: %zu marks", index, nr_marks);
		require(pml->index == 511, "index %u", index);
	}
	for (unsigned int i = 0; i < 512; i++)
		pml->log[i] = UINT64_MAX - i;
	pml->index = UINT16_MAX;
	nr_marks = 0;
	be->ops->exited(be, &vcpu);
	cr_assert_eq(nr_marks, 512);
	for (unsigned int i = 0; i < 512; i++)
		cr_assert_leq(marks[i], UINT64_MAX >> 12);
	close_it();
}

Test(ept, what_a_cpu_logged_is_marked_before_its_vcpu_goes)
{
	open_as(4, GLN_EPT_PML, 0);
	fill(gln_ept_pml(be, 7), 3);
	be->ops->vcpu_detach(be, &vcpu);
	cr_assert_eq(nr_marks, 3);
	cr_assert_null(gln_ept_pml(be, 7));
	cr_assert_eq(be->ops->vcpu_attach(be, &vcpu), 0);
	close_it();
}

Test(ept, cpus_log_as_long_as_a_slot_is_logged)
{
	struct gln_backend_slot second;
	struct gln_ept_pml *pml;

	open_as(4, GLN_EPT_PML, 0);
	second = slot;
	second.base = BASE + NR_PAGES;
	pml = gln_ept_pml(be, 7);
	cr_assert_not(pml->is_enabled);
	cr_assert_eq(be->ops->log_start(be, &slot, 0), 0);
	/* Everybody leaves the guest, and comes back with it enabled. */
	cr_assert_eq(nr_kicks, 1);
	be->ops->exited(be, &vcpu);
	cr_assert(pml->is_enabled);
	cr_assert_eq(be->ops->log_start(be, &second, 0), 0);
	be->ops->log_stop(be, &slot);
	be->ops->exited(be, &vcpu);
	cr_assert(pml->is_enabled);

	/* One that comes meanwhile logs from the start. */
	be->ops->vcpu_detach(be, &vcpu);
	cr_assert_eq(be->ops->vcpu_attach(be, &vcpu), 0);
	cr_assert(gln_ept_pml(be, 7)->is_enabled);

	be->ops->log_stop(be, &second);
	be->ops->exited(be, &vcpu);
	cr_assert_not(gln_ept_pml(be, 7)->is_enabled);
	nr_kicks = 0;
	cr_assert_eq(
		be->ops->collect(be, &slot, (struct gln_range){BASE, NR_PAGES}),
		0);
	cr_assert_eq(nr_kicks, 1);
	close_it();
}

Test(ept, a_log_is_found_by_its_vcpu)
{
	struct gln_backend_vcpu others[3];

	open_as(4, GLN_EPT_PML, 0);
	for (uint32_t i = 0; i < 3; i++) {
		others[i] = vcpu;
		others[i].id = i;
		cr_assert_eq(be->ops->vcpu_attach(be, &others[i]), 0);
	}
	cr_assert_null(gln_ept_pml(be, 3));
	cr_assert_neq(gln_ept_pml(be, 0), gln_ept_pml(be, 2));
	/* From the middle, the start and the end of the list. */
	be->ops->vcpu_detach(be, &others[1]);
	cr_assert_null(gln_ept_pml(be, 1));
	cr_assert_not_null(gln_ept_pml(be, 0));
	be->ops->vcpu_detach(be, &others[2]);
	be->ops->vcpu_detach(be, &others[0]);
	cr_assert_null(gln_ept_pml(be, 0));
	cr_assert_not_null(gln_ept_pml(be, 7));
	close_it();

	open_as(4, GLN_EPT_WRITE_PROTECT, 0);
	cr_assert_null(gln_ept_pml(be, 7)->log);
	close_it();
}

Test(ept, the_qualification_says_what_was_tried)
{
	/* SDM table 28-7: bits 2:0 the access, 5:3 what the entry allowed. */
	for (uint64_t access = 0; access < 8; access++) {
		const uint32_t expected = (access & 1 ? GLN_ACCESS_READ : 0) |
					  (access & 2 ? GLN_ACCESS_WRITE : 0) |
					  (access & 4 ? GLN_ACCESS_EXEC : 0);

		cr_assert_eq(gln_ept_access(access), expected);
		cr_assert_eq(gln_ept_access(access | ~UINT64_C(7)), expected);
	}
}

Test(ept, wrong_parameters_are_refused_and_nothing_is_made)
{
	static const struct gln_mmu_host no_kick = {.translate = translate};
	struct gln_ept_params bad[] = {
		params_of(3, 0, 0),
		params_of(6, 0, 0),
		params_of(UINT32_MAX, 0, 0),
		params_of(4, (enum gln_ept_mode)2, 0),
		params_of(4, (enum gln_ept_mode)0x7fffffff, 0),
		params_of(4, 0, 1U << 3),
		params_of(4, 0, 1U << 31),
		params_of(4, GLN_EPT_PML, GLN_EPT_NO_AD),
		params_of(4, GLN_EPT_PML, 0), /* no host */
		params_of(4, GLN_EPT_PML, 0), /* no kick */
		params_of(4, 0, 0),	      /* no invept */
		params_of(4, 0, 0),	      /* sizes */
		params_of(4, 0, 0),
		params_of(4, 0, 0),
		params_of(4, 0, 0),
		params_of(4, 0, 0), /* half an allocator */
	};
	struct gln_allocator half;
	struct gln_backend *const untouched = (struct gln_backend *)&bad;
	struct gln_backend *made = untouched;

	fake_allocator_init(&memory);
	half = memory.allocator;
	half.free = NULL;
	bad[8].host = NULL;
	bad[9].host = &no_kick;
	bad[10].invept = NULL;
	bad[11].struct_bytes = 0;
	bad[12].struct_bytes = sizeof(size_t) - 1;
	bad[13].struct_bytes = sizeof(struct gln_ept_params) + 1;
	bad[14].struct_bytes = SIZE_MAX;
	bad[15].allocator = &half;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(gln_ept_create(&bad[i], &made), -EINVAL,
			     "case %zu", i);
		cr_assert_eq(made, untouched);
		cr_assert_eq(memory.nr_calls, 0);
	}
}

Test(ept, no_memory_anywhere_leaves_things_as_they_were)
{
	const struct gln_ept_params params = params_of(4, GLN_EPT_PML, 0);
	struct gln_backend *const untouched = (struct gln_backend *)&slot;
	struct gln_backend_vcpu late = {.id = 8, .mark = vcpu_mark};
	int err;

	for (uint64_t fail_at = 1;; fail_at++) {
		be = untouched;
		fake_allocator_init(&memory);
		memory.fail_at = fail_at;
		err = gln_ept_create(&params, &be);
		if (!err)
			break;
		cr_assert_eq(err, -ENOMEM);
		cr_assert_eq(be, untouched);
		cr_assert_eq(memory.nr_live, 0);
		cr_assert_leq(fail_at, 8);
	}
	memory.fail_at = 0;
	gln_ept_destroy(be);

	open_as(4, GLN_EPT_PML, 0);
	for (uint64_t fail_at = 1;; fail_at++) {
		const size_t nr_live = memory.nr_live;

		memory.fail_at = fail_at;
		err = be->ops->vcpu_attach(be, &late);
		if (!err)
			break;
		cr_assert_eq(err, -ENOMEM);
		cr_assert_eq(memory.nr_live, nr_live);
		cr_assert_null(gln_ept_pml(be, 8));
	}
	for (uint64_t fail_at = 1; fail_at < 4; fail_at++) {
		memory.fail_at = fail_at;
		cr_assert_eq(be->ops->topup(be, &late), -ENOMEM);
	}
	/* What it got is kept, and the next call adds to it. */
	memory.fail_at = 0;
	cr_assert_eq(be->ops->topup(be, &late), 0);
	be->ops->vcpu_detach(be, &late);
	close_it();
}

Test(ept, in_steady_state_nothing_is_allocated)
{
	const struct gln_range all = {BASE, NR_PAGES};
	const struct gln_flush flush = {.whole_slot = true};
	uint64_t nr_young = 0;

	for (int mode = 0; mode < 2; mode++) {
		open_as(4, (enum gln_ept_mode)mode, 0);
		cr_assert_eq(be->ops->log_start(be, &slot, 0), 0);
		for (gln_gfn gfn = BASE; gfn < BASE + NR_PAGES; gfn++)
			fault_at(gfn, WRITE, true, NULL);
		memory.fail_at = 1;
		for (int round = 0; round < 3; round++) {
			be->ops->protect(be, &slot, &all, 1);
			if (be->ops->collect)
				be->ops->collect(be, &slot, all);
			be->ops->flush(be, &slot, &flush);
			be->ops->age(be, &slot, all, &nr_young);
			for (gln_gfn gfn = BASE; gfn < BASE + NR_PAGES; gfn++)
				fault_at(gfn, WRITE, true, NULL);
			if (be->ops->exited)
				be->ops->exited(be, &vcpu);
		}
		cr_assert_eq(memory.fail_at, 1);
		memory.fail_at = 0;
		be->ops->log_stop(be, &slot);
		close_it();
	}
}

Test(ept, an_eager_split_is_done_when_the_log_starts)
{
	open_as(4, GLN_EPT_WRITE_PROTECT, GLN_EPT_EAGER_SPLIT);
	be->ops->detach(be, &slot);
	slot.base = 512;
	slot.nr_pages = 512;
	cr_assert_eq(be->ops->attach(be, &slot), 0);
	cr_assert_eq(fault_at(600, WRITE, false, NULL), GLN_FAULT_MAPPED);
	cr_assert_eq(*entry_of(600) & (LARGE | W), LARGE | W);
	cr_assert_eq(be->ops->log_start(be, &slot, 0), 0);
	for (gln_gfn gfn = 512; gfn < 1024; gfn++)
		require((*entry_of(gfn) & (R | W | LARGE)) == R, "gfn %" PRIu64,
			gfn);
	be->ops->log_stop(be, &slot);
	cr_assert_eq(*entry_of(600) & (LARGE | W), LARGE | W);
	close_it();
}
