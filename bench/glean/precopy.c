/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * precopy.c - copy a guest while it is written, round by round.
 */
#include "bench/glean/precopy.h"

#include <errno.h>
#include <stdlib.h>

#include "bench/glean/clock.h"
#include "bench/glean/copy.h"
#include "bench/glean/guest.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/source.h"
#include "bench/glean/table.h"
#include "bench/glean/vcpus.h"

/* Runs fetched at a time. */
#define RUNS 256

/* Copying reports progress and tends the source after so many bytes. */
#define CHUNK_BYTES (UINT64_C(4) << 20)

static int fail(struct precopy *job, int err, const char *what)
{
	job->failed = what;
	return err;
}

static int source_failed(struct precopy *job, int err)
{
	return fail(job, err, job->source->failed);
}

/* The copying of a round, as far as it is. */
struct copying {
	struct precopy *job;
	struct round *round;
	uint64_t nr_pages; /* copied */
	uint64_t untended; /* of these, since the source was tended */
	gln_gfn end;	   /* of the last run */
};

static bool in_guest(const struct guest *guest, struct gln_range run)
{
	const uint64_t first = run.first - guest->base;

	return first < guest->nr_pages && run.count <= guest->nr_pages - first;
}

/* Between two pieces: look for a signal, and let no vCPU wait. */
static int look_up(struct copying *copying)
{
	const struct precopy *job = copying->job;
	struct source *source = job->source;

	table_progress(job->table, copying->nr_pages);
	if (interrupt_signal())
		return -EINTR;
	if (copying->untended * job->guest->page_bytes < CHUNK_BYTES)
		return 0;
	copying->untended = 0;
	if (job->stopped || !source->ops->tend)
		return 0;

	const int err = source->ops->tend(source, copying->round);

	return err ? source_failed(copying->job, err) : 0;
}

static int copy_run(struct copying *copying, struct gln_range run)
{
	const struct guest *guest = copying->job->guest;
	const uint64_t chunk = CHUNK_BYTES / guest->page_bytes;
	uint64_t page = run.first - guest->base;
	int err = 0;

	if (!in_guest(guest, run))
		return fail(copying->job, -ERANGE, "walking a harvest");

	for (uint64_t left = run.count; left && !err;) {
		const uint64_t count = left < chunk ? left : chunk;

		copy_live(guest_copy_page(guest, page), guest_page(guest, page),
			  (size_t)(count * guest->page_bytes));
		page += count;
		left -= count;
		copying->nr_pages += count;
		copying->untended += count;
		err = look_up(copying);
	}
	/* A source may cut a run in two. */
	copying->round->runs += run.first != copying->end;
	copying->end = run.first + run.count;
	return err;
}

static int copy_runs(struct copying *copying)
{
	struct source *source = copying->job->source;
	struct gln_range runs[RUNS];
	size_t nr;

	while (true) {
		int err = source->ops->next(source, copying->round, runs, RUNS,
					    &nr);

		if (err)
			return source_failed(copying->job, err);
		if (!nr)
			return 0;
		for (size_t i = 0; i < nr && !err; i++)
			err = copy_run(copying, runs[i]);
		if (err)
			return err;
	}
}

/* Copy what was taken. What the source does meanwhile is not copying. */
static int copy_taken(struct precopy *job, struct round *round)
{
	struct copying copying = {.job = job, .round = round};
	const uint64_t start_ns = clock_ns();
	const uint64_t log_ns = round_log_ns(round);

	table_round_begin(job->table, round);

	int err = copy_runs(&copying);

	round->copy_ns = clock_ns() - start_ns - (round_log_ns(round) - log_ns);
	if (!err && copying.nr_pages != round->dirty_pages)
		err = fail(job, -ERANGE, "walking a harvest");
	if (job->source->ops->finish)
		job->source->ops->finish(job->source, !err);
	return err;
}

static int do_round(struct precopy *job)
{
	struct round *round = &job->rounds[job->nr_rounds];

	*round = (struct round){
		.number = job->nr_rounds,
		.begun_ns = clock_ns(),
		.stopped = job->stopped,
	};
	if (job->nr_rounds)
		round->interval_ns = round->begun_ns - round[-1].begun_ns;

	int err = job->source->ops->take(job->source, round);

	if (err)
		return source_failed(job, err);
	err = copy_taken(job, round);
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
	const double log_ns = (double)round_log_ns(last);

	return log_ns * (growth > 1 ? growth : 1) +
	       rest * copy_ns_per_page(job);
}

/* Round 0 says nothing about how fast the guest writes. */
static bool rest_fits(const struct precopy *job)
{
	return job->nr_rounds > 1 &&
	       expected_downtime_ns(job) <= (double)job->target_ns;
}

static void pause_job(const struct precopy *job)
{
	const struct timespec pause = {.tv_nsec = (long)job->pause_ns};

	if (job->pause_ns)
		nanosleep(&pause, NULL);
}

static int copy_live_guest(struct precopy *job)
{
	while (job->nr_rounds < job->max_rounds) {
		const int err = do_round(job);

		if (err)
			return err;
		tell_round(job);
		pause_job(job);
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

	job->stopped = true;
	return err ? fail(job, err, "storing to the guest") : 0;
}

static int copy_in_rounds(struct precopy *job)
{
	const uint64_t start_ns = clock_ns();
	int err = source_start(job->source, job->vcpus);

	if (err)
		return source_failed(job, err);
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
	if (!job->stopped)
		vcpus_stop(job->vcpus);
	job->stopped = true;
	return err;
}
