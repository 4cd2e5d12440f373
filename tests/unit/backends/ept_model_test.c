/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ept_model_test.c - the modelled x86 CPU walks, remembers, forgets and logs as
 * the manual says. Tables are made by hand: no backend takes part.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glean/model.h>

#include "backends/x86_ept/entry.h"
#include "core/base/atomic.h"
#include "tests/unit/require.h"

enum {
	NR_TABLES = 64,
	NR_PAGES = 64,
	PAGE_BYTES = 4096,
	PAGE_WORDS = PAGE_BYTES / 8,
	EPTP_WB_4 = 6 | 3 << 3,
	EPTP_WB_5 = 6 | 4 << 3,
	EPTP_AD = 1 << 6,
	QUAL_ALWAYS = 1 << 7 | 1 << 8,
};

#define RWX  (EPT_READ | EPT_WRITE | EPT_EXEC)
#define LEAF (RWX | EPT_TYPE_WB | EPT_PRESENT)
#define HIGH (UINT64_C(1) << 51) /* addresses of memory that is not there */

/* The machine under test. Physical addresses with bit 51 all lead to @cell. */
static gln_word (*tables)[512];
static gln_word (*pages)[PAGE_WORDS];
static unsigned int nr_tables;
static gln_word cell;
static uint64_t cell_hpa;
static struct gln_model *model;
static struct gln_model_vcpu *vcpu[2];
static struct gln_ept_pml pml;
static uint64_t log_page[GLN_EPT_PML_ENTRIES];
static uint64_t eptp;
static unsigned int top;

static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	if (!(hpa & HIGH))
		return (void *)(uintptr_t)hpa;
	cell_hpa = hpa;
	return &cell;
}

static uint64_t new_table(void)
{
	cr_assert_lt(nr_tables, NR_TABLES);
	return (uint64_t)(uintptr_t)tables[nr_tables++];
}

static void make(uint64_t eptp_flags, unsigned int pause_permille)
{
	const struct gln_mmu_host host = {.memory_at = memory_at};
	const struct gln_model_params params = {
		.struct_bytes = sizeof(params),
		.seed = 7,
		.pause_permille = pause_permille,
		.host = &host,
	};

	nr_tables = 0;
	tables = aligned_alloc(PAGE_BYTES, sizeof(*tables) * NR_TABLES);
	pages = aligned_alloc(PAGE_BYTES, sizeof(*pages) * NR_PAGES);
	memset(tables, 0, sizeof(*tables) * NR_TABLES);
	memset(pages, 0, sizeof(*pages) * NR_PAGES);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		gln_store_relaxed(&pages[i][0], 100 + i);
	pml = (struct gln_ept_pml){.log = log_page, .index = 511};
	eptp = new_table() | eptp_flags;
	top = (eptp_flags >> 3 & 7);
	cr_assert_eq(gln_ept_model_create(&params, &model), 0);
	cr_assert_eq(gln_ept_model_set(model, eptp), 0);
	cr_assert_eq(gln_model_vcpu_create(model, 0, &pml, &vcpu[0]), 0);
	cr_assert_eq(gln_model_vcpu_create(model, 1, NULL, &vcpu[1]), 0);
}

static void setup(void)
{
	make(EPTP_WB_4 | EPTP_AD, 0);
}

static void teardown(void)
{
	gln_model_vcpu_destroy(vcpu[0]);
	gln_model_vcpu_destroy(vcpu[1]);
	gln_model_destroy(model);
	free(tables);
	free(pages);
}

static void make_again(uint64_t eptp_flags, unsigned int pause_permille)
{
	teardown();
	make(eptp_flags, pause_permille);
}

/* The entry of @gpa at @height; tables on the way are made as needed. */
static gln_word *entry_of(uint64_t gpa, unsigned int height)
{
	uint64_t table = eptp & EPT_ADDRESS;

	for (unsigned int h = top;; h--) {
		gln_word *const entry = (gln_word *)(uintptr_t)table +
					(gpa >> (12 + 9 * h) & 511);

		if (h == height)
			return entry;
		if (!gln_load_relaxed(entry))
			gln_store_relaxed(entry,
					  new_table() | RWX | EPT_PRESENT);
		table = gln_load_relaxed(entry) & EPT_ADDRESS;
	}
}

static void set(uint64_t gpa, unsigned int height, uint64_t entry)
{
	gln_store_relaxed(entry_of(gpa, height), entry);
}

static uint64_t get(uint64_t gpa, unsigned int height)
{
	return gln_load_relaxed(entry_of(gpa, height));
}

static uint64_t page_hpa(unsigned int i)
{
	return (uint64_t)(uintptr_t)pages[i];
}

static void map(uint64_t gpa, unsigned int page)
{
	set(gpa, 0, page_hpa(page) | LEAF);
}

static void invept(void)
{
	gln_ept_model_invept(model, eptp);
}

static struct gln_model_exit last;

static enum gln_model_reason try_on(unsigned int cpu, uint64_t gpa,
				    uint32_t access, uint64_t *value)
{
	const bool done =
		gln_model_access(vcpu[cpu], gpa, access, value, &last);

	cr_assert_eq(done, last.reason == GLN_MODEL_DONE);
	cr_assert_eq(last.gpa, gpa);
	return last.reason;
}

static enum gln_model_reason try(uint64_t gpa, uint32_t access)
{
	uint64_t value = 1;

	return try_on(0, gpa, access, &value);
}

static uint64_t load_on(unsigned int cpu, uint64_t gpa)
{
	uint64_t value = 0;

	cr_assert_eq(try_on(cpu, gpa, GLN_ACCESS_READ, &value), GLN_MODEL_DONE);
	return value;
}

static uint64_t load(uint64_t gpa)
{
	return load_on(0, gpa);
}

static void store(uint64_t gpa, uint64_t value)
{
	cr_assert_eq(try_on(0, gpa, GLN_ACCESS_WRITE, &value), GLN_MODEL_DONE);
}

static struct gln_model_stats stats(void)
{
	struct gln_model_stats now = {.struct_bytes = sizeof(now)};

	cr_assert_eq(gln_model_stats(model, &now), 0);
	return now;
}

/* Walks. */

FixtureTest(ept_model, an_access_goes_where_the_table_says)
{
	uint64_t value = 0;

	map(0x1234567000, 3);
	store(0x1234567ff8, 0xabc);
	cr_assert_eq(gln_load_relaxed(&pages[3][511]), 0xabc);
	cr_assert_eq(load(0x1234567000), 103);
	cr_assert_eq(try_on(0, 0x1234567000, GLN_ACCESS_EXEC, &value),
		     GLN_MODEL_DONE);
	cr_assert_eq(value, 103);
	cr_assert_eq(try(0x1234568000, GLN_ACCESS_READ), GLN_MODEL_FAULT);
	cr_assert_eq(last.syndrome, QUAL_ALWAYS | 1);
	cr_assert_eq(last.hpfar, 0);
}

FixtureTest(ept_model, blocks_and_52_bits_of_address_are_kept_whole)
{
	const uint64_t gib = UINT64_C(1) << 30;

	set(gib, 2, HIGH | gib * 5 | LEAF | EPT_LARGE);
	load(gib + 0x12345678);
	cr_assert_eq(cell_hpa, HIGH + gib * 5 + 0x12345678);
	set(gib * 2, 1,
	    HIGH | 0x200000 * UINT64_C(0x1ff00001) | LEAF | EPT_LARGE);
	load(gib * 2 + 0x1ffff8);
	cr_assert_eq(cell_hpa,
		     HIGH + 0x200000 * UINT64_C(0x1ff00001) + 0x1ffff8);
	set(gib * 3, 0, UINT64_C(0xffffffffff000) | LEAF);
	load(gib * 3 + 8);
	cr_assert_eq(cell_hpa, UINT64_C(0xffffffffff008));
}

FixtureTest(ept_model, four_levels_have_48_bits_and_five_57)
{
	const uint64_t last_48 = (UINT64_C(1) << 48) - PAGE_BYTES;
	const uint64_t last_57 = (UINT64_C(1) << 57) - PAGE_BYTES;

	map(last_48, 1);
	cr_assert_eq(load(last_48), 101);
	cr_assert_eq(try(UINT64_C(1) << 48 | last_48, GLN_ACCESS_READ),
		     GLN_MODEL_FAULT);
	make_again(EPTP_WB_5, 0);
	map(last_57, 2);
	map(last_48, 1);
	cr_assert_eq(load(last_57), 102);
	cr_assert_eq(load(last_48), 101);
	cr_assert_eq(try(UINT64_C(1) << 57 | last_57, GLN_ACCESS_READ),
		     GLN_MODEL_FAULT);
}

FixtureTest(ept_model, rights_are_those_of_every_entry_on_the_way)
{
	const uint64_t gpa = UINT64_C(0x40200000);

	map(gpa, 0);
	for (uint32_t upper = 1; upper <= RWX; upper++) {
		for (uint32_t lower = 1; lower <= RWX; lower++) {
			if ((upper & 3) == 2 || (lower & 3) == 2)
				continue; /* W without R: another test */
			set(gpa, 1, (get(gpa, 1) & ~RWX) | upper);
			set(gpa, 0, page_hpa(0) | (LEAF & ~RWX) | lower);
			for (uint32_t access = 1; access <= 4; access *= 2) {
				const bool may = upper & lower & access;

				invept();
				cr_assert_eq(
					try(gpa, access),
					may ? GLN_MODEL_DONE : GLN_MODEL_FAULT,
					"%u & %u for %u", upper, lower, access);
				if (may)
					continue;
				cr_assert_eq(last.syndrome,
					     access | (upper & lower) << 3 |
						     QUAL_ALWAYS);
			}
		}
	}
}

FixtureTest(ept_model, what_the_manual_reserves_is_a_misconfiguration)
{
	const uint64_t table = new_table() | RWX;
	static const uint64_t block = HIGH | LEAF | EPT_LARGE;
	const struct {
		const char *what;
		unsigned int height;
		uint64_t entry;
		enum gln_model_reason reason;
	} cases[] = {
		{"nothing", 0, 0, GLN_MODEL_FAULT},
		{"an empty entry", 0, EPT_EMPTY, GLN_MODEL_FAULT},
		{"a frozen one", 0, EPT_FROZEN, GLN_MODEL_FAULT},
		{"a frozen one above", 1, EPT_FROZEN, GLN_MODEL_FAULT},
		{"MMIO", 0, EPT_MMIO, GLN_MODEL_MISCONFIG},
		{"MMIO above", 2, EPT_MMIO, GLN_MODEL_MISCONFIG},
		{"W alone", 0, EPT_WRITE | HIGH, GLN_MODEL_MISCONFIG},
		{"X alone", 0, EPT_EXEC | HIGH, GLN_MODEL_FAULT},
		{"type 0", 0, HIGH | RWX, GLN_MODEL_DONE},
		{"type 1", 0, HIGH | RWX | 1 << 3, GLN_MODEL_DONE},
		{"type 2", 0, HIGH | RWX | 2 << 3, GLN_MODEL_MISCONFIG},
		{"type 3", 0, HIGH | RWX | 3 << 3, GLN_MODEL_MISCONFIG},
		{"type 5", 0, HIGH | RWX | 5 << 3, GLN_MODEL_DONE},
		{"type 7", 0, HIGH | RWX | 7 << 3, GLN_MODEL_MISCONFIG},
		{"bit 7 of a page", 0, HIGH | LEAF | 1 << 7, GLN_MODEL_DONE},
		{"type in a table", 1, table | 6 << 3, GLN_MODEL_MISCONFIG},
		{"PAT in a table", 1, table | 1 << 6, GLN_MODEL_MISCONFIG},
		{"a table", 1, table, GLN_MODEL_FAULT},
		{"2 MiB", 1, block, GLN_MODEL_DONE},
		{"2 MiB askew", 1, block | 1 << 20, GLN_MODEL_MISCONFIG},
		{"1 GiB askew", 2, block | 1 << 29, GLN_MODEL_MISCONFIG},
		{"512 GiB", 3, block, GLN_MODEL_MISCONFIG},
		{"software's bits", 0, HIGH | LEAF | UINT64_C(0xfff) << 52,
		 GLN_MODEL_DONE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t gpa = (uint64_t)i << 39;

		set(gpa, cases[i].height, cases[i].entry);
		cr_assert_eq(try(gpa, GLN_ACCESS_READ), cases[i].reason, "%s",
			     cases[i].what);
	}
}

FixtureTest(ept_model, memory_that_is_not_there_is_no_access)
{
	set(0x1000, 0, LEAF);
	cr_assert_eq(try(0x1000, GLN_ACCESS_READ), GLN_MODEL_MISCONFIG);
	set(0x200000, 1, RWX);
	cr_assert_eq(try(0x200000, GLN_ACCESS_READ), GLN_MODEL_MISCONFIG);
}

FixtureTest(ept_model, an_ept_pointer_that_no_cpu_takes_is_refused)
{
	const uint64_t root = eptp & EPT_ADDRESS;
	const uint64_t bad[] = {
		root | 1 | 3 << 3, /* type 1 */
		root | 6 | 2 << 3, /* three levels */
		root | 6 | 5 << 3, /* six */
		eptp | 1 << 7,	   /* reserved */
		eptp | 1 << 11,	   eptp | UINT64_C(1) << 52,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(gln_ept_model_set(model, bad[i]), -EINVAL,
			     "case %zu", i);
	cr_assert_eq(gln_ept_model_set(model, root | 0 | 3 << 3), 0);
}

/* What the CPU remembers. */

FixtureTest(ept_model, a_translation_stays_until_its_root_is_invalidated)
{
	map(0x5000, 1);
	cr_assert_eq(load(0x5000), 101);
	map(0x5000, 2);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(load(0x5000), 101);
	cr_assert_eq(load_on(1, 0x5000), 102);
	gln_ept_model_invept(model, eptp + PAGE_BYTES);
	cr_assert_eq(load(0x5000), 101);
	gln_ept_model_invept(model, eptp ^ EPTP_AD);
	cr_assert_eq(load(0x5000), 102);
	cr_assert_eq(stats().flush_ops, 2);
	cr_assert_eq(stats().flushed, 2);
}

FixtureTest(ept_model, a_store_through_a_dirty_translation_asks_nobody)
{
	map(0x5000, 1);
	store(0x5000, 1);
	set(0x5000, 0, get(0x5000, 0) & ~(EPT_WRITE | EPT_DIRTY));
	store(0x5000, 2);
	cr_assert_eq(gln_load_relaxed(&pages[1][0]), 2);
	cr_assert(!(get(0x5000, 0) & EPT_DIRTY));
	invept();
	cr_assert_eq(try(0x5000, GLN_ACCESS_WRITE), GLN_MODEL_FAULT);
}

FixtureTest(ept_model, a_table_that_was_taken_away_stays_in_use_until_invept)
{
	map(0x5000, 1);
	map(0x6000, 2);
	load(0x5000);
	set(0x5000, 1, EPT_EMPTY);
	cr_assert_eq(load(0x6000), 102, "by the pointer it remembers");
	invept();
	cr_assert_eq(try(0x6000, GLN_ACCESS_READ), GLN_MODEL_FAULT);
}

FixtureTest(ept_model, rights_of_tables_above_are_remembered_with_them)
{
	map(0x5000, 1);
	map(0x6000, 2);
	set(0x5000, 1, get(0x5000, 1) & ~(EPT_WRITE | EPT_EXEC));
	load(0x5000);
	set(0x5000, 1, get(0x5000, 1) | RWX);
	load(0x6000);
	invept();
	load(0x5000);
	store(0x6000, 1);
	invept();
	set(0x5000, 1, get(0x5000, 1) & ~EPT_WRITE);
	load(0x5000);
	load(0x6000);
	cr_assert_eq(try(0x6000, GLN_ACCESS_WRITE), GLN_MODEL_FAULT);
	cr_assert_eq(last.syndrome, QUAL_ALWAYS | 2 | 5 << 3);
}

FixtureTest(ept_model, rights_of_a_table_remembered_go_into_those_below_it)
{
	map(0x5000, 1);
	map(0x205000, 2);
	map(0x206000, 3);
	set(0, 2, get(0, 2) & ~EPT_WRITE);
	load(0x5000);
	set(0, 2, get(0, 2) | EPT_WRITE);
	load(0x205000);
	cr_assert_eq(try(0x206000, GLN_ACCESS_WRITE), GLN_MODEL_FAULT);
	cr_assert_eq(last.syndrome, QUAL_ALWAYS | 2 | 5 << 3);
	store(0x206000, 1);
}

FixtureTest(ept_model, a_violation_forgets_the_tables_on_its_way)
{
	const uint64_t table = new_table();

	map(0x5000, 1);
	load(0x5000);
	set(0, 1, table | RWX);
	map(0x7000, 2);
	cr_assert_eq(try(0x7000, GLN_ACCESS_READ), GLN_MODEL_FAULT);
	cr_assert_eq(load(0x7000), 102);
}

FixtureTest(ept_model, a_violation_forgets_its_own_address_only)
{
	map(0x5000, 1);
	map(0x6000, 2);
	load(0x5000);
	load(0x6000);
	set(0x5000, 0, page_hpa(3) | LEAF);
	set(0x6000, 0, page_hpa(4) | LEAF);
	set(0x7000, 0, EPT_EMPTY);
	cr_assert_eq(try(0x7000, GLN_ACCESS_READ), GLN_MODEL_FAULT);
	cr_assert_eq(load(0x5000), 101);

	set(0x5000, 0, page_hpa(3) | EPT_READ);
	invept();
	cr_assert_eq(load(0x5000), 103);
	set(0x5000, 0, page_hpa(5) | LEAF);
	while (try(0x5000, GLN_ACCESS_WRITE) == GLN_MODEL_FAULT)
		cr_assert_eq(last.syndrome & 7 << 3, 1 << 3);
	cr_assert_eq(gln_load_relaxed(&pages[5][0]), 1);
	cr_assert_eq(load(0x6000), 104);
}

FixtureTest(ept_model, rights_that_grew_may_be_refused_once_more)
{
	unsigned int nr_refused = 0;

	for (unsigned int i = 0; i < 100; i++) {
		map(0x5000, 1);
		set(0x5000, 0, page_hpa(1) | EPT_READ);
		invept();
		load(0x5000);
		map(0x5000, 1);
		if (try(0x5000, GLN_ACCESS_WRITE) == GLN_MODEL_FAULT) {
			nr_refused++;
			store(0x5000, 5);
		}
	}
	cr_assert(nr_refused > 10 && nr_refused < 90, "%u", nr_refused);
}

FixtureTest(ept_model, of_a_block_and_a_page_either_may_be_used)
{
	unsigned int nr_pages = 0;
	uint64_t cell_value;

	gln_store_relaxed(&cell, 7);
	set(0x200000, 1, HIGH | LEAF | EPT_LARGE);
	cr_assert_eq(load(0x200000), 7);
	set(0x200000, 1, 0);
	map(0x200000, 1);
	cell_value = gln_load_relaxed(&cell);
	store(0x200000, 9); /* was clean: walks, and finds the page */
	cr_assert_eq(gln_load_relaxed(&pages[1][0]), 9);
	for (int i = 0; i < 100; i++) {
		const uint64_t got = load(0x200000);

		cr_assert(got == cell_value || got == 9);
		nr_pages += got == 9;
	}
	cr_assert(nr_pages > 10 && nr_pages < 90, "%u", nr_pages);
}

/* Accessed and dirty. */

FixtureTest(ept_model, a_walk_sets_accessed_and_a_store_dirty)
{
	map(0x5000, 1);
	load(0x5000);
	for (unsigned int height = 0; height <= top; height++)
		cr_assert(get(0x5000, height) & EPT_ACCESSED);
	cr_assert(!(get(0x5000, 0) & EPT_DIRTY));
	store(0x5000, 1);
	cr_assert(get(0x5000, 0) & EPT_DIRTY);
	for (unsigned int height = 1; height <= top; height++)
		cr_assert(!(get(0x5000, height) & EPT_DIRTY));
	cr_assert_eq(stats().accessed_updates, 4);
	cr_assert_eq(stats().dirty_updates, 1);
}

FixtureTest(ept_model, a_store_that_is_refused_sets_nothing)
{
	set(0x5000, 0, page_hpa(1) | EPT_READ);
	cr_assert_eq(try(0x5000, GLN_ACCESS_WRITE), GLN_MODEL_FAULT);
	cr_assert_eq(get(0x5000, 0), page_hpa(1) | EPT_READ);
	cr_assert_eq(stats().accessed_updates, 0);
}

FixtureTest(ept_model, without_the_bit_in_the_pointer_nothing_is_set)
{
	make_again(EPTP_WB_4, 0);
	pml.is_enabled = true;
	map(0x5000, 1);
	store(0x5000, 1);
	store(0x5000, 2);
	cr_assert_eq(get(0x5000, 0), page_hpa(1) | LEAF);
	cr_assert_eq(pml.index, 511);
	cr_assert_eq(stats().tlb_hits, 1);
}

FixtureTest(ept_model, an_accessed_bit_may_come_as_late_as_the_flush)
{
	unsigned int nr_late = 0;

	make_again(EPTP_WB_4 | EPTP_AD, 1);
	for (unsigned int i = 0; i < 24; i++)
		map(i * PAGE_BYTES, i);
	for (unsigned int i = 0; i < 24; i++) {
		load(i * PAGE_BYTES);
		nr_late += !(get(i * PAGE_BYTES, 0) & EPT_ACCESSED);
	}
	cr_assert(nr_late > 4 && nr_late < 20, "%u", nr_late);
	set(0, 0, EPT_EMPTY);
	set(PAGE_BYTES, 0, EPT_FROZEN);
	set(2 * PAGE_BYTES, 0, page_hpa(30) | LEAF);
	for (unsigned int i = 3; i < 14; i++)
		set(i * PAGE_BYTES, 0, get(i * PAGE_BYTES, 0) & ~EPT_WRITE);
	invept();
	cr_assert_eq(get(0, 0), EPT_EMPTY);
	cr_assert_eq(get(PAGE_BYTES, 0), EPT_FROZEN);
	cr_assert_eq(get(2 * PAGE_BYTES, 0), page_hpa(30) | LEAF);
	for (unsigned int i = 3; i < 24; i++)
		cr_assert(get(i * PAGE_BYTES, 0) & EPT_ACCESSED, "%u", i);
}

/* Page-modification logging. */

FixtureTest(ept_model, a_page_is_logged_downwards_when_it_becomes_dirty)
{
	pml.is_enabled = true;
	for (unsigned int i = 0; i < 4; i++) {
		map(i * PAGE_BYTES, i);
		load(i * PAGE_BYTES);
	}
	cr_assert_eq(pml.index, 511);
	store(2 * PAGE_BYTES + 8, 1);
	store(0x0, 1);
	store(0x8, 2);
	store(3 * PAGE_BYTES + 4088, 1);
	cr_assert_eq(pml.index, 508);
	cr_assert_eq(log_page[511], 2 * PAGE_BYTES);
	cr_assert_eq(log_page[510], 0);
	cr_assert_eq(log_page[509], 3 * PAGE_BYTES);
	invept();
	store(0x0, 3);
	cr_assert_eq(pml.index, 508, "it is dirty already");
	pml.is_enabled = false;
	store(PAGE_BYTES, 1);
	cr_assert_eq(pml.index, 508);
	cr_assert(get(PAGE_BYTES, 0) & EPT_DIRTY);
}

FixtureTest(ept_model, a_full_log_stops_the_store_before_anything_is_written)
{
	const uint16_t full[] = {0xffff, 512, 0x8000};

	pml.is_enabled = true;
	map(0x5000, 1);
	map(0x6000, 2);
	load(0x5000);
	pml.index = 0;
	store(0x5000, 1);
	cr_assert_eq(pml.index, 0xffff);
	cr_assert_eq(log_page[0], 0x5000);
	store(0x5000, 2);
	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		pml.index = full[i];
		cr_assert_eq(try(0x6000, GLN_ACCESS_WRITE), GLN_MODEL_LOG_FULL);
		cr_assert_eq(gln_load_relaxed(&pages[2][0]), 102);
		cr_assert_eq(get(0x6000, 0), page_hpa(2) | LEAF);
		cr_assert_eq(try(0x6000, GLN_ACCESS_READ), GLN_MODEL_LOG_FULL,
			     "accessed needs room as well");
	}
	cr_assert_eq(stats().logs_full, 6);

	invept();
	set(0x5000, top, get(0x5000, top) & ~EPT_ACCESSED);
	cr_assert_eq(try(0x5000, GLN_ACCESS_READ), GLN_MODEL_LOG_FULL);
	cr_assert(!(get(0x5000, top) & EPT_ACCESSED));
	pml.index = 511;
	store(0x6000, 1);
	cr_assert_eq(log_page[511], 0x6000);
}

/* vCPUs. */

FixtureTest(ept_model, a_kick_ends_one_access_of_each_vcpu)
{
	uint64_t value = 1;

	map(0x5000, 1);
	gln_model_kick(model);
	gln_model_kick(model);
	cr_assert_eq(try(0x5000, GLN_ACCESS_WRITE), GLN_MODEL_KICKED);
	cr_assert_eq(gln_load_relaxed(&pages[1][0]), 101);
	cr_assert_eq(load(0x5000), 101);
	cr_assert_eq(try_on(1, 0x5000, GLN_ACCESS_READ, &value),
		     GLN_MODEL_KICKED);
	cr_assert_eq(load_on(1, 0x5000), 101);
	cr_assert_eq(stats().kicks, 2);
}

FixtureTest(ept_model, an_id_is_used_once_at_a_time)
{
	struct gln_model_vcpu *other = NULL;

	cr_assert_eq(gln_model_vcpu_create(model, 1, NULL, &other), -EEXIST);
	cr_assert_null(other);
	cr_assert_eq(gln_model_vcpu_create(model, 2, NULL, &other), 0);
	gln_model_vcpu_destroy(other);
	cr_assert_eq(gln_model_vcpu_create(model, 2, NULL, &other), 0);
	gln_model_vcpu_destroy(other);
}

FixtureTest(ept_model, figures_add_up_and_outlive_their_vcpu)
{
	struct gln_model_vcpu *other;
	struct gln_model_exit exit;
	struct gln_model_stats now = {0};
	uint64_t value = 0;

	map(0x5000, 1);
	cr_assert_eq(gln_model_vcpu_create(model, 2, NULL, &other), 0);
	gln_model_access(other, 0x5000, GLN_ACCESS_READ, &value, &exit);
	gln_model_access(other, 0x5000, GLN_ACCESS_READ, &value, &exit);
	gln_model_access(other, 0x6000, GLN_ACCESS_READ, &value, &exit);
	gln_model_vcpu_destroy(other);
	cr_assert_eq(stats().accesses, 2);
	cr_assert_eq(stats().tlb_hits, 1);
	cr_assert_eq(stats().walks, 2);
	cr_assert_eq(stats().faults, 1);

	cr_assert_eq(gln_model_stats(model, &now), -EINVAL);
	now.struct_bytes = sizeof(now) + 8;
	cr_assert_eq(gln_model_stats(model, &now), -EINVAL);
	now.struct_bytes = offsetof(struct gln_model_stats, tlb_hits);
	now.tlb_hits = 77;
	cr_assert_eq(gln_model_stats(model, &now), 0);
	cr_assert_eq(now.accesses, 2);
	cr_assert_eq(now.tlb_hits, 77);
}

Test(ept_model, parameters_of_another_size_are_refused)
{
	const struct gln_model_params params = {.struct_bytes = 8};
	struct gln_model *none = NULL;

	cr_assert_eq(gln_ept_model_create(&params, &none), -EINVAL);
	cr_assert_eq(gln_s2_model_create(&params, &none), -EINVAL);
	cr_assert_null(none);
}

/* A vCPU that stores to one page all the time, until told to end. */

static gln_word must_end;

static void *store_for_ever(void *unused)
{
	uint64_t value = 0;

	while (!gln_load_relaxed(&must_end)) {
		struct gln_model_exit exit;

		value++;
		gln_model_access(vcpu[0], 0x5000, GLN_ACCESS_WRITE, &value,
				 &exit);
	}
	return unused;
}

/* Wait until the page has changed: it is being written. */
static void await_store(gln_word *word)
{
	const uint64_t before = gln_load_relaxed(word);

	while (gln_load_relaxed(word) == before)
		sched_yield();
}

FixtureTest(ept_model, after_protect_and_flush_nothing_is_written_any_more)
{
	const struct timespec while_longer = {.tv_nsec = 100000};
	pthread_t thread;

	make_again(EPTP_WB_4 | EPTP_AD, 200);
	map(0x5000, 1);
	gln_store_relaxed(&must_end, 0);
	cr_assert_eq(pthread_create(&thread, NULL, store_for_ever, NULL), 0);
	for (int round = 0; round < 100; round++) {
		gln_word *const entry = entry_of(0x5000, 0);
		uint64_t before;

		await_store(&pages[1][0]);
		gln_fetch_and_relaxed(entry, ~(EPT_WRITE | EPT_DIRTY));
		invept();
		before = gln_load_relaxed(&pages[1][0]);
		nanosleep(&while_longer, NULL);
		require(gln_load_relaxed(&pages[1][0]) == before,
			"round %d: a store came through", round);
		require(!(gln_load_relaxed(entry) & EPT_DIRTY),
			"round %d: dirty without a right to write", round);
		gln_fetch_or_relaxed(entry, EPT_WRITE);
	}
	gln_store_relaxed(&must_end, 1);
	pthread_join(thread, NULL);
}
