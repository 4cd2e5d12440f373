/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regs.c - VTCR, VTTBR, and the syndrome of a stage-2 abort.
 *
 * Field numbers are those of the Arm ARM, DDI 0487, D19.2 (by register), and
 * DDI 0406C, B4.1 and B3.6 for Armv7.
 */
#include "backends/arm_s2/regs.h"

#include "backends/arm_s2/entry.h"
#include "core/base/assert.h"
#include "core/base/bits.h"

/* VTCR_EL2. T0SZ is 5:0; Armv7 has it signed, in 3:0, and its sign in bit 4. */
enum {
	VTCR_SL0_SHIFT = 6,
	VTCR_TG0_SHIFT = 14,
	VTCR_PS_SHIFT = 16,
};
#define VTCR_T0SZ_MASK	   UINT64_C(0x3f)
#define VTCR_ARMV7_SZ_MASK UINT64_C(0xf)
#define VTCR_ARMV7_SIGN	   (UINT64_C(1) << 4)
#define VTCR_IRGN0_WBWA	   (UINT64_C(1) << 8)  /* walks are cached, inner */
#define VTCR_ORGN0_WBWA	   (UINT64_C(1) << 10) /* and outer */
#define VTCR_SH0_INNER	   (UINT64_C(3) << 12)
#define VTCR_VS_16	   (UINT64_C(1) << 19) /* VMIDs of 16 bits */
#define VTCR_HA		   (UINT64_C(1) << 21) /* the CPU sets AF */
#define VTCR_HD		   (UINT64_C(1) << 22) /* the CPU sets S2AP.W: DBM */
#define VTCR_RES1	   (UINT64_C(1) << 31)
#define VTCR_DS		   (UINT64_C(1) << 32) /* descriptors of LPA2 */

/* VTCR_EL2.TG0, and .PS for outputs of 48 and 52 bits. */
enum { TG0_4K = 0, TG0_64K = 1, TG0_16K = 2, PS_48 = 5, PS_52 = 6 };

enum {
	IPA_BITS_V8 = 64, /* T0SZ is 64 - size; Armv7: 32 - size */
	IPA_BITS_V7 = 32,
	/*
	 * SL0 counts start levels upwards, from the CPU's level 2 with 4 KiB
	 * (1 in Armv7 is level 1, too) and from level 3 with the others. SL2 is
	 * for a level -1, which concatenated roots make unnecessary.
	 */
	SL0_LEVEL_4K = 2,
	SL0_LEVEL_OTHER = 3,
	VTTBR_VMID_SHIFT = 48,
	VTTBR_HIGH_SHIFT = 46, /* BADDR 51:48 is in 5:2 */
	VTTBR_ALIGN_SHIFT = 6,
	VMID_BITS_SHORT = 8,
};
#define VTTBR_HIGH_MASK UINT64_C(0x3c)

static uint64_t tg0(unsigned int granule)
{
	switch (granule) {
	case S2_GRANULE_64K:
		return TG0_64K;
	case S2_GRANULE_16K:
		return TG0_16K;
	default:
		return TG0_4K;
	}
}

static uint64_t sl0(const struct s2_geometry *geometry)
{
	const unsigned int zero = geometry->radix.page_shift == S2_GRANULE_4K
					  ? SL0_LEVEL_4K
					  : SL0_LEVEL_OTHER;

	return (uint64_t)(zero - geometry->start_level) << VTCR_SL0_SHIFT;
}

static uint64_t vtcr_armv7(const struct s2_geometry *geometry)
{
	const uint64_t size = IPA_BITS_V7 - (uint64_t)geometry->radix.addr_bits;

	return (size & VTCR_ARMV7_SZ_MASK) |
	       (size >> 63 ? VTCR_ARMV7_SIGN : 0) | sl0(geometry);
}

static uint64_t vtcr_armv8(const struct s2_geometry *geometry,
			   enum gln_s2_mode mode, uint16_t vmid)
{
	const uint64_t size = IPA_BITS_V8 - (uint64_t)geometry->radix.addr_bits;
	const uint64_t ps =
		geometry->pa_bits == S2_PA_BITS_LARGE ? PS_52 : PS_48;
	uint64_t vtcr = (size & VTCR_T0SZ_MASK) | sl0(geometry) |
			tg0(geometry->radix.page_shift) << VTCR_TG0_SHIFT |
			ps << VTCR_PS_SHIFT;

	if (vmid >> VMID_BITS_SHORT)
		vtcr |= VTCR_VS_16;
	if (mode == GLN_S2_DBM)
		vtcr |= VTCR_HD | VTCR_HA; /* HD without HA does nothing */
	if (geometry->flags & GLN_S2_HW_AF)
		vtcr |= VTCR_HA;
	if (geometry->is_lpa2)
		vtcr |= VTCR_DS;
	return vtcr;
}

uint64_t glni_s2_vtcr(const struct s2_geometry *geometry, enum gln_s2_mode mode,
		      uint16_t vmid)
{
	const uint64_t common =
		VTCR_RES1 | VTCR_SH0_INNER | VTCR_ORGN0_WBWA | VTCR_IRGN0_WBWA;

	return common | (geometry->flags & GLN_S2_ARMV7
				 ? vtcr_armv7(geometry)
				 : vtcr_armv8(geometry, mode, vmid));
}

/* CnP (bit 0) stays clear: not all CPUs need have this root at one time. */
uint64_t glni_s2_vttbr(const struct s2_geometry *geometry, uint64_t root,
		       uint16_t vmid)
{
	const uint64_t low = root & gln_low_bits(VTTBR_VMID_SHIFT);
	const uint64_t high = root >> VTTBR_HIGH_SHIFT & VTTBR_HIGH_MASK;

	gln_assert(!(root & gln_low_bits(VTTBR_ALIGN_SHIFT)));
	gln_assert(!(root & gln_low_bits(geometry->radix.level[0].bits +
					 S2_ENTRY_SHIFT)));
	gln_assert(!high || geometry->pa_bits == S2_PA_BITS_LARGE);
	return (uint64_t)vmid << VTTBR_VMID_SHIFT | low | high;
}

/* ESR_EL2 (D19.2, "ISS encoding for an exception from a Data Abort"). */
enum {
	ESR_EC_SHIFT = 26,
	EC_INSTRUCTION_ABORT = 0x20, /* from a lower level, both */
	EC_DATA_ABORT = 0x24,
	FSC_ADDRESS_SIZE = 0x00, /* and the CPU's level in 1:0, all four */
	FSC_TRANSLATION = 0x04,
	FSC_ACCESS_FLAG = 0x08,
	FSC_PERMISSION = 0x0c,
	FSC_ADDRESS_SIZE_MINUS_1 = 0x29, /* at level -1 */
	FSC_TRANSLATION_MINUS_1 = 0x2b,
};
#define ESR_EC_MASK   UINT64_C(0x3f)
#define ESR_FSC_MASK  UINT64_C(0x3f)
#define ESR_FSC_LEVEL UINT64_C(0x03)
#define ESR_WNR	      (UINT64_C(1) << 6) /* write, not read */
#define ESR_S1PTW     (UINT64_C(1) << 7) /* on a walk of stage 1 */
#define ESR_CM	      (UINT64_C(1) << 8) /* cache maintenance */

/* The kind of the fault: one of the FSC_ above, or 0. */
static unsigned int fault_kind(uint64_t esr)
{
	const unsigned int fsc = (unsigned int)(esr & ESR_FSC_MASK);

	switch (fsc & ~(unsigned int)ESR_FSC_LEVEL) {
	case FSC_TRANSLATION:
	case FSC_ACCESS_FLAG:
	case FSC_PERMISSION:
		return fsc & ~(unsigned int)ESR_FSC_LEVEL;
	default:
		return fsc == FSC_TRANSLATION_MINUS_1 ? FSC_TRANSLATION : 0;
	}
}

/*
 * Two kinds of access do not say what they need. A stage-1 walk reads, unless
 * the CPU updates AF or the dirty state of stage 1; cache maintenance always
 * says write, and mostly reads. A page that may be read is enough for either:
 * if it was not, a permission fault follows, and that does mean a write.
 */
static uint32_t access_of_unclear(unsigned int kind)
{
	return kind == FSC_PERMISSION ? GLN_ACCESS_WRITE : GLN_ACCESS_READ;
}

uint32_t gln_s2_access(uint64_t esr)
{
	const unsigned int kind = fault_kind(esr);

	if (!kind)
		return 0;

	switch (esr >> ESR_EC_SHIFT & ESR_EC_MASK) {
	case EC_INSTRUCTION_ABORT:
		return esr & ESR_S1PTW ? access_of_unclear(kind)
				       : GLN_ACCESS_EXEC;
	case EC_DATA_ABORT:
		if (esr & (ESR_S1PTW | ESR_CM))
			return access_of_unclear(kind);
		return esr & ESR_WNR ? GLN_ACCESS_WRITE : GLN_ACCESS_READ;
	default:
		return 0;
	}
}

static bool is_from_lower_level(uint64_t esr)
{
	const uint64_t ec = esr >> ESR_EC_SHIFT & ESR_EC_MASK;

	return ec == EC_INSTRUCTION_ABORT || ec == EC_DATA_ABORT;
}

static bool is_address_size(uint64_t esr)
{
	const uint64_t fsc = esr & ESR_FSC_MASK;

	return (fsc & ~ESR_FSC_LEVEL) == FSC_ADDRESS_SIZE ||
	       fsc == FSC_ADDRESS_SIZE_MINUS_1;
}

/* D19.2, "HPFAR_EL2". The walk of a permission fault was stage 1's. */
bool gln_s2_has_fault_ipa(uint64_t esr)
{
	if (!is_from_lower_level(esr))
		return false;

	switch (fault_kind(esr)) {
	case FSC_TRANSLATION:
	case FSC_ACCESS_FLAG:
		return true;
	case FSC_PERMISSION:
		return esr & ESR_S1PTW;
	default:
		return is_address_size(esr);
	}
}

/* HPFAR_EL2.FIPA: bits 43:4 hold 51:12 of the IPA; Armv7 has 31:4 of it. */
enum { HPFAR_FIPA_FIRST = 4, HPFAR_FIPA_LAST = 43, HPFAR_TO_IPA_SHIFT = 8 };

uint64_t gln_s2_fault_ipa(uint64_t hpfar)
{
	return (hpfar & gln_bits_between(HPFAR_FIPA_FIRST, HPFAR_FIPA_LAST))
	       << HPFAR_TO_IPA_SHIFT;
}
