/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * precopy.c - copy a guest while it is written, round by round.
 */
#include "bench/glean/precopy.h"

#include <errno.h>
#include <stdlib.h>

#include <glean/harvest.h>
#include <glean/log.h>

#include "bench/glean/clock.h"
#include "bench/glean/copy.h"
#include "bench/glean/guest.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/table.h"
#include "bench/glean/vcpus.h"

/* Runs fetched from a harvest at a time. */
#define RUNS 256

/* Copying reports progress and looks for a signal this often. */
#define CHUNK_PAGES 1024

static int fail(struct precopy *job, int err, const char *what)
{
	job->failed = what;
	return err;
}

static bool in_guest(const struct guest *guest, struct gln_range run)
{
	const uint64_t first = run.first - GUEST_BASE_GFN;

	return first < guest->nr_pages && run.count <= guest->nr_pages - first;
}

static int copy_run(struct precopy *job, struct gln_range run, uint64_t *nr)
{
	const struct guest *guest = job->guest;
	uint64_t page = run.first - GUEST_BASE_GFN;

	if (!in_guest(guest, run))
		return fail(job, -ERANGE, "walking a harvest");

	for (uint64_t left = run.count; left;) {
		const uint64_t count = left < CHUNK_PAGES ? left : CHUNK_PAGES;

		if (interrupt_signal())
			return -EINTR;
		copy_live(guest_copy_page(guest, page), guest_page(guest, page),
			  (size_t)(count * guest->page_bytes));
		page += count;
		left -= count;
		*nr += count;
		table_progress(job->table, *nr);
	}
	return 0;
}

static int copy_runs(struct precopy *job, struct gln_harvest *harvest,
		     struct round *round, uint64_t *nr_copied)
{
	struct gln_range runs[RUNS];
	size_t nr;
	int err = 0;

	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS))) {
		for (size_t i = 0; i < nr && !err; i++)
			err = copy_run(job, runs[i], nr_copied);
		round->runs += nr;
	}
	return err;
}

static int note_report(struct precopy *job, struct gln_harvest *harvest,
		       struct round *round)
{
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};
	const int err = gln_harvest_report(harvest, &report);

	if (err)
		return fail(job, err, "reading a harvest's report");
	round->dirty_pages = report.nr_pages;
	round->take_ns = report.take_ns;
	round->protect_ns = report.protect_ns;
	round->flush_ns = report.flush_ns;
	return 0;
}

/* Copy what a harvest took; what was not copied goes back. */
static int copy_harvest(struct precopy *job, struct gln_harvest *harvest,
			struct round *round)
{
	uint64_t nr_copied = 0;
	int err = note_report(job, harvest, round);

	if (!err) {
		const uint64_t start_ns = clock_ns();

		table_round_begin(job->table, round);
		err = copy_runs(job, harvest, round, &nr_copied);
		round->copy_ns = clock_ns() - start_ns;
	}
	if (!err && nr_copied != round->dirty_pages)
		err = fail(job, -ERANGE, "walking a harvest");

	if (err)
		gln_harvest_abort(harvest);
	else
		gln_harvest_commit(harvest);
	return err;
}

static int do_round(struct precopy *job)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct round *round = &job->rounds[job->nr_rounds];
	struct gln_harvest *harvest;

	*round = (struct round){
		.number = job->nr_rounds,
		.begun_ns = clock_ns(),
		.stopped = !job->vcpus,
	};
	if (job->nr_rounds)
		round->interval_ns = round->begun_ns - round[-1].begun_ns;

	int err = gln_harvest_begin(job->vm, PRECOPY_SLOT, &params, &harvest);

	if (err)
		return fail(job, err, "harvesting");
	err = copy_harvest(job, harvest, round);
	if (err)
		return err;

	job->nr_rounds++;
	return 0;
}

/* Not a part of the round: nobody's downtime waits for a terminal. */
static void tell_round(const struct precopy *job)
{
	table_round_end(job->table, &job->rounds[job->nr_rounds - 1]);
}

/* What copying a page costs, by the last round that copied any. */
static double copy_ns_per_page(const struct precopy *job)
{
	for (size_t i = job->nr_rounds; i-- > 0;) {
		const struct round *round = &job->rounds[i];

		if (round->dirty_pages)
			return (double)round->copy_ns /
			       (double)round->dirty_pages;
	}
	return 0;
}

/*
 * How long the guest would stand still if it stopped now. Pages dirtied since
 * the last harvest began are guessed by the rate before it; a harvest of them
 * costs what the last one did, or more if they are more.
 */
static double expected_downtime_ns(const struct precopy *job)
{
	const struct round *last = &job->rounds[job->nr_rounds - 1];
	const double since_ns = (double)(clock_ns() - last->begun_ns);
	const double growth = since_ns / (double)last->interval_ns;
	const double rest = (double)last->dirty_pages * growth;
	const double harvest_ns =
		(double)(last->take_ns + last->protect_ns + last->flush_ns);

	return harvest_ns * (growth > 1 ? growth : 1) +
	       rest * copy_ns_per_page(job);
}

/* Round 0 says nothing about how fast the guest writes. */
static bool rest_fits(const struct precopy *job)
{
	return job->nr_rounds > 1 &&
	       expected_downtime_ns(job) <= (double)job->target_ns;
}

static int copy_live_guest(struct precopy *job)
{
	while (job->nr_rounds < job->max_rounds) {
		const int err = do_round(job);

		if (err)
			return err;
		tell_round(job);
		if (rest_fits(job)) {
			job->converged = true;
			break;
		}
	}
	return 0;
}

static int stop_vcpus(struct precopy *job)
{
	const int err = vcpus_stop(job->vcpus);

	job->vcpus = NULL;
	return err ? fail(job, err, "storing to the guest") : 0;
}

static int copy_in_rounds(struct precopy *job)
{
	const uint64_t start_ns = clock_ns();
	int err = gln_log_enable(job->vm, PRECOPY_SLOT,
				 GLN_LOG_ENABLE_ALL_MARKED);

	if (err)
		return fail(job, err, "switching on the log");
	err = copy_live_guest(job);
	if (err)
		return err;

	const uint64_t stop_ns = clock_ns();

	err = stop_vcpus(job);
	if (!err)
		err = do_round(job);
	if (err)
		return err;
	job->downtime_ns = clock_ns() - stop_ns;
	job->total_ns = clock_ns() - start_ns;
	tell_round(job);
	return 0;
}

int precopy_run(struct precopy *job)
{
	int err = -ENOMEM;

	job->rounds = calloc(job->max_rounds + 1, sizeof(*job->rounds));
	if (job->rounds)
		err = copy_in_rounds(job);
	else
		job->failed = "making room for rounds";
	/* After an error they still run, and that error is the one to tell. */
	if (job->vcpus)
		vcpus_stop(job->vcpus);
	job->vcpus = NULL;
	return err;
}
