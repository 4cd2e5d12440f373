/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2_regs_test.c - registers hold what the Arm ARM says, spelt out in numbers.
 */
#include "backends/arm_s2/regs.h"

#include "tests/unit/require.h"

/*
 * VTCR_EL2 as numbers, put together by hand from the manual. 0x80003500 is
 * RES1, SH0 inner shareable, ORGN0 and IRGN0 write-back write-allocate.
 */
static const struct vtcr_case {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
	enum gln_s2_mode mode;
	uint16_t vmid;
	uint64_t vtcr;
} vtcrs[] = {
	/* T0SZ 24, SL0 1 (level 1), TG0 0, PS 5 */
	{"4K, 40 bits", 12, 40, 0, GLN_S2_WRITE_PROTECT, 1, 0x80053558},
	/* T0SZ 32, SL0 0 (level 2) */
	{"4K, 32 bits", 12, 32, 0, GLN_S2_WRITE_PROTECT, 1, 0x80053520},
	/* T0SZ 16, SL0 2 (level 0) */
	{"4K, 48 bits", 12, 48, 0, GLN_S2_WRITE_PROTECT, 1, 0x80053590},
	/* T0SZ 12, SL0 2, PS 6, DS; 16 root tables, so SL2 is not needed */
	{"4K, 52 bits", 12, 52, GLN_S2_LPA2, GLN_S2_WRITE_PROTECT, 1,
	 0x18006358c},
	/* T0SZ 17, SL0 2 (level 1), TG0 2 */
	{"16K, 47 bits", 14, 47, 0, GLN_S2_WRITE_PROTECT, 1, 0x8005b591},
	/* T0SZ 12, SL0 3 (level 0), TG0 2, PS 6, DS */
	{"16K, 52 bits", 14, 52, GLN_S2_LPA2, GLN_S2_WRITE_PROTECT, 1,
	 0x18006b5cc},
	/* T0SZ 22, SL0 1 (level 2), TG0 1 */
	{"64K, 42 bits", 16, 42, 0, GLN_S2_WRITE_PROTECT, 1, 0x80057556},
	/* T0SZ 12, SL0 2 (level 1), TG0 1, PS 6; never DS */
	{"64K, 52 bits", 16, 52, GLN_S2_LPA2, GLN_S2_WRITE_PROTECT, 1,
	 0x8006758c},
	{"VMIDs of 8 bits", 12, 40, 0, GLN_S2_WRITE_PROTECT, 255, 0x80053558},
	{"VMIDs of 16 bits", 12, 40, 0, GLN_S2_WRITE_PROTECT, 256, 0x800d3558},
	{"AF by the CPU", 12, 40, GLN_S2_HW_AF, GLN_S2_WRITE_PROTECT, 1,
	 0x80253558},
	{"DBM implies AF", 12, 40, 0, GLN_S2_DBM, 1, 0x80653558},
	/* T0SZ -8 is 8 and S, SL0 1 (level 1); no TG0, no PS */
	{"Armv7", 12, 40, GLN_S2_ARMV7, GLN_S2_WRITE_PROTECT, 1, 0x80003558},
};

static struct s2_geometry shape(unsigned int granule, unsigned int ipa_bits,
				uint32_t flags)
{
	struct s2_geometry geometry;

	cr_assert_eq(glni_s2_geometry(granule, ipa_bits, flags, &geometry), 0);
	return geometry;
}

Test(s2_regs, vtcr_is_the_manuals)
{
	for (const struct vtcr_case *c = vtcrs; c < ARRAY_END(vtcrs); c++) {
		const struct s2_geometry g =
			shape(c->granule, c->ipa_bits, c->flags);
		const uint64_t got = glni_s2_vtcr(&g, c->mode, c->vmid);

		cr_assert_eq(got, c->vtcr, "%s: %#" PRIx64, c->what, got);
	}
}

/* The manual's own reading of the start level, for every size there is. */
static unsigned int start_level_of(uint64_t vtcr)
{
	static const unsigned int of_4k[] = {2, 1, 0};
	static const unsigned int of_others[] = {3, 2, 1, 0};
	const unsigned int sl0 = vtcr >> 6 & 3;

	return (vtcr >> 14 & 3) == 0 ? of_4k[sl0] : of_others[sl0];
}

Test(s2_regs, vtcr_says_size_and_start_level_of_every_geometry)
{
	for (unsigned int granule = 12; granule <= 16; granule += 2)
		for (unsigned int bits = 32; bits <= 52; bits++) {
			const struct s2_geometry g =
				shape(granule, bits, GLN_S2_LPA2);
			const uint64_t vtcr =
				glni_s2_vtcr(&g, GLN_S2_WRITE_PROTECT, 1);

			require(64 - (vtcr & 63) == bits, "%u, %u bits",
				granule, bits);
			require(start_level_of(vtcr) == g.start_level,
				"%u, %u bits", granule, bits);
			require((vtcr >> 32 & 1) == (granule != 16),
				"%u, %u bits", granule, bits);
		}
}

Test(s2_regs, vttbr_holds_root_and_vmid)
{
	const struct s2_geometry small = shape(12, 40, 0);
	const struct s2_geometry large = shape(16, 52, 0);
	const struct s2_geometry armv7 = shape(12, 40, GLN_S2_ARMV7);

	cr_assert_eq(glni_s2_vttbr(&small, UINT64_C(0xabcdef012000), 0x1234),
		     UINT64_C(0x1234abcdef012000));
	cr_assert_eq(glni_s2_vttbr(&armv7, UINT64_C(0x89abcde000), 0xff),
		     UINT64_C(0x00ff0089abcde000));
	/* Bits 51:48 of the root are 5:2 of the register. */
	cr_assert_eq(glni_s2_vttbr(&large, UINT64_C(0xb0000dead0000), 0),
		     UINT64_C(0x00000000dead002c));
	cr_assert_eq(glni_s2_vttbr(&large, UINT64_C(0xf000000002000), 0xffff),
		     UINT64_C(0xffff00000000203c));
}

static const struct abort_case {
	const char *what;
	uint64_t esr;
	uint32_t access;
	bool has_ipa; /* HPFAR_EL2 was written */
} aborts[] = {
	{"read, translation, level 3", 0x93000007, GLN_ACCESS_READ, true},
	{"read, translation, level 0", 0x93000004, GLN_ACCESS_READ, true},
	{"read, translation, level -1", 0x9300002b, GLN_ACCESS_READ, true},
	{"write, translation, level 2", 0x93000046, GLN_ACCESS_WRITE, true},
	{"write, permission, level 3", 0x9300004f, GLN_ACCESS_WRITE, false},
	{"write, permission, level 0", 0x9300004c, GLN_ACCESS_WRITE, false},
	{"read, permission, level 1", 0x9300000d, GLN_ACCESS_READ, false},
	{"read, access flag, level 3", 0x9300000b, GLN_ACCESS_READ, true},
	{"write, access flag, level 0", 0x93000048, GLN_ACCESS_WRITE, true},
	{"fetch, translation", 0x83000007, GLN_ACCESS_EXEC, true},
	{"fetch, permission", 0x8300000f, GLN_ACCESS_EXEC, false},
	{"a stage-1 walk meets nothing", 0x93000087, GLN_ACCESS_READ, true},
	{"of a write, too", 0x930000c7, GLN_ACCESS_READ, true},
	{"of a fetch, too", 0x83000087, GLN_ACCESS_READ, true},
	{"a stage-1 walk sets AF", 0x9300008f, GLN_ACCESS_WRITE, true},
	{"of a fetch, too", 0x8300008f, GLN_ACCESS_WRITE, true},
	{"cache maintenance where nothing is", 0x93000147, GLN_ACCESS_READ,
	 true},
	{"cache maintenance that writes", 0x9300014f, GLN_ACCESS_WRITE, false},
	{"address size", 0x93000003, 0, true},
	{"address size, level -1", 0x93000029, 0, true},
	{"external abort", 0x93000010, 0, false},
	{"external abort on a walk, level -1", 0x93000013, 0, false},
	{"alignment", 0x93000021, 0, false},
	{"TLB conflict", 0x93000030, 0, false},
	{"data abort from the same level", 0x96000007, 0, false},
	{"fetch abort from the same level", 0x86000007, 0, false},
	{"HVC", 0x5a000000, 0, false},
	{"nothing", 0, 0, false},
};

Test(s2_regs, an_abort_says_what_the_guest_tried)
{
	for (const struct abort_case *c = aborts; c < ARRAY_END(aborts); c++)
		cr_assert_eq(gln_s2_access(c->esr), c->access, "%s: %u",
			     c->what, (unsigned int)gln_s2_access(c->esr));
}

Test(s2_regs, an_abort_says_whether_the_cpu_wrote_hpfar)
{
	for (const struct abort_case *c = aborts; c < ARRAY_END(aborts); c++)
		cr_assert_eq(gln_s2_has_fault_ipa(c->esr), c->has_ipa, "%s",
			     c->what);
}

Test(s2_regs, bits_above_the_syndrome_do_not_matter)
{
	/* ISS2 is in 55:32. */
	for (const struct abort_case *c = aborts; c < ARRAY_END(aborts); c++) {
		const uint64_t esr = c->esr | UINT64_C(0xffffff) << 32;

		cr_assert_eq(gln_s2_access(esr), c->access, "%s", c->what);
		cr_assert_eq(gln_s2_has_fault_ipa(esr), c->has_ipa, "%s",
			     c->what);
	}
}

Test(s2_regs, the_faulting_page_comes_from_hpfar)
{
	cr_assert_eq(gln_s2_fault_ipa(0), 0);
	cr_assert_eq(gln_s2_fault_ipa(0x10), 0x1000);
	cr_assert_eq(gln_s2_fault_ipa(UINT64_C(0x12345678900)),
		     UINT64_C(0x1234567890000));
	/* NS (63) and what is reserved are no address. */
	cr_assert_eq(gln_s2_fault_ipa(UINT64_MAX), UINT64_C(0xffffffffff000));
}
