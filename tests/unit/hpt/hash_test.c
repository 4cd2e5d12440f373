/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash_test.c - hashes, virtual pages and RB, against an address taken apart
 * bit by bit, and back from where an entry is.
 */
#include "core/hpt/ops.h"

#include "tests/support/random.h"
#include "tests/unit/require.h"

enum {
	NR_RANDOM = 60000,
	HASH_BITS = 39,
	VA_BITS = 78,
	AVPN_LOW = 23,
};

#define SLB_64K (GLN_SLB_L | GLN_SLB_LP_64K)
#define SLB_16M GLN_SLB_L
#define SLB_16G (GLN_SLB_L | GLN_SLB_LP_16G)

static uint64_t mask_of(unsigned int order)
{
	return (UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1;
}

static uint64_t low_bits(unsigned int n)
{
	return (UINT64_C(1) << n) - 1;
}

/** An address by segment and offset; bit() is what all else is made of. */
struct address {
	unsigned int segment; /* log2 of its bytes */
	unsigned int base;    /* and of its page's */
	uint64_t vsid;
	uint64_t ea;
	uint64_t encoding; /* L and LP of the SLB */
};

static uint64_t bit(const struct address *a, unsigned int i)
{
	if (i < a->segment)
		return a->ea >> i & 1;
	return i < VA_BITS ? a->vsid >> (i - a->segment) & 1 : 0;
}

static uint64_t slb_of(const struct address *a)
{
	if (a->segment == 40)
		return a->vsid << GLN_SLB_VSID_SHIFT_1T | GLN_SLB_1TB |
		       a->encoding;
	return a->vsid << GLN_SLB_VSID_SHIFT | a->encoding;
}

/* Bits of a sum modulo 2 of VSID, page and, if 1 TiB, VSID 25 bits up. */
static uint64_t hash_by_bits(const struct address *a)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < HASH_BITS; i++) {
		uint64_t sum = bit(a, a->segment + i);

		if (i + a->base < a->segment)
			sum ^= bit(a, i + a->base);
		if (a->segment == 40 && i >= 25)
			sum ^= bit(a, a->segment + i - 25);
		hash |= sum << i;
	}
	return hash;
}

static uint64_t v_by_bits(const struct address *a)
{
	uint64_t v = a->segment == 40 ? GLN_HPTE_V_1TB : 0;

	for (unsigned int i = 7; i < 62; i++) {
		const unsigned int in_va = i - 7 + AVPN_LOW;

		if (in_va >= a->base || in_va >= a->segment)
			v |= bit(a, in_va) << i;
	}
	return v | (a->base > 12 ? GLN_HPTE_V_LARGE : 0);
}

static const struct base {
	unsigned int shift;
	uint64_t encoding;
} bases[] = {{12, 0}, {16, SLB_64K}, {24, SLB_16M}, {34, SLB_16G}};

static struct address random_address(struct test_random *random)
{
	const struct base *const base = &bases[test_random_below(random, 4)];
	const unsigned int segment = test_random_chance(random, 128) ? 40 : 28;

	return (struct address){
		.segment = segment,
		.base = base->shift,
		.vsid = test_random_next(random) & low_bits(VA_BITS - segment),
		.ea = test_random_next(random),
		.encoding = base->encoding,
	};
}

Test(hash, is_what_was_worked_out_by_hand)
{
	const uint64_t vsid = UINT64_C(0x12345) << GLN_SLB_VSID_SHIFT;
	const uint64_t vsid_1t = UINT64_C(0xabcde) << GLN_SLB_VSID_SHIFT_1T;
	const struct {
		uint64_t slb, ea;
		unsigned int order;
		uint64_t primary, secondary;
	} cases[] = {
		{vsid, 0x0abcdef0, 18, 0x88, 0x777},
		{vsid, 0x0abcdef0, 24, 0x18888, 0x7777},
		{vsid | SLB_64K, 0x0abcdef0, 24, 0x129f9, 0xd606},
		{vsid | SLB_16M, 0x0f000000, 24, 0x1234a, 0xdcb5},
		{vsid_1t | GLN_SLB_1TB | SLB_64K, UINT64_C(0x123456789a), 26,
		 0x8888, 0x77777},
		{vsid_1t | GLN_SLB_1TB | SLB_16M, UINT64_C(0x123456789a), 26,
		 0x2aeea, 0x55115},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t hash = gln_hpt_hash(cases[i].slb, cases[i].ea);
		const uint64_t mask = mask_of(cases[i].order);

		cr_assert_eq(hash & mask, cases[i].primary, "case %zu", i);
		cr_assert_eq(~hash & mask, cases[i].secondary, "case %zu", i);
	}
}

Test(hash, virtual_pages_are_what_was_worked_out_by_hand)
{
	const uint64_t slb = UINT64_C(0x12345) << GLN_SLB_VSID_SHIFT;
	const uint64_t slb_1t = UINT64_C(0xabcde) << GLN_SLB_VSID_SHIFT_1T |
				GLN_SLB_1TB | SLB_16M;

	cr_assert_eq(gln_hpt_vpn(slb | SLB_16M, 0x0f000000),
		     UINT64_C(0x12345f00) | GLN_HPTE_V_LARGE);
	cr_assert_eq(gln_hpt_vpn(slb_1t, UINT64_C(0x123456789a)),
		     UINT64_C(0x40000abcde123400) | GLN_HPTE_V_LARGE);
}

/* Page 0 of real mode: VSID 0x1ffffff of 1 TiB, the last entry of its group. */
Test(hash, of_the_first_page_of_real_mode_is_known)
{
	const uint64_t slb =
		UINT64_C(0x1ffffff) << GLN_SLB_VSID_SHIFT_1T | GLN_SLB_1TB;
	const uint64_t group = gln_hpt_hash(slb, 0) & mask_of(24);

	cr_assert_eq(group, 0x1ffff);
	cr_assert_eq(group * GLN_HPT_GROUP_ENTRIES + 7, 0xfffff);
	cr_assert_eq(gln_hpt_vpn(slb, 0) | GLN_HPTE_V_BOLTED,
		     UINT64_C(0x4001ffffff000010));
}

Test(hash, and_virtual_page_are_so_for_any_address)
{
	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const struct address a = random_address(&random);

		require(gln_hpt_hash(slb_of(&a), a.ea) == hash_by_bits(&a),
			"seed %" PRIu64, seed);
		require(gln_hpt_vpn(slb_of(&a), a.ea) == v_by_bits(&a),
			"seed %" PRIu64, seed);
	}
}

/** All that an entry can be: base page, actual page, LP. */
static const struct size {
	unsigned int base, actual;
	uint64_t lp;
	unsigned int ap; /* of RB */
} sizes[] = {
	{12, 12, 0, 0},	   {12, 16, 0x07, 5}, {12, 24, 0x38, 4},
	{16, 16, 0x01, 0}, {16, 24, 0x08, 0}, {24, 24, 0x00, 0},
	{34, 34, 0x03, 0},
};

enum { NR_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* An entry that maps @a, in one of its two groups. */
struct placed {
	struct gln_hpte entry;
	uint64_t group;
	unsigned int order;
};

static struct placed place(struct test_random *random, const struct address *a,
			   const struct size *size)
{
	const uint64_t noise = test_random_next(random);
	const uint64_t hash = gln_hpt_hash(slb_of(a), a->ea);
	const unsigned int order = (unsigned int)test_random_between(
		random, GLN_HPT_ORDER_MIN, GLN_HPT_ORDER_MAX);
	struct placed p = {
		.entry.v = v_by_bits(a) & GLN_HPTE_V_COMPARE,
		.entry.r = test_random_next(random),
		.order = order,
		.group = hash & mask_of(order),
	};

	p.entry.v |= noise & (GLN_HPTE_V_VALID | GLN_HPTE_V_SECONDARY |
			      GLN_HPTE_V_BOLTED | GLN_HPTE_V_ABSENT);
	if (size->actual > 12) {
		p.entry.v |= GLN_HPTE_V_LARGE;
		p.entry.r &= ~(GLN_HPTE_R_LP & low_bits(size->actual));
		p.entry.r |= size->lp << GLN_HPTE_R_LP_SHIFT;
	}
	if (p.entry.v & GLN_HPTE_V_SECONDARY)
		p.group = ~hash & mask_of(order);
	return p;
}

static struct address address_for(struct test_random *random,
				  const struct size *size)
{
	struct address a = random_address(random);

	for (size_t i = 0; i < 4; i++)
		if (bases[i].shift == size->base)
			a.encoding = bases[i].encoding;
	a.base = size->base;
	return a;
}

Test(hash, comes_back_from_an_entry_and_its_group)
{
	unsigned int nr[NR_SIZES][2][2] = {0};

	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const size_t i = test_random_below(&random, NR_SIZES);
		const struct address a = address_for(&random, &sizes[i]);
		const struct placed p = place(&random, &a, &sizes[i]);

		require(gln_hpte_hash(&p.entry, p.group, p.order) ==
				hash_by_bits(&a),
			"seed %" PRIu64 " order %u", seed, p.order);
		nr[i][a.segment == 40][!!(p.entry.v & GLN_HPTE_V_SECONDARY)]++;
	}
	for (size_t i = 0; i < NR_SIZES; i++)
		cr_assert(nr[i][0][0] && nr[i][0][1] && nr[i][1][0] &&
			  nr[i][1][1]);
}

/* A guest may write there what it likes: a hash does not follow it. */
Test(hash, bits_of_v_below_a_large_page_do_not_matter)
{
	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const struct size *const size = &sizes[NR_SIZES - 1];
		struct address a = address_for(&random, size);
		struct placed p;
		uint64_t rb;

		a.segment = 40;
		a.vsid &= low_bits(VA_BITS - 40);
		p = place(&random, &a, size);
		rb = glni_hpt_rb(&p.entry, p.group * GLN_HPT_GROUP_ENTRIES);
		p.entry.v ^= test_random_next(&random) & low_bits(18) &
			     GLN_HPTE_V_AVPN;
		require(gln_hpte_hash(&p.entry, p.group, p.order) ==
				hash_by_bits(&a),
			"seed %" PRIu64, seed);
		require(glni_hpt_rb(&p.entry,
				    p.group * GLN_HPT_GROUP_ENTRIES) == rb,
			"seed %" PRIu64, seed);
	}
}

Test(hash, of_an_entry_without_a_page_size_is_0)
{
	const struct gln_hpte entry = {UINT64_C(0x12345f00) | GLN_HPTE_V_LARGE,
				       UINT64_C(0xff) << GLN_HPTE_R_LP_SHIFT};

	cr_assert_eq(gln_hpte_hash(&entry, 5, 24), 0);
}

/* RB from the address alone, in the two forms of the manual. */
static uint64_t rb_by_bits(const struct address *a, const struct size *size)
{
	uint64_t rb = a->segment == 40 ? 1 << 8 : 0;

	for (unsigned int i = 12; i < 64; i++)
		if (size->base == 12 || i >= size->actual)
			rb |= bit(a, i) << i;
	if (size->base == 12)
		return rb | size->ap << 5;

	for (unsigned int i = 13; i < 20; i++)
		if (i >= size->base)
			rb |= bit(a, i) << (i - 12);
	return rb | size->lp << 12 | 1;
}

Test(hash, rb_is_so_for_any_entry)
{
	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const struct size *const size =
			&sizes[test_random_below(&random, NR_SIZES)];
		const struct address a = address_for(&random, size);
		const struct placed p = place(&random, &a, size);
		const uint64_t index = p.group * GLN_HPT_GROUP_ENTRIES +
				       test_random_below(&random, 8);

		/* 16 GiB do not fit in a segment of 256 MiB. */
		if (size->base > a.segment)
			continue;
		require(glni_hpt_rb(&p.entry, index) == rb_by_bits(&a, size),
			"seed %" PRIu64 ": %#" PRIx64 " not %#" PRIx64, seed,
			glni_hpt_rb(&p.entry, index), rb_by_bits(&a, size));
	}
}
