/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.h - mark in one slot's bitmap what several sources say.
 */
#ifndef GLN_CORE_DIRTY_MERGE_H
#define GLN_CORE_DIRTY_MERGE_H

#include "core/dirty/source.h"
#include "core/slot/slot.h"

/**
 * struct merge - a merge under way. The caller sets the first four.
 *
 * @page_shift:	the VM's.
 * @snap:	NULL; or of an open harvest: to merge there, not into the log.
 * @budget:	lines that are left to this read-side section.
 * @is_started:	counts are the sources' own, not what the caller left there.
 * @in_lists:	all bitmaps and bytes are merged.
 * @next:	the first source of this pass, or the list.
 * @line:	the next to look at in this pass.
 * @base:	of the slot when @line was the next.
 * @entry:	of a list, the next to read.
 * @rest:	frames of the entry read last that are still to be marked. It is
 *		not read again: it may say something else by then.
 */
struct merge {
	struct gln_source *sources;
	size_t nr_sources;
	unsigned int page_shift;
	struct snapshot *snap;
	uint64_t budget;
	bool is_started;
	bool in_lists;
	size_t next;
	uint64_t line;
	gln_gfn base;
	uint64_t entry;
	struct gln_range rest;
};

/** glni_merge_is_valid() - do the sources make sense? */
bool glni_merge_is_valid(const struct gln_source *sources, size_t nr_sources);

/**
 * glni_merge_some() - go on in @slot, which marks in @marks, until @budget
 * lines, at least one, were gone through. In a read-side section, on valid
 * sources.
 *
 * Return: true when all is merged.
 */
bool glni_merge_some(struct merge *merge, const struct slot *slot,
		     struct bitmap *marks, uint64_t budget);

#endif
