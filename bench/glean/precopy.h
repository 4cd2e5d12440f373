/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * precopy.h - copy a guest while it is written, round by round.
 *
 * Round 0 copies everything, each later round what the round before it left
 * dirty. When the rest is expected to fit the downtime, or rounds have run out,
 * the vCPUs stop, and a last round copies what is left.
 */
#ifndef BENCH_GLEAN_PRECOPY_H
#define BENCH_GLEAN_PRECOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gln_vm;
struct guest;
struct table;
struct vcpus;

/** The one slot of the guest. */
#define PRECOPY_SLOT 0U

/**
 * struct round - a harvest, and the copy of what it found.
 *
 * @begun_ns:	when its harvest began.
 * @interval_ns: since the round before began: its pages were dirtied in this
 *		time; 0 for round 0, where every page counts as dirty.
 * @stopped:	the vCPUs stood still: the last round.
 */
struct round {
	uint64_t number;
	uint64_t dirty_pages;
	uint64_t runs;
	uint64_t take_ns;
	uint64_t protect_ns;
	uint64_t flush_ns;
	uint64_t copy_ns;
	uint64_t begun_ns;
	uint64_t interval_ns;
	bool stopped;
};

/**
 * struct precopy - the job, and how it went.
 *
 * @vm, @guest:	the guest, its slot PRECOPY_SLOT added and not logged.
 * @vcpus:	running; NULL once they have been stopped.
 * @table:	told of each round.
 * @max_rounds:	rounds with running vCPUs; one more follows with none.
 *
 * @rounds:	@nr_rounds of them, @max_rounds + 1 at most.
 * @downtime_ns: from asking the vCPUs to stop to the end of the last copy.
 * @total_ns:	from switching on the log to the same.
 * @converged:	the vCPUs were stopped because the rest seemed to fit.
 * @failed:	on an error, what failed.
 */
struct precopy {
	struct gln_vm *vm;
	const struct guest *guest;
	struct vcpus *vcpus;
	struct table *table;
	uint64_t max_rounds;
	uint64_t target_ns;

	struct round *rounds;
	size_t nr_rounds;
	uint64_t downtime_ns;
	uint64_t total_ns;
	bool converged;
	const char *failed;
};

/**
 * precopy_run() - do it.
 *
 * Return: 0; -EINTR if a signal came; -ERANGE if a harvest reported what the
 * guest does not have; or what the library said, with @failed set. The vCPUs
 * have stopped, whatever happened; @rounds is the caller's to free.
 */
int precopy_run(struct precopy *job);

#endif
