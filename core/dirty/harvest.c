/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.c - begin, take; and what becomes of what was taken. See arm.c.
 */
#include "core/dirty/harvest.h"

#include "core/base/memory.h"
#include "core/base/probe.h"
#include "core/dirty/arm.h"

enum {
	/* Pages looked at between two readings of the budget: 8 GiB of 4 KiB.
	 */
	WINDOW_PAGES = 64 * SUMMARY_WORD_PAGES,
};

struct gln_harvest *glni_harvest_start(struct slot *slot,
				       struct gln_backend *backend,
				       struct dirty_stats *stats)
{
	struct gln_harvest *const harvest = &slot->log->harvest;

	harvest->backend = backend;
	harvest->slot = slot;
	harvest->log = slot->log;
	harvest->stats = stats;
	harvest->is_empty = true;
	harvest->begun_ns = 0;
	harvest->nr_settled = 0;
	memset(&harvest->report, 0, sizeof(harvest->report));
	/* Nothing to walk yet: a clean slot's snapshot is not looked at. */
	harvest->walk = (struct run_walk){.snap = &harvest->log->snap};

	return harvest;
}

int glni_harvest_collect(struct gln_harvest *harvest, uint64_t first,
			 uint64_t end)
{
	const struct gln_range range = {
		.first = harvest->slot->face.base + first,
		.count = end - first,
	};

	struct gln_harvest_report *const report = &harvest->report;
	uint64_t start_ns;
	int err;

	if (!harvest_has_cap(harvest, GLN_CAP_COLLECT))
		return 0;

	start_ns = gln_plat_now_ns();
	err = harvest->backend->ops->collect(harvest->backend,
					     &harvest->slot->face, range);
	report->collect_calls++;
	report->collect_ns += dirty_time(harvest->stats, GLN_STEP_COLLECT,
					 start_ns, gln_plat_now_ns());
	return err;
}

/* Without budget or cursor a harvest takes all of the slot. */
static bool is_whole(const struct gln_harvest_params *params)
{
	return !params->max_pages && !params->max_ns && !params->first_page;
}

/* Where the window that holds @page ends. */
static uint64_t window_end(uint64_t page, uint64_t nr_pages)
{
	return gln_min((page / WINDOW_PAGES + 1) * WINDOW_PAGES, nr_pages);
}

/*
 * Exchange what is set for 0, window by window, until the budget is spent. What
 * is not reached stays where it is, so a small budget is little work whatever
 * is dirty.
 */
static int exchange(struct gln_harvest *harvest,
		    const struct gln_harvest_params *params, uint64_t now_ns)
{
	struct log *const log = harvest->log;
	struct gln_harvest_report *const report = &harvest->report;
	const uint64_t nr_pages = log_nr_pages(log);
	const uint64_t max_pages =
		params->max_pages ? params->max_pages : UINT64_MAX;
	const uint64_t deadline_ns =
		params->max_ns
			? now_ns + gln_min(params->max_ns, UINT64_MAX - now_ns)
			: 0;
	const bool budgeted = params->max_pages || params->max_ns;
	bool spent = false;
	int err = 0;

	report->next_page = params->first_page;
	while (report->next_page < nr_pages && !spent) {
		const struct take_limits limits = {
			.first = report->next_page,
			.end = budgeted
				       ? window_end(report->next_page, nr_pages)
				       : nr_pages,
			.max_pages = max_pages - report->nr_pages,
			.deadline_ns = deadline_ns,
		};
		struct take_result result;

		if (!is_whole(params))
			err = glni_harvest_collect(harvest, limits.first,
						   limits.end);
		if (err)
			return err;
		result = glni_bitmap_take(log->live, &log->snap, &limits);
		report->nr_pages += result.nr_pages;
		report->next_page = result.next_page;
		report->bytes_read +=
			result.nr_looked * LINE_WORDS * GLN_WORD_BYTES;
		report->atomics += result.nr_atomics;
		report->empty_lines += result.nr_empty;
		harvest->is_empty = !report->nr_pages;
		spent = report->nr_pages == max_pages ||
			(deadline_ns && gln_plat_now_ns() >= deadline_ns);
	}

	return 0;
}

/*
 * Take everything, by making the other bitmap the live one. Who marked in the
 * old one has left it when the grace period ends, and what he made writable is
 * there to be protected: no fence, no atomic access, no copy.
 */
static void flip(struct gln_harvest *harvest)
{
	struct log *const log = harvest->log;
	struct bitmap *const next = &log->maps[log->live == &log->maps[0]];

	slot_publish_marks(harvest->slot, next);
	if (!GLN_BREAK_NO_GRACE)
		glni_synchronize();
	log_make_live(log, next);
	harvest->is_empty = false;
	harvest->report.next_page = log_nr_pages(log);
}

/* Is the strategy that is cheaper for what is marked, or was chosen, to flip?
 */
bool glni_harvest_wants_flip(const struct gln_harvest *harvest,
			     const struct gln_harvest_params *params)
{
	const struct log *const log = harvest->log;
	uint64_t enough;

	if (params->strategy != GLN_HARVEST_AUTO || !is_whole(params))
		return params->strategy == GLN_HARVEST_FLIP;
	enough = strategy_flip_lines(&log->strategy);
	return glni_bitmap_nr_lines(log->live, enough) == enough;
}

/* What it cost to take all of a slot, so that the next choice is better. */
static void note_take(struct gln_harvest *harvest, uint64_t ns)
{
	struct strategy *const strategy = &harvest->log->strategy;
	const uint64_t line_bytes = (uint64_t)LINE_WORDS * GLN_WORD_BYTES;

	if (harvest->is_flipped)
		strategy_note_flip(strategy, ns);
	else if (!harvest->is_empty)
		strategy_note_exchange(
			strategy, harvest->report.bytes_read / line_bytes, ns);
}

/* All of a slot is collected first, so that what is marked can be measured. */
static int take_marks(struct gln_harvest *harvest,
		      const struct gln_harvest_params *params, uint64_t now_ns)
{
	int err = 0;

	if (is_whole(params))
		err = glni_harvest_collect(harvest, 0,
					   log_nr_pages(harvest->log));
	if (err)
		return err;
	harvest->is_flipped = glni_harvest_wants_flip(harvest, params);
	if (!harvest->is_flipped)
		return exchange(harvest, params, now_ns);

	flip(harvest);
	return 0;
}

int glni_harvest_fail(struct gln_harvest *harvest, int err)
{
	PROBE2(fail, harvest, err);
	glni_harvest_put_back(harvest);
	dirty_count(&harvest->stats->failed_harvests, 1);

	return err;
}

/* Taken and armed: what follows is the caller's. */
static void note_begun(struct gln_harvest *harvest, uint64_t start_ns,
		       uint64_t now_ns)
{
	harvest->report.begin_ns =
		dirty_time(harvest->stats, GLN_STEP_BEGIN, start_ns, now_ns);
	if (harvest->is_empty)
		return;

	harvest->begun_ns = now_ns;
	glni_runs_start(&harvest->walk, &harvest->log->snap,
			harvest->log->live->kernel);
}

int glni_harvest_take(struct gln_harvest *harvest,
		      const struct gln_harvest_params *params)
{
	struct gln_harvest_report *const report = &harvest->report;
	const uint64_t start_ns = gln_plat_now_ns();
	uint64_t now_ns;
	int err;

	PROBE3(begin, harvest, harvest->slot->face.id,
	       harvest->slot->face.nr_pages);
	err = take_marks(harvest, params, start_ns);

	/*
	 * sync take.4 (seq_cst) <-> mark.1: one fence for the whole take puts
	 * every exchange above before the protection that follows, and before
	 * every page copy that the caller makes. (A flip exchanged nothing.)
	 */
	if (harvest->report.nr_pages)
		glni_fence_heavy(harvest->log->live->fence);

	now_ns = gln_plat_now_ns();
	report->take_ns =
		dirty_time(harvest->stats, GLN_STEP_TAKE, start_ns, now_ns);
	PROBE3(take, harvest, report->nr_pages, report->take_ns);
	if (!err && is_whole(params))
		note_take(harvest, report->take_ns - report->collect_ns);
	if (!err)
		err = glni_harvest_arm(harvest, &now_ns);
	if (err)
		return glni_harvest_fail(harvest, err);

	note_begun(harvest, start_ns, now_ns);
	return 0;
}

void glni_harvest_take_bits(struct gln_harvest *harvest, uint64_t word,
			    const uint64_t *bits, uint64_t nr_words)
{
	struct log *const log = harvest->log;
	const uint64_t nr_pages = log_nr_pages(log);

	for (uint64_t i = 0; i < nr_words; i++) {
		const uint64_t wanted = gln_le64(bits[i]) &
					bitmap_valid_bits(nr_pages, word + i);

		if (wanted && glni_bitmap_take_bits(log->live, &log->snap,
						    word + i, wanted))
			harvest->is_empty = false;
	}
}

int glni_harvest_clear(struct gln_harvest *harvest)
{
	uint64_t now_ns;
	int err;

	/* sync clear.1 (seq_cst) <-> mark.1: as take.4. */
	if (!harvest->is_empty)
		glni_fence_heavy(harvest->log->live->fence);

	now_ns = gln_plat_now_ns();
	err = glni_harvest_arm(harvest, &now_ns);
	if (err)
		return glni_harvest_fail(harvest, err);

	dirty_count(&harvest->stats->harvests, 1);
	dirty_count(&harvest->stats->cleared_pages, glni_harvest_drop(harvest));
	return 0;
}

/* The harvest is at its end. */
static void note_delivered(struct gln_harvest *harvest)
{
	uint64_t ns;

	if (!harvest->begun_ns)
		return;
	ns = dirty_time(harvest->stats, GLN_STEP_DELIVER, harvest->begun_ns,
			gln_plat_now_ns());
	harvest->begun_ns = 0;
	PROBE2(deliver, harvest, ns);
}

uint64_t glni_harvest_drop(struct gln_harvest *harvest)
{
	struct log *const log = harvest->log;
	uint64_t nr;

	if (harvest->is_empty)
		return 0;

	nr = glni_snapshot_drain(&log->snap, log->live->kernel);
	dirty_count(&harvest->stats->harvested_pages, nr);
	note_delivered(harvest);
	return nr;
}

uint64_t glni_harvest_put_back(struct gln_harvest *harvest)
{
	struct log *const log = harvest->log;
	uint64_t nr = 0;

	if (!harvest->is_empty)
		nr = glni_snapshot_put_back(&log->snap, log->live, 0,
					    log_nr_pages(log));
	glni_harvest_drop(harvest);
	dirty_count(&harvest->stats->harvested_pages, nr);
	dirty_count(&harvest->stats->aborted_pages, nr);

	return nr;
}
