/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlbi.h - which maintenance makes the CPUs forget what.
 *
 * A plan is the instructions, in program order, for the embedder to execute.
 * TLBs may hold stage-2 entries, and entries that combine both stages, which no
 * IPA finds; so every plan by IPA is
 *
 *	DSB ISHST			the entries written are seen by walks
 *	TLBI IPAS2E1IS, RIPAS2E1IS ...	stage 2
 *	DSB ISH				stage 2 is gone before stage 1 goes, or
 *					a walk in between makes a new combined
 *					entry of the stale one (H-26)
 *	TLBI VMALLE1IS			stage 1 and combined
 *	DSB ISH
 *	ISB
 *
 * and where that would take many instructions, VMALLS12E1IS stands for all of
 * the VMID instead. Armv7 has no TLBI by IPA: there it always does.
 *
 *   S1	 A plan covers all that it was asked for.
 *   S2	 A level hint is given only where the caller is certain (H-25).
 *   S3	 A plan never has more than S2_PLAN_OPS instructions (G7).
 */
#ifndef GLN_BACKENDS_ARM_S2_TLBI_H
#define GLN_BACKENDS_ARM_S2_TLBI_H

#include "backends/arm_s2/geometry.h"

enum {
	/*
	 * Stage-2 TLBIs in one plan, at most. VMALLE1IS behind them drops every
	 * combined entry of the VMID in any case, so all that TLBIs by IPA save
	 * is cached stage-2 walks, some dozens; each is a broadcast that every
	 * CPU answers. Past a handful VMALLS12E1IS is cheaper.
	 */
	S2_MAX_TLBI = 16,
	S2_PLAN_OPS = S2_MAX_TLBI + 5, /* three DSBs, VMALLE1IS, ISB */
};

/** What was there was a table, or leaves of more than one level, or unknown. */
#define S2_LEVEL_UNKNOWN UINT32_MAX

/** struct s2_plan - what to execute; nothing if @nr_ops is 0. */
struct s2_plan {
	size_t nr_ops;
	struct gln_s2_op ops[S2_PLAN_OPS];
};

/**
 * glni_s2_plan_entry() - an entry was removed or replaced, or lost a right.
 * @ipa:	in what it maps.
 * @level:	ours, of the leaf that was there, or S2_LEVEL_UNKNOWN.
 */
void glni_s2_plan_entry(struct s2_plan *plan,
			const struct s2_geometry *geometry, uint64_t ipa,
			unsigned int level);

/**
 * glni_s2_plan_relaxed() - a leaf gained a right: this CPU is to see it. Others
 * may fault and find it so. Parameters as above.
 */
void glni_s2_plan_relaxed(struct s2_plan *plan,
			  const struct s2_geometry *geometry, uint64_t ipa,
			  unsigned int level);

/**
 * glni_s2_plan_range() - entries of a range were removed, or lost a right.
 * @range:	frames; none is no plan.
 * @level:	of all leaves that were there, or S2_LEVEL_UNKNOWN.
 */
void glni_s2_plan_range(struct s2_plan *plan,
			const struct s2_geometry *geometry,
			struct gln_range range, unsigned int level);

/** glni_s2_plan_made() - entries were made where nothing valid was. */
void glni_s2_plan_made(struct s2_plan *plan);

/** glni_s2_plan_vm() - the whole VMID. */
void glni_s2_plan_vm(struct s2_plan *plan);

/** glni_s2_plan_flush() - what a harvest reaped. Levels may be mixed. */
void glni_s2_plan_flush(struct s2_plan *plan,
			const struct s2_geometry *geometry,
			const struct gln_flush *flush);

#endif
