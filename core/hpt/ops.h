/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ops.h - what is done to entries, for all who do it.
 *
 * All need the table to stay: see mmu.h.
 */
#ifndef GLN_CORE_HPT_OPS_H
#define GLN_CORE_HPT_OPS_H

#include "core/hpt/mmu.h"

/**
 * struct hpt_hold - an entry that we have locked.
 *
 * @v:		V in memory's format, without the lock: as it was found, then as
 *		it is to be when the entry is released.
 */
struct hpt_hold {
	struct hpt *hpt;
	struct hpte *entry;
	uint64_t index;
	uint64_t v;
};

/** glni_hpt_hold() - lock an entry; waits. @index is in the table. */
struct hpt_hold glni_hpt_hold(struct hpt *hpt, uint64_t index);

/** hold_release() - unlock it; V is hold->v. */
static inline void hold_release(const struct hpt_hold *hold)
{
	hpte_unlock(hold->entry, hold->v);
}

/** hold_is_linked() - T2. */
static inline bool hold_is_linked(const struct hpt_hold *hold)
{
	return hold->v & GLN_HPTE_V_VALID;
}

/** hold_is_used() - is there an entry, as far as the guest is concerned? */
static inline bool hold_is_used(const struct hpt_hold *hold)
{
	return hold->v & (GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT);
}

/** hold_guest() - the entry as the guest believes it to be; V as hold->v. */
struct gln_hpte glni_hold_guest(const struct hpt_hold *hold);

/**
 * glni_hpt_expel() - a valid entry loses its real page: invalidate it; then
 * what hardware noted goes to the guest's R, to the page's head and, if it is
 * C, to the log; out of the chain; absent. Still locked; hold->v says so.
 */
void glni_hpt_expel(struct hpt_mmu *mmu, struct hpt_hold *hold);

/** glni_hpt_clear() - take an entry that is used away altogether; releases it.
 */
void glni_hpt_clear(struct hpt_mmu *mmu, struct hpt_hold *hold);

/**
 * glni_hpt_enter() - H_ENTER.
 * @vcpu:	whose figures count it; NULL is nobody's.
 *
 * In a read-side section. Returns a GLN_H_* code.
 */
int64_t glni_hpt_enter(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		       uint64_t flags, uint64_t index, struct gln_hpte entry,
		       uint64_t *found);

/**
 * glni_hpt_collect_quiet() - what was changed goes to the logs, before the
 * table goes; for who has withdrawn it, and has waited. The VM's lock is held.
 */
void glni_hpt_collect_quiet(struct hpt_mmu *mmu, struct hpt *hpt);

/** glni_hpt_count() - add to a figure. */
void glni_hpt_count(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    enum hpt_count which, uint64_t n);

/**
 * glni_hpt_rb() - RB of tlbie for an entry (ISA 2.07 book III-S 5.9.3.3).
 * @entry:	in the old format.
 */
uint64_t glni_hpt_rb(const struct gln_hpte *entry, uint64_t index);

/* The operations of the backend; hpt.c puts them together. */
int64_t glni_hpt_op_hcall(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			  uint64_t nr, const uint64_t *args, uint64_t *rets);
int glni_hpt_op_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		      struct gln_hpt_fault *fault);
int glni_hpt_op_attach(struct gln_backend *be, struct gln_backend_slot *slot);
void glni_hpt_op_detach(struct gln_backend *be, struct gln_backend_slot *slot);
int glni_hpt_op_log_start(struct gln_backend *be, struct gln_backend_slot *slot,
			  uint32_t flags);
void glni_hpt_op_log_stop(struct gln_backend *be,
			  struct gln_backend_slot *slot);
int glni_hpt_op_collect(struct gln_backend *be, struct gln_backend_slot *slot,
			struct gln_range range);
int glni_hpt_op_vcpu_attach(struct gln_backend *be,
			    struct gln_backend_vcpu *vcpu);
void glni_hpt_op_vcpu_detach(struct gln_backend *be,
			     struct gln_backend_vcpu *vcpu);
void glni_hpt_op_unmap(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range);
void glni_hpt_op_age(struct gln_backend *be, struct gln_backend_slot *slot,
		     struct gln_range range, uint64_t *nr_young);

/**
 * In the core alone: the table is being changed, or a slot is closed; wait for
 * who does that, and call again.
 */
#define HPT_H_TOO_HARD 9999

#endif
