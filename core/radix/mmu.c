/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.c - a radix table as the operations of a backend.
 */
#include "core/radix/mmu.h"

static struct radix_cache *cache_of(struct gln_backend_vcpu *vcpu)
{
	return vcpu->priv;
}

static struct gln_range all_of(const struct gln_backend_slot *slot)
{
	return (struct gln_range){slot->base, slot->nr_pages};
}

void *glni_radix_alloc(struct radix *radix, size_t bytes)
{
	void *memory;

	gln_plat_mutex_lock(&radix->lock);
	memory = gln_alloc(&radix->allocator, bytes);
	gln_plat_mutex_unlock(&radix->lock);

	return memory;
}

void glni_radix_free(struct radix *radix, void *memory, size_t bytes)
{
	gln_plat_mutex_lock(&radix->lock);
	gln_free(&radix->allocator, memory, bytes);
	gln_plat_mutex_unlock(&radix->lock);
}

int glni_radix_op_attach(struct gln_backend *be, struct gln_backend_slot *slot)
{
	const struct radix *const radix = radix_of(be);
	const uint64_t nr_frames = radix_nr_frames(radix);

	if (slot->page_shift != radix->geometry.page_shift)
		return -EINVAL;
	if (slot->base >= nr_frames || slot->nr_pages > nr_frames - slot->base)
		return -ERANGE;
	return 0;
}

void glni_radix_op_detach(struct gln_backend *be, struct gln_backend_slot *slot)
{
	glni_radix_remove(radix_of(be), slot);
}

/*
 * Faults under way saw the log (logging.c), so what they add is armed or gets
 * marked; what was there before is armed here, and flushed whatever was found:
 * an entry that is read-only proves nothing about a TLB (H-37).
 *
 * All marked, nothing needs to be noticed before it is taken, and taking it
 * protects it: then nothing is done at all.
 */
int glni_radix_op_log_start(struct gln_backend *be,
			    struct gln_backend_slot *slot, uint32_t flags)
{
	struct radix *const radix = radix_of(be);
	const struct gln_range range = all_of(slot);

	if (flags & GLN_LOG_START_ALL_MARKED)
		return 0;
	/* Without memory for it, blocks are protected whole and split later. */
	if (radix->splits_eagerly)
		glni_radix_split(radix, range, RADIX_SPLIT_ARM);
	glni_radix_arm(radix, range);
	radix->ops->flush_range(radix, range);

	return 0;
}

void glni_radix_op_log_stop(struct gln_backend *be,
			    struct gln_backend_slot *slot)
{
	glni_radix_collapse(radix_of(be), slot);
}

int glni_radix_op_protect(struct gln_backend *be, struct gln_backend_slot *slot,
			  const struct gln_range *ranges, size_t nr_ranges)
{
	(void)slot;
	glni_radix_protect(radix_of(be), ranges, nr_ranges);
	return 0;
}

int glni_radix_op_collect(struct gln_backend *be, struct gln_backend_slot *slot,
			  struct gln_range range)
{
	glni_radix_collect(radix_of(be), slot, range);
	return 0;
}

int glni_radix_op_vcpu_attach(struct gln_backend *be,
			      struct gln_backend_vcpu *vcpu)
{
	vcpu->priv = glni_radix_alloc(radix_of(be), sizeof(struct radix_cache));
	return vcpu->priv ? 0 : -ENOMEM;
}

void glni_radix_op_vcpu_detach(struct gln_backend *be,
			       struct gln_backend_vcpu *vcpu)
{
	glni_radix_drain(radix_of(be), cache_of(vcpu));
	glni_radix_free(radix_of(be), vcpu->priv, sizeof(struct radix_cache));
}

int glni_radix_op_topup(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	struct radix_cache *const cache = cache_of(vcpu);

	int err;

	if (cache->nr >= RADIX_FAULT_TABLES)
		return 0;
	err = glni_radix_fill(radix_of(be), cache, RADIX_CACHE_TABLES);
	return cache->nr >= RADIX_FAULT_TABLES ? 0 : err;
}

int glni_radix_op_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			struct gln_backend_slot *slot,
			struct gln_backend_fault *fault)
{
	return glni_radix_map(radix_of(be), cache_of(vcpu), vcpu->id, slot,
			      fault);
}

int glni_radix_op_mmio(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		       gln_gfn gfn)
{
	(void)vcpu;
	return glni_radix_note_mmio(radix_of(be), gfn);
}

void glni_radix_op_unmap(struct gln_backend *be, struct gln_backend_slot *slot,
			 struct gln_range range)
{
	glni_radix_unmap(radix_of(be), slot, range);
}

void glni_radix_op_age(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range, uint64_t *nr_young)
{
	(void)slot;
	*nr_young += glni_radix_age(radix_of(be), range);
}

int glni_radix_op_split(struct gln_backend *be, struct gln_backend_slot *slot,
			struct gln_range range, uint32_t flags)
{
	struct radix *const radix = radix_of(be);

	(void)slot;
	if ((flags & GLN_SPLIT_FOR_CLEAR) && !radix->splits_eagerly)
		return 0;
	return glni_radix_split(radix, range, RADIX_SPLIT_KEEP);
}
