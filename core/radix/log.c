/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - what a harvest does to the table: arm, protect, collect; and age.
 *
 * Tables of pages are handed out by the walker in spans, so that a run costs
 * one descent a table and one locked operation a page that changes.
 */
#include "core/radix/radix.h"

uint64_t glni_radix_armed(const struct radix *radix, unsigned int level,
			  uint64_t leaf)
{
	const struct radix_logging *const logging = &radix->logging;

	if (level < radix_last(radix))
		return leaf & ~logging->block_clear;
	leaf &= ~logging->page_clear;
	if (leaf & radix->format.mmu_writable)
		leaf |= logging->page_set;

	return leaf;
}

/*
 * Clear bits of a leaf, if any is set. Not by an unconditional AND: between the
 * look and the AND the leaf may have become a table, of which the bit would be
 * another (H-36), or a marker, which would be it no more. True if it did.
 */
static inline bool clear_bits(const struct radix *radix, gln_word *entry,
			      unsigned int level, uint64_t bits)
{
	/* Relaxed: mark.1 and take.4 order entries against marks. */
	uint64_t seen = gln_load_relaxed(entry);

	while ((seen & bits) && radix_is_leaf(radix, level, seen)) {
		/* Relaxed: as above. */
		if (gln_cas_strong_relaxed(entry, &seen, seen & ~bits))
			return true;
	}

	return false;
}

/* A walk that protects ranges, which ascend: @left and those that follow. */
struct protect {
	struct radix_walk walk;
	const struct gln_range *left;
	const struct gln_range *end;
};

/*
 * clear_bits() of pages, with all that stays the same kept in registers, and
 * with an AND, which is cheaper than a compare-exchange: a page becomes no
 * table, and of markers only MMIO has one of these bits. That is where no slot
 * is, and this slot is claimed.
 */
static void protect_run(const struct radix *radix, gln_word *entries,
			uint64_t nr)
{
	const uint64_t present = radix->format.present;
	const uint64_t bits = radix->logging.page_clear;

	for (uint64_t i = 0; i < nr; i++) {
		/* Relaxed: as in clear_bits(). */
		const uint64_t seen = gln_load_relaxed(&entries[i]);

		if ((seen & present) && (seen & bits))
			gln_fetch_and_relaxed(&entries[i], ~bits);
	}
}

static int protect_pages(struct radix_walk *walk, gln_word *entries,
			 uint64_t nr, gln_gfn gfn)
{
	struct protect *const protect =
		gln_container_of(walk, struct protect, walk);
	const gln_gfn end = gfn + nr;
	const struct gln_range *left = protect->left;

	for (; left < protect->end && left->first < end; left++) {
		const gln_gfn first = gln_max(left->first, gfn);
		const gln_gfn last = gln_min(left->first + left->count, end);

		if (first < last)
			protect_run(walk->radix, &entries[first - gfn],
				    last - first);
		if (left->first + left->count > end)
			break; /* it goes on in the next table */
	}
	protect->left = left;

	return 0;
}

/* Larger than what is protected: all of it, lest a page stay writable (H-17).
 */
static int protect_block(struct radix_walk *walk,
			 const struct radix_visit *visit)
{
	clear_bits(walk->radix, visit->entry, visit->level,
		   walk->radix->logging.block_clear);
	return 0;
}

static const struct radix_visitor protect_visitor = {
	.pages = protect_pages,
	.leaf = protect_block,
};

/*
 * How many of the ranges one descent serves: each begins in the table of pages
 * in which the one before it ended, so that none is entered for nothing.
 */
static size_t nr_together(const struct radix *radix,
			  const struct gln_range *ranges, size_t nr_ranges)
{
	const unsigned int bits = radix->geometry.level[radix_last(radix)].bits;
	size_t nr = 1;

	while (nr < nr_ranges &&
	       ranges[nr].first >> bits ==
		       (ranges[nr - 1].first + ranges[nr - 1].count - 1) >>
			       bits)
		nr++;

	return nr;
}

void glni_radix_protect(struct radix *radix, const struct gln_range *ranges,
			size_t nr_ranges)
{
	const struct gln_range *const end = ranges + nr_ranges;
	struct protect protect = {
		.walk = {.radix = radix, .visitor = &protect_visitor},
		.left = ranges,
		.end = end,
	};

	while (ranges < end) {
		const size_t nr =
			nr_together(radix, ranges, (size_t)(end - ranges));
		const struct gln_range *const last = &ranges[nr - 1];

		protect.walk.range = (struct gln_range){
			ranges->first,
			last->first + last->count - ranges->first,
		};
		glni_radix_walk_batches(&protect.walk);
		ranges += nr;
	}
}

static int arm_pages(struct radix_walk *walk, gln_word *entries, uint64_t nr,
		     gln_gfn gfn)
{
	struct radix *const radix = walk->radix;

	(void)gfn;
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t seen, armed;

		do {
			/* Relaxed: as in clear_bits(). */
			seen = gln_load_relaxed(&entries[i]);
			armed = glni_radix_armed(radix, radix_last(radix),
						 seen);
		} while (radix_is_present(radix, seen) && armed != seen &&
			 !gln_cas_strong_relaxed(&entries[i], &seen, armed));
	}

	return 0;
}

static const struct radix_visitor arm_visitor = {
	.pages = arm_pages,
	.leaf = protect_block,
};

void glni_radix_arm(struct radix *radix, struct gln_range range)
{
	struct radix_walk walk = {
		.radix = radix,
		.visitor = &arm_visitor,
		.range = range,
	};

	glni_radix_walk_batches(&walk);
}

/* A walk that tells a slot which pages were written. */
struct collect {
	struct radix_walk walk;
	struct gln_backend_slot *slot;
};

static struct collect *collect_of(struct radix_walk *walk)
{
	return gln_container_of(walk, struct collect, walk);
}

/* Arm a page that was written. False if it was not. */
static bool rearm(const struct radix *radix, gln_word *entry)
{
	/* Relaxed: as in clear_bits(). */
	uint64_t seen = gln_load_relaxed(entry);

	while (radix_was_written(radix, seen)) {
		/* Relaxed: as in clear_bits(). */
		if (gln_cas_strong_relaxed(entry, &seen,
					   seen & ~radix->logging.page_clear))
			return true;
	}

	return false;
}

/* Runs of written pages are marked as such, each armed before it is. */
static int collect_pages(struct radix_walk *walk, gln_word *entries,
			 uint64_t nr, gln_gfn gfn)
{
	struct gln_backend_slot *const slot = collect_of(walk)->slot;
	uint64_t first = 0;

	for (uint64_t i = 0; i < nr; i++) {
		if (rearm(walk->radix, &entries[i]))
			continue;
		if (first < i)
			slot->mark(slot, gfn + first, i - first);
		first = i + 1;
	}
	if (first < nr)
		slot->mark(slot, gfn + first, nr - first);

	return 0;
}

static const struct radix_visitor collect_visitor = {
	.pages = collect_pages,
};

void glni_radix_collect(struct radix *radix, struct gln_backend_slot *slot,
			struct gln_range range)
{
	struct collect collect = {
		.walk =
			{
				.radix = radix,
				.visitor = &collect_visitor,
				.range = range,
			},
		.slot = slot,
	};

	glni_radix_walk_batches(&collect.walk);
}

struct age {
	struct radix_walk walk;
	uint64_t nr_young;
};

static int age_pages(struct radix_walk *walk, gln_word *entries, uint64_t nr,
		     gln_gfn gfn)
{
	struct age *const age = gln_container_of(walk, struct age, walk);
	const struct radix *const radix = walk->radix;

	(void)gfn;
	for (uint64_t i = 0; i < nr; i++)
		age->nr_young +=
			clear_bits(radix, &entries[i], radix_last(radix),
				   radix->format.accessed);

	return 0;
}

static int age_block(struct radix_walk *walk, const struct radix_visit *visit)
{
	struct age *const age = gln_container_of(walk, struct age, walk);
	const gln_gfn first = gln_max(visit->range.first, walk->range.first);
	const gln_gfn end = gln_min(visit->range.first + visit->range.count,
				    walk->range.first + walk->range.count);

	if (clear_bits(walk->radix, visit->entry, visit->level,
		       walk->radix->format.accessed))
		age->nr_young += end - first;
	return 0;
}

static const struct radix_visitor age_visitor = {
	.pages = age_pages,
	.leaf = age_block,
};

uint64_t glni_radix_age(struct radix *radix, struct gln_range range)
{
	struct age age = {
		.walk =
			{
				.radix = radix,
				.visitor = &age_visitor,
				.range = range,
			},
	};

	glni_radix_walk_batches(&age.walk);
	return age.nr_young;
}
