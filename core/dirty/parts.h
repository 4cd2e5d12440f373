/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.h - harvests of several slots as one, in parts that threads share.
 *
 *   one thread                       all of them, a part at a time
 *     collect, slot by slot
 *     summaries, all levels
 *     fence
 *                              ->      words of taken lines
 *     fence                    ->      protect
 *     flush
 *                              ->      hand out; then drain, or put back
 *
 *   P1  Two parts share no word and no cache line of a bitmap, of its summary
 *       or of a snapshot: a part is so many pages of a slot, its last one may
 *       be shorter. Levels above the summary are the one thread's.
 *   P2  Between two steps on the left everybody has come back: gln_workers.run
 *       orders what one thread does before and after.
 *   P3  Parts do not depend on each other, so that whoever comes takes the next
 *       and nobody waits for anybody.
 */
#ifndef GLN_CORE_DIRTY_PARTS_H
#define GLN_CORE_DIRTY_PARTS_H

#include <glean/vm_harvest.h>

#include "core/base/atomic.h"
#include "core/bitmap/bitmap.h"

enum {
	/*
	 * Pages of a part: 256 KiB of words, and 512 bytes of summary. That is
	 * tens of microseconds of work, so that claiming one costs nothing, and
	 * 128 parts a TiB, so that workers end at about the same time.
	 */
	PART_PAGES = 64 * SUMMARY_WORD_PAGES,
	/*
	 * Lines that hold something from which on others are called: going
	 * through them takes longer than waking threads, 50 us and more. That
	 * is 5 ns a line where words are read or cleared, 100 ns and more where
	 * each takes locked operations or a backend's work, and anything where
	 * a caller copies pages.
	 */
	SHARE_LINES_PLAIN = 65536,
	SHARE_LINES = 4096,
	SHARE_LINES_VISIT = 64,
};

_Static_assert(PART_PAGES / SUMMARY_WORD_PAGES % LINE_WORDS == 0,
	       "P1: parts share no line of the summary");

/** struct part_sums - what workers count about one slot, side by side. */
struct part_sums {
	gln_word nr_pages;
	gln_word nr_runs;
	gln_word gap_pages; /* clean, of @nr_pages */
	gln_word protect_calls;
};

struct part;

/**
 * struct step - what is to be done to every part.
 *
 * @do_part:	0, or an error that ends all.
 * @part_pages:	PART_PAGES, or WHOLE_SLOT.
 * @share_lines: with so many lines it is shared.
 */
struct step {
	int (*do_part)(const struct part *part);
	uint64_t part_pages;
	uint64_t share_lines;
};

/**
 * struct gln_vm_harvest - in the log of the first slot that is in it, so that
 * it is the claimant's and there is nothing to allocate.
 *
 * @first:	of the harvests, by base; they are linked.
 * @nr_lines:	lines that hold something, of all slots.
 * @begun_ns:	clock at the end of begin; 0 until then.
 * @step:	what is being done to the parts, by all workers.
 * @part_pages:	of a part, now.
 * @next_part:	who claims it does it.
 * @err:	the first error of a worker.
 * @visit, @ctx: of the caller who walks.
 */
struct gln_vm_harvest {
	struct gln_harvest *first;
	struct gln_workers *workers;
	struct gln_vm_harvest_report report;
	uint64_t nr_lines;
	uint64_t begun_ns;
	const struct step *step;
	uint64_t part_pages;
	gln_word next_part;
	_Atomic(int) err;
	void (*visit)(void *ctx, const struct gln_range *runs, size_t nr_runs);
	void *ctx;
};

/** Not to be cut: all of a slot is one part. */
#define WHOLE_SLOT UINT64_MAX

/**
 * struct part - pages [first, end) of a slot.
 *
 * @snap:	that part of its snapshot. Its levels are not its own.
 */
struct part {
	const struct gln_vm_harvest *all;
	struct gln_harvest *harvest;
	uint64_t first;
	uint64_t end;
	struct snapshot snap;
};

/**
 * glni_parts_do() - do @step to every part, where something was taken; by all
 * workers if that is worth it, else slot by slot, none of them cut.
 *
 * Return: 0, or the first error. Parts after that may not have been done.
 */
int glni_parts_do(struct gln_vm_harvest *all, const struct step *step);

#endif
