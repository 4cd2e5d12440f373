/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_segment.c - what a POWER CPU asks before it asks the table, and what it
 * asks of the entry then (Power ISA 2.07 book III-S 5.7; 3.0 book III 5.7): the
 * segment of an address, and whether an access may use what was found there.
 */
#include "backends/book3s_hv/model.h"

#include <errno.h>

#include "core/base/assert.h"

enum {
	AMR_TOP = 62, /* key 0 is the highest pair */
	AMR_READ = 1, /* what it denies */
	AMR_WRITE = 2,
};

/* Segments. */

/* Base page size: L and LP of an SLB entry (PAPR ibm,segment-page-sizes). */
static unsigned int slb_page_shift(uint64_t slb)
{
	switch (slb & (GLN_SLB_L | GLN_SLB_LP)) {
	case 0:
		return 12;
	case GLN_SLB_L | GLN_SLB_LP_64K:
		return 16;
	case GLN_SLB_L:
		return 24;
	case GLN_SLB_L | GLN_SLB_LP_16G:
		return 34;
	default:
		return 0;
	}
}

/* What there is of a VSID follows from how long a virtual address is. */
static uint64_t slb_vsid(enum gln_hpt_isa isa, uint64_t slb)
{
	const uint64_t field = slb & ~GLN_SLB_B;

	if (slb & GLN_SLB_1TB)
		return field >> GLN_SLB_VSID_SHIFT_1T &
		       low_mask(va_bits(isa) - SEGMENT_1T);
	return field >> GLN_SLB_VSID_SHIFT &
	       low_mask(va_bits(isa) - SEGMENT_256M);
}

int gln_hpt_model_slb(struct gln_model_vcpu *vcpu, unsigned int index,
		      uint64_t esid, uint64_t slb)
{
	struct segment segment = {
		.esid = esid,
		.slb = slb,
		.shift = slb & GLN_SLB_1TB ? SEGMENT_1T : SEGMENT_256M,
		.page_shift = slb_page_shift(slb),
		.vsid = slb_vsid(power_model_of(vcpu)->isa, slb),
	};

	if (index >= GLN_HPT_MODEL_SLB_ENTRIES)
		return -EINVAL;
	if (!(esid & GLN_HPT_MODEL_SLB_VALID)) {
		power_of(vcpu)->segments[index].shift = 0;
		return 0;
	}
	if ((slb & GLN_SLB_B) > GLN_SLB_1TB || !segment.page_shift ||
	    segment.page_shift > segment.shift)
		return -EINVAL;
	power_of(vcpu)->segments[index] = segment;
	return 0;
}

void gln_hpt_model_state(struct gln_model_vcpu *vcpu, uint64_t amr,
			 uint32_t flags)
{
	gln_assert(!(flags & ~GLN_HPT_PROBLEM));

	power_of(vcpu)->amr = amr;
	power_of(vcpu)->is_problem = flags & GLN_HPT_PROBLEM;
}

/* Two that match are a machine check on some CPUs; here the first is used. */
const struct segment *glni_power_segment(const struct power_vcpu *power,
					 uint64_t ea)
{
	for (unsigned int i = 0; i < GLN_HPT_MODEL_SLB_ENTRIES; i++) {
		const struct segment *const segment = &power->segments[i];

		if (segment->shift && !((segment->esid ^ ea) >> segment->shift))
			return segment;
	}
	return NULL;
}

/* Rights. */

/*
 * What PP allows (ISA 2.07 book III-S figure 38), by PP0 and PP: key 0, then
 * key 1. PP0 with anything but 2 is reserved, and treated like PP0 with 2.
 */
static const uint32_t pp_rights[2][8] = {
	{
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
	},
	{0, GLN_ACCESS_READ, GLN_ACCESS_READ | GLN_ACCESS_WRITE,
	 GLN_ACCESS_READ},
};

static bool pp_allows(const struct power_vcpu *power,
		      const struct segment *segment, uint64_t r,
		      uint32_t access)
{
	const uint64_t key = power->is_problem ? GLN_SLB_KP : GLN_SLB_KS;
	const unsigned int pp = (r & GLN_HPTE_R_PP0 ? 4 : 0) +
				(unsigned int)(r & GLN_HPTE_R_PP);

	return pp_rights[segment->slb & key ? 1 : 0][pp] & access;
}

/* Virtual page class keys (5.7.9.1 there): two bits of AMR for each of 32. */
static bool key_allows(const struct power_vcpu *power, uint64_t r,
		       uint32_t access)
{
	const unsigned int high = (unsigned int)(r >> 60) & 3;
	const unsigned int low = (unsigned int)(r >> 9) & 7;
	const unsigned int key = high << 3 | low;
	const uint64_t denied = power->amr >> (AMR_TOP - 2 * key);

	return !(denied & (access == GLN_ACCESS_WRITE ? AMR_WRITE : AMR_READ));
}

/* AMR is for data. Guarded storage is not for instructions. */
static uint64_t refuse_fetch(const struct power_vcpu *power,
			     const struct segment *segment, uint64_t r)
{
	if (r & (GLN_HPTE_R_N | GLN_HPTE_R_G))
		return GLN_DSISR_NOEXEC;
	if (!pp_allows(power, segment, r, GLN_ACCESS_READ))
		return GLN_DSISR_PROTFAULT;
	return 0;
}

uint64_t glni_power_refuse(const struct power_vcpu *power,
			   const struct segment *segment, uint64_t r,
			   uint32_t access)
{
	uint64_t why = 0;

	if (access == GLN_ACCESS_EXEC)
		return refuse_fetch(power, segment, r);
	if (!pp_allows(power, segment, r, access))
		why |= GLN_DSISR_PROTFAULT;
	if (!key_allows(power, r, access))
		why |= GLN_DSISR_KEYFAULT;
	return why;
}
