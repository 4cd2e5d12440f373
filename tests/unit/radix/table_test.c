/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table_test.c - tables: made, cached, freed, counted, checked.
 */
#include "tests/unit/radix/fixture.h"

enum { WRITE = GLN_ACCESS_WRITE };

Test(table, a_new_one_maps_nothing)
{
	each_kind(kind)
	{
		for (uint64_t i = 0; i < radix_nr_entries(rig.radix, 0); i++)
			require(gln_load_relaxed(&rig.radix->root[i]) ==
					rig.radix->format.empty,
				"%s", rig_names[kind]);
		for (unsigned int n = 0; n < rig.cache.nr; n++)
			for (uint64_t i = 0;
			     i <
			     radix_nr_entries(rig.radix, radix_last(rig.radix));
			     i++)
				require(gln_load_relaxed(
						&rig.cache.table[n][i]) ==
						rig.radix->format.empty,
					"%s", rig_names[kind]);
	}
}

Test(table, a_root_of_joined_tables_has_all_their_entries)
{
	rig_open(RIG_PROTECTS);
	cr_assert_eq(radix_nr_entries(rig.radix, 0), 16);
	cr_assert_eq(radix_nr_entries(rig.radix, 1), 8);
	cr_assert_eq(radix_nr_frames(rig.radix), (uint64_t)OWN_FRAMES);
	rig_close();
}

Test(table, addresses_keep_all_bits_of_both_parts)
{
	rig_open(RIG_PROTECTS);
	for (unsigned int bit = OWN_PAGE_SHIFT; bit < 52; bit++) {
		const uint64_t hpa = UINT64_C(1) << bit;

		cr_assert_eq(
			radix_addr(rig.radix, radix_addr_bits(rig.radix, hpa)),
			hpa, "bit %u", bit);
		cr_assert_not(radix_addr_bits(rig.radix, hpa) &
			      (OWN_PRESENT | OWN_NO_BLOCK | OWN_READ));
	}
	rig_close();
}

Test(table, no_memory_for_a_root_leaves_nothing)
{
	struct radix radix = {
		.geometry = own_geometry,
		.format = own_format,
	};

	fake_allocator_init(&rig.memory);
	radix.allocator = rig.memory.allocator;
	rig.memory.fail_at = 1;
	cr_assert_eq(glni_radix_init(&radix), -ENOMEM);
	cr_assert_eq(rig.memory.nr_live, 0);
}

Test(table, a_cache_is_filled_as_far_as_memory_goes)
{
	each_kind(kind)
	{
		glni_radix_drain(rig.radix, &rig.cache);
		cr_assert_eq(rig.cache.nr, 0);
		rig.memory.fail_at = 4;
		cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache,
					     RADIX_CACHE_TABLES),
			     -ENOMEM);
		cr_assert_eq(rig.cache.nr, 3);
		cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache, 2), 0);
		cr_assert_eq(rig.cache.nr, 3);
		cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache,
					     RADIX_CACHE_TABLES),
			     0);
		cr_assert_eq(rig.cache.nr, (unsigned int)RADIX_CACHE_TABLES);
		cr_assert_eq(gln_load_relaxed(&rig.radix->nr_tables), 0);
	}
}

Test(table, one_fill_is_enough_for_any_fault)
{
	each_kind(kind)
	{
		rig.is_logged = true;
		cr_assert_geq((unsigned int)RADIX_FAULT_TABLES,
			      radix_last(rig.radix));
		glni_radix_drain(rig.radix, &rig.cache);
		cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache,
					     RADIX_FAULT_TABLES),
			     0);
		cr_assert_eq(rig_fault_only(in_block(), WRITE),
			     GLN_FAULT_MAPPED);
	}
}

Test(table, an_end_frees_a_full_tree)
{
	each_kind(kind)
	{
		rig_populate(true, WRITE);
		cr_assert_gt(gln_load_relaxed(&rig.radix->nr_tables), 0);
	}
}

/* A check that finds nothing proves nothing: break each rule. */
static void require_found(const char *rule)
{
	const char *why = NULL;

	cr_assert_eq(glni_radix_check(rig.radix, &why), -EINVAL, "%s, %s",
		     rig_names[rig.kind], rule);
	cr_assert_not_null(why);
	cr_assert_eq(strncmp(why, rule, 2), 0, "%s, %s: %s",
		     rig_names[rig.kind], rule, why);
}

static void require_rule(const char *rule, gln_word *entry, uint64_t bad)
{
	const uint64_t was = gln_load_relaxed(entry);

	gln_store_relaxed(entry, bad);
	require_found(rule);
	gln_store_relaxed(entry, was);
	rig_check("mended");
}

Test(table, the_check_finds_what_it_looks_for)
{
	each_kind(kind)
	{
		const struct radix_format *const f = &rig.radix->format;
		const unsigned int last = radix_last(rig.radix);
		gln_word *page, *block;

		rig_populate(false, WRITE);
		page = rig_entry(rig.slot.base, last);
		block = rig_entry(in_block(), block_level());
		require_rule("I1", page, f->locked);
		require_rule("I2", block,
			     gln_load_relaxed(block) |
				     UINT64_C(1)
					     << rig.radix->geometry.page_shift);
		require_rule("I2", &rig.radix->root[0],
			     gln_load_relaxed(block));
		require_rule("I3", page,
			     gln_load_relaxed(page) & ~f->mmu_writable);
		require_rule("I3", page,
			     gln_load_relaxed(page) & ~f->host_writable);
		require_rule("I4", page, f->empty ^ UINT64_C(1) << 62);
		gln_fetch_add_relaxed(&rig.radix->nr_tables, 1);
		require_found("I5");
		gln_fetch_add_relaxed(&rig.radix->nr_tables, UINT64_MAX);
	}
}
