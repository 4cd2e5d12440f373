/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm_s2.c - Arm's stage 2 over core/radix: geometry, bits, maintenance.
 *
 * A TLB may hold what a fault was refused by, so a right that was added is
 * flushed on the CPU that asked. A valid entry gives way to a different one by
 * break-before-make (D8.16). "Nothing there" is not noted in the table: an
 * entry that is invalid looks alike to the CPU whatever else it says.
 *
 * States of a page in a writable slot (host, mmu, DBM, W):
 *
 *	1 1 0 1	writable
 *	1 1 0 0	protected for the dirty log: a fault adds W by itself
 *	1 1 1 0	armed for the dirty log: the CPU adds W by itself (DBM mode)
 *	1 1 1 1	and has: the page was written
 *	0 0 0 0	the host's page is read-only: a write asks the host again
 *
 * Clearing W needs no flush where it is done: the harvest flushes what it
 * reaped.
 */
#include <glean/s2.h>

#include "backends/arm_s2/entry.h"
#include "backends/arm_s2/geometry.h"
#include "backends/arm_s2/regs.h"
#include "backends/arm_s2/tlbi.h"
#include "core/base/params.h"
#include "core/radix/mmu.h"

enum {
	VMID_ARMV7_MAX = 255, /* VTTBR.VMID has 8 bits */
	IPA_BITS_DEFAULT = 40,
};

/* LPAE has 40 bits of physical address (DDI 0406C B3.6). */
#define ARMV7_PA_MASK ((UINT64_C(1) << 40) - 1)

struct s2 {
	struct radix radix;
	struct s2_geometry geometry;
	enum gln_s2_mode mode;
	uint16_t vmid;
	void (*execute)(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
			size_t nr_ops);
	void *execute_ctx;
};

static struct s2 *s2_of(struct radix *radix)
{
	return gln_container_of(radix, struct s2, radix);
}

static const struct s2 *s2_of_const(const struct gln_backend *be)
{
	return gln_container_of(be, const struct s2, radix.backend);
}

static void execute(const struct s2 *s2, uint32_t vcpu,
		    const struct s2_plan *plan)
{
	if (plan->nr_ops)
		s2->execute(s2->execute_ctx, vcpu, plan->ops, plan->nr_ops);
}

static uint64_t ipa_of(const struct s2 *s2, gln_gfn gfn)
{
	return gfn << s2->geometry.radix.page_shift;
}

static void flush_entry(struct radix *radix, gln_gfn gfn, unsigned int level)
{
	const struct s2 *const s2 = s2_of(radix);
	struct s2_plan plan;

	glni_s2_plan_entry(&plan, &s2->geometry, ipa_of(s2, gfn), level);
	execute(s2, GLN_S2_EVERYWHERE, &plan);
}

static void flush_range(struct radix *radix, struct gln_range range)
{
	const struct s2 *const s2 = s2_of(radix);
	struct s2_plan plan;

	glni_s2_plan_range(&plan, &s2->geometry, range, S2_LEVEL_UNKNOWN);
	execute(s2, GLN_S2_EVERYWHERE, &plan);
}

static void made(struct radix *radix)
{
	const struct s2 *const s2 = s2_of(radix);
	struct s2_plan plan;

	glni_s2_plan_made(&plan);
	execute(s2, GLN_S2_EVERYWHERE, &plan);
}

/* Armv7 has no local maintenance by IPA: its plan goes to every CPU. */
static void relaxed(struct radix *radix, uint32_t vcpu, gln_gfn gfn)
{
	const struct s2 *const s2 = s2_of(radix);
	const bool is_local = !(s2->geometry.flags & GLN_S2_ARMV7);
	struct s2_plan plan;

	glni_s2_plan_relaxed(&plan, &s2->geometry, ipa_of(s2, gfn),
			     S2_LEVEL_UNKNOWN);
	execute(s2, is_local ? vcpu : GLN_S2_EVERYWHERE, &plan);
}

static int s2_flush(struct gln_backend *be, struct gln_backend_slot *slot,
		    const struct gln_flush *flush)
{
	const struct s2 *const s2 = s2_of(radix_of(be));
	struct s2_plan plan;

	(void)slot;
	glni_s2_plan_flush(&plan, &s2->geometry, flush);
	execute(s2, GLN_S2_EVERYWHERE, &plan);
	return 0;
}

static const struct radix_ops s2_radix_ops = {
	.break_first = true,
	.flush_entry = flush_entry,
	.flush_range = flush_range,
	.made = made,
	.relaxed = relaxed,
};

/* What all geometries share; format_of() adds address and shareability. */
static const struct radix_format s2_format = {
	.present = S2_VALID,
	.table_mask = S2_VALID | S2_TABLE,
	.table = S2_VALID | S2_TABLE,
	.empty = S2_EMPTY,
	.locked = S2_LOCKED,
	.mmio = S2_EMPTY,
	.table_base = S2_VALID | S2_TABLE,
	.page_base = S2_VALID | S2_PAGE,
	.block_base = S2_VALID,
	.right =
		{
			[RADIX_READ] = {.set = S2_READ},
			[RADIX_WRITE] = {.set = S2_WRITE},
			[RADIX_EXEC] = {.clear = S2_XN_MASK},
		},
	.type =
		{
			[GLN_MEMORY_NORMAL] = S2_ATTR_NORMAL,
			[GLN_MEMORY_DEVICE] = S2_ATTR_DEVICE,
		},
	.accessed = S2_AF,
	.host_writable = S2_HOST_WRITABLE,
	.mmu_writable = S2_MMU_WRITABLE,
};

/*
 * By gln_s2_mode. A block is never left to the CPU: W of it would say that some
 * page of many was written. A page with W and without DBM, from before the log,
 * counts as written: it may have been.
 */
static const struct radix_logging s2_logging[] = {
	[GLN_S2_WRITE_PROTECT] =
		{
			.page_clear = S2_WRITE,
			.block_clear = S2_WRITE,
		},
	[GLN_S2_DBM] =
		{
			.page_clear = S2_WRITE,
			.page_set = S2_DBM,
			.block_clear = S2_WRITE,
			.dirty = S2_WRITE,
			.cpu_notices = true,
		},
};

#define S2_OPS                                                                \
	.name = "arm_s2", .attach = glni_radix_op_attach,                     \
	.detach = glni_radix_op_detach, .log_start = glni_radix_op_log_start, \
	.log_stop = glni_radix_op_log_stop, .protect = glni_radix_op_protect, \
	.flush = s2_flush, .vcpu_attach = glni_radix_op_vcpu_attach,          \
	.vcpu_detach = glni_radix_op_vcpu_detach,                             \
	.topup = glni_radix_op_topup, .fault = glni_radix_op_fault,           \
	.mmio = glni_radix_op_mmio, .unmap = glni_radix_op_unmap,             \
	.age = glni_radix_op_age, .split = glni_radix_op_split

/* By gln_s2_mode. */
static const struct gln_backend_ops s2_ops[] = {
	[GLN_S2_WRITE_PROTECT] =
		{
			.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH |
				GLN_CAP_FAULT | GLN_CAP_PARTS | GLN_CAP_GAPS,
			S2_OPS,
		},
	[GLN_S2_DBM] =
		{
			.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH |
				GLN_CAP_FAULT | GLN_CAP_COLLECT | GLN_CAP_PARTS,
			.collect = glni_radix_op_collect,
			S2_OPS,
		},
};

/* The address bits that stand in place. */
static uint64_t addr_low(const struct s2_geometry *geometry)
{
	switch (geometry->radix.page_shift) {
	case S2_GRANULE_64K:
		return S2_ADDRESS_64K;
	case S2_GRANULE_16K:
		return geometry->is_lpa2 ? S2_ADDRESS_LPA2_16K : S2_ADDRESS_16K;
	default:
		return geometry->is_lpa2 ? S2_ADDRESS_LPA2_4K : S2_ADDRESS_4K;
	}
}

static struct radix_format format_of(const struct s2_geometry *geometry)
{
	struct radix_format format = s2_format;

	format.addr_low = addr_low(geometry);
	if (geometry->flags & GLN_S2_ARMV7)
		format.addr_low &= ARMV7_PA_MASK;
	if (geometry->is_lpa2) {
		format.addr_high = S2_HIGH_LPA2_MASK;
		format.addr_high_shift = S2_HIGH_LPA2_SHIFT;
		return format;
	}

	format.page_base |= S2_SH_INNER;
	format.block_base |= S2_SH_INNER;
	if (geometry->pa_bits == S2_PA_BITS_LARGE) {
		format.addr_high = S2_HIGH_64K_MASK;
		format.addr_high_shift = S2_HIGH_64K_SHIFT;
	}
	return format;
}

/* All but what the geometry refuses. */
static bool params_are_valid(const struct gln_s2_params *params)
{
	const uint32_t known = GLN_S2_NO_BLOCKS | GLN_S2_EAGER_SPLIT |
			       GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_LPA2 |
			       GLN_S2_HW_AF | GLN_S2_ARMV7;
	const bool is_armv7 = params->flags & GLN_S2_ARMV7;

	return params->execute && !(params->flags & ~known) &&
	       params->mode <= GLN_S2_DBM &&
	       (!is_armv7 || (params->mode == GLN_S2_WRITE_PROTECT &&
			      params->vmid <= VMID_ARMV7_MAX)) &&
	       (!params->allocator ||
		(params->allocator->alloc && params->allocator->free));
}

static void s2_init(struct s2 *s2, const struct gln_s2_params *params,
		    const struct s2_geometry *geometry,
		    const struct gln_allocator *allocator)
{
	struct radix *const radix = &s2->radix;

	radix->backend.ops = &s2_ops[params->mode];
	radix->ops = &s2_radix_ops;
	radix->geometry = geometry->radix;
	radix->format = format_of(geometry);
	radix->logging = s2_logging[params->mode];
	radix->allocator = *allocator;
	radix->has_blocks = !(params->flags & GLN_S2_NO_BLOCKS);
	radix->splits_eagerly = params->flags & GLN_S2_EAGER_SPLIT;
	if (params->host)
		radix->host = *params->host;
	s2->geometry = *geometry;
	s2->mode = params->mode;
	s2->vmid = params->vmid;
	s2->execute = params->execute;
	s2->execute_ctx = params->execute_ctx;
}

int gln_s2_create(const struct gln_s2_params *theirs,
		  struct gln_backend **backend)
{
	struct gln_s2_params params;
	struct s2_geometry geometry;
	struct gln_allocator allocator;
	struct s2 *s2;
	int err;

	if (!params_copy(&params, sizeof(params), theirs))
		return -EINVAL;
	if (!params.granule)
		params.granule = S2_GRANULE_4K;
	if (!params.ipa_bits)
		params.ipa_bits = IPA_BITS_DEFAULT;
	if (!params_are_valid(&params))
		return -EINVAL;
	err = glni_s2_geometry(params.granule, params.ipa_bits, params.flags,
			       &geometry);
	if (err)
		return err;

	allocator = gln_allocator_of(params.allocator);
	s2 = gln_alloc(&allocator, sizeof(*s2));
	if (!s2)
		return -ENOMEM;
	s2_init(s2, &params, &geometry, &allocator);
	err = glni_radix_init(&s2->radix);
	if (err) {
		gln_free(&allocator, s2, sizeof(*s2));
		return err;
	}

	*backend = &s2->radix.backend;
	return 0;
}

void gln_s2_destroy(struct gln_backend *backend)
{
	struct s2 *const s2 = s2_of(radix_of(backend));
	const struct gln_allocator allocator = s2->radix.allocator;

	glni_radix_fini(&s2->radix);
	gln_free(&allocator, s2, sizeof(*s2));
}

uint64_t gln_s2_vtcr(const struct gln_backend *backend)
{
	const struct s2 *const s2 = s2_of_const(backend);

	return glni_s2_vtcr(&s2->geometry, s2->mode, s2->vmid);
}

uint64_t gln_s2_vttbr(const struct gln_backend *backend)
{
	const struct s2 *const s2 = s2_of_const(backend);
	const struct gln_mmu_host *const host = &s2->radix.host;
	const gln_word *const root = s2->radix.root;

	return glni_s2_vttbr(&s2->geometry,
			     host->phys_of ? host->phys_of(host->ctx, root)
					   : (uintptr_t)root,
			     s2->vmid);
}
