/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.h - a radix table as the operations of a backend.
 *
 * A backend puts these into its gln_backend_ops as they are, and adds its own
 * @flush. Of a vCPU they know its cache: struct gln_backend_vcpu.priv points to
 * it, or to a structure that begins with it.
 */
#ifndef GLN_CORE_RADIX_MMU_H
#define GLN_CORE_RADIX_MMU_H

#include "core/radix/radix.h"

int glni_radix_op_attach(struct gln_backend *be, struct gln_backend_slot *slot);
void glni_radix_op_detach(struct gln_backend *be,
			  struct gln_backend_slot *slot);
int glni_radix_op_log_start(struct gln_backend *be,
			    struct gln_backend_slot *slot, uint32_t flags);
void glni_radix_op_log_stop(struct gln_backend *be,
			    struct gln_backend_slot *slot);
int glni_radix_op_protect(struct gln_backend *be, struct gln_backend_slot *slot,
			  const struct gln_range *ranges, size_t nr_ranges);
int glni_radix_op_collect(struct gln_backend *be, struct gln_backend_slot *slot,
			  struct gln_range range);
int glni_radix_op_vcpu_attach(struct gln_backend *be,
			      struct gln_backend_vcpu *vcpu);
void glni_radix_op_vcpu_detach(struct gln_backend *be,
			       struct gln_backend_vcpu *vcpu);
int glni_radix_op_topup(struct gln_backend *be, struct gln_backend_vcpu *vcpu);
int glni_radix_op_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			struct gln_backend_slot *slot,
			struct gln_backend_fault *fault);
int glni_radix_op_mmio(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		       gln_gfn gfn);
void glni_radix_op_unmap(struct gln_backend *be, struct gln_backend_slot *slot,
			 struct gln_range range);
void glni_radix_op_age(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range, uint64_t *nr_young);
int glni_radix_op_split(struct gln_backend *be, struct gln_backend_slot *slot,
			struct gln_range range, uint32_t flags);

/** radix_of() - the table of a backend. */
static inline struct radix *radix_of(struct gln_backend *be)
{
	return gln_container_of(be, struct radix, backend);
}

/** glni_radix_alloc() - an object of the backend's, by its allocator. */
void *glni_radix_alloc(struct radix *radix, size_t bytes);
void glni_radix_free(struct radix *radix, void *memory, size_t bytes);

#endif
