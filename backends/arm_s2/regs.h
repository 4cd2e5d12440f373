/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regs.h - what the CPU is told about a stage-2 table.
 *
 * gln_s2_access(), gln_s2_has_fault_ipa() and gln_s2_fault_ipa() of
 * <glean/s2.h>, the other way round, are in regs.c too.
 */
#ifndef GLN_BACKENDS_ARM_S2_REGS_H
#define GLN_BACKENDS_ARM_S2_REGS_H

#include "backends/arm_s2/geometry.h"

/**
 * glni_s2_vtcr() - VTCR_EL2, or VTCR of Armv7.
 * @vmid:	one of more than 8 bits asks for VMIDs of 16.
 */
uint64_t glni_s2_vtcr(const struct s2_geometry *geometry, enum gln_s2_mode mode,
		      uint16_t vmid);

/**
 * glni_s2_vttbr() - VTTBR_EL2, or VTTBR of Armv7.
 * @root:	physical address of the root, aligned to its size, and to 64
 *		bytes where it is less.
 */
uint64_t glni_s2_vttbr(const struct s2_geometry *geometry, uint64_t root,
		       uint16_t vmid);

#endif
