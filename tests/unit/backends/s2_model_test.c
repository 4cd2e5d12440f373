/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2_model_test.c - the modelled Arm CPU walks, remembers and forgets as the
 * manual says. Tables, registers and TLBI operands are made by hand: no backend
 * takes part.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glean/model.h>

#include "backends/arm_s2/entry.h"
#include "core/base/atomic.h"
#include "tests/unit/require.h"

/* Physical memory: tables, then pages; every other address is @cell. */
#define TABLES_HPA UINT64_C(0x10000000)
#define PAGES_HPA  UINT64_C(0x20000000)
enum { TABLES_BYTES = 4 << 20, PAGES_BYTES = 1 << 20, NR_PAGES = 16 };

#define LEAF                                                            \
	(S2_VALID | S2_ATTR_NORMAL | S2_READ | S2_WRITE | S2_SH_INNER | \
	 S2_AF | S2_XN_EXEC)
#define PAGE (LEAF | S2_PAGE)

/**
 * struct shape - a geometry: the registers, and what the test knows of it.
 *
 * @top:	Arm's start level.
 * @pa_bits:	of an output address.
 */
struct shape {
	const char *what;
	uint64_t vtcr;
	unsigned int granule;
	unsigned int ipa_bits;
	unsigned int pa_bits;
	int start;
	bool is_armv7;
	bool is_lpa2;
};

#define RES1	   (UINT64_C(1) << 31)
#define T0SZ(bits) (UINT64_C(64) - (bits))
#define SL0(n)	   (UINT64_C(n) << 6)
#define SH0	   (UINT64_C(3) << 12)
#define TG0(n)	   (UINT64_C(n) << 14)
#define PS(n)	   (UINT64_C(n) << 16)
#define HA	   (UINT64_C(1) << 21)
#define HD	   (UINT64_C(1) << 22)
#define DS	   (UINT64_C(1) << 32)
#define SL2	   (UINT64_C(1) << 33)
#define BASE	   (RES1 | SH0)
#define NEG(n)	   ((16 - UINT64_C(n)) | 1 << 4) /* T0SZ of Armv7 */

static const struct shape plain = {
	"4K 40", BASE | T0SZ(40) | SL0(1) | PS(5), 12, 40, 48, 1, false, false};

static const struct shape shapes[] = {
	{"4K 40, two roots", BASE | T0SZ(40) | SL0(1) | PS(2), 12, 40, 40, 1,
	 false, false},
	{"4K 32", BASE | T0SZ(32) | SL0(1) | PS(5), 12, 32, 48, 1, false,
	 false},
	{"4K 34, 16 roots", BASE | T0SZ(34) | SL0(0) | PS(5), 12, 34, 48, 2,
	 false, false},
	{"4K 43, 16 roots", BASE | T0SZ(43) | SL0(1) | PS(5), 12, 43, 48, 1,
	 false, false},
	{"4K 48", BASE | T0SZ(48) | SL0(2) | PS(5), 12, 48, 48, 0, false,
	 false},
	{"4K 52, level -1", BASE | T0SZ(52) | DS | SL2 | PS(6), 12, 52, 52, -1,
	 false, true},
	{"4K 52, 16 roots", BASE | T0SZ(52) | DS | SL0(2) | PS(6), 12, 52, 52,
	 0, false, true},
	{"16K 40, 16 roots", BASE | T0SZ(40) | SL0(1) | TG0(2) | PS(5), 14, 40,
	 48, 2, false, false},
	{"16K 47", BASE | T0SZ(47) | SL0(2) | TG0(2) | PS(5), 14, 47, 48, 1,
	 false, false},
	{"16K 48, two roots", BASE | T0SZ(48) | SL0(2) | TG0(2) | PS(5), 14, 48,
	 48, 1, false, false},
	{"16K 52", BASE | T0SZ(52) | DS | SL0(3) | TG0(2) | PS(6), 14, 52, 52,
	 0, false, true},
	{"64K 40", BASE | T0SZ(40) | SL0(1) | TG0(1) | PS(5), 16, 40, 48, 2,
	 false, false},
	{"64K 46, 16 roots", BASE | T0SZ(46) | SL0(1) | TG0(1) | PS(5), 16, 46,
	 48, 2, false, false},
	{"64K 52", BASE | T0SZ(52) | SL0(2) | TG0(1) | PS(6), 16, 52, 52, 1,
	 false, false},
	{"Armv7 40", RES1 | SH0 | SL0(1) | NEG(8), 12, 40, 40, 1, true, false},
	{"Armv7 32", RES1 | SH0 | SL0(1), 12, 32, 40, 1, true, false},
	{"Armv7 34", RES1 | SH0 | SL0(0) | NEG(2), 12, 34, 40, 2, true, false},
	{"Armv7 25", RES1 | SH0 | SL0(0) | 7, 12, 25, 40, 2, true, false},
};

static struct shape shape;
static gln_word *tables;
static gln_word *pages;
static uint64_t next_table;
static uint64_t root;
static gln_word cell;
static uint64_t cell_hpa;
static struct gln_model *model;
static struct gln_model_vcpu *vcpu[2];
static struct gln_model_exit last;

static gln_word *word_at(gln_word *memory, uint64_t offset)
{
	return memory + offset / 8;
}

static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	if (hpa >= TABLES_HPA && hpa < TABLES_HPA + TABLES_BYTES)
		return word_at(tables, hpa - TABLES_HPA);
	if (hpa >= PAGES_HPA && hpa < PAGES_HPA + PAGES_BYTES)
		return word_at(pages, hpa - PAGES_HPA);
	if (!hpa)
		return NULL;
	cell_hpa = hpa;
	return &cell;
}

static uint64_t new_table(uint64_t bytes)
{
	const uint64_t hpa = (next_table + bytes - 1) & ~(bytes - 1);

	next_table = hpa + bytes;
	cr_assert_leq(next_table, TABLES_HPA + TABLES_BYTES);
	return hpa;
}

static unsigned int shift_of(int level)
{
	return shape.granule + (unsigned int)(3 - level) * (shape.granule - 3);
}

static uint64_t page_bytes(void)
{
	return UINT64_C(1) << shape.granule;
}

static uint64_t vttbr_of(uint64_t vmid)
{
	uint64_t vttbr = vmid << 48 | (root & UINT64_C(0xffffffffffff));

	if (shape.pa_bits == 52)
		vttbr |= root >> 48 << 2;
	return vttbr;
}

static void make(struct shape this, unsigned int pause_permille)
{
	const struct gln_mmu_host host = {.memory_at = memory_at};
	const struct gln_model_params params = {
		.struct_bytes = sizeof(params),
		.seed = 7,
		.pause_permille = pause_permille,
		.host = &host,
	};

	shape = this;
	tables = aligned_alloc(4096, TABLES_BYTES);
	pages = aligned_alloc(4096, PAGES_BYTES);
	memset(tables, 0, TABLES_BYTES);
	memset(pages, 0, PAGES_BYTES);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		gln_store_relaxed(word_at(pages, i * page_bytes()), 100 + i);
	next_table = TABLES_HPA;
	root = new_table(UINT64_C(8)
			 << (shape.ipa_bits - shift_of(shape.start)));
	cr_assert_eq(gln_s2_model_create(&params, &model), 0);
	cr_assert_eq(gln_s2_model_set(model, shape.vtcr, vttbr_of(5),
				      shape.is_armv7),
		     0, "%s", shape.what);
	cr_assert_eq(gln_model_vcpu_create(model, 0, NULL, &vcpu[0]), 0);
	cr_assert_eq(gln_model_vcpu_create(model, 1, NULL, &vcpu[1]), 0);
}

static void setup(void)
{
	make(plain, 0);
}

static void teardown(void)
{
	gln_model_vcpu_destroy(vcpu[0]);
	gln_model_vcpu_destroy(vcpu[1]);
	gln_model_destroy(model);
	free(tables);
	free(pages);
}

static void make_again(struct shape this, unsigned int pause_permille)
{
	teardown();
	make(this, pause_permille);
}

static void make_with(uint64_t vtcr_bits, unsigned int pause_permille)
{
	struct shape this = plain;

	this.vtcr |= vtcr_bits;
	make_again(this, pause_permille);
}

/* An address as a descriptor holds it, by table of D8.3. */
static uint64_t encoded(uint64_t address)
{
	if (shape.is_lpa2)
		return (address & UINT64_C(0x3ffffffffffff)) |
		       (address >> 50 & 3) << 8;
	if (shape.granule == 16)
		return (address & UINT64_C(0xffffffffffff)) |
		       (address >> 48 & 0xf) << 12;
	return address;
}

/* Shareability has no bits of its own with LPA2. */
static uint64_t leaf_bits(uint64_t bits)
{
	return shape.is_lpa2 ? bits & ~S2_SH_MASK : bits;
}

static gln_word *entry_of(uint64_t ipa, int level)
{
	uint64_t table = root;

	for (int l = shape.start;; l++) {
		uint64_t index = ipa >> shift_of(l);

		if (l != shape.start)
			index &= page_bytes() / 8 - 1;
		gln_word *const entry =
			word_at(tables, table - TABLES_HPA + index * 8);

		if (l == level)
			return entry;
		if (!gln_load_relaxed(entry))
			gln_store_relaxed(entry, new_table(page_bytes()) | 3);
		table = gln_load_relaxed(entry) & S2_ADDRESS_4K &
			~(page_bytes() - 1);
	}
}

static void set(uint64_t ipa, int level, uint64_t entry)
{
	gln_store_relaxed(entry_of(ipa, level), entry);
}

static uint64_t get(uint64_t ipa, int level)
{
	return gln_load_relaxed(entry_of(ipa, level));
}

static uint64_t page_hpa(unsigned int i)
{
	return PAGES_HPA + i * page_bytes();
}

static void map(uint64_t ipa, unsigned int page)
{
	set(ipa, 3, page_hpa(page) | leaf_bits(PAGE));
}

static enum gln_model_reason try_on(unsigned int cpu, uint64_t ipa,
				    uint32_t access, uint64_t *value)
{
	gln_model_access(vcpu[cpu], ipa, access, value, &last);
	return last.reason;
}

static enum gln_model_reason try(uint64_t ipa, uint32_t access)
{
	uint64_t value = 1;

	return try_on(0, ipa, access, &value);
}

static uint64_t load_on(unsigned int cpu, uint64_t ipa)
{
	uint64_t value = 0;

	cr_assert_eq(try_on(cpu, ipa, GLN_ACCESS_READ, &value), GLN_MODEL_DONE,
		     "%s: %#" PRIx64 ": syndrome %#" PRIx64, shape.what, ipa,
		     last.syndrome);
	return value;
}

static uint64_t load(uint64_t ipa)
{
	return load_on(0, ipa);
}

static void store(uint64_t ipa, uint64_t value)
{
	cr_assert_eq(try_on(0, ipa, GLN_ACCESS_WRITE, &value), GLN_MODEL_DONE);
}

enum { TRANSLATION = 0x04, ACCESS_FLAG = 0x08, PERMISSION = 0x0c };

/* Address size, translation and access flag; the first two at level -1. */
static bool has_hpfar(unsigned int fsc)
{
	return fsc < PERMISSION || fsc == 0x29 || fsc == 0x2b;
}

/* The fault status of an access that must not succeed. */
static unsigned int fault_of(uint64_t ipa, uint32_t access)
{
	unsigned int fsc;

	cr_assert_eq(try(ipa, access), GLN_MODEL_FAULT, "%s: %#" PRIx64,
		     shape.what, ipa);
	fsc = last.syndrome & 0x3f;
	cr_assert_eq(last.gpa, ipa);
	if (has_hpfar(fsc))
		cr_assert_eq(last.hpfar, ipa >> 12 << 4);
	return fsc;
}

/* Maintenance. */

static void execute(uint32_t id, enum gln_s2_instruction what, uint64_t operand)
{
	const struct gln_s2_op op = {.instruction = what, .operand = operand};

	gln_s2_model_execute(model, id, &op, 1);
}

static void everywhere(enum gln_s2_instruction what, uint64_t operand)
{
	execute(GLN_S2_EVERYWHERE, what, operand);
}

static void dsb(void)
{
	everywhere(GLN_S2_DSB_ISH, 0);
}

/* Stage 2 by @what, and everything combined, with the DSB between them. */
static void flush_by(enum gln_s2_instruction what, uint64_t operand)
{
	everywhere(GLN_S2_DSB_ISHST, 0);
	everywhere(what, operand);
	dsb();
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	everywhere(GLN_S2_ISB, 0);
}

static void flush_ipa(uint64_t ipa)
{
	flush_by(GLN_S2_TLBI_IPAS2E1IS, ipa >> 12);
}

static void flush_all(void)
{
	everywhere(GLN_S2_TLBI_VMALLS12E1IS, 0);
	dsb();
}

static struct gln_model_stats stats(void)
{
	struct gln_model_stats now = {.struct_bytes = sizeof(now)};

	cr_assert_eq(gln_model_stats(model, &now), 0);
	return now;
}

/* Walks. */

/* At the first and the last page of the IPA space, and beyond it. */
static void check_shape(void)
{
	const uint64_t end = UINT64_C(1) << shape.ipa_bits;
	const uint64_t high = UINT64_C(1) << (shape.pa_bits - 1);

	map(0, 1);
	map(end - page_bytes(), 2);
	map(end / 2, 3);
	cr_assert_eq(load(0), 101, "%s", shape.what);
	cr_assert_eq(load(end - page_bytes()), 102, "%s", shape.what);
	cr_assert_eq(load(end / 2), 103, "%s", shape.what);
	cr_assert_eq(fault_of(end, GLN_ACCESS_READ),
		     TRANSLATION | (shape.is_armv7 ? 1 : 0));

	set(page_bytes(), 3,
	    encoded(high | high >> 1 | page_bytes()) | leaf_bits(PAGE));
	load(page_bytes() * 2 - 8);
	cr_assert_eq(cell_hpa, (high | high >> 1) + page_bytes() * 2 - 8,
		     "%s: %#" PRIx64, shape.what, cell_hpa);
}

Test(s2_model, every_geometry_leads_to_its_pages)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		make(*s, 0);
		check_shape();
		teardown();
	}
}

Test(s2_model, a_missing_entry_is_a_translation_fault_of_its_level)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		make(*s, 0);
		for (int level = shape.start; level <= 3; level++) {
			entry_of(0, level);
			cr_assert_eq(fault_of(0, GLN_ACCESS_READ),
				     level < 0 ? 0x2bU
					       : TRANSLATION | (unsigned)level,
				     "%s level %d", s->what, level);
		}
		teardown();
	}
}

/* The first level, from the root, that may have blocks. */
static int first_block_level(void)
{
	if (shape.granule == 12)
		return shape.is_lpa2 ? 0 : 1;
	return shape.is_lpa2 || shape.pa_bits == 52 ? 1 : 2;
}

Test(s2_model, a_block_stands_where_its_granule_has_one)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		make(*s, 0);
		for (int level = shape.start; level <= 2; level++) {
			const uint64_t bytes = UINT64_C(1) << shift_of(level);
			const uint64_t high = UINT64_C(1)
					      << (shape.pa_bits - 1);
			const uint64_t entry = encoded(high) | leaf_bits(LEAF);

			flush_all();
			set(0, level, entry);
			if (level < first_block_level()) {
				fault_of(0, GLN_ACCESS_READ);
				set(0, level, 0);
				continue;
			}
			load(bytes - 8);
			cr_assert_eq(cell_hpa, high + bytes - 8, "%s level %d",
				     s->what, level);
			set(0, level, entry | encoded(bytes / 2));
			flush_all();
			cr_assert_eq(fault_of(0, GLN_ACCESS_READ),
				     TRANSLATION | (unsigned)level,
				     "%s level %d askew", s->what, level);
			set(0, level, 0);
		}
		teardown();
	}
}

FixtureTest(s2_model, registers_that_make_no_sense_are_refused)
{
	const uint64_t good = plain.vtcr;
	const struct {
		const char *what;
		uint64_t vtcr;
		bool is_armv7;
	} cases[] = {
		{"RES1 clear", good & ~RES1, false},
		{"granule 3", good | TG0(3), false},
		{"PS 7", good | PS(7), false},
		{"SH0 1", (good & ~SH0) | UINT64_C(1) << 12, false},
		{"39 bits from level 0", BASE | T0SZ(39) | SL0(2) | PS(5),
		 false},
		{"44 bits from level 1", BASE | T0SZ(44) | SL0(1) | PS(5),
		 false},
		{"30 bits from level 1", BASE | T0SZ(30) | SL0(1) | PS(5),
		 false},
		{"35 bits from level 2", BASE | T0SZ(35) | SL0(0) | PS(5),
		 false},
		{"49 bits without DS", BASE | T0SZ(49) | SL0(2) | PS(6), false},
		{"24 bits", BASE | T0SZ(24) | SL0(0) | PS(5), false},
		{"level 0 of 16K without DS",
		 BASE | T0SZ(48) | SL0(3) | TG0(2) | PS(5), false},
		{"SL0 3 of 64K", BASE | T0SZ(40) | SL0(3) | TG0(1) | PS(5),
		 false},
		{"DS with 64K", BASE | T0SZ(40) | SL0(1) | TG0(1) | PS(6) | DS,
		 false},
		{"SL2 without DS", good | SL2, false},
		{"52 bits of 64K without PS 6",
		 BASE | T0SZ(52) | SL0(2) | TG0(1) | PS(5), false},
		{"a reserved bit", good | UINT64_C(1) << 40, false},
		{"Armv7: half a sign", RES1 | SH0 | SL0(1) | 8, true},
		{"Armv7: the other half", RES1 | SH0 | SL0(1) | 1 << 4, true},
		{"Armv7: SL0 2", RES1 | SH0 | SL0(2), true},
		{"Armv7: 40 bits from level 2", RES1 | SH0 | SL0(0) | NEG(8),
		 true},
		{"Armv7: 30 bits from level 1", RES1 | SH0 | SL0(1) | 2, true},
		{"Armv7: HA", RES1 | SH0 | SL0(1) | HA, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(gln_s2_model_set(model, cases[i].vtcr, root,
					      cases[i].is_armv7),
			     -EINVAL, "%s", cases[i].what);

	cr_assert_eq(gln_s2_model_set(model, good, root, false), 0);
	cr_assert_eq(gln_s2_model_set(model, good, root + 4096, false), -EINVAL,
		     "two tables side by side are aligned to both");
	cr_assert_eq(gln_s2_model_set(model, good, root | UINT64_C(256) << 48,
				      false),
		     -EINVAL, "a VMID of 9 bits");
	cr_assert_eq(gln_s2_model_set(model, good | UINT64_C(1) << 19,
				      root | UINT64_C(256) << 48, false),
		     0);
}

FixtureTest(s2_model, a_refusal_says_what_where_and_how)
{
	const struct {
		const char *what;
		uint64_t entry;
		uint32_t access;
		unsigned int fsc; /* 0: done */
	} cases[] = {
		{"no R", PAGE & ~S2_READ, GLN_ACCESS_READ, PERMISSION | 3},
		{"no R, write", PAGE & ~S2_READ, GLN_ACCESS_WRITE, 0},
		{"no W", PAGE & ~S2_WRITE, GLN_ACCESS_WRITE, PERMISSION | 3},
		{"no W, read", PAGE & ~S2_WRITE, GLN_ACCESS_READ, 0},
		{"XN", PAGE | S2_XN_NONE, GLN_ACCESS_EXEC, PERMISSION | 3},
		{"XN, read", PAGE | S2_XN_NONE, GLN_ACCESS_READ, 0},
		{"EL0 alone", PAGE | UINT64_C(1) << 53, GLN_ACCESS_EXEC,
		 PERMISSION | 3},
		{"EL1 alone", PAGE | UINT64_C(3) << 53, GLN_ACCESS_EXEC, 0},
		{"no AF", PAGE & ~S2_AF, GLN_ACCESS_READ, ACCESS_FLAG | 3},
		{"no AF, no W", PAGE & ~(S2_AF | S2_WRITE), GLN_ACCESS_WRITE,
		 ACCESS_FLAG | 3},
		{"locked", S2_LOCKED, GLN_ACCESS_WRITE, TRANSLATION | 3},
		{"a block at level 3", LEAF, GLN_ACCESS_READ, TRANSLATION | 3},
		{"nG", PAGE | 1 << 11, GLN_ACCESS_READ, TRANSLATION | 3},
		{"bit 50", PAGE | UINT64_C(1) << 50, GLN_ACCESS_READ,
		 TRANSLATION | 3},
		{"software's bits", PAGE | UINT64_C(0xf) << 55, GLN_ACCESS_READ,
		 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t ipa = UINT64_C(0x12345000) + i * 4096;
		const uint64_t ec =
			cases[i].access == GLN_ACCESS_EXEC ? 0x20 : 0x24;
		const uint64_t wnr = cases[i].access == GLN_ACCESS_WRITE;

		set(ipa, 3,
		    cases[i].entry & S2_VALID ? cases[i].entry | page_hpa(0)
					      : cases[i].entry);
		if (!cases[i].fsc) {
			cr_assert_eq(try(ipa, cases[i].access), GLN_MODEL_DONE,
				     "%s", cases[i].what);
			continue;
		}
		cr_assert_eq(fault_of(ipa, cases[i].access), cases[i].fsc,
			     "%s: %#" PRIx64, cases[i].what, last.syndrome);
		cr_assert_eq(last.syndrome,
			     ec << 26 | 1 << 25 | wnr << 6 | cases[i].fsc);
	}
}

FixtureTest(s2_model, a_permission_fault_does_not_write_hpfar)
{
	unsigned int nr_right = 0;

	set(0x5000, 3, (PAGE & ~S2_WRITE) | page_hpa(1));
	for (unsigned int i = 0; i < 16; i++) {
		if (i == 8)
			load(0x5000); /* from a TLB, too */
		cr_assert_eq(fault_of(0x5000, GLN_ACCESS_WRITE),
			     PERMISSION | 3);
		nr_right += last.hpfar == 0x50;
		/* FIPA is 43:4; the rest is reserved. */
		cr_assert(!(last.hpfar & ~UINT64_C(0xffffffffff0)));
	}
	cr_assert_eq(nr_right, 0, "of 2^40 values, by chance");
}

/* 2 MiB at 2 MiB, and then a table of one page in its place, at once. */
static void replace_block_without_a_break(void)
{
	const uint64_t table = new_table(4096);

	set(0x200000, 2, LEAF | PAGES_HPA);
	load(0x200000);
	gln_store_relaxed(word_at(tables, table - TABLES_HPA),
			  PAGE | page_hpa(0));
	set(0x200000, 2, table | S2_VALID | S2_TABLE);
}

FixtureTest(s2_model, an_eager_cpu_meets_a_page_beside_its_block)
{
	unsigned int nr_loads = 0;

	replace_block_without_a_break();
	for (; nr_loads < 1000; nr_loads++)
		load(0x200000);
	cr_assert_eq(stats().walks, 1, "a CPU that is never slow has a hit");

	make_with(0, 1);
	replace_block_without_a_break();
	for (nr_loads = 0; nr_loads < 1000; nr_loads++)
		if (try(0x200000, GLN_ACCESS_READ) != GLN_MODEL_DONE)
			break;
	cr_assert_lt(nr_loads, 1000);
	cr_assert_eq(fault_of(0x200000, GLN_ACCESS_READ), 0x30);

	/* Once the block is forgotten there is nothing to meet. */
	make_with(0, 1);
	replace_block_without_a_break();
	flush_all();
	for (nr_loads = 0; nr_loads < 1000; nr_loads++)
		load(0x200000);
}

FixtureTest(s2_model, an_address_beyond_the_machine_s_is_an_address_size_fault)
{
	struct shape small = plain;

	small.vtcr = BASE | T0SZ(40) | SL0(1) | PS(2);
	make_again(small, 0);
	set(0x1000, 3, PAGE | UINT64_C(1) << 40);
	cr_assert_eq(fault_of(0x1000, GLN_ACCESS_READ), 3);
	set(0x200000, 2, S2_VALID | S2_TABLE | UINT64_C(1) << 41);
	cr_assert_eq(fault_of(0x200000, GLN_ACCESS_READ), 2);
	set(0x2000, 3, PAGE);
	cr_assert_eq(fault_of(0x2000, GLN_ACCESS_READ), 0x10,
		     "no memory there: an external abort");
	set(0x400000, 2, S2_VALID | S2_TABLE);
	cr_assert_eq(fault_of(0x400000, GLN_ACCESS_READ), 0x17);
}

/* What the CPU remembers. */

FixtureTest(s2_model, a_translation_stays_until_both_of_its_parts_are_named)
{
	map(0x5000, 1);
	load(0x5000);
	load_on(1, 0x5000);
	map(0x5000, 2);
	cr_assert_eq(load(0x5000), 101);

	everywhere(GLN_S2_TLBI_IPAS2E1IS, 5);
	dsb();
	cr_assert_eq(load(0x5000), 101, "combined");
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 102);
	cr_assert_eq(load_on(1, 0x5000), 102);

	map(0x5000, 3);
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 102, "of stage 2");
	flush_ipa(0x6000);
	cr_assert_eq(load(0x5000), 102, "of another page");
	flush_ipa(0x5000);
	cr_assert_eq(load(0x5000), 103);

	map(0x5000, 4);
	flush_all();
	cr_assert_eq(load(0x5000), 104);
}

FixtureTest(s2_model, a_tlbi_is_done_at_its_dsb_and_no_other)
{
	map(0x5000, 1);
	load(0x5000);
	map(0x5000, 2);
	everywhere(GLN_S2_TLBI_VMALLS12E1IS, 0);
	cr_assert_eq(load(0x5000), 101);
	everywhere(GLN_S2_DSB_ISHST, 0);
	everywhere(GLN_S2_DSB_NSH, 0);
	everywhere(GLN_S2_ISB, 0);
	cr_assert_eq(load(0x5000), 101);
	dsb();
	cr_assert_eq(load(0x5000), 102);
	cr_assert_eq(stats().flush_ops, 1);
	cr_assert_eq(stats().flushed, 2);
}

static void *dsb_of_another_thread(void *unused)
{
	dsb();
	return unused;
}

FixtureTest(s2_model, a_dsb_waits_for_its_own_thread_s_tlbis_only)
{
	pthread_t thread;

	map(0x5000, 1);
	load(0x5000);
	map(0x5000, 2);
	everywhere(GLN_S2_TLBI_VMALLS12E1IS, 0);
	cr_assert_eq(pthread_create(&thread, NULL, dsb_of_another_thread, NULL),
		     0);
	pthread_join(thread, NULL);
	cr_assert_eq(load(0x5000), 101);
	dsb();
	cr_assert_eq(load(0x5000), 102);
}

FixtureTest(s2_model, tlbis_that_no_dsb_follows_are_done_when_there_is_no_room)
{
	map(0x5000, 1);
	load(0x5000);
	map(0x5000, 2);
	for (int i = 0; i < 64; i++)
		everywhere(GLN_S2_TLBI_VMALLS12E1IS, 0);
	cr_assert_eq(load(0x5000), 101);
	everywhere(GLN_S2_TLBI_VMALLS12E1IS, 0);
	cr_assert_eq(load(0x5000), 102);
	cr_assert_eq(stats().flush_ops, 65);
}

/* H-26. */
FixtureTest(s2_model, without_a_dsb_between_them_stage_1_is_filled_again)
{
	map(0x5000, 1);
	load(0x5000);
	map(0x5000, 2);
	everywhere(GLN_S2_TLBI_IPAS2E1IS, 5);
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 101, "the combined translation is back");
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 102);

	/* The same by range. */
	map(0x5000, 3);
	everywhere(GLN_S2_TLBI_RIPAS2E1IS, UINT64_C(1) << 46 | 4);
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 102);
}

/* H-25. TTL: bits 47:46 granule, 45:44 level. */
FixtureTest(s2_model, a_wrong_hint_leaves_the_translation)
{
	static const struct {
		const char *what;
		uint64_t ttl;
		bool goes;
	} cases[] = {
		{"no hint", 0x0, true},
		{"no granule, level 3", 0x3, true},
		{"4K, level 3", 0x7, true},
		{"4K, level 2", 0x6, false},
		{"4K, level 1", 0x5, false},
		{"4K, reserved", 0x4, true},
		{"16K, level 3", 0xb, false},
		{"64K, level 3", 0xf, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		map(0x5000, 1);
		flush_all();
		load(0x5000);
		map(0x5000, 2);
		flush_by(GLN_S2_TLBI_IPAS2E1IS, cases[i].ttl << 44 | 5);
		cr_assert_eq(load(0x5000), cases[i].goes ? 102U : 101U, "%s",
			     cases[i].what);
	}

	set(0x200000, 2, encoded(UINT64_C(0x40000000)) | LEAF);
	load(0x200000);
	set(0x200000, 2, 0);
	flush_by(GLN_S2_TLBI_IPAS2E1IS, UINT64_C(0x7) << 44 | 0x200);
	load(0x200000);
	flush_by(GLN_S2_TLBI_IPAS2E1IS, UINT64_C(0x6) << 44 | 0x3ff);
	cr_assert_eq(fault_of(0x200000, GLN_ACCESS_READ), TRANSLATION | 2);
}

FixtureTest(s2_model, a_table_that_was_taken_away_stays_in_use_until_named)
{
	map(0x5000, 1);
	map(0x6000, 2);
	map(0x7000, 3);
	map(0x8000, 4);
	load(0x5000);
	set(0x5000, 2, 0);
	cr_assert_eq(load(0x6000), 102, "by the pointer it remembers");
	flush_by(GLN_S2_TLBI_IPAS2E1IS, UINT64_C(0x6) << 44 | 5);
	cr_assert_eq(load(0x7000), 103, "a hint is of leaves");
	flush_by(GLN_S2_TLBI_RIPAS2E1IS,
		 UINT64_C(1) << 46 | UINT64_C(2) << 37 | 4);
	cr_assert_eq(load(0x8000), 104, "a hint is of leaves");
	flush_ipa(0x200000);
	flush_ipa(0x5000);
	cr_assert_eq(fault_of(0x9000, GLN_ACCESS_READ), TRANSLATION | 2);
}

FixtureTest(s2_model, local_maintenance_is_of_one_vcpu)
{
	map(0x5000, 1);
	load(0x5000);
	load_on(1, 0x5000);
	map(0x5000, 2);
	execute(1, GLN_S2_TLBI_IPAS2E1, 5);
	execute(1, GLN_S2_DSB_NSH, 0);
	execute(1, GLN_S2_TLBI_VMALLE1, 0);
	execute(1, GLN_S2_DSB_NSH, 0);
	cr_assert_eq(load(0x5000), 101);
	cr_assert_eq(load_on(1, 0x5000), 102);
	everywhere(GLN_S2_TLBI_IPAS2E1, 5);
	everywhere(GLN_S2_TLBI_VMALLE1, 0);
	dsb();
	cr_assert_eq(load(0x5000), 101, "a CPU that runs no vCPU");
}

/* Ranges. */

enum { NR_PROBES = 4 };

/* Which of the pages around a range are forgotten by it: a bit for each. */
static unsigned int forgotten(uint64_t operand, uint64_t first, uint64_t count)
{
	const uint64_t probes[NR_PROBES] = {
		(first - 1) << shape.granule,
		first << shape.granule,
		(first + count - 1) << shape.granule,
		(first + count) << shape.granule,
	};
	unsigned int went = 0;

	/* One by one: two of them may have one place in a TLB. */
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		map(probes[i], 1);
		flush_ipa(probes[i]);
		load(probes[i]);
		map(probes[i], 2);
		flush_by(GLN_S2_TLBI_RIPAS2E1IS, operand);
		went |= (load(probes[i]) == 102 ? 1U : 0U) << i;
	}
	return went;
}

static uint64_t range_operand(uint64_t tg, uint64_t scale, uint64_t num,
			      uint64_t ttl, uint64_t base)
{
	return tg << 46 | scale << 44 | num << 39 | ttl << 37 | base;
}

Test(s2_model, a_range_is_exact_at_the_edges_of_num_and_scale)
{
	static const uint64_t nums[] = {0, 1, 30, 31};
	static const struct {
		size_t shape;
		uint64_t tg;
		unsigned int base_shift;
	} kinds[] = {{0, 1, 0}, {9, 2, 0}, {11, 3, 0}, {6, 1, 4}, {10, 2, 2}};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		make(shapes[kinds[k].shape], 0);
		for (uint64_t i = 0; i < 16; i++) {
			const uint64_t scale = i / 4, num = nums[i % 4];
			const uint64_t count = (num + 1) << (5 * scale + 1);
			const uint64_t first = 0x40;
			const uint64_t base = first >> kinds[k].base_shift;

			cr_assert_eq(forgotten(range_operand(kinds[k].tg, scale,
							     num, 0, base),
					       first, count),
				     6U, "%s scale %" PRIu64 " num %" PRIu64,
				     shape.what, scale, num);
		}
		teardown();
	}
}

FixtureTest(s2_model, a_range_with_a_wrong_hint_or_granule_leaves_all)
{
	cr_assert_eq(forgotten(range_operand(1, 0, 0, 3, 64), 64, 2), 6);
	cr_assert_eq(forgotten(range_operand(1, 0, 0, 2, 64), 64, 2), 0);
	cr_assert_eq(forgotten(range_operand(1, 0, 0, 1, 64), 64, 2), 0);
	cr_assert_eq(forgotten(range_operand(0, 0, 0, 0, 64), 64, 2), 0);
	cr_assert_eq(forgotten(range_operand(2, 0, 0, 0, 64), 64, 2), 0);
}

FixtureTest(s2_model, a_range_that_touches_a_block_takes_all_of_it)
{
	set(0x200000, 2, LEAF | 0x40000000);
	load(0x200000);
	set(0x200000, 2, 0);
	flush_by(GLN_S2_TLBI_RIPAS2E1IS, range_operand(1, 0, 0, 0, 0x1fe));
	load(0x200000);
	flush_by(GLN_S2_TLBI_RIPAS2E1IS, range_operand(1, 0, 0, 0, 0x3fe));
	cr_assert_eq(fault_of(0x200000, GLN_ACCESS_READ), TRANSLATION | 2);
}

/* H-29. */
FixtureTest(s2_model, a_block_replaced_without_a_break_is_a_conflict)
{
	make_with(HA | HD, 0);
	set(0x200000, 2, (LEAF & ~S2_WRITE) | S2_DBM | 0x40000000);
	load(0x200000);
	set(0x200000, 2, 0);
	map(0x200000, 1);
	store(0x200000, 1); /* was clean: walks, and finds the page as well */
	cr_assert_eq(fault_of(0x200000, GLN_ACCESS_READ), 0x30);
	flush_ipa(0x200000);
	load(0x200000);
}

/* Armv7 has neither hints, ranges nor addresses of stage 2. */
Test(s2_model, armv7_forgets_by_the_vmid_only)
{
	make(shapes[14], 0);
	map(0x5000, 1);
	load(0x5000);
	map(0x5000, 2);
	everywhere(GLN_S2_TLBI_IPAS2E1IS, 5);
	dsb();
	everywhere(GLN_S2_TLBI_RIPAS2E1IS, range_operand(1, 3, 31, 0, 0));
	dsb();
	cr_assert_eq(load(0x5000), 101);
	cr_assert_eq(stats().flushed, 0);
	everywhere(GLN_S2_TLBI_VMALLE1IS, 0);
	dsb();
	cr_assert_eq(load(0x5000), 102);
	teardown();
}

/* Rights, access flag, dirty state. */

FixtureTest(s2_model, a_refusal_is_remembered_until_maintenance)
{
	set(0x5000, 3, (PAGE & ~S2_WRITE) | page_hpa(1));
	cr_assert_eq(fault_of(0x5000, GLN_ACCESS_WRITE), PERMISSION | 3);
	map(0x5000, 1);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(fault_of(0x5000, GLN_ACCESS_WRITE),
			     PERMISSION | 3);
	execute(0, GLN_S2_TLBI_IPAS2E1, 5);
	execute(0, GLN_S2_DSB_NSH, 0);
	fault_of(0x5000, GLN_ACCESS_WRITE);
	execute(0, GLN_S2_TLBI_VMALLE1, 0);
	execute(0, GLN_S2_DSB_NSH, 0);
	store(0x5000, 1);
}

FixtureTest(s2_model, a_translation_fault_is_not_remembered)
{
	cr_assert_eq(fault_of(0x5000, GLN_ACCESS_READ), TRANSLATION | 1);
	map(0x5000, 1);
	cr_assert_eq(load(0x5000), 101);
	set(0x6000, 3, (PAGE & ~S2_AF) | page_hpa(2));
	cr_assert_eq(fault_of(0x6000, GLN_ACCESS_READ), ACCESS_FLAG | 3);
	map(0x6000, 2);
	cr_assert_eq(load(0x6000), 102);
}

FixtureTest(s2_model, the_access_flag_is_set_where_the_cpu_does_that)
{
	make_with(HA, 0);
	set(0x5000, 3, (PAGE & ~S2_AF) | page_hpa(1));
	cr_assert_eq(load(0x5000), 101);
	cr_assert_eq(get(0x5000, 3), PAGE | page_hpa(1));
	cr_assert_eq(stats().accessed_updates, 1);

	set(0x6000, 3, (PAGE & ~(S2_AF | S2_WRITE)) | page_hpa(1));
	cr_assert_eq(fault_of(0x6000, GLN_ACCESS_WRITE), PERMISSION | 3);
	cr_assert(!(get(0x6000, 3) & S2_AF), "a refusal sets nothing");
}

FixtureTest(s2_model, the_access_flag_may_come_as_late_as_maintenance)
{
	unsigned int nr_late = 0;

	make_with(HA, 1);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		set(i * 4096, 3, (PAGE & ~S2_AF) | page_hpa(i));
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		load(i * 4096);
		nr_late += !(get(i * 4096, 3) & S2_AF);
	}
	cr_assert(nr_late > 2 && nr_late < NR_PAGES - 2, "%u", nr_late);
	set(0, 3, 0);
	set(4096, 3, (PAGE & ~S2_AF) | page_hpa(9));
	for (unsigned int i = 2; i < 10; i++)
		set(i * 4096, 3, get(i * 4096, 3) & ~S2_WRITE);
	flush_ipa(UINT64_C(0x7fffff000));
	cr_assert_eq(get(0, 3), 0);
	cr_assert_eq(get(4096, 3), (PAGE & ~S2_AF) | page_hpa(9));
	for (unsigned int i = 2; i < NR_PAGES; i++)
		cr_assert(get(i * 4096, 3) & S2_AF, "%u", i);
}

FixtureTest(s2_model, a_store_makes_writable_clean_dirty)
{
	const uint64_t clean = (PAGE & ~S2_WRITE) | S2_DBM;

	make_with(HA | HD, 0);
	set(0x5000, 3, clean | page_hpa(1));
	load(0x5000);
	cr_assert_eq(get(0x5000, 3), clean | page_hpa(1));
	store(0x5000, 1);
	cr_assert_eq(get(0x5000, 3), clean | S2_WRITE | page_hpa(1));
	cr_assert_eq(stats().dirty_updates, 1);

	/* Clean again, unflushed: the CPU knows it dirty, and asks nobody. */
	set(0x5000, 3, clean | page_hpa(1));
	store(0x5000, 2);
	cr_assert_eq(get(0x5000, 3), clean | page_hpa(1));
	flush_ipa(0x5000);
	store(0x5000, 3);
	cr_assert_eq(get(0x5000, 3), clean | S2_WRITE | page_hpa(1));

	/* Known clean: the table is asked, and refuses. */
	set(0x6000, 3, clean | page_hpa(2));
	load(0x6000);
	set(0x6000, 3, (clean & ~S2_DBM) | page_hpa(2));
	cr_assert_eq(fault_of(0x6000, GLN_ACCESS_WRITE), PERMISSION | 3);
}

FixtureTest(s2_model, dirty_state_needs_both_ha_and_hd)
{
	const uint64_t clean = (PAGE & ~S2_WRITE) | S2_DBM;
	const uint64_t bits[] = {0, HA, HD};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		make_with(bits[i], 0);
		set(0x5000, 3, clean | page_hpa(1));
		cr_assert_eq(fault_of(0x5000, GLN_ACCESS_WRITE),
			     PERMISSION | 3);
		cr_assert_eq(get(0x5000, 3), clean | page_hpa(1));
	}
}

/* A vCPU that stores to one page all the time, until told to end. */

static gln_word must_end;

static void *store_for_ever(void *unused)
{
	uint64_t value = 0;

	while (!gln_load_relaxed(&must_end)) {
		const struct gln_s2_op relax[] = {
			{GLN_S2_TLBI_IPAS2E1, 5},
			{GLN_S2_DSB_NSH, 0},
			{GLN_S2_TLBI_VMALLE1, 0},
			{GLN_S2_DSB_NSH, 0},
		};
		struct gln_model_exit exit;

		value++;
		if (!gln_model_access(vcpu[0], 0x5000, GLN_ACCESS_WRITE, &value,
				      &exit))
			gln_s2_model_execute(model, 0, relax, 4);
	}
	return unused;
}

static void await_store(gln_word *word)
{
	const uint64_t before = gln_load_relaxed(word);

	while (gln_load_relaxed(word) == before)
		sched_yield();
}

FixtureTest(s2_model, after_protect_and_flush_nothing_is_written_any_more)
{
	const struct timespec while_longer = {.tv_nsec = 100000};
	pthread_t thread;

	make_with(HA | HD, 200);
	map(0x5000, 1);
	gln_store_relaxed(&must_end, 0);
	cr_assert_eq(pthread_create(&thread, NULL, store_for_ever, NULL), 0);
	for (int round = 0; round < 100; round++) {
		gln_word *const word = word_at(pages, 4096);
		uint64_t before;

		await_store(word);
		gln_fetch_and_relaxed(entry_of(0x5000, 3), ~S2_WRITE);
		flush_ipa(0x5000);
		before = gln_load_relaxed(word);
		nanosleep(&while_longer, NULL);
		require(gln_load_relaxed(word) == before,
			"round %d: a store came through", round);
		/* By turns writable again, and writable-clean. */
		gln_fetch_or_relaxed(entry_of(0x5000, 3),
				     round & 1 ? S2_WRITE : S2_DBM);
		if (round & 1)
			gln_fetch_and_relaxed(entry_of(0x5000, 3), ~S2_DBM);
		await_store(word);
		if (!(round & 1))
			require(get(0x5000, 3) & S2_WRITE,
				"round %d: written and clean", round);
		gln_fetch_and_relaxed(entry_of(0x5000, 3), ~S2_DBM);
	}
	gln_store_relaxed(&must_end, 1);
	pthread_join(thread, NULL);
}
