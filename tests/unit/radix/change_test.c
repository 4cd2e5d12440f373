/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change_test.c - split, collapse, unmap, remove.
 *
 * T3, T4; H-20, H-29, H-30, H-32, H-42, H-45.
 */
#include "tests/unit/radix/fixture.h"

#include <pthread.h>
#include <time.h>

enum { READ = GLN_ACCESS_READ, WRITE = GLN_ACCESS_WRITE };

static void require_same_memory(const char *what)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
		const gln_gfn gfn = rig.slot.base + i;
		const uint64_t hpa = rig_hpa(gfn);

		require(hpa == UINT64_MAX || hpa == rig.host[i].hpa,
			"%s, %s: page %" PRIu64 " leads to %#" PRIx64,
			rig_names[rig.kind], what, i, hpa);
	}
}

static uint64_t block_entry(void)
{
	return gln_load_relaxed(rig_entry(in_block(), block_level()));
}

/* A leaf without what depends on its place: address, size. */
static uint64_t attributes(uint64_t leaf)
{
	const struct radix_format *const f = &rig.radix->format;

	return leaf &
	       ~(f->addr_low | f->addr_high | f->block_base | f->page_base);
}

Test(split, keeps_the_translation_and_every_attribute)
{
	each_kind(kind)
	{
		uint64_t block;

		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			rig.host[i].type = GLN_MEMORY_DEVICE;
		rig_populate(false, WRITE);
		rig_access(in_block(), WRITE);
		block = block_entry();
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_KEEP),
			     0);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			require(rig_level(rig.slot.base + i) ==
						radix_last(rig.radix) &&
					rig_hpa(rig.slot.base + i) ==
						rig.host[i].hpa,
				"%s: page %" PRIu64, rig_names[kind], i);
		for (uint64_t i = 0; i < block_pages(); i++) {
			const uint64_t page = rig_see(block_first() + i);

			require(attributes(page) == attributes(block) &&
					(page & rig.radix->format.page_base) ==
						rig.radix->format.page_base,
				"%s: %#" PRIx64 " of %#" PRIx64,
				rig_names[kind], page, block);
		}
		if (!rig_is_ept())
			cr_assert_not(rig_see(in_block()) & OWN_IS_BLOCK);
		rig_check("after a split");
	}
}

Test(split, keeps_a_protected_block_protected)
{
	each_kind(kind)
	{
		rig_populate(false, WRITE);
		glni_radix_arm(rig.radix, all_of_slot());
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_KEEP),
			     0);
		rig.is_logged = true;
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			require(!rig_is_silent(rig.slot.base + i),
				"%s: page %" PRIu64, rig_names[kind], i);
		rig_access(in_block(), WRITE);
	}
}

Test(split, arms_its_pages_if_told_to)
{
	each_kind(kind)
	{
		rig_populate(false, WRITE);
		rig_access(in_block(), WRITE);
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_ARM),
			     0);
		for (uint64_t i = 0; i < block_pages(); i++)
			require(rig_see(block_first() + i) ==
					glni_radix_armed(
						rig.radix,
						radix_last(rig.radix),
						rig_see(block_first() + i)),
				"%s: page %" PRIu64, rig_names[kind], i);
		cr_assert_eq(rig.nr_marks, 0);
	}
}

Test(split, goes_no_further_than_blocks_that_touch_the_range)
{
	each_kind(kind)
	{
		const gln_gfn second = block_first() + block_pages();

		rig_populate(false, WRITE);
		cr_assert_eq(rig_level(second), block_level());
		cr_assert_eq(glni_radix_split(rig.radix,
					      (struct gln_range){second - 1, 1},
					      RADIX_SPLIT_KEEP),
			     0);
		cr_assert_eq(rig_level(second - 1), radix_last(rig.radix));
		cr_assert_eq(rig_level(second), block_level());
	}
}

Test(split, half_way_without_memory_leaves_smaller_or_whole_blocks)
{
	each_kind(kind)
	{
		for (unsigned int how = 0; how < 2; how++) {
			for (uint64_t fail_at = 1; fail_at < 14; fail_at++) {
				int said;

				rig_populate(false, WRITE);
				glni_radix_arm(rig.radix, all_of_slot());
				rig.memory.fail_at = fail_at;
				said = glni_radix_split(rig.radix,
							all_of_slot(),
							(enum radix_split)how);
				require(said == -ENOMEM || !said, "%d", said);
				rig.memory.fail_at = 0;
				rig_check("half way");
				require_same_memory("half way");
				for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
					require(!rig_is_silent(rig.slot.base +
							       i),
						"%s: page %" PRIu64,
						rig_names[kind], i);
				rig_remove(rig.radix, &rig.slot, all_of_slot());
			}
		}
	}
}

Test(split, of_nothing_is_done)
{
	each_kind(kind)
	{
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_KEEP),
			     0);
		rig_populate(true, WRITE);
		const struct rig_state was = rig_state();

		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_ARM),
			     0);
		cr_assert(rig_is_unchanged(was));
	}
}

Test(split, breaks_before_it_makes_where_that_is_the_rule)
{
	each_kind(kind)
	{
		const struct rig_record *flush;

		if (rig_is_ept())
			continue;
		rig_populate(false, WRITE);
		rig.watched = rig_entry(in_block(), block_level());
		cr_assert_eq(glni_radix_split(rig.radix,
					      (struct gln_range){in_block(), 1},
					      RADIX_SPLIT_KEEP),
			     0);
		flush = rig_nth(EVENT_FLUSH_ENTRY, 0);
		cr_assert_eq(!!flush, rig.ops.break_first);
		if (!flush)
			continue;
		cr_assert_eq(flush->watched, OWN_LOCKED);
		cr_assert_eq(flush->range.first, block_first());
		cr_assert_eq(flush->level, block_level());
		/* Nobody sees half a table: it is full when it is made. */
		cr_assert(radix_is_table(rig.radix, block_level(),
					 rig_nth(EVENT_MADE, 0)->watched));
	}
}

/* A small slot that comes and goes everywhere must not leave tables behind. */
Test(remove, frees_every_table_when_nothing_else_is_about)
{
	each_kind(kind)
	{
		const struct gln_backend_slot whole = rig.slot;

		rig_access(in_block(), WRITE);
		cr_assert_gt(gln_load_relaxed(&rig.radix->nr_tables), 0);
		rig.slot.room = (struct gln_range){0, UINT64_MAX};
		glni_radix_remove(rig.radix, &rig.slot);
		rig.slot = whole;
		require(!gln_load_relaxed(&rig.radix->nr_tables),
			"%s: %" PRIu64 " tables are left", rig_names[kind],
			gln_load_relaxed(&rig.radix->nr_tables));
	}
}

/* Else what it was filled with would map another part of the guest one day. */
Test(split, that_loses_its_race_gives_back_an_empty_table)
{
	each_kind(kind)
	{
		rig_populate(false, WRITE);

		gln_word *const entry = rig_entry(in_block(), block_level());
		const struct radix_visit late = {
			.entry = entry,
			.seen = gln_load_relaxed(entry) ^
				rig.radix->format.accessed,
			.level = block_level(),
			.range = {block_first(), block_pages()},
		};
		const unsigned int nr = rig.cache.nr;
		const uint64_t was = gln_load_relaxed(entry);

		cr_assert_eq(glni_radix_split_entry(rig.radix, &rig.cache,
						    &late, RADIX_SPLIT_KEEP),
			     RADIX_RACE);
		cr_assert_eq(gln_load_relaxed(entry), was);
		cr_assert_eq(rig.cache.nr, nr);
		for (uint64_t i = 0;
		     i < radix_nr_entries(rig.radix, radix_last(rig.radix));
		     i++)
			require(gln_load_relaxed(&rig.cache.table[nr - 1][i]) ==
					rig.radix->format.empty,
				"%s: entry %" PRIu64, rig_names[kind], i);
	}
}

Test(collapse, puts_blocks_back_and_frees_what_they_replace)
{
	each_kind(kind)
	{
		uint64_t nr_tables;

		rig_populate(false, WRITE);
		nr_tables = gln_load_relaxed(&rig.radix->nr_tables);
		rig_populate(false, WRITE);
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_ARM),
			     0);
		cr_assert_gt(gln_load_relaxed(&rig.radix->nr_tables),
			     nr_tables);
		glni_radix_collapse(rig.radix, &rig.slot);
		cr_assert_eq(gln_load_relaxed(&rig.radix->nr_tables),
			     nr_tables);
		cr_assert_eq(rig_level(in_block()), block_level());
		cr_assert(rig_cpu(in_block(), WRITE));
		require_same_memory("collapsed");
		rig_check("collapsed");
	}
}

Test(collapse, stays_in_the_slot)
{
	each_kind(kind)
	{
		const struct gln_backend_slot whole = rig.slot;
		const gln_gfn end = block_first() + block_pages();
		const struct {
			gln_gfn base;
			gln_gfn end;
			bool fits;
		} cases[] = {
			{block_first(), end, true},
			{block_first() + 1, end, false},
			{block_first(), end - 1, false},
			{block_first() - 1, end + 1, true},
		};

		for (unsigned int i = 0; i < 4; i++) {
			rig_populate(true, WRITE);
			/* A smaller slot, of the same memory. */
			rig.slot.base = cases[i].base;
			rig.slot.nr_pages = cases[i].end - cases[i].base;
			memmove(rig.host,
				rig.host + (cases[i].base - whole.base),
				rig.slot.nr_pages * sizeof(rig.host[0]));
			glni_radix_collapse(rig.radix, &rig.slot);
			cr_assert_eq(rig_level(in_block()) == block_level(),
				     cases[i].fits, "%s, case %u",
				     rig_names[kind], i);
			rig_slot(whole.base, whole.nr_pages);
			require_same_memory("collapsed in part");
			rig_check("collapsed in part");
			rig_remove(rig.radix, &rig.slot, all_of_slot());
		}
	}
}

Test(collapse, asks_the_host_how_large_and_whether_it_may_be_written)
{
	each_kind(kind)
	{
		rig_populate(true, WRITE);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			rig.host[i].order = 0;
		glni_radix_collapse(rig.radix, &rig.slot);
		cr_assert_eq(rig_level(in_block()), radix_last(rig.radix));
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
			rig.host[i].order = 63;
			rig.host_says[i] = -EAGAIN;
		}
		glni_radix_collapse(rig.radix, &rig.slot);
		cr_assert_eq(rig_level(in_block()), radix_last(rig.radix));
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
			rig.host[i].is_writable = false;
			rig.host_says[i] = 0;
		}
		glni_radix_collapse(rig.radix, &rig.slot);
		cr_assert_eq(rig_level(in_block()), block_level());
		cr_assert_not(rig_allows(in_block(), WRITE));
	}
}

static bool is_locked_below;

/* While a table is unlinked: nothing in it may be used or filled. */
static void look_below(void)
{
	struct gln_backend_fault fault = {
		.gfn = in_block(),
		.access = WRITE,
		.is_logged = rig.is_logged,
	};

	is_locked_below = block_entry() == rig.radix->format.locked;
	cr_assert_eq(
		glni_radix_map(rig.radix, &rig.cache, 1, &rig.slot, &fault),
		GLN_FAULT_RETRY);
	cr_assert_not(fault.to_mark);
}

Test(collapse, frees_a_table_once_it_is_locked_flushed_and_forgotten)
{
	each_kind(kind)
	{
		size_t flushed = RIG_EVENTS, freed = RIG_EVENTS;

		rig_slot(block_first(), block_pages());
		rig_populate(true, WRITE);
		is_locked_below = false;
		rig.on_flush = look_below;
		glni_radix_collapse(rig.radix, &rig.slot);
		cr_assert(is_locked_below);
		for (size_t i = rig.nr_events; i--;) {
			if (rig.events[i].what == EVENT_FLUSH_RANGE)
				flushed = i;
			if (rig.events[i].what == EVENT_FREE)
				freed = i;
		}
		cr_assert_lt(flushed, freed);
		cr_assert_lt(freed, (size_t)RIG_EVENTS);
		cr_assert_eq(rig_level(in_block()), block_level());
		if (rig_is_ept())
			continue;
		cr_assert_leq(rig.events[flushed].range.first, block_first());
		cr_assert_geq(rig.events[flushed].range.first +
				      rig.events[flushed].range.count,
			      block_first() + block_pages());
	}
}

Test(collapse, of_more_tables_than_a_batch_does_them_all)
{
	rig_open(RIG_EPT);
	rig_slot(0, 8192); /* 16 blocks of 2 MiB */
	rig_populate(true, WRITE);
	glni_radix_collapse(rig.radix, &rig.slot);
	for (uint64_t i = 0; i < 8192; i += 512)
		cr_assert_eq(rig_level(i), 2);
	rig_close();

	for (enum rig_kind kind = 0; kind < RIG_OWN_KINDS; kind++) {
		rig_open(kind);
		rig_slot(0, OWN_FRAMES);
		for (uint64_t i = 0; i < OWN_FRAMES; i++)
			rig.host[i].order = OWN_PAGE_SHIFT + 3;
		rig_populate(true, WRITE);
		glni_radix_collapse(rig.radix, &rig.slot);
		for (uint64_t i = 0; i < OWN_FRAMES; i += 8)
			require(rig_level(i) == 2, "%" PRIu64, i);
		require_same_memory("in batches");
		rig_check("in batches");
		/* And all of them at the next level, tables of tables. */
		for (uint64_t i = 0; i < OWN_FRAMES; i++)
			rig.host[i].order = 63;
		cr_assert_eq(glni_radix_split(rig.radix, all_of_slot(),
					      RADIX_SPLIT_KEEP),
			     0);
		glni_radix_collapse(rig.radix, &rig.slot);
		for (uint64_t i = 0; i < OWN_FRAMES; i += 64)
			require(rig_level(i) == 1, "%" PRIu64, i);
		rig_check("in batches of batches");
		rig_close();
	}
}

Test(unmap, empties_the_range_and_nothing_else)
{
	each_kind(kind)
	{
		const struct gln_range range = {block_first() - 3,
						block_pages() + 6};

		rig_populate(true, WRITE);
		glni_radix_note_mmio(rig.radix, rig.slot.base - 1);
		glni_radix_unmap(rig.radix, &rig.slot, range);
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
			const gln_gfn gfn = rig.slot.base + i;
			const bool is_in = gfn >= range.first &&
					   gfn < range.first + range.count;

			require((rig_hpa(gfn) == UINT64_MAX) == is_in,
				"%s: page %" PRIu64, rig_names[kind], i);
		}
		rig_check("unmapped");
		if (!rig_is_ept()) {
			cr_assert_eq(rig_count(EVENT_FLUSH_RANGE), 1);
			cr_assert_eq(rig_nth(EVENT_FLUSH_RANGE, 0)->range.first,
				     range.first);
			cr_assert_eq(rig_nth(EVENT_FLUSH_RANGE, 0)->range.count,
				     range.count);
		}
		rig_access(in_block(), WRITE);
	}
}

Test(unmap, of_part_of_a_block_flushes_all_of_it)
{
	each_kind(kind)
	{
		const gln_gfn first = block_first();
		const gln_gfn end = first + block_pages();
		const struct gln_range cases[] = {
			{first, 1},   {end - 1, 1},   {first + 3, 2},
			{end - 1, 2}, {first - 1, 2},
		};

		for (unsigned int i = 0; i < 5; i++) {
			rig_populate(false, WRITE);
			cr_assert_eq(rig_level(in_block()), block_level());
			rig_forget_events();
			glni_radix_unmap(rig.radix, &rig.slot, cases[i]);
			cr_assert_eq(rig_hpa(in_block()), UINT64_MAX);
			const struct rig_record *const flush =
				rig_nth(EVENT_FLUSH_RANGE, 0);

			cr_assert_not_null(flush);
			cr_assert(flush->range.first <= first &&
				  (flush->range.count == UINT64_MAX ||
				   flush->range.first + flush->range.count >=
					   end));
		}
	}
}

Test(unmap, marks_what_was_written_before_it_returns)
{
	each_kind(kind)
	{
		if (!rig.radix->logging.dirty)
			continue;
		for (unsigned int how = 0; how < 2; how++) {
			rig_populate(true, WRITE);
			glni_radix_arm(rig.radix, all_of_slot());
			memset(rig.marked, 0, sizeof(rig.marked));
			for (uint64_t i = 0; i < rig.slot.nr_pages; i += 3)
				cr_assert(rig_cpu(rig.slot.base + i, WRITE));
			(how ? rig_remove : glni_radix_unmap)(
				rig.radix, &rig.slot, all_of_slot());
			for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
				require(rig.marked[i] == (i % 3 == 0),
					"%s: page %" PRIu64, rig_names[kind],
					i);
		}
	}
}

static gln_word *held;
static uint64_t held_was;

/* Whoever has the entry locked is done a little later. */
static void *hold_a_while(void *none)
{
	const struct timespec a_while = {.tv_nsec = 20000000};

	(void)none;
	nanosleep(&a_while, NULL);
	gln_store_release(held, held_was);
	return NULL;
}

Test(unmap, waits_for_whoever_has_an_entry_locked)
{
	each_kind(kind)
	{
		for (unsigned int by_pages = 0; by_pages < 2; by_pages++) {
			pthread_t holder;

			rig_populate(by_pages, WRITE);
			held = rig_entry(in_block(),
					 by_pages ? radix_last(rig.radix)
						  : block_level());
			held_was = gln_load_relaxed(held);
			gln_store_relaxed(held, rig.radix->format.locked);
			cr_assert_eq(pthread_create(&holder, NULL, hold_a_while,
						    NULL),
				     0);
			glni_radix_unmap(rig.radix, &rig.slot, all_of_slot());
			cr_assert_eq(rig_hpa(in_block()), UINT64_MAX);
			pthread_join(holder, NULL);
			cr_assert_eq(rig_hpa(in_block()), UINT64_MAX);
		}
	}
}

Test(removal, frees_all_tables_that_map_nothing_else)
{
	each_kind(kind)
	{
		for (unsigned int by_pages = 0; by_pages < 2; by_pages++) {
			size_t nr_live = rig.memory.nr_live;
			unsigned int nr_cached = rig.cache.nr;

			/* Whole tables: nothing of them stays but the path. */
			rig_slot(block_first() - block_pages(),
				 3 * block_pages());
			rig_populate(by_pages, WRITE);
			rig_remove(rig.radix, &rig.slot, all_of_slot());
			rig_check("removed");
			for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
				require(rig_hpa(rig.slot.base + i) ==
						UINT64_MAX,
					"%s: page %" PRIu64, rig_names[kind],
					i);
			cr_assert_leq(rig.memory.nr_live - rig.cache.nr -
					      (nr_live - nr_cached),
				      block_level(), "%s: %" PRIu64 " tables",
				      rig_names[kind],
				      gln_load_relaxed(&rig.radix->nr_tables));
		}
	}
}

Test(removal, leaves_the_neighbours_alone)
{
	each_kind(kind)
	{
		const struct gln_backend_slot whole = rig.slot;
		const struct gln_range part = {block_first() + 1,
					       block_pages() + 2};

		rig_populate(true, WRITE);
		rig.slot.base = part.first;
		rig.slot.nr_pages = part.count;
		rig_remove(rig.radix, &rig.slot, part);
		rig.slot = whole;
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
			const gln_gfn gfn = rig.slot.base + i;

			require((rig_hpa(gfn) == UINT64_MAX) ==
					(gfn >= part.first &&
					 gfn < part.first + part.count),
				"%s: page %" PRIu64, rig_names[kind], i);
		}
		rig_check("removed in part");
	}
}
