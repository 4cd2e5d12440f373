/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush.c - the flush plan.
 */
#include "core/wp/flush.h"

#include "core/base/assert.h"

void glni_flush_start(struct gln_flush *flush)
{
	flush->nr_pages = 0;
	flush->nr_ranges = 0;
	flush->whole_slot = false;
}

void glni_flush_add(struct gln_flush *flush, struct gln_range range,
		    unsigned int max)
{
	gln_assert(max <= GLN_FLUSH_RANGES);
	flush->nr_pages += range.count;
	if (flush->whole_slot)
		return;

	if (flush->nr_ranges == max) {
		flush->whole_slot = true;
		flush->nr_ranges = 0;
		return;
	}
	gln_assert(!flush->nr_ranges ||
		   flush->ranges[flush->nr_ranges - 1].first +
				   flush->ranges[flush->nr_ranges - 1].count <=
			   range.first);
	flush->ranges[flush->nr_ranges++] = range;
}

/* Let @last reach to the end of @range, which begins in it or just behind it.
 */
static void extend(struct gln_range *last, struct gln_range range)
{
	const uint64_t end = range.first - last->first + range.count;

	if (end > last->count)
		last->count = end;
}

void glni_flush_add_any(struct gln_flush *flush, struct gln_range range,
			unsigned int max)
{
	struct gln_range *const last =
		flush->nr_ranges ? &flush->ranges[flush->nr_ranges - 1] : NULL;

	if (flush->whole_slot || !last ||
	    (range.first > last->first &&
	     range.first - last->first > last->count)) {
		glni_flush_add(flush, range, max);
		return;
	}

	flush->nr_pages += range.count;
	if (range.first >= last->first) {
		extend(last, range);
	} else {
		flush->whole_slot = true;
		flush->nr_ranges = 0;
	}
}
