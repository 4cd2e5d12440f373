/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_test.c - faults of one vCPU, and of two that meet.
 *
 * G1, G6; T2, T4, T5; H-18, H-28, H-29.
 */
#include "tests/unit/radix/fixture.h"

enum { READ = GLN_ACCESS_READ, WRITE = GLN_ACCESS_WRITE };

static void require_fault(gln_gfn gfn, uint32_t access, int expected)
{
	const int said = rig_fault(gfn, access);

	require(said == expected, "%s: gfn %" PRIu64 ": %d, not %d",
		rig_names[rig.kind], gfn, said, expected);
}

Test(fault, maps_a_page_where_the_host_has_no_more)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.host[gfn - rig.slot.base].order = 0;
		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), radix_last(rig.radix));
		cr_assert_eq(rig_hpa(gfn), rig.host[gfn - rig.slot.base].hpa);
		cr_assert(rig_allows(gfn, READ | WRITE | GLN_ACCESS_EXEC));
		cr_assert_not(rig.fault.to_mark);
		cr_assert(rig_see(gfn) & rig.radix->format.accessed);
		cr_assert_eq(rig_hpa(gfn + 1), UINT64_MAX);
	}
}

Test(fault, says_the_memory_type)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.host[gfn - rig.slot.base].order = 0;
		rig.host[gfn - rig.slot.base].type = GLN_MEMORY_DEVICE;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		require_fault(block_first() - 1, READ, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_see(gfn) & (rig.radix->format.type[0] |
					     rig.radix->format.type[1]),
			     rig.radix->format.type[GLN_MEMORY_DEVICE]);
		cr_assert_eq(rig_see(block_first() - 1) &
				     (rig.radix->format.type[0] |
				      rig.radix->format.type[1]),
			     rig.radix->format.type[GLN_MEMORY_NORMAL]);
	}
}

Test(fault, blocks_stand_wherever_they_fit_and_nowhere_else)
{
	each_kind(kind)
	{
		const gln_gfn end = rig.slot.base + rig.slot.nr_pages;

		for (gln_gfn gfn = rig.slot.base; gfn < end; gfn++) {
			unsigned int expected = 0;

			rig_fault(gfn, READ);
			/* The largest that has a level and lies in the slot. */
			for (;; expected++) {
				const uint64_t nr =
					radix_pages(rig.radix, expected);
				const gln_gfn first = gfn & ~(nr - 1);

				if (expected == radix_last(rig.radix) ||
				    (rig.radix->geometry.level[expected]
					     .block_ok &&
				     first >= rig.slot.base &&
				     first + nr <= end))
					break;
			}
			require(rig_level(gfn) == expected &&
					rig_hpa(gfn) ==
						rig.host[gfn - rig.slot.base]
							.hpa,
				"%s: gfn %" PRIu64 " at level %u, not %u",
				rig_names[kind], gfn, rig_level(gfn), expected);
		}
		cr_assert_eq(rig_hpa(rig.slot.base - 1), UINT64_MAX);
		cr_assert_eq(rig_hpa(end), UINT64_MAX);
	}
}

Test(fault, a_block_is_no_larger_than_the_host_says)
{
	each_kind(kind)
	{
		const unsigned int last = radix_last(rig.radix);
		const unsigned int small = rig_is_ept() ? last : last - 1;
		const gln_gfn gfn = in_block();

		/* One less than the order of the block that would fit. */
		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			rig.host[i].order =
				rig.radix->geometry.level[block_level()].shift -
				1;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), small, "%s: level %u",
			     rig_names[kind], rig_level(gfn));
	}
}

Test(fault, a_block_is_aligned_to_the_host_as_to_the_guest)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
			rig.host[i].hpa += UINT64_C(1) << rig.slot.page_shift;
		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), radix_last(rig.radix));
		cr_assert_eq(rig_hpa(gfn), rig.host[gfn - rig.slot.base].hpa);
	}
}

Test(fault, there_are_no_blocks_where_none_are_wanted)
{
	each_kind(kind)
	{
		rig.radix->has_blocks = false;
		require_fault(in_block(), WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(in_block()), radix_last(rig.radix));
	}
}

Test(fault, only_pages_are_mapped_while_logged)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.is_logged = true;
		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), radix_last(rig.radix));
		cr_assert_eq(rig.fault.to_mark, !cpu_notices());
		cr_assert_not(rig_is_silent(gfn) && cpu_notices());
	}
}

Test(fault, reading_never_lets_write_while_logged)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.is_logged = true;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		cr_assert_not(rig.fault.to_mark);
		cr_assert_not(rig_is_silent(gfn));
		cr_assert(rig_allows(gfn, READ));
		require_fault(gfn, READ, GLN_FAULT_SPURIOUS);
		cr_assert_not(rig_is_silent(gfn));
		require_fault(gfn, GLN_ACCESS_EXEC, GLN_FAULT_SPURIOUS);
		cr_assert_not(rig_is_silent(gfn));
		cr_assert_eq(rig.nr_marks, 0);
	}
}

Test(fault, a_write_while_logged_is_marked_or_noticed_by_the_cpu)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		int said;

		rig.is_logged = true;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		rig_topup();
		said = rig_fault_only(gfn, WRITE);
		cr_assert_eq(said, cpu_notices() ? GLN_FAULT_SPURIOUS
						 : GLN_FAULT_RELAXED);
		cr_assert_eq(rig.fault.to_mark, !cpu_notices());
		cr_assert_eq(rig_is_silent(gfn), rig.fault.to_mark);
		cr_assert(rig_cpu(gfn, WRITE));

		/* Whoever comes later finds it done, and has nothing to mark.
		 */
		said = rig_fault_only(gfn, WRITE);
		cr_assert_eq(said, GLN_FAULT_SPURIOUS);
		cr_assert_not(rig.fault.to_mark);
	}
}

Test(fault, a_spurious_one_changes_nothing)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		struct rig_state was;

		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		was = rig_state();
		for (uint32_t access = 1; access < 8; access++) {
			rig_forget_events();
			cr_assert_eq(rig_fault_only(gfn, access),
				     GLN_FAULT_SPURIOUS);
			cr_assert_not(rig.fault.to_mark);
			cr_assert(rig_is_unchanged(was));
			cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY), 0);
			cr_assert_eq(rig_count(EVENT_FLUSH_RANGE), 0);
			/* What the CPU remembers of the refusal goes. */
			if (!rig_is_ept())
				cr_assert_eq(rig_count(EVENT_RELAXED), 1);
		}
	}
}

Test(fault, a_write_to_a_block_while_logged_splits_and_opens_one_page)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), block_level());
		rig.is_logged = true;
		glni_radix_arm(
			rig.radix,
			(struct gln_range){rig.slot.base, rig.slot.nr_pages});
		cr_assert_not(rig_allows(gfn, WRITE));

		rig_topup();
		cr_assert_geq(rig_fault_only(gfn, WRITE), 0);
		cr_assert_eq(rig.fault.to_mark, !cpu_notices());
		for (uint64_t i = 0; i < block_pages(); i++) {
			const gln_gfn other = block_first() + i;

			require(rig_hpa(other) ==
					rig.host[other - rig.slot.base].hpa,
				"%s: page %" PRIu64 " leads elsewhere",
				rig_names[kind], i);
			require(rig_is_silent(other) ==
					(other == gfn && rig.fault.to_mark),
				"%s: page %" PRIu64 " of %" PRIu64
				" can be written",
				rig_names[kind], i, block_pages());
		}
	}
}

Test(fault, a_write_to_a_block_that_is_all_marked_needs_no_split)
{
	each_kind(kind)
	{
		require_fault(in_block(), WRITE, GLN_FAULT_MAPPED);
		rig.is_logged = true;
		require_fault(in_block(), WRITE, GLN_FAULT_SPURIOUS);
		cr_assert_eq(rig_level(in_block()), block_level());
	}
}

Test(fault, a_split_gives_way_locked_flushed_then_made)
{
	const struct rig_record *flush;

	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		if (rig_is_ept())
			continue;
		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		rig.is_logged = true;
		glni_radix_arm(
			rig.radix,
			(struct gln_range){rig.slot.base, rig.slot.nr_pages});
		rig.watched = rig_entry(gfn, block_level());
		rig_forget_events();
		rig_topup();
		cr_assert_geq(rig_fault_only(gfn, WRITE), 0);
		flush = rig_nth(EVENT_FLUSH_ENTRY, 0);
		if (!rig.ops.break_first) {
			cr_assert_null(flush);
			continue;
		}
		cr_assert_not_null(flush);
		cr_assert_eq(flush->watched, OWN_LOCKED);
		cr_assert_eq(flush->level, block_level());
		cr_assert_eq(flush->range.first, block_first());
		cr_assert_eq(rig_nth(EVENT_MADE, 0)->watched,
			     gln_load_relaxed(rig.watched));
		/* A block of blocks: one flush a level, none for pages. */
		cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY), 2);
	}
}

/* What another vCPU meets while an entry is locked. */
static struct {
	gln_gfn gfn;
	int said[3];
	bool to_mark;
	bool is_unchanged;
} other;

static void fault_meanwhile(void)
{
	struct gln_backend_fault fault = {
		.gfn = other.gfn,
		.is_logged = rig.is_logged,
	};
	const struct rig_state was = rig_state();

	for (uint32_t i = 0; i < 3; i++) {
		fault.access = 1U << i;
		other.said[i] = glni_radix_map(rig.radix, &rig.cache, 1,
					       &rig.slot, &fault);
		other.to_mark |= fault.to_mark;
	}
	other.is_unchanged = rig_is_unchanged(was);
}

static void require_retried(const char *what)
{
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(other.said[i], GLN_FAULT_RETRY, "%s, %s: %d",
			     rig_names[rig.kind], what, other.said[i]);
	cr_assert(other.is_unchanged);
	cr_assert_not(other.to_mark);
}

Test(fault, one_that_meets_a_lock_is_tried_again_and_changes_nothing)
{
	for (enum rig_kind kind = RIG_BREAKS; kind < RIG_OWN_KINDS; kind++) {
		rig_open(kind);
		require_fault(in_block(), WRITE, GLN_FAULT_MAPPED);
		rig.is_logged = true;
		glni_radix_arm(
			rig.radix,
			(struct gln_range){rig.slot.base, rig.slot.nr_pages});
		memset(&other, 0, sizeof(other));
		other.gfn = in_block() + 1;
		rig.on_flush = fault_meanwhile;
		rig_topup();
		cr_assert_geq(rig_fault_only(in_block(), WRITE), 0);
		require_retried("a block");
		rig_close();
	}
}

Test(fault, an_empty_cache_is_no_memory_and_changes_nothing)
{
	each_kind(kind)
	{
		struct rig_state was;

		glni_radix_drain(rig.radix, &rig.cache);
		was = rig_state();
		rig.is_logged = true;
		cr_assert_eq(rig_fault_only(in_block(), WRITE), -ENOMEM);
		cr_assert_not(rig.fault.to_mark);
		cr_assert(rig_is_unchanged(was));

		/* A block that must be split for it stays as well. */
		rig.is_logged = false;
		require_fault(in_block(), WRITE, GLN_FAULT_MAPPED);
		glni_radix_arm(
			rig.radix,
			(struct gln_range){rig.slot.base, rig.slot.nr_pages});
		glni_radix_drain(rig.radix, &rig.cache);
		rig.is_logged = true;
		was = rig_state();
		cr_assert_eq(rig_fault_only(in_block(), WRITE), -ENOMEM);
		cr_assert(rig_is_unchanged(was));
		rig_access(in_block(), WRITE);
	}
}

Test(fault, any_part_of_the_tables_it_needs_gets_it_further)
{
	each_kind(kind)
	{
		unsigned int tries = 0;
		int said;

		glni_radix_drain(rig.radix, &rig.cache);
		rig.is_logged = true;
		while ((said = rig_fault_only(in_block(), WRITE)) == -ENOMEM) {
			cr_assert_eq(rig.cache.nr, 0);
			cr_assert_eq(rig_hpa(in_block()), UINT64_MAX);
			cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache, 1),
				     0);
			tries++;
		}
		cr_assert_eq(said, GLN_FAULT_MAPPED);
		cr_assert_eq(tries, radix_last(rig.radix));
	}
}

Test(fault, beyond_what_is_translated_is_out_of_range)
{
	each_kind(kind)
	{
		const uint64_t frames = radix_nr_frames(rig.radix);
		const gln_gfn cases[] = {frames, frames + 1, frames * 2,
					 UINT64_MAX >> 1, UINT64_MAX};
		const struct rig_state was = rig_state();

		for (const gln_gfn *gfn = cases; gfn < ARRAY_END(cases);
		     gfn++) {
			rig.fault.to_mark = true;
			cr_assert_eq(rig_fault_only(*gfn, WRITE), -ERANGE);
			cr_assert_not(rig.fault.to_mark);
			cr_assert_eq(glni_radix_note_mmio(rig.radix, *gfn),
				     -ERANGE);
		}
		cr_assert(rig_is_unchanged(was));
	}
}

Test(fault, the_last_frame_can_be_mapped)
{
	each_kind(kind)
	{
		const gln_gfn last = radix_nr_frames(rig.radix) - 1;

		rig_slot(last, 1);
		require_fault(last, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_hpa(last), rig.host[0].hpa);
	}
}

Test(fault, what_the_host_will_not_say_is_passed_on)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		const struct rig_state was = rig_state();

		rig.host_says[gfn - rig.slot.base] = -EAGAIN;
		cr_assert_eq(rig_fault_only(gfn, WRITE), GLN_FAULT_RETRY);
		rig.host_says[gfn - rig.slot.base] = -EFAULT;
		cr_assert_eq(rig_fault_only(gfn, WRITE), -EFAULT);
		cr_assert_not(rig.fault.to_mark);
		cr_assert(rig_is_unchanged(was));
	}
}

Test(fault, an_address_that_no_entry_holds_is_a_bad_one)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		struct gln_host_page *const page =
			&rig.host[gfn - rig.slot.base];
		const uint64_t hpa = page->hpa;
		const struct rig_state was = rig_state();

		page->hpa = UINT64_C(1) << 52;
		cr_assert_eq(rig_fault_only(gfn, READ), -EFAULT);
		page->hpa = hpa | 1;
		cr_assert_eq(rig_fault_only(gfn, READ), -EFAULT);
		page->hpa = hpa | UINT64_C(1) << (rig.slot.page_shift - 1);
		cr_assert_eq(rig_fault_only(gfn, READ), -EFAULT);
		page->hpa = hpa;
		page->type = (enum gln_memory_type)2;
		cr_assert_eq(rig_fault_only(gfn, READ), -EFAULT);
		cr_assert(rig_is_unchanged(was));
	}
}

Test(fault, without_a_host_the_slots_own_address_is_taken)
{
	each_kind(kind)
	{
		const uintptr_t hva = UINT64_C(0x7654320000000) +
				      (rig.slot.base << rig.slot.page_shift);

		rig.radix->host.translate = NULL;
		cr_assert_eq(rig_fault_only(in_block(), WRITE), -EFAULT);
		rig.slot.hva = (void *)hva;
		require_fault(in_block(), WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_hpa(in_block()),
			     hva + ((in_block() - rig.slot.base)
				    << rig.slot.page_shift));
		cr_assert_eq(rig_level(in_block()), block_level());
	}
}

static void set_host_writable(bool is_writable)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
		rig.host[i].is_writable = is_writable;
}

Test(fault, a_read_only_slot_is_mapped_read_only)
{
	each_kind(kind)
	{
		rig.slot.flags = GLN_SLOT_READ_ONLY;
		require_fault(in_block(), READ, GLN_FAULT_MAPPED);
		cr_assert_not(rig_allows(in_block(), WRITE));
		cr_assert_not(rig_see(in_block()) &
			      rig.radix->format.mmu_writable);
	}
}

Test(fault, a_read_only_page_of_the_host_is_asked_for_again)
{
	each_kind(kind)
	{
		for (unsigned int logged = 0; logged < 2; logged++) {
			const gln_gfn gfn = in_block() + logged;
			struct gln_host_page *const page =
				&rig.host[gfn - rig.slot.base];

			rig.is_logged = logged;
			page->order = 0;
			page->is_writable = false;
			require_fault(gfn, READ, GLN_FAULT_MAPPED);
			cr_assert_not(rig_allows(gfn, WRITE));

			/* Still read-only, then not there: nothing changes. */
			const uint64_t seen = rig_see(gfn);

			require_fault(gfn, WRITE, -EFAULT);
			cr_assert_not(rig.fault.to_mark);
			rig.host_says[gfn - rig.slot.base] = -EAGAIN;
			require_fault(gfn, WRITE, GLN_FAULT_RETRY);
			cr_assert_eq(rig_see(gfn), seen);

			/* The same page may be written now: in place. */
			rig.host_says[gfn - rig.slot.base] = 0;
			page->is_writable = true;
			rig_forget_events();
			rig_topup();
			cr_assert_eq(rig_fault_only(gfn, WRITE),
				     GLN_FAULT_RELAXED);
			cr_assert_eq(rig.fault.to_mark,
				     logged && !cpu_notices());
			cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY), 0);
			cr_assert_eq(rig_count(EVENT_TRANSLATE), 1);
			cr_assert(rig_cpu(gfn, WRITE));
		}
	}
}

Test(fault, a_page_that_the_host_replaced_is_broken_before_it_is_made)
{
	each_kind(kind)
	{
		for (unsigned int logged = 0; logged < 2; logged++) {
			const gln_gfn gfn = in_block() + logged;
			struct gln_host_page *const page =
				&rig.host[gfn - rig.slot.base];
			const struct rig_record *flush;

			rig.is_logged = logged;
			page->order = 0;
			page->is_writable = false;
			require_fault(gfn, READ, GLN_FAULT_MAPPED);

			page->hpa += UINT64_C(1) << 40;
			page->is_writable = true;
			rig.watched = rig_entry(gfn, radix_last(rig.radix));
			rig_forget_events();
			memset(&other, 0, sizeof(other));
			other.gfn = gfn;
			rig.on_flush = fault_meanwhile;
			rig_topup();
			cr_assert_eq(rig_fault_only(gfn, WRITE),
				     GLN_FAULT_MAPPED);
			cr_assert_eq(rig.fault.to_mark,
				     logged && !cpu_notices());
			require_retried("a page");
			flush = rig_nth(rig_is_ept() ? EVENT_FLUSH_RANGE
						     : EVENT_FLUSH_ENTRY,
					0);
			cr_assert_not_null(flush);
			cr_assert_eq(flush->watched, rig.radix->format.locked);
			if (!rig_is_ept()) {
				cr_assert_eq(flush->range.first, gfn);
				cr_assert_eq(flush->range.count, 1);
			}
			cr_assert_eq(rig_hpa(gfn), page->hpa);
			cr_assert(rig_cpu(gfn, WRITE));
			rig.watched = NULL;
		}
	}
}

Test(fault, a_page_of_another_memory_type_is_broken_before_it_is_made)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		struct gln_host_page *const page =
			&rig.host[gfn - rig.slot.base];

		page->order = 0;
		page->is_writable = false;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		page->type = GLN_MEMORY_DEVICE;
		page->is_writable = true;
		rig_forget_events();
		require_fault(gfn, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_count(EVENT_FLUSH_ENTRY) +
				     rig_count(EVENT_FLUSH_RANGE),
			     1);
	}
}

Test(fault, a_read_only_block_is_asked_for_again_and_written_in_the_end)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		set_host_writable(false);
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_level(gfn), block_level());
		require_fault(gfn, WRITE, -EFAULT);

		/* The host copies the one page that is written. */
		rig.host[gfn - rig.slot.base] = (struct gln_host_page){
			.hpa = RIG_HPA | UINT64_C(1) << 40,
			.is_writable = true,
		};
		rig_access(gfn, WRITE);
		cr_assert_eq(rig_hpa(gfn), RIG_HPA | UINT64_C(1) << 40);
		cr_assert_not(rig_allows(gfn + 1, WRITE));
		cr_assert_eq(rig_hpa(gfn + 1),
			     rig.host[gfn + 1 - rig.slot.base].hpa);
	}
}

/* The entry changes between a fault's look at it and its answer. */
static gln_word *contested;
static uint64_t winner;

static void win(void)
{
	gln_store_relaxed(contested, winner);
}

Test(fault, one_that_loses_a_race_marks_nothing_and_leaves_the_winner)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.host[gfn - rig.slot.base].order = 0;
		rig.host[gfn - rig.slot.base].is_writable = false;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		rig.is_logged = true;
		contested = rig_entry(gfn, radix_last(rig.radix));
		winner = gln_load_relaxed(contested) &
			 ~rig.radix->format.accessed;
		rig.host[gfn - rig.slot.base].is_writable = true;
		rig.on_translate = win;
		rig_topup();
		cr_assert_eq(rig_fault_only(gfn, WRITE), GLN_FAULT_RETRY);
		cr_assert_not(rig.fault.to_mark);
		cr_assert_eq(gln_load_relaxed(contested), winner);

		/* The same where nothing was mapped: somebody unmapped it. */
		winner = rig.radix->format.mmio;
		gln_store_relaxed(contested, rig.radix->format.empty);
		rig.on_translate = win;
		cr_assert_eq(rig_fault_only(gfn, WRITE), GLN_FAULT_RETRY);
		cr_assert_not(rig.fault.to_mark);
		cr_assert_eq(gln_load_relaxed(contested), winner);
	}
}

Test(fault, an_mmio_note_costs_no_table_and_gives_way_to_memory)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();
		const struct rig_state was = rig_state();

		cr_assert_eq(glni_radix_note_mmio(rig.radix, gfn), 0);
		cr_assert(rig_is_unchanged(was));

		rig.is_logged = true; /* pages */
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		cr_assert_eq(glni_radix_note_mmio(rig.radix, gfn), 0);
		cr_assert_eq(rig_hpa(gfn), rig.host[gfn - rig.slot.base].hpa);
		cr_assert_eq(glni_radix_note_mmio(rig.radix, gfn ^ 1), 0);
		cr_assert_eq(rig_see(gfn ^ 1), rig.radix->format.mmio);
		rig_check("with a note");
		require_fault(gfn ^ 1, WRITE, GLN_FAULT_MAPPED);
		cr_assert_eq(rig_hpa(gfn ^ 1),
			     rig.host[(gfn ^ 1) - rig.slot.base].hpa);
	}
}

Test(fault, nothing_is_allocated)
{
	each_kind(kind)
	{
		rig.is_logged = true;
		for (uint64_t i = 0; i < 3; i++) {
			rig_topup();
			rig.memory.fail_at = 1;
			cr_assert_geq(rig_fault_only(rig.slot.base + i * 67 + 1,
						     WRITE),
				      0);
			cr_assert_eq(rig.memory.fail_at, 1);
			rig.memory.fail_at = 0;
		}
	}
}

Test(fault, after_logging_writes_are_let_through_without_a_mark)
{
	each_kind(kind)
	{
		const gln_gfn gfn = in_block();

		rig.is_logged = true;
		require_fault(gfn, READ, GLN_FAULT_MAPPED);
		rig.is_logged = false;
		rig_access(gfn, WRITE);
		cr_assert_eq(rig.nr_marks, 0);
		cr_assert_not(rig.fault.to_mark);
	}
}
