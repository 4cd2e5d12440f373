/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * geometry.h - the shape of a stage-2 table: levels, root, blocks.
 *
 * A table of a granule resolves page_shift - 3 bits of the address. Up to 16 of
 * them side by side may stand for the root, which saves a level where no more
 * than four bits would be left to one above (Arm ARM DDI 0487, D8.2, "use of
 * concatenated translation tables"). The walk is always as short as that makes
 * it, but of two levels at least: a root of pages only could hold no block.
 *
 *	granule 4K, 40 bits	CPU's level 1	2 * 512 entries	of 1 GiB
 *				level 2		512		of 2 MiB
 *				level 3		512		of 4 KiB
 *
 * The CPU's levels end at 3, with the pages; ours start at 0, with the root.
 */
#ifndef GLN_BACKENDS_ARM_S2_GEOMETRY_H
#define GLN_BACKENDS_ARM_S2_GEOMETRY_H

#include <glean/s2.h>

#include "core/radix/radix.h"

enum {
	S2_CPU_LAST_LEVEL =
		3, /* the CPU's number of the level with the pages */
	S2_PA_BITS_ARMV7 = 40,
	S2_PA_BITS = 48,
	S2_PA_BITS_LARGE = 52, /* FEAT_LPA with 64 KiB, FEAT_LPA2 with others */
};

/**
 * struct s2_geometry - the shape, and what follows from it.
 *
 * @radix:	the levels.
 * @flags:	GLN_S2_*, as given.
 * @start_level: the CPU's number of the root's level.
 * @nr_root_tables: tables side by side in the root: 1, 2, 4, 8 or 16.
 * @pa_bits:	of an output address.
 * @is_lpa2:	descriptors and TLBI operands have the form of VTCR_EL2.DS.
 */
struct s2_geometry {
	struct radix_geometry radix;
	uint32_t flags;
	unsigned int start_level;
	unsigned int nr_root_tables;
	unsigned int pa_bits;
	bool is_lpa2;
};

/**
 * glni_s2_geometry() - the shape for a granule, an IPA size and CPU features.
 *
 * Return: 0, or -EINVAL where no CPU has it; @geometry is then untouched.
 */
int glni_s2_geometry(unsigned int granule, unsigned int ipa_bits,
		     uint32_t flags, struct s2_geometry *geometry);

#endif
