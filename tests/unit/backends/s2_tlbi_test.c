/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2_tlbi_test.c - a plan of maintenance covers what it must, in order.
 *
 * G7, G8; H-24 (ranges at the limit of 2^21 pages), H-25 (level hints), H-26
 * (stage 2 is finished before stage 1 starts).
 */
#include "backends/arm_s2/tlbi.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"
#include "tests/unit/require.h"

enum { MAX_RANGE_PAGES = 1 << 21, NR_SEEDS = 20000, NR_RUNS = 16 };

/* What TLBIs of a plan reach: ranges of IPAs, as the CPU decodes operands. */
struct reach {
	size_t nr;
	struct {
		uint64_t first;
		uint64_t end;
		unsigned int hint; /* the CPU's level, 0 none */
	} of[S2_MAX_TLBI];
};

static const struct shape {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
} shapes[] = {
	{"4K", 12, 48, GLN_S2_TLB_RANGE | GLN_S2_TTL},
	{"4K LPA2", 12, 52, GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_LPA2},
	{"16K", 14, 48, GLN_S2_TLB_RANGE | GLN_S2_TTL},
	{"16K LPA2", 14, 52, GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_LPA2},
	{"64K", 16, 48, GLN_S2_TLB_RANGE | GLN_S2_TTL},
	{"64K LPA2", 16, 52, GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_LPA2},
	{"4K, no ranges", 12, 48, GLN_S2_TTL},
	{"16K, no ranges", 14, 48, 0},
};

static struct s2_geometry geometry(unsigned int granule, unsigned int ipa_bits,
				   uint32_t flags)
{
	struct s2_geometry g;

	cr_assert_eq(glni_s2_geometry(granule, ipa_bits, flags, &g), 0);
	return g;
}

/* How far bases of ranges are aligned: 64 KiB with VTCR_EL2.DS. */
static uint64_t base_align(const struct shape *shape)
{
	return shape->flags & GLN_S2_LPA2 ? UINT64_C(1) << 16
					  : UINT64_C(1) << shape->granule;
}

/* TLBI IPAS2E1IS: TTL is 47:44, the IPA's 51:12 are 39:0. */
static void decode_ipa(const struct shape *shape, uint64_t operand,
		       struct reach *reach)
{
	const uint64_t page = UINT64_C(1) << shape->granule;
	const uint64_t ipa = (operand & UINT64_C(0xffffffffff)) << 12;
	const unsigned int ttl = operand >> 44 & 15;

	require(!(operand & UINT64_C(0xffff0f0000000000)), "%s: reserved bits",
		shape->what);
	require(!ttl || ttl >> 2 == (shape->granule - 10) / 2, "%s: TTL %u",
		shape->what, ttl);
	reach->of[reach->nr].first = ipa & -page;
	reach->of[reach->nr].end = (ipa & -page) + page;
	reach->of[reach->nr++].hint = ttl & 3;
}

/* TLBI RIPAS2E1IS: TG, SCALE, NUM, TTL, BaseADDR. */
static void decode_range(const struct shape *shape, uint64_t operand,
			 struct reach *reach)
{
	const unsigned int tg = operand >> 46 & 3;
	const unsigned int scale = operand >> 44 & 3;
	const uint64_t num = operand >> 39 & 31;
	const uint64_t base =
		(operand & UINT64_C(0x1fffffffff)) * base_align(shape);
	const uint64_t pages = (num + 1) << (5 * scale + 1);

	require(shape->flags & GLN_S2_TLB_RANGE, "%s: a CPU without ranges",
		shape->what);
	require(!(operand >> 48), "%s: reserved bits", shape->what);
	require(tg == (shape->granule - 10) / 2, "%s: TG %u", shape->what, tg);
	reach->of[reach->nr].first = base;
	reach->of[reach->nr].end = base + (pages << shape->granule);
	reach->of[reach->nr++].hint = operand >> 37 & 3;
}

static void require_op(const struct s2_plan *plan, size_t i,
		       enum gln_s2_instruction instruction)
{
	require(i < plan->nr_ops && plan->ops[i].instruction == instruction &&
			!plan->ops[i].operand,
		"op %zu of %zu is not %d", i, plan->nr_ops, (int)instruction);
}

static bool is_whole(const struct s2_plan *plan)
{
	return plan->nr_ops > 1 &&
	       plan->ops[1].instruction == GLN_S2_TLBI_VMALLS12E1IS;
}

static void require_whole(const struct s2_plan *plan)
{
	require_op(plan, 0, GLN_S2_DSB_ISHST);
	require_op(plan, 1, GLN_S2_TLBI_VMALLS12E1IS);
	require_op(plan, 2, GLN_S2_DSB_ISH);
	require_op(plan, 3, GLN_S2_ISB);
	require(plan->nr_ops == 4, "%zu ops", plan->nr_ops);
}

/* The order of a plan by IPA, and what its TLBIs reach. */
static struct reach require_by_ipa(const struct shape *shape,
				   const struct s2_plan *plan)
{
	struct reach reach = {0};
	size_t i = 1;

	require_op(plan, 0, GLN_S2_DSB_ISHST);
	for (; i < plan->nr_ops && i <= S2_MAX_TLBI; i++) {
		const struct gln_s2_op *const op = &plan->ops[i];

		if (op->instruction == GLN_S2_TLBI_IPAS2E1IS)
			decode_ipa(shape, op->operand, &reach);
		else if (op->instruction == GLN_S2_TLBI_RIPAS2E1IS)
			decode_range(shape, op->operand, &reach);
		else
			break;
	}
	require(reach.nr > 0, "%s: nothing of stage 2", shape->what);
	require_op(plan, i++, GLN_S2_DSB_ISH);
	require_op(plan, i++, GLN_S2_TLBI_VMALLE1IS);
	require_op(plan, i++, GLN_S2_DSB_ISH);
	require_op(plan, i++, GLN_S2_ISB);
	require(plan->nr_ops == i, "%s: more behind the ISB", shape->what);
	return reach;
}

/*
 * The TLBIs from @i on, one behind the other, reach the range and no more than
 * the base's alignment makes them. Returns the first one behind.
 */
static size_t require_reach(const struct shape *shape,
			    const struct reach *reach, size_t i,
			    struct gln_range range, uint64_t seed)
{
	const uint64_t first = range.first << shape->granule;
	const uint64_t end = (range.first + range.count) << shape->granule;
	const uint64_t start =
		range.count == 1 ? first : first & -base_align(shape);
	uint64_t at = start;

	for (; i < reach->nr && at < end; i++) {
		require(reach->of[i].first == at,
			"%s, seed %" PRIu64 ": %#" PRIx64 " to %#" PRIx64
			" by nobody",
			shape->what, seed, at, reach->of[i].first);
		at = reach->of[i].end;
	}
	require(at == end,
		"%s, seed %" PRIu64 ": from %#" PRIx64 " to %#" PRIx64
		", not %#" PRIx64,
		shape->what, seed, start, at, end);
	return i;
}

static void check_range(const struct shape *shape, struct gln_range range,
			uint64_t seed)
{
	const struct s2_geometry g =
		geometry(shape->granule, shape->ipa_bits, shape->flags);
	const unsigned int last = g.radix.nr_levels - 1;
	struct s2_plan plan;

	glni_s2_plan_range(&plan, &g, range, last);
	if (is_whole(&plan)) {
		require_whole(&plan);
		return;
	}

	const struct reach reach = require_by_ipa(shape, &plan);

	require(require_reach(shape, &reach, 0, range, seed) == reach.nr,
		"%s, seed %" PRIu64 ": TLBIs behind the range", shape->what,
		seed);
	for (size_t i = 0; i < reach.nr; i++)
		require(reach.of[i].hint == (shape->flags & GLN_S2_TTL ? 3 : 0),
			"%s, seed %" PRIu64 ": hint %u", shape->what, seed,
			reach.of[i].hint);
}

Test(s2_tlbi, a_range_is_reached_at_every_limit)
{
	static const uint64_t counts[] = {
		1,
		2,
		3,
		63,
		64,
		65,
		66,
		127,
		2047,
		2048,
		65535,
		65536,
		65537,
		MAX_RANGE_PAGES - 1,
		MAX_RANGE_PAGES,
		MAX_RANGE_PAGES + 1,
		MAX_RANGE_PAGES + 2,
		2 * MAX_RANGE_PAGES - 1,
		2 * MAX_RANGE_PAGES,
		2 * MAX_RANGE_PAGES + 1,
	};

	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++)
		for (const uint64_t *n = counts; n < ARRAY_END(counts); n++)
			for (uint64_t first = 0; first < 34; first++)
				check_range(s, (struct gln_range){first, *n},
					    *n);
}

Test(s2_tlbi, ranges_at_the_limit_take_few_instructions)
{
	const struct s2_geometry g = geometry(12, 48, GLN_S2_TLB_RANGE);
	struct s2_plan plan;

	/* Two pages: NUM 0, SCALE 0. */
	glni_s2_plan_range(&plan, &g, (struct gln_range){5, 2},
			   S2_LEVEL_UNKNOWN);
	cr_assert_eq(plan.nr_ops, 6);
	cr_assert_eq(plan.ops[1].operand, UINT64_C(0x400000000005));
	/* 2^21 pages: NUM 31, SCALE 3, and no more. */
	glni_s2_plan_range(&plan, &g, (struct gln_range){0, MAX_RANGE_PAGES},
			   S2_LEVEL_UNKNOWN);
	cr_assert_eq(plan.nr_ops, 6);
	cr_assert_eq(plan.ops[1].operand, UINT64_C(0x7f8000000000));
	/* One less is five pieces; one more a page behind. */
	glni_s2_plan_range(&plan, &g,
			   (struct gln_range){0, MAX_RANGE_PAGES - 1},
			   S2_LEVEL_UNKNOWN);
	cr_assert_eq(plan.nr_ops, 10);
	glni_s2_plan_range(&plan, &g,
			   (struct gln_range){0, MAX_RANGE_PAGES + 1},
			   S2_LEVEL_UNKNOWN);
	cr_assert_eq(plan.nr_ops, 7);
	cr_assert_eq(plan.ops[2].instruction, GLN_S2_TLBI_IPAS2E1IS);
	cr_assert_eq(plan.ops[2].operand, MAX_RANGE_PAGES);
}

Test(s2_tlbi, any_range_is_reached_and_nothing_else)
{
	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
		struct test_random random = {seed};
		const struct shape *const s = &shapes[test_random_below(
			&random, sizeof(shapes) / sizeof(shapes[0]))];
		const uint64_t nr = UINT64_C(1) << (s->ipa_bits - s->granule);
		const uint64_t first = test_random_below(&random, nr);
		const uint64_t most = UINT64_C(1)
				      << test_random_between(&random, 0, 30);
		uint64_t count = test_random_between(&random, 1, most);

		if (count > nr - first)
			count = nr - first;
		check_range(s, (struct gln_range){first, count}, seed);
	}
}

Test(s2_tlbi, the_last_pages_of_the_address_space_are_reached)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		const uint64_t nr = UINT64_C(1) << (s->ipa_bits - s->granule);

		for (uint64_t count = 1; count < 300; count++)
			check_range(s, (struct gln_range){nr - count, count},
				    count);
		check_range(s, (struct gln_range){0, nr}, 0);
	}
}

Test(s2_tlbi, without_ranges_a_handful_of_pages_goes_by_ipa_and_more_by_vmid)
{
	const struct shape *const s = &shapes[6];
	const struct s2_geometry g =
		geometry(s->granule, s->ipa_bits, s->flags);
	struct s2_plan plan;

	glni_s2_plan_range(&plan, &g, (struct gln_range){5, S2_MAX_TLBI},
			   S2_LEVEL_UNKNOWN);
	cr_assert_eq(require_by_ipa(s, &plan).nr, S2_MAX_TLBI);
	cr_assert_eq(plan.nr_ops, S2_PLAN_OPS);
	glni_s2_plan_range(&plan, &g, (struct gln_range){5, S2_MAX_TLBI + 1},
			   S2_LEVEL_UNKNOWN);
	require_whole(&plan);
	glni_s2_plan_range(&plan, &g, (struct gln_range){0, UINT64_C(1) << 36},
			   S2_LEVEL_UNKNOWN);
	require_whole(&plan);
}

Test(s2_tlbi, no_pages_are_no_plan)
{
	const struct s2_geometry g = geometry(12, 40, GLN_S2_TLB_RANGE);
	const struct gln_flush flush = {0};
	struct s2_plan plan;

	glni_s2_plan_range(&plan, &g, (struct gln_range){7, 0}, 0);
	cr_assert_eq(plan.nr_ops, 0);
	glni_s2_plan_flush(&plan, &g, &flush);
	cr_assert_eq(plan.nr_ops, 0);
}

/* Where the level is certain, CPU and caller agree on its number. */
Test(s2_tlbi, a_level_is_hinted_only_where_it_is_certain)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		const struct s2_geometry g =
			geometry(s->granule, s->ipa_bits, s->flags);
		const uint64_t ipa = UINT64_C(0x123450000);
		struct s2_plan plan;

		glni_s2_plan_entry(&plan, &g, ipa, S2_LEVEL_UNKNOWN);
		cr_assert_eq(require_by_ipa(s, &plan).of[0].hint, 0, "%s",
			     s->what);
		cr_assert_eq(plan.ops[1].operand, ipa >> 12, "%s", s->what);

		for (unsigned int i = 0; i < g.radix.nr_levels; i++) {
			glni_s2_plan_entry(&plan, &g, ipa, i);
			const struct reach reach = require_by_ipa(s, &plan);

			cr_assert_eq(reach.of[0].hint,
				     s->flags & GLN_S2_TTL ? g.start_level + i
							   : 0,
				     "%s, level %u", s->what, i);
			cr_assert_eq(reach.of[0].first, ipa, "%s", s->what);
		}
	}
}

Test(s2_tlbi, a_harvest_hints_nothing)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		const struct s2_geometry g =
			geometry(s->granule, s->ipa_bits, s->flags);
		const struct gln_flush flush = {
			.nr_pages = 4,
			.nr_ranges = 2,
			.ranges = {{10, 1}, {20, 3}},
		};
		struct s2_plan plan;

		glni_s2_plan_flush(&plan, &g, &flush);
		const struct reach reach = require_by_ipa(s, &plan);

		for (size_t i = 0; i < reach.nr; i++)
			cr_assert_eq(reach.of[i].hint, 0, "%s", s->what);
	}
}

Test(s2_tlbi, an_entry_of_4k_encodes_as_the_manual_says)
{
	const struct s2_geometry g = geometry(12, 40, GLN_S2_TTL);
	struct s2_plan plan;

	/* TTL 0111: 4 KiB, level 3; ours is 2 of a walk from level 1. */
	glni_s2_plan_entry(&plan, &g, UINT64_C(0x12345678000), 2);
	cr_assert_eq(plan.ops[1].operand, UINT64_C(0x0000700012345678));
	glni_s2_plan_entry(&plan, &g, UINT64_C(0x12345678fff), 1);
	cr_assert_eq(plan.ops[1].operand, UINT64_C(0x0000600012345678));
}

Test(s2_tlbi, a_relaxed_entry_is_forgotten_here_only)
{
	static const enum gln_s2_instruction want[] = {
		GLN_S2_DSB_ISHST,    GLN_S2_TLBI_IPAS2E1, GLN_S2_DSB_NSH,
		GLN_S2_TLBI_VMALLE1, GLN_S2_DSB_NSH,	  GLN_S2_ISB,
	};
	const struct s2_geometry g = geometry(16, 48, GLN_S2_TTL);
	struct s2_plan plan;

	glni_s2_plan_relaxed(&plan, &g, UINT64_C(0xabc0000), 2);
	cr_assert_eq(plan.nr_ops, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < plan.nr_ops; i++)
		cr_assert_eq(plan.ops[i].instruction, want[i], "op %zu", i);
	cr_assert_eq(plan.ops[1].operand, UINT64_C(0x0000f0000000abc0));
}

Test(s2_tlbi, entries_made_where_nothing_was_need_no_tlbi)
{
	struct s2_plan plan;

	glni_s2_plan_made(&plan);
	require_op(&plan, 0, GLN_S2_DSB_ISHST);
	cr_assert_eq(plan.nr_ops, 1);
}

Test(s2_tlbi, the_whole_vm_is_one_instruction_between_barriers)
{
	struct s2_plan plan;

	glni_s2_plan_vm(&plan);
	require_whole(&plan);
}

Test(s2_tlbi, armv7_knows_the_whole_vm_only)
{
	const struct s2_geometry g = geometry(12, 40, GLN_S2_ARMV7);
	const struct gln_flush flush = {
		.nr_pages = 1,
		.nr_ranges = 1,
		.ranges = {{10, 1}},
	};
	struct s2_plan plan;

	glni_s2_plan_entry(&plan, &g, 0x1000, 2);
	require_whole(&plan);
	glni_s2_plan_relaxed(&plan, &g, 0x1000, 2);
	require_whole(&plan);
	glni_s2_plan_range(&plan, &g, (struct gln_range){1, 2}, 2);
	require_whole(&plan);
	glni_s2_plan_flush(&plan, &g, &flush);
	require_whole(&plan);
}

Test(s2_tlbi, a_flush_of_the_whole_slot_is_of_the_vm)
{
	const struct s2_geometry g = geometry(12, 40, GLN_S2_TLB_RANGE);
	const struct gln_flush flush = {.nr_pages = 9, .whole_slot = true};
	struct s2_plan plan;

	glni_s2_plan_flush(&plan, &g, &flush);
	require_whole(&plan);
}

/* Disjoint ranges that do not touch, as a harvest makes them. */
static struct gln_flush random_flush(struct test_random *random)
{
	struct gln_flush flush = {0};
	gln_gfn at = test_random_below(random, 100);
	const uint64_t nr = test_random_between(random, 1, NR_RUNS);

	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t most = UINT64_C(1)
				      << test_random_between(random, 0, 12);
		const uint64_t count = test_random_between(random, 1, most);

		flush.ranges[flush.nr_ranges++] = (struct gln_range){at, count};
		flush.nr_pages += count;
		at += count + test_random_between(random, 1, 50);
	}
	return flush;
}

Test(s2_tlbi, a_flush_reaches_every_range_in_one_plan_or_the_whole_vm)
{
	uint64_t nr_by_ipa = 0, nr_whole = 0;

	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
		struct test_random random = {seed};
		const struct shape *const s = &shapes[test_random_below(
			&random, sizeof(shapes) / sizeof(shapes[0]))];
		const struct s2_geometry g =
			geometry(s->granule, s->ipa_bits, s->flags);
		const struct gln_flush flush = random_flush(&random);
		struct s2_plan plan;
		size_t at = 0;

		glni_s2_plan_flush(&plan, &g, &flush);
		if (is_whole(&plan)) {
			require_whole(&plan);
			nr_whole++;
			continue;
		}

		const struct reach reach = require_by_ipa(s, &plan);

		for (unsigned int i = 0; i < flush.nr_ranges; i++)
			at = require_reach(s, &reach, at, flush.ranges[i],
					   seed);
		require(at == reach.nr, "seed %" PRIu64 ": more", seed);
		nr_by_ipa++;
	}
	cr_assert_gt(nr_by_ipa, NR_SEEDS / 10, "%" PRIu64, nr_by_ipa);
	cr_assert_gt(nr_whole, NR_SEEDS / 10, "%" PRIu64, nr_whole);
}

Test(s2_tlbi, no_plan_outgrows_its_room)
{
	for (const struct shape *s = shapes; s < ARRAY_END(shapes); s++) {
		const struct s2_geometry g =
			geometry(s->granule, s->ipa_bits, s->flags);
		struct gln_flush flush = {.nr_ranges = GLN_FLUSH_RANGES};
		struct s2_plan plan;

		for (unsigned int i = 0; i < GLN_FLUSH_RANGES; i++)
			flush.ranges[i] = (struct gln_range){i * 1000, 999};
		flush.nr_pages = 999 * GLN_FLUSH_RANGES;
		glni_s2_plan_flush(&plan, &g, &flush);
		require_whole(&plan);
	}
}
