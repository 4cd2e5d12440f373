/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlbi.c - plans of TLB maintenance, and the operands of their instructions.
 *
 * Operands are encoded by the Arm ARM, DDI 0487, C5.5, "TLBI IPAS2E1IS" and
 * "TLBI RIPAS2E1IS".
 */
#include "backends/arm_s2/tlbi.h"

#include "backends/arm_s2/entry.h"
#include "core/base/assert.h"
#include "core/base/bits.h"

/* By IPA: TTL 47:44 (granule, level), IPA[51:12] in 39:0. */
enum {
	BY_IPA_SHIFT = 12, /* whatever the granule */
	BY_IPA_LEVEL_SHIFT = 44,
	BY_IPA_GRANULE_SHIFT = 46,
};

/*
 * By range: TG 47:46, SCALE 45:44, NUM 43:39, TTL 38:37, BaseADDR 36:0 in units
 * of the granule, or of 64 KiB with LPA2. It covers
 *
 *	(NUM + 1) << (5 * SCALE + 1)
 *
 * pages: 2 to 2^21 of them, an even number always.
 */
enum {
	RANGE_TTL_SHIFT = 37,
	RANGE_NUM_SHIFT = 39,
	RANGE_SCALE_SHIFT = 44,
	RANGE_TG_SHIFT = 46,
	RANGE_BASE_BITS = 37,
	RANGE_MAX_NUM = 31,
	RANGE_MAX_SCALE = 3,
	RANGE_BASE_SHIFT_LPA2 = 16,
};

/* TG, and the granule of a TTL, are numbered alike; 0 is no hint. */
enum { TG_4K = 1, TG_16K = 2, TG_64K = 3 };

static uint64_t tg(const struct s2_geometry *geometry)
{
	switch (geometry->radix.page_shift) {
	case S2_GRANULE_64K:
		return TG_64K;
	case S2_GRANULE_16K:
		return TG_16K;
	default:
		return TG_4K;
	}
}

/*
 * The CPU's number of @level for a hint, or 0 for none. Its level 0 has leaves
 * with LPA2 only, and no number in a range's TTL: such go without a hint.
 */
static unsigned int hint(const struct s2_geometry *geometry, unsigned int level)
{
	if (!(geometry->flags & GLN_S2_TTL) || level == S2_LEVEL_UNKNOWN)
		return 0;

	gln_assert(level < geometry->radix.nr_levels);
	return geometry->start_level + level;
}

static uint64_t by_ipa(const struct s2_geometry *geometry, uint64_t ipa,
		       unsigned int level)
{
	const uint64_t ttl = hint(geometry, level);
	const uint64_t operand = ipa >> BY_IPA_SHIFT;

	if (!ttl)
		return operand;
	return operand | ttl << BY_IPA_LEVEL_SHIFT |
	       tg(geometry) << BY_IPA_GRANULE_SHIFT;
}

/* Log2 of the pages in a step of NUM. */
static unsigned int scale_shift(unsigned int scale)
{
	return 5 * scale + 1;
}

static unsigned int base_shift(const struct s2_geometry *geometry)
{
	return geometry->is_lpa2 ? RANGE_BASE_SHIFT_LPA2
				 : geometry->radix.page_shift;
}

static uint64_t by_range(const struct s2_geometry *geometry, gln_gfn first,
			 uint64_t num, unsigned int scale, unsigned int level)
{
	const uint64_t ipa = first << geometry->radix.page_shift;
	const uint64_t base = ipa >> base_shift(geometry);
	const uint64_t ttl = hint(geometry, level);

	gln_assert(num <= RANGE_MAX_NUM);
	gln_assert(base << base_shift(geometry) == ipa);
	return (base & gln_low_bits(RANGE_BASE_BITS)) | ttl << RANGE_TTL_SHIFT |
	       num << RANGE_NUM_SHIFT | (uint64_t)scale << RANGE_SCALE_SHIFT |
	       tg(geometry) << RANGE_TG_SHIFT;
}

static void add(struct s2_plan *plan, enum gln_s2_instruction instruction,
		uint64_t operand)
{
	gln_assert(plan->nr_ops < S2_PLAN_OPS);
	plan->ops[plan->nr_ops++] = (struct gln_s2_op){
		.instruction = instruction,
		.operand = operand,
	};
}

static void start(struct s2_plan *plan)
{
	plan->nr_ops = 0;
	add(plan, GLN_S2_DSB_ISHST, 0);
}

/* Stage-2 TLBIs stand behind the one DSB of start(). */
static bool try_add(struct s2_plan *plan, enum gln_s2_instruction instruction,
		    uint64_t operand)
{
	if (plan->nr_ops > S2_MAX_TLBI)
		return false;

	add(plan, instruction, operand);
	return true;
}

static void end(struct s2_plan *plan)
{
	add(plan, GLN_S2_DSB_ISH, 0); /* stage 2 before stage 1: H-26 */
	add(plan, GLN_S2_TLBI_VMALLE1IS, 0);
	add(plan, GLN_S2_DSB_ISH, 0);
	add(plan, GLN_S2_ISB, 0);
}

static bool try_pages(struct s2_plan *plan, const struct s2_geometry *geometry,
		      struct gln_range range, unsigned int level)
{
	for (uint64_t i = 0; i < range.count; i++) {
		const uint64_t ipa = (range.first + i)
				     << geometry->radix.page_shift;

		if (!try_add(plan, GLN_S2_TLBI_IPAS2E1IS,
			     by_ipa(geometry, ipa, level)))
			return false;
	}
	return true;
}

/* What @range is with a first frame that BaseADDR can name. */
static struct gln_range aligned(const struct s2_geometry *geometry,
				struct gln_range range)
{
	const uint64_t before =
		range.first &
		gln_low_bits(base_shift(geometry) - geometry->radix.page_shift);

	return (struct gln_range){
		.first = range.first - before,
		.count = range.count + before,
	};
}

/*
 * Pieces from the largest scale down: of 2^16, 2^11, 2^6 and 2 pages, up to 32
 * of them an instruction, so that 2^21 pages are one instruction with NUM 31
 * and not none with NUM -1 (H-24). All but the last are multiples of 64 pages,
 * so each BaseADDR stays aligned. An odd page is left, for a TLBI by IPA.
 */
static bool try_pieces(struct s2_plan *plan, const struct s2_geometry *geometry,
		       struct gln_range range, unsigned int level)
{
	unsigned int scale = RANGE_MAX_SCALE;

	while (range.count > 1) {
		const uint64_t steps = gln_min(
			range.count >> scale_shift(scale), RANGE_MAX_NUM + 1);

		if (!steps) {
			scale--;
			continue;
		}
		if (!try_add(plan, GLN_S2_TLBI_RIPAS2E1IS,
			     by_range(geometry, range.first, steps - 1, scale,
				      level)))
			return false;
		range.first += steps << scale_shift(scale);
		range.count -= steps << scale_shift(scale);
	}
	return try_pages(plan, geometry, range, level);
}

/* False if there is no room for the range, and all of the VMID must go. */
static bool try_range(struct s2_plan *plan, const struct s2_geometry *geometry,
		      struct gln_range range, unsigned int level)
{
	if (geometry->flags & GLN_S2_ARMV7)
		return false;
	if (range.count == 1 || !(geometry->flags & GLN_S2_TLB_RANGE))
		return try_pages(plan, geometry, range, level);
	return try_pieces(plan, geometry, aligned(geometry, range), level);
}

/* Nothing that was valid has changed, so no TLB holds anything of it. */
void glni_s2_plan_made(struct s2_plan *plan)
{
	start(plan);
}

void glni_s2_plan_vm(struct s2_plan *plan)
{
	start(plan);
	add(plan, GLN_S2_TLBI_VMALLS12E1IS, 0);
	add(plan, GLN_S2_DSB_ISH, 0);
	add(plan, GLN_S2_ISB, 0);
}

void glni_s2_plan_range(struct s2_plan *plan,
			const struct s2_geometry *geometry,
			struct gln_range range, unsigned int level)
{
	plan->nr_ops = 0;
	if (!range.count)
		return;

	start(plan);
	if (try_range(plan, geometry, range, level))
		end(plan);
	else
		glni_s2_plan_vm(plan);
}

void glni_s2_plan_entry(struct s2_plan *plan,
			const struct s2_geometry *geometry, uint64_t ipa,
			unsigned int level)
{
	const struct gln_range page = {ipa >> geometry->radix.page_shift, 1};

	glni_s2_plan_range(plan, geometry, page, level);
}

void glni_s2_plan_relaxed(struct s2_plan *plan,
			  const struct s2_geometry *geometry, uint64_t ipa,
			  unsigned int level)
{
	if (geometry->flags & GLN_S2_ARMV7) {
		glni_s2_plan_vm(plan);
		return;
	}

	start(plan);
	add(plan, GLN_S2_TLBI_IPAS2E1, by_ipa(geometry, ipa, level));
	add(plan, GLN_S2_DSB_NSH, 0);
	add(plan, GLN_S2_TLBI_VMALLE1, 0);
	add(plan, GLN_S2_DSB_NSH, 0);
	add(plan, GLN_S2_ISB, 0);
}

void glni_s2_plan_flush(struct s2_plan *plan,
			const struct s2_geometry *geometry,
			const struct gln_flush *flush)
{
	bool fits = !flush->whole_slot;

	plan->nr_ops = 0;
	if (fits && !flush->nr_ranges)
		return;

	start(plan);
	for (unsigned int i = 0; fits && i < flush->nr_ranges; i++)
		fits = try_range(plan, geometry, flush->ranges[i],
				 S2_LEVEL_UNKNOWN);
	if (fits)
		end(plan);
	else
		glni_s2_plan_vm(plan);
}
