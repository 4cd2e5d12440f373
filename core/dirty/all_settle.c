/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * all_settle.c - what becomes of several slots that were taken as one: counted,
 * handed out, and then dropped or put back.
 */
#include "core/dirty/all.h"

static bool is_counted(const struct gln_harvest *harvest)
{
	return harvest->is_empty || harvest->report.nr_pages;
}

/* Not shared: who visits may ask, and the parts are being visited then. */
void glni_all_count(struct gln_vm_harvest *all)
{
	for (struct gln_harvest *h = all->first; h; h = h->next)
		if (!is_counted(h))
			h->report.nr_pages =
				h->nr_settled +
				glni_snapshot_count(&h->log->snap,
						    harvest_kernel(h));
}

static int visit_part(const struct part *part)
{
	const gln_gfn base = part->harvest->slot->face.base + part->first;
	struct gln_range runs[RUNS_A_CALL];
	struct run_walk walk;
	size_t nr;

	glni_runs_start(&walk, &part->snap, part->harvest->log->live->kernel);
	while ((nr = glni_runs_next(&walk, base, runs, RUNS_A_CALL)))
		part->all->visit(part->all->ctx, runs, nr);

	return 0;
}

static const struct step visit_step = {
	.do_part = visit_part,
	.part_pages = PART_PAGES,
	.share_lines = SHARE_LINES_VISIT,
};

void glni_all_visit(struct gln_vm_harvest *all)
{
	glni_all_count_lines(all); /* merges add to what begin saw */
	glni_parts_do(all, &visit_step);
}

static int drain_part(const struct part *part)
{
	struct gln_harvest *const harvest = part->harvest;

	dirty_count(&harvest->sums.nr_pages,
		    glni_snapshot_drain_words(&part->snap,
					      harvest_kernel(harvest)));
	return 0;
}

static const struct step drain_step = {
	.do_part = drain_part,
	.part_pages = PART_PAGES,
	.share_lines = SHARE_LINES_PLAIN,
};

static int put_back_part(const struct part *part)
{
	struct log *const log = part->harvest->log;

	dirty_count(&part->harvest->sums.nr_pages,
		    glni_snapshot_put_back(&log->snap, log->live, part->first,
					   part->end));
	return 0;
}

static const struct step put_back_step = {
	.do_part = put_back_part,
	.part_pages = PART_PAGES,
	.share_lines = SHARE_LINES,
};

/* The sum of what @step finds; the snapshots are empty afterwards. */
static uint64_t empty(struct gln_vm_harvest *all, const struct step *step)
{
	struct dirty_stats *const stats = all->first->stats;
	uint64_t nr = 0;

	if (!all_holds_any(all))
		return 0;
	for (struct gln_harvest *h = all->first; h; h = h->next)
		sums_clear(h);
	glni_all_count_lines(all);
	glni_parts_do(all, step);
	for (struct gln_harvest *h = all->first; h; h = h->next) {
		nr += sums_pages(h);
		if (!h->is_empty)
			glni_snapshot_reset(&h->log->snap);
	}
	dirty_count(&stats->harvested_pages, nr);
	if (all->begun_ns)
		dirty_time(stats, GLN_STEP_DELIVER, all->begun_ns,
			   gln_plat_now_ns());

	return nr;
}

uint64_t glni_all_drop(struct gln_vm_harvest *all)
{
	return empty(all, &drain_step);
}

uint64_t glni_all_put_back(struct gln_vm_harvest *all)
{
	struct dirty_stats *const stats = all->first->stats;
	const uint64_t nr = empty(all, &put_back_step);

	dirty_count(&stats->aborted_pages, nr);
	return nr;
}
