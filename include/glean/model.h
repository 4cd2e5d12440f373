/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - machines in software: what the hardware does with the tables.
 *
 * A model walks the table in memory by the architecture's manual and shares no
 * code with the backend that wrote it, only the layout of an entry. Each vCPU
 * has a TLB that keeps what the architecture lets it keep: whatever becomes of
 * the entry, a translation goes when maintenance names it or another takes its
 * place, and not before. So a missing flush or a wrong order is a wrong byte.
 * Hosted library only.
 *
 * A model proves behaviour and counts operations. It says nothing about how
 * fast silicon is.
 */
#ifndef GLN_MODEL_H
#define GLN_MODEL_H

#include <glean/ept.h>
#include <glean/hpt.h>
#include <glean/s2.h>

GLN_BEGIN_DECLS

struct gln_model;
struct gln_model_vcpu;

/**
 * struct gln_model_params - how to make one.
 *
 * @struct_bytes: sizeof(struct gln_model_params).
 * @seed:	of its choices.
 * @pause_permille: so many of 1000 times it gives the CPU away where hardware
 *		may be slow: between reading an entry and using it, between
 *		setting a dirty state and the store. Where it is not 0,
 *		accessed states may be put off, too, until maintenance, and
 *		translations come into TLBs that no access needed.
 * @host:	as the backend's: how to find memory by its physical address.
 *		NULL: physical is virtual.
 */
struct gln_model_params {
	size_t struct_bytes;
	uint64_t seed;
	unsigned int pause_permille;
	const struct gln_mmu_host *host;
};

/**
 * gln_ept_model_create(), gln_s2_model_create() - a machine without vCPUs.
 *
 * Return: 0; -EINVAL for a wrong @struct_bytes; -ENOMEM.
 */
GLN_PUBLIC int gln_ept_model_create(const struct gln_model_params *params,
				    struct gln_model **model);
GLN_PUBLIC int gln_s2_model_create(const struct gln_model_params *params,
				   struct gln_model **model);

/** gln_hpt_model_create() - the same, of the POWER CPU of hpt.h. */
GLN_PUBLIC int gln_hpt_model_create(const struct gln_model_params *params,
				    enum gln_hpt_isa isa, uint32_t lpid,
				    struct gln_model **model);

/** gln_model_destroy() - free it; its vCPUs must be gone. */
GLN_PUBLIC void gln_model_destroy(struct gln_model *model);

/**
 * gln_ept_model_set() - load the VMCSs' EPT pointer.
 * gln_s2_model_set() - load VTCR_EL2 and VTTBR_EL2; @armv7 for VTCR of Armv7.
 *
 * Context: before any vCPU runs.
 * Return: 0; -EINVAL for what a CPU would refuse or has reserved.
 */
GLN_PUBLIC int gln_ept_model_set(struct gln_model *model, uint64_t eptp);
GLN_PUBLIC int gln_s2_model_set(struct gln_model *model, uint64_t vtcr,
				uint64_t vttbr, bool armv7);

/**
 * gln_ept_model_invept() - for gln_ept_params.invept; @ctx is the model.
 * gln_s2_model_execute() - for gln_s2_params.execute; @ctx is the model.
 * gln_model_kick() - for gln_mmu_host.kick; @ctx is the model.
 *
 * A flush waits for accesses that vCPUs are in the middle of.
 */
GLN_PUBLIC void gln_ept_model_invept(void *ctx, uint64_t eptp);
GLN_PUBLIC void gln_s2_model_execute(void *ctx, uint32_t vcpu,
				     const struct gln_s2_op *ops,
				     size_t nr_ops);
GLN_PUBLIC void gln_model_kick(void *ctx);

/**
 * gln_hpt_model_set_table(), gln_hpt_model_tlbie(), gln_hpt_model_flush_all() -
 * for gln_hpt_params; @ctx is the model. A table word of 0 is no table.
 */
GLN_PUBLIC void gln_hpt_model_set_table(void *ctx, uint64_t word);
GLN_PUBLIC void gln_hpt_model_tlbie(void *ctx, const struct gln_hpt_tlbie *ops,
				    size_t nr);
GLN_PUBLIC void gln_hpt_model_flush_all(void *ctx, uint32_t lpid);

/** Entries of a segment lookaside buffer. */
#define GLN_HPT_MODEL_SLB_ENTRIES 32U
/** The valid bit of an SLB entry's first doubleword (slbmte's RB). */
#define GLN_HPT_MODEL_SLB_VALID	  UINT64_C(0x08000000)

/**
 * gln_hpt_model_slb() - write an SLB entry, as slbmte and slbie do.
 * @esid:	first doubleword: effective segment id, valid bit.
 * @vsid:	second one: see GLN_SLB_* in hpte.h.
 *
 * Context: the vCPU's thread.
 * Return: 0; -EINVAL for an index past the end or, in a valid entry, a segment
 * or page size that there is not.
 */
GLN_PUBLIC int gln_hpt_model_slb(struct gln_model_vcpu *vcpu,
				 unsigned int index, uint64_t esid,
				 uint64_t vsid);

/**
 * gln_hpt_model_state() - AMR, and GLN_HPT_PROBLEM or 0 for MSR[PR].
 *
 * Context: the vCPU's thread.
 */
GLN_PUBLIC void gln_hpt_model_state(struct gln_model_vcpu *vcpu, uint64_t amr,
				    uint32_t flags);

/**
 * gln_model_vcpu_create() - a vCPU; each belongs to one thread.
 * @pml:	its page-modification log, or NULL.
 *
 * Return: 0; -EEXIST for an @id in use; -ENOMEM.
 */
GLN_PUBLIC int gln_model_vcpu_create(struct gln_model *model, uint32_t id,
				     struct gln_ept_pml *pml,
				     struct gln_model_vcpu **vcpu);
GLN_PUBLIC void gln_model_vcpu_destroy(struct gln_model_vcpu *vcpu);

/**
 * enum gln_model_reason - why a vCPU left the guest.
 *
 * @GLN_MODEL_DONE:	it did not: the access was made.
 * @GLN_MODEL_FAULT:	EPT violation (exit reason 48), or stage-2 abort.
 * @GLN_MODEL_MISCONFIG: EPT misconfiguration (49): a bad entry, or MMIO.
 * @GLN_MODEL_LOG_FULL:	page-modification log full (62); nothing was written.
 * @GLN_MODEL_KICKED:	somebody kicked it; nothing was accessed.
 * @GLN_MODEL_NO_SEGMENT: no SLB entry for the address: the guest's own
 * business.
 */
enum gln_model_reason {
	GLN_MODEL_DONE,
	GLN_MODEL_FAULT,
	GLN_MODEL_MISCONFIG,
	GLN_MODEL_LOG_FULL,
	GLN_MODEL_KICKED,
	GLN_MODEL_NO_SEGMENT,
};

/**
 * struct gln_model_exit - and what the CPU says of it.
 *
 * @gpa:	guest physical address of the access. On Arm it stands for
 *		FAR_EL2 and what AT makes of it: see gln_s2_has_fault_ipa(). On
 *		POWER it is the effective address (HDAR).
 * @syndrome:	exit qualification; ESR_EL2; HDSISR.
 * @hpfar:	HPFAR_EL2, noise where the CPU does not write it; 0 on x86; on
 *		POWER the second doubleword of the SLB entry.
 */
struct gln_model_exit {
	enum gln_model_reason reason;
	uint64_t gpa;
	uint64_t syndrome;
	uint64_t hpfar;
};

/**
 * gln_model_access() - one access of 8 aligned bytes by the guest.
 * @gpa:	where: a guest physical address; on POWER an effective one.
 * @access:	one of GLN_ACCESS_*; a fetch loads.
 * @value:	what to store, or where to load to.
 * @exit:	why it was not made; reason DONE if it was.
 *
 * Context: the vCPU's thread.
 * Return: true if it was made.
 */
GLN_PUBLIC bool gln_model_access(struct gln_model_vcpu *vcpu, uint64_t gpa,
				 uint32_t access, uint64_t *value,
				 struct gln_model_exit *exit);

/**
 * struct gln_model_stats - what happened so far, over all vCPUs.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @flush_ops:	invalidation instructions executed.
 * @flushed:	translations they took out of TLBs.
 * @dirty_updates: D set, or writable-clean made writable-dirty.
 */
struct gln_model_stats {
	size_t struct_bytes;
	uint64_t accesses;
	uint64_t tlb_hits;
	uint64_t walks;
	uint64_t faults;
	uint64_t misconfigs;
	uint64_t logs_full;
	uint64_t kicks;
	uint64_t flush_ops;
	uint64_t flushed;
	uint64_t accessed_updates;
	uint64_t dirty_updates;
};

/** gln_model_stats() - read them. 0, or -EINVAL for a wrong struct_bytes. */
GLN_PUBLIC int gln_model_stats(struct gln_model *model,
			       struct gln_model_stats *stats);

GLN_END_DECLS

#endif
