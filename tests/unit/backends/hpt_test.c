/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_test.c - the book3s_hv backend under a VM: its table, its LPID, its host,
 * the real-mode area.
 *
 * G10; H-50 to H-56, H-58, H-78, H-83 to H-85, H-90.
 */
#include <glean/glean.h>
#include <glean/hpt.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "backends/book3s_hv/book3s_hv.h"
#include "core/hpt/resize.h"
#include "tests/support/fake_allocator.h"
#include "tests/unit/require.h"

enum {
	LOG = 64,
	PAGE_SHIFT = 12,
	RAM_PAGES = 1 << 10,
};

/**
 * struct picky - an allocator that has no tables of some orders.
 *
 * @refused:	bit n: no block of 2^n bytes.
 */
struct picky {
	struct fake_allocator fake;
	uint64_t refused;
};

/** struct told - what the embedder was told. */
struct told {
	unsigned int nr_words;
	uint64_t words[LOG];
	unsigned int nr_flushes;
	uint32_t lpid;
	uint64_t nr_tlbies;
	/* Of the machine under it. */
	unsigned int host_order;
	uint64_t hpa_base;
	uint64_t phys_offset;
};

static struct picky memory;
static struct told told;
static struct gln_backend *backend;
static struct gln_vm *vm;
static struct gln_vcpu *vcpu;

static void *picky_alloc(void *ctx, size_t bytes)
{
	struct picky *const picky = ctx;

	if (!(bytes & (bytes - 1)) &&
	    (picky->refused & bytes)) /* bit n is 2^n */
		return NULL;
	return picky->fake.allocator.alloc(picky->fake.allocator.ctx, bytes);
}

static void picky_free(void *ctx, void *block, size_t bytes)
{
	struct picky *const picky = ctx;

	picky->fake.allocator.free(picky->fake.allocator.ctx, block, bytes);
}

static const struct gln_allocator from_memory = {
	.alloc = picky_alloc,
	.free = picky_free,
	.ctx = &memory,
};

/* Refuse tables of @first to @last, both included. */
static void refuse(unsigned int first, unsigned int last)
{
	memory.refused = 0;
	for (unsigned int order = first; order <= last; order++)
		memory.refused |= UINT64_C(1) << order;
}

static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)ctx;
	(void)ops;
	told.nr_tlbies += nr;
}

static void flush_all(void *ctx, uint32_t lpid)
{
	(void)ctx;
	told.nr_flushes++;
	told.lpid = lpid;
}

static void set_table(void *ctx, uint64_t word)
{
	(void)ctx;
	require(told.nr_words < LOG, "too many words");
	told.words[told.nr_words++] = word;
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	(void)ctx;
	(void)access;
	page->hpa = told.hpa_base + (gfn << slot->page_shift);
	page->order = told.host_order;
	page->is_writable = true;
	page->type = GLN_MEMORY_NORMAL;
	return 0;
}

static uint64_t phys_of(void *ctx, const void *at)
{
	(void)ctx;
	return (uintptr_t)at + told.phys_offset;
}

static const struct gln_mmu_host machine = {
	.translate = translate,
	.phys_of = phys_of,
};

static const struct gln_hpt_params plain = {
	.struct_bytes = sizeof(plain),
	.host = &machine,
	.allocator = &from_memory,
	.tlbie = tlbie,
	.flush_all = flush_all,
	.set_table = set_table,
};

static void reset_world(void)
{
	fake_allocator_init(&memory.fake);
	memory.refused = 0;
	told = (struct told){.host_order = 12, .hpa_base = 1ULL << 40};
}

static void start(const struct gln_hpt_params *params, unsigned int page_shift)
{
	struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.page_shift = page_shift,
	};

	cr_assert_eq(gln_hpt_create(params, &backend), 0);
	vm_params.backend = backend;
	cr_assert_eq(gln_vm_create(&vm_params, &vm), 0);
	cr_assert_eq(gln_vcpu_register(vm, 0, &vcpu), 0);
}

static void add_slot(uint32_t id, gln_gfn base, uint64_t nr_pages)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = id,
		.base = base,
		.nr_pages = nr_pages,
	};
	const int err = gln_slot_add(vm, &params);

	require(!err, "slot %" PRIu32 ": %d", id, err);
}

static void stop(void)
{
	gln_vcpu_unregister(vcpu);
	cr_assert_eq(gln_vm_destroy(vm), 0);
	gln_hpt_destroy(backend);
	cr_assert_eq(memory.fake.nr_live, 0, "memory was leaked");
}

static void setup(void)
{
	reset_world();
	start(&plain, 0);
	add_slot(0, 0, RAM_PAGES);
}

static void teardown(void)
{
	stop();
}

static int allocate(uint32_t order)
{
	const uint32_t wanted = order;
	const int err = gln_hpt_allocate(vm, &order);

	cr_assert_eq(order, wanted, "the size asked for, or an error (H-53)");
	return err;
}

static struct gln_hpt_stats stats(void)
{
	struct gln_hpt_stats figures = {.struct_bytes = sizeof(figures)};

	cr_assert_eq(gln_hpt_stats(vm, &figures), 0);
	return figures;
}

static uint64_t order_of_table(void)
{
	return stats().order;
}

static const struct hpt *table(void)
{
	return hpt_table(hpt_mmu_of(backend));
}

/* The rules of core/hpt hold. */
static void check(void)
{
	const char *why = "";
	const int err = gln_hpt_check(vm, &why);

	cr_assert_eq(err, 0, "%s", why);
}

static struct gln_hpte read_entry(uint64_t index)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, index};

	require(gln_hcall(vcpu, GLN_H_READ, args, args) == GLN_H_SUCCESS,
		"no entry %" PRIu64, index);
	return (struct gln_hpte){args[0], args[1]};
}

/* An entry of 4 KiB for guest page @page; where it went. */
static uint64_t enter_page(uint64_t page)
{
	uint64_t args[GLN_HCALL_ARGS] = {
		0,
		(page * GLN_HPT_GROUP_ENTRIES) & (table()->nr_entries - 1),
		GLN_HPTE_V_VALID | page << 7,
		page << PAGE_SHIFT | GLN_HPTE_R_M | 2,
	};

	require(gln_hcall(vcpu, GLN_H_ENTER, args, args) == GLN_H_SUCCESS,
		"page %" PRIu64, page);
	return args[0];
}

/* Parameters. */

Test(create, parameters_are_checked)
{
	struct gln_backend *const untouched = (void *)&told;
	struct gln_hpt_params params;

	reset_world();
	backend = untouched;
#define REFUSED(change)                                                   \
	do {                                                              \
		params = plain;                                           \
		change;                                                   \
		cr_assert_eq(gln_hpt_create(&params, &backend), -EINVAL); \
		cr_assert_eq(backend, untouched);                         \
	} while (0)
	REFUSED(params.struct_bytes = 4);
	REFUSED(params.struct_bytes = sizeof(params) + 1);
	REFUSED(params.isa = 2);
	REFUSED(params.flags = 2);
	REFUSED(params.default_order = 17);
	REFUSED(params.default_order = 47);
	REFUSED(params.tlbie = NULL);
	REFUSED(params.flush_all = NULL);
	REFUSED(params.allocator = &(struct gln_allocator){.ctx = NULL});
#undef REFUSED
	memory.fake.fail_at = 1;
	cr_assert_eq(gln_hpt_create(&plain, &backend), -ENOMEM);
	cr_assert_eq(backend, untouched);
	cr_assert_eq(memory.fake.nr_live, 0);
}

/* The table of who names no order. */

FixtureTest(fallback, the_first_entry_makes_a_table_of_order_24)
{
	const uint64_t bytes = UINT64_C(1) << 24;
	uint64_t word;

	cr_assert_eq(gln_hpt_table_word(backend), 0);
	cr_assert_eq(told.nr_words, 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	word = gln_hpt_table_word(backend);
	cr_assert_eq(word % bytes, 24 - 18, "aligned to its size");
	cr_assert_eq(word - (24 - 18), (uintptr_t)table()->entries);
	cr_assert_eq(told.nr_words, 1);
	cr_assert_eq(told.words[0], word);
	cr_assert_eq(told.nr_flushes, 1);
	cr_assert_eq(told.lpid, 1);
	cr_assert_eq(gln_hpt_lpid(backend), 1);

	cr_assert_eq(stats().order, 24);
	cr_assert_eq(stats().table_bytes, bytes);
	cr_assert_eq(stats().revmap_bytes, bytes, "twice the table in all");
	cr_assert_eq(stats().rmap_bytes, RAM_PAGES * 8);
	cr_assert_eq(stats().flushes, 1);
	gln_vcpu_leave(vcpu);
	check();
}

Test(fallback, an_order_that_is_missing_is_followed_by_the_next_down_to_18)
{
	for (unsigned int got = 24; got >= 18; got--) {
		setup();
		refuse(got + 1, 24);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0, "order %u", got);
		cr_assert_eq(order_of_table(), got);
		cr_assert_eq(gln_hpt_table_word(backend) &
				     ((UINT64_C(1) << got) - 1),
			     got - 18);
		cr_assert_eq(table()->group_mask,
			     (UINT64_C(1) << (got - 7)) - 1, "H-90");
		stop();
	}
}

FixtureTest(fallback, without_even_the_smallest_nobody_enters)
{
	refuse(18, 24);
	cr_assert_eq(gln_vcpu_enter(vcpu), -ENOMEM);
	cr_assert_not(gln_vcpu_may_run(vcpu));
	cr_assert_eq(gln_hpt_table_word(backend), 0);
	cr_assert_eq(told.nr_words, 0);
	refuse(1, 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0, "it is tried again");
}

Test(fallback, another_default_is_where_it_begins)
{
	struct gln_hpt_params params = plain;

	reset_world();
	params.default_order = 18;
	start(&params, 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 18);
	stop();
}

Test(fallback, an_order_that_cannot_tell_all_pages_is_left_out)
{
	struct gln_hpt_params params = plain;

	reset_world();
	/* Order 40 leaves 46 bits, order 39 the 48 there are. */
	params.default_order = 40;
	start(&params, 0);
	add_slot(0, UINT64_C(1) << 46, 1);
	refuse(25, 39);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 24);
	stop();
}

/* A host with tables allocated beforehand. */

static struct gln_hpt_host *new_host(uint32_t nr_lpids, uint32_t nr_tables,
				     unsigned int order)
{
	const struct gln_hpt_host_params params = {
		.struct_bytes = sizeof(params),
		.nr_lpids = nr_lpids,
		.nr_tables = nr_tables,
		.order = order,
		.allocator = &from_memory,
	};
	struct gln_hpt_host *host = NULL;

	cr_assert_eq(gln_hpt_host_create(&params, &host), 0);
	return host;
}

static void start_with(struct gln_hpt_host *host)
{
	struct gln_hpt_params params = plain;

	params.hpt_host = host;
	start(&params, 0);
	add_slot(0, 0, RAM_PAGES);
}

static void stop_with(struct gln_hpt_host *host)
{
	gln_vcpu_unregister(vcpu);
	cr_assert_eq(gln_vm_destroy(vm), 0);
	gln_hpt_destroy(backend);
	gln_hpt_host_destroy(host);
	cr_assert_eq(memory.fake.nr_live, 0, "memory was leaked");
}

Test(pool, the_default_order_comes_before_it)
{
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(0, 1, 20);
	start_with(host);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 24);
	cr_assert_eq(host->pool.nr_spares, 1);
	stop_with(host);
}

Test(pool, it_comes_before_smaller_ones_with_an_order_of_its_own)
{
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(0, 1, 20);
	refuse(24, 24);
	start_with(host);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 20);
	cr_assert_eq(host->pool.nr_spares, 0);
	cr_assert_eq(table()->pool, &host->pool);

	/* It goes back for another order, and comes again, empty. */
	enter_page(3);
	gln_vcpu_leave(vcpu);
	cr_assert_eq(allocate(19), 0);
	cr_assert_eq(host->pool.nr_spares, 1);
	stop_with(host);
}

Test(pool, a_table_that_was_used_comes_empty)
{
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(0, 1, 20);
	refuse(24, 24);
	for (int round = 0; round < 2; round++) {
		start_with(host);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		cr_assert_eq(host->pool.nr_spares, 0);
		for (uint64_t i = 0; i < table()->nr_entries; i++)
			require(!hpte_v(&table()->entries[i]), "entry %" PRIu64,
				i);
		enter_page(1);
		gln_vcpu_leave(vcpu);
		check();
		if (round)
			break;
		gln_vcpu_unregister(vcpu);
		cr_assert_eq(gln_vm_destroy(vm), 0);
		gln_hpt_destroy(backend);
		cr_assert_eq(host->pool.nr_spares, 1);
	}
	stop_with(host);
}

Test(pool, an_empty_one_is_passed_over)
{
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(0, 0, 20);
	refuse(22, 24);
	start_with(host);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 21);
	stop_with(host);
}

Test(pool, who_names_an_order_does_not_get_one_from_it)
{
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(0, 1, 20);
	start_with(host);
	refuse(20, 20);
	cr_assert_eq(allocate(20), -ENOMEM);
	cr_assert_eq(host->pool.nr_spares, 1);
	stop_with(host);
}

Test(pool, its_parameters_are_checked_and_all_of_it_is_made_or_nothing)
{
	struct gln_hpt_host_params params = {
		.struct_bytes = sizeof(params),
		.nr_tables = 3,
		.order = 18,
		.allocator = &from_memory,
	};
	struct gln_hpt_host *host = NULL;
	uint64_t nth = 0;
	int err;

	reset_world();
	params.order = 17;
	cr_assert_eq(gln_hpt_host_create(&params, &host), -EINVAL);
	params.order = 47;
	cr_assert_eq(gln_hpt_host_create(&params, &host), -EINVAL);
	params.order = 18;
	params.nr_lpids = 1;
	cr_assert_eq(gln_hpt_host_create(&params, &host), -EINVAL);
	params.nr_lpids = 2;
	params.struct_bytes = 3;
	cr_assert_eq(gln_hpt_host_create(&params, &host), -EINVAL);
	params.struct_bytes = sizeof(params);

	do {
		memory.fake.fail_at = ++nth;
		err = gln_hpt_host_create(&params, &host);
		cr_assert(!err || (err == -ENOMEM && !host));
		cr_assert(!err || memory.fake.nr_live == 0, "%" PRIu64, nth);
	} while (err);
	cr_assert_eq(nth, 6, "host, bitmap, three tables");
	memory.fake.fail_at = 0;
	gln_hpt_host_destroy(host);
	cr_assert_eq(memory.fake.nr_live, 0);
}

/* Partition ids. */

Test(lpid, ids_run_out_and_come_back)
{
	enum { NR = 131 };
	struct gln_backend *backends[NR] = {NULL};
	struct gln_backend *const untouched = (void *)&told;
	struct gln_backend *one_more = untouched;
	struct gln_hpt_params params = plain;
	struct gln_hpt_host *host;

	reset_world();
	/* Ids 1 to 130: past two words. */
	host = new_host(NR, 0, 0);
	params.hpt_host = host;
	for (uint32_t i = 1; i < NR; i++) {
		cr_assert_eq(gln_hpt_create(&params, &backends[i]), 0);
		cr_assert_eq(gln_hpt_lpid(backends[i]), i);
	}
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(gln_hpt_create(&params, &one_more), -ENOSPC);
		cr_assert_eq(one_more, untouched);
	}
	gln_hpt_destroy(backends[64]);
	cr_assert_eq(gln_hpt_create(&params, &backends[64]), 0);
	cr_assert_eq(gln_hpt_lpid(backends[64]), 64);
	cr_assert_eq(gln_hpt_create(&params, &one_more), -ENOSPC);
	for (uint32_t i = 1; i < NR; i++)
		gln_hpt_destroy(backends[i]);
	gln_hpt_host_destroy(host);
	cr_assert_eq(memory.fake.nr_live, 0);
}

Test(lpid, a_failed_creation_takes_none)
{
	struct gln_hpt_params params = plain;
	struct gln_hpt_host *host;

	reset_world();
	host = new_host(2, 0, 0);
	params.hpt_host = host;
	memory.fake.fail_at = 1;
	cr_assert_eq(gln_hpt_create(&params, &backend), -ENOMEM);
	cr_assert_eq(gln_hpt_create(&params, &backend), 0);
	cr_assert_eq(gln_hpt_lpid(backend), 1);
	gln_hpt_destroy(backend);
	gln_hpt_host_destroy(host);
}

/* Allocation by order. */

FixtureTest(allocation, a_table_of_the_same_order_stays_and_is_empty)
{
	const uint64_t generation = gln_hpt_mmio_generation(vm);
	uint64_t word, index[3];

	cr_assert_eq(allocate(20), 0);
	word = gln_hpt_table_word(backend);
	cr_assert_eq(told.nr_flushes, 1);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	for (uint64_t i = 0; i < 3; i++)
		index[i] = enter_page(i);
	cr_assert_neq(read_entry(index[1]).v, 0);
	gln_vcpu_leave(vcpu);

	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_hpt_table_word(backend), word);
	cr_assert_eq(told.nr_flushes, 2);
	cr_assert_eq(told.nr_words, 2);
	cr_assert_eq(told.words[1], word);
	cr_assert_gt(gln_hpt_mmio_generation(vm), generation + 1);
	check();
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(read_entry(index[i]).v, 0);

	/* Chains begin anew: H-55. */
	for (uint64_t i = 0; i < 3; i++)
		enter_page(i);
	gln_vcpu_leave(vcpu);
	check();
}

FixtureTest(allocation, another_order_replaces_the_table)
{
	const size_t nr_live = memory.fake.nr_live;
	uint64_t bytes;

	for (uint32_t order = 18; order <= 25; order++) {
		cr_assert_eq(allocate(order), 0);
		cr_assert_eq(order_of_table(), order);
		cr_assert_eq(told.nr_words, order - 17);
		cr_assert_eq(told.words[order - 18],
			     gln_hpt_table_word(backend));
		cr_assert_eq(told.nr_flushes, order - 17);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		enter_page(order);
		gln_vcpu_leave(vcpu);
		check();
		cr_assert_eq(memory.fake.nr_live, nr_live + 3,
			     "one table, and what tells of it");
	}
	bytes = memory.fake.live_bytes;
	cr_assert_eq(allocate(18), 0);
	cr_assert_lt(memory.fake.live_bytes, bytes);
}

FixtureTest(allocation, when_it_fails_the_old_table_is_there_with_all_entries)
{
	uint64_t word, index;
	struct gln_hpte entry;

	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	index = enter_page(7);
	entry = read_entry(index);
	gln_vcpu_leave(vcpu);
	word = gln_hpt_table_word(backend);

	refuse(21, 21);
	cr_assert_eq(allocate(21), -ENOMEM);
	refuse(1, 0);
	for (uint64_t nth = 1; nth <= 3; nth++) {
		memory.fake.fail_at = nth;
		cr_assert_eq(allocate(21), -ENOMEM, "%" PRIu64, nth);
	}
	told.phys_offset = UINT64_C(1) << 20;
	cr_assert_eq(allocate(21), -ERANGE, "hardware would see it unaligned");
	told.phys_offset = 0;

	cr_assert_eq(gln_hpt_table_word(backend), word);
	cr_assert_eq(told.nr_words, 1);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(read_entry(index).v, entry.v);
	cr_assert_eq(read_entry(index).r, entry.r);
	gln_vcpu_leave(vcpu);
	check();
}

FixtureTest(allocation, without_a_table_a_failure_leaves_none)
{
	refuse(20, 20);
	cr_assert_eq(allocate(20), -ENOMEM);
	cr_assert_eq(gln_hpt_table_word(backend), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 24);
}

FixtureTest(allocation, a_slot_must_be_within_what_links_leave)
{
	/* 34 bits of pages with order 46, 36 with 45. */
	add_slot(1, (UINT64_C(1) << 34) - 1, 1);
	refuse(30, 63);
	cr_assert_eq(allocate(46), -ENOMEM);
	add_slot(2, UINT64_C(1) << 34, 1);
	cr_assert_eq(allocate(46), -ERANGE);
	cr_assert_eq(allocate(45), -ENOMEM);
	add_slot(3, (UINT64_C(1) << 36) - 1, 2);
	cr_assert_eq(allocate(45), -ERANGE);
}

FixtureTest(allocation, it_cancels_a_resize)
{
	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_hpt_resize_prepare(vm, 21, 0), GLN_HPT_RESIZE_WAIT_MS);
	while (gln_hpt_resize_work(vm, 100) == 1)
		;
	cr_assert_eq(gln_hpt_resize_prepare(vm, 21, 0), 0);
	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_hpt_resize_commit(vm, 21), -ENXIO);
	cr_assert_eq(order_of_table(), 20);
}

/* What hardware notes of a write: C, in the second byte from the end. */
static void write_by_hardware(uint64_t index)
{
	uint8_t *const bytes = (uint8_t *)&table()->entries[index];

	bytes[15] |= GLN_HPTE_R_C;
	bytes[14] |= GLN_HPTE_R_R >> 8;
}

static uint64_t nr_harvested(uint32_t id)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};
	struct gln_harvest *harvest;

	cr_assert_eq(gln_harvest_begin(vm, id, &params, &harvest), 0);
	cr_assert_eq(gln_harvest_report(harvest, &report), 0);
	gln_harvest_commit(harvest);
	return report.nr_pages;
}

/* A segment of 4 KiB pages in which enter_page() put them. */
#define SLB UINT64_C(0)

static void write_page(uint64_t page)
{
	const uint64_t ea = page << PAGE_SHIFT;
	const uint64_t group = gln_hpt_hash(SLB, ea) & table()->group_mask;
	uint64_t args[GLN_HCALL_ARGS] = {
		0,
		group * GLN_HPT_GROUP_ENTRIES,
		gln_hpt_vpn(SLB, ea) | GLN_HPTE_V_VALID,
		ea | GLN_HPTE_R_M | 2,
	};
	struct gln_hpt_fault fault = {
		.ea = ea,
		.slb = SLB,
		.access = GLN_ACCESS_WRITE,
	};
	int answer;

	require(gln_hcall(vcpu, GLN_H_ENTER, args, args) == GLN_H_SUCCESS,
		"page %" PRIu64, page);
	answer = gln_hpt_fault(vcpu, &fault);
	require(answer >= 0 && answer <= GLN_FAULT_RETRY, "fault: %d", answer);
	write_by_hardware(args[0]);
}

Test(allocation, what_was_written_is_in_the_log_before_the_table_is_gone)
{
	static const uint32_t orders[] = {20, 21};

	for (const uint32_t *o = orders; o < ARRAY_END(orders); o++) {
		setup();
		add_slot(1, RAM_PAGES, RAM_PAGES);
		cr_assert_eq(allocate(20), 0);
		cr_assert_eq(gln_log_enable(vm, 0, 0), 0);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		for (uint64_t page = 0; page < 10; page++)
			write_page(page * 3);
		write_page(RAM_PAGES + 1); /* nobody logs that one */
		gln_vcpu_leave(vcpu);
		cr_assert_eq(allocate(*o), 0);
		cr_assert_eq(nr_harvested(0), 10, "order %" PRIu32, *o);
		cr_assert_eq(nr_harvested(0), 0);
		check();
		stop();
	}
}

/* The real-mode area. */

#define VRMA_VSID UINT64_C(0x1ffffff)

static void start_vrma(unsigned int page_shift)
{
	struct gln_hpt_params params = plain;

	params.flags = GLN_HPT_VRMA;
	start(&params, page_shift);
}

/*
 * Where the entry for address @addr is, and what it is: by the formulas of ISA
 * 2.07 book III-S 5.7.7.3, spelt out.
 */
static uint64_t vrma_index(uint64_t addr, unsigned int shift)
{
	const uint64_t hash = VRMA_VSID ^ VRMA_VSID << 25 ^ addr >> shift;

	return (hash & table()->group_mask) * 8 + 7;
}

static struct gln_hpte vrma_entry(uint64_t addr, unsigned int shift)
{
	const uint64_t avpn = VRMA_VSID << 24 | addr >> 16;
	struct gln_hpte entry = {
		.v = UINT64_C(0x4000000000000000) | (avpn & ~UINT64_C(0x7f)) |
		     0x10 | 1,
		.r = addr | 0x190,
	};

	if (shift > 12)
		entry.v |= 4;
	if (shift == 16)
		entry.r |= 0x1000;
	return entry;
}

static uint64_t nr_used(void)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < table()->nr_entries; i++)
		nr += hpte_v(&table()->entries[i]) != 0;
	return nr;
}

/* All of [0, end) is mapped by pages of 2^@shift, and nothing else is. */
static void require_vrma(uint64_t end, unsigned int shift)
{
	for (uint64_t addr = 0; addr < end; addr += UINT64_C(1) << shift) {
		const struct gln_hpte want = vrma_entry(addr, shift);
		const struct gln_hpte got = read_entry(vrma_index(addr, shift));

		require(got.v == want.v && got.r == want.r,
			"%#" PRIx64 ": %#" PRIx64 " %#" PRIx64 ", not %#" PRIx64
			" %#" PRIx64,
			addr, got.v, got.r, want.v, want.r);
	}
	cr_assert_eq(nr_used(), end >> shift);
	cr_assert_eq(stats().full, 0, "no place was wanted twice");
}

Test(vrma, page_0_is_where_the_vector_says)
{
	struct gln_hpte entry;

	reset_world();
	start_vrma(0);
	add_slot(0, 0, RAM_PAGES);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(order_of_table(), 24);
	entry = read_entry(0xfffff);
	cr_assert_eq(entry.v, UINT64_C(0x4001ffffff000010) | GLN_HPTE_V_VALID);
	cr_assert_eq(entry.r, GLN_HPTE_R_R | GLN_HPTE_R_C | GLN_HPTE_R_M);
	require_vrma(RAM_PAGES << 12, 12);
	gln_vcpu_leave(vcpu);
	check();
	stop();
}

Test(vrma, its_pages_are_as_large_as_what_backs_address_0)
{
	static const struct {
		unsigned int host_order, slot_shift, want;
		uint64_t hpa_base;
	} cases[] = {
		{12, 26, 12, 0},       {15, 26, 12, 0}, {16, 26, 16, 0},
		{23, 26, 16, 0},       {24, 26, 24, 0}, {34, 26, 24, 0},
		{24, 20, 16, 0},       /* the slot is no multiple of 16 MiB */
		{24, 14, 12, 0},       /* nor of 64 KiB */
		{24, 26, 16, 1 << 16}, /* the host's address is not aligned */
		{24, 26, 12, 1 << 12},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reset_world();
		told.host_order = cases[i].host_order;
		told.hpa_base += cases[i].hpa_base;
		start_vrma(0);
		add_slot(0, 0, UINT64_C(1) << (cases[i].slot_shift - 12));
		cr_assert_eq(gln_vcpu_enter(vcpu), 0, "%zu", i);
		require_vrma(UINT64_C(1) << cases[i].slot_shift, cases[i].want);
		stop();
	}
}

Test(vrma, there_is_one_entry_a_group_at_most)
{
	reset_world();
	start_vrma(0);
	add_slot(0, 0, UINT64_C(1) << 14);
	cr_assert_eq(allocate(18), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	require_vrma(UINT64_C(2048) << 12, 12);
	for (uint64_t group = 0; group < 2048; group++)
		require(read_entry(group * 8 + 7).v, "group %" PRIu64, group);
	gln_vcpu_leave(vcpu);
	check();
	stop();
}

Test(vrma, it_ends_with_the_segment)
{
	reset_world();
	told.host_order = 24;
	told.hpa_base = 0;
	start_vrma(16);
	/* 1 TiB and 16 MiB. */
	add_slot(0, 0, (UINT64_C(1) << 24) + (UINT64_C(1) << 8));
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	require_vrma(UINT64_C(1) << 40, 24);
	stop();
}

Test(vrma, it_is_made_again_after_a_reset_and_in_another_table)
{
	static const uint32_t orders[] = {20, 20, 21, 18, 18};

	reset_world();
	start_vrma(0);
	add_slot(0, 0, RAM_PAGES);
	for (const uint32_t *o = orders; o < ARRAY_END(orders); o++) {
		cr_assert_eq(allocate(*o), 0);
		cr_assert_eq(nr_used(), 0);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		require_vrma(RAM_PAGES << 12, 12);
		enter_page(9);
		gln_vcpu_leave(vcpu);
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		cr_assert_eq(nr_used(), RAM_PAGES + 1);
		gln_vcpu_leave(vcpu);
		check();
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		cr_assert_eq(stats().full, 0, "made once only");
		gln_vcpu_leave(vcpu);
	}
	stop();
}

Test(vrma, without_memory_at_address_0_nobody_enters)
{
	reset_world();
	start_vrma(0);
	cr_assert_eq(gln_vcpu_enter(vcpu), -EINVAL);
	add_slot(0, 1, 1);
	cr_assert_eq(gln_vcpu_enter(vcpu), -EINVAL);
	cr_assert_not(gln_vcpu_may_run(vcpu));
	add_slot(1, 0, 1);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	require_vrma(UINT64_C(1) << 12, 12);
	stop();
}

Test(vrma, who_does_not_want_it_has_none)
{
	setup();
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(nr_used(), 0);
	stop();
}

/* Slots that go while the guest works with entries that map them (H-83). */

static atomic_bool is_over;

static void *enter_and_remove(void *unused)
{
	(void)unused;
	while (!is_over) {
		uint64_t args[GLN_HCALL_ARGS] = {0};

		args[1] = enter_page(RAM_PAGES + 3);
		args[0] = 0;
		args[2] = 0;
		require(gln_hcall(vcpu, GLN_H_REMOVE, args, args) ==
				GLN_H_SUCCESS,
			"it was just entered");
	}
	return NULL;
}

FixtureTest(slots, one_may_go_while_its_entries_are_used)
{
	pthread_t thread;

	cr_assert_eq(allocate(18), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(pthread_create(&thread, NULL, enter_and_remove, NULL), 0);
	for (int round = 0; round < 1000; round++) {
		add_slot(1, RAM_PAGES, RAM_PAGES);
		cr_assert_eq(gln_log_enable(vm, 1, 0), 0);
		cr_assert_eq(gln_slot_move(vm, 1, 2 * RAM_PAGES), 0);
		cr_assert_eq(gln_slot_move(vm, 1, RAM_PAGES), 0);
		cr_assert_eq(gln_slot_remove(vm, 1), 0);
	}
	is_over = true;
	pthread_join(thread, NULL);
	gln_vcpu_leave(vcpu);
	check();
}

FixtureTest(slots, one_that_is_logged_may_go_with_dirty_pages)
{
	cr_assert_eq(allocate(18), 0);
	cr_assert_eq(gln_log_enable(vm, 0, 0), 0);
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	write_page(3);
	cr_assert_eq(gln_slot_move(vm, 0, 5 * RAM_PAGES), 0);
	cr_assert_eq(nr_harvested(0), 1);
	cr_assert_eq(gln_slot_remove(vm, 0), 0);
	gln_vcpu_leave(vcpu);
	check();
	add_slot(0, 0, RAM_PAGES);
}
