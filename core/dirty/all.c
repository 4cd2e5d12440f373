/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * all.c - harvest several slots as one: take, protect, flush. all_settle.c has
 * what becomes of it.
 */
#include "core/dirty/all.h"

#include "core/dirty/arm.h"
#include "core/dirty/harvest.h"
#include "core/wp/join.h"
#include "core/wp/price.h"

/* A backend's, which is the same for all. */
static bool has_cap(const struct gln_vm_harvest *all, uint32_t caps)
{
	const struct gln_backend *const backend = all->first->backend;

	return backend && (backend->ops->caps & caps);
}

/* Not shared: nobody knows yet whether there is anything to do. */
static int collect(struct gln_vm_harvest *all)
{
	int err = 0;

	for (struct gln_harvest *h = all->first; h && !err; h = h->next)
		err = glni_harvest_collect(h, 0, log_nr_pages(h->log));

	return err;
}

/* The first half: choose, and give vCPUs other bitmaps. True if any flips. */
static bool publish_flips(struct gln_vm_harvest *all,
			  const struct gln_harvest_params *params)
{
	bool any = false;

	for (struct gln_harvest *h = all->first; h; h = h->next) {
		h->is_flipped = glni_harvest_wants_flip(h, params);
		if (!h->is_flipped)
			continue;
		slot_publish_marks(h->slot, log_other(h->log));
		any = true;
	}

	return any;
}

/* The second half: whoever marks in the old ones has left them. */
static void finish_flips(struct gln_vm_harvest *all)
{
	for (struct gln_harvest *h = all->first; h; h = h->next)
		if (h->is_flipped) {
			log_make_live(h->log, log_other(h->log));
			h->is_empty = false;
		}
}

/* Of those that do not flip. True if any line may hold a mark. */
static bool take_summaries(struct gln_vm_harvest *all)
{
	bool any = false;

	for (struct gln_harvest *h = all->first; h; h = h->next) {
		if (h->is_flipped)
			continue;
		h->is_empty =
			!glni_bitmap_take_summary(h->log->live, &h->log->snap);
		any |= !h->is_empty;
	}

	return any;
}

static enum fence_form form_of(const struct gln_vm_harvest *all)
{
	return all->first->log->live->fence;
}

/* For flips, and between summaries and words: one grace period does for both.
 */
static void wait_for_markers(const struct gln_vm_harvest *all, bool any_flips,
			     bool any_lines)
{
	const enum fence_form form = form_of(all);

	if (any_flips && !GLN_BREAK_NO_GRACE)
		glni_synchronize();
	/* sync all.1 (seq_cst) <-> mark.5: as take.2, for all slots. */
	if (any_lines && !(any_flips && form == FENCE_GRACE))
		glni_fence_taken(form);
}

void glni_all_count_lines(struct gln_vm_harvest *all)
{
	uint64_t nr = 0;

	all->nr_lines = 0;
	if (!all->workers || all->workers->nr_workers < 2)
		return;
	for (struct gln_harvest *h = all->first; h; h = h->next) {
		const struct snapshot *const snap = &h->log->snap;
		const uint64_t nr_words =
			h->is_empty ? 0
				    : bitmap_nr_summary_words(snap->nr_pages);

		for (uint64_t i = 0; i < nr_words && nr < SHARE_LINES_PLAIN;
		     i++)
			nr += gln_popcount64(snap->taken[i]);
	}
	all->nr_lines = nr;
}

static int take_part(const struct part *part)
{
	struct gln_harvest *const harvest = part->harvest;
	struct log *const log = harvest->log;

	if (!harvest->is_flipped)
		dirty_count(&harvest->sums.nr_pages,
			    glni_bitmap_take_lines(log->live, &log->snap,
						   part->first, part->end));
	return 0;
}

static const struct step take_step = {
	.do_part = take_part,
	.part_pages = PART_PAGES,
	.share_lines = SHARE_LINES,
};

/* The words of all lines that hold something, of slots that do not flip. */
static void take_words(struct gln_vm_harvest *all)
{
	bool any = false;

	glni_parts_do(all, &take_step);

	for (struct gln_harvest *h = all->first; h; h = h->next) {
		if (h->is_flipped)
			continue;
		h->report.nr_pages = sums_pages(h);
		h->is_empty = !h->report.nr_pages;
		any |= !h->is_empty;
	}
	/* sync all.2 (seq_cst) <-> mark.1: as take.4, for all slots. */
	if (any)
		glni_fence_heavy(form_of(all));
}

static int take_marks(struct gln_vm_harvest *all,
		      const struct gln_vm_harvest_params *theirs)
{
	const struct gln_harvest_params params = {.strategy = theirs->strategy};
	bool any_flips, any;
	int err = collect(all);

	if (err)
		return err;
	any_flips = publish_flips(all, &params);
	any = take_summaries(all);
	wait_for_markers(all, any_flips, any);
	finish_flips(all);
	glni_all_count_lines(all);
	if (any)
		take_words(all);

	for (struct gln_harvest *h = all->first; h; h = h->next)
		h->report.next_page = log_nr_pages(h->log);
	return 0;
}

/* Name runs in the slot's flush plan, in any order, as long as there is room.
 */
static void note_runs(struct gln_harvest *harvest, const struct gln_range *runs,
		      size_t nr)
{
	/* Relaxed: each gets other places in the plan; P2 orders them. */
	const uint64_t place =
		gln_fetch_add_relaxed(&harvest->sums.nr_runs, nr);
	uint64_t nr_pages = 0;

	for (size_t i = 0; i < nr; i++) {
		nr_pages += runs[i].count;
		if (place + i < GLN_FLUSH_RANGES)
			harvest->flush.ranges[place + i] = runs[i];
	}
	dirty_count(&harvest->sums.nr_pages, nr_pages);
}

static int protect_part(const struct part *part)
{
	struct gln_harvest *const harvest = part->harvest;
	const gln_gfn base = harvest->slot->face.base + part->first;
	struct gln_range runs[RUNS_A_CALL];
	struct join_walk walk;
	uint64_t nr_calls = 0;
	int err = 0;
	size_t nr;

	glni_joins_start(&walk, &part->snap, harvest_kernel(harvest),
			 glni_harvest_max_gap(harvest));
	while (!err && (nr = glni_joins_next(&walk, base, runs, RUNS_A_CALL))) {
		note_runs(harvest, runs, nr);
		err = glni_harvest_protect(harvest, runs, nr, &nr_calls);
	}
	dirty_count(&harvest->sums.protect_calls, nr_calls);
	dirty_count(&harvest->sums.gap_pages, walk.gap_pages);

	return err;
}

static const struct step protect_slot_step = {
	.do_part = protect_part,
	.part_pages = WHOLE_SLOT,
	.share_lines = SHARE_LINES,
};

static const struct step protect_step = {
	.do_part = protect_part,
	.part_pages = PART_PAGES,
	.share_lines = SHARE_LINES,
};

/* Put a range where it belongs among @nr that ascend. */
static void insert(struct gln_range *ranges, unsigned int nr,
		   struct gln_range range)
{
	while (nr && ranges[nr - 1].first > range.first) {
		ranges[nr] = ranges[nr - 1];
		nr--;
	}
	ranges[nr] = range;
}

/* Join ranges that touch: they were cut between parts. Returns how many. */
static unsigned int join(struct gln_range *ranges, unsigned int nr)
{
	unsigned int last = 0;

	if (!nr)
		return 0;
	for (unsigned int i = 1; i < nr; i++) {
		struct gln_range *const before = &ranges[last];

		if (before->first + before->count == ranges[i].first)
			before->count += ranges[i].count;
		else
			ranges[++last] = ranges[i];
	}

	return last + 1;
}

/* Workers named the runs: make a plan of them. */
static void finish_plan(struct gln_harvest *harvest)
{
	struct gln_flush *const flush = &harvest->flush;
	const uint64_t nr_runs = gln_load_relaxed(&harvest->sums.nr_runs);

	harvest->report.nr_runs = nr_runs;
	harvest->report.gap_pages = gln_load_relaxed(&harvest->sums.gap_pages);
	harvest->report.nr_pages =
		sums_pages(harvest) - harvest->report.gap_pages;
	harvest->report.protect_calls =
		gln_load_relaxed(&harvest->sums.protect_calls);
	flush->nr_pages = sums_pages(harvest);
	flush->whole_slot =
		nr_runs > glni_price_flush_ranges(&harvest->backend->prices);
	if (flush->whole_slot)
		return;

	for (unsigned int i = 1; i < nr_runs; i++)
		insert(flush->ranges, i, flush->ranges[i]);
	flush->nr_ranges = join(flush->ranges, (unsigned int)nr_runs);
}

static int protect(struct gln_vm_harvest *all)
{
	const bool in_parts = has_cap(all, GLN_CAP_PARTS);
	int err;

	for (struct gln_harvest *h = all->first; h; h = h->next) {
		sums_clear(h);
		glni_flush_start(&h->flush);
	}
	err = glni_parts_do(all, in_parts ? &protect_step : &protect_slot_step);
	for (struct gln_harvest *h = all->first; h; h = h->next) {
		if (h->is_empty)
			continue;
		finish_plan(h);
		all->report.nr_runs += h->report.nr_runs;
		all->report.protect_calls += h->report.protect_calls;
		dirty_count(&h->stats->harvested_runs, h->report.nr_runs);
		dirty_count(&h->stats->protect_calls, h->report.protect_calls);
		dirty_count(&h->stats->gap_pages, h->report.gap_pages);
	}

	return err;
}

/* One flush for the guest, where there is such a thing and it saves any. */
static int flush(struct gln_vm_harvest *all)
{
	struct gln_backend *const backend = all->first->backend;
	unsigned int nr = 0;
	int err = 0;

	if (GLN_BREAK_NO_FLUSH || !has_cap(all, GLN_CAP_FLUSH))
		return 0;
	for (struct gln_harvest *h = all->first; h; h = h->next)
		nr += h->flush.nr_pages != 0;
	if (nr > 1 && backend->ops->flush_all) {
		all->report.flush_calls++;
		dirty_count(&all->first->stats->flushes, 1);
		return backend->ops->flush_all(backend);
	}

	for (struct gln_harvest *h = all->first; h && !err; h = h->next) {
		if (!h->flush.nr_pages)
			continue;
		all->report.flush_calls++;
		err = glni_harvest_flush(h);
	}
	return err;
}

static int arm(struct gln_vm_harvest *all, uint64_t *now_ns)
{
	struct dirty_stats *const stats = all->first->stats;
	uint64_t protected_ns;
	int err;

	if (!all_holds_any(all) ||
	    !has_cap(all, GLN_CAP_PROTECT | GLN_CAP_FLUSH))
		return 0;

	err = protect(all);
	protected_ns = gln_plat_now_ns();
	all->report.protect_ns =
		dirty_time(stats, GLN_STEP_PROTECT, *now_ns, protected_ns);
	*now_ns = protected_ns;
	if (err)
		return err;

	err = flush(all);
	*now_ns = gln_plat_now_ns();
	all->report.flush_ns =
		dirty_time(stats, GLN_STEP_FLUSH, protected_ns, *now_ns);
	return err;
}

/* What is not settled can be walked, slot by slot. */
static void start_walks(struct gln_vm_harvest *all)
{
	for (struct gln_harvest *h = all->first; h; h = h->next)
		if (!h->is_empty)
			glni_runs_start(&h->walk, &h->log->snap,
					h->log->live->kernel);
}

int glni_all_take(struct gln_vm_harvest *all,
		  const struct gln_vm_harvest_params *params)
{
	struct dirty_stats *const stats = all->first->stats;
	const uint64_t start_ns = gln_plat_now_ns();
	uint64_t now_ns;
	int err;

	for (struct gln_harvest *h = all->first; h; h = h->next)
		sums_clear(h);
	err = take_marks(all, params);
	now_ns = gln_plat_now_ns();
	all->report.take_ns =
		dirty_time(stats, GLN_STEP_TAKE, start_ns, now_ns);
	if (!err)
		err = arm(all, &now_ns);
	if (err) {
		glni_all_put_back(all);
		dirty_count(&stats->failed_harvests, 1);
		return err;
	}

	dirty_time(stats, GLN_STEP_BEGIN, start_ns, now_ns);
	all->begun_ns = now_ns;
	start_walks(all);
	return 0;
}
