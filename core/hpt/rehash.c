/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rehash.c - move bolted entries to another table, at once or ahead.
 */
#include "core/base/errno.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

enum { GROUP = GLN_HPT_GROUP_ENTRIES };

static struct hpt_hold place_in(struct hpt *hpt, uint64_t index)
{
	return (struct hpt_hold){
		.hpt = hpt,
		.entry = &hpt->entries[index],
		.index = index,
		.v = hpte_v(&hpt->entries[index]),
	};
}

static bool is_bolted(const struct hpt_hold *hold)
{
	return hold_is_used(hold) && (hold->v & GLN_HPTE_V_BOLTED);
}

static bool has_size(struct gln_hpte guest)
{
	struct gln_hpte_size size;

	return gln_hpte_decode(guest.v, guest.r, &size);
}

/* An entry that is held, absent to @to, which nobody else knows. */
static int copy_entry(const struct hpt_hold *hold, struct hpt *to)
{
	const struct gln_hpte guest = glni_hold_guest(hold);
	struct hpt_hold place;

	if (!has_size(guest))
		return -EIO;
	place = place_in(to,
			 hpt_moved_index(hold->hpt, to, guest, hold->index));
	if (hold_is_used(&place))
		return -ENOSPC;
	place.v = hold->v;
	glni_rev_set_guest(to, place.index, false, guest.r);
	glni_hold_set_absent(&place, guest, glni_hold_is_mmio(hold));
	hold_release(&place);
	return 0;
}

/* The whole of an entry that is used: out of hardware's reach, and moved. */
static int move_entry(struct hpt_mmu *mmu, struct hpt *from, uint64_t index,
		      struct hpt *to)
{
	struct hpt_hold hold = glni_hpt_hold(from, index);
	int err = 0;

	if (hold_is_linked(&hold))
		glni_hpt_expel(mmu, &hold);
	if (is_bolted(&hold))
		err = copy_entry(&hold, to);
	hold_release(&hold);
	return err;
}

/*
 * Every entry is made absent, also behind the first that does not fit: then
 * nothing depends on how far we got.
 */
int glni_hpt_rehash(struct hpt_mmu *mmu, struct hpt *from, struct hpt *to)
{
	const uint64_t used = GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT;
	int err = 0;

	for (uint64_t i = 0; i < from->nr_entries; i++)
		if (hpte_v(&from->entries[i]) & used) {
			const int failed = move_entry(mmu, from, i, to);

			err = err ? err : failed;
		}
	return err;
}

/*
 * Ahead, an entry that is not where its hash says would not be found again when
 * its group is copied again. Only a guest that loses its own entries has one.
 */
static int copy_entry_ahead(const struct hpt_hold *hold, struct hpt *to)
{
	const struct gln_hpte guest = glni_hold_guest(hold);

	if (hpt_moved_index(hold->hpt, hold->hpt, guest, hold->index) !=
	    hold->index)
		return -EIO;
	return copy_entry(hold, to);
}

static int copy_index(struct hpt *from, struct hpt *to, uint64_t index)
{
	const struct hpt_hold hold = glni_hpt_hold(from, index);
	const int err = is_bolted(&hold) ? copy_entry_ahead(&hold, to) : 0;

	hold_release(&hold);
	return err;
}

/*
 * A place that is taken may be so by an entry that is no longer where it was
 * copied from: its group is marked and not copied again yet. So this one waits.
 */
static bool copy_or_wait(struct hpt *from, struct hpt *to, struct bitmap *marks,
			 uint64_t index)
{
	const int err = copy_index(from, to, index);

	if (err == -ENOSPC && marks)
		bitmap_mark(marks, index / GROUP);
	return !err || (err == -ENOSPC && marks);
}

bool glni_hpt_copy_ahead(struct hpt *from, struct hpt *to, struct bitmap *marks,
			 uint64_t first, uint64_t end)
{
	for (uint64_t i = first * GROUP; i < end * GROUP; i++)
		/* One that becomes bolted under our eyes is marked (Z1). */
		if ((hpte_v(&from->entries[i]) & GLN_HPTE_V_BOLTED) &&
		    !copy_or_wait(from, to, marks, i))
			return false;
	return true;
}

/* Take back what was copied to one group of @to, if it came from @group. */
static void drop_copies(struct hpt *from, struct hpt *to, uint64_t group,
			uint64_t to_group)
{
	for (uint64_t i = to_group * GROUP; i < (to_group + 1) * GROUP; i++) {
		struct hpt_hold place = place_in(to, i);
		uint64_t came_from;

		if (!hold_is_used(&place))
			continue;
		came_from =
			hpt_moved_index(to, from, glni_hold_guest(&place), i);
		if (came_from / GROUP != group)
			continue;
		glni_rev_set_guest(to, i, false, 0);
		place.v = 0;
		hold_release(&place);
	}
}

/* In a larger table its entries may be in one of several groups. */
static void drop_group(struct hpt *from, struct hpt *to, uint64_t group)
{
	for (uint64_t g = group & to->group_mask; g <= to->group_mask;
	     g += from->group_mask + 1)
		drop_copies(from, to, group, g);
}

/*
 * Every entry is locked, also one that seems to be empty: whoever enters one
 * has marked before he unlocks, and we have taken that mark.
 */
static bool copy_group(struct hpt *from, struct hpt *to, struct bitmap *again,
		       uint64_t group)
{
	for (uint64_t i = group * GROUP; i < (group + 1) * GROUP; i++)
		if (!copy_or_wait(from, to, again, i))
			return false;
	return true;
}

/* Take back first, so that what moved from one group to another has room. */
static bool copy_word_again(struct hpt *from, struct hpt *to,
			    struct bitmap *again, uint64_t word, uint64_t bits)
{
	const uint64_t first = word << GLN_WORD_SHIFT;

	for (uint64_t rest = bits; rest; rest &= rest - 1)
		drop_group(from, to, first + gln_ctz64(rest));
	for (uint64_t rest = bits; rest; rest &= rest - 1)
		if (!copy_group(from, to, again, first + gln_ctz64(rest)))
			return false;
	return true;
}

/* The next word from @word on that may have marks; the number of words if none
 * has. What the summary says is never taken back, so it misses nothing.
 */
static uint64_t next_word(const struct bitmap *marks, uint64_t word)
{
	const uint64_t nr_words = bitmap_nr_words(marks->nr_pages);

	while (word < nr_words) {
		const uint64_t line = word >> LINE_WORD_SHIFT;
		/* Relaxed: marks that matter were made before we were told. */
		const uint64_t summary = gln_load_relaxed(
			&marks->summary[line >> GLN_WORD_SHIFT]);

		if (!(summary >> line % GLN_WORD_BITS))
			word = ((line | (GLN_WORD_BITS - 1)) + 1)
			       << LINE_WORD_SHIFT;
		else if (!(summary >> line % GLN_WORD_BITS & 1))
			word = (line + 1) << LINE_WORD_SHIFT;
		else if (!gln_load_relaxed(&marks->words[word])) /* likewise */
			word++;
		else
			break;
	}
	return gln_min(word, nr_words);
}

/* In a smaller table groups share places: first make room for all. */
static void drop_marked(struct hpt *from, struct hpt *to,
			const struct bitmap *marks, uint64_t max_groups)
{
	const uint64_t nr_words = bitmap_nr_words(marks->nr_pages);
	uint64_t nr = 0;

	for (uint64_t word = next_word(marks, 0);
	     word < nr_words && nr < max_groups;
	     word = next_word(marks, word + 1)) {
		/* Relaxed: what is marked meanwhile is dropped later. */
		const uint64_t bits = gln_load_relaxed(&marks->words[word]);

		nr += gln_popcount64(bits);
		for (uint64_t rest = bits; rest; rest &= rest - 1)
			drop_group(from, to,
				   (word << GLN_WORD_SHIFT) + gln_ctz64(rest));
	}
}

bool glni_hpt_copy_again(struct hpt *from, struct hpt *to, struct bitmap *marks,
			 uint64_t max_groups)
{
	/* When all are copied, a place that is taken is taken. */
	struct bitmap *const again = max_groups == UINT64_MAX ? NULL : marks;
	/* In a larger table a group has been in one of so many. */
	const uint64_t price =
		1 + (to->group_mask + 1) / (from->group_mask + 1);
	const uint64_t nr_words = bitmap_nr_words(marks->nr_pages);
	uint64_t nr = 0;

	if (to->order < from->order)
		drop_marked(from, to, marks, max_groups);
	for (uint64_t word = next_word(marks, 0);
	     word < nr_words && nr < max_groups;
	     word = next_word(marks, word + 1)) {
		/*
		 * Relaxed: whoever marks has the entry's lock. Either he had it
		 * before us, and we see what he did; or after us, and then he
		 * sees that the mark is gone, and makes it anew.
		 */
		const uint64_t bits = gln_xchg_relaxed(&marks->words[word], 0);

		nr += gln_popcount64(bits) * price;
		if (!copy_word_again(from, to, again, word, bits))
			return false;
	}
	return true;
}
