/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2.h - the Arm stage-2 backend: VMSAv8-64, and LPAE of Armv7.
 *
 * The library keeps the tables as the CPU reads them (Arm ARM DDI 0487, D8) and
 * says what to put in VTCR_EL2 and VTTBR_EL2; the embedder runs the CPU and
 * executes the maintenance it is handed. One backend serves one VM, whose page
 * size is the granule.
 *
 *	log mode	how a write of a page is noticed
 *	  WRITE_PROTECT	 S2AP does not allow it: a permission fault
 *	  DBM		 the CPU itself makes a writable-clean entry writable
 *			 (FEAT_HAFDBS), and a harvest finds it so
 */
#ifndef GLN_S2_H
#define GLN_S2_H

#include <glean/mmu.h>

GLN_BEGIN_DECLS

/** enum gln_s2_mode - how writes are noticed while a slot is logged. */
enum gln_s2_mode {
	GLN_S2_WRITE_PROTECT = 0,
	GLN_S2_DBM = 1,
};

/** No blocks at all: pages only. */
#define GLN_S2_NO_BLOCKS   (1U << 0)
/** When logging starts, or a log is cleared, split blocks at once. */
#define GLN_S2_EAGER_SPLIT (1U << 1)
/** The CPU has TLBI by range (FEAT_TLBIRANGE). */
#define GLN_S2_TLB_RANGE   (1U << 2)
/** The CPU takes level hints in TLBI by address (FEAT_TTL). */
#define GLN_S2_TTL	   (1U << 3)
/** The CPU has 52-bit addresses with granules of 4 and 16 KiB (FEAT_LPA2). */
#define GLN_S2_LPA2	   (1U << 4)
/** The CPU sets the access flag itself (VTCR_EL2.HA; DBM implies it). */
#define GLN_S2_HW_AF	   (1U << 5)
/** Armv7 with LPAE: 40-bit IPA, 4 KiB, three levels; no feature above. */
#define GLN_S2_ARMV7	   (1U << 6)

/**
 * struct gln_s2_op - an instruction of TLB maintenance, in program order.
 *
 * @operand:	the register of a TLBI, encoded for it (Arm ARM C5.5); else 0.
 */
enum gln_s2_instruction {
	GLN_S2_DSB_ISHST, /* entries written are seen by walks */
	GLN_S2_DSB_ISH,	  /* TLBIs before it are complete, everywhere */
	GLN_S2_DSB_NSH,	  /* the same, on this CPU */
	GLN_S2_ISB,
	GLN_S2_TLBI_IPAS2E1IS,	  /* stage-2 entries of an IPA */
	GLN_S2_TLBI_IPAS2E1,	  /* the same, on this CPU */
	GLN_S2_TLBI_RIPAS2E1IS,	  /* stage-2 entries of a range */
	GLN_S2_TLBI_VMALLE1IS,	  /* stage-1 and combined entries of the VMID */
	GLN_S2_TLBI_VMALLE1,	  /* the same, on this CPU */
	GLN_S2_TLBI_VMALLS12E1IS, /* everything of the VMID */
};

struct gln_s2_op {
	enum gln_s2_instruction instruction;
	uint64_t operand;
};

/** The vcpu of maintenance that goes to every CPU. */
#define GLN_S2_EVERYWHERE UINT32_MAX

/**
 * struct gln_s2_params - how to make the backend.
 *
 * @struct_bytes: sizeof(struct gln_s2_params).
 * @granule:	page shift of the VM: 12, 14 or 16; 0 means 12.
 * @ipa_bits:	32 to 52; 0 means 40. More than 48 needs GLN_S2_LPA2 with the
 *		granules 12 and 14.
 * @mode:	how writes are noticed.
 * @flags:	GLN_S2_*.
 * @vmid:	of the VM.
 * @host:	the machine; copied. NULL: physical is virtual.
 * @allocator:	memory for tables, NULL is the platform's. Must outlive the
 *		backend. Called by one thread at a time.
 * @execute:	do @ops, in order, for the backend's VMID; @vcpu is the id of
 *		the calling vCPU for the local ones, else GLN_S2_EVERYWHERE. Any
 *		thread; within a fault it must not sleep.
 * @execute_ctx: passed to it.
 */
struct gln_s2_params {
	size_t struct_bytes;
	unsigned int granule;
	unsigned int ipa_bits;
	enum gln_s2_mode mode;
	uint32_t flags;
	uint16_t vmid;
	const struct gln_mmu_host *host;
	const struct gln_allocator *allocator;
	void (*execute)(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
			size_t nr_ops);
	void *execute_ctx;
};

/**
 * gln_s2_create() - make the backend: an empty table.
 *
 * Context: any thread; allocates.
 * Return: 0; -EINVAL for a wrong @struct_bytes, granule, size, mode or flag, or
 * a combination that no CPU has, or without @execute; -ENOMEM; -ERANGE if table
 * memory lies where no entry can point, or unaligned (Armv7 has 40 bits for
 * it).
 */
GLN_PUBLIC int gln_s2_create(const struct gln_s2_params *params,
			     struct gln_backend **backend);

/** gln_s2_destroy() - free it. Its VM must be gone. */
GLN_PUBLIC void gln_s2_destroy(struct gln_backend *backend);

/**
 * gln_s2_vtcr() - VTCR_EL2 for this table (Arm ARM D19.2); for Armv7 VTCR.
 * gln_s2_vttbr() - VTTBR_EL2: the root, and the VMID.
 *
 * Context: any.
 */
GLN_PUBLIC uint64_t gln_s2_vtcr(const struct gln_backend *backend);
GLN_PUBLIC uint64_t gln_s2_vttbr(const struct gln_backend *backend);

/**
 * gln_s2_access() - what the guest tried, from ESR_EL2 of an abort from a lower
 * level: GLN_ACCESS_*, or 0 if it was no translation, permission or access-flag
 * fault of stage 2.
 * gln_s2_has_fault_ipa() - did the CPU write HPFAR_EL2 for this abort?
 * gln_s2_fault_ipa() - the faulting IPA's page, from HPFAR_EL2 if it did.
 *
 * It writes it for translation, access-flag and address-size faults, and for
 * any fault of a walk of stage 1 (ESR_EL2.S1PTW). After a permission fault of
 * the guest's own access HPFAR_EL2 is UNKNOWN (Arm ARM D19.2): translate
 * FAR_EL2 by stage 1 of the vCPU instead, with AT S1E1R and PAR_EL1 or, for
 * Armv7, ATS1CPR and PAR. If that fails the guest has changed its stage 1: let
 * it try again.
 *
 * Context: any.
 */
GLN_PUBLIC uint32_t gln_s2_access(uint64_t esr);
GLN_PUBLIC bool gln_s2_has_fault_ipa(uint64_t esr);
GLN_PUBLIC uint64_t gln_s2_fault_ipa(uint64_t hpfar);

GLN_END_DECLS

#endif
