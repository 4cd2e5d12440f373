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

void glni_flush_add(struct gln_flush *flush, struct gln_range range)
{
	flush->nr_pages += range.count;
	if (flush->whole_slot)
		return;

	if (flush->nr_ranges == GLN_FLUSH_RANGES) {
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
