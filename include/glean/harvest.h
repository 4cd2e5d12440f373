/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.h - take the dirty pages of a memslot as a transaction, losing none.
 *
 *   G1  No lost write: marks are taken, pages protected, translations flushed,
 *       in this order, before begin returns. Copy the pages after it.
 *   G4  Exact runs: what is protected, and what next() gives, are maximal runs
 *       of dirty pages; never a clean page between them. Only prices (struct
 *       gln_prices) have some of these protected; next() gives none.
 *   G5  Begin, walk, commit or abort, in part or in whole. After an abort, or
 *       any error, every mark not committed is back.
 *   G6  Nothing here allocates.
 *   G7  A harvest takes a budget and a cursor; it can stop and go on.
 *   G8  Once begin has returned, no vCPU can write a reported page without
 *       marking it again; but of pages that were merged into a harvest their
 *       sources see to that (merge.h).
 *
 *	struct gln_harvest_params params = {
 *		.struct_bytes = sizeof(params),
 *	};
 *	struct gln_harvest *harvest;
 *	struct gln_range run[64];
 *	size_t nr;
 *
 *	err = gln_harvest_begin(vm, slot, &params, &harvest);
 *	while ((nr = gln_harvest_next(harvest, run, 64)))
 *		copied = copied && copy_pages(run, nr);
 *	if (copied)
 *		gln_harvest_commit(harvest);
 *	else
 *		gln_harvest_abort(harvest);
 */
#ifndef GLN_HARVEST_H
#define GLN_HARVEST_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_harvest;

/**
 * enum gln_harvest_strategy - how marks are taken.
 *
 * @GLN_HARVEST_AUTO:	exchange when little is dirty or under a budget, else
 *		flip; decided by how much the summary says is dirty, and by what
 *		both have cost this slot before.
 * @GLN_HARVEST_EXCHANGE: exchange the words that are set; what a budget does
 *		not reach stays where it is.
 * @GLN_HARVEST_FLIP:	give vCPUs another, empty bitmap and wait a grace
 *		period; then the old one is read with no atomic access and no
 *		copy. Takes all of the slot.
 */
enum gln_harvest_strategy {
	GLN_HARVEST_AUTO = 0,
	GLN_HARVEST_EXCHANGE = 1,
	GLN_HARVEST_FLIP = 2,
};

/**
 * struct gln_harvest_params - how much to take, and from where.
 *
 * @struct_bytes: sizeof(struct gln_harvest_params).
 * @first_page:	page of the slot to start at: 0, or an earlier harvest's
 *		gln_harvest_report.next_page.
 * @max_pages:	take at most so many pages; 0 is no limit.
 * @max_ns:	stop looking for pages after so long; 0 is no limit. Read once
 *		every 32768 pages, and always after some progress;
 *		protecting and flushing what was taken comes on top, and what
 *		GLN_VM_QUICK_MARKS has it wait for.
 * @strategy:	FLIP goes with neither budget nor cursor.
 */
struct gln_harvest_params {
	size_t struct_bytes;
	uint64_t first_page;
	uint64_t max_pages;
	uint64_t max_ns;
	enum gln_harvest_strategy strategy;
};

/**
 * struct gln_harvest_report - the record of a harvest.
 *
 * Times are of gln_plat_now_ns(), read between steps that happened and nowhere
 * else: where nothing was taken there is nothing to protect, flush or deliver,
 * and these are 0.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @nr_pages:	pages taken, and merged into it (merge.h).
 * @nr_runs:	ranges handed to the backend: maximal runs, joined where prices
 *		say so; 0 where it has nothing to protect or flush.
 * @next_page:	where a harvest that goes on must start; the slot's number of
 *		pages when this one reached the end.
 * @take_ns:	collecting and taking marks.
 * @protect_ns:	making pages not writable.
 * @flush_ns:	flushing translations.
 * @protect_calls: calls of the backend, each with a vector of runs.
 * @collect_ns:	the part of @take_ns that the backend's collect took.
 * @begin_ns:	all of begin: @take_ns, @protect_ns and @flush_ns, and nothing
 *		between them is left out.
 * @deliver_ns:	since begin returned, up to this report: walking the runs, and
 *		whatever the caller did with them.
 * @collect_calls: calls of the backend's collect.
 * @flushes:	calls of the backend's flush: 0 or 1.
 * @flush_ranges: ranges it was given; 0 where the plan was the whole slot.
 * @bytes_read:	of dirty words that the take looked at, in whole cache lines of
 *		64; levels of summary not included.
 * @atomics:	words that the take exchanged, those of the summary included;
 *		what it put back is not.
 * @empty_lines: cache lines of @bytes_read that the summary falsely said held a
 *		mark. These three are 0 for a flip, whose take looks at no
 *		word, and for a harvest of the whole VM, which does not count.
 * @gap_pages:	clean pages that were protected because they lie between two
 *		runs; 0 unless the embedder asked for that.
 */
struct gln_harvest_report {
	size_t struct_bytes;
	uint64_t nr_pages;
	uint64_t nr_runs;
	uint64_t next_page;
	uint64_t take_ns;
	uint64_t protect_ns;
	uint64_t flush_ns;
	uint64_t protect_calls;
	uint64_t collect_ns;
	uint64_t begin_ns;
	uint64_t deliver_ns;
	uint64_t collect_calls;
	uint64_t flushes;
	uint64_t flush_ranges;
	uint64_t bytes_read;
	uint64_t atomics;
	uint64_t empty_lines;
	uint64_t gap_pages;
};

/**
 * gln_harvest_begin() - take marks, protect the pages, flush.
 * @id:		slot to harvest.
 * @params:	budget and cursor.
 * @harvest:	the transaction; lives until its commit or abort.
 *
 * Context: any thread that may sleep, outside every RCU read-side section: it
 * may wait for marks under way. One harvest a slot at a time, others on other
 * slots.
 * Return: 0; -EINVAL for a wrong @struct_bytes or strategy, an id out of bounds
 * or a @first_page past the slot's end; -ENOENT if there is no such slot or it
 * is not logged; -EBUSY if a harvest of it is open; -ENXIO if the VM logs in
 * rings only and nothing of the slot is marked elsewhere (ring.h); or what the
 * backend's collect, protect or flush said. On failure every mark is back and
 * @harvest untouched.
 */
GLN_PUBLIC int gln_harvest_begin(struct gln_vm *vm, uint32_t id,
				 const struct gln_harvest_params *params,
				 struct gln_harvest **harvest);

/**
 * gln_harvest_report() - what begin did, in figures.
 *
 * After a flip for a backend without protect or flush nobody has counted the
 * pages yet; then this call reads the snapshot to do it. The commit counts as
 * it goes, at no cost.
 *
 * Context: the harvester.
 * Return: 0; -EINVAL if @report->struct_bytes is smaller than the member itself
 * or larger than this library knows.
 */
GLN_PUBLIC int gln_harvest_report(struct gln_harvest *harvest,
				  struct gln_harvest_report *report);

/**
 * gln_harvest_next() - the next runs of pages taken, ascending.
 * @ranges:	room for @max_ranges; in frames of the guest, not of the slot.
 *		What is behind those that were written may be written to.
 *
 * A run is cut only where it was committed or aborted in part. The walk is over
 * what was not settled yet; it starts over after gln_harvest_rewind(), and
 * after a merge that brought something new.
 *
 * Context: the harvester.
 * Return: how many ranges were written; 0 at the end, or if @max_ranges is 0.
 */
GLN_PUBLIC size_t gln_harvest_next(struct gln_harvest *harvest,
				   struct gln_range *ranges, size_t max_ranges);

/**
 * gln_harvest_rewind() - walk from the first unsettled page again.
 *
 * Context: the harvester.
 */
GLN_PUBLIC void gln_harvest_rewind(struct gln_harvest *harvest);

/**
 * gln_harvest_commit_range() - these pages were dealt with; forget them.
 * gln_harvest_abort_range() - these were not; mark them again.
 *
 * What of @range is not in the harvest, or was settled before, is left alone.
 *
 * Context: the harvester.
 * Return: pages settled.
 */
GLN_PUBLIC uint64_t gln_harvest_commit_range(struct gln_harvest *harvest,
					     struct gln_range range);
GLN_PUBLIC uint64_t gln_harvest_abort_range(struct gln_harvest *harvest,
					    struct gln_range range);

/**
 * gln_harvest_commit() - all that is left was dealt with; end the harvest.
 * gln_harvest_abort() - all that is left was not; mark it again and end.
 *
 * Context: the harvester. @harvest is gone afterwards.
 * Return: pages settled.
 */
GLN_PUBLIC uint64_t gln_harvest_commit(struct gln_harvest *harvest);
GLN_PUBLIC uint64_t gln_harvest_abort(struct gln_harvest *harvest);

GLN_END_DECLS

#endif
