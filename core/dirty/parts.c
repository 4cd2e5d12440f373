/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.c - the same step for all parts, by as many threads as there are.
 */
#include "core/dirty/parts.h"

#include "core/dirty/log.h"

/** struct claim - the slot in which a worker's last part was. */
struct claim {
	struct gln_harvest *harvest;
	uint64_t nr_before; /* parts of the slots before */
};

/* Where nothing was taken there is nothing to do. */
static uint64_t nr_parts(const struct gln_vm_harvest *all,
			 const struct gln_harvest *harvest)
{
	return harvest->is_empty ? 0
				 : gln_div_up(log_nr_pages(harvest->log),
					      all->part_pages);
}

/* Numbers ascend for each worker, so he goes on from his last slot. */
static bool find_part(const struct gln_vm_harvest *all, uint64_t nr,
		      struct claim *claim, struct part *part)
{
	const struct snapshot *snap;
	uint64_t nr_pages, in_slot;

	while (claim->harvest &&
	       nr - claim->nr_before >= nr_parts(all, claim->harvest)) {
		claim->nr_before += nr_parts(all, claim->harvest);
		claim->harvest = claim->harvest->next;
	}
	if (!claim->harvest)
		return false;

	in_slot = nr - claim->nr_before;
	nr_pages = log_nr_pages(claim->harvest->log);
	snap = &claim->harvest->log->snap;
	part->all = all;
	part->harvest = claim->harvest;
	part->first = in_slot * all->part_pages;
	part->end =
		part->first + gln_min(nr_pages - part->first, all->part_pages);
	part->snap = (struct snapshot){
		.nr_pages = part->end - part->first,
		.words = &snap->words[part->first >> GLN_WORD_SHIFT],
		.taken = &snap->taken[part->first >> SUMMARY_WORD_SHIFT],
	};
	return true;
}

/* What each worker does: the next part that nobody has, until there is none. */
static void help(void *arg)
{
	struct gln_vm_harvest *const all = arg;
	struct claim claim = {.harvest = all->first};
	struct part part;
	int err = 0;

	/* Relaxed: to stop sooner where another failed. */
	while (!err && !gln_load_relaxed(&all->err)) {
		/* Relaxed: each gets another; what is in them, P2 orders. */
		const uint64_t nr = gln_fetch_add_relaxed(&all->next_part, 1);

		if (!find_part(all, nr, &claim, &part))
			return;
		err = all->step->do_part(&part);
	}
	if (err) {
		int none = 0;

		/* Relaxed: read when all have come back. */
		gln_cas_strong_relaxed(&all->err, &none, err);
	}
}

/* Is there more than one part, and enough in them? Sets what a part is. */
static bool cut(struct gln_vm_harvest *all, const struct step *step)
{
	uint64_t nr = 0;

	if (!all->workers || all->workers->nr_workers < 2 ||
	    all->nr_lines < step->share_lines)
		return false;
	all->part_pages = step->part_pages;
	for (struct gln_harvest *h = all->first; h && nr < 2; h = h->next)
		nr += nr_parts(all, h);

	return nr > 1;
}

int glni_parts_do(struct gln_vm_harvest *all, const struct step *step)
{
	const bool is_shared = cut(all, step);

	all->step = step;
	/* Relaxed, these and the one at the end: P2. */
	gln_store_relaxed(&all->next_part, 0);
	gln_store_relaxed(&all->err, 0);
	if (is_shared) {
		all->report.is_shared |= step->part_pages != WHOLE_SLOT;
		all->workers->run(all->workers, help, all);
	} else {
		all->part_pages = WHOLE_SLOT;
	}
	/* What is left: all of it, or, if an embedder calls nobody, that too.
	 */
	help(all);

	return gln_load_relaxed(&all->err);
}
