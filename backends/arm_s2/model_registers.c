/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_registers.c - VTCR and VTTBR, as a CPU reads them (Arm ARM DDI 0487,
 * D19.2; for Armv7 DDI 0406C, B4.1).
 */
#include "backends/arm_s2/model.h"

#include <errno.h>

enum {
	IPA_BITS_MIN = 25,     /* T0SZ up to 39 */
	CONCATENATED_BITS = 4, /* up to 16 tables side by side are the root */
};

/* VTCR_EL2 (D19.2): what decides how a walk goes. */
enum {
	VTCR_T0SZ_MASK = 0x3f,
	VTCR_SL0_SHIFT = 6,
	VTCR_SH0_SHIFT = 12,
	VTCR_TG0_SHIFT = 14,
	VTCR_PS_SHIFT = 16,
	VTCR_SL2_SHIFT = 33,
	SH0_RESERVED = 1,
	VTCR7_T0SZ_MASK = 0xf, /* Armv7: signed, and once more its sign */
	VTCR7_SIGN = 1 << 4,
};
#define VTCR_VS	       (UINT64_C(1) << 19) /* VMIDs of 16 bits */
#define VTCR_HA	       (UINT64_C(1) << 21)
#define VTCR_HD	       (UINT64_C(1) << 22)
#define VTCR_RES1      (UINT64_C(1) << 31)
#define VTCR_DS	       (UINT64_C(1) << 32)
#define VTCR_SL2       (UINT64_C(1) << VTCR_SL2_SHIFT)
#define VTCR_RESERVED  UINT64_C(0xfffffffc01900000) /* of what is modelled */
#define VTCR7_RESERVED UINT64_C(0xffffffff7fffc020)

/* VTTBR_EL2. Bits 5:2 are 51:48 of the root with 52-bit addresses. */
enum { VTTBR_VMID_SHIFT = 48, VTTBR_HIGH_SHIFT = 2, VTTBR_CNP = 1 };
#define VTTBR_BADDR UINT64_C(0x0000fffffffffffe) /* 47:1 */
#define VTTBR_HIGH  (UINT64_C(0xf) << VTTBR_HIGH_SHIFT)

/* TG0: 4, 64, 16 KiB. */
static int decode_granule(uint64_t vtcr, struct model_geometry *g)
{
	static const unsigned int shifts[] = {12, 16, 14};
	const uint64_t tg0 = field(vtcr, VTCR_TG0_SHIFT, 2);

	if (tg0 > 2)
		return -EINVAL;
	g->page_shift = shifts[tg0];
	g->index_bits = g->page_shift - ENTRY_SHIFT;
	return 0;
}

/* PS, and which form of 52 bits it means, if any. */
static int decode_pa_size(uint64_t vtcr, struct model_geometry *g)
{
	static const unsigned int sizes[] = {32, 36, 40, 42, 44, 48, 52};
	const uint64_t ps = field(vtcr, VTCR_PS_SHIFT, 3);

	if (ps > 6)
		return -EINVAL;
	g->is_ds = vtcr & VTCR_DS;
	if (g->is_ds && g->page_shift == 16)
		return -EINVAL;
	g->pa_bits = sizes[ps];
	g->is_64k_52 = g->pa_bits == 52 && g->page_shift == 16;
	/* 52 bits without the descriptors for them are 48. */
	if (g->pa_bits == 52 && !g->is_64k_52 && !g->is_ds)
		g->pa_bits = 48;
	return 0;
}

static int decode_ipa_size(uint64_t vtcr, struct model_geometry *g)
{
	const unsigned int max = g->is_ds || g->is_64k_52 ? 52 : 48;

	g->ipa_bits = 64 - (unsigned int)(vtcr & VTCR_T0SZ_MASK);
	return g->ipa_bits < IPA_BITS_MIN || g->ipa_bits > max ? -EINVAL : 0;
}

/* SL0, and SL2 with LPA2: Arm's start level, by granule. 9: reserved. */
static int decode_start(uint64_t vtcr, struct model_geometry *g)
{
	enum { NONE = 9 };
	static const int levels[3][4] = {
		{2, 1, 0, 3},	 /* 4 KiB */
		{3, 2, 1, 0},	 /* 16 KiB: level 0 with LPA2 only */
		{3, 2, 1, NONE}, /* 64 KiB */
	};
	const uint64_t sl0 = field(vtcr, VTCR_SL0_SHIFT, 2);
	int level = levels[(g->page_shift - 12) / 2][sl0];

	if (g->page_shift == 14 && level == 0 && !g->is_ds)
		return -EINVAL;
	if (vtcr & VTCR_SL2) {
		if (g->page_shift != 12 || !g->is_ds || sl0 != 0)
			return -EINVAL;
		level = -1;
	}
	if (level == NONE)
		return -EINVAL;
	g->top = (unsigned int)(LAST_LEVEL - level);
	return 0;
}

/* The start level must suit the size: from 1 bit to a stride and 4 more. */
static bool is_start_consistent(const struct model_geometry *g)
{
	const unsigned int below = shift_of(g, g->top);

	return g->ipa_bits > below &&
	       g->ipa_bits <= below + g->index_bits + CONCATENATED_BITS;
}

/* Blocks (table D8-15): 1 GiB, with LPA2 512; 32 MiB, 64 GiB; 512 MiB, 4 TiB.
 */
static unsigned int largest_block(const struct model_geometry *g)
{
	if (g->page_shift == 12)
		return g->is_ds ? 3 : 2;
	return g->is_ds || g->is_64k_52 ? 2 : 1;
}

static int decode_vtcr(uint64_t vtcr, struct model_geometry *g)
{
	if ((vtcr & VTCR_RESERVED) || !(vtcr & VTCR_RES1) ||
	    field(vtcr, VTCR_SH0_SHIFT, 2) == SH0_RESERVED)
		return -EINVAL;
	if (decode_granule(vtcr, g) || decode_pa_size(vtcr, g) ||
	    decode_ipa_size(vtcr, g) || decode_start(vtcr, g))
		return -EINVAL;

	g->block_max = largest_block(g);
	g->has_ha = vtcr & VTCR_HA;
	g->has_hd = g->has_ha && (vtcr & VTCR_HD);
	return 0;
}

/* Armv7 (B4.1.162): T0SZ from -8 to 7, start at level 2 or 1. */
static int decode_vtcr7(uint64_t vtcr, struct model_geometry *g)
{
	const unsigned int t0sz = vtcr & VTCR7_T0SZ_MASK;
	const bool is_negative = t0sz & 8;
	const uint64_t sl0 = field(vtcr, VTCR_SL0_SHIFT, 2);

	if ((vtcr & VTCR7_RESERVED) || sl0 > 1 ||
	    is_negative != !!(vtcr & VTCR7_SIGN) ||
	    field(vtcr, VTCR_SH0_SHIFT, 2) == SH0_RESERVED)
		return -EINVAL;

	g->is_armv7 = true;
	g->page_shift = 12;
	g->index_bits = 9;
	g->pa_bits = 40;
	g->ipa_bits = 32 - t0sz + (is_negative ? 16 : 0);
	g->top = sl0 ? 2 : 1;
	g->block_max = 2;
	return 0;
}

static int decode_vttbr(uint64_t vttbr, bool has_vmid16,
			struct model_geometry *g)
{
	const unsigned int root_shift =
		g->ipa_bits - shift_of(g, g->top) + ENTRY_SHIFT;
	uint64_t root = vttbr & VTTBR_BADDR;

	g->vmid = (uint16_t)(vttbr >> VTTBR_VMID_SHIFT);
	if (g->vmid > UINT8_MAX && !has_vmid16)
		return -EINVAL;
	if (g->pa_bits == 52) {
		root &= ~VTTBR_HIGH;
		root |= field(vttbr, VTTBR_HIGH_SHIFT, 4) << 48;
	}
	if (root >> g->pa_bits || root & ((UINT64_C(1) << root_shift) - 1))
		return -EINVAL;
	if (g->is_armv7 && (vttbr & VTTBR_CNP))
		return -EINVAL;
	g->root = root;
	return 0;
}

int glni_s2_model_decode(uint64_t vtcr, uint64_t vttbr,
			 struct model_geometry *g)
{
	if (decode_vtcr(vtcr, g) || !is_start_consistent(g))
		return -EINVAL;
	return decode_vttbr(vttbr, vtcr & VTCR_VS, g);
}

int glni_s2_model_decode7(uint64_t vtcr, uint64_t vttbr,
			  struct model_geometry *g)
{
	if (decode_vtcr7(vtcr, g) || !is_start_consistent(g))
		return -EINVAL;
	return decode_vttbr(vttbr, false, g);
}
