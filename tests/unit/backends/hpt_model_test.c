/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_model_test.c - the modelled POWER CPU searches, permits, notes, remembers
 * and forgets as the manual says. Tables are made by hand, byte by byte: no
 * engine takes part.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/model.h>

#include "core/base/atomic.h"
#include "tests/unit/require.h"

enum {
	MAX_ORDER = 26,
	ORDER = 20,
	NR_TABLES = 2,
	LPID = 5,
	PAGE_4K = 4096,
	ROUNDS = 3000,
	ROUNDS_MAX = 10000000,
	PAUSE = 1, /* of 1000: late and eager, and hardly ever slow */
};

/* Real addresses: two tables; nothing; and all else leads to @cell. */
#define TABLE(i)  (((uint64_t)(i) + 1) << 40)
#define NOWHERE	  (UINT64_C(1) << 55)
#define REAL	  UINT64_C(0x123000000000)
#define MAX_BYTES (UINT64_C(1) << MAX_ORDER)

#define READ_WRITE 2 /* PP: for everybody */
#define RW_ALL	   ((uint64_t)READ_WRITE)
#define KS_KP	   (GLN_SLB_KS | GLN_SLB_KP)

static gln_word *table[NR_TABLES];
static gln_word cell;
static uint64_t reached;
static struct gln_model *model;
static struct gln_model_vcpu *vcpu[2];
static enum gln_hpt_isa isa;
static struct gln_model_exit last;

/* The machine under test. */

static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	if (hpa & NOWHERE)
		return NULL;
	for (int i = 0; i < NR_TABLES; i++)
		if (hpa >= TABLE(i) && hpa < TABLE(i) + MAX_BYTES)
			return table[i] + (hpa - TABLE(i)) / 8;
	reached = hpa;
	return &cell;
}

static void make(enum gln_hpt_isa of, unsigned int pause_permille)
{
	const struct gln_mmu_host host = {.memory_at = memory_at};
	const struct gln_model_params params = {
		.struct_bytes = sizeof(params),
		.seed = 11,
		.pause_permille = pause_permille,
		.host = &host,
	};

	isa = of;
	for (int i = 0; i < NR_TABLES; i++)
		table[i] = calloc(1, MAX_BYTES);
	cr_assert_eq(gln_hpt_model_create(&params, isa, LPID, &model), 0);
	for (uint32_t i = 0; i < 2; i++)
		cr_assert_eq(gln_model_vcpu_create(model, i, NULL, &vcpu[i]),
			     0);
	gln_hpt_model_set_table(model, TABLE(0) | (ORDER - 18));
}

static void setup(void)
{
	make(GLN_HPT_ISA_2_07, 0);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++)
		gln_model_vcpu_destroy(vcpu[i]);
	gln_model_destroy(model);
	for (int i = 0; i < NR_TABLES; i++)
		free(table[i]);
}

static void make_again(enum gln_hpt_isa of, unsigned int pause_permille)
{
	teardown();
	make(of, pause_permille);
}

static struct gln_model_stats stats(void)
{
	struct gln_model_stats now = {.struct_bytes = sizeof(now)};

	cr_assert_eq(gln_model_stats(model, &now), 0);
	return now;
}

/* splitmix64, as the property tests of this tree use it. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t low(unsigned int bits)
{
	return (UINT64_C(1) << bits) - 1;
}

/* Pages, and entries of them. */

/** struct kind - page sizes, and how LP says so. */
struct kind {
	unsigned int base;
	unsigned int actual;
	uint64_t large; /* L */
	uint64_t lp;
	uint64_t lp_mask;
	uint64_t slb;
	uint64_t ap; /* in RB, with a base of 4K */
};

static const struct kind kinds[] = {
	{12, 12, 0, 0, 0, 0, 0},
	{12, 16, 4, 0x07, 0x0f, 0, 5},
	{12, 24, 4, 0x38, 0xff, 0, 4},
	{16, 16, 4, 0x01, 0x0f, GLN_SLB_L | GLN_SLB_LP_64K, 0},
	{16, 24, 4, 0x08, 0xff, GLN_SLB_L | GLN_SLB_LP_64K, 0},
	{24, 24, 4, 0x00, 0xff, GLN_SLB_L, 0},
	{34, 34, 4, 0x03, 0xff, GLN_SLB_L | GLN_SLB_LP_16G, 0},
};
static const struct kind *const small = &kinds[0];
static const struct kind *const mixed = &kinds[4];

/** struct page - a page of the guest: what it is, and where. */
struct page {
	const struct kind *kind;
	bool is_1t;
	bool is_secondary;
	unsigned int slot; /* of its group */
	uint64_t vsid;
	uint64_t ea;
	uint64_t real;
	uint64_t r; /* rights and what else is in R */
};

static unsigned int segment_shift(const struct page *page)
{
	return page->is_1t ? 40 : 28;
}

static uint64_t slb_of(const struct page *page)
{
	return page->kind->slb |
	       (page->is_1t ? UINT64_C(1) << 62 | page->vsid << 24
			    : page->vsid << 12);
}

static void use_segment(const struct page *page, uint64_t bits)
{
	for (int i = 0; i < 2; i++)
		cr_assert_eq(
			gln_hpt_model_slb(
				vcpu[i], 0,
				page->ea >> segment_shift(page)
							<< segment_shift(page) |
					GLN_HPT_MODEL_SLB_VALID,
				slb_of(page) | bits),
			0);
}

static uint64_t offset_of(const struct page *page)
{
	return page->ea & low(segment_shift(page));
}

/* The hash, from the manual's words. */
static uint64_t group_of(const struct page *page, unsigned int order)
{
	uint64_t hash = page->vsid ^ offset_of(page) >> page->kind->base;

	if (page->is_1t)
		hash ^= page->vsid << 25;
	if (page->is_secondary)
		hash = ~hash;
	return hash & low(order - 7);
}

static struct gln_hpte entry_of(const struct page *page)
{
	const uint64_t b = page->is_1t;
	const uint64_t avpn = page->vsid << (segment_shift(page) - 23) |
			      offset_of(page) >> 23;
	struct gln_hpte entry = {
		.v = avpn << 7 | page->kind->large |
		     (page->is_secondary ? 2 : 0) | 1,
		.r = (page->real & ~(page->kind->lp_mask << 12)) |
		     page->kind->lp << 12 | page->r,
	};

	if (isa == GLN_HPT_ISA_3_0)
		entry.r |= b << 58;
	else
		entry.v |= b << 62;
	return entry;
}

static void put_word(gln_word *at, uint64_t x)
{
	unsigned char bytes[8];
	uint64_t raw;

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(x >> (56 - 8 * i));
	memcpy(&raw, bytes, sizeof(raw));
	gln_store_release(at, raw);
}

static uint64_t get_word(gln_word *at)
{
	const uint64_t raw = gln_load_acquire(at);
	unsigned char bytes[8];
	uint64_t x = 0;

	memcpy(bytes, &raw, sizeof(raw));
	for (int i = 0; i < 8; i++)
		x = x << 8 | bytes[i];
	return x;
}

static gln_word *place(uint64_t group, unsigned int slot)
{
	return table[0] + (group * 8 + slot) * 2;
}

static gln_word *place_of(const struct page *page)
{
	return place(group_of(page, ORDER), page->slot);
}

static void put(gln_word *at, struct gln_hpte entry)
{
	put_word(at + 1, entry.r);
	put_word(at, entry.v);
}

static void map(const struct page *page)
{
	put(place_of(page), entry_of(page));
}

static uint64_t r_of(const struct page *page)
{
	return get_word(place_of(page) + 1);
}

static uint64_t noted(const struct page *page)
{
	return r_of(page) & (GLN_HPTE_R_R | GLN_HPTE_R_C);
}

/* Make V not valid; R stays. */
static void invalidate(const struct page *page)
{
	put_word(place_of(page), 0);
}

static struct page small_page(uint64_t number)
{
	return (struct page){
		.kind = small,
		.vsid = 0x12345,
		.ea = number * PAGE_4K,
		.real = REAL + number * PAGE_4K,
		.r = RW_ALL,
	};
}

/* Any page of a kind. */
static struct page any_page(uint64_t *random, const struct kind *kind)
{
	const uint64_t x = next_random(random);
	struct page page = {
		.kind = kind,
		.is_1t = kind->actual > 28 || (x & 1),
		.is_secondary = x >> 1 & 1,
		.slot = x >> 2 & 7,
		.real = next_random(random) & low(40) & ~low(kind->actual),
		.r = RW_ALL,
	};

	page.real |= REAL & ~low(kind->actual);
	page.vsid =
		next_random(random) &
		low((isa == GLN_HPT_ISA_3_0 ? 68 : 78) - segment_shift(&page));
	page.ea = next_random(random) & ~UINT64_C(7);
	return page;
}

/* tlbie's operand, from the manual's words. */
static uint64_t rb_of(const struct page *page)
{
	const struct kind *const kind = page->kind;
	const uint64_t va = page->vsid << segment_shift(page) |
			    (offset_of(page) & ~low(kind->base));
	const uint64_t b = page->is_1t;

	if (kind->base == 12)
		return va | b << 8 | kind->ap << 5;
	return (va & ~low(kind->actual < 20 ? 20 : kind->actual)) |
	       kind->lp << 12 | b << 8 | (va >> 12 & 0xfe) | 1;
}

static void tlbie_rb(uint64_t rb, uint32_t lpid)
{
	const struct gln_hpt_tlbie op = {.rb = rb, .lpid = lpid};

	gln_hpt_model_tlbie(model, &op, 1);
}

static void tlbie(const struct page *page)
{
	tlbie_rb(rb_of(page), LPID);
}

/* Accesses. */

static enum gln_model_reason try_on(unsigned int cpu, uint64_t ea,
				    uint32_t access)
{
	uint64_t value = 1;
	const bool done = gln_model_access(vcpu[cpu], ea & ~UINT64_C(7), access,
					   &value, &last);

	cr_assert_eq(done, last.reason == GLN_MODEL_DONE);
	cr_assert_eq(last.gpa, ea & ~UINT64_C(7));
	return last.reason;
}

static enum gln_model_reason try(uint64_t ea, uint32_t access)
{
	return try_on(0, ea, access);
}

/* The real address that an access comes to; 0 if it faults. */
static uint64_t go_on(unsigned int cpu, uint64_t ea, uint32_t access)
{
	return try_on(cpu, ea, access) == GLN_MODEL_DONE ? reached : 0;
}

static uint64_t go(uint64_t ea)
{
	return go_on(0, ea, GLN_ACCESS_READ);
}

static void store(uint64_t ea)
{
	cr_assert_eq(try(ea, GLN_ACCESS_WRITE), GLN_MODEL_DONE);
}

static void refused(uint64_t ea, uint32_t access, uint64_t dsisr)
{
	cr_assert_eq(try(ea, access), GLN_MODEL_FAULT);
	cr_assert_eq(last.syndrome, dsisr, "%#" PRIx64, last.syndrome);
}

/* The search. */

FixtureTest(hpt_model, groups_are_where_the_hash_says)
{
	static const struct {
		unsigned int order;
		unsigned int kind;
		bool is_1t;
		uint64_t vsid;
		uint64_t ea;
		uint64_t group[2];
	} cases[] = {
		{18, 0, false, 0x12345, 0x0abcdef0, {0x88, 0x777}},
		{24, 0, false, 0x12345, 0x0abcdef0, {0x18888, 0x7777}},
		{24, 3, false, 0x12345, 0x0abcdef0, {0x129f9, 0xd606}},
		{24, 5, false, 0x12345, 0x0f000000, {0x1234a, 0xdcb5}},
		{26, 3, true, 0xabcde, 0x1234567898, {0x8888, 0x77777}},
		{26, 5, true, 0xabcde, 0x1234567898, {0x2aeea, 0x55115}},
		{24, 0, true, 0x1ffffff, 0, {0x1ffff, 0}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct page page = {
			.kind = &kinds[cases[i].kind],
			.is_1t = cases[i].is_1t,
			.vsid = cases[i].vsid,
			.ea = cases[i].ea,
			.real = REAL,
			.r = RW_ALL,
		};

		use_segment(&page, 0);
		gln_hpt_model_set_table(model,
					TABLE(0) | (cases[i].order - 18));
		for (unsigned int h = 0; h < 2; h++) {
			gln_word *const at = place(cases[i].group[h], 7);

			page.is_secondary = h;
			put(at, entry_of(&page));
			cr_assert_eq(go(page.ea),
				     REAL | (page.ea & low(page.kind->actual)),
				     "case %zu, hash %u", i, h);
			put_word(at, 0);
			tlbie(&page);
			cr_assert_eq(go(page.ea), 0);
			cr_assert_eq(last.syndrome, GLN_DSISR_NOHPTE);
		}
	}
}

static void check_search(uint64_t seed)
{
	uint64_t random = seed;

	for (const struct kind *kind = kinds; kind < ARRAY_END(kinds); kind++) {
		const struct page page = any_page(&random, kind);
		const uint64_t offset = page.ea & low(kind->actual);

		use_segment(&page, 0);
		cr_assert_eq(go(page.ea), 0, "seed %" PRIu64, seed);
		map(&page);
		cr_assert_eq(go(page.ea), page.real | offset,
			     "seed %" PRIu64 ": %u/%u", seed, kind->base,
			     kind->actual);
		cr_assert_eq(last.hpfar, slb_of(&page));
		cr_assert_eq(
			go(page.ea ^ low(kind->base)),
			page.real | ((offset ^ low(kind->base)) & ~UINT64_C(7)),
			"seed %" PRIu64, seed);
		invalidate(&page);
		tlbie(&page);
		cr_assert_eq(go(page.ea), 0, "seed %" PRIu64, seed);
	}
}

FixtureTest(hpt_model, a_page_of_each_size_is_found_in_either_format)
{
	for (uint64_t seed = 1; seed <= 500; seed++)
		check_search(seed);
	make_again(GLN_HPT_ISA_3_0, 0);
	for (uint64_t seed = 1; seed <= 500; seed++)
		check_search(seed);
}

/* An entry that is another's, by a bit of its first or second doubleword. */
static void check_each_bit(const struct page *page)
{
	const struct gln_hpte good = entry_of(page);
	const unsigned int va_bits = isa == GLN_HPT_ISA_3_0 ? 68 : 78;
	uint64_t v = 3; /* VALID and H */

	/* Below the page's size the AVPN says nothing. */
	v |= low(va_bits - 23) << 7;
	if (page->kind->base > 23)
		v &= ~(low(page->kind->base - 23) << 7);
	if (isa == GLN_HPT_ISA_2_07)
		v |= UINT64_C(3) << 62;

	for (unsigned int bit = 0; bit < 64; bit++) {
		const uint64_t x = UINT64_C(1) << bit;
		const bool is_read = bit != 2 && (v & x);

		if (bit == 2)
			continue; /* L: in another test */
		put(place_of(page), (struct gln_hpte){good.v ^ x, good.r});
		cr_assert_eq(go(page->ea) == 0, is_read, "bit %u of V, %u", bit,
			     page->kind->base);
		tlbie(page);
	}
	for (unsigned int bit = 58; bit < 60 && isa == GLN_HPT_ISA_3_0; bit++) {
		put(place_of(page),
		    (struct gln_hpte){good.v, good.r ^ UINT64_C(1) << bit});
		cr_assert_eq(go(page->ea), 0, "bit %u of R", bit);
	}
}

FixtureTest(hpt_model, an_entry_is_its_own_by_every_bit_that_hardware_compares)
{
	uint64_t random = 3;

	for (int format = 0; format < 2; format++) {
		for (unsigned int i = 0; i < 28; i++) {
			const struct page page =
				any_page(&random, &kinds[i % 7]);

			use_segment(&page, 0);
			check_each_bit(&page);
			invalidate(&page);
		}
		make_again(GLN_HPT_ISA_3_0, 0);
	}
}

FixtureTest(hpt_model, the_base_page_size_is_the_segments)
{
	const uint64_t ea = 0x3000000;

	for (const struct kind *of = kinds; of < ARRAY_END(kinds) - 1; of++) {
		for (unsigned int lp = 0; lp < 512; lp++) {
			struct page page = {.kind = of, .vsid = 7, .ea = ea};
			struct gln_hpte entry = entry_of(&page);
			bool fits = lp >= 256 && of->base == 12;

			entry.v = (entry.v & ~UINT64_C(4)) | (lp < 256 ? 4 : 0);
			entry.r = REAL | (uint64_t)(lp & 255) << 12 | RW_ALL;
			for (const struct kind *k = kinds; k < ARRAY_END(kinds);
			     k++)
				if (k->large && lp < 256 &&
				    k->base == of->base &&
				    (lp & k->lp_mask) == k->lp)
					fits = true;
			use_segment(&page, 0);
			put(place_of(&page), entry);
			cr_assert_eq(go(ea) != 0, fits, "%u with LP %#x",
				     of->base, lp);
			gln_hpt_model_flush_all(model, LPID);
			invalidate(&page);
		}
	}
}

FixtureTest(hpt_model, a_mixed_page_is_found_by_its_own_base_page_alone)
{
	struct page page = {
		.kind = mixed,
		.vsid = 9,
		.ea = 0x2030000,
		.real = 0x7000000,
		.r = RW_ALL,
	};

	use_segment(&page, 0);
	map(&page);
	cr_assert_eq(go(0x2040000), 0);
	cr_assert_eq(go(0x2030000), 0x7030000);
	cr_assert_eq(go(0x2040000), 0x7040000, "by what it remembers");
	cr_assert_eq(go_on(1, 0x2040000, GLN_ACCESS_READ), 0);

	page.ea = 0x2990000; /* tlbie may name any base page of it */
	tlbie(&page);
	cr_assert_eq(go(0x2040000), 0);
}

FixtureTest(hpt_model, the_first_entry_and_the_primary_group_come_first)
{
	struct page page = small_page(1);

	use_segment(&page, 0);
	page.is_secondary = true;
	map(&page);
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	page.is_secondary = false;
	page.slot = 6;
	page.real = REAL + 6 * PAGE_4K;
	map(&page);
	tlbie(&page);
	cr_assert_eq(go(page.ea), REAL + 6 * PAGE_4K);
	page.slot = 5;
	page.real = REAL + 5 * PAGE_4K;
	map(&page);
	tlbie(&page);
	cr_assert_eq(go(page.ea), REAL + 5 * PAGE_4K);
}

FixtureTest(hpt_model, memory_that_is_not_there_is_no_access)
{
	struct page page = small_page(1);

	use_segment(&page, 0);
	page.real = NOWHERE;
	map(&page);
	cr_assert_eq(try(page.ea, GLN_ACCESS_READ), GLN_MODEL_MISCONFIG);
	gln_hpt_model_flush_all(model, LPID);
	gln_hpt_model_set_table(model, NOWHERE | 2);
	cr_assert_eq(try(page.ea, GLN_ACCESS_READ), GLN_MODEL_MISCONFIG);
}

/* Segments. */

FixtureTest(hpt_model, the_segment_is_the_first_that_matches)
{
	const uint64_t far = UINT64_C(0x3ff) << 40;
	const uint64_t valid = GLN_HPT_MODEL_SLB_VALID;
	struct page page = {
		.kind = small,
		.is_1t = true,
		.vsid = 1,
		.ea = far | 0x123456000,
		.real = REAL,
		.r = RW_ALL,
	};

	cr_assert_eq(try(page.ea, GLN_ACCESS_READ), GLN_MODEL_NO_SEGMENT);
	cr_assert_eq(gln_hpt_model_slb(vcpu[0], 31, far | valid, slb_of(&page)),
		     0);
	map(&page);
	cr_assert_eq(go(page.ea), REAL);
	cr_assert_eq(try(page.ea + (UINT64_C(1) << 40), GLN_ACCESS_READ),
		     GLN_MODEL_NO_SEGMENT);
	cr_assert_eq(try(page.ea & low(40), GLN_ACCESS_READ),
		     GLN_MODEL_NO_SEGMENT);

	/* One of 256 MiB over it, of another virtual segment. */
	cr_assert_eq(gln_hpt_model_slb(vcpu[0], 30, far | 0x120000000 | valid,
				       2 << 12),
		     0);
	cr_assert_eq(go(page.ea), 0);
	cr_assert_eq(last.hpfar, 2 << 12);
	cr_assert_eq(gln_hpt_model_slb(vcpu[0], 30, far | 0x120000000, 0), 0);
	cr_assert_eq(go(page.ea), REAL);
}

FixtureTest(hpt_model, a_segment_that_no_cpu_has_is_refused)
{
	const uint64_t valid = GLN_HPT_MODEL_SLB_VALID;
	static const uint64_t bad[] = {
		GLN_SLB_LP_64K,		    /* LP without L */
		GLN_SLB_L | GLN_SLB_LP,	    /* 1M */
		GLN_SLB_L | GLN_SLB_LP_16G, /* in 256 MiB */
		UINT64_C(2) << 62,
		UINT64_C(3) << 62, /* B */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(gln_hpt_model_slb(vcpu[0], 0, valid, bad[i]),
			     -EINVAL, "case %zu", i);
		cr_assert_eq(gln_hpt_model_slb(vcpu[0], 0, 0, bad[i]), 0);
	}
	cr_assert_eq(gln_hpt_model_slb(vcpu[0], 32, valid, 0), -EINVAL);
	cr_assert_eq(gln_hpt_model_slb(vcpu[0], 31, valid, 0), 0);
}

/* Rights. */

static bool may(char rights, uint32_t access)
{
	return rights == 'W' || (rights == 'R' && access != GLN_ACCESS_WRITE);
}

static uint64_t is_store(uint32_t access)
{
	return access == GLN_ACCESS_WRITE ? GLN_DSISR_ISSTORE : 0;
}

static void check_access(const struct page *page, uint32_t access, uint64_t why,
			 const char *what)
{
	gln_hpt_model_flush_all(model, LPID);
	map(page);
	if (!why) {
		cr_assert_eq(try(page->ea, access), GLN_MODEL_DONE, "%s", what);
		cr_assert_eq(noted(page),
			     access == GLN_ACCESS_WRITE
				     ? GLN_HPTE_R_R | GLN_HPTE_R_C
				     : GLN_HPTE_R_R,
			     "%s", what);
		return;
	}
	cr_assert_eq(try(page->ea, access), GLN_MODEL_FAULT, "%s", what);
	cr_assert_eq(last.syndrome, why | is_store(access), "%s", what);
	cr_assert_eq(noted(page), 0, "%s", what);
}

FixtureTest(hpt_model, pp_and_the_segments_keys_are_figure_38)
{
	static const char *const rights[2] = {"WWWRRRRR", "-RWR----"};
	struct page page = small_page(1);

	for (unsigned int i = 0; i < 8 * 8 * 3; i++) {
		const unsigned int pp = i & 7;
		const bool ks = i >> 3 & 1;
		const bool kp = i >> 4 & 1;
		const bool pr = i >> 5 & 1;
		const uint32_t access = 1U << i / 64;
		char what[64];

		snprintf(what, sizeof(what), "pp %u ks %u kp %u pr %u, %u", pp,
			 ks, kp, pr, access);
		page.r = (pp & 3) | (uint64_t)(pp >> 2) << 63;
		use_segment(&page,
			    (ks ? GLN_SLB_KS : 0) | (kp ? GLN_SLB_KP : 0));
		gln_hpt_model_state(vcpu[0], 0, pr ? GLN_HPT_PROBLEM : 0);
		check_access(&page, access,
			     may(rights[pr ? kp : ks][pp], access)
				     ? 0
				     : GLN_DSISR_PROTFAULT,
			     what);
	}
}

FixtureTest(hpt_model, a_key_is_denied_by_its_own_two_bits_of_amr)
{
	struct page page = small_page(1);

	use_segment(&page, KS_KP);
	for (uint64_t key = 0; key < 32; key++) {
		page.r = RW_ALL | (key & 7) << 9 | key >> 3 << 60;
		for (uint64_t pair = 0; pair < 4; pair++) {
			const uint64_t own = UINT64_C(3) << (62 - 2 * key);
			const uint64_t amr = pair << (62 - 2 * key);
			char what[32];

			snprintf(what, sizeof(what), "key %u", (unsigned)key);
			/* What the other keys are denied is of no account. */
			gln_hpt_model_state(vcpu[0], amr | ~own, 0);
			check_access(&page, GLN_ACCESS_READ,
				     pair & 1 ? GLN_DSISR_KEYFAULT : 0, what);
			check_access(&page, GLN_ACCESS_WRITE,
				     pair & 2 ? GLN_DSISR_KEYFAULT : 0, what);
			check_access(&page, GLN_ACCESS_EXEC, 0, what);
			gln_hpt_model_state(vcpu[0], amr, 0);
			check_access(&page, GLN_ACCESS_WRITE,
				     pair & 2 ? GLN_DSISR_KEYFAULT : 0, what);
		}
	}
	page.r = 3;
	gln_hpt_model_state(vcpu[0], UINT64_MAX, 0);
	check_access(&page, GLN_ACCESS_WRITE,
		     GLN_DSISR_KEYFAULT | GLN_DSISR_PROTFAULT, "both");
}

FixtureTest(hpt_model, what_is_not_to_be_executed_is_not_fetched)
{
	static const uint64_t no[] = {GLN_HPTE_R_N, GLN_HPTE_R_G};
	struct page page = small_page(1);

	for (int i = 0; i < 2; i++) {
		use_segment(&page, 0);
		page.r = RW_ALL | no[i];
		check_access(&page, GLN_ACCESS_EXEC, GLN_DSISR_NOEXEC, "page");
		check_access(&page, GLN_ACCESS_READ, 0, "page");
		check_access(&page, GLN_ACCESS_WRITE, 0, "page");
	}
	use_segment(&page, GLN_SLB_N);
	page.r = RW_ALL;
	check_access(&page, GLN_ACCESS_EXEC, GLN_DSISR_NOEXEC, "segment");
	check_access(&page, GLN_ACCESS_READ, 0, "segment");
	invalidate(&page);
	gln_hpt_model_flush_all(model, LPID);
	refused(page.ea, GLN_ACCESS_WRITE,
		GLN_DSISR_NOHPTE | GLN_DSISR_ISSTORE);
	refused(page.ea, GLN_ACCESS_READ, GLN_DSISR_NOHPTE);
}

FixtureTest(hpt_model, keys_and_problem_state_are_those_of_the_moment)
{
	struct page page = small_page(1);

	page.r = 1;
	use_segment(&page, GLN_SLB_KP);
	map(&page);
	store(page.ea);
	gln_hpt_model_state(vcpu[0], 0, GLN_HPT_PROBLEM);
	refused(page.ea, GLN_ACCESS_WRITE,
		GLN_DSISR_PROTFAULT | GLN_DSISR_ISSTORE);
	cr_assert_eq(go(page.ea), page.real);
	gln_hpt_model_state(vcpu[0], UINT64_MAX, 0);
	refused(page.ea, GLN_ACCESS_READ, GLN_DSISR_KEYFAULT);
	gln_hpt_model_state(vcpu[0], 0, 0);
	store(page.ea);
}

/* What the CPU notes. */

FixtureTest(hpt_model, the_search_sets_r_and_a_store_c)
{
	const struct page page = small_page(1);

	use_segment(&page, 0);
	map(&page);
	cr_assert_eq(go(page.ea), page.real);
	cr_assert_eq(r_of(&page), entry_of(&page).r | GLN_HPTE_R_R);
	store(page.ea);
	cr_assert_eq(r_of(&page),
		     entry_of(&page).r | GLN_HPTE_R_R | GLN_HPTE_R_C);
	cr_assert_eq(stats().accessed_updates, 1);
	cr_assert_eq(stats().dirty_updates, 1);
	cr_assert_eq(stats().walks, 2);

	map(&page);
	store(page.ea);
	cr_assert_eq(noted(&page), 0, "by what it remembers");
	tlbie(&page);
	store(page.ea);
	cr_assert_eq(noted(&page), GLN_HPTE_R_R | GLN_HPTE_R_C);
}

FixtureTest(hpt_model, the_first_store_through_a_load_asks_the_table)
{
	struct page page = small_page(1);

	use_segment(&page, 0);
	map(&page);
	go(page.ea);
	invalidate(&page);
	refused(page.ea, GLN_ACCESS_WRITE,
		GLN_DSISR_NOHPTE | GLN_DSISR_ISSTORE);
	cr_assert_eq(go(page.ea), page.real);
	cr_assert_eq(noted(&page), GLN_HPTE_R_R);
}

/* Store to pages [0, nr): how many have no C at once. */
static unsigned int store_late(unsigned int nr)
{
	unsigned int nr_late = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct page page = small_page(i);

		map(&page);
		store(page.ea);
		cr_assert(noted(&page) & GLN_HPTE_R_R);
		nr_late += !(noted(&page) & GLN_HPTE_R_C);
	}
	return nr_late;
}

FixtureTest(hpt_model, c_is_there_when_the_tlbie_returns_and_not_before)
{
	const struct page first = small_page(0);
	unsigned int nr_late;

	for (int format = 0; format < 2; format++) {
		make_again(format ? GLN_HPT_ISA_3_0 : GLN_HPT_ISA_2_07, PAUSE);
		use_segment(&first, 0);
		nr_late = store_late(200);
		cr_assert(nr_late > 50 && nr_late < 150, "%u", nr_late);
		for (unsigned int i = 0; i < 200; i++) {
			const struct page page = small_page(i);
			const uint64_t before = r_of(&page);

			invalidate(&page);
			tlbie_rb(rb_of(&page), LPID + 1);
			cr_assert_eq(r_of(&page), before);
			tlbie(&page);
			cr_assert_eq(r_of(&page), before | GLN_HPTE_R_C);
			cr_assert_eq(get_word(place_of(&page)), 0);
		}
		cr_assert_eq(stats().dirty_updates, 200);
	}
}

FixtureTest(hpt_model, c_is_there_when_everything_was_flushed)
{
	const struct page first = small_page(0);

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&first, 0);
	cr_assert_gt(store_late(200), 50);
	gln_hpt_model_flush_all(model, LPID + 1);
	cr_assert_lt(stats().dirty_updates, 150);
	gln_hpt_model_flush_all(model, LPID);
	cr_assert_eq(stats().dirty_updates, 200);
	for (unsigned int i = 0; i < 200; i++) {
		const struct page page = small_page(i);

		cr_assert_eq(noted(&page), GLN_HPTE_R_R | GLN_HPTE_R_C);
	}
}

FixtureTest(hpt_model, c_is_there_when_another_page_takes_the_place)
{
	const struct page first = small_page(0);

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&first, 0);
	cr_assert_gt(store_late(200), 50);
	for (unsigned int i = 0; i < 4096; i++) {
		const struct page page = small_page(1000 + i);

		map(&page);
		go(page.ea);
		invalidate(&page);
	}
	cr_assert_eq(stats().dirty_updates, 200);
}

FixtureTest(hpt_model,
	    a_store_through_a_load_may_owe_c_to_an_entry_that_is_gone)
{
	unsigned int nr_late = 0;
	const struct page first = small_page(0);

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&first, 0);
	for (unsigned int i = 0; i < 100; i++) {
		const struct page page = small_page(i);

		map(&page);
		go(page.ea);
		invalidate(&page);
		if (try(page.ea, GLN_ACCESS_WRITE) != GLN_MODEL_DONE)
			continue;
		cr_assert_eq(reached, page.real);
		cr_assert_eq(noted(&page), GLN_HPTE_R_R);
		tlbie(&page);
		cr_assert_eq(noted(&page), GLN_HPTE_R_R | GLN_HPTE_R_C);
		nr_late++;
	}
	cr_assert(nr_late > 20 && nr_late < 80, "%u", nr_late);
}

FixtureTest(hpt_model, c_that_is_owed_for_long_may_come_of_itself)
{
	const struct page page = small_page(0);
	int nr = 0;

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&page, 0);
	do {
		tlbie(&page);
		map(&page);
		store(page.ea);
	} while (noted(&page) & GLN_HPTE_R_C);
	for (; !(noted(&page) & GLN_HPTE_R_C); nr++) {
		cr_assert_lt(nr, 10000);
		store(page.ea);
	}
}

/* What it remembers. */

FixtureTest(hpt_model, a_translation_stays_until_tlbie_names_it)
{
	struct page page = small_page(1);
	const struct page other = small_page(2);

	use_segment(&page, 0);
	map(&page);
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	cr_assert_eq(go_on(1, page.ea, GLN_ACCESS_READ), REAL + PAGE_4K);
	page.real = REAL + 9 * PAGE_4K;
	map(&page);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	tlbie(&other);
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	cr_assert_eq(stats().flushed, 0);
	tlbie(&page);
	cr_assert_eq(stats().flushed, 2);
	cr_assert_eq(stats().flush_ops, 2);
	for (unsigned int cpu = 0; cpu < 2; cpu++)
		cr_assert_eq(go_on(cpu, page.ea, GLN_ACCESS_READ),
			     REAL + 9 * PAGE_4K);
}

FixtureTest(hpt_model, a_tlbie_that_is_not_quite_right_names_nothing)
{
	uint64_t random = 17;

	for (unsigned int i = 0; i < 70; i++) {
		const struct kind *const kind = &kinds[i % 7];
		const struct page page = any_page(&random, kind);
		const uint64_t rb = rb_of(&page);
		const unsigned int lowest = kind->base == 12	? kind->actual
					    : kind->actual < 20 ? 20
								: kind->actual;

		use_segment(&page, 0);
		map(&page);
		cr_assert_neq(go(page.ea), 0);
		invalidate(&page);
		for (unsigned int bit = lowest; bit < 64; bit++)
			tlbie_rb(rb ^ UINT64_C(1) << bit, LPID);
		for (unsigned int bit = 8; bit < 12; bit++)
			tlbie_rb(rb ^ UINT64_C(1) << bit, LPID);
		tlbie_rb(rb ^ 1, LPID);
		tlbie_rb(rb, LPID + 1);
		for (const struct kind *k = kinds; k < ARRAY_END(kinds); k++) {
			struct page wrong = page;

			wrong.kind = k;
			if (k != kind)
				tlbie(&wrong);
		}
		if (kind->base == 12) /* AP */
			for (unsigned int bit = 5; bit < 8; bit++)
				tlbie_rb(rb ^ UINT64_C(1) << bit, LPID);
		else /* LP, all that a 64K page leaves of it */
			for (unsigned int bit = 12; bit < 16; bit++)
				tlbie_rb(rb ^ UINT64_C(1) << bit, LPID);
		if (kind->actual == 16 && kind->base == 16) /* AVAL */
			for (unsigned int bit = 4; bit < 8; bit++)
				tlbie_rb(rb ^ UINT64_C(1) << bit, LPID);
		cr_assert_neq(go(page.ea), 0, "%u: %u/%u", i, kind->base,
			      kind->actual);
		tlbie_rb(rb, LPID);
		cr_assert_eq(go(page.ea), 0, "%u: %u/%u", i, kind->base,
			     kind->actual);
	}
}

FixtureTest(hpt_model, pages_of_a_guest_that_fits_do_not_push_each_other_out)
{
	const struct page first = small_page(0);

	use_segment(&first, 0);
	for (unsigned int i = 0; i < 1024; i++) {
		const struct page page = small_page(i);

		map(&page);
		cr_assert_eq(go(page.ea), page.real);
		invalidate(&page);
	}
	for (unsigned int i = 0; i < 1024; i++)
		cr_assert_eq(go(i * PAGE_4K), REAL + i * PAGE_4K);
	cr_assert_eq(stats().tlb_hits, 1024);
}

FixtureTest(hpt_model, a_right_that_came_later_is_refused_until_tlbie)
{
	struct page page = small_page(1);

	use_segment(&page, 0);
	page.r = 3;
	map(&page);
	go(page.ea);
	page.r = RW_ALL;
	map(&page);
	for (int i = 0; i < 100; i++)
		refused(page.ea, GLN_ACCESS_WRITE,
			GLN_DSISR_PROTFAULT | GLN_DSISR_ISSTORE);
	cr_assert_eq(noted(&page), 0);
	tlbie(&page);
	store(page.ea);
}

FixtureTest(hpt_model, a_refusal_by_the_table_is_not_remembered)
{
	struct page page = small_page(1);

	use_segment(&page, 0);
	page.r = 3;
	map(&page);
	refused(page.ea, GLN_ACCESS_WRITE,
		GLN_DSISR_PROTFAULT | GLN_DSISR_ISSTORE);
	page.r = RW_ALL;
	map(&page);
	store(page.ea);
}

FixtureTest(hpt_model, of_two_sizes_of_page_either_may_be_used)
{
	struct page large = {
		.kind = &kinds[2],
		.vsid = 0x12345,
		.ea = 0x1000,
		.real = 0x5000000,
		.r = RW_ALL,
	};
	const struct page page = small_page(1);
	unsigned int nr_small = 0;

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&large, 0);
	map(&large);
	cr_assert_eq(go(large.ea), 0x5001000);
	large.r |= GLN_HPTE_R_R;
	put(place_of(&page), entry_of(&page));
	put_word(place_of(&page) + 1, entry_of(&page).r | GLN_HPTE_R_R);
	for (int i = 0; i < 1000; i++) {
		const uint64_t at = go(page.ea);

		cr_assert(at == page.real || at == 0x5001000);
		nr_small += at == page.real;
	}
	cr_assert(nr_small > 200 && nr_small < 800, "%u", nr_small);
	tlbie(&large);
	cr_assert_eq(go(page.ea), page.real);
}

FixtureTest(hpt_model, a_page_may_be_known_that_no_access_asked_for)
{
	const struct page page = small_page(2);
	struct page next = small_page(3);

	make_again(GLN_HPT_ISA_2_07, PAUSE);
	use_segment(&page, 0);
	map(&page);
	next.r |= GLN_HPTE_R_R;
	map(&next);
	for (int i = 0; i < 1000; i++)
		go(page.ea);
	invalidate(&next);
	cr_assert_eq(go(next.ea), next.real);
	next.r = RW_ALL;
	map(&next);
	tlbie(&next);
	for (int i = 0; i < 1000; i++)
		go(page.ea);
	cr_assert_eq(noted(&next), 0, "R is an access's");
}

FixtureTest(hpt_model, another_table_is_searched_at_once_and_used_after_a_flush)
{
	struct page page = small_page(1);
	const struct page other = small_page(2);

	use_segment(&page, 0);
	map(&page);
	map(&other);
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);

	gln_word *const at = table[1] + group_of(&page, 18) * 16;

	page.real = REAL + 7 * PAGE_4K;
	put(at, entry_of(&page));
	gln_hpt_model_set_table(model, TABLE(1));
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	cr_assert_eq(go(other.ea), 0);
	gln_hpt_model_flush_all(model, LPID + 1);
	cr_assert_eq(go(page.ea), REAL + PAGE_4K);
	gln_hpt_model_flush_all(model, LPID);
	cr_assert_eq(go(page.ea), REAL + 7 * PAGE_4K);
	cr_assert_eq(stats().flushed, 1);

	gln_hpt_model_flush_all(model, LPID);
	gln_hpt_model_set_table(model, 0);
	refused(page.ea, GLN_ACCESS_READ, GLN_DSISR_NOHPTE);
	gln_hpt_model_set_table(model, TABLE(1) | 29);
	refused(page.ea, GLN_ACCESS_READ, GLN_DSISR_NOHPTE);
}

FixtureTest(hpt_model, several_tlbies_are_executed_in_one_call)
{
	const struct page page = small_page(1);
	const struct page other = small_page(2);
	const struct gln_hpt_tlbie ops[] = {
		{.rb = rb_of(&page), .lpid = LPID},
		{.rb = rb_of(&other), .lpid = LPID},
	};

	use_segment(&page, 0);
	map(&page);
	map(&other);
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		go_on(cpu, page.ea, GLN_ACCESS_READ);
		go_on(cpu, other.ea, GLN_ACCESS_READ);
	}
	gln_hpt_model_tlbie(model, ops, 2);
	cr_assert_eq(stats().flushed, 4);
	cr_assert_eq(stats().flush_ops, 2);
}

/* Many at once. */

static _Atomic bool is_over;

static void *store_on_and_on(void *unused)
{
	struct gln_model_exit exit;
	uint64_t value = 0;

	/* Relaxed: somewhen is soon enough. */
	while (!gln_load_relaxed(&is_over)) {
		value++;
		gln_model_access(vcpu[0], PAGE_4K, GLN_ACCESS_WRITE, &value,
				 &exit);
	}
	return unused;
}

FixtureTest(hpt_model, after_a_tlbie_nobody_writes_and_c_says_who_did)
{
	struct page page = small_page(1);
	unsigned int nr_written = 0;
	pthread_t thread;

	make_again(GLN_HPT_ISA_3_0, 20);
	use_segment(&page, 0);
	gln_store_relaxed(&is_over, false);
	cr_assert_eq(pthread_create(&thread, NULL, store_on_and_on, NULL), 0);
	/* On a busy machine the other thread may not get to run for long. */
	for (unsigned int i = 0;
	     i < ROUNDS || (nr_written < 100 && i < ROUNDS_MAX); i++) {
		const uint64_t before = gln_load_relaxed(&cell);
		uint64_t after;

		map(&page);
		for (int spin = 0; spin < 1000 && i % 3; spin++)
			(void)gln_load_relaxed(&cell);
		invalidate(&page);
		tlbie(&page);
		after = gln_load_relaxed(&cell);
		require(after == before || (noted(&page) & GLN_HPTE_R_C),
			"round %u: written, and not noted", i);
		nr_written += after != before;
		for (int spin = 0; spin < 1000; spin++)
			require(gln_load_relaxed(&cell) == after,
				"round %u: written after tlbie", i);
	}
	gln_store_relaxed(&is_over, true);
	pthread_join(thread, NULL);
	cr_assert_geq(nr_written, 100);
}

/* The machine. */

FixtureTest(hpt_model, parameters_that_are_wrong_are_refused)
{
	struct gln_model_params params = {.struct_bytes = sizeof(params)};
	struct gln_model *none = NULL;

	cr_assert_eq(
		gln_hpt_model_create(&params, (enum gln_hpt_isa)2, 1, &none),
		-EINVAL);
	params.struct_bytes--;
	cr_assert_eq(gln_hpt_model_create(&params, GLN_HPT_ISA_3_0, 1, &none),
		     -EINVAL);
	cr_assert_null(none);
}

FixtureTest(hpt_model, figures_count_what_was_done)
{
	const struct page page = small_page(1);

	try(page.ea, GLN_ACCESS_READ);
	use_segment(&page, 0);
	try(page.ea, GLN_ACCESS_READ);
	map(&page);
	go(page.ea);
	go(page.ea);
	gln_model_kick(model);
	cr_assert_eq(try(page.ea, GLN_ACCESS_READ), GLN_MODEL_KICKED);
	cr_assert_eq(stats().faults, 2, "no segment, and no entry");
	cr_assert_eq(stats().accesses, 2);
	cr_assert_eq(stats().walks, 2);
	cr_assert_eq(stats().tlb_hits, 1);
	cr_assert_eq(stats().kicks, 1);
}
