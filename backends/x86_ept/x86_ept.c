/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86_ept.c - Intel's second stage over core/radix: geometry, bits, PML.
 *
 * An EPT violation drops the translation that caused it (SDM 29.4.3.1), so a
 * right that was added needs no flush; there is no INVEPT of a range, so every
 * flush is of the whole context.
 *
 * States of a leaf in a writable slot (host, mmu, W):
 *
 *	1 1 1	writable
 *	1 1 0	protected for the dirty log: a fault adds W by itself
 *	0 0 0	the host's page is read-only: a write asks the host again
 *
 * Clearing W needs no flush where it is done: the harvest flushes what it
 * reaped. Clearing the mmu bit would (H-38), and nothing here does.
 */
#include <glean/ept.h>

#include "backends/x86_ept/entry.h"
#include "core/base/params.h"
#include "core/radix/mmu.h"

enum {
	EPTP_TYPE_WB = 6,
	EPTP_LEVELS_SHIFT = 3, /* walk length - 1 in bits 5:3 */
	EPTP_AD_SHIFT = 6,
	PML_BYTES = GLN_EPT_PML_ENTRIES * 8,
};

/* A vCPU: the cache comes first, for core/radix. */
struct ept_vcpu {
	struct radix_cache cache;
	struct gln_ept_pml pml;
	uint32_t id;
	struct ept_vcpu *next;
};

/*
 * The backend. @nr_logged: slots that are logged; the CPUs log while there are
 * any. @vcpus is guarded by the radix lock.
 */
struct ept {
	struct radix radix;
	enum gln_ept_mode mode;
	bool has_ad;
	gln_word nr_logged;
	struct ept_vcpu *vcpus;
	void (*invept)(void *ctx, uint64_t eptp);
	void *invept_ctx;
};

static struct ept *ept_of(struct radix *radix)
{
	return gln_container_of(radix, struct ept, radix);
}

static struct ept *ept_of_backend(struct gln_backend *be)
{
	return ept_of(radix_of(be));
}

static uint64_t eptp_of(const struct ept *ept)
{
	const struct radix *const radix = &ept->radix;
	const struct gln_mmu_host *const host = &radix->host;
	const uint64_t root = host->phys_of
				      ? host->phys_of(host->ctx, radix->root)
				      : (uintptr_t)radix->root;

	return root | EPTP_TYPE_WB |
	       (uint64_t)(radix->geometry.nr_levels - 1) << EPTP_LEVELS_SHIFT |
	       (uint64_t)ept->has_ad << EPTP_AD_SHIFT;
}

static void invalidate(struct radix *radix)
{
	const struct ept *const ept = ept_of(radix);

	ept->invept(ept->invept_ctx, eptp_of(ept));
}

static void flush_entry(struct radix *radix, gln_gfn gfn, unsigned int level)
{
	(void)gfn;
	(void)level;
	invalidate(radix);
}

static void flush_range(struct radix *radix, struct gln_range range)
{
	(void)range;
	invalidate(radix);
}

static int ept_flush(struct gln_backend *be, struct gln_backend_slot *slot,
		     const struct gln_flush *flush)
{
	(void)slot;
	(void)flush;
	invalidate(radix_of(be));
	return 0;
}

/* INVEPT knows no smaller piece than the guest's table anyway. */
static int ept_flush_all(struct gln_backend *be)
{
	invalidate(radix_of(be));
	return 0;
}

static const struct radix_ops ept_radix_ops = {
	.break_first = false,
	.flush_entry = flush_entry,
	.flush_range = flush_range,
};

static const struct radix_format ept_format = {
	.present = EPT_PRESENT,
	.table_mask = EPT_PRESENT | EPT_LARGE,
	.table = EPT_PRESENT,
	.empty = EPT_EMPTY,
	.locked = EPT_FROZEN,
	.mmio = EPT_MMIO,
	.table_base = EPT_PRESENT | EPT_READ | EPT_WRITE | EPT_EXEC,
	.page_base = EPT_PRESENT | EPT_SUPPRESS_VE,
	.block_base = EPT_PRESENT | EPT_SUPPRESS_VE | EPT_LARGE,
	.right =
		{
			[RADIX_READ] = {.set = EPT_READ},
			[RADIX_WRITE] = {.set = EPT_WRITE},
			[RADIX_EXEC] = {.set = EPT_EXEC},
		},
	.addr_low = EPT_ADDRESS,
	.type =
		{
			[GLN_MEMORY_NORMAL] = EPT_TYPE_WB,
			[GLN_MEMORY_DEVICE] = EPT_TYPE_UC,
		},
	.accessed = EPT_ACCESSED,
	.host_writable = EPT_HOST_WRITABLE,
	.mmu_writable = EPT_MMU_WRITABLE,
};

/* By gln_ept_mode. A block's D says nothing of its pages: protect it. */
static const struct radix_logging ept_logging[] = {
	[GLN_EPT_WRITE_PROTECT] =
		{
			.page_clear = EPT_WRITE,
			.block_clear = EPT_WRITE,
		},
	[GLN_EPT_PML] =
		{
			.page_clear = EPT_DIRTY,
			.page_set = EPT_WRITE,
			.block_clear = EPT_WRITE,
			.dirty = EPT_DIRTY,
			.cpu_notices = true,
		},
};

/*
 * What the CPU logged, in its order: from the top of the log down (H-41). An
 * index beyond the log is that of a full one, 0 having been counted down.
 */
static void drain(struct gln_backend_vcpu *vcpu, struct gln_ept_pml *pml)
{
	const unsigned int first_free =
		pml->index < GLN_EPT_PML_ENTRIES ? pml->index + 1U : 0;

	for (unsigned int i = GLN_EPT_PML_ENTRIES; i-- > first_free;)
		vcpu->mark(vcpu, pml->log[i] >> EPT_PAGE_SHIFT);
	pml->index = GLN_EPT_PML_START;
}

/* From its next entry on. */
static bool cpus_are_to_log(const struct ept *ept)
{
	/* sync ept.1 (acquire) <- ept.2: what logging starts with. */
	return gln_load_acquire(&ept->nr_logged);
}

/* One slot more, or less, is logged. */
static void count_logged(struct ept *ept, uint64_t change)
{
	/* sync ept.2 (acq_rel) -> ept.1: whoever is kicked next finds it. */
	gln_fetch_add_acq_rel(&ept->nr_logged, change);
}

static void pml_exited(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	struct ept_vcpu *const own = vcpu->priv;

	if (own->pml.index != GLN_EPT_PML_START)
		drain(vcpu, &own->pml);
	own->pml.is_enabled = cpus_are_to_log(ept_of_backend(be));
}

/* Marks follow when the vCPUs, which have left the guest, drain their logs. */
static int pml_collect(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range)
{
	const struct gln_mmu_host *const host = &radix_of(be)->host;

	(void)slot;
	(void)range;
	host->kick(host->ctx);
	return 0;
}

/*
 * CPUs log before anything is armed: a page that was armed and then written by
 * a CPU that does not log would be dirty in its entry alone.
 */
static int pml_log_start(struct gln_backend *be, struct gln_backend_slot *slot,
			 uint32_t flags)
{
	struct radix *const radix = radix_of(be);

	count_logged(ept_of(radix), 1);
	radix->host.kick(radix->host.ctx);

	return glni_radix_op_log_start(be, slot, flags);
}

static void pml_log_stop(struct gln_backend *be, struct gln_backend_slot *slot)
{
	/* CPUs may go on for a while: pages that are in no log are ignored. */
	count_logged(ept_of_backend(be), UINT64_MAX);
	glni_radix_op_log_stop(be, slot);
}

static int vcpu_attach(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	struct ept *const ept = ept_of_backend(be);
	struct ept_vcpu *const own =
		glni_radix_alloc(&ept->radix, sizeof(*own));

	if (!own)
		return -ENOMEM;
	if (ept->mode == GLN_EPT_PML) {
		own->pml.log = glni_radix_alloc(&ept->radix, PML_BYTES);
		if (!own->pml.log) {
			glni_radix_free(&ept->radix, own, sizeof(*own));
			return -ENOMEM;
		}
	}
	own->id = vcpu->id;
	own->pml.index = GLN_EPT_PML_START;
	/* It may come while slots are logged. */
	own->pml.is_enabled = own->pml.log && cpus_are_to_log(ept);
	vcpu->priv = own;

	gln_plat_mutex_lock(&ept->radix.lock);
	own->next = ept->vcpus;
	ept->vcpus = own;
	gln_plat_mutex_unlock(&ept->radix.lock);
	return 0;
}

static void vcpu_detach(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	struct ept *const ept = ept_of_backend(be);
	struct ept_vcpu *const own = vcpu->priv;

	if (own->pml.log)
		pml_exited(be, vcpu);

	gln_plat_mutex_lock(&ept->radix.lock);
	for (struct ept_vcpu **link = &ept->vcpus; *link;
	     link = &(*link)->next) {
		if (*link == own) {
			*link = own->next;
			break;
		}
	}
	gln_plat_mutex_unlock(&ept->radix.lock);

	glni_radix_drain(&ept->radix, &own->cache);
	if (own->pml.log)
		glni_radix_free(&ept->radix, own->pml.log, PML_BYTES);
	glni_radix_free(&ept->radix, own, sizeof(*own));
}

struct gln_ept_pml *gln_ept_pml(struct gln_backend *backend, uint32_t vcpu_id)
{
	struct ept *const ept = ept_of_backend(backend);
	struct ept_vcpu *own;

	gln_plat_mutex_lock(&ept->radix.lock);
	own = ept->vcpus;
	while (own && own->id != vcpu_id)
		own = own->next;
	gln_plat_mutex_unlock(&ept->radix.lock);

	return own ? &own->pml : NULL;
}

#define EPT_OPS                                                         \
	.attach = glni_radix_op_attach, .detach = glni_radix_op_detach, \
	.protect = glni_radix_op_protect, .flush = ept_flush,           \
	.flush_all = ept_flush_all, .vcpu_attach = vcpu_attach,         \
	.vcpu_detach = vcpu_detach, .topup = glni_radix_op_topup,       \
	.fault = glni_radix_op_fault, .mmio = glni_radix_op_mmio,       \
	.unmap = glni_radix_op_unmap, .age = glni_radix_op_age,         \
	.split = glni_radix_op_split

/* By gln_ept_mode. */
static const struct gln_backend_ops ept_ops[] = {
	[GLN_EPT_WRITE_PROTECT] =
		{
			.name = "x86_ept",
			.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH |
				GLN_CAP_FAULT | GLN_CAP_PARTS | GLN_CAP_GAPS,
			.log_start = glni_radix_op_log_start,
			.log_stop = glni_radix_op_log_stop,
			EPT_OPS,
		},
	[GLN_EPT_PML] =
		{
			.name = "x86_ept",
			.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH |
				GLN_CAP_FAULT | GLN_CAP_COLLECT |
				GLN_CAP_VCPU_LOGS | GLN_CAP_PARTS,
			.log_start = pml_log_start,
			.log_stop = pml_log_stop,
			.collect = pml_collect,
			.exited = pml_exited,
			EPT_OPS,
		},
};

/* Level 0 is the root; leaves stand on the last three. */
static struct radix_geometry geometry_of(unsigned int nr_levels)
{
	struct radix_geometry geometry = {
		.nr_levels = nr_levels,
		.page_shift = EPT_PAGE_SHIFT,
		.addr_bits = EPT_PAGE_SHIFT + nr_levels * EPT_INDEX_BITS,
	};
	unsigned int shift = geometry.addr_bits;

	for (unsigned int i = 0; i < nr_levels; i++) {
		shift -= EPT_INDEX_BITS;
		geometry.level[i].shift = shift;
		geometry.level[i].bits = EPT_INDEX_BITS;
		geometry.level[i].block_ok = shift == EPT_BLOCK_SHIFT_2M ||
					     shift == EPT_BLOCK_SHIFT_1G;
	}

	return geometry;
}

static bool params_are_valid(const struct gln_ept_params *params)
{
	const uint32_t known =
		GLN_EPT_NO_BLOCKS | GLN_EPT_EAGER_SPLIT | GLN_EPT_NO_AD;
	const bool can_log = params->host && params->host->kick &&
			     !(params->flags & GLN_EPT_NO_AD);

	return params->invept && !(params->flags & ~known) &&
	       (params->levels == EPT_LEVELS_MIN ||
		params->levels == EPT_LEVELS_MAX) &&
	       params->mode <= GLN_EPT_PML &&
	       (params->mode != GLN_EPT_PML || can_log) &&
	       (!params->allocator ||
		(params->allocator->alloc && params->allocator->free));
}

static void ept_init(struct ept *ept, const struct gln_ept_params *params,
		     const struct gln_allocator *allocator)
{
	struct radix *const radix = &ept->radix;

	radix->backend.ops = &ept_ops[params->mode];
	radix->ops = &ept_radix_ops;
	radix->geometry = geometry_of(params->levels);
	radix->format = ept_format;
	radix->logging = ept_logging[params->mode];
	radix->allocator = *allocator;
	radix->has_blocks = !(params->flags & GLN_EPT_NO_BLOCKS);
	radix->splits_eagerly = params->flags & GLN_EPT_EAGER_SPLIT;
	if (params->host)
		radix->host = *params->host;
	if (params->flags & GLN_EPT_NO_AD)
		radix->format.accessed = 0;
	ept->has_ad = !(params->flags & GLN_EPT_NO_AD);
	ept->mode = params->mode;
	ept->invept = params->invept;
	ept->invept_ctx = params->invept_ctx;
}

int gln_ept_create(const struct gln_ept_params *theirs,
		   struct gln_backend **backend)
{
	struct gln_ept_params params;
	struct gln_allocator allocator;
	struct ept *ept;
	int err;

	if (!params_copy(&params, sizeof(params), theirs))
		return -EINVAL;
	if (!params.levels)
		params.levels = EPT_LEVELS_MIN;
	if (!params_are_valid(&params))
		return -EINVAL;

	allocator = gln_allocator_of(params.allocator);
	ept = gln_alloc(&allocator, sizeof(*ept));
	if (!ept)
		return -ENOMEM;
	ept_init(ept, &params, &allocator);
	err = glni_radix_init(&ept->radix);
	if (err) {
		gln_free(&allocator, ept, sizeof(*ept));
		return err;
	}

	*backend = &ept->radix.backend;
	return 0;
}

void gln_ept_destroy(struct gln_backend *backend)
{
	struct ept *const ept = ept_of_backend(backend);
	const struct gln_allocator allocator = ept->radix.allocator;

	glni_radix_fini(&ept->radix);
	gln_free(&allocator, ept, sizeof(*ept));
}

uint64_t gln_ept_eptp(const struct gln_backend *backend)
{
	return eptp_of(
		gln_container_of(backend, const struct ept, radix.backend));
}

/* Bits 2:0 of the qualification are the access, in our order. */
uint32_t gln_ept_access(uint64_t qualification)
{
	return (uint32_t)qualification &
	       (GLN_ACCESS_READ | GLN_ACCESS_WRITE | GLN_ACCESS_EXEC);
}
