/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_test.c - arm, protect, collect, age.
 *
 * G4, G6; H-12, H-17, H-27, H-33, H-36.
 */
#include "tests/unit/radix/fixture.h"

enum { READ = GLN_ACCESS_READ, WRITE = GLN_ACCESS_WRITE };

static uint64_t armed_bits(void)
{
	return rig.radix->logging.page_clear;
}

/* Every page as if the guest had written it: silent, or dirty by its entry. */
static void write_all(void)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
		rig_access(rig.slot.base + i, WRITE);
}

static bool is_in(struct gln_range range, gln_gfn gfn)
{
	return gfn >= range.first && gfn - range.first < range.count;
}

static uint64_t entries_before[RIG_PAGES];

static void keep_entries(void)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
		entries_before[i] = rig_see(rig.slot.base + i);
}

/* Exactly @range lost @bits, and nothing else changed. */
static void require_cleared(struct gln_range range, uint64_t bits)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
		const gln_gfn gfn = rig.slot.base + i;
		const uint64_t was = entries_before[i];
		const uint64_t is = rig_see(gfn);

		require(is == (is_in(range, gfn) ? was & ~bits : was),
			"%s: gfn %" PRIu64 ": %#" PRIx64 " was %#" PRIx64,
			rig_names[rig.kind], gfn, is, was);
	}
}

Test(log, protects_exactly_the_runs_across_tables)
{
	each_kind(kind)
	{
		const uint64_t nr = rig.slot.nr_pages;
		const uint64_t table =
			UINT64_C(1)
			<< rig.radix->geometry.level[radix_last(rig.radix)]
				   .bits;
		const gln_gfn base = rig.slot.base;
		const struct gln_range cases[] = {
			{base, 1},
			{base + nr - 1, 1},
			{base, nr},
			{block_first() - 1, 1},
			{block_first(), 1},
			{block_first() - 1, 2},
			{block_first(), table},
			{block_first() - 1, table + 2},
			{block_first() + 1, table - 2},
			{block_first() + 3, 2 * table + 1},
		};

		rig_populate(true, WRITE);
		for (const struct gln_range *range = cases;
		     range < ARRAY_END(cases); range++) {
			rig.is_logged = true;
			write_all();
			keep_entries();
			glni_radix_protect(rig.radix, range, 1);
			require_cleared(*range, armed_bits());
		}
	}
}

Test(log, protects_many_runs_in_one_call)
{
	each_kind(kind)
	{
		const gln_gfn base = rig.slot.base;
		struct gln_range ranges[40];

		rig_populate(true, WRITE);
		write_all();
		keep_entries();
		for (unsigned int i = 0; i < 40; i++)
			ranges[i] = (struct gln_range){base + 7 * i, 3};
		glni_radix_protect(rig.radix, ranges, 40);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			require(rig_see(base + i) ==
					(i < 280 && i % 7 < 3
						 ? entries_before[i] &
							   ~armed_bits()
						 : entries_before[i]),
				"%s: page %" PRIu64, rig_names[kind], i);
	}
}

Test(log, protecting_is_idempotent_and_needs_no_second_write)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();
		struct rig_state was;

		rig_populate(true, WRITE);
		glni_radix_protect(rig.radix, &all, 1);
		was = rig_state();
		glni_radix_protect(rig.radix, &all, 1);
		cr_assert(rig_is_unchanged(was));
		cr_assert_eq(rig_count(EVENT_FLUSH_RANGE), 0);
		cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY), 0);
		cr_assert_eq(rig_count(EVENT_MARK), 0);
	}
}

Test(log, a_block_that_a_run_touches_is_protected_whole)
{
	each_kind(kind)
	{
		const gln_gfn first = block_first();
		const uint64_t nr = block_pages();
		const struct gln_range cases[] = {
			{first, 1},	     {first + nr - 1, 1},
			{first + nr / 2, 3}, {first - 2, 3},
			{first + nr - 1, 2},
		};
		uint64_t neighbour;

		for (const struct gln_range *range = cases;
		     range < ARRAY_END(cases); range++) {
			rig_populate(false, WRITE);
			rig_access(in_block(), WRITE);
			rig_access(first - 1, WRITE);
			neighbour = rig_see(first - 1);
			cr_assert_eq(rig_level(in_block()), block_level());
			cr_assert(rig_allows(in_block(), WRITE));
			glni_radix_protect(rig.radix, range, 1);
			cr_assert_not(rig_allows(in_block(), WRITE));
			cr_assert_eq(rig_level(in_block()), block_level());
			/* Its neighbour only if it is touched as well. */
			cr_assert_eq(rig_see(first - 1) != neighbour,
				     is_in(*range, first - 1));
			glni_radix_unmap(rig.radix, &rig.slot, all_of_slot());
		}
	}
}

Test(log, a_run_over_two_blocks_protects_both)
{
	each_kind(kind)
	{
		const gln_gfn second = block_first() + block_pages();
		const struct gln_range range = {second - 1, 2};

		rig_populate(false, WRITE);
		cr_assert_eq(rig_level(second), block_level());
		glni_radix_protect(rig.radix, &range, 1);
		cr_assert_not(rig_allows(in_block(), WRITE));
		cr_assert_not(rig_allows(second, WRITE));
	}
}

Test(log, holes_and_markers_are_passed_by)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();
		const unsigned int last = radix_last(rig.radix);
		const gln_gfn gfn = in_block();

		/* A page at each end, and one between two markers. */
		rig.radix->has_blocks = false;
		rig_fault(rig.slot.base, WRITE);
		rig_fault(rig.slot.base + rig.slot.nr_pages - 1, WRITE);
		rig_fault(gfn, WRITE);
		glni_radix_note_mmio(rig.radix, gfn ^ 1);
		gln_store_relaxed(rig_entry(gfn ^ 2, last),
				  rig.radix->format.locked);
		rig.is_logged = true;

		glni_radix_arm(rig.radix, all);
		glni_radix_protect(rig.radix, &all, 1);
		glni_radix_collect(rig.radix, &rig.slot, all);
		glni_radix_age(rig.radix, all);

		cr_assert_not(rig_is_silent(rig.slot.base));
		cr_assert_not(rig_is_silent(gfn));
		cr_assert_not(
			rig_is_silent(rig.slot.base + rig.slot.nr_pages - 1));
		cr_assert_eq(rig_see(gfn ^ 1), rig.radix->format.mmio);
		cr_assert_eq(rig_see(gfn ^ 2), rig.radix->format.locked);
		cr_assert_eq(rig_see(gfn ^ 4), rig.radix->format.empty);
		cr_assert_eq(rig.nr_marks, 0);
		gln_store_relaxed(rig_entry(gfn ^ 2, last),
				  rig.radix->format.empty);
	}
}

Test(log, a_locked_table_or_block_is_passed_by)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();
		gln_word *entry;
		uint64_t seen;

		rig_populate(false, WRITE);
		entry = rig_entry(in_block(), block_level());
		seen = gln_load_relaxed(entry);
		gln_store_relaxed(entry, rig.radix->format.locked);
		glni_radix_protect(rig.radix, &all, 1);
		glni_radix_arm(rig.radix, all);
		glni_radix_age(rig.radix, all);
		cr_assert_eq(gln_load_relaxed(entry), rig.radix->format.locked);
		/* What comes after it was not forgotten (H-27). */
		cr_assert_not(
			rig_is_silent(rig.slot.base + rig.slot.nr_pages - 1));
		gln_store_relaxed(entry, seen);
	}
}

Test(log, a_run_costs_one_descent_a_table)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();
		const unsigned int last = radix_last(rig.radix);
		uint64_t nr_tables = 0;

		rig_populate(true, WRITE);
		/* The tables below the root that cover the slot. */
		for (unsigned int level = 0; level < last; level++) {
			const uint64_t nr = radix_pages(rig.radix, level);

			nr_tables += (all.first + all.count - 1) / nr -
				     all.first / nr + 1;
		}
		rig.nr_memory_at = 0;
		glni_radix_protect(rig.radix, &all, 1);
		cr_assert_eq(rig.nr_memory_at, nr_tables,
			     "%s: %" PRIu64 " for %" PRIu64, rig_names[kind],
			     rig.nr_memory_at, nr_tables);
	}
}

Test(log, nothing_but_leaves_changes)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();
		const unsigned int last = radix_last(rig.radix);

		rig_populate(true, WRITE);
		for (unsigned int level = 0; level < last; level++) {
			gln_word *const entry = rig_entry(in_block(), level);
			/* All that is taken from leaves, the CPU left here. */
			const uint64_t seen = gln_load_relaxed(entry) |
					      rig.radix->format.accessed |
					      rig.radix->logging.page_clear |
					      rig.radix->logging.block_clear;

			gln_store_relaxed(entry, seen);
			glni_radix_arm(rig.radix, all);
			glni_radix_protect(rig.radix, &all, 1);
			glni_radix_collect(rig.radix, &rig.slot, all);
			glni_radix_age(rig.radix, all);
			cr_assert_eq(gln_load_relaxed(entry), seen);
		}
	}
}

Test(log, arming_makes_the_next_write_noticed)
{
	each_kind(kind)
	{
		for (unsigned int by_pages = 0; by_pages < 2; by_pages++) {
			rig.is_logged = false;
			rig_populate(by_pages, WRITE);
			write_all();
			rig.is_logged = true;
			glni_radix_arm(rig.radix, all_of_slot());
			for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
				require(!rig_is_silent(rig.slot.base + i),
					"%s: page %" PRIu64 " can be written",
					rig_names[kind], i);
			cr_assert_eq(rig.nr_marks, 0);
			rig_access(in_block(), WRITE);
			glni_radix_collect(rig.radix, &rig.slot, all_of_slot());
			cr_assert(rig.marked[in_block() - rig.slot.base]);
			cr_assert_eq(rig.nr_marks, 1 + (kind == RIG_LOGS ||
							kind == RIG_EPT_PML));
			memset(rig.marked, 0, sizeof(rig.marked));
			rig.nr_marks = 0;
			glni_radix_unmap(rig.radix, &rig.slot, all_of_slot());
			memset(rig.marked, 0, sizeof(rig.marked));
			rig.nr_marks = 0;
		}
	}
}

Test(log, arming_leaves_read_only_pages_read_only)
{
	each_kind(kind)
	{
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			rig.host[i].is_writable = i % 2;
		rig_populate(true, READ);
		keep_entries();
		glni_radix_arm(rig.radix, all_of_slot());
		for (uint64_t i = 0; i < rig.slot.nr_pages; i += 2)
			require(rig_see(rig.slot.base + i) == entries_before[i],
				"%s: page %" PRIu64, rig_names[kind], i);
	}
}

Test(log, arming_stays_in_its_range)
{
	each_kind(kind)
	{
		const struct gln_range range = {block_first() + 2, 5};

		rig_populate(true, WRITE);
		write_all();
		keep_entries();
		glni_radix_arm(rig.radix, range);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			require(is_in(range, rig.slot.base + i) ||
					rig_see(rig.slot.base + i) ==
						entries_before[i],
				"%s: page %" PRIu64, rig_names[kind], i);
	}
}

static bool was_armed_before_mark;

static void mark_and_look(struct gln_backend_slot *slot, gln_gfn first,
			  uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		was_armed_before_mark &=
			!radix_was_written(rig.radix, rig_see(first + i));
	rig_mark(slot, first, count);
}

Test(log, collecting_marks_exactly_what_was_written_once_armed_again)
{
	each_kind(kind)
	{
		if (!rig.radix->logging.dirty)
			continue;
		rig_populate(true, WRITE);
		glni_radix_arm(rig.radix, all_of_slot());
		/* Bits, not the log of a CPU. */
		rig.is_logged = false;
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			if (i % 11 < 3 || i % 64 > 60)
				cr_assert(rig_cpu(rig.slot.base + i, WRITE));
		keep_entries();
		was_armed_before_mark = true;
		rig.slot.mark = mark_and_look;
		glni_radix_collect(rig.radix, &rig.slot, all_of_slot());
		cr_assert(was_armed_before_mark);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
			const uint64_t is = rig_see(rig.slot.base + i);

			require(rig.marked[i] == (i % 11 < 3 || i % 64 > 60),
				"%s: page %" PRIu64, rig_names[kind], i);
			require(is == (rig.marked[i] ? entries_before[i] &
							       ~armed_bits()
						     : entries_before[i]),
				"%s: page %" PRIu64, rig_names[kind], i);
		}
		/* No page twice, and none again. */
		rig.nr_marks = 0;
		glni_radix_collect(rig.radix, &rig.slot, all_of_slot());
		cr_assert_eq(rig.nr_marks, 0);
	}
}

Test(log, collecting_stays_in_its_range)
{
	each_kind(kind)
	{
		const struct gln_range range = {block_first() + 1, 9};

		if (!rig.radix->logging.dirty)
			continue;
		rig_populate(true, WRITE);
		glni_radix_arm(rig.radix, all_of_slot());
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			cr_assert(rig_cpu(rig.slot.base + i, WRITE));
		glni_radix_collect(rig.radix, &rig.slot, range);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			require(rig.marked[i] ==
					is_in(range, rig.slot.base + i),
				"%s: page %" PRIu64, rig_names[kind], i);
	}
}

Test(log, aging_counts_what_was_used_and_keeps_what_is_dirty)
{
	each_kind(kind)
	{
		const uint64_t nr = rig.slot.nr_pages;

		rig_populate(true, WRITE);
		write_all();
		keep_entries();
		cr_assert_eq(glni_radix_age(rig.radix, all_of_slot()), nr);
		require_cleared(all_of_slot(), rig.radix->format.accessed);
		cr_assert_eq(glni_radix_age(rig.radix, all_of_slot()), 0);
		cr_assert(rig_cpu(in_block(), READ));
		cr_assert_eq(
			glni_radix_age(rig.radix,
				       (struct gln_range){in_block() + 1, 3}),
			0);
		cr_assert_eq(glni_radix_age(rig.radix, all_of_slot()), 1);
		cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY) +
				     rig_count(EVENT_FLUSH_RANGE),
			     0);
	}
}

Test(log, aging_counts_of_a_block_the_pages_asked_for)
{
	each_kind(kind)
	{
		const struct gln_range part = {block_first() + 2,
					       block_pages() - 4};

		rig_populate(false, WRITE);
		cr_assert_eq(rig_level(in_block()), block_level());
		cr_assert_eq(glni_radix_age(rig.radix, part), part.count);
		cr_assert_eq(glni_radix_age(rig.radix, all_of_slot()),
			     rig.slot.nr_pages - block_pages());
	}
}

Test(log, nothing_is_allocated)
{
	each_kind(kind)
	{
		const struct gln_range all = all_of_slot();

		rig_populate(false, WRITE);
		rig.memory.fail_at = 1;
		glni_radix_arm(rig.radix, all);
		glni_radix_protect(rig.radix, &all, 1);
		glni_radix_collect(rig.radix, &rig.slot, all);
		glni_radix_age(rig.radix, all);
		glni_radix_unmap(rig.radix, &rig.slot, all);
		cr_assert_eq(rig.memory.fail_at, 1);
		rig.memory.fail_at = 0;
	}
}

static void start_log(uint32_t flags)
{
	cr_assert_eq(
		glni_radix_op_log_start(&rig.radix->backend, &rig.slot, flags),
		0);
}

Test(log, starting_flushes_whatever_was_found)
{
	each_kind(kind)
	{
		if (rig_is_ept())
			continue;
		start_log(0);
		cr_assert_eq(rig_count(EVENT_FLUSH_RANGE), 1);
		cr_assert_eq(rig_nth(EVENT_FLUSH_RANGE, 0)->range.first,
			     rig.slot.base);
		cr_assert_eq(rig_nth(EVENT_FLUSH_RANGE, 0)->range.count,
			     rig.slot.nr_pages);
	}
}

Test(log, starting_with_every_page_marked_touches_nothing)
{
	each_kind(kind)
	{
		struct rig_state was;

		rig_populate(false, WRITE);
		was = rig_state();
		rig.radix->splits_eagerly = true;
		start_log(GLN_LOG_START_ALL_MARKED);
		cr_assert(rig_is_unchanged(was));
		cr_assert_eq(rig.nr_events, 0);
	}
}

Test(log, an_eager_split_without_memory_leaves_nothing_unnoticed)
{
	each_kind(kind)
	{
		for (uint64_t fail_at = 0; fail_at < 6; fail_at++) {
			rig_populate(false, WRITE);
			write_all();
			memset(rig.marked, 0, sizeof(rig.marked));
			rig.radix->splits_eagerly = true;
			rig.memory.fail_at = fail_at;
			start_log(0);
			rig.memory.fail_at = 0;
			rig_check("after an eager split");
			for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
				require(!rig_is_silent(rig.slot.base + i),
					"%s: page %" PRIu64, rig_names[kind],
					i);
			if (!fail_at)
				for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
					require(rig_level(rig.slot.base + i) ==
							radix_last(rig.radix),
						"%s: page %" PRIu64,
						rig_names[kind], i);
			rig_remove(rig.radix, &rig.slot, all_of_slot());
		}
	}
}

Test(log, an_armed_leaf_of_any_level_cannot_be_written_unnoticed)
{
	each_kind(kind)
	{
		const unsigned int last = radix_last(rig.radix);
		const uint64_t leaf =
			radix_grant(rig.radix,
				    rig.radix->format.present |
					    rig.radix->format.host_writable |
					    rig.radix->format.mmu_writable |
					    rig.radix->logging.dirty,
				    READ | WRITE);

		for (unsigned int level = 1; level <= last; level++) {
			const uint64_t armed =
				glni_radix_armed(rig.radix, level, leaf);

			if (level < last)
				cr_assert_not(
					radix_allows(rig.radix, armed, WRITE));
			else
				cr_assert_eq(armed & armed_bits(), 0);
		}
	}
}
