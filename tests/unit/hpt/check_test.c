/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_test.c - the whole-table check tells each rule that is broken.
 */
#include "tests/unit/hpt/guest_table.h"

#include "core/hpt/rev.h"

enum { ORDER = 18, NR = 4 };

/* Three entries of one page, and one that has no memory behind it. */
static const struct rig_entry entries[NR] = {
	{RIG_SLB_4K, 0x1000, false, 0, 0, RIG_R | 0x105000},
	{RIG_SLB_4K, 0x2000, true, 1, GLN_HPTE_V_BOLTED, RIG_R | 0x105000},
	{RIG_SLB_4K, 0x3000, false, 7, 0, 3 | GLN_HPTE_R_M | 0x105000},
	{RIG_SLB_4K, 0x4000, false, 2, 0, RIG_R | 0x5000},
};

static struct hpt *hpt;
static uint64_t index_of[NR];
static gln_word *head;

static void setup(void)
{
	rig_open(GLN_HPT_ISA_2_07, ORDER);
	hpt = hpt_table(rig.mmu);
	for (unsigned int i = 0; i < NR; i++) {
		index_of[i] = rig_index(&entries[i], ORDER);
		cr_assert_eq(rig_enter(&entries[i], ORDER), 0);
	}
	head = &rig.mmu->slots->pages[5];
}

static void or_v(uint64_t index, uint64_t bits)
{
	gln_fetch_or_relaxed(&hpt->entries[index].v, hpte_be(bits));
}

static void lock_entry(void)
{
	or_v(index_of[0], GLN_HPTE_V_HVLOCK);
}

static void lock_head(void)
{
	gln_fetch_or_relaxed(head, PAGE_LOCK);
}

static void unknown_size(void)
{
	glni_rev_set_guest(hpt, index_of[3], false, UINT64_C(0x5000) | 0xff000);
	or_v(index_of[3], GLN_HPTE_V_LARGE);
}

static void valid_and_absent(void)
{
	or_v(index_of[0], GLN_HPTE_V_ABSENT);
}

static void bits_of_nobody(void)
{
	or_v(index_of[0] ^ 1, GLN_HPTE_V_BOLTED);
}

static void linked_and_empty(void)
{
	gln_store_relaxed(&hpt->rev[index_of[0] ^ 1].a, 1);
}

static void linked_and_absent(void)
{
	gln_store_relaxed(&hpt->rev[index_of[3]].a, 1);
}

static void valid_and_not_linked(void)
{
	or_v(index_of[3], GLN_HPTE_V_VALID);
	gln_fetch_and_relaxed(&hpt->entries[index_of[3]].v,
			      ~hpte_be(GLN_HPTE_V_ABSENT));
}

static void head_of_nobody(void)
{
	gln_store_relaxed(head, 0);
}

static void head_without_chain(void)
{
	gln_store_relaxed(head + 1, index_of[0] | PAGE_PRESENT);
}

static void head_past_the_table(void)
{
	gln_store_relaxed(head, hpt->nr_entries | PAGE_PRESENT);
}

static void next_past_the_chain(void)
{
	gln_fetch_xor_relaxed(&hpt->rev[index_of[0]].b,
			      index_of[1] ^ index_of[3]);
}

static void one_way_only(void)
{
	gln_fetch_xor_relaxed(&hpt->rev[index_of[1]].a,
			      index_of[0] ^ index_of[2]);
}

/* Skip the one in the middle, in both directions. */
static void one_left_out(void)
{
	gln_fetch_xor_relaxed(&hpt->rev[index_of[0]].b,
			      index_of[1] ^ index_of[2]);
	gln_fetch_xor_relaxed(&hpt->rev[index_of[2]].a,
			      index_of[1] ^ index_of[0]);
}

static void more_writable_than_it_may(void)
{
	gln_fetch_xor_relaxed(&hpt->entries[index_of[2]].r, hpte_be(1));
}

static const struct damage {
	void (*make)(void);
	const char *why;
} damages[] = {
	{lock_entry, "I1: no entry of a quiet table is locked"},
	{lock_head, "I1: no head of a quiet table is locked"},
	{unknown_size, "I2: an entry that is used has a page size"},
	{valid_and_absent, "I3: an entry is valid or absent, not both"},
	{bits_of_nobody, "I4: an empty entry is nothing"},
	{linked_and_empty, "I4: an entry that is not valid is not linked"},
	{linked_and_absent, "I4: an entry that is not valid is not linked"},
	{valid_and_not_linked, "I6: every valid entry is in a chain"},
	{head_of_nobody, "I6: every valid entry is in a chain"},
	{head_without_chain, "I5: a chain has valid entries of its page alone"},
	{head_past_the_table, "I5: links lead to entries of the table"},
	{next_past_the_chain,
	 "I5: a chain has valid entries of its page alone"},
	{one_way_only, "I5: a chain is the same in both directions"},
	{one_left_out, "I6: every valid entry is in a chain"},
	{more_writable_than_it_may,
	 "I7: hardware lets nobody write where the guest would not"},
};

Test(check, a_table_in_order_is_in_order)
{
	const char *why = NULL;

	setup();
	gln_vcpu_leave(rig.vcpu);
	cr_assert_eq(gln_hpt_check(rig.vm, &why), 0, "%s", why);
	cr_assert_null(why);
	cr_assert_eq(gln_hpt_check(rig.vm, NULL), 0);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	rig_close();
}

/* The damage is repaired by force: what was there is put back. */
Test(check, each_damage_is_told)
{
	for (const struct damage *d = damages; d < ARRAY_END(damages); d++) {
		const char *why = "nothing";

		setup();
		const size_t bytes = (size_t)1 << ORDER;
		void *const was = malloc(2 * bytes);
		const uint64_t heads[2] = {head[0], head[1]};

		memcpy(was, hpt->entries, bytes);
		memcpy((char *)was + bytes, hpt->rev, bytes);
		d->make();
		gln_vcpu_leave(rig.vcpu);
		cr_assert_eq(gln_hpt_check(rig.vm, &why), -EIO, "%s", d->why);
		cr_assert_str_eq(why, d->why);
		cr_assert_eq(gln_hpt_check(rig.vm, NULL), -EIO);

		memcpy(hpt->entries, was, bytes);
		memcpy(hpt->rev, (char *)was + bytes, bytes);
		gln_store_relaxed(head, heads[0]);
		gln_store_relaxed(head + 1, heads[1]);
		free(was);
		cr_assert_eq(gln_hpt_check(rig.vm, NULL), 0);
		cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
		rig_close();
	}
}
