/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.c - one depth-first walk for every purpose.
 *
 * Depth is bounded by the geometry, whatever the table holds.
 */
#include "core/radix/radix.h"

/*
 * Pages walked in one read-side section: grace periods wait for it, and an
 * embedder may have preemption off. 1 GiB of 4 KiB pages (H-31).
 */
#define SECTION_PAGES (UINT64_C(1) << 18)

static int walk_table(struct radix_walk *walk, gln_word *table,
		      unsigned int level, struct gln_range range);

static bool ends_walk(const struct radix_walk *walk, int said)
{
	return said && (said != RADIX_RACE || walk->visitor->is_fault);
}

/* An entry above the last level; @part is what of it is to be walked. */
static int walk_entry(struct radix_walk *walk, gln_word *entry,
		      unsigned int level, struct gln_range part)
{
	const struct radix_visitor *const visitor = walk->visitor;
	const uint64_t nr_pages = radix_pages(walk->radix, level);
	struct radix_visit visit = {
		.entry = entry,
		.seen = radix_see(entry),
		.level = level,
		.range = {part.first & ~(nr_pages - 1), nr_pages},
	};
	int said = 0;

	if (!radix_is_table(walk->radix, level, visit.seen)) {
		if (visitor->leaf)
			said = visitor->leaf(walk, &visit);
	} else if (visitor->table_pre) {
		said = visitor->table_pre(walk, &visit);
	}
	if (ends_walk(walk, said))
		return said;

	/* What the call put there, or another, is what counts (H-30, H-36). */
	visit.seen = radix_see(entry);
	if (!radix_is_table(walk->radix, level, visit.seen))
		return 0;
	said = walk_table(walk, radix_child(walk->radix, visit.seen), level + 1,
			  part);
	if (!said && visitor->table_post)
		said = visitor->table_post(walk, &visit);

	return ends_walk(walk, said) ? said : 0;
}

static int walk_table(struct radix_walk *walk, gln_word *table,
		      unsigned int level, struct gln_range range)
{
	const uint64_t nr_pages = radix_pages(walk->radix, level);
	const gln_gfn end = range.first + range.count;
	int said = 0;

	if (level == radix_last(walk->radix)) {
		if (walk->visitor->pages)
			said = walk->visitor->pages(
				walk,
				&table[radix_index(walk->radix, level,
						   range.first)],
				range.count, range.first);
		return ends_walk(walk, said) ? said : 0;
	}

	while (range.first < end && !said) {
		const gln_gfn next = (range.first | (nr_pages - 1)) + 1;

		range.count = gln_min(next, end) - range.first;
		said = walk_entry(
			walk,
			&table[radix_index(walk->radix, level, range.first)],
			level, range);
		range.first = next;
	}

	return said;
}

int glni_radix_walk(struct radix_walk *walk)
{
	const uint64_t nr_frames = radix_nr_frames(walk->radix);

	gln_assert(walk->range.first < nr_frames &&
		   walk->range.count <= nr_frames - walk->range.first);

	return walk_table(walk, walk->radix->root, 0, walk->range);
}

int glni_radix_walk_batches(struct radix_walk *walk)
{
	const struct gln_range whole = walk->range;
	const gln_gfn end = whole.first + whole.count;
	int said = 0;

	for (gln_gfn first = whole.first; first < end && !said;) {
		const gln_gfn next =
			gln_min((first | (SECTION_PAGES - 1)) + 1, end);

		walk->range = (struct gln_range){first, next - first};
		glni_read_lock();
		said = glni_radix_walk(walk);
		glni_read_unlock();
		first = next;
	}
	walk->range = whole;

	return said;
}
